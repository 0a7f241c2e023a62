/* wire_http: see wire_http.h.
 *
 *   wire_http_start ──▶ head ── messages may come ──▶ body ──▶ end
 *                         └── refusal_by_head ──▶ failed ◀── not messages, cut
 *
 * A status that is an error does not matter where the body is made of messages: servers put the
 * answer there (docs/protocol.md). */
#include "client/wire_http.h"

#include "base/error.h"
#include "client/refusal.h"
#include "http/http_writer.h"

void wire_http_init(struct wire_http *wire, size_t message_bytes_max)
{
    *wire = (struct wire_http){0};
    http_parser_init(&wire->http, HTTP_RESPONSES);
    json_stream_init(&wire->stream, message_bytes_max);
}

void wire_http_deinit(struct wire_http *wire)
{
    http_parser_deinit(&wire->http);
    json_stream_deinit(&wire->stream);
}

void wire_http_start(struct wire_http *wire, const struct wire_request *request, size_t body_bytes,
                     struct buffer *out)
{
    size_t message_bytes_max = wire->stream.text.bytes_max;
    http_parser_reset(&wire->http);
    json_stream_deinit(&wire->stream);
    json_stream_init(&wire->stream, message_bytes_max);
    wire->failure = (struct sluice_failure){0};
    wire->heard = false;
    wire->failed = false;
    wire->piece = SLICE_EMPTY;
    buffer_append_literal(out, "POST ");
    client_url_append_target(out, request->url, request->store_id, request->payload);
    buffer_append_literal(out, " HTTP/1.1\r\n");
    wire_append_headers(out, request);
    http_write_header(out, "Content-Type", SLICE("application/json"));
    http_write_header(out, "Accept-Encoding", SLICE("identity"));
    http_write_header_u64(out, "Content-Length", body_bytes);
    http_write_head_end(out);
}

static bool is_success(const struct wire_http *wire)
{
    return wire->http.status_code >= 200 && wire->http.status_code < 300;
}

static enum wire_http_event refused(struct wire_http *wire)
{
    wire->failed = true;
    refusal_fill(&wire->http, &wire->failure);
    return WIRE_HTTP_FAILED;
}

static enum wire_http_event broken(struct wire_http *wire, const char *why)
{
    wire->failed = true;
    (void)error_set(&wire->failure.error, SLUICE_OFFLINE, "the server's answer cannot be read: %s",
                    why);
    return WIRE_HTTP_FAILED;
}

static enum wire_http_event take_head(struct wire_http *wire)
{
    struct slice coding = http_parser_header(&wire->http, "content-encoding");
    if (wire->http.status_code < 200) {
        return WIRE_HTTP_NEED_MORE; /* an interim answer (RFC 9110 15.2): the real one follows */
    }
    if (refusal_by_head(&wire->http)) {
        return refused(wire);
    }
    if (coding.bytes > 0 && !slice_equal_ignoring_case(coding, SLICE("identity"))) {
        return broken(wire, "it is compressed, which was not asked for");
    }
    return WIRE_HTTP_NEED_MORE;
}

/* The next message of the piece of the body that has come. */
static enum wire_http_event take_piece(struct wire_http *wire)
{
    switch (json_stream_feed(&wire->stream, &wire->piece)) {
    case JSON_STREAM_OBJECT:
        wire->message = wire->stream.object;
        return WIRE_HTTP_MESSAGE;
    case JSON_STREAM_ERROR:
        return is_success(wire) ? broken(wire, wire->stream.error.message) : refused(wire);
    default:
        return WIRE_HTTP_NEED_MORE;
    }
}

static enum wire_http_event take_end(struct wire_http *wire)
{
    if (!json_stream_complete(&wire->stream)) {
        return is_success(wire) ? broken(wire, "it ends too early, or is empty") : refused(wire);
    }
    wire->keep_alive = wire->http.keep_alive;
    return WIRE_HTTP_END;
}

enum wire_http_event wire_http_feed(struct wire_http *wire, struct slice *input)
{
    if (wire->failed) {
        return WIRE_HTTP_FAILED;
    }
    wire->heard = wire->heard || input->bytes > 0;
    for (;;) {
        if (wire->piece.bytes > 0) {
            enum wire_http_event event = take_piece(wire);
            if (event != WIRE_HTTP_NEED_MORE) {
                return event;
            }
        }
        enum wire_http_event event = WIRE_HTTP_NEED_MORE;
        switch (http_parser_feed(&wire->http, input)) {
        case HTTP_NEED_MORE:
            return WIRE_HTTP_NEED_MORE;
        case HTTP_HEAD:
            event = take_head(wire);
            break;
        case HTTP_BODY:
            wire->piece = wire->http.piece;
            break;
        case HTTP_END:
            if (wire->http.status_code >= 200) {
                return take_end(wire);
            }
            http_parser_reset(&wire->http);
            break;
        case HTTP_ERROR:
            return broken(wire, wire->http.error.message);
        }
        if (event != WIRE_HTTP_NEED_MORE) {
            return event;
        }
    }
}

enum wire_http_event wire_http_finish(struct wire_http *wire)
{
    if (wire->failed || http_parser_finish(&wire->http) != HTTP_END) {
        return wire->failed ? WIRE_HTTP_FAILED : broken(wire, "the connection ended in the middle");
    }
    enum wire_http_event event = take_end(wire);
    wire->keep_alive = false;
    return event;
}
