/* loadgen: `sluice bench`: clients of the sync-cf protocol in one process and one loop, as many and
 * as cheap as it takes to bring a server to its limit: frames are made once and only their numbers
 * change, the mask is zero, and of an answer only what it is and its last event get looked at. It
 * measures what the clients see, its own share of a processor, and the server's when told its pid.
 *
 * It works with any sync-cf server. Errors of the server end the run: a load that is half refused
 * measures nothing. */
#ifndef SLUICE_LOADGEN_H
#define SLUICE_LOADGEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/slice.h"

enum load_work {
    LOAD_PUSH,   /* every client pushes batch after batch */
    LOAD_PULL,   /* every client pulls its store's log */
    LOAD_FANOUT, /* every client is a live pull, and one more pushes */
    LOAD_IDLE,   /* every client is a live pull of a store that rests */
};

struct load_options {
    enum load_work work;
    const char *host; /* as in the URL; the strings are borrowed from the arguments */
    const char *port;
    const char *store; /* store ids are this, a dash and five digits */
    uint64_t tls;      /* flags are 0 or 1 */
    uint64_t http;     /* requests by HTTP instead of WebSocket: push and pull only */
    uint64_t clients;
    uint64_t stores;      /* client i uses store i % stores */
    uint64_t batch;       /* events in a push */
    uint64_t event_bytes; /* of JSON text, as pushed */
    uint64_t inflight;    /* pushes under way in all; 0: one for each client */
    uint64_t events;      /* push: ends when each client has pushed so many; 0: by time */
    uint64_t head;        /* push, fanout: the stores' head; 0: they are empty */
    uint64_t pulls;       /* pull: by each client, one after the other */
    uint64_t cursor;      /* pull: from after this event; 0: from the start */
    uint64_t as_acked;    /* fanout: push when the last push is acknowledged, not when delivered */
    uint64_t rate;        /* fanout: pushes a second at most; 0: no limit */
    uint64_t warmup_ms;   /* before the measurement; without `events` */
    uint64_t seconds;     /* of measurement */
    uint64_t pid;         /* the server's; 0: not measured */
    uint64_t json;        /* one line of JSON instead of text */
};

/* Reads the arguments after the verb. CONFIG: the message names the flag and what it takes. */
enum sluice_status load_options_read(int argument_count, char **arguments, struct load_options *out,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
void load_options_print_help(FILE *out);

/* Does the work and prints what was measured. CONFIG: the server cannot be reached; IO: it closed a
 * connection; INVALID: it refused something. */
enum sluice_status load_run(const struct load_options *options, FILE *out,
                            struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
