/* log: prints an entry and hands it to standard error with one write, so that lines of different
 * threads and processes stay whole.
 *
 * Owns two settings, written once before other threads start. Any thread. An entry is bounded:
 * values are cut to VALUE_BYTES_MAX, so a peer cannot fill the disk with one name. Logging never
 * fails or holds up its caller: what cannot be written now is lost, and errno is left as it was.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#define VALUE_BYTES_MAX ((size_t)512) /* as printed; an entry's few values fit into PIPE_BUF */
#define LINE_BYTES_MAX (64u << 10)
#define CUT_MARK "\xE2\x80\xA6"         /* U+2026, an ellipsis */
#define REPLACEMENT_MARK "\xEF\xBF\xBD" /* U+FFFD */

static struct {
    enum log_format format;
    enum log_level level;
} settings = {LOG_TEXT, LOG_INFO};

/* A value made fit to print: valid UTF-8, cut to size. */
struct clean_value {
    char data[VALUE_BYTES_MAX + sizeof CUT_MARK];
    size_t bytes;
};

void log_configure(enum log_format format, enum log_level level)
{
    settings.format = format;
    settings.level = level;
}

bool log_enabled(enum log_level level)
{
    return level >= settings.level;
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    SLUICE_ASSERT((unsigned)level < sizeof names / sizeof *names);
    return names[level];
}

static void value_add(struct clean_value *value, const char *data, size_t bytes)
{
    memcpy(value->data + value->bytes, data, bytes);
    value->bytes += bytes;
}

/* DEL and the C1 controls (U+0080 to U+009F): legal in JSON strings, but a terminal obeys them. */
static bool is_terminal_control(const char *character, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)character;
    return (bytes == 1 && at[0] == 0x7F) || (bytes == 2 && at[0] == 0xC2 && at[1] < 0xA0);
}

/* How long a good character is in a JSON string, at most. */
static size_t printed_bytes(const char *character, size_t bytes)
{
    if ((uint8_t)*character < 0x20) {
        return sizeof "\\u0000" - 1;
    }
    return *character == '"' || *character == '\\' ? 2 : bytes;
}

/* Fills `value` with `text`, U+FFFD in place of bad bytes and terminal controls. The C0 controls
 * stay: both formats escape them. */
static void clean(struct clean_value *value, struct slice text)
{
    value->bytes = 0;
    size_t offset = 0;
    size_t printed = 0;
    while (offset < text.bytes) {
        const char *at = text.data + offset;
        size_t bytes = utf8_character_bytes(slice_make(at, text.bytes - offset));
        bool is_bad = bytes == 0 || is_terminal_control(at, bytes);
        printed += is_bad ? sizeof REPLACEMENT_MARK - 1 : printed_bytes(at, bytes);
        if (printed > VALUE_BYTES_MAX) {
            value_add(value, CUT_MARK, sizeof CUT_MARK - 1);
            return;
        }
        if (is_bad) {
            value_add(value, REPLACEMENT_MARK, sizeof REPLACEMENT_MARK - 1);
        } else {
            value_add(value, at, bytes);
        }
        offset += bytes == 0 ? 1 : bytes;
    }
}

/* Whether a value can stand in a text line as it is. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (byte <= ' ' || byte == '"' || byte == '\\' || byte == '=') {
            return false;
        }
    }
    return text.bytes > 0;
}

static void append_number(struct buffer *line, int64_t number)
{
    if (number < 0) {
        buffer_append_byte(line, '-');
        buffer_append_u64(line, 0 - (uint64_t)number);
    } else {
        buffer_append_u64(line, (uint64_t)number);
    }
}

static void append_value(struct buffer *line, const struct log_field *field, bool always_quoted)
{
    if (field->is_number) {
        append_number(line, field->number);
        return;
    }
    struct clean_value value;
    clean(&value, field->text);
    struct slice text = slice_make(value.data, value.bytes);
    if (!always_quoted && is_plain(text)) {
        buffer_append_slice(line, text);
    } else {
        json_append_string(line, text);
    }
}

static void append_text_line(struct buffer *line, enum log_level level, const char *message,
                             const struct log_field *fields, size_t field_count)
{
    clock_append_iso8601(line, clock_wall_ms());
    buffer_append_format(line, " %s %s", level_name(level), message);
    for (size_t i = 0; i < field_count; i++) {
        buffer_append_format(line, " %s=", fields[i].key);
        append_value(line, &fields[i], false);
    }
    buffer_append_byte(line, '\n');
}

static void append_json_line(struct buffer *line, enum log_level level, const char *message,
                             const struct log_field *fields, size_t field_count)
{
    buffer_append_literal(line, "{\"time\":\"");
    clock_append_iso8601(line, clock_wall_ms());
    buffer_append_format(line, "\",\"level\":\"%s\",\"message\":", level_name(level));
    json_append_string(line, slice_of_string(message));
    for (size_t i = 0; i < field_count; i++) {
        buffer_append_byte(line, ',');
        json_append_string(line, slice_of_string(fields[i].key));
        buffer_append_byte(line, ':');
        append_value(line, &fields[i], true);
    }
    buffer_append_literal(line, "}\n");
}

/* Whoever should read standard error may have stopped, and a full pipe would hold up the server. A
 * pipe that is ready takes PIPE_BUF bytes. */
static void write_line(struct slice line)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written;
    if (poll(&ready, 1, 0) == 0) {
        return;
    }
    do {
        written = write(STDERR_FILENO, line.data, line.bytes);
    } while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t field_count)
{
    if (!log_enabled(level)) {
        return;
    }
    int saved_errno = errno;
    struct buffer line;
    buffer_init(&line, LINE_BYTES_MAX);
    if (settings.format == LOG_JSON) {
        append_json_line(&line, level, message, fields, field_count);
    } else {
        append_text_line(&line, level, message, fields, field_count);
    }
    if (buffer_status(&line) == SLUICE_OK) {
        write_line(buffer_slice(&line));
    }
    buffer_deinit(&line);
    errno = saved_errno;
}
