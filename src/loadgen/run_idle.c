/* run_idle: every client is a live pull of a store that rests; measured is what the server holds
 * for them and how busy it is. */
#include "loadgen/run.h"

static void on_opened(struct load_client *client)
{
    struct load_run *run = load_run_of(client);
    run->opened++;
    load_client_pull(client);
    load_run_open_more(run);
}

static void on_page(struct load_client *client, struct slice page, uint64_t events)
{
    struct load_run *run = load_run_of(client);
    (void)page;
    run->now.events += events;
    if (++run->now.frames == run->client_count) {
        load_loop_stop(run->shared.loop);
    }
}

static void on_done(struct load_client *client, struct slice exit)
{
    load_loop_fail(client->conn.loop, SLUICE_INVALID, "a live pull ended: %.*s", SLICE_PRINT(exit));
}

const struct load_work_ops LOAD_IDLE_WORK = {
    .client = {.opened = on_opened, .done = on_done, .page = on_page}};
