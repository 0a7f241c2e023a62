/* pull: the way out: catch-up by pages read from the eventlog, then the live stream, without gap or
 * repeat.
 *
 *   sync_pull_start                 page with more to come, ready
 *        │      ┌──────────────────────────────────────────────┐
 *        ▼      ▼                                              │
 *       READING ──page_done──▶ at head, live ──▶ LIVE ──store_publish, not ready──▶ WAITING
 *        │   ▲ │                                                                     ▲ │
 *        │   │ └───────────── more to come, not ready ──────────────────────────────┘ │
 *        │   └──────────────────────── sync_pull_resume, ready ───────────────────────┘
 *        └─ at head, not live; or an error ──▶ ENDED (from anywhere: sync_pull_cancel)
 *
 * Loop thread, but for visit_page and finish_page (reader threads), which see only their page_read.
 * Invariants: `sent` only grows; a pull is in its store's list of subscribers exactly while it is
 * LIVE, and then sent ≥ the published head; a page is handed out only if it follows `sent`. */
#include "sync/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "sync/admission.h"

#define LIVE_ENCODERS_MAX 4u /* endpoints with an encoder of their own */

/* A page on its way through a reader thread. It outlives a pull that is cancelled meanwhile. */
struct sync_page_read {
    struct eventlog_read read;
    struct sync_store *store; /* one use */
    struct sync_pull *pull;   /* NULL once cancelled */
    const struct sync_encoder *encoder;
    struct buffer page;
    size_t events;
    int64_t last_created_at_ms;
    /* The store's, when the read was submitted. */
    uint64_t failures;
    uint64_t head_known; /* 0: it was not known. What is read has at least that */
};

/* Reader thread. */
static enum sluice_status visit_page(struct eventlog_read *read, const struct event *event,
                                     bool *stop)
{
    struct sync_page_read *reading = (struct sync_page_read *)read;
    reading->encoder->event(&reading->page, event, reading->events == 0);
    reading->events++;
    reading->last_created_at_ms = event->created_at_ms;
    *stop = reading->page.bytes >= PAGE_BYTES_TARGET;
    return buffer_status(&reading->page);
}

/* Reader thread. */
static void finish_page(struct eventlog_read *read)
{
    struct sync_page_read *reading = (struct sync_page_read *)read;
    reading->encoder->end(&reading->page, &(struct sync_page_end){
                                              .events = read->events_read,
                                              .remaining = read->remaining,
                                              .event_count = read->info.event_count,
                                              .last_created_at_ms = reading->last_created_at_ms,
                                              .backend_id = read->info.backend_id,
                                          });
}

static void unlink_subscriber(struct sync_pull *pull)
{
    struct sync_store *store = pull->store;
    SLUICE_ASSERT(pull->state == SYNC_PULL_LIVE);
    if (store->publish_next == pull) {
        store->publish_next = pull->next;
    }
    if (pull->previous != NULL) {
        pull->previous->next = pull->next;
    } else {
        SLUICE_ASSERT(store->subscribers == pull);
        store->subscribers = pull->next;
    }
    if (pull->next != NULL) {
        pull->next->previous = pull->previous;
    }
    pull->next = NULL;
    pull->previous = NULL;
    store->sync->stats.live_pulls--;
}

static void link_subscriber(struct sync_pull *pull)
{
    struct sync_store *store = pull->store;
    pull->state = SYNC_PULL_LIVE;
    pull->previous = NULL;
    pull->next = store->subscribers;
    if (pull->next != NULL) {
        pull->next->previous = pull;
    }
    store->subscribers = pull;
    store->sync->stats.live_pulls++;
}

/* Leaves the store; no callback. */
static void leave(struct sync_pull *pull)
{
    struct sync_store *store = pull->store;
    if (pull->state == SYNC_PULL_LIVE) {
        unlink_subscriber(pull);
    }
    if (pull->reading != NULL) {
        /* Or else a peer that asks and cancels, on and on, would keep the readers from all others.
         */
        eventlog_abandon_read(&pull->reading->read);
        pull->reading->pull = NULL;
        pull->reading = NULL;
    }
    pull->state = SYNC_PULL_ENDED;
    pull->store = NULL;
    store_release(store);
}

static void end(struct sync_pull *pull, enum sluice_status status, const struct sluice_error *error)
{
    leave(pull);
    pull->ops->end(pull, status, error);
}

static void page_done(struct eventlog_read *read);

static enum sluice_status read_page(struct sync_pull *pull)
{
    struct sync_page_read *reading = calloc(1, sizeof(*reading));
    if (reading == NULL) {
        return SLUICE_NO_MEMORY;
    }
    struct sync_store *store = pull->store;
    reading->store = store;
    reading->pull = pull;
    reading->encoder = pull->encoder;
    reading->failures = store->failures;
    reading->head_known = store->known ? store->info.head : 0;
    buffer_init(&reading->page, SIZE_MAX / 2);
    reading->encoder->start(&reading->page);
    reading->read = (struct eventlog_read){
        .store_id = store_id(store),
        .after_seq_num = pull->sent,
        .by_position = pull->by_position && !pull->any_page,
        .position = pull->position,
        .events_max = PAGE_EVENTS_MAX,
        .visit = visit_page,
        .finish = finish_page,
        .done = page_done,
    };
    pull->state = SYNC_PULL_READING;
    pull->reading = reading;
    store->uses++;
    store->sync->requests++;
    eventlog_submit_read(store->sync->eventlog, &reading->read);
    return SLUICE_OK;
}

/* Reads the next page, or ends the pull when there is no memory even for that. */
static void read_on(struct sync_pull *pull)
{
    struct sluice_error error;
    if (read_page(pull) != SLUICE_OK) {
        enum sluice_status status = error_set(&error, SLUICE_NO_MEMORY, "out of memory for a page");
        end(pull, status, &error);
    }
}

/* Out of the live stream, to read on from its own place when it is ready. */
static void fall_behind(struct sync_pull *pull)
{
    unlink_subscriber(pull);
    pull->state = SYNC_PULL_WAITING;
    sync_pull_resume(pull);
}

/* What only the first page can tell: whether the cursor is one of this log's. */
static enum sluice_status check_cursor(struct sync_pull *pull, const struct eventlog_read *read,
                                       struct sluice_error *error)
{
    const char *ours = read->info.backend_id;
    memcpy(pull->backend_id, ours, sizeof(pull->backend_id));
    if (pull->by_position && pull->position > read->info.event_count) {
        return error_set(
            error, SLUICE_CURSOR_AHEAD,
            "position %llu is past the store's tail %llu: this log was restored from an "
            "older copy, or lost events; restore the newer log, or reset the store",
            (unsigned long long)pull->position, (unsigned long long)read->info.event_count);
    }
    if (!pull->has_cursor) {
        return SLUICE_OK;
    }
    if (!slice_equal(pull->cursor_backend_id, slice_of_string(ours))) {
        return error_set(error, SLUICE_BACKEND_ID_MISMATCH,
                         "the cursor is of backend id %.*s, this log is %s",
                         SLICE_PRINT(pull->cursor_backend_id), ours);
    }
    if (pull->cursor > read->info.head) {
        return error_set(
            error, SLUICE_CURSOR_AHEAD,
            "the cursor %llu is past the store's head %llu: this log was restored from "
            "an older copy, or lost events; restore the newer log, or reset the store",
            (unsigned long long)pull->cursor, (unsigned long long)read->info.head);
    }
    if (!read->after_is_stored) {
        return error_set(error, SLUICE_CURSOR_AHEAD,
                         "the cursor %llu is not an event of this log (head %llu): the log is not "
                         "the one that the cursor was taken from",
                         (unsigned long long)pull->cursor, (unsigned long long)read->info.head);
    }
    return SLUICE_OK;
}

/* Hands out what was read, if there is anything, and always the first page. */
static enum sluice_status hand_out(struct sync_pull *pull, struct sync_page_read *reading,
                                   struct sluice_error *error)
{
    if (reading->read.events_read == 0 && pull->any_page) {
        return SLUICE_OK;
    }
    enum sluice_status status = buffer_status(&reading->page);
    struct shared *page = status == SLUICE_OK ? shared_take_buffer(&reading->page) : NULL;
    if (page == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a page");
    }
    SLUICE_ASSERT(reading->read.last_seq_num >= pull->sent);
    pull->any_page = true;
    pull->sent = reading->read.last_seq_num;
    pull->page_events = reading->read.events_read;
    pull->store->sync->stats.pages_read++;
    pull->ops->page(pull, page);
    shared_unref(page);
    return SLUICE_OK;
}

/* After a page: join the live stream, end, wait, or read on. */
static void go_on(struct sync_pull *pull, uint64_t remaining)
{
    struct sync_store *store = pull->store;
    bool at_head = remaining == 0;
    if (at_head && !pull->live) {
        end(pull, SLUICE_OK, NULL);
    } else if (at_head && store->known && pull->sent >= store->info.head) {
        link_subscriber(pull);
    } else if (pull->ops->ready(pull)) {
        read_on(pull);
    } else {
        pull->state = SYNC_PULL_WAITING;
    }
}

/* A page's read also tells what the store's log has, which is news when nobody else is about to
 * find out. Its view may be older than the commit whose failure made the store unknown; then it
 * tells nothing. */
static void learn_from(struct sync_page_read *reading)
{
    struct sync_store *store = reading->store;
    if (reading->read.status == SLUICE_OK && !store->known && !store->opening &&
        store->current == NULL && reading->failures == store->failures) {
        store_learn(store, &reading->read.info);
    }
}

/* A log that has lost events was changed by somebody else, under the server. What was known of it
 * is forgotten, and every live pull of the store looks for itself. */
static enum sluice_status check_head(struct sync_page_read *reading, struct sluice_error *error)
{
    struct sync_store *store = reading->store;
    uint64_t head = reading->read.info.head;
    uint64_t expected = reading->head_known;
    if (reading->pull != NULL && reading->pull->any_page && reading->pull->sent > expected) {
        expected = reading->pull->sent;
    }
    if (head >= expected) {
        return SLUICE_OK;
    }
    if (store->known && store->current == NULL && store->info.head > head) {
        store->known = false;
        store->failures++;
        for (struct sync_pull *pull = store->subscribers; pull != NULL; pull = store->subscribers) {
            fall_behind(pull);
        }
    }
    return error_set(error, SLUICE_STORAGE_CORRUPT,
                     "the log had events up to %llu and now ends at %llu: its data was changed "
                     "under the running server; restart it, and see docs/storage.md",
                     (unsigned long long)expected, (unsigned long long)head);
}

static void page_done(struct eventlog_read *read)
{
    struct sync_page_read *reading = (struct sync_page_read *)read;
    struct sync_store *store = reading->store;
    struct sluice_error error = read->error;
    enum sluice_status status = read->status;
    store->sync->requests--;
    if (status == SLUICE_OK) {
        status = check_head(reading, &error);
    }
    learn_from(reading);
    struct sync_pull *pull = reading->pull;
    if (pull != NULL) {
        SLUICE_ASSERT(pull->state == SYNC_PULL_READING);
        if (status == SLUICE_OK && !pull->any_page) {
            status = check_cursor(pull, read, &error);
        }
        if (status == SLUICE_OK) {
            status = hand_out(pull, reading, &error);
        }
        /* The page's receiver may have cancelled the pull, and freed it. */
        if (reading->pull != NULL) {
            pull->reading = NULL;
            if (status == SLUICE_OK) {
                go_on(pull, read->remaining);
            } else {
                end(pull, status, &error);
            }
        }
    }
    buffer_deinit(&reading->page);
    free(reading);
    store_release(store);
}

enum sluice_status sync_pull_start(struct sync *sync, struct sync_pull *pull)
{
    pull->sync = sync;
    pull->sent = pull->cursor;
    pull->any_page = false;
    pull->reading = NULL;
    pull->next = NULL;
    pull->previous = NULL;
    pull->store = store_acquire(sync, pull->store_id);
    if (pull->store == NULL) {
        return SLUICE_NO_MEMORY;
    }
    enum sluice_status status = read_page(pull);
    if (status != SLUICE_OK) {
        pull->state = SYNC_PULL_ENDED;
        store_release(pull->store);
        pull->store = NULL;
    }
    return status;
}

void sync_pull_resume(struct sync_pull *pull)
{
    if (pull->state == SYNC_PULL_WAITING && pull->ops->ready(pull)) {
        read_on(pull);
    }
}

void sync_pull_cancel(struct sync_pull *pull)
{
    if (pull->store != NULL) {
        leave(pull);
    }
}

/* The events' page as `encoder` writes it, made once for all subscribers that share it. NULL: no
 * memory. */
static struct shared *live_page(struct sync_store *store, const struct sync_encoder *encoder,
                                const struct event *events, size_t count)
{
    struct buffer page;
    buffer_init(&page, SIZE_MAX / 2);
    encoder->start(&page);
    for (size_t i = 0; i < count; i++) {
        encoder->event(&page, &events[i], i == 0);
    }
    encoder->end(&page, &(struct sync_page_end){
                            .events = count,
                            .event_count = store->info.event_count,
                            .last_created_at_ms = events[count - 1].created_at_ms,
                            .backend_id = store->info.backend_id,
                        });
    struct shared *shared = buffer_status(&page) == SLUICE_OK ? shared_take_buffer(&page) : NULL;
    buffer_deinit(&page);
    return shared;
}

void store_publish(struct sync_store *store, const struct event *events, size_t count)
{
    const struct sync_encoder *encoders[LIVE_ENCODERS_MAX] = {0};
    struct shared *pages[LIVE_ENCODERS_MAX] = {0};
    uint64_t parent = events[0].parent_seq_num;
    uint64_t last = events[count - 1].seq_num;
    SLUICE_ASSERT(store->publish_next == NULL);
    SLUICE_ASSERT(store->info.head == last);
    for (struct sync_pull *pull = store->subscribers; pull != NULL; pull = store->publish_next) {
        store->publish_next = pull->next;
        if (pull->sent >= last) {
            continue; /* its catch-up read further than publication had come */
        }
        unsigned slot = 0;
        while (slot < LIVE_ENCODERS_MAX - 1 && encoders[slot] != NULL &&
               encoders[slot] != pull->encoder) {
            slot++;
        }
        if (encoders[slot] != pull->encoder) {
            shared_unref(pages[slot]);
            encoders[slot] = pull->encoder;
            pages[slot] = live_page(store, pull->encoder, events, count);
        }
        if (pages[slot] == NULL || pull->sent != parent || !pull->ops->ready(pull)) {
            fall_behind(pull);
            continue;
        }
        pull->sent = last;
        pull->page_events = count;
        pull->any_page = true;
        store->sync->stats.pages_live++;
        pull->ops->page(pull, pages[slot]);
    }
    store->publish_next = NULL;
    for (unsigned i = 0; i < LIVE_ENCODERS_MAX; i++) {
        shared_unref(pages[i]);
    }
}

void store_subscribers_catch_up(struct sync_store *store)
{
    SLUICE_ASSERT(store->publish_next == NULL);
    for (struct sync_pull *pull = store->subscribers; pull != NULL; pull = store->publish_next) {
        store->publish_next = pull->next;
        if (pull->sent < store->info.head) {
            fall_behind(pull);
        }
    }
    store->publish_next = NULL;
}
