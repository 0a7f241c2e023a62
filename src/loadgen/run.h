/* run: one run of the load generator: its clients, what it counts, and its time. Each kind of work
 * is a struct load_work_ops in a file of its own (run_push.c …). */
#ifndef SLUICE_LOADGEN_RUN_H
#define SLUICE_LOADGEN_RUN_H

#include "loadgen/client.h"
#include "loadgen/histogram.h"
#include "loadgen/loadgen.h"

/* Counters and clocks at one moment. */
struct load_moment {
    uint64_t at_ns;
    double own_cpu_s;
    double server_cpu_s;
    uint64_t pushes;
    uint64_t pushed_events;
    uint64_t frames; /* chunks that came */
    uint64_t events; /* in them */
    uint64_t bytes;
};

struct load_run;

struct load_work_ops {
    struct load_client_ops client;
    /* With --rate: a push is due. Else NULL. */
    void (*tick)(struct load_run *run);
};

struct load_run {
    struct load_clients shared; /* first, so that a client finds its run */
    const struct load_work_ops *work;
    struct load_client *clients; /* owned; one more than options->clients: the fan-out's pusher */
    uint64_t client_count;
    uint64_t opening_next;
    uint64_t opened;
    struct load_moment now; /* its counters; the clocks are filled at the window's ends */
    struct load_moment begun;
    struct load_moment ended;
    uint64_t private_bytes_before; /* the server's, before the clients came */
    uint64_t private_bytes_after;
    bool measuring;
    struct histogram latency;       /* of a push's answer, or of a whole pull */
    struct histogram delivery;      /* fanout: from the push to each subscriber's page */
    struct histogram last_delivery; /* fanout: to the last subscriber's page */
    void *work_state;               /* the work's own; owned, freed at the end */
};

static inline struct load_run *load_run_of(const struct load_client *client)
{
    return (struct load_run *)client->shared; /* its first member */
}

/* The measurement begins or ends now. */
void load_run_begin(struct load_run *run);
void load_run_end(struct load_run *run);
/* Opens clients, a few at a time; to be called at the start and when one is open. */
void load_run_open_more(struct load_run *run);

extern const struct load_work_ops LOAD_PUSH_WORK;
extern const struct load_work_ops LOAD_PULL_WORK;
extern const struct load_work_ops LOAD_FANOUT_WORK;
extern const struct load_work_ops LOAD_IDLE_WORK;

/* run_fanout.c: which pushes, counted from 0, have been delivered when a page of `events` brings a
 * subscriber to `received` events: those whose last event is in it. */
struct load_deliveries {
    uint64_t first;
    uint64_t end; /* the one after the last */
};
struct load_deliveries load_deliveries_of(uint64_t received, uint64_t events, uint64_t batch);

/* report.c: prints what was measured. */
void load_report(const struct load_run *run, FILE *out);

#endif
