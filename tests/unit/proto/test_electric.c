#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "proto/electric.h"

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

static struct electric_pull decode(const char *args)
{
    struct electric_pull pull = {0};
    struct sluice_error error = {0};
    assert_int_equal(json_validate(slice_of_string(args), NULL), SLUICE_OK);
    if (electric_decode_pull(slice_of_string(args), &arena, &pull, &error) != SLUICE_OK) {
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
#define PULL(handle)                                                                               \
    "{\"_tag\":\"@livestore/sync-electric.Pull\",\"storeId\":\"a\",\"handle\":" handle             \
    ",\"live\":true}"
#define SOME(offset) "{\"_tag\":\"Some\",\"value\":{\"offset\":\"" offset "\",\"handle\":\"log\"}}"

/* --- Arguments --- */

static void a_first_pull_has_no_handle(void **state)
{
    (void)state;
    struct electric_pull pull = decode(PULL("{\"_tag\":\"None\"}"));
    assert_text(pull.store_id, "a");
    assert_false(pull.has_handle);
    assert_false(pull.knows_end);
    assert_int_equal(pull.seq_num, 0);
    assert_true(pull.live);
}

static void a_missing_handle_is_no_handle(void **state)
{
    (void)state;
    struct electric_pull pull = decode("{\"live\":false,\"storeId\":\"a\"}");
    assert_false(pull.has_handle);
    assert_false(pull.live);
}

static void an_offset_is_the_last_event_and_what_the_client_knows(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        uint64_t seq_num;
        bool knows_end;
    } OFFSETS[] = {
        {PULL(SOME("17_0")), 17, false},
        {PULL(SOME("17_1")), 17, true},
        {PULL(SOME("0_1")), 0, true},
        {PULL(SOME("-1")), 0, false},
        {PULL(SOME("9007199254740991_0")), SEQ_NUM_MAX, false},
    };
    for (size_t i = 0; i < COUNT(OFFSETS); i++) {
        struct electric_pull pull = decode(OFFSETS[i].args);
        assert_true(pull.has_handle);
        assert_text(pull.handle, "log");
        assert_int_equal(pull.seq_num, OFFSETS[i].seq_num);
        assert_int_equal(pull.knows_end, OFFSETS[i].knows_end);
    }
}

static void an_offset_that_is_written_is_read_again(void **state)
{
    (void)state;
    static const uint64_t NUMBERS[] = {0, 1, 17, SEQ_NUM_MAX};
    for (size_t i = 0; i < 2 * COUNT(NUMBERS); i++) {
        struct buffer offset;
        char args[256];
        buffer_init(&offset, 64);
        electric_append_offset(&offset, NUMBERS[i / 2], i % 2 == 1);
        (void)snprintf(args, sizeof(args),
                       "{\"storeId\":\"a\",\"live\":true,\"handle\":{\"_tag\":\"Some\",\"value\":{"
                       "\"handle\":\"\",\"offset\":\"%.*s\"}}}",
                       SLICE_PRINT(buffer_slice(&offset)));
        struct electric_pull pull = decode(args);
        assert_int_equal(pull.seq_num, NUMBERS[i / 2]);
        assert_int_equal(pull.knows_end, i % 2 == 1);
        assert_true(pull.has_handle);
        buffer_deinit(&offset);
    }
}

static void other_offsets_are_refused(void **state)
{
    (void)state;
    static const char *const OTHERS[] = {
        PULL(SOME("")),
        PULL(SOME("_0")),
        PULL(SOME("_")),
        PULL(SOME("17")),
        PULL(SOME("17_")),
        PULL(SOME("17_2")),
        PULL(SOME("-1_0")),
        PULL(SOME("+1_0")),
        PULL(SOME("1.0_0")),
        PULL(SOME("1_0_0")),
        PULL(SOME(" 1_0")),
        PULL(SOME("0_inf")),
        PULL(SOME("-")),
        PULL(SOME("1")),
        PULL(SOME("now")),
        PULL(SOME("17\\u0000_0")),
        PULL(SOME("9007199254740992_0")),
        PULL(SOME("99999999999999999999_0")),
    };
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        struct electric_pull pull = {.seq_num = 77};
        struct sluice_error error = {0};
        if (electric_decode_pull(slice_of_string(OTHERS[i]), &arena, &pull, &error) !=
            SLUICE_INVALID) {
            fail_msg("%s was taken", OTHERS[i]);
        }
        assert_string_equal(error.message, "handle.value.offset is not one of this server's");
        assert_int_equal(pull.seq_num, 77);
    }
}

static void wrong_arguments_are_refused_by_name(void **state)
{
    (void)state;
    static const char OBJECT[] = "args must be a JSON object, percent-encoded once or twice";
    static const char OPTION[] =
        "handle must be {\"_tag\":\"None\"} or {\"_tag\":\"Some\",\"value\":…}";
    static const char PARTS[] = "handle.value.offset or handle.value.handle is missing";
    static const struct {
        const char *args;
        const char *message;
    } REFUSALS[] = {
        {"", OBJECT},
        {"7", OBJECT},
        {"[{}]", OBJECT},
        {"{}", "storeId is missing"},
        {"{\"storeId\":\"a\"}", "live is missing"},
        {"{\"storeId\":null}", "storeId must be a string"},
        {"{\"live\":\"yes\"}", "live must be true or false"},
        {PULL("null"), OPTION},
        {PULL("\"17_0\""), OPTION},
        {PULL("{\"_tag\":\"Some\"}"), OPTION},
        {PULL("{\"_tag\":\"Some\",\"value\":\"17_0\"}"), "handle.value must be an object"},
        {PULL("{\"_tag\":\"Some\",\"value\":{}}"), PARTS},
        {PULL("{\"_tag\":\"Some\",\"value\":{\"offset\":\"1_0\"}}"), PARTS},
        {PULL("{\"_tag\":\"Some\",\"value\":{\"handle\":\"log\"}}"), PARTS},
        {PULL("{\"_tag\":\"Some\",\"value\":{\"offset\":1}}"),
         "handle.value.offset must be a string"},
        {PULL("{\"_tag\":\"Some\",\"value\":{\"handle\":{}}}"),
         "handle.value.handle must be a string"},
    };
    for (size_t i = 0; i < COUNT(REFUSALS); i++) {
        struct electric_pull pull = {.seq_num = 77};
        struct sluice_error error = {0};
        assert_int_equal(
            electric_decode_pull(slice_of_string(REFUSALS[i].args), &arena, &pull, &error),
            SLUICE_INVALID);
        assert_string_equal(error.message, REFUSALS[i].message);
        assert_int_equal(pull.seq_num, 77);
    }
}

/* --- Pages --- */

static const struct event FIRST = {
    .seq_num = 3,
    .parent_seq_num = 0,
    .name = {"n\"", 2},
    .args = {"{ \"t\":1.0}", 10},
    .client_id = {"c", 1},
    .session_id = {"s", 1},
};

#define FIRST_TEXT                                                                                 \
    "{\"key\":\"\\\"public\\\".\\\"events\\\"/\\\"3\\\"\",\"value\":{\"seqNum\":\"3\","            \
    "\"parentSeqNum\":\"0\",\"name\":\"n\\\"\",\"args\":\"{ \\\"t\\\":1.0}\",\"clientId\":\"c\","  \
    "\"sessionId\":\"s\"},\"headers\":{\"operation\":\"insert\",\"relation\":[\"public\","         \
    "\"events\"]}}"
#define CONTROL_TEXT "{\"headers\":{\"control\":\"up-to-date\"}}"

static void assert_page(const struct event *events, size_t count, bool up_to_date,
                        const char *expected)
{
    struct buffer out;
    buffer_init(&out, 4096);
    electric_page_start(&out);
    for (size_t i = 0; i < count; i++) {
        electric_page_event(&out, &events[i], i == 0);
    }
    electric_page_end(&out, count > 0, up_to_date);
    assert_int_equal(buffer_status(&out), SLUICE_OK);
    assert_text(buffer_slice(&out), expected);
    assert_int_equal(json_validate(buffer_slice(&out), NULL), SLUICE_OK);
    buffer_deinit(&out);
}

static void a_page_is_an_array_of_inserts(void **state)
{
    (void)state;
    const struct event events[] = {FIRST, FIRST};
    assert_page(events, 2, false, "[" FIRST_TEXT "," FIRST_TEXT "]");
}

static void the_last_page_says_that_it_is_the_last(void **state)
{
    (void)state;
    assert_page(&FIRST, 1, true, "[" FIRST_TEXT "," CONTROL_TEXT "]");
    assert_page(NULL, 0, true, "[" CONTROL_TEXT "]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_pull_has_no_handle),
        TEST(a_missing_handle_is_no_handle),
        TEST(an_offset_is_the_last_event_and_what_the_client_knows),
        TEST(an_offset_that_is_written_is_read_again),
        TEST(other_offsets_are_refused),
        TEST(wrong_arguments_are_refused_by_name),
        TEST(a_page_is_an_array_of_inserts),
        TEST(the_last_page_says_that_it_is_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
