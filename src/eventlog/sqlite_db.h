/* sqlite_db: a connection to sluice.db as this server wants it, and SQLite's result codes in the
 * event log's words. A connection is used by one thread at a time. */
#ifndef SLUICE_EVENTLOG_SQLITE_DB_H
#define SLUICE_EVENTLOG_SQLITE_DB_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "sql/sql_db.h"

#define SQLITE_FILE_NAME "sluice.db"

/* Opens the file at `path`; with `create`, makes it when missing, readable by this user only. `vfs`
 * is a registered name; NULL is the default. Fills `*out`. */
enum sluice_status sqlite_db_open(const char *path, const char *vfs, bool create, sqlite3 **out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;
/* The settings of a connection to a file that is known to be ours: WAL, synchronous=FULL and so on.
 */
enum sluice_status sqlite_db_configure(sqlite3 *db, bool for_writing,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* Makes what the write-ahead log has durable. For a connection that has just been opened and has
 * read something: the process before may have been killed between a write and its sync. */
enum sluice_status sqlite_db_sync_log(sqlite3 *db, struct sluice_error *error) SLUICE_MUST_CHECK;

enum sluice_status sqlite_db_execute(sqlite3 *db, const char *sql,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
/* Prepares a statement that is kept. Fills `*out`; the caller finalizes it. */
enum sluice_status sqlite_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
/* Reads one integer. `*found` is false when there was no row. */
enum sluice_status sqlite_db_read_integer(sqlite3 *db, const char *sql, int64_t *value, bool *found,
                                          struct sluice_error *error) SLUICE_MUST_CHECK;

/* Maps `code`, the result of the latest call on `db`, to a status, and says what happened while
 * `doing` what, and what to do. The message may reach a peer, so it names no path. */
enum sluice_status sqlite_db_failed(sqlite3 *db, int code, const char *doing,
                                    struct sluice_error *error);
/* Refuses a connection whose file was removed, moved or replaced: what it writes, no one would find
 * again. One stat. */
enum sluice_status sqlite_db_check_in_place(sqlite3 *db,
                                            struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
