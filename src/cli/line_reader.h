/* line_reader: lines of a descriptor, with a bound, that never waits longer than it is told to. */
#ifndef SLUICE_CLI_LINE_READER_H
#define SLUICE_CLI_LINE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cli/waiter.h"

enum line_result {
    LINE_READ,
    LINE_NOT_YET, /* nothing more has come so far */
    LINE_END,
    LINE_FAILED,
};

struct line_reader {
    int fd; /* borrowed */
    struct waiter *waiter;
    struct buffer bytes; /* of the input */
    size_t taken;        /* of these: lines that were given out */
    size_t searched;     /* of these: no line ends before */
    bool has_ended;
    uint64_t line_number; /* of the last line, from 1 */
    uint64_t bytes_read;  /* in lines that were given out */
};

void line_reader_init(struct line_reader *reader, int fd, size_t line_bytes_max,
                      struct waiter *waiter);
void line_reader_deinit(struct line_reader *reader);

/* The next line, without its line break, valid until the next call. Waits at most `timeout_ms` for
 * input (-1: until some comes, or the waiter is woken, or a signal comes). */
enum line_result line_reader_next(struct line_reader *reader, int timeout_ms, struct slice *line,
                                  struct sluice_error *error);

#endif
