/* eventlog_memory: the engine that keeps events in memory, for tests and for trying things out.
 * Nothing survives the process.
 *
 *     store id ──▶ hash table of stores ──▶ store ──▶ growing array ──▶ event, with its bytes
 *
 * Owns everything in it. The committer is the only writer: it looks up and prepares without the
 * lock and takes it to publish; readers hold it for the length of a read. Invariants: an array's
 * events are one chain with positions 0, 1, 2 …; an append for which there is no memory changes
 * nothing. Here every append is a transaction of its own, which no one can tell from the outside:
 * they succeed or fail on memory alone. */
#include "eventlog/eventlog_engine.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "eventlog/append_check.h"
#include "eventlog/backend_id.h"

#define BUCKETS_FIRST 64u

/* An event and the bytes its slices point to, in one allocation. */
struct memory_event {
    struct event event;
    char bytes[];
};

struct memory_store {
    struct memory_store *next; /* in its bucket */
    struct slice id;           /* owned; behind the struct */
    struct eventlog_store_info info;
    struct memory_event **events; /* owned, info.event_count of them */
    size_t capacity;              /* allocated in events */
};

struct memory_engine {
    struct eventlog_engine engine; /* first, so that the one pointer is the other */
    pthread_rwlock_t lock;
    unsigned char secret[BACKEND_ID_SECRET_BYTES];
    struct memory_store **buckets; /* owned */
    size_t bucket_count;           /* a power of two */
    size_t store_count;
};

struct eventlog_reader {
    struct memory_engine *memory;
};

static struct memory_engine *memory_of(struct eventlog_engine *engine)
{
    return (struct memory_engine *)engine;
}

/* A backend id is a keyed hash of the store id already, so nobody can aim ids at one bucket. */
static size_t bucket_of(const char *backend_id, size_t bucket_count)
{
    uint64_t hash = 0;
    memcpy(&hash, backend_id, sizeof hash);
    hash *= 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 32) & (bucket_count - 1);
}

static struct memory_store *find_store(const struct memory_engine *memory, struct slice store_id,
                                       const char *backend_id)
{
    struct memory_store *store = memory->buckets[bucket_of(backend_id, memory->bucket_count)];
    while (store != NULL && !slice_equal(store->id, store_id)) {
        store = store->next;
    }
    return store;
}

static void free_store(struct memory_store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t index = 0; index < store->info.event_count; index++) {
        free(store->events[index]);
    }
    free(store->events);
    free(store);
}

static struct memory_store *new_store(struct slice store_id, const char *backend_id)
{
    struct memory_store *store = calloc(1, sizeof *store + store_id.bytes);
    if (store == NULL) {
        return NULL;
    }
    if (store_id.bytes > 0) {
        memcpy(store + 1, store_id.data, store_id.bytes);
    }
    store->id = slice_make(store + 1, store_id.bytes);
    memcpy(store->info.backend_id, backend_id, sizeof store->info.backend_id);
    return store;
}

/* Twice the buckets; without memory for them the chains just grow longer. */
static void grow_buckets(struct memory_engine *memory)
{
    size_t bucket_count = memory->bucket_count * 2;
    struct memory_store **buckets = calloc(bucket_count, sizeof(struct memory_store *));
    if (buckets == NULL) {
        return;
    }
    for (size_t index = 0; index < memory->bucket_count; index++) {
        struct memory_store *store = memory->buckets[index];
        while (store != NULL) {
            struct memory_store *next = store->next;
            size_t bucket = bucket_of(store->info.backend_id, bucket_count);
            store->next = buckets[bucket];
            buckets[bucket] = store;
            store = next;
        }
    }
    free(memory->buckets);
    memory->buckets = buckets;
    memory->bucket_count = bucket_count;
}

static void link_store(struct memory_engine *memory, struct memory_store *store)
{
    if (memory->store_count >= memory->bucket_count) {
        grow_buckets(memory);
    }
    size_t bucket = bucket_of(store->info.backend_id, memory->bucket_count);
    store->next = memory->buckets[bucket];
    memory->buckets[bucket] = store;
    memory->store_count++;
}

static struct slice copy_to(char **at, struct slice source)
{
    struct slice copy = {*at, source.bytes};
    if (source.bytes > 0) {
        memcpy(*at, source.data, source.bytes);
    }
    *at += source.bytes;
    return copy;
}

static struct memory_event *copy_event(const struct event *source)
{
    struct memory_event *copy = malloc(sizeof *copy + event_payload_bytes(source));
    if (copy == NULL) {
        return NULL;
    }
    char *at = copy->bytes;
    copy->event = *source;
    copy->event.name = copy_to(&at, source->name);
    copy->event.args = copy_to(&at, source->args);
    copy->event.client_id = copy_to(&at, source->client_id);
    copy->event.session_id = copy_to(&at, source->session_id);
    return copy;
}

/* Room for `count` more events; what is stored stays as it is. */
static bool reserve_events(struct memory_store *store, size_t count)
{
    size_t needed = store->info.event_count + count;
    if (needed <= store->capacity) {
        return true;
    }
    size_t capacity = store->capacity * 2 > needed ? store->capacity * 2 : needed;
    struct memory_event **events = realloc(store->events, capacity * sizeof(struct memory_event *));
    if (events == NULL) {
        return false;
    }
    store->events = events;
    store->capacity = capacity;
    return true;
}

/* Copies the append's events behind the stored ones, where no reader looks yet. */
static bool copy_events(struct memory_store *store, struct eventlog_append *append, int64_t now_ms)
{
    SLUICE_ASSERT(store->capacity >= store->info.event_count + append->event_count);
    SLUICE_ASSERT(store->events != NULL);
    for (size_t index = 0; index < append->event_count; index++) {
        struct event *event = &append->events[index];
        event->position = store->info.event_count + index;
        event->created_at_ms = now_ms;
        struct memory_event *copy = copy_event(event);
        if (copy == NULL) {
            while (index > 0) {
                free(store->events[store->info.event_count + --index]);
            }
            return false;
        }
        store->events[event->position] = copy;
    }
    return true;
}

/* Stores the append in `store`. Only the array's move and the new counts need the lock: behind
 * event_count no reader looks. */
static enum sluice_status append_to(struct memory_engine *memory, struct memory_store *store,
                                    struct eventlog_append *append, int64_t now_ms)
{
    enum sluice_status status = append_check(append, store->info.head, &append->error);
    if (status != SLUICE_OK) {
        return status;
    }
    (void)pthread_rwlock_wrlock(&memory->lock);
    bool reserved = reserve_events(store, append->event_count);
    (void)pthread_rwlock_unlock(&memory->lock);
    if (!reserved || !copy_events(store, append, now_ms)) {
        return error_set(&append->error, SLUICE_NO_MEMORY, "no memory to store %zu events",
                         append->event_count);
    }
    (void)pthread_rwlock_wrlock(&memory->lock);
    store->info.head = append->events[append->event_count - 1].seq_num;
    store->info.event_count += append->event_count;
    store->info.event_bytes += append_payload_bytes(append);
    (void)pthread_rwlock_unlock(&memory->lock);
    append->info = store->info;
    return SLUICE_OK;
}

static enum sluice_status commit_one(struct memory_engine *memory, struct eventlog_append *append,
                                     int64_t now_ms)
{
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 1];
    enum sluice_status status =
        backend_id_derive(memory->secret, 0, append->store_id, backend_id, &append->error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct memory_store *store = find_store(memory, append->store_id, backend_id);
    if (store != NULL) {
        return append_to(memory, store, append, now_ms);
    }
    store = new_store(append->store_id, backend_id);
    if (store == NULL) {
        return error_set(&append->error, SLUICE_NO_MEMORY, "no memory for a store");
    }
    status = append_to(memory, store, append, now_ms);
    if (status != SLUICE_OK) {
        free_store(store);
        return status;
    }
    (void)pthread_rwlock_wrlock(&memory->lock);
    link_store(memory, store);
    (void)pthread_rwlock_unlock(&memory->lock);
    return SLUICE_OK;
}

static void memory_commit(struct eventlog_engine *engine, struct eventlog_append **appends,
                          size_t count, int64_t now_ms)
{
    for (size_t index = 0; index < count; index++) {
        appends[index]->status = commit_one(memory_of(engine), appends[index], now_ms);
    }
}

static enum sluice_status memory_probe(struct eventlog_engine *engine, struct sluice_error *error)
{
    (void)engine;
    (void)error;
    return SLUICE_OK;
}

static enum sluice_status memory_reader_open(struct eventlog_engine *engine,
                                             struct eventlog_reader **out,
                                             struct sluice_error *error)
{
    struct eventlog_reader *reader = malloc(sizeof *reader);
    if (reader == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for a reader");
    }
    reader->memory = memory_of(engine);
    *out = reader;
    return SLUICE_OK;
}

static void memory_reader_close(struct eventlog_reader *reader)
{
    free(reader);
}

/* The position of the first event after `seq_num`. */
static size_t position_after(const struct memory_store *store, uint64_t seq_num)
{
    size_t low = 0;
    size_t high = store->info.event_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store->events[middle]->event.seq_num <= seq_num) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum sluice_status read_store(const struct memory_store *store, struct eventlog_read *read)
{
    if (read->by_position) {
        uint64_t before =
            read->position < store->info.event_count ? read->position : store->info.event_count;
        read->after_seq_num = before == 0 ? 0 : store->events[before - 1]->event.seq_num;
    }
    size_t position = position_after(store, read->after_seq_num);
    read->info = store->info;
    read->after_is_stored =
        read->after_seq_num == 0 ||
        (position > 0 && store->events[position - 1]->event.seq_num == read->after_seq_num);
    read->last_seq_num = read->after_seq_num;
    enum sluice_status status = SLUICE_OK;
    bool stop = false;
    while (read->events_read < read->events_max && position < store->info.event_count && !stop) {
        const struct event *event = &store->events[position]->event;
        status = read->visit(read, event, &stop);
        if (status != SLUICE_OK) {
            break;
        }
        read->events_read++;
        read->last_seq_num = event->seq_num;
        position++;
    }
    read->remaining = store->info.event_count - position;
    return status;
}

static enum sluice_status memory_read(struct eventlog_reader *reader, struct eventlog_read *read,
                                      struct sluice_error *error)
{
    struct memory_engine *memory = reader->memory;
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 1];
    enum sluice_status status =
        backend_id_derive(memory->secret, 0, read->store_id, backend_id, error);
    if (status != SLUICE_OK) {
        return status;
    }
    (void)pthread_rwlock_rdlock(&memory->lock);
    const struct memory_store *store = find_store(memory, read->store_id, backend_id);
    if (store != NULL) {
        status = read_store(store, read);
    } else {
        read->info = (struct eventlog_store_info){0};
        memcpy(read->info.backend_id, backend_id, sizeof read->info.backend_id);
        read->after_is_stored = read->after_seq_num == 0;
        read->remaining = 0;
    }
    (void)pthread_rwlock_unlock(&memory->lock);
    return status;
}

static void memory_close(struct eventlog_engine *engine)
{
    struct memory_engine *memory = memory_of(engine);
    for (size_t index = 0; index < memory->bucket_count; index++) {
        struct memory_store *store = memory->buckets[index];
        while (store != NULL) {
            struct memory_store *next = store->next;
            free_store(store);
            store = next;
        }
    }
    free(memory->buckets);
    (void)pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

static const struct eventlog_engine_ops memory_ops = {
    .name = "memory",
    .commit = memory_commit,
    .probe = memory_probe,
    .settle = NULL,
    .reader_open = memory_reader_open,
    .reader_close = memory_reader_close,
    .read = memory_read,
    .close = memory_close,
};

/* A lock that lets the committer in before further readers, so that pulls cannot hold up pushes. */
static bool init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    if (pthread_rwlockattr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    bool made = pthread_rwlock_init(lock, &attributes) == 0;
    (void)pthread_rwlockattr_destroy(&attributes);
    return made;
}

enum sluice_status eventlog_memory_open(struct eventlog_engine **out, struct sluice_error *error)
{
    struct memory_engine *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the event log");
    }
    memory->engine.ops = &memory_ops;
    memory->bucket_count = BUCKETS_FIRST;
    memory->buckets = calloc(memory->bucket_count, sizeof(struct memory_store *));
    if (memory->buckets == NULL || !init_lock(&memory->lock)) {
        free(memory->buckets);
        free(memory);
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the event log");
    }
    enum sluice_status status = backend_id_make_secret(memory->secret, error);
    if (status != SLUICE_OK) {
        memory_close(&memory->engine);
        return status;
    }
    *out = &memory->engine;
    return SLUICE_OK;
}
