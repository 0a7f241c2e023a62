/* electric: see electric.h. The page encoder also runs on reader threads. */
#include "proto/electric.h"

#include "base/json.h"
#include "base/limits.h"
#include "proto/fields.h"

#define INSERT_END "},\"headers\":{\"operation\":\"insert\",\"relation\":[\"public\",\"events\"]}}"

/* "17_0", "17_1", and "-1" for the start, as Electric itself writes it. */
static enum sluice_status decode_offset(struct slice text, struct electric_pull *out,
                                        struct sluice_error *error)
{
    unsigned long long number = 0;
    char last = text.bytes >= 3 ? text.data[text.bytes - 1] : '\0';
    if (slice_equal(text, SLICE("-1"))) {
        return SLUICE_OK;
    }
    if ((last != '0' && last != '1') || text.data[text.bytes - 2] != '_' ||
        !slice_to_u64(slice_make(text.data, text.bytes - 2), &number) || number > SEQ_NUM_MAX) {
        return error_set(error, SLUICE_INVALID, "handle.value.offset is not one of this server's");
    }
    out->seq_num = number;
    out->knows_end = last == '1';
    return SLUICE_OK;
}

static enum sluice_status decode_handle(struct slice text, struct arena *arena,
                                        struct electric_pull *out, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    struct slice offset = SLICE_EMPTY;
    enum sluice_status status = SLUICE_OK;
    json_reader_init(&reader, text);
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return error_set(error, SLUICE_INVALID, "handle.value must be an object");
    }
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "offset")) {
            status = field_string(&reader, "handle.value.offset", arena, &offset, error);
        } else if (json_key_is(key, "handle")) {
            status = field_string(&reader, "handle.value.handle", arena, &out->handle, error);
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (offset.data == NULL || out->handle.data == NULL) {
        return field_missing(error, "handle.value.offset or handle.value.handle");
    }
    out->has_handle = true;
    return decode_offset(offset, out, error);
}

enum sluice_status electric_decode_pull(struct slice args, struct arena *arena,
                                        struct electric_pull *out, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    struct slice handle = SLICE_EMPTY;
    struct electric_pull pull = {0};
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
        } else if (json_key_is(key, "handle")) {
            status = field_option(&reader, "handle", &handle, error);
        } else if (json_key_is(key, "live")) {
            status = field_bool(&reader, "live", &pull.live, error);
            has_live = true;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && pull.store_id.data == NULL) {
        status = field_missing(error, "storeId");
    }
    if (status == SLUICE_OK && !has_live) {
        status = field_missing(error, "live");
    }
    if (status == SLUICE_OK && handle.data != NULL) {
        status = decode_handle(handle, arena, &pull, error);
    }
    if (status == SLUICE_OK) {
        *out = pull;
    }
    return status;
}

void electric_page_start(struct buffer *out)
{
    buffer_append_byte(out, '[');
}

/* Values are strings, as Electric sends rows; args is JSON text in a string. */
void electric_page_event(struct buffer *out, const struct event *event, bool first)
{
    if (!first) {
        buffer_append_byte(out, ',');
    }
    buffer_append_literal(out, "{\"key\":\"\\\"public\\\".\\\"events\\\"/\\\"");
    buffer_append_u64(out, event->seq_num);
    buffer_append_literal(out, "\\\"\",\"value\":{\"seqNum\":\"");
    buffer_append_u64(out, event->seq_num);
    buffer_append_literal(out, "\",\"parentSeqNum\":\"");
    buffer_append_u64(out, event->parent_seq_num);
    buffer_append_literal(out, "\",\"name\":");
    json_append_string(out, event->name);
    buffer_append_literal(out, ",\"args\":");
    json_append_string(out, event->args);
    buffer_append_literal(out, ",\"clientId\":");
    json_append_string(out, event->client_id);
    buffer_append_literal(out, ",\"sessionId\":");
    json_append_string(out, event->session_id);
    buffer_append_literal(out, INSERT_END);
}

void electric_page_end(struct buffer *out, bool any_event, bool up_to_date)
{
    if (up_to_date) {
        if (any_event) {
            buffer_append_byte(out, ',');
        }
        buffer_append_literal(out, "{\"headers\":{\"control\":\"up-to-date\"}}");
    }
    buffer_append_byte(out, ']');
}

void electric_append_offset(struct buffer *out, uint64_t seq_num, bool knows_end)
{
    buffer_append_u64(out, seq_num);
    buffer_append_slice(out, knows_end ? SLICE("_1") : SLICE("_0"));
}
