#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/event_line.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void assert_text(struct sluice_text text, const char *expected)
{
    assert_int_equal(text.bytes, strlen(expected));
    assert_memory_equal(text.data, expected, text.bytes);
}

static void assert_appends(enum event_format format, const struct sluice_event *event,
                           const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    event_line_append(&out, format, event);
    assert_int_equal(buffer_status(&out), SLUICE_OK);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_deinit(&out);
}

static void assert_refused(const char *line, const char *why)
{
    struct sluice_event event = {.seq_num = 42};
    struct sluice_error error = {0};
    bool numbered = true;
    assert_int_not_equal(event_line_read(slice_of_string(line), &arena, &event, &numbered, &error),
                         SLUICE_OK);
    if (strstr(error.message, why) == NULL) {
        assert_string_equal(error.message, why);
    }
    assert_int_equal(event.seq_num, 42);
    assert_true(numbered);
}

static void a_whole_event_comes_back_as_it_was_written(void **state)
{
    (void)state;
    const char *line =
        "{\"seqNum\":7,\"parentSeqNum\":5,\"name\":\"a\\\"\xc3\xa9\",\"args\":{\"n\":1.0},"
        "\"clientId\":\"c\",\"sessionId\":\"\"}\n";
    struct sluice_event event;
    bool numbered = false;
    assert_int_equal(event_line_read(slice_of_string(line), &arena, &event, &numbered, NULL),
                     SLUICE_OK);
    assert_true(numbered);
    assert_int_equal(event.seq_num, 7);
    assert_int_equal(event.parent_seq_num, 5);
    assert_text(event.name, "a\"\xc3\xa9");
    assert_text(event.args, "{\"n\":1.0}");
    assert_text(event.client_id, "c");
    assert_text(event.session_id, "");
    assert_true(event.created_at_ms == SLUICE_NO_TIME);
    assert_appends(EVENT_FORMAT_JSON, &event, line);
}

static void what_pull_writes_is_what_push_reads(void **state)
{
    (void)state;
    const struct sluice_event event = {.seq_num = SLUICE_SEQ_NUM_MAX,
                                       .parent_seq_num = 0,
                                       .name = sluice_text_of("n"),
                                       .args = sluice_text_of("\"\\ud800\""),
                                       .client_id = sluice_text_of("c"),
                                       .session_id = sluice_text_of("s"),
                                       .created_at_ms = 0};
    struct sluice_event read;
    struct buffer out;
    bool numbered = false;
    buffer_init(&out, 1 << 20);
    event_line_append(&out, EVENT_FORMAT_JSON, &event);
    assert_non_null(strstr(out.data, "\"createdAt\":\"1970-01-01T00:00:00.000Z\""));
    assert_int_equal(event_line_read(buffer_slice(&out), &arena, &read, &numbered, NULL),
                     SLUICE_OK);
    assert_true(numbered);
    assert_true(read.seq_num == SLUICE_SEQ_NUM_MAX);
    assert_text(read.args, "\"\\ud800\"");
    buffer_deinit(&out);
}

static void a_line_without_numbers_has_name_and_args_only(void **state)
{
    (void)state;
    struct sluice_event event;
    bool numbered = true;
    assert_int_equal(event_line_read(SLICE(" {\"args\" : [1, 2] , \"name\":\"n\"} "), &arena,
                                     &event, &numbered, NULL),
                     SLUICE_OK);
    assert_false(numbered);
    assert_text(event.name, "n");
    assert_text(event.args, "[1, 2]");
    assert_int_equal(event_line_read(SLICE("{\"name\":\"n\"}"), &arena, &event, &numbered, NULL),
                     SLUICE_OK);
    assert_text(event.args, "null");
}

static void a_line_that_is_no_event_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_refused("", "");
    assert_refused("{\"name\":\"n\"", "at byte");
    assert_refused("[]", "not an object");
    assert_refused("{\"name\":\"n\",\"arg\":1}", "no event has a field 'arg'");
    assert_refused("{\"args\":1}", "name is missing, or no text");
    assert_refused("{\"name\":1}", "name is missing, or no text");
    assert_refused("{\"name\":\"\"}", "name has 0 bytes");
    assert_refused("{\"name\":\"\\ud800\"}", "surrogate");
    assert_refused("{\"name\":\"n\",\"seqNum\":1}", "parentSeqNum is missing");
    assert_refused("{\"name\":\"n\",\"clientId\":\"c\"}", "seqNum is missing");
    assert_refused("{\"name\":\"n\",\"seqNum\":1.0,\"parentSeqNum\":0}",
                   "seqNum is missing, or no");
    assert_refused("{\"name\":\"n\",\"seqNum\":9007199254740992,\"parentSeqNum\":0}", "2^53-1");
    assert_refused("{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"c\"}",
                   "sessionId is missing");
    assert_refused(
        "{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":1,\"clientId\":\"\",\"sessionId\":"
        "\"\"}",
        "parentSeqNum is not before seqNum");
}

static void line_breaks_inside_args_do_not_break_the_line(void **state)
{
    (void)state;
    const struct sluice_event event = {.seq_num = 1,
                                       .name = sluice_text_of("n\n"),
                                       .args = sluice_text_of("{\n\"a\":\r\n\"\\n\"}"),
                                       .created_at_ms = SLUICE_NO_TIME};
    assert_appends(EVENT_FORMAT_JSON, &event,
                   "{\"seqNum\":1,\"parentSeqNum\":0,\"name\":\"n\\n\",\"args\":{ \"a\":  "
                   "\"\\n\"},\"clientId\":\"\",\"sessionId\":\"\"}\n");
}

static void a_table_shows_nothing_that_controls_a_terminal(void **state)
{
    (void)state;
    const struct sluice_event event = {.seq_num = 2,
                                       .parent_seq_num = 1,
                                       .name = sluice_text_of("\x1b[2J\xc2\x9b"
                                                              "e\xcc\x81"),
                                       .args = sluice_text_of("\"a\x7f\"\n"),
                                       .client_id = sluice_text_of("tab\there"),
                                       .created_at_ms = 0};
    assert_appends(EVENT_FORMAT_TABLE, &event,
                   "       2         1  1970-01-01T00:00:00.000Z  tab here                "
                   "\xef\xbf\xbd[2J\xef\xbf\xbd"
                   "e\xcc\x81                   \"a\xef\xbf\xbd\" \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_event_comes_back_as_it_was_written),
        cmocka_unit_test(what_pull_writes_is_what_push_reads),
        cmocka_unit_test(a_line_without_numbers_has_name_and_args_only),
        cmocka_unit_test(a_line_that_is_no_event_is_refused_with_the_reason),
        cmocka_unit_test(line_breaks_inside_args_do_not_break_the_line),
        cmocka_unit_test(a_table_shows_nothing_that_controls_a_terminal),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
