/* A core that follows its store with an outbox: what is pending is pushed, confirmed by the pull,
 * and put on top of what others pushed first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "client/outbox_memory.h"
#include "core_stage.h"

static struct stage stage;
static struct outbox *outbox;

/* ---- an outbox whose advance can be made to fail ---- */

static bool advance_fails;
static enum sluice_status (*real_advance)(struct outbox *, const struct outbox_advance *,
                                          struct sluice_rebase *, struct sluice_error *);

static enum sluice_status advance(struct outbox *engine, const struct outbox_advance *step,
                                  struct sluice_rebase *out, struct sluice_error *error)
{
    if (advance_fails) {
        return error_set(error, SLUICE_STORAGE_FULL, "the disk is full");
    }
    return real_advance(engine, step, out, error);
}

static struct outbox_ops ops;

static void open_outbox(void)
{
    outbox = outbox_memory_create();
    assert_non_null(outbox);
    ops = *outbox->ops;
    real_advance = ops.advance;
    ops.advance = advance;
    outbox->ops = &ops;
    advance_fails = false;
}

/* ---- what is told ---- */

static void on_advanced(void *user, const struct sluice_advance *told)
{
    const struct sluice_page *page = &told->page;
    char mine[40] = "";
    if (told->confirmed_count > 0) {
        (void)snprintf(mine, sizeof(mine), " confirms %zu from %llu", told->confirmed_count,
                       (unsigned long long)told->first_confirmed_commit_id);
    }
    stage_note(user, "advanced %llu-%llu%s%s", (unsigned long long)page->events[0].seq_num,
               (unsigned long long)page->events[page->event_count - 1].seq_num, mine,
               told->rebases ? " rebases" : "");
}

static void on_rebased(void *user, const struct sluice_rebase *rebase)
{
    stage_note(user, "rebased %zu: %llu is %llu", rebase->count,
               (unsigned long long)rebase->first_commit_id,
               (unsigned long long)rebase->first_seq_num);
}

static void on_failed(void *user, const struct sluice_failure *failure, bool halted)
{
    stage_note(user, "failed %s%s", sluice_status_name(failure->error.status),
               halted ? " halted" : "");
}

static const struct sluice_outbox_callbacks CALLBACKS = {
    .advanced = on_advanced, .rebased = on_rebased, .failed = on_failed};

/* ---- steps ---- */

static void attach(const char *url)
{
    stage_init(&stage, url);
    stage_start(&stage);
    assert_int_equal(
        client_core_attach_outbox(stage.core, outbox, &CALLBACKS, &stage, stage.now_ms), SLUICE_OK);
}

/* Commits an event as stage_page writes the one with number `n`: it is the same once it has that
 * number. Returns the number it has for now. */
static uint64_t commit(unsigned n)
{
    char args[32];
    struct sluice_commit done;
    (void)snprintf(args, sizeof(args), "{\"n\":%u}", n);
    struct sluice_event event = {.name = sluice_text_of("e"),
                                 .args = sluice_text_of(args),
                                 .client_id = sluice_text_of("c"),
                                 .session_id = sluice_text_of("x")};
    assert_int_equal(outbox->ops->append(outbox, &event, &done, NULL), SLUICE_OK);
    client_core_outbox_grew(stage.core, stage.now_ms);
    return done.seq_num;
}

/* Connected, at the head of an empty log. The pull is request 1. */
static void at_the_head(void)
{
    stage_open(&stage);
    stage_expect(&stage, "\"live\":true,\"cursor\":{\"_tag\":\"None\"}");
    stage_chunk(&stage, 1, 0, 0, "NoMore");
    stage_expect(&stage, "Ack");
    stage_journal(&stage, "connected\nbackend id b1\n");
}

static int setup(void **state)
{
    (void)state;
    open_outbox();
    attach("ws://h/");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_deinit(&stage);
    outbox->ops->destroy(outbox);
    return 0;
}

#define AHEAD "{\"_tag\":\"ServerAheadError\",\"minimumExpectedNum\":%u,\"providedNum\":0}"

static void refuse_ahead(unsigned id, unsigned minimum)
{
    char error[200];
    (void)snprintf(error, sizeof(error), AHEAD, minimum);
    stage_say(&stage, STAGE_EXIT_FAIL, id, error);
}

/* ---- tests ---- */

static void a_commit_is_pushed_and_confirmed_by_the_pull(void **state)
{
    (void)state;
    at_the_head();
    assert_int_equal(commit(1), 1);
    stage_expect(&stage, "SyncWsRpc.Push");
    stage_chunk(&stage, 1, 1, 1, "NoMore");
    stage_say(&stage, STAGE_EXIT_OK, 2);
    stage_journal(&stage, "advanced 1-1 confirms 1 from 1\n");
    stage_expect(&stage, "Ack");
    assert_string_equal(stage_hear(&stage), "");
}

static void what_was_committed_offline_is_pushed_in_order_when_the_head_is_known(void **state)
{
    (void)state;
    assert_int_equal(commit(1), 1);
    assert_int_equal(commit(2), 2);
    stage_open(&stage);
    stage_expect(&stage, "SyncWsRpc.Pull");
    assert_string_equal(stage_hear(&stage), "");
    stage_chunk(&stage, 1, 0, 0, "NoMore");
    stage_expect(&stage, "Ack");
    const char *push = stage_hear(&stage);
    assert_non_null(strstr(push, "\"args\":{\"n\":1},\"seqNum\":1,\"parentSeqNum\":0"));
    assert_non_null(strstr(push, "\"args\":{\"n\":2},\"seqNum\":2,\"parentSeqNum\":1"));
}

static void what_others_pushed_first_rebases_what_is_pending(void **state)
{
    (void)state;
    (void)commit(71);
    (void)commit(72);
    stage_open(&stage);
    stage_chunk(&stage, 1, 1, 3, "NoMore");
    stage_journal(&stage, "connected\nbackend id b1\nadvanced 1-3 rebases\nrebased 2: 1 is 4\n");
    stage_expect(&stage, "Pull");
    /* The push may go out before the chunk's Ack. */
    const char *first = stage_hear(&stage);
    if (strstr(first, "Push") == NULL) {
        first = stage_hear(&stage);
    }
    assert_non_null(strstr(first, "\"args\":{\"n\":71},\"seqNum\":4,\"parentSeqNum\":3"));
}

static void server_ahead_waits_for_the_pull_and_pushes_again(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(71);
    stage_expect(&stage, "\"seqNum\":1,");
    stage.random = 2000;
    refuse_ahead(2, 2);
    assert_string_equal(stage_hear(&stage), "");
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    stage_journal(&stage, "advanced 1-2 rebases\nrebased 1: 1 is 3\n");
    stage_expect(&stage, "Ack");
    stage_expect(&stage, "\"args\":{\"n\":71},\"seqNum\":3,\"parentSeqNum\":2");
}

static void server_ahead_after_the_pull_has_brought_it_pushes_again_at_once(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(71);
    stage_expect(&stage, "\"seqNum\":1,");
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    refuse_ahead(2, 2);
    stage_expect(&stage, "Ack");
    stage_expect(&stage, "\"seqNum\":3,\"parentSeqNum\":2");
    stage_journal(&stage, "advanced 1-2 rebases\nrebased 1: 1 is 3\n");
}

static void a_server_that_stays_ahead_of_what_it_gives_is_told(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(71);
    for (unsigned id = 2; id <= 6; id++) {
        stage_expect(&stage, "Push");
        refuse_ahead(id, 0);
        stage_journal(&stage, id < 6 ? "" : "failed SERVER_AHEAD\n");
        stage_wait(&stage, 0);
    }
}

static void a_server_that_changes_what_it_stores_halts_the_outbox(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(71);
    stage_expect(&stage, "\"args\":{\"n\":71},\"seqNum\":1,");
    stage_chunk(&stage, 1, 1, 1, "NoMore"); /* with other args */
    stage_say(&stage, STAGE_EXIT_OK, 2);
    stage_journal(&stage, "advanced 1-1 rebases\nrebased 1: 1 is 2\nfailed INVALID halted\n");
    stage_expect(&stage, "Ack");
    stage_expect(&stage, "Interrupt");
    assert_string_equal(stage_hear(&stage), ""); /* or it would push for ever */
}

static void an_answer_that_comes_after_a_rebase_behind_it_is_no_contradiction(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(1);
    stage_expect(&stage, "\"seqNum\":1,");
    (void)commit(72);
    stage_chunk(&stage, 1, 1, 2, "NoMore"); /* ours, and another one */
    stage_say(&stage, STAGE_EXIT_OK, 2);
    stage_journal(&stage, "advanced 1-2 confirms 1 from 1 rebases\nrebased 1: 2 is 3\n");
    stage_expect(&stage, "Ack");
    stage_expect(&stage, "\"args\":{\"n\":72},\"seqNum\":3,");
}

static void commits_during_a_push_follow_it(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(1);
    (void)commit(2);
    stage_expect(&stage, "\"seqNum\":1,");
    assert_string_equal(stage_hear(&stage), "");
    stage_say(&stage, STAGE_EXIT_OK, 2);
    stage_expect(&stage, "\"args\":{\"n\":2},\"seqNum\":2,\"parentSeqNum\":1");
    stage_say(&stage, STAGE_EXIT_OK, 3);
    assert_string_equal(stage_hear(&stage), ""); /* acknowledged: nothing is sent twice */
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    stage_journal(&stage, "advanced 1-2 confirms 2 from 1\n");
}

static void a_push_whose_answer_was_lost_is_confirmed_by_the_pull_and_not_sent_again(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(1);
    stage_expect(&stage, "Push");
    stage_cut(&stage, "reset");
    stage_wait(&stage, 0);
    stage_open(&stage);
    stage_expect(&stage, "Pull");
    stage_chunk(&stage, 3, 1, 1, "NoMore");
    stage_journal(&stage, "disconnected OFFLINE\nconnected\nadvanced 1-1 confirms 1 from 1\n");
}

static void a_push_that_did_not_arrive_is_sent_again(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(1);
    stage_expect(&stage, "Push");
    stage_cut(&stage, "reset");
    stage_wait(&stage, 0);
    stage_open(&stage);
    bool pushed = false;
    for (unsigned i = 0; i < 4 && !pushed; i++) {
        const char *heard = stage_hear(&stage);
        pushed = strstr(heard, "Push") != NULL;
        if (strstr(heard, "Pull") != NULL) {
            stage_chunk(&stage, 3, 0, 0, "NoMore");
        }
    }
    assert_true(pushed);
}

static void some_are_confirmed_and_the_rest_rebased(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(1);
    (void)commit(72);
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    stage_journal(&stage, "advanced 1-2 confirms 1 from 1 rebases\nrebased 1: 2 is 3\n");
}

static void another_log_halts_the_outbox_until_it_is_reset(void **state)
{
    (void)state;
    at_the_head();
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    (void)commit(73);
    stage_say(&stage, STAGE_EXIT_FAIL, 2,
              "{\"_tag\":\"BackendIdMismatchError\",\"expected\":\"b2\",\"received\":\"b1\"}");
    stage_journal(&stage, "advanced 1-2\nfailed BACKEND_ID_MISMATCH halted\n");
    while (stage_hear(&stage)[0] != '\0') {
    }
    stage_wait(&stage, 100);
    (void)commit(74);
    assert_string_equal(stage_hear(&stage), "");
    assert_int_equal(client_core_outbox_reset(stage.core, stage.now_ms, NULL), SLUICE_OK);
    stage_journal(&stage, "rebased 2: 1 is 1\n");
    stage_expect(&stage, "\"cursor\":{\"_tag\":\"None\"}");
}

static void a_disk_that_is_full_for_a_while_loses_nothing(void **state)
{
    (void)state;
    at_the_head();
    advance_fails = true;
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    stage_journal(&stage, "advanced 1-2\nfailed STORAGE_FULL\n");
    advance_fails = false;
    stage_wait(&stage, 0);
    stage_expect(&stage, "Interrupt");
    stage_expect(&stage, "\"cursor\":{\"_tag\":\"None\"}");
    stage_chunk(&stage, 2, 1, 3, "NoMore");
    stage_journal(&stage, "advanced 1-3\n");
}

static void an_error_of_the_server_is_told_and_tried_again(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(1);
    stage_expect(&stage, "Push");
    stage.random = 500;
    stage_say(&stage, STAGE_EXIT_FAIL, 2, "{\"_tag\":\"UnknownError\",\"cause\":\"disk full\"}");
    stage_journal(&stage, "failed UNKNOWN\n");
    assert_string_equal(stage_hear(&stage), "");
    stage_wait(&stage, 500);
    stage_expect(&stage, "Push");
}

static void the_next_run_goes_on_where_the_last_one_was(void **state)
{
    (void)state;
    at_the_head();
    stage_chunk(&stage, 1, 1, 2, "NoMore");
    (void)commit(3);
    stage_deinit(&stage);
    attach("ws://h/");
    stage_open(&stage);
    stage_expect(&stage, "\"backendId\":\"b1\",\"eventSequenceNumber\":2");
    stage_chunk(&stage, 1, 3, 3, "NoMore");
    stage_journal(&stage, "connected\nadvanced 3-3 confirms 1 from 1\n");
}

static void over_http_a_push_is_followed_by_a_poll(void **state)
{
    (void)state;
    stage_deinit(&stage);
    attach("http://h/");
    char body[2000];
    stage_open(&stage);
    (void)snprintf(body, sizeof(body),
                   "[{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[%s]}," STAGE_EXIT_OK "]",
                   stage_page(0, 0, "NoMore"), 1u);
    stage_answer(&stage, "200 OK", "", body);
    stage_expect(&stage, "Pull");
    (void)commit(1);
    stage_expect(&stage, "SyncHttpRpc.Push");
    (void)snprintf(body, sizeof(body), "[" STAGE_EXIT_OK "]", 2u);
    stage_answer(&stage, "200 OK", "", body);
    stage_expect(&stage, "SyncHttpRpc.Pull");
    (void)snprintf(body, sizeof(body),
                   "[{\"_tag\":\"Chunk\",\"requestId\":\"3\",\"values\":[%s]}," STAGE_EXIT_OK "]",
                   stage_page(1, 1, "NoMore"), 3u);
    stage_answer(&stage, "200 OK", "", body);
    stage_journal(&stage, "connected\nbackend id b1\nadvanced 1-1 confirms 1 from 1\n");
    assert_string_equal(stage_hear(&stage), "");
}

static void over_http_a_commit_is_pushed_at_once_although_no_connection_stands(void **state)
{
    (void)state;
    stage_deinit(&stage);
    attach("http://h/");
    char body[2000];
    stage_open(&stage);
    (void)snprintf(body, sizeof(body),
                   "[{\"_tag\":\"Chunk\",\"requestId\":\"1\",\"values\":[%s]}," STAGE_EXIT_OK "]",
                   stage_page(0, 0, "NoMore"), 1u);
    stage_answer(&stage, "200 OK", "", body);
    stage_end(&stage);
    (void)commit(1);
    stage_open(&stage);
    stage_expect(&stage, "SyncHttpRpc.Push");
}

static void an_error_that_stays_is_told_and_the_outbox_goes_on_trying(void **state)
{
    (void)state;
    at_the_head();
    for (unsigned id = 2; id <= 6; id++) {
        stage_say(&stage, STAGE_EXIT_FAIL, id - 1, "{\"_tag\":\"UnknownError\",\"cause\":\"no\"}");
        stage_wait(&stage, 0);
        stage_expect(&stage, "SyncWsRpc.Pull");
    }
    stage_journal(&stage, "failed UNKNOWN\n");
}

static void a_reset_withdraws_the_push_that_waits_for_a_connection(void **state)
{
    (void)state;
    at_the_head();
    (void)commit(71);
    stage_expect(&stage, "Push");
    stage_cut(&stage, "reset");
    assert_int_equal(client_core_outbox_reset(stage.core, stage.now_ms, NULL), SLUICE_OK);
    stage_wait(&stage, 0);
    stage_open(&stage);
    stage_expect(&stage, "SyncWsRpc.Pull");
    assert_string_equal(stage_hear(&stage), "");
    stage_say(&stage,
              "{\"_tag\":\"Chunk\",\"requestId\":\"3\",\"values\":[{\"batch\":[],\"pageInfo\":"
              "{\"_tag\":\"NoMore\"},\"backendId\":\"b2\"}]}");
    stage_expect(&stage, "Ack");
    stage_expect(&stage, "\"value\":\"b2\"");
    stage_journal(&stage, "disconnected OFFLINE\nconnected\nbackend id b2\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_commit_is_pushed_and_confirmed_by_the_pull),
        TEST(what_was_committed_offline_is_pushed_in_order_when_the_head_is_known),
        TEST(what_others_pushed_first_rebases_what_is_pending),
        TEST(server_ahead_waits_for_the_pull_and_pushes_again),
        TEST(server_ahead_after_the_pull_has_brought_it_pushes_again_at_once),
        TEST(a_server_that_stays_ahead_of_what_it_gives_is_told),
        TEST(a_server_that_changes_what_it_stores_halts_the_outbox),
        TEST(an_answer_that_comes_after_a_rebase_behind_it_is_no_contradiction),
        TEST(commits_during_a_push_follow_it),
        TEST(a_push_whose_answer_was_lost_is_confirmed_by_the_pull_and_not_sent_again),
        TEST(a_push_that_did_not_arrive_is_sent_again),
        TEST(some_are_confirmed_and_the_rest_rebased),
        TEST(another_log_halts_the_outbox_until_it_is_reset),
        TEST(a_disk_that_is_full_for_a_while_loses_nothing),
        TEST(an_error_of_the_server_is_told_and_tried_again),
        TEST(the_next_run_goes_on_where_the_last_one_was),
        TEST(over_http_a_push_is_followed_by_a_poll),
        TEST(over_http_a_commit_is_pushed_at_once_although_no_connection_stands),
        TEST(an_error_that_stays_is_told_and_the_outbox_goes_on_trying),
        TEST(a_reset_withdraws_the_push_that_waits_for_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
