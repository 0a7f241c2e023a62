#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/limits.h"
#include "backend.h"
#include "stage.h"

#define EVENT_BYTES_MAX (1u << 20)

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
    assert_int_equal(sync_stats(world->sync)->stores, 0);
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
}

/* Pushes events first to last, as many pushes as it takes. */
static void push(struct world *world, uint64_t first, uint64_t last)
{
    while (first <= last) {
        uint64_t count = last - first + 1 < BATCH_EVENTS_MAX ? last - first + 1 : BATCH_EVENTS_MAX;
        struct pusher *pusher =
            stage_push(&world->stage, "store", first - 1, first, (size_t)count, 0);
        settle(world);
        assert_int_equal(pusher->status, SLUICE_OK);
        first += count;
    }
}

/* What a client knows that has pulled before. Stays with the stage. */
static const char *ask_backend_id(struct world *world, const char *store_id)
{
    struct puller *asks = stage_pull(&world->stage, store_id, false, NULL, 0);
    settle(world);
    assert_int_equal(asks->status, SLUICE_OK);
    return asks->backend_id;
}

static struct puller *pull(struct world *world, bool live, uint64_t cursor)
{
    const char *backend_id = cursor > 0 ? ask_backend_id(world, "store") : NULL;
    return stage_pull(&world->stage, "store", live, backend_id, cursor);
}

static void assert_ended_well(const struct puller *puller, size_t heard)
{
    assert_true(puller->ended);
    assert_int_equal(puller->status, SLUICE_OK);
    assert_int_equal(puller->heard_count, heard);
}

static void assert_live(const struct puller *puller, size_t heard)
{
    assert_int_equal(puller_state(puller), SYNC_PULL_LIVE);
    assert_int_equal(puller->heard_count, heard);
}

/* --- Catching up --- */

static void an_empty_store_gives_one_empty_page(void **state)
{
    struct world *world = *state;
    struct puller *once = pull(world, false, 0);
    struct puller *live = pull(world, true, 0);
    settle(world);
    assert_ended_well(once, 0);
    assert_int_equal(once->pages, 1);
    assert_live(live, 0);
    assert_int_equal(live->pages, 1);
    assert_int_equal(strlen(live->backend_id), EVENTLOG_BACKEND_ID_BYTES);
    assert_string_equal(live->backend_id, once->backend_id);
}

static void a_pull_at_the_head_gets_one_empty_page_too(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *once = pull(world, false, 3);
    struct puller *live = pull(world, true, 3);
    settle(world);
    assert_ended_well(once, 0);
    assert_int_equal(once->pages, 1);
    assert_live(live, 0);
    assert_int_equal(live->pages, 1);
}

static void a_pull_starts_after_its_cursor(void **state)
{
    struct world *world = *state;
    push(world, 1, 10);
    for (uint64_t cursor = 0; cursor <= 10; cursor++) {
        struct puller *puller = pull(world, false, cursor);
        settle(world);
        assert_ended_well(puller, 10 - cursor);
        assert_int_equal(puller->last_seq_num, 10);
    }
}

static void a_pull_starts_at_a_position(void **state)
{
    struct world *world = *state;
    push(world, 1, 10);
    struct pusher *gap = stage_push(&world->stage, "store", 10, 100, 5, 0);
    settle(world);
    assert_int_equal(gap->status, SLUICE_OK);
    for (uint64_t position = 0; position <= 15; position++) {
        struct puller *puller = stage_pull_from_position(&world->stage, "store", false, position);
        settle(world);
        assert_ended_well(puller, 15 - position);
    }
    struct puller *beyond = stage_pull_from_position(&world->stage, "store", false, 16);
    settle(world);
    assert_true(beyond->ended);
    assert_int_equal(beyond->status, SLUICE_CURSOR_AHEAD);
    assert_non_null(strstr(beyond->error.message, "position 16 is past the store's tail 15"));
}

static void a_live_pull_from_a_position_joins_the_stream(void **state)
{
    struct world *world = *state;
    push(world, 1, 10);
    struct puller *middle = stage_pull_from_position(&world->stage, "store", true, 4);
    struct puller *tail = stage_pull_from_position(&world->stage, "store", true, 10);
    settle(world);
    assert_live(middle, 6);
    assert_live(tail, 0);
    push(world, 11, 12);
    assert_live(middle, 8);
    assert_live(tail, 2);
    assert_int_equal(tail->heard[0].position, 10);
}

static void check_remaining(struct puller *puller)
{
    uint64_t *log_events = puller->user;
    assert_int_equal(puller->page_remaining, *log_events - puller->last_seq_num);
    bool last = puller->last_seq_num == *log_events;
    assert_int_equal(puller->page_events, last ? *log_events % PAGE_EVENTS_MAX : PAGE_EVENTS_MAX);
}

static void a_long_log_comes_in_pages_that_say_how_many_events_remain(void **state)
{
    struct world *world = *state;
    uint64_t log_events = 3 * PAGE_EVENTS_MAX + 17;
    push(world, 1, log_events);
    for (unsigned live = 0; live < 2; live++) {
        struct puller *puller = pull(world, live == 1, 0);
        puller->on_page = check_remaining;
        puller->user = &log_events;
        settle(world);
        assert_int_equal(puller->pages, 4);
        assert_int_equal(puller->heard_count, log_events);
        assert_int_equal(puller->page_remaining, 0);
    }
}

static void pages_that_end_with_the_log_leave_none_empty_behind_them(void **state)
{
    struct world *world = *state;
    push(world, 1, 2 * PAGE_EVENTS_MAX);
    struct puller *once = pull(world, false, 0);
    struct puller *live = pull(world, true, 0);
    settle(world);
    assert_ended_well(once, 2 * PAGE_EVENTS_MAX);
    assert_int_equal(once->pages, 2);
    assert_live(live, 2 * PAGE_EVENTS_MAX);
    assert_int_equal(live->pages, 2);
}

/* --- The live stream --- */

static void a_live_pull_hears_what_is_pushed(void **state)
{
    struct world *world = *state;
    struct puller *live = pull(world, true, 0);
    settle(world);
    push(world, 1, 1);
    assert_live(live, 1);
    push(world, 2, 5);
    assert_live(live, 5);
    assert_int_equal(live->pages, 3);
    assert_int_equal(live->page_events, 4);
    assert_int_equal(sync_stats(world->sync)->pages_live, 2);
}

static void live_pages_are_as_pages_that_are_read(void **state)
{
    struct world *world = *state;
    struct puller *live = pull(world, true, 0);
    settle(world);
    push(world, 1, 20);
    struct puller *reads = pull(world, false, 0);
    settle(world);
    assert_int_equal(live->heard_count, reads->heard_count);
    for (size_t i = 0; i < live->heard_count; i++) {
        assert_true(heard_equal(&live->heard[i], &reads->heard[i]));
    }
    assert_string_equal(live->backend_id, reads->backend_id);
}

static void all_live_pulls_of_the_store_hear_a_push_and_no_others(void **state)
{
    struct world *world = *state;
    struct puller *pullers[30];
    for (size_t i = 0; i < 30; i++) {
        pullers[i] = stage_pull(&world->stage, i % 3 == 2 ? "other" : "store", true, NULL, 0);
    }
    settle(world);
    push(world, 1, 4);
    for (size_t i = 0; i < 30; i++) {
        assert_live(pullers[i], i % 3 == 2 ? 0 : 4);
    }
    assert_int_equal(sync_stats(world->sync)->live_pulls, 30);
}

static void a_live_page_is_encoded_once_for_all_that_share_an_encoder(void **state)
{
    struct world *world = *state;
    struct puller *pullers[9];
    world->stage.encoders = 3;
    for (size_t i = 0; i < 9; i++) {
        pullers[i] = pull(world, true, 0);
    }
    settle(world);
    push(world, 1, 2);
    for (size_t i = 0; i < 9; i++) {
        assert_live(pullers[i], 2);
        assert_ptr_equal(pullers[i]->page_data, pullers[i % 3]->page_data);
    }
    assert_ptr_not_equal(pullers[0]->page_data, pullers[1]->page_data);
}

static void any_number_of_encoders_may_share_a_store(void **state)
{
    struct world *world = *state;
    struct puller *pullers[20];
    world->stage.encoders = STAGE_ENCODERS_MAX;
    for (size_t i = 0; i < 20; i++) {
        pullers[i] = pull(world, true, 0);
    }
    settle(world);
    push(world, 1, 2);
    push(world, 3, 3);
    for (size_t i = 0; i < 20; i++) {
        assert_live(pullers[i], 3);
    }
}

static void look_at_the_live_pull(struct pusher *pusher)
{
    for (struct puller *puller = pusher->stage->pullers; puller != NULL; puller = puller->next) {
        assert_live(puller, pusher->event_count);
    }
}

static void the_pushers_own_pull_hears_the_events_before_the_answer(void **state)
{
    struct world *world = *state;
    (void)pull(world, true, 0);
    settle(world);
    struct pusher *pusher = stage_push_prepare(&world->stage, "store", 0, 1, 3, 0);
    pusher->on_done = look_at_the_live_pull;
    pusher_submit(pusher);
    settle(world);
    assert_true(pusher->done);
}

static void a_pull_that_is_not_live_ends_at_the_head(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *once = pull(world, false, 0);
    settle(world);
    push(world, 4, 6);
    assert_ended_well(once, 3);
}

static void a_pull_joins_while_pushes_are_on_their_way(void **state)
{
    struct world *world = *state;
    push(world, 1, 5);
    backend_hold_commits(world->log);
    struct pusher *pusher = stage_push(&world->stage, "store", 5, 6, 2, 0);
    struct puller *before = stage_pull(&world->stage, "store", true, NULL, 0);
    /* The page may be there before the store is known, and then the pull reads once more. */
    while (puller_state(before) != SYNC_PULL_LIVE) {
        backend_advance(world->log, 0);
    }
    assert_live(before, 5);
    backend_await_held_commit(world->log);
    backend_release_commits(world->log);
    settle(world);
    assert_int_equal(pusher->status, SLUICE_OK);
    assert_live(before, 7);
}

/* --- A pull that is not ready --- */

static void a_pull_that_is_not_ready_is_not_queued_for(void **state)
{
    struct world *world = *state;
    struct puller *slow = pull(world, true, 0);
    struct puller *other = pull(world, true, 0);
    settle(world);
    puller_give(slow, 0);
    for (uint64_t seq_num = 1; seq_num <= 10; seq_num++) {
        push(world, seq_num, seq_num);
    }
    assert_int_equal(puller_state(slow), SYNC_PULL_WAITING);
    assert_int_equal(slow->heard_count, 0);
    assert_true(slow->ready_calls <= 2); /* asked when it fell behind, not for every push */
    assert_live(other, 10);              /* and holds up nobody */
    assert_false(sync_busy(world->sync));
    assert_int_equal(sync_stats(world->sync)->live_pulls, 1);
}

static void it_catches_up_from_its_own_place_and_is_live_again(void **state)
{
    struct world *world = *state;
    struct puller *slow = pull(world, true, 0);
    settle(world);
    push(world, 1, 2);
    puller_give(slow, 0);
    push(world, 3, 3);
    push(world, 4, 4);
    puller_give(slow, CREDIT_ENDLESS);
    settle(world);
    assert_live(slow, 4);
    assert_int_equal(slow->pages, 3); /* the empty one, the live one, and one for both */
    assert_int_equal(slow->page_events, 2);
    push(world, 5, 5);
    assert_live(slow, 5);
}

static void it_gets_as_many_pages_as_it_is_ready_for(void **state)
{
    struct world *world = *state;
    push(world, 1, 5 * PAGE_EVENTS_MAX);
    struct puller *slow = pull(world, true, 0);
    slow->credit = 1;
    settle(world);
    for (size_t pages = 1; pages <= 4; pages++) {
        assert_int_equal(slow->pages, pages);
        assert_int_equal(puller_state(slow), SYNC_PULL_WAITING);
        assert_int_equal(slow->page_remaining, (5 - pages) * PAGE_EVENTS_MAX);
        puller_give(slow, 1);
        settle(world);
    }
    /* Nothing is left, so it is live, though it could not take a page now. */
    assert_live(slow, 5 * PAGE_EVENTS_MAX);
    push(world, 5 * PAGE_EVENTS_MAX + 1, 5 * PAGE_EVENTS_MAX + 1);
    assert_int_equal(puller_state(slow), SYNC_PULL_WAITING);
}

static void a_pull_that_is_not_live_waits_as_well(void **state)
{
    struct world *world = *state;
    push(world, 1, 2 * PAGE_EVENTS_MAX);
    struct puller *slow = pull(world, false, 0);
    slow->credit = 1;
    settle(world);
    assert_int_equal(slow->pages, 1);
    assert_false(slow->ended);
    puller_give(slow, 1);
    settle(world);
    assert_ended_well(slow, 2 * PAGE_EVENTS_MAX);
}

static void resuming_what_does_not_wait_changes_nothing(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *puller = pull(world, true, 0);
    puller_give(puller, CREDIT_ENDLESS); /* while it reads */
    puller_give(puller, CREDIT_ENDLESS);
    settle(world);
    puller_give(puller, CREDIT_ENDLESS); /* while it is live */
    settle(world);
    assert_live(puller, 3);
    assert_int_equal(puller->pages, 1);
}

/* --- Cancelling --- */

static void a_pull_can_be_cancelled_while_it_reads(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *puller = pull(world, true, 0);
    assert_int_equal(puller_state(puller), SYNC_PULL_READING);
    puller_cancel(puller);
    assert_int_equal(sync_stats(world->sync)->stores, 1); /* until the read is back */
    settle(world);
    assert_int_equal(puller->pages, 0);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

static void a_pull_can_be_cancelled_while_it_waits(void **state)
{
    struct world *world = *state;
    push(world, 1, 2 * PAGE_EVENTS_MAX);
    struct puller *puller = pull(world, true, 0);
    puller->credit = 1;
    settle(world);
    assert_int_equal(puller_state(puller), SYNC_PULL_WAITING);
    puller_cancel(puller);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

static void a_pull_can_be_cancelled_while_it_is_live(void **state)
{
    struct world *world = *state;
    struct puller *pullers[5];
    for (size_t i = 0; i < 5; i++) {
        pullers[i] = pull(world, true, 0);
    }
    settle(world);
    static const size_t order[] = {2, 0, 4, 1}; /* from the middle and both ends */
    for (size_t i = 0; i < 4; i++) {
        puller_cancel(pullers[order[i]]);
        assert_int_equal(sync_stats(world->sync)->live_pulls, 4 - i);
        push(world, i + 1, i + 1);
        assert_live(pullers[3], i + 1);
    }
    puller_cancel(pullers[3]);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

static void cancel_itself(struct puller *puller)
{
    puller_cancel(puller);
}

static void a_pull_can_be_cancelled_from_inside_its_page(void **state)
{
    struct world *world = *state;
    push(world, 1, 2 * PAGE_EVENTS_MAX);
    struct puller *reads = pull(world, true, 0);
    reads->on_page = cancel_itself;
    settle(world);
    assert_int_equal(reads->pages, 1);
    assert_int_equal(sync_stats(world->sync)->stores, 0);

    struct puller *live = pull(world, true, 2 * PAGE_EVENTS_MAX);
    settle(world);
    live->on_page = cancel_itself;
    push(world, 2 * PAGE_EVENTS_MAX + 1, 2 * PAGE_EVENTS_MAX + 1);
    assert_int_equal(live->heard_count, 1);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

static void cancel_all(struct puller *puller)
{
    for (struct puller *other = puller->stage->pullers; other != NULL; other = other->next) {
        if (puller_runs(other)) {
            puller_cancel(other);
        }
    }
}

static void cancel_the_others(struct puller *puller)
{
    for (struct puller *other = puller->stage->pullers; other != NULL; other = other->next) {
        if (other != puller && puller_runs(other)) {
            puller_cancel(other);
        }
    }
}

static void all_pulls_can_be_cancelled_from_inside_a_page(void **state)
{
    struct world *world = *state;
    void (*const hooks[])(struct puller *) = {cancel_all, cancel_the_others};
    for (unsigned i = 0; i < 4; i++) {
        struct puller *pullers[5];
        for (size_t k = 0; k < 5; k++) {
            pullers[k] = stage_pull(&world->stage, "store", true, NULL, 0);
        }
        settle(world);
        size_t heard_before = pullers[0]->heard_count;
        for (size_t k = 0; k < 5; k++) {
            pullers[k]->on_page = hooks[i / 2];
        }
        push(world, i + 1, i + 1);
        size_t heard = 0;
        for (size_t k = 0; k < 5; k++) {
            heard += pullers[k]->heard_count - heard_before;
        }
        assert_int_equal(heard, 1); /* by the one that cancelled the others */
        cancel_all(pullers[0]);
        settle(world);
        assert_int_equal(sync_stats(world->sync)->stores, 0);
    }
}

static void cancel_the_puller_that_is_user(struct puller *puller)
{
    struct puller *other = puller->user;
    if (other != NULL && puller_runs(other)) {
        puller_cancel(other);
    }
}

/* The publication goes from one to the next, so the next one leaving is the delicate case. */
static void each_pull_can_cancel_each_other_during_publication(void **state)
{
    struct world *world = *state;
    uint64_t seq_num = 1;
    for (size_t from = 0; from < 4; from++) {
        for (size_t to = 0; to < 4; to++) {
            struct puller *pullers[4];
            for (size_t k = 0; k < 4; k++) {
                pullers[k] = pull(world, true, seq_num - 1);
            }
            settle(world);
            pullers[from]->on_page = cancel_the_puller_that_is_user;
            pullers[from]->user = pullers[to];
            push(world, seq_num, seq_num);
            seq_num++;
            push(world, seq_num, seq_num);
            seq_num++;
            for (size_t k = 0; k < 4; k++) {
                if (k != to) {
                    assert_live(pullers[k], 2);
                }
            }
            assert_true(pullers[to]->cancelled);
            cancel_all(pullers[0]);
        }
    }
}

static void cancel_all_pulls(struct pusher *pusher)
{
    if (pusher->stage->pullers != NULL) {
        cancel_all(pusher->stage->pullers);
    }
}

static void all_pulls_can_be_cancelled_from_inside_a_pushs_answer(void **state)
{
    struct world *world = *state;
    push(world, 1, 2);
    struct puller *live = pull(world, true, 0);
    settle(world);
    struct pusher *pusher = stage_push_prepare(&world->stage, "store", 2, 3, 1, 0);
    struct pusher *waits = stage_push_prepare(&world->stage, "store", 3, 4, 1, 0);
    pusher->on_done = cancel_all_pulls;
    pusher_submit(pusher);
    pusher_submit(waits);
    settle(world);
    assert_int_equal(live->heard_count, 3);
    assert_int_equal(waits->status, SLUICE_OK);
    assert_int_equal(sync_stats(world->sync)->stores, 0);
}

static void pull_again(struct puller *puller)
{
    struct stage *stage = puller->stage;
    struct puller *next =
        stage_pull(stage, "store", false, puller->backend_id, puller->last_seq_num);
    next->on_end = puller->last_seq_num == 0 ? pull_again : NULL;
    cancel_the_others(next);
}

static void an_end_may_start_and_cancel_pulls(void **state)
{
    struct world *world = *state;
    struct puller *bystander = pull(world, true, 0);
    struct puller *once = pull(world, false, 0);
    once->on_end = pull_again;
    push(world, 1, 1); /* the pulls go on meanwhile */
    settle(world);
    assert_true(once->ended);
    assert_true(bystander->cancelled);
}

static void push_from_a_page(struct puller *puller)
{
    uint64_t last = puller->last_seq_num;
    if (last < 20) {
        (void)stage_push(puller->stage, "store", last, last + 1, 1, 0);
    }
}

static void a_page_may_bring_the_next_push(void **state)
{
    struct world *world = *state;
    struct puller *live = stage_pull(&world->stage, "store", true, NULL, 0);
    live->on_page = push_from_a_page;
    struct puller *other = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world);
    assert_live(live, 20);
    assert_live(other, 20);
}

/* --- Cursors that are not of this log --- */

static void assert_ended(const struct puller *puller, enum sluice_status status, const char *part)
{
    assert_true(puller->ended);
    assert_int_equal(puller->status, status);
    assert_int_equal(puller->error.status, status);
    assert_int_equal(puller->pages, 0);
    if (strstr(puller->error.message, part) == NULL) {
        fail_msg("no '%s' in '%s'", part, puller->error.message);
    }
}

static void a_cursor_of_another_log_is_told_which_is_ours(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    const char *ours = ask_backend_id(world, "store");
    for (unsigned live = 0; live < 2; live++) {
        struct puller *wrong = stage_pull(&world->stage, "store", live == 1, "WRONG", 1);
        struct puller *none = stage_pull(&world->stage, "store", live == 1, "", 0);
        settle(world);
        assert_ended(wrong, SLUICE_BACKEND_ID_MISMATCH, "the cursor is of backend id WRONG");
        assert_string_equal(wrong->backend_id, ours);
        assert_ended(none, SLUICE_BACKEND_ID_MISMATCH, ours);
    }
}

static void a_cursor_past_the_head_is_an_error_that_says_so(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *ahead = pull(world, true, 4);
    settle(world);
    assert_ended(ahead, SLUICE_CURSOR_AHEAD, "the cursor 4 is past the store's head 3");
    struct puller *beyond =
        stage_pull(&world->stage, "empty", true, ask_backend_id(world, "empty"), 1);
    settle(world);
    assert_ended(beyond, SLUICE_CURSOR_AHEAD, "the cursor 1 is past the store's head 0");
}

static void a_cursor_that_is_no_event_of_the_log_is_an_error(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct pusher *gap = stage_push(&world->stage, "store", 3, 10, 1, 0);
    settle(world);
    assert_int_equal(gap->status, SLUICE_OK);
    struct puller *in_gap = pull(world, true, 7);
    settle(world);
    assert_ended(in_gap, SLUICE_CURSOR_AHEAD, "the cursor 7 is not an event of this log (head 10)");
    struct puller *at_head = pull(world, true, 10);
    struct puller *before_gap = pull(world, true, 3);
    settle(world);
    assert_live(at_head, 0);
    assert_live(before_gap, 1);
}

static void a_cursor_at_the_root_is_of_every_log_with_our_backend_id(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *root =
        stage_pull(&world->stage, "store", true, ask_backend_id(world, "store"), 0);
    settle(world);
    assert_live(root, 3);
}

/* --- When the log fails --- */

static void a_read_that_fails_ends_the_pull_and_no_other(void **state)
{
    struct world *world = *state;
    push(world, 1, 3);
    struct puller *live = pull(world, true, 0);
    settle(world);
    backend_fail(world->log, 0, 1, BACKEND_STORES_NOTHING);
    struct puller *fails = stage_pull(&world->stage, "store", true, NULL, 0);
    settle(world);
    backend_fail(world->log, 0, 0, BACKEND_STORES_NOTHING);
    assert_ended(fails, SLUICE_STORAGE_IO, "the test lets a read fail");
    push(world, 4, 4);
    assert_live(live, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_gives_one_empty_page),
        TEST(a_pull_at_the_head_gets_one_empty_page_too),
        TEST(a_pull_starts_after_its_cursor),
        TEST(a_pull_starts_at_a_position),
        TEST(a_live_pull_from_a_position_joins_the_stream),
        TEST(a_long_log_comes_in_pages_that_say_how_many_events_remain),
        TEST(pages_that_end_with_the_log_leave_none_empty_behind_them),
        TEST(a_live_pull_hears_what_is_pushed),
        TEST(live_pages_are_as_pages_that_are_read),
        TEST(all_live_pulls_of_the_store_hear_a_push_and_no_others),
        TEST(a_live_page_is_encoded_once_for_all_that_share_an_encoder),
        TEST(any_number_of_encoders_may_share_a_store),
        TEST(the_pushers_own_pull_hears_the_events_before_the_answer),
        TEST(a_pull_that_is_not_live_ends_at_the_head),
        TEST(a_pull_joins_while_pushes_are_on_their_way),
        TEST(a_pull_that_is_not_ready_is_not_queued_for),
        TEST(it_catches_up_from_its_own_place_and_is_live_again),
        TEST(it_gets_as_many_pages_as_it_is_ready_for),
        TEST(a_pull_that_is_not_live_waits_as_well),
        TEST(resuming_what_does_not_wait_changes_nothing),
        TEST(a_pull_can_be_cancelled_while_it_reads),
        TEST(a_pull_can_be_cancelled_while_it_waits),
        TEST(a_pull_can_be_cancelled_while_it_is_live),
        TEST(a_pull_can_be_cancelled_from_inside_its_page),
        TEST(all_pulls_can_be_cancelled_from_inside_a_page),
        TEST(each_pull_can_cancel_each_other_during_publication),
        TEST(all_pulls_can_be_cancelled_from_inside_a_pushs_answer),
        TEST(an_end_may_start_and_cancel_pulls),
        TEST(a_page_may_bring_the_next_push),
        TEST(a_cursor_of_another_log_is_told_which_is_ours),
        TEST(a_cursor_past_the_head_is_an_error_that_says_so),
        TEST(a_cursor_that_is_no_event_of_the_log_is_an_error),
        TEST(a_cursor_at_the_root_is_of_every_log_with_our_backend_id),
        TEST(a_read_that_fails_ends_the_pull_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
