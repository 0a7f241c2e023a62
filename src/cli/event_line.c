/* event_line: see event_line.h. Owns nothing; any thread. */
#include "cli/event_line.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

/* ---- reading ---- */

/* The fields of a line, as raw JSON; data is NULL for one that is absent. */
struct fields {
    struct slice name;
    struct slice args;
    struct slice seq_num;
    struct slice parent_seq_num;
    struct slice client_id;
    struct slice session_id;
    struct slice created_at;
};

struct field {
    const char *key;
    size_t offset;
};

static const struct field FIELDS[] = {
    {"name", offsetof(struct fields, name)},
    {"args", offsetof(struct fields, args)},
    {"seqNum", offsetof(struct fields, seq_num)},
    {"parentSeqNum", offsetof(struct fields, parent_seq_num)},
    {"clientId", offsetof(struct fields, client_id)},
    {"sessionId", offsetof(struct fields, session_id)},
    {"createdAt", offsetof(struct fields, created_at)},
};

#define FIELD_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))

static enum sluice_status split(struct slice line, struct fields *out, struct sluice_error *error)
{
    enum sluice_status status = json_validate(line, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct json_reader reader;
    struct slice key = SLICE_EMPTY;
    json_reader_init(&reader, line);
    if (!json_enter_object(&reader)) {
        return error_set(error, SLUICE_INVALID, "not an object");
    }
    while (json_next_key(&reader, &key)) {
        size_t i = 0;
        while (i < FIELD_COUNT && !json_key_is(key, FIELDS[i].key)) {
            i++;
        }
        if (i == FIELD_COUNT) {
            return error_set(error, SLUICE_INVALID, "no event has a field '%.*s'",
                             SLICE_PRINT(key));
        }
        (void)json_skip(&reader, (struct slice *)((char *)out + FIELDS[i].offset));
    }
    return json_finish(&reader, error);
}

static enum sluice_status read_text(struct slice raw, const char *key, size_t bytes_min,
                                    struct arena *arena, struct sluice_text *out,
                                    struct sluice_error *error)
{
    struct slice text = SLICE_EMPTY;
    if (raw.data == NULL || raw.bytes < 2 || raw.data[0] != '"') {
        return error_set(error, SLUICE_INVALID, "%s is missing, or no text", key);
    }
    enum sluice_status status =
        json_decode_string(slice_make(raw.data + 1, raw.bytes - 2), arena, &text, error);
    if (status != SLUICE_OK) {
        return status;
    }
    if (text.bytes < bytes_min || text.bytes > NAME_BYTES_MAX) {
        return error_set(error, SLUICE_INVALID, "%s has %zu bytes; it takes %zu to %u", key,
                         text.bytes, bytes_min, NAME_BYTES_MAX);
    }
    *out = (struct sluice_text){text.data, text.bytes};
    return SLUICE_OK;
}

static enum sluice_status read_number(struct slice raw, const char *key, uint64_t *out,
                                      struct sluice_error *error)
{
    unsigned long long number = 0;
    if (!slice_to_u64(raw, &number) || number > SLUICE_SEQ_NUM_MAX) {
        return error_set(error, SLUICE_INVALID, "%s is missing, or no whole number up to 2^53-1",
                         key);
    }
    *out = number;
    return SLUICE_OK;
}

static enum sluice_status read_numbered(const struct fields *fields, struct arena *arena,
                                        struct sluice_event *out, struct sluice_error *error)
{
    enum sluice_status status = read_number(fields->seq_num, "seqNum", &out->seq_num, error);
    if (status == SLUICE_OK) {
        status = read_number(fields->parent_seq_num, "parentSeqNum", &out->parent_seq_num, error);
    }
    if (status == SLUICE_OK) {
        status = read_text(fields->client_id, "clientId", 0, arena, &out->client_id, error);
    }
    if (status == SLUICE_OK) {
        status = read_text(fields->session_id, "sessionId", 0, arena, &out->session_id, error);
    }
    if (status == SLUICE_OK && out->parent_seq_num >= out->seq_num) {
        status = error_set(error, SLUICE_INVALID, "parentSeqNum is not before seqNum");
    }
    return status;
}

enum sluice_status event_line_read(struct slice line, struct arena *arena, struct sluice_event *out,
                                   bool *numbered, struct sluice_error *error)
{
    struct fields fields = {0};
    struct sluice_event event = {.created_at_ms = SLUICE_NO_TIME};
    enum sluice_status status = split(line, &fields, error);
    if (status == SLUICE_OK) {
        status = read_text(fields.name, "name", 1, arena, &event.name, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (fields.args.data == NULL) {
        fields.args = SLICE("null");
    }
    event.args = (struct sluice_text){fields.args.data, fields.args.bytes};
    bool any = fields.seq_num.data != NULL || fields.parent_seq_num.data != NULL ||
               fields.client_id.data != NULL || fields.session_id.data != NULL;
    if (any) {
        status = read_numbered(&fields, arena, &event, error);
    }
    if (status == SLUICE_OK) {
        *out = event;
        *numbered = any;
    }
    return status;
}

/* ---- writing ---- */

static struct slice slice_of(struct sluice_text text)
{
    return slice_make(text.data, text.bytes);
}

/* In valid JSON a line break stands between tokens only, where any white space means the same. */
static void append_in_one_line(struct buffer *out, struct sluice_text json)
{
    size_t start = out->bytes;
    buffer_append_slice(out, slice_of(json));
    for (size_t i = start; i < out->bytes; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r') {
            out->data[i] = ' ';
        }
    }
}

static void append_json(struct buffer *out, const struct sluice_event *event)
{
    buffer_append_literal(out, "{\"seqNum\":");
    buffer_append_u64(out, event->seq_num);
    buffer_append_literal(out, ",\"parentSeqNum\":");
    buffer_append_u64(out, event->parent_seq_num);
    buffer_append_literal(out, ",\"name\":");
    json_append_string(out, slice_of(event->name));
    buffer_append_literal(out, ",\"args\":");
    append_in_one_line(out, event->args);
    buffer_append_literal(out, ",\"clientId\":");
    json_append_string(out, slice_of(event->client_id));
    buffer_append_literal(out, ",\"sessionId\":");
    json_append_string(out, slice_of(event->session_id));
    if (event->created_at_ms != SLUICE_NO_TIME) {
        buffer_append_literal(out, ",\"createdAt\":\"");
        clock_append_iso8601(out, event->created_at_ms);
        buffer_append_byte(out, '"');
    }
    buffer_append_literal(out, "}\n");
}

/* Text as a line of a terminal may show it: line breaks and tabs become spaces, what else would
 * control the terminal becomes U+FFFD. Returns the count of characters, which is the width for most
 * texts. */
static size_t append_shown(struct buffer *out, struct slice text)
{
    size_t count = 0;
    while (text.bytes > 0) {
        size_t bytes = utf8_character_bytes(text);
        char first = text.data[0];
        bool is_space = first == '\t' || first == '\n' || first == '\r';
        bool is_control = bytes == 0 || utf8_is_control(slice_make(text.data, bytes));
        if (is_space) {
            buffer_append_byte(out, ' ');
        } else if (is_control) {
            buffer_append_literal(out, "\xef\xbf\xbd");
        } else {
            buffer_append(out, text.data, bytes);
        }
        bytes = bytes == 0 ? 1 : bytes;
        text = slice_make(text.data + bytes, text.bytes - bytes);
        count++;
    }
    return count;
}

/* A cell, filled up with spaces to `width`, and the gap to the next one. */
static void append_cell(struct buffer *out, struct slice text, size_t width)
{
    for (size_t count = append_shown(out, text); count < width; count++) {
        buffer_append_byte(out, ' ');
    }
    buffer_append_literal(out, "  ");
}

#define NUMBER_WIDTH 8
#define TIME_WIDTH 24
#define CLIENT_WIDTH 22
#define NAME_WIDTH 24

static void append_row(struct buffer *out, const struct sluice_event *event)
{
    struct buffer time;
    buffer_init(&time, 64);
    if (event->created_at_ms != SLUICE_NO_TIME) {
        clock_append_iso8601(&time, event->created_at_ms);
    }
    buffer_append_format(out, "%*llu  %*llu  ", NUMBER_WIDTH, (unsigned long long)event->seq_num,
                         NUMBER_WIDTH, (unsigned long long)event->parent_seq_num);
    append_cell(out, buffer_slice(&time), TIME_WIDTH);
    append_cell(out, slice_of(event->client_id), CLIENT_WIDTH);
    append_cell(out, slice_of(event->name), NAME_WIDTH);
    (void)append_shown(out, slice_of(event->args));
    buffer_append_byte(out, '\n');
    buffer_deinit(&time);
}

void event_line_append_head(struct buffer *out, enum event_format format)
{
    if (format == EVENT_FORMAT_TABLE) {
        buffer_append_format(out, "%*s  %*s  %-*s  %-*s  %-*s  %s\n", NUMBER_WIDTH, "SEQ",
                             NUMBER_WIDTH, "PARENT", TIME_WIDTH, "CREATED", CLIENT_WIDTH, "CLIENT",
                             NAME_WIDTH, "NAME", "ARGS");
    }
}

void event_line_append(struct buffer *out, enum event_format format,
                       const struct sluice_event *event)
{
    if (format == EVENT_FORMAT_TABLE) {
        append_row(out, event);
    } else {
        append_json(out, event);
    }
}
