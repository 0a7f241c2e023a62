/* admission: the rules by which a push is taken or refused. Pure: no I/O, no state.
 *
 * With p the first event's parent and head the store's head:
 *   1. Every event is well formed, the batch strictly ascending, each event's parent the event
 * before it in the batch. Gaps in sequence numbers are legal.            admission_check_batch
 *   2. A backend id that is given and is not ours: BACKEND_ID_MISMATCH.  push.c
 *   3. p = head: append.                                                push.c
 *   4. p < head: compare with the stored events after p. All stored: acknowledged, nothing stored.
 * An equal prefix that ends at head: append the rest.                 admission_same_event
 *   5. Otherwise SERVER_AHEAD with head as the minimum expected.        push.c
 * Rule 4 is how a push whose acknowledgement was lost heals. */
#ifndef SLUICE_SYNC_ADMISSION_H
#define SLUICE_SYNC_ADMISSION_H

#include <stdbool.h>

#include "base/error.h"
#include "base/event.h"

/* Rule 1. INVALID or LIMIT, with a message that names the event, the rule and the limit. */
enum sluice_status admission_check_batch(const struct event *events, size_t count,
                                         size_t event_bytes_max,
                                         struct sluice_error *error) SLUICE_MUST_CHECK;

/* Whether a store id can be used: 1..512 bytes of valid UTF-8. INVALID or LIMIT. */
enum sluice_status admission_check_store_id(struct slice store_id,
                                            struct sluice_error *error) SLUICE_MUST_CHECK;

/* Rule 4's equality: sequence number, parent, client id, session id, name, and args as JSON values.
 * NO_MEMORY, or OK with `*same` filled. */
enum sluice_status admission_same_event(const struct event *stored, const struct event *pushed,
                                        bool *same) SLUICE_MUST_CHECK;

#endif
