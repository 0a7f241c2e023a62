#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "endpoint/front_internal.h"
#include "endpoint/sync_cf_internal.h"

static struct front *front;
static struct endpoint_sync_cf endpoint;

static int setup(void **state)
{
    (void)state;
    struct front_options options = {.inflight_bytes_max = 1u << 20};
    front = front_create(&options, (struct endpoint[]){{0}}, 1);
    endpoint = (struct endpoint_sync_cf){.front = front};
    return front != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    front_destroy(front);
    return 0;
}

static struct rpc_message request_of(struct slice id, const char *payload)
{
    return (struct rpc_message){.kind = RPC_REQUEST,
                                .dialect = id.data[0] == '"' ? RPC_V3 : RPC_V4,
                                .id = id,
                                .tag = SLICE("SyncWsRpc.Push"),
                                .payload = slice_of_string(payload)};
}

#define ID3 SLICE("\"17\"")
#define ID4 SLICE("17")

/* An answer, compared with what is expected, and emptied. */
static void assert_answer(struct buffer *out, const char *expected)
{
    assert_int_equal(buffer_status(out), SLUICE_OK);
    if (!slice_equal(buffer_slice(out), slice_of_string(expected))) {
        fail_msg("got %.*s, expected %s", (int)out->bytes, out->data, expected);
    }
    assert_int_equal(json_validate(buffer_slice(out), NULL), SLUICE_OK);
    buffer_clear(out);
}

/* --- From messages to pushes and pulls --- */

static const char PUSH[] =
    "{\"storeId\":\"s\",\"batch\":[{\"name\":\"n\",\"args\":{\"a\":1},\"seqNum\":2,"
    "\"parentSeqNum\":1,\"clientId\":\"c\",\"sessionId\":\"x\"}],"
    "\"backendId\":{\"_tag\":\"Some\",\"value\":\"theirs\"}}";

static void a_push_is_made_of_its_message_and_outlives_it(void **state)
{
    (void)state;
    char *text = strdup(PUSH);
    char id[] = "\"17\"";
    assert_non_null(text);
    struct rpc_message message = request_of(slice_of_string(id), text);
    struct push_request *push = NULL;
    assert_int_equal(cf_push_create(&endpoint, &message, SLICE("s"), &push, NULL), SLUICE_OK);
    free(text);
    memset(id, '?', sizeof id);
    assert_true(slice_equal(push->id, ID3));
    assert_int_equal(push->dialect, RPC_V3);
    assert_true(slice_equal(push->push.store_id, SLICE("s")));
    assert_true(push->push.has_backend_id);
    assert_true(slice_equal(push->push.backend_id, SLICE("theirs")));
    assert_int_equal(push->push.event_count, 1);
    assert_true(slice_equal(push->push.events[0].args, SLICE("{\"a\":1}")));
    assert_int_equal(push->push.events[0].seq_num, 2);
    push_request_destroy(push);
}

static void a_pull_is_made_of_its_message_and_outlives_it(void **state)
{
    (void)state;
    char *text = strdup("{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"_tag\":\"Some\",\"value\":"
                        "{\"backendId\":\"theirs\",\"eventSequenceNumber\":5}}}");
    char id[] = "17";
    assert_non_null(text);
    struct rpc_message message = request_of(slice_of_string(id), text);
    struct cf_pull *pull = NULL;
    assert_int_equal(cf_pull_create(&message, SLICE("s"), true, &pull, NULL), SLUICE_OK);
    free(text);
    memset(id, '?', sizeof id);
    assert_true(slice_equal(pull->id, ID4));
    assert_int_equal(pull->dialect, RPC_V4);
    assert_true(
        slice_equal(pull->chunk_start, SLICE("{\"_tag\":\"Chunk\",\"requestId\":17,\"values\":[")));
    assert_true(pull->pull.live);
    assert_true(pull->pull.has_cursor);
    assert_int_equal(pull->pull.cursor, 5);
    assert_true(slice_equal(pull->pull.cursor_backend_id, SLICE("theirs")));
    free(pull);
}

static void a_pull_over_http_is_never_live(void **state)
{
    (void)state;
    struct rpc_message message =
        request_of(ID3, "{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"_tag\":\"None\"}}");
    struct cf_pull *pull = NULL;
    assert_int_equal(cf_pull_create(&message, SLICE("s"), false, &pull, NULL), SLUICE_OK);
    assert_false(pull->pull.live);
    assert_false(pull->pull.has_cursor);
    assert_int_equal(pull->pull.cursor, 0);
    free(pull);
}

static void a_payload_that_names_another_store_is_refused(void **state)
{
    (void)state;
    static const char message_text[] =
        "the payload's storeId is not the one in the URL, which counts";
    struct sluice_error error = {0};
    struct push_request *push = NULL;
    struct cf_pull *pull = NULL;
    struct rpc_message message = request_of(ID3, PUSH);
    assert_int_equal(cf_push_create(&endpoint, &message, SLICE("other"), &push, &error),
                     SLUICE_INVALID);
    assert_string_equal(error.message, message_text);
    message = request_of(ID3, "{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"_tag\":\"None\"}}");
    assert_int_equal(cf_pull_create(&message, SLICE("S"), true, &pull, &error), SLUICE_INVALID);
    assert_string_equal(error.message, message_text);
    assert_null(push);
    assert_null(pull);
}

/* A JSON text around a backend id of so many bytes. */
static void payload_with_backend_id(struct buffer *out, const char *before, size_t bytes,
                                    const char *after)
{
    buffer_clear(out);
    buffer_append_slice(out, slice_of_string(before));
    for (size_t i = 0; i < bytes; i++) {
        buffer_append_byte(out, 'b');
    }
    buffer_append_slice(out, slice_of_string(after));
    buffer_append_byte(out, '\0');
    assert_int_equal(buffer_status(out), SLUICE_OK);
}

static void a_backend_id_has_at_most_64_bytes(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 4096);
    for (size_t bytes = BACKEND_ID_BYTES_MAX; bytes <= BACKEND_ID_BYTES_MAX + 1; bytes++) {
        enum sluice_status expected = bytes <= BACKEND_ID_BYTES_MAX ? SLUICE_OK : SLUICE_LIMIT;
        struct sluice_error error = {0};
        struct push_request *push = NULL;
        struct cf_pull *pull = NULL;
        payload_with_backend_id(
            &text, "{\"storeId\":\"s\",\"batch\":[],\"backendId\":{\"_tag\":\"Some\",\"value\":\"",
            bytes, "\"}}");
        struct rpc_message message = request_of(ID3, text.data);
        assert_int_equal(cf_push_create(&endpoint, &message, SLICE("s"), &push, &error), expected);
        payload_with_backend_id(&text,
                                "{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"_tag\":\"Some\","
                                "\"value\":{\"eventSequenceNumber\":0,\"backendId\":\"",
                                bytes, "\"}}}");
        message = request_of(ID3, text.data);
        assert_int_equal(cf_pull_create(&message, SLICE("s"), true, &pull, &error), expected);
        push_request_destroy(push);
        free(pull);
    }
    buffer_deinit(&text);
}

/* --- From outcomes to messages --- */

static struct push_request push_with(enum sluice_status status, struct slice id)
{
    static struct event event = {.seq_num = 4, .parent_seq_num = 3};
    struct push_request push = {.id = id, .dialect = id.data[0] == '"' ? RPC_V3 : RPC_V4};
    push.push = (struct sync_push){.status = status,
                                   .events = &event,
                                   .event_count = 1,
                                   .head = 9,
                                   .has_backend_id = true,
                                   .backend_id = SLICE("theirs"),
                                   .backend_id_expected = "ours",
                                   .error = {.status = status, .message = "a \"reason\""}};
    return push;
}

#define FAILURE3(error)                                                                            \
    "{\"_tag\":\"Exit\",\"requestId\":\"17\",\"exit\":{\"_tag\":\"Failure\",\"cause\":{\"_tag\":"  \
    "\"Fail\",\"error\":" error "}}}"
#define FAILURE4(error)                                                                            \
    "{\"_tag\":\"Exit\",\"requestId\":17,\"exit\":{\"_tag\":\"Failure\",\"cause\":[{\"_tag\":"     \
    "\"Fail\",\"error\":" error "}]}}"
#define UNKNOWN "{\"_tag\":\"UnknownError\",\"cause\":\"a \\\"reason\\\"\"}"
#define MISMATCH                                                                                   \
    "{\"_tag\":\"BackendIdMismatchError\",\"expected\":\"ours\",\"received\":\"theirs\"}"
#define AHEAD "{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":9,\"providedNum\":3}"

struct outcome_case {
    enum sluice_status status;
    const char *v3;
    const char *v4;
};

static void a_push_is_answered_by_its_outcome(void **state)
{
    (void)state;
    static const struct outcome_case cases[] = {
        {SLUICE_OK,
         "{\"_tag\":\"Exit\",\"requestId\":\"17\",\"exit\":{\"_tag\":\"Success\",\"value\":{}}}",
         "{\"_tag\":\"Exit\",\"requestId\":17,\"exit\":{\"_tag\":\"Success\",\"value\":{}}}"},
        {SLUICE_SERVER_AHEAD, FAILURE3(AHEAD), FAILURE4(AHEAD)},
        {SLUICE_BACKEND_ID_MISMATCH, FAILURE3(MISMATCH), FAILURE4(MISMATCH)},
        {SLUICE_INVALID, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
        {SLUICE_LIMIT, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
        {SLUICE_STORAGE_FULL, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
        {SLUICE_STORAGE_IO, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
        {SLUICE_NO_MEMORY, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
        {SLUICE_UNAVAILABLE, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
    };
    struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct push_request v3 = push_with(cases[i].status, ID3);
        cf_answer_push(&out, &v3);
        assert_answer(&out, cases[i].v3);
        struct push_request v4 = push_with(cases[i].status, ID4);
        cf_answer_push(&out, &v4);
        assert_answer(&out, cases[i].v4);
    }
    buffer_deinit(&out);
}

static void the_end_of_a_pull_is_answered_by_its_outcome(void **state)
{
    (void)state;
    static const struct outcome_case cases[] = {
        {SLUICE_OK,
         "{\"_tag\":\"Exit\",\"requestId\":\"17\",\"exit\":{\"_tag\":\"Success\",\"value\":null}}",
         "{\"_tag\":\"Exit\",\"requestId\":17,\"exit\":{\"_tag\":\"Success\",\"value\":null}}"},
        {SLUICE_BACKEND_ID_MISMATCH, FAILURE3(MISMATCH), FAILURE4(MISMATCH)},
        {SLUICE_CURSOR_AHEAD, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
        {SLUICE_STORAGE_CORRUPT, FAILURE3(UNKNOWN), FAILURE4(UNKNOWN)},
    };
    struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sluice_error error = {.status = cases[i].status, .message = "a \"reason\""};
        struct cf_pull pull = {
            .id = ID3,
            .dialect = RPC_V3,
            .pull = {.cursor_backend_id = SLICE("theirs"), .backend_id = "ours"}};
        cf_answer_pull_end(&out, &pull, cases[i].status, &error);
        assert_answer(&out, cases[i].v3);
        pull.id = ID4;
        pull.dialect = RPC_V4;
        cf_answer_pull_end(&out, &pull, cases[i].status, &error);
        assert_answer(&out, cases[i].v4);
    }
    buffer_deinit(&out);
}

/* What makes no sense is a defect; what may be tried again is an error. */
static void a_request_that_cannot_start_is_answered_by_why(void **state)
{
    (void)state;
    struct buffer out;
    struct sluice_error error = {.message = "a \"reason\""};
    struct rpc_message message = request_of(ID4, "null");
    buffer_init(&out, 4096);
    cf_answer_refusal(&out, &message, SLUICE_INVALID, &error);
    assert_answer(&out, "{\"_tag\":\"Exit\",\"requestId\":17,\"exit\":{\"_tag\":\"Failure\","
                        "\"cause\":[{\"_tag\":\"Die\",\"defect\":\"a \\\"reason\\\"\"}]}}");
    cf_answer_refusal(&out, &message, SLUICE_LIMIT, &error);
    assert_answer(&out, FAILURE4(UNKNOWN));
    cf_answer_refusal(&out, &message, SLUICE_UNAVAILABLE, &error);
    assert_answer(&out, FAILURE4(UNKNOWN));
    buffer_deinit(&out);
}

static void what_is_not_understood_ends_as_little_as_it_can(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct rpc_message message = {.kind = RPC_INVALID, .problem = "no such thing", .id = ID3};
    cf_answer_invalid(&out, &message);
    assert_answer(&out, "{\"_tag\":\"Exit\",\"requestId\":\"17\",\"exit\":{\"_tag\":\"Failure\","
                        "\"cause\":{\"_tag\":\"Die\",\"defect\":\"no such thing\"}}}");
    message.id = SLICE_EMPTY; /* only then everything on the socket */
    cf_answer_invalid(&out, &message);
    assert_answer(&out, "{\"_tag\":\"Defect\",\"defect\":\"no such thing\"}");
    message = request_of(ID3, "null");
    message.tag = SLICE("SyncWsRpc.Nope");
    cf_answer_unknown_procedure(&out, &message);
    assert_answer(&out, "{\"_tag\":\"Exit\",\"requestId\":\"17\",\"exit\":{\"_tag\":\"Failure\","
                        "\"cause\":{\"_tag\":\"Die\",\"defect\":\"unknown procedure "
                        "SyncWsRpc.Nope\"}}}");
    buffer_deinit(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_push_is_made_of_its_message_and_outlives_it),
        TEST(a_pull_is_made_of_its_message_and_outlives_it),
        TEST(a_pull_over_http_is_never_live),
        TEST(a_payload_that_names_another_store_is_refused),
        TEST(a_backend_id_has_at_most_64_bytes),
        TEST(a_push_is_answered_by_its_outcome),
        TEST(the_end_of_a_pull_is_answered_by_its_outcome),
        TEST(a_request_that_cannot_start_is_answered_by_why),
        TEST(what_is_not_understood_ends_as_little_as_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
