/* line_reader: see line_reader.h. Main thread. */
#include "cli/line_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)

void line_reader_init(struct line_reader *reader, int fd, size_t line_bytes_max,
                      struct waiter *waiter)
{
    *reader = (struct line_reader){.fd = fd, .waiter = waiter};
    buffer_init(&reader->bytes, line_bytes_max + READ_BYTES);
}

void line_reader_deinit(struct line_reader *reader)
{
    buffer_deinit(&reader->bytes);
}

/* A line that is there already. At the end of the input the rest is one too. */
static bool take_line(struct line_reader *reader, struct slice *line)
{
    const struct buffer *bytes = &reader->bytes;
    if (bytes->bytes == reader->taken) {
        return false;
    }
    const char *start = bytes->data + reader->taken;
    const char *newline =
        memchr(bytes->data + reader->searched, '\n', bytes->bytes - reader->searched);
    reader->searched = bytes->bytes;
    if (newline == NULL && !reader->has_ended) {
        return false;
    }
    size_t length = newline != NULL ? (size_t)(newline - start) : bytes->bytes - reader->taken;
    *line = slice_make(start, length);
    reader->taken += length + (newline != NULL);
    reader->searched = reader->taken;
    reader->line_number++;
    reader->bytes_read += length + (newline != NULL);
    return true;
}

static enum line_result read_more(struct line_reader *reader, struct sluice_error *error)
{
    buffer_consume(&reader->bytes, reader->taken);
    reader->searched -= reader->taken;
    reader->taken = 0;
    char *room = buffer_reserve(&reader->bytes, READ_BYTES);
    if (room == NULL) {
        (void)error_set(error, buffer_status(&reader->bytes), "line %llu has more than %zu bytes",
                        (unsigned long long)reader->line_number + 1,
                        reader->bytes.bytes_max - READ_BYTES);
        return LINE_FAILED;
    }
    ssize_t got = read(reader->fd, room, READ_BYTES);
    if (got < 0 && errno != EINTR && errno != EAGAIN) {
        (void)error_set(error, SLUICE_IO, "cannot read the input: %s", strerror(errno));
        return LINE_FAILED;
    }
    if (got == 0) {
        reader->has_ended = true;
    }
    buffer_commit(&reader->bytes, got > 0 ? (size_t)got : 0);
    return LINE_NOT_YET;
}

enum line_result line_reader_next(struct line_reader *reader, int timeout_ms, struct slice *line,
                                  struct sluice_error *error)
{
    while (!take_line(reader, line)) {
        if (reader->has_ended) {
            return LINE_END;
        }
        if (!waiter_wait(reader->waiter, reader->fd, timeout_ms)) {
            return LINE_NOT_YET;
        }
        if (read_more(reader, error) == LINE_FAILED) {
            return LINE_FAILED;
        }
    }
    return LINE_READ;
}
