/* effect_rpc: see effect_rpc.h. Between ws/http (frames, bodies) and the endpoint. Owns nothing;
 * runs on whatever thread calls it. */
#include "proto/effect_rpc.h"

#include "base/limits.h"

/* A frame is answered in one go, so what it asks for must be bounded by more than its bytes: eight
 * million messages fit into one. `reader` is a copy. */
static enum sluice_status check_message_count(struct json_reader reader, struct sluice_error *error)
{
    size_t count = 0;
    (void)json_enter_array(&reader);
    while (json_next_item(&reader) && json_skip(&reader, NULL)) {
        if (++count > FRAME_MESSAGES_MAX) {
            return error_set(error, SLUICE_LIMIT, "a frame with more than %u messages; send fewer",
                             FRAME_MESSAGES_MAX);
        }
    }
    return SLUICE_OK;
}

/* An id that is its own JSON text beyond doubt: digits, or letters, digits and dashes in quotes. */
static bool is_plain_id(struct slice id)
{
    bool quoted = id.bytes > 2 && id.data[0] == '"' && id.data[id.bytes - 1] == '"';
    if (id.bytes == 0 || id.bytes > REQUEST_ID_BYTES_MAX ||
        (!quoted && id.bytes > 1 && id.data[0] == '0')) {
        return false;
    }
    for (size_t at = quoted ? 1 : 0; at < id.bytes - (quoted ? 1 : 0); at++) {
        char byte = id.data[at];
        bool digit = byte >= '0' && byte <= '9';
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '-';
        if (!digit && !(quoted && letter)) {
            return false;
        }
    }
    return true;
}

/* Of all messages most are Acks, one for each page that a client gets, and clients write them all
 * alike: these are known without reading JSON. Fills `id`. */
static bool is_plain_ack(struct slice text, struct slice *id)
{
    static const char START[] = "{\"_tag\":\"Ack\",\"requestId\":";
    const size_t start_bytes = sizeof(START) - 1;
    if (text.bytes < start_bytes + 2 || memcmp(text.data, START, start_bytes) != 0 ||
        text.data[text.bytes - 1] != '}') {
        return false;
    }
    *id = slice_make(text.data + start_bytes, text.bytes - start_bytes - 1);
    return is_plain_id(*id);
}

enum sluice_status rpc_frame_open(struct rpc_frame *frame, struct slice text,
                                  struct sluice_error *error)
{
    struct slice ack_id;
    if (is_plain_ack(text, &ack_id)) {
        *frame = (struct rpc_frame){.plain_ack = ack_id};
        return SLUICE_OK;
    }
    enum sluice_status status = json_validate(text, error);
    if (status != SLUICE_OK) {
        return status;
    }
    *frame = (struct rpc_frame){0};
    json_reader_init(&frame->reader, text);
    frame->is_array = json_peek(&frame->reader) == JSON_ARRAY;
    if (frame->is_array) {
        status = check_message_count(frame->reader, error);
        (void)json_enter_array(&frame->reader);
    }
    return status;
}

static bool invalid(struct rpc_message *message, const char *problem)
{
    message->kind = RPC_INVALID;
    message->problem = problem;
    return true;
}

/* An id is a JSON string or number of bounded length; anything else leaves `id` empty. */
static void read_id(struct json_reader *reader, struct slice *id)
{
    enum json_kind kind = json_peek(reader);
    struct slice raw = SLICE_EMPTY;
    if (!json_skip(reader, &raw)) {
        return;
    }
    if ((kind == JSON_STRING || kind == JSON_NUMBER) && raw.bytes <= REQUEST_ID_BYTES_MAX) {
        *id = raw;
    }
}

static bool read_string(struct json_reader *reader, struct slice *out)
{
    if (json_peek(reader) == JSON_STRING) {
        return json_read_string(reader, out);
    }
    return json_skip(reader, NULL);
}

/* The message's kind, from its _tag (NULL data: there was none). */
static bool name_kind(struct slice tag, struct rpc_message *message)
{
    static const struct {
        const char *tag;
        enum rpc_kind kind;
    } KINDS[] = {{"Ping", RPC_PING},
                 {"Request", RPC_REQUEST},
                 {"Ack", RPC_ACK},
                 {"Interrupt", RPC_INTERRUPT},
                 {"Eof", RPC_EOF}};
    for (size_t i = 0; tag.data != NULL && i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (json_key_is(tag, KINDS[i].tag)) {
            message->kind = KINDS[i].kind;
            return true;
        }
    }
    return false;
}

/* A Request has its id in `id`, an Ack and an Interrupt in `requestId`. Where the message's own
 * field has none, the other's serves to answer that. */
static bool take_id(struct slice own, struct slice other, struct rpc_message *message)
{
    message->id = own.data != NULL ? own : other;
    if (message->id.data != NULL) {
        message->dialect = message->id.data[0] == '"' ? RPC_V3 : RPC_V4;
    }
    return own.data != NULL;
}

struct fields {
    struct slice kind; /* _tag; NULL data: none, or not a string. So for the ids */
    struct slice id;
    struct slice request_id;
};

/* Reads one message object. Fields may come in any order; unknown ones are ignored. */
static void read_fields(struct json_reader *reader, struct fields *fields,
                        struct rpc_message *message)
{
    struct slice key;
    (void)json_enter_object(reader);
    while (json_next_key(reader, &key)) {
        if (json_key_is(key, "_tag")) {
            (void)read_string(reader, &fields->kind);
        } else if (json_key_is(key, "id")) {
            read_id(reader, &fields->id);
        } else if (json_key_is(key, "requestId")) {
            read_id(reader, &fields->request_id);
        } else if (json_key_is(key, "tag")) {
            (void)read_string(reader, &message->tag);
        } else if (json_key_is(key, "payload")) {
            (void)json_skip(reader, &message->payload);
        } else {
            (void)json_skip(reader, NULL);
        }
    }
}

static bool read_message(struct json_reader *reader, struct rpc_message *message)
{
    struct fields fields = {0};
    *message = (struct rpc_message){.payload = SLICE("null")};
    if (json_peek(reader) != JSON_OBJECT) {
        (void)json_skip(reader, NULL);
        return invalid(message, "a message must be a JSON object with a _tag");
    }
    read_fields(reader, &fields, message);
    bool known = name_kind(fields.kind, message);
    bool refers = known && (message->kind == RPC_ACK || message->kind == RPC_INTERRUPT);
    bool has_id = refers ? take_id(fields.request_id, fields.id, message)
                         : take_id(fields.id, fields.request_id, message);
    if (fields.kind.data == NULL) {
        return invalid(message, "a message must have a _tag, a string");
    }
    if (!known) {
        return invalid(message,
                       "unknown message _tag: Request, Ack, Interrupt, Ping or Eof is expected");
    }
    if (message->kind == RPC_PING || message->kind == RPC_EOF) {
        return true;
    }
    if (!has_id) {
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
    if (frame->plain_ack.bytes > 0) {
        frame->done = true;
        *message = (struct rpc_message){.kind = RPC_ACK, .payload = SLICE("null")};
        return take_id(frame->plain_ack, SLICE_EMPTY, message);
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
