/* completions: answers on their way from the eventlog's threads back to the loop thread. Any thread
 * adds; the loop thread takes all at once. `wake` is called only when the first answer comes into
 * an empty list, so a burst of answers wakes the loop once. */
#ifndef SLUICE_EVENTLOG_COMPLETIONS_H
#define SLUICE_EVENTLOG_COMPLETIONS_H

#include <pthread.h>

#include "eventlog/request_queue.h"

struct completions_lists {
    struct append_queue appends; /* in commit order */
    struct read_queue reads;
    struct probe_queue probes;
};

struct completions {
    pthread_mutex_t lock;
    struct completions_lists lists; /* under the lock */
    void (*wake)(void *wake_user);
    void *wake_user;
};

enum sluice_status completions_init(struct completions *completions, void (*wake)(void *wake_user),
                                    void *wake_user, struct sluice_error *error) SLUICE_MUST_CHECK;
void completions_deinit(struct completions *completions);

/* Takes what is in `answers` and leaves it empty. Any thread. */
void completions_add(struct completions *completions, struct completions_lists *answers);
/* Fills `*out` with all answers. Loop thread. */
void completions_take(struct completions *completions, struct completions_lists *out);

#endif
