/* run_push: every client pushes batch after batch, one at a time each; with --inflight fewer than
 * clients, they take turns. Measured is from the push's first byte to its answer. */
#include <stdlib.h>

#include "loadgen/run.h"

/* Clients that wait for their turn, in a ring as large as there are clients. */
struct push_state {
    uint64_t first;
    uint64_t count;
    uint64_t finished;
    struct load_client *waiting[];
};

static void push_next(struct load_run *run)
{
    struct push_state *state = run->work_state;
    if (state->count == 0) {
        return;
    }
    struct load_client *client = state->waiting[state->first];
    state->first = (state->first + 1) % run->client_count;
    state->count--;
    client->started_ns = load_loop_now_ns(run->shared.loop);
    load_client_push(client);
}

static void wait_for_turn(struct load_run *run, struct load_client *client)
{
    struct push_state *state = run->work_state;
    state->waiting[(state->first + state->count) % run->client_count] = client;
    state->count++;
}

static void start(struct load_run *run)
{
    const struct load_options *options = run->shared.options;
    struct push_state *state =
        calloc(1, sizeof(*state) + run->client_count * sizeof(struct load_client *));
    run->work_state = state;
    if (state == NULL) {
        load_loop_fail(run->shared.loop, SLUICE_NO_MEMORY, "out of memory for the clients");
        return;
    }
    for (uint64_t i = 0; i < run->client_count; i++) {
        wait_for_turn(run, &run->clients[i]);
    }
    if (options->events > 0) {
        load_run_begin(run);
    }
    uint64_t inflight = options->inflight > 0 ? options->inflight : run->client_count;
    for (uint64_t i = 0; i < inflight; i++) {
        push_next(run);
    }
}

static void on_opened(struct load_client *client)
{
    struct load_run *run = load_run_of(client);
    const struct load_options *options = run->shared.options;
    client->left = options->events / options->batch;
    run->opened++;
    load_run_open_more(run);
    if (run->opened == run->client_count) {
        load_loop_stop(run->shared.loop);
        start(run);
    }
}

static void on_done(struct load_client *client, struct slice exit)
{
    struct load_run *run = load_run_of(client);
    struct push_state *state = run->work_state;
    if (!load_answer_is_success(exit)) {
        load_loop_fail(run->shared.loop, SLUICE_INVALID, "a push was refused: %.*s",
                       SLICE_PRINT(exit));
        return;
    }
    histogram_add(&run->latency, load_loop_now_ns(run->shared.loop) - client->started_ns);
    run->now.pushes++;
    run->now.pushed_events += run->shared.options->batch;
    if (run->shared.options->events == 0 || --client->left > 0) {
        wait_for_turn(run, client);
    } else if (++state->finished == run->client_count) {
        load_run_end(run);
        return;
    }
    push_next(run);
}

static void on_page(struct load_client *client, struct slice page, uint64_t events)
{
    (void)client;
    (void)page;
    (void)events;
}

const struct load_work_ops LOAD_PUSH_WORK = {
    .client = {.opened = on_opened, .done = on_done, .page = on_page}};
