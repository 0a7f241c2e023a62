/* run_pull: every client pulls its store's log, as often as it is told, one pull after the other.
 * Measured is from the request to the Exit. With --cursor the store's backend id is learnt first,
 * from the first page of a pull that is then interrupted. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "loadgen/run.h"

struct pull_state {
    bool learning;
    uint64_t finished;
    char backend_id[BACKEND_ID_BYTES_MAX];
    size_t backend_id_bytes;
};

static struct pull_state *state_of(struct load_run *run)
{
    return run->work_state;
}

static void pull(struct load_client *client)
{
    uint64_t cursor = client->shared->options->cursor;
    client->received = cursor != 0 ? cursor : LOAD_SEQ_BASE;
    client->started_ns = load_loop_now_ns(client->shared->loop);
    load_client_pull(client);
}

static void pull_all(struct load_run *run)
{
    load_run_begin(run);
    for (uint64_t i = 0; i < run->client_count; i++) {
        pull(&run->clients[i]);
    }
}

static void start(struct load_run *run)
{
    run->work_state = calloc(1, sizeof(struct pull_state));
    if (run->work_state == NULL) {
        load_loop_fail(run->shared.loop, SLUICE_NO_MEMORY, "out of memory for a run");
    } else if (run->shared.options->cursor != 0) {
        state_of(run)->learning = true;
        load_run_begin(run);
        load_client_pull(&run->clients[0]);
    } else {
        pull_all(run);
    }
}

static void on_opened(struct load_client *client)
{
    struct load_run *run = load_run_of(client);
    client->left = run->shared.options->pulls;
    run->opened++;
    load_run_open_more(run);
    if (run->opened == run->client_count) {
        load_loop_stop(run->shared.loop);
        start(run);
    }
}

static void learn(struct load_client *client, struct slice page)
{
    struct pull_state *state = load_run_of(client)->work_state;
    struct slice id = load_answer_backend_id(page);
    if (state->backend_id_bytes == 0 && id.bytes > 0 && id.bytes <= BACKEND_ID_BYTES_MAX) {
        memcpy(state->backend_id, id.data, id.bytes);
        state->backend_id_bytes = id.bytes;
        load_client_interrupt(client);
    }
}

static void on_page(struct load_client *client, struct slice page, uint64_t events)
{
    struct load_run *run = load_run_of(client);
    if (state_of(run)->learning) {
        learn(client, page);
        return;
    }
    run->now.frames++;
    run->now.events += events;
}

static void on_learnt(struct load_run *run)
{
    const struct load_options *options = run->shared.options;
    struct pull_state *state = run->work_state;
    struct sluice_error error;
    state->learning = false;
    enum sluice_status status = load_text_make_pull(
        &run->shared.pull, options, false, slice_make(state->backend_id, state->backend_id_bytes),
        options->cursor, &error);
    if (status != SLUICE_OK) {
        load_loop_fail(run->shared.loop, status, "%s", error.message);
        return;
    }
    pull_all(run);
}

static void on_done(struct load_client *client, struct slice exit)
{
    struct load_run *run = load_run_of(client);
    if (state_of(run)->learning) {
        on_learnt(run);
        return;
    }
    if (!load_answer_is_success(exit)) {
        load_loop_fail(run->shared.loop, SLUICE_INVALID, "a pull failed: %.*s", SLICE_PRINT(exit));
        return;
    }
    histogram_add(&run->latency, load_loop_now_ns(run->shared.loop) - client->started_ns);
    if (--client->left > 0) {
        pull(client);
    } else if (++state_of(run)->finished == run->client_count) {
        load_run_end(run);
    }
}

const struct load_work_ops LOAD_PULL_WORK = {
    .client = {.opened = on_opened, .done = on_done, .page = on_page}};
