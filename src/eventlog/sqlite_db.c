/* sqlite_db: the event log's settings of SQLite, and what SQLite says in the event log's words.
 * Owns nothing beyond a call. */
#include "eventlog/sqlite_db.h"

/* Both kinds of connection. Measured on 250-byte events: pages of 4096 bytes give the most commits
 * a second and the fastest scans when many stores take turns; larger ones win only for events of
 * 100 kB. The page size counts only while the file is empty. */
#define SETTINGS_COMMON                                                                            \
    "PRAGMA trusted_schema=OFF;"                                                                   \
    "PRAGMA cell_size_check=ON;"                                                                   \
    "PRAGMA foreign_keys=OFF;"                                                                     \
    "PRAGMA temp_store=MEMORY;"
/* Checkpoints are the engine's own (see settle in eventlog_sqlite.c), hence none that run inside a
 * commit. The size limit is above the usual size of the write-ahead log, so that it is reused, not
 * cut and grown again. */
#define SETTINGS_WRITER                                                                            \
    "PRAGMA synchronous=FULL;"                                                                     \
    "PRAGMA wal_autocheckpoint=0;"                                                                 \
    "PRAGMA journal_size_limit=67108864;"                                                          \
    "PRAGMA cache_size=-32768;"
#define SETTINGS_READER "PRAGMA query_only=ON; PRAGMA cache_size=-4096;"

enum sluice_status sqlite_db_open(const char *path, const char *vfs, bool create, sqlite3 **out,
                                  struct sluice_error *error)
{
    sqlite3 *db = NULL;
    int code = sql_db_open(path, vfs, create, &db);
    if (code != SQLITE_OK) {
        enum sluice_status status = sqlite_db_failed(db, code, "opening the event log", error);
        sql_db_close(db);
        return status;
    }
    *out = db;
    return SLUICE_OK;
}

static enum sluice_status enter_wal(sqlite3 *db, struct sluice_error *error)
{
    bool is_wal = false;
    int code = sql_db_enter_wal(db, &is_wal);
    if (code != SQLITE_OK) {
        return sqlite_db_failed(db, code, "turning on the write-ahead log", error);
    }
    if (!is_wal) {
        return error_set(error, SLUICE_STORAGE_IO,
                         "the file system of the data directory cannot carry a write-ahead log "
                         "(it needs shared memory and locks): choose a local disk");
    }
    return SLUICE_OK;
}

enum sluice_status sqlite_db_configure(sqlite3 *db, bool for_writing, struct sluice_error *error)
{
    enum sluice_status status = sqlite_db_execute(db, SETTINGS_COMMON, error);
    if (status == SLUICE_OK && for_writing) {
        status = sqlite_db_execute(db, "PRAGMA page_size=4096", error);
    }
    if (status == SLUICE_OK && for_writing) {
        status = enter_wal(db, error);
    }
    if (status == SLUICE_OK) {
        status = sqlite_db_execute(db, for_writing ? SETTINGS_WRITER : SETTINGS_READER, error);
    }
    return status;
}

enum sluice_status sqlite_db_sync_log(sqlite3 *db, struct sluice_error *error)
{
    sqlite3_file *log = NULL;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (code == SQLITE_OK && log != NULL && log->pMethods != NULL) {
        code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    }
    return code == SQLITE_OK ? SLUICE_OK
                             : sqlite_db_failed(db, code, "syncing the write-ahead log", error);
}

enum sluice_status sqlite_db_execute(sqlite3 *db, const char *sql, struct sluice_error *error)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SLUICE_OK
                             : sqlite_db_failed(db, code, "preparing the event log", error);
}

enum sluice_status sqlite_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out,
                                     struct sluice_error *error)
{
    int code = sql_prepare(db, sql, out);
    return code == SQLITE_OK ? SLUICE_OK
                             : sqlite_db_failed(db, code, "preparing the event log", error);
}

enum sluice_status sqlite_db_read_integer(sqlite3 *db, const char *sql, int64_t *value, bool *found,
                                          struct sluice_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sluice_status status = sqlite_db_prepare(db, sql, &statement, error);
    if (status != SLUICE_OK) {
        return status;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        *found = true;
    } else if (code == SQLITE_DONE) {
        *found = false;
    } else {
        status = sqlite_db_failed(db, code, "reading the event log's header", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static enum sluice_status io_failed(sqlite3 *db, int code, const char *doing,
                                    struct sluice_error *error)
{
    char text[96];
    return error_set(error, SLUICE_STORAGE_IO,
                     "I/O error while %s (%s, SQLite code %d): check the disk and its file system; "
                     "pushes are accepted again by themselves when it works",
                     doing, sql_reason(db, code, text, sizeof text), code);
}

enum sluice_status sqlite_db_failed(sqlite3 *db, int code, const char *doing,
                                    struct sluice_error *error)
{
    switch (sql_trouble_of(db, code)) {
    case SQL_TROUBLE_FULL:
        return error_set(error, SLUICE_STORAGE_FULL,
                         "no space left on device while %s: free space; pushes are accepted again "
                         "by themselves",
                         doing);
    case SQL_TROUBLE_FILE_LIMIT:
        return error_set(error, SLUICE_STORAGE_FULL,
                         "no space left while %s: a file has reached the limit on the size of "
                         "files (ulimit -f): raise it, or free space; pushes are accepted again by "
                         "themselves",
                         doing);
    case SQL_TROUBLE_MEMORY:
        return error_set(error, SLUICE_NO_MEMORY, "out of memory while %s", doing);
    case SQL_TROUBLE_BUSY:
        return error_set(error, SLUICE_UNAVAILABLE,
                         "another program held the event log's file for more than %d s while %s: "
                         "end its transaction",
                         SQL_BUSY_TIMEOUT_MS / 1000, doing);
    case SQL_TROUBLE_DAMAGE:
        return error_set(error, SLUICE_STORAGE_CORRUPT,
                         "the event log is damaged: %s, while %s (SQLite code %d): stop the server "
                         "and restore " SQLITE_FILE_NAME " from a backup",
                         sqlite3_errmsg(db), doing, code);
    case SQL_TROUBLE_SIZE:
        return error_set(error, SLUICE_LIMIT, "an event is too large to be stored, while %s",
                         doing);
    case SQL_TROUBLE_IO:
        break;
    }
    return io_failed(db, code, doing, error);
}

enum sluice_status sqlite_db_check_in_place(sqlite3 *db, struct sluice_error *error)
{
    if (sql_db_has_moved(db)) {
        return error_set(error, SLUICE_STORAGE_IO,
                         SQLITE_FILE_NAME
                         " was removed or replaced while the server runs: stop the "
                         "server and put the file back");
    }
    return SLUICE_OK;
}
