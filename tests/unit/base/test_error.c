#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "aborts.h"

static void every_status_has_a_name_a_text_and_an_http_status(void **state)
{
    (void)state;
    for (int i = 0; i < SLUICE_STATUS_COUNT; i++) {
        enum sluice_status status = (enum sluice_status)i;
        assert_true(strlen(sluice_status_name(status)) > 0);
        assert_true(strlen(sluice_status_text(status)) > 0);
        assert_true(sluice_status_http(status) >= 200 && sluice_status_http(status) < 600);
        assert_int_equal(strlen(sluice_status_wire_tag(status)) == 0, status == SLUICE_OK);
    }
    assert_string_equal(sluice_status_name(SLUICE_SERVER_AHEAD), "SERVER_AHEAD");
    assert_string_equal(sluice_status_wire_tag(SLUICE_SERVER_AHEAD), "ServerAheadError");
    assert_int_equal(sluice_status_http(SLUICE_OK), 200);
}

static void a_failure_is_one_statement(void **state)
{
    (void)state;
    struct sluice_error error;
    assert_int_equal(error_set(&error, SLUICE_INVALID, "batch[%d].name is empty", 3),
                     SLUICE_INVALID);
    assert_int_equal(error.status, SLUICE_INVALID);
    assert_string_equal(error.message, "batch[3].name is empty");
}

static void the_error_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, SLUICE_LIMIT, "%d", 1), SLUICE_LIMIT);
}

static void a_message_can_be_made_from_the_message_before(void **state)
{
    (void)state;
    struct sluice_error error;
    (void)error_set(&error, SLUICE_MALFORMED, "no value");
    (void)error_set(&error, SLUICE_MALFORMED, "message: %s", error.message);
    assert_string_equal(error.message, "message: no value");
}

static void bytes_that_are_not_utf8_become_question_marks(void **state)
{
    (void)state;
    struct sluice_error error;
    (void)error_set(&error, SLUICE_INVALID, "%.*s.", SLICE_PRINT(SLICE("a\xFF\xC3\xA9\xE2\x82")));
    assert_string_equal(error.message, "a?\xC3\xA9??.");
    (void)error_set(&error, SLUICE_INVALID, "cut at the end: %s", "\xE2\x82");
    assert_string_equal(error.message, "cut at the end: ??");
}

static void a_long_message_is_cut_at_the_edge_of_a_character(void **state)
{
    (void)state;
    for (int offset = 0; offset < 8; offset++) {
        char text[2000];
        size_t used = (size_t)offset;
        memset(text, 'x', used);
        while (used + 4 < sizeof text) {
            memcpy(text + used, "\xF0\x9F\x98\x80", 4);
            used += 4;
        }
        text[used] = '\0';
        struct sluice_error error;
        (void)error_set(&error, SLUICE_INVALID, "%s", text);
        size_t bytes = strlen(error.message);
        assert_true(bytes > sizeof error.message - 5);
        assert_true(bytes < sizeof error.message);
        assert_true(utf8_valid(slice_of_string(error.message)));
        assert_memory_equal(error.message, text, bytes);
        assert_null(strchr(error.message, '?'));
    }
}

static void a_message_that_just_fits_is_whole(void **state)
{
    (void)state;
    char text[400];
    struct sluice_error error;
    memset(text, 'x', sizeof text);
    text[sizeof error.message - 1] = '\0';
    (void)error_set(&error, SLUICE_INVALID, "%s", text);
    assert_string_equal(error.message, text);
}

static void success_is_not_an_error(void **state)
{
    (void)state;
    struct sluice_error error;
    ASSERT_ABORTS((void)error_set(&error, SLUICE_OK, "x"));
    ASSERT_ABORTS((void)sluice_status_name(SLUICE_STATUS_COUNT));
}

static void a_failed_assertion_says_where_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        SLUICE_ASSERT(2 + 2 == 5);
        _exit(0);
    }
    close(ends[1]);
    char text[600] = "";
    ssize_t bytes = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    assert_true(bytes > 0);
    assert_non_null(strstr(text, "2 + 2 == 5"));
    assert_non_null(strstr(text, "test_error.c"));
}

/* Peers' words are quoted in messages, and people read these in terminals. */
static void control_characters_become_question_marks(void **state)
{
    (void)state;
    struct sluice_error error;
    (void)error_set(&error, SLUICE_UNKNOWN, "it said: \x1b[2J\r\nok\x7f \xc2\x9b%s", "\t\xc3\xa9");
    assert_string_equal(error.message, "it said: ?[2J??ok? ??\xc3\xa9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_a_text_and_an_http_status),
        cmocka_unit_test(a_failure_is_one_statement),
        cmocka_unit_test(the_error_may_be_null),
        cmocka_unit_test(a_message_can_be_made_from_the_message_before),
        cmocka_unit_test(bytes_that_are_not_utf8_become_question_marks),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(a_long_message_is_cut_at_the_edge_of_a_character),
        cmocka_unit_test(a_message_that_just_fits_is_whole),
        cmocka_unit_test(success_is_not_an_error),
        cmocka_unit_test(a_failed_assertion_says_where_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
