/* sync_cf_internal: what the files of the sync-cf endpoint share: its WebSocket side
 * (sync_cf_session.c), its HTTP side (sync_cf_exchange.c), and what both answer with
 * (sync_cf_answer.c). */
#ifndef SLUICE_ENDPOINT_SYNC_CF_INTERNAL_H
#define SLUICE_ENDPOINT_SYNC_CF_INTERNAL_H

#include "base/arena.h"
#include "base/limits.h"
#include "endpoint/endpoint_sync_cf.h"
#include "endpoint/push_request.h"
#include "proto/effect_rpc.h"
#include "proto/sync_cf.h"

#define PUSHES_PER_CONNECTION_MAX 64u /* then reading pauses until half of them are decided */
#define ANSWER_BYTES_MAX (64u << 10)

struct endpoint_sync_cf {
    struct endpoint_sync_cf_options options;
    struct front *front;
};

/* sync-cf's pages, for sync/. */
extern const struct sync_encoder SYNC_CF_ENCODER;

/* Copies and decodes a Push; `id` and `dialect` are the message's. Failures are to be answered at
 * once: INVALID and MALFORMED as a defect of the request, others as an error. */
enum sluice_status cf_push_create(struct endpoint_sync_cf *endpoint,
                                  const struct rpc_message *message, struct slice store_id,
                                  struct push_request **out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;

/* A pull on its way to one connection. */
struct cf_pull {
    struct sync_pull pull;
    void *owner;
    struct cf_pull *next; /* in its owner's list */
    enum rpc_dialect dialect;
    unsigned unacknowledged; /* chunks, over WebSocket */
    uint64_t acknowledged_ms;
    char backend_id[BACKEND_ID_BYTES_MAX]; /* the cursor's */
    struct slice id;
    struct slice chunk_start;
    char text[]; /* the chunk's start, which holds the id */
};

/* Decodes a Pull and makes its struct; `ops` and `owner` are left to the caller. */
enum sluice_status cf_pull_create(const struct rpc_message *message, struct slice store_id,
                                  bool websocket, struct cf_pull **out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;

/* Whether a Ping makes sense; over HTTP it is a request with a payload. */
enum sluice_status cf_ping_check(const struct rpc_message *message, struct slice store_id,
                                 struct sluice_error *error) SLUICE_MUST_CHECK;

/* Answers: one whole message each, appended. */
void cf_answer_push(struct buffer *out, const struct push_request *push);
void cf_answer_pull_end(struct buffer *out, const struct cf_pull *pull, enum sluice_status status,
                        const struct sluice_error *error);
/* A request that could not be started. */
void cf_answer_refusal(struct buffer *out, const struct rpc_message *message,
                       enum sluice_status status, const struct sluice_error *error);
void cf_answer_invalid(struct buffer *out, const struct rpc_message *message);
void cf_answer_unknown_procedure(struct buffer *out, const struct rpc_message *message);

void cf_report(struct endpoint_sync_cf *endpoint, enum sluice_status status, struct slice store_id,
               const char *peer, const char *message);

/* sync_cf_session.c */
extern const struct session_ops CF_SESSION_OPS;
/* `store_id` is copied. NULL: no memory. */
void *cf_session_create(struct endpoint_sync_cf *endpoint, struct slice store_id);

/* sync_cf_exchange.c: answers an HTTP request for `store_id` (copied). */
void cf_exchange_start(struct endpoint_sync_cf *endpoint, struct exchange *exchange,
                       struct slice store_id);

#endif
