#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/limits.h"
#include "proto/fields.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

/* A reader before the one value of a text, which is valid, as every text that fields are read from
 * is. */
static struct json_reader reader_of(const char *text)
{
    struct json_reader reader;
    assert_int_equal(json_validate(slice_of_string(text), NULL), SLUICE_OK);
    json_reader_init(&reader, slice_of_string(text));
    return reader;
}

static void assert_text(struct slice got, const char *expected)
{
    if (!slice_equal(got, slice_of_string(expected))) {
        fail_msg("got '%.*s', expected '%s'", SLICE_PRINT(got), expected);
    }
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void a_missing_field_is_named(void **state)
{
    (void)state;
    struct sluice_error error = {0};
    assert_int_equal(field_missing(&error, "storeId"), SLUICE_INVALID);
    assert_string_equal(error.message, "storeId is missing");
    assert_int_equal(field_missing(NULL, "storeId"), SLUICE_INVALID);
}

static void a_string_is_decoded_and_borrowed_when_it_has_no_escapes(void **state)
{
    (void)state;
    static const char PLAIN[] = "\"caf\xc3\xa9\"";
    struct json_reader reader = reader_of(PLAIN);
    struct slice out;
    assert_int_equal(field_string(&reader, "f", &arena, &out, NULL), SLUICE_OK);
    assert_text(out, "caf\xc3\xa9");
    assert_ptr_equal(out.data, PLAIN + 1);
    assert_int_equal(arena.bytes, 0);

    reader = reader_of("\"a\\u0062\\n\\ud83d\\ude00\"");
    assert_int_equal(field_string(&reader, "f", &arena, &out, NULL), SLUICE_OK);
    assert_text(out, "ab\n\xf0\x9f\x98\x80");
}

static void an_empty_string_is_not_a_missing_one(void **state)
{
    (void)state;
    struct json_reader reader = reader_of("\"\"");
    struct slice out = SLICE_EMPTY;
    assert_int_equal(field_string(&reader, "f", &arena, &out, NULL), SLUICE_OK);
    assert_non_null(out.data);
    assert_int_equal(out.bytes, 0);
}

static void what_is_no_string_is_refused_with_the_fields_name(void **state)
{
    (void)state;
    static const char *const OTHERS[] = {"1", "null", "true", "[]", "{}", "[\"a\"]"};
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        struct json_reader reader = reader_of(OTHERS[i]);
        struct sluice_error error = {0};
        struct slice out = SLICE("untouched");
        assert_int_equal(field_string(&reader, "storeId", &arena, &out, &error), SLUICE_INVALID);
        assert_string_equal(error.message, "storeId must be a string");
        assert_text(out, "untouched");
    }
}

static void a_lone_surrogate_escape_is_refused(void **state)
{
    (void)state;
    static const char *const LONE[] = {"\"\\ud800\"", "\"a\\udc00b\"", "\"\\ud800\\ud800\""};
    for (size_t i = 0; i < COUNT(LONE); i++) {
        struct json_reader reader = reader_of(LONE[i]);
        struct sluice_error error = {0};
        struct slice out;
        assert_int_equal(field_string(&reader, "name", &arena, &out, &error), SLUICE_INVALID);
        assert_string_equal(error.message, "name contains a lone surrogate escape, which has no "
                                           "UTF-8 form");
    }
}

static void a_string_that_does_not_fit_the_arena_says_so(void **state)
{
    (void)state;
    struct arena none;
    arena_init(&none, 1);
    struct json_reader reader = reader_of("\"a\\nb\"");
    struct sluice_error error = {0};
    struct slice out;
    assert_int_equal(field_string(&reader, "storeId", &none, &out, &error), SLUICE_NO_MEMORY);
    assert_string_equal(error.message, "out of memory for storeId");
    arena_deinit(&none);
}

static void a_number_reaches_to_2_53_minus_1(void **state)
{
    (void)state;
    struct json_reader reader = reader_of("[0,9007199254740991,9007199254740992]");
    uint64_t number = 1;
    assert_true(json_enter_array(&reader) && json_next_item(&reader));
    assert_int_equal(field_u53(&reader, "n", &number, NULL), SLUICE_OK);
    assert_int_equal(number, 0);
    assert_true(json_next_item(&reader));
    assert_int_equal(field_u53(&reader, "n", &number, NULL), SLUICE_OK);
    assert_int_equal(number, SEQ_NUM_MAX);
    assert_true(json_next_item(&reader));
    assert_int_equal(field_u53(&reader, "n", &number, NULL), SLUICE_INVALID);
    assert_int_equal(number, SEQ_NUM_MAX);
}

static void what_is_not_written_as_digits_is_no_number(void **state)
{
    (void)state;
    static const char *const OTHERS[] = {"-1",  "1.0",  "1e3", "-0", "\"1\"",
                                         "1E0", "null", "[1]", "{}", "18446744073709551616"};
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        struct json_reader reader = reader_of(OTHERS[i]);
        struct sluice_error error = {0};
        uint64_t number = 7;
        assert_int_equal(field_u53(&reader, "s2SeqNum", &number, &error), SLUICE_INVALID);
        assert_string_equal(error.message,
                            "s2SeqNum must be an integer from 0 to 2^53-1, written as digits");
        assert_int_equal(number, 7);
    }
}

static void only_true_and_false_are_booleans(void **state)
{
    (void)state;
    bool value = false;
    struct json_reader reader = reader_of("true");
    assert_int_equal(field_bool(&reader, "live", &value, NULL), SLUICE_OK);
    assert_true(value);
    reader = reader_of("false");
    assert_int_equal(field_bool(&reader, "live", &value, NULL), SLUICE_OK);
    assert_false(value);
    static const char *const OTHERS[] = {"0", "1", "null", "\"true\"", "[]", "{}"};
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        struct sluice_error error = {0};
        reader = reader_of(OTHERS[i]);
        assert_int_equal(field_bool(&reader, "live", &value, &error), SLUICE_INVALID);
        assert_string_equal(error.message, "live must be true or false");
        assert_false(value);
    }
}

static void an_option_is_none_or_the_text_of_its_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *value; /* NULL: None */
    } OPTIONS[] = {
        {"{\"_tag\":\"None\"}", NULL},
        {"{\"_id\":\"Option\",\"_tag\":\"None\"}", NULL},
        {"{\"_tag\":\"None\",\"value\":1}", NULL},
        {"{\"_tag\":\"Some\",\"value\":{\"a\" : 1}}", "{\"a\" : 1}"},
        {"{\"value\":null,\"_tag\":\"Some\"}", "null"},
        {"{\"_id\":\"Option\",\"\\u005ftag\":\"So\\u006de\",\"value\":\"\"}", "\"\""},
    };
    for (size_t i = 0; i < COUNT(OPTIONS); i++) {
        struct json_reader reader = reader_of(OPTIONS[i].text);
        struct slice value = SLICE("untouched");
        assert_int_equal(field_option(&reader, "cursor", &value, NULL), SLUICE_OK);
        if (OPTIONS[i].value == NULL) {
            assert_null(value.data);
        } else {
            assert_text(value, OPTIONS[i].value);
        }
    }
}

static void what_is_no_option_is_refused(void **state)
{
    (void)state;
    static const char *const OTHERS[] = {"null",
                                         "1",
                                         "[]",
                                         "{}",
                                         "\"None\"",
                                         "{\"_tag\":\"Some\"}",
                                         "{\"_tag\":\"none\"}",
                                         "{\"_tag\":null}",
                                         "{\"_tag\":[\"Some\"],\"value\":1}",
                                         "{\"value\":1}"};
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        struct json_reader reader = reader_of(OTHERS[i]);
        struct sluice_error error = {0};
        struct slice value = SLICE("untouched");
        assert_int_equal(field_option(&reader, "handle", &value, &error), SLUICE_INVALID);
        assert_string_equal(
            error.message, "handle must be {\"_tag\":\"None\"} or {\"_tag\":\"Some\",\"value\":…}");
        assert_text(value, "untouched");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_field_is_named),
        TEST(a_string_is_decoded_and_borrowed_when_it_has_no_escapes),
        TEST(an_empty_string_is_not_a_missing_one),
        TEST(what_is_no_string_is_refused_with_the_fields_name),
        TEST(a_lone_surrogate_escape_is_refused),
        TEST(a_string_that_does_not_fit_the_arena_says_so),
        TEST(a_number_reaches_to_2_53_minus_1),
        TEST(what_is_not_written_as_digits_is_no_number),
        TEST(only_true_and_false_are_booleans),
        TEST(an_option_is_none_or_the_text_of_its_value),
        TEST(what_is_no_option_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
