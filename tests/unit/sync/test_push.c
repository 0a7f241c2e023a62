#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "backend.h"
#include "stage.h"

#define EVENT_BYTES_MAX 10000u

struct world {
    struct eventlog *log;
    struct sync *sync;
    struct stage stage;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->log = backend_open();
    struct sync_options options = {.eventlog = world->log, .event_bytes_max = EVENT_BYTES_MAX};
    world->sync = sync_create(&options);
    assert_non_null(world->sync);
    stage_init(&world->stage, world->sync);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    stage_deinit(&world->stage);
    backend_settle(world->log);
    assert_int_equal(sync_stats(world->sync)->stores, 0); /* one that nobody uses costs nothing */
    assert_int_equal(sync_stats(world->sync)->live_pulls, 0);
    assert_false(sync_busy(world->sync));
    sync_destroy(world->sync);
    backend_close(world->log);
    free(world);
    return 0;
}

static void settle(struct world *world)
{
    backend_settle(world->log);
    assert_false(sync_busy(world->sync));
}

/* Pushes and waits for the answer. */
static struct pusher *push(struct world *world, uint64_t parent, uint64_t first, size_t count,
                           unsigned variant)
{
    struct pusher *pusher = stage_push(&world->stage, "store", parent, first, count, variant);
    settle(world);
    assert_true(pusher->done);
    return pusher;
}

static void assert_ok(const struct pusher *pusher, uint64_t head)
{
    if (pusher->status != SLUICE_OK) {
        fail_msg("%s: %s", sluice_status_name(pusher->status), pusher->error.message);
    }
    assert_int_equal(pusher->head, head);
}

static void assert_ahead(const struct pusher *pusher, uint64_t head)
{
    assert_int_equal(pusher->status, SLUICE_SERVER_AHEAD);
    assert_int_equal(pusher->error.status, SLUICE_SERVER_AHEAD);
    assert_int_equal(pusher->head, head);
}

/* What the store has, as a pull from its start hears it. */
static struct puller *read_back(struct world *world, const char *store_id)
{
    struct puller *puller = stage_pull(&world->stage, store_id, false, NULL, 0);
    settle(world);
    assert_true(puller->ended);
    assert_int_equal(puller->status, SLUICE_OK);
    return puller;
}

static void assert_count(struct world *world, size_t count)
{
    assert_int_equal(read_back(world, "store")->heard_count, count);
}

/* --- Onto the head, and not --- */

static void a_push_onto_the_head_is_admitted(void **state)
{
    struct world *world = *state;
    assert_ok(push(world, 0, 1, 3, 0), 3);
    assert_ok(push(world, 3, 4, 1, 0), 4);
    assert_ok(push(world, 4, 20000, 2, 0), 20001); /* with a gap */
    struct puller *stored = read_back(world, "store");
    assert_int_equal(stored->heard_count, 6);
    assert_int_equal(stored->last_seq_num, 20001);
    assert_int_equal(sync_stats(world->sync)->pushes_admitted, 3);
}

static void admitted_events_are_stored_as_they_were_pushed(void **state)
{
    struct world *world = *state;
    struct pusher *pusher = push(world, 0, 1, 5, 7);
    struct puller *stored = read_back(world, "store");
    for (size_t i = 0; i < 5; i++) {
        struct heard pushed = heard_of(&pusher->events[i]);
        assert_int_equal(pushed.position, i); /* set by the log */
        assert_true(pusher->events[i].created_at_ms > 0);
        assert_true(heard_equal(&stored->heard[i], &pushed));
    }
}

static void a_log_may_start_anywhere_after_the_root(void **state)
{
    struct world *world = *state;
    assert_ok(push(world, 0, 20000, 2, 0), 20001);
    assert_count(world, 2);
}

static void a_stale_push_is_told_the_head(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 3, 0);
    struct pusher *stale = push(world, 2, 3, 2, 1);
    assert_ahead(stale, 3);
    assert_string_equal(stale->error.message,
                        "the push's first parent is 2 but the store's head is 3; pull, rebase and "
                        "push again");
    assert_count(world, 3);
    assert_int_equal(sync_stats(world->sync)->pushes_refused, 1);
}

static void a_push_beyond_the_head_is_told_the_head(void **state)
{
    struct world *world = *state;
    assert_ahead(push(world, 4, 5, 1, 0), 0); /* nothing there yet */
    (void)push(world, 0, 1, 3, 0);
    assert_ahead(push(world, 4, 5, 1, 0), 3);
    assert_count(world, 3);
}

static void a_parent_in_a_gap_of_the_log_is_no_place_to_push_onto(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 1, 0);
    (void)push(world, 1, 10, 1, 0);
    assert_ahead(push(world, 5, 10, 1, 0), 10); /* event 10 is stored, but after event 1 */
    assert_count(world, 2);
}

/* --- A push whose acknowledgement was lost (rule 4) --- */

static void a_push_whose_ack_was_lost_is_acknowledged_again(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 3, 0);
    assert_ok(push(world, 0, 1, 3, 0), 3);
    assert_ok(push(world, 0, 1, 3, 0), 3);
    assert_count(world, 3);
    assert_int_equal(sync_stats(world->sync)->pushes_repeated, 2);
    assert_int_equal(sync_stats(world->sync)->pushes_admitted, 1);
    assert_int_equal(sync_stats(world->sync)->pushes_refused, 0);
}

static void a_part_of_a_stored_push_is_acknowledged_too(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 5, 0);
    assert_ok(push(world, 0, 1, 2, 0), 5);
    assert_ok(push(world, 2, 3, 2, 0), 5);
    assert_ok(push(world, 4, 5, 1, 0), 5);
    assert_count(world, 5);
}

static void a_lost_push_with_more_behind_it_is_stored_from_where_it_is_new(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 2, 0);
    assert_ok(push(world, 0, 1, 5, 0), 5);
    struct puller *stored = read_back(world, "store");
    assert_int_equal(stored->heard_count, 5);
    assert_int_equal(sync_stats(world->sync)->pushes_admitted, 2);
    assert_int_equal(sync_stats(world->sync)->pushes_repeated, 0);
}

static void the_new_part_of_a_lost_push_is_published_alone(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 2, 0);
    struct puller *live = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world);
    assert_ok(push(world, 0, 1, 5, 0), 5);
    assert_int_equal(live->heard_count, 5);
    assert_int_equal(live->page_events, 3);
}

static void an_older_push_is_acknowledged_again_though_the_head_moved_on(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 3, 0);
    (void)push(world, 3, 4, 3, 1);
    (void)push(world, 6, 7, 3, 2);
    assert_ok(push(world, 3, 4, 3, 1), 9); /* the head as it is by now */
    assert_ok(push(world, 0, 1, 3, 0), 9);
    assert_ok(push(world, 0, 1, 1, 0), 9);
    assert_count(world, 9);
}

static void a_stored_prefix_that_does_not_end_at_the_head_is_not_enough(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 2, 0);
    (void)push(world, 2, 3, 1, 1); /* someone else's */
    assert_ahead(push(world, 0, 1, 5, 0), 3);
    assert_count(world, 3);
}

static void a_gap_where_the_log_has_an_event_is_another_push(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 3, 0);
    struct pusher *gap = stage_push_prepare(&world->stage, "store", 0, 1, 2, 0);
    gap->events[1].seq_num = 3;
    pusher_submit(gap);
    settle(world);
    assert_ahead(gap, 3);
}

enum difference { NAME, CLIENT_ID, SESSION_ID, ARGS, DIFFERENCES };

static void a_push_that_differs_from_what_is_stored_is_another_push(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 3, 0);
    for (unsigned i = 0; i < DIFFERENCES; i++) {
        for (size_t at = 0; at < 3; at++) {
            struct pusher *other = stage_push_prepare(&world->stage, "store", 0, 1, 3, 0);
            struct event *event = &other->events[at];
            struct slice *fields[] = {&event->name, &event->client_id, &event->session_id,
                                      &event->args};
            *fields[i] = SLICE("\"other\"");
            pusher_submit(other);
            settle(world);
            assert_ahead(other, 3);
        }
    }
    assert_count(world, 3);
}

static void args_that_are_written_differently_are_the_same_push(void **state)
{
    struct world *world = *state;
    struct pusher *first = stage_push_prepare(&world->stage, "store", 0, 1, 1, 0);
    first->events[0].args = SLICE("{\"a\":1,\"b\":[\"\\u00fc\",null]}");
    pusher_submit(first);
    settle(world);
    assert_ok(first, 1);
    struct pusher *again = stage_push_prepare(&world->stage, "store", 0, 1, 1, 0);
    again->events[0].args = SLICE("{ \"b\" : [\"\xc3\xbc\", null], \"a\" : 1.0 }");
    pusher_submit(again);
    settle(world);
    assert_ok(again, 1);
    assert_count(world, 1);
}

static void a_long_push_is_compared_to_its_end(void **state)
{
    struct world *world = *state;
    assert_ok(push(world, 0, 1, BATCH_EVENTS_MAX, 0), BATCH_EVENTS_MAX);
    assert_ok(push(world, 0, 1, BATCH_EVENTS_MAX, 0), BATCH_EVENTS_MAX);
    struct pusher *other = stage_push_prepare(&world->stage, "store", 0, 1, BATCH_EVENTS_MAX, 0);
    other->events[BATCH_EVENTS_MAX - 1].args = SLICE("null");
    pusher_submit(other);
    settle(world);
    assert_ahead(other, BATCH_EVENTS_MAX);
}

/* --- Refused by a rule --- */

static void a_push_for_another_log_is_told_which_is_ours(void **state)
{
    struct world *world = *state;
    struct pusher *unnamed = push(world, 0, 1, 2, 0);
    assert_ok(unnamed, 2);
    const char *ours = read_back(world, "store")->backend_id;

    struct pusher *wrong = stage_push_prepare(&world->stage, "store", 2, 3, 1, 0);
    pusher_set_backend_id(wrong, "WRONG-backend-id");
    pusher_submit(wrong);
    settle(world);
    assert_int_equal(wrong->status, SLUICE_BACKEND_ID_MISMATCH);
    assert_string_equal(wrong->backend_id_expected, ours);
    assert_non_null(strstr(wrong->error.message, "WRONG-backend-id"));

    struct pusher *stale = stage_push_prepare(&world->stage, "store", 0, 1, 1, 9);
    pusher_set_backend_id(stale, ""); /* comes before the comparison with the head */
    pusher_submit(stale);
    struct pusher *right = stage_push_prepare(&world->stage, "store", 2, 3, 1, 0);
    pusher_set_backend_id(right, ours);
    pusher_submit(right);
    settle(world);
    assert_int_equal(stale->status, SLUICE_BACKEND_ID_MISMATCH);
    assert_ok(right, 3);
    assert_count(world, 3);
}

static void a_store_without_events_has_its_backend_id_already(void **state)
{
    struct world *world = *state;
    char before[EVENTLOG_BACKEND_ID_BYTES + 1];
    memcpy(before, read_back(world, "store")->backend_id, sizeof before);
    struct pusher *pusher = stage_push_prepare(&world->stage, "store", 0, 1, 1, 0);
    pusher_set_backend_id(pusher, before);
    pusher_submit(pusher);
    settle(world);
    assert_ok(pusher, 1);
    assert_string_equal(read_back(world, "store")->backend_id, before);
    assert_string_not_equal(read_back(world, "other")->backend_id, before);
}

static void an_empty_push_is_acknowledged_at_once(void **state)
{
    struct world *world = *state;
    struct pusher *pusher = stage_push(&world->stage, "store", 0, 1, 0, 0);
    assert_true(pusher->done);
    assert_int_equal(pusher->status, SLUICE_OK);
    assert_false(sync_busy(world->sync));
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

static void a_push_that_breaks_a_rule_is_refused_whole_and_at_once(void **state)
{
    struct world *world = *state;
    struct pusher *broken = stage_push_prepare(&world->stage, "store", 0, 1, 3, 0);
    broken->events[2].parent_seq_num = 1;
    pusher_submit(broken);
    assert_true(broken->done);
    assert_int_equal(broken->status, SLUICE_INVALID);
    assert_string_equal(broken->error.message,
                        "batch[2].parentSeqNum is 1 but the event before it is 2");

    static char args[EVENT_BYTES_MAX];
    memset(args, '1', sizeof args);
    struct pusher *large = stage_push_prepare(&world->stage, "store", 0, 1, 1, 0);
    large->events[0].args = slice_make(args, sizeof args);
    pusher_submit(large);
    assert_int_equal(large->status, SLUICE_LIMIT);

    struct pusher *nameless = stage_push(&world->stage, "", 0, 1, 1, 0);
    assert_int_equal(nameless->status, SLUICE_INVALID);
    assert_string_equal(nameless->error.message, "storeId is empty");
    assert_int_equal(sync_stats(world->sync)->pushes_refused, 3);
    assert_count(world, 0);
}

/* --- Order --- */

static void pushes_of_one_store_are_decided_in_order(void **state)
{
    struct world *world = *state;
    struct pusher *pushers[20];
    for (size_t i = 0; i < 20; i++) {
        /* Each third one is for a place that is taken by then. */
        pushers[i] = i % 3 == 2
                         ? stage_push(&world->stage, "store", 0, 1, 1, 9)
                         : stage_push(&world->stage, "store", i - i / 3, i - i / 3 + 1, 1, 0);
    }
    assert_false(pushers[0]->done);
    settle(world);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(pushers[i]->done_number, i + 1);
        if (i % 3 == 2) {
            assert_ahead(pushers[i], i - i / 3);
        } else {
            assert_ok(pushers[i], i - i / 3 + 1);
        }
    }
    assert_count(world, 14);
}

static void of_two_pushes_onto_one_parent_the_first_wins(void **state)
{
    struct world *world = *state;
    struct pusher *first = stage_push(&world->stage, "store", 0, 1, 2, 1);
    struct pusher *second = stage_push(&world->stage, "store", 0, 1, 2, 2);
    settle(world);
    assert_ok(first, 2);
    assert_ahead(second, 2);
    struct puller *stored = read_back(world, "store");
    struct heard expected = heard_of(&first->events[1]);
    assert_true(heard_equal(&stored->heard[1], &expected));
}

static void pushes_of_many_stores_commit_in_one_transaction(void **state)
{
    struct world *world = *state;
    enum { STORES = 50 };
    struct pusher *pushers[STORES];
    struct eventlog_stats before;
    struct eventlog_stats after;
    eventlog_stats(world->log, &before);
    backend_hold_commits(world->log);
    struct pusher *held = stage_push(&world->stage, "held", 0, 1, 1, 0);
    backend_await_reads(world->log, before.reads + 1); /* the store's opening */
    backend_await_held_commit(world->log);
    for (size_t i = 0; i < STORES; i++) {
        char store_id[16];
        (void)snprintf(store_id, sizeof store_id, "store-%zu", i);
        pushers[i] = stage_push(&world->stage, store_id, 0, 1, 2, 0);
    }
    backend_await_reads(world->log, before.reads + 1 + STORES);
    assert_false(held->done);
    backend_release_commits(world->log);
    settle(world);
    eventlog_stats(world->log, &after);
    assert_ok(held, 1);
    for (size_t i = 0; i < STORES; i++) {
        assert_ok(pushers[i], 2);
    }
    assert_int_equal(after.transactions - before.transactions, 2);
    assert_int_equal(after.appends - before.appends, 1 + STORES);
}

static void a_store_does_not_wait_for_another_ones_pushes(void **state)
{
    struct world *world = *state;
    struct pusher *a = stage_push(&world->stage, "a", 0, 1, 1, 0);
    struct pusher *b = stage_push(&world->stage, "b", 0, 1, 1, 0);
    struct pusher *stale = stage_push(&world->stage, "b", 9, 10, 1, 0);
    settle(world);
    assert_ok(a, 1);
    assert_ok(b, 1);
    assert_ahead(stale, 1);
    assert_int_equal(read_back(world, "a")->heard_count, 1);
    assert_int_equal(read_back(world, "b")->heard_count, 1);
}

static void many_stores_are_kept_apart_and_forgotten(void **state)
{
    struct world *world = *state;
    enum { STORES = 1000 }; /* more than the registry starts with */
    struct puller *pullers[STORES];
    char store_id[16];
    for (size_t i = 0; i < STORES; i++) {
        (void)snprintf(store_id, sizeof store_id, "store-%zu", i);
        pullers[i] = stage_pull(&world->stage, store_id, true, NULL, 0);
        (void)stage_push(&world->stage, store_id, 0, 1, 1 + i % 3, 0);
    }
    settle(world);
    assert_int_equal(sync_stats(world->sync)->stores, STORES);
    assert_int_equal(sync_stats(world->sync)->live_pulls, STORES);
    for (size_t i = 0; i < STORES; i++) {
        assert_int_equal(pullers[i]->heard_count, 1 + i % 3);
        puller_cancel(pullers[i]);
    }
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

/* --- From inside an answer --- */

static void push_next(struct pusher *pusher)
{
    uint64_t last = pusher->events[pusher->event_count - 1].seq_num;
    if (last < 50) {
        struct pusher *next = stage_push(pusher->stage, pusher->store_id, last, last + 1, 1, 0);
        next->on_done = push_next;
    }
}

static void an_answer_may_bring_the_next_push(void **state)
{
    struct world *world = *state;
    struct pusher *first = stage_push_prepare(&world->stage, "store", 0, 1, 1, 0);
    first->on_done = push_next;
    pusher_submit(first);
    settle(world);
    assert_count(world, 50);
}

static void push_stale_again(struct pusher *pusher)
{
    assert_int_equal(pusher->status, SLUICE_SERVER_AHEAD);
    if (pusher->stage->submissions < 10000) {
        struct pusher *next = stage_push_prepare(pusher->stage, "store", 7, 8, 1, 0);
        next->on_done = push_stale_again;
        pusher_submit(next);
    }
}

/* Refused at once, and again, and again: that must not pile up on the stack. */
static void refusals_from_inside_refusals_do_not_nest(void **state)
{
    struct world *world = *state;
    struct pusher *first = stage_push_prepare(&world->stage, "store", 7, 8, 1, 0);
    first->on_done = push_stale_again;
    pusher_submit(first);
    settle(world);
    assert_int_equal(world->stage.answers, 10000);
}

static void the_log_is_read_for_the_head_of_a_held_store_once(void **state)
{
    struct world *world = *state;
    struct eventlog_stats before;
    struct eventlog_stats after;
    eventlog_stats(world->log, &before);
    struct sync_store *store = sync_store_hold(world->sync, SLICE("store"));
    assert_non_null(store);
    assert_true(slice_equal(sync_store_id(store), SLICE("store")));
    for (uint64_t i = 0; i < 3; i++) {
        assert_ok(push(world, i, i + 1, 1, 0), i + 1);
    }
    eventlog_stats(world->log, &after);
    assert_int_equal(after.reads - before.reads, 1);
    assert_int_equal(sync_stats(world->sync)->stores, 1);
    sync_store_let_go(store);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

/* --- When the log fails --- */

static void a_failed_commit_refuses_and_the_next_push_goes_on(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 2, 0);
    struct puller *live = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world);
    backend_fail(world->log, 1, 0, BACKEND_STORES_NOTHING);
    struct pusher *failed = push(world, 2, 3, 2, 0);
    assert_int_equal(failed->status, SLUICE_STORAGE_IO);
    assert_string_equal(failed->error.message, "the test lets a commit fail");
    assert_int_equal(live->heard_count, 2); /* not published */
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_ok(push(world, 2, 3, 2, 0), 4);
    assert_int_equal(live->heard_count, 4);
    assert_count(world, 4);
}

static void an_abandoned_push_is_passed_over_unless_its_turn_has_come(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 1, 0);
    struct puller *onlooker = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world); /* the onlooker keeps the store in memory: the next push is decided at once */
    struct pusher *current = stage_push(&world->stage, "store", 1, 2, 1, 0);
    struct pusher *waiting = stage_push(&world->stage, "store", 1, 2, 1, 1);
    struct pusher *next = stage_push(&world->stage, "store", 2, 3, 1, 1);
    struct pusher *last = stage_push(&world->stage, "store", 3, 4, 1, 0);
    pusher_abandon(current);
    pusher_abandon(waiting);
    pusher_abandon(last);
    settle(world);
    assert_ok(current, 2);
    assert_int_equal(waiting->status, SLUICE_UNAVAILABLE);
    assert_ok(next, 3);
    assert_int_equal(last->status, SLUICE_UNAVAILABLE);
    assert_int_equal(onlooker->heard_count, 3);
    assert_count(world, 3);
}

/* Pushes event 2 onto event 1, and holds its commit. */
static struct pusher *push_and_hold(struct world *world)
{
    (void)push(world, 0, 1, 1, 0);
    (void)stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world); /* the pull keeps the store in memory: the next push is decided at once */
    backend_hold_commits(world->log);
    struct pusher *held = stage_push(&world->stage, "store", 1, 2, 1, 0);
    backend_await_held_commit(world->log);
    return held;
}

static void pushes_that_follow_each_other_commit_in_one_transaction(void **state)
{
    struct world *world = *state;
    enum { PUSHES = 10 };
    struct pusher *pushers[PUSHES];
    struct eventlog_stats before;
    struct eventlog_stats after;
    struct pusher *held = push_and_hold(world);
    eventlog_stats(world->log, &before);
    for (size_t i = 0; i < PUSHES; i++) {
        pushers[i] = stage_push(&world->stage, "store", 2 + 2 * i, 3 + 2 * i, 2, 0);
    }
    backend_release_commits(world->log);
    settle(world);
    eventlog_stats(world->log, &after);
    assert_ok(held, 2);
    for (size_t i = 0; i < PUSHES; i++) {
        assert_ok(pushers[i], 4 + 2 * i);
    }
    assert_int_equal(after.transactions - before.transactions, 2);
    assert_count(world, 2 + 2 * PUSHES);
}

/* Or one store's client could have the committer work for it alone. */
static void a_store_with_much_under_way_lets_others_in(void **state)
{
    enum { FOLLOWING = 200, EVENTS_EACH = 1000 };
    struct world *world = *state;
    struct pusher *held = push_and_hold(world);
    struct pusher *following = NULL;
    struct eventlog_stats stats;
    eventlog_stats(world->log, &stats);
    for (unsigned i = 0; i < FOLLOWING; i++) {
        uint64_t parent = 2 + (uint64_t)i * EVENTS_EACH;
        following = stage_push(&world->stage, "store", parent, parent + 1, EVENTS_EACH, 0);
    }
    struct pusher *other = stage_push(&world->stage, "other", 0, 1, 1, 0);
    backend_await_reads(world->log, stats.reads + 1);
    backend_release_commits(world->log);
    settle(world);
    assert_ok(held, 2);
    assert_ok(following, 2 + FOLLOWING * EVENTS_EACH);
    assert_ok(other, 1);
    assert_true(other->done_number < following->done_number);
}

static void pushes_that_follow_one_whose_commit_fails_are_decided_anew(void **state)
{
    struct world *world = *state;
    struct pusher *pushers[3];
    backend_fail(world->log, 2, 0, BACKEND_STORES_NOTHING); /* the second one: what is held */
    struct pusher *held = push_and_hold(world);
    for (size_t i = 0; i < 3; i++) {
        pushers[i] = stage_push(&world->stage, "store", 2 + i, 3 + i, 1, 0);
    }
    backend_release_commits(world->log);
    settle(world);
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_int_equal(held->status, SLUICE_STORAGE_IO);
    for (size_t i = 0; i < 3; i++) {
        assert_ahead(pushers[i], 1); /* its parent is not there */
        assert_int_equal(pushers[i]->done_number, held->done_number + 1 + i);
    }
    assert_count(world, 1);
    assert_ok(push(world, 1, 2, 1, 0), 2);
}

static void a_commit_that_failed_but_stored_its_events_is_found_out(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 2, 0);
    struct puller *live = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world);
    backend_fail(world->log, 1, 0, BACKEND_STORES_AND_SAYS_IO);
    struct pusher *failed = push(world, 2, 3, 2, 0);
    assert_int_equal(failed->status, SLUICE_STORAGE_IO);
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_int_equal(live->heard_count, 4); /* the log has them, so everyone hears them */
    assert_ok(push(world, 2, 3, 2, 0), 4);  /* as after a lost acknowledgement */
    assert_count(world, 4);
}

/* As before, but the look at what is there fails as well, and comes only with a later pull. */
static void what_is_found_out_late_reaches_live_pulls_too(void **state)
{
    struct world *world = *state;
    (void)push(world, 0, 1, 2, 0);
    struct puller *live = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world);
    backend_fail(world->log, 1, 1, BACKEND_STORES_AND_SAYS_IO);
    struct pusher *failed = push(world, 2, 3, 2, 0);
    assert_int_equal(failed->status, SLUICE_STORAGE_IO);
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_int_equal(live->heard_count, 2);
    assert_count(world, 4);
    assert_int_equal(live->heard_count, 4);
}

static void a_store_that_cannot_be_read_refuses_its_pushes(void **state)
{
    struct world *world = *state;
    backend_fail(world->log, 0, 1, BACKEND_STORES_NOTHING);
    struct pusher *first = stage_push(&world->stage, "store", 0, 1, 1, 0);
    struct pusher *second = stage_push(&world->stage, "store", 1, 2, 1, 0);
    settle(world);
    assert_int_equal(first->status, SLUICE_STORAGE_IO);
    assert_int_equal(second->status, SLUICE_STORAGE_IO);
    assert_string_equal(second->error.message, "the test lets a read fail");
    assert_int_equal(sync_stats(world->sync)->pushes_refused, 2);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_ok(push(world, 0, 1, 1, 0), 1);
}

static void a_push_that_cannot_be_compared_is_refused(void **state)
{
    struct world *world = *state;
    struct puller *live = stage_pull(&world->stage, "store", true, NULL, 0); /* keeps the store */
    (void)push(world, 0, 1, 2, 0);
    backend_fail(world->log, 0, 1, BACKEND_STORES_NOTHING);
    assert_int_equal(push(world, 0, 1, 2, 0)->status, SLUICE_STORAGE_IO);
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_ok(push(world, 0, 1, 2, 0), 2);
    assert_ok(push(world, 2, 3, 1, 0), 3);
    assert_int_equal(live->heard_count, 3);
}

static void pushes_submitted_from_a_refusal_wait_for_the_next_look(void **state)
{
    struct world *world = *state;
    struct pusher *first = stage_push_prepare(&world->stage, "store", 0, 1, 1, 0);
    first->on_done = push_next;
    backend_fail(world->log, 0, 1, BACKEND_STORES_NOTHING);
    pusher_submit(first);
    while (!first->done) {
        backend_advance(world->log, 0);
    }
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    settle(world);
    assert_int_equal(first->status, SLUICE_STORAGE_IO);
    /* push_next has pushed event 2 onto event 1, which is not there. */
    assert_int_equal(world->stage.answers, world->stage.submissions);
    assert_count(world, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_push_onto_the_head_is_admitted),
        TEST(admitted_events_are_stored_as_they_were_pushed),
        TEST(a_log_may_start_anywhere_after_the_root),
        TEST(a_stale_push_is_told_the_head),
        TEST(a_push_beyond_the_head_is_told_the_head),
        TEST(a_parent_in_a_gap_of_the_log_is_no_place_to_push_onto),
        TEST(a_push_whose_ack_was_lost_is_acknowledged_again),
        TEST(a_part_of_a_stored_push_is_acknowledged_too),
        TEST(a_lost_push_with_more_behind_it_is_stored_from_where_it_is_new),
        TEST(the_new_part_of_a_lost_push_is_published_alone),
        TEST(an_older_push_is_acknowledged_again_though_the_head_moved_on),
        TEST(a_stored_prefix_that_does_not_end_at_the_head_is_not_enough),
        TEST(a_gap_where_the_log_has_an_event_is_another_push),
        TEST(a_push_that_differs_from_what_is_stored_is_another_push),
        TEST(args_that_are_written_differently_are_the_same_push),
        TEST(a_long_push_is_compared_to_its_end),
        TEST(a_push_for_another_log_is_told_which_is_ours),
        TEST(a_store_without_events_has_its_backend_id_already),
        TEST(an_empty_push_is_acknowledged_at_once),
        TEST(a_push_that_breaks_a_rule_is_refused_whole_and_at_once),
        TEST(pushes_of_one_store_are_decided_in_order),
        TEST(of_two_pushes_onto_one_parent_the_first_wins),
        TEST(pushes_of_many_stores_commit_in_one_transaction),
        TEST(a_store_does_not_wait_for_another_ones_pushes),
        TEST(many_stores_are_kept_apart_and_forgotten),
        TEST(an_answer_may_bring_the_next_push),
        TEST(refusals_from_inside_refusals_do_not_nest),
        TEST(the_log_is_read_for_the_head_of_a_held_store_once),
        TEST(a_failed_commit_refuses_and_the_next_push_goes_on),
        TEST(an_abandoned_push_is_passed_over_unless_its_turn_has_come),
        TEST(pushes_that_follow_each_other_commit_in_one_transaction),
        TEST(a_store_with_much_under_way_lets_others_in),
        TEST(pushes_that_follow_one_whose_commit_fails_are_decided_anew),
        TEST(a_commit_that_failed_but_stored_its_events_is_found_out),
        TEST(what_is_found_out_late_reaches_live_pulls_too),
        TEST(a_store_that_cannot_be_read_refuses_its_pushes),
        TEST(a_push_that_cannot_be_compared_is_refused),
        TEST(pushes_submitted_from_a_refusal_wait_for_the_next_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
