/* sync_cf_client: the payloads that a client sends to a sync-cf server, and what it gets back:
 * pages and typed errors. The other half of sync_cf.h. Facts: recorded frames of the reference
 * server; docs/protocol.md. Pure. */
#ifndef SLUICE_PROTO_SYNC_CF_CLIENT_H
#define SLUICE_PROTO_SYNC_CF_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/event.h"
#include "base/slice.h"

#define SYNC_CF_NO_TIME INT64_MIN /* created_at_ms of an event without metadata */

struct sync_cf_query {
    struct slice store_id;
    struct slice payload;    /* JSON text, or empty */
    struct slice backend_id; /* empty: not known */
};

/* Payloads. The cursor is sent only when `seq_num` > 0 and the backend id is known, as the protocol
 * has no cursor without one. `live` is written only over WebSocket. */
void sync_cf_append_pull(struct buffer *out, const struct sync_cf_query *query, uint64_t seq_num,
                         bool over_ws, bool live);
/* Start, then each event, then the end. */
void sync_cf_append_push_start(struct buffer *out, const struct sync_cf_query *query);
void sync_cf_append_push_event(struct buffer *out, const struct event *event, bool first);
void sync_cf_append_push_end(struct buffer *out, const struct sync_cf_query *query);
void sync_cf_append_ping(struct buffer *out, const struct sync_cf_query *query);

enum sync_cf_more { SYNC_CF_NO_MORE, SYNC_CF_MORE_KNOWN, SYNC_CF_MORE_UNKNOWN };

struct sync_cf_page {
    struct event *events; /* in the arena; not checked for order */
    size_t event_count;
    enum sync_cf_more more;
    uint64_t remaining;      /* with MORE_KNOWN */
    struct slice backend_id; /* 1..64 bytes */
};

/* One value of a Chunk (validated JSON). Strings borrow from the text or, where they had escapes,
 * from the arena. Unknown fields are ignored; absent args are null, absent metadata is
 * SYNC_CF_NO_TIME. INVALID names the field; NO_MEMORY. */
enum sluice_status sync_cf_decode_page(struct slice value, struct arena *arena,
                                       struct sync_cf_page *out,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;

struct sync_cf_error {
    enum sluice_status status; /* SERVER_AHEAD, BACKEND_ID_MISMATCH, or UNKNOWN for any other */
    uint64_t minimum_expected; /* SERVER_AHEAD */
    uint64_t provided;         /* SERVER_AHEAD */
    struct slice expected, received; /* BACKEND_ID_MISMATCH */
    struct slice text; /* UNKNOWN: the cause's text, or the whole error's JSON when it has none */
};

/* A typed error (validated JSON), also when it lies in the `cause` of an UnknownError. NO_MEMORY.
 */
enum sluice_status sync_cf_decode_error(struct slice body, struct arena *arena,
                                        struct sync_cf_error *out) SLUICE_MUST_CHECK;

#endif
