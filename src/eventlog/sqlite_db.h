/* sqlite_db: a connection to sluice.db as this server wants it, and SQLite's result codes in our
 * words. A connection is used by one thread at a time. */
#ifndef SLUICE_EVENTLOG_SQLITE_DB_H
#define SLUICE_EVENTLOG_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define SQLITE_FILE_NAME "sluice.db"
/* How long to wait for another program, such as a person's sqlite3 shell, that holds the file. Our
 * own connections do not compete for it. */
#define SQLITE_BUSY_TIMEOUT_MS 5000

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
/* NULL is accepted. Statements must be finalized. */
void sqlite_db_close(sqlite3 *db);

enum sluice_status sqlite_db_execute(sqlite3 *db, const char *sql,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
/* Prepares a statement that is kept. Fills `*out`; the caller finalizes it. */
enum sluice_status sqlite_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
/* Runs a statement that returns no rows, and resets it. Returns SQLite's code, or SQLITE_OK when it
 * is done. */
int sqlite_db_run(sqlite3_stmt *statement);
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
/* Whether a connection that returned `code` should be replaced before it is used again. */
bool sqlite_db_is_suspect(int code);

/* Binds borrowed bytes, which must stay in place until the statement is reset. */
int sqlite_db_bind(sqlite3_stmt *statement, int index, struct slice text) SLUICE_MUST_CHECK;
/* A text column's bytes, valid until the statement steps. False when it is not a text, or there was
 * no memory for it. */
bool sqlite_db_column(sqlite3_stmt *statement, int column, struct slice *out) SLUICE_MUST_CHECK;

#endif
