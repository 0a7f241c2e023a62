#include "sim_server.h"

#include <stdlib.h>

#include "base/assert.h"
#include "endpoint/endpoint_root.h"
#include "endpoint/endpoint_sync_cf.h"
#include "endpoint/front.h"
#include "sync/sync.h"
#include "../unit/sync/backend.h"

#define WORK_EVERY_MS_MAX 3u
#define DRAIN_TIMEOUT_MS 5000u

struct sim_server {
    struct sim *sim;
    struct sim_net *net;
    struct eventlog *eventlog;
    struct sync *sync;
    struct endpoint_sync_cf *endpoint;
    struct front *front;   /* NULL: it is down */
    struct sim_timer work; /* the eventlog's */
    struct sim_timer start;
    struct sim_timer stop; /* a drain is over, or took too long */
    uint64_t down_ms;
    bool strict;
    unsigned commits_one_in;
    unsigned reads_one_in;
};

/* ---- pushes, on their way from the endpoint to sync ---- */

static struct sim_server *strict_server;

void __real_sync_push_submit(struct sync *sync, struct sync_push *push);
void __wrap_sync_push_submit(struct sync *sync, struct sync_push *push);

void __wrap_sync_push_submit(struct sync *sync, struct sync_push *push)
{
    size_t count = 0;
    const struct event *log = strict_server != NULL ? sim_server_log(strict_server, &count) : NULL;
    uint64_t head = count > 0 ? log[count - 1].seq_num : 0;
    if (push->event_count > 0 && push->events[0].parent_seq_num < head) {
        push->status = error_set(&push->error, SLUICE_SERVER_AHEAD, "the head is %llu",
                                 (unsigned long long)head);
        push->head = head;
        push->done(push);
        return;
    }
    __real_sync_push_submit(sync, push);
}

/* ---- its life ---- */

static void on_work(void *user)
{
    struct sim_server *server = user;
    for (unsigned i = 0; i < 6; i++) {
        backend_advance(server->eventlog, sim_draw(server->sim, UINT32_MAX));
    }
}

void sim_server_watch(struct sim_server *server)
{
    if (eventlog_pending(server->eventlog) > 0 && server->work.place == 0) {
        sim_arm(server->sim, &server->work,
                server->sim->now_ms + sim_between(server->sim, 0, WORK_EVERY_MS_MAX));
    }
}

static void on_start(void *user)
{
    struct sim_server *server = user;
    sim_trace(server->sim, "server: starts");
    server->sync = sync_create(
        &(struct sync_options){.eventlog = server->eventlog, .event_bytes_max = 1u << 20});
    SLUICE_ASSERT(server->sync != NULL);
    server->endpoint = endpoint_sync_cf_create(
        &(struct endpoint_sync_cf_options){.sync = server->sync,
                                           .pulls_per_connection_max = 64,
                                           .silent_connection_timeout_ms = 30000,
                                           .stall_timeout_ms = 20000});
    SLUICE_ASSERT(server->endpoint != NULL);
    struct endpoint endpoints[] = {endpoint_sync_cf_entry(server->endpoint), endpoint_root_entry()};
    struct front_options options = {.loop = sim_net_loop(server->net),
                                    .message_bytes_max = 16u << 20,
                                    .connections_max = 1000,
                                    .inflight_bytes_max = 64u << 20,
                                    .head_timeout_ms = 10000,
                                    .body_timeout_ms = 20000,
                                    .idle_timeout_ms = 15000,
                                    .stall_timeout_ms = 20000,
                                    .ping_interval_ms = 15000};
    server->front = front_create(&options, endpoints, 2);
    SLUICE_ASSERT(server->front != NULL);
    endpoint_sync_cf_attach(server->endpoint, server->front);
    sim_net_listen(server->net, front_accept, server->front);
}

/* Everything but the log goes. */
static void end(struct sim_server *server, bool silent)
{
    sim_net_listen(server->net, NULL, NULL);
    sim_net_kill_server(server->net, silent);
    if (sim_chance(server->sim, 50)) { /* what was not written yet never will be */
        backend_fail(server->eventlog, 1, 1, BACKEND_STORES_NOTHING);
    }
    backend_settle(server->eventlog);
    sim_server_fail(server, server->commits_one_in, server->reads_one_in);
    sim_disarm(server->sim, &server->work);
    sim_disarm(server->sim, &server->stop);
    front_destroy(server->front);
    endpoint_sync_cf_destroy(server->endpoint);
    sync_destroy(server->sync);
    server->front = NULL;
}

static void on_stop(void *user)
{
    struct sim_server *server = user;
    sim_trace(server->sim, "server: stops");
    end(server, false);
    sim_arm(server->sim, &server->start, server->sim->now_ms + server->down_ms);
}

static void on_drained(void *user)
{
    struct sim_server *server = user;
    sim_arm(server->sim, &server->stop, 0);
}

struct sim_server *sim_server_create(struct sim *sim, struct sim_net *net, bool strict)
{
    struct sim_server *server = malloc(sizeof(*server));
    SLUICE_ASSERT(server != NULL);
    *server = (struct sim_server){.sim = sim, .net = net, .eventlog = backend_open()};
    server->work = (struct sim_timer){.run = on_work, .user = server};
    server->start = (struct sim_timer){.run = on_start, .user = server};
    server->stop = (struct sim_timer){.run = on_stop, .user = server};
    strict_server = strict ? server : NULL;
    on_start(server);
    return server;
}

void sim_server_destroy(struct sim_server *server)
{
    if (server->front != NULL) {
        end(server, false);
    }
    sim_disarm(server->sim, &server->start);
    backend_close(server->eventlog);
    strict_server = NULL;
    free(server);
}

void sim_server_crash(struct sim_server *server, uint64_t down_ms, bool silent)
{
    if (server->front == NULL) {
        return;
    }
    sim_trace(server->sim, "server: crashes%s", silent ? " silently" : "");
    end(server, silent);
    sim_arm(server->sim, &server->start, server->sim->now_ms + down_ms);
}

void sim_server_restart(struct sim_server *server, uint64_t down_ms)
{
    if (server->front == NULL || front_draining(server->front)) {
        return;
    }
    sim_trace(server->sim, "server: drains");
    server->down_ms = down_ms;
    sim_net_listen(server->net, NULL, NULL);
    sim_arm(server->sim, &server->stop, server->sim->now_ms + DRAIN_TIMEOUT_MS);
    front_drain(server->front, on_drained, server);
}

void sim_server_fail(struct sim_server *server, unsigned commits_one_in, unsigned reads_one_in)
{
    server->commits_one_in = commits_one_in;
    server->reads_one_in = reads_one_in;
    backend_fail(server->eventlog, commits_one_in, reads_one_in, BACKEND_STORES_NOTHING);
}

const struct event *sim_server_log(struct sim_server *server, size_t *count)
{
    return backend_log(server->eventlog, SLICE(SIM_STORE), count);
}
