/* The contract of an eventlog, which every engine passes: each test runs on sqlite and on memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "log_fixture.h"

#define STORE SLICE("store-a")

static struct log_fixture *open_log(enum log_kind kind)
{
    struct log_fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    fixture_init(fixture, kind);
    struct sluice_error error = {0};
    if (fixture_open(fixture, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
    return fixture;
}

static int setup_sqlite(void **state)
{
    *state = open_log(LOG_SQLITE);
    return 0;
}

static int setup_memory(void **state)
{
    *state = open_log(LOG_MEMORY);
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static void append_range(struct log_fixture *log, struct slice store_id, uint64_t first,
                         uint64_t last)
{
    assert_int_equal(fixture_append_range(log, store_id, first, last), SLUICE_OK);
}

/* --- Appending and reading --- */

static void an_appended_event_is_read_back_as_it_was(void **state)
{
    struct log_fixture *log = *state;
    struct event event = fixture_event(1, 0);
    int64_t before_ms = clock_wall_ms();
    struct eventlog_append append;
    assert_int_equal(fixture_append(log, STORE, 0, &event, 1, &append), SLUICE_OK);
    assert_int_equal(event.position, 0);
    assert_true(event.created_at_ms >= before_ms && event.created_at_ms <= clock_wall_ms());

    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 0, 10, &got), SLUICE_OK);
    assert_int_equal(got.count, 1);
    assert_true(event_equal(&got.events[0], &event));
    assert_int_equal(got.events[0].position, 0);
    assert_int_equal(got.events[0].created_at_ms, event.created_at_ms);
    assert_int_equal(got.read.events_read, 1);
    assert_int_equal(got.read.last_seq_num, 1);
    assert_int_equal(got.read.remaining, 0);
    assert_true(got.finished);
    assert_false(got.finished_before_outputs);
    collected_deinit(&got);
}

static void an_append_answers_what_is_known_of_the_store_after_it(void **state)
{
    struct log_fixture *log = *state;
    struct event events[] = {fixture_event(1, 0), fixture_event(2, 1)};
    uint64_t bytes = 0;
    for (size_t index = 0; index < 2; index++) {
        bytes += events[index].name.bytes + events[index].args.bytes +
                 events[index].client_id.bytes + events[index].session_id.bytes;
    }
    struct eventlog_append append;
    assert_int_equal(fixture_append(log, STORE, 0, events, 2, &append), SLUICE_OK);
    assert_int_equal(append.info.head, 2);
    assert_int_equal(append.info.event_count, 2);
    assert_int_equal(append.info.event_bytes, bytes);
    struct eventlog_store_info info = fixture_info(log, STORE);
    assert_int_equal(info.head, 2);
    assert_int_equal(info.event_count, 2);
    assert_int_equal(info.event_bytes, bytes);
    assert_string_equal(info.backend_id, append.info.backend_id);
}

static void events_come_in_order_after_the_cursor(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 10);
    append_range(log, STORE, 11, 11);
    append_range(log, STORE, 12, 30);
    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 5, 100, &got), SLUICE_OK);
    assert_int_equal(got.count, 25);
    for (size_t index = 0; index < got.count; index++) {
        struct event expected = fixture_event(6 + index, 5 + index);
        assert_true(event_equal(&got.events[index], &expected));
        assert_int_equal(got.events[index].position, 5 + index);
    }
    collected_deinit(&got);
}

static void sequence_numbers_may_have_gaps_and_positions_have_none(void **state)
{
    struct log_fixture *log = *state;
    struct event events[] = {fixture_event(3, 0), fixture_event(1000, 3),
                             fixture_event(9007199254740991, 1000)};
    assert_int_equal(fixture_append(log, STORE, 0, events, 3, NULL), SLUICE_OK);
    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 0, 10, &got), SLUICE_OK);
    assert_int_equal(got.count, 3);
    for (size_t index = 0; index < 3; index++) {
        assert_true(event_equal(&got.events[index], &events[index]));
        assert_int_equal(got.events[index].position, index);
    }
    assert_int_equal(got.read.info.head, 9007199254740991);
    collected_deinit(&got);
    assert_int_equal(fixture_read(log, STORE, 3, 10, &got), SLUICE_OK);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.events[0].position, 1);
    collected_deinit(&got);
}

static void remaining_is_exact_wherever_a_page_ends(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 50);
    for (uint64_t after = 0; after <= 52; after += 13) {
        for (size_t max = 0; max <= 60; max += 12) {
            struct collected got = {0};
            assert_int_equal(fixture_read(log, STORE, after, max, &got), SLUICE_OK);
            uint64_t behind = after < 50 ? 50 - after : 0;
            uint64_t read = behind < max ? behind : max;
            assert_int_equal(got.count, read);
            assert_int_equal(got.read.events_read, read);
            assert_int_equal(got.read.remaining, behind - read);
            assert_int_equal(got.read.last_seq_num, after + read);
            collected_deinit(&got);
        }
    }
}

static void a_read_says_whether_its_cursor_is_a_stored_event(void **state)
{
    struct log_fixture *log = *state;
    struct event events[] = {fixture_event(10, 0), fixture_event(20, 10), fixture_event(30, 20)};
    assert_int_equal(fixture_append(log, STORE, 0, events, 3, NULL), SLUICE_OK);
    const struct {
        uint64_t after;
        bool stored;
        uint64_t remaining;
    } cases[] = {{0, true, 3},          {1, false, 3}, {10, true, 2},  {11, false, 2},
                 {29, false, 1},        {30, true, 0}, {31, false, 0}, {9007199254740991, false, 0},
                 {UINT64_MAX, false, 0}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct collected got = {0};
        assert_int_equal(fixture_read(log, STORE, cases[index].after, 0, &got), SLUICE_OK);
        assert_int_equal(got.read.after_is_stored, cases[index].stored);
        assert_int_equal(got.read.remaining, cases[index].remaining);
        assert_int_equal(got.read.last_seq_num, cases[index].after);
        assert_int_equal(fixture_read(log, STORE, cases[index].after, 9, &got), SLUICE_OK);
        assert_int_equal(got.read.after_is_stored, cases[index].stored);
        assert_int_equal(got.count, cases[index].remaining);
        assert_int_equal(got.read.remaining, 0);
        collected_deinit(&got);
    }
}

static void a_store_without_events_has_a_backend_id_and_nothing_else(void **state)
{
    struct log_fixture *log = *state;
    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 0, 10, &got), SLUICE_OK);
    assert_int_equal(got.count, 0);
    assert_int_equal(got.read.info.head, 0);
    assert_int_equal(got.read.info.event_count, 0);
    assert_int_equal(got.read.info.event_bytes, 0);
    assert_int_equal(got.read.remaining, 0);
    assert_true(got.read.after_is_stored);
    assert_int_equal(strlen(got.read.info.backend_id), EVENTLOG_BACKEND_ID_BYTES);
    assert_int_equal(fixture_read(log, STORE, 7, 10, &got), SLUICE_OK);
    assert_false(got.read.after_is_stored);
    assert_int_equal(got.read.remaining, 0);
    assert_int_equal(got.read.last_seq_num, 7);
}

static void a_backend_id_is_the_same_before_the_first_push_and_after_it(void **state)
{
    struct log_fixture *log = *state;
    struct eventlog_store_info before = fixture_info(log, STORE);
    append_range(log, STORE, 1, 3);
    assert_string_equal(fixture_info(log, STORE).backend_id, before.backend_id);
    assert_string_not_equal(fixture_info(log, SLICE("store-b")).backend_id, before.backend_id);
}

static void bytes_come_back_exactly(void **state)
{
    struct log_fixture *log = *state;
    struct event events[] = {
        {.seq_num = 1,
         .name = SLICE("n\0m"),
         .args = SLICE("{ \"a\" : \"\\u0000\\ud800\" ,\n\t\"ключ\":\"🙂\"}"),
         .client_id = SLICE("\0"),
         .session_id = SLICE("с\0ессия")},
        {.seq_num = 2,
         .parent_seq_num = 1,
         .name = SLICE("x"),
         .args = SLICE("null"),
         .client_id = SLICE_EMPTY,
         .session_id = SLICE_EMPTY},
    };
    assert_int_equal(fixture_append(log, STORE, 0, events, 2, NULL), SLUICE_OK);
    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 0, 10, &got), SLUICE_OK);
    assert_int_equal(got.count, 2);
    assert_true(event_equal(&got.events[0], &events[0]));
    assert_true(event_equal(&got.events[1], &events[1]));
    collected_deinit(&got);
}

static void args_of_a_mebibyte_come_back_exactly(void **state)
{
    struct log_fixture *log = *state;
    size_t bytes = 1u << 20;
    char *args = malloc(bytes);
    assert_non_null(args);
    for (size_t index = 0; index < bytes; index++) {
        char character = (char)(' ' + (index * 31 + index / 4093) % 90);
        args[index] = character == '"' || character == '\\' ? '-' : character;
    }
    struct event events[3];
    for (size_t index = 0; index < 3; index++) {
        events[index] = fixture_event(index + 1, index);
        events[index].args = slice_make(args + index, bytes - index);
    }
    memcpy(args, "  \"", 3); /* white space before a text is part of it */
    args[bytes - 1] = '"';
    assert_int_equal(fixture_append(log, STORE, 0, events, 3, NULL), SLUICE_OK);
    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 0, 10, &got), SLUICE_OK);
    assert_int_equal(got.count, 3);
    for (size_t index = 0; index < 3; index++) {
        assert_true(event_equal(&got.events[index], &events[index]));
    }
    collected_deinit(&got);
    free(args);
}

static void store_ids_are_told_apart_by_every_byte(void **state)
{
    struct log_fixture *log = *state;
    char longest[512];
    memset(longest, 'x', sizeof longest);
    const struct slice ids[] = {
        SLICE("a"),     SLICE("A"),    SLICE("a\0"),     SLICE("a\0b"),
        SLICE("a\0c"),  SLICE(" a"),   SLICE("магазин"), SLICE("'; DROP TABLE event; --"),
        {longest, 511}, {longest, 512}};
    size_t count = sizeof ids / sizeof ids[0];
    for (size_t index = 0; index < count; index++) {
        append_range(log, ids[index], 1, index + 1);
    }
    for (size_t index = 0; index < count; index++) {
        struct eventlog_store_info info = fixture_info(log, ids[index]);
        assert_int_equal(info.head, index + 1);
        for (size_t other = 0; other < index; other++) {
            assert_string_not_equal(fixture_info(log, ids[other]).backend_id, info.backend_id);
        }
    }
}

static void two_stores_never_mix(void **state)
{
    struct log_fixture *log = *state;
    for (uint64_t round = 0; round < 20; round++) {
        append_range(log, SLICE("left"), round * 3 + 1, round * 3 + 3);
        struct event event = fixture_event(round + 1, round);
        event.name = SLICE("right");
        assert_int_equal(fixture_append(log, SLICE("right"), round, &event, 1, NULL), SLUICE_OK);
    }
    struct collected left = {0};
    struct collected right = {0};
    assert_int_equal(fixture_read(log, SLICE("left"), 0, 1000, &left), SLUICE_OK);
    assert_int_equal(fixture_read(log, SLICE("right"), 0, 1000, &right), SLUICE_OK);
    assert_int_equal(left.count, 60);
    assert_int_equal(right.count, 20);
    for (size_t index = 0; index < left.count; index++) {
        struct event expected = fixture_event(index + 1, index);
        assert_true(event_equal(&left.events[index], &expected));
    }
    for (size_t index = 0; index < right.count; index++) {
        assert_true(slice_equal(right.events[index].name, SLICE("right")));
        assert_int_equal(right.events[index].position, index);
    }
    collected_deinit(&left);
    collected_deinit(&right);
}

static void ignore_append(struct eventlog_append *append)
{
    (void)append;
}

static void a_thousand_stores_keep_their_events_apart(void **state)
{
    struct log_fixture *log = *state;
    enum { STORES = 1000 };
    static struct eventlog_append appends[STORES];
    static struct event events[STORES];
    static char ids[STORES][16];
    for (size_t index = 0; index < STORES; index++) {
        int bytes = snprintf(ids[index], sizeof ids[index], "store-%zu", index);
        events[index] = fixture_event(index + 1, 0);
        appends[index] = (struct eventlog_append){.store_id = {ids[index], (size_t)bytes},
                                                  .events = &events[index],
                                                  .event_count = 1,
                                                  .done = ignore_append};
        eventlog_submit_append(log->log, &appends[index]);
    }
    fixture_wait(log);
    for (size_t index = 0; index < STORES; index++) {
        assert_int_equal(appends[index].status, SLUICE_OK);
        assert_int_equal(fixture_info(log, appends[index].store_id).head, index + 1);
    }
    struct eventlog_stats stats;
    eventlog_stats(log->log, &stats);
    assert_int_equal(stats.appends, STORES);
    assert_int_equal(stats.events, STORES);
    assert_int_equal(stats.reads, STORES);
    assert_int_equal(stats.commit_failures, 0);
    assert_in_range(stats.transactions, 1, STORES);
}

/* --- What the visitor decides --- */

static void a_visitor_that_stops_ends_the_page_after_its_event(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 20);
    struct collected got = {.stop_after = 7};
    assert_int_equal(fixture_read(log, STORE, 2, 100, &got), SLUICE_OK);
    assert_int_equal(got.count, 7);
    assert_int_equal(got.read.events_read, 7);
    assert_int_equal(got.read.last_seq_num, 9);
    assert_int_equal(got.read.remaining, 11);
    assert_true(got.finished);
    collected_deinit(&got);
}

static void a_visitor_that_fails_ends_the_read_with_its_status(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 20);
    struct collected got = {.fail_after = 4};
    assert_int_equal(fixture_read(log, STORE, 0, 100, &got), SLUICE_LIMIT);
    assert_int_equal(got.count, 3);
    assert_string_equal(got.read.error.message, "the visitor had enough");
    assert_false(got.finished);
    collected_deinit(&got);
    assert_int_equal(fixture_read(log, STORE, 0, 100, &got), SLUICE_OK);
    assert_int_equal(got.count, 20);
    collected_deinit(&got);
}

/* --- What is refused --- */

static void an_append_that_is_not_at_the_head_is_refused(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 5);
    struct eventlog_append append;
    struct event behind = fixture_event(5, 4);
    assert_int_equal(fixture_append(log, STORE, 4, &behind, 1, &append), SLUICE_INVALID);
    assert_non_null(strstr(append.error.message, "head is 5"));
    struct event ahead = fixture_event(8, 7);
    assert_int_equal(fixture_append(log, STORE, 7, &ahead, 1, NULL), SLUICE_INVALID);
    struct event elsewhere = fixture_event(2, 1);
    assert_int_equal(fixture_append(log, SLICE("new"), 1, &elsewhere, 1, NULL), SLUICE_INVALID);
    assert_int_equal(fixture_info(log, STORE).event_count, 5);
    assert_int_equal(fixture_info(log, SLICE("new")).event_count, 0);
    append_range(log, STORE, 6, 6);
}

static void a_batch_that_is_no_chain_is_refused_whole(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 2);
    struct event broken[][3] = {
        {fixture_event(3, 2), fixture_event(4, 3), fixture_event(6, 5)},
        {fixture_event(3, 2), fixture_event(3, 3), fixture_event(4, 3)},
        {fixture_event(3, 1), fixture_event(4, 3), fixture_event(5, 4)},
        {fixture_event(3, 2), fixture_event(4, 3), fixture_event(9007199254740992, 4)},
    };
    for (size_t index = 0; index < sizeof broken / sizeof broken[0]; index++) {
        assert_int_equal(fixture_append(log, STORE, 2, broken[index], 3, NULL), SLUICE_INVALID);
    }
    assert_int_equal(fixture_info(log, STORE).event_count, 2);
    append_range(log, STORE, 3, 4);
}

/* --- Groups: straight to the engine, so that what is in a transaction is certain --- */

struct group {
    struct eventlog_engine *engine;
    struct event events[64];
    struct eventlog_append appends[64];
    struct eventlog_append *pointers[64];
    char ids[64][16];
};

static struct group *open_group(struct log_fixture *log)
{
    fixture_close(log);
    struct group *group = calloc(1, sizeof *group);
    assert_non_null(group);
    struct sluice_error error;
    struct eventlog_options options = {.data_path = log->directory};
    enum sluice_status status = log->kind == LOG_SQLITE
                                    ? eventlog_sqlite_open(&options, &group->engine, &error)
                                    : eventlog_memory_open(&group->engine, &error);
    assert_int_equal(status, SLUICE_OK);
    for (size_t index = 0; index < 64; index++) {
        int bytes = snprintf(group->ids[index], sizeof group->ids[index], "store-%zu", index);
        group->events[index] = fixture_event(1, 0);
        group->appends[index] =
            (struct eventlog_append){.store_id = {group->ids[index], (size_t)bytes},
                                     .events = &group->events[index],
                                     .event_count = 1,
                                     .status = SLUICE_STATUS_COUNT};
        group->pointers[index] = &group->appends[index];
    }
    return group;
}

static void close_group(struct group *group)
{
    group->engine->ops->close(group->engine);
    free(group);
}

static enum sluice_status read_info(struct group *group, struct slice store_id,
                                    struct eventlog_store_info *info)
{
    struct eventlog_reader *reader = NULL;
    struct eventlog_read read = {.store_id = store_id};
    enum sluice_status status = group->engine->ops->reader_open(group->engine, &reader, NULL);
    if (status == SLUICE_OK) {
        status = group->engine->ops->read(reader, &read, NULL);
        group->engine->ops->reader_close(reader);
    }
    *info = read.info;
    return status;
}

static void a_wrong_expected_head_is_refused_alone_while_its_group_commits(void **state)
{
    struct group *group = open_group(*state);
    group->appends[7].expected_head = 5;
    group->events[7] = fixture_event(6, 5);
    group->engine->ops->commit(group->engine, group->pointers, 64, 1700000000000);
    for (size_t index = 0; index < 64; index++) {
        struct eventlog_append *append = &group->appends[index];
        assert_int_equal(append->status, index == 7 ? SLUICE_INVALID : SLUICE_OK);
        struct eventlog_store_info info;
        assert_int_equal(read_info(group, append->store_id, &info), SLUICE_OK);
        assert_int_equal(info.event_count, index == 7 ? 0 : 1);
    }
    close_group(group);
}

static void all_events_of_a_transaction_have_its_time(void **state)
{
    struct group *group = open_group(*state);
    group->engine->ops->commit(group->engine, group->pointers, 64, 1700000000123);
    for (size_t index = 0; index < 64; index++) {
        assert_int_equal(group->appends[index].status, SLUICE_OK);
        assert_int_equal(group->events[index].created_at_ms, 1700000000123);
        assert_int_equal(group->events[index].position, 0);
        assert_int_equal(group->appends[index].info.head, 1);
    }
    close_group(group);
}

static void appends_of_one_store_in_one_group_build_on_each_other(void **state)
{
    struct group *group = open_group(*state);
    for (size_t index = 0; index < 64; index++) {
        group->events[index] = fixture_event(index + 1, index);
        group->appends[index].expected_head = index;
        group->appends[index].store_id = STORE;
    }
    group->engine->ops->commit(group->engine, group->pointers, 64, 1700000000000);
    for (size_t index = 0; index < 64; index++) {
        assert_int_equal(group->appends[index].status, SLUICE_OK);
        assert_int_equal(group->events[index].position, index);
    }
    close_group(group);
}

/* --- The loop thread's side --- */

struct chained {
    struct eventlog_append append; /* first */
    struct log_fixture *log;
    struct event event;
    uint64_t last;
    unsigned dones;
};

static void append_next(struct eventlog_append *append)
{
    struct chained *chained = (struct chained *)append;
    assert_int_equal(append->status, SLUICE_OK);
    chained->dones++;
    if (append->info.head == chained->last) {
        return;
    }
    append->expected_head = append->info.head;
    chained->event = fixture_event(append->info.head + 1, append->info.head);
    eventlog_submit_append(chained->log->log, append);
}

static void a_done_may_submit_again(void **state)
{
    struct log_fixture *log = *state;
    struct chained chained = {.log = log, .event = fixture_event(1, 0), .last = 40};
    chained.append = (struct eventlog_append){
        .store_id = STORE, .events = &chained.event, .event_count = 1, .done = append_next};
    eventlog_submit_append(log->log, &chained.append);
    assert_int_equal(eventlog_pending(log->log), 1);
    fixture_wait(log);
    assert_int_equal(chained.dones, 40);
    assert_int_equal(fixture_info(log, STORE).event_count, 40);
    struct eventlog_stats stats;
    eventlog_stats(log->log, &stats);
    assert_int_equal(stats.transactions, 40);
}

static void probe_done(struct eventlog_probe *probe)
{
    (void)probe;
}

static void a_probe_of_a_healthy_log_succeeds(void **state)
{
    struct log_fixture *log = *state;
    for (int round = 0; round < 3; round++) {
        struct eventlog_probe probe = {.done = probe_done, .status = SLUICE_STATUS_COUNT};
        eventlog_submit_probe(log->log, &probe);
        fixture_wait(log);
        assert_int_equal(probe.status, SLUICE_OK);
    }
}

/* Readers run while the head moves; whatever a read sees must be one moment of the log. */
struct concurrent_read {
    struct collected collected; /* first */
    struct log_fixture *log;
    unsigned rounds_left;
    uint64_t last_head;
};

static void check_and_read_again(struct eventlog_read *read)
{
    struct concurrent_read *reading = (struct concurrent_read *)read;
    struct collected *got = &reading->collected;
    assert_int_equal(read->status, SLUICE_OK);
    assert_true(read->info.head >= reading->last_head);
    assert_int_equal(read->info.head, read->info.event_count);
    assert_int_equal(read->last_seq_num + read->remaining, read->info.head);
    for (size_t index = 0; index < got->count; index++) {
        uint64_t seq_num = read->after_seq_num + index + 1;
        assert_int_equal(got->events[index].seq_num, seq_num);
        assert_int_equal(got->events[index].parent_seq_num, seq_num - 1);
        assert_int_equal(got->events[index].position, seq_num - 1);
    }
    reading->last_head = read->info.head;
    uint64_t after = read->remaining > 0 ? read->last_seq_num : 0;
    collected_deinit(got);
    if (reading->rounds_left-- > 1) {
        collected_prepare(got, STORE, after, 64, check_and_read_again);
        eventlog_submit_read(reading->log->log, &got->read);
    }
}

static void reads_beside_appends_see_one_moment_of_the_log(void **state)
{
    struct log_fixture *log = *state;
    enum { READS = 6, ROUNDS = 60 };
    struct chained chained = {.log = log, .event = fixture_event(1, 0), .last = 200};
    chained.append = (struct eventlog_append){
        .store_id = STORE, .events = &chained.event, .event_count = 1, .done = append_next};
    eventlog_submit_append(log->log, &chained.append);
    struct concurrent_read readings[READS];
    memset(readings, 0, sizeof readings);
    for (size_t index = 0; index < READS; index++) {
        readings[index].log = log;
        readings[index].rounds_left = ROUNDS;
        collected_prepare(&readings[index].collected, STORE, 0, 64, check_and_read_again);
        eventlog_submit_read(log->log, &readings[index].collected.read);
    }
    fixture_wait(log);
    assert_int_equal(chained.dones, 200);
    assert_int_equal(fixture_info(log, STORE).head, 200);
}

/* --- Reads that nobody waits for --- */

struct held_read {
    struct eventlog_read read; /* first */
    sem_t *entered;            /* posted when the read has its event */
    sem_t *gate;               /* then it waits for this */
};

static enum sluice_status hold_reader(struct eventlog_read *read, const struct event *event,
                                      bool *stop)
{
    struct held_read *held = (struct held_read *)read;
    (void)event;
    *stop = true;
    (void)sem_post(held->entered);
    while (sem_wait(held->gate) != 0) {
    }
    return SLUICE_OK;
}

static void ignore_read(struct eventlog_read *read)
{
    (void)read;
}

static void an_abandoned_read_is_answered_and_not_read(void **state)
{
    struct log_fixture *log = *state;
    enum { READERS = 2, ABANDONED = 3 };
    append_range(log, STORE, 1, 3);
    sem_t entered;
    sem_t gate;
    (void)sem_init(&entered, 0, 0);
    (void)sem_init(&gate, 0, 0);
    struct held_read held[READERS];
    for (size_t i = 0; i < READERS; i++) {
        held[i] = (struct held_read){
            .read = {.store_id = STORE, .events_max = 1, .visit = hold_reader, .done = ignore_read},
            .entered = &entered,
            .gate = &gate};
        eventlog_submit_read(log->log, &held[i].read);
    }
    for (size_t i = 0; i < READERS; i++) {
        while (sem_wait(&entered) != 0) {
        }
    }
    struct collected abandoned[ABANDONED] = {0};
    for (size_t i = 0; i < ABANDONED; i++) {
        collected_prepare(&abandoned[i], STORE, 0, 64, ignore_read);
        eventlog_submit_read(log->log, &abandoned[i].read);
        eventlog_abandon_read(&abandoned[i].read);
    }
    for (size_t i = 0; i < READERS; i++) {
        (void)sem_post(&gate);
    }
    fixture_wait(log); /* for every done */
    for (size_t i = 0; i < ABANDONED; i++) {
        assert_int_equal(abandoned[i].read.status, SLUICE_UNAVAILABLE);
        assert_int_equal(abandoned[i].count, 0);
        assert_false(abandoned[i].finished);
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(held[i].read.status, SLUICE_OK);
    }
    (void)sem_destroy(&entered);
    (void)sem_destroy(&gate);
}

/* --- Reading by position --- */

static void read_at(struct log_fixture *log, struct slice store_id, uint64_t position,
                    size_t events_max, struct collected *got)
{
    collected_prepare(got, store_id, 0, events_max, ignore_read);
    got->read.by_position = true;
    got->read.position = position;
    eventlog_submit_read(log->log, &got->read);
    fixture_wait(log);
    if (got->read.status != SLUICE_OK) {
        fail_msg("position %llu: %s", (unsigned long long)position, got->read.error.message);
    }
}

/* The read at each position gives the events from it on, and the cursor before them. */
static void check_every_position(struct log_fixture *log, const struct event *events, size_t count)
{
    for (size_t position = 0; position < count; position++) {
        struct collected got = {0};
        read_at(log, STORE, position, 3, &got);
        size_t expected = count - position < 3 ? count - position : 3;
        assert_int_equal(got.count, expected);
        for (size_t i = 0; i < expected; i++) {
            assert_int_equal(got.events[i].position, position + i);
            assert_int_equal(got.events[i].seq_num, events[position + i].seq_num);
            assert_int_equal(got.events[i].parent_seq_num, events[position + i].parent_seq_num);
        }
        assert_int_equal(got.read.after_seq_num, events[position].parent_seq_num);
        assert_true(got.read.after_is_stored);
        assert_int_equal(got.read.last_seq_num, events[position + expected - 1].seq_num);
        assert_int_equal(got.read.remaining, count - position - expected);
        assert_int_equal(got.read.info.event_count, count);
        collected_deinit(&got);
    }
}

static void a_position_is_found_in_a_log_without_gaps(void **state)
{
    struct log_fixture *log = *state;
    enum { COUNT = 40 };
    struct event events[COUNT];
    append_range(log, STORE, 1, 15);
    append_range(log, STORE, 16, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        events[i] = fixture_event(i + 1, i);
    }
    check_every_position(log, events, COUNT);
}

/* Gaps that lead a search astray, whatever it guesses from: the sequence numbers of the `count`
 * events are made from the first to the last by `next`. */
static void check_gaps(struct log_fixture *log, size_t count, uint64_t (*next)(uint64_t, size_t))
{
    struct event events[64];
    uint64_t parent = 0;
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        uint64_t seq_num = next(parent, i);
        assert_true(seq_num > parent && seq_num <= 9007199254740991);
        events[i] = fixture_event(seq_num, parent);
        parent = seq_num;
    }
    assert_int_equal(fixture_append(log, STORE, 0, events, count, NULL), SLUICE_OK);
    check_every_position(log, events, count);
}

static uint64_t doubled(uint64_t parent, size_t index)
{
    return index < 53 ? (UINT64_C(1) << index) : parent + 1;
}

static void a_position_is_found_where_each_gap_is_twice_the_one_before(void **state)
{
    check_gaps(*state, 60, doubled);
}

static uint64_t halved(uint64_t parent, size_t index)
{
    (void)index;
    return parent + (9007199254740991 - parent + 1) / 2;
}

static void a_position_is_found_where_each_gap_is_half_the_one_before(void **state)
{
    check_gaps(*state, 53, halved);
}

static uint64_t far_apart(uint64_t parent, size_t index)
{
    return index == 30 ? 9007199254740991 - 29 : parent + 1;
}

static void a_position_is_found_on_both_sides_of_a_huge_jump(void **state)
{
    check_gaps(*state, 60, far_apart);
}

static uint64_t late(uint64_t parent, size_t index)
{
    return index == 0 ? 9007199254740991 - 49 : parent + 1;
}

static void a_position_is_found_in_a_log_that_begins_late(void **state)
{
    check_gaps(*state, 50, late);
}

static uint64_t uneven(uint64_t parent, size_t index)
{
    uint64_t random = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return parent + 1 + ((random >> 8) & ((UINT64_C(1) << (random >> 59)) - 1));
}

static void a_position_is_found_among_uneven_gaps(void **state)
{
    check_gaps(*state, 64, uneven);
}

static void nothing_is_read_from_the_tail_or_past_it(void **state)
{
    struct log_fixture *log = *state;
    static const uint64_t POSITIONS[] = {3, 4, 1000, SIZE_MAX / 2, UINT64_MAX};
    struct event events[] = {fixture_event(3, 0), fixture_event(1000, 3),
                             fixture_event(9007199254740991, 1000)};
    assert_int_equal(fixture_append(log, STORE, 0, events, 3, NULL), SLUICE_OK);
    for (size_t i = 0; i < sizeof POSITIONS / sizeof *POSITIONS; i++) {
        struct collected got = {0};
        read_at(log, STORE, POSITIONS[i], 10, &got);
        assert_int_equal(got.count, 0);
        assert_int_equal(got.read.after_seq_num, 9007199254740991);
        assert_int_equal(got.read.last_seq_num, 9007199254740991);
        assert_true(got.read.after_is_stored);
        assert_int_equal(got.read.remaining, 0);
        assert_int_equal(got.read.info.event_count, 3);
        collected_deinit(&got);
    }
}

static void a_store_without_events_has_only_a_tail(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, SLICE("another"), 1, 5);
    for (uint64_t position = 0; position < 3; position++) {
        struct collected got = {0};
        read_at(log, STORE, position, 10, &got);
        assert_int_equal(got.count, 0);
        assert_int_equal(got.read.last_seq_num, 0);
        assert_int_equal(got.read.info.event_count, 0);
        assert_int_equal(got.read.remaining, 0);
        collected_deinit(&got);
    }
}

static void positions_of_two_stores_are_their_own(void **state)
{
    struct log_fixture *log = *state;
    append_range(log, STORE, 1, 4);
    append_range(log, SLICE("store-b"), 1, 2);
    append_range(log, STORE, 5, 8);
    append_range(log, SLICE("store-b"), 3, 9);
    struct collected got = {0};
    read_at(log, SLICE("store-b"), 2, 1, &got);
    assert_int_equal(got.events[0].seq_num, 3);
    collected_deinit(&got);
    read_at(log, STORE, 4, 1, &got);
    assert_int_equal(got.events[0].seq_num, 5);
    assert_int_equal(got.read.remaining, 3);
    collected_deinit(&got);
}

/* --- Both engines --- */

#define CONTRACT(X)                                                                                \
    X(an_appended_event_is_read_back_as_it_was)                                                    \
    X(an_append_answers_what_is_known_of_the_store_after_it)                                       \
    X(events_come_in_order_after_the_cursor)                                                       \
    X(sequence_numbers_may_have_gaps_and_positions_have_none)                                      \
    X(remaining_is_exact_wherever_a_page_ends)                                                     \
    X(a_read_says_whether_its_cursor_is_a_stored_event)                                            \
    X(a_store_without_events_has_a_backend_id_and_nothing_else)                                    \
    X(a_backend_id_is_the_same_before_the_first_push_and_after_it)                                 \
    X(bytes_come_back_exactly)                                                                     \
    X(args_of_a_mebibyte_come_back_exactly)                                                        \
    X(store_ids_are_told_apart_by_every_byte)                                                      \
    X(two_stores_never_mix)                                                                        \
    X(a_thousand_stores_keep_their_events_apart)                                                   \
    X(a_visitor_that_stops_ends_the_page_after_its_event)                                          \
    X(a_visitor_that_fails_ends_the_read_with_its_status)                                          \
    X(an_append_that_is_not_at_the_head_is_refused)                                                \
    X(a_batch_that_is_no_chain_is_refused_whole)                                                   \
    X(a_wrong_expected_head_is_refused_alone_while_its_group_commits)                              \
    X(all_events_of_a_transaction_have_its_time)                                                   \
    X(appends_of_one_store_in_one_group_build_on_each_other)                                       \
    X(a_done_may_submit_again)                                                                     \
    X(a_probe_of_a_healthy_log_succeeds)                                                           \
    X(reads_beside_appends_see_one_moment_of_the_log)                                              \
    X(an_abandoned_read_is_answered_and_not_read)                                                  \
    X(a_position_is_found_in_a_log_without_gaps)                                                   \
    X(a_position_is_found_where_each_gap_is_twice_the_one_before)                                  \
    X(a_position_is_found_where_each_gap_is_half_the_one_before)                                   \
    X(a_position_is_found_on_both_sides_of_a_huge_jump)                                            \
    X(a_position_is_found_in_a_log_that_begins_late)                                               \
    X(a_position_is_found_among_uneven_gaps)                                                       \
    X(nothing_is_read_from_the_tail_or_past_it)                                                    \
    X(a_store_without_events_has_only_a_tail)                                                      \
    X(positions_of_two_stores_are_their_own)

#define ON_SQLITE(test) {"sqlite: " #test, test, setup_sqlite, teardown, NULL},
#define ON_MEMORY(test) {"memory: " #test, test, setup_memory, teardown, NULL},

int main(void)
{
    const struct CMUnitTest tests[] = {CONTRACT(ON_SQLITE) CONTRACT(ON_MEMORY)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
