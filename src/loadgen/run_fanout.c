/* run_fanout: every client is a live pull of one store, and one client more pushes to it: the next
 * push when the last one has been delivered to all; with --as-acked when it is acknowledged, with
 * --inflight several at once. */
#include <stdlib.h>

#include "loadgen/run.h"

#define SENT_MAX 65536u /* pushes whose times are known: how far a subscriber may be behind */

struct fanout_state {
    uint64_t ready; /* subscribers that have had their first page */
    bool started;
    uint64_t sent;
    uint64_t acknowledged;
    uint64_t missing; /* deliveries of the last push; without --as-acked */
    uint64_t sent_ns[SENT_MAX];
};

static struct load_client *pusher_of(struct load_run *run)
{
    return &run->clients[run->client_count - 1];
}

static void push(struct load_run *run)
{
    struct fanout_state *state = run->work_state;
    state->missing = run->client_count - 1;
    state->sent_ns[state->sent++ % SENT_MAX] = load_loop_now_ns(run->shared.loop);
    load_client_push(pusher_of(run));
}

static void tick(struct load_run *run)
{
    struct fanout_state *state = run->work_state;
    if (state->acknowledged == state->sent && state->missing == 0) {
        push(run);
    }
}

/* After an answer or a delivery. */
static void push_on(struct load_run *run)
{
    const struct load_options *options = run->shared.options;
    struct fanout_state *state = run->work_state;
    uint64_t inflight = options->inflight > 0 ? options->inflight : 1;
    if (options->rate > 0) {
        return;
    }
    if (options->as_acked == 0) {
        tick(run);
        return;
    }
    while (state->sent < state->acknowledged + inflight) {
        push(run);
    }
}

static void start_when_ready(struct load_run *run)
{
    struct fanout_state *state = run->work_state;
    if (run->opened == run->client_count && state->ready == run->client_count - 1) {
        load_loop_stop(run->shared.loop);
        state->started = true;
        push_on(run);
    }
}

static void on_opened(struct load_client *client)
{
    struct load_run *run = load_run_of(client);
    if (run->work_state == NULL) {
        run->work_state = calloc(1, sizeof(struct fanout_state));
    }
    if (run->work_state == NULL) {
        load_loop_fail(run->shared.loop, SLUICE_NO_MEMORY, "out of memory for a run");
        return;
    }
    run->opened++;
    if (client != pusher_of(run)) {
        load_client_pull(client);
    }
    load_run_open_more(run);
    start_when_ready(run);
}

struct load_deliveries load_deliveries_of(uint64_t received, uint64_t events, uint64_t batch)
{
    return (struct load_deliveries){.first = (received - events) / batch, .end = received / batch};
}

static void on_delivered(struct load_run *run, struct load_client *client, uint64_t events)
{
    struct fanout_state *state = run->work_state;
    struct load_deliveries pushes =
        load_deliveries_of(client->received - LOAD_SEQ_BASE, events, run->shared.options->batch);
    uint64_t now_ns = load_loop_now_ns(run->shared.loop);
    uint64_t took_ns = 0; /* of the last one */
    for (uint64_t push = pushes.first; push < pushes.end; push++) {
        took_ns = now_ns - state->sent_ns[push % SENT_MAX];
        histogram_add(&run->delivery, took_ns);
    }
    bool has_last = pushes.first < pushes.end && pushes.end == state->sent;
    if (has_last && state->missing > 0 && --state->missing == 0) {
        histogram_add(&run->last_delivery, took_ns);
        push_on(run);
    }
}

static void on_page(struct load_client *client, struct slice page, uint64_t events)
{
    struct load_run *run = load_run_of(client);
    struct fanout_state *state = run->work_state;
    (void)page;
    if (!state->started && events == 0) {
        state->ready++;
        start_when_ready(run);
    } else if (!state->started) {
        load_loop_fail(run->shared.loop, SLUICE_INVALID, "the store is not empty: choose --store");
    } else if (events > 0) {
        run->now.frames++;
        run->now.events += events;
        on_delivered(run, client, events);
    }
}

static void on_done(struct load_client *client, struct slice exit)
{
    struct load_run *run = load_run_of(client);
    struct fanout_state *state = run->work_state;
    if (client != pusher_of(run) || !load_answer_is_success(exit)) {
        load_loop_fail(run->shared.loop, SLUICE_INVALID, "a push or live pull ended: %.*s",
                       SLICE_PRINT(exit));
        return;
    }
    uint64_t sent_ns = state->sent_ns[state->acknowledged++ % SENT_MAX];
    histogram_add(&run->latency, load_loop_now_ns(run->shared.loop) - sent_ns);
    run->now.pushes++;
    run->now.pushed_events += run->shared.options->batch;
    push_on(run);
}

const struct load_work_ops LOAD_FANOUT_WORK = {
    .client = {.opened = on_opened, .done = on_done, .page = on_page}, .tick = tick};
