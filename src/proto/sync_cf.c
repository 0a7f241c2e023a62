/* sync_cf: see sync_cf.h. Between effect_rpc and the endpoint. Owns nothing; the page encoder also
 * runs on reader threads. */
#include "proto/sync_cf.h"

#include "base/clock.h"
#include "base/json.h"
#include "proto/event_json.h"
#include "proto/fields.h"

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
            status = field_string(&reader, "cursor.value.backendId", arena, &out->cursor_backend_id,
                                  error);
        } else if (json_key_is(key, "eventSequenceNumber")) {
            status =
                field_u53(&reader, "cursor.value.eventSequenceNumber", &out->cursor_seq_num, error);
            has_seq_num = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (out->cursor_backend_id.data == NULL) {
        return field_missing(error, "cursor.value.backendId");
    }
    if (!has_seq_num) {
        return field_missing(error, "cursor.value.eventSequenceNumber");
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
            status = field_string(&reader, "storeId", arena, &pull.store_id, error);
        } else if (json_key_is(key, "live") && wants_live) {
            status = field_bool(&reader, "live", &pull.live, error);
            has_live = true;
        } else if (json_key_is(key, "cursor")) {
            status = field_option(&reader, "cursor", &cursor, error);
            has_cursor = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && pull.store_id.data == NULL) {
        status = field_missing(error, "storeId");
    }
    if (status == SLUICE_OK && wants_live && !has_live) {
        status = field_missing(error, "live");
    }
    if (status == SLUICE_OK && !has_cursor) {
        status = field_missing(error, "cursor");
    }
    if (status == SLUICE_OK && cursor.data != NULL) {
        status = decode_cursor(cursor, arena, &pull, error);
    }
    if (status == SLUICE_OK) {
        *out = pull;
    }
    return status;
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
    return field_string(&reader, "backendId.value", arena, &push->backend_id, error);
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
            status = field_string(&reader, "storeId", arena, &push.store_id, error);
        } else if (json_key_is(key, "batch")) {
            status =
                event_json_decode_batch(&reader, arena, &push.events, &push.event_count, error);
        } else if (json_key_is(key, "backendId")) {
            status = field_option(&reader, "backendId", &backend_id, error);
            has_backend_id = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && push.store_id.data == NULL) {
        status = field_missing(error, "storeId");
    }
    if (status == SLUICE_OK && push.events == NULL) {
        status = field_missing(error, "batch");
    }
    if (status == SLUICE_OK && !has_backend_id) {
        status = field_missing(error, "backendId");
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
            status = field_string(&reader, "storeId", arena, &found, error);
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && found.data == NULL) {
        status = field_missing(error, "storeId");
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
    buffer_append_literal(out, "{\"eventEncoded\":");
    event_json_append(out, event);
    buffer_append_literal(out, ",\"metadata\":{\"_tag\":\"Some\",\"value\":{\"_tag\":"
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
