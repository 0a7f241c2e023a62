/* sync: the heart of the server. It keeps what is known of each store in use, decides about pushes
 * (admission), has them made durable, hands them to subscribers (publication), and runs pulls. It
 * knows neither sockets nor SQL: below it is the eventlog, above it are the endpoints, which bring
 * pushes and pulls as structs of their own and are called back.
 *
 * Everything here runs on the loop thread, but for what is marked. Callbacks may submit new work
 * and may cancel pulls; they must not destroy the `sync`. */
#ifndef SLUICE_SYNC_H
#define SLUICE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/event.h"
#include "base/shared.h"
#include "eventlog/eventlog.h"

struct sync;
struct sync_store;

struct sync_options {
    struct eventlog *eventlog; /* borrowed; outlives the sync */
    size_t event_bytes_max;    /* an event's name, args, client id and session id together */
};

struct sync *sync_create(const struct sync_options *options); /* NULL: no memory */
/* No push or read may be under way: see sync_busy. */
void sync_destroy(struct sync *sync);
/* True while pushes or reads are on their way through the eventlog. */
bool sync_busy(const struct sync *sync);

/* Keeps what is known of a store in memory, for someone who is going to push to it: the first push
 * after a hold that nobody has reads the log for its head. The id is copied. NULL: no memory. */
struct sync_store *sync_store_hold(struct sync *sync, struct slice store_id);
struct slice sync_store_id(const struct sync_store *store);
void sync_store_let_go(struct sync_store *store);

/* A push: the way in. The caller owns it; it and everything it points to stay in place until done.
 */
struct sync_push {
    /* In. */
    struct slice store_id; /* 1..512 bytes of UTF-8 */
    bool has_backend_id;
    struct slice backend_id;
    struct event *events;                 /* chained; the log fills position and created_at_ms */
    size_t event_count;                   /* 0 is acknowledged without looking at the store */
    void (*done)(struct sync_push *push); /* may be called before sync_push_submit returns */
    /* Out. */
    enum sluice_status status; /* OK: durable and published. INVALID, LIMIT: refused by a rule,
                                  which error names. SERVER_AHEAD, BACKEND_ID_MISMATCH. STORAGE_*,
                                  NO_MEMORY, UNAVAILABLE: nothing stored, may be tried again */
    struct sluice_error error;
    uint64_t head; /* the store's head when it was decided: with SERVER_AHEAD the minimum
                      expected number, with OK at least the batch's last */
    char backend_id_expected[EVENTLOG_BACKEND_ID_BYTES + 1]; /* with BACKEND_ID_MISMATCH: ours */
    /* Private. */
    struct sync *sync;
    struct sync_store *store;
    struct sync_push *next;
    size_t stored_count; /* events at the batch's front that the log already had */
    bool matches;        /* while comparing: no difference so far */
    bool abandoned;
    union {
        struct eventlog_append append;
        struct eventlog_read read;
    } request;
};

/* The pushes of a store are decided in their order. One that continues exactly where those under
 * way will end is appended on top of them; any other waits until they are done. */
void sync_push_submit(struct sync *sync, struct sync_push *push);
/* Between submit and done: nobody waits for the answer any more. Unless it is being decided
 * already, the push is refused with UNAVAILABLE when its turn comes. */
void sync_push_abandon(struct sync_push *push);

/* What a page's end can tell. */
struct sync_page_end {
    size_t events;              /* in the page */
    uint64_t remaining;         /* events of the store after the page: 0 for the last page of a
                                   catch-up and for live ones */
    uint64_t event_count;       /* of the store, so the position of its next event */
    int64_t last_created_at_ms; /* of the page's last event; 0 when it has none */
    const char *backend_id;     /* NUL-terminated */
};

/* How an endpoint writes a page of events; the one encoder for catch-up pages (called on reader
 * threads) and live ones (loop thread). Functions must be pure. */
struct sync_encoder {
    void (*start)(struct buffer *out);
    void (*event)(struct buffer *out, const struct event *event, bool first);
    void (*end)(struct buffer *out, const struct sync_page_end *end);
};

struct sync_pull;

struct sync_pull_ops {
    /* A page, in order, without gap or repeat. `page` is borrowed: take a reference to keep it. The
     * pull's `sent` is already past it. */
    void (*page)(struct sync_pull *pull, struct shared *page);
    /* Whether the subscriber can take one more page now. When it says no, nothing is queued for it:
     * the pull waits for sync_pull_resume and then reads on from its own place. */
    bool (*ready)(struct sync_pull *pull);
    /* The pull is over and may be freed: OK after the last page of a pull that is not live, else
     * why. Not called after sync_pull_cancel. */
    void (*end)(struct sync_pull *pull, enum sluice_status status,
                const struct sluice_error *error);
};

enum sync_pull_state {
    SYNC_PULL_READING, /* a page is being read */
    SYNC_PULL_WAITING, /* behind, and the subscriber is not ready */
    SYNC_PULL_LIVE,    /* at head, in the store's list of subscribers */
    SYNC_PULL_ENDED,
};

/* A pull: the way out. The caller owns it and keeps it in place from start to end or cancel. */
struct sync_pull {
    /* In. */
    struct slice store_id; /* copied by the store; need not outlive the start */
    bool live;
    bool has_cursor;
    struct slice cursor_backend_id; /* with has_cursor; must stay until the first page or end */
    uint64_t cursor;                /* sequence number of the last event the puller has; 0: none */
    bool by_position;               /* start at `position` instead of after `cursor` */
    uint64_t position;              /* of the first event wanted: 0, 1, 2 … in log order */
    const struct sync_encoder *encoder;
    const struct sync_pull_ops *ops;
    /* Out. */
    uint64_t sent;      /* sequence number of the last event handed out, or the cursor */
    size_t page_events; /* in the page that is being handed out */
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 1]; /* ours; from the first page or the end on */
    /* Private. */
    enum sync_pull_state state;
    bool any_page;
    struct sync *sync;
    struct sync_store *store;
    struct sync_page_read *reading;
    struct sync_pull *next;
    struct sync_pull *previous;
};

/* Starts a pull; callbacks come later, never before this returns. NO_MEMORY: it did not start. */
enum sluice_status sync_pull_start(struct sync *sync, struct sync_pull *pull) SLUICE_MUST_CHECK;
/* The subscriber can take pages again. Cheap when there is nothing to do. */
void sync_pull_resume(struct sync_pull *pull);
/* Forgets the pull; no callback follows. Fine after its end. */
void sync_pull_cancel(struct sync_pull *pull);

struct sync_stats {
    size_t stores; /* in memory: those with a pull or push */
    size_t live_pulls;
    uint64_t pushes_admitted;
    uint64_t pushes_repeated; /* acknowledged again: the log had them */
    uint64_t pushes_refused;
    uint64_t pages_live;
    uint64_t pages_read;
};
const struct sync_stats *sync_stats(const struct sync *sync);

#endif
