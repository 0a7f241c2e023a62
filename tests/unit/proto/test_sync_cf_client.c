#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "proto/sync_cf.h"
#include "proto/sync_cf_client.h"

static struct arena arena;
static struct buffer out;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    buffer_init(&out, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    buffer_deinit(&out);
    return 0;
}

static void assert_out(const char *expected)
{
    if (!slice_equal(buffer_slice(&out), slice_of_string(expected))) {
        fail_msg("wrote '%.*s', expected '%s'", SLICE_PRINT(buffer_slice(&out)), expected);
    }
    buffer_clear(&out);
}

static const struct sync_cf_query PLAIN = {.store_id = {"s\"", 2}};
static const struct sync_cf_query FULL = {
    .store_id = {"s", 1}, .payload = {"{\"k\":1}", 7}, .backend_id = {"b", 1}};

static void a_cursor_is_sent_with_a_backend_id_only(void **state)
{
    (void)state;
    sync_cf_append_pull(&out, &PLAIN, 7, true, true);
    assert_out("{\"storeId\":\"s\\\"\",\"live\":true,\"cursor\":{\"_tag\":\"None\"}}");
    sync_cf_append_pull(&out, &FULL, 0, true, false);
    assert_out("{\"storeId\":\"s\",\"payload\":{\"k\":1},\"live\":false,\"cursor\":"
               "{\"_tag\":\"None\"}}");
    sync_cf_append_pull(&out, &FULL, 7, false, false);
    assert_out("{\"storeId\":\"s\",\"payload\":{\"k\":1},\"cursor\":{\"_tag\":\"Some\",\"value\":"
               "{\"backendId\":\"b\",\"eventSequenceNumber\":7}}}");
}

static void the_servers_decoders_read_what_the_client_writes(void **state)
{
    (void)state;
    struct sync_cf_pull pull;
    struct sync_cf_push push;
    struct slice store_id;
    struct event events[] = {{.seq_num = 4,
                              .parent_seq_num = 3,
                              .name = SLICE("n"),
                              .args = SLICE("{\"x\":1.0}"),
                              .client_id = SLICE("c"),
                              .session_id = SLICE("")},
                             {.seq_num = 5,
                              .parent_seq_num = 4,
                              .name = SLICE("m"),
                              .args = SLICE("null"),
                              .client_id = SLICE("\n"),
                              .session_id = SLICE("s")}};
    sync_cf_append_pull(&out, &FULL, 7, true, true);
    assert_int_equal(sync_cf_decode_pull(buffer_slice(&out), true, &arena, &pull, NULL), SLUICE_OK);
    assert_true(pull.live && pull.has_cursor && pull.cursor_seq_num == 7);
    assert_true(slice_equal(pull.cursor_backend_id, SLICE("b")));
    buffer_clear(&out);
    sync_cf_append_push_start(&out, &FULL);
    sync_cf_append_push_event(&out, &events[0], true);
    sync_cf_append_push_event(&out, &events[1], false);
    sync_cf_append_push_end(&out, &FULL);
    assert_int_equal(json_validate(buffer_slice(&out), NULL), SLUICE_OK);
    assert_int_equal(sync_cf_decode_push(buffer_slice(&out), &arena, &push, NULL), SLUICE_OK);
    assert_int_equal(push.event_count, 2);
    assert_true(push.has_backend_id && slice_equal(push.backend_id, SLICE("b")));
    assert_true(slice_equal(push.events[0].args, SLICE("{\"x\":1.0}")));
    assert_true(slice_equal(push.events[1].client_id, SLICE("\n")));
    buffer_clear(&out);
    sync_cf_append_push_start(&out, &PLAIN);
    sync_cf_append_push_end(&out, &PLAIN);
    assert_int_equal(sync_cf_decode_push(buffer_slice(&out), &arena, &push, NULL), SLUICE_OK);
    assert_false(push.has_backend_id);
    buffer_clear(&out);
    sync_cf_append_ping(&out, &FULL);
    assert_int_equal(sync_cf_decode_ping(buffer_slice(&out), &arena, &store_id, NULL), SLUICE_OK);
    assert_true(slice_equal(store_id, SLICE("s")));
}

static struct sync_cf_page decode_page(const char *text)
{
    struct sync_cf_page page;
    struct sluice_error error = {0};
    assert_int_equal(json_validate(slice_of_string(text), NULL), SLUICE_OK);
    if (sync_cf_decode_page(slice_of_string(text), &arena, &page, &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return page;
}

#define EVENT                                                                                      \
    "\"eventEncoded\":{\"name\":\"v1.TodoCreated\",\"args\":{\"id\":\"x1\"},\"seqNum\":1,"         \
    "\"parentSeqNum\":0,\"clientId\":\"c1\",\"sessionId\":\"s1\"}"
#define END "],\"pageInfo\":{\"_tag\":\"NoMore\"},\"backendId\":\"b\"}"

static void a_page_is_read_as_the_reference_writes_it(void **state)
{
    (void)state;
    struct sync_cf_page page = decode_page(
        "{\"batch\":[{" EVENT ",\"metadata\":{\"_tag\":\"Some\",\"value\":{\"_tag\":"
        "\"SyncMessage.SyncMetadata\",\"createdAt\":\"2026-11-23T00:36:30.784Z\"}}}],\"pageInfo\":"
        "{\"_tag\":\"MoreKnown\",\"remaining\":12},\"backendId\":\"A6l2VfjMAn1zHxXgKESAO\"}");
    assert_int_equal(page.event_count, 1);
    assert_int_equal(page.events[0].seq_num, 1);
    assert_true(slice_equal(page.events[0].args, SLICE("{\"id\":\"x1\"}")));
    assert_int_equal(page.events[0].created_at_ms, 1795394190784);
    assert_int_equal(page.more, SYNC_CF_MORE_KNOWN);
    assert_int_equal(page.remaining, 12);
    assert_true(slice_equal(page.backend_id, SLICE("A6l2VfjMAn1zHxXgKESAO")));
}

static void the_servers_pages_are_read(void **state)
{
    (void)state;
    struct event event = {.seq_num = 9,
                          .parent_seq_num = 4,
                          .name = SLICE("n"),
                          .args = SLICE("[1]"),
                          .created_at_ms = -1};
    sync_cf_page_start(&out);
    sync_cf_page_event(&out, &event, true);
    sync_cf_page_end(&out, 0, SLICE("b"));
    buffer_append_byte(&out, '\0');
    struct sync_cf_page page = decode_page(out.data);
    assert_int_equal(page.events[0].seq_num, 9);
    assert_int_equal(page.events[0].parent_seq_num, 4);
    assert_int_equal(page.events[0].created_at_ms, -1);
    assert_int_equal(page.more, SYNC_CF_NO_MORE);
}

static void what_servers_leave_out_is_made_up_for(void **state)
{
    static const char *const TIMELESS[] = {
        "{\"batch\":[{" EVENT "}" END,
        "{\"batch\":[{" EVENT ",\"metadata\":{\"_tag\":\"None\"}}" END,
        "{\"batch\":[{" EVENT ",\"metadata\":null}" END,
        "{\"batch\":[{" EVENT ",\"metadata\":{\"_tag\":\"Some\",\"value\":7}}" END,
        "{\"batch\":[{" EVENT
        ",\"metadata\":{\"_tag\":\"Some\",\"value\":{\"createdAt\":\"yesterday\"}}}" END,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TIMELESS) / sizeof(TIMELESS[0]); i++) {
        assert_true(decode_page(TIMELESS[i]).events[0].created_at_ms == SYNC_CF_NO_TIME);
    }
    struct sync_cf_page page =
        decode_page("{\"batch\":[{\"eventEncoded\":{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0,"
                    "\"clientId\":\"c\",\"sessionId\":\"s\",\"more\":1},\"extra\":[]}" END);
    assert_true(slice_equal(page.events[0].args, SLICE("null")));
    page =
        decode_page("{\"batch\":[],\"pageInfo\":{\"_tag\":\"MoreUnknown\"},\"backendId\":\"b\"}");
    assert_int_equal(page.more, SYNC_CF_MORE_UNKNOWN);
    page = decode_page("{\"batch\":[],\"pageInfo\":{\"_tag\":\"Later\"},\"backendId\":\"b\"}");
    assert_int_equal(page.more, SYNC_CF_MORE_UNKNOWN);
}

static void a_page_of_a_wrong_shape_names_the_field(void **state)
{
    static const struct {
        const char *page;
        const char *message;
    } WRONG[] = {
        {"7", "a page must be an object"},
        {"{\"pageInfo\":{\"_tag\":\"NoMore\"},\"backendId\":\"b\"}", "page.batch is missing"},
        {"{\"batch\":{},\"pageInfo\":{},\"backendId\":\"b\"}", "page.batch must be an array"},
        {"{\"batch\":[],\"backendId\":\"b\"}", "page.pageInfo is missing"},
        {"{\"batch\":[],\"pageInfo\":7,\"backendId\":\"b\"}", "page.pageInfo must be an object"},
        {"{\"batch\":[],\"pageInfo\":{}}", "page.backendId is missing"},
        {"{\"batch\":[],\"pageInfo\":{},\"backendId\":\"\"}",
         "page.backendId must have 1 to 64 bytes"},
        {"{\"batch\":[7" END, "page.batch[0]: an item must be an object"},
        {"{\"batch\":[{}" END, "page.batch[0]: eventEncoded is missing"},
        {"{\"batch\":[{\"eventEncoded\":7}" END, "page.batch[0]: an event must be an object"},
        {"{\"batch\":[{\"eventEncoded\":{\"seqNum\":-1}}" END,
         "page.batch[0]: seqNum must be an integer from 0 to 2^53-1, written as digits"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        struct sync_cf_page page;
        struct sluice_error error = {0};
        assert_int_equal(json_validate(slice_of_string(WRONG[i].page), NULL), SLUICE_OK);
        assert_int_equal(sync_cf_decode_page(slice_of_string(WRONG[i].page), &arena, &page, &error),
                         SLUICE_INVALID);
        assert_string_equal(error.message, WRONG[i].message);
    }
}

static struct sync_cf_error decode_error(const char *text)
{
    struct sync_cf_error error;
    assert_int_equal(json_validate(slice_of_string(text), NULL), SLUICE_OK);
    assert_int_equal(sync_cf_decode_error(slice_of_string(text), &arena, &error), SLUICE_OK);
    return error;
}

static void typed_errors_are_read(void **state)
{
    (void)state;
    struct sync_cf_error error =
        decode_error("{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":9,\"providedNum\":3}");
    assert_int_equal(error.status, SLUICE_SERVER_AHEAD);
    assert_int_equal(error.minimum_expected, 9);
    assert_int_equal(error.provided, 3);
    error = decode_error(
        "{\"_tag\":\"BackendIdMismatchError\",\"expected\":\"a\\n\",\"received\":\"b\"}");
    assert_int_equal(error.status, SLUICE_BACKEND_ID_MISMATCH);
    assert_true(slice_equal(error.expected, SLICE("a\n")));
    assert_true(slice_equal(error.received, SLICE("b")));
}

static void a_typed_error_inside_an_unknown_one_counts(void **state)
{
    (void)state;
    struct sync_cf_error error =
        decode_error("{\"_tag\":\"UnknownError\",\"cause\":{\"_tag\":\"ServerAheadError\","
                     "\"minimumExpectedNum\":9,\"providedNum\":3}}");
    assert_int_equal(error.status, SLUICE_SERVER_AHEAD);
    error = decode_error("{\"_tag\":\"InvalidPushError\",\"cause\":{\"_tag\":"
                         "\"BackendIdMismatchError\",\"expected\":\"a\",\"received\":\"b\"}}");
    assert_int_equal(error.status, SLUICE_BACKEND_ID_MISMATCH);
}

static void any_other_error_gives_its_text(void **state)
{
    static const struct {
        const char *error;
        const char *text;
    } OTHERS[] = {
        {"{\"_tag\":\"UnknownError\",\"cause\":\"disk full\"}", "disk full"},
        {"{\"_tag\":\"Other\",\"message\":\"m\"}", "m"},
        {"{\"_tag\":\"UnknownError\",\"cause\":{\"x\":1}}",
         "{\"_tag\":\"UnknownError\",\"cause\":{\"x\":1}}"},
        {"{\"_tag\":\"ServerAheadError\"}", "{\"_tag\":\"ServerAheadError\"}"},
        {"{\"_tag\":7}", "{\"_tag\":7}"},
        {"null", "null"},
        {"\"text\"", "\"text\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        struct sync_cf_error error = decode_error(OTHERS[i].error);
        assert_int_equal(error.status, SLUICE_UNKNOWN);
        assert_true(slice_equal(error.text, slice_of_string(OTHERS[i].text)));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_cursor_is_sent_with_a_backend_id_only),
        TEST(the_servers_decoders_read_what_the_client_writes),
        TEST(a_page_is_read_as_the_reference_writes_it),
        TEST(the_servers_pages_are_read),
        TEST(what_servers_leave_out_is_made_up_for),
        TEST(a_page_of_a_wrong_shape_names_the_field),
        TEST(typed_errors_are_read),
        TEST(a_typed_error_inside_an_unknown_one_counts),
        TEST(any_other_error_gives_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
