/* sqlite_store: a store's row, as both halves of the sqlite engine look it up. Owns nothing; the
 * connection's thread. */
#include "eventlog/sqlite_engine.h"

static enum sluice_status take_store_row(sqlite3_stmt *row, struct sqlite_store *store,
                                         struct slice store_id, struct sluice_error *error)
{
    struct slice backend_id = SLICE_EMPTY;
    int64_t head = sqlite3_column_int64(row, 3);
    int64_t event_count = sqlite3_column_int64(row, 4);
    int64_t event_bytes = sqlite3_column_int64(row, 5);
    if (!sql_column(row, 2, &backend_id) || backend_id.bytes != EVENTLOG_BACKEND_ID_BYTES ||
        head < 0 || event_count < 0 || event_bytes < 0 || (head == 0) != (event_count == 0)) {
        return error_set(error, SLUICE_STORAGE_CORRUPT,
                         "the event log is damaged: the row of store \"%.*s\" makes no sense: stop "
                         "the server and restore " SQLITE_FILE_NAME " from a backup",
                         SLICE_PRINT(store_id));
    }
    store->id = sqlite3_column_int64(row, 0);
    store->generation = sqlite3_column_int64(row, 1);
    memcpy(store->info.backend_id, backend_id.data, EVENTLOG_BACKEND_ID_BYTES);
    store->info.backend_id[EVENTLOG_BACKEND_ID_BYTES] = '\0';
    store->info.head = (uint64_t)head;
    store->info.event_count = (uint64_t)event_count;
    store->info.event_bytes = (uint64_t)event_bytes;
    return SLUICE_OK;
}

enum sluice_status sqlite_find_store(sqlite3 *db, sqlite3_stmt *find, const unsigned char *secret,
                                     struct slice store_id, struct sqlite_store *out, int *code,
                                     struct sluice_error *error)
{
    struct sqlite_store store = {0};
    enum sluice_status status = SLUICE_OK;
    int result = sql_bind(find, 1, store_id);
    if (result == SQLITE_OK) {
        result = sqlite3_step(find);
    }
    if (result == SQLITE_ROW) {
        status = take_store_row(find, &store, store_id, error);
    } else if (result == SQLITE_DONE) {
        status = backend_id_derive(secret, 0, store_id, store.info.backend_id, error);
    } else {
        *code = result;
        status = sqlite_db_failed(db, result, "looking for a store", error);
    }
    (void)sqlite3_reset(find);
    if (status == SLUICE_OK) {
        *out = store;
    }
    return status;
}
