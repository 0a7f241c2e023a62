/* Pulls over a WebSocket: order, gaps, the loss of the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core_stage.h"

static int setup(void **state)
{
    static struct stage stage;
    stage_init(&stage, "ws://h/");
    stage_start(&stage);
    *state = &stage;
    return 0;
}

static int teardown(void **state)
{
    stage_deinit(*state);
    return 0;
}

/* Connected, with a pull from the beginning that was asked for as request 1. */
static struct core_pull *pulling(struct stage *stage, uint64_t cursor, bool live)
{
    struct core_pull *pull = stage_pull(stage, cursor, live);
    stage_open(stage);
    stage_expect(stage, "\"id\":\"1\",\"tag\":\"SyncWsRpc.Pull\"");
    stage_journal(stage, "connected\n");
    return pull;
}

static void a_pull_gives_pages_in_order_and_ends_at_the_head(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, false);
    stage_chunk(stage, 1, 1, 3, "MoreKnown");
    stage_expect(stage, "{\"_tag\":\"Ack\",\"requestId\":\"1\"}");
    stage_chunk(stage, 1, 4, 5, "NoMore");
    stage_say(stage, STAGE_EXIT_OK, 1);
    stage_journal(stage, "backend id b1\npage 1-3 more_known\npage 4-5 no_more\npulled OK\n");
}

static void an_empty_log_is_one_page_without_events(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, false);
    stage_chunk(stage, 1, 0, 0, "NoMore");
    stage_say(stage, STAGE_EXIT_OK, 1);
    stage_journal(stage, "backend id b1\npage - no_more\npulled OK\n");
}

static void events_that_come_again_are_dropped(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_chunk(stage, 1, 1, 3, "NoMore");
    stage_chunk(stage, 1, 1, 3, "NoMore");
    stage_chunk(stage, 1, 2, 4, "NoMore");
    stage_journal(stage, "backend id b1\npage 1-3 no_more\npage 4-4 no_more\n");
}

static void a_chunk_that_overtook_another_waits_for_it(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_chunk(stage, 1, 1, 2, "MoreKnown");
    stage_chunk(stage, 1, 7, 8, "NoMore");
    stage_chunk(stage, 1, 5, 6, "NoMore");
    stage_chunk(stage, 1, 3, 4, "NoMore");
    stage_journal(stage, "backend id b1\npage 1-2 more_known\npage 3-4 no_more\n"
                         "page 5-6 no_more\npage 7-8 no_more\n");
}

static void a_gap_that_is_not_filled_is_pulled_again_from_the_last_good_event(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_chunk(stage, 1, 1, 2, "NoMore");
    stage_chunk(stage, 1, 5, 6, "NoMore");
    stage_expect(stage, "Ack");
    stage_expect(stage, "Ack");
    stage_wait(stage, 999);
    assert_string_equal(stage_hear(stage), "");
    stage_wait(stage, 1);
    stage_expect(stage, "{\"_tag\":\"Interrupt\",\"requestId\":\"1\"}");
    stage_expect(stage, "\"eventSequenceNumber\":2");
    stage_chunk(stage, 1, 7, 7, "NoMore"); /* of the old request: nobody's */
    stage_chunk(stage, 2, 3, 7, "NoMore");
    stage_journal(stage, "backend id b1\npage 1-2 no_more\npage 3-7 no_more\n");
}

static void a_pull_that_ends_with_a_gap_is_asked_for_again(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, false);
    stage_chunk(stage, 1, 3, 4, "NoMore");
    stage_say(stage, STAGE_EXIT_OK, 1);
    stage_expect(stage, "Ack");
    stage_expect(stage, "\"id\":\"2\"");
    stage_chunk(stage, 2, 1, 4, "NoMore");
    stage_say(stage, STAGE_EXIT_OK, 2);
    stage_journal(stage, "backend id b1\npage 1-4 no_more\npulled OK\n");
}

static void a_broken_chain_that_a_fresh_pull_gives_again_is_the_logs_own(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, false);
    for (unsigned id = 1; id <= 3; id++) {
        stage_chunk(stage, id, 5, 6, "NoMore");
        stage_say(stage, STAGE_EXIT_OK, id);
        stage_wait(stage, 0);
    }
    stage_journal(stage, "backend id b1\npage 5-6 no_more\npulled OK\n");
}

static void a_live_pull_goes_on_at_its_cursor_after_the_connection_was_lost(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_chunk(stage, 1, 1, 3, "NoMore");
    stage_cut(stage, "reset");
    stage_wait(stage, 0);
    stage_open(stage);
    stage_expect(stage, "\"cursor\":{\"_tag\":\"Some\",\"value\":{\"backendId\":\"b1\","
                        "\"eventSequenceNumber\":3}}");
    stage_chunk(stage, 2, 0, 0, "NoMore"); /* nothing new, which the caller knows */
    stage_chunk(stage, 2, 4, 4, "NoMore");
    stage_journal(stage, "backend id b1\npage 1-3 no_more\ndisconnected OFFLINE\nconnected\n"
                         "page 4-4 no_more\n");
}

static void a_cursor_without_a_backend_id_is_sent_once_the_id_is_known(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 3, true);
    stage_open(stage);
    stage_expect(stage, "\"cursor\":{\"_tag\":\"None\"}");
    stage_chunk(stage, 1, 1, 2, "MoreKnown");
    stage_expect(stage, "Interrupt");
    stage_expect(stage, "\"backendId\":\"b1\",\"eventSequenceNumber\":3");
    stage_chunk(stage, 2, 4, 5, "NoMore");
    stage_journal(stage, "connected\nbackend id b1\npage 4-5 no_more\n");
}

/* Its first event looks like one after a gap, and is held back: nothing is learnt from it at first.
 */
static void a_cursor_that_is_no_events_number_does_not_ask_without_end(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 5, false);
    stage_open(stage);
    stage_chunk(stage, 1, 10, 11, "NoMore");
    stage_expect(stage, "None");
    stage_expect(stage, "Ack");
    assert_string_equal(stage_hear(stage), "");
}

static void another_backend_id_ends_the_pull(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_chunk(stage, 1, 1, 1, "NoMore");
    stage_say(stage,
              "{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[{\"batch\":[],\"pageInfo\":"
              "{\"_tag\":\"NoMore\"},\"backendId\":\"b2\"}]}");
    stage_journal(stage, "backend id b1\npage 1-1 no_more\npulled BACKEND_ID_MISMATCH\n");
}

static void a_mismatch_that_the_server_reports_ends_the_pull(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_say(stage, STAGE_EXIT_FAIL, 1,
              "{\"_tag\":\"BackendIdMismatchError\",\"expected\":\"b2\",\"received\":\"b1\"}");
    stage_journal(stage, "pulled BACKEND_ID_MISMATCH\n");
}

static void an_error_ends_a_pull_that_is_not_live(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, false);
    stage_say(stage, STAGE_EXIT_FAIL, 1, "{\"_tag\":\"UnknownError\",\"cause\":\"no\"}");
    stage_journal(stage, "pulled UNKNOWN\n");
}

static void an_error_that_stays_ends_a_live_pull_after_five_tries(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    for (unsigned id = 1; id <= 5; id++) {
        stage_say(stage, STAGE_EXIT_FAIL, id, "{\"_tag\":\"UnknownError\",\"cause\":\"no\"}");
        stage_journal(stage, id < 5 ? "" : "pulled UNKNOWN\n");
        stage_wait(stage, 0);
    }
}

static void a_live_pull_that_the_server_ends_is_asked_for_again(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_chunk(stage, 1, 1, 2, "NoMore");
    stage_expect(stage, "Ack");
    stage_say(stage, STAGE_EXIT_OK, 1);
    stage_wait(stage, 0);
    stage_expect(stage, "\"eventSequenceNumber\":2");
}

static void a_cancelled_pull_is_interrupted_and_ends(void **state)
{
    struct stage *stage = *state;
    struct core_pull *pull = pulling(stage, 0, true);
    client_core_pull_cancel(stage->core, pull, stage->now_ms);
    stage_expect(stage, "{\"_tag\":\"Interrupt\",\"requestId\":\"1\"}");
    stage_chunk(stage, 1, 1, 2, "NoMore");
    stage_journal(stage, "pulled CLOSED\n");
}

static void closing_ends_what_runs(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    stage_push(stage, 1, 2, 0);
    stage_ping(stage, false);
    client_core_close(stage->core, stage->now_ms);
    stage_journal(stage, "disconnected OK\nping CLOSED 0\npulled CLOSED\npushed 0 CLOSED\n");
    assert_false(stage->open);
}

static void a_page_that_the_server_owes_ends_the_connection(void **state)
{
    struct stage *stage = *state;
    (void)pulling(stage, 0, true);
    for (unsigned i = 0; i < 12; i++) {
        stage_wait(stage, 5000);
        if (stage->open) {
            stage_say(stage, "{\"_tag\":\"Pong\"}");
        }
    }
    stage_journal(stage, "disconnected OFFLINE\n");
}

static void offline_a_pull_that_is_not_live_gives_up_in_time_and_a_live_one_never(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    (void)stage_pull(stage, 0, false);
    for (unsigned i = 0; i < 40; i++) {
        stage_cut(stage, "refused");
        stage_wait(stage, 1000);
    }
    buffer_append_byte(&stage->journal, '\0');
    assert_non_null(strstr(stage->journal.data, "pulled OFFLINE\n"));
    assert_null(strstr(strstr(stage->journal.data, "pulled") + 1, "pulled"));
    buffer_clear(&stage->journal);
    stage_open(stage);
    stage_chunk(stage, 1, 1, 1, "NoMore");
    stage_journal(stage, "connected\nbackend id b1\npage 1-1 no_more\n");
}

static void garbage_ends_the_connection_and_the_pull_goes_on(void **state)
{
    static const char *const GARBAGE[] = {
        "nonsense",
        "{}",
        "null",
        "{\"_tag\":\"Chunk\",\"requestId\":\"%zu\"}",
        "{\"_tag\":\"Chunk\",\"requestId\":\"%zu\",\"values\":[{}]}",
        ("{\"_tag\":\"Chunk\",\"requestId\":\"%zu\",\"values\":[{\"batch\":[{}],\"pageInfo\":"
         "{\"_tag\":\"NoMore\"},\"backendId\":\"b1\"}]}"),
        "{\"_tag\":\"Exit\",\"requestId\":\"%zu\"}",
        "{\"_tag\":\"Defect\",\"defect\":\"x\"}",
    };
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    stage_open(stage);
    stage_journal(stage, "connected\n");
    for (size_t i = 0; i < sizeof(GARBAGE) / sizeof(GARBAGE[0]); i++) {
        char text[300];
        const char *id = strstr(GARBAGE[i], "%zu");
        int start = id != NULL ? (int)(id - GARBAGE[i]) : 0;
        if (id != NULL) { /* of the request under way */
            (void)snprintf(text, sizeof(text), "%.*s%zu%s", start, GARBAGE[i], i + 1, id + 3);
        }
        stage_say(stage, "%s", id != NULL ? text : GARBAGE[i]);
        stage_journal(stage, "disconnected OFFLINE\n");
        stage_wait(stage, 0);
        stage_open(stage);
        stage_journal(stage, "connected\n");
    }
}

static void a_page_that_is_never_readable_ends_the_pull_after_five_tries(void **state)
{
    struct stage *stage = *state;
    unsigned asked_count = 0;
    (void)stage_pull(stage, 0, false);
    stage->random = 8000;
    for (unsigned second = 0; second < 60; second++) {
        if (stage->opening) {
            stage_open(stage);
            stage_say(stage, "{\"_tag\":\"Chunk\",\"requestId\":\"%u\",\"values\":[{}]}",
                      ++asked_count);
        }
        stage_wait(stage, 1000);
    }
    buffer_append_byte(&stage->journal, '\0');
    assert_non_null(strstr(stage->journal.data, "pulled UNKNOWN\n"));
    assert_int_equal(asked_count, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pull_gives_pages_in_order_and_ends_at_the_head),
        TEST(an_empty_log_is_one_page_without_events),
        TEST(events_that_come_again_are_dropped),
        TEST(a_chunk_that_overtook_another_waits_for_it),
        TEST(a_gap_that_is_not_filled_is_pulled_again_from_the_last_good_event),
        TEST(a_pull_that_ends_with_a_gap_is_asked_for_again),
        TEST(a_broken_chain_that_a_fresh_pull_gives_again_is_the_logs_own),
        TEST(a_live_pull_goes_on_at_its_cursor_after_the_connection_was_lost),
        TEST(a_cursor_without_a_backend_id_is_sent_once_the_id_is_known),
        TEST(a_cursor_that_is_no_events_number_does_not_ask_without_end),
        TEST(another_backend_id_ends_the_pull),
        TEST(a_mismatch_that_the_server_reports_ends_the_pull),
        TEST(an_error_ends_a_pull_that_is_not_live),
        TEST(an_error_that_stays_ends_a_live_pull_after_five_tries),
        TEST(a_live_pull_that_the_server_ends_is_asked_for_again),
        TEST(a_cancelled_pull_is_interrupted_and_ends),
        TEST(closing_ends_what_runs),
        TEST(a_page_that_the_server_owes_ends_the_connection),
        TEST(offline_a_pull_that_is_not_live_gives_up_in_time_and_a_live_one_never),
        TEST(garbage_ends_the_connection_and_the_pull_goes_on),
        TEST(a_page_that_is_never_readable_ends_the_pull_after_five_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
