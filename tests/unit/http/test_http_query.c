#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/http_query.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_slice(const char *what, struct slice actual, struct slice expected)
{
    if (!slice_equal(actual, expected)) {
        fail_msg("%s: got \"%.*s\", expected \"%.*s\"", what, SLICE_PRINT(actual),
                 SLICE_PRINT(expected));
    }
}

/* The same text in a block of its own size, so that the address sanitizer sees a read past it. */
static struct slice exact_copy(const char *text)
{
    size_t bytes = strlen(text);
    char *block = malloc(bytes + (bytes == 0));
    assert_non_null(block);
    memcpy(block, text, bytes);
    return slice_make(block, bytes);
}

static void free_copy(struct slice copy)
{
    free((void *)(uintptr_t)copy.data);
}

static void a_target_is_split_into_path_and_query(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/", "/", ""},
        {"/a/b", "/a/b", ""},
        {"/a?b=1&c", "/a", "b=1&c"},
        {"/a?", "/a", ""},
        {"/?a?b", "/", "a?b"},
        {"/a:b//c", "/a:b//c", ""},
        {"//host/a", "//host/a", ""},
        {"http://h", "/", ""},
        {"http://h/", "/", ""},
        {"http://h/a?b", "/a", "b"},
        {"http://h?b", "/", "b"},
        {"http://h?b/c", "/", "b/c"},
        {"wss://u@[::1]:80/a", "/a", ""},
        {"a+b-c.9://h/x", "/x", ""},
        {"*", "*", ""},
    };
    for (size_t row = 0; row < COUNT(rows); row++) {
        struct slice path, query;
        struct sluice_error error;
        assert_int_equal(
            http_target_split(slice_of_string(rows[row].target), &path, &query, &error), SLUICE_OK);
        assert_slice(rows[row].target, path, slice_of_string(rows[row].path));
        assert_slice(rows[row].target, query, slice_of_string(rows[row].query));
    }
}

static void a_target_of_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "",       "a",       "h:80",      "h:80/a",     "/a#b",   "http://h/#", "http:/a",
        "http:/", "http://", "http:///a", "http://?a",  "://h/a", "1a://h",     "a b://h",
        "**",     "?a=b",    "#",         "http//h:80", "http:",
    };
    for (size_t row = 0; row < COUNT(targets); row++) {
        struct slice path = SLICE("p"), query = SLICE("q");
        struct sluice_error error;
        struct slice target = exact_copy(targets[row]);
        if (http_target_split(target, &path, &query, &error) != SLUICE_MALFORMED) {
            fail_msg("\"%s\" was accepted", targets[row]);
        }
        free_copy(target);
        assert_slice("untouched", path, SLICE("p"));
        assert_slice("untouched", query, SLICE("q"));
        assert_int_equal(error.status, SLUICE_MALFORMED);
    }
}

static void the_first_parameter_of_a_name_is_found_and_how_many_there_are(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        unsigned count;    /* of parameters named "key" */
        const char *value; /* of the first */
    } rows[] = {
        {"key=1", 1, "1"},         {"a=0&key=1", 1, "1"}, {"key=1&key=2", 2, "1"},
        {"key=1=2", 1, "1=2"},     {"key=", 1, ""},       {"key", 1, ""},
        {"a&key&b", 1, ""},        {"", 0, NULL},         {"&&key=%20+", 1, "%20+"},
        {"a=key&key=2", 1, "2"},   {"&", 0, NULL},        {"=key", 0, NULL},
        {"keys=1", 0, NULL},       {"ke=1", 0, NULL},     {"KEY=1", 0, NULL},
        {"akey=1", 0, NULL},       {"k%65y=1", 1, "1"},   {"%6b%65%79=1&key=2", 2, "1"},
        {"key=1&k%65y&%", 2, "1"}, {"ke%79", 1, ""},      {"ke%7", 0, NULL},
        {"ke%", 0, NULL},          {"key%00=1", 0, NULL}, {"%2", 0, NULL},
        {"k%6", 0, NULL},          {"k%6zy=1", 0, NULL},
    };
    for (size_t row = 0; row < COUNT(rows); row++) {
        struct slice value = SLICE("untouched");
        struct slice query = exact_copy(rows[row].query);
        assert_int_equal(http_query_find(query, "key", &value), rows[row].count);
        assert_slice(rows[row].query, value,
                     slice_of_string(rows[row].count > 0 ? rows[row].value : "untouched"));
        free_copy(query);
    }
}

static void escapes_are_decoded_to_any_bytes(void **state)
{
    (void)state;
    static const struct {
        struct slice encoded, plain, form; /* form: with '+' as a space */
    } rows[] = {
        {SLICE(""), SLICE(""), SLICE("")},
        {SLICE("abc"), SLICE("abc"), SLICE("abc")},
        {SLICE("a+b"), SLICE("a+b"), SLICE("a b")},
        {SLICE("a%2Bb"), SLICE("a+b"), SLICE("a+b")},
        {SLICE("%41%5a%5A+"), SLICE("AZZ+"), SLICE("AZZ ")},
        {SLICE("%00"), SLICE("\0"), SLICE("\0")},
        {SLICE("%C3%a9%FF"), SLICE("\xC3\xA9\xFF"), SLICE("\xC3\xA9\xFF")},
        {SLICE("%2541"), SLICE("%41"), SLICE("%41")},
    };
    struct arena arena;
    arena_init(&arena, 4096);
    for (size_t row = 0; row < COUNT(rows); row++) {
        struct slice out;
        assert_int_equal(http_percent_decode(rows[row].encoded, false, &arena, &out, NULL),
                         SLUICE_OK);
        assert_slice("plain", out, rows[row].plain);
        assert_int_equal(http_percent_decode(rows[row].encoded, true, &arena, &out, NULL),
                         SLUICE_OK);
        assert_slice("form", out, rows[row].form);
    }
    arena_deinit(&arena);
}

static void what_has_no_escapes_is_borrowed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct slice encoded = SLICE("a+b"), out;
    assert_int_equal(http_percent_decode(encoded, false, &arena, &out, NULL), SLUICE_OK);
    assert_ptr_equal(out.data, encoded.data);
    assert_int_equal(arena.bytes, 0);
    arena_deinit(&arena);
}

static void a_bad_escape_is_refused(void **state)
{
    (void)state;
    static const char *const encoded[] = {"%",   "a%",   "%4",   "a%4", "%g1",
                                          "%1g", "%%41", "% 41", "%-1"};
    struct arena arena;
    arena_init(&arena, 4096);
    for (size_t row = 0; row < COUNT(encoded); row++) {
        struct slice out = SLICE("untouched");
        struct sluice_error error;
        struct slice copy = exact_copy(encoded[row]);
        if (http_percent_decode(copy, true, &arena, &out, &error) != SLUICE_MALFORMED) {
            fail_msg("\"%s\" was accepted", encoded[row]);
        }
        free_copy(copy);
        assert_slice("untouched", out, SLICE("untouched"));
    }
    arena_deinit(&arena);
}

static void decoding_stays_within_the_arena(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1);
    struct slice out;
    assert_int_equal(http_percent_decode(SLICE("%41%41%41%41"), false, &arena, &out, NULL),
                     SLUICE_NO_MEMORY);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_split_into_path_and_query),
        cmocka_unit_test(a_target_of_another_form_is_refused),
        cmocka_unit_test(the_first_parameter_of_a_name_is_found_and_how_many_there_are),
        cmocka_unit_test(escapes_are_decoded_to_any_bytes),
        cmocka_unit_test(what_has_no_escapes_is_borrowed),
        cmocka_unit_test(a_bad_escape_is_refused),
        cmocka_unit_test(decoding_stays_within_the_arena),
    };
    return cmocka_run_group_tests_name("http_query", tests, NULL, NULL);
}
