/* endpoint_s2: the front of apps written for @livestore/sync-s2: `makeSyncBackend({ endpoint })`.
 * Pulls are server-sent events (proto/s2.h), pushes and pings as in http_endpoint.h. Loop thread.
 */
#ifndef SLUICE_ENDPOINT_S2_H
#define SLUICE_ENDPOINT_S2_H

#include "endpoint/http_endpoint.h"

struct endpoint_s2 {
    struct http_endpoint http; /* http.front is set once the front is there */
    uint64_t ping_interval_ms; /* a live stream that is silent this long gets a ping event */
};

/* Fills `endpoint` in place. */
void endpoint_s2_init(struct endpoint_s2 *endpoint, const struct http_endpoint_options *options,
                      uint64_t ping_interval_ms);

#endif
