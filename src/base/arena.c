/* arena: a list of blocks, filled from the front and freed together.
 *
 * Beside the way of an event: whoever decodes a request owns an arena for as long as the request
 * lives. Thread: the owner's only.
 *
 * Invariants: `bytes` is the sum of what the blocks cost, headers included, and never passes
 * `bytes_max`; the first block of the list is the one that is being filled. A request larger than a
 * block gets a block of its own behind the first, so that the room left in the first is not lost.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"

#define BLOCK_BYTES_MIN 1024u
#define BLOCK_BYTES_MAX (64u << 10)

struct arena_block {
    struct arena_block *next;
    size_t used;     /* bytes of `data` handed out; a multiple of the alignment */
    size_t capacity; /* bytes of `data` */
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena, size_t bytes_max)
{
    SLUICE_ASSERT(arena != NULL);
    *arena = (struct arena){.bytes_max = bytes_max};
}

void arena_deinit(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (struct arena){.bytes_max = arena->bytes_max};
}

/* What the next block should hold: each twice the last, so that small requests cost little and
 * large ones few allocations, but never more than the cap leaves. 0 when `bytes` does not fit. */
static size_t block_capacity(const struct arena *arena, size_t bytes)
{
    size_t left = arena->bytes_max - arena->bytes;
    if (left < sizeof(struct arena_block) || left - sizeof(struct arena_block) < bytes) {
        return 0;
    }
    left -= sizeof(struct arena_block);
    size_t capacity = BLOCK_BYTES_MIN - sizeof(struct arena_block);
    if (arena->blocks != NULL) {
        capacity = 2 * arena->blocks->capacity;
    }
    if (capacity > BLOCK_BYTES_MAX - sizeof(struct arena_block)) {
        capacity = BLOCK_BYTES_MAX - sizeof(struct arena_block);
    }
    if (capacity < bytes) {
        capacity = bytes;
    }
    return capacity < left ? capacity : left;
}

static struct arena_block *block_add(struct arena *arena, size_t bytes)
{
    size_t capacity = block_capacity(arena, bytes);
    if (capacity == 0) {
        return NULL;
    }
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL) {
        return NULL;
    }
    arena->bytes += sizeof *block + capacity;
    block->used = 0;
    block->capacity = capacity;
    struct arena_block *first = arena->blocks;
    bool first_has_more_room = first != NULL && first->capacity - first->used > capacity - bytes;
    if (first_has_more_room) {
        block->next = first->next;
        first->next = block;
    } else {
        block->next = first;
        arena->blocks = block;
    }
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t alignment = alignof(max_align_t);
    if (bytes > SIZE_MAX - alignment) {
        return NULL;
    }
    if (bytes == 0) {
        bytes = 1;
    }
    bytes = (bytes + alignment - 1) / alignment * alignment;

    struct arena_block *block = arena->blocks;
    if (block == NULL || block->capacity - block->used < bytes) {
        block = block_add(arena, bytes);
        if (block == NULL) {
            return NULL;
        }
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    SLUICE_ASSERT(arena->bytes <= arena->bytes_max);
    return memory;
}
