/* push_request: a push that a client sent, with the bytes it points into: copied from the
 * connection, because it outlives it. Every endpoint's pushes go this way. Loop thread. */
#ifndef SLUICE_ENDPOINT_PUSH_REQUEST_H
#define SLUICE_ENDPOINT_PUSH_REQUEST_H

#include "base/arena.h"
#include "endpoint/front.h"
#include "sync/sync.h"

struct push_request {
    struct sync_push push;
    struct front *front;
    struct arena arena;   /* the payload, its decoded events, and what the endpoint adds */
    struct slice payload; /* in the arena */
    size_t inflight_bytes;
    void (*decided)(struct push_request *request); /* the outcome is in `push` */
    void *owner;                                   /* NULL: the connection is gone */
    struct push_request *next;                     /* in its owner's list */
    /* For the endpoint to find its answer's address. */
    struct slice id;
    int dialect;
};

/* Copies the payload and the store id. UNAVAILABLE (--inflight-bytes-max), NO_MEMORY. */
enum sluice_status push_request_create(struct front *front, struct slice payload,
                                       struct slice store_id, struct push_request **out,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* NULL is accepted. */
void push_request_destroy(struct push_request *request);
/* Counts what decoding has allocated, then submits. `decided` follows, maybe before this returns.
 * UNAVAILABLE: not submitted, still the caller's. */
enum sluice_status push_request_submit(struct push_request *request, struct sync *sync,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* The connection goes: `decided` comes with no owner, and the request is its own. */
void push_request_abandon(struct push_request *request);
/* A copy in the request's arena. NULL data: no memory. */
struct slice push_request_keep(struct push_request *request, struct slice text);

#endif
