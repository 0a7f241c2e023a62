#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"

static void slices_are_equal_when_their_bytes_are(void **state)
{
    (void)state;
    assert_true(slice_equal(SLICE("abc"), slice_of_string("abc")));
    assert_true(slice_equal(SLICE("a\0b"), slice_make("a\0b", 3)));
    assert_true(slice_equal(SLICE_EMPTY, SLICE("")));
    assert_false(slice_equal(SLICE("abc"), SLICE("abd")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
    assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
}

static void only_ascii_letters_compare_without_case(void **state)
{
    (void)state;
    assert_true(slice_equal_ignoring_case(SLICE("Upgrade-42"), SLICE("uPGRADE-42")));
    assert_true(slice_equal_ignoring_case(SLICE_EMPTY, SLICE("")));
    assert_false(slice_equal_ignoring_case(SLICE("abc"), SLICE("abcd")));
    assert_false(slice_equal_ignoring_case(SLICE("@"), SLICE("`")));
    assert_false(slice_equal_ignoring_case(SLICE("["), SLICE("{")));
    assert_false(slice_equal_ignoring_case(SLICE("\xC4"), SLICE("\xE4")));
}

static void one_to_nineteen_digits_are_a_number(void **state)
{
    (void)state;
    unsigned long long value = 0;
    assert_true(slice_to_u64(SLICE("0"), &value));
    assert_int_equal(value, 0);
    assert_true(slice_to_u64(SLICE("007"), &value));
    assert_int_equal(value, 7);
    assert_true(slice_to_u64(SLICE("9999999999999999999"), &value));
    assert_true(value == 9999999999999999999ull);
}

static void anything_else_is_not_and_leaves_the_value_alone(void **state)
{
    (void)state;
    const char *refused[] = {"",
                             "-1",
                             "+1",
                             " 1",
                             "1 ",
                             "1.",
                             "0x1",
                             "1e3",
                             "/",
                             ":",
                             "a",
                             "00000000000000000000",
                             "18446744073709551615"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        unsigned long long value = 42;
        assert_false(slice_to_u64(slice_of_string(refused[i]), &value));
        assert_int_equal(value, 42);
    }
    unsigned long long value = 42;
    assert_false(slice_to_u64(SLICE_EMPTY, &value));
    assert_false(slice_to_u64(SLICE("1\0"), &value));
    assert_int_equal(value, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_equal_when_their_bytes_are),
        cmocka_unit_test(only_ascii_letters_compare_without_case),
        cmocka_unit_test(one_to_nineteen_digits_are_a_number),
        cmocka_unit_test(anything_else_is_not_and_leaves_the_value_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
