#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "proto/event_json.h"

static struct arena arena;
static struct event *events;
static size_t event_count;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    events = NULL;
    event_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static enum sluice_status decode(struct slice text, struct sluice_error *error)
{
    struct json_reader reader;
    assert_int_equal(json_validate(text, NULL), SLUICE_OK);
    json_reader_init(&reader, text);
    return event_json_decode_batch(&reader, &arena, &events, &event_count, error);
}

static void assert_decodes(const char *text)
{
    struct sluice_error error = {0};
    if (decode(slice_of_string(text), &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
}

static void assert_text(struct slice got, const char *expected)
{
    if (!slice_equal(got, slice_of_string(expected))) {
        fail_msg("got '%.*s', expected '%s'", SLICE_PRINT(got), expected);
    }
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define EVENT_TEXT(args)                                                                           \
    "{\"name\":\"v1.Noted\",\"args\":" args ",\"seqNum\":2,\"parentSeqNum\":1,\"clientId\":\"c\"," \
    "\"sessionId\":\"s\"}"

static void a_batch_is_decoded_in_order(void **state)
{
    (void)state;
    assert_decodes("[" EVENT_TEXT("{}") ",{\"sessionId\":\"t\",\"clientId\":\"d\",\"parentSeqNum\":"
                                        "2,\"seqNum\":9007199254740991,\"args\":[1],"
                                        "\"name\":\"w\"}]");
    assert_int_equal(event_count, 2);
    assert_text(events[0].name, "v1.Noted");
    assert_int_equal(events[0].seq_num, 2);
    assert_int_equal(events[0].parent_seq_num, 1);
    assert_text(events[0].client_id, "c");
    assert_text(events[0].session_id, "s");
    assert_text(events[1].name, "w");
    assert_text(events[1].args, "[1]");
    assert_int_equal(events[1].seq_num, SEQ_NUM_MAX);
    assert_int_equal(events[1].parent_seq_num, 2);
    assert_text(events[1].client_id, "d");
    assert_text(events[1].session_id, "t");
}

static void an_empty_batch_is_not_a_missing_one(void **state)
{
    (void)state;
    assert_decodes(" [ ] ");
    assert_non_null(events);
    assert_int_equal(event_count, 0);
}

static void args_are_the_bytes_that_came(void **state)
{
    (void)state;
    assert_decodes("[" EVENT_TEXT("{ \"b\" : 1.0 , \"a\":9007199254740993,\"c\":\"\\u0041\\ud800\" "
                                  "}") "]");
    assert_text(events[0].args,
                "{ \"b\" : 1.0 , \"a\":9007199254740993,\"c\":\"\\u0041\\ud800\" }");
}

static void absent_args_are_null(void **state)
{
    (void)state;
    assert_decodes("[{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"\","
                   "\"sessionId\":\"\"}]");
    assert_text(events[0].args, "null");
}

static void unknown_fields_are_ignored(void **state)
{
    (void)state;
    assert_decodes("[{\"id\":{\"name\":1},\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0,"
                   "\"clientId\":\"c\",\"sessionId\":\"s\",\"meta\":[[]]}]");
    assert_text(events[0].name, "n");
}

static void a_refusal_names_the_event_and_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } REFUSALS[] = {
        {"{}", "batch must be an array of events"},
        {"null", "batch must be an array of events"},
        {"[1]", "batch[0] must be an object"},
        {"[" EVENT_TEXT("1") ",[]]", "batch[1] must be an object"},
        {"[{}]", "batch[0].name is missing"},
        {"[{\"name\":\"n\"}]", "batch[0].seqNum is missing"},
        {"[{\"name\":\"n\",\"seqNum\":1}]", "batch[0].parentSeqNum is missing"},
        {"[{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0}]", "batch[0].clientId is missing"},
        {"[{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"\"}]",
         "batch[0].sessionId is missing"},
        {"[" EVENT_TEXT("1") ",{\"name\":7}]", "batch[1].name must be a string"},
        {"[{\"clientId\":null}]", "batch[0].clientId must be a string"},
        {"[{\"sessionId\":[]}]", "batch[0].sessionId must be a string"},
        {"[{\"seqNum\":\"1\"}]",
         "batch[0].seqNum must be an integer from 0 to 2^53-1, written as digits"},
        {"[{\"parentSeqNum\":-1}]",
         "batch[0].parentSeqNum must be an integer from 0 to 2^53-1, written as digits"},
        {"[{\"name\":\"\\ud800\"}]",
         "batch[0].name contains a lone surrogate escape, which has no UTF-8 form"},
    };
    for (size_t i = 0; i < COUNT(REFUSALS); i++) {
        struct sluice_error error = {0};
        assert_int_equal(decode(slice_of_string(REFUSALS[i].text), &error), SLUICE_INVALID);
        assert_int_equal(error.status, SLUICE_INVALID);
        assert_string_equal(error.message, REFUSALS[i].message);
        assert_null(events);
    }
}

static enum sluice_status decode_many(size_t count, struct sluice_error *error)
{
    struct buffer text;
    buffer_init(&text, 1u << 20);
    buffer_append_byte(&text, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_append_slice(&text, i == 0 ? SLICE_EMPTY : SLICE(","));
        buffer_append_literal(&text, EVENT_TEXT("0"));
    }
    buffer_append_byte(&text, ']');
    enum sluice_status status = decode(buffer_slice(&text), error);
    buffer_deinit(&text);
    return status;
}

static void a_batch_holds_a_thousand_events_and_not_one_more(void **state)
{
    (void)state;
    struct sluice_error error = {0};
    assert_int_equal(decode_many(BATCH_EVENTS_MAX, &error), SLUICE_OK);
    assert_int_equal(event_count, BATCH_EVENTS_MAX);
    assert_int_equal(decode_many(BATCH_EVENTS_MAX + 1, &error), SLUICE_LIMIT);
    assert_string_equal(error.message, "batch has more than 1000 events; send fewer");
}

static enum sluice_status decode_nested(size_t depth, struct sluice_error *error)
{
    char args[512] = {0};
    char text[1024];
    memset(args, '[', depth);
    memset(args + depth, ']', depth);
    int bytes = snprintf(text, sizeof text, "[" EVENT_TEXT("%s") "]", args);
    return decode(slice_make(text, (size_t)bytes), error);
}

/* A page adds up to seven levels, and must stay within the 128 that we read ourselves. */
static void args_nest_120_deep_and_not_one_more(void **state)
{
    (void)state;
    struct sluice_error error = {0};
    assert_int_equal(decode_nested(ARGS_DEPTH_MAX, &error), SLUICE_OK);
    assert_int_equal(decode_nested(ARGS_DEPTH_MAX + 1, &error), SLUICE_LIMIT);
    assert_string_equal(error.message,
                        "batch[0].args nests 121 arrays and objects; the limit is 120");
    const char *shallow = "[" EVENT_TEXT("[[[[]],[[[]]],{\"a\":\"[[[[[\"}]]") "]";
    assert_int_equal(decode(slice_of_string(shallow), &error), SLUICE_OK);
}

static void a_batch_that_does_not_fit_the_arena_says_so(void **state)
{
    (void)state;
    struct sluice_error error = {0};
    arena_deinit(&arena);
    arena_init(&arena, 16);
    assert_int_equal(decode(SLICE("[" EVENT_TEXT("0") "]"), &error), SLUICE_NO_MEMORY);
    assert_string_equal(error.message, "out of memory for a batch of 1 events");
}

static void an_event_is_written_as_clients_read_it(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    event_json_append(&out, &(struct event){.seq_num = SEQ_NUM_MAX,
                                            .parent_seq_num = 0,
                                            .position = 5,
                                            .name = SLICE("a\"b\n"),
                                            .args = SLICE("{ \"x\" : 1.0 }"),
                                            .client_id = SLICE(""),
                                            .session_id = SLICE("caf\xc3\xa9")});
    assert_int_equal(buffer_status(&out), SLUICE_OK);
    assert_text(buffer_slice(&out),
                "{\"name\":\"a\\\"b\\n\",\"args\":{ \"x\" : 1.0 },\"seqNum\":9007199254740991,"
                "\"parentSeqNum\":0,\"clientId\":\"\",\"sessionId\":\"caf\xc3\xa9\"}");
    buffer_deinit(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_decoded_in_order),
        TEST(an_empty_batch_is_not_a_missing_one),
        TEST(args_are_the_bytes_that_came),
        TEST(absent_args_are_null),
        TEST(unknown_fields_are_ignored),
        TEST(a_refusal_names_the_event_and_the_field),
        TEST(a_batch_holds_a_thousand_events_and_not_one_more),
        TEST(args_nest_120_deep_and_not_one_more),
        TEST(a_batch_that_does_not_fit_the_arena_says_so),
        TEST(an_event_is_written_as_clients_read_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
