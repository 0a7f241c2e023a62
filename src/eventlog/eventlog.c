/* eventlog: the front of the room. Chooses the engine, takes the directory's lock, starts the
 * committer and the readers, and hands requests to them and their answers back.
 *
 *     eventlog_submit_append ──▶ committer ──▶ engine ──▶ completions ──▶ eventlog_poll ──▶ done
 *     eventlog_submit_read   ──▶ readers   ──▶ engine ──▶ completions ──▶ eventlog_poll ──▶ done
 *
 * Owns all of these; the requests are the caller's. Everything here runs on the loop thread.
 * Invariant: `pending` counts the requests that were submitted and whose `done` was not yet
 * called. */
#include "eventlog/eventlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "eventlog/committer.h"
#include "eventlog/completions.h"
#include "eventlog/data_lock.h"
#include "eventlog/eventlog_engine.h"
#include "eventlog/readers.h"

#define READER_THREADS_DEFAULT 2u

struct eventlog {
    int lock;                       /* DATA_LOCK_NONE: none */
    struct eventlog_engine *engine; /* owned; NULL while opening */
    struct completions completions;
    struct committer *committer; /* owned; NULL while opening */
    struct readers *readers;     /* owned; NULL while opening */
    size_t pending;
    struct eventlog_stats stats; /* what the loop thread counts: appends, events, reads */
};

static enum sluice_status open_engine(struct eventlog *eventlog,
                                      const struct eventlog_options *options,
                                      struct sluice_error *error)
{
    if (strcmp(options->data_path, ":memory:") == 0) {
        return eventlog_memory_open(&eventlog->engine, error);
    }
    enum sluice_status status = data_lock_take(options->data_path, &eventlog->lock, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct sluice_error reason;
    status = eventlog_sqlite_open(options, &eventlog->engine, &reason);
    if (status != SLUICE_OK) {
        (void)error_set(error, status, "%s: %s", options->data_path, reason.message);
    }
    return status;
}

enum sluice_status eventlog_open(const struct eventlog_options *options, struct eventlog **out,
                                 struct sluice_error *error)
{
    SLUICE_ASSERT(options->data_path != NULL);
    SLUICE_ASSERT(options->wake != NULL);
    SLUICE_ASSERT(options->reader_threads <= READERS_THREADS_MAX);
    unsigned reader_threads =
        options->reader_threads > 0 ? options->reader_threads : READER_THREADS_DEFAULT;
    struct eventlog *eventlog = calloc(1, sizeof *eventlog);
    if (eventlog == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the event log");
    }
    eventlog->lock = DATA_LOCK_NONE;
    enum sluice_status status =
        completions_init(&eventlog->completions, options->wake, options->wake_user, error);
    if (status != SLUICE_OK) {
        free(eventlog);
        return status;
    }
    status = open_engine(eventlog, options, error);
    if (status == SLUICE_OK) {
        status =
            committer_create(eventlog->engine, &eventlog->completions, &eventlog->committer, error);
    }
    if (status == SLUICE_OK) {
        status = readers_create(eventlog->engine, &eventlog->completions, reader_threads,
                                &eventlog->readers, error);
    }
    if (status != SLUICE_OK) {
        eventlog_close(eventlog);
        return status;
    }
    *out = eventlog;
    return SLUICE_OK;
}

void eventlog_close(struct eventlog *eventlog)
{
    if (eventlog == NULL) {
        return;
    }
    SLUICE_ASSERT(eventlog->pending == 0);
    readers_destroy(eventlog->readers);
    committer_destroy(eventlog->committer);
    if (eventlog->engine != NULL) {
        eventlog->engine->ops->close(eventlog->engine);
    }
    completions_deinit(&eventlog->completions);
    data_lock_release(eventlog->lock);
    free(eventlog);
}

void eventlog_submit_append(struct eventlog *eventlog, struct eventlog_append *append)
{
    SLUICE_ASSERT(append->done != NULL);
    SLUICE_ASSERT(append->event_count >= 1);
    SLUICE_ASSERT(append->store_id.bytes <= STORE_ID_BYTES_MAX);
    eventlog->pending++;
    committer_submit_append(eventlog->committer, append);
}

void eventlog_submit_read(struct eventlog *eventlog, struct eventlog_read *read)
{
    SLUICE_ASSERT(read->done != NULL);
    SLUICE_ASSERT(read->visit != NULL || read->events_max == 0);
    SLUICE_ASSERT(read->store_id.bytes <= STORE_ID_BYTES_MAX);
    eventlog->pending++;
    readers_submit(eventlog->readers, read);
}

void eventlog_submit_probe(struct eventlog *eventlog, struct eventlog_probe *probe)
{
    SLUICE_ASSERT(probe->done != NULL);
    eventlog->pending++;
    committer_submit_probe(eventlog->committer, probe);
}

static void finish_append(struct eventlog *eventlog, struct eventlog_append *append)
{
    SLUICE_ASSERT(eventlog->pending > 0);
    eventlog->pending--;
    if (append->status == SLUICE_OK) {
        eventlog->stats.appends++;
        eventlog->stats.events += append->event_count;
    }
    append->done(append);
}

static void finish_read(struct eventlog *eventlog, struct eventlog_read *read)
{
    SLUICE_ASSERT(eventlog->pending > 0);
    eventlog->pending--;
    eventlog->stats.reads++;
    read->done(read);
}

static void finish_probe(struct eventlog *eventlog, struct eventlog_probe *probe)
{
    SLUICE_ASSERT(eventlog->pending > 0);
    eventlog->pending--;
    probe->done(probe);
}

size_t eventlog_poll(struct eventlog *eventlog)
{
    struct completions_lists answers;
    completions_take(&eventlog->completions, &answers);
    size_t called = 0;
    /* A request is unlinked before its done, which may free it or submit it again. */
    while (answers.appends.first != NULL) {
        finish_append(eventlog, append_queue_pop(&answers.appends));
        called++;
    }
    while (answers.reads.first != NULL) {
        finish_read(eventlog, read_queue_pop(&answers.reads));
        called++;
    }
    while (answers.probes.first != NULL) {
        finish_probe(eventlog, probe_queue_pop(&answers.probes));
        called++;
    }
    return called;
}

size_t eventlog_pending(const struct eventlog *eventlog)
{
    return eventlog->pending;
}

void eventlog_stats(struct eventlog *eventlog, struct eventlog_stats *stats)
{
    *stats = eventlog->stats;
    committer_count(eventlog->committer, stats);
}
