/* buffer: where encoders write and connections collect input.
 *
 * Owns one heap block. Thread: the owner's only.
 *
 * Invariants: bytes ≤ capacity ≤ bytes_max; the block has one byte more than `capacity`, because
 * vsnprintf writes a NUL after text that fills the buffer to its cap. A failed buffer keeps what
 * was appended before and takes nothing more until buffer_clear.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

#define CAPACITY_MIN 64u

void buffer_init(struct buffer *buffer, size_t bytes_max)
{
    SLUICE_ASSERT(buffer != NULL);
    SLUICE_ASSERT(bytes_max >= 1);
    SLUICE_ASSERT(bytes_max < SIZE_MAX);
    *buffer = (struct buffer){.bytes_max = bytes_max, .status = SLUICE_OK};
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.bytes_max = buffer->bytes_max, .status = SLUICE_OK};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->bytes = 0;
    buffer->status = SLUICE_OK;
}

/* Makes room for `needed` bytes in all; at least doubles, so that appending is linear in the end.
 */
static bool grow(struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < CAPACITY_MIN / 2 ? CAPACITY_MIN : buffer->capacity;
    capacity = capacity > buffer->bytes_max / 2 ? buffer->bytes_max : 2 * capacity;
    if (capacity < needed) {
        capacity = needed;
    }
    if (capacity > buffer->bytes_max) {
        capacity = buffer->bytes_max;
    }
    char *data = realloc(buffer->data, capacity + 1);
    if (data == NULL) {
        buffer->status = SLUICE_NO_MEMORY;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

char *buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (buffer->status != SLUICE_OK) {
        return NULL;
    }
    if (bytes > buffer->bytes_max - buffer->bytes) {
        buffer->status = SLUICE_LIMIT;
        return NULL;
    }
    bool has_room = buffer->data != NULL && bytes <= buffer->capacity - buffer->bytes;
    if (!has_room && !grow(buffer, buffer->bytes + bytes)) {
        return NULL;
    }
    return buffer->data + buffer->bytes;
}

void buffer_commit(struct buffer *buffer, size_t bytes)
{
    SLUICE_ASSERT(bytes <= buffer->capacity - buffer->bytes);
    buffer->bytes += bytes;
}

void buffer_append_growing(struct buffer *buffer, const void *data, size_t bytes)
{
    if (bytes == 0) {
        return;
    }
    char *room = buffer_reserve(buffer, bytes);
    if (room != NULL) {
        memcpy(room, data, bytes);
        buffer->bytes += bytes;
    }
}

void buffer_append_u64(struct buffer *buffer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    buffer_append(buffer, digits + at, sizeof digits - at);
}

/* Prints into the room that is there, and says how many bytes the whole text has; -1 when the
 * format cannot be printed. */
__attribute__((format(printf, 2, 0))) static int
print_into_room(struct buffer *buffer, const char *format, va_list arguments)
{
    size_t room = buffer->data == NULL ? 0 : buffer->capacity - buffer->bytes + 1;
    return vsnprintf(room == 0 ? NULL : buffer->data + buffer->bytes, room, format, arguments);
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    if (buffer->status != SLUICE_OK) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int printed = print_into_room(buffer, format, arguments);
    va_end(arguments);
    SLUICE_ASSERT(printed >= 0);

    bool has_room = buffer->data != NULL && (size_t)printed <= buffer->capacity - buffer->bytes;
    if (!has_room) {
        if (buffer_reserve(buffer, (size_t)printed) == NULL) {
            return;
        }
        va_start(arguments, format);
        int printed_again = print_into_room(buffer, format, arguments);
        va_end(arguments);
        SLUICE_ASSERT(printed_again == printed);
    }
    buffer->bytes += (size_t)printed;
}

void buffer_consume(struct buffer *buffer, size_t bytes)
{
    SLUICE_ASSERT(bytes <= buffer->bytes);
    size_t rest = buffer->bytes - bytes;
    if (bytes != 0 && rest != 0) {
        memmove(buffer->data, buffer->data + bytes, rest);
    }
    buffer->bytes = rest;
}

void buffer_truncate(struct buffer *buffer, size_t bytes)
{
    SLUICE_ASSERT(bytes <= buffer->bytes);
    buffer->bytes = bytes;
}

enum sluice_status buffer_status(const struct buffer *buffer)
{
    return buffer->status;
}
