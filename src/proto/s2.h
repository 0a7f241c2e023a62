/* s2: what `makeSyncBackend` of @livestore/sync-s2 asks and is answered: pull arguments in, server-
 * sent events out. Positions are the S2 protocol's `seq_num`: 0, 1, 2 … in log order, not
 * LiveStore's sequence numbers. Facts: the 0.4.0 package (api-schema, decode, ReadBatch). Pure. */
#ifndef SLUICE_PROTO_S2_H
#define SLUICE_PROTO_S2_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/event.h"
#include "base/slice.h"

struct s2_pull {
    struct slice store_id;
    uint64_t position; /* of the first record wanted: the last one seen and one more */
    bool live;
};

/* {"storeId":…,"s2SeqNum":N|"from-start","live":bool,"payload"?}. INVALID names the field. */
enum sluice_status s2_decode_pull(struct slice args, struct arena *arena, struct s2_pull *out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;

/* One `batch` event: start, records, end. `tail` is the position of the store's next event; the
 * page's last record is at `last_position`, which is also the event's id, for Last-Event-ID. */
void s2_batch_start(struct buffer *out);
void s2_batch_record(struct buffer *out, const struct event *event, bool first);
void s2_batch_end(struct buffer *out, uint64_t tail, int64_t timestamp_ms, uint64_t last_position);

/* The end of a pull that is not live. */
#define S2_DONE "data: [DONE]\n\n"
void s2_append_ping(struct buffer *out, int64_t timestamp_ms);
void s2_append_error(struct buffer *out, struct slice message);

#endif
