/* http_endpoint: what the plain-HTTP fronts (S2, Electric) have in common: one path, HEAD to ping,
 * GET with `args` to pull, POST of {"storeId","batch"} to push, JSON errors. Loop thread. */
#ifndef SLUICE_ENDPOINT_HTTP_ENDPOINT_H
#define SLUICE_ENDPOINT_HTTP_ENDPOINT_H

#include "base/arena.h"
#include "endpoint/front.h"
#include "sync/sync.h"

struct http_endpoint_options {
    const char *path; /* "/s2"; borrowed */
    struct sync *sync;
    /* A client was refused something; for counters and logs. May be NULL. */
    void (*refused)(void *user, enum sluice_status status, struct slice store_id, const char *peer,
                    const char *message);
    void *user;
};

struct http_endpoint {
    struct http_endpoint_options options;
    struct front *front; /* once it is there */
    /* Answers a GET; `args` is its JSON, in the arena, which lasts for the call only; empty when
     * there is none that can be understood. */
    void (*pull)(struct http_endpoint *endpoint, struct exchange *exchange, struct slice args,
                 struct arena *arena);
};

/* The entry for front_create; `user` is the http_endpoint. */
struct endpoint http_endpoint_entry(struct http_endpoint *endpoint);

/* {"success":false,"error":"SERVER_AHEAD","message":"…"} with a status that says the same. */
void http_endpoint_refuse(struct http_endpoint *endpoint, struct exchange *exchange,
                          int http_status, enum sluice_status status, struct slice store_id,
                          const char *message);

#endif
