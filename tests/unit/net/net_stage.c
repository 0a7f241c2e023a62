#include "net_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCHDOG_MS 60000u
#define CONNECT_MS 20000u

/* ---- names ---- */

struct made_up {
    char address[64];
    uint16_t port;
};

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t names_changed = PTHREAD_COND_INITIALIZER;
static struct made_up names[8];
static size_t name_count;
static bool names_held;
static bool are_numeric;
static unsigned lookups;

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);

static int find(struct addrinfo **out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    *out = NULL;
    for (size_t i = 0; i < name_count; i++) {
        char port[6];
        (void)snprintf(port, sizeof port, "%u", (unsigned)names[i].port);
        if (__real_getaddrinfo(names[i].address, port, &hints, out) != 0) {
            return EAI_NONAME;
        }
        out = &(*out)->ai_next;
    }
    return name_count > 0 ? 0 : EAI_NONAME;
}

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if ((hints->ai_flags & AI_NUMERICHOST) != 0 && are_numeric) {
        return find(out);
    }
    if ((hints->ai_flags & (AI_NUMERICHOST | AI_PASSIVE)) != 0) {
        return __real_getaddrinfo(host, port, hints, out);
    }
    pthread_mutex_lock(&names_lock);
    lookups++;
    pthread_cond_broadcast(&names_changed);
    while (names_held) {
        pthread_cond_wait(&names_changed, &names_lock);
    }
    int result = find(out);
    lookups--;
    pthread_cond_broadcast(&names_changed);
    pthread_mutex_unlock(&names_lock);
    return result;
}

void names_clear(void)
{
    pthread_mutex_lock(&names_lock);
    name_count = 0;
    are_numeric = false;
    pthread_mutex_unlock(&names_lock);
}

void names_add(const char *address, uint16_t port)
{
    pthread_mutex_lock(&names_lock);
    assert_true(name_count < sizeof names / sizeof *names);
    struct made_up *name = &names[name_count++];
    (void)snprintf(name->address, sizeof name->address, "%s", address);
    name->port = port;
    pthread_mutex_unlock(&names_lock);
}

void names_at_once(void)
{
    are_numeric = true; /* seen by the loop's thread only */
}

void names_hold(void)
{
    pthread_mutex_lock(&names_lock);
    names_held = true;
    pthread_mutex_unlock(&names_lock);
}

void names_release(void)
{
    pthread_mutex_lock(&names_lock);
    names_held = false;
    pthread_cond_broadcast(&names_changed);
    while (lookups > 0) {
        pthread_cond_wait(&names_changed, &names_lock);
    }
    pthread_mutex_unlock(&names_lock);
}

void names_await(void)
{
    pthread_mutex_lock(&names_lock);
    while (lookups == 0) {
        pthread_cond_wait(&names_changed, &names_lock);
    }
    pthread_mutex_unlock(&names_lock);
}

/* ---- ends ---- */

static void look(struct net_stage *stage)
{
    if (stage->until != NULL && stage->until(stage)) {
        net_loop_stop(stage->loop);
    }
}

static void on_opened(struct net_conn *conn)
{
    struct end *end = net_conn_user(conn);
    assert_int_equal(end->closed, 0);
    end->opened++;
    if (end->stage->aborts == ABORT_IN_OPENED) {
        net_conn_abort(conn);
    }
    look(end->stage);
}

static void on_client_bytes(struct net_conn *conn, char *data, size_t bytes)
{
    struct end *end = net_conn_user(conn);
    assert_int_equal(end->opened, 1);
    buffer_append(&end->bytes, data, bytes);
    assert_int_equal(buffer_status(&end->bytes), SLUICE_OK);
    if (end->stage->aborts == ABORT_IN_BYTES) {
        net_conn_abort(conn);
    }
    look(end->stage);
}

static void on_server_bytes(struct net_conn *conn, char *data, size_t bytes)
{
    struct end *end = net_conn_user(conn);
    buffer_append(&end->bytes, data, bytes);
    switch (end->stage->habit) {
    case HABIT_ECHOES:
        net_conn_write(conn, data, bytes);
        break;
    case HABIT_RESETS:
        net_conn_abort(conn);
        break;
    case HABIT_SAYS_GOODBYE:
        net_conn_write_slice(conn, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"));
        net_conn_close(conn, 1000);
        break;
    default:
        break;
    }
    look(end->stage);
}

static void on_ended(struct net_conn *conn)
{
    struct end *end = net_conn_user(conn);
    end->ended++;
    net_conn_abort(conn);
    look(end->stage);
}

static void on_writable(struct net_conn *conn)
{
    struct end *end = net_conn_user(conn);
    look(end->stage);
}

static void on_closed(struct net_conn *conn)
{
    struct end *end = net_conn_user(conn);
    const struct sluice_error *failure = net_conn_failure(conn);
    end->closed++;
    end->has_failure = failure != NULL;
    if (failure != NULL) {
        end->failure = *failure;
    }
    if (end->conn == conn) {
        end->conn = NULL;
    }
    look(end->stage);
}

static const struct net_conn_ops client_ops = {.opened = on_opened,
                                               .bytes = on_client_bytes,
                                               .ended = on_ended,
                                               .writable = on_writable,
                                               .closed = on_closed};
static const struct net_conn_ops server_ops = {
    .bytes = on_server_bytes, .ended = on_ended, .writable = on_writable, .closed = on_closed};

static void on_accepted(void *user, struct net_conn *conn)
{
    struct net_stage *stage = user;
    stage->server.conn = conn;
    net_conn_open(conn, &server_ops, &stage->server);
    if (stage->habit == HABIT_HANGS_UP) {
        net_conn_abort(conn);
    }
    look(stage);
}

/* ---- the stage ---- */

static void on_watchdog(void *user)
{
    struct net_stage *stage = user;
    stage->timed_out = true;
    net_loop_stop(stage->loop);
}

static void end_init(struct end *end, struct net_stage *stage)
{
    *end = (struct end){.stage = stage};
    buffer_init(&end->bytes, 64u << 20);
}

void stage_init(struct net_stage *stage)
{
    struct sluice_error error;
    *stage = (struct net_stage){0};
    end_init(&stage->client, stage);
    end_init(&stage->server, stage);
    stage->loop = net_loop_create(&error);
    assert_non_null(stage->loop);
    stage->watchdog = net_timer_create(stage->loop, on_watchdog, stage);
    assert_non_null(stage->watchdog);
    names_clear();
}

void stage_deinit(struct net_stage *stage)
{
    stage->until = NULL;
    if (stage->client.conn != NULL) {
        net_conn_abort(stage->client.conn);
    }
    if (stage->server.conn != NULL) {
        net_conn_abort(stage->server.conn);
    }
    net_listener_close(stage->listener);
    net_timer_destroy(stage->watchdog);
    net_loop_destroy(stage->loop);
    names_release();
    buffer_deinit(&stage->client.bytes);
    buffer_deinit(&stage->server.bytes);
}

void stage_listen(struct net_stage *stage, struct net_tls *tls, enum habit habit)
{
    struct sluice_error error;
    stage->habit = habit;
    assert_int_equal(net_listen(stage->loop, SLICE("127.0.0.1:0"), tls, on_accepted, stage,
                                &stage->listener, &error),
                     SLUICE_OK);
    const char *colon = strrchr(net_listener_address(stage->listener), ':');
    stage->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

void stage_connect(struct net_stage *stage, const char *host, uint16_t port,
                   struct net_tls_client *tls)
{
    stage_connect_within(stage, host, port, tls, CONNECT_MS);
}

enum sluice_status stage_try_connect(struct net_stage *stage, const char *host, uint16_t port,
                                     struct net_tls_client *tls, uint64_t timeout_ms,
                                     struct sluice_error *error)
{
    struct net_target target = {.host = host, .port = port, .tls = tls, .timeout_ms = timeout_ms};
    return net_connect(stage->loop, &target, &client_ops, &stage->client, &stage->client.conn,
                       error);
}

void stage_connect_within(struct net_stage *stage, const char *host, uint16_t port,
                          struct net_tls_client *tls, uint64_t timeout_ms)
{
    struct sluice_error error = {0};
    if (stage_try_connect(stage, host, port, tls, timeout_ms, &error) != SLUICE_OK) {
        fail_msg("net_connect: %s", error.message);
    }
    assert_int_equal(stage->client.opened + stage->client.closed, 0); /* not from inside */
}

void stage_run_until(struct net_stage *stage, bool (*until)(struct net_stage *stage))
{
    stage->until = until;
    if (!until(stage)) {
        net_timer_start(stage->watchdog, WATCHDOG_MS);
        net_loop_run(stage->loop);
        net_timer_stop(stage->watchdog);
    }
    stage->until = NULL;
    assert_false(stage->timed_out);
    assert_true(until(stage));
}

bool client_opened(struct net_stage *stage)
{
    return stage->client.opened > 0;
}

bool client_closed(struct net_stage *stage)
{
    return stage->client.closed > 0;
}

bool server_accepted(struct net_stage *stage)
{
    return stage->server.conn != NULL;
}

void assert_failure(const struct net_stage *stage, const char *words)
{
    assert_int_equal(stage->client.closed, 1);
    assert_true(stage->client.has_failure);
    assert_int_equal(stage->client.failure.status, SLUICE_OFFLINE);
    if (strstr(stage->client.failure.message, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, stage->client.failure.message);
    }
}

void assert_no_failure(const struct net_stage *stage)
{
    if (stage->client.has_failure) {
        fail_msg("failed: %s", stage->client.failure.message);
    }
}

/* ---- ports ---- */

static int bound_socket(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int result = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(result >= 0);
    assert_int_equal(bind(result, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(result, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin_port);
    return result;
}

void refusing_port_init(struct refusing_port *refusing)
{
    refusing->socket = bound_socket(&refusing->port); /* and does not listen */
}

void refusing_port_deinit(struct refusing_port *refusing)
{
    close(refusing->socket);
}

void silent_port_init(struct silent_port *silent)
{
    silent->listener = bound_socket(&silent->port);
    assert_int_equal(listen(silent->listener, 0), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(silent->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < sizeof silent->fillers / sizeof *silent->fillers; i++) {
        silent->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(silent->fillers[i] >= 0);
        (void)connect(silent->fillers[i], (struct sockaddr *)&address, sizeof address);
    }
}

void silent_port_deinit(struct silent_port *silent)
{
    for (size_t i = 0; i < sizeof silent->fillers / sizeof *silent->fillers; i++) {
        close(silent->fillers[i]);
    }
    close(silent->listener);
}
