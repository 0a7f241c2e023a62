/* front_http: HTTP requests in, responses out. See front.h.
 *
 * One request at a time a connection: while an endpoint answers, and while the peer does not read
 * its answers (`awaits_room`), reading is paused, and what had already come of a next request waits
 * in the backlog (at most one read's worth, counted as in flight), or is dropped when the
 * connection closes after this answer. Every response carries the CORS headers, since browsers ask
 * from other origins. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "endpoint/front_internal.h"
#include "http/http_query.h"
#include "http/http_writer.h"

#define HEAD_BYTES_MAX 8192u
#define BACKLOG_BYTES_MAX (128u << 10)

static void drop_backlog(struct exchange *exchange)
{
    front_give_inflight(exchange->conn->front, exchange->backlog.bytes);
    buffer_deinit(&exchange->backlog);
}

struct exchange *front_http_create(struct front_conn *conn)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL) {
        return NULL;
    }
    exchange->conn = conn;
    http_parser_init(&exchange->parser, HTTP_REQUESTS);
    buffer_init(&exchange->body, conn->front->options.message_bytes_max);
    buffer_init(&exchange->backlog, BACKLOG_BYTES_MAX);
    return exchange;
}

void front_http_destroy(struct exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    if (exchange->inflight_bytes > 0) {
        front_give_inflight(exchange->conn->front, exchange->inflight_bytes);
    }
    http_parser_deinit(&exchange->parser);
    buffer_deinit(&exchange->body);
    drop_backlog(exchange);
    free(exchange);
}

void front_http_closed(struct front_conn *conn)
{
    struct exchange *exchange = conn->http;
    if (exchange->ops != NULL && !exchange->ended) {
        exchange->ops->aborted(exchange->user);
    }
    front_http_destroy(exchange);
    conn->http = NULL;
}

/* The head of a response, up to the headers that say how long the body is. What it says of the
 * connection is kept to: a client that read no `close` may have its next request on the way. */
static void write_head(struct buffer *head, struct exchange *exchange, int status,
                       const char *content_type)
{
    exchange->keep_alive = exchange->keep_alive && !exchange->conn->front->draining;
    http_write_status_line(head, status);
    if (content_type != NULL) {
        http_write_header(head, "content-type", slice_of_string(content_type));
    }
    http_write_header(head, "access-control-allow-origin", SLICE("*"));
    http_write_header(head, "cache-control", SLICE("no-store"));
    if (status == 426) {
        /* What to upgrade to: RFC 9110 15.5.22 and 7.8, RFC 6455 4.4. */
        http_write_header(head, "upgrade", SLICE("websocket"));
        http_write_header(head, "sec-websocket-version", SLICE("13"));
        http_write_header(head, "connection",
                          exchange->keep_alive ? SLICE("upgrade") : SLICE("upgrade, close"));
    } else if (!exchange->keep_alive) {
        http_write_header(head, "connection", SLICE("close"));
    } else if (exchange->parser.version_minor == 0) {
        /* Without it, an HTTP/1.0 client that asked for it waits for the end: RFC 9112 C.2.2. */
        http_write_header(head, "connection", SLICE("keep-alive"));
    }
}

static void finish(struct exchange *exchange);

static void respond(struct exchange *exchange, int status, const char *content_type,
                    struct slice body, struct slice extra_headers)
{
    struct net_conn *net = exchange->conn->net;
    struct buffer head;
    buffer_init(&head, HEAD_BYTES_MAX);
    write_head(&head, exchange, status, content_type);
    buffer_append_slice(&head, extra_headers);
    if (status != 204 && status != 304 && status >= 200) {
        http_write_header_u64(&head, "content-length", body.bytes);
    }
    http_write_head_end(&head);
    if (buffer_status(&head) != SLUICE_OK) {
        net_conn_abort(net);
    } else {
        net_conn_write_slice(net, buffer_slice(&head));
        if (!exchange->head_only && status != 204) {
            net_conn_write_slice(net, body);
        }
    }
    buffer_deinit(&head);
}

void front_http_refuse(struct front_conn *conn, int status, const char *why)
{
    struct exchange *exchange = conn->http;
    exchange->keep_alive = false;
    exchange->ended = true;
    respond(exchange, status, "text/plain; charset=utf-8", slice_of_string(why), SLICE_EMPTY);
    front_conn_close(conn);
}

static void refuse_parse_error(struct front_conn *conn)
{
    struct exchange *exchange = conn->http;
    char why[sizeof(exchange->parser.error.message) + 2];
    size_t bytes = strlen(exchange->parser.error.message);
    memcpy(why, exchange->parser.error.message, bytes);
    memcpy(why + bytes, "\n", 2);
    front_http_refuse(conn, exchange->parser.error_http_status, why);
}

/* The head is there: who answers, and is it a WebSocket? False: the connection is no longer HTTP,
 * or closing. */
static bool start_request(struct front_conn *conn)
{
    struct exchange *exchange = conn->http;
    const struct http_parser *parser = &exchange->parser;
    struct front *front = conn->front;
    struct sluice_error error;
    struct request *request = &exchange->request;
    request->method = parser->method;
    request->head = parser;
    request->peer = net_conn_peer(conn->net);
    exchange->keep_alive = parser->keep_alive && !front->draining;
    exchange->head_only = slice_equal(parser->method, SLICE("HEAD"));
    exchange->ended = false;
    exchange->ops = NULL;
    if (http_target_split(parser->target, &request->path, &request->query, &error) != SLUICE_OK) {
        front_http_refuse(conn, 400, "cannot understand the request target\n");
        return false;
    }
    unsigned chosen = 0;
    while (chosen < front->endpoint_count - 1 &&
           !front->endpoints[chosen].claims(front->endpoints[chosen].user, request)) {
        chosen++;
    }
    exchange->endpoint = &front->endpoints[chosen];
    if (parser->upgrade && exchange->endpoint->upgrade != NULL &&
        http_parser_header_has_token(parser, "upgrade", "websocket")) {
        if (parser->chunked || parser->content_length > 0) {
            front_http_refuse(conn, 400, "a WebSocket handshake has no body\n");
            return false;
        }
        front_ws_upgrade(conn, exchange->endpoint);
        return false;
    }
    if (parser->has_content_length && parser->content_length > front->options.message_bytes_max) {
        front_http_refuse(conn, 413,
                          "the body is larger than the message limit (--message-bytes-max)\n");
        return false;
    }
    if (parser->expect_continue) {
        static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
        net_conn_write(conn->net, CONTINUE, sizeof(CONTINUE) - 1);
    }
    front_conn_enter(conn, FRONT_BODY);
    return true;
}

static bool take_body(struct front_conn *conn, struct slice piece)
{
    struct exchange *exchange = conn->http;
    if (!front_take_inflight(conn->front, piece.bytes)) {
        front_http_refuse(conn, 503,
                          "the server holds too many messages (--inflight-bytes-max); try again\n");
        return false;
    }
    exchange->inflight_bytes += piece.bytes;
    buffer_append_slice(&exchange->body, piece);
    enum sluice_status status = buffer_status(&exchange->body);
    if (status != SLUICE_OK) {
        front_http_refuse(conn, sluice_status_http(status),
                          status == SLUICE_LIMIT
                              ? "the body is larger than the message limit (--message-bytes-max)\n"
                              : "out of memory\n");
        return false;
    }
    return true;
}

/* It may wait for as long as a stream lives, so it counts. What will never be answered is not kept.
 */
static void keep_for_later(struct front_conn *conn, struct slice bytes)
{
    struct buffer *backlog = &conn->http->backlog;
    if (!conn->http->keep_alive) {
        return;
    }
    if (!front_take_inflight(conn->front, bytes.bytes)) {
        net_conn_abort(conn->net);
        return;
    }
    buffer_append_slice(backlog, bytes);
    if (buffer_status(backlog) != SLUICE_OK) {
        front_give_inflight(conn->front, bytes.bytes);
        net_conn_abort(conn->net);
    }
}

/* After a response: true when the connection goes on with a next request. */
static bool next_request(struct front_conn *conn)
{
    struct exchange *exchange = conn->http;
    if (net_conn_closing(conn->net) || conn->state != FRONT_EXCHANGE) {
        return false;
    }
    if (!exchange->keep_alive || conn->peer_ended) {
        front_conn_close(conn);
        return false;
    }
    http_parser_reset(&exchange->parser);
    exchange->head_only = false; /* a refusal of what comes next has its body */
    front_conn_enter(conn, FRONT_HEAD);
    return true;
}

/* The request is complete: the endpoint answers, now or later. True when it has been answered and
 * the connection goes on; else what came of the next request waits. */
static bool dispatch(struct front_conn *conn, struct slice rest)
{
    struct exchange *exchange = conn->http;
    front_conn_enter(conn, FRONT_EXCHANGE);
    exchange->dispatching = true;
    exchange->endpoint->request(exchange->endpoint->user, exchange);
    exchange->dispatching = false;
    if (exchange->ended) {
        return next_request(conn);
    }
    keep_for_later(conn, rest);
    net_conn_pause(conn->net);
    return false;
}

/* After a response: a peer that asks on and on but does not read its answers is not read from
 * either. True: what came of the next request waits for front_http_writable. */
static bool await_room(struct front_conn *conn, struct slice rest)
{
    if (!net_conn_full(conn->net)) {
        return false;
    }
    conn->http->awaits_room = true;
    keep_for_later(conn, rest);
    net_conn_pause(conn->net);
    return true;
}

void front_http_bytes(struct front_conn *conn, char *data, size_t bytes)
{
    struct slice input = slice_make(data, bytes);
    struct exchange *exchange = conn->http;
    if (conn->state == FRONT_EXCHANGE || exchange->awaits_room) {
        keep_for_later(conn, input); /* reading is paused, but this was already on its way */
        return;
    }
    for (;;) {
        if (conn->state == FRONT_HEAD && conn->since_ms == 0 && input.bytes > 0) {
            conn->since_ms = conn->heard_ms;
        }
        switch (http_parser_feed(&exchange->parser, &input)) {
        case HTTP_NEED_MORE:
            return;
        case HTTP_HEAD:
            if (!start_request(conn)) {
                if (conn->state == FRONT_SESSION && input.bytes > 0) {
                    size_t used = (size_t)(input.data - data);
                    front_ws_bytes(conn, data + used, bytes - used);
                }
                return;
            }
            break;
        case HTTP_BODY:
            if (!take_body(conn, exchange->parser.piece)) {
                return;
            }
            break;
        case HTTP_END:
            if (!dispatch(conn, input) || await_room(conn, input)) {
                return;
            }
            break;
        case HTTP_ERROR:
            refuse_parse_error(conn);
            return;
        }
    }
}

/* Goes on with what came while reading was paused. */
static void take_backlog(struct front_conn *conn)
{
    struct buffer backlog = conn->http->backlog;
    front_give_inflight(conn->front, backlog.bytes);
    buffer_init(&conn->http->backlog, BACKLOG_BYTES_MAX);
    if (backlog.bytes > 0) {
        front_http_bytes(conn, backlog.data, backlog.bytes);
    }
    buffer_deinit(&backlog);
    bool is_http = conn->http != NULL;
    if (is_http && conn->state != FRONT_EXCHANGE && !conn->http->awaits_room) {
        net_conn_resume(conn->net);
    } else if (conn->state == FRONT_SESSION) {
        front_ws_update_reading(conn);
    }
}

void front_http_writable(struct front_conn *conn)
{
    struct exchange *exchange = conn->http;
    if (exchange->awaits_room) {
        exchange->awaits_room = false;
        take_backlog(conn);
        if (conn->state != FRONT_CLOSED) {
            front_conn_arm(conn);
        }
    } else if (conn->state == FRONT_EXCHANGE && exchange->ops != NULL && !exchange->ended) {
        exchange->ops->writable(exchange->user);
    }
}

/* The response is complete: on to the next request, or to the end. */
static void finish(struct exchange *exchange)
{
    struct front_conn *conn = exchange->conn;
    SLUICE_ASSERT(!exchange->ended);
    exchange->ended = true;
    exchange->ops = NULL;
    exchange->timer_at_ms = 0;
    front_give_inflight(conn->front, exchange->inflight_bytes);
    exchange->inflight_bytes = 0;
    buffer_deinit(&exchange->body);
    if (!exchange->dispatching && next_request(conn) && !await_room(conn, SLICE_EMPTY)) {
        take_backlog(conn);
    }
}

const struct request *exchange_request(const struct exchange *exchange)
{
    return &exchange->request;
}

struct slice exchange_body(const struct exchange *exchange)
{
    return buffer_slice(&exchange->body);
}

void exchange_watch(struct exchange *exchange, const struct exchange_ops *ops, void *user)
{
    exchange->ops = ops;
    exchange->user = user;
}

void exchange_respond(struct exchange *exchange, int status, const char *content_type,
                      struct slice body, struct slice extra_headers)
{
    SLUICE_ASSERT(exchange->conn->state == FRONT_EXCHANGE && !exchange->ended);
    respond(exchange, status, content_type, body, extra_headers);
    finish(exchange);
}

void exchange_close_after(struct exchange *exchange)
{
    exchange->keep_alive = false;
    drop_backlog(exchange);
}

void exchange_start(struct exchange *exchange, int status, const char *content_type,
                    struct slice extra_headers)
{
    SLUICE_ASSERT(exchange->conn->state == FRONT_EXCHANGE && !exchange->ended);
    struct buffer head;
    buffer_init(&head, HEAD_BYTES_MAX);
    exchange->chunked = exchange->parser.version_minor >= 1;
    exchange->keep_alive = exchange->keep_alive && exchange->chunked;
    write_head(&head, exchange, status, content_type);
    buffer_append_slice(&head, extra_headers);
    if (exchange->chunked) {
        http_write_header(&head, "transfer-encoding", SLICE("chunked"));
    }
    http_write_head_end(&head);
    if (buffer_status(&head) != SLUICE_OK) {
        net_conn_abort(exchange->conn->net);
    }
    net_conn_write_slice(exchange->conn->net, buffer_slice(&head));
    buffer_deinit(&head);
}

void exchange_write(struct exchange *exchange, struct slice before, struct shared *shared,
                    struct slice after)
{
    struct net_conn *net = exchange->conn->net;
    size_t bytes = before.bytes + after.bytes + (shared != NULL ? shared->bytes.bytes : 0);
    if (exchange->head_only || bytes == 0) {
        return;
    }
    if (exchange->chunked) {
        char space[32];
        struct buffer line;
        buffer_init(&line, sizeof(space));
        http_write_chunk_start(&line, bytes);
        net_conn_write_slice(net, buffer_slice(&line));
        buffer_deinit(&line);
    }
    net_conn_write_slice(net, before);
    if (shared != NULL) {
        net_conn_write_shared(net, shared);
    }
    net_conn_write_slice(net, after);
    if (exchange->chunked) {
        net_conn_write_slice(net, SLICE(HTTP_CHUNK_END));
    }
    front_conn_arm(exchange->conn);
}

void exchange_end(struct exchange *exchange)
{
    if (exchange->chunked && !exchange->head_only) {
        net_conn_write_slice(exchange->conn->net, SLICE(HTTP_LAST_CHUNK));
    }
    finish(exchange);
}

void exchange_abort(struct exchange *exchange)
{
    net_conn_abort(exchange->conn->net);
}

bool exchange_full(const struct exchange *exchange)
{
    return net_conn_full(exchange->conn->net);
}

void exchange_start_timer(struct exchange *exchange, uint64_t delay_ms)
{
    exchange->timer_at_ms = net_loop_now_ms(exchange->conn->front->options.loop) + delay_ms;
    front_conn_arm(exchange->conn);
}

void front_http_due(struct front_conn *conn, uint64_t now_ms)
{
    struct exchange *exchange = conn->http;
    if (!exchange->ended && exchange->timer_at_ms != 0 && now_ms >= exchange->timer_at_ms) {
        exchange->timer_at_ms = 0;
        exchange->ops->timer(exchange->user);
    }
}
