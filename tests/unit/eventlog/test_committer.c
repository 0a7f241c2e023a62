/* Group commit, seen from a made-up engine that stops in each commit until the test lets it go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdlib.h>

#include "eventlog/committer.h"

enum { GROUPS_MAX = 64, APPENDS_MAX = 6000 };

struct gated {
    struct eventlog_engine engine; /* first */
    sem_t entered;                 /* posted when a commit begins */
    sem_t gate;                    /* a commit waits for it */
    sem_t settled;                 /* posted by settle */
    sem_t woken;
    struct completions completions;
    struct committer *committer;
    enum sluice_status answer; /* of all appends */
    enum sluice_status settle_answer;
    size_t group_sizes[GROUPS_MAX];
    size_t group_count;
    unsigned wakes;
    struct eventlog_append *appends; /* APPENDS_MAX */
    struct event *events;            /* APPENDS_MAX */
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) {
    }
}

static void gated_commit(struct eventlog_engine *engine, struct eventlog_append **appends,
                         size_t count, int64_t now_ms)
{
    struct gated *gated = (struct gated *)engine;
    SLUICE_ASSERT(now_ms > 0);
    SLUICE_ASSERT(gated->group_count < GROUPS_MAX);
    gated->group_sizes[gated->group_count++] = count;
    (void)sem_post(&gated->entered);
    wait_for(&gated->gate);
    for (size_t index = 0; index < count; index++) {
        SLUICE_ASSERT(appends[index]->error.status == SLUICE_OK);
        appends[index]->status = gated->answer;
    }
}

static enum sluice_status gated_probe(struct eventlog_engine *engine, struct sluice_error *error)
{
    (void)engine;
    return error_set(error, SLUICE_STORAGE_FULL, "full");
}

static enum sluice_status gated_settle(struct eventlog_engine *engine)
{
    struct gated *gated = (struct gated *)engine;
    enum sluice_status answer = gated->settle_answer;
    (void)sem_post(&gated->settled);
    return answer;
}

static const struct eventlog_engine_ops gated_ops = {
    .name = "gated", .commit = gated_commit, .probe = gated_probe, .settle = gated_settle};

static void wake(void *wake_user)
{
    struct gated *gated = wake_user;
    gated->wakes++; /* read by the test after `settled`, which comes later */
    (void)sem_post(&gated->woken);
}

static int setup(void **state)
{
    struct gated *gated = calloc(1, sizeof *gated);
    assert_non_null(gated);
    gated->engine.ops = &gated_ops;
    gated->appends = calloc(APPENDS_MAX, sizeof gated->appends[0]);
    gated->events = calloc(APPENDS_MAX, sizeof gated->events[0]);
    assert_non_null(gated->appends);
    assert_non_null(gated->events);
    (void)sem_init(&gated->entered, 0, 0);
    (void)sem_init(&gated->gate, 0, 0);
    (void)sem_init(&gated->settled, 0, 0);
    (void)sem_init(&gated->woken, 0, 0);
    assert_int_equal(completions_init(&gated->completions, wake, gated, NULL), SLUICE_OK);
    assert_int_equal(committer_create(&gated->engine, &gated->completions, &gated->committer, NULL),
                     SLUICE_OK);
    *state = gated;
    return 0;
}

static int teardown(void **state)
{
    struct gated *gated = *state;
    committer_destroy(gated->committer);
    completions_deinit(&gated->completions);
    free(gated->appends);
    free(gated->events);
    free(gated);
    return 0;
}

/* Submits appends first..first + count - 1, each of one event with args of so many bytes, which no
 * one looks at. */
static void submit(struct gated *gated, size_t first, size_t count, size_t args_bytes)
{
    for (size_t index = first; index < first + count; index++) {
        gated->events[index] =
            (struct event){.seq_num = 1, .args = {(const char *)gated, args_bytes}};
        gated->appends[index] =
            (struct eventlog_append){.events = &gated->events[index], .event_count = 1};
        committer_submit_append(gated->committer, &gated->appends[index]);
    }
}

/* Lets the commit that has begun end, and waits until its answers are out. */
static void let_commit_end(struct gated *gated)
{
    (void)sem_post(&gated->gate);
    wait_for(&gated->settled);
}

static void let_next_commit_run(struct gated *gated)
{
    wait_for(&gated->entered);
    let_commit_end(gated);
}

/* Submits one append and returns when its commit has begun, so that what comes now has to wait. */
static void hold_committer(struct gated *gated)
{
    submit(gated, 0, 1, 1);
    wait_for(&gated->entered);
}

static void what_arrives_during_a_commit_goes_into_the_next_group(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    submit(gated, 1, 100, 10);
    let_commit_end(gated);
    let_next_commit_run(gated);
    assert_int_equal(gated->group_count, 2);
    assert_int_equal(gated->group_sizes[0], 1);
    assert_int_equal(gated->group_sizes[1], 100);
}

static void a_group_has_a_bound_on_its_appends(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    submit(gated, 1, 5000, 1);
    let_commit_end(gated);
    let_next_commit_run(gated);
    let_next_commit_run(gated);
    assert_int_equal(gated->group_sizes[1], COMMITTER_APPENDS_MAX);
    assert_int_equal(gated->group_sizes[2], 5000 - COMMITTER_APPENDS_MAX);
}

static void a_group_has_a_bound_on_its_bytes(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    submit(gated, 1, 7, COMMITTER_BYTES_MAX / 3);
    let_commit_end(gated);
    let_next_commit_run(gated);
    let_next_commit_run(gated);
    let_next_commit_run(gated);
    assert_int_equal(gated->group_sizes[1], 3);
    assert_int_equal(gated->group_sizes[2], 3);
    assert_int_equal(gated->group_sizes[3], 1);
}

static void an_append_beyond_the_bound_goes_alone(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    submit(gated, 1, 2, COMMITTER_BYTES_MAX + 1);
    submit(gated, 3, 2, 1);
    let_commit_end(gated);
    let_next_commit_run(gated);
    let_next_commit_run(gated);
    let_next_commit_run(gated);
    assert_int_equal(gated->group_sizes[1], 1);
    assert_int_equal(gated->group_sizes[2], 1);
    assert_int_equal(gated->group_sizes[3], 2);
}

static void answers_come_back_in_the_order_of_submission(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    submit(gated, 1, 4999, 1);
    let_commit_end(gated);
    let_next_commit_run(gated);
    let_next_commit_run(gated);
    struct completions_lists answers;
    completions_take(&gated->completions, &answers);
    for (size_t index = 0; index < 5000; index++) {
        assert_ptr_equal(append_queue_pop(&answers.appends), &gated->appends[index]);
    }
    assert_null(answers.appends.first);
}

static void a_burst_of_answers_wakes_the_loop_once(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    submit(gated, 1, 10, COMMITTER_BYTES_MAX);
    let_commit_end(gated);
    for (unsigned group = 0; group < 9; group++) {
        let_next_commit_run(gated);
    }
    wait_for(&gated->entered); /* the last commit is held, so no one else counts wakes now */
    assert_int_equal(gated->wakes, 1);
    struct completions_lists answers;
    completions_take(&gated->completions, &answers);
    let_commit_end(gated);
    assert_int_equal(gated->wakes, 2);
}

static void answers_are_out_before_the_engine_settles(void **state)
{
    struct gated *gated = *state;
    hold_committer(gated);
    let_commit_end(gated); /* returns when settle was called */
    struct completions_lists answers;
    completions_take(&gated->completions, &answers);
    assert_ptr_equal(answers.appends.first, &gated->appends[0]);
}

static void a_probe_is_answered_with_what_the_engine_says(void **state)
{
    struct gated *gated = *state;
    struct eventlog_probe probe = {.status = SLUICE_OK};
    committer_submit_probe(gated->committer, &probe);
    wait_for(&gated->settled);
    struct completions_lists answers;
    completions_take(&gated->completions, &answers);
    assert_ptr_equal(answers.probes.first, &probe);
    assert_int_equal(probe.status, SLUICE_STORAGE_FULL);
    assert_string_equal(probe.error.message, "full");
}

static void run_group(struct gated *gated, enum sluice_status answer)
{
    gated->answer = answer;
    submit(gated, 0, 3, 1);
    /* The three may come in one group or in up to three. */
    struct completions_lists answers = {0};
    for (size_t answered = 0; answered < 3;) {
        let_next_commit_run(gated);
        completions_take(&gated->completions, &answers);
        while (answers.appends.first != NULL) {
            (void)append_queue_pop(&answers.appends);
            answered++;
        }
    }
}

static void transactions_and_failures_are_counted(void **state)
{
    struct gated *gated = *state;
    struct eventlog_stats stats = {0};
    run_group(gated, SLUICE_INVALID);
    committer_count(gated->committer, &stats);
    assert_int_equal(stats.transactions, 0);
    assert_int_equal(stats.commit_failures, 0);
    run_group(gated, SLUICE_OK);
    committer_count(gated->committer, &stats);
    assert_int_equal(stats.commit_failures, 0);
    assert_in_range(stats.transactions, 1, 3);
    uint64_t transactions = stats.transactions;
    run_group(gated, SLUICE_STORAGE_FULL);
    committer_count(gated->committer, &stats);
    assert_int_equal(stats.transactions, transactions);
    assert_in_range(stats.commit_failures, 1, 3);
}

static void failed_checkpoints_are_counted(void **state)
{
    struct gated *gated = *state;
    gated->settle_answer = SLUICE_STORAGE_IO;
    hold_committer(gated);
    let_commit_end(gated);
    hold_committer(gated); /* by now the first settle has been counted */
    struct eventlog_stats stats = {0};
    committer_count(gated->committer, &stats);
    assert_int_equal(stats.checkpoint_failures, 1);
    let_commit_end(gated);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_arrives_during_a_commit_goes_into_the_next_group),
        TEST(a_group_has_a_bound_on_its_appends),
        TEST(a_group_has_a_bound_on_its_bytes),
        TEST(an_append_beyond_the_bound_goes_alone),
        TEST(answers_come_back_in_the_order_of_submission),
        TEST(a_burst_of_answers_wakes_the_loop_once),
        TEST(answers_are_out_before_the_engine_settles),
        TEST(a_probe_is_answered_with_what_the_engine_says),
        TEST(transactions_and_failures_are_counted),
        TEST(failed_checkpoints_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
