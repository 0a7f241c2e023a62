#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "client/runner.h"

#include "../base/failing_calloc.h"

#define WAIT_SECONDS 60

/* ---- a core that the test plays, and what it was told. It runs on the client's thread, which
 * cmocka's assertions could not leave; hence SLUICE_ASSERT. ---- */

struct stage {
    /* Set before it starts. */
    bool attached; /* lives in `uv`, else in a thread of its own */
    uv_loop_t uv;
    struct client_url url;
    struct client_core_config config;
    struct runner *runner;
    /* The client's thread only. */
    struct client_core *core;
    uint64_t deadline_ms;
    bool connected;
    struct runner_command *posted_when_closed;
    /* Under the lock, which the waiting test shares. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread; /* where the first command ran */
    bool has_thread;
    unsigned opened;
    unsigned closed; /* of connections */
    bool has_failure;
    struct sluice_error failure;
    unsigned times;
    bool too_early;
    unsigned closes; /* of the core */
    unsigned destroyed;
    unsigned ended; /* of the runner */
    unsigned ran;   /* commands */
    unsigned ran_closed;
    unsigned out_of_order;
    char bytes[64];
    size_t byte_count;
};

static struct stage *stage; /* of the test that runs; the core is made without a word about it */

struct client_core {
    const struct client_core_ops *ops;
    void *user;
    bool open;
    bool is_closed;
};

static void lock(void)
{
    (void)pthread_mutex_lock(&stage->lock);
    if (!stage->has_thread) {
        return;
    }
    SLUICE_ASSERT(pthread_equal(stage->thread, pthread_self())); /* always on the same one */
}

static void unlock(void)
{
    (void)pthread_cond_broadcast(&stage->changed);
    (void)pthread_mutex_unlock(&stage->lock);
}

struct client_core *client_core_create(const struct client_core_config *config,
                                       const struct client_core_ops *ops, void *user)
{
    struct client_core *core = malloc(sizeof *core);
    SLUICE_ASSERT(config == &stage->config);
    if (core != NULL) {
        *core = (struct client_core){.ops = ops, .user = user};
        stage->core = core;
    }
    return core;
}

void client_core_destroy(struct client_core *core)
{
    if (core != NULL) {
        SLUICE_ASSERT(core->is_closed);
        stage->destroyed++;
        free(core);
    }
}

void client_core_close(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    core->is_closed = true;
    if (core->open) {
        core->open = false;
        core->ops->shut(core->user);
    }
    stage->closes++;
    if (stage->posted_when_closed != NULL) {
        runner_post(stage->runner, stage->posted_when_closed);
    }
}

void client_core_opened(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    lock();
    SLUICE_ASSERT(core->open);
    stage->connected = true;
    stage->opened++;
    unlock();
}

void client_core_bytes(struct client_core *core, char *data, size_t bytes, uint64_t now_ms)
{
    (void)now_ms;
    lock();
    SLUICE_ASSERT(core->open);
    SLUICE_ASSERT(stage->byte_count + bytes <= sizeof stage->bytes);
    memcpy(stage->bytes + stage->byte_count, data, bytes);
    stage->byte_count += bytes;
    unlock();
}

void client_core_closed(struct client_core *core, const struct sluice_error *why, uint64_t now_ms)
{
    (void)now_ms;
    lock();
    SLUICE_ASSERT(core->open);
    core->open = false;
    stage->connected = false;
    stage->closed++;
    stage->has_failure = why != NULL;
    if (why != NULL) {
        stage->failure = *why;
    }
    unlock();
}

uint64_t client_core_deadline_ms(const struct client_core *core)
{
    (void)core;
    return stage->deadline_ms;
}

void client_core_time(struct client_core *core, uint64_t now_ms)
{
    (void)core;
    lock();
    stage->times++;
    stage->too_early = stage->too_early || now_ms < stage->deadline_ms;
    stage->deadline_ms = stage->times < 3 ? now_ms + 1 : UINT64_MAX;
    unlock();
}

bool client_core_is_connected(const struct client_core *core)
{
    (void)core;
    return stage->connected;
}

/* ---- the stage ---- */

static void on_ended(void *user)
{
    SLUICE_ASSERT(user == stage);
    lock();
    SLUICE_ASSERT(stage->destroyed == 1);
    stage->ended++;
    unlock();
}

static enum sluice_status try_start(const char *ca_path, struct sluice_error *error)
{
    struct runner_options options = {.config = &stage->config,
                                     .uv_loop = stage->attached ? &stage->uv : NULL,
                                     .tls_ca_path = ca_path,
                                     .closed = on_ended,
                                     .user = stage};
    return runner_create(&options, &stage->runner, error);
}

static void stage_prepare(struct stage *new_stage, bool attached)
{
    stage = new_stage;
    *stage = (struct stage){.attached = attached, .deadline_ms = UINT64_MAX};
    assert_int_equal(pthread_mutex_init(&stage->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&stage->changed, NULL), 0);
    if (attached) {
        assert_int_equal(uv_loop_init(&stage->uv), 0);
    }
    (void)snprintf(stage->url.host, sizeof stage->url.host, "127.0.0.1");
    stage->config.url = &stage->url;
    stage->config.connect_timeout_ms = 20000;
}

static void stage_start(struct stage *new_stage, bool attached, uint16_t port)
{
    struct sluice_error error = {0};
    stage_prepare(new_stage, attached);
    stage->url.port = port;
    if (try_start(NULL, &error) != SLUICE_OK) {
        fail_msg("runner_create: %s", error.message);
    }
}

static void on_alarm(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("waited too long");
}

static void await_in_loop(bool (*holds)(void))
{
    uv_timer_t alarm;
    assert_int_equal(uv_timer_init(&stage->uv, &alarm), 0);
    assert_int_equal(uv_timer_start(&alarm, on_alarm, WAIT_SECONDS * 1000, 0), 0);
    while (!holds()) {
        (void)uv_run(&stage->uv, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&alarm, NULL);
    (void)uv_run(&stage->uv, UV_RUN_NOWAIT);
}

/* Waits until this holds; it is looked at under the lock. */
static void await(bool (*holds)(void))
{
    if (stage->attached) {
        await_in_loop(holds);
        return;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    (void)pthread_mutex_lock(&stage->lock);
    while (!holds()) {
        assert_int_equal(pthread_cond_timedwait(&stage->changed, &stage->lock, &until), 0);
    }
    (void)pthread_mutex_unlock(&stage->lock);
}

static void stage_end(void)
{
    runner_close(stage->runner);
    if (stage->attached) {
        assert_int_equal(stage->ended, 0); /* not from inside */
        assert_int_equal(stage->closes, 0);
        while (uv_run(&stage->uv, UV_RUN_DEFAULT) != 0) {
        }
        assert_int_equal(uv_loop_close(&stage->uv), 0);
    }
    assert_int_equal(stage->closes, 1);
    assert_int_equal(stage->ended, 1);
    (void)pthread_mutex_destroy(&stage->lock);
    (void)pthread_cond_destroy(&stage->changed);
}

/* ---- commands ---- */

struct act {
    struct runner_command command;
    void (*act)(struct client_core *core, uint64_t now_ms);
    bool ran;
};

static void run_act(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct act *act = (struct act *)command; /* its first member */
    (void)pthread_mutex_lock(&stage->lock);
    stage->thread = pthread_self();
    stage->has_thread = true;
    (void)pthread_mutex_unlock(&stage->lock);
    if (act->act != NULL) {
        act->act(core, now_ms);
    }
    lock();
    act->ran = true;
    stage->ran++;
    stage->ran_closed += core->is_closed ? 1 : 0;
    unlock();
}

static struct act *awaited;

static bool awaited_ran(void)
{
    return awaited->ran;
}

/* Does something on the client's thread, and waits for it. */
static void act(void (*what)(struct client_core *core, uint64_t now_ms))
{
    struct act command = {.command = {.run = run_act}, .act = what};
    awaited = &command;
    runner_post(stage->runner, &command.command);
    await(awaited_ran);
}

static void open_connection(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    core->open = true;
    core->ops->open(core->user);
}

static void send_hello(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    core->ops->send(core->user, SLICE("hello"));
}

static void send_quit(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    core->ops->send(core->user, SLICE("q"));
}

static void shut_connection(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    core->open = false;
    core->ops->shut(core->user);
}

static bool has_opened(void)
{
    return stage->opened > 0;
}

static bool has_opened_twice(void)
{
    return stage->opened > 1;
}

static bool has_closed(void)
{
    return stage->closed > 0;
}

static bool has_5_bytes(void)
{
    return stage->byte_count >= 5;
}

/* ---- a server: echoes, hangs up on a 'q' ---- */

struct server {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool stops;
};

static void serve(int socket)
{
    char data[256];
    ssize_t count;
    while ((count = recv(socket, data, sizeof data, 0)) > 0) {
        if (memchr(data, 'q', (size_t)count) != NULL) {
            break;
        }
        (void)send(socket, data, (size_t)count, MSG_NOSIGNAL);
    }
    (void)close(socket);
}

static void *run_server(void *user)
{
    struct server *server = user;
    while (!atomic_load(&server->stops)) {
        int socket = accept(server->listener, NULL, NULL);
        if (socket >= 0) {
            serve(socket);
        }
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &bytes), 0);
    server->port = ntohs(address.sin_port);
    atomic_init(&server->stops, false);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
}

static void server_stop(struct server *server)
{
    atomic_store(&server->stops, true);
    (void)shutdown(server->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->listener);
}

/* ---- tests, each with a thread of the client's own and in the caller's loop ---- */

static bool mode(void **state)
{
    return *state != NULL;
}

#define POSTERS 4u
#define POSTS 500u

struct poster {
    unsigned index;
    struct numbered {
        struct runner_command command;
        struct poster *poster;
        unsigned number;
    } posts[POSTS];
    unsigned next; /* client's thread */
    pthread_t thread;
};

static void run_numbered(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct numbered *numbered = (struct numbered *)command;
    (void)core;
    (void)now_ms;
    lock();
    stage->out_of_order += numbered->number == numbered->poster->next++ ? 0 : 1;
    stage->ran++;
    unlock();
}

static void *post_all(void *user)
{
    struct poster *poster = user;
    for (unsigned i = 0; i < POSTS; i++) {
        poster->posts[i] =
            (struct numbered){.command = {.run = run_numbered}, .poster = poster, .number = i};
        runner_post(stage->runner, &poster->posts[i].command);
    }
    return NULL;
}

static bool all_ran(void)
{
    return stage->ran == POSTERS * POSTS;
}

static void commands_of_many_threads_run_in_the_order_of_each(void **state)
{
    static struct poster posters[POSTERS];
    struct stage here;
    stage_start(&here, mode(state), 1);
    memset(posters, 0, sizeof posters);
    for (unsigned i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    await(all_ran);
    for (unsigned i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    }
    stage_end();
    assert_int_equal(here.out_of_order, 0);
}

static struct act inner;
static bool inner_ran_inside;

static void post_inner(struct client_core *core, uint64_t now_ms)
{
    (void)core;
    (void)now_ms;
    inner = (struct act){.command = {.run = run_act}};
    runner_post(stage->runner, &inner.command);
    inner_ran_inside = inner.ran;
}

static bool inner_ran(void)
{
    return inner.ran;
}

static void a_command_that_a_command_posts_runs_after_it(void **state)
{
    struct stage here;
    stage_start(&here, mode(state), 1);
    act(post_inner);
    await(inner_ran);
    stage_end();
    assert_false(inner_ran_inside);
}

static bool was_own_thread;
static bool interrupt_was_blocked;

static void look_at_thread(struct client_core *core, uint64_t now_ms)
{
    sigset_t blocked;
    (void)core;
    (void)now_ms;
    was_own_thread = runner_is_own_thread(stage->runner);
    interrupt_was_blocked = pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 &&
                            sigismember(&blocked, SIGINT) == 1 &&
                            sigismember(&blocked, SIGPIPE) == 1;
}

static void an_own_thread_is_known_and_takes_no_signals(void **state)
{
    struct stage here;
    stage_start(&here, mode(state), 1);
    assert_false(runner_is_own_thread(here.runner));
    act(look_at_thread);
    stage_end();
    assert_int_equal(was_own_thread, !mode(state));
    assert_int_equal(interrupt_was_blocked, !mode(state));
}

static void what_is_queued_before_the_end_runs_before_it(void **state)
{
    struct stage here;
    struct act acts[100];
    stage_start(&here, mode(state), 1);
    for (size_t i = 0; i < 100; i++) {
        acts[i] = (struct act){.command = {.run = run_act}};
        runner_post(here.runner, &acts[i].command);
    }
    stage_end();
    assert_int_equal(here.ran, 100);
}

static void what_the_last_callbacks_post_runs_with_a_closed_core(void **state)
{
    struct stage here;
    struct act last = {.command = {.run = run_act}};
    stage_start(&here, mode(state), 1);
    here.posted_when_closed = &last.command; /* read after a command came */
    act(NULL);
    stage_end();
    assert_true(last.ran);
    assert_int_equal(here.ran_closed, 1);
}

static void bytes_go_to_the_server_and_come_back(void **state)
{
    struct stage here;
    struct server server;
    server_start(&server);
    stage_start(&here, mode(state), server.port);
    assert_false(runner_is_connected(here.runner));
    act(open_connection);
    await(has_opened);
    act(send_hello);
    await(has_5_bytes);
    assert_memory_equal(here.bytes, "hello", 5);
    assert_true(runner_is_connected(here.runner));
    stage_end();
    assert_int_equal(here.closed, 0); /* the core shut it, so it hears no more of it */
    server_stop(&server);
}

static void an_end_of_the_servers_is_told_without_a_failure(void **state)
{
    struct stage here;
    struct server server;
    server_start(&server);
    stage_start(&here, mode(state), server.port);
    act(open_connection);
    await(has_opened);
    act(send_quit);
    await(has_closed);
    assert_false(here.has_failure);
    act(NULL); /* what was known then is published */
    assert_false(runner_is_connected(here.runner));
    stage_end();
    server_stop(&server);
}

static void a_connection_that_is_refused_is_told_with_the_failure(void **state)
{
    struct stage here;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int held = socket(AF_INET, SOCK_STREAM, 0); /* bound, and does not listen */
    assert_int_equal(bind(held, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(held, (struct sockaddr *)&address, &bytes), 0);
    stage_start(&here, mode(state), ntohs(address.sin_port));
    act(open_connection);
    await(has_closed);
    assert_true(here.has_failure);
    assert_int_equal(here.failure.status, SLUICE_OFFLINE);
    assert_non_null(strstr(here.failure.message, "refuses connections"));
    stage_end();
    (void)close(held);
}

static void an_address_that_fails_at_once_is_told_like_any_other(void **state)
{
    struct stage here;
    stage_prepare(&here, mode(state));
    (void)snprintf(here.url.host, sizeof here.url.host, "224.0.0.1");
    here.url.port = 7;
    assert_int_equal(try_start(NULL, NULL), SLUICE_OK);
    act(open_connection);
    await(has_closed);
    assert_int_equal(here.failure.status, SLUICE_OFFLINE);
    stage_end();
}

/* In one go, so that nothing can be taken meanwhile. */
static void send_without_end(struct client_core *core, uint64_t now_ms)
{
    static char data[1u << 20];
    (void)now_ms;
    for (unsigned mebibytes = 0; mebibytes < 256 && core->open; mebibytes++) {
        core->ops->send(core->user, slice_make(data, sizeof data));
    }
    if (core->open) {
        shut_connection(core, now_ms);
    }
}

static void a_server_that_takes_nothing_is_left_before_memory_runs_out(void **state)
{
    struct stage here;
    struct server server;
    server_start(&server);
    stage_start(&here, mode(state), server.port);
    act(open_connection);
    await(has_opened);
    act(send_without_end);
    assert_int_equal(here.closed, 1);
    assert_int_equal(here.failure.status, SLUICE_OFFLINE);
    assert_non_null(strstr(here.failure.message, "takes nothing"));
    stage_end();
    server_stop(&server);
}

/* Says something, then shuts without waiting for the echo, and opens anew. */
static void speak_and_start_anew(struct client_core *core, uint64_t now_ms)
{
    core->ops->send(core->user, SLICE("lost!"));
    shut_connection(core, now_ms);
    open_connection(core, now_ms);
}

static void nothing_of_a_shut_connection_reaches_the_core(void **state)
{
    struct stage here;
    struct server server;
    server_start(&server);
    stage_start(&here, mode(state), server.port);
    act(open_connection);
    await(has_opened);
    act(speak_and_start_anew);
    await(has_opened_twice);
    act(send_hello);
    await(has_5_bytes);
    assert_memory_equal(here.bytes, "hello", 5);
    assert_int_equal(here.closed, 0);
    stage_end();
    server_stop(&server);
}

static void it_can_be_shut_while_it_opens(void **state)
{
    struct stage here;
    struct server server;
    server_start(&server);
    stage_start(&here, mode(state), server.port);
    for (unsigned i = 0; i < 20; i++) {
        act(open_connection);
        act(shut_connection);
    }
    act(open_connection);
    await(has_opened);
    stage_end();
    assert_int_equal(here.closed, 0);
    server_stop(&server);
}

static void want_time(struct client_core *core, uint64_t now_ms)
{
    (void)core;
    stage->deadline_ms = now_ms + 5;
}

static bool had_3_times(void)
{
    return stage->times >= 3;
}

static void the_core_is_told_the_time_at_each_deadline_and_not_before(void **state)
{
    struct stage here;
    stage_start(&here, mode(state), 1);
    act(want_time);
    await(had_3_times);
    stage_end();
    assert_false(here.too_early);
    assert_int_equal(here.times, 3);
}

static void want_time_later(struct client_core *core, uint64_t now_ms)
{
    (void)core;
    stage->deadline_ms = now_ms + 3600000;
}

static void want_time_at_once(struct client_core *core, uint64_t now_ms)
{
    (void)core;
    stage->deadline_ms = now_ms > 0 ? now_ms - 1 : 0;
}

static void an_earlier_deadline_takes_the_place_of_a_later_one(void **state)
{
    struct stage here;
    stage_start(&here, mode(state), 1);
    act(want_time_later);
    act(want_time_at_once);
    await(had_3_times);
    stage_end();
    assert_int_equal(here.times, 3);
}

static unsigned char randoms[2][300];

static void take_randoms(struct client_core *core, uint64_t now_ms)
{
    (void)now_ms;
    core->ops->random(core->user, randoms[0], sizeof randoms[0]);
    core->ops->random(core->user, randoms[1], sizeof randoms[1]);
}

static void random_bytes_fill_all_that_was_asked_for(void **state)
{
    static const unsigned char zeros[16];
    struct stage here;
    memset(randoms, 0, sizeof randoms);
    stage_start(&here, mode(state), 1);
    act(take_randoms);
    stage_end();
    assert_memory_not_equal(randoms[0], randoms[1], sizeof randoms[0]);
    assert_memory_not_equal(randoms[0] + sizeof randoms[0] - 16, zeros, 16);
}

/* Ends at whatever it has come to. */
static void it_can_be_closed_at_any_time(void **state)
{
    struct server server;
    server_start(&server);
    for (unsigned i = 0; i < 100; i++) {
        struct stage here;
        struct act acts[3] = {{.command = {.run = run_act}, .act = open_connection},
                              {.command = {.run = run_act}},
                              {.command = {.run = run_act}, .act = want_time}};
        stage_start(&here, mode(state), server.port);
        for (unsigned j = 0; j < i % 4; j++) {
            runner_post(here.runner, &acts[j].command);
        }
        if (i % 8 >= 4 && i % 4 > 0) {
            await(has_opened);
        }
        stage_end();
        assert_int_equal(here.ran, i % 4);
        assert_int_equal(here.closed, 0);
    }
    server_stop(&server);
}

static void a_ca_file_that_cannot_be_read_is_named(void **state)
{
    struct stage here;
    struct sluice_error error = {0};
    stage_prepare(&here, mode(state));
    here.url.secure = true;
    assert_int_equal(try_start("/nowhere/ca.pem", &error), SLUICE_CONFIG);
    assert_non_null(strstr(error.message, "/nowhere/ca.pem"));
    assert_null(here.runner);
    if (here.attached) {
        assert_int_equal(uv_loop_close(&here.uv), 0);
    }
    runner_close(NULL);
}

static bool starts_with(unsigned successes, bool attached)
{
    struct stage here;
    struct sluice_error error = {0};
    stage_prepare(&here, attached);
    here.url.secure = true;
    failing_alloc_arm(successes);
    enum sluice_status status = try_start(NULL, &error);
    failing_alloc_disarm();
    if (status == SLUICE_OK) {
        stage_end();
        return true;
    }
    assert_int_equal(status, SLUICE_NO_MEMORY);
    assert_true(error.message[0] != '\0');
    assert_null(here.runner);
    if (attached) {
        (void)uv_run(&here.uv, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&here.uv), 0);
    }
    return false;
}

static void whichever_allocation_fails_it_is_said_and_nothing_is_left(void **state)
{
    unsigned needed = 0;
    while (!starts_with(needed, mode(state))) {
        needed++;
    }
    assert_true(needed >= 4);
}

static int in_a_loop(void **state)
{
    *state = (void *)"in the caller's loop";
    return 0;
}

#define IN_BOTH(test) cmocka_unit_test(test), cmocka_unit_test_setup(test, in_a_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH(commands_of_many_threads_run_in_the_order_of_each),
        IN_BOTH(a_command_that_a_command_posts_runs_after_it),
        IN_BOTH(an_own_thread_is_known_and_takes_no_signals),
        IN_BOTH(what_is_queued_before_the_end_runs_before_it),
        IN_BOTH(what_the_last_callbacks_post_runs_with_a_closed_core),
        IN_BOTH(bytes_go_to_the_server_and_come_back),
        IN_BOTH(an_end_of_the_servers_is_told_without_a_failure),
        IN_BOTH(a_connection_that_is_refused_is_told_with_the_failure),
        IN_BOTH(an_address_that_fails_at_once_is_told_like_any_other),
        IN_BOTH(a_server_that_takes_nothing_is_left_before_memory_runs_out),
        IN_BOTH(nothing_of_a_shut_connection_reaches_the_core),
        IN_BOTH(it_can_be_shut_while_it_opens),
        IN_BOTH(the_core_is_told_the_time_at_each_deadline_and_not_before),
        IN_BOTH(an_earlier_deadline_takes_the_place_of_a_later_one),
        IN_BOTH(random_bytes_fill_all_that_was_asked_for),
        IN_BOTH(it_can_be_closed_at_any_time),
        IN_BOTH(a_ca_file_that_cannot_be_read_is_named),
        IN_BOTH(whichever_allocation_fails_it_is_said_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
