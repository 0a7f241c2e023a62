/* loop: see loop.h. Level-triggered; one read for each readiness, so that no connection keeps the
 * others waiting. */
#include "loadgen/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

#define READ_BYTES (256u << 10)
#define EVENTS_MAX 1024
#define OUT_BYTES_MAX (64u << 20)

struct load_loop {
    int epoll;
    bool stopped;
    uint64_t now_ns;
    SSL_CTX *tls; /* NULL: plain */
    struct addrinfo *address;
    struct sluice_error error; /* the first failure */
    char *read_buffer;
    struct epoll_event events[EVENTS_MAX];
};

static enum sluice_status open_loop(struct load_loop *loop, const char *host, const char *port,
                                    bool tls, struct sluice_error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int result = getaddrinfo(host, port, &hints, &loop->address);
    if (result != 0) {
        return error_set(error, SLUICE_CONFIG, "%s:%s: %s", host, port, gai_strerror(result));
    }
    if (tls) {
        loop->tls = SSL_CTX_new(TLS_client_method());
        if (loop->tls == NULL) {
            return error_set(error, SLUICE_NO_MEMORY, "cannot set up TLS");
        }
        /* Whose certificate it is does not matter: it is only measured. */
        SSL_CTX_set_verify(loop->tls, SSL_VERIFY_NONE, NULL);
        (void)SSL_CTX_set_mode(loop->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                              SSL_MODE_RELEASE_BUFFERS);
    }
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->read_buffer = malloc(READ_BYTES);
    if (loop->epoll < 0 || loop->read_buffer == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "cannot make an event loop");
    }
    return SLUICE_OK;
}

enum sluice_status load_loop_create(const char *host, const char *port, bool tls,
                                    struct load_loop **out, struct sluice_error *error)
{
    struct load_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for an event loop");
    }
    loop->epoll = -1;
    enum sluice_status status = open_loop(loop, host, port, tls, error);
    if (status != SLUICE_OK) {
        load_loop_destroy(loop);
        return status;
    }
    *out = loop;
    return SLUICE_OK;
}

void load_loop_destroy(struct load_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->epoll >= 0) {
        (void)close(loop->epoll);
    }
    if (loop->address != NULL) {
        freeaddrinfo(loop->address);
    }
    SSL_CTX_free(loop->tls);
    free(loop->read_buffer);
    free(loop);
}

void load_loop_stop(struct load_loop *loop)
{
    loop->stopped = true;
}

uint64_t load_loop_now_ns(const struct load_loop *loop)
{
    return loop->now_ns;
}

void load_loop_fail(struct load_loop *loop, enum sluice_status status, const char *format, ...)
{
    char message[sizeof(loop->error.message)];
    va_list arguments;
    loop->stopped = true;
    if (loop->error.status != SLUICE_OK) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    (void)error_set(&loop->error, status, "%s", message);
}

enum sluice_status load_loop_status(const struct load_loop *loop, struct sluice_error *error)
{
    if (loop->error.status != SLUICE_OK && error != NULL) {
        *error = loop->error;
    }
    return loop->error.status;
}

/* ---- connections ---- */

static void watch(struct load_conn *conn, bool to_write)
{
    if (conn->waits_to_write != to_write) {
        conn->waits_to_write = to_write;
        struct epoll_event event = {.events = EPOLLIN | (to_write ? EPOLLOUT : 0u),
                                    .data.ptr = conn};
        (void)epoll_ctl(conn->loop->epoll, EPOLL_CTL_MOD, conn->fd, &event);
    }
}

/* How much the socket took; 0: nothing now; -1: it is broken. */
static ssize_t send_now(struct load_conn *conn, struct slice bytes)
{
    if (conn->tls == NULL) {
        ssize_t sent = send(conn->fd, bytes.data, bytes.bytes, MSG_NOSIGNAL);
        return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
    }
    size_t sent = 0;
    int result = SSL_write_ex(conn->tls, bytes.data, bytes.bytes, &sent);
    int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(conn->tls, result);
    if (result == 1 || why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) {
        return (ssize_t)sent;
    }
    return -1;
}

static void send_rest(struct load_conn *conn)
{
    while (conn->out_sent < conn->out.bytes) {
        struct slice rest =
            slice_make(conn->out.data + conn->out_sent, conn->out.bytes - conn->out_sent);
        ssize_t sent = send_now(conn, rest);
        if (sent < 0) {
            load_loop_fail(conn->loop, SLUICE_IO, "the server closed a connection");
            return;
        }
        if (sent == 0) {
            watch(conn, true);
            return;
        }
        conn->out_sent += (size_t)sent;
    }
    buffer_clear(&conn->out);
    conn->out_sent = 0;
    watch(conn, false);
}

void load_conn_send(struct load_conn *conn, struct slice bytes)
{
    while (conn->out.bytes == 0 && bytes.bytes > 0) {
        ssize_t sent = send_now(conn, bytes);
        if (sent < 0) {
            load_loop_fail(conn->loop, SLUICE_IO, "the server closed a connection");
            return;
        }
        if (sent == 0) {
            break;
        }
        bytes = slice_make(bytes.data + sent, bytes.bytes - (size_t)sent);
    }
    if (bytes.bytes > 0) {
        buffer_append_slice(&conn->out, bytes);
        if (buffer_status(&conn->out) != SLUICE_OK) {
            load_loop_fail(conn->loop, SLUICE_LIMIT, "the server does not read what it is sent");
            return;
        }
        watch(conn, true);
    }
}

void load_conn_open(struct load_conn *conn, struct load_loop *loop, const struct load_conn_ops *ops)
{
    const struct addrinfo *address = loop->address;
    *conn = (struct load_conn){.loop = loop, .ops = ops, .waits_to_write = true};
    buffer_init(&conn->out, OUT_BYTES_MAX);
    conn->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        load_loop_fail(loop, SLUICE_CONFIG, "no more sockets (ulimit -n)");
        return;
    }
    int yes = 1;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (connect(conn->fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        load_loop_fail(loop, SLUICE_CONFIG, "cannot connect to the server");
        return;
    }
    if (loop->tls != NULL) {
        conn->tls = SSL_new(loop->tls);
        if (conn->tls == NULL || SSL_set_fd(conn->tls, conn->fd) != 1) {
            load_loop_fail(loop, SLUICE_NO_MEMORY, "out of memory for TLS");
            return;
        }
        SSL_set_connect_state(conn->tls);
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = conn};
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_ADD, conn->fd, &event);
}

void load_conn_close(struct load_conn *conn)
{
    if (conn->fd >= 0 && conn->loop != NULL) {
        SSL_free(conn->tls);
        conn->tls = NULL;
        (void)close(conn->fd);
        conn->fd = -1;
        buffer_deinit(&conn->out);
    }
}

/* The TCP connection stands or has failed; the TLS handshake takes a few turns more. */
static void go_on_connecting(struct load_conn *conn)
{
    int failure = 0;
    socklen_t bytes = sizeof(failure);
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &failure, &bytes) != 0 || failure != 0) {
        load_loop_fail(conn->loop, SLUICE_CONFIG, "cannot connect to the server: error %d",
                       failure);
        return;
    }
    if (conn->tls != NULL) {
        int result = SSL_do_handshake(conn->tls);
        int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(conn->tls, result);
        if (result != 1 && (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)) {
            watch(conn, why == SSL_ERROR_WANT_WRITE);
            return;
        }
        if (result != 1) {
            load_loop_fail(conn->loop, SLUICE_CONFIG, "the TLS handshake failed");
            return;
        }
    }
    conn->connected = true;
    watch(conn, false);
    conn->ops->connected(conn);
}

static void read_plain(struct load_conn *conn)
{
    ssize_t bytes = recv(conn->fd, conn->loop->read_buffer, READ_BYTES, 0);
    if (bytes > 0) {
        conn->ops->bytes(conn, conn->loop->read_buffer, (size_t)bytes);
    } else if (bytes == 0 || (errno != EAGAIN && errno != EINTR)) {
        load_loop_fail(conn->loop, SLUICE_IO, "the server closed a connection");
    }
}

static void read_tls(struct load_conn *conn)
{
    size_t bytes = 0;
    while (conn->fd >= 0 && !conn->loop->stopped) {
        int result = SSL_read_ex(conn->tls, conn->loop->read_buffer, READ_BYTES, &bytes);
        if (result != 1) {
            int why = SSL_get_error(conn->tls, result);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
                load_loop_fail(conn->loop, SLUICE_IO, "the server closed a connection");
            }
            return;
        }
        conn->ops->bytes(conn, conn->loop->read_buffer, bytes);
    }
}

static void handle(struct load_conn *conn, uint32_t ready)
{
    if (!conn->connected) {
        go_on_connecting(conn);
        return;
    }
    if ((ready & EPOLLOUT) != 0) {
        send_rest(conn);
    }
    if ((ready & ~(uint32_t)EPOLLOUT) == 0 || conn->fd < 0) {
        return;
    }
    if (conn->tls != NULL) {
        read_tls(conn);
    } else {
        read_plain(conn);
    }
}

void load_loop_run(struct load_loop *loop, uint64_t until_ns)
{
    loop->stopped = loop->error.status != SLUICE_OK;
    loop->now_ns = clock_monotonic_ns();
    while (!loop->stopped && loop->now_ns < until_ns) {
        uint64_t wait_ms = (until_ns - loop->now_ns) / 1000000u + 1;
        int timeout_ms = wait_ms > 60000 ? 60000 : (int)wait_ms;
        int count = epoll_wait(loop->epoll, loop->events, EVENTS_MAX, timeout_ms);
        loop->now_ns = clock_monotonic_ns();
        for (int i = 0; i < count && !loop->stopped; i++) {
            struct load_conn *conn = loop->events[i].data.ptr;
            if (conn->fd >= 0) {
                loop->now_ns = clock_monotonic_ns();
                handle(conn, loop->events[i].events);
            }
        }
    }
}
