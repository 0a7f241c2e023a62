#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/json.h"
#include "loadgen/text.h"
#include "ws/ws_parser.h"

static const struct load_options OPTIONS = {
    .host = "127.0.0.1", .port = "1", .store = "bench", .batch = 3, .event_bytes = 250};

/* The message of one masked frame, as a server reads it; the caller frees it. */
static char *unframe(struct slice frame, struct slice *message)
{
    struct ws_parser parser;
    ws_parser_init(&parser, WS_SERVER, 1u << 20);
    char *copy = malloc(frame.bytes);
    assert_non_null(copy);
    memcpy(copy, frame.data, frame.bytes);
    char *at = copy;
    size_t left = frame.bytes;
    assert_int_equal(ws_parser_feed(&parser, &at, &left), WS_TEXT);
    assert_int_equal(left, 0);
    *message = parser.payload;
    ws_parser_deinit(&parser);
    return copy;
}

static void assert_message(struct slice frame, const char *wanted)
{
    struct slice message;
    char *memory = unframe(frame, &message);
    struct sluice_error error = {0};
    if (json_validate(message, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
    if (memmem(message.data, message.bytes, wanted, strlen(wanted)) == NULL) {
        fail_msg("not in it: %s\n%.*s", wanted, (int)message.bytes, message.data);
    }
    free(memory);
}

static void a_push_is_json_in_a_frame_with_its_numbers_in_place(void **state)
{
    (void)state;
    struct load_text push;
    load_text_init(&push);
    assert_int_equal(load_text_make_push(&push, &OPTIONS, NULL), SLUICE_OK);
    load_text_set_store(&push, 42);
    load_text_set_id(&push, 1000000007);
    load_text_set_head(&push, 1000000009);
    assert_message(load_text_slice(&push), "\"id\":\"1000000007\",\"tag\":\"SyncWsRpc.Push\"");
    assert_message(load_text_slice(&push), "\"storeId\":\"bench-00042\"");
    assert_message(load_text_slice(&push), "\"seqNum\":1000000010,\"parentSeqNum\":1000000009,");
    assert_message(load_text_slice(&push), "\"seqNum\":1000000012,\"parentSeqNum\":1000000011,");
    load_text_set_head(&push, LOAD_SEQ_BASE); /* numbers are written over, shorter ones too */
    assert_message(load_text_slice(&push), "\"seqNum\":1000000001,\"parentSeqNum\":         0,");
    assert_message(load_text_slice(&push), "\"seqNum\":1000000002,\"parentSeqNum\":1000000001,");
    load_text_deinit(&push);
}

static void a_pull_says_from_where(void **state)
{
    (void)state;
    struct load_text pull;
    load_text_init(&pull);
    assert_int_equal(load_text_make_pull(&pull, &OPTIONS, true, SLICE_EMPTY, 0, NULL), SLUICE_OK);
    assert_message(load_text_slice(&pull), "\"live\":true,\"cursor\":{\"_tag\":\"None\"}");
    assert_int_equal(load_text_make_pull(&pull, &OPTIONS, false, SLICE("abc"), 7, NULL), SLUICE_OK);
    assert_message(load_text_slice(&pull), "{\"backendId\":\"abc\",\"eventSequenceNumber\":7}}");
    load_text_deinit(&pull);
}

static void an_ack_and_an_interrupt_name_their_request(void **state)
{
    (void)state;
    char out[LOAD_CONTROL_BYTES_MAX];
    assert_message(load_text_ack(out, 1000000007),
                   "{\"_tag\":\"Ack\",\"requestId\":\"1000000007\"}");
    assert_message(load_text_interrupt(out, 1000000007),
                   "{\"_tag\":\"Interrupt\",\"requestId\":\"1000000007\"}");
}

static void an_answer_is_told_by_its_first_letters(void **state)
{
    (void)state;
    assert_int_equal(load_answer_kind(SLICE("{\"_tag\":\"Chunk\",\"requestId\":\"1\"}")),
                     LOAD_CHUNK);
    assert_int_equal(load_answer_kind(SLICE("{\"_tag\":\"Exit\"}")), LOAD_EXIT);
    assert_int_equal(load_answer_kind(SLICE("{\"_tag\":\"Defect\"}")), LOAD_OTHER);
    assert_int_equal(load_answer_kind(SLICE("{\"_tag\":")), LOAD_OTHER);
    assert_int_equal(load_answer_kind(SLICE_EMPTY), LOAD_OTHER);
    assert_true(load_answer_is_success(SLICE("{\"exit\":{\"_tag\":\"Success\",\"value\":{}}}")));
    assert_false(load_answer_is_success(SLICE("{\"exit\":{\"_tag\":\"Failure\"}}")));
}

static void a_pages_last_number_is_that_of_its_last_event(void **state)
{
    (void)state;
    struct slice page =
        SLICE("{\"seqNum\":5,\"parentSeqNum\":4},{\"seqNum\":16,\"parentSeqNum\":5}]");
    assert_int_equal(load_answer_last_seq_num(page), 16);
    assert_int_equal(load_answer_last_seq_num(SLICE("{\"parentSeqNum\":4}")), 0);
    assert_int_equal(load_answer_last_seq_num(SLICE("\"seqNum\":")), 0);
    assert_int_equal(load_answer_last_seq_num(SLICE_EMPTY), 0);
    struct slice id = load_answer_backend_id(SLICE("],\"backendId\":\"xyz\"}"));
    assert_true(slice_equal(id, SLICE("xyz")));
    assert_int_equal(load_answer_backend_id(SLICE("\"backendId\":\"xyz")).bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_is_json_in_a_frame_with_its_numbers_in_place),
        cmocka_unit_test(a_pull_says_from_where),
        cmocka_unit_test(an_ack_and_an_interrupt_name_their_request),
        cmocka_unit_test(an_answer_is_told_by_its_first_letters),
        cmocka_unit_test(a_pages_last_number_is_that_of_its_last_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
