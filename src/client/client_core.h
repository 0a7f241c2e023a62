/* client_core: the client without sockets, clock and threads: what came from the network, requests
 * and the time go in; bytes to send, the wish for a connection, answers and a deadline come out.
 * The runner drives it on a real network, tests on a simulated one.
 *
 *     driver ── opened, bytes, closed, time ──▶ core ── open, send, shut ──▶ driver
 *     caller ── pull, push, ping, outbox    ──▶ core ── page, ended, done ──▶ caller
 *
 * One thread at a time. Every input takes `now_ms`, a time that only grows, and may call any of the
 * ops and callbacks before it returns; these may call inputs of the same core again, but not
 * client_core_destroy. After every input the driver looks at client_core_deadline_ms and calls
 * client_core_time when that time has come.
 *
 * Requests are structs of the caller's, linked through themselves: to ask for something cannot
 * fail. They are the core's until their last callback, which always comes, at the latest from
 * client_core_close. */
#ifndef SLUICE_CLIENT_CORE_H
#define SLUICE_CLIENT_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "client/client_url.h"
#include "client/outbox.h"
#include "sluice/client.h"
#include "sluice/outbox.h"

struct client_core;

struct client_core_ops {
    /* Open a connection to the config's host and port. Answered by client_core_opened or
     * client_core_closed; later, or (closed only) before this returns. Only asked for when there is
     * none. */
    void (*open)(void *user);
    /* Send on the open connection; the bytes are copied or sent before this returns. */
    void (*send)(void *user, struct slice bytes);
    /* Close the connection, or stop opening it, now. No input about that connection comes after. */
    void (*shut)(void *user);
    /* Fills `out` with random bytes: WebSocket keys, masks, jitter. */
    void (*random)(void *user, void *out, size_t bytes);
    /* News of the connection, see sluice_client_options.connection_changed. */
    void (*connection)(void *user, const struct sluice_connection *connection);
    /* The backend id was learnt and is another one than before. */
    void (*backend_id)(void *user, struct slice backend_id);
};

/* Borrowed for the core's life. */
struct client_core_config {
    const struct client_url *url; /* says the transport, too */
    struct slice store_id;
    struct slice payload; /* JSON text, or empty */
    const struct sluice_header *headers;
    size_t header_count;
    struct slice backend_id; /* known from before, or empty; copied */
    uint64_t connect_timeout_ms;
    uint64_t ping_interval_ms;
    uint64_t ping_timeout_ms;
    uint64_t request_timeout_ms;
    uint64_t operation_timeout_ms;
    uint64_t backoff_base_ms;
    uint64_t backoff_cap_ms;
    uint64_t poll_interval_ms;
    size_t message_bytes_max;
};

/* NULL: out of memory. */
struct client_core *client_core_create(const struct client_core_config *config,
                                       const struct client_core_ops *ops, void *user);
/* After client_core_close. NULL is accepted. */
void client_core_destroy(struct client_core *core);

/* Ends everything that runs with CLOSED and wants the connection shut. Requests that come later end
 * at once. */
void client_core_close(struct client_core *core, uint64_t now_ms);

/* The network. A connection is in order: opened, bytes …, closed; or just closed. */
void client_core_opened(struct client_core *core, uint64_t now_ms);
/* `data` is changed (unmasking is in place). */
void client_core_bytes(struct client_core *core, char *data, size_t bytes, uint64_t now_ms);
/* It ended, failed or could not be made; `why` is OFFLINE with a message, or NULL for an orderly
 * end. */
void client_core_closed(struct client_core *core, const struct sluice_error *why, uint64_t now_ms);

/* The time. UINT64_MAX: nothing to wait for. */
uint64_t client_core_deadline_ms(const struct client_core *core);
void client_core_time(struct client_core *core, uint64_t now_ms);

/* Whether the server is there, as far as can be known. */
bool client_core_is_connected(const struct client_core *core);
/* The backend id, empty when it is not known; valid until the next input. */
struct slice client_core_backend_id(const struct client_core *core);

/* Requests. What the caller sets comes first; zero the rest. */

struct core_ping {
    void (*done)(struct core_ping *ping, const struct sluice_failure *failure,
                 uint64_t round_trip_ms);
    bool
        is_connect; /* done with the first attempt's outcome, and keeps a connection from then on */
    /* private */
    struct core_ping *next;
    uint64_t sent_ms;
    bool sent;
};
void client_core_ping(struct client_core *core, struct core_ping *ping, uint64_t now_ms);

struct core_pull {
    uint64_t cursor_seq_num; /* moves on with what was delivered */
    bool live;
    /* As in sluice_pull_callbacks. A page that is not taken (NO_MEMORY) comes again after a while.
     */
    enum sluice_status (*page)(struct core_pull *pull, const struct sluice_page *page);
    void (*ended)(struct core_pull *pull, const struct sluice_failure *failure);
    /* private */
    struct core_pull *next;
    struct pull_order *order; /* NULL: nothing is asked for now */
    uint64_t request_id;      /* 0: none */
    uint64_t waits_since_ms;  /* since the last progress, or the loss of a connection that worked */
    uint64_t owed_since_ms;   /* with the server: since the request, or the last page */
    uint64_t not_before_ms;   /* when it may ask (again) */
    uint64_t held_since_ms;   /* with pages held back */
    unsigned failure_count;   /* answers in a row that were errors */
    unsigned again_count;     /* fresh pulls in a row without progress */
    unsigned gap_count;       /* of these, with the same gap */
    uint64_t gap_seq_num;
    bool internal;     /* the outbox's or a check's: access refused does not end it */
    bool told_no_more; /* the caller knows that it is at the head */
    bool at_head;      /* and that is so on this connection */
    bool learning;     /* was asked without its cursor, for want of the backend id */
    bool cancelled;
};
void client_core_pull(struct client_core *core, struct core_pull *pull, uint64_t now_ms);
/* Ends it with CLOSED, from inside. Nothing happens when it has ended. */
void client_core_pull_cancel(struct client_core *core, struct core_pull *pull, uint64_t now_ms);

struct core_push {
    const struct sluice_event *events; /* checked (client_event_check) and chained */
    size_t event_count;
    void (*done)(struct core_push *push, const struct sluice_push_result *result);
    /* private */
    struct core_push *next;
    size_t acknowledged_count;
    size_t batch_count;       /* events of the batch under way; 0: none */
    unsigned batch_sends;     /* how often it was sent */
    uint64_t request_id;      /* 0: it is not with the server */
    uint64_t waits_since_ms;  /* since the last progress, or the loss of a connection that worked */
    uint64_t sent_ms;         /* with the server: since when */
    uint64_t not_before_ms;   /* when the batch may be sent (again) */
    struct push_check *check; /* comparing the log with a batch whose answer was lost */
    bool internal;            /* the outbox's: waits for ever, and does not check */
    bool withdrawn;           /* is not to be sent (again); ends when it is not with the server */
};
void client_core_push(struct client_core *core, struct core_push *push, uint64_t now_ms);

/* Follows the store with an outbox from now on (sluice/outbox.h). At most once. `outbox` and
 * `callbacks` are borrowed for the core's life. NO_MEMORY. */
enum sluice_status client_core_attach_outbox(struct client_core *core, struct outbox *outbox,
                                             const struct sluice_outbox_callbacks *callbacks,
                                             void *user, uint64_t now_ms) SLUICE_MUST_CHECK;
/* Something was appended to the outbox. */
void client_core_outbox_grew(struct client_core *core, uint64_t now_ms);
/* sluice_client_outbox_reset. */
enum sluice_status client_core_outbox_reset(struct client_core *core, uint64_t now_ms,
                                            struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
