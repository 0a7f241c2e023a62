/* sync_cf: see sync_cf.h. Between effect_rpc and the endpoint. Owns nothing; the page encoder also
 * runs on reader threads. */
#include "proto/sync_cf.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

static enum sluice_status missing(struct sluice_error *error, const char *field)
{
    return error_set(error, SLUICE_INVALID, "%s is missing", field);
}

/* A string field: decoded, or INVALID with the field's name. */
static enum sluice_status decode_string(struct json_reader *reader, const char *field,
                                        struct arena *arena, struct slice *out,
                                        struct sluice_error *error)
{
    struct slice raw;
    if (json_peek(reader) != JSON_STRING || !json_read_string(reader, &raw)) {
        return error_set(error, SLUICE_INVALID, "%s must be a string", field);
    }
    enum sluice_status status = json_decode_string(raw, arena, out, NULL);
    if (status == SLUICE_INVALID) {
        return error_set(error, status,
                         "%s contains a lone surrogate escape, which has no UTF-8 form", field);
    }
    return status == SLUICE_OK ? status : error_set(error, status, "out of memory for %s", field);
}

static enum sluice_status decode_u53(struct json_reader *reader, const char *field, uint64_t *out,
                                     struct sluice_error *error)
{
    if (json_peek(reader) != JSON_NUMBER || !json_read_u64(reader, SEQ_NUM_MAX, out)) {
        return error_set(error, SLUICE_INVALID,
                         "%s must be an integer from 0 to 2^53-1, written as digits", field);
    }
    return SLUICE_OK;
}

/* Walks {"_tag":"None"} or {"_tag":"Some","value":V}: `*value` is V's text, NULL data for None. */
static enum sluice_status decode_option(struct json_reader *reader, const char *field,
                                        struct slice *value, struct sluice_error *error)
{
    struct slice key;
    struct slice tag = SLICE_EMPTY;
    struct slice found = SLICE_EMPTY;
    if (json_peek(reader) == JSON_OBJECT && json_enter_object(reader)) {
        while (json_next_key(reader, &key)) {
            if (json_key_is(key, "_tag") && json_peek(reader) == JSON_STRING) {
                (void)json_read_string(reader, &tag);
            } else if (json_key_is(key, "value")) {
                (void)json_skip(reader, &found);
            } else {
                (void)json_skip(reader, NULL);
            }
        }
        if (tag.data != NULL && json_key_is(tag, "None")) {
            *value = SLICE_EMPTY;
            return SLUICE_OK;
        }
        if (tag.data != NULL && json_key_is(tag, "Some") && found.data != NULL) {
            *value = found;
            return SLUICE_OK;
        }
    }
    return error_set(error, SLUICE_INVALID,
                     "%s must be {\"_tag\":\"None\"} or {\"_tag\":\"Some\",\"value\":…}", field);
}

static enum sluice_status decode_cursor(struct slice text, struct arena *arena,
                                        struct sync_cf_pull *out, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    bool has_seq_num = false;
    enum sluice_status status = SLUICE_OK;
    json_reader_init(&reader, text);
    if (json_peek(&reader) != JSON_OBJECT) {
        return error_set(error, SLUICE_INVALID, "cursor.value must be an object");
    }
    (void)json_enter_object(&reader);
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "backendId")) {
            status = decode_string(&reader, "cursor.value.backendId", arena,
                                   &out->cursor_backend_id, error);
        } else if (json_key_is(key, "eventSequenceNumber")) {
            status = decode_u53(&reader, "cursor.value.eventSequenceNumber", &out->cursor_seq_num,
                                error);
            has_seq_num = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (out->cursor_backend_id.data == NULL) {
        return missing(error, "cursor.value.backendId");
    }
    if (!has_seq_num) {
        return missing(error, "cursor.value.eventSequenceNumber");
    }
    out->has_cursor = true;
    return SLUICE_OK;
}

static enum sluice_status enter_payload(struct json_reader *reader, struct slice payload,
                                        struct sluice_error *error)
{
    json_reader_init(reader, payload);
    if (json_peek(reader) != JSON_OBJECT || !json_enter_object(reader)) {
        return error_set(error, SLUICE_INVALID, "payload must be an object");
    }
    return SLUICE_OK;
}

enum sluice_status sync_cf_decode_pull(struct slice payload, bool wants_live, struct arena *arena,
                                       struct sync_cf_pull *out, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    struct slice cursor = SLICE_EMPTY;
    bool has_live = false;
    bool has_cursor = false;
    struct sync_cf_pull pull = {0};
    enum sluice_status status = enter_payload(&reader, payload, error);
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "storeId")) {
            status = decode_string(&reader, "storeId", arena, &pull.store_id, error);
        } else if (json_key_is(key, "live") && wants_live) {
            has_live = json_read_bool(&reader, &pull.live);
            status =
                has_live ? status : error_set(error, SLUICE_INVALID, "live must be true or false");
        } else if (json_key_is(key, "cursor")) {
            status = decode_option(&reader, "cursor", &cursor, error);
            has_cursor = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && pull.store_id.data == NULL) {
        status = missing(error, "storeId");
    }
    if (status == SLUICE_OK && wants_live && !has_live) {
        status = missing(error, "live");
    }
    if (status == SLUICE_OK && !has_cursor) {
        status = missing(error, "cursor");
    }
    if (status == SLUICE_OK && cursor.data != NULL) {
        status = decode_cursor(cursor, arena, &pull, error);
    }
    if (status == SLUICE_OK) {
        *out = pull;
    }
    return status;
}

/* One event of a batch. Fields may come in any order; unknown ones are ignored. */
static enum sluice_status decode_event(struct json_reader *reader, size_t index,
                                       struct arena *arena, struct event *event,
                                       struct sluice_error *error)
{
    enum { NAME = 1, SEQ = 2, PARENT = 4, CLIENT = 8, SESSION = 16, ALL = 31 };
    static const char *const FIELDS[] = {"name", "seqNum", "parentSeqNum", "clientId", "sessionId"};
    struct slice key;
    unsigned seen = 0;
    enum sluice_status status = SLUICE_OK;
    struct sluice_error detail = {0};
    *event = (struct event){.args = SLICE("null")};
    if (json_peek(reader) != JSON_OBJECT || !json_enter_object(reader)) {
        return error_set(error, SLUICE_INVALID, "batch[%zu] must be an object", index);
    }
    while (status == SLUICE_OK && json_next_key(reader, &key)) {
        if (json_key_is(key, "name")) {
            status = decode_string(reader, FIELDS[0], arena, &event->name, &detail);
            seen |= NAME;
        } else if (json_key_is(key, "args")) {
            (void)json_skip(reader, &event->args);
        } else if (json_key_is(key, "seqNum")) {
            status = decode_u53(reader, FIELDS[1], &event->seq_num, &detail);
            seen |= SEQ;
        } else if (json_key_is(key, "parentSeqNum")) {
            status = decode_u53(reader, FIELDS[2], &event->parent_seq_num, &detail);
            seen |= PARENT;
        } else if (json_key_is(key, "clientId")) {
            status = decode_string(reader, FIELDS[3], arena, &event->client_id, &detail);
            seen |= CLIENT;
        } else if (json_key_is(key, "sessionId")) {
            status = decode_string(reader, FIELDS[4], arena, &event->session_id, &detail);
            seen |= SESSION;
        } else {
            (void)json_skip(reader, NULL);
        }
    }
    for (unsigned i = 0; status == SLUICE_OK && i < 5; i++) {
        if ((seen & (1u << i)) == 0) {
            status = missing(&detail, FIELDS[i]);
        }
    }
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

static enum sluice_status decode_batch(struct json_reader *reader, struct arena *arena,
                                       struct sync_cf_push *push, struct sluice_error *error)
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
        status = decode_event(reader, i, arena, &events[i], error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    push->events = events;
    push->event_count = count;
    return SLUICE_OK;
}

static enum sluice_status decode_backend_id(struct slice text, struct arena *arena,
                                            struct sync_cf_push *push, struct sluice_error *error)
{
    if (text.data == NULL) {
        return SLUICE_OK;
    }
    struct json_reader reader;
    json_reader_init(&reader, text);
    push->has_backend_id = true;
    return decode_string(&reader, "backendId.value", arena, &push->backend_id, error);
}

enum sluice_status sync_cf_decode_push(struct slice payload, struct arena *arena,
                                       struct sync_cf_push *out, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    struct slice backend_id = SLICE_EMPTY;
    bool has_backend_id = false;
    struct sync_cf_push push = {0};
    enum sluice_status status = enter_payload(&reader, payload, error);
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "storeId")) {
            status = decode_string(&reader, "storeId", arena, &push.store_id, error);
        } else if (json_key_is(key, "batch")) {
            status = decode_batch(&reader, arena, &push, error);
        } else if (json_key_is(key, "backendId")) {
            status = decode_option(&reader, "backendId", &backend_id, error);
            has_backend_id = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && push.store_id.data == NULL) {
        status = missing(error, "storeId");
    }
    if (status == SLUICE_OK && push.events == NULL) {
        status = missing(error, "batch");
    }
    if (status == SLUICE_OK && !has_backend_id) {
        status = missing(error, "backendId");
    }
    if (status == SLUICE_OK) {
        status = decode_backend_id(backend_id, arena, &push, error);
    }
    if (status == SLUICE_OK) {
        *out = push;
    }
    return status;
}

enum sluice_status sync_cf_decode_ping(struct slice payload, struct arena *arena,
                                       struct slice *store_id, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    struct slice found = SLICE_EMPTY;
    enum sluice_status status = enter_payload(&reader, payload, error);
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "storeId")) {
            status = decode_string(&reader, "storeId", arena, &found, error);
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && found.data == NULL) {
        status = missing(error, "storeId");
    }
    if (status == SLUICE_OK) {
        *store_id = found;
    }
    return status;
}

void sync_cf_page_start(struct buffer *out)
{
    buffer_append_literal(out, "{\"batch\":[");
}

void sync_cf_page_event(struct buffer *out, const struct event *event, bool first)
{
    if (!first) {
        buffer_append_byte(out, ',');
    }
    buffer_append_literal(out, "{\"eventEncoded\":{\"name\":");
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
    buffer_append_literal(out, "},\"metadata\":{\"_tag\":\"Some\",\"value\":{\"_tag\":"
                               "\"SyncMessage.SyncMetadata\",\"createdAt\":\"");
    clock_append_iso8601(out, event->created_at_ms);
    buffer_append_literal(out, "\"}}}");
}

void sync_cf_page_end(struct buffer *out, uint64_t remaining, struct slice backend_id)
{
    if (remaining == 0) {
        buffer_append_literal(out, "],\"pageInfo\":{\"_tag\":\"NoMore\"},\"backendId\":");
    } else {
        buffer_append_literal(out, "],\"pageInfo\":{\"_tag\":\"MoreKnown\",\"remaining\":");
        buffer_append_u64(out, remaining);
        buffer_append_literal(out, "},\"backendId\":");
    }
    json_append_string(out, backend_id);
    buffer_append_byte(out, '}');
}

void sync_cf_append_server_ahead(struct buffer *out, uint64_t minimum_expected, uint64_t provided)
{
    buffer_append_literal(out, "{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":");
    buffer_append_u64(out, minimum_expected);
    buffer_append_literal(out, ",\"providedNum\":");
    buffer_append_u64(out, provided);
    buffer_append_byte(out, '}');
}

void sync_cf_append_backend_id_mismatch(struct buffer *out, struct slice expected,
                                        struct slice received)
{
    buffer_append_literal(out, "{\"_tag\":\"BackendIdMismatchError\",\"expected\":");
    json_append_string(out, expected);
    buffer_append_literal(out, ",\"received\":");
    json_append_string(out, received);
    buffer_append_byte(out, '}');
}

void sync_cf_append_unknown_error(struct buffer *out, struct slice cause)
{
    buffer_append_literal(out, "{\"_tag\":\"UnknownError\",\"cause\":");
    json_append_string(out, cause);
    buffer_append_byte(out, '}');
}
