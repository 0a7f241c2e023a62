/* front: accepted connections, HTTP requests and WebSocket sessions, and who answers them.
 *
 * The front owns each connection from accept to close: it feeds the parsers, keeps the time-outs,
 * bounds what a peer may make it hold, and asks its endpoints, in order, who claims a request. An
 * endpoint answers through a `struct exchange` (one HTTP request and its response) or a `struct
 * session` (one WebSocket). Loop thread. */
#ifndef SLUICE_ENDPOINT_FRONT_H
#define SLUICE_ENDPOINT_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/shared.h"
#include "base/slice.h"
#include "http/http_parser.h"
#include "net/net.h"
#include "ws/ws_parser.h"

#define FRONT_ENDPOINTS_MAX 8u

struct front;
struct exchange;
struct session;

struct front_options {
    struct net_loop *loop;
    size_t message_bytes_max; /* one WebSocket message or HTTP body */
    size_t connections_max;
    size_t inflight_bytes_max; /* messages that are being received or worked on, over all */
    uint64_t head_timeout_ms;  /* from a request's first byte to the end of its head */
    uint64_t body_timeout_ms;  /* from there to the end of its body */
    uint64_t idle_timeout_ms;  /* an HTTP connection between requests */
    uint64_t stall_timeout_ms; /* output that does not move: the peer has stopped reading */
    uint64_t ping_interval_ms; /* a WebSocket that was silent this long is pinged; after three
                                  such intervals without a byte it is cut */
};

/* A request's head, valid while its exchange or its session's start lasts. */
struct request {
    struct slice method;
    struct slice path;
    struct slice query;
    const struct http_parser *head;
    const char *peer;
};

struct endpoint {
    /* Whether this request is the endpoint's to answer. */
    bool (*claims)(void *user, const struct request *request);
    /* The request is complete, with its body; must be answered, now or later. */
    void (*request)(void *user, struct exchange *exchange);
    /* A valid WebSocket handshake. Returns 101 to go on, after which `opened` follows, or the HTTP
     * status to refuse with and why in `error`. NULL: no WebSockets. */
    int (*upgrade)(void *user, const struct request *request, void **session_user,
                   struct sluice_error *error);
    const struct session_ops *session_ops; /* with upgrade */
    void *user;
};

/* Endpoints are asked in this order; the last must claim everything. Copied. NULL: no memory. */
struct front *front_create(const struct front_options *options, const struct endpoint *endpoints,
                           unsigned endpoint_count);
void front_destroy(struct front *front); /* no connection may be left */
/* For net_listen: `user` is the front. */
void front_accept(void *user, struct net_conn *conn);
/* Says goodbye to all: WebSockets get close code 1012, HTTP connections `connection: close` with
 * their answer, and those without a request are closed after a moment in which one that is already
 * on its way can arrive. Then `drained` is called, once, with none left. */
void front_drain(struct front *front, void (*drained)(void *user), void *user);
bool front_draining(const struct front *front);
/* Cuts what is left. */
void front_abort_all(struct front *front);
size_t front_connections(const struct front *front);
struct net_loop *front_loop(const struct front *front);

/* Memory that a peer's messages hold while they are worked on. False: over inflight_bytes_max; ask
 * the peer to come again later. Each success is to be given back. */
bool front_take_inflight(struct front *front, size_t bytes);
void front_give_inflight(struct front *front, size_t bytes);

/* ---- One HTTP request and its response ---- */

struct exchange_ops {
    void (*writable)(void *user); /* there is room for output again */
    void (*aborted)(void *user);  /* the connection is gone; the exchange too. Nothing follows */
    void (*timer)(void *user);    /* exchange_start_timer; may be NULL when that is not used */
    void (*drain)(void *user);    /* the server is going away: end soon. May be NULL: ends anyway */
};

const struct request *exchange_request(const struct exchange *exchange);
/* The whole body; valid until the exchange ends. */
struct slice exchange_body(const struct exchange *exchange);
/* Wanted by whoever does not answer at once. */
void exchange_watch(struct exchange *exchange, const struct exchange_ops *ops, void *user);
/* Answers and ends the exchange. `content_type` NULL: no body. `extra_headers` is a block of whole
 * header lines, or empty. For HEAD the body is left out. */
void exchange_respond(struct exchange *exchange, int status, const char *content_type,
                      struct slice body, struct slice extra_headers);
/* The connection is to end with this exchange; its answer will say so. Before the answer. */
void exchange_close_after(struct exchange *exchange);
/* Answers piece by piece: start, any number of writes, end. HTTP/1.0 peers get the end of the
 * connection instead of chunks. */
void exchange_start(struct exchange *exchange, int status, const char *content_type,
                    struct slice extra_headers);
void exchange_write(struct exchange *exchange, struct slice before, struct shared *shared,
                    struct slice after); /* one chunk; `shared` may be NULL */
void exchange_end(struct exchange *exchange);
/* Cuts the connection: an answer that has begun cannot be finished. */
void exchange_abort(struct exchange *exchange);
bool exchange_full(const struct exchange *exchange); /* wait for `writable` */
/* One timer for its owner; restarts. Gone with the exchange. */
void exchange_start_timer(struct exchange *exchange, uint64_t delay_ms);

/* ---- One WebSocket ---- */

struct session_ops {
    void (*opened)(void *user, struct session *session);
    /* A whole text message; the bytes are valid during the call. */
    void (*message)(void *user, struct slice text);
    void (*writable)(void *user);
    void (*timer)(void *user); /* session_start_timer */
    /* The server is going away: finish what is under way, then session_close with 1012. */
    void (*drain)(void *user);
    void (*closed)(void *user); /* the session is gone. Nothing follows */
};

/* Sends one text message: the pieces in order; `shared` may be NULL. */
void session_send(struct session *session, struct slice before, struct shared *shared,
                  struct slice after);
bool session_full(const struct session *session); /* wait for `writable` */
/* Reading stops, so that the peer waits, until session_resume. */
void session_pause(struct session *session);
void session_resume(struct session *session);
/* Sends a close frame with `reason` (plain text), then closes. `closed` follows later. */
void session_close(struct session *session, enum ws_close_code code, const char *reason);
bool session_closing(const struct session *session);
/* One timer for its owner; restarts. */
void session_start_timer(struct session *session, uint64_t delay_ms);
void session_stop_timer(struct session *session);
const char *session_peer(const struct session *session);

#endif
