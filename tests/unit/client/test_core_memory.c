/* Every allocation of the core fails once, in turn: whatever is going on is told NO_MEMORY or goes
 * on by itself; nothing is told twice, nothing is lost, and nothing ends the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../base/failing_alloc.h"
#include "client/outbox_memory.h"
#include "core_stage.h"
#include "model_server.h"

static unsigned succeeds; /* allocations of the core that succeed before the one that fails */
static bool failed;       /* it has failed */
static unsigned seen;

static void entering(void)
{
    if (!failed) {
        failing_alloc_arm(succeeds - seen);
    }
}

/* The failing wrapper lets all later allocations fail too, so one input sees several failures. */
static void leaving(void)
{
    if (!failed) {
        seen += failing_alloc_seen;
        failed = seen > succeeds;
    }
    failing_alloc_disarm();
}

static unsigned number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at == NULL ? 0 : (unsigned)strtoul(at + strlen(key), NULL, 10);
}

/* What a server answers to one message: three events to a pull, yes to a push. */
static void serve(struct stage *stage, const char *message)
{
    char body[4000];
    unsigned id = number_after(message, "\"id\":\"");
    if (strstr(message, "SyncWsRpc.Pull") != NULL || strstr(message, "SyncHttpRpc.Pull") != NULL) {
        unsigned cursor = number_after(message, "\"eventSequenceNumber\":");
        const char *page = stage_page(cursor < 3 ? cursor + 1 : 0, 3, "NoMore");
        if (!stage->url.polls) {
            stage_say(stage, "{\"_tag\":\"Chunk\",\"requestId\":\"%u\",\"values\":[%s]}", id, page);
            return;
        }
        (void)snprintf(body, sizeof(body),
                       "[{\"_tag\":\"Chunk\",\"requestId\":\"%u\",\"values\":[%s]}," STAGE_EXIT_OK
                       "]",
                       id, page, id);
        stage_answer(stage, "200 OK", "", body);
    } else if (strstr(message, "Rpc.") != NULL && stage->url.polls) {
        (void)snprintf(body, sizeof(body), "[" STAGE_EXIT_OK "]", id);
        stage_answer(stage, "200 OK", "", body);
    } else if (strstr(message, "SyncWsRpc.Push") != NULL) {
        stage_say(stage, STAGE_EXIT_OK, id);
    } else if (strstr(message, "Ping") != NULL) {
        stage_say(stage, "{\"_tag\":\"Pong\"}");
    }
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void check_journal(struct stage *stage)
{
    buffer_append_byte(&stage->journal, '\0');
    const char *text = stage->journal.data;
    bool good = count_of(text, "page ") == 1 && count_of(text, "page 1-3 no_more") == 1 &&
                count_of(text, "pulled") == 0 && count_of(text, "pushed") == 1 &&
                count_of(text, "pushed 2 OK") + count_of(text, "pushed 0 NO_MEMORY") == 1 &&
                count_of(text, "ping ") == 1;
    if (!good) {
        fail_msg("after %u allocations:\n%s", succeeds, text);
    }
    buffer_clear(&stage->journal);
}

/* One conversation; false when fewer allocations were needed than may succeed. */
static bool converse(const char *url)
{
    struct stage stage;
    failed = false;
    seen = 0;
    stage_init(&stage, url);
    stage_start(&stage);
    stage_reserve(&stage);
    stage.entering = entering;
    stage.leaving = leaving;
    (void)stage_pull(&stage, 0, true);
    stage_push(&stage, 1, 2, 0);
    stage_ping(&stage, false);
    for (unsigned turn = 0; turn < 40; turn++) {
        if (stage.opening) {
            stage_open(&stage);
        }
        const char *message = stage.open ? stage_hear(&stage) : "";
        if (message[0] != '\0') {
            char *copy = strdup(message);
            serve(&stage, copy);
            free(copy);
        } else {
            stage_wait(&stage, 200);
        }
    }
    check_journal(&stage);
    stage.entering = NULL;
    stage.leaving = NULL;
    stage_deinit(&stage);
    return failed;
}

static void every_allocation_of_a_websocket_may_fail(void **state)
{
    (void)state;
    for (succeeds = 0; converse("ws://h/"); succeeds++) {
    }
    assert_true(succeeds > 10);
}

static void every_allocation_of_polling_may_fail(void **state)
{
    (void)state;
    for (succeeds = 0; converse("http://h/"); succeeds++) {
    }
    assert_true(succeeds > 10);
}

/* ---- the same with an outbox, and a server that keeps a log ---- */

static struct model_server server;
static uint64_t applied_seq_num;

static uint64_t no_random(void *user)
{
    (void)user;
    return 1;
}

/* An advance that could not be noted is told again. */
static void on_advanced(void *user, const struct sluice_advance *advance)
{
    (void)user;
    for (size_t i = 0; i < advance->page.event_count; i++) {
        uint64_t seq_num = advance->page.events[i].seq_num;
        assert_true(seq_num <= applied_seq_num + 1);
        applied_seq_num = seq_num > applied_seq_num ? seq_num : applied_seq_num;
    }
}

static void on_failed(void *user, const struct sluice_failure *failure, bool halted)
{
    (void)user;
    assert_int_equal(failure->error.status, SLUICE_NO_MEMORY);
    assert_false(halted);
}

static const struct sluice_outbox_callbacks CALLBACKS = {.advanced = on_advanced,
                                                         .failed = on_failed};

static void commit_one(struct outbox *outbox)
{
    struct sluice_commit commit;
    struct sluice_event event = {.name = sluice_text_of("e"), /* as the server gives it back */
                                 .args = sluice_text_of("{\"n\":1}"),
                                 .client_id = sluice_text_of("c"),
                                 .session_id = sluice_text_of("s")};
    assert_int_equal(outbox->ops->append(outbox, &event, &commit, NULL), SLUICE_OK);
}

/* What both sides have to say to each other now. */
static void exchange(struct stage *stage, struct model_conn *conn)
{
    if (stage->opening) {
        stage->opening = false;
        stage->open = true;
        model_conn_close(conn);
        model_conn_open(&server, conn);
        entering();
        client_core_opened(stage->core, stage->now_ms);
        leaving();
    }
    while (stage->open && (stage->sent.bytes > 0 || conn->out.bytes > 0)) {
        model_conn_feed(&server, conn, stage->sent.data, stage->sent.bytes);
        buffer_clear(&stage->sent);
        if (conn->out.bytes > 0) {
            stage_bytes(stage, buffer_slice(&conn->out));
            buffer_clear(&conn->out);
        }
    }
}

static bool follow_with_an_outbox(void)
{
    struct stage stage;
    struct outbox *outbox = outbox_memory_create();
    assert_non_null(outbox);
    failed = false;
    seen = 0;
    applied_seq_num = 0;
    model_server_init(&server, no_random, NULL);
    stage_init(&stage, "ws://h/");
    stage_start(&stage);
    stage_reserve(&stage);
    commit_one(outbox);
    commit_one(outbox);
    stage.entering = entering;
    stage.leaving = leaving;
    entering();
    enum sluice_status status =
        client_core_attach_outbox(stage.core, outbox, &CALLBACKS, &stage, stage.now_ms);
    leaving();
    for (unsigned turn = 0; turn < 60 && status == SLUICE_OK; turn++) {
        exchange(&stage, &server.conns[0]);
        stage_wait(&stage, 200);
    }
    struct outbox_state state;
    assert_int_equal(outbox->ops->state(outbox, &state, NULL), SLUICE_OK);
    if (status == SLUICE_OK &&
        (state.pending_count > 0 || applied_seq_num != 2 || server.event_count != 2)) {
        fail_msg("after %u allocations: %zu pending, %zu stored, %llu applied", succeeds,
                 state.pending_count, server.event_count, (unsigned long long)applied_seq_num);
    }
    stage.entering = NULL;
    stage.leaving = NULL;
    stage_deinit(&stage);
    model_server_deinit(&server);
    outbox->ops->destroy(outbox);
    return failed;
}

static void every_allocation_of_an_outbox_may_fail(void **state)
{
    (void)state;
    for (succeeds = 0; follow_with_an_outbox(); succeeds++) {
    }
    assert_true(succeeds > 15);
}

static void without_memory_there_is_no_core(void **state)
{
    (void)state;
    struct client_core_config config = {.backoff_base_ms = 1, .backoff_cap_ms = 1};
    static const struct client_core_ops NONE = {0};
    failing_alloc_arm(0);
    assert_null(client_core_create(&config, &NONE, NULL));
    failing_alloc_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_websocket_may_fail),
        cmocka_unit_test(every_allocation_of_polling_may_fail),
        cmocka_unit_test(every_allocation_of_an_outbox_may_fail),
        cmocka_unit_test(without_memory_there_is_no_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
