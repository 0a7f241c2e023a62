/* outbox: where commits wait until the store's log has them; an engine is a struct of functions.
 * The SQLite engine is outbox_sqlite.h, a simulation uses outbox_memory.h.
 *
 * It keeps: the backend id, the upstream head (last event pulled; 0: none), the id of the last
 * commit, and the pending events in order, chained: the first one's parent is the upstream head,
 * each one's parent is the one before. Local head: the last pending event's number, or the upstream
 * head.
 *
 * Every function is one transaction and durable when it returns SLUICE_OK; otherwise nothing has
 * changed, but for this: an advance or a reset that failed on I/O may have been made (asking for it
 * again does no harm), and a commit that failed may be there in the next run when the disk refused
 * everything until then. Every function may be called from any thread, at the same time as another:
 * an engine locks. Errors: STORAGE_FULL, STORAGE_IO, STORAGE_CORRUPT, NO_MEMORY; the message names
 * the file. */
#ifndef SLUICE_CLIENT_OUTBOX_H
#define SLUICE_CLIENT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "sluice/client.h"
#include "sluice/event.h"
#include "sluice/outbox.h"

struct outbox_state {
    uint64_t upstream_head;
    uint64_t local_head;
    uint64_t last_commit_id;
    size_t pending_count;
    uint64_t generation; /* changes with every advance that rebases, and with every reset */
    char backend_id[SLUICE_BACKEND_ID_BYTES_MAX];
    size_t backend_id_bytes; /* 0: not known */
};

/* Pending events, in the caller's arena. */
struct outbox_batch {
    struct sluice_event *events;
    size_t event_count;
    uint64_t first_commit_id; /* with event_count > 0; the others count up by one */
    uint64_t generation;      /* as of the read */
};

struct outbox_advance {
    size_t confirmed_count;  /* pending events that are removed from the front; ≤ pending_count */
    uint64_t upstream_head;  /* the new one, ≥ the old one */
    bool rebases;            /* what is left gets numbers on top of it. What was committed since the
                                merge was decided does in any case. */
    struct slice backend_id; /* kept from now on; empty: leave it */
};

struct outbox;

struct outbox_ops {
    void (*destroy)(struct outbox *outbox);
    enum sluice_status (*state)(struct outbox *outbox, struct outbox_state *out,
                                struct sluice_error *error);
    /* Numbers an event on top of the local head. Its own numbers are ignored. LIMIT: the sequence
     * number would pass SLUICE_SEQ_NUM_MAX. */
    enum sluice_status (*append)(struct outbox *outbox, const struct sluice_event *event,
                                 struct sluice_commit *out, struct sluice_error *error);
    /* The first pending events whose number is greater than `after_seq_num`: at most
     * `event_count_max` and, but for the first one, `bytes_max` of texts. */
    enum sluice_status (*read)(struct outbox *outbox, uint64_t after_seq_num,
                               size_t event_count_max, size_t bytes_max, struct arena *arena,
                               struct outbox_batch *out, struct sluice_error *error);
    /* The log has grown. `*out` is what was renumbered; count 0: nothing. INVALID: it cannot be,
     * with what is pending and the head; LIMIT: as above. */
    enum sluice_status (*advance)(struct outbox *outbox, const struct outbox_advance *advance,
                                  struct sluice_rebase *out, struct sluice_error *error);
    /* Another log: upstream head 0, no backend id, everything pending renumbered from 1. */
    enum sluice_status (*reset)(struct outbox *outbox, struct sluice_rebase *out,
                                struct sluice_error *error);
};

/* An engine's struct begins with this. */
struct outbox {
    const struct outbox_ops *ops;
};

#endif
