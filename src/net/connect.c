/* connect: outgoing connections, until they stand.
 *
 *   net_connect ──▶ looking up ── on_found ──▶ try_next ──▶ connecting ── on_connected ──▶ stands
 *                                               ▲              │ (TLS: handshake ── conn.c ──▶)
 *                       on_socket_closed ───────┘              │
 *                              └───────── give_up_address ◀────┘ refused, or its time is over
 *
 *   anything fails for good, or all the time is over: net_outgoing_fail ──▶ closed without opened
 *
 * Addresses are tried in the resolver's order, each with an equal share of the time that is left,
 * so that one that never answers does not cost the others their chance. Owns the look-up, its
 * result and the timer; the socket is conn.c's, and from `opened` on all else is, too. Loop thread.
 * Invariant: `opening` is true exactly until `opened` is called, and while it is, at most one of
 * look-up, uv_tcp_connect, closing of a socket and handshake is under way. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/net_internal.h"

#define HOST_BYTES_MAX 255u
#define PORT_BYTES 6u /* with its NUL */

struct net_outgoing {
    struct net_conn *conn;
    uv_connect_t request;
    struct net_lookup *lookup;   /* while looking up */
    struct addrinfo *addresses;  /* owned; NULL before they are found and after `opened` */
    const struct addrinfo *next; /* to try next; NULL: none is left */
    struct net_timer *timer;     /* NULL after `opened` */
    struct net_tls_client *tls;  /* NULL: plain */
    uint64_t timeout_ms;
    uint64_t deadline_ms;
    bool connected;                     /* TCP stands */
    bool has_failed;                    /* for good, and `failure` says why */
    struct sluice_error failure;        /* of the last address that was tried, before that */
    char host[HOST_BYTES_MAX + 1];      /* as the caller wrote it */
    char where[HOST_BYTES_MAX + 1 + 9]; /* "host:port", "[v6]:port" */
};

const struct sluice_error *net_conn_failure(const struct net_conn *conn)
{
    return conn->outgoing != NULL && conn->outgoing->has_failed ? &conn->outgoing->failure : NULL;
}

void net_outgoing_stop(struct net_outgoing *outgoing)
{
    if (outgoing->lookup != NULL) {
        net_lookup_abandon(outgoing->lookup);
        outgoing->lookup = NULL;
    }
    net_timer_destroy(outgoing->timer);
    outgoing->timer = NULL;
    if (outgoing->addresses != NULL) {
        freeaddrinfo(outgoing->addresses);
        outgoing->addresses = NULL;
        outgoing->next = NULL;
    }
}

/* What a code of libuv means for whoever wants to connect. */
static void explain_attempt(struct net_outgoing *outgoing, int code)
{
    bool no_way = code == UV_ENETUNREACH || code == UV_EHOSTUNREACH || code == UV_EADDRNOTAVAIL ||
                  code == UV_EAFNOSUPPORT;
    if (no_way && outgoing->failure.status != SLUICE_OK) {
        return; /* a machine without IPv6 says so of each such address: another one's word counts */
    }
    if (code == UV_ECONNREFUSED) {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "%s refuses connections: is the server running, and on this port?",
                        outgoing->where);
    } else if (code == UV_ETIMEDOUT) {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "%s does not answer (time-out %llu ms): is the machine up, and does a "
                        "firewall let you through?",
                        outgoing->where, (unsigned long long)outgoing->timeout_ms);
    } else if (no_way) {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "%s cannot be reached: %s: is the network up?", outgoing->where,
                        uv_strerror(code));
    } else {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE, "cannot connect to %s: %s",
                        outgoing->where, uv_strerror(code));
    }
}

void net_outgoing_lost(struct net_outgoing *outgoing, int code)
{
    bool handshake = outgoing->conn->opening;
    if (outgoing->has_failed) {
        return;
    }
    outgoing->has_failed = true;
    if (code == UV_ENOMEM) {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "the connection to %s was given up: out of memory", outgoing->where);
    } else if (handshake && (code == UV_EOF || code == UV_ECONNRESET || code == UV_EPIPE)) {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "%s closed the connection during the TLS handshake: does it speak TLS on "
                        "this port?",
                        outgoing->where);
    } else {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE, "the connection to %s broke: %s",
                        outgoing->where, uv_strerror(code));
    }
}

void net_outgoing_lost_tls(struct net_outgoing *outgoing, const struct net_tls_session *session)
{
    if (!outgoing->has_failed) {
        outgoing->has_failed = true;
        net_tls_session_explain(session, outgoing->where, &outgoing->failure);
    }
}

void net_outgoing_opened(struct net_outgoing *outgoing)
{
    struct net_conn *conn = outgoing->conn;
    SLUICE_ASSERT(conn->opening);
    net_outgoing_stop(outgoing);
    conn->opening = false;
    conn->ops->opened(conn);
}

static void try_next(struct net_outgoing *outgoing);

static void on_socket_closed(uv_handle_t *handle)
{
    struct net_conn *conn = handle->data;
    if (conn->shut) {
        net_conn_on_closed(handle); /* net_conn_abort came meanwhile */
        return;
    }
    (void)uv_tcp_init(conn->loop->uv, &conn->tcp);
    conn->tcp.data = conn;
    try_next(conn->outgoing);
}

/* A socket that was used for an address is of no use for another. */
static void give_up_address(struct net_outgoing *outgoing, int code)
{
    explain_attempt(outgoing, code);
    net_timer_stop(outgoing->timer);
    if (outgoing->next == NULL) {
        outgoing->has_failed = true;
        net_conn_abort(outgoing->conn);
    } else {
        uv_close((uv_handle_t *)&outgoing->conn->tcp, on_socket_closed);
    }
}

static uint64_t time_left_ms(const struct net_outgoing *outgoing)
{
    uint64_t now = uv_now(outgoing->conn->loop->uv);
    return outgoing->deadline_ms > now ? outgoing->deadline_ms - now : 0;
}

static void on_connected(uv_connect_t *request, int code)
{
    struct net_outgoing *outgoing = request->data;
    struct net_conn *conn = outgoing->conn;
    if (conn->shut || uv_is_closing((uv_handle_t *)&conn->tcp)) {
        return; /* it was given up */
    }
    if (code != 0) {
        give_up_address(outgoing, code);
        return;
    }
    outgoing->connected = true;
    net_conn_stands(conn);
    if (outgoing->tls == NULL) {
        net_outgoing_opened(outgoing);
        if (!conn->shut && !conn->paused) {
            net_conn_start_reading(conn);
        }
        return;
    }
    net_timer_start(outgoing->timer, time_left_ms(outgoing));
    conn->tls = net_tls_session_connect(outgoing->tls, outgoing->host);
    if (conn->tls == NULL) {
        net_outgoing_lost(outgoing, UV_ENOMEM);
        net_conn_abort(conn);
        return;
    }
    net_conn_start_reading(conn);
    net_conn_shake_hands(conn);
}

static void try_next(struct net_outgoing *outgoing)
{
    const struct addrinfo *address = outgoing->next;
    SLUICE_ASSERT(address != NULL);
    uint64_t count = 0;
    for (const struct addrinfo *other = address; other != NULL; other = other->ai_next) {
        count++;
    }
    outgoing->next = address->ai_next;
    outgoing->request.data = outgoing;
    int result =
        uv_tcp_connect(&outgoing->request, &outgoing->conn->tcp, address->ai_addr, on_connected);
    if (result != 0) {
        give_up_address(outgoing, result);
        return;
    }
    net_timer_start(outgoing->timer, time_left_ms(outgoing) / count);
}

static void on_found(void *user, int result, struct addrinfo *addresses)
{
    struct net_outgoing *outgoing = user;
    outgoing->lookup = NULL;
    if (result == 0) {
        outgoing->addresses = addresses;
        outgoing->next = addresses;
        try_next(outgoing);
        return;
    }
    outgoing->has_failed = true;
    (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                    "cannot find the host '%s': %s: check the name and the network", outgoing->host,
                    gai_strerror(result));
    net_conn_abort(outgoing->conn);
}

static void on_timeout(void *user)
{
    struct net_outgoing *outgoing = user;
    unsigned long long timeout_ms = outgoing->timeout_ms;
    if (outgoing->lookup == NULL && !outgoing->connected) {
        give_up_address(outgoing, UV_ETIMEDOUT);
        return;
    }
    outgoing->has_failed = true;
    if (outgoing->lookup != NULL) {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "looking up the host '%s' took longer than %llu ms: is the network up?",
                        outgoing->host, timeout_ms);
    } else {
        (void)error_set(&outgoing->failure, SLUICE_OFFLINE,
                        "%s did not finish the TLS handshake within %llu ms: does it speak TLS on "
                        "this port?",
                        outgoing->where, timeout_ms);
    }
    net_conn_abort(outgoing->conn);
}

/* Everything but the start. NULL: see error; nothing is left. */
static struct net_outgoing *create(struct net_loop *loop, const struct net_target *target,
                                   struct sluice_error *error)
{
    struct net_outgoing *outgoing = calloc(1, sizeof(*outgoing));
    struct net_conn *conn = outgoing != NULL ? net_conn_create(loop) : NULL;
    struct net_timer *timer = conn != NULL ? net_timer_create(loop, on_timeout, outgoing) : NULL;
    if (timer == NULL) {
        if (conn != NULL) {
            net_conn_abort(conn);
        }
        free(outgoing);
        (void)error_set(error, SLUICE_NO_MEMORY, "out of memory for a connection");
        return NULL;
    }
    bool is_v6 = strchr(target->host, ':') != NULL;
    (void)snprintf(outgoing->host, sizeof(outgoing->host), "%s", target->host);
    (void)snprintf(outgoing->where, sizeof(outgoing->where), is_v6 ? "[%s]:%u" : "%s:%u",
                   outgoing->host, (unsigned)target->port);
    outgoing->tls = target->tls;
    outgoing->timeout_ms = target->timeout_ms;
    outgoing->timer = timer;
    outgoing->conn = conn;
    conn->outgoing = outgoing;
    conn->opening = true;
    return outgoing;
}

enum sluice_status net_connect(struct net_loop *loop, const struct net_target *target,
                               const struct net_conn_ops *ops, void *user, struct net_conn **out,
                               struct sluice_error *error)
{
    if (strlen(target->host) > HOST_BYTES_MAX) {
        return error_set(error, SLUICE_OFFLINE, "the host's name has more than %u bytes",
                         HOST_BYTES_MAX);
    }
    struct net_outgoing *outgoing = create(loop, target, error);
    if (outgoing == NULL) {
        return SLUICE_NO_MEMORY;
    }
    struct net_conn *conn = outgoing->conn;
    char port[PORT_BYTES];
    (void)snprintf(port, sizeof(port), "%u", (unsigned)target->port);
    uint64_t now_ms = uv_now(loop->uv);
    outgoing->deadline_ms =
        target->timeout_ms < UINT64_MAX - now_ms ? now_ms + target->timeout_ms : UINT64_MAX;
    struct addrinfo *numeric = NULL;
    struct sluice_error failure = {0};
    if (net_lookup_numeric(target->host, port, &numeric) == 0) {
        on_found(outgoing, 0, numeric);
    } else {
        outgoing->lookup = net_lookup_start(loop, target->host, port, on_found, outgoing, &failure);
        if (outgoing->lookup == NULL) {
            outgoing->has_failed = true;
            outgoing->failure = failure;
            net_conn_abort(conn);
        } else {
            net_timer_start(outgoing->timer, target->timeout_ms);
        }
    }
    if (conn->shut) { /* at once; without ops nobody is told but by this */
        SLUICE_ASSERT(outgoing->has_failed);
        return error_set(error, outgoing->failure.status, "%s", outgoing->failure.message);
    }
    conn->ops = ops;
    conn->user = user;
    *out = conn;
    return SLUICE_OK;
}
