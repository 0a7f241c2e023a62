/* The core over HTTP: one exchange at a time, polling, answers that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core_stage.h"

#define JSON "Content-Type: application/json\r\n"

static int setup(void **state)
{
    static struct stage stage;
    stage_init(&stage, "http://h/");
    stage_start(&stage);
    *state = &stage;
    return 0;
}

static int teardown(void **state)
{
    stage_deinit(*state);
    return 0;
}

/* Answers request `id` with one page and an Exit. */
static void answer_page(struct stage *stage, unsigned id, uint64_t first, uint64_t last,
                        const char *headers)
{
    static char body[20000];
    int bytes =
        snprintf(body, sizeof(body),
                 "[{\"_tag\":\"Chunk\",\"requestId\":\"%u\",\"values\":[%s]}," STAGE_EXIT_OK "]",
                 id, stage_page(first, last, "NoMore"), id);
    assert_true(bytes > 0 && (size_t)bytes < sizeof(body));
    stage_answer(stage, "200 OK", headers, body);
}

static void answer_exit(struct stage *stage, unsigned id)
{
    char body[200];
    (void)snprintf(body, sizeof(body), "[" STAGE_EXIT_OK "]", id);
    stage_answer(stage, "200 OK", JSON, body);
}

static void a_pull_is_one_request(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, false);
    stage_open(stage);
    stage_expect(stage,
                 "{\"_tag\":\"Request\",\"id\":\"1\",\"tag\":\"SyncHttpRpc.Pull\",\"headers\":[],"
                 "\"payload\":{\"storeId\":\"s\",\"cursor\":{\"_tag\":\"None\"}}}");
    assert_string_equal(stage->head.data, "/?storeId=s&transport=http");
    answer_page(stage, 1, 1, 3, JSON);
    stage_journal(stage, "connected\nbackend id b1\npage 1-3 no_more\npulled OK\n");
}

static void a_live_pull_asks_again_from_its_cursor(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    stage_open(stage);
    stage_expect(stage, "None");
    answer_page(stage, 1, 1, 3, JSON);
    stage_wait(stage, 4999);
    assert_string_equal(stage_hear(stage), "");
    stage_wait(stage, 1);
    stage_expect(stage, "\"eventSequenceNumber\":3");
    answer_page(stage, 2, 0, 0, JSON);
    stage_wait(stage, 5000);
    stage_expect(stage, "\"eventSequenceNumber\":3");
    answer_page(stage, 3, 4, 5, JSON);
    stage_journal(stage, "connected\nbackend id b1\npage 1-3 no_more\npage 4-5 no_more\n");
}

static void an_idle_connection_that_ends_is_no_failure(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    stage_open(stage);
    answer_page(stage, 1, 1, 1, JSON);
    stage_end(stage);
    stage_wait(stage, 4999);
    assert_int_equal(stage->opens, 1);
    stage_wait(stage, 1);
    stage_open(stage);
    answer_page(stage, 2, 2, 2, JSON);
    stage_journal(stage, "connected\nbackend id b1\npage 1-1 no_more\npage 2-2 no_more\n");
}

static void a_connection_that_ends_as_it_is_used_again_is_no_failure(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    answer_exit(stage, 1);
    stage_push(stage, 2, 2, 0);
    stage_end(stage);
    stage_wait(stage, 0);
    stage_open(stage);
    stage_expect(stage, "\"seqNum\":2,");
    answer_exit(stage, 3);
    stage_journal(stage, "connected\npushed 1 OK\npushed 1 OK\n");
}

static void a_connection_that_is_not_kept_alive_is_opened_anew(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_push(stage, 2, 2, 0);
    stage_open(stage);
    stage_answer(
        stage, "200 OK", "Connection: close\r\n",
        "[{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Success\",\"value\":{}}}]");
    assert_true(stage->opening);
    stage_open(stage);
    answer_exit(stage, 2);
    stage_journal(stage, "connected\npushed 1 OK\npushed 1 OK\n");
}

static void an_answer_may_end_with_its_connection(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    stage_bytes(stage, SLICE("HTTP/1.1 200 OK\r\n\r\n[{\"_tag\":\"Exit\",\"requestId\":\"1\","
                             "\"exit\":{\"_tag\":\"Success\",\"value\":{}}}]"));
    stage_end(stage);
    stage_journal(stage, "connected\npushed 1 OK\n");
}

static void pushes_and_polls_take_turns(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_push(stage, 2, 2, 0);
    (void)stage_pull(stage, 0, true);
    stage_open(stage);
    stage_expect(stage, "SyncHttpRpc.Push");
    answer_exit(stage, 1);
    stage_expect(stage, "SyncHttpRpc.Pull");
    answer_page(stage, 2, 1, 1, JSON);
    stage_expect(stage, "SyncHttpRpc.Push");
    answer_exit(stage, 3);
    stage_journal(stage, "connected\npushed 1 OK\nbackend id b1\npage 1-1 no_more\npushed 1 OK\n");
}

static void a_ping_is_a_request(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, false);
    stage_open(stage);
    stage_expect(stage,
                 "\"tag\":\"SyncHttpRpc.Ping\",\"headers\":[],\"payload\":{\"storeId\":\"s\"}}");
    stage_wait(stage, 20);
    stage_answer(stage, "200 OK", JSON,
                 "[{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Success\",\"value\":"
                 "{\"_tag\":\"SyncMessage.Pong\"}}}]");
    stage_journal(stage, "connected\nping OK 20\n");
}

static void connect_pings_in_every_interval(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_open(stage);
    answer_exit(stage, 1);
    stage_journal(stage, "connected\nconnect OK\n");
    stage_expect(stage, "Ping");
    stage_wait(stage, 6000);
    stage_expect(stage, "SyncHttpRpc.Ping");
    stage_wait(stage, 4000);
    stage_journal(stage, "disconnected OFFLINE\n");
}

static void answers_that_are_none_are_offline_or_unauthorized(void **state)
{
    static const struct {
        const char *status;
        const char *headers;
        const char *body;
        const char *journal;
    } ANSWERS[] = {
        {"401 Unauthorized", JSON, "[]", "disconnected UNAUTHORIZED\n"},
        {"403 Forbidden", "", "", "disconnected UNAUTHORIZED\n"},
        {"302 Found", "Location: /login\r\n", "", "disconnected OFFLINE\n"},
        {"200 OK", "Content-Type: text/html; charset=utf-8\r\n", "<html>",
         "disconnected OFFLINE\n"},
        {"200 OK", "", "hello", "disconnected OFFLINE\n"},
        {"200 OK", "", "", "disconnected OFFLINE\n"},
        {"200 OK", JSON, "[]", "disconnected OFFLINE\n"},
        {"200 OK", JSON, "[{\"_tag\":\"Pong\"}]", "connected\ndisconnected OFFLINE\n"},
        {"200 OK", "Content-Encoding: gzip\r\n", "x", "disconnected OFFLINE\n"},
        {"429 Too Many Requests", "Retry-After: 0\r\n", "", "disconnected OFFLINE\n"},
        {"500 Internal Server Error", "", "oops", "disconnected OFFLINE\n"},
        {"503 Service Unavailable", "", "", "disconnected OFFLINE\n"},
    };
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++) {
        stage_open(stage);
        stage_answer(stage, ANSWERS[i].status, ANSWERS[i].headers, ANSWERS[i].body);
        stage_journal(stage, ANSWERS[i].journal);
        stage_wait(stage, 0);
    }
}

static void an_error_status_with_messages_is_an_answer(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    stage_answer(stage, "400 Bad Request", JSON,
                 "[{\"_tag\":\"Exit\",\"requestId\":\"1\",\"exit\":{\"_tag\":\"Failure\",\"cause\":"
                 "[{\"_tag\":\"Fail\",\"error\":{\"_tag\":\"UnknownError\",\"cause\":\"no\"}}]}}]");
    stage_journal(stage, "connected\npushed 0 UNKNOWN\n");
}

static void an_answer_that_is_cut_gives_what_came_and_is_asked_for_again(void **state)
{
    struct stage *stage = *state;
    char answer[2000];
    (void)stage_pull(stage, 0, false);
    stage_open(stage);
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n"
                   "[{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[%s]}\r\n",
                   strlen(stage_page(1, 2, "MoreUnknown")) + strlen("[{\"_tag\":\"Chunk\","
                                                                    "\"requestId\":\"1\","
                                                                    "\"values\":[]}"),
                   stage_page(1, 2, "MoreUnknown"));
    stage_bytes(stage, slice_of_string(answer));
    stage_end(stage);
    stage_wait(stage, 0);
    stage_open(stage);
    stage_expect(stage, "\"eventSequenceNumber\":2");
    answer_page(stage, 2, 3, 3, JSON);
    stage_journal(stage, "connected\nbackend id b1\npage 1-2 more_unknown\ndisconnected OFFLINE\n"
                         "connected\npage 3-3 no_more\npulled OK\n");
}

static void an_interim_answer_is_passed_over(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    stage_bytes(stage, SLICE("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"));
    answer_exit(stage, 1);
    stage_journal(stage, "connected\npushed 1 OK\n");
}

static void a_cancelled_pull_gives_up_its_answer(void **state)
{
    struct stage *stage = *state;
    struct core_pull *pull = stage_pull(stage, 0, false);
    stage_open(stage);
    client_core_pull_cancel(stage->core, pull, stage->now_ms);
    assert_false(stage->open);
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    answer_exit(stage, 2);
    stage_journal(stage, "pulled CLOSED\nconnected\npushed 1 OK\n");
}

static void an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_open(stage);
    answer_exit(stage, 1);
    answer_exit(stage, 2);
    stage_journal(stage, "connected\nconnect OK\ndisconnected OFFLINE\n");
}

static void an_answer_that_never_comes_is_asked_for_again(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    stage_wait(stage, 59999);
    stage_journal(stage, "");
    stage_wait(stage, 1);
    stage_journal(stage, "disconnected OFFLINE\n");
    stage_open(stage);
    answer_exit(stage, 2);
    stage_journal(stage, "connected\npushed 1 OK\n");
}

static void an_answer_that_is_late_is_no_connection_until_it_comes(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    answer_exit(stage, 1);
    stage_journal(stage, "connected\npushed 1 OK\n");
    stage_push(stage, 2, 2, 1);
    stage_wait(stage, 9999);
    stage_journal(stage, "");
    stage_wait(stage, 1);
    stage_journal(stage, "disconnected OFFLINE\n");
    stage_wait(stage, 40000);
    answer_exit(stage, 2);
    stage_journal(stage, "connected\npushed 1 OK\n");
}

static void an_answer_that_drips_and_never_says_anything_is_given_up(void **state)
{
    struct stage *stage = *state;
    stage_push(stage, 1, 1, 0);
    stage_open(stage);
    stage_bytes(stage, SLICE("HTTP/1.1 200 OK\r\n" JSON "Content-Length: 100000\r\n\r\n["));
    for (unsigned second = 0; second < 60; second++) {
        stage_journal(stage, "");
        stage_wait(stage, 1000);
        if (stage->open) {
            stage_bytes(stage, SLICE(" "));
        }
    }
    stage_journal(stage, "disconnected OFFLINE\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pull_is_one_request),
        TEST(a_live_pull_asks_again_from_its_cursor),
        TEST(an_idle_connection_that_ends_is_no_failure),
        TEST(a_connection_that_ends_as_it_is_used_again_is_no_failure),
        TEST(a_connection_that_is_not_kept_alive_is_opened_anew),
        TEST(an_answer_may_end_with_its_connection),
        TEST(pushes_and_polls_take_turns),
        TEST(a_ping_is_a_request),
        TEST(connect_pings_in_every_interval),
        TEST(answers_that_are_none_are_offline_or_unauthorized),
        TEST(an_error_status_with_messages_is_an_answer),
        TEST(an_answer_that_is_cut_gives_what_came_and_is_asked_for_again),
        TEST(an_interim_answer_is_passed_over),
        TEST(a_cancelled_pull_gives_up_its_answer),
        TEST(an_answer_that_nobody_asked_for_ends_the_connection),
        TEST(an_answer_that_never_comes_is_asked_for_again),
        TEST(an_answer_that_is_late_is_no_connection_until_it_comes),
        TEST(an_answer_that_drips_and_never_says_anything_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
