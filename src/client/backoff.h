/* backoff: how long to wait before the next attempt: exponential with full jitter, capped. After
 * the n-th failure in a row (n = 0, 1, …) the wait is a random time from 0 to min(cap, base * 2^n),
 * or what the server asked for (Retry-After), if that is longer. Pure. */
#ifndef SLUICE_CLIENT_BACKOFF_H
#define SLUICE_CLIENT_BACKOFF_H

#include <stdint.h>

#define BACKOFF_RETRY_AFTER_MS_MAX 3600000u /* longer ones are cut to an hour */

struct backoff {
    uint64_t base_ms; /* ≥ 1 */
    uint64_t cap_ms;  /* ≥ base_ms */
    unsigned failure_count;
};

void backoff_init(struct backoff *backoff, uint64_t base_ms, uint64_t cap_ms);
/* Counts a failure and gives the wait. `random` is any 64 random bits. */
uint64_t backoff_next_ms(struct backoff *backoff, uint64_t random, uint64_t retry_after_ms);
/* Something worked. */
void backoff_reset(struct backoff *backoff);

#endif
