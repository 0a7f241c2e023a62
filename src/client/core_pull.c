/* core_pull: pulls: asking, ordering what comes, asking again.
 *
 *               ask               Exit, at the head, not live
 *     waiting ───────▶ asked ──────────────────────────────────▶ ended
 *        ▲              │  ▲ chunk: what is in order is delivered
 *        │              ├──┘
 *        └──────────────┘ connection lost, gap, error answer, HTTP: the poll is over
 *
 * Invariants: the cursor is the last event that the caller has taken; what is asked for comes after
 * it. Callbacks of a pull come only from core_pull_chunk, core_pull_exit and core_pulls_step. */
#include "client/core_internal.h"

#include "base/assert.h"

struct core_pull *core_pull_find(struct client_core *core, uint64_t request_id)
{
    for (struct core_pull *pull = core->pulls; pull != NULL; pull = pull->next) {
        if (pull->request_id == request_id && !pull->cancelled) {
            return pull;
        }
    }
    return NULL;
}

static void remove_pull(struct client_core *core, struct core_pull *pull)
{
    struct core_pull **link = &core->pulls;
    while (*link != pull) {
        SLUICE_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = pull->next;
}

/* It is not with the server any more. */
static void forget_request(struct client_core *core, struct core_pull *pull)
{
    (void)core;
    pull_order_destroy(pull->order);
    pull->order = NULL;
    pull->request_id = 0;
    pull->held_since_ms = 0;
    pull->learning = false;
}

static void end_pull(struct client_core *core, struct core_pull *pull,
                     const struct sluice_failure *failure)
{
    forget_request(core, pull);
    remove_pull(core, pull);
    pull->ended(pull, failure);
}

/* Stops what the server does for it. */
static void interrupt(struct client_core *core, struct core_pull *pull)
{
    if (pull->request_id == 0) {
        return;
    }
    if (!core_polls(core)) {
        core_send_interrupt(core, pull->request_id);
    } else if (core->exchange_id == pull->request_id) {
        core->abandoned = true;
        core->again = true;
    }
    forget_request(core, pull);
}

/* ---- asking ---- */

static void ask(struct client_core *core, struct core_pull *pull)
{
    struct sync_cf_query query = core_query(core);
    bool over_ws = !core_polls(core);
    uint64_t accepted = pull->gap_count >= 2 ? pull->gap_seq_num : 0;
    SLUICE_ASSERT(pull->order == NULL && pull->request_id == 0);
    pull->order = pull_order_create(pull->cursor_seq_num, accepted);
    pull->at_head = pull->at_head && !over_ws;
    uint64_t id = core_request_start(core, over_ws ? "SyncWsRpc.Pull" : "SyncHttpRpc.Pull");
    sync_cf_append_pull(&core->message, &query, pull->cursor_seq_num, over_ws,
                        pull->live && over_ws);
    if (pull->order == NULL || core_request_send(core, id) != SLUICE_OK) {
        forget_request(core, pull);
        pull->not_before_ms = core_after(core->now_ms, core->config->backoff_base_ms);
        return;
    }
    core->pushed_last = false;
    pull->request_id = id;
    pull->learning = pull->cursor_seq_num > 0 && core->backend_id_bytes == 0;
    pull->owed_since_ms = core->now_ms;
}

/* Asks once more from the cursor: what came does not join up with it. Whoever calls has stopped, or
 * stops, the request. */
static void ask_again(struct client_core *core, struct core_pull *pull)
{
    uint64_t gap = pull_order_gap(pull->order);
    pull->gap_count = gap != 0 && gap == pull->gap_seq_num ? pull->gap_count + 1 : 1;
    pull->gap_seq_num = gap;
    pull->at_head = false;
    pull->not_before_ms = core->now_ms;
    if (pull->again_count > 0) {
        pull->not_before_ms = core_wait(core, pull->again_count);
    }
    pull->again_count++;
    core->again = true;
}

/* ---- what comes ---- */

/* Whether the page is of the log that we know; learns which one it is. */
static bool check_backend_id(struct client_core *core, struct core_pull *pull,
                             const struct sluice_page *page)
{
    struct slice theirs = slice_make(page->backend_id.data, page->backend_id.bytes);
    struct slice ours = client_core_backend_id(core);
    if (ours.bytes == 0) {
        core_set_backend_id(core, theirs);
        core->ops->backend_id(core->user, client_core_backend_id(core));
        return true;
    }
    if (slice_equal(ours, theirs)) {
        return true;
    }
    struct sluice_failure failure = core_mismatch(theirs, ours);
    interrupt(core, pull);
    end_pull(core, pull, &failure);
    return false;
}

/* Hands a page to the caller. False: the pull is not to be gone on with. */
static bool deliver(struct client_core *core, struct core_pull *pull,
                    const struct sluice_page *page)
{
    bool no_more = page->info == SLUICE_PAGE_NO_MORE;
    if (!check_backend_id(core, pull, page)) {
        return false;
    }
    bool silent = page->event_count == 0 && (pull->learning || (no_more && pull->told_no_more));
    if (!silent) {
        if (pull->page(pull, page) != SLUICE_OK) {
            interrupt(core, pull);
            pull->not_before_ms = core_wait(core, pull->again_count++);
            return false;
        }
        pull->told_no_more = no_more;
    }
    pull->at_head = no_more;
    pull->waits_since_ms = core->now_ms;
    pull->owed_since_ms = core->now_ms;
    if (page->event_count > 0) {
        pull->cursor_seq_num = page->events[page->event_count - 1].seq_num;
        pull->again_count = 0;
        pull->failure_count = 0;
        pull->held_since_ms = 0;
        if (pull->gap_seq_num <= pull->cursor_seq_num) {
            pull->gap_count = 0;
            pull->gap_seq_num = 0;
        }
    }
    return !pull->cancelled && !core->failing && !core->close_wanted;
}

/* What the page is not in order with comes in time, or is asked for. */
static void mind_gap(struct client_core *core, struct core_pull *pull)
{
    if (!pull_order_has_gap(pull->order)) {
        pull->held_since_ms = 0;
    } else if (pull->held_since_ms == 0) {
        pull->held_since_ms = core->now_ms > 0 ? core->now_ms : 1;
    }
}

/* A page that cannot be read. A fresh connection may bring a better one, but not for ever. */
static void take_nonsense(struct client_core *core, struct core_pull *pull,
                          enum sluice_status status, const struct sluice_error *error)
{
    struct sluice_failure failure = {0};
    bool is_ours = status == SLUICE_NO_MEMORY;
    bool ends = !is_ours && pull->failure_count + 1 >= CORE_PULL_FAILURES_MAX;
    (void)error_set(&failure.error,
                    is_ours ? SLUICE_NO_MEMORY
                    : ends  ? SLUICE_UNKNOWN
                            : SLUICE_OFFLINE,
                    "a page of the server cannot be read: %s", error->message);
    if (ends) {
        interrupt(core, pull);
        end_pull(core, pull, &failure);
        return;
    }
    pull->not_before_ms = core_wait(core, pull->failure_count);
    pull->failure_count += is_ours ? 0 : 1;
    core_fail(core, &failure);
}

/* One value of a Chunk. False: the rest is not wanted. */
static bool take_value(struct client_core *core, struct core_pull *pull, struct slice value)
{
    enum pull_order_verdict verdict;
    struct sluice_page page;
    struct sluice_error error = {0};
    enum sluice_status status = pull_order_take(pull->order, value, &verdict, &page, &error);
    if (status != SLUICE_OK) {
        take_nonsense(core, pull, status, &error);
        return false;
    }
    while (verdict == PULL_ORDER_PAGE) {
        if (!deliver(core, pull, &page)) {
            return false;
        }
        verdict = pull_order_next(pull->order, &page);
    }
    if (verdict == PULL_ORDER_GAP && !core_polls(core)) {
        ask_again(core, pull);
        interrupt(core, pull);
        return false;
    }
    mind_gap(core, pull);
    return true;
}

void core_pull_chunk(struct client_core *core, struct core_pull *pull, struct slice values)
{
    struct json_reader reader;
    struct slice value = SLICE_EMPTY;
    uint64_t id = pull->request_id;
    bool goes_on = true;
    json_reader_init(&reader, values);
    (void)json_enter_array(&reader);
    while (goes_on && json_next_item(&reader) && json_skip(&reader, &value)) {
        goes_on = take_value(core, pull, value);
    }
    if (!goes_on) {
        return;
    }
    if (pull->learning && core->backend_id_bytes > 0) {
        interrupt(core, pull); /* the backend id is known now, so the cursor can be sent */
        core->again = true;
        return;
    }
    if (!core_polls(core)) {
        core_send_ack(core, id);
    }
}

/* An answer that is an error: a live pull tries again a few times. */
static void take_error(struct client_core *core, struct core_pull *pull,
                       const struct rpc_reply *reply)
{
    struct sluice_failure failure = core_failure_of(reply);
    if (failure.error.status == SLUICE_SERVER_AHEAD) {
        (void)error_set(&failure.error, SLUICE_UNKNOWN,
                        "the server answered a pull with ServerAheadError");
    }
    bool passes = reply->kind == RPC_REPLY_INTERRUPTED ||
                  failure.error.status == SLUICE_NO_MEMORY ||
                  (pull->live && failure.error.status == SLUICE_UNKNOWN);
    if (!passes || pull->failure_count + 1 >= CORE_PULL_FAILURES_MAX) {
        end_pull(core, pull, &failure);
        return;
    }
    forget_request(core, pull);
    pull->not_before_ms = core_wait(core, pull->failure_count++);
}

void core_pull_exit(struct client_core *core, struct core_pull *pull, const struct rpc_reply *reply)
{
    if (reply->kind != RPC_REPLY_SUCCESS) {
        take_error(core, pull, reply);
    } else if (pull_order_has_gap(pull->order)) {
        ask_again(core, pull);
        forget_request(core, pull);
    } else if (!pull->live) {
        end_pull(core, pull, NULL);
    } else if (core_polls(core)) {
        forget_request(core, pull);
        pull->failure_count = 0;
        pull->not_before_ms = core_after(core->now_ms, core->config->poll_interval_ms);
    } else { /* a live pull has no end: the server does not mean it, or goes away */
        forget_request(core, pull);
        pull->not_before_ms = core_wait(core, pull->again_count++);
    }
}

/* ---- time ---- */

/* A pull at the head of a WebSocket waits for what others do; any other is owed a page. */
static uint64_t page_deadline_ms(const struct client_core *core, const struct core_pull *pull)
{
    if (core_polls(core) || (pull->live && pull->at_head)) {
        return UINT64_MAX;
    }
    return core_after(pull->owed_since_ms, core->config->request_timeout_ms);
}

static bool gives_up(const struct client_core *core, const struct core_pull *pull)
{
    if (pull->live || pull->internal || core->phase == CORE_UP) {
        return false;
    }
    return core_is_refused(core) ||
           core->now_ms >= core_after(pull->waits_since_ms, core->config->operation_timeout_ms);
}

static void step_pull(struct client_core *core, struct core_pull *pull, bool may_ask)
{
    struct sluice_failure failure = {0};
    if (pull->cancelled) {
        interrupt(core, pull);
        (void)error_set(&failure.error, SLUICE_CLOSED, "the pull was cancelled");
        end_pull(core, pull, &failure);
    } else if (gives_up(core, pull)) {
        failure = core_offline(core);
        end_pull(core, pull, &failure);
    } else if (pull->request_id == 0) {
        if (may_ask && core->now_ms >= pull->not_before_ms) {
            ask(core, pull);
        }
    } else if (core->now_ms >= page_deadline_ms(core, pull)) {
        core_fail_text(core, SLUICE_OFFLINE, "the server owes a page and sends none");
    } else if (!core_polls(core) && pull->held_since_ms > 0 &&
               core->now_ms >= pull->held_since_ms + CORE_GAP_WAIT_MS) {
        ask_again(core, pull);
        interrupt(core, pull);
    }
}

void core_pulls_step(struct client_core *core, bool may_ask)
{
    struct core_pull *next = NULL;
    for (struct core_pull *pull = core->pulls; pull != NULL && !core->failing; pull = next) {
        next = pull->next;
        bool free_to_ask = may_ask && (!core_polls(core) || core->exchange_id == 0);
        step_pull(core, pull, free_to_ask);
    }
}

void core_pulls_lost(struct client_core *core)
{
    for (struct core_pull *pull = core->pulls; pull != NULL; pull = pull->next) {
        if (core_had_worked(core)) {
            pull->waits_since_ms = core->now_ms;
        }
        /* Over HTTP a connection comes and goes between two requests; what was known stays true. */
        pull->at_head = pull->at_head && core_polls(core) && pull->request_id == 0;
        forget_request(core, pull);
    }
}

void core_pulls_close(struct client_core *core)
{
    struct sluice_failure failure = {0};
    (void)error_set(&failure.error, SLUICE_CLOSED, "the client was closed");
    while (core->pulls != NULL) {
        end_pull(core, core->pulls, &failure);
    }
}

uint64_t core_pulls_deadline(const struct client_core *core)
{
    uint64_t deadline = UINT64_MAX;
    for (const struct core_pull *pull = core->pulls; pull != NULL; pull = pull->next) {
        if (pull->request_id == 0 && pull->not_before_ms > core->now_ms) {
            deadline = core_min(deadline, pull->not_before_ms);
        }
        if (pull->request_id != 0) {
            deadline = core_min(deadline, page_deadline_ms(core, pull));
        }
        if (pull->held_since_ms > 0 && !core_polls(core)) {
            deadline = core_min(deadline, pull->held_since_ms + CORE_GAP_WAIT_MS);
        }
        if (!pull->live && !pull->internal && core->phase != CORE_UP) {
            deadline = core_min(
                deadline, core_after(pull->waits_since_ms, core->config->operation_timeout_ms));
        }
    }
    return deadline;
}

void client_core_pull(struct client_core *core, struct core_pull *pull, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    struct core_pull **link = &core->pulls;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    pull->next = NULL;
    pull->waits_since_ms = core->now_ms;
    *link = pull;
    core_settle(core);
}

void client_core_pull_cancel(struct client_core *core, struct core_pull *pull, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    for (struct core_pull *running = core->pulls; running != NULL; running = running->next) {
        if (running == pull) {
            pull->cancelled = true;
            core->again = true;
            core_settle(core);
            return;
        }
    }
}
