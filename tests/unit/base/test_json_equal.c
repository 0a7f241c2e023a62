#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "failing_alloc.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct texts {
    const char *a;
    const char *b;
};

static bool equal(struct slice a, struct slice b)
{
    bool result = false;
    assert_int_equal(json_equal(a, b, &result), SLUICE_OK);
    return result;
}

/* Checks both directions, and each pair again deep inside another value. */
static void assert_table(const struct texts *table, size_t count, bool expected)
{
    for (size_t i = 0; i < count; i++) {
        struct slice a = slice_of_string(table[i].a);
        struct slice b = slice_of_string(table[i].b);
        if (equal(a, b) != expected || equal(b, a) != expected) {
            fail_msg("%s and %s", table[i].a, table[i].b);
        }
        struct buffer inside_a, inside_b;
        buffer_init(&inside_a, 100000);
        buffer_init(&inside_b, 100000);
        buffer_append_format(&inside_a, "[0,{\"x\":[],\"k\":%s,\"z\":{}}]", table[i].a);
        buffer_append_format(&inside_b, " [0,{\"z\":{},\"k\":%s,\"x\":[]}]", table[i].b);
        if (equal(buffer_slice(&inside_a), buffer_slice(&inside_b)) != expected) {
            fail_msg("inside: %s and %s", table[i].a, table[i].b);
        }
        buffer_deinit(&inside_a);
        buffer_deinit(&inside_b);
    }
}

static void space_and_the_order_of_keys_do_not_matter(void **state)
{
    (void)state;
    static const struct texts table[] = {
        {"{}", "{ }"},
        {"[]", "[\n]"},
        {"null", " null\t"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"},
        {"{\"a\":{\"c\":[1,2],\"d\":{}},\"b\":2}", "{\"b\":2, \"a\":{\"d\":{},\"c\":[1, 2]}}"},
        {"[[1],[2,[3]],{}]", "[ [1], [2,[3] ],{ } ]"},
        {"{\"\":1,\"a\":2}", "{\"a\":2,\"\":1}"},
        {"[{\"a\":1,\"b\":2},{\"a\":1,\"b\":2}]", "[{\"b\":2,\"a\":1},{\"a\":1,\"b\":2}]"},
        {"{\"aa\":0,\"a\":0,\"b\":0}", "{\"b\":0,\"aa\":0,\"a\":0}"},
    };
    assert_table(table, COUNT(table), true);
}

static void values_that_differ_are_different(void **state)
{
    (void)state;
    static const struct texts table[] = {
        {"null", "false"},
        {"true", "false"},
        {"0", "false"},
        {"0", "\"0\""},
        {"[]", "{}"},
        {"\"\"", "null"},
        {"[1,2]", "[2,1]"},
        {"[1]", "[1,1]"},
        {"[1,[2]]", "[[1],2]"},
        {"[[],1]", "[1,[]]"},
        {"{\"a\":1}", "{\"a\":2}"},
        {"{\"a\":1}", "{\"b\":1}"},
        {"{\"a\":1}", "{\"A\":1}"},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}"},
        {"{\"a\":1,\"c\":1}", "{\"a\":1,\"b\":1}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}"},
        {"{\"a\":null}", "{}"},
        {"{\"a\":[]}", "{\"a\":{}}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}"},
        {"[\"a\",\"b\"]", "[\"ab\"]"},
        {"\"a\"", "\"b\""},
        {"\"a\"", "\"a \""},
    };
    assert_table(table, COUNT(table), false);
}

static void numbers_are_equal_by_their_exact_decimal_value(void **state)
{
    (void)state;
    static const struct texts same[] = {
        {"1", "1.0"},
        {"1", "1e0"},
        {"10", "1E+0000001"},
        {"1", "10e-1"},
        {"1", "0.1e1"},
        {"1", "0.0001e4"},
        {"0", "-0"},
        {"0", "0.000e999999999999999999999999"},
        {"-0.0", "0e-5"},
        {"100", "1e2"},
        {"100.00", "1E2"},
        {"-1.5", "-15e-1"},
        {"123.456", "123456e-3"},
        {"123.456", "0.000123456e+6"},
        {"1e400", "10e399"},
        {"1e-400", "0.1e-399"},
        {"1e99999999999999999999", "10e99999999999999999998"},
        {"1e100000000000000000000", "10e99999999999999999999"},
        {"0.1e-99999999999999999999", "1e-100000000000000000000"},
        {"1e00000000000000000000000000000000000001", "10"},
        {"1e-0", "1e+0"},
        {"9007199254740993", "9007199254740993.0"},
        {"120.50", "1.205e2"},
        {"1001", "1.001e3"},
        {"0.5", "5e-1"},
    };
    assert_table(same, COUNT(same), true);
}

static void numbers_that_a_double_would_confuse_are_different(void **state)
{
    (void)state;
    static const struct texts table[] = {
        {"9007199254740993", "9007199254740992"},
        {"1e400", "1e401"},
        {"1e400", "2e400"},
        {"1e-400", "0"},
        {"1e-400", "1e-401"},
        {"0.1", "0.10000000000000000001"},
        {"1", "-1"},
        {"1", "10"},
        {"1", "0.1"},
        {"12", "21"},
        {"12", "123"},
        {"1e5", "1e-5"},
        {"1e99999999999999999999", "1e99999999999999999998"},
        {"1e99999999999999999999", "1e-99999999999999999999"},
        {"1e18446744073709551616", "1"},
        {"1e18446744073709551617", "10"},
        {"1e4294967296", "1"},
        {"1e340282366920938463463374607431768211456", "1"},
        {"101", "11"},
        {"1.01", "1.1"},
        {"1.10", "11.0"},
        {"0", "0.0000001"},
    };
    assert_table(table, COUNT(table), false);
}

static void numbers_of_five_hundred_digits_are_compared_to_the_last(void **state)
{
    (void)state;
    char a[600], b[600];
    memset(a, '7', 500);
    memset(b, '7', 500);
    a[500] = '\0';
    (void)snprintf(b + 500, 20, "0e-1");
    assert_true(equal(slice_of_string(a), slice_of_string(b)));
    memmove(b + 251, b + 250, 255); /* a point in the middle */
    b[250] = '.';
    assert_false(equal(slice_of_string(a), slice_of_string(b)));
    (void)snprintf(b + 501, 20, "e250");
    assert_true(equal(slice_of_string(a), slice_of_string(b)));
    a[499] = '8';
    assert_false(equal(slice_of_string(a), slice_of_string(b)));
    a[499] = '7';
    a[0] = '8';
    assert_false(equal(slice_of_string(a), slice_of_string(b)));
}

static void strings_are_equal_by_their_decoded_units(void **state)
{
    (void)state;
    static const struct texts same[] = {
        {"\"a\"", "\"\\u0061\""},
        {"\"\\/\"", "\"/\""},
        {"\"\\n\\t\\r\\b\\f\\\"\\\\\"", "\"\\u000a\\u0009\\u000D\\u0008\\u000C\\u0022\\u005c\""},
        {"\"\xC3\xA9\"", "\"\\u00e9\""},
        {"\"\xE2\x82\xAC\"", "\"\\u20AC\""},
        {"\"\xF0\x9F\x98\x80\"", "\"\\ud83d\\ude00\""},
        {"\"\\ud83d\"", "\"\\uD83D\""},
        {"\"\\u0000\"", "\"\\u0000\""},
        {"\"x\\ud83dy\"", "\"\\u0078\\ud83d\\u0079\""},
        {"{\"a\":1,\"\\u0062\":2}", "{\"b\":2,\"\\u0061\":1}"},
        {"{\"\\ud800\":1,\"\\udc00\":2}", "{\"\\uDC00\":2,\"\\uD800\":1}"},
    };
    assert_table(same, COUNT(same), true);
    static const struct texts different[] = {
        {"\"\\u0000\"", "\"\""},
        {"\"\\ud83d\"", "\"\\ud83e\""},
        {"\"\\ud83d\"", "\"\xEF\xBF\xBD\""},
        {"\"\\ude00\\ud83d\"", "\"\xF0\x9F\x98\x80\""},
        {"\"\\ud83dx\\ude00\"", "\"\xF0\x9F\x98\x80\""},
        {"\"\\\\u0061\"", "\"a\""},
        {"\"a\"", "\"\\u0061\\u0000\""},
        {"\"\xC3\xA9\"", "\"e\xCC\x81\""}, /* equal to a reader, not as units */
        {"{\"\\u0061\":1}", "{\"b\":1}"},
    };
    assert_table(different, COUNT(different), false);
}

static void an_invalid_text_equals_nothing_not_even_itself(void **state)
{
    (void)state;
    static const char *const invalid[] = {"",    "{",   "[1,]", "01", "{\"a\":1,\"a\":1}",
                                          "1 2", "\xFF"};
    for (size_t i = 0; i < COUNT(invalid); i++) {
        struct slice text = slice_of_string(invalid[i]);
        assert_false(equal(text, text));
        assert_false(equal(text, SLICE("1")));
        assert_false(equal(SLICE("1"), text));
    }
    assert_false(equal(SLICE_EMPTY, SLICE_EMPTY));
}

/* An object of `count` keys, forwards or backwards. */
static void append_object(struct buffer *buffer, int count, bool backwards)
{
    for (int i = 0; i < count; i++) {
        int number = backwards ? count - 1 - i : i;
        buffer_append_format(buffer, "%c\"key%d\":%d", i == 0 ? '{' : ',', number * 7, number);
    }
    buffer_append_byte(buffer, '}');
}

static void a_hundred_thousand_keys_in_another_order_are_compared_quickly(void **state)
{
    (void)state;
    struct buffer a, b;
    buffer_init(&a, 10u << 20);
    buffer_init(&b, 10u << 20);
    append_object(&a, 100000, false);
    append_object(&b, 100000, true);
    assert_true(equal(buffer_slice(&a), buffer_slice(&b)));
    char *digit = strstr(b.data, "\"key350000\":50000") + strlen("\"key350000\":");
    *digit = '6';
    assert_false(equal(buffer_slice(&a), buffer_slice(&b)));
    buffer_deinit(&a);
    buffer_deinit(&b);
}

static void nesting_up_to_the_limit_is_compared_and_deeper_is_invalid(void **state)
{
    (void)state;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        struct buffer a, b;
        buffer_init(&a, 10000);
        buffer_init(&b, 10000);
        for (size_t i = 0; i < depth; i++) {
            buffer_append_literal(&a, "{\"x\":1,\"y\":");
            buffer_append_literal(&b, "{\"y\":");
        }
        buffer_append_byte(&a, '2');
        buffer_append_byte(&b, '2');
        for (size_t i = 0; i < depth; i++) {
            buffer_append_literal(&a, "}");
            buffer_append_literal(&b, ",\"x\":1}");
        }
        assert_int_equal(equal(buffer_slice(&a), buffer_slice(&b)), depth == JSON_DEPTH_MAX);
        buffer_deinit(&a);
        buffer_deinit(&b);
    }
}

static void without_memory_the_answer_is_left_alone(void **state)
{
    (void)state;
    struct buffer a, b;
    buffer_init(&a, 1u << 20);
    buffer_init(&b, 1u << 20);
    append_object(&a, 300, false);
    append_object(&b, 300, true);
    enum sluice_status status = SLUICE_NO_MEMORY;
    unsigned failures = 0;
    for (unsigned successes = 0; status != SLUICE_OK; successes++) {
        bool result = true;
        failing_alloc_arm(successes);
        status = json_equal(buffer_slice(&a), buffer_slice(&b), &result);
        failing_alloc_disarm();
        assert_true(result);
        if (status != SLUICE_OK) {
            assert_int_equal(status, SLUICE_NO_MEMORY);
            failures++;
        }
    }
    assert_true(failures >= 10);
    buffer_deinit(&a);
    buffer_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(space_and_the_order_of_keys_do_not_matter),
        cmocka_unit_test(values_that_differ_are_different),
        cmocka_unit_test(numbers_are_equal_by_their_exact_decimal_value),
        cmocka_unit_test(numbers_that_a_double_would_confuse_are_different),
        cmocka_unit_test(numbers_of_five_hundred_digits_are_compared_to_the_last),
        cmocka_unit_test(strings_are_equal_by_their_decoded_units),
        cmocka_unit_test(an_invalid_text_equals_nothing_not_even_itself),
        cmocka_unit_test(a_hundred_thousand_keys_in_another_order_are_compared_quickly),
        cmocka_unit_test(nesting_up_to_the_limit_is_compared_and_deeper_is_invalid),
        cmocka_unit_test(without_memory_the_answer_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
