/* sim_client: a program with a client_core on the simulated network. What the program does is a
 * `struct sim_program`: one has an outbox (sim_writer.c), one pulls and pushes by itself
 * (sim_caller.c). Both write down what they were told, and check it against the server's log at
 * once. */
#ifndef SLUICE_TESTS_SIM_CLIENT_H
#define SLUICE_TESTS_SIM_CLIENT_H

#include "client/client_core.h"
#include "sim_net.h"
#include "sim_server.h"

struct sim_client;

struct sim_program {
    void *(*create)(struct sim_client *client);
    void (*destroy)(void *program);
    /* client->core is new; the program may have run before. */
    void (*started)(void *program);
    /* client->core is gone, and every request with it. */
    void (*ended)(void *program);
    /* Does one thing or another. */
    void (*act)(void *program);
    /* From now on it only finishes what it has begun, and follows the log. */
    bool (*has_finished)(void *program);
    /* The end of the run: everything it was told is compared with the log. `counts` says how often
     * each of the events that it made is there. */
    void (*check)(void *program, const unsigned *counts);
};
extern const struct sim_program SIM_WRITER;
extern const struct sim_program SIM_CALLER;

/* What became of an event that a client made: what is told of it, and so what the log must have. */
enum sim_fate { SIM_UNKNOWN, SIM_STORED, SIM_REFUSED };

struct sim_client {
    struct sim *sim;
    struct sim_net *net;
    struct sim_server *server;
    unsigned number;
    struct client_url url;
    struct client_core_config config;
    struct sim_link link;
    struct client_core *core; /* NULL: the program does not run */
    struct net_conn *conn;    /* the core's, or NULL */
    bool conn_open;
    bool told_connected;
    uint64_t heard_ms; /* when something last came */
    unsigned turns;    /* calls of client_core_time at `turns_ms` */
    uint64_t turns_ms;
    struct sim_timer deadline;
    struct sim_timer restart;
    char backend_id[SLUICE_BACKEND_ID_BYTES_MAX];
    const struct sim_program *ops;
    void *program;
    size_t made_count; /* events: numbers 1..made_count */
    size_t requests;   /* whose last callback is owed */
    bool dying;        /* what the core still tells, nobody hears */
};

struct sim_client *sim_client_create(struct sim_server *server, struct sim *sim,
                                     struct sim_net *net, unsigned number, const char *url,
                                     const struct sim_program *ops);
void sim_client_destroy(struct sim_client *client);
/* The program is killed, and started again a while later. */
void sim_client_kill(struct sim_client *client);
/* After every call into the core. */
void sim_client_after(struct sim_client *client);
/* What must hold all the time. */
void sim_client_watch(struct sim_client *client);

#define SIM_ARGS_BYTES_MAX 2048u
/* Writes the args of the client's event `n`, and tells them apart again. */
size_t sim_args_write(char out[SIM_ARGS_BYTES_MAX], unsigned client, size_t n);
bool sim_args_read(const char *data, size_t bytes, unsigned *client, size_t *n);
/* The log's event with that number, or NULL. */
const struct event *sim_log_find(struct sim_client *client, uint64_t seq_num);
/* An event that the client was given is the log's. */
void sim_client_check_event(struct sim_client *client, const struct sluice_event *event);

#endif
