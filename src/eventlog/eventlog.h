/* eventlog: what stores events. One ordered, append-only log for each store, durable before anyone
 * is told.
 *
 * The loop thread submits requests and gets their answers back on the loop thread, from
 * eventlog_poll, which it calls after `wake` was called. In between, one committer thread runs the
 * write transactions (all appends that wait, over all stores, go into one transaction with one
 * fsync: group commit, without a timer), and a few reader threads read pages, so that a long pull
 * delays nobody's push. Requests are structs of the caller's, linked through themselves: nothing is
 * allocated here, and a request with all it points to must stay in place until its `done`.
 *
 * The engine (eventlog_engine.h) decides how events are kept: sqlite or memory. The rules of
 * admission are not here but in sync/; an engine only refuses what would break the chain. */
#ifndef SLUICE_EVENTLOG_H
#define SLUICE_EVENTLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "base/slice.h"

#define EVENTLOG_BACKEND_ID_BYTES 21

struct eventlog;

struct eventlog_options {
    /* A directory, created when missing; ":memory:" for the memory engine. Copied. */
    const char *data_path;
    unsigned reader_threads; /* 1..64; 0: the default, 2 */
    void (*wake)(
        void *wake_user); /* from any thread, when an answer waits; coalesced; never NULL */
    void *wake_user;
    const char *sqlite_vfs; /* for tests: the name of a registered VFS; NULL: the default */
    /* For tests: a checkpoint is due when the write-ahead log has so many pages; 0: the default */
    unsigned sqlite_checkpoint_pages;
};

/* Opens the data, takes the directory's lock, starts the threads. Errors: STORAGE_LOCKED (the
 * message names the holder's pid), STORAGE_VERSION, STORAGE_CORRUPT, STORAGE_IO, STORAGE_FULL,
 * NO_MEMORY. */
enum sluice_status eventlog_open(const struct eventlog_options *options, struct eventlog **out,
                                 struct sluice_error *error) SLUICE_MUST_CHECK;
/* Stops the threads and closes the data. No request may be under way. NULL is accepted. */
void eventlog_close(struct eventlog *eventlog);

/* What is known of a store. A store without events exists nowhere, yet has its backend id. */
struct eventlog_store_info {
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 1]; /* NUL-terminated */
    uint64_t head;        /* sequence number of the last event; 0 when there is none */
    uint64_t event_count; /* also the position of the next event */
    uint64_t event_bytes; /* sum over events of name, args, client id and session id */
};

/* Append a batch to one store: all of it or nothing. */
struct eventlog_append {
    /* In; unchanged until done. */
    struct slice store_id;  /* at most STORE_ID_BYTES_MAX bytes of valid UTF-8 */
    uint64_t expected_head; /* must be the store's head when the transaction runs */
    struct event *events;   /* chained; events[0].parent_seq_num == expected_head. The log
                                        sets position and created_at_ms before done, on success */
    size_t event_count;     /* ≥ 1 */
    void (*done)(struct eventlog_append *append); /* loop thread */
    /* Out. */
    /* OK: durable. Else nothing of it is in the log: STORAGE_FULL, STORAGE_IO, STORAGE_CORRUPT,
     * NO_MEMORY, LIMIT, UNAVAILABLE (another program holds the file), INVALID (head was not
     * expected_head, or the batch is no chain). When the process or the power ends right after a
     * STORAGE failure, the batch may still be found at the next start, whole: the disk had it, and
     * only its word was missing. */
    enum sluice_status status;
    struct sluice_error error;       /* when status is not OK */
    struct eventlog_store_info info; /* after the append; when status is OK */
    struct eventlog_append *next;    /* private */
};

/* Read events of one store in order, and what is known of the store, in one consistent view.
 *
 * The view is of a moment between submit and done. It has every append whose done was called before
 * the submit. Of those under way it may have an append whose done has not been called yet, and it
 * may lack one whose done is called before the read's own: so what joins a read with live events
 * compares sequence numbers, not the order of the answers. */
struct eventlog_read {
    /* In; unchanged until done. */
    struct slice store_id;  /* as in eventlog_append */
    uint64_t after_seq_num; /* strictly after this one; with by_position it is filled */
    bool by_position;       /* from the event at `position` on, instead */
    uint64_t position;      /* with by_position: 0 is the store's first event; past the last one
                               nothing is read */
    size_t events_max;      /* 0: only the store's info */
    /* Called on a reader thread for each event; slices in `event` are valid only during the call.
     * Returns OK to go on; another status ends the read with it. Setting *stop ends it after this
     * event with OK. */
    enum sluice_status (*visit)(struct eventlog_read *read, const struct event *event, bool *stop);
    /* Called on the reader thread at the end when all went well, with the outputs below filled; may
     * be NULL. */
    void (*finish)(struct eventlog_read *read);
    void (*done)(struct eventlog_read *read); /* loop thread */
    /* Out; those after error only when status is OK. STORAGE_CORRUPT also when what is stored is
     * not one chain that ends at the store's head: damage is never a shorter log. */
    enum sluice_status status;
    struct sluice_error error; /* a visitor that fails may fill it */
    struct eventlog_store_info info;
    size_t events_read;
    uint64_t last_seq_num;      /* of the last event visited; after_seq_num when there was none */
    uint64_t remaining;         /* events of the store after last_seq_num, in this view */
    bool after_is_stored;       /* after_seq_num is 0 or the sequence number of a stored event */
    struct eventlog_read *next; /* private */
    atomic_bool is_abandoned;   /* private; eventlog_abandon_read */
};

/* Loop thread, between submit and done: nobody wants the answer any more. `done` is called all the
 * same, with UNAVAILABLE when that spared the reading. */
static inline void eventlog_abandon_read(struct eventlog_read *read)
{
    atomic_store_explicit(&read->is_abandoned, true, memory_order_relaxed);
}

/* Asks whether a commit would succeed now, by making a small one. For readiness after a failure. */
struct eventlog_probe {
    void (*done)(struct eventlog_probe *probe); /* loop thread */
    enum sluice_status status;
    struct sluice_error error;
    struct eventlog_probe *next; /* private */
};

/* Loop thread. Each takes the request until its done. Appends are made in the order in which they
 * are submitted: one may continue where one that is not done yet will end, and is INVALID when that
 * fails. */
void eventlog_submit_append(struct eventlog *eventlog, struct eventlog_append *append);
void eventlog_submit_read(struct eventlog *eventlog, struct eventlog_read *read);
void eventlog_submit_probe(struct eventlog *eventlog, struct eventlog_probe *probe);

/* Loop thread: calls `done` of what has finished: first appends, in commit order, then reads, then
 * probes. A done may submit again, the same request too. Returns how many it called. */
size_t eventlog_poll(struct eventlog *eventlog);

/* Requests submitted and not yet done. Loop thread. */
size_t eventlog_pending(const struct eventlog *eventlog);

/* For metrics and tests; loop thread. */
struct eventlog_stats {
    uint64_t transactions;        /* committed by append groups */
    uint64_t appends;             /* durable */
    uint64_t events;              /* durable */
    uint64_t commit_failures;     /* transactions that failed */
    uint64_t checkpoint_failures; /* nothing is lost by one; the write-ahead log grows meanwhile */
    uint64_t reads;
};
void eventlog_stats(struct eventlog *eventlog, struct eventlog_stats *stats);

#endif
