/* event: an event of a store's log, as every room passes it on. */
#ifndef SLUICE_BASE_EVENT_H
#define SLUICE_BASE_EVENT_H

#include <stdint.h>

#include "base/slice.h"

/* Slices are borrowed: from the push on the way in, from the engine during a visit on the way out.
 */
struct event {
    uint64_t seq_num;        /* 1..2^53-1 */
    uint64_t parent_seq_num; /* 0 is the root */
    uint64_t position;     /* 0, 1, 2 … in log order, dense and stable for ever; set by the log */
    int64_t created_at_ms; /* the commit's wall time; set by the log */
    struct slice name;
    struct slice args; /* JSON text, exactly as it came */
    struct slice client_id;
    struct slice session_id;
};

#endif
