/* sqlite_engine: what the writing and the reading half of the sqlite engine share. Private to
 * eventlog_sqlite.c, sqlite_reader.c and sqlite_store.c. */
#ifndef SLUICE_EVENTLOG_SQLITE_ENGINE_H
#define SLUICE_EVENTLOG_SQLITE_ENGINE_H

#include "eventlog/backend_id.h"
#include "eventlog/eventlog_engine.h"
#include "eventlog/sqlite_db.h"

struct sqlite_engine {
    struct eventlog_engine engine; /* first, so that the one pointer is the other */
    /* Fixed after open; read by all threads. */
    char *path;           /* owned: the data directory and SQLITE_FILE_NAME */
    char *vfs;            /* owned; NULL: the default */
    int checkpoint_pages; /* in the write-ahead log, when a checkpoint is due */
    unsigned char secret[BACKEND_ID_SECRET_BYTES];

    /* Committer thread only, and the loop thread in open and close. */
    sqlite3 *db;  /* NULL: could not be opened again yet */
    bool suspect; /* db failed in a way that calls for a new connection */
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *find_store;
    sqlite3_stmt *insert_store;
    sqlite3_stmt *update_store;
    sqlite3_stmt *insert_event;
    sqlite3_stmt *probe;
    int wal_pages;             /* in the write-ahead log after the last commit */
    int next_checkpoint_pages; /* checkpoint_pages, or more when the last did not get to the end */
};

/* A store's row. */
struct sqlite_store {
    int64_t id; /* 0: there is no row */
    int64_t generation;
    struct eventlog_store_info info;
};

#define SQLITE_FIND_STORE                                                                          \
    "SELECT id, generation, backend_id, head, event_count, event_bytes FROM store"                 \
    " WHERE store_id = ?1"

/* Runs `find` (SQLITE_FIND_STORE) and resets it. Without a row, fills in an empty store with its
 * derived backend id. Puts SQLite's code into `*code` when that is what failed. */
enum sluice_status sqlite_find_store(sqlite3 *db, sqlite3_stmt *find, const unsigned char *secret,
                                     struct slice store_id, struct sqlite_store *out, int *code,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;

enum sluice_status sqlite_reader_open(struct eventlog_engine *engine, struct eventlog_reader **out,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;
void sqlite_reader_close(struct eventlog_reader *reader);
enum sluice_status sqlite_reader_read(struct eventlog_reader *reader, struct eventlog_read *read,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
