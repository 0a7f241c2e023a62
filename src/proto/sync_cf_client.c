/* sync_cf_client: see sync_cf_client.h. Between effect_rpc_client and the client's core. Owns
 * nothing.
 */
#include "proto/sync_cf_client.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "proto/event_json.h"
#include "proto/fields.h"

static void append_query_start(struct buffer *out, const struct sync_cf_query *query)
{
    buffer_append_literal(out, "{\"storeId\":");
    json_append_string(out, query->store_id);
    if (query->payload.bytes > 0) {
        buffer_append_literal(out, ",\"payload\":");
        buffer_append_slice(out, query->payload);
    }
}

void sync_cf_append_pull(struct buffer *out, const struct sync_cf_query *query, uint64_t seq_num,
                         bool over_ws, bool live)
{
    append_query_start(out, query);
    if (over_ws) {
        buffer_append_slice(out, live ? SLICE(",\"live\":true") : SLICE(",\"live\":false"));
    }
    if (seq_num == 0 || query->backend_id.bytes == 0) {
        buffer_append_literal(out, ",\"cursor\":{\"_tag\":\"None\"}}");
        return;
    }
    buffer_append_literal(out, ",\"cursor\":{\"_tag\":\"Some\",\"value\":{\"backendId\":");
    json_append_string(out, query->backend_id);
    buffer_append_literal(out, ",\"eventSequenceNumber\":");
    buffer_append_u64(out, seq_num);
    buffer_append_literal(out, "}}}");
}

void sync_cf_append_push_start(struct buffer *out, const struct sync_cf_query *query)
{
    append_query_start(out, query);
    buffer_append_literal(out, ",\"batch\":[");
}

void sync_cf_append_push_event(struct buffer *out, const struct event *event, bool first)
{
    if (!first) {
        buffer_append_byte(out, ',');
    }
    event_json_append(out, event);
}

void sync_cf_append_push_end(struct buffer *out, const struct sync_cf_query *query)
{
    if (query->backend_id.bytes == 0) {
        buffer_append_literal(out, "],\"backendId\":{\"_tag\":\"None\"}}");
        return;
    }
    buffer_append_literal(out, "],\"backendId\":{\"_tag\":\"Some\",\"value\":");
    json_append_string(out, query->backend_id);
    buffer_append_literal(out, "}}");
}

void sync_cf_append_ping(struct buffer *out, const struct sync_cf_query *query)
{
    append_query_start(out, query);
    buffer_append_byte(out, '}');
}

/* {"_tag":"Some","value":{…,"createdAt":"…"}}; anything else is a time that is not known. */
static void read_metadata(struct json_reader *reader, struct event *event)
{
    struct slice value = SLICE_EMPTY;
    struct slice key;
    struct slice text = SLICE_EMPTY;
    struct json_reader before = *reader;
    (void)json_skip(reader, NULL);
    if (field_option(&before, "metadata", &value, NULL) != SLUICE_OK || value.data == NULL) {
        return;
    }
    struct json_reader fields;
    json_reader_init(&fields, value);
    if (json_peek(&fields) != JSON_OBJECT || !json_enter_object(&fields)) {
        return;
    }
    while (json_next_key(&fields, &key)) {
        if (json_key_is(key, "createdAt") && json_peek(&fields) == JSON_STRING) {
            (void)json_read_string(&fields, &text);
        } else {
            (void)json_skip(&fields, NULL);
        }
    }
    (void)clock_parse_iso8601(text, &event->created_at_ms);
}

/* {"eventEncoded":{…},"metadata":…} */
static enum sluice_status decode_item(struct json_reader *reader, struct arena *arena,
                                      struct event *out, struct sluice_error *error)
{
    struct slice key;
    bool has_event = false;
    enum sluice_status status = SLUICE_OK;
    struct event event = {0};
    struct event metadata = {.created_at_ms = SYNC_CF_NO_TIME};
    if (json_peek(reader) != JSON_OBJECT || !json_enter_object(reader)) {
        return error_set(error, SLUICE_INVALID, "an item must be an object");
    }
    while (status == SLUICE_OK && json_next_key(reader, &key)) {
        if (json_key_is(key, "eventEncoded")) {
            status = event_json_decode(reader, arena, &event, error);
            has_event = true;
        } else if (json_key_is(key, "metadata")) {
            read_metadata(reader, &metadata);
        } else {
            (void)json_skip(reader, NULL);
        }
    }
    if (status == SLUICE_OK && !has_event) {
        status = field_missing(error, "eventEncoded");
    }
    if (status == SLUICE_OK) {
        event.created_at_ms = metadata.created_at_ms;
        *out = event;
    }
    return status;
}

static enum sluice_status decode_batch(struct json_reader *reader, struct arena *arena,
                                       struct sync_cf_page *page, struct sluice_error *error)
{
    if (json_peek(reader) != JSON_ARRAY) {
        return error_set(error, SLUICE_INVALID, "page.batch must be an array");
    }
    size_t count = 0;
    struct json_reader counting = *reader;
    (void)json_enter_array(&counting);
    while (json_next_item(&counting) && json_skip(&counting, NULL)) {
        count++;
    }
    page->events = arena_alloc(arena, (count + 1) * sizeof(*page->events));
    if (page->events == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a page of %zu events", count);
    }
    page->event_count = 0;
    (void)json_enter_array(reader);
    while (json_next_item(reader)) {
        struct sluice_error detail = {0};
        enum sluice_status status =
            decode_item(reader, arena, &page->events[page->event_count], &detail);
        if (status != SLUICE_OK) {
            return error_set(error, status, "page.batch[%zu]: %s", page->event_count,
                             detail.message);
        }
        page->event_count++;
    }
    return SLUICE_OK;
}

/* NoMore, MoreKnown with remaining, MoreUnknown. What is not known counts as MoreUnknown. */
static enum sluice_status decode_page_info(struct json_reader *reader, struct sync_cf_page *page,
                                           struct sluice_error *error)
{
    struct slice key;
    struct slice tag = SLICE_EMPTY;
    uint64_t remaining = 0;
    enum sluice_status status = SLUICE_OK;
    if (json_peek(reader) != JSON_OBJECT || !json_enter_object(reader)) {
        return error_set(error, SLUICE_INVALID, "page.pageInfo must be an object");
    }
    while (status == SLUICE_OK && json_next_key(reader, &key)) {
        if (json_key_is(key, "_tag") && json_peek(reader) == JSON_STRING) {
            (void)json_read_string(reader, &tag);
        } else if (json_key_is(key, "remaining")) {
            status = field_u53(reader, "page.pageInfo.remaining", &remaining, error);
        } else {
            (void)json_skip(reader, NULL);
        }
    }
    page->more = SYNC_CF_MORE_UNKNOWN;
    page->remaining = 0;
    if (tag.data != NULL && json_key_is(tag, "NoMore")) {
        page->more = SYNC_CF_NO_MORE;
    } else if (tag.data != NULL && json_key_is(tag, "MoreKnown")) {
        page->more = SYNC_CF_MORE_KNOWN;
        page->remaining = remaining;
    }
    return status;
}

enum sluice_status sync_cf_decode_page(struct slice value, struct arena *arena,
                                       struct sync_cf_page *out, struct sluice_error *error)
{
    enum { BATCH = 1, INFO = 2, BACKEND = 4 };
    static const char *const FIELDS[] = {"page.batch", "page.pageInfo", "page.backendId"};
    struct json_reader reader;
    struct slice key;
    struct sync_cf_page page = {0};
    unsigned seen = 0;
    enum sluice_status status = SLUICE_OK;
    json_reader_init(&reader, value);
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return error_set(error, SLUICE_INVALID, "a page must be an object");
    }
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "batch")) {
            status = decode_batch(&reader, arena, &page, error);
            seen |= BATCH;
        } else if (json_key_is(key, "pageInfo")) {
            status = decode_page_info(&reader, &page, error);
            seen |= INFO;
        } else if (json_key_is(key, "backendId")) {
            status = field_string(&reader, FIELDS[2], arena, &page.backend_id, error);
            seen |= BACKEND;
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    for (unsigned i = 0; status == SLUICE_OK && i < 3; i++) {
        if ((seen & (1u << i)) == 0) {
            status = field_missing(error, FIELDS[i]);
        }
    }
    if (status == SLUICE_OK &&
        (page.backend_id.bytes == 0 || page.backend_id.bytes > BACKEND_ID_BYTES_MAX)) {
        status = error_set(error, SLUICE_INVALID, "page.backendId must have 1 to %u bytes",
                           BACKEND_ID_BYTES_MAX);
    }
    if (status == SLUICE_OK) {
        *out = page;
    }
    return status;
}

struct error_fields {
    struct slice tag;
    struct slice cause; /* JSON text */
    struct slice minimum, provided;
    struct slice expected, received;
    struct slice message;
};

static bool read_error_fields(struct slice body, struct error_fields *fields)
{
    struct json_reader reader;
    struct slice key;
    *fields = (struct error_fields){0};
    json_reader_init(&reader, body);
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return false;
    }
    while (json_next_key(&reader, &key)) {
        struct slice *field = json_key_is(key, "_tag")                 ? &fields->tag
                              : json_key_is(key, "cause")              ? &fields->cause
                              : json_key_is(key, "minimumExpectedNum") ? &fields->minimum
                              : json_key_is(key, "providedNum")        ? &fields->provided
                              : json_key_is(key, "expected")           ? &fields->expected
                              : json_key_is(key, "received")           ? &fields->received
                              : json_key_is(key, "message")            ? &fields->message
                                                                       : NULL;
        (void)json_skip(&reader, field);
    }
    return fields->tag.data != NULL && fields->tag.data[0] == '"';
}

static bool number_of(struct slice text, uint64_t *out)
{
    unsigned long long value = 0;
    if (text.data == NULL || !slice_to_u64(text, &value) || value > SEQ_NUM_MAX) {
        return false;
    }
    *out = value;
    return true;
}

/* The string that a JSON text is, or an empty slice. */
static enum sluice_status string_of(struct slice text, struct arena *arena, struct slice *out)
{
    *out = SLICE_EMPTY;
    if (text.bytes < 2 || text.data[0] != '"') {
        return SLUICE_OK;
    }
    enum sluice_status status =
        json_decode_string(slice_make(text.data + 1, text.bytes - 2), arena, out, NULL);
    return status == SLUICE_NO_MEMORY ? status : SLUICE_OK;
}

static bool has_tag(const struct error_fields *fields, const char *name)
{
    return json_key_is(slice_make(fields->tag.data + 1, fields->tag.bytes - 2), name);
}

/* Whether these are an error that the protocol has a name for; then `*out` is filled. */
static enum sluice_status read_known(const struct error_fields *fields, struct arena *arena,
                                     struct sync_cf_error *out, bool *known)
{
    struct sync_cf_error found = {0};
    enum sluice_status status = SLUICE_OK;
    *known = false;
    if (has_tag(fields, "ServerAheadError") &&
        number_of(fields->minimum, &found.minimum_expected)) {
        (void)number_of(fields->provided, &found.provided);
        found.status = SLUICE_SERVER_AHEAD;
        *known = true;
    } else if (has_tag(fields, "BackendIdMismatchError")) {
        found.status = SLUICE_BACKEND_ID_MISMATCH;
        status = string_of(fields->expected, arena, &found.expected);
        if (status == SLUICE_OK) {
            status = string_of(fields->received, arena, &found.received);
        }
        *known = status == SLUICE_OK;
    }
    if (*known) {
        *out = found;
    }
    return status;
}

enum sluice_status sync_cf_decode_error(struct slice body, struct arena *arena,
                                        struct sync_cf_error *out)
{
    struct error_fields fields;
    bool known = false;
    struct sync_cf_error unknown = {.status = SLUICE_UNKNOWN, .text = body};
    if (!read_error_fields(body, &fields)) {
        *out = unknown;
        return SLUICE_OK;
    }
    enum sluice_status status = read_known(&fields, arena, out, &known);
    if (status != SLUICE_OK || known) {
        return status;
    }
    struct error_fields inner;
    if (fields.cause.data != NULL && read_error_fields(fields.cause, &inner)) {
        status = read_known(&inner, arena, out, &known);
        if (status != SLUICE_OK || known) {
            return status;
        }
    }
    struct slice text = SLICE_EMPTY;
    status = string_of(fields.cause.data != NULL ? fields.cause : fields.message, arena, &text);
    if (status != SLUICE_OK) {
        return status;
    }
    if (text.bytes > 0) {
        unknown.text = text;
    }
    *out = unknown;
    return SLUICE_OK;
}
