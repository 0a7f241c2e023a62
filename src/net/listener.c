/* listener: accepts connections, on an address of its own or on a socket passed on. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_internal.h"

#define BACKLOG 1024
#define HOST_BYTES_MAX 255u
#define RETRY_MS 100u

struct net_listener {
    uv_tcp_t tcp;
    uv_timer_t retry; /* while a connection waits for memory */
    struct net_loop *loop;
    struct net_tls *tls;
    void (*accepted)(void *user, struct net_conn *conn);
    void *user;
    bool is_loopback;
    char address[NET_PEER_BYTES];
};

static void on_retry(uv_timer_t *timer);

/* libuv reports no further connection before the one it has is accepted. */
static void accept_one(struct net_listener *listener)
{
    struct net_conn *conn = NULL;
    enum sluice_status status =
        net_conn_accept(listener->loop, (uv_stream_t *)&listener->tcp, listener->tls, &conn);
    if (status == SLUICE_OK) {
        listener->accepted(listener->user, conn);
    } else if (status == SLUICE_NO_MEMORY) {
        (void)uv_timer_start(&listener->retry, on_retry, RETRY_MS, 0);
    }
}

static void on_retry(uv_timer_t *timer)
{
    accept_one(timer->data);
}

static void on_connection(uv_stream_t *stream, int status)
{
    if (status == 0) { /* else this one is gone; the next may be well */
        accept_one(stream->data);
    }
}

/* Splits "host:port"; the host may be empty or in brackets. */
static enum sluice_status split_address(struct slice address, char host[HOST_BYTES_MAX + 1],
                                        char port[6], struct sluice_error *error)
{
    size_t colon = address.bytes;
    while (colon > 0 && address.data[colon - 1] != ':') {
        colon--;
    }
    struct slice host_part = {address.data, colon > 0 ? colon - 1 : 0};
    struct slice port_part = {address.data + colon, address.bytes - colon};
    bool opens = host_part.bytes >= 1 && host_part.data[0] == '[';
    bool closes = host_part.bytes >= 2 && host_part.data[host_part.bytes - 1] == ']';
    unsigned long long number = 0;
    if (colon == 0 || !slice_to_u64(port_part, &number) || number > 65535 ||
        host_part.bytes > HOST_BYTES_MAX || opens != closes) {
        return error_set(error, SLUICE_CONFIG,
                         "cannot understand the address '%.*s': write host:port, such as "
                         "127.0.0.1:8787 or [::1]:8787",
                         SLICE_PRINT(address));
    }
    if (opens) {
        host_part.data++;
        host_part.bytes -= 2;
    }
    memcpy(host, host_part.data, host_part.bytes);
    host[host_part.bytes] = '\0';
    (void)snprintf(port, 6, "%llu", number);
    return SLUICE_OK;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->ss_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    }
    return address->ss_family == AF_UNIX;
}

static void on_retry_closed(uv_handle_t *handle)
{
    struct net_listener *listener = handle->data;
    net_loop_release(listener->loop);
    free(listener);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct net_listener *listener = handle->data;
    uv_close((uv_handle_t *)&listener->retry, on_retry_closed);
}

void net_listener_close(struct net_listener *listener)
{
    if (listener != NULL) {
        (void)uv_timer_stop(&listener->retry);
        uv_close((uv_handle_t *)&listener->tcp, on_tcp_closed);
    }
}

static struct net_listener *create(struct net_loop *loop, struct net_tls *tls,
                                   void (*accepted)(void *user, struct net_conn *conn), void *user)
{
    struct net_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return NULL;
    }
    listener->loop = loop;
    listener->tls = tls;
    listener->accepted = accepted;
    listener->user = user;
    (void)uv_tcp_init(loop->uv, &listener->tcp);
    listener->tcp.data = listener;
    (void)uv_timer_init(loop->uv, &listener->retry);
    listener->retry.data = listener;
    net_loop_hold(loop);
    return listener;
}

/* Listens, once the handle has its socket. Takes the listener. */
static enum sluice_status start(struct net_listener *listener, const char *what,
                                struct net_listener **out, struct sluice_error *error)
{
    int result = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (result != 0) {
        enum sluice_status status = error_set(
            error, SLUICE_IO, "cannot listen on %s: %s%s", what, uv_strerror(result),
            result == UV_EADDRINUSE ? "; stop the other server or choose another port" : "");
        net_listener_close(listener);
        return status;
    }
    struct sockaddr_storage bound = {0};
    int bytes = sizeof(bound);
    (void)uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&bound, &bytes);
    net_format_address(&bound, listener->address, sizeof(listener->address));
    listener->is_loopback = is_loopback(&bound);
    *out = listener;
    return SLUICE_OK;
}

enum sluice_status net_listen(struct net_loop *loop, struct slice address, struct net_tls *tls,
                              void (*accepted)(void *user, struct net_conn *conn), void *user,
                              struct net_listener **out, struct sluice_error *error)
{
    char host[HOST_BYTES_MAX + 1] = "";
    char port[6] = "";
    char what[HOST_BYTES_MAX + 16];
    enum sluice_status status = split_address(address, host, port, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
    if (result != 0) {
        return error_set(error, SLUICE_CONFIG, "cannot find the address of '%s': %s", host,
                         gai_strerror(result));
    }
    struct net_listener *listener = create(loop, tls, accepted, user);
    if (listener == NULL) {
        freeaddrinfo(found);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a listener");
    }
    (void)snprintf(what, sizeof(what), "%s:%s", host, port);
    result = uv_tcp_bind(&listener->tcp, found->ai_addr, 0);
    freeaddrinfo(found);
    if (result != 0) {
        net_listener_close(listener);
        return error_set(error, SLUICE_IO, "cannot listen on %s: %s", what, uv_strerror(result));
    }
    return start(listener, what, out, error);
}

/* Without one passed on, a descriptor of that number may be one of our own. */
static bool is_listening_socket(int fd)
{
    int type = 0;
    int listens = 0;
    socklen_t bytes = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && listens != 0;
}

enum sluice_status net_listen_fd(struct net_loop *loop, int fd, struct net_tls *tls,
                                 void (*accepted)(void *user, struct net_conn *conn), void *user,
                                 struct net_listener **out, struct sluice_error *error)
{
    char what[32];
    if (!is_listening_socket(fd)) {
        return error_set(error, SLUICE_CONFIG, "descriptor %d is no socket that listens", fd);
    }
    struct net_listener *listener = create(loop, tls, accepted, user);
    if (listener == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a listener");
    }
    (void)snprintf(what, sizeof(what), "descriptor %d", fd);
    int result = uv_tcp_open(&listener->tcp, fd);
    if (result != 0) {
        net_listener_close(listener);
        return error_set(error, SLUICE_IO, "cannot use %s: %s", what, uv_strerror(result));
    }
    return start(listener, what, out, error);
}

const char *net_listener_address(const struct net_listener *listener)
{
    return listener->address;
}

bool net_listener_is_loopback(const struct net_listener *listener)
{
    return listener->is_loopback;
}
