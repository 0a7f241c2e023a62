#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "net_stage.h"

#include "../base/failing_calloc.h"

/* A loop of the caller's, with a net_loop in it. */
struct guest {
    uv_loop_t uv;
    struct net_loop *loop;
    unsigned woken;
    unsigned fired;
    unsigned detached;
    unsigned closed;
    unsigned opened;
    struct net_listener *listener;
    struct net_conn *conns[2];
    struct net_timer *timer;
};

static void guest_init(struct guest *guest)
{
    struct sluice_error error;
    *guest = (struct guest){0};
    assert_int_equal(uv_loop_init(&guest->uv), 0);
    guest->loop = net_loop_attach(&guest->uv, &error);
    assert_non_null(guest->loop);
}

static void on_detached(void *user)
{
    struct guest *guest = user;
    guest->detached++;
    guest->loop = NULL;
}

/* Leaves; the caller's loop has nothing left in it then, which ends uv_run. */
static void guest_leave(struct guest *guest)
{
    net_loop_detach(guest->loop, on_detached, guest);
    assert_int_equal(guest->detached, 0); /* not from inside */
    assert_int_equal(uv_run(&guest->uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(guest->detached, 1);
    assert_int_equal(uv_loop_close(&guest->uv), 0);
}

static void on_woken(void *user)
{
    struct guest *guest = user;
    guest->woken++;
    uv_stop(&guest->uv);
}

static void *wake(void *user)
{
    net_loop_wake(user);
    return NULL;
}

static void the_callers_loop_is_woken_from_another_thread(void **state)
{
    (void)state;
    struct guest guest;
    pthread_t thread;
    guest_init(&guest);
    net_loop_on_wake(guest.loop, on_woken, &guest);
    assert_int_equal(pthread_create(&thread, NULL, wake, guest.loop), 0);
    (void)uv_run(&guest.uv, UV_RUN_DEFAULT);
    assert_int_equal(guest.woken, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    guest_leave(&guest);
}

static void on_fired(void *user)
{
    struct guest *guest = user;
    guest->fired++;
    uv_stop(&guest->uv);
}

static void timers_run_in_the_callers_loop(void **state)
{
    (void)state;
    struct guest guest;
    guest_init(&guest);
    guest.timer = net_timer_create(guest.loop, on_fired, &guest);
    net_timer_start(guest.timer, 1);
    (void)uv_run(&guest.uv, UV_RUN_DEFAULT);
    assert_int_equal(guest.fired, 1);
    net_timer_destroy(guest.timer);
    guest_leave(&guest);
}

static void on_opened(struct net_conn *conn)
{
    struct guest *guest = net_conn_user(conn);
    guest->opened++;
    net_conn_write_slice(conn, SLICE("hello"));
}

static void on_bytes(struct net_conn *conn, char *data, size_t bytes)
{
    struct guest *guest = net_conn_user(conn);
    (void)data;
    assert_int_equal(bytes, 5);
    uv_stop(&guest->uv);
}

static void on_ended(struct net_conn *conn)
{
    net_conn_abort(conn);
}

static void on_closed(struct net_conn *conn)
{
    struct guest *guest = net_conn_user(conn);
    assert_int_equal(guest->detached, 0); /* before the last callback */
    guest->closed++;
}

static const struct net_conn_ops ops = {
    .opened = on_opened, .bytes = on_bytes, .ended = on_ended, .closed = on_closed};

static void on_accepted(void *user, struct net_conn *conn)
{
    struct guest *guest = user;
    guest->conns[1] = conn;
    net_conn_open(conn, &ops, guest);
}

/* Listens on a port, connects to it, sends a word there. */
static void guest_speak(struct guest *guest)
{
    struct sluice_error error;
    assert_int_equal(net_listen(guest->loop, SLICE("127.0.0.1:0"), NULL, on_accepted, guest,
                                &guest->listener, &error),
                     SLUICE_OK);
    const char *colon = strrchr(net_listener_address(guest->listener), ':');
    struct net_target target = {
        .host = "127.0.0.1", .port = (uint16_t)strtoul(colon + 1, NULL, 10), .timeout_ms = 20000};
    assert_int_equal(net_connect(guest->loop, &target, &ops, guest, &guest->conns[0], &error),
                     SLUICE_OK);
    (void)uv_run(&guest->uv, UV_RUN_DEFAULT);
    assert_int_equal(guest->opened, 1);
}

static void connections_run_in_the_callers_loop_and_leave_nothing_behind(void **state)
{
    (void)state;
    struct guest guest;
    guest_init(&guest);
    guest_speak(&guest);
    net_conn_abort(guest.conns[0]);
    net_conn_abort(guest.conns[1]);
    net_listener_close(guest.listener);
    guest_leave(&guest);
    assert_int_equal(guest.closed, 2);
}

static void a_graceful_close_is_cut_by_an_abort_before_leaving(void **state)
{
    (void)state;
    struct guest guest;
    guest_init(&guest);
    guest_speak(&guest);
    net_conn_close(guest.conns[0], 60000);
    net_conn_abort(guest.conns[0]);
    net_conn_abort(guest.conns[1]);
    net_listener_close(guest.listener);
    guest_leave(&guest);
    assert_int_equal(guest.closed, 2);
}

static void leaving_does_not_wait_for_a_look_up(void **state)
{
    (void)state;
    struct guest guest;
    struct sluice_error error;
    struct net_target target = {.host = "sync.example", .port = 7, .timeout_ms = 20000};
    guest_init(&guest);
    names_hold();
    assert_int_equal(net_connect(guest.loop, &target, &ops, &guest, &guest.conns[0], &error),
                     SLUICE_OK);
    names_await();
    net_conn_abort(guest.conns[0]);
    guest_leave(&guest);
    assert_int_equal(guest.closed, 1);
    names_release();
}

static void on_caller_timer(uv_timer_t *timer)
{
    unsigned *count = timer->data;
    (*count)++;
}

static void what_else_the_caller_has_in_the_loop_goes_on(void **state)
{
    (void)state;
    struct guest guest;
    uv_timer_t timer;
    unsigned count = 0;
    guest_init(&guest);
    assert_int_equal(uv_timer_init(&guest.uv, &timer), 0);
    timer.data = &count;
    assert_int_equal(uv_timer_start(&timer, on_caller_timer, 20, 0), 0);
    net_loop_detach(guest.loop, on_detached, &guest);
    assert_int_equal(uv_run(&guest.uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(guest.detached, 1);
    assert_int_equal(count, 1);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&guest.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&guest.uv), 0);
}

/* A peer that has ended its stream and reset the connection before we look: writing raises SIGPIPE.
 */
static int writes_to_a_reset_connection(void)
{
    struct guest guest;
    struct sluice_error error;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)bind(listener, (struct sockaddr *)&address, bytes);
    (void)listen(listener, 1);
    (void)getsockname(listener, (struct sockaddr *)&address, &bytes);
    guest_init(&guest);
    struct net_target target = {
        .host = "127.0.0.1", .port = ntohs(address.sin_port), .timeout_ms = 20000};
    if (net_connect(guest.loop, &target, &ops, &guest, &guest.conns[0], &error) != SLUICE_OK) {
        return 1;
    }
    while (guest.opened == 0) {
        (void)uv_run(&guest.uv, UV_RUN_ONCE);
    }
    int peer = accept(listener, NULL, NULL);
    (void)shutdown(peer, SHUT_WR);
    (void)setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)close(peer);
    net_conn_write_slice(guest.conns[0], SLICE("hello"));
    while (guest.closed == 0) {
        (void)uv_run(&guest.uv, UV_RUN_ONCE);
    }
    guest_leave(&guest);
    (void)close(listener);
    return 0;
}

static void a_reset_connection_raises_no_signal_in_the_callers_loop(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        _exit(writes_to_a_reset_connection());
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

/* In a process that has no loop yet: what libuv keeps for the process is made with the first. */
static int makes_loop_with(unsigned descriptors)
{
    struct sluice_error error = {0};
    struct rlimit limit = {.rlim_cur = 3 + descriptors, .rlim_max = 3 + descriptors};
    for (int fd = 3; fd < 256; fd++) {
        (void)close(fd);
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 3;
    }
    struct net_loop *loop = net_loop_create(&error);
    if (loop == NULL) {
        return error.status == SLUICE_IO && error.message[0] != '\0' ? 1 : 2;
    }
    net_loop_destroy(loop);
    return 0;
}

static void without_descriptors_there_is_an_error_and_the_process_goes_on(void **state)
{
    (void)state;
    int result = 1;
    for (unsigned descriptors = 0; descriptors < 20 && result == 1; descriptors++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)signal(SIGABRT, SIG_DFL);
            _exit(makes_loop_with(descriptors));
        }
        int how = 0;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        result = WEXITSTATUS(how);
    }
    assert_int_equal(result, 0);
}

static void without_memory_there_is_no_loop(void **state)
{
    (void)state;
    struct sluice_error error = {0};
    uv_loop_t uv;
    failing_alloc_arm(0);
    struct net_loop *own = net_loop_create(&error);
    failing_alloc_disarm();
    assert_null(own);
    assert_int_equal(error.status, SLUICE_NO_MEMORY);
    assert_int_equal(uv_loop_init(&uv), 0);
    failing_alloc_arm(0);
    struct net_loop *guest = net_loop_attach(&uv, &error);
    failing_alloc_disarm();
    assert_null(guest);
    assert_int_equal(uv_loop_close(&uv), 0); /* nothing of ours is in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first one: before this process has made a loop. */
        cmocka_unit_test(without_descriptors_there_is_an_error_and_the_process_goes_on),
        cmocka_unit_test(the_callers_loop_is_woken_from_another_thread),
        cmocka_unit_test(timers_run_in_the_callers_loop),
        cmocka_unit_test(connections_run_in_the_callers_loop_and_leave_nothing_behind),
        cmocka_unit_test(a_graceful_close_is_cut_by_an_abort_before_leaving),
        cmocka_unit_test(leaving_does_not_wait_for_a_look_up),
        cmocka_unit_test(a_reset_connection_raises_no_signal_in_the_callers_loop),
        cmocka_unit_test(what_else_the_caller_has_in_the_loop_goes_on),
        cmocka_unit_test(without_memory_there_is_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
