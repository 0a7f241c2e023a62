/* sim_caller: a program without an outbox. It keeps a live pull running and remembers where it
 * stands, pushes events on top of that, several pushes at once, and now and then pulls from
 * somewhere, cancels that, or pings. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim_client.h"

#define EVENTS_MAX 260u /* of one push: three batches */
#define PUSHES_MAX 3u

struct caller;

struct caller_pull {
    struct core_pull pull; /* first */
    struct caller *caller;
    struct caller_pull *next;
    uint64_t last_seq_num;
    size_t log_count; /* when it was asked for */
    bool live;
    bool at_head;
};

struct caller_push {
    struct core_push push; /* first */
    struct caller *caller;
    size_t first_n;
    struct sluice_event events[EVENTS_MAX];
    char *args;
};

struct caller_ping {
    struct core_ping ping; /* first */
    struct caller *caller;
};

struct caller {
    struct sim_client *client;
    uint64_t head;      /* of what the live pull has brought; outlives the program */
    size_t heard_count; /* events of the log up to there */
    struct caller_pull *live;
    struct caller_pull *others;
    struct sim_timer again; /* the live pull has ended */
    size_t pushes;
    uint64_t next_parent; /* what the next push is put on, behind those that run */
    enum sim_fate *fates; /* [1..made_count] */
    size_t fates_max;
};

/* ---- pulls ---- */

static enum sluice_status on_page(struct core_pull *core, const struct sluice_page *page)
{
    struct caller_pull *pull = (struct caller_pull *)core;
    struct caller *caller = pull->caller;
    struct sim *sim = caller->client->sim;
    if (sim_chance(sim, 1)) {
        return SLUICE_NO_MEMORY; /* it comes again */
    }
    SIM_CHECK(sim, page->event_count > 0 || page->info == SLUICE_PAGE_NO_MORE,
              "caller %u: an empty page with more to come", caller->client->number);
    SIM_CHECK(sim, (page->info == SLUICE_PAGE_MORE_KNOWN) == (page->remaining > 0),
              "caller %u: %llu remain", caller->client->number,
              (unsigned long long)page->remaining);
    for (size_t i = 0; i < page->event_count; i++) {
        const struct sluice_event *event = &page->events[i];
        SIM_CHECK(sim, event->seq_num > pull->last_seq_num,
                  "caller %u: event %llu comes after event %llu", caller->client->number,
                  (unsigned long long)event->seq_num, (unsigned long long)pull->last_seq_num);
        SIM_CHECK(sim, event->parent_seq_num == pull->last_seq_num,
                  "caller %u: event %llu skips some after %llu", caller->client->number,
                  (unsigned long long)event->seq_num, (unsigned long long)pull->last_seq_num);
        sim_client_check_event(caller->client, event);
        pull->last_seq_num = event->seq_num;
    }
    pull->at_head = page->info == SLUICE_PAGE_NO_MORE;
    if (pull->live) {
        caller->head = pull->last_seq_num;
        caller->heard_count += page->event_count;
    }
    return SLUICE_OK;
}

static void start_live(void *user);

static void forget(struct caller *caller, struct caller_pull *pull)
{
    if (pull == caller->live) {
        caller->live = NULL;
        return;
    }
    struct caller_pull **link = &caller->others;
    while (*link != pull) {
        SLUICE_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = pull->next;
}

/* A pull that ends well is at the head, and that is not before where it was at its start. */
static void check_end(struct caller_pull *pull)
{
    struct caller *caller = pull->caller;
    struct sim *sim = caller->client->sim;
    size_t log_count = 0;
    const struct event *log = sim_server_log(caller->client->server, &log_count);
    uint64_t least = pull->log_count > 0 ? log[pull->log_count - 1].seq_num : 0;
    SIM_CHECK(sim, !pull->live, "caller %u: a live pull ends at the head", caller->client->number);
    SIM_CHECK(sim, pull->at_head && pull->last_seq_num >= least,
              "caller %u: a pull ends at %llu, the head was %llu", caller->client->number,
              (unsigned long long)pull->last_seq_num, (unsigned long long)least);
}

static void on_ended(struct core_pull *core, const struct sluice_failure *failure)
{
    struct caller_pull *pull = (struct caller_pull *)core;
    struct caller *caller = pull->caller;
    struct sim *sim = caller->client->sim;
    caller->client->requests--;
    if (failure == NULL) {
        check_end(pull);
    } else {
        sim_trace(sim, "caller %u: a %spull ends: %s", caller->client->number,
                  pull->live ? "live " : "", failure->error.message);
    }
    if (pull->live && !caller->client->dying) {
        SIM_CHECK(
            sim, failure->error.status == SLUICE_UNKNOWN || failure->error.status == SLUICE_CLOSED,
            "caller %u: the live pull ends: %s", caller->client->number, failure->error.message);
        sim_arm(sim, &caller->again, sim->now_ms + 1000);
    }
    forget(caller, pull);
    free(pull);
}

static struct caller_pull *make_pull(struct caller *caller, uint64_t cursor, bool live)
{
    struct caller_pull *pull = calloc(1, sizeof(*pull));
    SLUICE_ASSERT(pull != NULL);
    pull->caller = caller;
    pull->live = live;
    pull->last_seq_num = cursor;
    pull->pull.cursor_seq_num = cursor;
    pull->pull.live = live;
    pull->pull.page = on_page;
    pull->pull.ended = on_ended;
    (void)sim_server_log(caller->client->server, &pull->log_count);
    caller->client->requests++;
    return pull;
}

static void ask(struct caller *caller, struct caller_pull *pull)
{
    client_core_pull(caller->client->core, &pull->pull, caller->client->sim->now_ms);
    sim_client_after(caller->client);
}

static void start_live(void *user)
{
    struct caller *caller = user;
    if (caller->client->core != NULL && caller->live == NULL) {
        caller->live = make_pull(caller, caller->head, true);
        ask(caller, caller->live);
    }
}

/* From the beginning, from where we are, or from somewhere that we have seen. */
static void pull_once(struct caller *caller)
{
    struct sim *sim = caller->client->sim;
    size_t count = 0;
    const struct event *log = sim_server_log(caller->client->server, &count);
    uint64_t cursor = 0;
    if (sim_chance(sim, 30)) {
        cursor = caller->head;
    } else if (caller->heard_count > 0 && sim_chance(sim, 50)) {
        cursor = log[sim_draw(sim, caller->heard_count)].seq_num;
    }
    struct caller_pull *pull = make_pull(caller, cursor, false);
    pull->next = caller->others;
    caller->others = pull;
    ask(caller, pull);
}

static void cancel_one(struct caller *caller)
{
    struct caller_pull *pull = sim_chance(caller->client->sim, 10) ? caller->live : caller->others;
    if (pull != NULL) {
        client_core_pull_cancel(caller->client->core, &pull->pull, caller->client->sim->now_ms);
        sim_client_after(caller->client);
    }
}

/* ---- pushes ---- */

static void note_fates(struct caller_push *push, const struct sluice_push_result *result)
{
    struct caller *caller = push->caller;
    struct sim *sim = caller->client->sim;
    enum sim_fate rest = SIM_UNKNOWN;
    if (result->failure != NULL && (result->failure->error.status == SLUICE_SERVER_AHEAD ||
                                    result->failure->error.status == SLUICE_INVALID)) {
        rest = SIM_REFUSED;
    }
    for (size_t i = 0; i < push->push.event_count; i++) {
        const struct sluice_event *event = &push->events[i];
        bool stored = i < result->acknowledged_count;
        caller->fates[push->first_n + i] = stored ? SIM_STORED : rest;
        if (stored) {
            sim_client_check_event(caller->client, event);
        }
    }
    SIM_CHECK(sim,
              (result->failure == NULL) == (result->acknowledged_count == push->push.event_count),
              "caller %u: %zu of %zu are acknowledged: %s", caller->client->number,
              result->acknowledged_count, push->push.event_count,
              result->failure != NULL ? result->failure->error.message : "no failure");
}

static void on_pushed(struct core_push *core, const struct sluice_push_result *result)
{
    struct caller_push *push = (struct caller_push *)core;
    struct caller *caller = push->caller;
    caller->client->requests--;
    caller->pushes--;
    note_fates(push, result);
    sim_trace(caller->client->sim, "caller %u: pushed %llu-%llu: %zu, %s", caller->client->number,
              (unsigned long long)push->events[0].seq_num,
              (unsigned long long)push->events[push->push.event_count - 1].seq_num,
              result->acknowledged_count,
              result->failure != NULL ? result->failure->error.message : "all");
    free(push->args);
    free(push);
}

static void fill(struct caller_push *push, size_t count, uint64_t parent)
{
    struct sim_client *client = push->caller->client;
    for (size_t i = 0; i < count; i++) {
        char *args = push->args + i * SIM_ARGS_BYTES_MAX;
        uint64_t gap = sim_chance(client->sim, 3) ? sim_draw(client->sim, 1000) : 0;
        push->events[i] = (struct sluice_event){
            .seq_num = parent + 1 + gap,
            .parent_seq_num = parent,
            .name = sluice_text_of("pushed"),
            .args = {args, sim_args_write(args, client->number, push->first_n + i)},
            .client_id = sluice_text_of("caller"),
            .session_id = sluice_text_of("session")};
        parent = push->events[i].seq_num;
    }
}

static void push_some(struct caller *caller)
{
    struct sim_client *client = caller->client;
    if (caller->pushes >= PUSHES_MAX) {
        return;
    }
    if (caller->pushes == 0 || sim_chance(client->sim, 20)) {
        caller->next_parent = caller->head;
    }
    struct caller_push *push = calloc(1, sizeof(*push));
    SLUICE_ASSERT(push != NULL);
    size_t count = sim_chance(client->sim, 5) ? sim_between(client->sim, 90, EVENTS_MAX)
                                              : sim_between(client->sim, 1, 4);
    push->caller = caller;
    push->first_n = client->made_count + 1;
    push->args = calloc(count, SIM_ARGS_BYTES_MAX);
    SLUICE_ASSERT(push->args != NULL);
    fill(push, count, caller->next_parent);
    caller->next_parent = push->events[count - 1].seq_num;
    client->made_count += count;
    if (client->made_count >= caller->fates_max) {
        caller->fates_max = 2 * client->made_count + 256;
        caller->fates = realloc(caller->fates, caller->fates_max * sizeof(*caller->fates));
        SLUICE_ASSERT(caller->fates != NULL);
    }
    push->push.events = push->events;
    push->push.event_count = count;
    push->push.done = on_pushed;
    client->requests++;
    caller->pushes++;
    client_core_push(client->core, &push->push, client->sim->now_ms);
    sim_client_after(client);
}

/* ---- pings ---- */

static void on_pong(struct core_ping *core, const struct sluice_failure *failure,
                    uint64_t round_trip_ms)
{
    struct caller_ping *ping = (struct caller_ping *)core;
    struct sim_client *client = ping->caller->client;
    client->requests--;
    SIM_CHECK(client->sim, failure != NULL || round_trip_ms <= client->config.ping_timeout_ms,
              "caller %u: a ping took %llu ms", client->number, (unsigned long long)round_trip_ms);
    free(ping);
}

static void ping(struct caller *caller, bool is_connect)
{
    struct caller_ping *ping = calloc(1, sizeof(*ping));
    SLUICE_ASSERT(ping != NULL);
    ping->caller = caller;
    ping->ping.is_connect = is_connect;
    ping->ping.done = on_pong;
    caller->client->requests++;
    client_core_ping(caller->client->core, &ping->ping, caller->client->sim->now_ms);
    sim_client_after(caller->client);
}

/* ---- life ---- */

static void *caller_create(struct sim_client *client)
{
    struct caller *caller = calloc(1, sizeof(*caller));
    SLUICE_ASSERT(caller != NULL);
    caller->client = client;
    caller->again = (struct sim_timer){.run = start_live, .user = caller};
    return caller;
}

static void caller_destroy(void *program)
{
    struct caller *caller = program;
    sim_disarm(caller->client->sim, &caller->again);
    free(caller->fates);
    free(caller);
}

static void caller_started(void *program)
{
    struct caller *caller = program;
    if (sim_chance(caller->client->sim, 50)) { /* the id is learnt again */
        caller->client->config.backend_id = SLICE_EMPTY;
    }
    if (sim_chance(caller->client->sim, 30)) {
        ping(caller, true);
    }
    start_live(caller);
}

static void caller_ended(void *program)
{
    struct caller *caller = program;
    SLUICE_ASSERT(caller->live == NULL && caller->others == NULL && caller->pushes == 0);
    sim_disarm(caller->client->sim, &caller->again);
}

static void caller_act(void *program)
{
    struct caller *caller = program;
    switch (sim_draw(caller->client->sim, 10)) {
    case 0:
        pull_once(caller);
        break;
    case 1:
        cancel_one(caller);
        break;
    case 2:
        ping(caller, false);
        break;
    default:
        push_some(caller);
        break;
    }
}

static bool caller_has_finished(void *program)
{
    struct caller *caller = program;
    size_t log_count = 0;
    (void)sim_server_log(caller->client->server, &log_count);
    return caller->client->core != NULL && caller->pushes == 0 && caller->others == NULL &&
           caller->heard_count == log_count && client_core_is_connected(caller->client->core);
}

static void caller_check(void *program, const unsigned *counts)
{
    struct caller *caller = program;
    for (size_t n = 1; n <= caller->client->made_count; n++) {
        enum sim_fate fate = caller->fates[n];
        SIM_CHECK(caller->client->sim,
                  counts[n] <= 1 &&
                      (fate == SIM_UNKNOWN || (fate == SIM_STORED) == (counts[n] == 1)),
                  "caller %u: event %zu is %u times in the log, and was %s", caller->client->number,
                  n, counts[n],
                  fate == SIM_STORED    ? "acknowledged"
                  : fate == SIM_REFUSED ? "refused"
                                        : "neither acknowledged nor refused");
    }
}

const struct sim_program SIM_CALLER = {.create = caller_create,
                                       .destroy = caller_destroy,
                                       .started = caller_started,
                                       .ended = caller_ended,
                                       .act = caller_act,
                                       .has_finished = caller_has_finished,
                                       .check = caller_check};
