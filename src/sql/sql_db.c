/* sql_db: see sql_db.h. Below whatever stores events; owns nothing beyond a call. */
#include "sql/sql_db.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define PAGE_BYTES_DEFAULT 4096u /* as SQLite's own; for what a file may need to grow */

/* SQLite would make the file readable by everyone the umask lets in. A failure is left to SQLite,
 * which meets it again and says more. */
static void create_private_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
        (void)close(file);
    }
}

int sql_db_open(const char *path, const char *vfs, bool create, sqlite3 **out)
{
    if (create) {
        create_private_file(path);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, out, flags | (create ? SQLITE_OPEN_CREATE : 0), vfs);
    return code == SQLITE_OK ? sqlite3_busy_timeout(*out, SQL_BUSY_TIMEOUT_MS) : code;
}

void sql_db_close(sqlite3 *db)
{
    int code = sqlite3_close(db);
    SLUICE_ASSERT(code == SQLITE_OK); /* not so only while statements are left */
}

/* journal_mode answers with the mode it has reached, and keeps the old one without an error. */
int sql_db_enter_wal(sqlite3 *db, bool *is_wal)
{
    sqlite3_stmt *statement = NULL;
    int code = sql_prepare(db, "PRAGMA journal_mode=WAL", &statement);
    if (code != SQLITE_OK) {
        return code;
    }
    code = sqlite3_step(statement);
    struct slice mode = SLICE_EMPTY;
    *is_wal =
        code == SQLITE_ROW && sql_column(statement, 0, &mode) && slice_equal(mode, SLICE("wal"));
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

bool sql_db_has_moved(sqlite3 *db)
{
    int moved = 0;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return code == SQLITE_OK && moved != 0;
}

int sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

int sql_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return code == SQLITE_DONE ? reset : code;
}

int sql_bind(sqlite3_stmt *statement, int index, struct slice text)
{
    /* A NULL pointer would store NULL, not an empty text. */
    const char *data = text.bytes > 0 ? text.data : "";
    return sqlite3_bind_text64(statement, index, data, text.bytes, SQLITE_STATIC, SQLITE_UTF8);
}

bool sql_column(sqlite3_stmt *statement, int column, struct slice *out)
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
           (rlim_t)found.st_size + PAGE_BYTES_DEFAULT > limit_bytes;
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

enum sql_trouble sql_trouble_of(sqlite3 *db, int code)
{
    if (is_out_of_space(db, code)) {
        return SQL_TROUBLE_FULL;
    }
    if (met_file_limit(db, code)) {
        return SQL_TROUBLE_FILE_LIMIT;
    }
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return SQL_TROUBLE_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SQL_TROUBLE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: /* our statements do not fit the file: its schema is not what it was */
        return SQL_TROUBLE_DAMAGE;
    case SQLITE_TOOBIG:
        return SQL_TROUBLE_SIZE;
    default:
        return SQL_TROUBLE_IO;
    }
}

const char *sql_reason(sqlite3 *db, int code, char *text, size_t text_bytes)
{
    int system = system_errno(db, code);
    return system != 0 ? strerror_r(system, text, text_bytes) : sqlite3_errstr(code & 0xff);
}

bool sql_is_suspect(int code)
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
