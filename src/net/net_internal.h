/* net_internal: what the files of net/ share. */
#ifndef SLUICE_NET_INTERNAL_H
#define SLUICE_NET_INTERNAL_H

#include <uv.h>

#include "base/buffer.h"
#include "net/net.h"
#include "net/output.h"

#define NET_READ_BYTES (64u << 10)
#define NET_PEER_BYTES 56
#define NET_SIGNALS_MAX 4u

struct net_loop {
    uv_loop_t *uv; /* `own`, or the caller's */
    uv_loop_t own;
    uv_prepare_t before_poll; /* both flush what was written during the turn */
    uv_check_t after_poll;
    uv_async_t async;
    uv_signal_t signals[NET_SIGNALS_MAX];
    unsigned signal_count;
    void (*woken)(void *user);
    void *woken_user;
    void (*signalled)(void *user, int signal_number);
    void *signalled_user;
    struct net_conn *dirty; /* connections with output that has not been tried */
    unsigned held;          /* what the loop has of connections, listeners, timers and look-ups */
    unsigned closing;       /* handles of this struct that are being closed */
    bool detaching;
    void (*detached)(void *user);
    void *detached_user;
    char read_buffer[NET_READ_BYTES];
    char plain_buffer[NET_READ_BYTES]; /* what TLS has decrypted */
};

struct net_tls_session; /* one connection's TLS */
struct net_outgoing;    /* what an outgoing connection has besides */
struct net_lookup;
struct addrinfo;

struct net_conn {
    uv_tcp_t tcp;
    uv_os_fd_t descriptor; /* the socket's, while it is not shut */
    struct net_loop *loop;
    const struct net_conn_ops *ops; /* NULL until net_conn_open */
    void *user;
    struct net_tls_session *tls;   /* NULL: plain */
    struct net_outgoing *outgoing; /* owned; NULL: accepted */
    struct net_conn *next_dirty;
    struct net_output pending;   /* written since the last flush */
    struct net_output *inflight; /* what uv_write has; NULL when nothing waits for the socket */
    uv_write_t *write;
    uv_timer_t *close_timer; /* while closing with output left */
    uint64_t output_moved_ms;
    int system_queue_bytes; /* when output was last seen to move */
    bool dirty;
    bool was_full; /* `writable` is due */
    bool paused;
    bool ended;   /* the peer sends no more */
    bool closing; /* net_conn_close: no more reading or queueing */
    bool shut;    /* uv_close was called */
    bool opening; /* outgoing: `opened` was not called yet */
    char peer[NET_PEER_BYTES];
};

/* loop.c: whoever gives the loop a handle holds the loop until the handle is closed. */
void net_loop_hold(struct net_loop *loop);
void net_loop_release(struct net_loop *loop); /* the last release of a detached loop frees it */

/* conn.c */
/* Fills `*out`. NO_MEMORY: the connection still waits in the listener. IO: it is gone. */
enum sluice_status net_conn_accept(struct net_loop *loop, uv_stream_t *listener,
                                   struct net_tls *tls, struct net_conn **out) SLUICE_MUST_CHECK;
struct net_conn *net_conn_create(struct net_loop *loop); /* without a socket; NULL: out of memory */
void net_conn_stands(
    struct net_conn *conn); /* the socket is connected: its options, and the peer */
void net_conn_start_reading(struct net_conn *conn);
void net_conn_shake_hands(struct net_conn *conn); /* says the first word of TLS */
void net_conn_on_closed(uv_handle_t *handle);     /* the socket is closed: ends the connection */
void net_conn_flush(struct net_conn *conn);
void net_conn_mark_dirty(struct net_conn *conn);

/* connect.c */
void net_outgoing_opened(struct net_outgoing *outgoing);
/* Why the connection is about to be aborted: a code of libuv, UV_EOF for an end that came too
 * early, or what OpenSSL has just said. */
void net_outgoing_lost(struct net_outgoing *outgoing, int code);
void net_outgoing_lost_tls(struct net_outgoing *outgoing, const struct net_tls_session *session);
/* Ends what is under way besides the socket. */
void net_outgoing_stop(struct net_outgoing *outgoing);

/* lookup.c. `found` is called once, on the loop's thread, unless the look-up was abandoned; it
 * takes the addresses (freeaddrinfo). `result` is getaddrinfo's. NULL: see error. */
struct net_lookup *net_lookup_start(struct net_loop *loop, const char *host, const char *port,
                                    void (*found)(void *user, int result,
                                                  struct addrinfo *addresses),
                                    void *user, struct sluice_error *error);
void net_lookup_abandon(struct net_lookup *lookup);
/* The same at once for what is an address already; otherwise not 0. */
int net_lookup_numeric(const char *host, const char *port, struct addrinfo **out);

/* address.c: "127.0.0.1:8787" or "[::1]:8787" */
void net_format_address(const struct sockaddr_storage *address, char *out, size_t bytes);

/* tls.c. A session takes ciphertext in and gives plaintext out, and the other way round; it never
 * touches the socket. */
struct net_tls_session *net_tls_session_create(struct net_tls *tls);
/* The outgoing side (tls_client.c), to a host by name or address. NULL: out of memory. */
struct net_tls_session *net_tls_session_connect(struct net_tls_client *tls, const char *host);
/* Says why the session failed, right after it did (tls_client.c). `where` is the peer. */
void net_tls_session_explain(const struct net_tls_session *session, const char *where,
                             struct sluice_error *error);
void net_tls_session_destroy(struct net_tls_session *session);
/* False: out of memory or a broken stream. */
bool net_tls_receive(struct net_tls_session *session, const char *data, size_t bytes);
/* Next plaintext; 0: none now; -1: the peer broke the protocol, or makes the session say more than
 * is taken from it; -2: the peer closed TLS. */
int net_tls_read(struct net_tls_session *session, char *out, size_t bytes);
bool net_tls_ready(const struct net_tls_session *session); /* the handshake is done */
/* Encrypts some of `plain`, none before the handshake is done, and adds it to `out`, together with
 * what TLS itself has to say. False: it failed. */
bool net_tls_encrypt(struct net_tls_session *session, struct net_output *plain,
                     struct net_output *out);
void net_tls_shutdown(struct net_tls_session *session, struct net_output *out);

#endif
