/* progress: how far long work has come, in one line on standard error that is drawn over again.
 * Nothing is written when standard error is no terminal. Main thread. */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_INTERVAL_MS                                                                       \
    100 /* how often it is drawn; nothing is drawn before the first one                            \
         */

struct progress {
    bool enabled;
    bool drawn;
    const char *verb; /* borrowed */
    uint64_t next_ns; /* of the monotonic clock */
};

/* `shares_output`: the verb's own output would come between the lines when it goes to a terminal;
 * then nothing is drawn either. */
void progress_init(struct progress *progress, const char *verb, bool shares_output);
/* `total` 0: nobody knows. `event_count` is shown as it is. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total, uint64_t event_count);
/* Takes the line away. */
void progress_clear(struct progress *progress);

#endif
