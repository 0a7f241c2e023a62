/* sql_db: what is particular about SQLite and nothing about what is stored: opening a file, running
 * statements, and what a result code means. Whoever stores something says it in words of his own,
 * for he knows whose file it is and what a person can do. A connection is used by one thread at a
 * time. */
#ifndef SLUICE_SQL_DB_H
#define SLUICE_SQL_DB_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"

/* How long to wait for another program, such as a person's sqlite3 shell, that holds the file. */
#define SQL_BUSY_TIMEOUT_MS 5000

/* Opens the file at `path`; with `create`, makes it when missing, readable by this user only. `vfs`
 * is a registered name; NULL is the default. Fills `*out`, also on failure: then it may be NULL,
 * and is good for sql_trouble_of and sql_db_close. Returns SQLite's code. */
int sql_db_open(const char *path, const char *vfs, bool create, sqlite3 **out) SLUICE_MUST_CHECK;
/* NULL is accepted. Statements must be finalized. */
void sql_db_close(sqlite3 *db);

/* Turns on the write-ahead log. `*is_wal` is false when the file's file system cannot carry one. */
int sql_db_enter_wal(sqlite3 *db, bool *is_wal) SLUICE_MUST_CHECK;
/* Whether the connection's file was removed, moved or replaced: what it writes, no one would find
 * again. One stat. */
bool sql_db_has_moved(sqlite3 *db);

/* Prepares a statement that is kept; the caller finalizes it. Returns SQLite's code. */
int sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out) SLUICE_MUST_CHECK;
/* Runs a statement that returns no rows, and resets it. Returns SQLite's code, or SQLITE_OK when it
 * is done. */
int sql_run(sqlite3_stmt *statement);
/* Binds borrowed bytes, which must stay in place until the statement is reset. */
int sql_bind(sqlite3_stmt *statement, int index, struct slice text) SLUICE_MUST_CHECK;
/* A text column's bytes, valid until the statement steps. False when it is not a text, or there was
 * no memory for it. */
bool sql_column(sqlite3_stmt *statement, int column, struct slice *out) SLUICE_MUST_CHECK;

/* What a result code other than OK, ROW and DONE means. */
enum sql_trouble {
    SQL_TROUBLE_FULL,       /* no space left on the device, or no quota */
    SQL_TROUBLE_FILE_LIMIT, /* a file has reached the limit on the size of files (ulimit -f) */
    SQL_TROUBLE_MEMORY,
    SQL_TROUBLE_BUSY,   /* another program held the file for longer than SQL_BUSY_TIMEOUT_MS */
    SQL_TROUBLE_DAMAGE, /* the file is no database, or not what our statements were written for */
    SQL_TROUBLE_SIZE,   /* a text is larger than SQLite stores */
    SQL_TROUBLE_IO,     /* anything else; sql_reason says more */
};

/* `code` is the result of the latest call on `db`. */
enum sql_trouble sql_trouble_of(sqlite3 *db, int code);
/* The system's or SQLite's text for SQL_TROUBLE_IO; static, or in `text`. */
const char *sql_reason(sqlite3 *db, int code, char *text, size_t text_bytes);
/* Whether a connection that returned `code` should be replaced before it is used again. */
bool sql_is_suspect(int code);

#endif
