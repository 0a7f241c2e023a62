#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "proto/effect_rpc.h"

/* Opens the frame, which must be valid JSON. */
static struct rpc_frame open_frame(struct slice text)
{
    struct rpc_frame frame;
    struct sluice_error error = {0};
    if (rpc_frame_open(&frame, text, &error) != SLUICE_OK) {
        fail_msg("%.*s: %s", SLICE_PRINT(text), error.message);
    }
    return frame;
}

/* The one message of a frame. */
static struct rpc_message read_one(struct slice text)
{
    struct rpc_frame frame = open_frame(text);
    struct rpc_message message;
    assert_true(rpc_frame_next(&frame, &message));
    struct rpc_message none;
    assert_false(rpc_frame_next(&frame, &none));
    return message;
}

static void assert_text(struct slice got, const char *expected)
{
    if (!slice_equal(got, slice_of_string(expected))) {
        fail_msg("got '%.*s', expected '%s'", SLICE_PRINT(got), expected);
    }
}

/* --- What comes --- */

static void a_request_is_read_with_its_id_tag_and_payload(void **state)
{
    (void)state;
    struct rpc_message message = read_one(
        SLICE("{\"_tag\":\"Request\",\"id\":\"7\",\"tag\":\"SyncWsRpc.Pull\",\"traceId\":\"2fb3\","
              "\"payload\":{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"_tag\":\"None\"}},"
              "\"spanId\":\"2df3\",\"sampled\":true,\"headers\":[]}"));
    assert_int_equal(message.kind, RPC_REQUEST);
    assert_text(message.id, "\"7\"");
    assert_text(message.tag, "SyncWsRpc.Pull");
    assert_text(message.payload,
                "{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"_tag\":\"None\"}}");
}

static void fields_may_come_in_any_order(void **state)
{
    (void)state;
    static const char *const fields[] = {"\"_tag\":\"Request\"", "\"id\":\"7\"", "\"tag\":\"T\"",
                                         "\"payload\":{\"a\":[1]}"};
    for (unsigned order = 0; order < 256; order++) {
        unsigned at[4] = {order & 3, (order >> 2) & 3, (order >> 4) & 3, (order >> 6) & 3};
        if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) != 15) {
            continue; /* not a permutation */
        }
        char text[256];
        int bytes = snprintf(text, sizeof text, "{%s,%s,\"more\":{\"id\":9},%s,%s}", fields[at[0]],
                             fields[at[1]], fields[at[2]], fields[at[3]]);
        struct rpc_message message = read_one(slice_make(text, (size_t)bytes));
        assert_int_equal(message.kind, RPC_REQUEST);
        assert_text(message.id, "\"7\"");
        assert_text(message.tag, "T");
        assert_text(message.payload, "{\"a\":[1]}");
    }
}

static void white_space_and_escapes_in_names_change_nothing(void **state)
{
    (void)state;
    struct rpc_message message =
        read_one(SLICE(" \r\n{ \"\\u005ftag\" : \"\\u0052equest\" ,\t\"id\" : 1 , "
                       "\"tag\" : \"T\" , \"payload\" : { } } \n"));
    assert_int_equal(message.kind, RPC_REQUEST);
    assert_text(message.id, "1");
    assert_text(message.payload, "{ }");
}

static void an_absent_payload_is_null(void **state)
{
    (void)state;
    struct rpc_message message = read_one(SLICE("{\"_tag\":\"Request\",\"id\":1,\"tag\":\"T\"}"));
    assert_int_equal(message.kind, RPC_REQUEST);
    assert_text(message.payload, "null");
}

struct id_case {
    const char *id;
    enum rpc_dialect dialect;
};

static void an_id_keeps_its_text_and_its_type_tells_the_dialect(void **state)
{
    (void)state;
    static const struct id_case cases[] = {
        {"\"1\"", RPC_V3}, {"\"007\"", RPC_V3},
        {"\"\"", RPC_V3},  {"\"a b\\u00e4\\\"\"", RPC_V3},
        {"0", RPC_V4},     {"1", RPC_V4},
        {"-1", RPC_V4},    {"1.0", RPC_V4},
        {"1e3", RPC_V4},   {"12345678901234567890", RPC_V4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        int bytes = snprintf(text, sizeof text, "{\"_tag\":\"Request\",\"id\": %s ,\"tag\":\"T\"}",
                             cases[i].id);
        struct rpc_message message = read_one(slice_make(text, (size_t)bytes));
        assert_int_equal(message.kind, RPC_REQUEST);
        assert_text(message.id, cases[i].id);
        assert_int_equal(message.dialect, cases[i].dialect);
    }
}

static void an_ack_and_an_interrupt_name_their_request(void **state)
{
    (void)state;
    struct rpc_message ack = read_one(SLICE("{\"_tag\":\"Ack\",\"requestId\":\"3\"}"));
    assert_int_equal(ack.kind, RPC_ACK);
    assert_text(ack.id, "\"3\"");
    assert_int_equal(ack.dialect, RPC_V3);
    struct rpc_message interrupt =
        read_one(SLICE("{\"requestId\":3,\"_tag\":\"Interrupt\",\"interruptors\":[]}"));
    assert_int_equal(interrupt.kind, RPC_INTERRUPT);
    assert_text(interrupt.id, "3");
    assert_int_equal(interrupt.dialect, RPC_V4);
}

/* Unknown fields are to be ignored, also those that another kind of message has. */
/* Clients write all Acks alike; one with a space in it is read the long way. */
static void an_ack_is_read_the_same_however_it_is_written(void **state)
{
    (void)state;
    static const char *const IDS[] = {"\"1\"",    "1",           "0",        "\"0\"",
                                      "\"a-Z9\"", "\"\"",        "",         "01",
                                      "-1",       "1.5",         "1e5",      "\"a",
                                      "a\"",      "\"\\u0031\"", "\"a\"b\"", "\"a\",\"id\":\"b\"",
                                      "\"",       "null",        "{}",       "\"\xff\"",
                                      "\"\x01\"", "1}",          "\"1\"}"};
    for (size_t i = 0; i < sizeof(IDS) / sizeof(IDS[0]); i++) {
        struct rpc_frame frames[2];
        struct rpc_message messages[2];
        char texts[2][128];
        (void)snprintf(texts[0], sizeof texts[0], "{\"_tag\":\"Ack\",\"requestId\":%s}", IDS[i]);
        (void)snprintf(texts[1], sizeof texts[1], "{\"_tag\":\"Ack\",\"requestId\":%s }", IDS[i]);
        enum sluice_status statuses[2];
        for (size_t k = 0; k < 2; k++) {
            statuses[k] = rpc_frame_open(&frames[k], slice_of_string(texts[k]), NULL);
        }
        assert_int_equal(statuses[0], statuses[1]);
        if (statuses[0] != SLUICE_OK) {
            continue;
        }
        for (size_t k = 0; k < 2; k++) {
            assert_true(rpc_frame_next(&frames[k], &messages[k]));
        }
        assert_int_equal(messages[0].kind, messages[1].kind);
        assert_int_equal(messages[0].dialect, messages[1].dialect);
        assert_true(slice_equal(messages[0].id, messages[1].id));
        assert_true(slice_equal(messages[0].payload, messages[1].payload));
        assert_false(rpc_frame_next(&frames[0], &messages[0]));
    }
}

static void an_ack_with_a_long_id_is_invalid(void **state)
{
    (void)state;
    struct rpc_frame frame;
    struct rpc_message message;
    char text[256];
    (void)snprintf(text, sizeof text, "{\"_tag\":\"Ack\",\"requestId\":\"%0127d\"}", 1);
    assert_int_equal(rpc_frame_open(&frame, slice_of_string(text), NULL), SLUICE_OK);
    assert_true(rpc_frame_next(&frame, &message));
    assert_int_equal(message.kind, RPC_INVALID);
}

static void each_kind_reads_only_its_own_id_field(void **state)
{
    (void)state;
    struct rpc_message ack = read_one(SLICE("{\"_tag\":\"Ack\",\"requestId\":3,\"id\":\"x\"}"));
    assert_int_equal(ack.kind, RPC_ACK);
    assert_text(ack.id, "3");
    assert_int_equal(ack.dialect, RPC_V4);
    struct rpc_message request =
        read_one(SLICE("{\"_tag\":\"Request\",\"id\":\"x\",\"tag\":\"T\",\"requestId\":3}"));
    assert_int_equal(request.kind, RPC_REQUEST);
    assert_text(request.id, "\"x\"");
    assert_int_equal(request.dialect, RPC_V3);
}

static void a_ping_and_an_eof_need_nothing_more(void **state)
{
    (void)state;
    assert_int_equal(read_one(SLICE("{\"_tag\":\"Ping\"}")).kind, RPC_PING);
    assert_int_equal(read_one(SLICE("{\"id\":{},\"_tag\":\"Ping\"}")).kind, RPC_PING);
    assert_int_equal(read_one(SLICE("{\"_tag\":\"Eof\",\"x\":1}")).kind, RPC_EOF);
}

/* --- Frames of several messages --- */

static void an_array_holds_messages_in_order(void **state)
{
    (void)state;
    struct rpc_frame frame =
        open_frame(SLICE(" [ {\"_tag\":\"Ping\"} , {\"_tag\":\"Ack\",\"requestId\":1}, 5 ,"
                         "{\"_tag\":\"Request\",\"id\":2,\"tag\":\"T\",\"payload\":[[]]} ] "));
    struct rpc_message message;
    assert_true(rpc_frame_next(&frame, &message));
    assert_int_equal(message.kind, RPC_PING);
    assert_true(rpc_frame_next(&frame, &message));
    assert_int_equal(message.kind, RPC_ACK);
    assert_text(message.id, "1");
    assert_true(rpc_frame_next(&frame, &message));
    assert_int_equal(message.kind, RPC_INVALID);
    assert_null(message.id.data); /* nothing is left of the message before */
    assert_true(rpc_frame_next(&frame, &message));
    assert_int_equal(message.kind, RPC_REQUEST);
    assert_text(message.payload, "[[]]");
    assert_false(rpc_frame_next(&frame, &message));
    assert_false(rpc_frame_next(&frame, &message));
}

static void an_invalid_message_does_not_hide_those_after_it(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        "null",
        "[]",
        "[[{}]]",
        "\"Ping\"",
        "{}",
        "{\"_tag\":null}",
        "{\"_tag\":\"Pong\",\"a\":[{}]}",
        "{\"_tag\":\"Request\",\"id\":{\"a\":[]},\"tag\":\"T\"}",
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        char text[256];
        int bytes =
            snprintf(text, sizeof text, "[%s,{\"_tag\":\"Eof\"},%s]", invalid[i], invalid[i]);
        struct rpc_frame frame = open_frame(slice_make(text, (size_t)bytes));
        struct rpc_message message;
        assert_true(rpc_frame_next(&frame, &message));
        assert_int_equal(message.kind, RPC_INVALID);
        assert_non_null(message.problem);
        assert_true(rpc_frame_next(&frame, &message));
        assert_int_equal(message.kind, RPC_EOF);
        assert_true(rpc_frame_next(&frame, &message));
        assert_int_equal(message.kind, RPC_INVALID);
        assert_false(rpc_frame_next(&frame, &message));
    }
}

static void an_empty_array_is_one_invalid_message(void **state)
{
    (void)state;
    struct rpc_message message = read_one(SLICE(" [ ] "));
    assert_int_equal(message.kind, RPC_INVALID);
    assert_string_equal(message.problem, "an empty array holds no message");
}

/* --- What is not a message --- */

struct invalid_case {
    const char *text;
    const char *problem; /* a part of it */
    const char *id;      /* what could be read of it; "": nothing */
};

static void an_invalid_message_says_what_is_wrong_and_keeps_its_id(void **state)
{
    (void)state;
    static const struct invalid_case cases[] = {
        {"null", "must be a JSON object", ""},
        {"true", "must be a JSON object", ""},
        {"5", "must be a JSON object", ""},
        {"\"Ping\"", "must be a JSON object", ""},
        {"[[]]", "must be a JSON object", ""},
        {"{}", "must have a _tag", ""},
        {"{\"_tag\":5,\"id\":1}", "must have a _tag", "1"},
        {"{\"_tag\":null,\"id\":\"1\"}", "must have a _tag", "\"1\""},
        {"{\"_tag\":[\"Ping\"],\"requestId\":4}", "must have a _tag", "4"},
        {"{\"tag\":\"Ping\",\"id\":1}", "must have a _tag", "1"},
        {"{\"_tag\":\"\"}", "unknown message _tag", ""},
        {"{\"_tag\":\"ping\"}", "unknown message _tag", ""},
        {"{\"_tag\":\"Pings\",\"id\":\"9\"}", "unknown message _tag", "\"9\""},
        {"{\"_tag\":\"Request\",\"tag\":\"T\"}", "request id", ""},
        {"{\"_tag\":\"Request\",\"id\":null,\"tag\":\"T\"}", "request id", ""},
        {"{\"_tag\":\"Request\",\"id\":true,\"tag\":\"T\"}", "request id", ""},
        {"{\"_tag\":\"Request\",\"id\":{},\"tag\":\"T\"}", "request id", ""},
        {"{\"_tag\":\"Request\",\"id\":[1],\"tag\":\"T\"}", "request id", ""},
        {"{\"_tag\":\"Request\",\"requestId\":1,\"tag\":\"T\"}", "request id", "1"},
        {"{\"_tag\":\"Request\",\"id\":1}", "must have a tag", "1"},
        {"{\"_tag\":\"Request\",\"id\":\"1\",\"tag\":null}", "must have a tag", "\"1\""},
        {"{\"_tag\":\"Request\",\"id\":\"1\",\"tag\":7}", "must have a tag", "\"1\""},
        {"{\"_tag\":\"Ack\"}", "request id", ""},
        {"{\"_tag\":\"Ack\",\"requestId\":null}", "request id", ""},
        {"{\"_tag\":\"Interrupt\"}", "request id", ""},
        {"{\"_tag\":\"Interrupt\",\"requestId\":false}", "request id", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpc_message message = read_one(slice_of_string(cases[i].text));
        if (message.kind != RPC_INVALID || strstr(message.problem, cases[i].problem) == NULL) {
            fail_msg("%s: kind %d, problem '%s'", cases[i].text, (int)message.kind,
                     message.kind == RPC_INVALID ? message.problem : "");
        }
        assert_text(message.id, cases[i].id);
    }
}

static void an_id_has_at_most_128_bytes_of_text(void **state)
{
    (void)state;
    for (size_t id_bytes = REQUEST_ID_BYTES_MAX; id_bytes <= REQUEST_ID_BYTES_MAX + 1; id_bytes++) {
        struct buffer text;
        buffer_init(&text, 1024);
        buffer_append_literal(&text, "{\"_tag\":\"Ack\",\"requestId\":\"");
        for (size_t i = 2; i < id_bytes; i++) {
            buffer_append_byte(&text, 'x');
        }
        buffer_append_literal(&text, "\"}");
        assert_int_equal(buffer_status(&text), SLUICE_OK);
        struct rpc_message message = read_one(buffer_slice(&text));
        bool fits = id_bytes <= REQUEST_ID_BYTES_MAX;
        assert_int_equal(message.kind, fits ? RPC_ACK : RPC_INVALID);
        assert_int_equal(message.id.bytes, fits ? id_bytes : 0);
        buffer_deinit(&text);
    }
}

static void text_that_is_not_json_is_refused_whole(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "hello",
        "{\"_tag\":\"Ping\"",
        "{\"_tag\":\"Ping\"}{\"_tag\":\"Ping\"}",
        "{\"_tag\":\"Ping\"}\n{\"_tag\":\"Ping\"}",
        "[{\"_tag\":\"Ping\"},]",
        "{\"_tag\":\"Ping\",\"_tag\":\"Eof\"}",
        "{\"_tag\":\"Ping\",\"\\u005ftag\":\"Eof\"}",
        "{\"_tag\":\"P\xffng\"}",
        "{'_tag':'Ping'}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct rpc_frame frame;
        struct sluice_error error = {0};
        assert_int_equal(rpc_frame_open(&frame, slice_of_string(texts[i]), &error),
                         SLUICE_MALFORMED);
        assert_non_null(strstr(error.message, "at byte"));
    }
}

static void too_deep_nesting_is_a_limit(void **state)
{
    (void)state;
    char text[JSON_DEPTH_MAX * 2 + 4];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct rpc_frame frame;
    assert_int_equal(rpc_frame_open(&frame, slice_make(text, 2 * (JSON_DEPTH_MAX + 1)), NULL),
                     SLUICE_LIMIT);
}

static void a_frame_of_more_than_1000_messages_is_a_limit(void **state)
{
    (void)state;
    char text[2 * (FRAME_MESSAGES_MAX + 1) + 2] = "[";
    size_t bytes = 1;
    for (size_t count = 1; count <= FRAME_MESSAGES_MAX + 1; count++) {
        text[bytes++] = '0';
        text[bytes++] = ']';
        struct rpc_frame frame;
        struct sluice_error error = {0};
        bool fits = count <= FRAME_MESSAGES_MAX;
        assert_int_equal(rpc_frame_open(&frame, slice_make(text, bytes), &error),
                         fits ? SLUICE_OK : SLUICE_LIMIT);
        assert_true(fits || strstr(error.message, "1000 messages") != NULL);
        text[bytes - 1] = ',';
    }
}

/* --- What goes: the exact bytes that the clients' recorded frames have --- */

enum answer { CHUNK, SUCCESS_PUSH, SUCCESS_STREAM, FAIL, DIE, INTERRUPT };

static void append_answer(struct buffer *out, enum answer answer, struct slice id,
                          enum rpc_dialect dialect)
{
    switch (answer) {
    case CHUNK:
        rpc_append_chunk_start(out, id);
        buffer_append_literal(out, "{\"batch\":[]}" RPC_CHUNK_END);
        break;
    case SUCCESS_PUSH:
        rpc_append_exit_success(out, id, SLICE("{}"));
        break;
    case SUCCESS_STREAM:
        rpc_append_exit_success(out, id, SLICE("null"));
        break;
    case FAIL:
        rpc_append_exit_fail(out, id, dialect, SLICE("{\"_tag\":\"UnknownError\",\"cause\":\"\"}"));
        break;
    case DIE:
        rpc_append_exit_die(out, id, dialect, SLICE("a \"why\"\n"));
        break;
    case INTERRUPT:
        rpc_append_exit_interrupt(out, id, dialect);
        break;
    }
}

struct answer_case {
    enum answer answer;
    const char *v3; /* for id "1" */
    const char *v4; /* for id 1 */
};

static void each_dialect_gets_its_own_form(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {CHUNK, "{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[{\"batch\":[]}]}",
         "{\"_tag\":\"Chunk\",\"requestId\":1,\"values\":[{\"batch\":[]}]}"},
        {SUCCESS_PUSH,
         "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Success\",\"value\":{}}}",
         "{\"_tag\":\"Exit\",\"requestId\":1,\"exit\":{\"_tag\":\"Success\",\"value\":{}}}"},
        {SUCCESS_STREAM,
         "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Success\",\"value\":null}}",
         "{\"_tag\":\"Exit\",\"requestId\":1,\"exit\":{\"_tag\":\"Success\",\"value\":null}}"},
        {FAIL,
         "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Failure\",\"cause\":"
         "{\"_tag\":\"Fail\",\"error\":{\"_tag\":\"UnknownError\",\"cause\":\"\"}}}}",
         "{\"_tag\":\"Exit\",\"requestId\":1,\"exit\":{\"_tag\":\"Failure\",\"cause\":"
         "[{\"_tag\":\"Fail\",\"error\":{\"_tag\":\"UnknownError\",\"cause\":\"\"}}]}}"},
        {DIE,
         "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Failure\",\"cause\":"
         "{\"_tag\":\"Die\",\"defect\":\"a \\\"why\\\"\\n\"}}}",
         "{\"_tag\":\"Exit\",\"requestId\":1,\"exit\":{\"_tag\":\"Failure\",\"cause\":"
         "[{\"_tag\":\"Die\",\"defect\":\"a \\\"why\\\"\\n\"}]}}"},
        {INTERRUPT,
         "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Failure\",\"cause\":"
         "{\"_tag\":\"Interrupt\",\"fiberId\":{\"_tag\":\"None\"}}}}",
         "{\"_tag\":\"Exit\",\"requestId\":1,\"exit\":{\"_tag\":\"Failure\",\"cause\":"
         "[{\"_tag\":\"Interrupt\",\"fiberId\":null}]}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out;
        buffer_init(&out, 1024);
        append_answer(&out, cases[i].answer, SLICE("\"1\""), RPC_V3);
        assert_int_equal(buffer_status(&out), SLUICE_OK);
        assert_text(buffer_slice(&out), cases[i].v3);
        assert_int_equal(json_validate(buffer_slice(&out), NULL), SLUICE_OK);
        buffer_clear(&out);
        append_answer(&out, cases[i].answer, SLICE("1"), RPC_V4);
        assert_text(buffer_slice(&out), cases[i].v4);
        assert_int_equal(json_validate(buffer_slice(&out), NULL), SLUICE_OK);
        buffer_deinit(&out);
    }
}

static void a_pong_and_a_defect_name_no_request(void **state)
{
    (void)state;
    assert_string_equal(RPC_PONG, "{\"_tag\":\"Pong\"}");
    struct buffer out;
    buffer_init(&out, 1024);
    rpc_append_defect(&out, SLICE("not \\ understood"));
    assert_text(buffer_slice(&out), "{\"_tag\":\"Defect\",\"defect\":\"not \\\\ understood\"}");
    buffer_deinit(&out);
}

/* Every cut of a recorded frame is refused, and none is read past its end. */
static void a_frame_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    static const char whole[] =
        "[{\"_tag\":\"Request\",\"id\":\"1\",\"tag\":\"SyncWsRpc.Push\",\"payload\":{\"storeId\":"
        "\"s\\u00fc\",\"batch\":[{\"seqNum\":1.5e3}],\"backendId\":{\"_tag\":\"None\"}}}]";
    for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) {
        char *cut = malloc(bytes + 1); /* of its own, so that the sanitizer sees a read beyond it */
        assert_non_null(cut);
        memcpy(cut, whole, bytes);
        struct rpc_frame frame;
        assert_int_equal(rpc_frame_open(&frame, slice_make(cut, bytes), NULL), SLUICE_MALFORMED);
        free(cut);
    }
    assert_int_equal(read_one(slice_make(whole, sizeof whole - 1)).kind, RPC_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_with_its_id_tag_and_payload),
        cmocka_unit_test(fields_may_come_in_any_order),
        cmocka_unit_test(white_space_and_escapes_in_names_change_nothing),
        cmocka_unit_test(an_absent_payload_is_null),
        cmocka_unit_test(an_id_keeps_its_text_and_its_type_tells_the_dialect),
        cmocka_unit_test(an_ack_and_an_interrupt_name_their_request),
        cmocka_unit_test(an_ack_is_read_the_same_however_it_is_written),
        cmocka_unit_test(an_ack_with_a_long_id_is_invalid),
        cmocka_unit_test(each_kind_reads_only_its_own_id_field),
        cmocka_unit_test(a_ping_and_an_eof_need_nothing_more),
        cmocka_unit_test(an_array_holds_messages_in_order),
        cmocka_unit_test(an_invalid_message_does_not_hide_those_after_it),
        cmocka_unit_test(an_empty_array_is_one_invalid_message),
        cmocka_unit_test(an_invalid_message_says_what_is_wrong_and_keeps_its_id),
        cmocka_unit_test(an_id_has_at_most_128_bytes_of_text),
        cmocka_unit_test(text_that_is_not_json_is_refused_whole),
        cmocka_unit_test(too_deep_nesting_is_a_limit),
        cmocka_unit_test(a_frame_of_more_than_1000_messages_is_a_limit),
        cmocka_unit_test(each_dialect_gets_its_own_form),
        cmocka_unit_test(a_pong_and_a_defect_name_no_request),
        cmocka_unit_test(a_frame_cut_short_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
