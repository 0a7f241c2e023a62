/* Each allocation of our own fails in turn, in both engines. (SQLite's own: tests/fault.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "client/outbox_memory.h"
#include "failing_alloc.h"
#include "outbox_fixture.h"

static void open_outbox(struct outbox_fixture *fixture, enum outbox_kind kind)
{
    outbox_fixture_init(fixture, kind);
    assert_int_equal(outbox_fixture_open(fixture, NULL), SLUICE_OK);
}

static void an_outbox_that_there_is_no_memory_for_is_not_opened(void **state)
{
    (void)state;
    for (int kind = OUTBOX_SQLITE; kind <= OUTBOX_MEMORY; kind++) {
        struct outbox_fixture fixture;
        enum sluice_status status = SLUICE_NO_MEMORY;
        outbox_fixture_init(&fixture, (enum outbox_kind)kind);
        unsigned successes = 0;
        for (; status == SLUICE_NO_MEMORY; successes++) {
            struct sluice_error error = {0};
            failing_alloc_arm(successes);
            status = outbox_fixture_open(&fixture, &error);
            failing_alloc_disarm();
            if (status != SLUICE_OK) {
                assert_int_equal(status, SLUICE_NO_MEMORY);
                assert_null(fixture.outbox);
            }
        }
        assert_true(successes > 1);
        outbox_fixture_expect(&fixture, 0, 1, 0);
        outbox_fixture_deinit(&fixture);
    }
}

static void a_commit_that_there_is_no_memory_for_changes_nothing(void **state)
{
    (void)state;
    char args[3000];
    memset(args, '1', sizeof args);
    struct sluice_event event = numbered_event(2);
    struct sluice_event large = event;
    large.args = (struct sluice_text){args, sizeof args}; /* a block of the arena of its own */
    struct outbox_fixture fixture;
    open_outbox(&fixture, OUTBOX_MEMORY);
    (void)outbox_fixture_append(&fixture, 1);
    for (unsigned successes = 0; successes < 2; successes++) {
        struct sluice_commit commit = {77, 77};
        struct sluice_error error = {0};
        failing_alloc_arm(successes);
        enum sluice_status status =
            fixture.outbox->ops->append(fixture.outbox, &large, &commit, &error);
        failing_alloc_disarm();
        assert_int_equal(status, SLUICE_NO_MEMORY);
        assert_non_null(strstr(error.message, "out of memory"));
        assert_int_equal(commit.commit_id, 77);
        outbox_fixture_expect(&fixture, 0, 1, 1);
    }
    (void)outbox_fixture_append(&fixture, 2);
    outbox_fixture_expect(&fixture, 0, 1, 2);
    outbox_fixture_deinit(&fixture);
}

static void a_read_that_there_is_no_memory_for_can_be_made_again(void **state)
{
    (void)state;
    for (int kind = OUTBOX_SQLITE; kind <= OUTBOX_MEMORY; kind++) {
        struct outbox_fixture fixture;
        open_outbox(&fixture, (enum outbox_kind)kind);
        for (unsigned number = 1; number <= 30; number++) {
            (void)outbox_fixture_append(&fixture, number);
        }
        enum sluice_status status = SLUICE_NO_MEMORY;
        unsigned successes = 0;
        for (; status == SLUICE_NO_MEMORY; successes++) {
            struct outbox_batch batch = {.event_count = 77};
            struct sluice_error error = {0};
            arena_deinit(&fixture.arena);
            failing_alloc_arm(successes);
            status = fixture.outbox->ops->read(fixture.outbox, 0, 100, SIZE_MAX, &fixture.arena,
                                               &batch, &error);
            failing_alloc_disarm();
            assert_int_equal(batch.event_count, status == SLUICE_OK ? 30 : 77);
        }
        assert_int_equal(status, SLUICE_OK);
        assert_true(successes > 2);
        outbox_fixture_expect(&fixture, 0, 1, 30);
        outbox_fixture_deinit(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outbox_that_there_is_no_memory_for_is_not_opened),
        cmocka_unit_test(a_commit_that_there_is_no_memory_for_changes_nothing),
        cmocka_unit_test(a_read_that_there_is_no_memory_for_can_be_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
