/* json_stream: see json_stream.h. Between http and effect_rpc. Owns the object under way.
 *
 *   before the object ──{──▶ inside (depth ≥ 1; strings are passed over) ──} at depth 1──▶ reported
 *
 * Between objects only white space, commas and the array's own brackets may stand. */
#include "proto/json_stream.h"

void json_stream_init(struct json_stream *stream, size_t object_bytes_max)
{
    *stream = (struct json_stream){0};
    buffer_init(&stream->text, object_bytes_max);
}

void json_stream_deinit(struct json_stream *stream)
{
    buffer_deinit(&stream->text);
}

static enum json_stream_event fail(struct json_stream *stream, enum sluice_status status,
                                   const char *what)
{
    stream->failed = true;
    (void)error_set(&stream->error, status, "%s", what);
    return JSON_STREAM_ERROR;
}

/* A byte between objects. False: it may not stand there. */
static bool between(struct json_stream *stream, char byte)
{
    switch (byte) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return true;
    case '[':
        if (stream->in_array || stream->any) {
            return false;
        }
        stream->in_array = true;
        return true;
    case ',':
        return stream->in_array && stream->any && !stream->ended;
    case ']':
        if (!stream->in_array || stream->ended) {
            return false;
        }
        stream->ended = true;
        return true;
    default:
        return false;
    }
}

/* Passes over bytes inside an object, up to its end; how many there were. */
static size_t inside(struct json_stream *stream, struct slice input)
{
    size_t at = 0;
    while (at < input.bytes && stream->depth > 0) {
        char byte = input.data[at++];
        if (stream->escaped) {
            stream->escaped = false;
        } else if (stream->in_string) {
            stream->escaped = byte == '\\';
            stream->in_string = byte != '"';
        } else if (byte == '"') {
            stream->in_string = true;
        } else if (byte == '{' || byte == '[') {
            stream->depth++;
        } else if (byte == '}' || byte == ']') {
            stream->depth--;
        }
    }
    return at;
}

static struct slice rest_of(struct slice input, size_t taken)
{
    return slice_make(input.data + taken, input.bytes - taken);
}

enum json_stream_event json_stream_feed(struct json_stream *stream, struct slice *input)
{
    if (stream->failed) {
        return JSON_STREAM_ERROR;
    }
    if (stream->reported) {
        stream->reported = false;
        stream->object = SLICE_EMPTY;
        buffer_clear(&stream->text);
    }
    while (input->bytes > 0) {
        if (stream->depth == 0 && input->data[0] != '{') {
            if (!between(stream, input->data[0])) {
                return fail(stream, SLUICE_MALFORMED, "the answer is not a JSON array of messages");
            }
            *input = rest_of(*input, 1);
            continue;
        }
        size_t taken = 0;
        if (stream->depth == 0) {
            if (stream->ended) {
                return fail(stream, SLUICE_MALFORMED, "something follows the answer's array");
            }
            stream->depth = 1;
            stream->any = true;
            taken = 1;
        }
        taken += inside(stream, rest_of(*input, taken));
        buffer_append(&stream->text, input->data, taken);
        *input = rest_of(*input, taken);
        enum sluice_status status = buffer_status(&stream->text);
        if (status != SLUICE_OK) {
            return fail(stream, status,
                        status == SLUICE_LIMIT ? "a message of the answer is too long"
                                               : "out of memory for a message of the answer");
        }
        if (stream->depth == 0) {
            stream->reported = true;
            stream->object = buffer_slice(&stream->text);
            return JSON_STREAM_OBJECT;
        }
    }
    return JSON_STREAM_NEED_MORE;
}

bool json_stream_complete(const struct json_stream *stream)
{
    return !stream->failed && stream->depth == 0 && stream->any &&
           stream->in_array == stream->ended;
}
