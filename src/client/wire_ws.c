/* wire_ws: see wire_ws.h.
 *
 *     wire_ws_init ──▶ handshake ── 101 and the right accept key ──▶ open
 *                          │ any other answer                         │ close, violation
 *                          └──────────────────▶ failed ◀──────────────┘ */
#include "client/wire_ws.h"

#include "base/error.h"
#include "client/refusal.h"
#include "http/http_writer.h"
#include "ws/ws_frame.h"

void wire_append_headers(struct buffer *out, const struct wire_request *request)
{
    http_write_header(out, "Host", request->url->authority);
    for (size_t i = 0; i < request->header_count; i++) {
        http_write_header(out, request->headers[i].name,
                          slice_of_string(request->headers[i].value));
    }
}

static void append_upgrade(struct buffer *out, const struct wire_request *request,
                           const struct wire_ws *wire)
{
    buffer_append_literal(out, "GET ");
    client_url_append_target(out, request->url, request->store_id, request->payload);
    buffer_append_literal(out, " HTTP/1.1\r\n");
    wire_append_headers(out, request);
    http_write_header(out, "Upgrade", SLICE("websocket"));
    http_write_header(out, "Connection", SLICE("Upgrade"));
    http_write_header(out, "Sec-WebSocket-Version", SLICE("13"));
    http_write_header(out, "Sec-WebSocket-Key", slice_make(wire->key, WS_KEY_BYTES));
    http_write_head_end(out);
}

void wire_ws_init(struct wire_ws *wire, const struct wire_request *request,
                  const uint8_t random[WS_NONCE_BYTES], size_t message_bytes_max,
                  struct buffer *out)
{
    *wire = (struct wire_ws){0};
    http_parser_init(&wire->http, HTTP_RESPONSES);
    ws_parser_init(&wire->ws, WS_CLIENT, message_bytes_max);
    ws_make_key(random, wire->key);
    append_upgrade(out, request, wire);
}

void wire_ws_deinit(struct wire_ws *wire)
{
    http_parser_deinit(&wire->http);
    ws_parser_deinit(&wire->ws);
}

static enum wire_ws_event fail(struct wire_ws *wire, const char *why)
{
    wire->failed = true;
    (void)error_set(&wire->failure.error, SLUICE_OFFLINE, "%s", why);
    return WIRE_WS_FAILED;
}

/* The answer's head is there: is it the upgrade that was asked for (RFC 6455 4.1)? */
static enum wire_ws_event check_answer(struct wire_ws *wire)
{
    const struct http_parser *http = &wire->http;
    if (http->status_code != 101) {
        wire->failed = true;
        refusal_fill(http, &wire->failure);
        return WIRE_WS_FAILED;
    }
    char accept[WS_ACCEPT_BYTES];
    ws_accept_key(slice_make(wire->key, WS_KEY_BYTES), accept);
    if (accept[0] == '=') {
        return fail(wire, "out of memory in the WebSocket handshake");
    }
    if (!http_parser_header_has_token(http, "upgrade", "websocket") || !http->upgrade) {
        return fail(wire,
                    "the server's 101 does not upgrade to a WebSocket: a proxy may be in between");
    }
    if (!slice_equal(http_parser_header(http, "sec-websocket-accept"),
                     slice_make(accept, sizeof(accept)))) {
        return fail(wire, "the server's Sec-WebSocket-Accept is not for our key: a proxy's cache?");
    }
    if (http_parser_header(http, "sec-websocket-extensions").data != NULL ||
        http_parser_header(http, "sec-websocket-protocol").data != NULL) {
        return fail(wire,
                    "the server chose a WebSocket extension or protocol that was not offered");
    }
    wire->open = true;
    return WIRE_WS_OPEN;
}

static enum wire_ws_event feed_handshake(struct wire_ws *wire, char **data, size_t *bytes_left)
{
    struct slice input = slice_make(*data, *bytes_left);
    enum http_event event = http_parser_feed(&wire->http, &input);
    *data += *bytes_left - input.bytes;
    *bytes_left = input.bytes;
    switch (event) {
    case HTTP_HEAD:
        return check_answer(wire);
    case HTTP_ERROR:
        wire->failed = true;
        (void)error_set(&wire->failure.error, SLUICE_OFFLINE,
                        "the answer is not HTTP (%s): is the URL a sync server's?",
                        wire->http.error.message);
        return WIRE_WS_FAILED;
    default:
        return WIRE_WS_NEED_MORE;
    }
}

static enum wire_ws_event closed_by_peer(struct wire_ws *wire)
{
    wire->failed = true;
    wire->close_code = wire->ws.close_code;
    (void)error_set(&wire->failure.error, SLUICE_OFFLINE,
                    "the server closed the connection (%u%s%.*s)", wire->ws.close_code,
                    wire->ws.payload.bytes > 0 ? ": " : "", SLICE_PRINT(wire->ws.payload));
    return WIRE_WS_FAILED;
}

/* A whole frame: header, mask and payload. */
static void append_frame(struct buffer *out, enum ws_opcode opcode, struct slice payload,
                         const uint8_t mask[4])
{
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    buffer_append(out, header, ws_frame_header_masked(header, opcode, payload.bytes, mask));
    size_t start = out->bytes;
    buffer_append_slice(out, payload);
    if (buffer_status(out) == SLUICE_OK && payload.bytes > 0) {
        ws_mask(out->data + start, payload.bytes, mask, 0);
    }
}

enum wire_ws_event wire_ws_feed(struct wire_ws *wire, char **data, size_t *bytes_left,
                                struct buffer *out, const uint8_t mask[4])
{
    if (wire->failed) {
        return WIRE_WS_FAILED;
    }
    if (!wire->open) {
        return feed_handshake(wire, data, bytes_left);
    }
    for (;;) {
        switch (ws_parser_feed(&wire->ws, data, bytes_left)) {
        case WS_NEED_MORE:
            return WIRE_WS_NEED_MORE;
        case WS_TEXT:
        case WS_BINARY: /* the reference's runtime has sent them for text */
            wire->text = wire->ws.payload;
            return WIRE_WS_TEXT;
        case WS_PING:
            append_frame(out, WS_OP_PONG, wire->ws.payload, mask);
            return WIRE_WS_PING;
        case WS_PONG:
            continue;
        case WS_CLOSE:
            return closed_by_peer(wire);
        case WS_ERROR:
            wire->failed = true;
            (void)error_set(&wire->failure.error, SLUICE_OFFLINE,
                            "the server broke the WebSocket protocol: %s", wire->ws.problem);
            return WIRE_WS_FAILED;
        }
    }
}

void wire_ws_append_text(struct buffer *out, struct slice text, const uint8_t mask[4])
{
    append_frame(out, WS_OP_TEXT, text, mask);
}
