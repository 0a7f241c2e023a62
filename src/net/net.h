/* net: the only code that touches sockets: event loop, listeners, connections, TLS, timers, on
 * libuv and OpenSSL (memory BIOs).
 *
 * Everything runs on the loop's thread but net_loop_wake. Callbacks of a connection come from the
 * loop, never from inside a call on that connection; the last one is `closed`, after which the
 * connection is gone.
 *
 * Output: what is written to a connection during a turn of the loop is gathered and leaves in one
 * vectored write at the turn's end. Small pieces are copied together; shared pages are referenced.
 * Nothing here bounds what is queued: whoever writes asks net_conn_output_bytes before it queues
 * more, and is told by `writable` when there is room again. */
#ifndef SLUICE_NET_H
#define SLUICE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/shared.h"
#include "base/slice.h"

struct net_loop;
struct net_listener;
struct net_conn;
struct net_timer;
struct net_tls;        /* a server's certificate and key */
struct net_tls_client; /* whom an outgoing connection trusts */

/* Output above this many bytes makes net_conn_full true; `writable` comes when it falls to half. */
#define NET_OUTPUT_BYTES_HIGH (512u << 10)

struct net_loop *net_loop_create(struct sluice_error *error); /* NULL: see error */
/* The same inside a loop of the caller's, a uv_loop_t, which the caller runs: net_loop_run and
 * net_loop_stop are not for it, and net_loop_detach ends it. */
struct net_loop *net_loop_attach(void *uv_loop, struct sluice_error *error);
/* Leaves the caller's loop: `detached` is called from it when nothing of ours is left there, and
 * the net_loop is freed. All connections, listeners and timers must be closed (net_conn_abort and
 * net_timer_destroy are enough; what they still have in the loop is waited for). */
void net_loop_detach(struct net_loop *loop, void (*detached)(void *user), void *user);
/* All connections, listeners and timers must be closed. */
void net_loop_destroy(struct net_loop *loop);
/* Runs until net_loop_stop, or until nothing is left to wait for. */
void net_loop_run(struct net_loop *loop);
void net_loop_stop(struct net_loop *loop);
/* `woken` is called on the loop's thread some time after net_loop_wake, which any thread may call.
 */
void net_loop_on_wake(struct net_loop *loop, void (*woken)(void *user), void *user);
void net_loop_wake(struct net_loop *loop);
/* Milliseconds that only grow, as of the start of this turn. */
uint64_t net_loop_now_ms(const struct net_loop *loop);
/* `signalled` is called on the loop's thread. At most 4 signals. */
enum sluice_status net_loop_on_signal(struct net_loop *loop, int signal_number,
                                      void (*signalled)(void *user, int signal_number), void *user,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

/* One-shot timer. */
struct net_timer *net_timer_create(struct net_loop *loop, void (*fired)(void *user), void *user);
void net_timer_start(struct net_timer *timer, uint64_t delay_ms); /* restarts a running one */
void net_timer_stop(struct net_timer *timer);
void net_timer_destroy(struct net_timer *timer); /* NULL is accepted */

/* Loads a PEM certificate chain and its private key. TLS 1.2 and newer. CONFIG names the file. */
enum sluice_status net_tls_create(const char *certificate_path, const char *key_path,
                                  struct net_tls **out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;
void net_tls_destroy(struct net_tls *tls); /* NULL is accepted */

/* Trusts the certificates in a PEM file, or the system's when `ca_path` is NULL, or with `insecure`
 * anyone's. TLS 1.2 and newer. CONFIG names the file; NO_MEMORY. */
enum sluice_status net_tls_client_create(const char *ca_path, bool insecure,
                                         struct net_tls_client **out,
                                         struct sluice_error *error) SLUICE_MUST_CHECK;
void net_tls_client_destroy(struct net_tls_client *tls); /* NULL is accepted */

struct net_conn_ops {
    /* Outgoing connections only (else NULL): it stands, TLS included, and the peer's certificate
     * was verified. Nothing is written before. */
    void (*opened)(struct net_conn *conn);
    /* Bytes that arrived, decrypted. They are the callee's to change during the call. */
    void (*bytes)(struct net_conn *conn, char *data, size_t bytes);
    /* The peer will send no more (it may still read). */
    void (*ended)(struct net_conn *conn);
    /* Output has fallen to half of NET_OUTPUT_BYTES_HIGH after net_conn_full was true. */
    void (*writable)(struct net_conn *conn);
    /* The connection is closed, by whomever. The last callback. */
    void (*closed)(struct net_conn *conn);
};

/* Listens on "host:port", "[v6]:port" or ":port"; port 0 takes any free one. `accepted` gets each
 * new connection and must call net_conn_open on it, or net_conn_abort. `tls` (NULL: none) is
 * borrowed. CONFIG for an address that cannot be understood, IO when it cannot be had (in use…). */
enum sluice_status net_listen(struct net_loop *loop, struct slice address, struct net_tls *tls,
                              void (*accepted)(void *user, struct net_conn *conn), void *user,
                              struct net_listener **out,
                              struct sluice_error *error) SLUICE_MUST_CHECK;
/* The same on a socket that already listens, such as one passed on by a service manager. Takes the
 * descriptor, unless it is none (CONFIG). */
enum sluice_status net_listen_fd(struct net_loop *loop, int fd, struct net_tls *tls,
                                 void (*accepted)(void *user, struct net_conn *conn), void *user,
                                 struct net_listener **out,
                                 struct sluice_error *error) SLUICE_MUST_CHECK;
/* "127.0.0.1:8787", with the port that was taken. */
const char *net_listener_address(const struct net_listener *listener);
bool net_listener_is_loopback(const struct net_listener *listener);
void net_listener_close(struct net_listener *listener); /* NULL is accepted */

/* Starts reading. `user` is the connection's owner. */
void net_conn_open(struct net_conn *conn, const struct net_conn_ops *ops, void *user);
void *net_conn_user(const struct net_conn *conn);
/* "192.0.2.1:40312" */
const char *net_conn_peer(const struct net_conn *conn);

struct net_target {
    const char
        *host; /* a name, or an IPv4 or IPv6 address without brackets; borrowed during the call */
    uint16_t port;
    struct net_tls_client *tls; /* NULL: plain. With it the host is sent as SNI (names only) and
                                   must be in the certificate. Borrowed until `closed` */
    uint64_t timeout_ms;        /* for name, TCP and TLS together */
};

/* Opens a connection: resolves the name, tries its addresses in turn, each with its share of the
 * time, shakes hands, then calls `opened`. Never calls back before it returns. A failure is
 * `closed` without `opened`; net_conn_failure says what it was. Before `opened` there is nothing to
 * do with it but net_conn_abort, at any time. A look-up that the system is still at when the
 * connection ends goes on by itself, on a thread of its own, and nobody waits for it. Errors:
 * NO_MEMORY, OFFLINE for what fails at once. */
enum sluice_status net_connect(struct net_loop *loop, const struct net_target *target,
                               const struct net_conn_ops *ops, void *user, struct net_conn **out,
                               struct sluice_error *error) SLUICE_MUST_CHECK;
/* Why an outgoing connection could not be opened or broke: OFFLINE, with a text that names the host
 * and what to do ("cannot find the host 'x.example': …", "127.0.0.1:8787 refuses connections: is
 * the server running?", "the certificate of x.example …"). NULL for an orderly end, or when we
 * closed it. Valid until `closed` returns. */
const struct sluice_error *net_conn_failure(const struct net_conn *conn);

/* Queues output; nothing happens on a connection that is closing. */
void net_conn_write(struct net_conn *conn, const void *data, size_t bytes);
void net_conn_write_slice(struct net_conn *conn, struct slice slice);
void net_conn_write_shared(struct net_conn *conn, struct shared *shared); /* takes a reference */
/* Bytes queued and not yet taken by the system. */
size_t net_conn_output_bytes(const struct net_conn *conn);
/* Whether that is above NET_OUTPUT_BYTES_HIGH. */
bool net_conn_full(const struct net_conn *conn);
/* When output last moved (or was empty), by net_loop_now_ms: a peer that has stopped reading shows.
 * That it moved may be noticed only here, so it must be asked again before a peer is judged. */
uint64_t net_conn_output_moved_ms(struct net_conn *conn);

/* Stops and resumes reading, so that a peer that sends too fast waits in its own buffers. */
void net_conn_pause(struct net_conn *conn);
void net_conn_resume(struct net_conn *conn);

/* Sends what is queued, then closes; gives up after `timeout_ms`. */
void net_conn_close(struct net_conn *conn, uint64_t timeout_ms);
/* Closes now; what is queued is dropped. */
void net_conn_abort(struct net_conn *conn);
bool net_conn_closing(const struct net_conn *conn);

#endif
