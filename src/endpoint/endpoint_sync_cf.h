/* endpoint_sync_cf: the front of apps written for @livestore/sync-cf: `makeWsSync({ url })` and
 * `makeHttpSync({ url })`, on any path, told by the parameters storeId and transport. Both
 * published dialects at once (proto/effect_rpc.h). Loop thread. */
#ifndef SLUICE_ENDPOINT_SYNC_CF_H
#define SLUICE_ENDPOINT_SYNC_CF_H

#include "endpoint/front.h"
#include "sync/sync.h"

struct endpoint_sync_cf;

struct endpoint_sync_cf_options {
    struct sync *sync;
    unsigned pulls_per_connection_max;
    /* A WebSocket without a Pull this long after it opened is closed: the 0.4.0 client reconnects
     * after a ping time-out believing that its old live pull still runs, and only a closed socket
     * makes it pull again. 0: never. */
    uint64_t silent_connection_timeout_ms;
    /* A pull whose chunks are not acknowledged this long, with the window full, is cut. */
    uint64_t stall_timeout_ms;
    /* A client was refused something; for counters and logs. May be NULL. */
    void (*refused)(void *user, enum sluice_status status, struct slice store_id, const char *peer,
                    const char *message);
    void *user;
};

struct endpoint_sync_cf *endpoint_sync_cf_create(const struct endpoint_sync_cf_options *options);
void endpoint_sync_cf_destroy(struct endpoint_sync_cf *endpoint);
/* The entry for front_create. */
struct endpoint endpoint_sync_cf_entry(struct endpoint_sync_cf *endpoint);
/* Once the front is there. */
void endpoint_sync_cf_attach(struct endpoint_sync_cf *endpoint, struct front *front);

#endif
