/* push: the way of a push: admission, the eventlog's commit, publication, then its answer.
 *
 *   sync_push_submit ─▶ queue ─▶ decide ─┬─▶ append ─▶ appended ─▶ store_publish ─▶ finish
 *     │ rule 1 broken                    ├─▶ compare ─▶ compared ─┬─▶ append …
 *     ▼                                  │                        └─▶ finish (all stored, or ahead)
 *   done                                 └─▶ finish (refused)
 *
 * Loop thread, but for visit_compare (a reader thread). Invariants: the pushes of a store that are
 * between decide and finish, from `current` on, are either one that is compared, alone, so that
 * what its events are compared with cannot change meanwhile; or appends, each of which continues
 * where the one before it ends. They finish in their order. When one fails, so do those that
 * follow: the log takes none that does not continue at its head. */
#include "sync/store.h"

#include <string.h>

#include "base/assert.h"
#include "eventlog/append_check.h"
#include "sync/admission.h"

/* With so much under way a store's next appends wait, so that those of other stores, which the
 * committer takes in their order, do not wait for all of them. */
#define APPENDING_BYTES_MAX (4u << 20)

static void unlink_current(struct sync_store *store)
{
    struct sync_push *push = store->current;
    store->current = push->next;
    push->next = NULL;
    if (store->current == NULL) {
        store->current_last = NULL;
        store->appending = false;
    }
}

static void finish(struct sync_push *push)
{
    struct sync_store *store = push->store;
    SLUICE_ASSERT(store->current == push);
    unlink_current(store);
    if (push->status != SLUICE_OK) {
        store->sync->stats.pushes_refused++;
    }
    push->done(push);
    store_run(store);
    store_release(store);
}

static void refuse_ahead(struct sync_push *push)
{
    push->status = error_set(&push->error, SLUICE_SERVER_AHEAD,
                             "the push's first parent is %llu but the store's head is %llu; pull, "
                             "rebase and push again",
                             (unsigned long long)push->events[0].parent_seq_num,
                             (unsigned long long)push->store->info.head);
    push->head = push->store->info.head;
    finish(push);
}

/* Back to the queue's front, to be decided anew. */
static void return_to_queue(struct sync_push *push)
{
    struct sync_store *store = push->store;
    SLUICE_ASSERT(store->current == push);
    unlink_current(store);
    struct sync_push **link =
        store->returned_last != NULL ? &store->returned_last->next : &store->queue_first;
    push->next = *link;
    *link = push;
    store->returned_last = push;
    if (push->next == NULL) {
        store->queue_last = push;
    }
    push->status = SLUICE_OK;
}

/* What the failure left behind is for the log to say, once all that followed has failed too. An
 * append that was to follow one that failed is refused by the log, which is not its push's fault.
 */
static void append_failed(struct sync_push *push)
{
    struct sync_store *store = push->store;
    bool follows_a_failure = push->status == SLUICE_INVALID && !store->known;
    store->known = false;
    store->failures++;
    if (push->next == NULL) {
        store_open(store);
    }
    if (follows_a_failure) {
        return_to_queue(push);
    } else {
        push->error = push->request.append.error;
        finish(push);
    }
}

static void appended(struct eventlog_append *append)
{
    struct sync_push *push =
        (struct sync_push *)((char *)append - offsetof(struct sync_push, request.append));
    struct sync_store *store = push->store;
    store->sync->requests--;
    store->appending_bytes -= append_payload_bytes(append);
    push->status = append->status;
    if (append->status == SLUICE_OK) {
        store->info = append->info;
        store->known = true; /* again, when one before it had left something behind */
        push->head = append->info.head;
        store->sync->stats.pushes_admitted++;
        store_publish(store, append->events, append->event_count);
    } else {
        append_failed(push);
        return;
    }
    finish(push);
}

static void append(struct sync_push *push)
{
    struct sync_store *store = push->store;
    store->appending = true;
    store->appending_head = push->events[push->event_count - 1].seq_num;
    push->request.append = (struct eventlog_append){
        .store_id = store_id(store),
        .expected_head = push->events[push->stored_count].parent_seq_num,
        .events = push->events + push->stored_count,
        .event_count = push->event_count - push->stored_count,
        .done = appended,
    };
    store->appending_bytes += append_payload_bytes(&push->request.append);
    store->sync->requests++;
    eventlog_submit_append(store->sync->eventlog, &push->request.append);
}

/* Reader thread. */
static enum sluice_status visit_compare(struct eventlog_read *read, const struct event *stored,
                                        bool *stop)
{
    struct sync_push *push =
        (struct sync_push *)((char *)read - offsetof(struct sync_push, request.read));
    enum sluice_status status =
        admission_same_event(stored, &push->events[push->stored_count], &push->matches);
    if (status == SLUICE_OK && push->matches) {
        push->stored_count++;
    }
    *stop = !push->matches;
    return status;
}

static void compared(struct eventlog_read *read)
{
    struct sync_push *push =
        (struct sync_push *)((char *)read - offsetof(struct sync_push, request.read));
    struct sync_store *store = push->store;
    store->sync->requests--;
    if (read->status != SLUICE_OK) {
        push->status = read->status;
        push->error = read->error;
        finish(push);
        return;
    }
    if (push->stored_count == push->event_count) {
        push->status = SLUICE_OK;
        push->head = store->info.head;
        store->sync->stats.pushes_repeated++;
        finish(push);
        return;
    }
    bool prefix_ends_at_head = push->matches && push->stored_count > 0 && read->remaining == 0;
    if (prefix_ends_at_head) {
        append(push);
    } else {
        refuse_ahead(push);
    }
}

static void compare(struct sync_push *push)
{
    struct sync_store *store = push->store;
    push->matches = true;
    push->request.read = (struct eventlog_read){
        .store_id = store_id(store),
        .after_seq_num = push->events[0].parent_seq_num,
        .events_max = push->event_count,
        .visit = visit_compare,
        .done = compared,
    };
    store->sync->requests++;
    eventlog_submit_read(store->sync->eventlog, &push->request.read);
}

/* What a peer leaves behind must not keep the store from those who are there, nor the server from
 * its end. */
static void refuse_abandoned(struct sync_push *push)
{
    push->status =
        error_set(&push->error, SLUICE_UNAVAILABLE, "the push was abandoned before its turn came");
    finish(push);
}

static bool is_for_another_log(const struct sync_push *push)
{
    return push->has_backend_id &&
           !slice_equal(push->backend_id, slice_of_string(push->store->info.backend_id));
}

/* Whether a push can be appended on top of those that are under way, without knowing yet how they
 * end: a client that does not wait for each answer then pays for one commit, not for each. */
static bool follows_appends(const struct sync_store *store, const struct sync_push *push)
{
    return store->appending && store->appending_bytes < APPENDING_BYTES_MAX && store->known &&
           !push->abandoned && !is_for_another_log(push) &&
           push->events[0].parent_seq_num == store->appending_head;
}

/* Rules 2 to 5 of admission, in their order. */
static void decide(struct sync_push *push)
{
    struct sync_store *store = push->store;
    uint64_t parent = push->events[0].parent_seq_num;
    if (push->abandoned) {
        refuse_abandoned(push);
    } else if (is_for_another_log(push)) {
        memcpy(push->backend_id_expected, store->info.backend_id,
               sizeof(push->backend_id_expected));
        push->status = error_set(&push->error, SLUICE_BACKEND_ID_MISMATCH,
                                 "the push is for backend id %.*s, this log is %s",
                                 SLICE_PRINT(push->backend_id), store->info.backend_id);
        finish(push);
    } else if (parent == store->info.head) {
        append(push);
    } else if (parent < store->info.head) {
        compare(push);
    } else {
        refuse_ahead(push);
    }
}

/* From the queue to those that are under way. */
static struct sync_push *take_next(struct sync_store *store)
{
    struct sync_push *push = store->queue_first;
    store->queue_first = push->next;
    push->next = NULL;
    store->returned_last = NULL;
    if (store->current == NULL) {
        store->current = push;
    } else {
        store->current_last->next = push;
    }
    store->current_last = push;
    return push;
}

void store_run(struct sync_store *store)
{
    if (store->deciding) {
        return; /* the loop below goes on */
    }
    store->deciding = true;
    store->uses++; /* the last push may end inside the loop */
    while (store->queue_first != NULL &&
           (store->current == NULL || follows_appends(store, store->queue_first))) {
        if (!store->known) {
            store_open(store);
            break;
        }
        struct sync_push *push = take_next(store);
        if (store->current == push) {
            decide(push);
        } else {
            append(push);
        }
    }
    store->deciding = false;
    store_release(store);
}

void store_refuse_all(struct sync_store *store, enum sluice_status status,
                      const struct sluice_error *error)
{
    struct sync_push *push = store->queue_first;
    store->queue_first = NULL;
    store->returned_last = NULL;
    while (push != NULL) {
        struct sync_push *next = push->next;
        push->next = NULL;
        push->status = status;
        push->error = *error;
        store->sync->stats.pushes_refused++;
        push->done(push);
        store_release(store);
        push = next;
    }
}

void sync_push_submit(struct sync *sync, struct sync_push *push)
{
    push->sync = sync;
    push->next = NULL;
    push->abandoned = false;
    push->stored_count = 0;
    push->head = 0;
    push->status = SLUICE_OK;
    if (push->event_count > 0) {
        push->status = admission_check_store_id(push->store_id, &push->error);
        if (push->status == SLUICE_OK) {
            push->status = admission_check_batch(push->events, push->event_count,
                                                 sync->event_bytes_max, &push->error);
        }
        if (push->status != SLUICE_OK) {
            sync->stats.pushes_refused++;
        }
    }
    if (push->status != SLUICE_OK || push->event_count == 0) {
        push->done(push);
        return;
    }
    struct sync_store *store = store_acquire(sync, push->store_id);
    if (store == NULL) {
        push->status = error_set(&push->error, SLUICE_NO_MEMORY, "out of memory for a store");
        push->done(push);
        return;
    }
    push->store = store;
    if (store->queue_first == NULL) {
        store->queue_first = push;
    } else {
        store->queue_last->next = push;
    }
    store->queue_last = push;
    store_run(store);
}

void sync_push_abandon(struct sync_push *push)
{
    push->abandoned = true;
}
