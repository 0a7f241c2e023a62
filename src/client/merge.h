/* merge: what a client with pending events does when its store's log grows, as LiveStore's sync
 * state does it. A pure function; tests/unit/client/merge_vectors.json says the same in examples.
 *
 * Upstream events come strictly after the upstream head, in order. As long as they are the same as
 * the pending ones, from the front, they confirm these. At the first difference, whatever is still
 * pending is rolled back and renumbered on top of the last upstream event: sequence numbers count
 * up by one, each parent is the event before. Fewer upstream events than pending ones, all the
 * same: the rest stays as it is. More, and all pending ones are the same: all are confirmed, and
 * the head moves on. */
#ifndef SLUICE_CLIENT_MERGE_H
#define SLUICE_CLIENT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/event.h"

struct merge_input {
    uint64_t upstream_head;             /* before these events */
    const struct sluice_event *pending; /* in order; the first min(pending, upstream) suffice */
    size_t pending_count;
    const struct sluice_event *upstream; /* ascending, all after upstream_head */
    size_t upstream_count;
};

struct merge_result {
    size_t confirmed_count; /* of pending, from the front; equal to as many of upstream's */
    bool rebases;           /* what is pending behind these gets new numbers */
    uint64_t upstream_head; /* after these events */
};

/* INVALID: upstream does not ascend, or does not start after the head. NO_MEMORY: comparing args.
 */
enum sluice_status merge(const struct merge_input *input, struct merge_result *out,
                         struct sluice_error *error) SLUICE_MUST_CHECK;

/* Renumbers events in place: the first one after `upstream_head`, and so on. Returns the new local
 * head: the last one's number, or upstream_head when there is none. */
uint64_t merge_renumber(struct sluice_event *events, size_t count, uint64_t upstream_head);

#endif
