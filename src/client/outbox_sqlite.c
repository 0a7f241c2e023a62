/* outbox_sqlite: the outbox in a SQLite file; outbox_file.h has the file.
 *
 *     append: INSERT, a transaction of its own
 *     advance, reset: BEGIN ─▶ DELETE what is confirmed ─▶ UPDATE the numbers ─▶ COMMIT
 *
 * The numbers (outbox_numbers.h) are kept in memory too and change only once a transaction is on
 * the disk (synchronous=FULL); a connection that failed on I/O is replaced before it is used again,
 * and they are read anew. A commit that failed may still be there in the next run, when the disk
 * refused everything up to the program's end: as after a push whose answer was lost, nobody knows.
 *
 * Owns the file and the statements. Any thread: one mutex is held for the whole of a call. */
#include "client/outbox_sqlite.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/client_event.h"
#include "client/outbox_file.h"
#include "client/outbox_read.h"

struct sqlite_outbox {
    struct outbox outbox; /* first, so that the one pointer is the other */
    pthread_mutex_t mutex;
    struct outbox_file file;
    struct outbox_numbers numbers; /* as they are on the disk */
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *insert;
    sqlite3_stmt *remove;
    sqlite3_stmt *update;
    sqlite3_stmt *select;
};

/* --- The connection --- */

static enum sluice_status prepare_statements(struct sqlite_outbox *outbox,
                                             struct sluice_error *error)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&outbox->begin, "BEGIN IMMEDIATE"},
        {&outbox->commit, "COMMIT"},
        {&outbox->rollback, "ROLLBACK"},
        {&outbox->insert, "INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
        {&outbox->remove, "DELETE FROM pending WHERE commit_id <= ?1"},
        {&outbox->update, "UPDATE outbox SET upstream_head = ?1, confirmed_commit_id = ?2,"
                          " backend_id = ?3 WHERE id = 1"},
        {&outbox->select, "SELECT name, args, client_id, session_id FROM pending"
                          " WHERE commit_id >= ?1 ORDER BY commit_id"},
    };
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) {
        int code = sql_prepare(outbox->file.db, all[index].sql, all[index].statement);
        if (code != SQLITE_OK) {
            return outbox_file_failed(&outbox->file, code, "opening", error);
        }
    }
    return SLUICE_OK;
}

static void disconnect(struct sqlite_outbox *outbox)
{
    sqlite3_stmt **all[] = {&outbox->begin,  &outbox->commit, &outbox->rollback, &outbox->insert,
                            &outbox->remove, &outbox->update, &outbox->select};
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) {
        (void)sqlite3_finalize(*all[index]);
        *all[index] = NULL;
    }
    outbox_file_disconnect(&outbox->file);
}

static enum sluice_status connect_file(struct sqlite_outbox *outbox, struct sluice_error *error)
{
    disconnect(outbox);
    enum sluice_status status = outbox_file_connect(&outbox->file, &outbox->numbers, error);
    if (status == SLUICE_OK) {
        status = prepare_statements(outbox, error);
    }
    if (status != SLUICE_OK) {
        disconnect(outbox);
    }
    return status;
}

/* Makes sure of a usable connection. */
static enum sluice_status ensure_connection(struct sqlite_outbox *outbox,
                                            struct sluice_error *error)
{
    if (outbox->file.db == NULL || outbox->file.suspect) {
        return connect_file(outbox, error);
    }
    return outbox_file_check_in_place(&outbox->file, error);
}

/* --- The functions of an outbox --- */

static enum sluice_status locked_state(struct sqlite_outbox *outbox, struct outbox_state *out,
                                       struct sluice_error *error)
{
    enum sluice_status status = ensure_connection(outbox, error);
    if (status == SLUICE_OK) {
        *out = outbox_numbers_state(&outbox->numbers);
    }
    return status;
}

static int insert_pending(struct sqlite_outbox *outbox, uint64_t commit_id,
                          const struct sluice_event *event)
{
    const struct sluice_text texts[] = {event->name, event->args, event->client_id,
                                        event->session_id};
    sqlite3_stmt *insert = outbox->insert;
    int code = sqlite3_bind_int64(insert, 1, (int64_t)commit_id);
    for (int index = 0; index < 4 && code == SQLITE_OK; index++) {
        code = sql_bind(insert, 2 + index, slice_of_text(texts[index]));
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(insert, 6, clock_wall_ms());
    }
    if (code == SQLITE_OK) {
        code = sql_run(insert); /* a transaction of its own */
    }
    (void)sqlite3_clear_bindings(insert); /* they are the caller's */
    return code;
}

static enum sluice_status locked_append(struct sqlite_outbox *outbox,
                                        const struct sluice_event *event, struct sluice_commit *out,
                                        struct sluice_error *error)
{
    struct outbox_numbers next;
    struct sluice_commit commit;
    enum sluice_status status = ensure_connection(outbox, error);
    if (status == SLUICE_OK) {
        status = outbox_numbers_append(&outbox->numbers, &next, &commit, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    int code = insert_pending(outbox, commit.commit_id, event);
    if (code != SQLITE_OK) {
        return outbox_file_failed(&outbox->file, code, "writing to", error);
    }
    outbox->numbers = next;
    *out = commit;
    return SLUICE_OK;
}

static enum sluice_status take_pending(struct sqlite_outbox *outbox, struct outbox_read *read,
                                       struct sluice_error *error)
{
    struct slice texts[4];
    for (int column = 0; column < 4; column++) {
        if (!sql_column(outbox->select, column, &texts[column])) {
            return outbox_file_failed(&outbox->file, SQLITE_NOMEM, "reading", error);
        }
    }
    struct sluice_event event = {.name = text_of_slice(texts[0]),
                                 .args = text_of_slice(texts[1]),
                                 .client_id = text_of_slice(texts[2]),
                                 .session_id = text_of_slice(texts[3])};
    return outbox_read_take(read, &event, error);
}

static enum sluice_status read_pending(struct sqlite_outbox *outbox, struct outbox_read *read,
                                       struct sluice_error *error)
{
    enum sluice_status status = SLUICE_OK;
    int code = sqlite3_bind_int64(outbox->select, 1, (int64_t)read->first_commit_id);
    while (code == SQLITE_OK && status == SLUICE_OK && outbox_read_wants(read)) {
        code = sqlite3_step(outbox->select);
        if (code == SQLITE_ROW) {
            code = SQLITE_OK;
            status = take_pending(outbox, read, error);
        }
    }
    if (code == SQLITE_DONE) {
        status = outbox_file_damaged(&outbox->file, "pending events are missing", error);
    } else if (code != SQLITE_OK) {
        status = outbox_file_failed(&outbox->file, code, "reading", error);
    }
    (void)sqlite3_reset(outbox->select);
    return status;
}

/* One transaction: what is confirmed goes, and the row gets the new numbers. */
static int write_numbers(struct sqlite_outbox *outbox, const struct outbox_numbers *next)
{
    int code = sql_run(outbox->begin);
    if (code == SQLITE_OK && next->confirmed_commit_id > outbox->numbers.confirmed_commit_id) {
        code = sqlite3_bind_int64(outbox->remove, 1, (int64_t)next->confirmed_commit_id);
        code = code == SQLITE_OK ? sql_run(outbox->remove) : code;
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(outbox->update, 1, (int64_t)next->upstream_head);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(outbox->update, 2, (int64_t)next->confirmed_commit_id);
    }
    if (code == SQLITE_OK) {
        code = sql_bind(outbox->update, 3, slice_make(next->backend_id, next->backend_id_bytes));
    }
    if (code == SQLITE_OK) {
        code = sql_run(outbox->update);
    }
    (void)sqlite3_clear_bindings(outbox->update);
    return code == SQLITE_OK ? sql_run(outbox->commit) : code;
}

/* Writes the numbers and keeps them. After a failure no transaction is left open, or else the
 * connection is replaced. */
static enum sluice_status keep_numbers(struct sqlite_outbox *outbox,
                                       const struct outbox_numbers *next,
                                       struct sluice_error *error)
{
    int code = write_numbers(outbox, next);
    if (code == SQLITE_OK) {
        outbox->numbers = *next;
        return SLUICE_OK;
    }
    enum sluice_status status = outbox_file_failed(&outbox->file, code, "writing to", error);
    if (sqlite3_get_autocommit(outbox->file.db) == 0) {
        (void)sql_run(outbox->rollback);
    }
    outbox->file.suspect = outbox->file.suspect || sqlite3_get_autocommit(outbox->file.db) == 0;
    return status;
}

static enum sluice_status locked_advance(struct sqlite_outbox *outbox,
                                         const struct outbox_advance *advance,
                                         struct sluice_rebase *out, struct sluice_error *error)
{
    struct outbox_numbers next;
    struct sluice_rebase rebase;
    enum sluice_status status = ensure_connection(outbox, error);
    if (status == SLUICE_OK) {
        status = outbox_numbers_advance(&outbox->numbers, advance, &next, &rebase, error);
    }
    if (status == SLUICE_OK) {
        status = keep_numbers(outbox, &next, error);
    }
    if (status == SLUICE_OK) {
        *out = rebase;
    }
    return status;
}

static enum sluice_status locked_reset(struct sqlite_outbox *outbox, struct sluice_rebase *out,
                                       struct sluice_error *error)
{
    struct outbox_numbers next;
    struct sluice_rebase rebase;
    enum sluice_status status = ensure_connection(outbox, error);
    if (status == SLUICE_OK) {
        outbox_numbers_reset(&outbox->numbers, &next, &rebase);
        status = keep_numbers(outbox, &next, error);
    }
    if (status == SLUICE_OK) {
        *out = rebase;
    }
    return status;
}

static struct sqlite_outbox *lock(struct outbox *base)
{
    struct sqlite_outbox *outbox = (struct sqlite_outbox *)base;
    (void)pthread_mutex_lock(&outbox->mutex);
    return outbox;
}

static enum sluice_status unlock(struct sqlite_outbox *outbox, enum sluice_status status)
{
    (void)pthread_mutex_unlock(&outbox->mutex);
    return status;
}

static enum sluice_status sqlite_state(struct outbox *base, struct outbox_state *out,
                                       struct sluice_error *error)
{
    struct sqlite_outbox *outbox = lock(base);
    return unlock(outbox, locked_state(outbox, out, error));
}

static enum sluice_status sqlite_append(struct outbox *base, const struct sluice_event *event,
                                        struct sluice_commit *out, struct sluice_error *error)
{
    struct sqlite_outbox *outbox = lock(base);
    return unlock(outbox, locked_append(outbox, event, out, error));
}

static enum sluice_status sqlite_read(struct outbox *base, uint64_t after_seq_num,
                                      size_t event_count_max, size_t bytes_max, struct arena *arena,
                                      struct outbox_batch *out, struct sluice_error *error)
{
    struct sqlite_outbox *outbox = lock(base);
    struct outbox_read read;
    enum sluice_status status = ensure_connection(outbox, error);
    if (status == SLUICE_OK) {
        status = outbox_read_begin(&read, &outbox->numbers, after_seq_num, event_count_max,
                                   bytes_max, arena, error);
    }
    if (status == SLUICE_OK) {
        status = read_pending(outbox, &read, error);
    }
    if (status == SLUICE_OK) {
        *out = read.batch;
    }
    return unlock(outbox, status);
}

static enum sluice_status sqlite_advance(struct outbox *base, const struct outbox_advance *advance,
                                         struct sluice_rebase *out, struct sluice_error *error)
{
    struct sqlite_outbox *outbox = lock(base);
    return unlock(outbox, locked_advance(outbox, advance, out, error));
}

static enum sluice_status sqlite_reset(struct outbox *base, struct sluice_rebase *out,
                                       struct sluice_error *error)
{
    struct sqlite_outbox *outbox = lock(base);
    return unlock(outbox, locked_reset(outbox, out, error));
}

/* --- Open and close --- */

static void sqlite_destroy(struct outbox *base)
{
    struct sqlite_outbox *outbox = (struct sqlite_outbox *)base;
    disconnect(outbox);
    outbox_file_deinit(&outbox->file);
    (void)pthread_mutex_destroy(&outbox->mutex);
    free(outbox);
}

static const struct outbox_ops sqlite_ops = {
    .destroy = sqlite_destroy,
    .state = sqlite_state,
    .append = sqlite_append,
    .read = sqlite_read,
    .advance = sqlite_advance,
    .reset = sqlite_reset,
};

enum sluice_status outbox_sqlite_open(const char *path, struct slice store_id, struct outbox **out,
                                      struct sluice_error *error)
{
    struct sqlite_outbox *outbox = malloc(sizeof *outbox);
    if (outbox == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory while opening the outbox %s",
                         path);
    }
    *outbox = (struct sqlite_outbox){.outbox = {&sqlite_ops}};
    if (pthread_mutex_init(&outbox->mutex, NULL) != 0) {
        free(outbox);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory while opening the outbox %s",
                         path);
    }
    enum sluice_status status = outbox_file_init(&outbox->file, path, store_id, error);
    if (status == SLUICE_OK) {
        status = connect_file(outbox, error);
    }
    if (status != SLUICE_OK) {
        sqlite_destroy(&outbox->outbox);
        return status;
    }
    *out = &outbox->outbox;
    return SLUICE_OK;
}
