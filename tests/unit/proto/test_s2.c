#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "proto/s2.h"

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

static struct s2_pull decode(const char *args)
{
    struct s2_pull pull = {0};
    struct sluice_error error = {0};
    assert_int_equal(json_validate(slice_of_string(args), NULL), SLUICE_OK);
    if (s2_decode_pull(slice_of_string(args), &arena, &pull, &error) != SLUICE_OK) {
        fail_msg("%s: %s", args, error.message);
    }
    return pull;
}

static void assert_text(struct slice got, const char *expected)
{
    if (!slice_equal(got, slice_of_string(expected))) {
        fail_msg("got '%.*s', expected '%s'", SLICE_PRINT(got), expected);
    }
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- Arguments --- */

static void a_pull_from_the_start_wants_position_0(void **state)
{
    (void)state;
    struct s2_pull pull = decode("{\"storeId\":\"a\",\"s2SeqNum\":\"from-start\",\"live\":false}");
    assert_text(pull.store_id, "a");
    assert_int_equal(pull.position, 0);
    assert_false(pull.live);
}

static void a_pull_after_a_record_wants_the_one_behind_it(void **state)
{
    (void)state;
    assert_int_equal(decode("{\"storeId\":\"a\",\"s2SeqNum\":0,\"live\":true}").position, 1);
    struct s2_pull pull = decode("{\"live\":true,\"s2SeqNum\":9007199254740991,\"storeId\":\"a\"}");
    assert_int_equal(pull.position, SEQ_NUM_MAX + 1);
    assert_true(pull.live);
}

static void payload_and_unknown_fields_are_ignored(void **state)
{
    (void)state;
    struct s2_pull pull = decode("{\"payload\":{\"storeId\":1,\"live\":[]},\"storeId\":\"\\u0061\","
                                 "\"s2SeqNum\":\"from\\u002dstart\",\"live\":false,\"x\":null}");
    assert_text(pull.store_id, "a");
    assert_int_equal(pull.position, 0);
}

static void wrong_arguments_are_refused_by_name(void **state)
{
    (void)state;
    static const char OBJECT[] = "args must be a JSON object, percent-encoded once or twice";
    static const struct {
        const char *args;
        const char *message;
    } REFUSALS[] = {
        {"", OBJECT},
        {"null", OBJECT},
        {"[]", OBJECT},
        {"\"{}\"", OBJECT},
        {"{}", "storeId is missing"},
        {"{\"storeId\":\"a\"}", "s2SeqNum is missing"},
        {"{\"storeId\":\"a\",\"s2SeqNum\":1}", "live is missing"},
        {"{\"storeId\":7}", "storeId must be a string"},
        {"{\"storeId\":\"\\udfff\"}",
         "storeId contains a lone surrogate escape, which has no UTF-8 form"},
        {"{\"live\":1}", "live must be true or false"},
        {"{\"s2SeqNum\":\"1\"}",
         "s2SeqNum must be \"from-start\" or the position of the last record seen"},
        {"{\"s2SeqNum\":\"\"}",
         "s2SeqNum must be \"from-start\" or the position of the last record seen"},
        {"{\"s2SeqNum\":-1}", "s2SeqNum must be an integer from 0 to 2^53-1, written as digits"},
        {"{\"s2SeqNum\":null}", "s2SeqNum must be an integer from 0 to 2^53-1, written as digits"},
        {"{\"s2SeqNum\":9007199254740992}",
         "s2SeqNum must be an integer from 0 to 2^53-1, written as digits"},
    };
    for (size_t i = 0; i < COUNT(REFUSALS); i++) {
        struct s2_pull pull = {.position = 77};
        struct sluice_error error = {0};
        assert_int_equal(s2_decode_pull(slice_of_string(REFUSALS[i].args), &arena, &pull, &error),
                         SLUICE_INVALID);
        assert_string_equal(error.message, REFUSALS[i].message);
        assert_int_equal(pull.position, 77);
    }
}

/* --- Events of the stream --- */

static const struct event FIRST = {
    .seq_num = 3,
    .parent_seq_num = 0,
    .position = 0,
    .created_at_ms = 1700000000123,
    .name = {"n", 1},
    .args = {"{\"t\":\"a\\nb\"}", 12},
    .client_id = {"c", 1},
    .session_id = {"s", 1},
};

static void a_batch_is_one_event_of_records_tail_and_id(void **state)
{
    (void)state;
    struct buffer out;
    struct event second = FIRST;
    second.seq_num = 4;
    second.parent_seq_num = 3;
    second.position = 1;
    second.args = SLICE("0");
    buffer_init(&out, 4096);
    s2_batch_start(&out);
    s2_batch_record(&out, &FIRST, true);
    s2_batch_record(&out, &second, false);
    s2_batch_end(&out, 7, 1700000000456, 1);
    assert_int_equal(buffer_status(&out), SLUICE_OK);
    assert_text(buffer_slice(&out),
                "event: batch\n"
                "data: {\"records\":["
                "{\"body\":\"{\\\"name\\\":\\\"n\\\",\\\"args\\\":{\\\"t\\\":\\\"a\\\\nb\\\"},"
                "\\\"seqNum\\\":3,\\\"parentSeqNum\\\":0,\\\"clientId\\\":\\\"c\\\","
                "\\\"sessionId\\\":\\\"s\\\"}\",\"seq_num\":0,\"timestamp\":1700000000123},"
                "{\"body\":\"{\\\"name\\\":\\\"n\\\",\\\"args\\\":0,"
                "\\\"seqNum\\\":4,\\\"parentSeqNum\\\":3,\\\"clientId\\\":\\\"c\\\","
                "\\\"sessionId\\\":\\\"s\\\"}\",\"seq_num\":1,\"timestamp\":1700000000123}"
                "],\"tail\":{\"seq_num\":7,\"timestamp\":1700000000456}}\n"
                "id: 1\n\n");
    buffer_deinit(&out);
}

/* White space between tokens is legal in args, line breaks too, and they are kept. */
static void args_with_line_breaks_stay_on_the_data_line(void **state)
{
    (void)state;
    struct buffer out;
    struct event event = FIRST;
    event.args = SLICE("{\r\n\t\"a\":\n1}");
    event.name = SLICE("x\ny\r");
    buffer_init(&out, 4096);
    s2_batch_record(&out, &event, true);
    assert_int_equal(buffer_status(&out), SLUICE_OK);
    assert_null(memchr(out.data, '\n', out.bytes));
    assert_null(memchr(out.data, '\r', out.bytes));

    struct json_reader reader;
    struct slice key = SLICE_EMPTY;
    struct slice body = SLICE_EMPTY;
    assert_int_equal(json_validate(buffer_slice(&out), NULL), SLUICE_OK);
    json_reader_init(&reader, buffer_slice(&out));
    assert_true(json_enter_object(&reader) && json_next_key(&reader, &key));
    assert_true(json_key_is(key, "body") && json_read_string(&reader, &body));
    assert_int_equal(json_decode_string(body, &arena, &body, NULL), SLUICE_OK);
    assert_text(body, "{\"name\":\"x\\ny\\r\",\"args\":{\r\n\t\"a\":\n1},\"seqNum\":3,"
                      "\"parentSeqNum\":0,\"clientId\":\"c\",\"sessionId\":\"s\"}");
    buffer_deinit(&out);
}

static void a_record_that_does_not_fit_fails_the_page(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 64);
    s2_batch_record(&out, &FIRST, true);
    assert_int_equal(buffer_status(&out), SLUICE_LIMIT);
    buffer_deinit(&out);
}

static void pings_errors_and_the_end_are_events_of_their_own(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    s2_append_ping(&out, 1700000000123);
    s2_append_error(&out, SLICE("not\nhere: \"x\""));
    buffer_append_literal(&out, S2_DONE);
    assert_text(buffer_slice(&out), "event: ping\ndata: {\"timestamp\":1700000000123}\n\n"
                                    "event: error\ndata: \"not\\nhere: \\\"x\\\"\"\n\n"
                                    "data: [DONE]\n\n");
    buffer_deinit(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pull_from_the_start_wants_position_0),
        TEST(a_pull_after_a_record_wants_the_one_behind_it),
        TEST(payload_and_unknown_fields_are_ignored),
        TEST(wrong_arguments_are_refused_by_name),
        TEST(a_batch_is_one_event_of_records_tail_and_id),
        TEST(args_with_line_breaks_stay_on_the_data_line),
        TEST(a_record_that_does_not_fit_fails_the_page),
        TEST(pings_errors_and_the_end_are_events_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
