#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "aborts.h"
#include "failing_alloc.h"

static void assert_holds(const struct buffer *buffer, const char *expected)
{
    assert_int_equal(buffer->bytes, strlen(expected));
    assert_memory_equal(buffer->data == NULL ? "" : buffer->data, expected, strlen(expected));
}

static void appends_follow_each_other(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    buffer_append(&buffer, "ab", 2);
    buffer_append_slice(&buffer, SLICE("cd"));
    buffer_append_slice(&buffer, SLICE_EMPTY);
    buffer_append_byte(&buffer, '-');
    buffer_append_u64(&buffer, 0);
    buffer_append_byte(&buffer, '-');
    buffer_append_u64(&buffer, UINT64_MAX);
    buffer_append_format(&buffer, "-%s-%03d", "x", 7);
    buffer_append_literal(&buffer, "!");
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    assert_holds(&buffer, "abcd-0-18446744073709551615-x-007!");
    buffer_deinit(&buffer);
}

static void it_holds_exactly_its_cap_whichever_append_is_used(void **state)
{
    (void)state;
    for (size_t cap = 1; cap < 300; cap++) {
        struct buffer bytewise, formatted;
        buffer_init(&bytewise, cap);
        buffer_init(&formatted, cap);
        for (size_t i = 0; i < cap; i++) {
            buffer_append_byte(&bytewise, 'x');
        }
        buffer_append_format(&formatted, "%.*s", (int)cap, bytewise.data);
        assert_int_equal(buffer_status(&bytewise), SLUICE_OK);
        assert_int_equal(buffer_status(&formatted), SLUICE_OK);
        assert_int_equal(bytewise.bytes, cap);
        assert_int_equal(formatted.bytes, cap);
        assert_memory_equal(formatted.data, bytewise.data, cap);
        assert_true(bytewise.capacity <= cap);
        buffer_append_byte(&bytewise, 'x');
        buffer_append_format(&formatted, "%d", 1);
        assert_int_equal(buffer_status(&bytewise), SLUICE_LIMIT);
        assert_int_equal(buffer_status(&formatted), SLUICE_LIMIT);
        assert_int_equal(bytewise.bytes, cap);
        assert_int_equal(formatted.bytes, cap);
        buffer_deinit(&bytewise);
        buffer_deinit(&formatted);
    }
}

static void after_a_failure_nothing_more_is_appended_until_it_is_cleared(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 4);
    buffer_append_literal(&buffer, "abc");
    buffer_append_literal(&buffer, "de");
    assert_int_equal(buffer_status(&buffer), SLUICE_LIMIT);
    buffer_append_byte(&buffer, 'd'); /* would fit */
    buffer_append_format(&buffer, "d");
    buffer_append_u64(&buffer, 1);
    assert_null(buffer_reserve(&buffer, 1));
    assert_holds(&buffer, "abc");
    assert_int_equal(buffer_status(&buffer), SLUICE_LIMIT);
    buffer_clear(&buffer);
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    buffer_append_literal(&buffer, "wxyz");
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    assert_holds(&buffer, "wxyz");
    buffer_deinit(&buffer);
}

static void a_size_that_would_overflow_is_over_the_cap(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, SIZE_MAX - 1);
    buffer_append_literal(&buffer, "abc");
    assert_null(buffer_reserve(&buffer, SIZE_MAX - 2));
    assert_int_equal(buffer_status(&buffer), SLUICE_LIMIT);
    buffer_deinit(&buffer);
}

static void without_memory_the_failure_is_no_memory(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    buffer_append_literal(&buffer, "abc");
    failing_alloc_arm(0);
    buffer_append_format(&buffer, "%500s", "");
    failing_alloc_disarm();
    assert_int_equal(buffer_status(&buffer), SLUICE_NO_MEMORY);
    assert_holds(&buffer, "abc");
    buffer_deinit(&buffer);
}

static void appending_byte_by_byte_allocates_rarely(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1u << 20);
    failing_alloc_arm(100);
    for (int i = 0; i < 1 << 20; i++) {
        buffer_append_byte(&buffer, 'x');
    }
    assert_true(failing_alloc_seen <= 16);
    failing_alloc_disarm();
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    buffer_deinit(&buffer);
}

static void reserved_room_can_be_filled_and_committed_in_part(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    char *room = buffer_reserve(&buffer, 100);
    assert_non_null(room);
    memset(room, 'r', 100);
    buffer_commit(&buffer, 3);
    assert_holds(&buffer, "rrr");
    assert_non_null(buffer_reserve(&buffer, 97));
    assert_null(buffer_reserve(&buffer, 98));
    assert_int_equal(buffer_status(&buffer), SLUICE_LIMIT);
    buffer_deinit(&buffer);
}

static void a_reserve_of_nothing_is_not_a_failure(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1);
    assert_non_null(buffer_reserve(&buffer, 0));
    buffer_append_byte(&buffer, 'x');
    assert_non_null(buffer_reserve(&buffer, 0));
    buffer_commit(&buffer, 0);
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    buffer_deinit(&buffer);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_consume(&buffer, 0);
    buffer_append_literal(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    assert_holds(&buffer, "abcdef");
    buffer_consume(&buffer, 2);
    assert_holds(&buffer, "cdef");
    buffer_consume(&buffer, 4);
    assert_holds(&buffer, "");
    buffer_append_literal(&buffer, "gh");
    assert_holds(&buffer, "gh");
    buffer_deinit(&buffer);
}

static void truncating_cuts_the_end(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_literal(&buffer, "abcdef");
    buffer_truncate(&buffer, 2);
    buffer_append_literal(&buffer, "x");
    assert_holds(&buffer, "abx");
    buffer_deinit(&buffer);
}

static void deinit_leaves_an_empty_buffer_with_the_same_cap(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 3);
    buffer_append_literal(&buffer, "abcd");
    buffer_deinit(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    buffer_append_literal(&buffer, "abc");
    assert_holds(&buffer, "abc");
    buffer_append_literal(&buffer, "d");
    assert_int_equal(buffer_status(&buffer), SLUICE_LIMIT);
    buffer_deinit(&buffer);
}

static void a_callers_mistake_ends_the_process(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_literal(&buffer, "abc");
    ASSERT_ABORTS(buffer_consume(&buffer, 4));
    ASSERT_ABORTS(buffer_truncate(&buffer, 4));
    ASSERT_ABORTS(buffer_commit(&buffer, 101));
    ASSERT_ABORTS(buffer_init(&buffer, 0));
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_follow_each_other),
        cmocka_unit_test(it_holds_exactly_its_cap_whichever_append_is_used),
        cmocka_unit_test(after_a_failure_nothing_more_is_appended_until_it_is_cleared),
        cmocka_unit_test(a_size_that_would_overflow_is_over_the_cap),
        cmocka_unit_test(without_memory_the_failure_is_no_memory),
        cmocka_unit_test(appending_byte_by_byte_allocates_rarely),
        cmocka_unit_test(reserved_room_can_be_filled_and_committed_in_part),
        cmocka_unit_test(a_reserve_of_nothing_is_not_a_failure),
        cmocka_unit_test(consuming_moves_the_rest_to_the_front),
        cmocka_unit_test(truncating_cuts_the_end),
        cmocka_unit_test(deinit_leaves_an_empty_buffer_with_the_same_cap),
        cmocka_unit_test(a_callers_mistake_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
