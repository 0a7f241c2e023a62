/* eventlog_sqlite: the engine that keeps events in one SQLite file, sluice.db, and here its writing
 * half (sqlite_reader.c has the reading, sqlite_schema.c the tables).
 *
 *     commit: BEGIN ─▶ for each append: find the store, check its head, insert, update ─▶ COMMIT
 *                │ failure                                                                  │
 *                └─▶ ROLLBACK ─▶ every append gets the failure ─▶ a new connection when     │
 *                                                                 the old one is suspect    │
 *     settle: when the write-ahead log is long, copy it into the file (checkpoint) ◀────────┘
 *
 * Owns the writing connection and its statements; the committer thread uses them, and the loop
 * thread in open and close. Invariants: outside of commit and probe no transaction is open; an
 * append has SLUICE_OK only after COMMIT has returned with the write-ahead log synced
 * (synchronous=FULL). What a read finds is durable too: a connection syncs the log when it is
 * opened, for a process that was killed may have left a commit that is written and not synced, and
 * a push that is found to be stored is acknowledged without another commit.
 *
 * Damage in one store's part of the file must not refuse the pushes of all: the append at which
 * SQLite finds it is left out, and the rest of the group is tried again. */
#include "eventlog/sqlite_engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "eventlog/append_check.h"
#include "eventlog/sqlite_schema.h"

/* From 10000 pages (40 MB) on the write-ahead log is copied into the file without waiting for
 * anyone; measured best for the 99th percentile of commits. When readers have kept it from being
 * begun anew until it has four times as many, the checkpoint waits for them a moment. */
#define CHECKPOINT_PAGES_DEFAULT 10000
#define CHECKPOINT_RESTART_FACTOR 4
#define CHECKPOINT_WAIT_MS 100
/* Appends that one group may lose to damage before the rest of it is refused too. */
#define CULPRITS_MAX 8

static struct sqlite_engine *sqlite_of(struct eventlog_engine *engine)
{
    return (struct sqlite_engine *)engine;
}

/* --- The connection --- */

static void close_connection(struct sqlite_engine *engine)
{
    sqlite3_stmt **all[] = {&engine->begin,        &engine->commit,       &engine->rollback,
                            &engine->find_store,   &engine->insert_store, &engine->update_store,
                            &engine->insert_event, &engine->probe};
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) {
        (void)sqlite3_finalize(*all[index]);
        *all[index] = NULL;
    }
    sql_db_close(engine->db);
    engine->db = NULL;
}

static enum sluice_status prepare_statements(struct sqlite_engine *engine,
                                             struct sluice_error *error)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&engine->begin, "BEGIN IMMEDIATE"},
        {&engine->commit, "COMMIT"},
        {&engine->rollback, "ROLLBACK"},
        {&engine->find_store, SQLITE_FIND_STORE},
        {&engine->insert_store, "INSERT INTO store (store_id, generation, backend_id, head,"
                                " event_count, event_bytes) VALUES (?1, ?2, ?3, 0, 0, 0)"},
        {&engine->update_store, "UPDATE store SET head = ?2, event_count = ?3, event_bytes = ?4"
                                " WHERE id = ?1"},
        {&engine->insert_event, "INSERT INTO event (store, seq_num, parent_seq_num, position, name,"
                                " args, client_id, session_id, created_at)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&engine->probe, "INSERT INTO meta (key, value)"
                         " VALUES ('probed_at', ?1)"
                         " ON CONFLICT (key) DO UPDATE SET value = excluded.value"},
    };
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) {
        enum sluice_status status =
            sqlite_db_prepare(engine->db, all[index].sql, all[index].statement, error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

/* SQLite calls this after each commit with the pages that are now in the write-ahead log. */
static int count_wal_pages(void *user, sqlite3 *db, const char *database, int pages)
{
    (void)db;
    (void)database;
    struct sqlite_engine *engine = user;
    if (pages < engine->wal_pages) {
        engine->next_checkpoint_pages = engine->checkpoint_pages; /* the log was begun anew */
    }
    engine->wal_pages = pages;
    return SQLITE_OK;
}

/* With `create`, at the start: makes the file when missing and keeps its secret. Later the file
 * must be there and be the same; the secret is not written again, for readers use it. */
static enum sluice_status open_connection(struct sqlite_engine *engine, bool create,
                                          struct sluice_error *error)
{
    unsigned char secret[BACKEND_ID_SECRET_BYTES];
    enum sluice_status status =
        sqlite_db_open(engine->path, engine->vfs, create, &engine->db, error);
    if (status == SLUICE_OK) {
        status = sqlite_schema_open(engine->db, create, secret, error);
    }
    if (status == SLUICE_OK && create) {
        memcpy(engine->secret, secret, sizeof secret);
    }
    if (status == SLUICE_OK && memcmp(engine->secret, secret, sizeof secret) != 0) {
        status = error_set(error, SLUICE_STORAGE_CORRUPT,
                           SQLITE_FILE_NAME " is another one than when the server started: restart "
                                            "the server");
    }
    if (status == SLUICE_OK) {
        status = prepare_statements(engine, error);
    }
    if (status == SLUICE_OK) {
        status = sqlite_db_sync_log(engine->db, error);
    }
    if (status != SLUICE_OK) {
        close_connection(engine);
        return status;
    }
    (void)sqlite3_wal_hook(engine->db, count_wal_pages, engine);
    engine->wal_pages = 0;
    engine->next_checkpoint_pages = engine->checkpoint_pages;
    engine->suspect = false;
    return SLUICE_OK;
}

/* Makes sure of a usable connection; a transaction that failed on I/O may have left a broken one.
 */
static enum sluice_status ensure_connection(struct sqlite_engine *engine,
                                            struct sluice_error *error)
{
    if (engine->db != NULL && !engine->suspect) {
        return SLUICE_OK;
    }
    close_connection(engine);
    return open_connection(engine, false, error);
}

static enum sluice_status write_failed(struct sqlite_engine *engine, int code,
                                       struct sluice_error *error)
{
    engine->suspect = engine->suspect || sql_is_suspect(code);
    return sqlite_db_failed(engine->db, code, "storing events", error);
}

/* --- Commit --- */

static int insert_event(sqlite3_stmt *insert, int64_t store, const struct event *event)
{
    (void)sqlite3_bind_int64(insert, 1, store);
    (void)sqlite3_bind_int64(insert, 2, (int64_t)event->seq_num);
    (void)sqlite3_bind_int64(insert, 3, (int64_t)event->parent_seq_num);
    (void)sqlite3_bind_int64(insert, 4, (int64_t)event->position);
    (void)sqlite3_bind_int64(insert, 9, event->created_at_ms);
    const struct slice texts[] = {event->name, event->args, event->client_id, event->session_id};
    for (int index = 0; index < 4; index++) {
        int code = sql_bind(insert, 5 + index, texts[index]);
        if (code != SQLITE_OK) {
            return code;
        }
    }
    return sql_run(insert);
}

static int insert_store(struct sqlite_engine *engine, struct slice store_id,
                        struct sqlite_store *store)
{
    sqlite3_stmt *insert = engine->insert_store;
    int code = sql_bind(insert, 1, store_id);
    if (code == SQLITE_OK) {
        code = sql_bind(insert, 3, slice_of_string(store->info.backend_id));
    }
    (void)sqlite3_bind_int64(insert, 2, store->generation);
    if (code == SQLITE_OK) {
        code = sql_run(insert);
    }
    if (code == SQLITE_OK) {
        store->id = sqlite3_last_insert_rowid(engine->db);
    }
    return code;
}

static int update_store(struct sqlite_engine *engine, const struct sqlite_store *store)
{
    sqlite3_stmt *update = engine->update_store;
    (void)sqlite3_bind_int64(update, 1, store->id);
    (void)sqlite3_bind_int64(update, 2, (int64_t)store->info.head);
    (void)sqlite3_bind_int64(update, 3, (int64_t)store->info.event_count);
    (void)sqlite3_bind_int64(update, 4, (int64_t)store->info.event_bytes);
    return sql_run(update);
}

/* Writes the append's rows. Returns SQLite's code. */
static int write_rows(struct sqlite_engine *engine, struct eventlog_append *append,
                      struct sqlite_store *store, int64_t now_ms)
{
    int code = store->id == 0 ? insert_store(engine, append->store_id, store) : SQLITE_OK;
    for (size_t index = 0; index < append->event_count && code == SQLITE_OK; index++) {
        struct event *event = &append->events[index];
        event->position = store->info.event_count;
        event->created_at_ms = now_ms;
        store->info.head = event->seq_num;
        store->info.event_count++;
        store->info.event_bytes += event_payload_bytes(event);
        code = insert_event(engine->insert_event, store->id, event);
    }
    return code == SQLITE_OK ? update_store(engine, store) : code;
}

/* How one append's part of the transaction went. */
enum append_result {
    APPEND_WRITTEN,
    APPEND_REFUSED, /* it has its own status; the transaction goes on without it */
    APPEND_CULPRIT, /* it has its own status; rows of it may be written: begin again without it */
    APPEND_FAILED,  /* the transaction has failed for all */
};

/* Damage and size concern the one append at which they are met. */
static bool concerns_one_append(enum sluice_status status)
{
    return status == SLUICE_STORAGE_CORRUPT || status == SLUICE_LIMIT;
}

static enum append_result write_append(struct sqlite_engine *engine, struct eventlog_append *append,
                                       int64_t now_ms, struct sluice_error *error)
{
    struct sqlite_store store;
    int code = SQLITE_OK;
    enum sluice_status status = sqlite_find_store(engine->db, engine->find_store, engine->secret,
                                                  append->store_id, &store, &code, error);
    if (status == SLUICE_OK) {
        append->status = append_check(append, store.info.head, &append->error);
        if (append->status != SLUICE_OK) {
            return APPEND_REFUSED;
        }
        code = write_rows(engine, append, &store, now_ms);
        status = code == SQLITE_OK ? SLUICE_OK : write_failed(engine, code, error);
    } else if (code != SQLITE_OK) {
        engine->suspect = engine->suspect || sql_is_suspect(code);
    }
    if (status == SLUICE_OK) {
        append->info = store.info;
        return APPEND_WRITTEN;
    }
    if (!concerns_one_append(status)) {
        return APPEND_FAILED;
    }
    append->status = status;
    append->error = *error;
    return APPEND_CULPRIT;
}

static enum append_result write_appends(struct sqlite_engine *engine,
                                        struct eventlog_append **appends, size_t count,
                                        int64_t now_ms, struct sluice_error *error)
{
    for (size_t index = 0; index < count; index++) {
        if (appends[index]->status != SLUICE_OK) {
            continue; /* refused, or found to be a culprit the time before */
        }
        enum append_result result = write_append(engine, appends[index], now_ms, error);
        if (result == APPEND_CULPRIT || result == APPEND_FAILED) {
            return result;
        }
    }
    return APPEND_WRITTEN;
}

/* Leaves no transaction open, or else has the connection replaced. After some errors SQLite has
 * rolled back already. */
static void roll_back(struct sqlite_engine *engine)
{
    if (sqlite3_get_autocommit(engine->db) == 0) {
        (void)sql_run(engine->rollback);
    }
    if (sqlite3_get_autocommit(engine->db) == 0) {
        engine->suspect = true;
    }
}

/* One attempt at the group's transaction. On APPEND_FAILED `error` says why. */
static enum append_result run_transaction(struct sqlite_engine *engine,
                                          struct eventlog_append **appends, size_t count,
                                          int64_t now_ms, struct sluice_error *error)
{
    if (ensure_connection(engine, error) != SLUICE_OK ||
        sqlite_db_check_in_place(engine->db, error) != SLUICE_OK) {
        return APPEND_FAILED;
    }
    int code = sql_run(engine->begin);
    if (code != SQLITE_OK) {
        (void)write_failed(engine, code, error);
        return APPEND_FAILED;
    }
    enum append_result result = write_appends(engine, appends, count, now_ms, error);
    if (result == APPEND_WRITTEN) {
        code = sql_run(engine->commit);
        if (code == SQLITE_OK) {
            return APPEND_WRITTEN;
        }
        (void)write_failed(engine, code, error);
        result = APPEND_FAILED;
    }
    roll_back(engine);
    return result;
}

static void fail_all(struct eventlog_append **appends, size_t count,
                     const struct sluice_error *error)
{
    SLUICE_ASSERT(error->status != SLUICE_OK);
    for (size_t index = 0; index < count; index++) {
        if (appends[index]->status == SLUICE_OK) {
            appends[index]->status = error->status;
            appends[index]->error = *error;
        }
    }
}

static void sqlite_commit(struct eventlog_engine *engine, struct eventlog_append **appends,
                          size_t count, int64_t now_ms)
{
    for (size_t index = 0; index < count; index++) {
        appends[index]->status = SLUICE_OK;
    }
    struct sluice_error error = {.status = SLUICE_OK};
    for (unsigned culprits = 0; culprits <= CULPRITS_MAX; culprits++) {
        enum append_result result =
            run_transaction(sqlite_of(engine), appends, count, now_ms, &error);
        if (result == APPEND_WRITTEN) {
            return;
        }
        if (result == APPEND_FAILED) {
            break;
        }
    }
    fail_all(appends, count, &error);
}

static enum sluice_status sqlite_probe(struct eventlog_engine *base, struct sluice_error *error)
{
    struct sqlite_engine *engine = sqlite_of(base);
    enum sluice_status status = ensure_connection(engine, error);
    if (status != SLUICE_OK) {
        return status;
    }
    status = sqlite_db_check_in_place(engine->db, error);
    if (status != SLUICE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(engine->probe, 1, clock_wall_ms());
    int code = sql_run(engine->probe);
    if (code != SQLITE_OK) {
        status = write_failed(engine, code, error);
        roll_back(engine);
    }
    return status;
}

/* A failed checkpoint loses nothing: what it would have copied stays in the write-ahead log. */
static enum sluice_status sqlite_settle(struct eventlog_engine *base)
{
    struct sqlite_engine *engine = sqlite_of(base);
    if (engine->db == NULL || engine->suspect ||
        engine->wal_pages < engine->next_checkpoint_pages) {
        return SLUICE_OK;
    }
    bool restart = engine->wal_pages >= engine->checkpoint_pages * CHECKPOINT_RESTART_FACTOR;
    (void)sqlite3_busy_timeout(engine->db, CHECKPOINT_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(
        engine->db, NULL, restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, NULL,
        NULL);
    (void)sqlite3_busy_timeout(engine->db, SQL_BUSY_TIMEOUT_MS);
    engine->next_checkpoint_pages = engine->wal_pages + engine->checkpoint_pages / 10 + 1;
    bool failed = code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY;
    engine->suspect = failed;
    return failed ? SLUICE_STORAGE_IO : SLUICE_OK;
}

/* --- Open and close --- */

static void sqlite_close(struct eventlog_engine *base)
{
    struct sqlite_engine *engine = sqlite_of(base);
    close_connection(engine);
    free(engine->path);
    free(engine->vfs);
    free(engine);
}

static const struct eventlog_engine_ops sqlite_ops = {
    .name = "sqlite",
    .commit = sqlite_commit,
    .probe = sqlite_probe,
    .settle = sqlite_settle,
    .reader_open = sqlite_reader_open,
    .reader_close = sqlite_reader_close,
    .read = sqlite_reader_read,
    .close = sqlite_close,
};

static enum sluice_status keep_names(struct sqlite_engine *engine,
                                     const struct eventlog_options *options,
                                     struct sluice_error *error)
{
    if (asprintf(&engine->path, "%s/" SQLITE_FILE_NAME, options->data_path) < 0) {
        engine->path = NULL; /* undefined after a failure */
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the event log");
    }
    if (options->sqlite_vfs == NULL) {
        return SLUICE_OK;
    }
    engine->vfs = strdup(options->sqlite_vfs);
    return engine->vfs != NULL ? SLUICE_OK
                               : error_set(error, SLUICE_NO_MEMORY, "no memory for the event log");
}

enum sluice_status eventlog_sqlite_open(const struct eventlog_options *options,
                                        struct eventlog_engine **out, struct sluice_error *error)
{
    struct sqlite_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the event log");
    }
    engine->engine.ops = &sqlite_ops;
    engine->checkpoint_pages = options->sqlite_checkpoint_pages > 0
                                   ? (int)options->sqlite_checkpoint_pages
                                   : CHECKPOINT_PAGES_DEFAULT;
    enum sluice_status status = keep_names(engine, options, error);
    if (status == SLUICE_OK) {
        status = open_connection(engine, true, error);
    }
    if (status != SLUICE_OK) {
        sqlite_close(&engine->engine);
        return status;
    }
    *out = &engine->engine;
    return SLUICE_OK;
}
