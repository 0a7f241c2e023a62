/* front_ws: the WebSocket handshake and sessions. See front.h.
 *
 * A session answers pings and closes by itself; text goes to the endpoint. Binary messages are not
 * part of any protocol here and are refused with 1003. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "endpoint/front_internal.h"
#include "http/http_writer.h"
#include "ws/ws_frame.h"

#define HANDSHAKE_BYTES_MAX 1024u

/* What is wrong with a handshake, and the status to say it with; NULL: nothing. */
static const char *check_handshake(const struct http_parser *head, int *status)
{
    *status = 400;
    if (!slice_equal(head->method, SLICE("GET")) || head->version_minor < 1) {
        return "a WebSocket handshake is a GET of HTTP/1.1\n";
    }
    if (!slice_equal(http_parser_header(head, "sec-websocket-version"), SLICE("13"))) {
        *status = 426;
        return "WebSocket version 13 is needed\n";
    }
    if (!ws_key_valid(http_parser_header(head, "sec-websocket-key"))) {
        return "Sec-WebSocket-Key must be the base64 form of 16 bytes\n";
    }
    return NULL;
}

static void write_handshake(struct front_conn *conn)
{
    char accept[WS_ACCEPT_BYTES];
    struct buffer out;
    ws_accept_key(http_parser_header(&conn->http->parser, "sec-websocket-key"), accept);
    buffer_init(&out, HANDSHAKE_BYTES_MAX);
    http_write_status_line(&out, 101);
    http_write_header(&out, "upgrade", SLICE("websocket"));
    http_write_header(&out, "connection", SLICE("Upgrade"));
    http_write_header(&out, "sec-websocket-accept", slice_make(accept, sizeof(accept)));
    http_write_head_end(&out);
    net_conn_write_slice(conn->net, buffer_slice(&out));
    buffer_deinit(&out);
}

static void refuse(struct front_conn *conn, int status, const char *why)
{
    char text[sizeof(struct sluice_error) + 2];
    (void)snprintf(text, sizeof(text), "%s\n", why);
    front_http_refuse(conn, status, text);
}

void front_ws_upgrade(struct front_conn *conn, const struct endpoint *endpoint)
{
    int status = 0;
    struct sluice_error error = {0};
    const char *problem = check_handshake(&conn->http->parser, &status);
    if (problem != NULL) {
        front_http_refuse(conn, status, problem);
        return;
    }
    if (conn->front->draining) {
        front_http_refuse(conn, 503, "the server is going away; try again\n");
        return;
    }
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        front_http_refuse(conn, 503, "out of memory\n");
        return;
    }
    status = endpoint->upgrade(endpoint->user, &conn->http->request, &session->user, &error);
    if (status != 101) {
        free(session);
        refuse(conn, status, error.message);
        return;
    }
    write_handshake(conn);
    session->conn = conn;
    session->ops = endpoint->session_ops;
    ws_parser_init(&session->parser, WS_SERVER, conn->front->options.message_bytes_max);
    front_http_destroy(conn->http);
    conn->http = NULL;
    conn->session = session;
    front_conn_enter(conn, FRONT_SESSION);
    session->ops->opened(session->user, session);
}

void front_ws_closed(struct front_conn *conn)
{
    struct session *session = conn->session;
    session->ops->closed(session->user);
    if (session->inflight_bytes > 0) {
        front_give_inflight(conn->front, session->inflight_bytes);
    }
    ws_parser_deinit(&session->parser);
    free(session);
    conn->session = NULL;
}

static void send_close(struct session *session, uint16_t code, struct slice reason)
{
    struct buffer out;
    if (session->close_sent) {
        return;
    }
    session->close_sent = true;
    buffer_init(&out, 256);
    ws_append_close(&out, code, reason);
    net_conn_write_slice(session->conn->net, buffer_slice(&out));
    buffer_deinit(&out);
    front_conn_close(session->conn);
}

static void send_pong(struct session *session, struct slice payload)
{
    struct buffer out;
    buffer_init(&out, 256);
    ws_append_pong(&out, payload);
    net_conn_write_slice(session->conn->net, buffer_slice(&out));
    buffer_deinit(&out);
}

/* What a message that comes in pieces holds counts against the front's bound. */
static bool account_partial_message(struct session *session)
{
    struct front *front = session->conn->front;
    size_t held = session->parser.message.bytes;
    if (held > session->inflight_bytes) {
        if (!front_take_inflight(front, held - session->inflight_bytes)) {
            return false;
        }
    } else {
        front_give_inflight(front, session->inflight_bytes - held);
    }
    session->inflight_bytes = held;
    return true;
}

static void update_reading(struct session *session)
{
    if (session->paused_by_owner || session->paused_by_output) {
        net_conn_pause(session->conn->net);
    } else {
        net_conn_resume(session->conn->net);
    }
}

void front_ws_update_reading(struct front_conn *conn)
{
    update_reading(conn->session);
}

/* A peer that asks but does not read its answers is not read from either. */
static void pause_when_full(struct session *session)
{
    if (net_conn_full(session->conn->net)) {
        session->paused_by_output = true;
        update_reading(session);
    }
}

void front_ws_writable(struct front_conn *conn)
{
    struct session *session = conn->session;
    session->paused_by_output = false;
    update_reading(session);
    session->ops->writable(session->user);
}

void front_ws_bytes(struct front_conn *conn, char *data, size_t bytes)
{
    struct session *session = conn->session;
    while (conn->state == FRONT_SESSION) {
        switch (ws_parser_feed(&session->parser, &data, &bytes)) {
        case WS_NEED_MORE:
            if (!account_partial_message(session)) {
                session_close(session, WS_CLOSE_TRY_AGAIN_LATER,
                              "the server holds too many messages (--inflight-bytes-max)");
            }
            return;
        case WS_TEXT:
            session->ops->message(session->user, session->parser.payload);
            pause_when_full(session);
            break;
        case WS_BINARY:
            session_close(session, WS_CLOSE_UNSUPPORTED_DATA,
                          "binary messages are not part of this protocol: send text");
            break;
        case WS_PING:
            send_pong(session, session->parser.payload);
            pause_when_full(session);
            break;
        case WS_PONG:
            break;
        case WS_CLOSE:
            send_close(session, session->parser.close_code, SLICE_EMPTY);
            break;
        case WS_ERROR:
            send_close(session, session->parser.close_code,
                       session->parser.close_code == WS_CLOSE_TOO_BIG
                           ? SLICE("the message is larger than the limit (--message-bytes-max)")
                           : slice_of_string(session->parser.problem));
            break;
        }
    }
}

void session_send(struct session *session, struct slice before, struct shared *shared,
                  struct slice after)
{
    struct net_conn *net = session->conn->net;
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    size_t bytes = before.bytes + after.bytes + (shared != NULL ? shared->bytes.bytes : 0);
    if (session->close_sent) {
        return;
    }
    net_conn_write(net, header, ws_frame_header(header, WS_OP_TEXT, bytes));
    net_conn_write_slice(net, before);
    if (shared != NULL) {
        net_conn_write_shared(net, shared);
    }
    net_conn_write_slice(net, after);
    if (session->conn->armed_ms == 0 || net_conn_full(net)) {
        front_conn_arm(session->conn);
    }
}

bool session_full(const struct session *session)
{
    return net_conn_full(session->conn->net);
}

void session_pause(struct session *session)
{
    session->paused_by_owner = true;
    update_reading(session);
}

void session_resume(struct session *session)
{
    session->paused_by_owner = false;
    update_reading(session);
}

void session_close(struct session *session, enum ws_close_code code, const char *reason)
{
    send_close(session, (uint16_t)code, slice_of_string(reason));
}

bool session_closing(const struct session *session)
{
    return session->close_sent || net_conn_closing(session->conn->net);
}

void session_start_timer(struct session *session, uint64_t delay_ms)
{
    session->timer_at_ms = net_loop_now_ms(session->conn->front->options.loop) + delay_ms;
    front_conn_arm(session->conn);
}

void session_stop_timer(struct session *session)
{
    session->timer_at_ms = 0;
}

const char *session_peer(const struct session *session)
{
    return net_conn_peer(session->conn->net);
}
