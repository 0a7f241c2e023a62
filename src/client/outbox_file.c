/* outbox_file: opens the file of an outbox, which a person can read:
 *
 *     outbox          one row: the store, its backend id, and two numbers that number the pending
 *     pending         the events that the log does not have yet, by commit id
 *     pending_event   a view: the same with the sequence numbers that they have now
 *
 * Under outbox_sqlite, which writes events. Owns the connection and the lock on FILE.lock, which
 * keeps a second process, and a second client in this one, out; a lock file of its own, because the
 * locks on the database file are SQLite's. Thread: whoever holds the outbox's mutex. */
#include "client/outbox_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_lock.h"

/* --- What went wrong --- */

enum sluice_status outbox_file_failed(struct outbox_file *file, int code, const char *doing,
                                      struct sluice_error *error)
{
    char text[96];
    file->suspect = file->suspect || sql_is_suspect(code);
    switch (sql_trouble_of(file->db, code)) {
    case SQL_TROUBLE_FULL:
        return error_set(error, SLUICE_STORAGE_FULL,
                         "no space left while %s the outbox %s: free space there", doing,
                         file->path);
    case SQL_TROUBLE_FILE_LIMIT:
        return error_set(error, SLUICE_STORAGE_FULL,
                         "no space left while %s the outbox %s: it has reached the limit on the "
                         "size of files (ulimit -f): raise it",
                         doing, file->path);
    case SQL_TROUBLE_MEMORY:
        return error_set(error, SLUICE_NO_MEMORY, "out of memory while %s the outbox %s", doing,
                         file->path);
    case SQL_TROUBLE_BUSY:
        return error_set(error, SLUICE_STORAGE_IO,
                         "another program held the outbox %s for more than %d s: end its "
                         "transaction",
                         file->path, SQL_BUSY_TIMEOUT_MS / 1000);
    case SQL_TROUBLE_DAMAGE:
        return error_set(
            error, SLUICE_STORAGE_CORRUPT,
            "the outbox %s is damaged or no outbox (%s, while %s it): put it aside and "
            "start with a new one, or restore it",
            file->path, sqlite3_errmsg(file->db), doing);
    case SQL_TROUBLE_SIZE:
        return error_set(error, SLUICE_LIMIT, "the event is too large for the outbox %s",
                         file->path);
    case SQL_TROUBLE_IO:
        break;
    }
    return error_set(error, SLUICE_STORAGE_IO,
                     "I/O error while %s the outbox %s (%s, SQLite code %d): check the disk", doing,
                     file->path, sql_reason(file->db, code, text, sizeof text), code);
}

static enum sluice_status path_failed(const char *path, int reason, struct sluice_error *error)
{
    char text[96];
    if (reason == ENOMEM) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory while opening the outbox %s",
                         path);
    }
    enum sluice_status status =
        reason == ENOSPC || reason == EDQUOT ? SLUICE_STORAGE_FULL : SLUICE_STORAGE_IO;
    return error_set(error, status,
                     "cannot open the outbox %s: %s: check the path, or choose another file", path,
                     strerror_r(reason, text, sizeof text));
}

enum sluice_status outbox_file_damaged(const struct outbox_file *file, const char *how,
                                       struct sluice_error *error)
{
    return error_set(error, SLUICE_STORAGE_CORRUPT,
                     "the outbox %s is damaged (%s): put it aside and start with a new one, or "
                     "restore it",
                     file->path, how);
}

enum sluice_status outbox_file_check_in_place(struct outbox_file *file, struct sluice_error *error)
{
    if (sql_db_has_moved(file->db)) {
        return error_set(error, SLUICE_STORAGE_IO,
                         "the outbox %s was removed or replaced while it was open: put it back, or "
                         "close the client and open it again",
                         file->path);
    }
    return SLUICE_OK;
}

/* --- What is in it --- */

#define APPLICATION_ID 0x536c754f /* "SluO" */
#define SCHEMA_VERSION 1

static const char schema[] =
    "CREATE TABLE outbox ("
    " id INTEGER PRIMARY KEY CHECK (id = 1),"
    " store_id TEXT NOT NULL,"
    " backend_id TEXT NOT NULL," /* of the store's log; '' as long as it is not known */
    " upstream_head INTEGER NOT NULL,"
    " confirmed_commit_id INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE pending ("
    " commit_id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL,"
    " args TEXT NOT NULL,"
    " client_id TEXT NOT NULL,"
    " session_id TEXT NOT NULL,"
    " committed_at INTEGER NOT NULL" /* ms since 1970 UTC */
    ") STRICT;"
    "CREATE VIEW pending_event AS SELECT commit_id,"
    " upstream_head + commit_id - confirmed_commit_id AS seq_num,"
    " upstream_head + commit_id - confirmed_commit_id - 1 AS parent_seq_num,"
    " name, args, client_id, session_id, committed_at"
    " FROM pending, outbox ORDER BY commit_id;"
    "PRAGMA application_id=0x536c754f;"
    "PRAGMA user_version=1;";

static enum sluice_status execute(struct outbox_file *file, const char *sql,
                                  struct sluice_error *error)
{
    int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SLUICE_OK : outbox_file_failed(file, code, "opening", error);
}

/* The first column of the one row of `sql`. */
static enum sluice_status query_number(struct outbox_file *file, const char *sql, int64_t *out,
                                       struct sluice_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sql_prepare(file->db, sql, &statement);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SLUICE_OK : outbox_file_failed(file, code, "opening", error);
}

/* Refuses what is no outbox, or one of a newer version; `*is_new`: there is nothing in it. */
static enum sluice_status check_kind(struct outbox_file *file, bool *is_new,
                                     struct sluice_error *error)
{
    int64_t application_id = 0;
    int64_t version = 0;
    int64_t table_count = 0;
    enum sluice_status status = query_number(file, "PRAGMA application_id", &application_id, error);
    if (status == SLUICE_OK) {
        status = query_number(file, "PRAGMA user_version", &version, error);
    }
    if (status == SLUICE_OK) {
        status = query_number(file, "SELECT count(*) FROM sqlite_schema", &table_count, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    *is_new = application_id == 0 && version == 0 && table_count == 0;
    if (!*is_new && application_id != APPLICATION_ID) {
        return error_set(error, SLUICE_STORAGE_CORRUPT,
                         "%s is another program's database (application id %" PRId64
                         "): choose another file for the outbox",
                         file->path, application_id);
    }
    if (version > SCHEMA_VERSION) {
        return error_set(error, SLUICE_STORAGE_VERSION,
                         "the outbox %s has schema version %" PRId64
                         ", this program knows up to %d: run the newer program that wrote it",
                         file->path, version, SCHEMA_VERSION);
    }
    return SLUICE_OK;
}

static enum sluice_status configure(struct outbox_file *file, struct sluice_error *error)
{
    bool is_wal = false;
    int code = sql_db_enter_wal(file->db, &is_wal);
    if (code != SQLITE_OK) {
        return outbox_file_failed(file, code, "opening", error);
    }
    if (!is_wal) {
        return error_set(
            error, SLUICE_STORAGE_IO,
            "the file system of the outbox %s cannot carry a write-ahead log (it needs "
            "shared memory and locks): choose a local disk",
            file->path);
    }
    return execute(file, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=4194304;", error);
}

static enum sluice_status insert_outbox_row(struct outbox_file *file, struct sluice_error *error)
{
    sqlite3_stmt *insert = NULL;
    int code = sql_prepare(file->db, "INSERT INTO outbox VALUES (1, ?1, '', 0, 0)", &insert);
    if (code == SQLITE_OK) {
        code = sql_bind(insert, 1, slice_make(file->store_id, file->store_id_bytes));
    }
    if (code == SQLITE_OK) {
        code = sql_run(insert);
    }
    (void)sqlite3_finalize(insert);
    return code == SQLITE_OK ? SLUICE_OK : outbox_file_failed(file, code, "creating", error);
}

/* Makes the tables, all or none. What fails is rolled back with the connection's end. */
static enum sluice_status create_tables(struct outbox_file *file, struct sluice_error *error)
{
    enum sluice_status status = execute(file, "BEGIN IMMEDIATE", error);
    if (status == SLUICE_OK) {
        status = execute(file, schema, error);
    }
    if (status == SLUICE_OK) {
        status = insert_outbox_row(file, error);
    }
    return status == SLUICE_OK ? execute(file, "COMMIT", error) : status;
}

/* Takes the row of the table outbox, and what the pending commits' ids must be with it. */
static enum sluice_status take_row(struct outbox_file *file, sqlite3_stmt *row,
                                   struct outbox_numbers *out, struct sluice_error *error)
{
    struct slice store_id = SLICE_EMPTY;
    struct slice backend_id = SLICE_EMPTY;
    if (!sql_column(row, 0, &store_id) || !sql_column(row, 1, &backend_id)) {
        return outbox_file_failed(file, SQLITE_NOMEM, "reading", error);
    }
    if (!slice_equal(store_id, slice_make(file->store_id, file->store_id_bytes))) {
        return error_set(error, SLUICE_CONFIG,
                         "the outbox %s belongs to the store \"%.*s\": choose another file for the "
                         "store \"%.*s\"",
                         file->path, SLICE_PRINT(store_id),
                         SLICE_PRINT(slice_make(file->store_id, file->store_id_bytes)));
    }
    int64_t pending_count = sqlite3_column_int64(row, 4);
    struct outbox_numbers numbers = {
        .upstream_head = (uint64_t)sqlite3_column_int64(row, 2),
        .confirmed_commit_id = (uint64_t)sqlite3_column_int64(row, 3),
        .last_commit_id = (uint64_t)sqlite3_column_int64(row, 5),
        .backend_id_bytes = backend_id.bytes,
    };
    if (backend_id.bytes > sizeof numbers.backend_id || !outbox_numbers_valid(&numbers) ||
        outbox_numbers_pending_count(&numbers) != (uint64_t)pending_count ||
        sqlite3_column_int64(row, 6) != 1) {
        return outbox_file_damaged(file, "its numbers make no sense", error);
    }
    memcpy(numbers.backend_id, backend_id.data, backend_id.bytes);
    *out = numbers;
    return SLUICE_OK;
}

/* Pending commits have every id from the first one after the confirmed ones to the last. Counting
 * their lengths reads them whole, so that damage is met now and not when they are to be pushed. */
static enum sluice_status read_numbers(struct outbox_file *file, struct outbox_numbers *out,
                                       struct sluice_error *error)
{
    sqlite3_stmt *row = NULL;
    int code = sql_prepare(file->db,
                           "SELECT store_id, backend_id, upstream_head, confirmed_commit_id,"
                           " (SELECT count(length(name) + length(args) + length(client_id) +"
                           " length(session_id)) FROM pending),"
                           " ifnull((SELECT max(commit_id) FROM pending), confirmed_commit_id),"
                           " ifnull((SELECT min(commit_id) FROM pending) - confirmed_commit_id, 1)"
                           " FROM outbox WHERE id = 1",
                           &row);
    if (code == SQLITE_OK) {
        code = sqlite3_step(row);
    }
    enum sluice_status status;
    if (code == SQLITE_ROW) {
        status = take_row(file, row, out, error);
    } else if (code == SQLITE_DONE) {
        status = outbox_file_damaged(file, "its row in the table outbox is missing", error);
    } else {
        status = outbox_file_failed(file, code, "reading", error);
    }
    (void)sqlite3_finalize(row);
    return status;
}

/* --- The connection --- */

/* A commit that failed may have reached the write-ahead log all the same, which shows when that is
 * read anew. Its caller was told that it failed, and may commit it again. */
static enum sluice_status drop_refused(struct outbox_file *file, uint64_t last_commit_id,
                                       struct outbox_numbers *found, struct sluice_error *error)
{
    if (found->last_commit_id <= last_commit_id || found->confirmed_commit_id > last_commit_id) {
        return SLUICE_OK;
    }
    sqlite3_stmt *remove = NULL;
    int code = sql_prepare(file->db, "DELETE FROM pending WHERE commit_id > ?1", &remove);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(remove, 1, (int64_t)last_commit_id);
    }
    if (code == SQLITE_OK) {
        code = sql_run(remove);
    }
    (void)sqlite3_finalize(remove);
    if (code != SQLITE_OK) {
        return outbox_file_failed(file, code, "writing to", error);
    }
    found->last_commit_id = last_commit_id;
    return SLUICE_OK;
}

/* Until the file is known to be good, the end of a connection must not write into it what its
 * write-ahead log has. */
static void keep_from_writing(struct outbox_file *file, bool keep)
{
    (void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, NULL);
}

static enum sluice_status open_checked(struct outbox_file *file, struct outbox_numbers *numbers,
                                       struct sluice_error *error)
{
    bool is_new = false;
    struct outbox_numbers found;
    enum sluice_status status = execute(file,
                                        "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                                        " PRAGMA temp_store=MEMORY;",
                                        error);
    if (status == SLUICE_OK) {
        status = check_kind(file, &is_new, error);
    }
    if (status == SLUICE_OK && is_new && numbers->generation > 0) {
        status = outbox_file_damaged(file, "it has become empty", error);
    }
    if (status == SLUICE_OK && !is_new) {
        status = read_numbers(file, &found, error);
    }
    if (status == SLUICE_OK) {
        status = configure(file, error);
    }
    if (status == SLUICE_OK && is_new) {
        status = create_tables(file, error);
    }
    if (status == SLUICE_OK && is_new) {
        status = read_numbers(file, &found, error);
    }
    if (status == SLUICE_OK && numbers->generation > 0) {
        status = drop_refused(file, numbers->last_commit_id, &found, error);
    }
    if (status == SLUICE_OK) {
        found.generation = numbers->generation + 1;
        *numbers = found;
    }
    return status;
}

enum sluice_status outbox_file_connect(struct outbox_file *file, struct outbox_numbers *numbers,
                                       struct sluice_error *error)
{
    enum sluice_status status = SLUICE_OK;
    outbox_file_disconnect(file);
    int code = sql_db_open(file->path, NULL, false, &file->db);
    if (code != SQLITE_OK) {
        status = outbox_file_failed(file, code, "opening", error);
    } else {
        keep_from_writing(file, true);
        status = open_checked(file, numbers, error);
    }
    if (status != SLUICE_OK) {
        outbox_file_disconnect(file);
        return status;
    }
    keep_from_writing(file, false);
    file->suspect = false;
    return SLUICE_OK;
}

void outbox_file_disconnect(struct outbox_file *file)
{
    sql_db_close(file->db);
    file->db = NULL;
}

/* --- Which file --- */

/* Makes the file when there is none and finds its one name, so that two names cannot open it twice.
 * It must not be opened here: the end of that would take away the locks of SQLite on it. */
static enum sluice_status find_file(struct outbox_file *file, const char *path,
                                    struct sluice_error *error)
{
    struct stat found;
    int made = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made >= 0) {
        (void)close(made);
    } else if (errno != EEXIST) {
        return path_failed(path, errno, error);
    }
    file->path = realpath(path, NULL);
    if (file->path == NULL || stat(file->path, &found) != 0) {
        return path_failed(path, errno, error);
    }
    if (!S_ISREG(found.st_mode)) {
        return error_set(error, SLUICE_STORAGE_IO,
                         "the outbox %s is not a file: choose another path", path);
    }
    return SLUICE_OK;
}

static enum sluice_status take_lock(struct outbox_file *file, struct sluice_error *error)
{
    long long holder = 0;
    if (asprintf(&file->lock_path, "%s.lock", file->path) < 0) {
        file->lock_path = NULL; /* undefined after a failure */
        return path_failed(file->path, ENOMEM, error);
    }
    int reason = file_lock_take(file->lock_path, &file->lock, &holder);
    if (reason == EWOULDBLOCK && holder != 0) {
        return error_set(error, SLUICE_STORAGE_LOCKED,
                         "process %lld has the outbox %s open: end it, or choose another file",
                         holder, file->path);
    }
    if (reason == EWOULDBLOCK) {
        return error_set(error, SLUICE_STORAGE_LOCKED,
                         "another process has the outbox %s open: end it, or choose another file",
                         file->path);
    }
    return reason == 0 ? SLUICE_OK : path_failed(file->lock_path, reason, error);
}

enum sluice_status outbox_file_init(struct outbox_file *file, const char *path,
                                    struct slice store_id, struct sluice_error *error)
{
    *file = (struct outbox_file){.lock = FILE_LOCK_NONE,
                                 .store_id = malloc(store_id.bytes + 1),
                                 .store_id_bytes = store_id.bytes};
    if (file->store_id == NULL) {
        return path_failed(path, ENOMEM, error);
    }
    memcpy(file->store_id, store_id.bytes > 0 ? store_id.data : "", store_id.bytes);
    enum sluice_status status = find_file(file, path, error);
    return status == SLUICE_OK ? take_lock(file, error) : status;
}

void outbox_file_deinit(struct outbox_file *file)
{
    outbox_file_disconnect(file);
    file_lock_release(file->lock);
    free(file->path);
    free(file->lock_path);
    free(file->store_id);
}
