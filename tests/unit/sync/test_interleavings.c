/* Random pushes, pulls, cancels and stops in random order, and a model that says what each push
 * must be answered and each pull must have heard. Built twice: over the simulated backend, where a
 * seed gives one run to the last step, and over the eventlog with its threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "backend.h"
#include "stage.h"

enum { STORES = 3, PULLERS_MAX = 12, VARIANTS = 2, BATCH_MAX = 5, PUSHERS_UNDER_WAY_MAX = 12 };

/* What a store's log has, by the answers that its pushes got. */
struct model_event {
    struct heard heard;
    unsigned variant;
};

struct model {
    char store_id[8];
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 1]; /* empty: not known yet */
    struct model_event *events;                     /* owned */
    size_t event_count;
    uint64_t head;
    uint64_t last_number;     /* of the last push that was answered */
    uint64_t greatest_wanted; /* sequence numbers up to here have been pushed */
    uint64_t chain_end;       /* where the next push of a client that waits for no answer goes on */
};

struct run {
    uint64_t seed;
    uint64_t random;
    struct eventlog *log;
    struct sync *sync;
    struct stage stage;
    struct model models[STORES];
    size_t under_way;
    bool faults;
    bool lying;                             /* a failed commit may have stored its events */
    unsigned outcomes[SLUICE_STATUS_COUNT]; /* of pushes */
    size_t live_pulls_checked;
    size_t heard;
    size_t continued; /* pushes that went on where one without an answer ends */
    size_t acknowledged_checked;
};

static struct run *running; /* the hooks' */

static uint64_t draw(struct run *run, uint64_t bound)
{
    run->random = run->random * 6364136223846793005u + 1442695040888963407u;
    return (run->random >> 33) % bound;
}

#define CHECK(run, condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("seed %llu: %s", (unsigned long long)(run)->seed, #condition);                \
        }                                                                                          \
    } while (0)

static struct model *model_of(struct run *run, const char *store_id)
{
    for (size_t i = 0; i < STORES; i++) {
        if (strcmp(run->models[i].store_id, store_id) == 0) {
            return &run->models[i];
        }
    }
    abort();
}

/* --- The rules of admission once more, the plain way --- */

/* The index of the first model event after `parent`. */
static size_t index_after(const struct model *model, uint64_t parent)
{
    size_t at = 0;
    while (at < model->event_count && model->events[at].heard.seq_num <= parent) {
        at++;
    }
    return at;
}

static bool is_stored_at(const struct model *model, size_t at, const struct event *event)
{
    struct heard pushed = heard_of(event);
    pushed.position = at;
    return at < model->event_count && heard_equal(&model->events[at].heard, &pushed);
}

/* How many of the push's events the store has already; SIZE_MAX: it is not to be admitted. */
static size_t expected_stored(const struct model *model, const struct pusher *pusher)
{
    uint64_t parent = pusher->events[0].parent_seq_num;
    if (parent == model->head) {
        return 0;
    }
    if (parent > model->head) {
        return SIZE_MAX;
    }
    size_t at = index_after(model, parent);
    size_t stored = 0;
    while (stored < pusher->event_count && is_stored_at(model, at, &pusher->events[stored])) {
        stored++;
        at++;
    }
    bool all = stored == pusher->event_count;
    bool prefix_ends_at_head = stored > 0 && at == model->event_count;
    return all || prefix_ends_at_head ? stored : SIZE_MAX;
}

static void extend_model(struct run *run, struct model *model, const struct pusher *pusher,
                         size_t from)
{
    size_t count = model->event_count + pusher->event_count - from;
    model->events = realloc(model->events, (count + 1) * sizeof(model->events[0]));
    SLUICE_ASSERT(model->events != NULL);
    for (size_t i = from; i < pusher->event_count; i++) {
        struct heard heard = heard_of(&pusher->events[i]);
        CHECK(run, heard.position == model->event_count);
        CHECK(run, heard.parent_seq_num == model->head);
        model->events[model->event_count++] = (struct model_event){.heard = heard};
        model->head = heard.seq_num;
    }
}

static bool is_failure(enum sluice_status status)
{
    return status == SLUICE_STORAGE_IO || status == SLUICE_INVALID;
}

/* After a refusal its client goes on from what it is told, or as if nothing had happened. */
static void end_chain(struct run *run, struct model *model, const struct pusher *pusher)
{
    if (pusher->status == SLUICE_SERVER_AHEAD) {
        model->chain_end = pusher->head;
    } else if (draw(run, 2) == 0) {
        model->chain_end = pusher->events[0].parent_seq_num;
    }
}

static void check_answer(struct pusher *pusher)
{
    struct run *run = running;
    struct model *model = model_of(run, pusher->store_id);
    run->under_way--;
    run->outcomes[pusher->status]++;
    CHECK(run, pusher->number > model->last_number); /* in the order of submission */
    model->last_number = pusher->number;
    if (pusher->status == SLUICE_UNAVAILABLE) {
        CHECK(run, pusher->abandoned);
        return;
    }
    if (pusher->status != SLUICE_OK) {
        end_chain(run, model, pusher);
    }
    if (run->lying) {
        return; /* the model cannot know; what was acknowledged is looked up at the end */
    }
    if (is_failure(pusher->status)) {
        CHECK(run, run->faults);
        CHECK(run, pusher->status == SLUICE_STORAGE_IO);
        return;
    }
    size_t stored = expected_stored(model, pusher);
    if (pusher->status == SLUICE_BACKEND_ID_MISMATCH) {
        CHECK(run, strcmp(pusher->backend_id_expected, "other") != 0);
        return;
    }
    if (stored == SIZE_MAX) {
        CHECK(run, pusher->status == SLUICE_SERVER_AHEAD);
        CHECK(run, pusher->head == model->head);
        return;
    }
    if (pusher->status != SLUICE_OK) {
        fail_msg("seed %llu: push %llu: %s: %s", (unsigned long long)run->seed,
                 (unsigned long long)pusher->number, sluice_status_name(pusher->status),
                 pusher->error.message);
    }
    extend_model(run, model, pusher, stored);
    CHECK(run, pusher->head == model->head);
}

/* --- What can happen --- */

/* Mostly onto what the store's head is or will be, or where the push before it ends; else a
 * repetition, or something stale. */
static void push_something(struct run *run)
{
    struct model *model = &run->models[draw(run, STORES)];
    if (run->under_way >= PUSHERS_UNDER_WAY_MAX) {
        return;
    }
    uint64_t parent = model->chain_end;
    uint64_t kind = draw(run, 20);
    if (kind < 4) {
        parent = model->head;
    } else if (kind < 6) {
        parent = model->greatest_wanted;
    } else if (kind < 8) {
        parent = draw(run, model->greatest_wanted + 1);
    }
    uint64_t first = parent + 1 + (draw(run, 8) == 0 ? draw(run, 3) : 0);
    size_t count = 1 + draw(run, BATCH_MAX);
    unsigned variant = draw(run, 6) == 0 ? 1 : 0;
    struct pusher *pusher =
        stage_push_prepare(&run->stage, model->store_id, parent, first, count, variant);
    if (model->backend_id[0] != '\0' && draw(run, 2) == 0) {
        pusher_set_backend_id(pusher, draw(run, 20) == 0 ? "other" : model->backend_id);
    }
    pusher->on_done = check_answer;
    if (first + count - 1 > model->greatest_wanted) {
        model->greatest_wanted = first + count - 1;
    }
    run->continued += parent == model->chain_end && parent > model->head;
    model->chain_end = first + count - 1;
    run->under_way++;
    pusher_submit(pusher);
}

/* One that has no answer, rather an old one, so that others follow it. */
static void abandon_something(struct run *run)
{
    struct pusher *chosen = NULL;
    for (struct pusher *pusher = run->stage.pushers; pusher != NULL; pusher = pusher->next) {
        chosen = !pusher->done && (chosen == NULL || draw(run, 2) == 0) ? pusher : chosen;
    }
    if (chosen != NULL) {
        pusher_abandon(chosen);
    }
}

static size_t count_running(const struct run *run)
{
    size_t count = 0;
    for (const struct puller *puller = run->stage.pullers; puller != NULL; puller = puller->next) {
        count += puller_runs(puller);
    }
    return count;
}

static struct puller *pick_running(struct run *run)
{
    size_t count = count_running(run);
    size_t chosen = count > 0 ? draw(run, count) : 0;
    for (struct puller *puller = run->stage.pullers; puller != NULL; puller = puller->next) {
        if (puller_runs(puller) && chosen-- == 0) {
            return puller;
        }
    }
    return NULL;
}

/* Once in a while a page's receiver leaves, or makes another one leave, amid the page. */
static void page_hook(struct puller *puller)
{
    struct run *run = running;
    struct model *model = model_of(run, puller->store_id);
    memcpy(model->backend_id, puller->backend_id, sizeof(model->backend_id));
    if (draw(run, 40) == 0) {
        struct puller *leaves = draw(run, 2) == 0 ? puller : pick_running(run);
        if (leaves != NULL) {
            puller_cancel(leaves);
        }
    }
    if (draw(run, 20) == 0) {
        push_something(run);
    }
}

static void end_hook(struct puller *puller)
{
    CHECK(running, puller->status == SLUICE_OK || running->faults);
}

static void pull_something(struct run *run)
{
    struct model *model = &run->models[draw(run, STORES)];
    struct puller *puller;
    if (count_running(run) >= PULLERS_MAX) {
        return;
    }
    bool live = draw(run, 4) != 0;
    uint64_t how = draw(run, 4);
    if (how == 0 && !run->lying) {
        puller = stage_pull_from_position(&run->stage, model->store_id, live,
                                          draw(run, model->event_count + 1));
    } else if (how > 1 && model->event_count > 0 && model->backend_id[0] != '\0') {
        size_t at = draw(run, model->event_count);
        puller = stage_pull(&run->stage, model->store_id, live, model->backend_id,
                            model->events[at].heard.seq_num);
    } else {
        puller = stage_pull(&run->stage, model->store_id, live, NULL, 0);
    }
    puller->on_page = page_hook;
    puller->on_end = end_hook;
    if (draw(run, 2) == 0) {
        puller->credit = draw(run, 4);
    }
}

static void stop_or_resume_something(struct run *run)
{
    struct puller *puller = pick_running(run);
    if (puller != NULL) {
        uint64_t kind = draw(run, 3);
        puller_give(puller, kind == 0 ? 0 : kind == 1 ? draw(run, 4) : CREDIT_ENDLESS);
    }
}

static void cancel_something(struct run *run)
{
    struct puller *puller = pick_running(run);
    if (puller != NULL) {
        puller_cancel(puller);
    }
}

/* What sync_stats says of the pulls is what they are. */
static void check_counts(struct run *run)
{
    size_t live = 0;
    for (const struct puller *puller = run->stage.pullers; puller != NULL; puller = puller->next) {
        live += puller_state(puller) == SYNC_PULL_LIVE;
    }
    CHECK(run, sync_stats(run->sync)->live_pulls == live);
    CHECK(run, sync_stats(run->sync)->stores <= STORES);
    CHECK(run, sync_busy(run->sync) == (eventlog_pending(run->log) > 0));
}

static void step(struct run *run)
{
    uint64_t kind = draw(run, 100);
    if (kind < 14) {
        push_something(run);
    } else if (kind < 20) {
        pull_something(run);
    } else if (kind < 26) {
        stop_or_resume_something(run);
    } else if (kind < 28) {
        cancel_something(run);
    } else if (kind == 28) {
        abandon_something(run);
    } else {
        backend_advance(run->log, draw(run, 1u << 30));
    }
    check_counts(run);
}

/* --- A run, and what must be true at its end --- */

static void check_heard(struct run *run, const struct puller *puller)
{
    const struct model *model = model_of(run, puller->store_id);
    run->heard += puller->heard_count;
    for (size_t i = 0; i < puller->heard_count && !run->lying; i++) {
        const struct heard *heard = &puller->heard[i];
        CHECK(run, heard->position < model->event_count);
        CHECK(run, heard_equal(heard, &model->events[heard->position].heard));
    }
    if (!puller_runs(puller)) {
        return;
    }
    CHECK(run, puller_state(puller) == SYNC_PULL_LIVE);
    CHECK(run, puller->page_remaining == 0);
    run->live_pulls_checked++;
    CHECK(run, run->lying || puller->last_seq_num == model->head);
}

/* Whether a pull of the whole log has what was acknowledged, each event once and in its place. */
static void check_acknowledged(struct run *run, const struct puller *whole)
{
    for (struct pusher *pusher = run->stage.pushers; pusher != NULL; pusher = pusher->next) {
        if (pusher->status != SLUICE_OK || strcmp(pusher->store_id, whole->store_id) != 0) {
            continue;
        }
        size_t at = 0;
        while (at < whole->heard_count && whole->heard[at].seq_num < pusher->events[0].seq_num) {
            at++;
        }
        CHECK(run, at + pusher->event_count <= whole->heard_count);
        for (size_t i = 0; i < pusher->event_count; i++) {
            struct heard pushed = heard_of(&pusher->events[i]);
            pushed.position = at + i; /* one that was stored before is given none */
            CHECK(run, heard_equal(&pushed, &whole->heard[at + i]));
        }
        run->acknowledged_checked++;
    }
}

static void check_whole_logs(struct run *run)
{
    struct puller *whole[STORES];
    for (struct puller *puller = run->stage.pullers; puller != NULL; puller = puller->next) {
        puller->on_page = NULL;
    }
    for (size_t i = 0; i < STORES; i++) {
        whole[i] = stage_pull(&run->stage, run->models[i].store_id, true, NULL, 0);
    }
    backend_settle(run->log);
    for (size_t i = 0; i < STORES; i++) {
        CHECK(run, run->lying || whole[i]->heard_count == run->models[i].event_count);
        check_acknowledged(run, whole[i]);
    }
}

/* In the end every pull that still runs has all, and those of one store have the same. */
static void finish(struct run *run)
{
    backend_fail(run->log, 0, 0, run->lying ? BACKEND_STORES_AND_SAYS_IO : BACKEND_STORES_NOTHING);
    do {
        backend_settle(run->log);
        for (struct puller *puller = run->stage.pullers; puller != NULL; puller = puller->next) {
            if (puller_runs(puller)) {
                puller_give(puller, CREDIT_ENDLESS);
            }
        }
    } while (eventlog_pending(run->log) > 0);
    CHECK(run, run->under_way == 0);
    check_whole_logs(run);
    uint64_t heads[STORES] = {0};
    for (struct puller *puller = run->stage.pullers; puller != NULL; puller = puller->next) {
        check_heard(run, puller);
        if (puller_runs(puller)) {
            size_t store = (size_t)(model_of(run, puller->store_id) - run->models);
            CHECK(run, heads[store] == 0 || heads[store] == puller->last_seq_num);
            heads[store] = puller->last_seq_num;
        }
    }
    stage_deinit(&run->stage);
    backend_settle(run->log);
    CHECK(run, sync_stats(run->sync)->stores == 0);
    CHECK(run, sync_stats(run->sync)->live_pulls == 0);
}

static void run_seed(struct run *run, uint64_t seed, size_t steps, unsigned commits_one_in,
                     unsigned reads_one_in)
{
    run->seed = seed;
    run->random = seed * 0x9e3779b97f4a7c15u + 1;
    run->faults = commits_one_in > 0 || reads_one_in > 0;
    run->log = backend_open();
    struct sync_options options = {.eventlog = run->log, .event_bytes_max = 4096};
    run->sync = sync_create(&options);
    SLUICE_ASSERT(run->sync != NULL);
    stage_init(&run->stage, run->sync);
    run->stage.encoders = 1 + (unsigned)draw(run, STAGE_ENCODERS_MAX);
    backend_fail(run->log, commits_one_in, reads_one_in,
                 run->lying ? BACKEND_STORES_AND_SAYS_IO : BACKEND_STORES_NOTHING);
    for (size_t i = 0; i < STORES; i++) {
        (void)snprintf(run->models[i].store_id, sizeof(run->models[i].store_id), "store%zu", i);
    }
    running = run;
    for (size_t i = 0; i < steps; i++) {
        step(run);
    }
    finish(run);
    sync_destroy(run->sync);
    backend_close(run->log);
    for (size_t i = 0; i < STORES; i++) {
        free(run->models[i].events);
    }
}

/* Runs seeds, and checks that they were not all about nothing. */
static void run_seeds(bool lying, unsigned commits_one_in, unsigned reads_one_in)
{
    const char *count_text = getenv("INTERLEAVINGS");
    uint64_t first = 1;
    uint64_t count = count_text != NULL ? strtoull(count_text, NULL, 10) : INTERLEAVINGS;
    const char *seed_text = getenv("INTERLEAVINGS_SEED");
    if (seed_text != NULL) {
        first = strtoull(seed_text, NULL, 10);
        count = 1;
    }
    struct run sum = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct run run = {.lying = lying};
        run_seed(&run, seed, INTERLEAVING_STEPS, commits_one_in, reads_one_in);
        for (size_t i = 0; i < SLUICE_STATUS_COUNT; i++) {
            sum.outcomes[i] += run.outcomes[i];
        }
        sum.live_pulls_checked += run.live_pulls_checked;
        sum.heard += run.heard;
        sum.continued += run.continued;
        sum.acknowledged_checked += run.acknowledged_checked;
    }
    if (count < 10) {
        return;
    }
    assert_true(sum.outcomes[SLUICE_OK] > count);
    assert_true(sum.outcomes[SLUICE_SERVER_AHEAD] > count);
    assert_true(sum.outcomes[SLUICE_BACKEND_ID_MISMATCH] > 0);
    assert_true((sum.outcomes[SLUICE_STORAGE_IO] > 0) == (commits_one_in + reads_one_in > 0));
    assert_true(sum.live_pulls_checked > count);
    assert_true(sum.outcomes[SLUICE_UNAVAILABLE] > 0);
    assert_true(sum.continued > count);
    assert_true(sum.acknowledged_checked > count);
    assert_true(sum.heard > 100 * count);
}

static void every_pull_hears_every_event_once_and_in_order(void **state)
{
    (void)state;
    run_seeds(false, 0, 0);
}

static void so_it_is_when_commits_and_reads_fail(void **state)
{
    (void)state;
    run_seeds(false, 7, 15);
}

static void so_it_is_when_failed_commits_have_stored_their_events(void **state)
{
    (void)state;
    run_seeds(true, 7, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pull_hears_every_event_once_and_in_order),
        cmocka_unit_test(so_it_is_when_commits_and_reads_fail),
        cmocka_unit_test(so_it_is_when_failed_commits_have_stored_their_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
