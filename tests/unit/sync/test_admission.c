#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/limits.h"
#include "sync/admission.h"

#define EVENT_BYTES_MAX 4000u
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct event event_of(uint64_t seq_num, uint64_t parent_seq_num)
{
    return (struct event){.seq_num = seq_num,
                          .parent_seq_num = parent_seq_num,
                          .name = SLICE("v1.TodoCreated"),
                          .args = SLICE("{\"id\":\"x1\"}"),
                          .client_id = SLICE("client-a"),
                          .session_id = SLICE("session-1")};
}

static void assert_admitted(const struct event *events, size_t count)
{
    struct sluice_error error = {0};
    if (admission_check_batch(events, count, EVENT_BYTES_MAX, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
}

static void assert_refused(const struct event *events, size_t count, enum sluice_status expected,
                           const char *message)
{
    struct sluice_error error = {0};
    enum sluice_status status = admission_check_batch(events, count, EVENT_BYTES_MAX, &error);
    assert_string_equal(error.message, message);
    assert_int_equal(status, expected);
    assert_int_equal(error.status, expected);
    assert_int_equal(admission_check_batch(events, count, EVENT_BYTES_MAX, NULL), expected);
}

/* --- A chain --- */

static void a_chain_is_admitted(void **state)
{
    (void)state;
    struct event events[] = {event_of(1, 0), event_of(2, 1), event_of(3, 2)};
    assert_admitted(events, 3);
    assert_admitted(events + 1, 2); /* from anywhere */
    assert_admitted(events, 1);
    assert_admitted(NULL, 0);
}

static void gaps_in_sequence_numbers_are_legal(void **state)
{
    (void)state;
    struct event events[] = {event_of(20000, 0), event_of(20005, 20000),
                             event_of(SEQ_NUM_MAX, 20005)};
    assert_admitted(events, 3);
}

static void an_event_comes_after_its_parent(void **state)
{
    (void)state;
    struct event own_parent[] = {event_of(7, 7)};
    assert_refused(own_parent, 1, SLUICE_INVALID,
                   "batch[0].parentSeqNum 7 is not before its seqNum 7");
    struct event before_parent[] = {event_of(7, 8)};
    assert_refused(before_parent, 1, SLUICE_INVALID,
                   "batch[0].parentSeqNum 8 is not before its seqNum 7");
}

static void a_batch_ascends(void **state)
{
    (void)state;
    struct event repeated[] = {event_of(1, 0), event_of(2, 1), event_of(2, 1)};
    assert_refused(repeated, 3, SLUICE_INVALID,
                   "batch[2].seqNum 2 does not ascend: the event before it is 2");
    struct event descending[] = {event_of(5, 0), event_of(4, 5)};
    assert_refused(descending, 2, SLUICE_INVALID,
                   "batch[1].seqNum 4 does not ascend: the event before it is 5");
}

static void each_parent_is_the_event_before(void **state)
{
    (void)state;
    struct event skipped[] = {event_of(1, 0), event_of(3, 2)};
    assert_refused(skipped, 2, SLUICE_INVALID,
                   "batch[1].parentSeqNum is 2 but the event before it is 1");
    struct event older[] = {event_of(1, 0), event_of(2, 1), event_of(3, 1)};
    assert_refused(older, 3, SLUICE_INVALID,
                   "batch[2].parentSeqNum is 1 but the event before it is 2");
    struct event root[] = {event_of(1, 0), event_of(2, 0)};
    assert_refused(root, 2, SLUICE_INVALID,
                   "batch[1].parentSeqNum is 0 but the event before it is 1");
}

static void sequence_numbers_are_from_1_to_2_to_the_53_minus_1(void **state)
{
    (void)state;
    struct event events[] = {event_of(0, 0)};
    assert_refused(events, 1, SLUICE_INVALID, "batch[0].seqNum must be from 1 to 2^53-1");
    events[0].seq_num = SEQ_NUM_MAX + 1;
    assert_refused(events, 1, SLUICE_INVALID, "batch[0].seqNum must be from 1 to 2^53-1");
    events[0].seq_num = UINT64_MAX;
    assert_refused(events, 1, SLUICE_INVALID, "batch[0].seqNum must be from 1 to 2^53-1");
    events[0].seq_num = SEQ_NUM_MAX;
    assert_admitted(events, 1);
    events[0].seq_num = 1;
    assert_admitted(events, 1);
}

/* --- Texts --- */

struct text_field {
    const char *name;
    size_t offset;
    bool may_be_empty;
};

static const struct text_field TEXT_FIELDS[] = {
    {"name", offsetof(struct event, name), false},
    {"clientId", offsetof(struct event, client_id), true},
    {"sessionId", offsetof(struct event, session_id), true},
};

/* A batch whose second event has `text` in the field. */
static void with_text(struct event events[2], const struct text_field *field, struct slice text)
{
    events[0] = event_of(1, 0);
    events[1] = event_of(2, 1);
    memcpy((char *)&events[1] + field->offset, &text, sizeof text);
}

static void a_text_has_at_most_512_bytes(void **state)
{
    (void)state;
    char text[NAME_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < COUNT(TEXT_FIELDS); i++) {
        struct event events[2];
        char message[128];
        with_text(events, &TEXT_FIELDS[i], slice_make(text, NAME_BYTES_MAX));
        assert_admitted(events, 2);
        with_text(events, &TEXT_FIELDS[i], slice_make(text, NAME_BYTES_MAX + 1));
        (void)snprintf(message, sizeof message, "batch[1].%s has 513 bytes; the limit is 512",
                       TEXT_FIELDS[i].name);
        assert_refused(events, 2, SLUICE_LIMIT, message);
    }
}

static void a_text_is_valid_utf_8(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TEXT_FIELDS); i++) {
        struct event events[2];
        char message[128];
        with_text(events, &TEXT_FIELDS[i], SLICE("\xc3\xbc \0 \xf0\x9f\x98\x80"));
        assert_admitted(events, 2);
        (void)snprintf(message, sizeof message, "batch[1].%s is not valid UTF-8",
                       TEXT_FIELDS[i].name);
        with_text(events, &TEXT_FIELDS[i], SLICE("a\xff"));
        assert_refused(events, 2, SLUICE_INVALID, message);
        with_text(events, &TEXT_FIELDS[i], SLICE("\xed\xa0\x80")); /* a surrogate */
        assert_refused(events, 2, SLUICE_INVALID, message);
        with_text(events, &TEXT_FIELDS[i], SLICE("\xc3"));
        assert_refused(events, 2, SLUICE_INVALID, message);
    }
}

static void only_the_ids_may_be_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TEXT_FIELDS); i++) {
        struct event events[2];
        with_text(events, &TEXT_FIELDS[i], SLICE_EMPTY);
        if (TEXT_FIELDS[i].may_be_empty) {
            assert_admitted(events, 2);
        } else {
            assert_refused(events, 2, SLUICE_INVALID, "batch[1].name is empty");
        }
    }
}

/* --- Sizes --- */

static void name_args_and_ids_together_have_a_limit(void **state)
{
    (void)state;
    static char args[EVENT_BYTES_MAX];
    struct event event = event_of(5, 4);
    size_t others = event.name.bytes + event.client_id.bytes + event.session_id.bytes;
    memset(args, '1', sizeof args);
    event.args = slice_make(args, EVENT_BYTES_MAX - others);
    assert_admitted(&event, 1);
    event.args.bytes++;
    assert_refused(&event, 1, SLUICE_LIMIT,
                   "batch[0] (event 5) has 4001 bytes; the limit for an event is 4000 "
                   "(--event-bytes-max)");
    event.args.bytes--;
    event.session_id = SLICE("session-12");
    assert_refused(&event, 1, SLUICE_LIMIT,
                   "batch[0] (event 5) has 4001 bytes; the limit for an event is 4000 "
                   "(--event-bytes-max)");
}

static void a_batch_has_at_most_1000_events(void **state)
{
    (void)state;
    static struct event events[BATCH_EVENTS_MAX + 1];
    for (size_t i = 0; i < COUNT(events); i++) {
        events[i] = event_of(i + 1, i);
    }
    assert_admitted(events, BATCH_EVENTS_MAX);
    assert_refused(events, BATCH_EVENTS_MAX + 1, SLUICE_LIMIT,
                   "batch has 1001 events; the limit is 1000");
}

static void the_last_event_is_looked_at_as_the_first(void **state)
{
    (void)state;
    static struct event events[BATCH_EVENTS_MAX];
    for (size_t i = 0; i < COUNT(events); i++) {
        events[i] = event_of(i + 1, i);
    }
    events[BATCH_EVENTS_MAX - 1].name = SLICE_EMPTY;
    assert_refused(events, BATCH_EVENTS_MAX, SLUICE_INVALID, "batch[999].name is empty");
}

/* --- Stores --- */

static void a_store_id_is_1_to_512_bytes_of_utf_8(void **state)
{
    (void)state;
    char id[STORE_ID_BYTES_MAX + 1];
    struct sluice_error error = {0};
    memset(id, 's', sizeof id);
    assert_int_equal(admission_check_store_id(SLICE("s"), &error), SLUICE_OK);
    assert_int_equal(admission_check_store_id(SLICE("\xc3\xbc \0/"), &error), SLUICE_OK);
    assert_int_equal(admission_check_store_id(slice_make(id, STORE_ID_BYTES_MAX), &error),
                     SLUICE_OK);
    assert_int_equal(admission_check_store_id(SLICE_EMPTY, &error), SLUICE_INVALID);
    assert_string_equal(error.message, "storeId is empty");
    assert_int_equal(admission_check_store_id(slice_make(id, STORE_ID_BYTES_MAX + 1), &error),
                     SLUICE_LIMIT);
    assert_string_equal(error.message, "storeId has 513 bytes; the limit is 512");
    assert_int_equal(admission_check_store_id(SLICE("s\xff"), &error), SLUICE_INVALID);
    assert_string_equal(error.message, "storeId is not valid UTF-8");
}

/* --- What is the same event --- */

static bool same(const struct event *stored, const struct event *pushed)
{
    bool answer = false;
    bool again = true;
    assert_int_equal(admission_same_event(stored, pushed, &answer), SLUICE_OK);
    assert_int_equal(admission_same_event(pushed, stored, &again), SLUICE_OK);
    assert_int_equal(answer, again);
    return answer;
}

static void an_event_is_the_same_by_what_was_pushed(void **state)
{
    (void)state;
    struct event stored = event_of(5, 4);
    struct event pushed = event_of(5, 4);
    stored.position = 12; /* what the log has added does not count */
    stored.created_at_ms = 99;
    assert_true(same(&stored, &pushed));

    pushed.seq_num = 6;
    assert_false(same(&stored, &pushed));
    pushed = event_of(5, 3);
    assert_false(same(&stored, &pushed));
    pushed = event_of(5, 4);
    pushed.name = SLICE("v2.TodoCreated");
    assert_false(same(&stored, &pushed));
    pushed = event_of(5, 4);
    pushed.client_id = SLICE("client-b");
    assert_false(same(&stored, &pushed));
    pushed = event_of(5, 4);
    pushed.session_id = SLICE("");
    assert_false(same(&stored, &pushed));
    pushed = event_of(5, 4);
    pushed.args = SLICE("{\"id\":\"x2\"}");
    assert_false(same(&stored, &pushed));
}

static void args_are_compared_as_json_values(void **state)
{
    (void)state;
    struct event stored = event_of(5, 4);
    struct event pushed = event_of(5, 4);
    stored.args = SLICE("{\"a\":[1,{\"x\":\"\\u00fc\"}],\"b\":null}");
    pushed.args = SLICE(" { \"b\" : null , \"a\" : [ 1.0 , { \"x\" : \"\xc3\xbc\" } ] } ");
    assert_true(same(&stored, &pushed));
    pushed.args = SLICE("{\"a\":[{\"x\":\"\\u00fc\"},1],\"b\":null}");
    assert_false(same(&stored, &pushed));
    pushed.args = SLICE("{\"a\":[1,{\"x\":\"\\u00fc\"}]}");
    assert_false(same(&stored, &pushed));
    stored.args = SLICE("9007199254740993");
    pushed.args = SLICE("9007199254740992");
    assert_false(same(&stored, &pushed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_admitted),
        cmocka_unit_test(gaps_in_sequence_numbers_are_legal),
        cmocka_unit_test(an_event_comes_after_its_parent),
        cmocka_unit_test(a_batch_ascends),
        cmocka_unit_test(each_parent_is_the_event_before),
        cmocka_unit_test(sequence_numbers_are_from_1_to_2_to_the_53_minus_1),
        cmocka_unit_test(a_text_has_at_most_512_bytes),
        cmocka_unit_test(a_text_is_valid_utf_8),
        cmocka_unit_test(only_the_ids_may_be_empty),
        cmocka_unit_test(name_args_and_ids_together_have_a_limit),
        cmocka_unit_test(a_batch_has_at_most_1000_events),
        cmocka_unit_test(the_last_event_is_looked_at_as_the_first),
        cmocka_unit_test(a_store_id_is_1_to_512_bytes_of_utf_8),
        cmocka_unit_test(an_event_is_the_same_by_what_was_pushed),
        cmocka_unit_test(args_are_compared_as_json_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
