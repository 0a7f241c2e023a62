/* event_json: see event_json.h. The encoder also runs on reader threads. */
#include "proto/event_json.h"

#include "base/limits.h"
#include "proto/fields.h"

static enum sluice_status decode_args(struct json_reader *reader, struct slice *args,
                                      struct sluice_error *error)
{
    (void)json_skip(reader, args);
    if (reader->skipped_depth > ARGS_DEPTH_MAX) {
        return error_set(error, SLUICE_LIMIT, "args nests %u arrays and objects; the limit is %u",
                         reader->skipped_depth, ARGS_DEPTH_MAX);
    }
    return SLUICE_OK;
}

/* Fields may come in any order; unknown ones are ignored. */
enum sluice_status event_json_decode(struct json_reader *reader, struct arena *arena,
                                     struct event *event, struct sluice_error *error)
{
    enum { NAME = 1, SEQ = 2, PARENT = 4, CLIENT = 8, SESSION = 16, ALL = 31 };
    static const char *const FIELDS[] = {"name", "seqNum", "parentSeqNum", "clientId", "sessionId"};
    struct slice key;
    unsigned seen = 0;
    enum sluice_status status = SLUICE_OK;
    *event = (struct event){.args = SLICE("null")};
    if (json_peek(reader) != JSON_OBJECT || !json_enter_object(reader)) {
        return error_set(error, SLUICE_INVALID, "an event must be an object");
    }
    while (status == SLUICE_OK && json_next_key(reader, &key)) {
        if (json_key_is(key, "name")) {
            status = field_string(reader, FIELDS[0], arena, &event->name, error);
            seen |= NAME;
        } else if (json_key_is(key, "args")) {
            status = decode_args(reader, &event->args, error);
        } else if (json_key_is(key, "seqNum")) {
            status = field_u53(reader, FIELDS[1], &event->seq_num, error);
            seen |= SEQ;
        } else if (json_key_is(key, "parentSeqNum")) {
            status = field_u53(reader, FIELDS[2], &event->parent_seq_num, error);
            seen |= PARENT;
        } else if (json_key_is(key, "clientId")) {
            status = field_string(reader, FIELDS[3], arena, &event->client_id, error);
            seen |= CLIENT;
        } else if (json_key_is(key, "sessionId")) {
            status = field_string(reader, FIELDS[4], arena, &event->session_id, error);
            seen |= SESSION;
        } else {
            (void)json_skip(reader, NULL);
        }
    }
    for (unsigned i = 0; status == SLUICE_OK && i < 5; i++) {
        if ((seen & (1u << i)) == 0) {
            status = field_missing(error, FIELDS[i]);
        }
    }
    return status;
}

/* One event of a batch, with errors that say which. */
static enum sluice_status decode_item(struct json_reader *reader, size_t index, struct arena *arena,
                                      struct event *event, struct sluice_error *error)
{
    struct sluice_error detail = {0};
    if (json_peek(reader) != JSON_OBJECT) {
        return error_set(error, SLUICE_INVALID, "batch[%zu] must be an object", index);
    }
    enum sluice_status status = event_json_decode(reader, arena, event, &detail);
    if (status != SLUICE_OK) {
        return error_set(error, status, "batch[%zu].%s", index, detail.message);
    }
    return SLUICE_OK;
}

static enum sluice_status count_items(struct json_reader reader, size_t *count,
                                      struct sluice_error *error)
{
    *count = 0;
    (void)json_enter_array(&reader);
    while (json_next_item(&reader) && json_skip(&reader, NULL)) {
        if (++*count > BATCH_EVENTS_MAX) {
            return error_set(error, SLUICE_LIMIT, "batch has more than %u events; send fewer",
                             BATCH_EVENTS_MAX);
        }
    }
    return SLUICE_OK;
}

enum sluice_status event_json_decode_batch(struct json_reader *reader, struct arena *arena,
                                           struct event **out, size_t *out_count,
                                           struct sluice_error *error)
{
    size_t count = 0;
    if (json_peek(reader) != JSON_ARRAY) {
        return error_set(error, SLUICE_INVALID, "batch must be an array of events");
    }
    enum sluice_status status = count_items(*reader, &count, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct event *events = arena_alloc(arena, (count + 1) * sizeof(*events));
    if (events == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a batch of %zu events", count);
    }
    (void)json_enter_array(reader);
    for (size_t i = 0; json_next_item(reader); i++) {
        status = decode_item(reader, i, arena, &events[i], error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    *out = events;
    *out_count = count;
    return SLUICE_OK;
}

void event_json_append(struct buffer *out, const struct event *event)
{
    buffer_append_literal(out, "{\"name\":");
    json_append_string(out, event->name);
    buffer_append_literal(out, ",\"args\":");
    buffer_append_slice(out, event->args);
    buffer_append_literal(out, ",\"seqNum\":");
    buffer_append_u64(out, event->seq_num);
    buffer_append_literal(out, ",\"parentSeqNum\":");
    buffer_append_u64(out, event->parent_seq_num);
    buffer_append_literal(out, ",\"clientId\":");
    json_append_string(out, event->client_id);
    buffer_append_literal(out, ",\"sessionId\":");
    json_append_string(out, event->session_id);
    buffer_append_byte(out, '}');
}
