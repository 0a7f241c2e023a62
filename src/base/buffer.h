/* buffer: bytes that grow up to a declared cap.
 *
 * Failure is sticky: an append that would pass the cap, or for which there is no memory, marks the
 * buffer as failed and appends nothing more; the writer checks once, at the end, with
 * buffer_status(). So an encoder reads as what it writes. One owner; not thread-safe. */
#ifndef SLUICE_BASE_BUFFER_H
#define SLUICE_BASE_BUFFER_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct buffer {
    char *data;       /* owned; NULL while nothing was reserved */
    size_t bytes;     /* in use */
    size_t capacity;  /* allocated */
    size_t bytes_max; /* the cap, ≥ 1 */
    enum sluice_status status;
};

/* In place; allocates nothing. */
void buffer_init(struct buffer *buffer, size_t bytes_max);
/* Frees the bytes and leaves an empty buffer with the same cap. */
void buffer_deinit(struct buffer *buffer);
/* Empties it and clears a failure; keeps the allocation. */
void buffer_clear(struct buffer *buffer);

/* buffer_append where there may be no room. */
void buffer_append_growing(struct buffer *buffer, const void *data, size_t bytes);

static inline void buffer_append(struct buffer *buffer, const void *data, size_t bytes)
{
    bool has_room = buffer->status == SLUICE_OK && bytes <= buffer->capacity - buffer->bytes;
    if (has_room && bytes > 0) {
        memcpy(buffer->data + buffer->bytes, data, bytes);
        buffer->bytes += bytes;
    } else {
        buffer_append_growing(buffer, data, bytes);
    }
}

static inline void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
    buffer_append(buffer, slice.data, slice.bytes);
}

static inline void buffer_append_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_append_u64(struct buffer *buffer, uint64_t number);
void buffer_append_format(struct buffer *buffer, const char *format, ...) SLUICE_PRINTF(2, 3);
#define buffer_append_literal(buffer, literal)                                                     \
    buffer_append((buffer), ("" literal), sizeof(literal) - 1)

/* Room for `bytes` more; the returned pointer is valid until the next call, NULL on failure.
 * buffer_commit says how much of it was filled. */
char *buffer_reserve(struct buffer *buffer, size_t bytes);
void buffer_commit(struct buffer *buffer, size_t bytes);
/* Drops the first `bytes` (≤ buffer->bytes) and moves the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t bytes);
/* Cuts back to `bytes` (≤ buffer->bytes). */
void buffer_truncate(struct buffer *buffer, size_t bytes);
/* SLUICE_OK, SLUICE_LIMIT (the cap) or SLUICE_NO_MEMORY. */
enum sluice_status buffer_status(const struct buffer *buffer) SLUICE_MUST_CHECK;

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return (struct slice){buffer->data, buffer->bytes};
}

#endif
