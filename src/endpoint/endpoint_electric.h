/* endpoint_electric: the front of apps written for @livestore/sync-electric: `makeSyncBackend({
 * endpoint })`. A pull is one page a request, with a long poll for live ones (proto/electric.h);
 * pushes and pings as in http_endpoint.h. Loop thread. */
#ifndef SLUICE_ENDPOINT_ELECTRIC_H
#define SLUICE_ENDPOINT_ELECTRIC_H

#include "endpoint/http_endpoint.h"

struct endpoint_electric {
    struct http_endpoint http; /* http.front is set once the front is there */
    uint64_t long_poll_ms;     /* how long a live pull waits for something new */
};

/* Fills `endpoint` in place. */
void endpoint_electric_init(struct endpoint_electric *endpoint,
                            const struct http_endpoint_options *options, uint64_t long_poll_ms);

#endif
