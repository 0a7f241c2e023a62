/* model_server: a model of a sync-cf server: one store's log in memory, and
 * connections that speak the server's side of a WebSocket. Bytes in, bytes out; no clock. It can be
 * told to behave as the reference server does where it should not. */
#ifndef SLUICE_TESTS_MODEL_SERVER_H
#define SLUICE_TESTS_MODEL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "http/http_parser.h"
#include "ws/ws_parser.h"

#define MODEL_EVENTS_MAX 400u
#define MODEL_CONNS_MAX 8u

struct model_event {
    uint64_t seq_num;
    uint64_t parent_seq_num;
    char args[64];
};

struct model_conn {
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

struct model_server {
    struct model_event log[MODEL_EVENTS_MAX];
    size_t event_count;
    struct model_conn conns[MODEL_CONNS_MAX];
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

void model_server_init(struct model_server *server, uint64_t (*random)(void *user), void *user);
void model_server_deinit(struct model_server *server);
void model_conn_open(struct model_server *server, struct model_conn *conn);
void model_conn_close(struct model_conn *conn);
/* What the client has sent. Answers, also on other connections, are in their `out`. */
void model_conn_feed(struct model_server *server, struct model_conn *conn, char *data,
                     size_t bytes);
uint64_t model_server_head(const struct model_server *server);

#endif
