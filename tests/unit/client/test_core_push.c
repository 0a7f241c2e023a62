/* Pushes over a WebSocket: splitting, lost answers, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core_stage.h"

static int setup(void **state)
{
    static struct stage stage;
    stage_init(&stage, "ws://h/");
    stage.config.backend_id = SLICE("b1");
    stage_start(&stage);
    *state = &stage;
    return 0;
}

static int teardown(void **state)
{
    stage_deinit(*state);
    return 0;
}

#define AHEAD "{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":%u,\"providedNum\":%u}"

static void refuse(struct stage *stage, unsigned id, unsigned minimum, unsigned provided)
{
    char error[200];
    (void)snprintf(error, sizeof(error), AHEAD, minimum, provided);
    stage_say(stage, STAGE_EXIT_FAIL, id, error);
}

/* Loses the connection and comes back at once. */
static void reconnect(struct stage *stage)
{
    stage_cut(stage, "reset");
    stage_wait(stage, 0);
    stage_open(stage);
    stage_journal(stage, "disconnected OFFLINE\nconnected\n");
}

static void connected(struct stage *stage)
{
    stage_open(stage);
    stage_journal(stage, "connected\n");
}

static void a_push_is_sent_with_the_backend_id_and_acknowledged(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 2, 0);
    connected(stage);
    stage_expect(stage,
                 "\"tag\":\"SyncWsRpc.Push\",\"headers\":[],\"payload\":{\"storeId\":\"s\","
                 "\"batch\":[{\"name\":\"e\",\"args\":{\"n\":1},\"seqNum\":1,\"parentSeqNum\":0,"
                 "\"clientId\":\"c\",\"sessionId\":\"x\"},{");
    stage_say(stage, STAGE_EXIT_OK, 1);
    stage_journal(stage, "pushed 2 OK\n");
}

static void no_events_are_pushed_without_a_server(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 0, 0);
    stage_journal(stage, "pushed 0 OK\n");
}

static void a_push_is_split_by_count_in_order(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 250, 0);
    connected(stage);
    stage_expect(stage, "\"seqNum\":100,");
    assert_string_equal(stage_hear(stage), ""); /* the next one waits for the answer */
    stage_say(stage, STAGE_EXIT_OK, 1);
    const char *second = stage_hear(stage);
    assert_non_null(strstr(second, "[{\"name\":\"e\",\"args\":{\"n\":101}"));
    assert_null(strstr(second, "\"seqNum\":201,"));
    stage_say(stage, STAGE_EXIT_OK, 2);
    stage_expect(stage, "\"seqNum\":250,");
    stage_say(stage, STAGE_EXIT_OK, 3);
    stage_journal(stage, "pushed 250 OK\n");
}

static void a_push_is_split_by_bytes(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 20, 100000);
    connected(stage);
    for (unsigned id = 1; id <= 3; id++) {
        const char *batch = stage_hear(stage);
        assert_true(strlen(batch) > 200000 && strlen(batch) < 901000);
        stage_say(stage, STAGE_EXIT_OK, id);
    }
    stage_journal(stage, "pushed 20 OK\n");
}

static void an_event_longer_than_a_batch_travels_alone(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 2, 950000);
    connected(stage);
    assert_true(strlen(stage_hear(stage)) > 950000);
    stage_say(stage, STAGE_EXIT_OK, 1);
    assert_true(strlen(stage_hear(stage)) > 950000);
    stage_say(stage, STAGE_EXIT_OK, 2);
    stage_journal(stage, "pushed 2 OK\n");
}

static void pushes_run_one_after_the_other(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_push(stage, 2, 2, 0);
    connected(stage);
    stage_expect(stage, "\"seqNum\":1,");
    assert_string_equal(stage_hear(stage), "");
    stage_say(stage, STAGE_EXIT_OK, 1);
    stage_expect(stage, "\"seqNum\":2,");
    stage_say(stage, STAGE_EXIT_OK, 2);
    stage_journal(stage, "pushed 1 OK\npushed 1 OK\n");
}

static void a_push_whose_answer_was_lost_is_sent_again(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 2, 0);
    connected(stage);
    stage_expect(stage, "\"id\":\"1\"");
    reconnect(stage);
    stage_expect(stage, "\"id\":\"2\",\"tag\":\"SyncWsRpc.Push\"");
    stage_say(stage, STAGE_EXIT_OK, 2);
    stage_journal(stage, "pushed 2 OK\n");
}

static void an_acknowledged_batch_is_not_sent_again(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 150, 0);
    connected(stage);
    stage_expect(stage, "\"seqNum\":1,");
    stage_say(stage, STAGE_EXIT_OK, 1);
    reconnect(stage);
    stage_expect(stage, "[{\"name\":\"e\",\"args\":{\"n\":101}");
    stage_say(stage, STAGE_EXIT_OK, 3);
    stage_journal(stage, "pushed 150 OK\n");
}

static void server_ahead_says_what_was_acknowledged_before_and_the_head(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 150, 0);
    connected(stage);
    stage_say(stage, STAGE_EXIT_OK, 1);
    refuse(stage, 2, 107, 100);
    stage_journal(stage, "pushed 100 SERVER_AHEAD 107\n");
}

static void a_duplicate_that_the_server_calls_behind_is_recognised(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 4, 6, 0);
    connected(stage);
    reconnect(stage);
    stage_expect(stage, "SyncWsRpc.Push");
    refuse(stage, 2, 9, 3);
    stage_expect(stage, "\"live\":false,\"cursor\":{\"_tag\":\"Some\",\"value\":"
                        "{\"backendId\":\"b1\",\"eventSequenceNumber\":3}}");
    stage_chunk(stage, 3, 4, 9, "NoMore");
    stage_journal(stage, "pushed 3 OK\n");
}

static void of_a_batch_whose_beginning_is_stored_the_rest_is_pushed(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 4, 6, 0);
    connected(stage);
    reconnect(stage);
    refuse(stage, 2, 5, 3);
    stage_chunk(stage, 3, 4, 5, "NoMore");
    stage_say(stage, STAGE_EXIT_OK, 3);
    stage_expect(stage, "SyncWsRpc.Push");
    stage_expect(stage, "SyncWsRpc.Pull");
    stage_expect(stage, "Ack");
    stage_expect(stage, "\"batch\":[{\"name\":\"e\",\"args\":{\"n\":6}");
    stage_say(stage, STAGE_EXIT_OK, 4);
    stage_journal(stage, "pushed 3 OK\n");
}

static void another_event_in_its_place_is_server_ahead(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 4, 5, 20);
    connected(stage);
    reconnect(stage);
    refuse(stage, 2, 6, 3);
    stage_chunk(stage, 3, 4, 6, "NoMore"); /* with other args */
    stage_journal(stage, "pushed 0 SERVER_AHEAD 6\n");
}

static void a_check_that_is_interrupted_goes_on(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 4, 6, 0);
    connected(stage);
    reconnect(stage);
    refuse(stage, 2, 9, 3);
    stage_chunk(stage, 3, 4, 5, "MoreKnown");
    reconnect(stage);
    stage_expect(stage, "\"eventSequenceNumber\":5");
    stage_chunk(stage, 4, 6, 9, "NoMore");
    stage_journal(stage, "pushed 3 OK\n");
}

static void refusals_are_told_apart(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_push(stage, 1, 1, 0);
    stage_push(stage, 1, 1, 0);
    connected(stage);
    stage_say(stage, STAGE_EXIT_FAIL, 1,
              "{\"_tag\":\"BackendIdMismatchError\",\"expected\":\"b2\",\"received\":\"b1\"}");
    stage_say(stage, STAGE_EXIT_FAIL, 2,
              "{\"_tag\":\"UnknownError\",\"cause\":{\"_tag\":\"ServerAheadError\","
              "\"minimumExpectedNum\":4,\"providedNum\":0}}");
    stage_say(stage, STAGE_EXIT_FAIL, 3, "{\"_tag\":\"UnknownError\",\"cause\":\"disk full\"}");
    stage_journal(stage, "pushed 0 BACKEND_ID_MISMATCH\npushed 0 SERVER_AHEAD 4\n"
                         "pushed 0 UNKNOWN\n");
}

static void an_answer_that_never_comes_is_asked_for_on_another_connection(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    connected(stage);
    stage_expect(stage, "Push");
    for (unsigned i = 0; i < 12; i++) {
        stage_wait(stage, 5000);
        if (stage->open) {
            stage_say(stage, "{\"_tag\":\"Pong\"}");
        }
    }
    stage_journal(stage, "disconnected OFFLINE\n");
    stage_open(stage);
    stage_expect(stage, "SyncWsRpc.Push");
    stage_say(stage, STAGE_EXIT_OK, 2);
    stage_journal(stage, "connected\npushed 1 OK\n");
}

static void a_push_that_has_no_connection_for_too_long_is_offline(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    for (unsigned i = 0; i < 29; i++) {
        stage_cut(stage, "refused");
        stage_journal(stage, "disconnected OFFLINE\n");
        stage_wait(stage, 1000);
    }
    stage_cut(stage, "refused");
    stage_wait(stage, 1000);
    stage_journal(stage, "disconnected OFFLINE\npushed 0 OFFLINE\n");
}

static void a_push_that_every_connection_breaks_under_is_offline_in_time(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    for (unsigned second = 0; second < 60; second++) {
        if (stage->opening) {
            stage_open(stage);
            stage_cut(stage, "reset");
        }
        stage_wait(stage, 1000);
    }
    buffer_append_byte(&stage->journal, '\0');
    assert_non_null(strstr(stage->journal.data, "pushed 0 OFFLINE\n"));
}

static void a_batch_that_the_server_has_only_defects_for_is_given_up(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    for (unsigned i = 0; i < 3; i++) {
        connected(stage);
        stage_say(stage, "{\"_tag\":\"Defect\",\"defect\":\"cannot\"}");
        stage_journal(stage, i < 2 ? "disconnected OFFLINE\n"
                                   : "pushed 0 UNKNOWN\ndisconnected OFFLINE\n");
        stage_wait(stage, 0);
    }
}

static void a_batch_that_is_too_big_for_the_server_is_given_up(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    connected(stage);
    stage_bytes(stage, SLICE("\x88\x02\x03\xF1")); /* close 1009 */
    stage_journal(stage, "pushed 0 LIMIT\ndisconnected OFFLINE\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_push_is_sent_with_the_backend_id_and_acknowledged),
        TEST(no_events_are_pushed_without_a_server),
        TEST(a_push_is_split_by_count_in_order),
        TEST(a_push_is_split_by_bytes),
        TEST(an_event_longer_than_a_batch_travels_alone),
        TEST(pushes_run_one_after_the_other),
        TEST(a_push_whose_answer_was_lost_is_sent_again),
        TEST(an_acknowledged_batch_is_not_sent_again),
        TEST(server_ahead_says_what_was_acknowledged_before_and_the_head),
        TEST(a_duplicate_that_the_server_calls_behind_is_recognised),
        TEST(of_a_batch_whose_beginning_is_stored_the_rest_is_pushed),
        TEST(another_event_in_its_place_is_server_ahead),
        TEST(a_check_that_is_interrupted_goes_on),
        TEST(refusals_are_told_apart),
        TEST(an_answer_that_never_comes_is_asked_for_on_another_connection),
        TEST(a_push_that_has_no_connection_for_too_long_is_offline),
        TEST(a_push_that_every_connection_breaks_under_is_offline_in_time),
        TEST(a_batch_that_the_server_has_only_defects_for_is_given_up),
        TEST(a_batch_that_is_too_big_for_the_server_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
