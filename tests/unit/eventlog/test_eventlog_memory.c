/* What the memory engine does without memory. The linker sends the allocations of our code through
 * here (--wrap), so that the chosen one fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "eventlog/eventlog_engine.h"
#include "log_fixture.h"

static size_t allocations_left; /* the one that finds 1 fails; 0: none fails */

static bool fails(void)
{
    return allocations_left > 0 && --allocations_left == 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

static struct eventlog_engine *open_engine(void)
{
    struct eventlog_engine *engine = NULL;
    assert_int_equal(eventlog_memory_open(&engine, NULL), SLUICE_OK);
    return engine;
}

static struct eventlog_append commit(struct eventlog_engine *engine, struct slice store_id,
                                     uint64_t first)
{
    struct event events[3];
    for (size_t index = 0; index < 3; index++) {
        events[index] = fixture_event(first + index, first + index - 1);
    }
    struct eventlog_append append = {
        .store_id = store_id, .expected_head = first - 1, .events = events, .event_count = 3};
    struct eventlog_append *pointer = &append;
    engine->ops->commit(engine, &pointer, 1, 1);
    append.events = NULL;
    return append;
}

static uint64_t count_events(struct eventlog_engine *engine, struct slice store_id)
{
    struct eventlog_reader *reader = NULL;
    assert_int_equal(engine->ops->reader_open(engine, &reader, NULL), SLUICE_OK);
    struct eventlog_read read = {.store_id = store_id};
    assert_int_equal(engine->ops->read(reader, &read, NULL), SLUICE_OK);
    engine->ops->reader_close(reader);
    return read.info.event_count;
}

/* Fails every allocation of an append in turn. `stored` events are in the store before. */
static void fail_each_allocation(struct eventlog_engine *engine, struct slice store_id,
                                 uint64_t stored)
{
    size_t failures = 0;
    for (size_t nth = 1;; nth++) {
        allocations_left = nth;
        struct eventlog_append append = commit(engine, store_id, stored + 1);
        allocations_left = 0;
        if (append.status == SLUICE_OK) {
            break;
        }
        failures++;
        assert_int_equal(append.status, SLUICE_NO_MEMORY);
        assert_int_equal(append.error.status, SLUICE_NO_MEMORY);
        assert_int_equal(count_events(engine, store_id), stored);
    }
    assert_true(failures >= 3);
    assert_int_equal(count_events(engine, store_id), stored + 3);
}

static void an_append_for_which_there_is_no_memory_leaves_nothing(void **state)
{
    (void)state;
    struct eventlog_engine *engine = open_engine();
    fail_each_allocation(engine, SLICE("store"), 0);
    fail_each_allocation(engine, SLICE("store"), 3);
    fail_each_allocation(engine, SLICE("another"), 0);
    engine->ops->close(engine);
}

static void the_table_goes_on_when_it_cannot_grow(void **state)
{
    (void)state;
    struct eventlog_engine *engine = open_engine();
    char ids[200][16];
    for (size_t index = 0; index < 200; index++) {
        int bytes = snprintf(ids[index], sizeof ids[index], "store-%zu", index);
        /* A new store's append allocates the store, the array and three events; the table is last.
         */
        allocations_left = 6;
        struct eventlog_append append = commit(engine, slice_make(ids[index], (size_t)bytes), 1);
        allocations_left = 0;
        assert_int_equal(append.status, SLUICE_OK);
    }
    for (size_t index = 0; index < 200; index++) {
        assert_int_equal(count_events(engine, slice_of_string(ids[index])), 3);
    }
    engine->ops->close(engine);
}

static void opening_without_memory_says_so(void **state)
{
    (void)state;
    for (size_t nth = 1; nth <= 2; nth++) {
        struct eventlog_engine *engine = NULL;
        struct sluice_error error = {0};
        allocations_left = nth;
        assert_int_equal(eventlog_memory_open(&engine, &error), SLUICE_NO_MEMORY);
        allocations_left = 0;
        assert_null(engine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_for_which_there_is_no_memory_leaves_nothing),
        cmocka_unit_test(the_table_goes_on_when_it_cannot_grow),
        cmocka_unit_test(opening_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
