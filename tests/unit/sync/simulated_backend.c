/* simulated_backend: a stand-in for the eventlog, without threads. See backend.h.
 *
 * A request waits until some backend_advance executes it, and its answer waits until another one
 * delivers it. Which comes next is random: commits take any number of the appends that wait, in
 * order; reads are executed in any order, and deliver in any order; so each order of execution and
 * answer that eventlog.h allows comes up. Pages are cut short, so that a few events make several.
 */
#include "backend.h"

#include <stdlib.h>
#include <stdio.h>

#include "base/assert.h"

#define STORES_MAX 64u
#define READS_MAX 4096u

struct sim_store {
    struct slice store_id; /* owned */
    struct event *events;  /* owned, with their texts */
    size_t event_count;
    uint64_t head;
    uint64_t bytes;
};

struct append_list {
    struct eventlog_append *first;
    struct eventlog_append *last;
};

struct eventlog {
    struct sim_store stores[STORES_MAX];
    size_t store_count;
    struct append_list appends;             /* not executed */
    struct append_list answered;            /* not delivered, in commit order */
    struct eventlog_read *reads[READS_MAX]; /* the first read_answers are executed */
    size_t read_count;
    size_t read_answers;
    size_t pending;
    uint64_t seed;
    unsigned commits_one_in;
    unsigned reads_one_in;
    enum backend_failure failure;
    bool has_failed; /* a commit, ever */
};

static uint64_t draw(struct eventlog *eventlog, uint64_t bound)
{
    eventlog->seed = eventlog->seed * 6364136223846793005u + 1442695040888963407u;
    return (eventlog->seed >> 33) % bound;
}

static struct slice copy_slice(struct slice source)
{
    char *copy = malloc(source.bytes + 1);
    SLUICE_ASSERT(copy != NULL);
    if (source.bytes > 0) {
        memcpy(copy, source.data, source.bytes);
    }
    return slice_make(copy, source.bytes);
}

struct eventlog *backend_open(void)
{
    struct eventlog *eventlog = calloc(1, sizeof(*eventlog));
    SLUICE_ASSERT(eventlog != NULL);
    return eventlog;
}

void backend_close(struct eventlog *eventlog)
{
    SLUICE_ASSERT(eventlog->pending == 0);
    for (size_t i = 0; i < eventlog->store_count; i++) {
        struct sim_store *store = &eventlog->stores[i];
        for (size_t k = 0; k < store->event_count; k++) {
            free((void *)store->events[k].name.data);
            free((void *)store->events[k].args.data);
            free((void *)store->events[k].client_id.data);
            free((void *)store->events[k].session_id.data);
        }
        free(store->events);
        free((void *)store->store_id.data);
    }
    free(eventlog);
}

static struct sim_store *find_store(struct eventlog *eventlog, struct slice store_id)
{
    for (size_t i = 0; i < eventlog->store_count; i++) {
        if (slice_equal(eventlog->stores[i].store_id, store_id)) {
            return &eventlog->stores[i];
        }
    }
    SLUICE_ASSERT(eventlog->store_count < STORES_MAX);
    struct sim_store *store = &eventlog->stores[eventlog->store_count++];
    store->store_id = copy_slice(store_id);
    return store;
}

static struct eventlog_store_info info_of(const struct eventlog *eventlog,
                                          const struct sim_store *store)
{
    struct eventlog_store_info info = {
        .head = store->head, .event_count = store->event_count, .event_bytes = store->bytes};
    (void)snprintf(info.backend_id, sizeof(info.backend_id), "simulated-%011zu",
                   (size_t)(store - eventlog->stores));
    return info;
}

static void push_append(struct append_list *list, struct eventlog_append *append)
{
    append->next = NULL;
    if (list->first == NULL) {
        list->first = append;
    } else {
        list->last->next = append;
    }
    list->last = append;
}

static struct eventlog_append *pop_append(struct append_list *list)
{
    struct eventlog_append *append = list->first;
    list->first = append->next;
    append->next = NULL;
    return append;
}

/* --- What sync/ calls --- */

void eventlog_submit_append(struct eventlog *eventlog, struct eventlog_append *append)
{
    SLUICE_ASSERT(append->event_count > 0);
    eventlog->pending++;
    push_append(&eventlog->appends, append);
}

void eventlog_submit_read(struct eventlog *eventlog, struct eventlog_read *read)
{
    SLUICE_ASSERT(eventlog->read_count < READS_MAX);
    eventlog->pending++;
    eventlog->reads[eventlog->read_count++] = read;
}

size_t eventlog_pending(const struct eventlog *eventlog)
{
    return eventlog->pending;
}

/* --- What happens below --- */

static void store_events(struct sim_store *store, struct eventlog_append *append)
{
    size_t count = store->event_count + append->event_count;
    store->events = realloc(store->events, count * sizeof(struct event));
    SLUICE_ASSERT(store->events != NULL);
    for (size_t i = 0; i < append->event_count; i++) {
        struct event *event = &append->events[i];
        SLUICE_ASSERT(event->parent_seq_num == store->head);
        SLUICE_ASSERT(event->seq_num > store->head);
        event->position = store->event_count;
        event->created_at_ms = (int64_t)store->event_count;
        struct event *copy = &store->events[store->event_count++];
        *copy = *event;
        copy->name = copy_slice(event->name);
        copy->args = copy_slice(event->args);
        copy->client_id = copy_slice(event->client_id);
        copy->session_id = copy_slice(event->session_id);
        store->head = event->seq_num;
        store->bytes += event->args.bytes;
    }
}

static void commit(struct eventlog *eventlog)
{
    bool fails = eventlog->commits_one_in > 0 && draw(eventlog, eventlog->commits_one_in) == 0;
    eventlog->has_failed = eventlog->has_failed || fails;
    do {
        struct eventlog_append *append = pop_append(&eventlog->appends);
        struct sim_store *store = find_store(eventlog, append->store_id);
        append->error = (struct sluice_error){0};
        append->status = SLUICE_OK;
        /* Sync knows the head when it appends, but where an append before it has failed, or a
         * failure left something behind. */
        if (append->expected_head != store->head) {
            SLUICE_ASSERT(eventlog->has_failed);
            append->status = error_set(&append->error, SLUICE_INVALID, "not the head");
        } else if (!fails || eventlog->failure == BACKEND_STORES_AND_SAYS_IO) {
            store_events(store, append);
            append->info = info_of(eventlog, store);
        }
        if (fails && append->status == SLUICE_OK) {
            append->status = error_set(&append->error, SLUICE_STORAGE_IO, "a commit fails");
        }
        push_append(&eventlog->answered, append);
    } while (eventlog->appends.first != NULL && draw(eventlog, 3) != 0);
}

static enum sluice_status visit(struct eventlog *eventlog, const struct sim_store *store,
                                struct eventlog_read *read)
{
    size_t at = 0;
    while (at < store->event_count &&
           (read->by_position ? at < read->position
                              : store->events[at].seq_num <= read->after_seq_num)) {
        at++;
    }
    if (read->by_position) {
        read->after_seq_num = at > 0 ? store->events[at - 1].seq_num : 0;
    }
    read->after_is_stored = read->after_seq_num == 0 ||
                            (at > 0 && store->events[at - 1].seq_num == read->after_seq_num);
    read->last_seq_num = read->after_seq_num;
    read->events_read = 0;
    size_t events_max = read->events_max;
    bool is_page = read->finish != NULL;
    if (is_page && draw(eventlog, 2) == 0) {
        events_max = 1 + draw(eventlog, 4); /* as if the page were full of bytes */
    }
    enum sluice_status status = SLUICE_OK;
    for (bool stop = false; at < store->event_count && read->events_read < events_max && !stop;) {
        status = read->visit(read, &store->events[at], &stop);
        if (status != SLUICE_OK) {
            return status;
        }
        read->last_seq_num = store->events[at].seq_num;
        read->events_read++;
        at++;
    }
    read->remaining = store->event_count - at;
    return SLUICE_OK;
}

static void execute_read(struct eventlog *eventlog)
{
    size_t at =
        eventlog->read_answers + draw(eventlog, eventlog->read_count - eventlog->read_answers);
    struct eventlog_read *read = eventlog->reads[at];
    eventlog->reads[at] = eventlog->reads[eventlog->read_answers];
    eventlog->reads[eventlog->read_answers++] = read;
    const struct sim_store *store = find_store(eventlog, read->store_id);
    read->error = (struct sluice_error){0};
    if (eventlog->reads_one_in > 0 && draw(eventlog, eventlog->reads_one_in) == 0) {
        read->status = error_set(&read->error, SLUICE_STORAGE_IO, "a read fails");
        return;
    }
    read->info = info_of(eventlog, store);
    read->status = visit(eventlog, store, read);
    if (read->status == SLUICE_OK && read->finish != NULL) {
        read->finish(read);
    }
}

static void deliver_append(struct eventlog *eventlog)
{
    struct eventlog_append *append = pop_append(&eventlog->answered);
    eventlog->pending--;
    append->done(append);
}

static void deliver_read(struct eventlog *eventlog)
{
    size_t at = draw(eventlog, eventlog->read_answers);
    struct eventlog_read *read = eventlog->reads[at];
    eventlog->reads[at] = eventlog->reads[--eventlog->read_answers];
    eventlog->reads[eventlog->read_answers] = eventlog->reads[--eventlog->read_count];
    eventlog->pending--;
    read->done(read);
}

void backend_advance(struct eventlog *eventlog, uint64_t random)
{
    eventlog->seed ^= random;
    switch (draw(eventlog, 4)) {
    case 0:
        if (eventlog->appends.first != NULL) {
            commit(eventlog);
        }
        break;
    case 1:
        if (eventlog->read_count > eventlog->read_answers) {
            execute_read(eventlog);
        }
        break;
    case 2:
        if (eventlog->answered.first != NULL) {
            deliver_append(eventlog);
        }
        break;
    default:
        if (eventlog->read_answers > 0) {
            deliver_read(eventlog);
        }
        break;
    }
}

void backend_settle(struct eventlog *eventlog)
{
    while (eventlog->pending > 0) {
        backend_advance(eventlog, 0);
    }
}

void backend_fail(struct eventlog *eventlog, unsigned commits_one_in, unsigned reads_one_in,
                  enum backend_failure failure)
{
    eventlog->commits_one_in = commits_one_in;
    eventlog->reads_one_in = reads_one_in;
    eventlog->failure = failure;
}

const struct event *backend_log(struct eventlog *eventlog, struct slice store_id, size_t *count)
{
    const struct sim_store *store = find_store(eventlog, store_id);
    *count = store->event_count;
    return store->events;
}
