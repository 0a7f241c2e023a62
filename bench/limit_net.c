/* limit_net: the least that a server can do for the same bytes on this machine: one epoll loop that
 * answers a push with an acknowledgement, sends each subscriber a page of the same length, and a
 * puller a log of the same length. No JSON, no admission, no storage, no time-outs, no bounds.
 *
 *     limit_net [--page-bytes N] [--coalesce] [--bulk-bytes N] [--bulk-events N]
 *
 * It believes what it is sent, for only `sluice bench` talks to it: a request's number and kind
 * stand at fixed places of the frames that the load generator makes. --coalesce: pushes that came
 * in one turn of the loop leave in one write to each subscriber; without it each page leaves at
 * once.
 * --bulk-bytes: a pull is answered with so many bytes, in pages of 256 KiB, instead of going live.
 * Ends with the process that started it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ws/ws_frame.h"

#define EVENTS_MAX 1024
#define READ_BYTES (256u << 10)
#define CONNS_MAX 20000u
#define PUSHES_PER_TURN_MAX 4096u
#define BULK_PAGE_BYTES (256u << 10)
#define SEQ_BASE 1000000000ull

/* In a request of the load generator: {"_tag":"Request","id":"1000000001","tag":"SyncWsRpc.Push" */
#define ID_AT 24u
#define ID_BYTES 10u
#define REQUEST_LETTER_AT 9u /* R; an Ack has an A */
#define PUSH_LETTER_AT 55u   /* the u of Push and Pull is the same, the letter after it is not */
#define HEAD_BYTES (WS_FRAME_HEADER_BYTES_MAX + PUSH_LETTER_AT + 1)

struct conn {
    int fd;
    bool open; /* the handshake is answered */
    bool waits_to_write;
    uint8_t head[HEAD_BYTES]; /* the beginning of the frame under way */
    unsigned head_bytes;
    uint64_t skip; /* the rest of it */
    size_t bulk_left;
    size_t bulk_page_sent; /* bytes of the page under way */
};

struct ack {
    struct conn *conn;
    char id[ID_BYTES];
};

struct server {
    int epoll;
    struct conn *listener;
    size_t page_bytes;
    size_t bulk_pages;
    unsigned long long bulk_events;
    bool coalesce;
    uint64_t head;
    struct conn *subscribers[CONNS_MAX];
    size_t subscriber_count;
    struct ack acks[PUSHES_PER_TURN_MAX]; /* pushes of this turn */
    size_t ack_count;
    char *pages; /* of the pushes of this turn */
    size_t pages_bytes;
    char *bulk_page; /* a whole frame */
    size_t bulk_page_bytes;
    char read_buffer[READ_BYTES];
};

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "limit_net: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* Sends all of it, waiting when the socket is full. */
static void send_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (sent < 0) {
            return; /* gone */
        } else {
            data += sent;
            bytes -= (size_t)sent;
        }
    }
}

/* A page's frame of `bytes`, which ends in an event's number, in `out`. */
static size_t write_page(char *out, size_t bytes, uint64_t seq_num)
{
    static const char START[] = "{\"_tag\":\"Chunk\",\"requestId\":\"1000000001\",\"values\":[";
    char end[64];
    int end_bytes =
        seq_num == 0 ? 0
                     : snprintf(end, sizeof(end), "\"seqNum\":%llu}", (unsigned long long)seq_num);
    size_t header = ws_frame_header((uint8_t *)out, WS_OP_TEXT, bytes);
    memset(out + header, ' ', bytes);
    memcpy(out + header, START, sizeof(START) - 1);
    memcpy(out + header + bytes - (size_t)end_bytes, end, (size_t)end_bytes);
    return header + bytes;
}

static void send_exit(struct conn *conn, const char *id)
{
    char frame[128];
    char text[96];
    int bytes = snprintf(text, sizeof(text),
                         "{\"_tag\":\"Exit\",\"requestId\":\"%.*s\",\"exit\":{\"_tag\":\"Success\","
                         "\"value\":{}}}",
                         (int)ID_BYTES, id);
    size_t header = ws_frame_header((uint8_t *)frame, WS_OP_TEXT, (uint64_t)bytes);
    memcpy(frame + header, text, (size_t)bytes);
    send_all(conn->fd, frame, header + (size_t)bytes);
}

/* ---- pushes ---- */

/* What this turn's pushes are owed. */
static void publish(struct server *server)
{
    if (server->pages_bytes > 0) {
        for (size_t i = 0; i < server->subscriber_count; i++) {
            send_all(server->subscribers[i]->fd, server->pages, server->pages_bytes);
        }
    }
    for (size_t i = 0; i < server->ack_count; i++) {
        send_exit(server->acks[i].conn, server->acks[i].id);
    }
    server->ack_count = 0;
    server->pages_bytes = 0;
}

static void on_push(struct server *server, struct conn *conn, const char *payload)
{
    struct ack *ack = &server->acks[server->ack_count++];
    ack->conn = conn;
    memcpy(ack->id, payload + ID_AT, ID_BYTES);
    if (server->subscriber_count > 0) {
        server->head++;
        server->pages_bytes += write_page(server->pages + server->pages_bytes, server->page_bytes,
                                          SEQ_BASE + server->head);
    }
    if (!server->coalesce || server->ack_count == PUSHES_PER_TURN_MAX) {
        publish(server);
    }
}

/* ---- pulls ---- */

static void watch(struct server *server, struct conn *conn, bool to_write)
{
    if (conn->waits_to_write != to_write) {
        conn->waits_to_write = to_write;
        struct epoll_event event = {.events = EPOLLIN | (to_write ? EPOLLOUT : 0u),
                                    .data.ptr = conn};
        (void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, conn->fd, &event);
    }
}

/* Sends pages until the socket is full or all are sent; the last one has the last event's number.
 */
static void send_bulk(struct server *server, struct conn *conn)
{
    while (conn->bulk_left > 1) {
        ssize_t sent = send(conn->fd, server->bulk_page + conn->bulk_page_sent,
                            server->bulk_page_bytes - conn->bulk_page_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            watch(server, conn, errno == EAGAIN);
            return;
        }
        conn->bulk_page_sent += (size_t)sent;
        if (conn->bulk_page_sent == server->bulk_page_bytes) {
            conn->bulk_page_sent = 0;
            conn->bulk_left--;
        }
    }
    watch(server, conn, false);
    char *page = malloc(BULK_PAGE_BYTES + WS_FRAME_HEADER_BYTES_MAX);
    check(page != NULL, "memory");
    size_t bytes = write_page(page, BULK_PAGE_BYTES, SEQ_BASE + server->bulk_events);
    conn->bulk_left = 0;
    send_all(conn->fd, page, bytes);
    send_exit(conn, "1000000001");
    free(page);
}

static void on_pull(struct server *server, struct conn *conn)
{
    char page[256];
    if (server->bulk_pages > 0) {
        conn->bulk_left = server->bulk_pages;
        conn->bulk_page_sent = 0;
        send_bulk(server, conn);
        return;
    }
    check(server->subscriber_count < CONNS_MAX, "too many subscribers");
    server->subscribers[server->subscriber_count++] = conn;
    send_all(conn->fd, page, write_page(page, 160, 0));
}

/* ---- frames ---- */

static void on_frame(struct server *server, struct conn *conn, const char *payload)
{
    if (payload[REQUEST_LETTER_AT] == 'R' && payload[PUSH_LETTER_AT] == 's') {
        on_push(server, conn, payload);
    } else if (payload[REQUEST_LETTER_AT] == 'R') {
        on_pull(server, conn);
    }
}

/* The header's length, once its first two bytes are there. */
static size_t header_bytes(const struct conn *conn)
{
    unsigned code = conn->head[1] & 0x7Fu;
    return 2u + (code == 127 ? 8u : code == 126 ? 2u : 0u) + 4u;
}

static uint64_t payload_bytes(const struct conn *conn)
{
    uint64_t bytes = conn->head[1] & 0x7Fu;
    size_t header = header_bytes(conn);
    if (header > 6) {
        bytes = 0;
        for (size_t i = 2; i < header - 4; i++) {
            bytes = bytes << 8 | conn->head[i];
        }
    }
    return bytes;
}

/* How much of a frame's beginning must be seen next. */
static size_t head_wanted(const struct conn *conn)
{
    if (conn->head_bytes < 2) {
        return 2;
    }
    size_t header = header_bytes(conn);
    if (conn->head_bytes < header) {
        return header;
    }
    uint64_t payload = payload_bytes(conn);
    return header + (payload < PUSH_LETTER_AT + 1 ? (size_t)payload : PUSH_LETTER_AT + 1);
}

/* Collects a frame's beginning; false: more of it is to come. */
static bool take_head(struct conn *conn, const char **data, size_t *bytes)
{
    for (size_t wanted = head_wanted(conn); conn->head_bytes < wanted; wanted = head_wanted(conn)) {
        size_t taken = wanted - conn->head_bytes < *bytes ? wanted - conn->head_bytes : *bytes;
        if (taken == 0) {
            return false;
        }
        memcpy(conn->head + conn->head_bytes, *data, taken);
        conn->head_bytes += (unsigned)taken;
        *data += taken;
        *bytes -= taken;
    }
    return true;
}

static void on_frames(struct server *server, struct conn *conn, const char *data, size_t bytes)
{
    while (bytes > 0) {
        if (conn->skip == 0) {
            if (!take_head(conn, &data, &bytes)) {
                return;
            }
            conn->skip = header_bytes(conn) + payload_bytes(conn) - conn->head_bytes;
        }
        size_t skipped = conn->skip < bytes ? (size_t)conn->skip : bytes;
        data += skipped;
        bytes -= skipped;
        conn->skip -= skipped;
        if (conn->skip == 0) {
            size_t header = header_bytes(conn);
            conn->head_bytes = 0;
            on_frame(server, conn, (const char *)conn->head + header);
        }
    }
}

/* ---- connections ---- */

static void drop(struct server *server, struct conn *conn)
{
    (void)close(conn->fd); /* the few that end are not freed: the process ends with its run */
    for (size_t i = 0; i < server->subscriber_count; i++) {
        if (server->subscribers[i] == conn) {
            server->subscribers[i] = server->subscribers[--server->subscriber_count];
        }
    }
}

static void on_readable(struct server *server, struct conn *conn)
{
    static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    ssize_t bytes = recv(conn->fd, server->read_buffer, READ_BYTES, 0);
    if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) {
        drop(server, conn);
    } else if (bytes > 0 && !conn->open) {
        conn->open = true; /* a request's head comes in one piece */
        send_all(conn->fd, ANSWER, sizeof(ANSWER) - 1);
    } else if (bytes > 0) {
        on_frames(server, conn, server->read_buffer, (size_t)bytes);
    }
}

static void on_connection(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        int yes = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        struct conn *conn = calloc(1, sizeof(*conn));
        check(conn != NULL, "memory");
        conn->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        check(epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    }
}

static void listen_on_any_port(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    struct conn *listener = calloc(1, sizeof(*listener));
    check(listener != NULL, "memory");
    server->listener = listener;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(server->epoll >= 0 && listener->fd >= 0, "socket");
    check(bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    check(listen(listener->fd, 4096) == 0, "listen");
    check(getsockname(listener->fd, (struct sockaddr *)&address, &bytes) == 0, "getsockname");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    check(epoll_ctl(server->epoll, EPOLL_CTL_ADD, listener->fd, &event) == 0, "epoll_ctl");
    (void)printf("limit_net: listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
}

static void run(struct server *server)
{
    static struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(server->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn == server->listener) {
                on_connection(server);
                continue;
            }
            if ((events[i].events & EPOLLOUT) != 0) {
                send_bulk(server, conn);
            }
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                on_readable(server, conn);
            }
        }
        if (server->coalesce) {
            publish(server);
        }
    }
}

static void read_arguments(struct server *server, int count, char **arguments)
{
    server->page_bytes = 500;
    for (int i = 1; i < count; i++) {
        unsigned long long number = i + 1 < count ? strtoull(arguments[i + 1], NULL, 10) : 0;
        if (strcmp(arguments[i], "--coalesce") == 0) {
            server->coalesce = true;
        } else if (strcmp(arguments[i], "--page-bytes") == 0 && number >= 128) {
            server->page_bytes = number;
            i++;
        } else if (strcmp(arguments[i], "--bulk-bytes") == 0 && number > 0) {
            server->bulk_pages = (size_t)((number + BULK_PAGE_BYTES - 1) / BULK_PAGE_BYTES);
            i++;
        } else if (strcmp(arguments[i], "--bulk-events") == 0) {
            server->bulk_events = number;
            i++;
        } else {
            errno = EINVAL;
            check(false, arguments[i]);
        }
    }
}

int main(int argument_count, char **arguments)
{
    static struct server server;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    read_arguments(&server, argument_count, arguments);
    size_t frame_bytes = server.page_bytes + WS_FRAME_HEADER_BYTES_MAX;
    server.pages = malloc((server.coalesce ? PUSHES_PER_TURN_MAX : 1) * frame_bytes);
    server.bulk_page = malloc(BULK_PAGE_BYTES + WS_FRAME_HEADER_BYTES_MAX);
    check(server.pages != NULL && server.bulk_page != NULL, "memory");
    server.bulk_page_bytes = write_page(server.bulk_page, BULK_PAGE_BYTES, 0);
    listen_on_any_port(&server);
    run(&server);
}
