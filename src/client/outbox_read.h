/* outbox_read: how an engine fills an outbox_batch: within the caller's bounds, in the caller's
 * arena, with the numbers that the events have now. Both engines share it. */
#ifndef SLUICE_CLIENT_OUTBOX_READ_H
#define SLUICE_CLIENT_OUTBOX_READ_H

#include "client/outbox_numbers.h"

struct outbox_read {
    const struct outbox_numbers *numbers; /* borrowed */
    struct arena *arena;                  /* borrowed */
    uint64_t first_commit_id;             /* where the engine is to start */
    size_t event_count_max;               /* no more than there are */
    size_t bytes_left;
    struct outbox_batch batch; /* the outcome */
};

/* Starts a read with the arguments of outbox_ops.read. NO_MEMORY. */
enum sluice_status outbox_read_begin(struct outbox_read *read, const struct outbox_numbers *numbers,
                                     uint64_t after_seq_num, size_t event_count_max,
                                     size_t bytes_max, struct arena *arena,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
/* Whether another event is to be offered, as far as counting goes. */
static inline bool outbox_read_wants(const struct outbox_read *read)
{
    return read->batch.event_count < read->event_count_max;
}
/* Copies the next event, whose own numbers are ignored; or ends the read when it does not fit.
 * NO_MEMORY. */
enum sluice_status outbox_read_take(struct outbox_read *read, const struct sluice_event *event,
                                    struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
