/* front_internal: what the files of the front share. */
#ifndef SLUICE_ENDPOINT_FRONT_INTERNAL_H
#define SLUICE_ENDPOINT_FRONT_INTERNAL_H

#include "base/buffer.h"
#include "endpoint/front.h"

#define FRONT_CLOSE_TIMEOUT_MS 3000u
#define FRONT_DRAIN_QUIET_MS 500u /* longer than a request is on its way */
#define WS_RECEIVE_TIMES 3u       /* ping intervals without a byte after which a WebSocket is cut */

struct front {
    struct front_options options;
    struct endpoint endpoints[FRONT_ENDPOINTS_MAX];
    unsigned endpoint_count;
    struct front_conn *conns; /* all of them */
    size_t conn_count;
    size_t inflight_bytes;
    bool draining;
    uint64_t draining_since_ms;
    void (*drained)(void *user);
    void *drained_user;
};

enum front_state {
    FRONT_HEAD,     /* HTTP: a request's head is due or coming */
    FRONT_BODY,     /* HTTP: its body is coming */
    FRONT_EXCHANGE, /* HTTP: an endpoint is answering; reading is paused */
    FRONT_SESSION,  /* WebSocket */
    FRONT_CLOSED,   /* closing: nothing that comes is looked at */
};

/* What only HTTP needs; freed at the upgrade. */
struct exchange {
    struct front_conn *conn;
    struct http_parser parser;
    struct request request;
    const struct endpoint *endpoint;
    const struct exchange_ops *ops;
    void *user;
    struct buffer body;
    struct buffer backlog; /* bytes of the next request that came during an exchange */
    bool chunked;          /* the response under way */
    bool keep_alive;
    bool head_only;        /* HEAD */
    bool ended;            /* the exchange has ended; the connection goes on */
    bool dispatching;      /* its endpoint is on the stack */
    bool awaits_room;      /* between requests: until its output is writable again */
    size_t inflight_bytes; /* taken for the body */
    uint64_t timer_at_ms;  /* 0: not set */
};

struct session {
    struct front_conn *conn;
    const struct session_ops *ops;
    void *user;
    struct ws_parser parser;
    uint64_t timer_at_ms;  /* 0: not set */
    size_t inflight_bytes; /* taken for a message that is coming in pieces */
    bool close_sent;
    bool paused_by_owner;
    bool paused_by_output; /* until its output is writable again */
};

struct front_conn {
    struct front *front;
    struct net_conn *net;
    struct front_conn *next;
    struct front_conn *previous;
    struct net_timer *timer;
    enum front_state state;
    uint64_t heard_ms; /* when the peer last sent something, or had its answer */
    uint64_t
        since_ms; /* when `state` began; in FRONT_HEAD, when the head's first byte came, or 0 */
    uint64_t pinged_ms; /* when a WebSocket was last pinged, or 0 */
    uint64_t armed_ms;  /* when the timer fires; 0: not armed */
    bool peer_ended;
    struct exchange *http;   /* until the upgrade */
    struct session *session; /* after it */
};

/* front.c */
void front_conn_enter(struct front_conn *conn, enum front_state state);
void front_conn_arm(struct front_conn *conn);
/* Sends what is queued, then closes. */
void front_conn_close(struct front_conn *conn);

/* front_http.c */
void front_http_bytes(struct front_conn *conn, char *data, size_t bytes);
void front_http_writable(struct front_conn *conn);
void front_http_closed(struct front_conn *conn);
struct exchange *front_http_create(struct front_conn *conn);
void front_http_destroy(struct exchange *exchange);
/* Runs the exchange's timer when it is due. */
void front_http_due(struct front_conn *conn, uint64_t now_ms);
/* Refuses what the peer sent and closes. */
void front_http_refuse(struct front_conn *conn, int status, const char *why);

/* front_ws.c */
/* Checks the handshake. Afterwards the connection is a WebSocket, or it was refused and closes. */
void front_ws_upgrade(struct front_conn *conn, const struct endpoint *endpoint);
void front_ws_bytes(struct front_conn *conn, char *data, size_t bytes);
void front_ws_writable(struct front_conn *conn);
/* Reads or not, as the session wants it; after the upgrade of a connection that was paused. */
void front_ws_update_reading(struct front_conn *conn);
void front_ws_closed(struct front_conn *conn);

#endif
