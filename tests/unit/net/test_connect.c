#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "net_stage.h"

#include "../base/failing_calloc.h"

static bool client_has_5_bytes(struct net_stage *stage)
{
    return stage->client.bytes.bytes >= 5;
}

static bool server_has_5_bytes(struct net_stage *stage)
{
    return stage->server.bytes.bytes >= 5;
}

static void a_connection_opens_and_carries_bytes_both_ways(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    stage_connect(&stage, "127.0.0.1", stage.port, NULL);
    stage_run_until(&stage, client_opened);
    assert_string_equal(net_conn_peer(stage.client.conn), net_listener_address(stage.listener));
    net_conn_write_slice(stage.client.conn, SLICE("hello"));
    stage_run_until(&stage, client_has_5_bytes);
    assert_memory_equal(stage.client.bytes.data, "hello", 5);
    assert_int_equal(stage.client.opened, 1);
    stage_deinit(&stage);
    assert_int_equal(stage.client.closed, 1);
    assert_no_failure(&stage);
}

static bool client_has_a_megabyte(struct net_stage *stage)
{
    return stage->client.bytes.bytes >= 1u << 20;
}

static void a_megabyte_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    struct net_stage stage;
    struct buffer sent;
    buffer_init(&sent, 2u << 20);
    for (unsigned i = 0; sent.bytes < 1u << 20; i++) {
        buffer_append(&sent, &i, sizeof i);
    }
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    stage_connect(&stage, "127.0.0.1", stage.port, NULL);
    stage_run_until(&stage, client_opened);
    net_conn_write(stage.client.conn, sent.data, sent.bytes);
    stage_run_until(&stage, client_has_a_megabyte);
    assert_memory_equal(stage.client.bytes.data, sent.data, sent.bytes);
    stage_deinit(&stage);
    buffer_deinit(&sent);
}

static void a_name_is_looked_up(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    names_add("127.0.0.1", stage.port);
    stage_connect(&stage, "sync.example", stage.port, NULL);
    stage_run_until(&stage, client_opened);
    stage_deinit(&stage);
    assert_no_failure(&stage);
}

static void the_longest_timeout_is_no_timeout(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    names_add("127.0.0.1", stage.port);
    stage_connect_within(&stage, "sync.example", stage.port, NULL, UINT64_MAX);
    stage_run_until(&stage, client_opened);
    stage_deinit(&stage);
    assert_no_failure(&stage);
}

static void a_name_that_is_not_found_is_named(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_connect(&stage, "no-such-host.example", 80, NULL);
    stage_run_until(&stage, client_closed);
    assert_int_equal(stage.client.opened, 0);
    assert_failure(&stage, "cannot find the host 'no-such-host.example'");
    assert_failure(&stage, "check the name and the network");
    stage_deinit(&stage);
}

static void a_port_that_refuses_is_named(void **state)
{
    (void)state;
    struct net_stage stage;
    struct refusing_port refusing;
    char where[64];
    refusing_port_init(&refusing);
    stage_init(&stage);
    stage_connect(&stage, "127.0.0.1", refusing.port, NULL);
    stage_run_until(&stage, client_closed);
    assert_int_equal(stage.client.opened, 0);
    (void)snprintf(where, sizeof where, "127.0.0.1:%u refuses connections", refusing.port);
    assert_failure(&stage, where);
    assert_failure(&stage, "is the server running");
    stage_deinit(&stage);
    refusing_port_deinit(&refusing);
}

static void the_next_address_is_tried_when_one_refuses(void **state)
{
    (void)state;
    struct net_stage stage;
    struct refusing_port refusing;
    refusing_port_init(&refusing);
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    names_add("::1", refusing.port); /* refused, or there is no IPv6 at all */
    names_add("127.0.0.1", refusing.port);
    names_add("127.0.0.1", stage.port);
    stage_connect(&stage, "sync.example", stage.port, NULL);
    stage_run_until(&stage, client_opened);
    net_conn_write_slice(stage.client.conn, SLICE("hello"));
    stage_run_until(&stage, client_has_5_bytes);
    stage_deinit(&stage);
    assert_no_failure(&stage); /* not that of the first addresses */
    refusing_port_deinit(&refusing);
}

static void when_all_addresses_refuse_that_is_said_with_the_name(void **state)
{
    (void)state;
    struct net_stage stage;
    struct refusing_port refusing;
    refusing_port_init(&refusing);
    stage_init(&stage);
    names_add("127.0.0.1", refusing.port);
    names_add("224.0.0.1", 7); /* no way to there, which says less than the one before */
    stage_connect(&stage, "sync.example", 7, NULL);
    stage_run_until(&stage, client_closed);
    assert_failure(&stage, "sync.example:7 refuses connections");
    stage_deinit(&stage);
    refusing_port_deinit(&refusing);
}

static void an_address_that_does_not_answer_leaves_time_for_the_next(void **state)
{
    (void)state;
    struct net_stage stage;
    struct silent_port silent;
    silent_port_init(&silent);
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    names_add("127.0.0.1", silent.port);
    names_add("127.0.0.1", stage.port);
    stage_connect_within(&stage, "sync.example", 7, NULL, 3000);
    stage_run_until(&stage, client_opened);
    stage_deinit(&stage);
    silent_port_deinit(&silent);
}

static void a_server_that_does_not_answer_is_given_up(void **state)
{
    (void)state;
    struct net_stage stage;
    struct silent_port silent;
    silent_port_init(&silent);
    stage_init(&stage);
    stage_connect_within(&stage, "127.0.0.1", silent.port, NULL, 100);
    stage_run_until(&stage, client_closed);
    assert_failure(&stage, "does not answer (time-out 100 ms)");
    stage_deinit(&stage);
    silent_port_deinit(&silent);
}

static void a_look_up_that_does_not_end_is_given_up(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    names_hold();
    stage_connect_within(&stage, "sync.example", 7, NULL, 50);
    stage_run_until(&stage, client_closed);
    assert_failure(&stage, "looking up the host 'sync.example' took longer than 50 ms");
    names_await();
    stage_deinit(&stage); /* the loop ends before the look-up does */
}

static void an_orderly_end_is_no_failure(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_SAYS_GOODBYE);
    stage_connect(&stage, "127.0.0.1", stage.port, NULL);
    stage_run_until(&stage, client_opened);
    net_conn_write_slice(stage.client.conn, SLICE("GET"));
    stage_run_until(&stage, client_closed);
    assert_int_equal(stage.client.ended, 1);
    assert_true(stage.client.bytes.bytes > 0);
    assert_no_failure(&stage);
    stage_deinit(&stage);
}

static void a_reset_is_a_failure_that_names_the_host(void **state)
{
    (void)state;
    static char block[400000]; /* more than one read takes: closing with bytes unread is a reset */
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_RESETS);
    names_add("127.0.0.1", stage.port);
    stage_connect(&stage, "sync.example", 7, NULL);
    stage_run_until(&stage, client_opened);
    net_conn_write(stage.client.conn, block, sizeof block);
    stage_run_until(&stage, client_closed);
    assert_failure(&stage, "the connection to sync.example:7 broke");
    stage_deinit(&stage);
}

static void it_can_be_aborted_while_looking_up(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    names_hold();
    stage_connect(&stage, "sync.example", 7, NULL);
    names_await();
    net_conn_abort(stage.client.conn);
    stage_run_until(&stage, client_closed);
    stage_deinit(&stage);
    assert_int_equal(stage.client.opened, 0);
    assert_int_equal(stage.client.closed, 1);
    assert_no_failure(&stage);
}

static void it_can_be_aborted_when_the_look_up_has_just_ended(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    names_hold();
    stage_connect(&stage, "sync.example", 7, NULL);
    names_await();
    names_release();
    net_conn_abort(stage.client.conn);
    stage_run_until(&stage, client_closed);
    stage_deinit(&stage);
    assert_int_equal(stage.client.closed, 1);
    assert_no_failure(&stage);
}

static void it_can_be_aborted_while_connecting(void **state)
{
    (void)state;
    struct net_stage stage;
    struct silent_port silent;
    silent_port_init(&silent);
    stage_init(&stage);
    stage_connect(&stage, "127.0.0.1", silent.port, NULL);
    net_conn_abort(stage.client.conn);
    stage_run_until(&stage, client_closed);
    stage_deinit(&stage);
    assert_int_equal(stage.client.closed, 1);
    assert_no_failure(&stage);
    silent_port_deinit(&silent);
}

static void it_can_be_aborted_between_two_addresses(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_ECHOES);
    names_add("224.0.0.1", 7); /* fails at once */
    names_add("127.0.0.1", stage.port);
    names_at_once();
    stage_connect(&stage, "sync.example", 7, NULL);
    net_conn_abort(stage.client.conn);
    stage_run_until(&stage, client_closed);
    assert_no_failure(&stage);
    stage_deinit(&stage);
    assert_int_equal(stage.client.closed, 1);
    assert_int_equal(stage.client.opened, 0);
}

static void an_address_that_cannot_be_reached_at_all_is_said_at_once(void **state)
{
    (void)state;
    struct net_stage stage;
    struct sluice_error error = {0};
    stage_init(&stage);
    assert_int_equal(stage_try_connect(&stage, "224.0.0.1", 7, NULL, 20000, &error),
                     SLUICE_OFFLINE);
    assert_non_null(strstr(error.message, "224.0.0.1:7 cannot be reached"));
    assert_null(stage.client.conn);
    stage_deinit(&stage);
    assert_int_equal(stage.client.closed, 0);
}

static void it_can_be_aborted_as_it_opens_and_as_bytes_come(void **state)
{
    (void)state;
    for (int abort = ABORT_IN_OPENED; abort <= ABORT_IN_BYTES; abort++) {
        struct net_stage stage;
        stage_init(&stage);
        stage_listen(&stage, NULL, HABIT_ECHOES);
        stage.aborts = abort;
        stage_connect(&stage, "127.0.0.1", stage.port, NULL);
        stage_run_until(&stage, client_opened);
        if (abort == ABORT_IN_BYTES) {
            net_conn_write_slice(stage.client.conn, SLICE("hello"));
        }
        stage_run_until(&stage, client_closed);
        assert_no_failure(&stage);
        stage_deinit(&stage);
        assert_int_equal(stage.client.closed, 1);
    }
}

static void a_graceful_close_sends_what_is_queued(void **state)
{
    (void)state;
    struct net_stage stage;
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_SILENT);
    stage_connect(&stage, "127.0.0.1", stage.port, NULL);
    stage_run_until(&stage, client_opened);
    net_conn_write_slice(stage.client.conn, SLICE("hello"));
    net_conn_close(stage.client.conn, 10000);
    stage_run_until(&stage, server_has_5_bytes);
    stage_run_until(&stage, client_closed);
    assert_no_failure(&stage);
    stage_deinit(&stage);
}

static void a_close_before_it_opened_is_an_abort(void **state)
{
    (void)state;
    struct net_stage stage;
    struct silent_port silent;
    silent_port_init(&silent);
    stage_init(&stage);
    stage_connect(&stage, "127.0.0.1", silent.port, NULL);
    net_conn_close(stage.client.conn, 10000);
    stage_run_until(&stage, client_closed);
    assert_no_failure(&stage);
    stage_deinit(&stage);
    silent_port_deinit(&silent);
}

static void a_host_that_is_too_long_is_refused_at_once(void **state)
{
    (void)state;
    struct net_stage stage;
    char host[300];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    stage_init(&stage);
    struct net_target target = {.host = host, .port = 80, .timeout_ms = 1000};
    struct net_conn *conn = NULL;
    struct sluice_error error = {0};
    assert_int_equal(net_connect(stage.loop, &target, NULL, NULL, &conn, &error), SLUICE_OFFLINE);
    assert_null(conn);
    assert_true(strlen(error.message) > 0);
    stage_deinit(&stage);
}

/* With so many allocations that succeed in net_connect. Returns whether it opened. */
static bool opens_with(unsigned successes, const char *host)
{
    struct net_stage stage;
    struct sluice_error error = {0};
    stage_init(&stage);
    stage_listen(&stage, NULL, HABIT_SILENT);
    names_add("127.0.0.1", stage.port);
    failing_alloc_arm(successes);
    enum sluice_status status = stage_try_connect(&stage, host, stage.port, NULL, 20000, &error);
    failing_alloc_disarm();
    if (status == SLUICE_OK) {
        stage_run_until(&stage, client_opened);
    } else {
        assert_int_equal(status, SLUICE_NO_MEMORY);
        assert_null(stage.client.conn);
    }
    stage_deinit(&stage);
    assert_int_equal(stage.client.closed, status == SLUICE_OK ? 1 : 0);
    return status == SLUICE_OK;
}

static void whichever_allocation_fails_it_is_said_and_nothing_is_left(void **state)
{
    (void)state;
    unsigned needed = 0;
    while (!opens_with(needed, "127.0.0.1")) {
        needed++;
    }
    assert_true(needed >= 3);
    needed = 0;
    while (!opens_with(needed, "sync.example")) {
        needed++;
    }
    assert_true(needed >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_opens_and_carries_bytes_both_ways),
        cmocka_unit_test(a_megabyte_comes_back_as_it_was_sent),
        cmocka_unit_test(a_name_is_looked_up),
        cmocka_unit_test(the_longest_timeout_is_no_timeout),
        cmocka_unit_test(a_name_that_is_not_found_is_named),
        cmocka_unit_test(a_port_that_refuses_is_named),
        cmocka_unit_test(the_next_address_is_tried_when_one_refuses),
        cmocka_unit_test(when_all_addresses_refuse_that_is_said_with_the_name),
        cmocka_unit_test(an_address_that_does_not_answer_leaves_time_for_the_next),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
        cmocka_unit_test(a_look_up_that_does_not_end_is_given_up),
        cmocka_unit_test(an_orderly_end_is_no_failure),
        cmocka_unit_test(a_reset_is_a_failure_that_names_the_host),
        cmocka_unit_test(it_can_be_aborted_while_looking_up),
        cmocka_unit_test(it_can_be_aborted_when_the_look_up_has_just_ended),
        cmocka_unit_test(it_can_be_aborted_while_connecting),
        cmocka_unit_test(it_can_be_aborted_between_two_addresses),
        cmocka_unit_test(an_address_that_cannot_be_reached_at_all_is_said_at_once),
        cmocka_unit_test(it_can_be_aborted_as_it_opens_and_as_bytes_come),
        cmocka_unit_test(a_graceful_close_sends_what_is_queued),
        cmocka_unit_test(a_close_before_it_opened_is_an_abort),
        cmocka_unit_test(a_host_that_is_too_long_is_refused_at_once),
        cmocka_unit_test(whichever_allocation_fails_it_is_said_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
