#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/net.h"

/* The program is linked with --wrap: so many callocs fail from now on. */
static unsigned failures_left;

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

void *__wrap_calloc(size_t count, size_t bytes)
{
    if (failures_left > 0) {
        failures_left--;
        return NULL;
    }
    return __real_calloc(count, bytes);
}

struct stage {
    struct net_loop *loop;
    struct net_listener *listener;
    unsigned accepted;
};

static void on_accepted(void *user, struct net_conn *conn)
{
    struct stage *stage = user;
    stage->accepted++;
    net_conn_abort(conn);
    net_loop_stop(stage->loop);
}

static void on_timer(void *user)
{
    struct stage *stage = user;
    net_loop_stop(stage->loop);
}

static int connect_to(const struct net_listener *listener)
{
    unsigned long port = strtoul(net_listener_address(listener) + 10, NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(file >= 0);
    assert_int_equal(connect(file, (struct sockaddr *)&address, sizeof(address)), 0);
    return file;
}

/* Where it would not, the loop waits for ever. */
static void a_connection_that_finds_no_memory_is_accepted_when_there_is_some_again(void **state)
{
    (void)state;
    struct stage stage = {.loop = net_loop_create(NULL)};
    assert_non_null(stage.loop);
    assert_int_equal(net_listen(stage.loop, SLICE("127.0.0.1:0"), NULL, on_accepted, &stage,
                                &stage.listener, NULL),
                     SLUICE_OK);
    for (unsigned i = 1; i <= 2; i++) {
        int peer = connect_to(stage.listener);
        failures_left = i;
        net_loop_run(stage.loop);
        assert_int_equal(failures_left, 0);
        assert_int_equal(stage.accepted, i);
        assert_int_equal(close(peer), 0);
    }
    net_listener_close(stage.listener);
    net_loop_destroy(stage.loop);
}

static void a_listener_is_closed_while_a_connection_waits_for_memory(void **state)
{
    (void)state;
    struct stage stage = {.loop = net_loop_create(NULL)};
    assert_non_null(stage.loop);
    assert_int_equal(net_listen(stage.loop, SLICE("127.0.0.1:0"), NULL, on_accepted, &stage,
                                &stage.listener, NULL),
                     SLUICE_OK);
    struct net_timer *timer = net_timer_create(stage.loop, on_timer, &stage);
    assert_non_null(timer);
    int peer = connect_to(stage.listener);
    failures_left = UINT_MAX;
    net_timer_start(timer, 1); /* after a turn in which the connection is seen */
    net_loop_run(stage.loop);
    assert_int_not_equal(failures_left, UINT_MAX);
    failures_left = 0;
    net_timer_destroy(timer);
    net_listener_close(stage.listener);
    net_loop_destroy(stage.loop);
    assert_int_equal(stage.accepted, 0);
    assert_int_equal(close(peer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_finds_no_memory_is_accepted_when_there_is_some_again),
        cmocka_unit_test(a_listener_is_closed_while_a_connection_waits_for_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
