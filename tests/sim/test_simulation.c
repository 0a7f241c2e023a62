/* Several clients and one server on a network that loses, delays and divides, on a clock that
 * jumps. Each run follows from its seed. For a while everything happens; then the network is whole
 * again, and all must end with one log: nothing that was acknowledged or committed is lost, nothing
 * is there twice, and nobody was told what is not so. (What is checked meanwhile: sim_writer.c,
 * sim_caller.c, sim_client_watch.)
 *
 *   SIMULATION_SEEDS=20000   more runs
 *   SIMULATION_SEED=7        this one alone, in each of the tests
 *   SIMULATION_TRACE=1       says what happens */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim_client.h"

#ifndef SIMULATION_SEEDS
#define SIMULATION_SEEDS 1000
#endif

#define CLIENTS_MAX 5u
#define WHOLE_MS_MAX                                                                               \
    300000u /* how long the clients may take to agree on a network that is whole                   \
             */

/* What goes wrong, each in so many of a hundred faults. */
struct profile {
    const char *name;
    uint64_t fault_every_ms; /* at most; 0: never */
    unsigned cut;
    unsigned mute;
    unsigned block;
    unsigned crash;
    unsigned restart;
    unsigned kill; /* a client's program */
    unsigned fail; /* the disk of the server */
    uint64_t latency_ms_max;
};

struct run {
    struct sim sim;
    const struct profile *profile;
    struct sim_net *net;
    struct sim_server *server;
    struct sim_client *clients[CLIENTS_MAX];
    unsigned client_count;
    struct sim_timer actions;
    struct sim_timer faults;
    struct sim_timer clock; /* lets time pass when nothing else happens */
};

static const struct run *current; /* for a crash's last words */

static void on_abort(int signal_number)
{
    char words[200];
    (void)signal_number;
    if (current != NULL) {
        int bytes = snprintf(words, sizeof(words),
                             "the run with seed %llu failed (%s); alone: SIMULATION_SEED=%llu\n",
                             (unsigned long long)current->sim.seed, current->profile->name,
                             (unsigned long long)current->sim.seed);
        (void)!write(STDERR_FILENO, words, (size_t)bytes);
    }
    (void)signal(SIGABRT, SIG_DFL);
    (void)raise(SIGABRT);
}

/* ---- what happens ---- */

static struct sim_client *any_client(struct run *run)
{
    return run->clients[sim_draw(&run->sim, run->client_count)];
}

static void on_action(void *user)
{
    struct run *run = user;
    struct sim_client *client = any_client(run);
    if (client->core != NULL) {
        client->ops->act(client->program);
        sim_client_after(client);
    }
    sim_arm(&run->sim, &run->actions, run->sim.now_ms + sim_between(&run->sim, 1, 700));
}

static void block(struct run *run)
{
    uint64_t until_ms = run->sim.now_ms + sim_between(&run->sim, 100, 20000);
    bool all = sim_chance(&run->sim, 20);
    struct sim_client *one = any_client(run);
    for (unsigned i = 0; i < run->client_count; i++) {
        if (all || run->clients[i] == one) {
            sim_trace(&run->sim, "client %u: divided until %llu", i, (unsigned long long)until_ms);
            run->clients[i]->link.blocked_until_ms = until_ms;
        }
    }
}

static void fail_for_a_while(struct run *run)
{
    bool well = sim_chance(&run->sim, 50);
    sim_trace(&run->sim, "server: the disk is %s", well ? "well" : "ill");
    sim_server_fail(run->server, well ? 0 : 2, well ? 0 : 3);
}

static void on_fault(void *user)
{
    struct run *run = user;
    const struct profile *profile = run->profile;
    struct sim *sim = &run->sim;
    uint64_t down_ms = sim_between(sim, 10, 6000);
    if (sim_chance(sim, profile->cut)) {
        sim_net_cut_one(run->net, sim_draw(sim, UINT32_MAX));
    }
    if (sim_chance(sim, profile->mute)) {
        sim_net_mute_one(run->net, sim_draw(sim, UINT32_MAX));
    }
    if (sim_chance(sim, profile->block)) {
        block(run);
    }
    if (sim_chance(sim, profile->crash)) {
        sim_server_crash(run->server, down_ms, sim_chance(sim, 30));
    }
    if (sim_chance(sim, profile->restart)) {
        sim_server_restart(run->server, down_ms);
    }
    if (sim_chance(sim, profile->kill)) {
        sim_client_kill(any_client(run));
    }
    if (sim_chance(sim, profile->fail)) {
        fail_for_a_while(run);
    }
    sim_arm(sim, &run->faults, sim->now_ms + sim_between(sim, 1, profile->fault_every_ms));
}

static void on_clock(void *user)
{
    struct run *run = user;
    sim_arm(&run->sim, &run->clock, run->sim.now_ms + 250);
}

/* ---- a run ---- */

static void start_clients(struct run *run)
{
    run->client_count = (unsigned)sim_between(&run->sim, 2, CLIENTS_MAX);
    for (unsigned i = 0; i < run->client_count; i++) {
        const char *url = sim_chance(&run->sim, 25) ? "http://server/" : "ws://server/";
        bool writes = i == 0 || sim_chance(&run->sim, 65);
        run->clients[i] = sim_client_create(run->server, &run->sim, run->net, i, url,
                                            writes ? &SIM_WRITER : &SIM_CALLER);
        run->clients[i]->link.latency_ms = sim_draw(&run->sim, run->profile->latency_ms_max + 1);
        run->clients[i]->link.jitter_ms = sim_draw(&run->sim, run->profile->latency_ms_max + 1);
        run->clients[i]->link.mute_percent = run->profile->mute > 0 ? 5 : 0;
    }
}

static void step(struct run *run)
{
    SIM_CHECK(&run->sim, sim_step(&run->sim), "nothing happens any more");
    sim_net_sweep(run->net);
    sim_server_watch(run->server);
    for (unsigned i = 0; i < run->client_count; i++) {
        sim_client_watch(run->clients[i]);
    }
}

static bool all_have_finished(struct run *run)
{
    for (unsigned i = 0; i < run->client_count; i++) {
        if (!run->clients[i]->ops->has_finished(run->clients[i]->program)) {
            return false;
        }
    }
    return true;
}

/* No more faults; until all agree. */
static void become_whole(struct run *run)
{
    uint64_t end_ms = run->sim.now_ms + WHOLE_MS_MAX;
    sim_trace(&run->sim, "the network is whole");
    sim_disarm(&run->sim, &run->faults);
    sim_disarm(&run->sim, &run->actions);
    sim_server_fail(run->server, 0, 0);
    for (unsigned i = 0; i < run->client_count; i++) {
        run->clients[i]->link.mute_percent = 0;
    }
    for (uint64_t look_ms = 0;;) {
        step(run);
        if (run->sim.now_ms >= look_ms) {
            if (all_have_finished(run)) {
                return;
            }
            SIM_CHECK(&run->sim, run->sim.now_ms < end_ms, "the clients do not agree");
            look_ms = run->sim.now_ms + 200;
        }
    }
}

/* Counts how often each client's events are in the log, which must be a chain. */
static void check_log(struct run *run)
{
    size_t count = 0;
    const struct event *log = sim_server_log(run->server, &count);
    unsigned *counts[CLIENTS_MAX] = {0};
    size_t last[CLIENTS_MAX] = {0};
    for (unsigned i = 0; i < run->client_count; i++) {
        counts[i] = calloc(run->clients[i]->made_count + 1, sizeof(unsigned));
        assert_non_null(counts[i]);
    }
    for (size_t i = 0; i < count; i++) {
        unsigned client = 0;
        size_t n = 0;
        SIM_CHECK(&run->sim, log[i].parent_seq_num == (i > 0 ? log[i - 1].seq_num : 0),
                  "the log is no chain at %zu", i);
        SIM_CHECK(&run->sim,
                  sim_args_read(log[i].args.data, log[i].args.bytes, &client, &n) &&
                      client < run->client_count && n <= run->clients[client]->made_count,
                  "nobody made event %zu of the log", i);
        SIM_CHECK(&run->sim, n > last[client], "client %u: event %zu comes after %zu", client, n,
                  last[client]);
        last[client] = n;
        counts[client][n]++;
    }
    for (unsigned i = 0; i < run->client_count; i++) {
        run->clients[i]->ops->check(run->clients[i]->program, counts[i]);
        free(counts[i]);
    }
}

static size_t run_seed(uint64_t seed, const struct profile *profile)
{
    struct run run = {.profile = profile};
    current = &run;
    sim_init(&run.sim, seed, profile->name);
    run.actions = (struct sim_timer){.run = on_action, .user = &run};
    run.faults = (struct sim_timer){.run = on_fault, .user = &run};
    run.clock = (struct sim_timer){.run = on_clock, .user = &run};
    run.net = sim_net_create(&run.sim);
    run.server = sim_server_create(&run.sim, run.net, sim_chance(&run.sim, 50));
    start_clients(&run);
    sim_arm(&run.sim, &run.actions, 0);
    sim_arm(&run.sim, &run.clock, 0);
    if (profile->fault_every_ms > 0) {
        sim_arm(&run.sim, &run.faults, 0);
    }
    uint64_t whole_ms = sim_between(&run.sim, 5000, 40000);
    while (run.sim.now_ms < whole_ms) {
        step(&run);
    }
    become_whole(&run);
    check_log(&run);
    size_t log_count = 0;
    (void)sim_server_log(run.server, &log_count);
    sim_server_destroy(run.server); /* its connections still have the clients' links */
    for (unsigned i = 0; i < run.client_count; i++) {
        sim_client_destroy(run.clients[i]);
    }
    sim_net_destroy(run.net);
    sim_deinit(&run.sim);
    current = NULL;
    return log_count;
}

static const struct profile PROFILES[] = {
    {.name = "calm", .latency_ms_max = 100},
    {.name = "losses", .fault_every_ms = 1500, .cut = 60, .mute = 25, .latency_ms_max = 300},
    {.name = "divisions", .fault_every_ms = 6000, .block = 80, .cut = 10, .latency_ms_max = 200},
    {.name = "crashes",
     .fault_every_ms = 5000,
     .crash = 40,
     .restart = 25,
     .kill = 40,
     .fail = 20,
     .latency_ms_max = 100},
    {.name = "everything",
     .fault_every_ms = 2500,
     .cut = 20,
     .mute = 10,
     .block = 20,
     .crash = 10,
     .restart = 10,
     .kill = 15,
     .fail = 10,
     .latency_ms_max = 500},
};
#define PROFILE_COUNT (sizeof(PROFILES) / sizeof(PROFILES[0]))

static void run_profile(const struct profile *profile)
{
    const char *count_text = getenv("SIMULATION_SEEDS");
    const char *seed_text = getenv("SIMULATION_SEED");
    uint64_t count = count_text != NULL ? strtoull(count_text, NULL, 10) : SIMULATION_SEEDS;
    size_t events = 0;
    (void)signal(SIGABRT, on_abort);
    if (seed_text != NULL) {
        events = run_seed(strtoull(seed_text, NULL, 10), profile);
    } else {
        for (uint64_t seed = 1; seed <= count / PROFILE_COUNT; seed++) {
            events += run_seed(seed, profile);
        }
    }
    assert_true(events > 0); /* something did happen */
}

static void on_a_calm_network_all_clients_end_with_one_log(void **state)
{
    (void)state;
    run_profile(&PROFILES[0]);
}

static void connections_that_are_cut_or_go_silent_lose_and_double_nothing(void **state)
{
    (void)state;
    run_profile(&PROFILES[1]);
}

static void a_network_that_divides_and_delivers_late_loses_and_doubles_nothing(void **state)
{
    (void)state;
    run_profile(&PROFILES[2]);
}

static void servers_and_programs_that_crash_lose_and_double_nothing(void **state)
{
    (void)state;
    run_profile(&PROFILES[3]);
}

static void everything_at_once_loses_and_doubles_nothing(void **state)
{
    (void)state;
    run_profile(&PROFILES[4]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_calm_network_all_clients_end_with_one_log),
        cmocka_unit_test(connections_that_are_cut_or_go_silent_lose_and_double_nothing),
        cmocka_unit_test(a_network_that_divides_and_delivers_late_loses_and_doubles_nothing),
        cmocka_unit_test(servers_and_programs_that_crash_lose_and_double_nothing),
        cmocka_unit_test(everything_at_once_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
