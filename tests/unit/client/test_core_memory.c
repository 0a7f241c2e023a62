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
#include "core_stage.h"

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
        cmocka_unit_test(without_memory_there_is_no_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
