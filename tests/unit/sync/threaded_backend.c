/* threaded_backend: the real eventlog on its memory engine, behind a gate. See backend.h. The
 * program is linked with --wrap=eventlog_memory_open, so that eventlog_open gets the gated engine.
 * One at a time in a process. */
#include "backend.h"

#include <pthread.h>

#include "base/assert.h"
#include "eventlog/eventlog_engine.h"

enum sluice_status __real_eventlog_memory_open(struct eventlog_engine **out,
                                               struct sluice_error *error);
enum sluice_status __wrap_eventlog_memory_open(struct eventlog_engine **out,
                                               struct sluice_error *error);

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    bool woken;
    bool holding;     /* the gate is closed */
    bool commit_held; /* the committer stands before it */
    unsigned commits_one_in;
    unsigned reads_one_in;
    enum backend_failure failure;
    unsigned long commits;
    unsigned long reads;
    /* Set once by open. */
    struct eventlog_engine *inner;
    struct eventlog_engine outer;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void lock(void)
{
    SLUICE_ASSERT(pthread_mutex_lock(&gate.lock) == 0);
}

static void unlock(void)
{
    SLUICE_ASSERT(pthread_mutex_unlock(&gate.lock) == 0);
}

static void await_change(void)
{
    SLUICE_ASSERT(pthread_cond_wait(&gate.changed, &gate.lock) == 0);
}

static void tell_change(void)
{
    SLUICE_ASSERT(pthread_cond_broadcast(&gate.changed) == 0);
}

/* --- The engine: committer thread and reader threads --- */

static void gated_commit(struct eventlog_engine *engine, struct eventlog_append **appends,
                         size_t count, int64_t now_ms)
{
    (void)engine;
    lock();
    gate.commit_held = gate.holding;
    tell_change();
    while (gate.holding) {
        await_change();
    }
    gate.commit_held = false;
    bool fails = gate.commits_one_in > 0 && ++gate.commits % gate.commits_one_in == 0;
    bool stores = !fails || gate.failure == BACKEND_STORES_AND_SAYS_IO;
    unlock();
    if (stores) {
        gate.inner->ops->commit(gate.inner, appends, count, now_ms);
    }
    for (size_t i = 0; fails && i < count; i++) {
        appends[i]->status =
            error_set(&appends[i]->error, SLUICE_STORAGE_IO, "the test lets a commit fail");
    }
}

static enum sluice_status gated_probe(struct eventlog_engine *engine, struct sluice_error *error)
{
    (void)engine;
    return gate.inner->ops->probe(gate.inner, error);
}

static enum sluice_status gated_reader_open(struct eventlog_engine *engine,
                                            struct eventlog_reader **out,
                                            struct sluice_error *error)
{
    (void)engine;
    return gate.inner->ops->reader_open(gate.inner, out, error);
}

static void gated_reader_close(struct eventlog_reader *reader)
{
    gate.inner->ops->reader_close(reader);
}

static enum sluice_status gated_read(struct eventlog_reader *reader, struct eventlog_read *read,
                                     struct sluice_error *error)
{
    lock();
    bool fails = gate.reads_one_in > 0 && ++gate.reads % gate.reads_one_in == 0;
    unlock();
    if (fails) {
        return error_set(error, SLUICE_STORAGE_IO, "the test lets a read fail");
    }
    return gate.inner->ops->read(reader, read, error);
}

static void gated_close(struct eventlog_engine *engine)
{
    (void)engine;
    gate.inner->ops->close(gate.inner);
}

static const struct eventlog_engine_ops GATED_OPS = {
    .name = "gated",
    .commit = gated_commit,
    .probe = gated_probe,
    .reader_open = gated_reader_open,
    .reader_close = gated_reader_close,
    .read = gated_read,
    .close = gated_close,
};

enum sluice_status __wrap_eventlog_memory_open(struct eventlog_engine **out,
                                               struct sluice_error *error)
{
    enum sluice_status status = __real_eventlog_memory_open(&gate.inner, error);
    if (status == SLUICE_OK) {
        gate.outer.ops = &GATED_OPS;
        *out = &gate.outer;
    }
    return status;
}

/* --- The test's side: the loop thread --- */

static void wake(void *user)
{
    (void)user;
    lock();
    gate.woken = true;
    tell_change();
    unlock();
}

struct eventlog *backend_open(void)
{
    struct eventlog *eventlog = NULL;
    struct sluice_error error = {0};
    struct eventlog_options options = {.data_path = ":memory:", .wake = wake};
    enum sluice_status status = eventlog_open(&options, &eventlog, &error);
    SLUICE_ASSERT(status == SLUICE_OK);
    return eventlog;
}

void backend_close(struct eventlog *eventlog)
{
    eventlog_close(eventlog);
    lock();
    gate.woken = false;
    gate.commits_one_in = 0;
    gate.reads_one_in = 0;
    gate.commits = 0;
    gate.reads = 0;
    unlock();
}

static void await_wake(void)
{
    lock();
    while (!gate.woken) {
        await_change();
    }
    gate.woken = false;
    unlock();
}

void backend_advance(struct eventlog *eventlog, uint64_t random)
{
    if (random % 2 == 0 && eventlog_pending(eventlog) > 0) {
        await_wake();
    }
    (void)eventlog_poll(eventlog);
}

void backend_settle(struct eventlog *eventlog)
{
    while (eventlog_pending(eventlog) > 0) {
        await_wake();
        (void)eventlog_poll(eventlog);
    }
}

void backend_fail(struct eventlog *eventlog, unsigned commits_one_in, unsigned reads_one_in,
                  enum backend_failure failure)
{
    (void)eventlog;
    lock();
    gate.commits_one_in = commits_one_in;
    gate.reads_one_in = reads_one_in;
    gate.failure = failure;
    unlock();
}

void backend_hold_commits(struct eventlog *eventlog)
{
    (void)eventlog;
    lock();
    gate.holding = true;
    unlock();
}

void backend_await_held_commit(struct eventlog *eventlog)
{
    (void)eventlog;
    lock();
    while (!gate.commit_held) {
        await_change();
    }
    unlock();
}

void backend_release_commits(struct eventlog *eventlog)
{
    (void)eventlog;
    lock();
    gate.holding = false;
    tell_change();
    unlock();
}

void backend_await_reads(struct eventlog *eventlog, uint64_t reads)
{
    struct eventlog_stats stats;
    (void)eventlog_poll(eventlog);
    for (eventlog_stats(eventlog, &stats); stats.reads < reads; eventlog_stats(eventlog, &stats)) {
        await_wake();
        (void)eventlog_poll(eventlog);
    }
}
