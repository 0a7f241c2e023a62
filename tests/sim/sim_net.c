/* The simulated network, see sim_net.h. A connection is two pipes, each a queue of packets that
 * arrive in order. Opening one is a packet as well, and so are its end and its reset. */
#include "sim_net.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buffer.h"

#define OUTPUT_BYTES_HIGH (16u << 10) /* smaller than the real one, so that it is reached */
#define PIECE_BYTES_MAX 1500u

enum packet_kind {
    PACKET_DATA,
    PACKET_OPEN,  /* up: a connection is wanted; down: it stands */
    PACKET_END,   /* nothing more comes */
    PACKET_RESET, /* there is no such connection */
};

struct packet {
    struct packet *next;
    uint64_t at_ms;
    enum packet_kind kind;
    size_t bytes;
    char data[];
};

struct pipe {
    struct net_conn *conn;
    struct packet *first;
    struct packet *last;
    size_t bytes;
    uint64_t last_at_ms;
    struct sim_timer timer; /* for the first packet */
};

struct net_loop {
    struct sim *sim;
};

struct net_timer {
    struct sim *sim;
    struct sim_timer timer;
};

struct sim_net {
    struct sim *sim;
    struct net_loop loop;
    struct net_conn *conns;
    size_t conn_count;
    void (*accepted)(void *user, struct net_conn *conn);
    void *accepted_user;
};

struct net_conn {
    struct sim_net *net;
    struct net_conn *next;
    const struct sim_link *link;
    struct pipe up;
    struct pipe down;
    bool mute; /* nothing arrives any more, and nobody is told */
    /* the client's end */
    const struct sim_net_client_ops *client_ops; /* NULL: it has gone */
    void *client;
    /* the server's end */
    const struct net_conn_ops *ops; /* NULL: it is not there, or gone */
    void *user;
    struct buffer output; /* written in this turn */
    struct sim_timer flush;
    struct sim_timer closer; /* armed: `closed` is due */
    bool paused;
    bool closing;
    bool was_full;
    uint64_t moved_ms;
};

/* ---- packets ---- */

static void pipe_send(struct pipe *pipe, enum packet_kind kind, const char *data, size_t bytes)
{
    struct net_conn *conn = pipe->conn;
    struct sim *sim = conn->net->sim;
    struct packet *packet = malloc(sizeof(*packet) + bytes);
    SLUICE_ASSERT(packet != NULL);
    *packet = (struct packet){.kind = kind, .bytes = bytes};
    if (bytes > 0) {
        memcpy(packet->data, data, bytes);
    }
    packet->at_ms = sim->now_ms + conn->link->latency_ms + sim_draw(sim, conn->link->jitter_ms + 1);
    if (packet->at_ms < pipe->last_at_ms) {
        packet->at_ms = pipe->last_at_ms;
    }
    pipe->last_at_ms = packet->at_ms;
    pipe->bytes += bytes;
    if (pipe->last == NULL) {
        pipe->first = packet;
        sim_arm(sim, &pipe->timer, packet->at_ms);
    } else {
        pipe->last->next = packet;
    }
    pipe->last = packet;
}

static void pipe_send_data(struct pipe *pipe, struct slice bytes)
{
    struct sim *sim = pipe->conn->net->sim;
    bool in_crumbs = bytes.bytes < 200 && sim_chance(sim, 2);
    while (bytes.bytes > 0) {
        size_t most = in_crumbs ? 3 : PIECE_BYTES_MAX;
        size_t piece = sim_chance(sim, 70) && !in_crumbs ? most : sim_between(sim, 1, most);
        piece = piece < bytes.bytes ? piece : bytes.bytes;
        pipe_send(pipe, PACKET_DATA, bytes.data, piece);
        bytes = slice_make(bytes.data + piece, bytes.bytes - piece);
    }
}

static struct packet *pipe_take(struct pipe *pipe)
{
    struct packet *packet = pipe->first;
    pipe->first = packet->next;
    if (pipe->first == NULL) {
        pipe->last = NULL;
    }
    pipe->bytes -= packet->bytes;
    return packet;
}

static void pipe_clear(struct pipe *pipe)
{
    while (pipe->first != NULL) {
        free(pipe_take(pipe));
    }
    sim_disarm(pipe->conn->net->sim, &pipe->timer);
}

/* Arms the pipe for its first packet. */
static void pipe_go_on(struct pipe *pipe)
{
    if (pipe->first != NULL) {
        sim_arm(pipe->conn->net->sim, &pipe->timer, pipe->first->at_ms);
    }
}

/* The first packet, when it can arrive now. */
static struct packet *pipe_arrive(struct pipe *pipe)
{
    struct net_conn *conn = pipe->conn;
    struct sim *sim = conn->net->sim;
    if (conn->mute) {
        return NULL; /* never: the sender waits in vain */
    }
    if (conn->link->blocked_until_ms > sim->now_ms) {
        sim_arm(sim, &pipe->timer, conn->link->blocked_until_ms);
        return NULL;
    }
    return pipe_take(pipe);
}

/* ---- the client's end ---- */

static void client_gone(struct net_conn *conn, const char *why)
{
    const struct sim_net_client_ops *ops = conn->client_ops;
    if (ops != NULL) {
        conn->client_ops = NULL;
        ops->closed(conn->client, why);
    }
}

static void down_arrives(void *user)
{
    struct net_conn *conn = user;
    struct packet *packet = pipe_arrive(&conn->down);
    if (packet == NULL) {
        return;
    }
    conn->moved_ms = conn->net->sim->now_ms;
    if (packet->kind == PACKET_RESET) {
        client_gone(conn, "the connection was reset");
    } else if (conn->client_ops == NULL) {
        if (packet->kind == PACKET_DATA || packet->kind == PACKET_OPEN) {
            pipe_send(&conn->up, PACKET_RESET, NULL, 0);
        }
    } else if (packet->kind == PACKET_OPEN) {
        conn->client_ops->opened(conn->client);
    } else if (packet->kind == PACKET_END) {
        client_gone(conn, NULL);
    } else {
        conn->client_ops->bytes(conn->client, packet->data, packet->bytes);
    }
    free(packet);
    pipe_go_on(&conn->down);
    if (conn->ops == NULL) {
        return;
    }
    size_t left = net_conn_output_bytes(conn);
    if (conn->closing && left == 0) {
        sim_arm(conn->net->sim, &conn->closer, 0);
    } else if (conn->was_full && left <= OUTPUT_BYTES_HIGH / 2) {
        conn->was_full = false;
        conn->ops->writable(conn);
    }
}

void sim_net_send(struct net_conn *conn, struct slice bytes)
{
    SLUICE_ASSERT(conn->client_ops != NULL);
    pipe_send_data(&conn->up, bytes);
}

void sim_net_shut(struct net_conn *conn)
{
    SLUICE_ASSERT(conn->client_ops != NULL);
    conn->client_ops = NULL;
    pipe_send(&conn->up, sim_chance(conn->net->sim, 50) ? PACKET_END : PACKET_RESET, NULL, 0);
}

/* ---- the server's end ---- */

static void server_gone(struct net_conn *conn)
{
    const struct net_conn_ops *ops = conn->ops;
    sim_disarm(conn->net->sim, &conn->flush);
    sim_disarm(conn->net->sim, &conn->closer);
    if (ops != NULL) {
        ops->closed(conn);
        conn->ops = NULL;
    }
}

static void on_closer(void *user)
{
    server_gone(user);
}

static void accept_one(struct net_conn *conn)
{
    struct sim_net *net = conn->net;
    if (net->accepted == NULL) {
        pipe_send(&conn->down, PACKET_RESET, NULL, 0);
        return;
    }
    pipe_send(&conn->down, PACKET_OPEN, NULL, 0);
    net->accepted(net->accepted_user, conn);
}

static void up_arrives(void *user)
{
    struct net_conn *conn = user;
    if (conn->paused && conn->up.first->kind == PACKET_DATA) {
        return; /* net_conn_resume goes on */
    }
    struct packet *packet = pipe_arrive(&conn->up);
    if (packet == NULL) {
        return;
    }
    if (packet->kind == PACKET_OPEN) {
        accept_one(conn);
    } else if (conn->ops == NULL) {
        if (packet->kind == PACKET_DATA) {
            pipe_send(&conn->down, PACKET_RESET, NULL, 0);
        }
    } else if (packet->kind == PACKET_RESET) {
        server_gone(conn);
    } else if (!conn->closing && packet->kind == PACKET_END) {
        conn->ops->ended(conn);
    } else if (!conn->closing) {
        conn->ops->bytes(conn, packet->data, packet->bytes);
    }
    free(packet);
    pipe_go_on(&conn->up);
}

static void on_flush(void *user)
{
    struct net_conn *conn = user;
    SLUICE_ASSERT(buffer_status(&conn->output) == SLUICE_OK);
    pipe_send_data(&conn->down, buffer_slice(&conn->output));
    buffer_clear(&conn->output);
    if (conn->closing) {
        pipe_send(&conn->down, PACKET_END, NULL, 0);
    }
}

void net_conn_open(struct net_conn *conn, const struct net_conn_ops *ops, void *user)
{
    conn->ops = ops;
    conn->user = user;
    conn->moved_ms = conn->net->sim->now_ms;
}

void *net_conn_user(const struct net_conn *conn)
{
    return conn->user;
}

const char *net_conn_peer(const struct net_conn *conn)
{
    (void)conn;
    return "simulated";
}

void net_conn_write(struct net_conn *conn, const void *data, size_t bytes)
{
    if (conn->closing || bytes == 0) {
        return;
    }
    if (net_conn_output_bytes(conn) == 0) {
        conn->moved_ms = conn->net->sim->now_ms;
    }
    buffer_append(&conn->output, data, bytes);
    conn->was_full = conn->was_full || net_conn_full(conn);
    sim_arm(conn->net->sim, &conn->flush, 0); /* at the turn's end */
}

void net_conn_write_slice(struct net_conn *conn, struct slice slice)
{
    net_conn_write(conn, slice.data, slice.bytes);
}

void net_conn_write_shared(struct net_conn *conn, struct shared *shared)
{
    net_conn_write_slice(conn, shared->bytes);
}

size_t net_conn_output_bytes(const struct net_conn *conn)
{
    return conn->output.bytes + conn->down.bytes;
}

bool net_conn_full(const struct net_conn *conn)
{
    return net_conn_output_bytes(conn) > OUTPUT_BYTES_HIGH;
}

uint64_t net_conn_output_moved_ms(struct net_conn *conn)
{
    return conn->moved_ms;
}

void net_conn_pause(struct net_conn *conn)
{
    conn->paused = true;
}

void net_conn_resume(struct net_conn *conn)
{
    if (conn->paused) {
        conn->paused = false;
        pipe_go_on(&conn->up);
    }
}

void net_conn_close(struct net_conn *conn, uint64_t timeout_ms)
{
    struct sim *sim = conn->net->sim;
    if (!conn->closing) {
        conn->closing = true;
        sim_arm(sim, &conn->flush, 0);
        sim_arm(sim, &conn->closer, sim->now_ms + timeout_ms);
    }
}

void net_conn_abort(struct net_conn *conn)
{
    conn->closing = true;
    buffer_clear(&conn->output);
    sim_disarm(conn->net->sim, &conn->flush);
    pipe_send(&conn->down, PACKET_RESET, NULL, 0);
    sim_arm(conn->net->sim, &conn->closer, 0);
}

bool net_conn_closing(const struct net_conn *conn)
{
    return conn->closing;
}

/* ---- the loop and its timers ---- */

uint64_t net_loop_now_ms(const struct net_loop *loop)
{
    return loop->sim->now_ms;
}

struct net_timer *net_timer_create(struct net_loop *loop, void (*fired)(void *user), void *user)
{
    struct net_timer *timer = malloc(sizeof(*timer));
    SLUICE_ASSERT(timer != NULL);
    *timer = (struct net_timer){.sim = loop->sim, .timer = {.run = fired, .user = user}};
    return timer;
}

void net_timer_start(struct net_timer *timer, uint64_t delay_ms)
{
    sim_arm(timer->sim, &timer->timer, timer->sim->now_ms + delay_ms);
}

void net_timer_stop(struct net_timer *timer)
{
    sim_disarm(timer->sim, &timer->timer);
}

void net_timer_destroy(struct net_timer *timer)
{
    if (timer != NULL) {
        net_timer_stop(timer);
        free(timer);
    }
}

/* ---- connections ---- */

struct sim_net *sim_net_create(struct sim *sim)
{
    struct sim_net *net = malloc(sizeof(*net));
    SLUICE_ASSERT(net != NULL);
    *net = (struct sim_net){.sim = sim, .loop = {.sim = sim}};
    return net;
}

struct net_loop *sim_net_loop(struct sim_net *net)
{
    return &net->loop;
}

static void conn_free(struct net_conn *conn)
{
    SLUICE_ASSERT(conn->ops == NULL && conn->client_ops == NULL);
    pipe_clear(&conn->up);
    pipe_clear(&conn->down);
    sim_disarm(conn->net->sim, &conn->flush);
    sim_disarm(conn->net->sim, &conn->closer);
    buffer_deinit(&conn->output);
    conn->net->conn_count--;
    free(conn);
}

void sim_net_sweep(struct sim_net *net)
{
    struct net_conn **link = &net->conns;
    while (*link != NULL) {
        struct net_conn *conn = *link;
        bool late = conn->up.first != NULL && !conn->mute; /* may still do something */
        if (conn->client_ops == NULL && conn->ops == NULL && !late) {
            *link = conn->next;
            conn_free(conn);
        } else {
            link = &conn->next;
        }
    }
}

void sim_net_destroy(struct sim_net *net)
{
    while (net->conns != NULL) {
        struct net_conn *conn = net->conns;
        net->conns = conn->next;
        conn->client_ops = NULL;
        conn_free(conn);
    }
    free(net);
}

void sim_net_listen(struct sim_net *net, void (*accepted)(void *user, struct net_conn *conn),
                    void *user)
{
    net->accepted = accepted;
    net->accepted_user = user;
}

void sim_net_kill_server(struct sim_net *net, bool silent)
{
    for (struct net_conn *conn = net->conns; conn != NULL; conn = conn->next) {
        if (conn->ops == NULL) {
            continue;
        }
        buffer_clear(&conn->output);
        server_gone(conn);
        if (!silent) {
            pipe_send(&conn->down, PACKET_RESET, NULL, 0);
        }
    }
}

struct net_conn *sim_net_connect(struct sim_net *net, const struct sim_link *link,
                                 const struct sim_net_client_ops *ops, void *user)
{
    struct net_conn *conn = malloc(sizeof(*conn));
    SLUICE_ASSERT(conn != NULL);
    *conn = (struct net_conn){.net = net,
                              .next = net->conns,
                              .link = link,
                              .client_ops = ops,
                              .client = user,
                              .mute = sim_chance(net->sim, link->mute_percent)};
    conn->up = (struct pipe){.conn = conn, .timer = {.run = up_arrives, .user = conn}};
    conn->down = (struct pipe){.conn = conn, .timer = {.run = down_arrives, .user = conn}};
    conn->flush = (struct sim_timer){.run = on_flush, .user = conn};
    conn->closer = (struct sim_timer){.run = on_closer, .user = conn};
    buffer_init(&conn->output, 64u << 20);
    net->conns = conn;
    net->conn_count++;
    pipe_send(&conn->up, PACKET_OPEN, NULL, 0);
    return conn;
}

/* ---- faults ---- */

static struct net_conn *choose(struct sim_net *net, uint64_t random)
{
    size_t place = net->conn_count > 0 ? random % net->conn_count : 0;
    struct net_conn *conn = net->conns;
    while (place > 0 && conn != NULL) {
        conn = conn->next;
        place--;
    }
    return conn;
}

void sim_net_cut_one(struct sim_net *net, uint64_t random)
{
    struct net_conn *conn = choose(net, random);
    if (conn == NULL || conn->mute) {
        return;
    }
    /* What has not arrived is lost, from some byte on. */
    pipe_clear(&conn->up);
    pipe_clear(&conn->down);
    pipe_send(&conn->up, PACKET_RESET, NULL, 0);
    pipe_send(&conn->down, PACKET_RESET, NULL, 0);
}

void sim_net_mute_one(struct sim_net *net, uint64_t random)
{
    struct net_conn *conn = choose(net, random);
    if (conn != NULL) {
        conn->mute = true;
    }
}
