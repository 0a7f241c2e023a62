/* log: one line an entry, to standard error, as text or JSON. Only server/ and cli/ log; the rooms
 * below report through results and counters. Thread-safe. */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *key;
    struct slice text; /* used when `is_number` is false; any bytes, escaped on output */
    int64_t number;
    bool is_number;
};

#define LOG_TEXT_FIELD(key_, slice_) ((struct log_field){.key = (key_), .text = (slice_)})
#define LOG_NUMBER_FIELD(key_, number_)                                                            \
    ((struct log_field){.key = (key_), .number = (int64_t)(number_), .is_number = true})

/* Process-wide; call once before other threads start. */
void log_configure(enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);
/* `message` is a fixed English phrase; what varies goes into fields. */
void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t field_count);
#define LOG(level, message, ...)                                                                   \
    log_write((level), (message), (const struct log_field[]){__VA_ARGS__},                         \
              sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

#endif
