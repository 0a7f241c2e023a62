#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "endpoint/json_parameter.h"

struct parameter_case {
    const char *encoded;
    const char *json; /* NULL: refused */
};

static void json_may_be_encoded_once_or_twice(void **state)
{
    (void)state;
    static const struct parameter_case cases[] = {
        {"%7B%22a%22%3A1%7D", "{\"a\":1}"},
        {"%257B%2522a%2522%253A1%257D", "{\"a\":1}"},
        {"{\"a\":1}", "{\"a\":1}"}, /* not at all */
        {"null", "null"},
        {"%22plain%2541%20string%22",
         "\"plain%41 string\""}, /* JSON after the first step: it stays */
        {"%22a+b%22", "\"a b\""},
        {"%2522a%252Bb%2522", "\"a+b\""},
        {"%22%C3%BC%22", "\"\xc3\xbc\""},
        {"%2522%25C3%25BC%2522", "\"\xc3\xbc\""},
        {"", NULL},
        {"%", NULL},
        {"%7B%22a%22", NULL},
        {"%25257B%25257D", NULL}, /* three times */
        {"tok", NULL},
        {"%257B%2522a", NULL},
        {"%22%FF%22", NULL},
        {"%7Ba%7D", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        struct slice json = SLICE("before");
        arena_init(&arena, 4096);
        enum sluice_status status =
            json_parameter_decode(slice_of_string(cases[i].encoded), &arena, &json);
        if (status != (cases[i].json != NULL ? SLUICE_OK : SLUICE_MALFORMED)) {
            fail_msg("%s: %s", cases[i].encoded, sluice_status_name(status));
        }
        const char *expected = cases[i].json != NULL ? cases[i].json : "before";
        assert_true(slice_equal(json, slice_of_string(expected)));
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_may_be_encoded_once_or_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
