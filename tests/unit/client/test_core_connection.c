/* The connection over a WebSocket: attempts, refusals, silence, pings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core_stage.h"
#include "ws/ws_frame.h"

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

static void nothing_is_sent_before_something_is_asked_for(void **state)
{
    struct stage *stage = *state;
    stage_wait(stage, 3600000);
    assert_int_equal(stage->opens, 0);
}

static void connect_keeps_a_connection(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_open(stage);
    stage_journal(stage, "connected\nconnect OK\n");
    stage_cut(stage, "reset");
    stage_wait(stage, 0);
    assert_true(stage->opening);
}

static void the_first_failure_is_told_and_attempts_go_on(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_cut(stage, "refused");
    stage_journal(stage, "disconnected OFFLINE\nconnect OFFLINE\n");
    stage_wait(stage, 0);
    assert_true(stage->opening);
}

static void the_wait_doubles_up_to_the_cap_and_starts_anew_after_success(void **state)
{
    static const uint64_t WAITS_MS[] = {500, 1000, 2000, 4000, 8000, 8000};
    struct stage *stage = *state;
    stage_ping(stage, true);
    for (size_t i = 0; i < 6; i++) {
        stage->random = WAITS_MS[i]; /* modulo one more: the longest wait */
        stage_cut(stage, "refused");
        stage_wait(stage, WAITS_MS[i] - 1);
        assert_false(stage->opening);
        stage_wait(stage, 1);
        assert_true(stage->opening);
    }
    stage_open(stage);
    stage_say(stage, "{\"_tag\":\"Pong\"}");
    stage->random = 500;
    stage_cut(stage, "reset");
    stage_wait(stage, 500);
    assert_true(stage->opening);
}

static void a_server_that_accepts_and_says_nothing_does_not_end_the_backoff(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage->random = 500;
    stage_open(stage);
    stage_end(stage);
    stage_wait(stage, 500);
    stage_open(stage);
    stage->random = 1000;
    stage_end(stage);
    stage_wait(stage, 999);
    assert_false(stage->opening);
}

static void an_attempt_that_hangs_is_given_up(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage->random = 1;
    stage_wait(stage, 5000);
    stage_journal(stage, "disconnected OFFLINE\nconnect OFFLINE\n");
    assert_false(stage->opening);
}

/* Opens the connection and answers the upgrade with something else. */
static void answer_upgrade(struct stage *stage, const char *answer)
{
    stage->opening = false;
    stage->open = true;
    client_core_opened(stage->core, stage->now_ms);
    stage_bytes(stage, slice_of_string(answer));
}

static void a_handshake_that_drips_is_given_up(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage->random = 1;
    answer_upgrade(stage, "H");
    for (unsigned i = 0; i < 4; i++) {
        stage_wait(stage, 1000);
        stage_bytes(stage, slice_make(&"TTP/"[i], 1));
    }
    assert_true(stage->open);
    stage_wait(stage, 1000);
    assert_false(stage->open);
    stage_journal(stage, "disconnected OFFLINE\nconnect OFFLINE\n");
}

static void refusals_are_told_and_tried_again(void **state)
{
    static const struct {
        const char *answer;
        const char *journal;
    } REFUSALS[] = {
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "disconnected UNAUTHORIZED\n"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "disconnected UNAUTHORIZED\n"},
        {"HTTP/1.1 302 Found\r\nLocation: https://portal/\r\n\r\n", "disconnected OFFLINE\n"},
        {"HTTP/1.1 429 Too Many Requests\r\n\r\n", "disconnected OFFLINE\n"},
        {"HTTP/1.1 500 Internal Server Error\r\n\r\n", "disconnected OFFLINE\n"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "disconnected OFFLINE\n"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "disconnected OFFLINE\n"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: aaaaaaaaaaaaaaaaaaaaaaaaaaa=\r\n\r\n",
         "disconnected OFFLINE\n"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "disconnected OFFLINE\n"},
    };
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(REFUSALS[0]); i++) {
        answer_upgrade(stage, REFUSALS[i].answer);
        stage_journal(stage, REFUSALS[i].journal);
        stage_wait(stage, 0);
        assert_true(stage->opening);
    }
}

static char said[sizeof(((struct sluice_error *)0)->message)];

static void keep_what_was_said(struct core_ping *ping, const struct sluice_failure *failure,
                               uint64_t round_trip_ms)
{
    (void)ping, (void)round_trip_ms;
    assert_non_null(failure);
    memcpy(said, failure->error.message, sizeof(said));
}

/* A redirect repeats the query that it was asked with, and the payload is in that. */
static void a_redirect_is_told_without_its_query(void **state)
{
    struct stage *stage = *state;
    struct core_ping ping = {.done = keep_what_was_said};
    client_core_ping(stage->core, &ping, stage->now_ms);
    answer_upgrade(stage, "HTTP/1.1 301 Moved\r\n"
                          "Location: https://h/sync?storeId=s&payload=secret\r\n\r\n");
    assert_non_null(strstr(said, "'https://h/sync'"));
    assert_null(strstr(said, "secret"));
}

static void refused_access_ends_what_is_not_live_at_once(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    (void)stage_pull(stage, 0, false);
    stage_push(stage, 1, 1, 0);
    stage->random = 500;
    answer_upgrade(stage, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    stage_journal(stage, "disconnected UNAUTHORIZED\npushed 0 UNAUTHORIZED\npulled UNAUTHORIZED\n");
}

static void retry_after_is_honoured(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    answer_upgrade(stage, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 20\r\n\r\n");
    stage_wait(stage, 19999);
    assert_false(stage->opening);
    stage_wait(stage, 1);
    assert_true(stage->opening);
    answer_upgrade(stage, "HTTP/1.1 429 Too Many Requests\r\n"
                          "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                          "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n\r\n");
    stage_wait(stage, 29999);
    assert_false(stage->opening);
    stage_wait(stage, 1);
    assert_true(stage->opening);
}

static void silence_ends_the_connection_within_the_ping_interval(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage->random = 1;
    stage_open(stage);
    stage_wait(stage, 5999);
    assert_string_equal(stage_hear(stage), "");
    stage_wait(stage, 1);
    stage_expect(stage, "{\"_tag\":\"Ping\"}");
    stage_wait(stage, 3999);
    assert_true(client_core_is_connected(stage->core));
    stage_wait(stage, 1);
    assert_false(client_core_is_connected(stage->core));
    stage_journal(stage, "connected\nconnect OK\ndisconnected OFFLINE\n");
}

static void a_server_that_answers_pings_stays_connected(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_open(stage);
    for (unsigned i = 0; i < 1000; i++) {
        stage_wait(stage, 1000);
        if (strstr(stage_hear(stage), "Ping") != NULL) {
            stage_say(stage, "{\"_tag\":\"Pong\"}");
        }
    }
    stage_journal(stage, "connected\nconnect OK\n");
}

static void a_ping_tells_the_round_trip(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, false);
    stage_open(stage);
    stage_expect(stage, "{\"_tag\":\"Ping\"}");
    stage_wait(stage, 30);
    stage_say(stage, "{\"_tag\":\"Pong\"}");
    stage_journal(stage, "connected\nping OK 30\n");
}

static void a_ping_without_an_answer_ends_although_other_things_come(void **state)
{
    struct stage *stage = *state;
    (void)stage_pull(stage, 0, true);
    stage_ping(stage, false);
    stage_open(stage);
    for (unsigned i = 1; i <= 4; i++) {
        stage_chunk(stage, 1, i, i, "NoMore");
        stage_wait(stage, 1000);
    }
    stage_journal(stage, "connected\nbackend id b1\npage 1-1 no_more\npage 2-2 no_more\n"
                         "page 3-3 no_more\npage 4-4 no_more\nping OFFLINE 0\n");
    assert_true(stage->open);
}

static void a_websocket_ping_is_answered(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_open(stage);
    stage_bytes(stage, SLICE("\x89\x02hi"));
    stage_expect(stage, "pong");
}

static void a_frame_that_breaks_the_rules_ends_the_connection(void **state)
{
    struct stage *stage = *state;
    stage_ping(stage, true);
    stage_open(stage);
    stage_bytes(stage, SLICE("\xC1\x02hi")); /* RSV1 */
    stage_journal(stage, "connected\nconnect OK\ndisconnected OFFLINE\n");
}

static void the_upgrade_carries_store_payload_and_headers(void **state)
{
    static const struct sluice_header HEADERS[] = {{"Authorization", "Bearer t"}};
    struct stage stage;
    (void)state;
    stage_init(&stage, "ws://h:81/p?k=1");
    stage.config.store_id = SLICE("a b/\xC3\xA9");
    stage.config.payload = SLICE("{\"t\":1}");
    stage.config.headers = HEADERS;
    stage.config.header_count = 1;
    stage_start(&stage);
    stage_ping(&stage, true);
    stage_open(&stage);
    assert_string_equal(stage.head.data, "/p?k=1&storeId=a%20b%2F%C3%A9&payload=%257B%2522t%2522"
                                         "%253A1%257D&transport=ws");
    assert_true(
        slice_equal(http_parser_header(&stage.requests, "authorization"), SLICE("Bearer t")));
    assert_true(slice_equal(http_parser_header(&stage.requests, "host"), SLICE("h:81")));
    stage_deinit(&stage);
}

/* A server's whole conversation, cut after every byte: nothing is told twice, nothing is lost. */
static void a_connection_that_ends_at_any_byte_is_taken_up_again(void **state)
{
    (void)state;
    char bytes[2000];
    char text[900];
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    size_t used = 0;
    for (unsigned i = 1; i <= 2; i++) {
        int length =
            snprintf(text, sizeof(text), "{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[%s]}",
                     stage_page(i, i, i == 1 ? "MoreUnknown" : "NoMore"));
        size_t header_bytes = ws_frame_header(header, WS_OP_TEXT, (size_t)length);
        memcpy(bytes + used, header, header_bytes);
        memcpy(bytes + used + header_bytes, text, (size_t)length);
        used += header_bytes + (size_t)length;
    }
    for (size_t cut = 0; cut <= used; cut++) {
        struct stage stage;
        stage_init(&stage, "ws://h/");
        stage_start(&stage);
        (void)stage_pull(&stage, 0, true);
        stage_open(&stage);
        stage_bytes(&stage, slice_make(bytes, cut));
        stage_end(&stage);
        stage_wait(&stage, 0);
        stage_open(&stage);
        const char *asked = stage_hear(&stage);
        uint64_t next = strstr(asked, "eventSequenceNumber\":2") != NULL   ? 3
                        : strstr(asked, "eventSequenceNumber\":1") != NULL ? 2
                                                                           : 1;
        stage_chunk(&stage, 2, next, 3, "NoMore");
        buffer_append_byte(&stage.journal, '\0');
        for (unsigned n = 1; n <= 3; n++) {
            unsigned covers = 0;
            for (const char *at = stage.journal.data; (at = strstr(at, "page ")) != NULL; at++) {
                unsigned first = 0;
                unsigned last = 0;
                assert_int_equal(sscanf(at, "page %u-%u", &first, &last), 2);
                covers += first <= n && n <= last ? 1 : 0;
            }
            assert_int_equal(covers, 1);
        }
        stage_deinit(&stage);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_sent_before_something_is_asked_for),
        TEST(connect_keeps_a_connection),
        TEST(the_first_failure_is_told_and_attempts_go_on),
        TEST(the_wait_doubles_up_to_the_cap_and_starts_anew_after_success),
        TEST(a_server_that_accepts_and_says_nothing_does_not_end_the_backoff),
        TEST(an_attempt_that_hangs_is_given_up),
        TEST(a_handshake_that_drips_is_given_up),
        TEST(refusals_are_told_and_tried_again),
        TEST(a_redirect_is_told_without_its_query),
        TEST(refused_access_ends_what_is_not_live_at_once),
        TEST(retry_after_is_honoured),
        TEST(silence_ends_the_connection_within_the_ping_interval),
        TEST(a_server_that_answers_pings_stays_connected),
        TEST(a_ping_tells_the_round_trip),
        TEST(a_ping_without_an_answer_ends_although_other_things_come),
        TEST(a_websocket_ping_is_answered),
        TEST(a_frame_that_breaks_the_rules_ends_the_connection),
        cmocka_unit_test(the_upgrade_carries_store_payload_and_headers),
        cmocka_unit_test(a_connection_that_ends_at_any_byte_is_taken_up_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
