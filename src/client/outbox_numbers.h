/* outbox_numbers: which numbers the pending events of an outbox have. Commit ids count up by one
 * and pending events are one chain on the upstream head, so three numbers say all: an event's
 * sequence number is upstream_head plus its place behind the last confirmed commit. Nothing is
 * written anew when a log that has grown renumbers a thousand events. Pure; both engines share it.
 */
#ifndef SLUICE_CLIENT_OUTBOX_NUMBERS_H
#define SLUICE_CLIENT_OUTBOX_NUMBERS_H

#include "client/outbox.h"

struct outbox_numbers {
    uint64_t upstream_head;
    uint64_t confirmed_commit_id; /* the last commit that the log has; 0: none */
    uint64_t last_commit_id;      /* ≥ confirmed_commit_id; what lies between is pending */
    uint64_t generation;
    char backend_id[SLUICE_BACKEND_ID_BYTES_MAX];
    size_t backend_id_bytes;
};

static inline uint64_t outbox_numbers_pending_count(const struct outbox_numbers *numbers)
{
    return numbers->last_commit_id - numbers->confirmed_commit_id;
}

static inline uint64_t outbox_numbers_seq_num(const struct outbox_numbers *numbers,
                                              uint64_t commit_id)
{
    return numbers->upstream_head + (commit_id - numbers->confirmed_commit_id);
}

/* Whether numbers from a file make sense. */
bool outbox_numbers_valid(const struct outbox_numbers *numbers);
struct outbox_state outbox_numbers_state(const struct outbox_numbers *numbers);
/* The first pending commit whose sequence number is greater than `seq_num`; one past the last when
 * there is none. */
uint64_t outbox_numbers_first_after(const struct outbox_numbers *numbers, uint64_t seq_num);

/* What the numbers will be. `*next` is filled on success, for the engine to keep once that is
 * written. */

/* LIMIT: there is no number left. */
enum sluice_status outbox_numbers_append(const struct outbox_numbers *numbers,
                                         struct outbox_numbers *next, struct sluice_commit *commit,
                                         struct sluice_error *error) SLUICE_MUST_CHECK;
/* LIMIT, as above; INVALID: more is confirmed than is pending, the head goes back, or the backend
 * id is too long. */
enum sluice_status outbox_numbers_advance(const struct outbox_numbers *numbers,
                                          const struct outbox_advance *advance,
                                          struct outbox_numbers *next, struct sluice_rebase *rebase,
                                          struct sluice_error *error) SLUICE_MUST_CHECK;
void outbox_numbers_reset(const struct outbox_numbers *numbers, struct outbox_numbers *next,
                          struct sluice_rebase *rebase);

#endif
