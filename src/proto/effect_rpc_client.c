/* effect_rpc_client: see effect_rpc_client.h. Between ws/http and the client's core. Owns nothing;
 * runs on whatever thread calls it. */
#include "proto/effect_rpc_client.h"

#include "base/limits.h"

void rpc_append_request_start(struct buffer *out, uint64_t id, const char *tag)
{
    buffer_append_literal(out, "{\"_tag\":\"Request\",\"id\":\"");
    buffer_append_u64(out, id);
    buffer_append_literal(out, "\",\"tag\":\"");
    buffer_append_slice(out, slice_of_string(tag));
    buffer_append_literal(out, "\",\"headers\":[],\"payload\":");
}

static void append_reference(struct buffer *out, const char *kind, uint64_t id)
{
    buffer_append_literal(out, "{\"_tag\":\"");
    buffer_append_slice(out, slice_of_string(kind));
    buffer_append_literal(out, "\",\"requestId\":\"");
    buffer_append_u64(out, id);
    buffer_append_literal(out, "\"}");
}

void rpc_append_ack(struct buffer *out, uint64_t id)
{
    append_reference(out, "Ack", id);
}

void rpc_append_interrupt(struct buffer *out, uint64_t id)
{
    append_reference(out, "Interrupt", id);
}

/* The `_tag` of an object, NULL data when it has none. `reader` is a copy, so nothing is consumed.
 */
static struct slice tag_of(struct json_reader reader)
{
    struct slice key;
    struct slice tag = SLICE_EMPTY;
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return tag;
    }
    while (json_next_key(&reader, &key)) {
        if (json_key_is(key, "_tag") && json_peek(&reader) == JSON_STRING) {
            (void)json_read_string(&reader, &tag);
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    return tag;
}

static bool tag_is(struct slice tag, const char *name)
{
    return tag.data != NULL && json_key_is(tag, name);
}

/* The text of a field of an object, NULL data when it has none. */
static struct slice member(struct slice object, const char *name)
{
    struct json_reader reader;
    struct slice key;
    struct slice found = SLICE_EMPTY;
    json_reader_init(&reader, object);
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return found;
    }
    while (json_next_key(&reader, &key)) {
        (void)json_skip(&reader, json_key_is(key, name) ? &found : NULL);
    }
    return found;
}

struct cause {
    struct slice fail; /* NULL data: none */
    struct slice die;
    bool interrupted;
};

/* Adds what a cause says: one part, an array of parts (v4), or two causes in one (v3: Sequential
 * and Parallel with left and right). As deep as the JSON, which is bounded. */
static void read_cause(struct slice text, struct cause *cause, unsigned depth)
{
    struct json_reader reader;
    json_reader_init(&reader, text);
    if (depth > JSON_DEPTH_MAX) {
        return;
    }
    if (json_peek(&reader) == JSON_ARRAY) {
        struct slice part = SLICE_EMPTY;
        (void)json_enter_array(&reader);
        while (json_next_item(&reader) && json_skip(&reader, &part)) {
            read_cause(part, cause, depth + 1);
        }
        return;
    }
    struct slice tag = tag_of(reader);
    if (tag_is(tag, "Fail") && cause->fail.data == NULL) {
        cause->fail = member(text, "error");
    } else if (tag_is(tag, "Die") && cause->die.data == NULL) {
        cause->die = member(text, "defect");
    } else if (tag_is(tag, "Interrupt")) {
        cause->interrupted = true;
    } else if (tag_is(tag, "Sequential") || tag_is(tag, "Parallel")) {
        read_cause(member(text, "left"), cause, depth + 1);
        read_cause(member(text, "right"), cause, depth + 1);
    }
}

static void read_failure(struct slice cause_text, struct rpc_reply *reply)
{
    struct cause cause = {0};
    if (cause_text.data != NULL) {
        read_cause(cause_text, &cause, 0);
    }
    if (cause.fail.data != NULL) {
        reply->kind = RPC_REPLY_FAIL;
        reply->body = cause.fail;
    } else if (cause.die.data != NULL || !cause.interrupted) {
        reply->kind = RPC_REPLY_DIE;
        reply->body = cause.die.data != NULL ? cause.die : SLICE("null");
    } else {
        reply->kind = RPC_REPLY_INTERRUPTED;
    }
}

static bool invalid(struct rpc_reply *reply, const char *problem)
{
    reply->kind = RPC_REPLY_INVALID;
    reply->problem = problem;
    return true;
}

static bool read_exit(struct slice exit, struct rpc_reply *reply)
{
    struct json_reader reader;
    json_reader_init(&reader, exit);
    struct slice tag = exit.data != NULL ? tag_of(reader) : SLICE_EMPTY;
    if (tag_is(tag, "Success")) {
        struct slice value = member(exit, "value");
        reply->kind = RPC_REPLY_SUCCESS;
        reply->body = value.data != NULL ? value : SLICE("null");
        return true;
    }
    if (tag_is(tag, "Failure")) {
        read_failure(member(exit, "cause"), reply);
        return true;
    }
    return invalid(reply, "an Exit must have an exit, a Success or a Failure");
}

/* Ours are digits. Servers echo them as they are, but a number is read as well. */
static void read_id(struct slice text, struct rpc_reply *reply)
{
    unsigned long long id = 0;
    if (text.bytes >= 2 && text.data[0] == '"') {
        text = slice_make(text.data + 1, text.bytes - 2);
    }
    if (text.data != NULL && slice_to_u64(text, &id)) {
        reply->has_id = true;
        reply->id = id;
    }
}

static bool read_reply(struct slice message, struct rpc_reply *reply)
{
    struct json_reader reader;
    json_reader_init(&reader, message);
    *reply = (struct rpc_reply){0};
    if (json_peek(&reader) != JSON_OBJECT) {
        return invalid(reply, "a message must be a JSON object with a _tag");
    }
    struct slice tag = tag_of(reader);
    if (tag.data == NULL) {
        return invalid(reply, "a message must have a _tag, a string");
    }
    if (tag_is(tag, "Pong")) {
        reply->kind = RPC_REPLY_PONG;
        return true;
    }
    if (tag_is(tag, "Defect")) {
        struct slice defect = member(message, "defect");
        reply->kind = RPC_REPLY_DEFECT;
        reply->body = defect.data != NULL ? defect : SLICE("null");
        return true;
    }
    if (tag_is(tag, "Chunk")) {
        struct slice values = member(message, "values");
        if (values.data == NULL || values.data[0] != '[') {
            return invalid(reply, "a Chunk must have values, an array");
        }
        reply->kind = RPC_REPLY_CHUNK;
        reply->body = values;
    } else if (tag_is(tag, "Exit")) {
        if (!read_exit(member(message, "exit"), reply) || reply->kind == RPC_REPLY_INVALID) {
            return true;
        }
    } else {
        reply->kind = RPC_REPLY_OTHER;
        return true;
    }
    read_id(member(message, "requestId"), reply);
    return true;
}

bool rpc_reply_next(struct rpc_frame *frame, struct rpc_reply *reply)
{
    struct slice message = SLICE_EMPTY;
    if (frame->done) {
        return false;
    }
    if (frame->is_array && !json_next_item(&frame->reader)) {
        frame->done = true;
        return false;
    }
    frame->done = !frame->is_array;
    if (!json_skip(&frame->reader, &message)) {
        frame->done = true;
        return false;
    }
    return read_reply(message, reply);
}
