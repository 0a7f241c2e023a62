/* What an outbox promises, whichever engine it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "outbox_fixture.h"

static int set_up(void **state, enum outbox_kind kind)
{
    struct outbox_fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    outbox_fixture_init(fixture, kind);
    struct sluice_error error = {0};
    if (outbox_fixture_open(fixture, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
    *state = fixture;
    return 0;
}

static int set_up_sqlite(void **state)
{
    return set_up(state, OUTBOX_SQLITE);
}

static int set_up_memory(void **state)
{
    return set_up(state, OUTBOX_MEMORY);
}

static int tear_down(void **state)
{
    outbox_fixture_deinit(*state);
    free(*state);
    return 0;
}

/* A file is closed and opened again: what was said is on the disk. */
static void reopen(struct outbox_fixture *outbox)
{
    struct sluice_error error = {0};
    if (outbox->kind == OUTBOX_SQLITE) {
        outbox_fixture_close(outbox);
        if (outbox_fixture_open(outbox, &error) != SLUICE_OK) {
            fail_msg("%s", error.message);
        }
    }
}

static void append_range(struct outbox_fixture *outbox, unsigned first, unsigned last)
{
    for (unsigned number = first; number <= last; number++) {
        (void)outbox_fixture_append(outbox, number);
    }
}

static void assert_rebase(struct sluice_rebase rebase, uint64_t first_commit_id,
                          uint64_t first_seq_num, size_t count)
{
    assert_int_equal(rebase.count, count);
    assert_int_equal(rebase.first_commit_id, first_commit_id);
    assert_int_equal(rebase.first_seq_num, first_seq_num);
}

static void a_new_outbox_is_empty_at_the_root(void **state)
{
    outbox_fixture_expect(*state, 0, 1, 0);
    struct outbox_state now = outbox_fixture_state(*state);
    assert_int_equal(now.last_commit_id, 0);
    assert_int_equal(now.backend_id_bytes, 0);
}

static void commits_count_up_and_chain_on_the_upstream_head(void **state)
{
    for (unsigned number = 1; number <= 3; number++) {
        struct sluice_commit commit = outbox_fixture_append(*state, number);
        assert_int_equal(commit.commit_id, number);
        assert_int_equal(commit.seq_num, number);
    }
    reopen(*state);
    outbox_fixture_expect(*state, 0, 1, 3);
    assert_int_equal(outbox_fixture_append(*state, 4).commit_id, 4);
    outbox_fixture_expect(*state, 0, 1, 4);
}

static void texts_come_back_byte_for_byte(void **state)
{
    struct outbox_fixture *outbox = *state;
    struct sluice_event event = {
        .seq_num = 99, /* these are ignored */
        .parent_seq_num = 98,
        .created_at_ms = 97,
        .name = {"nul\0in it", 9},
        .args = sluice_text_of("{ \"é\" : [1.0, \"\\u00e9\", \"\xf0\x9f\x8c\xb1\"],\n\"b\":{} }"),
        .client_id = {NULL, 0},
        .session_id = {"", 0},
    };
    struct sluice_commit commit = {0};
    assert_int_equal(outbox->outbox->ops->append(outbox->outbox, &event, &commit, NULL), SLUICE_OK);
    reopen(outbox);
    struct outbox_batch batch = outbox_fixture_read(outbox, 0, 10, 1000);
    assert_int_equal(batch.event_count, 1);
    assert_int_equal(batch.events[0].seq_num, 1);
    assert_int_equal(batch.events[0].parent_seq_num, 0);
    assert_true(batch.events[0].created_at_ms == SLUICE_NO_TIME);
    assert_int_equal(batch.events[0].name.bytes, 9);
    assert_memory_equal(batch.events[0].name.data, "nul\0in it", 9);
    assert_int_equal(batch.events[0].args.bytes, event.args.bytes);
    assert_memory_equal(batch.events[0].args.data, event.args.data, event.args.bytes);
    assert_int_equal(batch.events[0].client_id.bytes, 0);
    assert_int_equal(batch.events[0].session_id.bytes, 0);
}

static void what_is_read_is_the_readers_whatever_happens_then(void **state)
{
    append_range(*state, 1, 3);
    struct outbox_batch batch = outbox_fixture_read(*state, 0, 10, 1000);
    (void)outbox_fixture_advance(*state, 3, 3, false);
    assert_int_equal(event_number(&batch.events[2]), 3);
    assert_int_equal(batch.events[2].seq_num, 3);
}

static void a_read_starts_after_a_sequence_number(void **state)
{
    (void)outbox_fixture_advance(*state, 0, 10, false);
    append_range(*state, 1, 5); /* 11 to 15 */
    const struct {
        uint64_t after;
        size_t count;
        unsigned first;
    } cases[] = {{0, 5, 1}, {9, 5, 1}, {10, 5, 1}, {11, 4, 2}, {14, 1, 5}, {15, 0, 0}, {99, 0, 0}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct outbox_batch batch = outbox_fixture_read(*state, cases[index].after, 100, 100000);
        assert_int_equal(batch.event_count, cases[index].count);
        if (cases[index].count > 0) {
            assert_int_equal(event_number(&batch.events[0]), cases[index].first);
            assert_int_equal(batch.first_commit_id, cases[index].first);
        }
    }
}

static void a_read_gives_no_more_events_than_asked_for(void **state)
{
    append_range(*state, 1, 5);
    assert_int_equal(outbox_fixture_read(*state, 0, 3, SIZE_MAX).event_count, 3);
    assert_int_equal(outbox_fixture_read(*state, 3, 3, SIZE_MAX).event_count, 2);
    assert_int_equal(outbox_fixture_read(*state, 0, 0, SIZE_MAX).event_count, 0);
}

static void a_read_stays_within_its_bytes_but_for_the_first_event(void **state)
{
    append_range(*state, 1, 5);
    struct sluice_event event = numbered_event(1);
    size_t bytes =
        event.name.bytes + event.args.bytes + event.client_id.bytes + event.session_id.bytes;
    assert_int_equal(outbox_fixture_read(*state, 0, 10, 3 * bytes).event_count, 3);
    assert_int_equal(outbox_fixture_read(*state, 0, 10, 3 * bytes - 1).event_count, 2);
    assert_int_equal(outbox_fixture_read(*state, 0, 10, 1).event_count, 1);
    assert_int_equal(outbox_fixture_read(*state, 0, 10, 0).event_count, 1);
}

static void an_advance_moves_an_empty_outboxs_head(void **state)
{
    assert_rebase(outbox_fixture_advance(*state, 0, 7, false), 0, 0, 0);
    reopen(*state);
    outbox_fixture_expect(*state, 7, 1, 0);
    assert_int_equal(outbox_fixture_append(*state, 1).seq_num, 8);
}

static void what_is_confirmed_goes_and_the_rest_keeps_its_numbers(void **state)
{
    append_range(*state, 1, 4);
    uint64_t generation = outbox_fixture_state(*state).generation;
    assert_rebase(outbox_fixture_advance(*state, 2, 2, false), 0, 0, 0);
    assert_int_equal(outbox_fixture_state(*state).generation, generation);
    reopen(*state);
    outbox_fixture_expect(*state, 2, 3, 4);
    assert_int_equal(outbox_fixture_append(*state, 5).commit_id, 5);
}

static void commit_ids_go_on_when_everything_is_confirmed(void **state)
{
    append_range(*state, 1, 2);
    (void)outbox_fixture_advance(*state, 2, 9, false);
    reopen(*state);
    assert_int_equal(outbox_fixture_state(*state).last_commit_id, 2);
    struct sluice_commit commit = outbox_fixture_append(*state, 3);
    assert_int_equal(commit.commit_id, 3);
    assert_int_equal(commit.seq_num, 10);
}

static void a_rebase_puts_the_rest_on_top_of_the_new_head(void **state)
{
    append_range(*state, 1, 4);
    uint64_t generation = outbox_fixture_state(*state).generation;
    assert_rebase(outbox_fixture_advance(*state, 1, 10, true), 2, 11, 3);
    assert_int_not_equal(outbox_fixture_state(*state).generation, generation);
    reopen(*state);
    outbox_fixture_expect(*state, 10, 2, 4);
    assert_rebase(outbox_fixture_advance(*state, 0, 20, true), 2, 21, 3);
    outbox_fixture_expect(*state, 20, 2, 4);
}

static void what_was_committed_since_the_merge_is_put_on_top_too(void **state)
{
    append_range(*state, 1, 2);
    /* Both came back, and an event of another client after them; meanwhile there was a commit. */
    append_range(*state, 3, 3);
    uint64_t generation = outbox_fixture_state(*state).generation;
    assert_rebase(outbox_fixture_advance(*state, 2, 3, false), 3, 4, 1);
    assert_int_not_equal(outbox_fixture_state(*state).generation, generation);
    outbox_fixture_expect(*state, 3, 3, 3);
}

static void a_backend_id_is_kept_until_another_one_comes(void **state)
{
    struct outbox_fixture *outbox = *state;
    struct sluice_rebase rebase;
    const char *ids[] = {"backend-1", "",
                         "a backend id of sixty-four bytes, which is as long as it may ever be"};
    const char *kept[] = {"backend-1", "backend-1",
                          "a backend id of sixty-four bytes, which is as long as it may eve"};
    for (size_t index = 0; index < 3; index++) {
        size_t bytes = strlen(ids[index]);
        struct outbox_advance advance = {
            .upstream_head = index, .backend_id = slice_make(ids[index], bytes < 64 ? bytes : 64)};
        assert_int_equal(outbox->outbox->ops->advance(outbox->outbox, &advance, &rebase, NULL),
                         SLUICE_OK);
        reopen(outbox);
        struct outbox_state now = outbox_fixture_state(outbox);
        assert_int_equal(now.backend_id_bytes, strlen(kept[index]));
        assert_memory_equal(now.backend_id, kept[index], now.backend_id_bytes);
    }
}

static void a_reset_forgets_the_log_and_renumbers_from_one(void **state)
{
    struct outbox_fixture *outbox = *state;
    append_range(outbox, 1, 3);
    struct outbox_advance advance = {.confirmed_count = 1,
                                     .upstream_head = 50,
                                     .rebases = true,
                                     .backend_id = SLICE("backend-1")};
    struct sluice_rebase rebase;
    assert_int_equal(outbox->outbox->ops->advance(outbox->outbox, &advance, &rebase, NULL),
                     SLUICE_OK);
    uint64_t generation = outbox_fixture_state(outbox).generation;
    assert_int_equal(outbox->outbox->ops->reset(outbox->outbox, &rebase, NULL), SLUICE_OK);
    assert_rebase(rebase, 2, 1, 2);
    assert_int_not_equal(outbox_fixture_state(outbox).generation, generation);
    reopen(outbox);
    outbox_fixture_expect(outbox, 0, 2, 3);
    struct outbox_state now = outbox_fixture_state(outbox);
    assert_int_equal(now.backend_id_bytes, 0);
    assert_int_equal(now.last_commit_id, 3);
}

static void a_reset_of_what_has_its_numbers_already_renumbers_nothing(void **state)
{
    struct outbox_fixture *outbox = *state;
    append_range(outbox, 1, 2);
    uint64_t generation = outbox_fixture_state(outbox).generation;
    struct sluice_rebase rebase;
    assert_int_equal(outbox->outbox->ops->reset(outbox->outbox, &rebase, NULL), SLUICE_OK);
    assert_rebase(rebase, 0, 0, 0);
    assert_int_not_equal(outbox_fixture_state(outbox).generation, generation);
    outbox_fixture_expect(outbox, 0, 1, 2);
}

static void numbers_end_at_the_largest_one(void **state)
{
    struct outbox_fixture *outbox = *state;
    struct sluice_error error = {0};
    struct sluice_event event = numbered_event(3);
    struct sluice_commit commit = {77, 77};
    (void)outbox_fixture_advance(outbox, 0, SLUICE_SEQ_NUM_MAX - 2, false);
    append_range(outbox, 1, 2);
    assert_int_equal(outbox->outbox->ops->append(outbox->outbox, &event, &commit, &error),
                     SLUICE_LIMIT);
    assert_non_null(strstr(error.message, "no sequence number is left"));
    assert_int_equal(commit.commit_id, 77);
    struct outbox_advance advance = {.upstream_head = SLUICE_SEQ_NUM_MAX - 1, .rebases = true};
    struct sluice_rebase rebase;
    assert_int_equal(outbox->outbox->ops->advance(outbox->outbox, &advance, &rebase, &error),
                     SLUICE_LIMIT);
    reopen(outbox);
    outbox_fixture_expect(outbox, SLUICE_SEQ_NUM_MAX - 2, 1, 2);
}

static void an_advance_that_cannot_be_changes_nothing(void **state)
{
    struct outbox_fixture *outbox = *state;
    (void)outbox_fixture_advance(outbox, 0, 5, false);
    append_range(outbox, 1, 2);
    const struct outbox_advance advances[] = {
        {.confirmed_count = 3, .upstream_head = 8},
        {.confirmed_count = 0, .upstream_head = 4},
        {.confirmed_count = 2, .upstream_head = 6},
        {.upstream_head = 6,
         .backend_id =
             SLICE("a backend id of sixty-five bytes, which is one more than it may be!!")},
    };
    for (size_t index = 0; index < sizeof advances / sizeof advances[0]; index++) {
        struct sluice_rebase rebase = {.count = 77};
        struct sluice_error error = {0};
        assert_int_equal(
            outbox->outbox->ops->advance(outbox->outbox, &advances[index], &rebase, &error),
            SLUICE_INVALID);
        assert_true(error.message[0] != '\0');
        assert_int_equal(rebase.count, 77);
    }
    outbox_fixture_expect(outbox, 5, 1, 2);
}

static void without_room_in_the_arena_a_read_says_so_and_loses_nothing(void **state)
{
    struct outbox_fixture *outbox = *state;
    append_range(outbox, 1, 3);
    for (size_t bytes_max = 1; bytes_max < 2000; bytes_max += 100) {
        struct arena arena;
        struct outbox_batch batch = {.event_count = 77};
        struct sluice_error error = {0};
        arena_init(&arena, bytes_max);
        enum sluice_status status =
            outbox->outbox->ops->read(outbox->outbox, 0, 10, 1000, &arena, &batch, &error);
        if (status != SLUICE_OK) {
            assert_int_equal(status, SLUICE_NO_MEMORY);
            assert_int_equal(batch.event_count, 77);
        } else {
            assert_int_equal(batch.event_count, 3);
        }
        arena_deinit(&arena);
    }
    outbox_fixture_expect(outbox, 0, 1, 3);
}

/* Against numbers that the test keeps by itself, event by event. */
static void a_long_random_life_keeps_the_chain(void **state)
{
    uint64_t seed = 20261125;
    uint64_t upstream_head = 0;
    unsigned first = 1;
    unsigned last = 0;
    for (unsigned step = 0; step < 300; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned dice = (unsigned)(seed >> 40);
        unsigned pending = last + 1 - first;
        if (dice % 3 != 0) {
            (void)outbox_fixture_append(*state, ++last);
        } else {
            unsigned confirmed = pending > 0 ? dice / 3 % (pending + 1) : 0;
            unsigned others = dice / 64 % 3;
            upstream_head += confirmed + others;
            first += confirmed;
            struct sluice_rebase rebase =
                outbox_fixture_advance(*state, confirmed, upstream_head, others > 0);
            assert_int_equal(rebase.count, others > 0 ? last + 1 - first : 0);
        }
        if (dice % 32 == 0) {
            reopen(*state);
        }
        outbox_fixture_expect(*state, upstream_head, first, last);
    }
    assert_true(last > 100);
}

#define TEST(name)                                                                                 \
    {"sqlite: " #name, name, set_up_sqlite, tear_down, NULL},                                      \
    {                                                                                              \
        "memory: " #name, name, set_up_memory, tear_down, NULL                                     \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_outbox_is_empty_at_the_root),
        TEST(commits_count_up_and_chain_on_the_upstream_head),
        TEST(texts_come_back_byte_for_byte),
        TEST(what_is_read_is_the_readers_whatever_happens_then),
        TEST(a_read_starts_after_a_sequence_number),
        TEST(a_read_gives_no_more_events_than_asked_for),
        TEST(a_read_stays_within_its_bytes_but_for_the_first_event),
        TEST(an_advance_moves_an_empty_outboxs_head),
        TEST(what_is_confirmed_goes_and_the_rest_keeps_its_numbers),
        TEST(commit_ids_go_on_when_everything_is_confirmed),
        TEST(a_rebase_puts_the_rest_on_top_of_the_new_head),
        TEST(what_was_committed_since_the_merge_is_put_on_top_too),
        TEST(a_backend_id_is_kept_until_another_one_comes),
        TEST(a_reset_forgets_the_log_and_renumbers_from_one),
        TEST(a_reset_of_what_has_its_numbers_already_renumbers_nothing),
        TEST(numbers_end_at_the_largest_one),
        TEST(an_advance_that_cannot_be_changes_nothing),
        TEST(without_room_in_the_arena_a_read_says_so_and_loses_nothing),
        TEST(a_long_random_life_keeps_the_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
