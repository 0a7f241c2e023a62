/* core_push: pushes: splitting, sending, sending again.
 *
 *            send_batch                 Exit Success
 *     due ───────────────▶ with the server ───────────▶ next batch, or done
 *      ▲                      │  │ ServerAhead, and the batch was sent before:
 *      └── connection lost ───┘  │ its first answer may be lost
 *                                ▼
 *                             checking: a pull of what the log has after the batch's parent
 *                                ├── all of it is there: as Success
 *                                ├── the log ends with a beginning of it: the rest is next
 *                                └── something else: done, SERVER_AHEAD
 *
 * One push at a time, one batch at a time: the reference server answers pipelined pushes out of
 * order. */
#include "client/core_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "client/client_event.h"

struct push_check {
    struct core_pull pull; /* first, so that a pull is a check */
    struct client_core *core;
    struct core_push *push;
    struct sluice_failure ahead; /* what the server said */
    size_t matched_count;
    bool differs;
};

static void end_push(struct client_core *core, const struct sluice_failure *failure)
{
    struct core_push *push = core->pushes;
    core->pushes = push->next;
    push->request_id = 0;
    struct sluice_push_result result = {.failure = failure,
                                        .acknowledged_count = push->acknowledged_count};
    push->done(push, &result);
    core->again = true;
}

bool core_push_is(const struct client_core *core, uint64_t request_id)
{
    return core->pushes != NULL && core->pushes->request_id == request_id;
}

/* ---- sending ---- */

/* Writes as many events into the request as fit; at least one. */
static size_t append_batch(struct client_core *core, const struct core_push *push)
{
    size_t count = 0;
    size_t start = core->message.bytes;
    while (count < CORE_PUSH_EVENTS_MAX && push->acknowledged_count + count < push->event_count) {
        const struct sluice_event *event = &push->events[push->acknowledged_count + count];
        struct event wire = client_event_to_wire(event);
        size_t before = core->message.bytes;
        sync_cf_append_push_event(&core->message, &wire, count == 0);
        if (core->message.bytes - start > CORE_PUSH_BYTES_MAX && count > 0) {
            buffer_truncate(&core->message, before);
            break;
        }
        count++;
    }
    return count;
}

static void send_batch(struct client_core *core, struct core_push *push)
{
    struct sync_cf_query query = core_query(core);
    uint64_t id =
        core_request_start(core, core_polls(core) ? "SyncHttpRpc.Push" : "SyncWsRpc.Push");
    sync_cf_append_push_start(&core->message, &query);
    size_t count = append_batch(core, push);
    sync_cf_append_push_end(&core->message, &query);
    enum sluice_status status = core_request_send(core, id);
    if (status != SLUICE_OK) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, status, "events[%zu]: %s", push->acknowledged_count,
                        status == SLUICE_LIMIT ? "the event is too long to be sent"
                                               : "out of memory for sending");
        end_push(core, &failure);
        return;
    }
    core->pushed_last = true;
    push->batch_count = count;
    push->batch_sends++;
    push->request_id = id;
    push->sent_ms = core->now_ms;
}

static void acknowledge(struct core_push *push, size_t count)
{
    push->acknowledged_count += count;
    push->batch_count = 0;
    push->batch_sends = 0;
    push->not_before_ms = 0;
}

/* ---- checking ---- */

static enum sluice_status check_page(struct core_pull *pull, const struct sluice_page *page)
{
    struct push_check *check = (struct push_check *)pull;
    struct core_push *push = check->push;
    const struct sluice_event *batch = &push->events[push->acknowledged_count];
    size_t matched_count = check->matched_count;
    bool differs = check->differs;
    for (size_t i = 0; i < page->event_count && !differs && matched_count < push->batch_count;
         i++) {
        bool same = false;
        if (client_event_same(&batch[matched_count], &page->events[i], &same) != SLUICE_OK) {
            return SLUICE_NO_MEMORY;
        }
        differs = !same;
        matched_count += same ? 1 : 0;
    }
    check->matched_count = matched_count;
    check->differs = differs;
    if (differs || matched_count == push->batch_count) {
        client_core_pull_cancel(check->core, pull, 0);
    }
    return SLUICE_OK;
}

static void check_ended(struct core_pull *pull, const struct sluice_failure *failure)
{
    struct push_check *check = (struct push_check *)pull;
    struct client_core *core = check->core;
    struct core_push *push = check->push;
    struct sluice_failure ahead = check->ahead;
    bool complete = check->matched_count == push->batch_count;
    bool log_ended = failure == NULL;
    push->check = NULL;
    core->again = true;
    if (!check->differs && (complete || (log_ended && check->matched_count > 0))) {
        acknowledge(push, check->matched_count);
    } else if (check->differs || log_ended) {
        end_push(core, &ahead);
    } else if (failure->error.status != SLUICE_CLOSED) {
        end_push(core, failure);
    } /* else the client is being closed, and ends the push itself */
    free(check);
}

static void start_check(struct client_core *core, struct core_push *push,
                        const struct sluice_failure *ahead)
{
    struct push_check *check = malloc(sizeof(*check));
    if (check == NULL) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, SLUICE_NO_MEMORY,
                        "out of memory for finding out whether the batch was stored");
        end_push(core, &failure);
        return;
    }
    *check = (struct push_check){
        .pull = {.cursor_seq_num = push->events[push->acknowledged_count].parent_seq_num,
                 .page = check_page,
                 .ended = check_ended,
                 .internal = true},
        .core = core,
        .push = push,
        .ahead = *ahead};
    push->check = check;
    push->request_id = 0;
    client_core_pull(core, &check->pull, core->now_ms);
}

/* ---- what comes ---- */

void core_push_exit(struct client_core *core, const struct rpc_reply *reply)
{
    struct core_push *push = core->pushes;
    push->request_id = 0;
    push->waits_since_ms = core->now_ms;
    if (reply->kind == RPC_REPLY_SUCCESS) {
        acknowledge(push, push->batch_count);
        core->again = true;
        return;
    }
    if (reply->kind == RPC_REPLY_INTERRUPTED) { /* not by us: the server is going away */
        push->not_before_ms = core_wait(core, push->batch_sends);
        return;
    }
    struct sluice_failure failure = core_failure_of(reply);
    if (failure.error.status == SLUICE_SERVER_AHEAD && push->batch_sends > 1 && !push->internal) {
        start_check(core, push, &failure);
        return;
    }
    end_push(core, &failure);
}

void core_push_defect(struct client_core *core, struct slice why, bool too_big)
{
    struct core_push *push = core->pushes;
    if (push == NULL || push->request_id == 0 ||
        (!too_big && push->batch_sends < CORE_PUSH_DEFECTS_MAX)) {
        return;
    }
    struct sluice_failure failure = {0};
    (void)error_set(&failure.error, too_big ? SLUICE_LIMIT : SLUICE_UNKNOWN,
                    "the server cannot take the batch that starts with events[%zu]: %.*s",
                    push->acknowledged_count, SLICE_PRINT(why));
    end_push(core, &failure);
}

/* ---- time ---- */

static bool gives_up(const struct client_core *core, const struct core_push *push)
{
    if (push->internal || core->phase == CORE_UP) {
        return false;
    }
    return core_is_refused(core) ||
           core->now_ms >= core_after(push->waits_since_ms, core->config->operation_timeout_ms);
}

/* Ends a push that is not the first one. */
static void give_up_waiting(struct client_core *core)
{
    struct sluice_failure failure = core_offline(core);
    while (core->pushes != NULL && gives_up(core, core->pushes)) {
        if (core->pushes->check != NULL) {
            core->pushes->check->ahead = failure;
            core->pushes->check->differs = true; /* which ends the push when the pull has ended */
            client_core_pull_cancel(core, &core->pushes->check->pull, core->now_ms);
            return;
        }
        end_push(core, &failure);
    }
}

void core_pushes_step(struct client_core *core, bool may_ask)
{
    give_up_waiting(core);
    struct core_push *push = core->pushes;
    if (push == NULL || push->check != NULL) {
        return;
    }
    if (push->request_id != 0) {
        if (!core_polls(core) &&
            core->now_ms >= core_after(push->sent_ms, core->config->request_timeout_ms)) {
            core_fail_text(core, SLUICE_OFFLINE, "the server owes a push its answer");
        }
        return;
    }
    if (push->withdrawn) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, SLUICE_CLOSED, "the push was withdrawn");
        end_push(core, &failure);
        return;
    }
    if (push->acknowledged_count == push->event_count) {
        end_push(core, NULL);
        return;
    }
    if (may_ask && (!core_polls(core) || core->exchange_id == 0) &&
        core->now_ms >= push->not_before_ms) {
        send_batch(core, push);
    }
}

void core_pushes_lost(struct client_core *core)
{
    for (struct core_push *push = core->pushes; push != NULL; push = push->next) {
        if (core_had_worked(core)) {
            push->waits_since_ms = core->now_ms;
        }
        if (push->request_id != 0 && push->batch_sends > 2) {
            push->not_before_ms = core_wait(core, push->batch_sends); /* it may be what breaks it */
        }
        push->request_id = 0;
    }
}

void core_pushes_close(struct client_core *core)
{
    struct sluice_failure failure = {0};
    (void)error_set(&failure.error, SLUICE_CLOSED, "the client was closed");
    while (core->pushes != NULL) {
        end_push(core, &failure);
    }
}

uint64_t core_pushes_deadline(const struct client_core *core)
{
    const struct core_push *push = core->pushes;
    uint64_t deadline = UINT64_MAX;
    if (push == NULL) {
        return deadline;
    }
    if (core->phase != CORE_UP && !push->internal && push->check == NULL) {
        deadline = core_after(push->waits_since_ms, core->config->operation_timeout_ms);
    }
    if (push->request_id != 0 && !core_polls(core)) {
        deadline = core_min(deadline, core_after(push->sent_ms, core->config->request_timeout_ms));
    }
    if (push->request_id == 0 && push->not_before_ms > core->now_ms) {
        deadline = core_min(deadline, push->not_before_ms);
    }
    return deadline;
}

void client_core_push(struct client_core *core, struct core_push *push, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    struct core_push **link = &core->pushes;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    push->next = NULL;
    push->waits_since_ms = core->now_ms;
    *link = push;
    core_settle(core);
}
