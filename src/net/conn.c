/* conn: one connection: reading, gathered writing, closing.
 *
 *               net_conn_open            net_conn_close                    net_conn_abort
 *   (accepted) ───────────────▶ open ─────────────────▶ closing ─────────────────────────▶ shut
 *                                 │
 *                                 └── error, peer gone without a reader: net_conn_abort ──▶ shut
 *   shut ─▶ closed
 *
 * While closing, output leaves, then the end of the stream, then the peer's end or a time-out is
 * waited for (finish_close).
 *
 * Owns the socket, its output and its TLS session. Loop thread. Invariants: at most one uv_write is
 * under way, and while it is, `inflight` holds its bytes and nobody moves them; after `shut`,
 * nothing is called but `closed`, once. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "net/net_internal.h"
#include "net/sigpipe.h"

#define PIECES_MAX 64u
#define KEEPALIVE_SECONDS 60u
#define MOVED_LOOK_MS 100u /* how often the system's own queue is looked at */

struct closing {
    uv_timer_t timer;
    uv_shutdown_t shutdown;
    struct net_loop *loop;
};

void net_conn_on_closed(uv_handle_t *handle)
{
    struct net_conn *conn = handle->data;
    if (conn->ops != NULL) {
        conn->ops->closed(conn);
    }
    if (conn->dirty) {
        struct net_conn **link = &conn->loop->dirty;
        while (*link != conn) {
            link = &(*link)->next_dirty;
        }
        *link = conn->next_dirty;
    }
    net_output_deinit(&conn->pending);
    if (conn->inflight != NULL) {
        net_output_deinit(conn->inflight);
        free(conn->inflight);
    }
    net_tls_session_destroy(conn->tls);
    free(conn->outgoing);
    free(conn->write);
    net_loop_release(conn->loop);
    free(conn);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct closing *closing = (struct closing *)handle; /* begins with the timer */
    net_loop_release(closing->loop);
    free(closing);
}

void net_conn_abort(struct net_conn *conn)
{
    if (conn->shut) {
        return;
    }
    conn->shut = true;
    conn->closing = true;
    if (conn->close_timer != NULL) {
        uv_close((uv_handle_t *)conn->close_timer, on_timer_closed);
        conn->close_timer = NULL;
    }
    if (conn->outgoing != NULL) {
        net_outgoing_stop(conn->outgoing);
    }
    if (!uv_is_closing((uv_handle_t *)&conn->tcp)) { /* connect.c: in between two addresses */
        uv_close((uv_handle_t *)&conn->tcp, net_conn_on_closed);
    }
}

/* Closes now because of an error, a code of libuv. */
static void lose(struct net_conn *conn, int code)
{
    if (conn->outgoing != NULL) {
        net_outgoing_lost(conn->outgoing, code);
    }
    net_conn_abort(conn);
}

static size_t queued(const struct net_conn *conn)
{
    return conn->pending.bytes + (conn->inflight != NULL ? conn->inflight->bytes : 0);
}

static void tell_writable(struct net_conn *conn)
{
    if (conn->was_full && !conn->closing && queued(conn) <= NET_OUTPUT_BYTES_HIGH / 2) {
        conn->was_full = false;
        conn->ops->writable(conn);
    }
}

static void on_written(uv_write_t *write, int status);

/* Gives libuv what the socket did not take. In a loop of the caller's, a broken connection must not
 * raise SIGPIPE. */
static int write_later(struct net_conn *conn, const struct iovec *pieces, unsigned count)
{
    uv_buf_t buffers[PIECES_MAX];
    struct sigpipe sigpipe;
    bool is_guest = conn->loop->uv != &conn->loop->own;
    for (unsigned i = 0; i < count; i++) {
        buffers[i] = uv_buf_init(pieces[i].iov_base, (unsigned)pieces[i].iov_len);
    }
    if (is_guest) {
        sigpipe_hold(&sigpipe);
    }
    int result = uv_write(conn->write, (uv_stream_t *)&conn->tcp, buffers, count, on_written);
    if (is_guest) {
        sigpipe_release(&sigpipe);
    }
    return result;
}

static void send_output(struct net_conn *conn, struct net_output *output);

/* Everything is sent: the rest of the stream is its end. */
static void finish_close(struct net_conn *conn)
{
    if (!conn->closing || conn->shut || conn->close_timer == NULL || queued(conn) > 0) {
        return;
    }
    struct closing *closing = (struct closing *)conn->close_timer;
    if (closing->shutdown.data != NULL) {
        return;
    }
    closing->shutdown.data = conn;
    if (conn->tls != NULL) {
        struct net_output goodbye;
        net_output_init(&goodbye);
        net_tls_shutdown(conn->tls, &goodbye);
        send_output(conn, &goodbye);
        net_output_deinit(&goodbye);
        if (conn->shut) {
            return;
        }
    }
    if (conn->ended || uv_shutdown(&closing->shutdown, (uv_stream_t *)&conn->tcp, NULL) != 0) {
        net_conn_abort(conn);
    }
}

/* Bytes that the system has taken and the peer's system has not. */
static int system_queue_bytes(const struct net_conn *conn)
{
    int bytes = 0;
    return ioctl(conn->descriptor, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

static void on_written(uv_write_t *write, int status)
{
    struct net_conn *conn = write->data;
    struct net_output *output = conn->inflight;
    if (conn->shut) {
        return;
    }
    if (status != 0) {
        lose(conn, status);
        return;
    }
    /* All that wait_for_socket gave to libuv, which is what a peek gives again. */
    size_t bytes = 0;
    struct iovec pieces[PIECES_MAX];
    unsigned count = net_output_peek(output, pieces, PIECES_MAX);
    for (unsigned i = 0; i < count; i++) {
        bytes += pieces[i].iov_len;
    }
    net_output_consume(output, bytes);
    conn->output_moved_ms = uv_now(conn->loop->uv);
    conn->inflight = NULL;
    send_output(conn, output);
    net_output_deinit(output);
    free(output);
    if (conn->inflight == NULL) {
        net_conn_flush(conn);
    }
    if (!conn->shut) {
        tell_writable(conn);
    }
}

/* Hands what the socket did not take to libuv, which waits for it. Moves `output` out. */
static void wait_for_socket(struct net_conn *conn, struct net_output *output)
{
    struct iovec pieces[PIECES_MAX];
    if (conn->write == NULL) {
        conn->write = malloc(sizeof(*conn->write));
    }
    conn->inflight = calloc(1, sizeof(*conn->inflight));
    if (conn->write == NULL || conn->inflight == NULL) {
        lose(conn, UV_ENOMEM);
        return;
    }
    *conn->inflight = *output;
    net_output_init(output);
    unsigned count = net_output_peek(conn->inflight, pieces, PIECES_MAX);
    conn->write->data = conn;
    conn->system_queue_bytes = system_queue_bytes(conn);
    if (queued(conn) > NET_OUTPUT_BYTES_HIGH) {
        conn->was_full = true; /* TLS has added to it */
    }
    int result = write_later(conn, pieces, count);
    if (result != 0) {
        lose(conn, result);
    }
}

/* How many bytes the socket took; 0: none now; less: it is broken, a code of libuv. Not by
 * uv_try_write, which goes the system's longer way for files, and raises SIGPIPE. */
static ssize_t send_now(const struct net_conn *conn, struct iovec *pieces, unsigned count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent = 0;
    do {
        sent = sendmsg(conn->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN || errno == ENOBUFS ? 0 : uv_translate_sys_error(errno);
    }
    return sent;
}

/* Sends as much as the socket takes now; the rest waits in `inflight`. */
static void send_output(struct net_conn *conn, struct net_output *output)
{
    struct iovec pieces[PIECES_MAX];
    SLUICE_ASSERT(conn->inflight == NULL);
    if (output->failed) {
        lose(conn, UV_ENOMEM);
        return;
    }
    while (output->bytes > 0) {
        unsigned count = net_output_peek(output, pieces, PIECES_MAX);
        ssize_t taken = send_now(conn, pieces, count);
        if (taken == 0) {
            wait_for_socket(conn, output);
            return;
        }
        if (taken < 0) {
            lose(conn, (int)taken);
            return;
        }
        net_output_consume(output, (size_t)taken);
        conn->output_moved_ms = uv_now(conn->loop->uv);
    }
    net_output_reset(output);
}

/* The same through TLS: encrypts no more than waits for the socket, piece by piece. */
static void send_encrypted(struct net_conn *conn)
{
    struct net_output encrypted;
    net_output_init(&encrypted);
    do {
        if (conn->pending.failed || !net_tls_encrypt(conn->tls, &conn->pending, &encrypted)) {
            lose(conn, UV_ENOMEM);
        } else {
            send_output(conn, &encrypted);
        }
    } while (!conn->shut && conn->inflight == NULL && conn->pending.bytes > 0 &&
             net_tls_ready(conn->tls));
    net_output_deinit(&encrypted);
}

void net_conn_flush(struct net_conn *conn)
{
    if (conn->shut || conn->inflight != NULL) {
        return;
    }
    if (conn->tls == NULL) {
        send_output(conn, &conn->pending);
    } else {
        send_encrypted(conn);
    }
    if (!conn->shut && conn->inflight == NULL) {
        tell_writable(conn);
        finish_close(conn);
    }
}

void net_conn_mark_dirty(struct net_conn *conn)
{
    if (!conn->dirty && !conn->shut) {
        conn->dirty = true;
        conn->next_dirty = conn->loop->dirty;
        conn->loop->dirty = conn;
    }
}

static void after_write(struct net_conn *conn)
{
    if (conn->pending.bytes > 0 || conn->pending.failed) {
        net_conn_mark_dirty(conn);
    }
    if (queued(conn) > NET_OUTPUT_BYTES_HIGH) {
        conn->was_full = true;
    }
}

/* The time from which a stop of the output counts. */
static void before_write(struct net_conn *conn)
{
    if (queued(conn) == 0) {
        conn->output_moved_ms = uv_now(conn->loop->uv);
    }
}

void net_conn_write(struct net_conn *conn, const void *data, size_t bytes)
{
    if (!conn->closing) {
        before_write(conn);
        net_output_append(&conn->pending, data, bytes);
        after_write(conn);
    }
}

void net_conn_write_slice(struct net_conn *conn, struct slice slice)
{
    net_conn_write(conn, slice.data, slice.bytes);
}

void net_conn_write_shared(struct net_conn *conn, struct shared *shared)
{
    if (!conn->closing) {
        before_write(conn);
        net_output_append_shared(&conn->pending, shared);
        after_write(conn);
    }
}

size_t net_conn_output_bytes(const struct net_conn *conn)
{
    return queued(conn);
}

bool net_conn_full(const struct net_conn *conn)
{
    return queued(conn) > NET_OUTPUT_BYTES_HIGH;
}

/* The system says that there is room only when a third of its queue is free, which can be a
 * megabyte, and libuv says so only when the whole write is done. A peer that reads slowly shows
 * before that, by what is left in the system's queue. */
uint64_t net_conn_output_moved_ms(struct net_conn *conn)
{
    uint64_t now = uv_now(conn->loop->uv);
    if (queued(conn) == 0) {
        return now;
    }
    if (conn->inflight != NULL && !conn->shut && now >= conn->output_moved_ms + MOVED_LOOK_MS) {
        int bytes = system_queue_bytes(conn);
        if (bytes != conn->system_queue_bytes) {
            conn->system_queue_bytes = bytes;
            conn->output_moved_ms = now;
        }
    }
    return conn->output_moved_ms;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct net_conn *conn = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(conn->loop->read_buffer, NET_READ_BYTES);
}

static void on_ended(struct net_conn *conn)
{
    if (conn->ended) {
        return;
    }
    conn->ended = true;
    (void)uv_read_stop((uv_stream_t *)&conn->tcp);
    if (conn->closing) {
        if (queued(conn) == 0) {
            net_conn_abort(conn);
        }
    } else if (conn->opening) {
        lose(conn, UV_EOF);
    } else {
        conn->ops->ended(conn);
    }
}

/* TLS will not go on: the peer is told, and the owner. */
static void lose_tls(struct net_conn *conn)
{
    if (conn->outgoing != NULL) {
        net_outgoing_lost_tls(conn->outgoing, conn->tls);
    }
    net_conn_flush(conn); /* the alert that says why */
    net_conn_abort(conn);
}

/* Hands on what can be decrypted; also sends what the handshake has to say. */
static void read_tls(struct net_conn *conn)
{
    for (;;) {
        int count = net_tls_read(conn->tls, conn->loop->plain_buffer, NET_READ_BYTES);
        if (conn->opening && count != -1 && net_tls_ready(conn->tls)) {
            net_outgoing_opened(conn->outgoing);
            if (conn->shut) {
                return;
            }
        }
        if (count > 0) {
            if (!conn->closing) {
                conn->ops->bytes(conn, conn->loop->plain_buffer, (size_t)count);
            }
            if (conn->shut) {
                return;
            }
            continue;
        }
        net_conn_mark_dirty(conn);
        if (count == -1) {
            lose_tls(conn);
        } else if (count == -2) {
            on_ended(conn);
        }
        return;
    }
}

void net_conn_shake_hands(struct net_conn *conn)
{
    if (!conn->shut) {
        read_tls(conn);
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct net_conn *conn = stream->data;
    if (count == UV_EOF) {
        on_ended(conn);
    } else if (count < 0) {
        lose(conn, (int)count);
    } else if (count > 0 && conn->tls != NULL) {
        if (net_tls_receive(conn->tls, buffer->base, (size_t)count)) {
            read_tls(conn);
        } else {
            lose(conn, UV_ENOMEM);
        }
    } else if (count > 0 && !conn->closing) {
        conn->ops->bytes(conn, buffer->base, (size_t)count);
    }
}

struct net_conn *net_conn_create(struct net_loop *loop)
{
    struct net_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return NULL;
    }
    conn->loop = loop;
    conn->descriptor = -1;
    net_output_init(&conn->pending);
    (void)uv_tcp_init(loop->uv, &conn->tcp);
    conn->tcp.data = conn;
    net_loop_hold(loop);
    conn->output_moved_ms = uv_now(loop->uv);
    return conn;
}

void net_conn_stands(struct net_conn *conn)
{
    (void)uv_fileno((const uv_handle_t *)&conn->tcp, &conn->descriptor);
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    (void)uv_tcp_keepalive(&conn->tcp, 1, KEEPALIVE_SECONDS);
    struct sockaddr_storage peer = {0};
    int bytes = sizeof(peer);
    (void)uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&peer, &bytes);
    net_format_address(&peer, conn->peer, sizeof(conn->peer));
}

enum sluice_status net_conn_accept(struct net_loop *loop, uv_stream_t *listener,
                                   struct net_tls *tls, struct net_conn **out)
{
    struct net_conn *conn = net_conn_create(loop);
    if (conn == NULL) {
        return SLUICE_NO_MEMORY;
    }
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0) {
        net_conn_abort(conn);
        return SLUICE_IO;
    }
    if (tls != NULL) {
        conn->tls = net_tls_session_create(tls);
        if (conn->tls == NULL) {
            net_conn_abort(conn);
            return SLUICE_IO;
        }
    }
    net_conn_stands(conn);
    *out = conn;
    return SLUICE_OK;
}

void net_conn_start_reading(struct net_conn *conn)
{
    int result = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
    if (result != 0) {
        lose(conn, result);
    }
}

void net_conn_open(struct net_conn *conn, const struct net_conn_ops *ops, void *user)
{
    SLUICE_ASSERT(conn->ops == NULL);
    conn->ops = ops;
    conn->user = user;
    net_conn_start_reading(conn);
}

void *net_conn_user(const struct net_conn *conn)
{
    return conn->user;
}

const char *net_conn_peer(const struct net_conn *conn)
{
    return conn->peer;
}

bool net_conn_closing(const struct net_conn *conn)
{
    return conn->closing;
}

void net_conn_pause(struct net_conn *conn)
{
    if (!conn->paused && !conn->closing && !conn->ended) {
        conn->paused = true;
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
    }
}

void net_conn_resume(struct net_conn *conn)
{
    if (conn->paused && !conn->closing && !conn->ended) {
        conn->paused = false;
        net_conn_start_reading(conn);
    }
}

static void on_close_timeout(uv_timer_t *timer)
{
    net_conn_abort(timer->data);
}

void net_conn_close(struct net_conn *conn, uint64_t timeout_ms)
{
    if (conn->closing) {
        return;
    }
    if (conn->opening) {
        net_conn_abort(conn); /* there is nothing to be sent yet */
        return;
    }
    struct closing *closing = calloc(1, sizeof(*closing));
    if (closing == NULL) {
        net_conn_abort(conn);
        return;
    }
    if (conn->paused) {
        net_conn_resume(conn); /* to hear the peer's end; what it sends is dropped */
    }
    conn->closing = true;
    (void)uv_timer_init(conn->loop->uv, &closing->timer);
    closing->loop = conn->loop;
    net_loop_hold(conn->loop);
    closing->timer.data = conn;
    conn->close_timer = &closing->timer;
    (void)uv_timer_start(&closing->timer, on_close_timeout, timeout_ms, 0);
    if (conn->tls != NULL && conn->inflight == NULL) {
        net_conn_flush(conn);
    }
    net_conn_mark_dirty(conn);
}
