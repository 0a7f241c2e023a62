/* Cores with outboxes, one that pushes by itself and one that only looks, on a simulated network
 * with a model server that has the bad habits of the reference: it refuses what it has stored
 * already, repeats, swaps and loses chunks. Delay, bytes in pieces, connections that break, hang or
 * arrive late, partitions, crashes of the server after a commit and of clients at any time. In the
 * end all see one log; nothing that was committed or acknowledged is lost or doubled. (tests/sim
 * has the real server's rooms instead.)
 *
 * A longer run: SIMULATIONS=20000; one seed: SIMULATION_SEED=7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "client/client_core.h"
#include "client/outbox_memory.h"
#include "model_server.h"

#define CLIENTS 4u /* 0 and 1 with outboxes, 2 pushes by itself, 3 only pulls */
#define PUSHER 2u
#define STORM_MS 60000u
#define CALM_MS_MAX 900000u
#define COMMITS_MAX 40u

/* ---- the parts ---- */

struct segment {
    struct segment *next;
    uint64_t at_ms;
    size_t bytes;
    char data[];
};

struct pipe {
    struct segment *first;
    struct segment **last;
    uint64_t last_at_ms;
};

/* A connection. Its server's side is the server's conn of the same index. */
struct link {
    bool used;
    bool silent;             /* nothing arrives any more, and nobody knows */
    struct sim_client *user; /* NULL: the client has left; what is on the way may still arrive */
    struct pipe up;          /* to the server */
    struct pipe down;
};

struct sim_client {
    struct simulation *sim;
    unsigned index;
    struct client_core *core; /* NULL: crashed */
    struct outbox *outbox;
    struct core_pull pull;
    struct core_push push;
    struct link *link;
    uint64_t open_at_ms;   /* an attempt's outcome; UINT64_MAX: none */
    uint64_t closed_at_ms; /* the client hears that its connection broke */
    uint64_t restart_at_ms;
    /* What the application has. */
    uint64_t seen[MODEL_EVENTS_MAX];
    size_t seen_count;
    uint64_t confirmed_count; /* commits, from the first one */
    unsigned commit_count;
    /* The pusher's. */
    struct sluice_event event;
    char args[64];
    bool pushing;
    uint64_t wait_for; /* the head that it must have before it pushes again */
    bool retries;
    unsigned acknowledged[COMMITS_MAX];
    unsigned acknowledged_count;
};

struct simulation {
    uint64_t seed;
    uint64_t state;
    uint64_t now_ms;
    bool partitioned;
    uint64_t chaos_at_ms;
    struct model_server server;
    struct link links[MODEL_CONNS_MAX];
    struct sim_client clients[CLIENTS];
    struct client_url url;
    struct client_core_config config;
};

static uint64_t next_random(void *user)
{
    struct simulation *sim = user;
    sim->state ^= sim->state << 13;
    sim->state ^= sim->state >> 7;
    sim->state ^= sim->state << 17;
    return sim->state * UINT64_C(2685821657736338717) >> 11;
}

static uint64_t below(struct simulation *sim, uint64_t bound)
{
    return next_random(sim) % bound;
}

#define CHECK(sim, condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("seed %llu, %llu ms: %s", (unsigned long long)(sim)->seed,                    \
                     (unsigned long long)(sim)->now_ms, #condition);                               \
        }                                                                                          \
    } while (0)

/* ---- pipes and links ---- */

static void pipe_init(struct pipe *pipe)
{
    *pipe = (struct pipe){.last = NULL};
    pipe->last = &pipe->first;
}

static void pipe_clear(struct pipe *pipe)
{
    while (pipe->first != NULL) {
        struct segment *segment = pipe->first;
        pipe->first = segment->next;
        free(segment);
    }
    pipe->last = &pipe->first;
}

/* Puts bytes on the way, in one to three pieces. */
static void pipe_put(struct simulation *sim, struct pipe *pipe, const char *data, size_t bytes)
{
    while (bytes > 0) {
        size_t piece = below(sim, 3) == 0 ? 1 + (size_t)below(sim, bytes) : bytes;
        uint64_t at_ms = sim->now_ms + 1 + below(sim, below(sim, 20) == 0 ? 3000 : 40);
        struct segment *segment = malloc(sizeof(*segment) + piece);
        assert_non_null(segment);
        memcpy(segment->data, data, piece);
        segment->bytes = piece;
        segment->next = NULL;
        segment->at_ms = at_ms > pipe->last_at_ms ? at_ms : pipe->last_at_ms;
        pipe->last_at_ms = segment->at_ms;
        *pipe->last = segment;
        pipe->last = &segment->next;
        data += piece;
        bytes -= piece;
    }
}

static struct segment *pipe_take(struct pipe *pipe)
{
    struct segment *segment = pipe->first;
    pipe->first = segment->next;
    if (pipe->first == NULL) {
        pipe->last = &pipe->first;
    }
    return segment;
}

static struct model_conn *conn_of(struct simulation *sim, struct link *link)
{
    return &sim->server.conns[link - sim->links];
}

static void link_free(struct simulation *sim, struct link *link)
{
    model_conn_close(conn_of(sim, link));
    pipe_clear(&link->up);
    pipe_clear(&link->down);
    link->used = false;
    link->user = NULL;
}

/* The client leaves; what it has sent may still arrive. */
static void link_leave(struct simulation *sim, struct link *link)
{
    link->user->link = NULL;
    link->user = NULL;
    pipe_clear(&link->down);
    if (link->up.first == NULL || below(sim, 2) == 0) {
        link_free(sim, link);
    }
}

/* The connection breaks; the client hears of it later, or never. */
static void link_cut(struct simulation *sim, struct link *link)
{
    struct sim_client *client = link->user;
    if (client == NULL) {
        link_free(sim, link);
        return;
    }
    if (below(sim, 4) == 0) {
        link->silent = true;
        model_conn_close(conn_of(sim, link));
        return;
    }
    client->link = NULL;
    client->closed_at_ms = sim->now_ms + below(sim, 200);
    link_free(sim, link);
}

/* ---- the cores' wishes ---- */

static void on_open(void *user)
{
    struct sim_client *client = user;
    client->open_at_ms = client->sim->now_ms + 1 + below(client->sim, 60);
}

static void on_send(void *user, struct slice bytes)
{
    struct sim_client *client = user;
    if (client->link != NULL && !client->link->silent) {
        pipe_put(client->sim, &client->link->up, bytes.data, bytes.bytes);
    }
}

static void on_shut(void *user)
{
    struct sim_client *client = user;
    client->open_at_ms = UINT64_MAX;
    client->closed_at_ms = UINT64_MAX;
    if (client->link != NULL) {
        link_leave(client->sim, client->link);
    }
}

static void on_random(void *user, void *out, size_t bytes)
{
    struct sim_client *client = user;
    for (size_t i = 0; i < bytes; i++) {
        ((char *)out)[i] = (char)next_random(client->sim);
    }
}

static void on_connection(void *user, const struct sluice_connection *connection)
{
    (void)user, (void)connection;
}

static void on_backend_id(void *user, struct slice backend_id)
{
    (void)user, (void)backend_id;
}

static const struct client_core_ops OPS = {.open = on_open,
                                           .send = on_send,
                                           .shut = on_shut,
                                           .random = on_random,
                                           .connection = on_connection,
                                           .backend_id = on_backend_id};

/* ---- what applications are told ---- */

static void see(struct sim_client *client, const struct sluice_page *page)
{
    struct simulation *sim = client->sim;
    for (size_t i = 0; i < page->event_count; i++) {
        uint64_t last = client->seen_count == 0 ? 0 : client->seen[client->seen_count - 1];
        CHECK(sim, page->events[i].seq_num > last);
        CHECK(sim, page->events[i].parent_seq_num == last);
        client->seen[client->seen_count++] = page->events[i].seq_num;
    }
}

static void on_advanced(void *user, const struct sluice_advance *advance)
{
    struct sim_client *client = user;
    struct simulation *sim = client->sim;
    see(client, &advance->page);
    for (size_t i = 0; i < advance->confirmed_count; i++) {
        char mine[64];
        (void)snprintf(mine, sizeof(mine), "{\"c\":%u,\"n\":%llu}", client->index,
                       (unsigned long long)(advance->first_confirmed_commit_id + i));
        CHECK(sim, advance->first_confirmed_commit_id + i == client->confirmed_count + 1);
        CHECK(sim,
              slice_equal(slice_of_string(mine), slice_make(advance->page.events[i].args.data,
                                                            advance->page.events[i].args.bytes)));
        client->confirmed_count++;
    }
}

static void on_rebased(void *user, const struct sluice_rebase *rebase)
{
    struct sim_client *client = user;
    struct simulation *sim = client->sim;
    CHECK(sim, rebase->first_commit_id == client->confirmed_count + 1);
    CHECK(sim, rebase->count == client->commit_count - client->confirmed_count);
    CHECK(sim, rebase->first_seq_num == client->seen[client->seen_count - 1] + 1);
}

static void on_failed(void *user, const struct sluice_failure *failure, bool halted)
{
    struct sim_client *client = user;
    CHECK(client->sim, !halted);
    CHECK(client->sim, failure->error.status == SLUICE_SERVER_AHEAD);
}

static const struct sluice_outbox_callbacks CALLBACKS = {
    .advanced = on_advanced, .rebased = on_rebased, .failed = on_failed};

static struct sim_client *client_of_pull(struct core_pull *pull)
{
    return (struct sim_client *)((char *)pull - offsetof(struct sim_client, pull));
}

static enum sluice_status on_page(struct core_pull *pull, const struct sluice_page *page)
{
    see(client_of_pull(pull), page);
    return SLUICE_OK;
}

static void on_ended(struct core_pull *pull, const struct sluice_failure *failure)
{
    struct sim_client *client = client_of_pull(pull);
    CHECK(client->sim, failure != NULL && failure->error.status == SLUICE_CLOSED);
}

/* ---- the pusher ---- */

static void on_pushed(struct core_push *push, const struct sluice_push_result *result)
{
    struct sim_client *client =
        (struct sim_client *)((char *)push - offsetof(struct sim_client, push));
    client->pushing = false;
    client->retries = false;
    if (result->failure == NULL) {
        CHECK(client->sim, result->acknowledged_count == 1);
        client->acknowledged[client->acknowledged_count++] = client->commit_count;
    } else if (result->failure->error.status == SLUICE_SERVER_AHEAD) {
        client->retries = true; /* it is not stored, and never will be in that place */
        client->wait_for = result->failure->minimum_expected_seq_num;
    } else { /* nobody knows */
        CHECK(client->sim, result->failure->error.status == SLUICE_OFFLINE ||
                               result->failure->error.status == SLUICE_CLOSED);
    }
}

static void push_when_possible(struct sim_client *client, bool another)
{
    uint64_t head = client->seen_count == 0 ? 0 : client->seen[client->seen_count - 1];
    if (client->core == NULL || client->pushing || (client->retries && head < client->wait_for) ||
        (!client->retries && !another)) {
        return;
    }
    if (!client->retries) {
        client->commit_count++;
        (void)snprintf(client->args, sizeof(client->args), "{\"c\":%u,\"n\":%u}", client->index,
                       client->commit_count);
    }
    client->event = (struct sluice_event){.seq_num = head + 1,
                                          .parent_seq_num = head,
                                          .name = sluice_text_of("e"),
                                          .args = sluice_text_of(client->args),
                                          .client_id = sluice_text_of("c"),
                                          .session_id = sluice_text_of("s")};
    client->push =
        (struct core_push){.events = &client->event, .event_count = 1, .done = on_pushed};
    client->pushing = true;
    client_core_push(client->core, &client->push, client->sim->now_ms);
}

/* ---- clients ---- */

static void client_start(struct sim_client *client)
{
    struct simulation *sim = client->sim;
    client->core = client_core_create(&sim->config, &OPS, client);
    assert_non_null(client->core);
    client->open_at_ms = UINT64_MAX;
    client->closed_at_ms = UINT64_MAX;
    client->restart_at_ms = UINT64_MAX;
    if (client->outbox != NULL) {
        assert_int_equal(client_core_attach_outbox(client->core, client->outbox, &CALLBACKS, client,
                                                   sim->now_ms),
                         SLUICE_OK);
        return;
    }
    uint64_t cursor = client->seen_count == 0 ? 0 : client->seen[client->seen_count - 1];
    client->pull = (struct core_pull){
        .cursor_seq_num = cursor, .live = true, .page = on_page, .ended = on_ended};
    client_core_pull(client->core, &client->pull, sim->now_ms);
}

static void client_crash(struct sim_client *client)
{
    client_core_close(client->core, client->sim->now_ms);
    client_core_destroy(client->core);
    client->core = NULL;
    client->open_at_ms = UINT64_MAX;
    client->closed_at_ms = UINT64_MAX;
    client->restart_at_ms = client->sim->now_ms + 1 + below(client->sim, 5000);
}

static void client_commit(struct sim_client *client)
{
    char args[64];
    (void)snprintf(args, sizeof(args), "{\"c\":%u,\"n\":%u}", client->index,
                   client->commit_count + 1);
    struct sluice_event event = {.name = sluice_text_of("e"),
                                 .args = sluice_text_of(args),
                                 .client_id = sluice_text_of("c"),
                                 .session_id = sluice_text_of("s")};
    struct sluice_commit commit;
    assert_int_equal(client->outbox->ops->append(client->outbox, &event, &commit, NULL), SLUICE_OK);
    CHECK(client->sim, commit.commit_id == ++client->commit_count);
    if (client->core != NULL) {
        client_core_outbox_grew(client->core, client->sim->now_ms);
    }
}

/* An attempt to connect ends. */
static void client_opens(struct sim_client *client)
{
    struct simulation *sim = client->sim;
    struct link *link = NULL;
    client->open_at_ms = UINT64_MAX;
    for (size_t i = 0; i < MODEL_CONNS_MAX && link == NULL; i++) {
        link = sim->links[i].used ? NULL : &sim->links[i];
    }
    if (sim->partitioned || link == NULL || below(sim, 10) == 0) {
        struct sluice_error error = {0};
        (void)error_set(&error, SLUICE_OFFLINE, "refused");
        client_core_closed(client->core, &error, sim->now_ms);
        return;
    }
    *link = (struct link){.used = true, .user = client};
    pipe_init(&link->up);
    pipe_init(&link->down);
    model_conn_open(&sim->server, conn_of(sim, link));
    client->link = link;
    client_core_opened(client->core, sim->now_ms);
}

static void client_hears_the_end(struct sim_client *client)
{
    struct sluice_error error = {0};
    client->closed_at_ms = UINT64_MAX;
    (void)error_set(&error, SLUICE_OFFLINE, "reset");
    client_core_closed(client->core, below(client->sim, 2) == 0 ? &error : NULL,
                       client->sim->now_ms);
}

/* ---- time ---- */

/* What the server has said goes on its way. */
static void flush_server(struct simulation *sim)
{
    for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
        struct model_conn *conn = &sim->server.conns[i];
        struct link *link = &sim->links[i];
        if (!conn->open || conn->out.bytes == 0) {
            continue;
        }
        if (link->used && link->user != NULL) {
            pipe_put(sim, &link->down, conn->out.data, conn->out.bytes);
        }
        buffer_clear(&conn->out);
    }
    if (sim->server.crashed) {
        sim->server.crashed = false;
        for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
            if (sim->links[i].used) {
                link_cut(sim, &sim->links[i]);
            }
        }
    }
}

static void chaos(struct simulation *sim)
{
    struct sim_client *client = &sim->clients[below(sim, CLIENTS)];
    struct link *link = &sim->links[below(sim, MODEL_CONNS_MAX)];
    sim->chaos_at_ms = sim->now_ms + 1 + below(sim, 2000);
    switch (below(sim, 10)) {
    case 0:
    case 1:
        if (link->used) {
            link_cut(sim, link);
        }
        break;
    case 2:
        sim->partitioned = !sim->partitioned;
        break;
    case 3:
        if (client->core != NULL) {
            client_crash(client);
        }
        break;
    default:
        if (client->outbox != NULL && client->commit_count < COMMITS_MAX) {
            client_commit(client);
        } else if (client->index == PUSHER && client->commit_count < COMMITS_MAX) {
            push_when_possible(client, true);
        }
        break;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_time(const struct simulation *sim)
{
    uint64_t at_ms = sim->chaos_at_ms;
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct sim_client *client = &sim->clients[i];
        at_ms = earlier(at_ms, earlier(client->open_at_ms, client->closed_at_ms));
        at_ms = earlier(at_ms, client->core == NULL ? client->restart_at_ms
                                                    : client_core_deadline_ms(client->core));
    }
    for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
        const struct link *link = &sim->links[i];
        if (link->used && !link->silent) {
            at_ms = earlier(at_ms, link->up.first != NULL ? link->up.first->at_ms : UINT64_MAX);
            at_ms = earlier(at_ms, link->down.first != NULL ? link->down.first->at_ms : UINT64_MAX);
        }
    }
    return at_ms;
}

static void run_link(struct simulation *sim, struct link *link)
{
    if (link->used && !link->silent && link->up.first != NULL &&
        link->up.first->at_ms <= sim->now_ms) {
        struct segment *segment = pipe_take(&link->up);
        model_conn_feed(&sim->server, conn_of(sim, link), segment->data, segment->bytes);
        free(segment);
        flush_server(sim);
        if (link->used && link->user == NULL && link->up.first == NULL) {
            link_free(sim, link);
        }
    }
    if (link->used && !link->silent && link->user != NULL && link->down.first != NULL &&
        link->down.first->at_ms <= sim->now_ms) {
        struct segment *segment = pipe_take(&link->down);
        client_core_bytes(link->user->core, segment->data, segment->bytes, sim->now_ms);
        free(segment);
    }
}

static void run_client(struct simulation *sim, struct sim_client *client)
{
    if (client->core == NULL) {
        if (client->restart_at_ms <= sim->now_ms) {
            client_start(client);
        }
        return;
    }
    if (client->open_at_ms <= sim->now_ms) {
        client_opens(client);
    }
    if (client->closed_at_ms <= sim->now_ms) {
        client_hears_the_end(client);
    }
    if (client_core_deadline_ms(client->core) <= sim->now_ms) {
        client_core_time(client->core, sim->now_ms);
    }
    if (client->index == PUSHER) {
        push_when_possible(client, false);
    }
}

static void step(struct simulation *sim)
{
    uint64_t at_ms = next_time(sim);
    sim->now_ms = at_ms > sim->now_ms ? at_ms : sim->now_ms;
    if (sim->chaos_at_ms <= sim->now_ms) {
        chaos(sim);
    }
    for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
        run_link(sim, &sim->links[i]);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        run_client(sim, &sim->clients[i]);
    }
}

/* ---- one simulation ---- */

static void setup_simulation(struct simulation *sim, uint64_t seed)
{
    memset(sim, 0, sizeof(*sim));
    sim->seed = seed;
    sim->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    sim->now_ms = 1000;
    (void)next_random(sim);
    model_server_init(&sim->server, next_random, sim);
    sim->server.crash_after_commit = (unsigned)below(sim, 3) * 6;
    sim->server.refuse_duplicates = (unsigned)below(sim, 2);
    sim->server.repeat_chunk = (unsigned)below(sim, 3) * 3;
    sim->server.swap_chunks = (unsigned)below(sim, 3) * 3;
    sim->server.drop_chunk = (unsigned)below(sim, 3) * 6;
    assert_int_equal(client_url_parse(SLICE("ws://h/"), SLUICE_TRANSPORT_AUTO, &sim->url, NULL),
                     SLUICE_OK);
    sim->config = (struct client_core_config){.url = &sim->url,
                                              .store_id = SLICE("s"),
                                              .connect_timeout_ms = 3000,
                                              .ping_interval_ms = 8000,
                                              .ping_timeout_ms = 4000,
                                              .request_timeout_ms = 20000,
                                              .operation_timeout_ms = 15000,
                                              .backoff_base_ms = 100,
                                              .backoff_cap_ms = 4000,
                                              .poll_interval_ms = 1000,
                                              .message_bytes_max = 1u << 20};
    for (unsigned i = 0; i < CLIENTS; i++) {
        sim->clients[i].sim = sim;
        sim->clients[i].index = i;
        sim->clients[i].outbox = i < PUSHER ? outbox_memory_create() : NULL;
        client_start(&sim->clients[i]);
    }
    sim->chaos_at_ms = sim->now_ms;
}

/* No more chaos; every connection is cut once more, for what a server swallowed only a fresh pull
 * brings. */
static void calm_down(struct simulation *sim)
{
    sim->chaos_at_ms = UINT64_MAX;
    sim->partitioned = false;
    sim->server.crash_after_commit = 0;
    sim->server.drop_chunk = 0;
    sim->server.swap_chunks = 0;
    for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
        if (sim->links[i].used) {
            link_cut(sim, &sim->links[i]);
        }
    }
}

static bool is_quiet(struct simulation *sim)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct sim_client *client = &sim->clients[i];
        struct outbox_state state = {0};
        if (client->outbox != NULL) {
            assert_int_equal(client->outbox->ops->state(client->outbox, &state, NULL), SLUICE_OK);
        }
        if (client->core == NULL || state.pending_count > 0 || client->pushing || client->retries ||
            client->seen_count != sim->server.event_count) {
            return false;
        }
    }
    return true;
}

static unsigned count_in_log(const struct simulation *sim, unsigned client, unsigned commit)
{
    char args[64];
    unsigned count = 0;
    (void)snprintf(args, sizeof(args), "{\"c\":%u,\"n\":%u}", client, commit);
    for (size_t i = 0; i < sim->server.event_count; i++) {
        count += strcmp(sim->server.log[i].args, args) == 0 ? 1 : 0;
    }
    return count;
}

static void check_end(struct simulation *sim)
{
    size_t total = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct sim_client *client = &sim->clients[i];
        for (size_t at = 0; at < client->seen_count; at++) {
            CHECK(sim, client->seen[at] == sim->server.log[at].seq_num);
        }
        for (unsigned commit = 1; commit <= client->commit_count; commit++) {
            unsigned count = count_in_log(sim, i, commit);
            CHECK(sim, count <= 1);
            CHECK(sim, count == 1 || client->outbox == NULL);
            total += count;
        }
        for (unsigned k = 0; k < client->acknowledged_count; k++) {
            CHECK(sim, count_in_log(sim, i, client->acknowledged[k]) == 1);
        }
        if (client->outbox != NULL) {
            CHECK(sim, client->confirmed_count == client->commit_count);
        }
    }
    CHECK(sim, total == sim->server.event_count);
}

static size_t simulate(uint64_t seed)
{
    static struct simulation sim;
    setup_simulation(&sim, seed);
    while (sim.now_ms < STORM_MS) {
        step(&sim);
    }
    calm_down(&sim);
    while (!is_quiet(&sim)) {
        CHECK(&sim, sim.now_ms < STORM_MS + CALM_MS_MAX);
        step(&sim);
    }
    check_end(&sim);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_core_close(sim.clients[i].core, sim.now_ms);
        client_core_destroy(sim.clients[i].core);
        if (sim.clients[i].outbox != NULL) {
            sim.clients[i].outbox->ops->destroy(sim.clients[i].outbox);
        }
    }
    for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
        if (sim.links[i].used) {
            link_free(&sim, &sim.links[i]);
        }
    }
    model_server_deinit(&sim.server);
    return sim.server.event_count;
}

static void clients_converge_whatever_the_network_and_the_server_do(void **state)
{
    (void)state;
    const char *one = getenv("SIMULATION_SEED");
    const char *many = getenv("SIMULATIONS");
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : SIMULATIONS;
    size_t events = 0;
    if (one != NULL) {
        (void)simulate(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= count; seed++) {
        events += simulate(seed);
    }
    assert_true(events > 10 * count); /* there was something to converge about */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_converge_whatever_the_network_and_the_server_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
