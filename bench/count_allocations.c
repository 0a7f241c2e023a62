/* count_allocations: a server that says at its end how often its own code (not that of its
 * libraries) has allocated. Linked with --wrap, so that the server itself knows nothing of it. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

static atomic_ullong count;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t items, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t items, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    (void)atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t items, size_t bytes)
{
    (void)atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return __real_calloc(items, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    (void)atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return __real_realloc(memory, bytes);
}

__attribute__((destructor)) static void say(void)
{
    (void)fprintf(stderr, "allocations: %llu\n", atomic_load(&count));
}
