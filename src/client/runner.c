/* runner: see runner.h.
 *
 *   runner_create ──▶ runs ── runner_close ──▶ woken: core closed, queue run dry ──▶ leave
 *                                                                                     │
 *        own thread: loop ends, all is freed, `closed` ──▶ joined by runner_close ◀───┤
 *        caller's loop: detached when nothing of ours is left in it ──▶ `closed`  ◀───┘
 *
 * Owns the loop (or its place in the caller's), the core, the connection and the timer; all of
 * these are the client's thread's. Under the lock: the queue, `waking`, `closing`. Invariants:
 * `conn` is the connection that the core knows of, and a connection that is not `conn` is not
 * spoken of to the core; after every input the timer is armed for the core's deadline. */
#include "client/runner.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/thread.h"
#include "net/net.h"

#define QUEUE_BYTES_MAX (80u << 20) /* on the way out: the longest message, and some others */

struct runner {
    struct runner_options options;
    struct client_core *core;
    struct net_loop *loop;
    struct net_tls_client *tls; /* NULL: the URL wants none */
    struct net_timer *timer;
    uint64_t armed_ms;     /* what the timer is armed for; UINT64_MAX: it is not */
    struct net_conn *conn; /* NULL: none that the core knows of */
    bool core_closed;
    atomic_bool is_connected;
    pthread_t thread; /* without a caller's loop */
    pthread_mutex_t lock;
    struct runner_command *first;
    struct runner_command **last; /* where the next one is linked */
    bool waking;                  /* a wake-up is on its way */
    bool closing;                 /* runner_close was called */
};

static bool has_thread(const struct runner *runner)
{
    return runner->options.uv_loop == NULL;
}

/* After every input: what the core wants next, and how it sees the connection. */
static void settle(struct runner *runner)
{
    uint64_t deadline_ms = client_core_deadline_ms(runner->core);
    atomic_store(&runner->is_connected, client_core_is_connected(runner->core));
    if (deadline_ms == runner->armed_ms) {
        return;
    }
    runner->armed_ms = deadline_ms;
    if (deadline_ms == UINT64_MAX) {
        net_timer_stop(runner->timer);
    } else {
        uint64_t now_ms = net_loop_now_ms(runner->loop);
        net_timer_start(runner->timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0);
    }
}

static void on_timer(void *user)
{
    struct runner *runner = user;
    runner->armed_ms = UINT64_MAX;
    client_core_time(runner->core, net_loop_now_ms(runner->loop));
    settle(runner);
}

/* ---- the connection ---- */

static void on_opened(struct net_conn *conn)
{
    struct runner *runner = net_conn_user(conn);
    if (conn == runner->conn) {
        client_core_opened(runner->core, net_loop_now_ms(runner->loop));
        settle(runner);
    }
}

static void on_bytes(struct net_conn *conn, char *data, size_t bytes)
{
    struct runner *runner = net_conn_user(conn);
    if (conn == runner->conn) {
        client_core_bytes(runner->core, data, bytes, net_loop_now_ms(runner->loop));
        settle(runner);
    }
}

static void on_closed(struct net_conn *conn)
{
    struct runner *runner = net_conn_user(conn);
    if (conn == runner->conn) {
        runner->conn = NULL;
        client_core_closed(runner->core, net_conn_failure(conn), net_loop_now_ms(runner->loop));
        settle(runner);
    }
}

/* Half a connection is of no use to the core. */
static void on_ended(struct net_conn *conn)
{
    net_conn_abort(conn);
}

static void on_writable(struct net_conn *conn)
{
    (void)conn; /* the core does not wait; send_bytes bounds what it has under way */
}

static const struct net_conn_ops conn_ops = {.opened = on_opened,
                                             .bytes = on_bytes,
                                             .ended = on_ended,
                                             .writable = on_writable,
                                             .closed = on_closed};

/* ---- what the core asks for ---- */

static void open_conn(void *user)
{
    struct runner *runner = user;
    const struct client_core_config *config = runner->options.config;
    struct net_target target = {.host = config->url->host,
                                .port = config->url->port,
                                .tls = runner->tls,
                                .timeout_ms = config->connect_timeout_ms};
    struct sluice_error error;
    SLUICE_ASSERT(runner->conn == NULL);
    if (net_connect(runner->loop, &target, &conn_ops, runner, &runner->conn, &error) != SLUICE_OK) {
        error.status = SLUICE_OFFLINE; /* also for want of memory: it will be tried again */
        client_core_closed(runner->core, &error, net_loop_now_ms(runner->loop));
    }
}

static void shut_conn(void *user)
{
    struct runner *runner = user;
    struct net_conn *conn = runner->conn;
    runner->conn = NULL;
    if (conn != NULL) {
        net_conn_abort(conn);
    }
}

/* A server may ask for answers, with pings and pages, as fast as it can, and never read one. */
static void send_bytes(void *user, struct slice bytes)
{
    struct runner *runner = user;
    if (runner->conn == NULL) {
        return;
    }
    if (net_conn_output_bytes(runner->conn) > QUEUE_BYTES_MAX) {
        struct sluice_error error;
        (void)error_set(&error, SLUICE_OFFLINE, "the server takes nothing of what it is sent");
        shut_conn(runner);
        client_core_closed(runner->core, &error, net_loop_now_ms(runner->loop));
        return;
    }
    net_conn_write_slice(runner->conn, bytes);
}

/* Without the system's random numbers (a sandbox that forbids them) the clock must do: the numbers
 * mask frames and spread retries, they keep no secret. */
static void fill_from_clock(unsigned char *out, size_t bytes)
{
    uint64_t state = clock_monotonic_ns();
    for (size_t i = 0; i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (unsigned char)(state >> 56);
    }
}

static void fill_random(void *user, void *out, size_t bytes)
{
    unsigned char *rest = out;
    (void)user;
    while (bytes > 0) {
        ssize_t got = getrandom(rest, bytes, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            fill_from_clock(rest, bytes);
            return;
        }
        rest += got;
        bytes -= (size_t)got;
    }
}

static void tell_connection(void *user, const struct sluice_connection *connection)
{
    struct runner *runner = user;
    atomic_store(&runner->is_connected, connection->connected); /* what the callee may ask */
    if (runner->options.connection != NULL) {
        runner->options.connection(runner->options.user, connection);
    }
}

static void tell_backend_id(void *user, struct slice backend_id)
{
    struct runner *runner = user;
    if (runner->options.backend_id != NULL) {
        runner->options.backend_id(runner->options.user, backend_id);
    }
}

static const struct client_core_ops core_ops = {.open = open_conn,
                                                .send = send_bytes,
                                                .shut = shut_conn,
                                                .random = fill_random,
                                                .connection = tell_connection,
                                                .backend_id = tell_backend_id};

/* ---- the queue ---- */

/* Under the lock. */
static void wake(struct runner *runner)
{
    if (!runner->waking) {
        runner->waking = true;
        net_loop_wake(runner->loop);
    }
}

void runner_post(struct runner *runner, struct runner_command *command)
{
    command->next = NULL;
    (void)pthread_mutex_lock(&runner->lock);
    *runner->last = command;
    runner->last = &command->next;
    wake(runner);
    (void)pthread_mutex_unlock(&runner->lock);
}

/* Takes all that is queued. Fills `*closing`. */
static struct runner_command *take(struct runner *runner, bool *closing)
{
    (void)pthread_mutex_lock(&runner->lock);
    struct runner_command *first = runner->first;
    runner->first = NULL;
    runner->last = &runner->first;
    runner->waking = false;
    *closing = runner->closing;
    (void)pthread_mutex_unlock(&runner->lock);
    return first;
}

static void run_commands(struct runner *runner, struct runner_command *command)
{
    while (command != NULL) {
        struct runner_command *next = command->next; /* it may free itself */
        command->run(command, runner->core, net_loop_now_ms(runner->loop));
        command = next;
    }
    settle(runner);
}

/* ---- life ---- */

static void destroy(struct runner *runner)
{
    net_tls_client_destroy(runner->tls);
    (void)pthread_mutex_destroy(&runner->lock);
    free(runner);
}

static void on_detached(void *user)
{
    struct runner *runner = user;
    void (*closed)(void *) = runner->options.closed;
    void *closed_user = runner->options.user;
    destroy(runner);
    closed(closed_user);
}

/* Nothing will be asked for any more. */
static void leave(struct runner *runner)
{
    shut_conn(runner);
    net_loop_on_wake(runner->loop, NULL, NULL); /* one may be on its way */
    net_timer_destroy(runner->timer);
    client_core_destroy(runner->core);
    runner->core = NULL;
    if (has_thread(runner)) {
        net_loop_stop(runner->loop);
    } else {
        net_loop_detach(runner->loop, on_detached, runner);
    }
}

static void on_wake(void *user)
{
    struct runner *runner = user;
    bool closing = false;
    struct runner_command *commands = take(runner, &closing);
    if (commands != NULL) {
        run_commands(runner, commands);
    }
    if (!closing) {
        return;
    }
    if (!runner->core_closed) {
        runner->core_closed = true;
        client_core_close(runner->core, net_loop_now_ms(runner->loop));
        settle(runner);
    }
    while ((commands = take(runner, &closing)) != NULL) {
        run_commands(runner, commands); /* asked for by the last callbacks */
    }
    leave(runner);
}

static void *run(void *user)
{
    struct runner *runner = user;
    (void)pthread_mutex_lock(&runner->lock); /* until runner_create has written `thread` */
    (void)pthread_mutex_unlock(&runner->lock);
    net_loop_run(runner->loop);
    net_loop_destroy(runner->loop);
    runner->options.closed(runner->options.user);
    return NULL;
}

/* Takes a runner that nobody has seen yet apart, whatever of it there is. */
static void discard(struct runner *runner)
{
    if (runner->core != NULL) {
        client_core_close(runner->core, 0);
        client_core_destroy(runner->core);
    }
    net_timer_destroy(runner->timer);
    if (runner->loop != NULL && has_thread(runner)) {
        net_loop_destroy(runner->loop);
    } else if (runner->loop != NULL) {
        net_loop_detach(runner->loop, NULL, NULL);
    }
    destroy(runner);
}

static enum sluice_status start_thread(struct runner *runner, struct sluice_error *error)
{
    (void)pthread_mutex_lock(&runner->lock);
    enum sluice_status status = thread_start("sluice-client", run, runner, &runner->thread, error);
    (void)pthread_mutex_unlock(&runner->lock);
    return status;
}

static enum sluice_status fill(struct runner *runner, struct sluice_error *error)
{
    const struct runner_options *options = &runner->options;
    if (options->config->url->secure) {
        enum sluice_status status =
            net_tls_client_create(options->tls_ca_path, options->tls_insecure, &runner->tls, error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    struct sluice_error failure = {0};
    runner->loop = has_thread(runner) ? net_loop_create(&failure)
                                      : net_loop_attach(options->uv_loop, &failure);
    if (runner->loop == NULL) {
        return error_set(error, failure.status, "%s", failure.message);
    }
    net_loop_on_wake(runner->loop, on_wake, runner);
    runner->timer = net_timer_create(runner->loop, on_timer, runner);
    runner->core = client_core_create(options->config, &core_ops, runner);
    if (runner->timer == NULL || runner->core == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a client");
    }
    return has_thread(runner) ? start_thread(runner, error) : SLUICE_OK;
}

enum sluice_status runner_create(const struct runner_options *options, struct runner **out,
                                 struct sluice_error *error)
{
    SLUICE_ASSERT(options->closed != NULL);
    struct runner *runner = calloc(1, sizeof(*runner));
    if (runner == NULL || pthread_mutex_init(&runner->lock, NULL) != 0) {
        free(runner);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a client");
    }
    runner->options = *options;
    runner->armed_ms = UINT64_MAX;
    runner->last = &runner->first;
    atomic_init(&runner->is_connected, false);
    enum sluice_status status = fill(runner, error);
    if (status != SLUICE_OK) {
        discard(runner);
        return status;
    }
    *out = runner;
    return SLUICE_OK;
}

bool runner_is_connected(const struct runner *runner)
{
    return atomic_load(&runner->is_connected);
}

bool runner_is_own_thread(const struct runner *runner)
{
    return has_thread(runner) && pthread_equal(runner->thread, pthread_self()) != 0;
}

void runner_close(struct runner *runner)
{
    if (runner == NULL) {
        return;
    }
    SLUICE_ASSERT(!runner_is_own_thread(runner));
    (void)pthread_mutex_lock(&runner->lock);
    SLUICE_ASSERT(!runner->closing);
    runner->closing = true;
    wake(runner);
    bool joins = has_thread(runner); /* else the runner is the loop's from here */
    (void)pthread_mutex_unlock(&runner->lock);
    if (joins) {
        (void)pthread_join(runner->thread, NULL);
        destroy(runner);
    }
}
