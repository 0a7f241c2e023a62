/* backoff: see backoff.h. */
#include "client/backoff.h"

#include "base/assert.h"

void backoff_init(struct backoff *backoff, uint64_t base_ms, uint64_t cap_ms)
{
    SLUICE_ASSERT(base_ms >= 1);
    SLUICE_ASSERT(cap_ms >= base_ms);
    *backoff = (struct backoff){.base_ms = base_ms, .cap_ms = cap_ms};
}

uint64_t backoff_next_ms(struct backoff *backoff, uint64_t random, uint64_t retry_after_ms)
{
    uint64_t bound = backoff->base_ms;
    for (unsigned i = 0; i < backoff->failure_count && bound < backoff->cap_ms; i++) {
        bound = bound > backoff->cap_ms / 2 ? backoff->cap_ms : bound * 2;
    }
    if (backoff->failure_count < UINT32_MAX) {
        backoff->failure_count++;
    }
    uint64_t wait = bound == UINT64_MAX ? random : random % (bound + 1);
    if (retry_after_ms > BACKOFF_RETRY_AFTER_MS_MAX) {
        retry_after_ms = BACKOFF_RETRY_AFTER_MS_MAX;
    }
    return wait > retry_after_ms ? wait : retry_after_ms;
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failure_count = 0;
}
