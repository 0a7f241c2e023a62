/* lookup: the addresses of a name.
 *
 *     net_lookup_start ──▶ thread: getaddrinfo ──▶ async ──▶ `found` on the loop's thread
 *            net_lookup_abandon ── closes the async; the thread ends by itself, unheard
 *
 * The system's look-up cannot be interrupted and may take half a minute, so nothing waits for it:
 * it has a detached thread of its own, and what it works on is shared between that thread and the
 * loop and freed by the later of the two. (libuv's own thread pool would have to be waited for, and
 * ends the process when its threads cannot be had.) `abandoned`, `references` and the results are
 * under the lock; the rest is the loop's. */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/thread.h"
#include "net/net_internal.h"

struct net_lookup {
    uv_async_t async;
    struct net_loop *loop;
    void (*found)(void *user, int result, struct addrinfo *addresses);
    void *user;
    pthread_mutex_t lock;
    unsigned references; /* the loop's and the thread's */
    bool abandoned;      /* the async is closing: nobody is to be woken */
    int result;          /* of getaddrinfo */
    struct addrinfo *addresses;
    char port[6];
    char host[];
};

int net_lookup_numeric(const char *host, const char *port, struct addrinfo **out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    return getaddrinfo(host, port, &hints, out);
}

static void unref(struct net_lookup *lookup)
{
    (void)pthread_mutex_lock(&lookup->lock);
    SLUICE_ASSERT(lookup->references > 0);
    unsigned left = --lookup->references;
    (void)pthread_mutex_unlock(&lookup->lock);
    if (left == 0) {
        if (lookup->addresses != NULL) {
            freeaddrinfo(lookup->addresses);
        }
        (void)pthread_mutex_destroy(&lookup->lock);
        free(lookup);
    }
}

static void *run(void *user)
{
    struct net_lookup *lookup = user;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int result = getaddrinfo(lookup->host, lookup->port, &hints, &addresses);
    (void)pthread_mutex_lock(&lookup->lock);
    lookup->result = result;
    lookup->addresses = result == 0 ? addresses : NULL;
    if (!lookup->abandoned) {
        (void)uv_async_send(&lookup->async);
    }
    (void)pthread_mutex_unlock(&lookup->lock);
    unref(lookup);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct net_lookup *lookup = handle->data;
    net_loop_release(lookup->loop);
    unref(lookup);
}

void net_lookup_abandon(struct net_lookup *lookup)
{
    (void)pthread_mutex_lock(&lookup->lock);
    lookup->abandoned = true;
    (void)pthread_mutex_unlock(&lookup->lock);
    uv_close((uv_handle_t *)&lookup->async, on_closed);
}

static void on_found(uv_async_t *handle)
{
    struct net_lookup *lookup = handle->data;
    (void)pthread_mutex_lock(&lookup->lock);
    int result = lookup->result;
    struct addrinfo *addresses = lookup->addresses;
    lookup->addresses = NULL;
    (void)pthread_mutex_unlock(&lookup->lock);
    net_lookup_abandon(lookup);
    lookup->found(lookup->user, result, addresses);
}

struct net_lookup *net_lookup_start(struct net_loop *loop, const char *host, const char *port,
                                    void (*found)(void *user, int result,
                                                  struct addrinfo *addresses),
                                    void *user, struct sluice_error *error)
{
    size_t host_bytes = strlen(host) + 1;
    struct net_lookup *lookup = calloc(1, sizeof(*lookup) + host_bytes);
    if (lookup == NULL || pthread_mutex_init(&lookup->lock, NULL) != 0) {
        (void)error_set(error, SLUICE_NO_MEMORY, "out of memory for looking up '%s'", host);
        free(lookup);
        return NULL;
    }
    memcpy(lookup->host, host, host_bytes);
    (void)snprintf(lookup->port, sizeof(lookup->port), "%s", port);
    lookup->loop = loop;
    lookup->found = found;
    lookup->user = user;
    lookup->references = 1;
    int result = uv_async_init(loop->uv, &lookup->async, on_found);
    if (result != 0) {
        (void)error_set(error, SLUICE_NO_MEMORY, "cannot look up '%s': %s", host,
                        uv_strerror(result));
        unref(lookup);
        return NULL;
    }
    lookup->async.data = lookup;
    net_loop_hold(loop);
    lookup->references = 2;
    pthread_t thread;
    if (thread_start("sluice-lookup", run, lookup, &thread, error) != SLUICE_OK) {
        lookup->references = 1;
        net_lookup_abandon(lookup);
        return NULL;
    }
    (void)pthread_detach(thread);
    return lookup;
}
