/* ws_parser: the way in (net → ws → proto), from bytes to messages; for the server and the client.
 *
 * Owns the buffer in which a split message is assembled; borrows the bytes fed, and unmasks them
 * where they lie. One parser belongs to one connection and one thread.
 *
 *             ┌────────── finish_fragment, finish_message, finish_control ───────────┐
 *             ▼                                                                      │
 *      STATE_HEADER ──────────────────────── begin_payload ─────────────────► STATE_PAYLOAD
 *             │                                                                      │
 *             └── fail ───────────────► STATE_DROPPING ◄─── fail, finish_close ──────┘
 *
 * Invariants:
 * - A frame's announced length is checked against the cap before any of its payload is looked at;
 *   memory follows the bytes that have arrived, never a length that was announced.
 * - What is reported does not depend on how the bytes were split: checks come in the order of the
 *   bytes that decide them.
 * - Between messages utf8_state is 0: a text that ends elsewhere is refused.
 * - Between messages the parser holds a buffer of at most KEPT_BYTES_MAX, often none. */
#include "ws/ws_parser.h"

#include <string.h>

#include "base/assert.h"
#include "base/utf8.h"

#define KEPT_BYTES_MAX 4096u

#define FIN 0x80u
#define RESERVED_BITS 0x70u
#define OPCODE_BITS 0x0Fu
#define CONTROL_BIT 0x08u
#define MASKED 0x80u
#define LENGTH_BITS 0x7Fu
#define LENGTH_16_BIT 126u
#define LENGTH_64_BIT 127u

enum state { STATE_HEADER, STATE_PAYLOAD, STATE_DROPPING };

void ws_parser_init(struct ws_parser *parser, enum ws_role role, size_t message_bytes_max)
{
    SLUICE_ASSERT(message_bytes_max >= WS_CONTROL_BYTES_MAX);
    memset(parser, 0, sizeof(*parser));
    parser->role = (uint8_t)role;
    parser->state = STATE_HEADER;
    buffer_init(&parser->message, message_bytes_max);
}

void ws_parser_deinit(struct ws_parser *parser)
{
    buffer_deinit(&parser->message);
}

static enum ws_event fail(struct ws_parser *parser, enum ws_close_code code, const char *problem)
{
    SLUICE_ASSERT(parser->state != STATE_DROPPING);
    parser->state = STATE_DROPPING;
    parser->close_code = (uint16_t)code;
    parser->problem = problem;
    parser->payload = SLICE_EMPTY;
    buffer_deinit(&parser->message);
    return WS_ERROR;
}

static enum ws_event protocol_error(struct ws_parser *parser, const char *problem)
{
    return fail(parser, WS_CLOSE_PROTOCOL_ERROR, problem);
}

/* Lets go of the message that the last call reported. */
static void release_reported(struct ws_parser *parser)
{
    parser->payload = SLICE_EMPTY;
    if (!parser->message_reported) {
        return;
    }
    parser->message_reported = false;
    if (parser->message.capacity > KEPT_BYTES_MAX) {
        buffer_deinit(&parser->message);
    } else {
        buffer_clear(&parser->message);
    }
}

static char *take(char **data, size_t *bytes_left, size_t bytes)
{
    char *taken = *data;
    if (bytes > 0) { /* the input may be NULL when it is empty */
        *data += bytes;
        *bytes_left -= bytes;
    }
    return taken;
}

/* Moves up to `bytes` to `out`; returns how many there were. */
static size_t take_copy(char **data, size_t *bytes_left, void *out, size_t bytes)
{
    size_t available = bytes < *bytes_left ? bytes : *bytes_left;
    if (available > 0) {
        memcpy(out, take(data, bytes_left, available), available);
    }
    return available;
}

/* ---- the frame's header ---- */

static bool frame_is_final(const struct ws_parser *parser)
{
    return (parser->header[0] & FIN) != 0;
}

static unsigned frame_opcode(const struct ws_parser *parser)
{
    return parser->header[0] & OPCODE_BITS;
}

static bool frame_is_control(const struct ws_parser *parser)
{
    return (parser->header[0] & CONTROL_BIT) != 0;
}

static bool frame_is_masked(const struct ws_parser *parser)
{
    return (parser->header[1] & MASKED) != 0;
}

static unsigned frame_length_code(const struct ws_parser *parser)
{
    return parser->header[1] & LENGTH_BITS;
}

/* How long the header's length is beyond its first two bytes: 0, 2 or 8. */
static unsigned extended_length_bytes(const struct ws_parser *parser)
{
    unsigned code = frame_length_code(parser);
    return code == LENGTH_64_BIT ? 8 : code == LENGTH_16_BIT ? 2 : 0;
}

static size_t header_bytes_wanted(const struct ws_parser *parser)
{
    if (parser->header_bytes < 2) {
        return 2;
    }
    return 2 + extended_length_bytes(parser) + (frame_is_masked(parser) ? 4 : 0);
}

/* What the opcode may not do here; NULL when all is well. */
static const char *opcode_problem(const struct ws_parser *parser)
{
    bool message_open = parser->message_opcode != WS_OP_CONTINUATION;
    switch (frame_opcode(parser)) {
    case WS_OP_CONTINUATION:
        return message_open ? NULL : "a continuation frame without a message to continue";
    case WS_OP_TEXT:
    case WS_OP_BINARY:
        return message_open ? "a new message inside a fragmented one" : NULL;
    case WS_OP_CLOSE:
    case WS_OP_PING:
    case WS_OP_PONG:
        if (!frame_is_final(parser)) {
            return "a fragmented control frame";
        }
        return frame_length_code(parser) > WS_CONTROL_BYTES_MAX
                   ? "a control frame of more than 125 bytes"
                   : NULL;
    default:
        return "a reserved opcode";
    }
}

/* What the first two bytes alone show to be wrong; NULL when all is well. */
static const char *first_bytes_problem(const struct ws_parser *parser)
{
    if ((parser->header[0] & RESERVED_BITS) != 0) {
        return "a reserved bit is set, without an extension that was agreed on";
    }
    if (parser->role == WS_SERVER && !frame_is_masked(parser)) {
        return "a client's frame without a mask";
    }
    if (parser->role == WS_CLIENT && frame_is_masked(parser)) {
        return "a server's frame with a mask";
    }
    return opcode_problem(parser);
}

static uint64_t frame_length(const struct ws_parser *parser)
{
    unsigned bytes = extended_length_bytes(parser);
    if (bytes == 0) {
        return frame_length_code(parser);
    }
    uint64_t length = 0;
    for (unsigned at = 0; at < bytes; at++) {
        length = length << 8 | parser->header[2 + at];
    }
    return length;
}

static const char *length_problem(const struct ws_parser *parser, uint64_t length)
{
    unsigned extended_bytes = extended_length_bytes(parser);
    if ((extended_bytes == 2 && length < LENGTH_16_BIT) ||
        (extended_bytes == 8 && length <= UINT16_MAX)) {
        return "a length that is not in its shortest form";
    }
    return length > INT64_MAX ? "a length of 2^63 or more" : NULL;
}

/* The header is whole: checks its length and makes ready for the payload. */
static enum ws_event begin_payload(struct ws_parser *parser)
{
    SLUICE_ASSERT(parser->state == STATE_HEADER);
    uint64_t length = frame_length(parser);
    const char *problem = length_problem(parser, length);
    if (problem != NULL) {
        return protocol_error(parser, problem);
    }
    if (!frame_is_control(parser)) {
        if (length > parser->message.bytes_max - parser->message.bytes) {
            return fail(parser, WS_CLOSE_TOO_BIG, "a message over the size limit");
        }
        if (parser->message_opcode == WS_OP_CONTINUATION) {
            parser->message_opcode = (uint8_t)frame_opcode(parser);
        }
    }
    if (frame_is_masked(parser)) {
        memcpy(parser->mask, parser->header + parser->header_bytes - 4, 4);
    }
    parser->payload_bytes = (size_t)length;
    parser->payload_bytes_left = (size_t)length;
    parser->header_bytes = 0;
    parser->control_bytes = 0;
    parser->state = STATE_PAYLOAD;
    return WS_NEED_MORE;
}

/* Collects the header. Leaves STATE_HEADER when it is whole; WS_ERROR when it is wrong. */
static enum ws_event read_header(struct ws_parser *parser, char **data, size_t *bytes_left)
{
    while (parser->state == STATE_HEADER) {
        size_t missing = header_bytes_wanted(parser) - parser->header_bytes;
        uint8_t *out = parser->header + parser->header_bytes;
        size_t bytes = take_copy(data, bytes_left, out, missing);
        parser->header_bytes = (uint8_t)(parser->header_bytes + bytes);
        if (bytes < missing) {
            return WS_NEED_MORE;
        }
        if (parser->header_bytes == 2) {
            const char *problem = first_bytes_problem(parser);
            if (problem != NULL) {
                return protocol_error(parser, problem);
            }
        }
        if (parser->header_bytes == header_bytes_wanted(parser)) {
            return begin_payload(parser);
        }
    }
    return WS_NEED_MORE;
}

/* ---- control frames ---- */

static enum ws_event finish_close(struct ws_parser *parser, struct slice payload)
{
    uint16_t code = WS_CLOSE_NO_STATUS;
    struct slice reason = SLICE_EMPTY;
    if (payload.bytes == 1) {
        return protocol_error(parser, "a close frame with half a close code");
    }
    if (payload.bytes >= 2) {
        code = (uint16_t)((uint8_t)payload.data[0] << 8 | (uint8_t)payload.data[1]);
        reason = slice_make(payload.data + 2, payload.bytes - 2);
        if (!ws_close_code_valid(code)) {
            return protocol_error(parser, "a close code that may not be sent");
        }
        if (!utf8_valid(reason)) {
            return fail(parser, WS_CLOSE_INVALID_DATA, "a close reason that is not UTF-8");
        }
    }
    parser->state = STATE_DROPPING;
    parser->close_code = code;
    parser->payload = reason;
    buffer_deinit(&parser->message);
    return WS_CLOSE;
}

static enum ws_event finish_control(struct ws_parser *parser, char *payload)
{
    if (frame_is_masked(parser)) {
        ws_mask(payload, parser->payload_bytes, parser->mask, 0);
    }
    struct slice whole = slice_make(payload, parser->payload_bytes);
    if (frame_opcode(parser) == WS_OP_CLOSE) {
        return finish_close(parser, whole);
    }
    parser->state = STATE_HEADER;
    parser->payload = whole;
    return frame_opcode(parser) == WS_OP_PING ? WS_PING : WS_PONG;
}

static enum ws_event read_control(struct ws_parser *parser, char **data, size_t *bytes_left)
{
    size_t missing = parser->payload_bytes_left;
    if (parser->control_bytes == 0 && *bytes_left >= missing) {
        return finish_control(parser, take(data, bytes_left, missing));
    }
    char *out = parser->control + parser->control_bytes;
    size_t bytes = take_copy(data, bytes_left, out, missing);
    parser->control_bytes = (uint8_t)(parser->control_bytes + bytes);
    parser->payload_bytes_left -= bytes;
    return parser->payload_bytes_left == 0 ? finish_control(parser, parser->control) : WS_NEED_MORE;
}

/* ---- data frames ---- */

static void unmask_piece(const struct ws_parser *parser, char *piece, size_t bytes)
{
    if (frame_is_masked(parser)) {
        ws_mask(piece, bytes, parser->mask, parser->payload_bytes - parser->payload_bytes_left);
    }
}

static enum ws_event not_utf8(struct ws_parser *parser)
{
    return fail(parser, WS_CLOSE_INVALID_DATA, "a text message that is not UTF-8");
}

static enum ws_event finish_message(struct ws_parser *parser, struct slice payload)
{
    bool text = parser->message_opcode == WS_OP_TEXT;
    parser->message_opcode = WS_OP_CONTINUATION;
    parser->state = STATE_HEADER;
    parser->payload = payload;
    return text ? WS_TEXT : WS_BINARY;
}

/* A message that is one frame, whole in the bytes fed: nothing is copied. */
static enum ws_event report_in_place(struct ws_parser *parser, char **data, size_t *bytes_left)
{
    char *payload = take(data, bytes_left, parser->payload_bytes);
    unmask_piece(parser, payload, parser->payload_bytes);
    struct slice whole = slice_make(payload, parser->payload_bytes);
    if (parser->message_opcode == WS_OP_TEXT && !utf8_valid(whole)) {
        return not_utf8(parser);
    }
    return finish_message(parser, whole);
}

/* Text is checked as it arrives, so that what cannot become UTF-8 is refused at once. */
static enum ws_event append_piece(struct ws_parser *parser, char **data, size_t *bytes_left)
{
    size_t missing = parser->payload_bytes_left;
    size_t bytes = missing < *bytes_left ? missing : *bytes_left;
    if (bytes == 0) {
        return WS_NEED_MORE;
    }
    char *piece = take(data, bytes_left, bytes);
    unmask_piece(parser, piece, bytes);
    parser->payload_bytes_left -= bytes;
    if (parser->message_opcode == WS_OP_TEXT &&
        !utf8_feed(&parser->utf8_state, slice_make(piece, bytes))) {
        return not_utf8(parser);
    }
    buffer_append(&parser->message, piece, bytes);
    if (buffer_status(&parser->message) != SLUICE_OK) {
        return fail(parser, WS_CLOSE_INTERNAL_ERROR, "no memory to assemble a message");
    }
    return WS_NEED_MORE;
}

/* The frame's last byte is there. A fragment that is not the last reports nothing. */
static enum ws_event finish_fragment(struct ws_parser *parser)
{
    if (!frame_is_final(parser)) {
        parser->state = STATE_HEADER;
        return WS_NEED_MORE;
    }
    if (parser->message_opcode == WS_OP_TEXT && parser->utf8_state != 0) {
        return not_utf8(parser);
    }
    parser->message_reported = true;
    return finish_message(parser, buffer_slice(&parser->message));
}

static enum ws_event read_data(struct ws_parser *parser, char **data, size_t *bytes_left)
{
    /* An empty `message` says that nothing of this frame has come before. */
    bool whole = frame_is_final(parser) && parser->message.bytes == 0 &&
                 *bytes_left >= parser->payload_bytes;
    if (whole) {
        return report_in_place(parser, data, bytes_left);
    }
    if (append_piece(parser, data, bytes_left) == WS_ERROR) {
        return WS_ERROR;
    }
    return parser->payload_bytes_left == 0 ? finish_fragment(parser) : WS_NEED_MORE;
}

enum ws_event ws_parser_feed(struct ws_parser *parser, char **data, size_t *bytes_left)
{
    release_reported(parser);
    if (parser->state == STATE_DROPPING) {
        (void)take(data, bytes_left, *bytes_left);
        return WS_NEED_MORE;
    }
    for (;;) {
        if (read_header(parser, data, bytes_left) == WS_ERROR) {
            return WS_ERROR;
        }
        if (parser->state == STATE_HEADER) {
            return WS_NEED_MORE;
        }
        enum ws_event event = frame_is_control(parser) ? read_control(parser, data, bytes_left)
                                                       : read_data(parser, data, bytes_left);
        /* A fragment that ended reports nothing: the next frame may be there already. */
        if (event != WS_NEED_MORE || parser->state == STATE_PAYLOAD) {
            return event;
        }
    }
}
