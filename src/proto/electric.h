/* electric: what `makeSyncBackend` of @livestore/sync-electric asks and is answered: pull arguments
 * in, arrays of insert operations out. A handle is the store's backend id. An offset is the
 * sequence number of the last event sent and whether the client knows that it was the last: "17_0"
 * after a live answer with events, "17_1" after any other. Facts: the 0.4.0 package (api-schema,
 * index). Pure. */
#ifndef SLUICE_PROTO_ELECTRIC_H
#define SLUICE_PROTO_ELECTRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/event.h"
#include "base/slice.h"

struct electric_pull {
    struct slice store_id;
    bool has_handle;
    struct slice handle; /* with has_handle */
    uint64_t seq_num;    /* with has_handle: of the offset; 0: from the start */
    bool knows_end;      /* with has_handle: the offset says so */
    bool live;
};

/* {"_tag":"@livestore/sync-electric.Pull","storeId","payload"?,"handle":Option,"live"}. INVALID
 * names the field. */
enum sluice_status electric_decode_pull(struct slice args, struct arena *arena,
                                        struct electric_pull *out,
                                        struct sluice_error *error) SLUICE_MUST_CHECK;

/* A page: an array of inserts; with the control item "up-to-date" at the end of the log. */
void electric_page_start(struct buffer *out);
void electric_page_event(struct buffer *out, const struct event *event, bool first);
void electric_page_end(struct buffer *out, bool any_event, bool up_to_date);

/* "17_0", or "17_1" */
void electric_append_offset(struct buffer *out, uint64_t seq_num, bool knows_end);

#endif
