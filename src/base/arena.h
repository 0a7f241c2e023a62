/* arena: memory that is freed all at once; one for each request where it fits. Capped. Not
 * thread-safe. */
#ifndef SLUICE_BASE_ARENA_H
#define SLUICE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first; owned */
    size_t bytes;               /* allocated from the system so far */
    size_t bytes_max;           /* cap on `bytes` */
};

/* In place; allocates nothing. */
void arena_init(struct arena *arena, size_t bytes_max);
void arena_deinit(struct arena *arena);
/* Aligned for any type, not zeroed; NULL when the cap is reached or there is no memory. The memory
 * lives until arena_deinit. */
void *arena_alloc(struct arena *arena, size_t bytes);

#endif
