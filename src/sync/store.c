/* store: see store.h.
 *
 *              store_acquire             store_open              answer, or store_learn
 *   (nothing) ─────────────▶ not known ─────────────▶ opening ─────────────────────────▶ known
 *       ▲                        ▲                                                         │
 *       │ store_release (last)   └──────────── an append failed (push.c) ◀─────────────────┘
 *
 * Invariant: while a store is known, info.head is the head of the log as far as it is published. */
#include "sync/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

#define BUCKETS_AT_START 64u

struct sync *sync_create(const struct sync_options *options)
{
    struct sync *sync = calloc(1, sizeof(*sync));
    if (sync == NULL) {
        return NULL;
    }
    sync->eventlog = options->eventlog;
    sync->event_bytes_max = options->event_bytes_max;
    sync->bucket_count = BUCKETS_AT_START;
    sync->hash_seed = clock_monotonic_ns() ^ (uint64_t)(uintptr_t)sync;
    sync->buckets = calloc(sync->bucket_count, sizeof(struct sync_store *));
    if (sync->buckets == NULL) {
        free(sync);
        return NULL;
    }
    return sync;
}

void sync_destroy(struct sync *sync)
{
    if (sync == NULL) {
        return;
    }
    SLUICE_ASSERT(sync->stats.stores == 0);
    SLUICE_ASSERT(sync->requests == 0);
    free(sync->buckets);
    free(sync);
}

bool sync_busy(const struct sync *sync)
{
    return sync->requests > 0;
}

const struct sync_stats *sync_stats(const struct sync *sync)
{
    return &sync->stats;
}

/* FNV-1a with a seed and a final mix: ids are chosen by peers, so the buckets must not be. */
static uint64_t hash_id(const struct sync *sync, struct slice id)
{
    uint64_t hash = 0xcbf29ce484222325u ^ sync->hash_seed;
    for (size_t i = 0; i < id.bytes; i++) {
        hash = (hash ^ (uint8_t)id.data[i]) * 0x100000001b3u;
    }
    hash ^= sync->hash_seed >> 17;
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 33);
}

/* Doubles the table when it is full; without memory it stays as it is, only slower. */
static void grow(struct sync *sync)
{
    size_t count = sync->bucket_count * 2;
    struct sync_store **buckets = calloc(count, sizeof(struct sync_store *));
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < sync->bucket_count; i++) {
        struct sync_store *store = sync->buckets[i];
        while (store != NULL) {
            struct sync_store *next = store->next_in_bucket;
            struct sync_store **bucket = &buckets[store->hash & (count - 1)];
            store->next_in_bucket = *bucket;
            *bucket = store;
            store = next;
        }
    }
    free(sync->buckets);
    sync->buckets = buckets;
    sync->bucket_count = count;
}

struct sync_store *store_acquire(struct sync *sync, struct slice id)
{
    uint64_t hash = hash_id(sync, id);
    struct sync_store *store = sync->buckets[hash & (sync->bucket_count - 1)];
    while (store != NULL && (store->hash != hash || !slice_equal(store_id(store), id))) {
        store = store->next_in_bucket;
    }
    if (store == NULL) {
        store = calloc(1, sizeof(*store) + id.bytes);
        if (store == NULL) {
            return NULL;
        }
        if (sync->stats.stores >= sync->bucket_count) {
            grow(sync);
        }
        store->sync = sync;
        store->hash = hash;
        store->id_bytes = id.bytes;
        memcpy(store->id, id.data, id.bytes);
        struct sync_store **bucket = &sync->buckets[hash & (sync->bucket_count - 1)];
        store->next_in_bucket = *bucket;
        *bucket = store;
        sync->stats.stores++;
    }
    store->uses++;
    return store;
}

void store_release(struct sync_store *store)
{
    SLUICE_ASSERT(store->uses > 0);
    if (--store->uses > 0) {
        return;
    }
    struct sync *sync = store->sync;
    SLUICE_ASSERT(store->current == NULL);
    SLUICE_ASSERT(store->queue_first == NULL);
    SLUICE_ASSERT(store->subscribers == NULL);
    SLUICE_ASSERT(!store->opening);
    struct sync_store **link = &sync->buckets[store->hash & (sync->bucket_count - 1)];
    while (*link != store) {
        link = &(*link)->next_in_bucket;
    }
    *link = store->next_in_bucket;
    sync->stats.stores--;
    free(store);
}

struct sync_store *sync_store_hold(struct sync *sync, struct slice id)
{
    return store_acquire(sync, id);
}

struct slice sync_store_id(const struct sync_store *store)
{
    return store_id(store);
}

void sync_store_let_go(struct sync_store *store)
{
    store_release(store);
}

static void opened(struct eventlog_read *read)
{
    struct sync_store *store =
        (struct sync_store *)((char *)read - offsetof(struct sync_store, open_read));
    store->sync->requests--;
    store->opening = false;
    if (read->status == SLUICE_OK) {
        store_learn(store, &read->info);
        store_run(store);
    } else {
        store_refuse_all(store, read->status, &read->error);
    }
    store_release(store);
}

void store_open(struct sync_store *store)
{
    if (store->known || store->opening) {
        return;
    }
    store->opening = true;
    store->uses++;
    store->sync->requests++;
    store->open_read = (struct eventlog_read){.store_id = store_id(store), .done = opened};
    eventlog_submit_read(store->sync->eventlog, &store->open_read);
}

void store_learn(struct sync_store *store, const struct eventlog_store_info *info)
{
    SLUICE_ASSERT(!store->known);
    SLUICE_ASSERT(store->current == NULL);
    bool moved = info->head > store->info.head;
    store->info = *info;
    store->known = true;
    if (moved) {
        store_subscribers_catch_up(store);
    }
}
