/* loop: the load generator's sockets: one epoll loop, connections that go out, TLS when wanted.
 *
 * Not net/'s loop, which is made for a server: it only accepts, a connection there costs a handle,
 * a timer and a queue, and what is written waits for the end of the turn. The load must cost less
 * than what it loads, and must not change when the server's loop does, or no comparison would hold.
 * Here a write is tried at once, and nothing is queued but what the socket did not take.
 *
 * One thread. A failure of any connection ends the run: load_loop_fail. */
#ifndef SLUICE_LOADGEN_LOOP_H
#define SLUICE_LOADGEN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

struct load_loop;
struct load_conn;

struct load_conn_ops {
    void (*connected)(struct load_conn *conn); /* TLS included */
    void (*bytes)(struct load_conn *conn, char *data, size_t bytes);
};

struct load_conn {
    struct load_loop *loop;
    const struct load_conn_ops *ops;
    void *tls; /* SSL, or NULL */
    int fd;    /* -1: closed */
    bool connected;
    bool waits_to_write;
    struct buffer out; /* what the socket has not taken yet */
    size_t out_sent;
};

/* The address is looked up once. CONFIG, NO_MEMORY. */
enum sluice_status load_loop_create(const char *host, const char *port, bool tls,
                                    struct load_loop **out,
                                    struct sluice_error *error) SLUICE_MUST_CHECK;
void load_loop_destroy(struct load_loop *loop); /* connections must be closed; NULL is accepted */

/* Runs until load_loop_stop or that time (clock_monotonic_ns). */
void load_loop_run(struct load_loop *loop, uint64_t until_ns);
void load_loop_stop(struct load_loop *loop);
/* When the events being handled came, by clock_monotonic_ns. */
uint64_t load_loop_now_ns(const struct load_loop *loop);
/* Keeps the first failure, and stops. */
void load_loop_fail(struct load_loop *loop, enum sluice_status status, const char *format, ...)
    SLUICE_PRINTF(3, 4);
enum sluice_status load_loop_status(const struct load_loop *loop,
                                    struct sluice_error *error) SLUICE_MUST_CHECK;

/* In place; the connection starts, and `connected` says when it is there. */
void load_conn_open(struct load_conn *conn, struct load_loop *loop,
                    const struct load_conn_ops *ops);
void load_conn_close(struct load_conn *conn);
void load_conn_send(struct load_conn *conn, struct slice bytes);

#endif
