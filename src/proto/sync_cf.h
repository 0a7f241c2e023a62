/* sync_cf: what `makeWsSync` and `makeHttpSync` of @livestore/sync-cf/client ask and are answered:
 * the payloads of SyncWsRpc.* and SyncHttpRpc.*. Shape only: whether a push is admitted is decided
 * in sync/. Facts: recorded frames of the 0.4.0 and the next client; docs/protocol.md. Pure. */
#ifndef SLUICE_PROTO_SYNC_CF_H
#define SLUICE_PROTO_SYNC_CF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/event.h"
#include "base/slice.h"

struct sync_cf_pull {
    struct slice store_id;
    bool live; /* WebSocket only */
    bool has_cursor;
    struct slice cursor_backend_id; /* with has_cursor */
    uint64_t cursor_seq_num;        /* with has_cursor; 0..2^53-1 */
};

struct sync_cf_push {
    struct slice store_id;
    bool has_backend_id;
    struct slice backend_id;
    struct event *events; /* in the arena; seq nums, name, args ("null" when absent), ids */
    size_t event_count;   /* may be 0 */
};

/* Decoders of a request's payload, a JSON text that was validated. Strings borrow from the payload
 * or, where they had escapes, from the arena. INVALID names the field and what it must be;
 * LIMIT names the limit (more than BATCH_EVENTS_MAX events); NO_MEMORY. */
enum sluice_status sync_cf_decode_pull(struct slice payload, bool wants_live, struct arena *arena,
                                       struct sync_cf_pull *out,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
enum sluice_status sync_cf_decode_push(struct slice payload, struct arena *arena,
                                       struct sync_cf_push *out,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* Only the store a payload names. */
enum sluice_status sync_cf_decode_ping(struct slice payload, struct arena *arena,
                                       struct slice *store_id,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;

/* A page: {"batch":[…],"pageInfo":…,"backendId":"…"}, written start, events, end. */
void sync_cf_page_start(struct buffer *out);
void sync_cf_page_event(struct buffer *out, const struct event *event, bool first);
/* `remaining` events follow this page: 0 writes NoMore, else MoreKnown. */
void sync_cf_page_end(struct buffer *out, uint64_t remaining, struct slice backend_id);

/* The typed errors, as JSON objects. */
void sync_cf_append_server_ahead(struct buffer *out, uint64_t minimum_expected, uint64_t provided);
void sync_cf_append_backend_id_mismatch(struct buffer *out, struct slice expected,
                                        struct slice received);
/* `cause` must be present or the clients cannot decode it; a string decodes in both. */
void sync_cf_append_unknown_error(struct buffer *out, struct slice cause);

#endif
