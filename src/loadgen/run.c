/* run: opens the clients, starts the work, and times it.
 *
 *   all open ─▶ the work starts ─▶ warm-up ─▶ load_run_begin ─▶ seconds ─▶ load_run_end
 *                    └── work that ends itself calls the last two */
#include "loadgen/run.h"

#include <stdlib.h>

#include "base/clock.h"
#include "loadgen/process.h"

#define OPENING_MAX 64u /* handshakes at once: a listener's queue is bounded */
#define NS_PER_MS 1000000u
#define NEVER_NS UINT64_MAX

static struct load_moment take_moment(const struct load_run *run)
{
    struct load_moment moment = run->now;
    moment.bytes = run->shared.bytes_received;
    moment.own_cpu_s = process_own_cpu_s();
    moment.server_cpu_s = process_cpu_s(run->shared.options->pid);
    moment.at_ns = clock_monotonic_ns();
    return moment;
}

void load_run_begin(struct load_run *run)
{
    run->begun = take_moment(run);
    run->latency = (struct histogram){0};
    run->delivery = (struct histogram){0};
    run->last_delivery = (struct histogram){0};
    run->measuring = true;
}

void load_run_end(struct load_run *run)
{
    if (run->measuring) {
        run->measuring = false;
        run->ended = take_moment(run);
        run->private_bytes_after = process_private_bytes(run->shared.options->pid);
    }
    load_loop_stop(run->shared.loop);
}

void load_run_open_more(struct load_run *run)
{
    while (run->opening_next < run->client_count && run->opening_next < run->opened + OPENING_MAX) {
        struct load_client *client = &run->clients[run->opening_next];
        load_client_open(client, &run->shared, run->opening_next % run->shared.options->stores);
        run->opening_next++;
    }
}

static void run_until(struct load_run *run, uint64_t until_ns)
{
    const uint64_t rate = run->shared.options->rate;
    struct load_loop *loop = run->shared.loop;
    uint64_t tick_ns = clock_monotonic_ns();
    while (rate > 0 && run->work->tick != NULL && tick_ns < until_ns) {
        run->work->tick(run);
        tick_ns += 1000u * NS_PER_MS / rate;
        load_loop_run(loop, tick_ns < until_ns ? tick_ns : until_ns);
    }
    load_loop_run(loop, until_ns);
}

static void drive(struct load_run *run)
{
    const struct load_options *options = run->shared.options;
    struct load_loop *loop = run->shared.loop;
    load_run_open_more(run);
    load_loop_run(loop, NEVER_NS); /* until all are open and ready */
    if (run->measuring) {
        load_loop_run(loop, NEVER_NS); /* the work ends itself */
        return;
    }
    run_until(run, clock_monotonic_ns() + options->warmup_ms * NS_PER_MS);
    load_run_begin(run);
    run_until(run, run->begun.at_ns + options->seconds * 1000u * NS_PER_MS);
    load_run_end(run);
}

static const struct load_work_ops *work_of(const struct load_options *options)
{
    switch (options->work) {
    case LOAD_PUSH:
        return &LOAD_PUSH_WORK;
    case LOAD_PULL:
        return &LOAD_PULL_WORK;
    case LOAD_FANOUT:
        return &LOAD_FANOUT_WORK;
    case LOAD_IDLE:
        break;
    }
    return &LOAD_IDLE_WORK;
}

static enum sluice_status make_texts(struct load_run *run, struct sluice_error *error)
{
    const struct load_options *options = run->shared.options;
    load_text_init(&run->shared.handshake);
    load_text_init(&run->shared.push);
    load_text_init(&run->shared.pull);
    bool live = options->work == LOAD_FANOUT || options->work == LOAD_IDLE;
    enum sluice_status status = load_text_make_handshake(&run->shared.handshake, options, error);
    if (status == SLUICE_OK) {
        status = load_text_make_push(&run->shared.push, options, error);
    }
    if (status == SLUICE_OK) {
        status = load_text_make_pull(&run->shared.pull, options, live, SLICE_EMPTY, 0, error);
    }
    return status;
}

static void destroy(struct load_run *run)
{
    for (uint64_t i = 0; i < run->opening_next; i++) {
        load_client_close(&run->clients[i]);
    }
    load_text_deinit(&run->shared.handshake);
    load_text_deinit(&run->shared.push);
    load_text_deinit(&run->shared.pull);
    load_loop_destroy(run->shared.loop);
    free(run->clients);
    free(run->work_state);
    free(run);
}

enum sluice_status load_run(const struct load_options *options, FILE *out,
                            struct sluice_error *error)
{
    struct load_run *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a run");
    }
    process_raise_file_limit();
    run->work = work_of(options);
    run->client_count = options->clients + (options->work == LOAD_FANOUT ? 1 : 0);
    run->shared.options = options;
    run->shared.ops = &run->work->client;
    run->private_bytes_before = process_private_bytes(options->pid);
    run->clients = calloc(run->client_count, sizeof(*run->clients));
    enum sluice_status status = make_texts(run, error);
    if (run->clients == NULL) {
        status = error_set(error, SLUICE_NO_MEMORY, "out of memory for the clients");
    }
    if (status == SLUICE_OK) {
        status = load_loop_create(options->host, options->port, options->tls != 0,
                                  &run->shared.loop, error);
    }
    if (status == SLUICE_OK) {
        drive(run);
        status = load_loop_status(run->shared.loop, error);
    }
    if (status == SLUICE_OK) {
        load_report(run, out);
    }
    destroy(run);
    return status;
}
