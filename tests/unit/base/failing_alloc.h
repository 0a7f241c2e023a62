/* failing_alloc: lets a test say which allocation fails. The program is linked with --wrap, so this
 * sees what the code under test asks for; see meson.build. Each thread has its
 * own. */
#ifndef SLUICE_TESTS_FAILING_ALLOC_H
#define SLUICE_TESTS_FAILING_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

static _Thread_local bool failing_alloc_armed;
static _Thread_local unsigned failing_alloc_left; /* allocations that still succeed while armed */
static _Thread_local unsigned failing_alloc_seen; /* allocations since the last arming */
static _Thread_local size_t failing_alloc_bytes;  /* bytes that malloc gave since then */

/* From now on `successes` allocations succeed, and all later ones fail. */
static inline void failing_alloc_arm(unsigned successes)
{
    failing_alloc_armed = true;
    failing_alloc_left = successes;
    failing_alloc_seen = 0;
    failing_alloc_bytes = 0;
}

static inline void failing_alloc_disarm(void)
{
    failing_alloc_armed = false;
}

static inline bool failing_alloc_fails_now(void)
{
    failing_alloc_seen++;
    if (!failing_alloc_armed) {
        return false;
    }
    if (failing_alloc_left == 0) {
        return true;
    }
    failing_alloc_left--;
    return false;
}

void *__wrap_malloc(size_t bytes)
{
    if (failing_alloc_fails_now()) {
        return NULL;
    }
    failing_alloc_bytes += bytes;
    return __real_malloc(bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return failing_alloc_fails_now() ? NULL : __real_realloc(memory, bytes);
}

#endif
