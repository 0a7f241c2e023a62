#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/flags.h"

struct read {
    bool live;
    const char *ca;
    struct flag_texts headers;
    uint64_t since;
    uint64_t timeout_ms;
    uint64_t format;
    const char *arguments[3];
    struct sluice_error error;
};

/* Reads words that are separated by single spaces. */
static enum sluice_status read(const char *text, struct read *out)
{
    static char copy[512];
    char *words[64];
    int count = 0;
    *out = (struct read){0};
    memcpy(copy, text, strlen(text) + 1);
    for (char *at = copy; *at != '\0';) {
        size_t bytes = strcspn(at, " ");
        bool is_last = at[bytes] == '\0';
        words[count++] = at;
        at[bytes] = '\0';
        at += bytes + (is_last ? 0 : 1);
    }
    const struct flag own[] = {
        {"live", FLAG_SWITCH, &out->live, 0, NULL, NULL, ""},
        {"since", FLAG_COUNT, &out->since, 100, NULL, "N", ""},
    };
    const struct flag common[] = {
        {"ca", FLAG_TEXT, &out->ca, 0, NULL, "FILE", ""},
        {"header", FLAG_TEXTS, &out->headers, 0, NULL, "TEXT", ""},
        {"timeout", FLAG_DURATION, &out->timeout_ms, 60000, NULL, "TIME", ""},
        {"format", FLAG_CHOICE, &out->format, 0, "json table", "FORMAT", ""},
    };
    const struct flags flags = {.tables = {own, common},
                                .counts = {2, 4},
                                .arguments = out->arguments,
                                .argument_min = 1,
                                .argument_max = 3};
    return flags_read(&flags, count, words, &out->error);
}

static void flags_and_arguments_may_be_mixed(void **state)
{
    (void)state;
    struct read got;
    assert_int_equal(read("url --live --since 7 store --format=table --timeout 5s - --ca x", &got),
                     SLUICE_OK);
    assert_string_equal(got.arguments[0], "url");
    assert_string_equal(got.arguments[1], "store");
    assert_string_equal(got.arguments[2], "-");
    assert_true(got.live);
    assert_int_equal(got.since, 7);
    assert_int_equal(got.format, 1);
    assert_int_equal(got.timeout_ms, 5000);
    assert_string_equal(got.ca, "x");
}

static void after_two_dashes_everything_is_an_argument(void **state)
{
    (void)state;
    struct read got;
    assert_int_equal(read("url -- --live", &got), SLUICE_OK);
    assert_string_equal(got.arguments[1], "--live");
    assert_false(got.live);
}

static void a_flag_for_many_keeps_them_in_order_up_to_a_bound(void **state)
{
    (void)state;
    struct read got;
    char text[512] = "url";
    assert_int_equal(read("url --header a --header=b", &got), SLUICE_OK);
    assert_int_equal(got.headers.count, 2);
    assert_string_equal(got.headers.items[0], "a");
    assert_string_equal(got.headers.items[1], "b");
    for (size_t i = 0; i <= FLAG_TEXTS_MAX; i++) {
        memcpy(text + strlen(text), " --header=x", sizeof(" --header=x"));
    }
    assert_int_equal(read(text, &got), SLUICE_CONFIG);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } WRONG[] = {
        {"--live", "needs 1 arguments, not 0"},
        {"a b c d", "'d' is one argument too many"},
        {"url --nothing", "there is no flag --nothing"},
        {"url --live=yes", "--live takes no value"},
        {"url --since", "--since needs a value: a number"},
        {"url --since x", "--since is 'x'; it takes a number, up to 100"},
        {"url --since 101", "--since is '101'; it takes a number, up to 100"},
        {"url --since -1", "--since is '-1'"},
        {"url --timeout 0", "--timeout is '0'; it takes a duration"},
        {"url --timeout 2m", "up to 60000 ms"},
        {"url --format xml", "--format is 'xml'; it takes one of: json table"},
        {"url --ca=", "--ca is empty"},
    };
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        struct read got;
        assert_int_equal(read(WRONG[i].text, &got), SLUICE_CONFIG);
        if (strstr(got.error.message, WRONG[i].why) == NULL) {
            assert_string_equal(got.error.message, WRONG[i].why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_arguments_may_be_mixed),
        cmocka_unit_test(after_two_dashes_everything_is_an_argument),
        cmocka_unit_test(a_flag_for_many_keeps_them_in_order_up_to_a_bound),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
