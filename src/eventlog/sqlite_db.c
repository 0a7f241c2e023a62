/* sqlite_db: what is particular about SQLite and nothing about events: opening, settings, result
 * codes. Owns nothing beyond a call. */
#include "eventlog/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

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

#define PAGE_BYTES 4096u /* what page_size below says */

/* SQLite would make the file readable by everyone the umask lets in. A failure is left to SQLite,
 * which meets it again and says more. */
static void create_private_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
        (void)close(file);
    }
}

enum sluice_status sqlite_db_open(const char *path, const char *vfs, bool create, sqlite3 **out,
                                  struct sluice_error *error)
{
    if (create) {
        create_private_file(path);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, flags | (create ? SQLITE_OPEN_CREATE : 0), vfs);
    if (code == SQLITE_OK) {
        code = sqlite3_busy_timeout(db, SQLITE_BUSY_TIMEOUT_MS);
    }
    if (code != SQLITE_OK) {
        enum sluice_status status = sqlite_db_failed(db, code, "opening the event log", error);
        sqlite_db_close(db);
        return status;
    }
    *out = db;
    return SLUICE_OK;
}

/* journal_mode answers with the mode it has reached, and keeps the old one without an error. */
static enum sluice_status enter_wal(sqlite3 *db, struct sluice_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sluice_status status = sqlite_db_prepare(db, "PRAGMA journal_mode=WAL", &statement, error);
    if (status != SLUICE_OK) {
        return status;
    }
    int code = sqlite3_step(statement);
    struct slice mode = SLICE_EMPTY;
    bool is_wal = code == SQLITE_ROW && sqlite_db_column(statement, 0, &mode) &&
                  slice_equal(mode, SLICE("wal"));
    if (code != SQLITE_ROW) {
        status = sqlite_db_failed(db, code, "turning on the write-ahead log", error);
    } else if (!is_wal) {
        status = error_set(error, SLUICE_STORAGE_IO,
                           "the file system of the data directory cannot carry a write-ahead log "
                           "(it needs shared memory and locks): choose a local disk");
    }
    (void)sqlite3_finalize(statement);
    return status;
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

void sqlite_db_close(sqlite3 *db)
{
    int code = sqlite3_close(db);
    SLUICE_ASSERT(code == SQLITE_OK); /* not so only while statements are left */
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
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? SLUICE_OK
                             : sqlite_db_failed(db, code, "preparing the event log", error);
}

int sqlite_db_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return code == SQLITE_DONE ? reset : code;
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

/* Set by the system for these two kinds of failure only; else left over from an earlier one. */
static int system_errno(sqlite3 *db, int code)
{
    int primary = code & 0xff;
    return primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ? sqlite3_system_errno(db) : 0;
}

/* SQLite calls a full disk an I/O error where it did not expect to need space. */
static bool is_out_of_space(sqlite3 *db, int code)
{
    int system = system_errno(db, code);
    return (code & 0xff) == SQLITE_FULL || system == ENOSPC || system == EDQUOT;
}

/* Whether a file has no room for one more page below the limit. */
static bool is_at_limit(const char *path, rlim_t limit_bytes)
{
    struct stat found;
    return path != NULL && stat(path, &found) == 0 &&
           (rlim_t)found.st_size + PAGE_BYTES > limit_bytes;
}

/* Whether a write failed because a file is as large as this process may make one (ulimit -f). The
 * error number would say so, but SQLite does not keep it when a commit fails. */
static bool met_file_limit(sqlite3 *db, int code)
{
    struct rlimit limit;
    if (code != SQLITE_IOERR_WRITE || getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY) {
        return false;
    }
    const char *path = sqlite3_db_filename(db, "main");
    return path != NULL && (is_at_limit(path, limit.rlim_cur) ||
                            is_at_limit(sqlite3_filename_wal(path), limit.rlim_cur));
}

static enum sluice_status io_failed(sqlite3 *db, int code, const char *doing,
                                    struct sluice_error *error)
{
    char text[96];
    int system = system_errno(db, code);
    const char *reason =
        system != 0 ? strerror_r(system, text, sizeof text) : sqlite3_errstr(code & 0xff);
    return error_set(error, SLUICE_STORAGE_IO,
                     "I/O error while %s (%s, SQLite code %d): check the disk and its file system; "
                     "pushes are accepted again by themselves when it works",
                     doing, reason, code);
}

enum sluice_status sqlite_db_failed(sqlite3 *db, int code, const char *doing,
                                    struct sluice_error *error)
{
    if (is_out_of_space(db, code)) {
        return error_set(error, SLUICE_STORAGE_FULL,
                         "no space left on device while %s: free space; pushes are accepted again "
                         "by themselves",
                         doing);
    }
    if (met_file_limit(db, code)) {
        return error_set(error, SLUICE_STORAGE_FULL,
                         "no space left while %s: a file has reached the limit on the size of "
                         "files (ulimit -f): raise it, or free space; pushes are accepted again by "
                         "themselves",
                         doing);
    }
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return error_set(error, SLUICE_NO_MEMORY, "out of memory while %s", doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, SLUICE_UNAVAILABLE,
                         "another program held the event log's file for more than %d s while %s: "
                         "end its transaction",
                         SQLITE_BUSY_TIMEOUT_MS / 1000, doing);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: /* our statements do not fit the file: its schema is not what it was */
        return error_set(error, SLUICE_STORAGE_CORRUPT,
                         "the event log is damaged: %s, while %s (SQLite code %d): stop the server "
                         "and restore " SQLITE_FILE_NAME " from a backup",
                         sqlite3_errmsg(db), doing, code);
    case SQLITE_TOOBIG:
        return error_set(error, SLUICE_LIMIT, "an event is too large to be stored, while %s",
                         doing);
    default:
        return io_failed(db, code, doing, error);
    }
}

enum sluice_status sqlite_db_check_in_place(sqlite3 *db, struct sluice_error *error)
{
    int moved = 0;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (code == SQLITE_OK && moved != 0) {
        return error_set(error, SLUICE_STORAGE_IO,
                         SQLITE_FILE_NAME
                         " was removed or replaced while the server runs: stop the "
                         "server and put the file back");
    }
    return SLUICE_OK;
}

bool sqlite_db_is_suspect(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL: /* the file is as it was; so is the connection after a rollback */
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
        return false;
    default:
        return true;
    }
}

int sqlite_db_bind(sqlite3_stmt *statement, int index, struct slice text)
{
    /* A NULL pointer would store NULL, not an empty text. */
    const char *data = text.bytes > 0 ? text.data : "";
    return sqlite3_bind_text64(statement, index, data, text.bytes, SQLITE_STATIC, SQLITE_UTF8);
}

bool sqlite_db_column(sqlite3_stmt *statement, int column, struct slice *out)
{
    if (sqlite3_column_type(statement, column) != SQLITE_TEXT) {
        return false;
    }
    const void *text = sqlite3_column_text(statement, column);
    if (text == NULL) {
        return false;
    }
    *out = slice_make(text, (size_t)sqlite3_column_bytes(statement, column));
    return true;
}
