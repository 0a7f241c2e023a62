#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "proto/sync_cf.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void assert_text(struct slice got, const char *expected)
{
    if (!slice_equal(got, slice_of_string(expected))) {
        fail_msg("got '%.*s', expected '%s'", SLICE_PRINT(got), expected);
    }
}

/* Payloads are decoded after their frame was validated, so a test's must be valid too. */
static struct slice payload_of(const char *text)
{
    struct sluice_error error = {0};
    if (json_validate(slice_of_string(text), &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return slice_of_string(text);
}

static struct sync_cf_pull decode_pull(const char *text, bool wants_live)
{
    struct sync_cf_pull pull;
    struct sluice_error error = {0};
    if (sync_cf_decode_pull(payload_of(text), wants_live, &arena, &pull, &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return pull;
}

static struct sync_cf_push decode_push(const char *text)
{
    struct sync_cf_push push;
    struct sluice_error error = {0};
    if (sync_cf_decode_push(payload_of(text), &arena, &push, &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return push;
}

struct refusal {
    const char *payload;
    const char *message; /* whole */
};

static void assert_refusal(const struct refusal *refusal, enum sluice_status status,
                           const struct sluice_error *error)
{
    if (status != SLUICE_INVALID || error->status != SLUICE_INVALID ||
        strcmp(error->message, refusal->message) != 0) {
        fail_msg("%s: %s, '%s'", refusal->payload, sluice_status_name(status), error->message);
    }
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define OPTION_RULE(field) field " must be {\"_tag\":\"None\"} or {\"_tag\":\"Some\",\"value\":…}"
#define NUMBER_RULE(field) field " must be an integer from 0 to 2^53-1, written as digits"
#define LONE_RULE(field) field " contains a lone surrogate escape, which has no UTF-8 form"

/* --- Pull --- */

static void a_pull_of_the_0_4_0_client_is_decoded(void **state)
{
    (void)state;
    struct sync_cf_pull pull =
        decode_pull("{\"storeId\":\"todo-1\",\"live\":true,\"cursor\":{\"_tag\":\"Some\",\"value\":"
                    "{\"backendId\":\"A6l2VfjMAn1zHxXgKESAO\",\"eventSequenceNumber\":42}}}",
                    true);
    assert_text(pull.store_id, "todo-1");
    assert_true(pull.live);
    assert_true(pull.has_cursor);
    assert_text(pull.cursor_backend_id, "A6l2VfjMAn1zHxXgKESAO");
    assert_int_equal(pull.cursor_seq_num, 42);
}

static void a_pull_of_the_next_client_is_decoded(void **state)
{
    (void)state;
    struct sync_cf_pull pull = decode_pull(
        "{\"storeId\":\"todo-1\",\"payload\":null,\"live\":false,\"cursor\":{\"_tag\":\"None\"}}",
        true);
    assert_text(pull.store_id, "todo-1");
    assert_false(pull.live);
    assert_false(pull.has_cursor);
    assert_int_equal(pull.cursor_seq_num, 0);
}

static void a_pull_may_have_its_fields_in_any_order_and_more_of_them(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"cursor\":{\"value\":{\"eventSequenceNumber\":9007199254740991,\"backendId\":\"b\"},"
        "\"_tag\":\"Some\"},\"live\":true,\"storeId\":\"s\"}",
        "{\"live\":true,\"x\":{\"storeId\":\"other\"},\"storeId\":\"s\",\"payload\":{\"live\":0},"
        "\"cursor\":{\"_id\":\"Option\",\"_tag\":\"Some\",\"value\":{\"more\":[],\"backendId\":"
        "\"b\",\"eventSequenceNumber\":9007199254740991,\"x\":null}},\"y\":[]}",
        " { \"st\\u006freId\" : \"\\u0073\" , \"live\" : true , \"cursor\" : { \"_tag\" : "
        "\"So\\u006de\" , \"value\" : { \"backendId\" : \"\\u0062\" , "
        "\"eventSequenceNumber\" : 9007199254740991 } } } ",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sync_cf_pull pull = decode_pull(texts[i], true);
        assert_text(pull.store_id, "s");
        assert_true(pull.live);
        assert_true(pull.has_cursor);
        assert_text(pull.cursor_backend_id, "b");
        assert_true(pull.cursor_seq_num == SEQ_NUM_MAX);
    }
}

static void a_pull_over_http_knows_no_live(void **state)
{
    (void)state;
    assert_false(decode_pull("{\"storeId\":\"s\",\"cursor\":{\"_tag\":\"None\"}}", false).live);
    /* There it is an unknown field, of whatever kind. */
    assert_false(
        decode_pull("{\"live\":true,\"storeId\":\"s\",\"cursor\":{\"_tag\":\"None\"}}", false)
            .live);
    assert_false(
        decode_pull("{\"live\":\"?\",\"storeId\":\"s\",\"cursor\":{\"_tag\":\"None\"}}", false)
            .live);
}

static void the_value_beside_a_none_is_not_looked_at(void **state)
{
    (void)state;
    struct sync_cf_pull pull = decode_pull(
        "{\"storeId\":\"s\",\"live\":true,\"cursor\":{\"value\":5,\"_tag\":\"None\"}}", true);
    assert_false(pull.has_cursor);
}

#define PULL(cursor) "{\"storeId\":\"s\",\"live\":true,\"cursor\":" cursor "}"
#define CURSOR(value) PULL("{\"_tag\":\"Some\",\"value\":" value "}")

static void a_wrong_pull_is_refused_with_the_name_of_the_field(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"null", "payload must be an object"},
        {"[]", "payload must be an object"},
        {"\"storeId\"", "payload must be an object"},
        {"{}", "storeId is missing"},
        {"{\"live\":true,\"cursor\":{\"_tag\":\"None\"}}", "storeId is missing"},
        {"{\"storeId\":null,\"live\":true,\"cursor\":{\"_tag\":\"None\"}}",
         "storeId must be a string"},
        {"{\"storeId\":5}", "storeId must be a string"},
        {"{\"storeId\":\"a\\ud800\"}", LONE_RULE("storeId")},
        {"{\"storeId\":\"s\",\"cursor\":{\"_tag\":\"None\"}}", "live is missing"},
        {"{\"storeId\":\"s\",\"live\":null,\"cursor\":{\"_tag\":\"None\"}}",
         "live must be true or false"},
        {"{\"storeId\":\"s\",\"live\":1}", "live must be true or false"},
        {"{\"storeId\":\"s\",\"live\":\"true\"}", "live must be true or false"},
        {"{\"storeId\":\"s\",\"live\":true}", "cursor is missing"},
        {PULL("null"), OPTION_RULE("cursor")},
        {PULL("5"), OPTION_RULE("cursor")},
        {PULL("[]"), OPTION_RULE("cursor")},
        {PULL("{}"), OPTION_RULE("cursor")},
        {PULL("{\"_tag\":\"none\"}"), OPTION_RULE("cursor")},
        {PULL("{\"_tag\":null}"), OPTION_RULE("cursor")},
        {PULL("{\"_tag\":{\"a\":1},\"value\":{}}"), OPTION_RULE("cursor")},
        {PULL("{\"_tag\":\"Some\"}"), OPTION_RULE("cursor")},
        {PULL("{\"value\":{\"backendId\":\"b\",\"eventSequenceNumber\":1}}"),
         OPTION_RULE("cursor")},
        {CURSOR("null"), "cursor.value must be an object"},
        {CURSOR("1"), "cursor.value must be an object"},
        {CURSOR("{}"), "cursor.value.backendId is missing"},
        {CURSOR("{\"eventSequenceNumber\":1}"), "cursor.value.backendId is missing"},
        {CURSOR("{\"backendId\":null,\"eventSequenceNumber\":1}"),
         "cursor.value.backendId must be a string"},
        {CURSOR("{\"backendId\":\"\\udfff\"}"), LONE_RULE("cursor.value.backendId")},
        {CURSOR("{\"backendId\":\"b\"}"), "cursor.value.eventSequenceNumber is missing"},
        {CURSOR("{\"backendId\":\"b\",\"eventSequenceNumber\":null}"),
         NUMBER_RULE("cursor.value.eventSequenceNumber")},
        {CURSOR("{\"backendId\":\"b\",\"eventSequenceNumber\":\"1\"}"),
         NUMBER_RULE("cursor.value.eventSequenceNumber")},
        {CURSOR("{\"backendId\":\"b\",\"eventSequenceNumber\":-1}"),
         NUMBER_RULE("cursor.value.eventSequenceNumber")},
        {CURSOR("{\"backendId\":\"b\",\"eventSequenceNumber\":1.5}"),
         NUMBER_RULE("cursor.value.eventSequenceNumber")},
        {CURSOR("{\"backendId\":\"b\",\"eventSequenceNumber\":9007199254740992}"),
         NUMBER_RULE("cursor.value.eventSequenceNumber")},
        {CURSOR("{\"backendId\":\"b\",\"eventSequenceNumber\":{\"global\":1,\"client\":0}}"),
         NUMBER_RULE("cursor.value.eventSequenceNumber")},
    };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct sync_cf_pull untouched = {.cursor_seq_num = 77};
        struct sync_cf_pull pull = untouched;
        struct sluice_error error = {0};
        enum sluice_status status =
            sync_cf_decode_pull(payload_of(refusals[i].payload), true, &arena, &pull, &error);
        assert_refusal(&refusals[i], status, &error);
        assert_memory_equal(&pull, &untouched, sizeof pull);
        assert_int_equal(
            sync_cf_decode_pull(payload_of(refusals[i].payload), true, &arena, &pull, NULL),
            SLUICE_INVALID);
    }
}

/* --- Push --- */

static void a_push_of_the_0_4_0_client_is_decoded(void **state)
{
    (void)state;
    struct sync_cf_push push = decode_push(
        "{\"storeId\":\"todo-1\",\"batch\":[{\"name\":\"v1.TodoCreated\",\"args\":{\"id\":\"x1\","
        "\"text\":\"t1\"},\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"c1\",\"sessionId\":\"s1\"}"
        ","
        "{\"name\":\"v1.TodoCreated\",\"seqNum\":7,\"parentSeqNum\":1,\"clientId\":\"c1\","
        "\"sessionId\":\"\"}],\"backendId\":{\"_tag\":\"None\"}}");
    assert_text(push.store_id, "todo-1");
    assert_false(push.has_backend_id);
    assert_int_equal(push.event_count, 2);
    assert_text(push.events[0].name, "v1.TodoCreated");
    assert_text(push.events[0].args, "{\"id\":\"x1\",\"text\":\"t1\"}");
    assert_int_equal(push.events[0].seq_num, 1);
    assert_int_equal(push.events[0].parent_seq_num, 0);
    assert_text(push.events[0].client_id, "c1");
    assert_text(push.events[0].session_id, "s1");
    assert_text(push.events[1].args, "null"); /* absent */
    assert_int_equal(push.events[1].seq_num, 7);
    assert_text(push.events[1].session_id, "");
}

static void a_push_names_the_backend_id_it_is_for(void **state)
{
    (void)state;
    struct sync_cf_push push =
        decode_push("{\"backendId\":{\"value\":\"\\u0041-b_c\",\"_tag\":\"Some\"},\"batch\":[],"
                    "\"payload\":null,\"storeId\":\"s\"}");
    assert_true(push.has_backend_id);
    assert_text(push.backend_id, "A-b_c");
    assert_int_equal(push.event_count, 0);
    assert_non_null(push.events);
}

static void an_event_may_have_its_fields_in_any_order_and_more_of_them(void **state)
{
    (void)state;
    struct sync_cf_push push = decode_push(
        "{\"batch\":[ {\"sessionId\":\"s\",\"_extra\":{\"name\":\"?\",\"args\":[0]},"
        "\"clientId\":\"c\",\"parentSeqNum\":3,\"seqNum\":4,\"metadata\":null, \"args\" : "
        "[1, {\"seqNum\":9}] ,\"name\":\"n\"} ],\"storeId\":\"s\",\"backendId\":{\"_tag\":"
        "\"None\"}}");
    assert_int_equal(push.event_count, 1);
    assert_text(push.events[0].name, "n");
    assert_text(push.events[0].args, "[1, {\"seqNum\":9}]");
    assert_int_equal(push.events[0].seq_num, 4);
    assert_int_equal(push.events[0].parent_seq_num, 3);
    assert_text(push.events[0].client_id, "c");
    assert_text(push.events[0].session_id, "s");
}

static void args_keep_their_exact_bytes(void **state)
{
    (void)state;
    static const char *const args[] = {
        "null",
        "true",
        "\"str\"",
        "9007199254740993",
        "1.0",
        "-0",
        "1e21",
        "\"\\u2028\"",
        "\"\\ud800\"",
        "{\"z\":\"\\u0000\",\"a\":\"a\\ud800b\"}",
        "{ \"b\" : 1 ,\t\"a\" : [ ] }",
        "{}",
        "\"\\/\"",
    };
    for (size_t i = 0; i < COUNT(args); i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"storeId\":\"s\",\"batch\":[{\"name\":\"n\",\"args\": %s ,\"seqNum\":1,"
                       "\"parentSeqNum\":0,\"clientId\":\"c\",\"sessionId\":\"s\"}],"
                       "\"backendId\":{\"_tag\":\"None\"}}",
                       args[i]);
        assert_text(decode_push(text).events[0].args, args[i]);
    }
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    struct sync_cf_push push = decode_push(
        "{\"storeId\":\"\\u00fc\\ud83d\\ude00\",\"batch\":[{\"name\":\"v1.T\\u00f6do\","
        "\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"cl\xc3\xafnt\","
        "\"sessionId\":\"sess\\\"\\\\ \\u0000\\n\"}],\"backendId\":{\"_tag\":\"None\"}}");
    assert_text(push.store_id, "\xc3\xbc\xf0\x9f\x98\x80");
    assert_text(push.events[0].name, "v1.T\xc3\xb6"
                                     "do");
    assert_text(push.events[0].client_id, "cl\xc3\xafnt");
    assert_true(slice_equal(push.events[0].session_id, SLICE("sess\"\\ \0\n")));
}

#define PUSH(batch) "{\"storeId\":\"s\",\"batch\":" batch ",\"backendId\":{\"_tag\":\"None\"}}"
#define EVENT(name, seq, parent, client, session)                                                  \
    "{\"name\":" name ",\"seqNum\":" seq ",\"parentSeqNum\":" parent ",\"clientId\":" client       \
    ",\"sessionId\":" session "}"
#define GOOD EVENT("\"n\"", "1", "0", "\"c\"", "\"s\"")

static void a_wrong_push_is_refused_with_the_name_of_the_field(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"null", "payload must be an object"},
        {"[]", "payload must be an object"},
        {"{}", "storeId is missing"},
        {"{\"storeId\":{}}", "storeId must be a string"},
        {"{\"storeId\":\"s\",\"backendId\":{\"_tag\":\"None\"}}", "batch is missing"},
        {"{\"storeId\":\"s\",\"batch\":[]}", "backendId is missing"},
        {PUSH("null"), "batch must be an array of events"},
        {PUSH("{}"), "batch must be an array of events"},
        {PUSH("\"[]\""), "batch must be an array of events"},
        {PUSH("[null]"), "batch[0] must be an object"},
        {PUSH("[[]]"), "batch[0] must be an object"},
        {PUSH("[" GOOD ",5]"), "batch[1] must be an object"},
        {PUSH("[{}]"), "batch[0].name is missing"},
        {PUSH("[" GOOD "," GOOD ",{\"name\":\"n\"}]"), "batch[2].seqNum is missing"},
        {PUSH("[{\"name\":\"n\",\"seqNum\":1}]"), "batch[0].parentSeqNum is missing"},
        {PUSH("[{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0}]"),
         "batch[0].clientId is missing"},
        {PUSH("[{\"name\":\"n\",\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"c\"}]"),
         "batch[0].sessionId is missing"},
        {PUSH("[" EVENT("null", "1", "0", "\"c\"", "\"s\"") "]"), "batch[0].name must be a string"},
        {PUSH("[" EVENT("\"\\udc00\"", "1", "0", "\"c\"", "\"s\"") "]"),
         LONE_RULE("batch[0].name")},
        {PUSH("[" EVENT("\"n\"", "\"1\"", "0", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].seqNum")},
        {PUSH("[" EVENT("\"n\"", "{\"global\":1}", "0", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].seqNum")},
        {PUSH("[" EVENT("\"n\"", "1.0", "0", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].seqNum")},
        {PUSH("[" EVENT("\"n\"", "1e2", "0", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].seqNum")},
        {PUSH("[" EVENT("\"n\"", "9007199254740992", "0", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].seqNum")},
        {PUSH("[" EVENT("\"n\"", "99999999999999999999999", "0", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].seqNum")},
        {PUSH("[" EVENT("\"n\"", "1", "-1", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].parentSeqNum")},
        {PUSH("[" EVENT("\"n\"", "1", "null", "\"c\"", "\"s\"") "]"),
         NUMBER_RULE("batch[0].parentSeqNum")},
        {PUSH("[" EVENT("\"n\"", "1", "0", "7", "\"s\"") "]"),
         "batch[0].clientId must be a string"},
        {PUSH("[" EVENT("\"n\"", "1", "0", "\"c\"", "[]") "]"),
         "batch[0].sessionId must be a string"},
        {"{\"storeId\":\"s\",\"batch\":[],\"backendId\":null}", OPTION_RULE("backendId")},
        {"{\"storeId\":\"s\",\"batch\":[],\"backendId\":\"b\"}", OPTION_RULE("backendId")},
        {"{\"storeId\":\"s\",\"batch\":[],\"backendId\":{\"_tag\":\"Some\"}}",
         OPTION_RULE("backendId")},
        {"{\"storeId\":\"s\",\"batch\":[],\"backendId\":{\"_tag\":\"Some\",\"value\":null}}",
         "backendId.value must be a string"},
        {"{\"storeId\":\"s\",\"batch\":[],\"backendId\":{\"_tag\":\"Some\",\"value\":5}}",
         "backendId.value must be a string"},
    };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct sync_cf_push untouched = {.event_count = 77};
        struct sync_cf_push push = untouched;
        struct sluice_error error = {0};
        enum sluice_status status =
            sync_cf_decode_push(payload_of(refusals[i].payload), &arena, &push, &error);
        assert_refusal(&refusals[i], status, &error);
        assert_memory_equal(&push, &untouched, sizeof push);
    }
}

static void append_batch(struct buffer *out, size_t count, const char *item)
{
    buffer_init(out, 1u << 20);
    buffer_append_literal(out, "{\"storeId\":\"s\",\"batch\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_slice(out, slice_of_string(i == 0 ? "" : ","));
        buffer_append_slice(out, slice_of_string(item));
    }
    buffer_append_literal(out, "],\"backendId\":{\"_tag\":\"None\"}}");
    assert_int_equal(buffer_status(out), SLUICE_OK);
}

static void a_batch_has_at_most_1000_events(void **state)
{
    (void)state;
    struct buffer text;
    struct sync_cf_push push;
    struct sluice_error error = {0};
    append_batch(&text, BATCH_EVENTS_MAX, GOOD);
    assert_int_equal(sync_cf_decode_push(buffer_slice(&text), &arena, &push, &error), SLUICE_OK);
    assert_int_equal(push.event_count, BATCH_EVENTS_MAX);
    buffer_deinit(&text);
    append_batch(&text, BATCH_EVENTS_MAX + 1, GOOD);
    assert_int_equal(sync_cf_decode_push(buffer_slice(&text), &arena, &push, &error), SLUICE_LIMIT);
    assert_string_equal(error.message, "batch has more than 1000 events; send fewer");
    buffer_deinit(&text);
}

static void without_memory_nothing_is_decoded(void **state)
{
    (void)state;
    const char *text = PUSH("[" EVENT("\"\\u0041 name that was escaped\"", "1", "0", "\"c\"",
                                      "\"\\u0041 session\"") "]");
    enum sluice_status status = SLUICE_NO_MEMORY;
    unsigned failures = 0;
    for (size_t bytes_max = 0; status != SLUICE_OK; bytes_max += 16) {
        struct arena small;
        arena_init(&small, bytes_max);
        struct sync_cf_push push = {.event_count = 77};
        struct sluice_error error = {0};
        status = sync_cf_decode_push(payload_of(text), &small, &push, &error);
        if (status != SLUICE_OK) {
            assert_int_equal(status, SLUICE_NO_MEMORY);
            assert_int_equal(push.event_count, 77);
            assert_non_null(strstr(error.message, "out of memory"));
            failures++;
        }
        arena_deinit(&small);
    }
    assert_true(failures > 0);
}

/* --- Ping --- */

static void a_ping_names_its_store(void **state)
{
    (void)state;
    struct slice store_id = SLICE("before");
    struct sluice_error error = {0};
    assert_int_equal(sync_cf_decode_ping(payload_of("{\"payload\":null,\"storeId\":\"\\u0073\"}"),
                                         &arena, &store_id, &error),
                     SLUICE_OK);
    assert_text(store_id, "s");
    static const struct refusal refusals[] = {
        {"null", "payload must be an object"},
        {"{}", "storeId is missing"},
        {"{\"storeId\":5}", "storeId must be a string"},
    };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        enum sluice_status status =
            sync_cf_decode_ping(payload_of(refusals[i].payload), &arena, &store_id, &error);
        assert_refusal(&refusals[i], status, &error);
        assert_text(store_id, "s");
    }
}

/* --- What goes --- */

static struct event event_of(uint64_t seq_num, uint64_t parent, struct slice args)
{
    return (struct event){.seq_num = seq_num,
                          .parent_seq_num = parent,
                          .created_at_ms = 1795394190784,
                          .name = SLICE("v1.TodoCreated"),
                          .args = args,
                          .client_id = SLICE("c1"),
                          .session_id = SLICE("s1")};
}

static void an_empty_log_gives_one_empty_page(void **state)
{
    (void)state;
    struct buffer page;
    buffer_init(&page, 4096);
    sync_cf_page_start(&page);
    sync_cf_page_end(&page, 0, SLICE("A6l2VfjMAn1zHxXgKESAO"));
    assert_int_equal(buffer_status(&page), SLUICE_OK);
    assert_text(buffer_slice(&page),
                "{\"batch\":[],\"pageInfo\":{\"_tag\":\"NoMore\"},\"backendId\":"
                "\"A6l2VfjMAn1zHxXgKESAO\"}");
    buffer_deinit(&page);
}

static void a_page_has_its_events_as_the_clients_decode_them(void **state)
{
    (void)state;
    struct buffer page;
    struct event first = event_of(1, 0, SLICE("{\"id\":\"x1\",\"text\":\"t1\"}"));
    struct event second = event_of(SEQ_NUM_MAX, 1, SLICE("null"));
    buffer_init(&page, 4096);
    sync_cf_page_start(&page);
    sync_cf_page_event(&page, &first, true);
    sync_cf_page_event(&page, &second, false);
    sync_cf_page_end(&page, 12, SLICE("b"));
    assert_int_equal(buffer_status(&page), SLUICE_OK);
    assert_text(
        buffer_slice(&page),
        "{\"batch\":[{\"eventEncoded\":{\"name\":\"v1.TodoCreated\",\"args\":{\"id\":\"x1\","
        "\"text\":\"t1\"},\"seqNum\":1,\"parentSeqNum\":0,\"clientId\":\"c1\",\"sessionId\":"
        "\"s1\"},\"metadata\":{\"_tag\":\"Some\",\"value\":{\"_tag\":\"SyncMessage.SyncMetadata\","
        "\"createdAt\":\"2026-11-23T00:36:30.784Z\"}}},"
        "{\"eventEncoded\":{\"name\":\"v1.TodoCreated\",\"args\":null,\"seqNum\":9007199254740991,"
        "\"parentSeqNum\":1,\"clientId\":\"c1\",\"sessionId\":\"s1\"},\"metadata\":{\"_tag\":"
        "\"Some\",\"value\":{\"_tag\":\"SyncMessage.SyncMetadata\",\"createdAt\":"
        "\"2026-11-23T00:36:30.784Z\"}}}"
        "],\"pageInfo\":{\"_tag\":\"MoreKnown\",\"remaining\":12},\"backendId\":\"b\"}");
    assert_int_equal(json_validate(buffer_slice(&page), NULL), SLUICE_OK);
    buffer_deinit(&page);
}

static void strings_are_escaped_and_args_are_not_touched(void **state)
{
    (void)state;
    struct buffer page;
    struct event event = event_of(2, 1, SLICE("{ \"a\" : \"\\ud800\\u2028\", \"b\" : 1.0 }"));
    event.name = SLICE("a \"name\"\\\n");
    event.client_id = SLICE("\xc3\xbc\xf0\x9f\x98\x80");
    event.session_id = SLICE("nul \0.");
    buffer_init(&page, 4096);
    sync_cf_page_event(&page, &event, true);
    const char *expected =
        "{\"eventEncoded\":{\"name\":\"a \\\"name\\\"\\\\\\n\",\"args\":{ \"a\" : "
        "\"\\ud800\\u2028\", \"b\" : 1.0 },\"seqNum\":2,\"parentSeqNum\":1,\"clientId\":"
        "\"\xc3\xbc\xf0\x9f\x98\x80\",\"sessionId\":\"nul \\u0000.\"},\"metadata\":";
    assert_true(page.bytes > strlen(expected));
    assert_text(slice_make(page.data, strlen(expected)), expected);
    assert_int_equal(json_validate(buffer_slice(&page), NULL), SLUICE_OK);
    buffer_deinit(&page);
}

static void each_error_has_the_form_that_the_clients_decode(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    sync_cf_append_server_ahead(&out, 2, 1);
    assert_text(buffer_slice(&out), "{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":2,"
                                    "\"providedNum\":1}");
    buffer_clear(&out);
    sync_cf_append_server_ahead(&out, SEQ_NUM_MAX, 0);
    assert_text(buffer_slice(&out), "{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":"
                                    "9007199254740991,\"providedNum\":0}");
    buffer_clear(&out);
    sync_cf_append_backend_id_mismatch(&out, SLICE("ours"), SLICE("their \"s\""));
    assert_text(buffer_slice(&out), "{\"_tag\":\"BackendIdMismatchError\",\"expected\":\"ours\","
                                    "\"received\":\"their \\\"s\\\"\"}");
    buffer_clear(&out);
    sync_cf_append_unknown_error(&out, SLICE("no \"space\""));
    assert_text(buffer_slice(&out), "{\"_tag\":\"UnknownError\",\"cause\":\"no \\\"space\\\"\"}");
    buffer_clear(&out);
    sync_cf_append_unknown_error(&out, SLICE_EMPTY);
    assert_text(buffer_slice(&out), "{\"_tag\":\"UnknownError\",\"cause\":\"\"}");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pull_of_the_0_4_0_client_is_decoded),
        cmocka_unit_test(a_pull_of_the_next_client_is_decoded),
        cmocka_unit_test(a_pull_may_have_its_fields_in_any_order_and_more_of_them),
        cmocka_unit_test(a_pull_over_http_knows_no_live),
        cmocka_unit_test(the_value_beside_a_none_is_not_looked_at),
        cmocka_unit_test(a_wrong_pull_is_refused_with_the_name_of_the_field),
        cmocka_unit_test(a_push_of_the_0_4_0_client_is_decoded),
        cmocka_unit_test(a_push_names_the_backend_id_it_is_for),
        cmocka_unit_test(an_event_may_have_its_fields_in_any_order_and_more_of_them),
        cmocka_unit_test(args_keep_their_exact_bytes),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(a_wrong_push_is_refused_with_the_name_of_the_field),
        cmocka_unit_test(a_batch_has_at_most_1000_events),
        cmocka_unit_test(without_memory_nothing_is_decoded),
        cmocka_unit_test(a_ping_names_its_store),
        cmocka_unit_test(an_empty_log_gives_one_empty_page),
        cmocka_unit_test(a_page_has_its_events_as_the_clients_decode_them),
        cmocka_unit_test(strings_are_escaped_and_args_are_not_touched),
        cmocka_unit_test(each_error_has_the_form_that_the_clients_decode),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
