/* core_internal: what the files of the core share.
 *
 *   client_core.c   inputs, the connection's states, pings, deadlines
 *   core_wire.c     messages to and from the two transports
 *   core_pull.c     pulls
 *   core_push.c     pushes
 *   core_outbox.c   following a store with an outbox */
#ifndef SLUICE_CLIENT_CORE_INTERNAL_H
#define SLUICE_CLIENT_CORE_INTERNAL_H

#include "base/buffer.h"
#include "client/backoff.h"
#include "client/client_core.h"
#include "client/pull_order.h"
#include "client/wire_http.h"
#include "client/wire_ws.h"
#include "proto/effect_rpc_client.h"
#include "proto/sync_cf_client.h"

#define CORE_OUTPUT_BYTES_MAX (64u << 20) /* a message to the server */
#define CORE_PUSH_EVENTS_MAX 100u /* events and bytes of a batch, as LiveStore's clients have */
#define CORE_PUSH_BYTES_MAX 900000u
#define CORE_GAP_WAIT_MS                                                                           \
    1000u /* for events that were overtaken, before they are asked for again                       \
           */
#define CORE_PULL_FAILURES_MAX 5u /* error answers in a row that end a live pull */
#define CORE_PUSH_DEFECTS_MAX 3u  /* sends of a batch that the server only has a Defect for */

#define CORE_AHEAD_TOLD_AT                                                                         \
    5u /* refusals of an outbox's push in a row from which on they are told */

enum core_phase {
    CORE_DOWN,    /* no connection; maybe waiting for the next attempt */
    CORE_OPENING, /* the driver is at it */
    CORE_SHAKING, /* WebSocket handshake */
    CORE_UP,
};

struct core_outbox; /* core_outbox.c */

struct client_core {
    const struct client_core_config *config;
    const struct client_core_ops *ops;
    void *user;
    uint64_t now_ms;

    /* Inputs that come from inside a callback are noted and done when the outer one is through. */
    bool busy;
    bool again;
    bool close_wanted;
    bool closed;  /* client_core_close is done */
    bool failing; /* the connection is to be given up, for `failure` */
    bool lost;    /* with failing: the driver has closed it already */
    struct sluice_failure failure;

    enum core_phase phase;
    bool connected; /* as told */
    bool keep;      /* a connection is wanted also when nothing is to be done */
    bool has_last_failure;
    struct sluice_failure last_failure;
    struct backoff backoff;
    uint64_t retry_at_ms;       /* CORE_DOWN */
    uint64_t phase_deadline_ms; /* CORE_OPENING, CORE_SHAKING */
    uint64_t heard_ms;          /* CORE_UP: when something last came; over HTTP, a message */
    uint64_t ping_sent_ms;      /* CORE_UP, WebSocket: of the ping under way */
    bool ping_sent;

    struct wire_ws ws;
    struct wire_http http;
    bool wire_ready;       /* the one of the transport is initialised */
    struct buffer message; /* scratch: a message's JSON */
    struct buffer output;  /* scratch: what is sent */

    /* HTTP: the exchange under way. */
    uint64_t exchange_id; /* its request; 0: none */
    bool exchange_exited; /* its Exit has come */
    bool abandoned;       /* nobody wants the rest of its answer */
    bool reused;          /* the connection has served an exchange before */
    bool pushed_last;     /* so a pull has its turn */
    uint64_t ping_id;     /* the request of a ping; 0: none */

    uint64_t last_request_id;
    struct core_ping *pings;
    struct core_pull *pulls;
    struct core_push *pushes; /* in order; only the first one is worked on */
    struct core_outbox *outbox;
    char backend_id[SLUICE_BACKEND_ID_BYTES_MAX];
    size_t backend_id_bytes;
};

/* client_core.c */
void core_settle(struct client_core *core);
/* Gives up the connection, as soon as nobody is in the middle of it. */
void core_fail(struct client_core *core, const struct sluice_failure *failure);
void core_fail_text(struct client_core *core, enum sluice_status status, const char *text);
uint64_t core_random(struct client_core *core);
bool core_polls(const struct client_core *core);
/* When to try something again that has failed so often before, other than the connection. */
uint64_t core_wait(struct client_core *core, unsigned failure_count);
/* Whether this is the first failure since something worked: the time that requests wait for one
 * starts anew then. */
bool core_had_worked(const struct client_core *core);
/* Whether the last attempt ended with UNAUTHORIZED. */
bool core_is_refused(const struct client_core *core);
/* The connection stands; and: the server has answered as a sync server does. */
void core_came_up(struct client_core *core);
void core_worked(struct client_core *core);
void core_pong(struct client_core *core);
void core_set_backend_id(struct client_core *core, struct slice backend_id);
/* What a request that waited in vain for a connection ends with. */
struct sluice_failure core_offline(const struct client_core *core);
static inline uint64_t core_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
/* `at + wait`, where wait may be SLUICE_NEVER. */
static inline uint64_t core_after(uint64_t at_ms, uint64_t wait_ms)
{
    return wait_ms > UINT64_MAX - at_ms ? UINT64_MAX : at_ms + wait_ms;
}

/* core_wire.c */
struct sync_cf_query core_query(const struct client_core *core);
/* Sends the upgrade; false: no memory. */
bool core_start_ws(struct client_core *core);
void core_feed(struct client_core *core, char *data, size_t bytes);
/* HTTP: the peer has sent its last byte. */
void core_feed_end(struct client_core *core);
/* HTTP: gives up the connection without its being a failure: it is used up, or its answer is not
 * wanted any more. The next request opens another one. */
void core_drop_http(struct client_core *core);
/* Starts a request in core->message; its payload is appended, then core_request_send. The id. */
uint64_t core_request_start(struct client_core *core, const char *procedure);
/* NO_MEMORY; LIMIT: longer than CORE_OUTPUT_BYTES_MAX. */
enum sluice_status core_request_send(struct client_core *core, uint64_t id) SLUICE_MUST_CHECK;
/* WebSocket messages that are no requests. */
void core_send_ping(struct client_core *core);
void core_send_ack(struct client_core *core, uint64_t request_id);
void core_send_interrupt(struct client_core *core, uint64_t request_id);

/* core_pull.c */
struct core_pull *core_pull_find(struct client_core *core, uint64_t request_id);
void core_pull_chunk(struct client_core *core, struct core_pull *pull, struct slice values);
void core_pull_exit(struct client_core *core, struct core_pull *pull,
                    const struct rpc_reply *reply);
void core_pulls_step(struct client_core *core, bool may_ask);
void core_pulls_lost(struct client_core *core);
void core_pulls_close(struct client_core *core);
uint64_t core_pulls_deadline(const struct client_core *core);

/* core_push.c */
bool core_push_is(const struct client_core *core, uint64_t request_id);
void core_push_exit(struct client_core *core, const struct rpc_reply *reply);
/* A Defect, or the close code "too big", while it was with the server. */
void core_push_defect(struct client_core *core, struct slice why, bool too_big);
void core_pushes_step(struct client_core *core, bool may_ask);
void core_pushes_lost(struct client_core *core);
void core_pushes_close(struct client_core *core);
uint64_t core_pushes_deadline(const struct client_core *core);

/* core_outbox.c */
void core_outbox_step(struct client_core *core);
void core_outbox_lost(struct client_core *core);
uint64_t core_outbox_deadline(const struct client_core *core);
void core_outbox_destroy(struct client_core *core);

/* BACKEND_ID_MISMATCH: the server's id, and ours. */
struct sluice_failure core_mismatch(struct slice theirs, struct slice ours);
/* The failure that an Exit, a Fail or a Die, means. */
struct sluice_failure core_failure_of(const struct rpc_reply *reply);

#endif
