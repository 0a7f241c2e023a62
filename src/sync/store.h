/* store: what is known of each store in use, and the registry that finds it by id. A store is in
 * memory while a push, a pull or a hold uses it, and not a moment longer: one that nobody uses
 * costs nothing. Private to sync/; loop thread. */
#ifndef SLUICE_SYNC_STORE_H
#define SLUICE_SYNC_STORE_H

#include "sync/sync.h"

struct sync_store {
    struct sync *sync;
    struct sync_store *next_in_bucket;
    unsigned uses; /* holds, pushes, pulls and reads that point here */
    bool known;    /* `info` is what the log says, and stays so: appends go through here only */
    bool opening;  /* `open_read` is under way */
    bool deciding; /* store_run is on the stack */
    uint64_t
        failures; /* how often what was known was given up: an append failed, or the log has
                     lost events. What was read before the last time is not to be learnt from */
    struct eventlog_store_info info;
    struct sync_push *current; /* between admission and publication, in order: one that is compared,
                                  or any number of appends, each on top of the one before */
    struct sync_push *current_last;
    uint64_t appending_head;  /* with appends under way: the head that they lead to */
    uint64_t appending_bytes; /* names, args and ids of their events */
    bool appending;
    struct sync_push *queue_first; /* those that wait, in order of arrival */
    struct sync_push *queue_last;
    struct sync_push *returned_last; /* of those at the queue's front that were to be appended and
                                        could not, as one before them failed */
    struct sync_pull *subscribers;   /* live pulls at head */
    struct sync_pull *publish_next;  /* where publication goes on; moved when that pull leaves */
    struct eventlog_read open_read;
    uint64_t hash;
    size_t id_bytes;
    char id[];
};

struct sync {
    struct eventlog *eventlog;
    size_t event_bytes_max;
    struct sync_store **buckets;
    size_t bucket_count; /* a power of two */
    size_t requests;     /* appends and reads under way */
    uint64_t hash_seed;
    struct sync_stats stats;
};

static inline struct slice store_id(const struct sync_store *store)
{
    return (struct slice){store->id, store->id_bytes};
}

/* Finds or makes the store and counts one use of it. NULL: no memory. */
struct sync_store *store_acquire(struct sync *sync, struct slice id);
/* Ends a use; the last one frees the store. */
void store_release(struct sync_store *store);

/* Reads what the log knows of the store, then runs its pushes. */
void store_open(struct sync_store *store);
/* Takes what a read has found, when nothing is known for sure. Pulls that are live and turn out to
 * be behind read on from their places; their callbacks may be called. */
void store_learn(struct sync_store *store, const struct eventlog_store_info *info);

/* push.c: decides about waiting pushes, as far as that goes now. */
void store_run(struct sync_store *store);
/* push.c: the store could not be opened: its waiting pushes are refused with that. */
void store_refuse_all(struct sync_store *store, enum sluice_status status,
                      const struct sluice_error *error);

/* pull.c: hands events that were just committed to the subscribers. */
void store_publish(struct sync_store *store, const struct event *events, size_t count);
/* pull.c: the head moved without publication: subscribers read on from their places. */
void store_subscribers_catch_up(struct sync_store *store);

#endif
