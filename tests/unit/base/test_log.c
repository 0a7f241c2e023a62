#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/log.h"
#include "failing_alloc.h"

static FILE *captured;
static int real_stderr;
static char text[1u << 20];

static void capture_start(void)
{
    captured = tmpfile();
    assert_non_null(captured);
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(captured), STDERR_FILENO);
}

/* Gives standard error back; what was written is in `text`. */
static void capture_end(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(captured);
    text[fread(text, 1, sizeof text - 1, captured)] = '\0';
    fclose(captured);
}

static int settings_as_at_the_start(void **state)
{
    (void)state;
    log_configure(LOG_TEXT, LOG_INFO);
    return 0;
}

/* A line begins with a date of 24 bytes that has these fixed characters. */
static void assert_dated(const char *line)
{
    const char *form = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd') {
            assert_in_range(line[i], '0', '9');
        } else {
            assert_int_equal(line[i], form[i]);
        }
    }
}

static void assert_text_after_date(const char *expected)
{
    assert_dated(text);
    assert_string_equal(text + 24, expected);
}

static void a_text_line_has_time_level_message_and_fields(void **state)
{
    (void)state;
    capture_start();
    LOG(LOG_INFO, "listening", LOG_TEXT_FIELD("address", SLICE("127.0.0.1:80")),
        LOG_NUMBER_FIELD("count", -7), LOG_NUMBER_FIELD("least", INT64_MIN));
    capture_end();
    assert_text_after_date(
        " info listening address=127.0.0.1:80 count=-7 least=-9223372036854775808\n");
}

static void a_line_without_fields_is_the_message_alone(void **state)
{
    (void)state;
    capture_start();
    log_write(LOG_ERROR, "stopped", NULL, 0);
    capture_end();
    assert_text_after_date(" error stopped\n");
}

static void a_value_that_could_be_misread_is_quoted(void **state)
{
    (void)state;
    capture_start();
    LOG(LOG_WARN, "refused", LOG_TEXT_FIELD("a", SLICE("two words")),
        LOG_TEXT_FIELD("b", SLICE("")), LOG_TEXT_FIELD("c", SLICE("x=y")),
        LOG_TEXT_FIELD("d", SLICE("\"")), LOG_TEXT_FIELD("e", SLICE("\n\x1B[2J")),
        LOG_TEXT_FIELD("f", SLICE("\xC3\xA9")));
    capture_end();
    assert_text_after_date(" warn refused a=\"two words\" b=\"\" c=\"x=y\" d=\"\\\"\" "
                           "e=\"\\n\\u001b[2J\" f=\xC3\xA9\n");
}

static void bad_bytes_and_terminal_controls_become_replacement_characters(void **state)
{
    (void)state;
    capture_start();
    LOG(LOG_INFO, "x", LOG_TEXT_FIELD("a", SLICE("\xFF\x7F\xC2\x9B\xC2\xA0")));
    capture_end();
    assert_text_after_date(" info x a=\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xC2\xA0\n");
}

static void a_long_value_is_cut(void **state)
{
    (void)state;
    static char long_value[5000];
    memset(long_value, 'x', sizeof long_value);
    memcpy(long_value + 510, "\xE2\x82\xAC", 3); /* lies across the cut */
    capture_start();
    LOG(LOG_INFO, "x", LOG_TEXT_FIELD("a", slice_make(long_value, sizeof long_value)),
        LOG_TEXT_FIELD("b", slice_make(long_value, 510)));
    capture_end();
    const char *value = strstr(text, "a=") + 2;
    assert_memory_equal(value, long_value, 510);
    assert_memory_equal(value + 510, "\xE2\x80\xA6 b=", 6);
    assert_memory_equal(value + 516, long_value, 510);
    assert_string_equal(value + 516 + 510, "\n");
}

static void a_json_line_is_one_object_with_the_fields(void **state)
{
    (void)state;
    log_configure(LOG_JSON, LOG_DEBUG);
    capture_start();
    LOG(LOG_DEBUG, "a \"message\"", LOG_TEXT_FIELD("store", SLICE("a\n\xFF\"b")),
        LOG_NUMBER_FIELD("count", 42));
    capture_end();
    size_t bytes = strlen(text);
    assert_int_equal(text[bytes - 1], '\n');
    assert_null(memchr(text, '\n', bytes - 1));
    assert_int_equal(json_validate(slice_make(text, bytes), NULL), SLUICE_OK);
    assert_memory_equal(text, "{\"time\":\"", 9);
    assert_dated(text + 9);
    assert_string_equal(text + 9 + 24, "\",\"level\":\"debug\",\"message\":\"a \\\"message\\\"\","
                                       "\"store\":\"a\\n\xEF\xBF\xBD\\\"b\",\"count\":42}\n");
}

static void levels_below_the_configured_one_are_silent(void **state)
{
    (void)state;
    log_configure(LOG_TEXT, LOG_WARN);
    assert_false(log_enabled(LOG_DEBUG));
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    assert_true(log_enabled(LOG_ERROR));
    capture_start();
    LOG(LOG_INFO, "not this");
    LOG(LOG_WARN, "this");
    capture_end();
    assert_text_after_date(" warn this\n");
}

static void logging_never_changes_errno_and_survives_a_closed_stderr(void **state)
{
    (void)state;
    int kept = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = ENOENT;
    LOG(LOG_ERROR, "nobody hears this");
    int after = errno;
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(after, ENOENT);
}

static void without_memory_the_line_is_lost_and_nothing_else(void **state)
{
    (void)state;
    capture_start();
    failing_alloc_arm(0);
    LOG(LOG_ERROR, "lost");
    failing_alloc_disarm();
    LOG(LOG_ERROR, "kept");
    capture_end();
    assert_text_after_date(" error kept\n");
}

#define THREADS 4
#define LINES 300

static void *write_lines(void *argument)
{
    static const char letters[] = "abcd";
    char value[400];
    memset(value, letters[*(int *)argument], sizeof value);
    for (int i = 0; i < LINES; i++) {
        LOG(LOG_INFO, "line", LOG_TEXT_FIELD("value", slice_make(value, sizeof value)));
    }
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    capture_start();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    capture_end();
    int counts[THREADS] = {0};
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_dated(line);
        assert_memory_equal(line + 24, " info line value=", 17);
        const char *value = line + 24 + 17;
        for (int i = 1; i < 400; i++) {
            assert_int_equal(value[i], value[0]);
        }
        assert_int_equal(value[400], '\n');
        counts[value[0] - 'a']++;
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(counts[i], LINES);
    }
}

/* A reader that has stopped reading must not hold up whoever logs: this test would not end. */
static void lines_for_a_full_pipe_are_lost(void **state)
{
    (void)state;
    int ends[2];
    static char hostile[600]; /* control bytes are six bytes each in a line */
    memset(hostile, 1, sizeof hostile);
    assert_int_equal(pipe(ends), 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 1000; i++) {
        LOG(LOG_WARN, "refused", LOG_TEXT_FIELD("store", slice_make(hostile, sizeof hostile)),
            LOG_TEXT_FIELD("why", slice_make(hostile, sizeof hostile)), LOG_NUMBER_FIELD("i", i));
    }
    assert_true(read(ends[0], text, sizeof text) > 0);
    LOG(LOG_INFO, "stopped", LOG_NUMBER_FIELD("count", 1));
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(ends[1]);
    text[read(ends[0], text, sizeof text - 1)] = '\0';
    close(ends[0]);
    assert_text_after_date(" info stopped count=1\n");
}

#define log_test(name) cmocka_unit_test_setup(name, settings_as_at_the_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(a_text_line_has_time_level_message_and_fields),
        log_test(a_line_without_fields_is_the_message_alone),
        log_test(a_value_that_could_be_misread_is_quoted),
        log_test(bad_bytes_and_terminal_controls_become_replacement_characters),
        log_test(a_long_value_is_cut),
        log_test(a_json_line_is_one_object_with_the_fields),
        log_test(levels_below_the_configured_one_are_silent),
        log_test(logging_never_changes_errno_and_survives_a_closed_stderr),
        log_test(without_memory_the_line_is_lost_and_nothing_else),
        log_test(lines_of_threads_do_not_mix),
        log_test(lines_for_a_full_pipe_are_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
