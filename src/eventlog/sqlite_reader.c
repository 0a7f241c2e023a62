/* sqlite_reader: the reading half of the sqlite engine.
 *
 * A reader is a connection of its own. A read is one short read transaction, so that the store's
 * row and its events are of one moment; the visitor gets SQLite's own bytes, without a copy. While
 * it runs, the write-ahead log cannot be begun anew, and that is all it holds up.
 *
 * Invariant that is checked on the way out: what is visited is one chain with dense positions that
 * ends where the store's row says, of events whose texts are what they must be. So a damaged file
 * gives an error, never a shorter log or one that no client can read. */
#include "eventlog/sqlite_engine.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/utf8.h"

struct eventlog_reader {
    struct sqlite_engine *engine; /* borrowed */
    sqlite3 *db;                  /* NULL: could not be opened again yet */
    bool suspect;                 /* db failed in a way that calls for a new connection */
    sqlite3_stmt *begin;
    sqlite3_stmt *end;
    sqlite3_stmt *find_store;
    sqlite3_stmt *locate;
    sqlite3_stmt *scan;
};

/* A read under way. */
struct scan {
    struct eventlog_reader *reader;
    struct eventlog_read *read;
    struct sqlite_store store;
    uint64_t next_position; /* of the event that must come next */
    uint64_t last_seq_num;  /* its parent, as far as it is known */
    bool parent_known;      /* false when after_seq_num is not a stored event */
    bool at_end;            /* the scan ran to its end, neither limited nor stopped */
};

static void close_connection(struct eventlog_reader *reader)
{
    (void)sqlite3_finalize(reader->begin);
    (void)sqlite3_finalize(reader->end);
    (void)sqlite3_finalize(reader->find_store);
    (void)sqlite3_finalize(reader->locate);
    (void)sqlite3_finalize(reader->scan);
    sql_db_close(reader->db);
    *reader = (struct eventlog_reader){.engine = reader->engine};
}

static enum sluice_status prepare_statements(struct eventlog_reader *reader,
                                             struct sluice_error *error)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&reader->begin, "BEGIN"},
        {&reader->end, "COMMIT"},
        {&reader->find_store, SQLITE_FIND_STORE},
        {&reader->locate, "SELECT seq_num, position FROM event WHERE store = ?1 AND seq_num >= ?2"
                          " ORDER BY seq_num LIMIT 1"},
        {&reader->scan, "SELECT seq_num, parent_seq_num, position, created_at, name, args,"
                        " client_id, session_id FROM event WHERE store = ?1 AND seq_num > ?2"
                        " ORDER BY seq_num"},
    };
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) {
        enum sluice_status status =
            sqlite_db_prepare(reader->db, all[index].sql, all[index].statement, error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

/* Makes sure of a usable connection; a read that failed on I/O may have left a broken one. */
static enum sluice_status ensure_connection(struct eventlog_reader *reader,
                                            struct sluice_error *error)
{
    if (reader->db != NULL && !reader->suspect) {
        return SLUICE_OK;
    }
    close_connection(reader);
    enum sluice_status status =
        sqlite_db_open(reader->engine->path, reader->engine->vfs, false, &reader->db, error);
    if (status == SLUICE_OK) {
        status = sqlite_db_configure(reader->db, false, error);
    }
    if (status == SLUICE_OK) {
        status = prepare_statements(reader, error);
    }
    if (status == SLUICE_OK) {
        status = sqlite_db_sync_log(reader->db, error);
    }
    reader->suspect = status != SLUICE_OK;
    return status;
}

enum sluice_status sqlite_reader_open(struct eventlog_engine *engine, struct eventlog_reader **out,
                                      struct sluice_error *error)
{
    struct eventlog_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for a reader");
    }
    reader->engine = (struct sqlite_engine *)engine;
    enum sluice_status status = ensure_connection(reader, error);
    if (status != SLUICE_OK) {
        sqlite_reader_close(reader);
        return status;
    }
    *out = reader;
    return SLUICE_OK;
}

void sqlite_reader_close(struct eventlog_reader *reader)
{
    close_connection(reader);
    free(reader);
}

static enum sluice_status read_failed(struct eventlog_reader *reader, int code,
                                      struct sluice_error *error)
{
    reader->suspect = reader->suspect || sql_is_suspect(code);
    return sqlite_db_failed(reader->db, code, "reading events", error);
}

static enum sluice_status chain_broken(const struct scan *scan, const char *what,
                                       struct sluice_error *error)
{
    return error_set(
        error, SLUICE_STORAGE_CORRUPT,
        "the event log is damaged: store \"%.*s\" %s at position %llu: stop the server "
        "and restore " SQLITE_FILE_NAME " from a backup",
        SLICE_PRINT(scan->read->store_id), what, (unsigned long long)scan->next_position);
}

/* The first event from `seq_num` on, which must be there: seq_num ≤ head. */
static enum sluice_status find_from(struct scan *scan, uint64_t seq_num, uint64_t *found_seq_num,
                                    uint64_t *found_position, struct sluice_error *error)
{
    sqlite3_stmt *statement = scan->reader->locate;
    (void)sqlite3_bind_int64(statement, 1, scan->store.id);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)seq_num);
    enum sluice_status status = SLUICE_OK;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *found_seq_num = (uint64_t)sqlite3_column_int64(statement, 0);
        *found_position = (uint64_t)sqlite3_column_int64(statement, 1);
    } else if (code == SQLITE_DONE) {
        scan->next_position = scan->store.info.event_count;
        status = chain_broken(scan, "has lost the events before its head", error);
    } else {
        status = read_failed(scan->reader, code, error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* Turns a position into the sequence number before it. Both grow together and a position is at
 * least one less than its sequence number, so a search by halves finds it without an index of
 * positions; in a log without gaps the first look does. */
static enum sluice_status resolve_position(struct scan *scan, struct sluice_error *error)
{
    struct eventlog_read *read = scan->read;
    const struct eventlog_store_info *info = &scan->store.info;
    if (read->position == 0 || read->position >= info->event_count) {
        read->after_seq_num = read->position == 0 ? 0 : info->head;
        return SLUICE_OK;
    }
    uint64_t wanted = read->position - 1;
    uint64_t low = wanted + 1; /* the event wanted is in low..high */
    uint64_t high = info->head;
    for (bool halve = false; low <= high; halve = !halve) {
        uint64_t from = halve ? low + (high - low) / 2 : low;
        uint64_t seq_num = 0;
        uint64_t position = 0;
        enum sluice_status status = find_from(scan, from, &seq_num, &position, error);
        if (status != SLUICE_OK) {
            return status;
        }
        if (position == wanted) {
            read->after_seq_num = seq_num;
            return SLUICE_OK;
        }
        if (position > wanted) {
            high = from - 1;
        } else {
            low = seq_num + (wanted - position);
        }
    }
    scan->next_position = wanted;
    return chain_broken(scan, "has lost an event", error);
}

/* Finds the position after the cursor, and whether the cursor is an event of the log. */
static enum sluice_status locate(struct scan *scan, struct sluice_error *error)
{
    struct eventlog_read *read = scan->read;
    const struct eventlog_store_info *info = &scan->store.info;
    scan->last_seq_num = read->after_seq_num;
    scan->parent_known = true;
    read->after_is_stored = true;
    if (read->after_seq_num == 0) {
        scan->next_position = 0;
        return SLUICE_OK;
    }
    if (read->after_seq_num >= info->head) {
        scan->next_position = info->event_count;
        read->after_is_stored = read->after_seq_num == info->head;
        return SLUICE_OK;
    }
    uint64_t seq_num = 0;
    uint64_t position = 0;
    enum sluice_status status = find_from(scan, read->after_seq_num, &seq_num, &position, error);
    if (status == SLUICE_OK) {
        read->after_is_stored = seq_num == read->after_seq_num;
        scan->parent_known = read->after_is_stored;
        scan->next_position = position + (read->after_is_stored ? 1 : 0);
    }
    return status;
}

/* SQLite notices damage to its own structure, not to what it holds. Events go to peers as they are,
 * and one chunk that does not decode ends a client for good: so what cannot have come in does not
 * go out. Costs about a tenth of a scan of small events. */
static enum sluice_status check_texts(const struct scan *scan, const struct event *event,
                                      struct sluice_error *error)
{
    enum sluice_status status = json_validate(event->args, NULL);
    if (status == SLUICE_NO_MEMORY) {
        return error_set(error, status, "out of memory while reading events");
    }
    if (status != SLUICE_OK || !utf8_valid(event->name) || !utf8_valid(event->client_id) ||
        !utf8_valid(event->session_id)) {
        return chain_broken(scan, "has an event whose texts are damaged", error);
    }
    return SLUICE_OK;
}

/* Fills `*event` with slices of the row. */
static enum sluice_status take_row(const struct scan *scan, struct event *event,
                                   struct sluice_error *error)
{
    sqlite3_stmt *row = scan->reader->scan;
    event->seq_num = (uint64_t)sqlite3_column_int64(row, 0);
    event->parent_seq_num = (uint64_t)sqlite3_column_int64(row, 1);
    event->position = (uint64_t)sqlite3_column_int64(row, 2);
    event->created_at_ms = sqlite3_column_int64(row, 3);
    if (!sql_column(row, 4, &event->name) || !sql_column(row, 5, &event->args) ||
        !sql_column(row, 6, &event->client_id) || !sql_column(row, 7, &event->session_id)) {
        if (sqlite3_errcode(scan->reader->db) == SQLITE_NOMEM) {
            return error_set(error, SLUICE_NO_MEMORY, "out of memory while reading events");
        }
        return chain_broken(scan, "has an event without its texts", error);
    }
    if (event->position != scan->next_position) {
        return chain_broken(scan, "has a wrong position", error);
    }
    if (event->seq_num > scan->store.info.head ||
        (scan->parent_known && event->parent_seq_num != scan->last_seq_num)) {
        return chain_broken(scan, "has a broken chain", error);
    }
    return check_texts(scan, event, error);
}

static enum sluice_status visit_row(struct scan *scan, bool *stop, struct sluice_error *error)
{
    struct event event;
    enum sluice_status status = take_row(scan, &event, error);
    if (status == SLUICE_OK) {
        status = scan->read->visit(scan->read, &event, stop);
    }
    if (status == SLUICE_OK) {
        scan->next_position++;
        scan->last_seq_num = event.seq_num;
        scan->parent_known = true;
        scan->read->events_read++;
        scan->read->last_seq_num = event.seq_num;
    }
    return status;
}

static enum sluice_status visit_rows(struct scan *scan, struct sluice_error *error)
{
    sqlite3_stmt *statement = scan->reader->scan;
    (void)sqlite3_bind_int64(statement, 1, scan->store.id);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)scan->read->after_seq_num);
    enum sluice_status status = SLUICE_OK;
    bool stop = false;
    while (status == SLUICE_OK && !stop && scan->read->events_read < scan->read->events_max) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE) {
            scan->at_end = true;
            break;
        }
        status = code == SQLITE_ROW ? visit_row(scan, &stop, error)
                                    : read_failed(scan->reader, code, error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum sluice_status scan_store(struct scan *scan, struct sluice_error *error)
{
    struct eventlog_read *read = scan->read;
    enum sluice_status status = read->by_position ? resolve_position(scan, error) : SLUICE_OK;
    if (status == SLUICE_OK) {
        read->last_seq_num = read->after_seq_num;
        status = locate(scan, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    bool any = read->after_seq_num < scan->store.info.head;
    if (any && read->events_max > 0) {
        status = visit_rows(scan, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    const struct eventlog_store_info *info = &scan->store.info;
    if (scan->next_position > info->event_count ||
        (scan->at_end &&
         (scan->next_position != info->event_count || scan->last_seq_num != info->head))) {
        return chain_broken(scan, "does not end at its head", error);
    }
    read->info = *info;
    read->remaining = info->event_count - scan->next_position;
    return SLUICE_OK;
}

/* The read inside its transaction. */
static enum sluice_status read_snapshot(struct eventlog_reader *reader, struct eventlog_read *read,
                                        struct sluice_error *error)
{
    struct scan scan = {.reader = reader, .read = read};
    int code = SQLITE_OK;
    enum sluice_status status =
        sqlite_find_store(reader->db, reader->find_store, reader->engine->secret, read->store_id,
                          &scan.store, &code, error);
    if (status != SLUICE_OK) {
        reader->suspect = reader->suspect || (code != SQLITE_OK && sql_is_suspect(code));
        return status;
    }
    return scan_store(&scan, error);
}

enum sluice_status sqlite_reader_read(struct eventlog_reader *reader, struct eventlog_read *read,
                                      struct sluice_error *error)
{
    enum sluice_status status = ensure_connection(reader, error);
    if (status != SLUICE_OK) {
        return status;
    }
    int code = sql_run(reader->begin);
    if (code != SQLITE_OK) {
        return read_failed(reader, code, error);
    }
    status = read_snapshot(reader, read, error);
    /* Ending a read transaction writes nothing; when it fails all the same, what was read stands,
     * and the connection is replaced. */
    if (sql_run(reader->end) != SQLITE_OK) {
        reader->suspect = true;
    }
    return status;
}
