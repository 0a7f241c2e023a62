/* effect_rpc: see effect_rpc.h. Between ws/http (frames, bodies) and the endpoint. Owns nothing;
 * runs on whatever thread calls it. */
#include "proto/effect_rpc.h"

#include "base/limits.h"

enum sluice_status rpc_frame_open(struct rpc_frame *frame, struct slice text,
                                  struct sluice_error *error)
{
    enum sluice_status status = json_validate(text, error);
    if (status != SLUICE_OK) {
        return status;
    }
    *frame = (struct rpc_frame){0};
    json_reader_init(&frame->reader, text);
    frame->is_array = json_peek(&frame->reader) == JSON_ARRAY;
    if (frame->is_array) {
        (void)json_enter_array(&frame->reader);
    }
    return SLUICE_OK;
}

static bool invalid(struct rpc_message *message, const char *problem)
{
    message->kind = RPC_INVALID;
    message->problem = problem;
    return true;
}

/* An id is a JSON string or number of bounded length; anything else leaves `id` empty. */
static void read_id(struct json_reader *reader, struct rpc_message *message)
{
    enum json_kind kind = json_peek(reader);
    struct slice raw = SLICE_EMPTY;
    if (!json_skip(reader, &raw)) {
        return;
    }
    if ((kind == JSON_STRING || kind == JSON_NUMBER) && raw.bytes <= REQUEST_ID_BYTES_MAX) {
        message->id = raw;
        message->dialect = kind == JSON_NUMBER ? RPC_V4 : RPC_V3;
    }
}

static bool read_string(struct json_reader *reader, struct slice *out)
{
    if (json_peek(reader) == JSON_STRING) {
        return json_read_string(reader, out);
    }
    return json_skip(reader, NULL);
}

/* Reads one message object. Fields may come in any order; unknown ones are ignored. */
static bool read_message(struct json_reader *reader, struct rpc_message *message)
{
    struct slice kind = SLICE_EMPTY;
    struct slice key;
    *message = (struct rpc_message){.payload = SLICE("null")};
    if (json_peek(reader) != JSON_OBJECT) {
        (void)json_skip(reader, NULL);
        return invalid(message, "a message must be a JSON object with a _tag");
    }
    (void)json_enter_object(reader);
    while (json_next_key(reader, &key)) {
        if (json_key_is(key, "_tag")) {
            (void)read_string(reader, &kind);
        } else if (json_key_is(key, "id") || json_key_is(key, "requestId")) {
            read_id(reader, message);
        } else if (json_key_is(key, "tag")) {
            (void)read_string(reader, &message->tag);
        } else if (json_key_is(key, "payload")) {
            (void)json_skip(reader, &message->payload);
        } else {
            (void)json_skip(reader, NULL);
        }
    }
    if (kind.data == NULL) {
        return invalid(message, "a message must have a _tag, a string");
    }
    if (json_key_is(kind, "Ping")) {
        message->kind = RPC_PING;
        return true;
    }
    if (json_key_is(kind, "Eof")) {
        message->kind = RPC_EOF;
        return true;
    }
    if (json_key_is(kind, "Request")) {
        message->kind = RPC_REQUEST;
    } else if (json_key_is(kind, "Ack")) {
        message->kind = RPC_ACK;
    } else if (json_key_is(kind, "Interrupt")) {
        message->kind = RPC_INTERRUPT;
    } else {
        return invalid(message,
                       "unknown message _tag: Request, Ack, Interrupt, Ping or Eof is expected");
    }
    if (message->id.data == NULL) {
        return invalid(message, "the request id must be a string or a number of at most 128 bytes");
    }
    if (message->kind == RPC_REQUEST && message->tag.data == NULL) {
        return invalid(message, "a Request must have a tag, the name of a procedure");
    }
    return true;
}

bool rpc_frame_next(struct rpc_frame *frame, struct rpc_message *message)
{
    if (frame->done) {
        return false;
    }
    if (!frame->is_array) {
        frame->done = true;
        return read_message(&frame->reader, message);
    }
    bool first = frame->reader.fresh;
    if (json_next_item(&frame->reader)) {
        return read_message(&frame->reader, message);
    }
    frame->done = true;
    if (first) {
        *message = (struct rpc_message){0};
        return invalid(message, "an empty array holds no message");
    }
    return false;
}

void rpc_append_chunk_start(struct buffer *out, struct slice id)
{
    buffer_append_literal(out, "{\"_tag\":\"Chunk\",\"requestId\":");
    buffer_append_slice(out, id);
    buffer_append_literal(out, ",\"values\":[");
}

static void append_exit_start(struct buffer *out, struct slice id)
{
    buffer_append_literal(out, "{\"_tag\":\"Exit\",\"requestId\":");
    buffer_append_slice(out, id);
    buffer_append_literal(out, ",\"exit\":");
}

void rpc_append_exit_success(struct buffer *out, struct slice id, struct slice value)
{
    append_exit_start(out, id);
    buffer_append_literal(out, "{\"_tag\":\"Success\",\"value\":");
    buffer_append_slice(out, value);
    buffer_append_literal(out, "}}");
}

/* v3 has one cause where v4 has an array of them. */
static void append_failure_start(struct buffer *out, struct slice id, enum rpc_dialect dialect)
{
    append_exit_start(out, id);
    buffer_append_literal(out, "{\"_tag\":\"Failure\",\"cause\":");
    if (dialect == RPC_V4) {
        buffer_append_byte(out, '[');
    }
}

static void append_failure_end(struct buffer *out, enum rpc_dialect dialect)
{
    if (dialect == RPC_V4) {
        buffer_append_byte(out, ']');
    }
    buffer_append_literal(out, "}}");
}

void rpc_append_exit_fail(struct buffer *out, struct slice id, enum rpc_dialect dialect,
                          struct slice error_json)
{
    append_failure_start(out, id, dialect);
    buffer_append_literal(out, "{\"_tag\":\"Fail\",\"error\":");
    buffer_append_slice(out, error_json);
    buffer_append_byte(out, '}');
    append_failure_end(out, dialect);
}

void rpc_append_exit_die(struct buffer *out, struct slice id, enum rpc_dialect dialect,
                         struct slice why)
{
    append_failure_start(out, id, dialect);
    buffer_append_literal(out, "{\"_tag\":\"Die\",\"defect\":");
    json_append_string(out, why);
    buffer_append_byte(out, '}');
    append_failure_end(out, dialect);
}

void rpc_append_exit_interrupt(struct buffer *out, struct slice id, enum rpc_dialect dialect)
{
    append_failure_start(out, id, dialect);
    if (dialect == RPC_V4) {
        buffer_append_literal(out, "{\"_tag\":\"Interrupt\",\"fiberId\":null}");
    } else {
        buffer_append_literal(out, "{\"_tag\":\"Interrupt\",\"fiberId\":{\"_tag\":\"None\"}}");
    }
    append_failure_end(out, dialect);
}

void rpc_append_defect(struct buffer *out, struct slice why)
{
    buffer_append_literal(out, "{\"_tag\":\"Defect\",\"defect\":");
    json_append_string(out, why);
    buffer_append_byte(out, '}');
}
