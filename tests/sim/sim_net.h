/* sim_net: a simulated network. For the server it is src/net: it has those functions of net/net.h
 * that src/endpoint calls, so that the whole server but its sockets and its disk can run on it. For
 * clients it has the functions below.
 *
 * Between two ends, bytes keep their order, take their time, and arrive in other pieces than they
 * were sent in. What can go wrong: a link that lets nothing through for a while, on which
 * everything arrives late, also what was sent on a connection that was given up long ago; a
 * connection that is cut, at any byte; one that goes silent for ever in both directions. */
#ifndef SLUICE_TESTS_SIM_NET_H
#define SLUICE_TESTS_SIM_NET_H

#include "net/net.h"
#include "sim.h"

/* The way between one client and the server. */
struct sim_link {
    uint64_t latency_ms; /* one way; jitter comes on top */
    uint64_t jitter_ms;
    uint64_t blocked_until_ms; /* nothing arrives before */
    unsigned mute_percent;     /* so many of its new connections never answer */
};

struct sim_net;

struct sim_net_client_ops {
    void (*opened)(void *user);
    void (*bytes)(void *user, char *data, size_t bytes);
    /* `why` is NULL for an orderly end. The last callback. */
    void (*closed)(void *user, const char *why);
};

struct sim_net *sim_net_create(struct sim *sim);
void sim_net_destroy(struct sim_net *net); /* drops what is under way; no server may be there */
struct net_loop *sim_net_loop(struct sim_net *net);

/* Who takes new connections; NULL: they are refused. */
void sim_net_listen(struct sim_net *net, void (*accepted)(void *user, struct net_conn *conn),
                    void *user);
/* The server's process is gone, its connections with it. `silent`: so is the machine, and nobody
 * tells the peers. */
void sim_net_kill_server(struct sim_net *net, bool silent);

/* A client's end. Both are borrowed until `closed` or sim_net_shut. */
struct net_conn *sim_net_connect(struct sim_net *net, const struct sim_link *link,
                                 const struct sim_net_client_ops *ops, void *user);
void sim_net_send(struct net_conn *conn, struct slice bytes);
void sim_net_shut(struct net_conn *conn); /* no callback follows */

/* Faults. `random`: which connection. Nothing happens when there is none. */
void sim_net_cut_one(struct sim_net *net, uint64_t random);
void sim_net_mute_one(struct sim_net *net, uint64_t random);
/* Frees connections that both ends have left. Not from inside a callback. */
void sim_net_sweep(struct sim_net *net);

#endif
