/* committer: group commit.
 *
 *     loop thread                     committer thread
 *     committer_submit_append ──▶ waiting ──▶ backlog ──▶ group ──▶ engine commit ──▶ completions
 *
 * Owns its thread and its queues; the requests are the caller's. `waiting` and the counters are
 * under the lock; `backlog` and `group` belong to the committer thread, so that sizing up a group
 * does not hold up the loop. Invariants: appends come back in the order in which they were
 * submitted, and an append is in exactly one of waiting, backlog, group and completions. */
#include "eventlog/committer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "eventlog/append_check.h"

struct committer {
    struct eventlog_engine *engine;  /* borrowed */
    struct completions *completions; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t arrived;

    /* Under the lock. */
    struct append_queue waiting;
    struct probe_queue waiting_probes;
    bool stop;
    struct eventlog_stats counts; /* only the committer's counters are used */

    /* Committer thread only. */
    struct append_queue backlog;
    struct probe_queue backlog_probes;
    struct eventlog_append *group[COMMITTER_APPENDS_MAX];
};

/* Waits until there is something to do. False when it is time to end. */
static bool take_waiting(struct committer *committer)
{
    bool has_backlog = committer->backlog.first != NULL || committer->backlog_probes.first != NULL;
    (void)pthread_mutex_lock(&committer->lock);
    while (!has_backlog && committer->waiting.first == NULL &&
           committer->waiting_probes.first == NULL && !committer->stop) {
        (void)pthread_cond_wait(&committer->arrived, &committer->lock);
    }
    append_queue_splice(&committer->backlog, &committer->waiting);
    probe_queue_splice(&committer->backlog_probes, &committer->waiting_probes);
    (void)pthread_mutex_unlock(&committer->lock);
    return committer->backlog.first != NULL || committer->backlog_probes.first != NULL;
}

/* Moves the backlog's front into the group, up to the bounds. Returns how many. */
static size_t form_group(struct committer *committer)
{
    size_t count = 0;
    uint64_t group_bytes = 0;
    while (committer->backlog.first != NULL && count < COMMITTER_APPENDS_MAX) {
        group_bytes += append_payload_bytes(committer->backlog.first);
        if (count > 0 && group_bytes > COMMITTER_BYTES_MAX) {
            break;
        }
        committer->group[count++] = append_queue_pop(&committer->backlog);
    }
    return count;
}

static void count_group(struct committer *committer, size_t count)
{
    bool stored = false;
    bool failed = false;
    for (size_t index = 0; index < count; index++) {
        enum sluice_status status = committer->group[index]->status;
        stored = stored || status == SLUICE_OK;
        failed = failed || (status != SLUICE_OK && status != SLUICE_INVALID);
    }
    (void)pthread_mutex_lock(&committer->lock);
    committer->counts.transactions += stored;
    committer->counts.commit_failures += failed;
    (void)pthread_mutex_unlock(&committer->lock);
}

static void commit_group(struct committer *committer)
{
    size_t count = form_group(committer);
    if (count == 0) {
        return;
    }
    for (size_t index = 0; index < count; index++) {
        committer->group[index]->error.status = SLUICE_OK;
        committer->group[index]->error.message[0] = '\0';
    }
    committer->engine->ops->commit(committer->engine, committer->group, count, clock_wall_ms());
    count_group(committer, count);
    struct completions_lists answers = {0};
    for (size_t index = 0; index < count; index++) {
        append_queue_push(&answers.appends, committer->group[index]);
    }
    completions_add(committer->completions, &answers);
}

static void run_probes(struct committer *committer)
{
    struct completions_lists answers = {0};
    while (committer->backlog_probes.first != NULL) {
        struct eventlog_probe *probe = probe_queue_pop(&committer->backlog_probes);
        probe->error.status = SLUICE_OK;
        probe->error.message[0] = '\0';
        probe->status = committer->engine->ops->probe(committer->engine, &probe->error);
        probe_queue_push(&answers.probes, probe);
    }
    if (answers.probes.first != NULL) {
        completions_add(committer->completions, &answers);
    }
}

/* The engine's work that could wait until the answers were out. */
static void settle(struct committer *committer)
{
    if (committer->engine->ops->settle == NULL) {
        return;
    }
    enum sluice_status status = committer->engine->ops->settle(committer->engine);
    if (status != SLUICE_OK) {
        (void)pthread_mutex_lock(&committer->lock);
        committer->counts.checkpoint_failures++;
        (void)pthread_mutex_unlock(&committer->lock);
    }
}

static void *run(void *user)
{
    struct committer *committer = user;
    while (take_waiting(committer)) {
        commit_group(committer);
        run_probes(committer);
        settle(committer);
    }
    return NULL;
}

enum sluice_status committer_create(struct eventlog_engine *engine, struct completions *completions,
                                    struct committer **out, struct sluice_error *error)
{
    struct committer *committer = calloc(1, sizeof *committer);
    if (committer == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the committer");
    }
    committer->engine = engine;
    committer->completions = completions;
    bool has_lock = pthread_mutex_init(&committer->lock, NULL) == 0;
    bool has_condition = pthread_cond_init(&committer->arrived, NULL) == 0;
    enum sluice_status status = SLUICE_OK;
    if (has_lock && has_condition) {
        status = thread_start("sluice-commit", run, committer, &committer->thread, error);
    } else {
        status = error_set(error, SLUICE_NO_MEMORY, "no memory for the committer's lock");
    }
    if (status == SLUICE_OK) {
        *out = committer;
        return SLUICE_OK;
    }
    if (has_condition) {
        (void)pthread_cond_destroy(&committer->arrived);
    }
    if (has_lock) {
        (void)pthread_mutex_destroy(&committer->lock);
    }
    free(committer);
    return status;
}

void committer_destroy(struct committer *committer)
{
    if (committer == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&committer->lock);
    SLUICE_ASSERT(committer->waiting.first == NULL);
    SLUICE_ASSERT(committer->waiting_probes.first == NULL);
    committer->stop = true;
    (void)pthread_cond_signal(&committer->arrived);
    (void)pthread_mutex_unlock(&committer->lock);
    (void)pthread_join(committer->thread, NULL);
    (void)pthread_cond_destroy(&committer->arrived);
    (void)pthread_mutex_destroy(&committer->lock);
    free(committer);
}

void committer_submit_append(struct committer *committer, struct eventlog_append *append)
{
    (void)pthread_mutex_lock(&committer->lock);
    append_queue_push(&committer->waiting, append);
    (void)pthread_cond_signal(&committer->arrived);
    (void)pthread_mutex_unlock(&committer->lock);
}

void committer_submit_probe(struct committer *committer, struct eventlog_probe *probe)
{
    (void)pthread_mutex_lock(&committer->lock);
    probe_queue_push(&committer->waiting_probes, probe);
    (void)pthread_cond_signal(&committer->arrived);
    (void)pthread_mutex_unlock(&committer->lock);
}

void committer_count(struct committer *committer, struct eventlog_stats *stats)
{
    (void)pthread_mutex_lock(&committer->lock);
    stats->transactions = committer->counts.transactions;
    stats->commit_failures = committer->counts.commit_failures;
    stats->checkpoint_failures = committer->counts.checkpoint_failures;
    (void)pthread_mutex_unlock(&committer->lock);
}
