/* outbox: events that are committed now and pushed when there is a connection.
 *
 * A client with an outbox follows its store by itself: it pulls live from the place the outbox
 * remembers, pushes what is pending, and where others were faster, puts the pending events on top
 * of the new head (rebases them: new sequence numbers and parents, same order) and pushes them
 * again. All clients of a store end with the same log.
 *
 * The outbox is one SQLite file of one store, with its write-ahead log and FILE.lock beside it. A
 * file that another client or process has open is STORAGE_LOCKED. Do not use sluice_client_push on
 * a client with an outbox: it would compete with it (INVALID).
 *
 * Numbers. A commit gets an id that never changes, 1, 2, 3 … in this outbox, and a sequence number
 * that may change until it is confirmed. */
#ifndef SLUICE_OUTBOX_H
#define SLUICE_OUTBOX_H

#include "sluice/client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_commit {
    uint64_t commit_id; /* 1, 2, 3 … */
    uint64_t seq_num;   /* for the time being */
};

/* Commits an event: name, args, client_id and session_id are taken, the numbers are given. When
 * this returns SLUICE_OK the event is on the disk and survives a crash of the program. Any thread,
 * also from callbacks. `out` may be NULL. INVALID names the rule; STORAGE_FULL, STORAGE_IO;
 * NO_MEMORY. */
SLUICE_API enum sluice_status sluice_client_commit(struct sluice_client *client,
                                                   const struct sluice_event *event,
                                                   struct sluice_commit *out,
                                                   struct sluice_error *error) SLUICE_MUST_CHECK;

struct sluice_outbox_status {
    uint64_t head_seq_num;   /* the last event that was pulled */
    size_t pending_count;    /* commits that are not confirmed */
    uint64_t last_commit_id; /* 0: none yet */
};

/* Any thread. STORAGE_IO; NO_MEMORY. */
SLUICE_API enum sluice_status
sluice_client_outbox_status(struct sluice_client *client, struct sluice_outbox_status *out,
                            struct sluice_error *error) SLUICE_MUST_CHECK;

/* After BACKEND_ID_MISMATCH: forgets the old log and starts with the new one, from its beginning;
 * what is pending is put on top of it. Only then: in the same log, commits that it has already and
 * that were not pulled yet would be there twice. After any other halt, close the client and make it
 * anew. Any thread. STORAGE_*; NO_MEMORY. */
SLUICE_API enum sluice_status
sluice_client_outbox_reset(struct sluice_client *client,
                           struct sluice_error *error) SLUICE_MUST_CHECK;

/* The log has grown. The first `confirmed_count` of the page's events are the caller's own commits,
 * first_confirmed_commit_id and the ones after it; the others are new. With `rebases`, commits that
 * are still pending now come after these events: undo them, apply the page, do them again. */
struct sluice_advance {
    struct sluice_page page;
    size_t confirmed_count;
    uint64_t first_confirmed_commit_id; /* with confirmed_count > 0 */
    bool rebases;
};

/* All of the pending commits were renumbered: `first_commit_id` has `first_seq_num` now, the next
 * one the next number, and so on. */
struct sluice_rebase {
    uint64_t first_commit_id;
    uint64_t first_seq_num;
    size_t count;
};

/* On the client's thread, with the options' `user`. Each may be NULL. */
struct sluice_outbox_callbacks {
    /* Called before the outbox notes it. So after a crash in between, and when it cannot be noted
     * (STORAGE_*), the last one comes again: a
     * program that keeps what it applies compares sequence numbers with what it has. */
    void (*advanced)(void *user, const struct sluice_advance *advance);
    /* Called after the outbox has noted it, when something has other numbers now: what an advance
     * rebased, and what was committed while it was at work (then also without `rebases`). */
    void (*rebased)(void *user, const struct sluice_rebase *rebase);
    /* Something went wrong; the outbox tries again by itself. Not so with `halted`: then it does
     * nothing more before sluice_client_outbox_reset or the next start. That is for
     * BACKEND_ID_MISMATCH, and for INVALID: the server gives back a commit with other args than it
     * was pushed with. */
    void (*failed)(void *user, const struct sluice_failure *failure, bool halted);
};

#ifdef __cplusplus
}
#endif

#endif
