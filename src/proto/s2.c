/* s2: see s2.h. The batch encoder also runs on reader threads. */
#include "proto/s2.h"

#include "base/json.h"
#include "base/limits.h"
#include "proto/event_json.h"
#include "proto/fields.h"

static enum sluice_status decode_position(struct json_reader *reader, uint64_t *position,
                                          struct sluice_error *error)
{
    struct slice raw;
    if (json_peek(reader) == JSON_STRING) {
        if (json_read_string(reader, &raw) && json_key_is(raw, "from-start")) {
            *position = 0;
            return SLUICE_OK;
        }
        return error_set(error, SLUICE_INVALID,
                         "s2SeqNum must be \"from-start\" or the position of the last record seen");
    }
    enum sluice_status status = field_u53(reader, "s2SeqNum", position, error);
    if (status == SLUICE_OK) {
        (*position)++;
    }
    return status;
}

enum sluice_status s2_decode_pull(struct slice args, struct arena *arena, struct s2_pull *out,
                                  struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    struct s2_pull pull = {0};
    bool has_position = false;
    bool has_live = false;
    enum sluice_status status = SLUICE_OK;
    json_reader_init(&reader, args);
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return error_set(error, SLUICE_INVALID,
                         "args must be a JSON object, percent-encoded once or twice");
    }
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "storeId")) {
            status = field_string(&reader, "storeId", arena, &pull.store_id, error);
        } else if (json_key_is(key, "s2SeqNum")) {
            status = decode_position(&reader, &pull.position, error);
            has_position = true;
        } else if (json_key_is(key, "live")) {
            status = field_bool(&reader, "live", &pull.live, error);
            has_live = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (pull.store_id.data == NULL) {
        return field_missing(error, "storeId");
    }
    if (!has_position) {
        return field_missing(error, "s2SeqNum");
    }
    if (!has_live) {
        return field_missing(error, "live");
    }
    *out = pull;
    return SLUICE_OK;
}

void s2_batch_start(struct buffer *out)
{
    buffer_append_literal(out, "event: batch\ndata: {\"records\":[");
}

/* The body is the event's JSON as a string, so a line break inside it cannot end the data line. */
void s2_batch_record(struct buffer *out, const struct event *event, bool first)
{
    struct buffer body;
    buffer_init(&body, SIZE_MAX / 2);
    event_json_append(&body, event);
    buffer_append_slice(out, first ? SLICE("{\"body\":") : SLICE(",{\"body\":"));
    json_append_string(out, buffer_slice(&body));
    buffer_append_literal(out, ",\"seq_num\":");
    buffer_append_u64(out, event->position);
    buffer_append_literal(out, ",\"timestamp\":");
    buffer_append_u64(out, (uint64_t)event->created_at_ms);
    buffer_append_byte(out, '}');
    if (buffer_status(&body) != SLUICE_OK) {
        out->status = buffer_status(&body);
    }
    buffer_deinit(&body);
}

void s2_batch_end(struct buffer *out, uint64_t tail, int64_t timestamp_ms, uint64_t last_position)
{
    buffer_append_literal(out, "],\"tail\":{\"seq_num\":");
    buffer_append_u64(out, tail);
    buffer_append_literal(out, ",\"timestamp\":");
    buffer_append_u64(out, (uint64_t)timestamp_ms);
    buffer_append_literal(out, "}}\nid: ");
    buffer_append_u64(out, last_position);
    buffer_append_literal(out, "\n\n");
}

void s2_append_ping(struct buffer *out, int64_t timestamp_ms)
{
    buffer_append_literal(out, "event: ping\ndata: {\"timestamp\":");
    buffer_append_u64(out, (uint64_t)timestamp_ms);
    buffer_append_literal(out, "}\n\n");
}

void s2_append_error(struct buffer *out, struct slice message)
{
    buffer_append_literal(out, "event: error\ndata: ");
    json_append_string(out, message);
    buffer_append_literal(out, "\n\n");
}
