/* completions: the way back from the committer and the readers to the loop thread.
 *
 * Owns nothing but the lock: the answers are the caller's requests. Invariant: an answer that was
 * added is either in the lists or with the loop thread, and after every change from empty to not
 * empty there was one wake. The wake comes after the lock is released, so it may come after the
 * loop has already taken the answer; such a wake finds nothing to do. */
#include "eventlog/completions.h"

enum sluice_status completions_init(struct completions *completions, void (*wake)(void *wake_user),
                                    void *wake_user, struct sluice_error *error)
{
    SLUICE_ASSERT(wake != NULL);
    *completions = (struct completions){.wake = wake, .wake_user = wake_user};
    if (pthread_mutex_init(&completions->lock, NULL) != 0) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for a lock");
    }
    return SLUICE_OK;
}

void completions_deinit(struct completions *completions)
{
    (void)pthread_mutex_destroy(&completions->lock);
}

static bool is_empty(const struct completions_lists *lists)
{
    return lists->appends.first == NULL && lists->reads.first == NULL &&
           lists->probes.first == NULL;
}

void completions_add(struct completions *completions, struct completions_lists *answers)
{
    SLUICE_ASSERT(!is_empty(answers));
    (void)pthread_mutex_lock(&completions->lock);
    bool was_empty = is_empty(&completions->lists);
    append_queue_splice(&completions->lists.appends, &answers->appends);
    read_queue_splice(&completions->lists.reads, &answers->reads);
    probe_queue_splice(&completions->lists.probes, &answers->probes);
    (void)pthread_mutex_unlock(&completions->lock);
    if (was_empty) {
        completions->wake(completions->wake_user);
    }
}

void completions_take(struct completions *completions, struct completions_lists *out)
{
    (void)pthread_mutex_lock(&completions->lock);
    *out = completions->lists;
    completions->lists = (struct completions_lists){0};
    (void)pthread_mutex_unlock(&completions->lock);
}
