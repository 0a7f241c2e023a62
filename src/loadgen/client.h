/* client: one connection that speaks sync-cf, over WebSocket or HTTP. It answers chunks with acks
 * and pings with pongs, and tells its owner what came. */
#ifndef SLUICE_LOADGEN_CLIENT_H
#define SLUICE_LOADGEN_CLIENT_H

#include "http/http_parser.h"
#include "loadgen/loop.h"
#include "loadgen/text.h"

struct load_client;

struct load_client_ops {
    void (*opened)(struct load_client *client);
    /* An Exit: the push or pull is done. */
    void (*done)(struct load_client *client, struct slice exit);
    /* A page: `events` new ones, up to client->received. Over HTTP all pages come as one. */
    void (*page)(struct load_client *client, struct slice page, uint64_t events);
};

/* What all clients of a run share. */
struct load_clients {
    struct load_loop *loop;
    const struct load_options *options;
    const struct load_client_ops *ops;
    struct load_text handshake;
    struct load_text push;
    struct load_text pull;
    uint64_t last_id;
    uint64_t bytes_received;
};

struct load_client {
    struct load_conn conn; /* first */
    struct load_clients *shared;
    uint64_t store;
    uint64_t head;       /* of its pushes */
    uint64_t received;   /* the last event that came */
    uint64_t pull_id;    /* of the pull under way */
    uint64_t started_ns; /* of what is under way; the owner's to use */
    uint64_t left;       /* the owner's to use */
    unsigned acks_due;   /* chunks of this read */
    bool open;
    struct buffer rest;         /* of a frame, handshake or body that has not come whole */
    struct http_parser *parser; /* HTTP only */
};

void load_client_open(struct load_client *client, struct load_clients *shared, uint64_t store);
void load_client_close(struct load_client *client);
/* Pushes the next batch; its answer is to come before the next one, unless the server is to be
 * given several at once. */
void load_client_push(struct load_client *client);
/* Sends the shared pull. */
void load_client_pull(struct load_client *client);
void load_client_interrupt(struct load_client *client);

#endif
