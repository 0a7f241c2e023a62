/* sim_server: a model of a sync-cf server for simulations: one store's log in memory, and
 * connections that speak the server's side of a WebSocket. Bytes in, bytes out; no clock. It can be
 * told to behave as the reference server does where it should not. */
#ifndef SLUICE_TESTS_SIM_SERVER_H
#define SLUICE_TESTS_SIM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "http/http_parser.h"
#include "ws/ws_parser.h"

#define SIM_EVENTS_MAX 400u
#define SIM_CONNS_MAX 8u

struct sim_event {
    uint64_t seq_num;
    uint64_t parent_seq_num;
    char args[64];
};

struct sim_conn {
    bool open;
    bool upgraded;
    struct http_parser http;
    struct ws_parser ws;
    struct buffer out;     /* to the client */
    struct buffer chunk;   /* a chunk that is to overtake the next one */
    bool live;             /* a pull has reached the head */
    bool broken;           /* the peer broke a rule: a failed test */
    char pull_id[40];      /* its id's JSON text */
    uint64_t sent_seq_num; /* what the pull was sent */
};

struct sim_server {
    struct sim_event log[SIM_EVENTS_MAX];
    size_t event_count;
    struct sim_conn conns[SIM_CONNS_MAX];
    uint64_t (*random)(void *user);
    void *random_user;
    /* One in so many; 0: never. */
    unsigned crash_after_commit; /* all connections end before anybody is answered */
    unsigned refuse_duplicates;  /* a push that is stored already is answered with ServerAhead */
    unsigned repeat_chunk;
    unsigned swap_chunks; /* a live chunk comes after the next one */
    unsigned drop_chunk;  /* a live chunk never comes */
    bool crashed;         /* the driver is to cut all connections, and to clear this */
};

void sim_server_init(struct sim_server *server, uint64_t (*random)(void *user), void *user);
void sim_server_deinit(struct sim_server *server);
void sim_conn_open(struct sim_server *server, struct sim_conn *conn);
void sim_conn_close(struct sim_conn *conn);
/* What the client has sent. Answers, also on other connections, are in their `out`. */
void sim_conn_feed(struct sim_server *server, struct sim_conn *conn, char *data, size_t bytes);
uint64_t sim_server_head(const struct sim_server *server);

#endif
