#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/effect_rpc_client.h"

#define V3_INTERRUPT                                                                               \
    "{\"_tag\":\"Interrupt\",\"fiberId\":{\"_tag\":\"Runtime\",\"id\":-499,"                       \
    "\"startTimeMillis\":0}}"

/* The only message of a frame. */
static struct rpc_reply read_one(const char *text)
{
    struct rpc_frame frame;
    struct rpc_reply reply;
    struct rpc_reply another;
    struct sluice_error error = {0};
    if (rpc_frame_open(&frame, slice_of_string(text), &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    assert_true(rpc_reply_next(&frame, &reply));
    assert_false(rpc_reply_next(&frame, &another));
    return reply;
}

static void assert_reply(const char *text, enum rpc_reply_kind kind, const char *body)
{
    struct rpc_reply reply = read_one(text);
    if (reply.kind != kind || !slice_equal(reply.body, slice_of_string(body))) {
        fail_msg("%s: kind %d, body '%.*s'", text, (int)reply.kind, SLICE_PRINT(reply.body));
    }
}

static void requests_are_written_as_the_published_client_does(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1000);
    rpc_append_request_start(&out, 12, "SyncWsRpc.Pull");
    buffer_append_literal(&out, "{}" RPC_REQUEST_END);
    rpc_append_ack(&out, 12);
    rpc_append_interrupt(&out, UINT64_MAX);
    assert_true(slice_equal(
        buffer_slice(&out),
        SLICE("{\"_tag\":\"Request\",\"id\":\"12\",\"tag\":\"SyncWsRpc.Pull\",\"headers\":[],"
              "\"payload\":{}}{\"_tag\":\"Ack\",\"requestId\":\"12\"}"
              "{\"_tag\":\"Interrupt\",\"requestId\":\"18446744073709551615\"}")));
    buffer_deinit(&out);
}

static void the_servers_decoder_reads_what_the_client_writes(void **state)
{
    (void)state;
    struct buffer out;
    struct rpc_frame frame;
    struct rpc_message message;
    buffer_init(&out, 1000);
    rpc_append_request_start(&out, 7, "SyncWsRpc.Push");
    buffer_append_literal(&out, "{\"a\":1}" RPC_REQUEST_END);
    assert_int_equal(rpc_frame_open(&frame, buffer_slice(&out), NULL), SLUICE_OK);
    assert_true(rpc_frame_next(&frame, &message));
    assert_int_equal(message.kind, RPC_REQUEST);
    assert_int_equal(message.dialect, RPC_V3);
    assert_true(slice_equal(message.id, SLICE("\"7\"")));
    assert_true(json_key_is(message.tag, "SyncWsRpc.Push"));
    assert_true(slice_equal(message.payload, SLICE("{\"a\":1}")));
    buffer_deinit(&out);
}

static void pongs_chunks_and_exits_are_told_apart(void **state)
{
    (void)state;
    assert_reply("{\"_tag\":\"Pong\"}", RPC_REPLY_PONG, "");
    assert_reply("{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[{},{}]}", RPC_REPLY_CHUNK,
                 "[{},{}]");
    assert_reply(
        "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Success\",\"value\":{}}}",
        RPC_REPLY_SUCCESS, "{}");
    assert_reply("{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Success\"}}",
                 RPC_REPLY_SUCCESS, "null");
    assert_reply("{\"_tag\":\"Defect\",\"defect\":\"x\"}", RPC_REPLY_DEFECT, "\"x\"");
    assert_reply("{\"_tag\":\"Future\",\"requestId\":\"1\"}", RPC_REPLY_OTHER, "");
}

static void ids_come_back_as_strings_or_numbers(void **state)
{
    (void)state;
    struct rpc_reply reply = read_one("{\"requestId\":\"34\",\"values\":[],\"_tag\":\"Chunk\"}");
    assert_true(reply.has_id && reply.id == 34);
    reply = read_one("{\"_tag\":\"Chunk\",\"requestId\":34,\"values\":[]}");
    assert_true(reply.has_id && reply.id == 34);
    reply = read_one("{\"_tag\":\"Chunk\",\"requestId\":\"x\",\"values\":[]}");
    assert_false(reply.has_id);
    reply = read_one("{\"_tag\":\"Chunk\",\"values\":[]}");
    assert_false(reply.has_id);
}

#define FAILURE(cause)                                                                             \
    "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Failure\",\"cause\":" cause "}}"

static void causes_of_both_dialects_are_read(void **state)
{
    (void)state;
    assert_reply(FAILURE("{\"_tag\":\"Fail\",\"error\":{\"a\":1}}"), RPC_REPLY_FAIL, "{\"a\":1}");
    assert_reply(FAILURE("[{\"_tag\":\"Fail\",\"error\":{\"a\":1}}]"), RPC_REPLY_FAIL, "{\"a\":1}");
    assert_reply(FAILURE("{\"_tag\":\"Die\",\"defect\":\"d\"}"), RPC_REPLY_DIE, "\"d\"");
    assert_reply(FAILURE("[{\"_tag\":\"Die\",\"defect\":\"d\"}]"), RPC_REPLY_DIE, "\"d\"");
    assert_reply(FAILURE("{\"_tag\":\"Interrupt\",\"fiberId\":{\"_tag\":\"None\"}}"),
                 RPC_REPLY_INTERRUPTED, "");
    assert_reply(FAILURE("[{\"_tag\":\"Interrupt\",\"fiberId\":null}]"), RPC_REPLY_INTERRUPTED, "");
    assert_reply(FAILURE("{\"_tag\":\"Empty\"}"), RPC_REPLY_DIE, "null");
    assert_reply(FAILURE("[]"), RPC_REPLY_DIE, "null");
    assert_reply(FAILURE("7"), RPC_REPLY_DIE, "null");
    assert_reply("{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Failure\"}}",
                 RPC_REPLY_DIE, "null");
}

static void a_cause_of_several_parts_counts_as_its_first_fail(void **state)
{
    (void)state;
    /* As the reference server ends a pull that was interrupted (recorded, shortened). */
    assert_reply(FAILURE("{\"_tag\":\"Sequential\",\"left\":{\"_tag\":\"Sequential\",\"left\":"
                         "{\"_tag\":\"Empty\"},\"right\":" V3_INTERRUPT "},\"right\":" V3_INTERRUPT
                         "}"),
                 RPC_REPLY_INTERRUPTED, "");
    assert_reply(FAILURE("{\"_tag\":\"Parallel\",\"left\":" V3_INTERRUPT ",\"right\":"
                         "{\"_tag\":\"Fail\",\"error\":1}}"),
                 RPC_REPLY_FAIL, "1");
    assert_reply(FAILURE("[{\"_tag\":\"Die\",\"defect\":0},{\"_tag\":\"Fail\",\"error\":1},"
                         "{\"_tag\":\"Fail\",\"error\":2}]"),
                 RPC_REPLY_FAIL, "1");
}

static void what_is_no_message_says_why(void **state)
{
    static const char *const NONSENSE[] = {
        "null",
        "7",
        "{}",
        "{\"_tag\":7}",
        "{\"_tag\":\"Chunk\",\"requestId\":\"1\"}",
        "{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":{}}",
        "{\"_tag\":\"Exit\",\"requestId\":\"1\"}",
        "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":7}",
        "{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Other\"}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(NONSENSE) / sizeof(NONSENSE[0]); i++) {
        struct rpc_reply reply = read_one(NONSENSE[i]);
        assert_int_equal(reply.kind, RPC_REPLY_INVALID);
        assert_non_null(reply.problem);
    }
}

static void an_array_is_several_messages(void **state)
{
    (void)state;
    struct rpc_frame frame;
    struct rpc_reply reply;
    assert_int_equal(
        rpc_frame_open(&frame, SLICE("[{\"_tag\":\"Pong\"},7,{\"_tag\":\"Pong\"}]"), NULL),
        SLUICE_OK);
    assert_true(rpc_reply_next(&frame, &reply) && reply.kind == RPC_REPLY_PONG);
    assert_true(rpc_reply_next(&frame, &reply) && reply.kind == RPC_REPLY_INVALID);
    assert_true(rpc_reply_next(&frame, &reply) && reply.kind == RPC_REPLY_PONG);
    assert_false(rpc_reply_next(&frame, &reply));
    assert_false(rpc_reply_next(&frame, &reply));
    assert_int_equal(rpc_frame_open(&frame, SLICE("[]"), NULL), SLUICE_OK);
    assert_false(rpc_reply_next(&frame, &reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_written_as_the_published_client_does),
        cmocka_unit_test(the_servers_decoder_reads_what_the_client_writes),
        cmocka_unit_test(pongs_chunks_and_exits_are_told_apart),
        cmocka_unit_test(ids_come_back_as_strings_or_numbers),
        cmocka_unit_test(causes_of_both_dialects_are_read),
        cmocka_unit_test(a_cause_of_several_parts_counts_as_its_first_fail),
        cmocka_unit_test(what_is_no_message_says_why),
        cmocka_unit_test(an_array_is_several_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
