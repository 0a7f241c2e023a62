/* front: connections from accept to close, their time-outs, and the drain. See front.h.
 *
 *   front_accept ─▶ HEAD ─▶ BODY ─▶ EXCHANGE ─┬─▶ HEAD …        (keep-alive)
 *                    │                        └─▶ CLOSED
 *                    └─▶ SESSION (front_ws_upgrade) ─▶ CLOSED
 *   HEAD, BODY ─▶ CLOSED (front_http_refuse); anything ─▶ gone (on_closed)
 *
 * Owns every front_conn, its parsers and its timer. Loop thread. */
#include "endpoint/front_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* setter of the state machine above: asserts the legal predecessors */
void front_conn_enter(struct front_conn *conn, enum front_state state)
{
    enum front_state before = conn->state;
    switch (state) {
    case FRONT_HEAD:
        SLUICE_ASSERT(before == FRONT_EXCHANGE);
        break;
    case FRONT_BODY:
        SLUICE_ASSERT(before == FRONT_HEAD);
        break;
    case FRONT_EXCHANGE:
        SLUICE_ASSERT(before == FRONT_BODY);
        break;
    case FRONT_SESSION:
        SLUICE_ASSERT(before == FRONT_HEAD);
        break;
    case FRONT_CLOSED:
        break;
    }
    conn->state = state;
    conn->since_ms = net_loop_now_ms(conn->front->options.loop);
    if (state == FRONT_HEAD) {
        conn->heard_ms = conn->since_ms; /* idle from the end of its answer on, not from before */
        conn->since_ms = 0;
    }
    front_conn_arm(conn);
}

void front_conn_close(struct front_conn *conn)
{
    if (conn->state != FRONT_CLOSED) {
        front_conn_enter(conn, FRONT_CLOSED);
    }
    net_conn_close(conn->net, FRONT_CLOSE_TIMEOUT_MS);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When an HTTP connection without a request is closed. A request may be on its way to a connection
 * that looks idle, and a client whose request dies so may never ask again: so at a drain it gets a
 * moment to arrive, is answered, and only who was silent all the while is closed. */
static uint64_t idle_deadline_ms(const struct front_conn *conn)
{
    const struct front *front = conn->front;
    uint64_t deadline = conn->heard_ms + front->options.idle_timeout_ms;
    if (!front->draining) {
        return deadline;
    }
    uint64_t quiet_from =
        conn->heard_ms > front->draining_since_ms ? conn->heard_ms : front->draining_since_ms;
    return earlier(deadline, quiet_from + FRONT_DRAIN_QUIET_MS);
}

/* When the connection must be looked at again. */
static uint64_t deadline_ms(const struct front_conn *conn)
{
    const struct front_options *options = &conn->front->options;
    uint64_t deadline = UINT64_MAX;
    if (net_conn_output_bytes(conn->net) > 0) {
        deadline = net_conn_output_moved_ms(conn->net) + options->stall_timeout_ms;
    }
    switch (conn->state) {
    case FRONT_HEAD:
        return earlier(deadline, conn->since_ms != 0 ? conn->since_ms + options->head_timeout_ms
                                                     : idle_deadline_ms(conn));
    case FRONT_BODY:
        return earlier(deadline, conn->since_ms + options->body_timeout_ms);
    case FRONT_SESSION: {
        uint64_t silent_from = conn->pinged_ms > conn->heard_ms ? conn->pinged_ms : conn->heard_ms;
        deadline = earlier(deadline, silent_from + options->ping_interval_ms);
        return conn->session->timer_at_ms != 0 ? earlier(deadline, conn->session->timer_at_ms)
                                               : deadline;
    }
    case FRONT_EXCHANGE:
        deadline = earlier(deadline, net_loop_now_ms(options->loop) + options->stall_timeout_ms);
        return conn->http->timer_at_ms != 0 ? earlier(deadline, conn->http->timer_at_ms) : deadline;
    case FRONT_CLOSED:
        return UINT64_MAX; /* net_conn_close has its own */
    }
    return deadline;
}

/* Arms the timer when the next deadline is earlier than what it is armed for. Later ones are seen
 * when it fires, so that traffic costs no timer work. */
void front_conn_arm(struct front_conn *conn)
{
    uint64_t deadline = deadline_ms(conn);
    uint64_t now = net_loop_now_ms(conn->front->options.loop);
    if (deadline == UINT64_MAX || (conn->armed_ms != 0 && conn->armed_ms <= deadline)) {
        return;
    }
    conn->armed_ms = deadline > now ? deadline : now + 1;
    net_timer_start(conn->timer, conn->armed_ms - now);
}

static bool stalled(const struct front_conn *conn, uint64_t now)
{
    return net_conn_output_bytes(conn->net) > 0 &&
           now >= net_conn_output_moved_ms(conn->net) + conn->front->options.stall_timeout_ms;
}

static void session_due(struct front_conn *conn, uint64_t now)
{
    const struct front_options *options = &conn->front->options;
    struct session *session = conn->session;
    if (now >= conn->heard_ms + WS_RECEIVE_TIMES * options->ping_interval_ms) {
        net_conn_abort(conn->net); /* half-open: nobody is there to hear a goodbye */
        return;
    }
    uint64_t silent_from = conn->pinged_ms > conn->heard_ms ? conn->pinged_ms : conn->heard_ms;
    if (now >= silent_from + options->ping_interval_ms) {
        static const char PING[] = {(char)0x89, 0};
        conn->pinged_ms = now;
        net_conn_write(conn->net, PING, sizeof(PING));
    }
    if (session->timer_at_ms != 0 && now >= session->timer_at_ms) {
        session->timer_at_ms = 0;
        session->ops->timer(session->user);
    }
}

static void on_timer(void *user)
{
    struct front_conn *conn = user;
    const struct front_options *options = &conn->front->options;
    uint64_t now = net_loop_now_ms(options->loop);
    conn->armed_ms = 0;
    if (conn->state == FRONT_CLOSED) {
        return;
    }
    if (stalled(conn, now)) {
        net_conn_abort(conn->net);
        return;
    }
    if (conn->state == FRONT_HEAD && conn->since_ms == 0 && now >= idle_deadline_ms(conn)) {
        if (net_conn_output_bytes(conn->net) == 0 || conn->front->draining) {
            front_conn_close(conn);
        } else {
            conn->heard_ms = now; /* still reading its answer, which is for `stalled` to judge */
        }
    } else if (conn->state == FRONT_HEAD && conn->since_ms != 0 &&
               now >= conn->since_ms + options->head_timeout_ms) {
        front_http_refuse(conn, 408, "the request's head took too long\n");
    } else if (conn->state == FRONT_BODY && now >= conn->since_ms + options->body_timeout_ms) {
        front_http_refuse(conn, 408, "the request's body took too long\n");
    } else if (conn->state == FRONT_SESSION) {
        session_due(conn, now);
    } else if (conn->state == FRONT_EXCHANGE) {
        front_http_due(conn, now);
    }
    front_conn_arm(conn);
}

static void on_bytes(struct net_conn *net, char *data, size_t bytes)
{
    struct front_conn *conn = net_conn_user(net);
    conn->heard_ms = net_loop_now_ms(conn->front->options.loop);
    if (conn->state == FRONT_SESSION) {
        front_ws_bytes(conn, data, bytes);
    } else if (conn->state != FRONT_CLOSED) {
        front_http_bytes(conn, data, bytes);
    }
    if (conn->state != FRONT_CLOSED) {
        front_conn_arm(conn);
    }
}

static void on_ended(struct net_conn *net)
{
    struct front_conn *conn = net_conn_user(net);
    conn->peer_ended = true;
    if (conn->state != FRONT_EXCHANGE) {
        front_conn_close(conn);
    }
}

static void on_writable(struct net_conn *net)
{
    struct front_conn *conn = net_conn_user(net);
    if (conn->state == FRONT_SESSION) {
        front_ws_writable(conn);
    } else if (conn->state != FRONT_CLOSED) {
        front_http_writable(conn);
    }
}

static void check_drained(struct front *front)
{
    if (front->draining && front->conn_count == 0 && front->drained != NULL) {
        void (*drained)(void *user) = front->drained;
        front->drained = NULL;
        drained(front->drained_user);
    }
}

static void on_closed(struct net_conn *net)
{
    struct front_conn *conn = net_conn_user(net);
    struct front *front = conn->front;
    if (conn->session != NULL) {
        front_ws_closed(conn);
    }
    if (conn->http != NULL) {
        front_http_closed(conn);
    }
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        front->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
    net_timer_destroy(conn->timer);
    free(conn);
    front->conn_count--;
    check_drained(front);
}

static const struct net_conn_ops CONN_OPS = {
    .bytes = on_bytes,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
};

void front_accept(void *user, struct net_conn *net)
{
    struct front *front = user;
    struct front_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        net_conn_abort(net);
        return;
    }
    conn->front = front;
    conn->net = net;
    conn->heard_ms = net_loop_now_ms(front->options.loop);
    conn->timer = net_timer_create(front->options.loop, on_timer, conn);
    conn->http = front_http_create(conn);
    if (conn->timer == NULL || conn->http == NULL) {
        net_timer_destroy(conn->timer);
        front_http_destroy(conn->http);
        free(conn);
        net_conn_abort(net);
        return;
    }
    conn->next = front->conns;
    if (conn->next != NULL) {
        conn->next->previous = conn;
    }
    front->conns = conn;
    front->conn_count++;
    net_conn_open(net, &CONN_OPS, conn);
    if (front->draining || front->conn_count > front->options.connections_max) {
        front_http_refuse(conn, 503,
                          front->draining
                              ? "the server is going away; try again\n"
                              : "too many connections (--connections-max); try again later\n");
        return;
    }
    front_conn_arm(conn);
}

struct front *front_create(const struct front_options *options, const struct endpoint *endpoints,
                           unsigned endpoint_count)
{
    SLUICE_ASSERT(endpoint_count >= 1 && endpoint_count <= FRONT_ENDPOINTS_MAX);
    struct front *front = calloc(1, sizeof(*front));
    if (front == NULL) {
        return NULL;
    }
    front->options = *options;
    memcpy(front->endpoints, endpoints, endpoint_count * sizeof(*endpoints));
    front->endpoint_count = endpoint_count;
    return front;
}

void front_destroy(struct front *front)
{
    if (front != NULL) {
        SLUICE_ASSERT(front->conn_count == 0);
        SLUICE_ASSERT(front->inflight_bytes == 0);
        free(front);
    }
}

void front_drain(struct front *front, void (*drained)(void *user), void *user)
{
    front->draining = true;
    front->draining_since_ms = net_loop_now_ms(front->options.loop);
    front->drained = drained;
    front->drained_user = user;
    for (struct front_conn *conn = front->conns; conn != NULL; conn = conn->next) {
        if (conn->state == FRONT_SESSION) {
            conn->session->ops->drain(conn->session->user);
        } else if (conn->state == FRONT_EXCHANGE && !conn->http->ended && conn->http->ops != NULL &&
                   conn->http->ops->drain != NULL) {
            conn->http->ops->drain(conn->http->user);
        } else {
            front_conn_arm(conn); /* idle ones have less time now */
        }
    }
    check_drained(front);
}

bool front_draining(const struct front *front)
{
    return front->draining;
}

void front_abort_all(struct front *front)
{
    for (struct front_conn *conn = front->conns; conn != NULL; conn = conn->next) {
        net_conn_abort(conn->net);
    }
}

size_t front_connections(const struct front *front)
{
    return front->conn_count;
}

struct net_loop *front_loop(const struct front *front)
{
    return front->options.loop;
}

bool front_take_inflight(struct front *front, size_t bytes)
{
    if (bytes > front->options.inflight_bytes_max - front->inflight_bytes) {
        return false;
    }
    front->inflight_bytes += bytes;
    return true;
}

void front_give_inflight(struct front *front, size_t bytes)
{
    SLUICE_ASSERT(bytes <= front->inflight_bytes);
    front->inflight_bytes -= bytes;
}
