/* core_outbox: follows a store with an outbox: pulls live into merge, pushes what is pending.
 *
 *   commit ──▶ outbox ── core_outbox_step: read ──▶ core_push ──▶ server
 *                ▲                                                  │
 *                └── advance (confirm, rebase) ◀── merge ◀── core_pull ◀── events
 *
 * Events are confirmed by the pull alone, as LiveStore does it; a push's acknowledgement only says
 * that they need not be sent again on this connection. Owns one pull and one push, and copies of
 * the events under way. Invariants: one push at a time; it is of the generation that it was read
 * in, or its answer does not count. */
#include "client/core_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "client/merge.h"

struct core_outbox {
    struct core_pull pull; /* first, so that the pull is the outbox */
    struct core_push push;
    struct client_core *core;
    struct outbox *outbox;
    const struct sluice_outbox_callbacks *callbacks;
    void *user;
    struct arena batch; /* the events of the push under way */
    bool pulling;
    bool pushing;
    bool halted;
    bool may_have_pending;
    uint64_t upstream_head;
    uint64_t acknowledged_seq_num; /* need not be pushed again, up to here */
    uint64_t generation;           /* of the push under way */
    uint64_t differs_seq_num;      /* where the log last had something else than what was pending */
    uint64_t push_not_before_ms;
    uint64_t start_not_before_ms;
    unsigned failure_count;
};

static struct core_outbox *outbox_of_push(struct core_push *push)
{
    return (struct core_outbox *)((char *)push - offsetof(struct core_outbox, push));
}

static void tell_failed(const struct core_outbox *outbox, const struct sluice_failure *failure,
                        bool halted)
{
    if (outbox->callbacks->failed != NULL) {
        outbox->callbacks->failed(outbox->user, failure, halted);
    }
}

/* A failure of the outbox's engine; what was to be done is tried again after a while. */
static void tell_storage(struct core_outbox *outbox, const struct sluice_error *error)
{
    struct sluice_failure failure = {.error = *error};
    tell_failed(outbox, &failure, false);
}

/* ---- the log has grown ---- */

static enum sluice_status decide(struct core_outbox *outbox, const struct sluice_page *page,
                                 struct merge_result *result, uint64_t *first_commit_id,
                                 struct sluice_error *error)
{
    struct arena arena;
    struct outbox_batch pending = {0};
    arena_init(&arena, SIZE_MAX / 2);
    enum sluice_status status = outbox->outbox->ops->read(outbox->outbox, 0, page->event_count,
                                                          SIZE_MAX / 4, &arena, &pending, error);
    if (status == SLUICE_OK) {
        struct merge_input input = {.upstream_head = outbox->upstream_head,
                                    .pending = pending.events,
                                    .pending_count = pending.event_count,
                                    .upstream = page->events,
                                    .upstream_count = page->event_count};
        *first_commit_id = pending.first_commit_id;
        status = merge(&input, result, error);
    }
    arena_deinit(&arena);
    return status;
}

static enum sluice_status take_page(struct core_pull *pull, const struct sluice_page *page)
{
    struct core_outbox *outbox = (struct core_outbox *)pull;
    struct merge_result result;
    struct sluice_rebase rebase = {0};
    struct sluice_error error = {0};
    uint64_t first_commit_id = 0;
    outbox->core->again = true; /* at the head, it may push */
    if (page->event_count == 0) {
        return SLUICE_OK;
    }
    enum sluice_status status = decide(outbox, page, &result, &first_commit_id, &error);
    if (status != SLUICE_OK) {
        tell_storage(outbox, &error);
        return status;
    }
    if (outbox->callbacks->advanced != NULL) {
        struct sluice_advance told = {.page = *page,
                                      .confirmed_count = result.confirmed_count,
                                      .first_confirmed_commit_id =
                                          result.confirmed_count > 0 ? first_commit_id : 0,
                                      .rebases = result.rebases};
        outbox->callbacks->advanced(outbox->user, &told);
    }
    struct outbox_advance advance = {.confirmed_count = result.confirmed_count,
                                     .upstream_head = result.upstream_head,
                                     .rebases = result.rebases,
                                     .backend_id = client_core_backend_id(outbox->core)};
    status = outbox->outbox->ops->advance(outbox->outbox, &advance, &rebase, &error);
    if (status != SLUICE_OK) {
        tell_storage(outbox, &error);
        return status;
    }
    outbox->upstream_head = result.upstream_head;
    outbox->push_not_before_ms = 0;
    if (result.rebases) {
        outbox->differs_seq_num = page->events[result.confirmed_count].seq_num;
    }
    if (result.rebases || outbox->acknowledged_seq_num < outbox->upstream_head) {
        outbox->acknowledged_seq_num = outbox->upstream_head;
    }
    if (rebase.count > 0 && outbox->callbacks->rebased != NULL) {
        outbox->callbacks->rebased(outbox->user, &rebase);
    }
    return SLUICE_OK;
}

static void pull_ended(struct core_pull *pull, const struct sluice_failure *failure)
{
    struct core_outbox *outbox = (struct core_outbox *)pull;
    outbox->pulling = false;
    outbox->core->again = true;
    if (failure == NULL || failure->error.status == SLUICE_CLOSED) {
        return; /* it was closed, or is started anew */
    }
    outbox->halted = failure->error.status == SLUICE_BACKEND_ID_MISMATCH;
    outbox->start_not_before_ms = core_wait(outbox->core, outbox->failure_count++);
    tell_failed(outbox, failure, outbox->halted);
}

/* ---- pushing ---- */

static void halt(struct core_outbox *outbox, const struct sluice_failure *failure)
{
    outbox->halted = true;
    if (outbox->pulling) {
        client_core_pull_cancel(outbox->core, &outbox->pull, outbox->core->now_ms);
    }
    tell_failed(outbox, failure, true);
}

/* Whether the server has acknowledged an event, but gives another one in its place: it changes what
 * it stores (the reference server reads args as JavaScript numbers). Such an event would be rebased
 * and pushed again without end. */
static bool is_changed_by_server(const struct core_outbox *outbox,
                                 const struct sluice_push_result *result)
{
    const struct sluice_event *events = outbox->push.events;
    return outbox->differs_seq_num >= events[0].seq_num &&
           outbox->differs_seq_num <= events[result->acknowledged_count - 1].seq_num;
}

static void push_failed(struct core_outbox *outbox, const struct sluice_failure *failure)
{
    struct client_core *core = outbox->core;
    switch (failure->error.status) {
    case SLUICE_CLOSED:
        return;
    case SLUICE_SERVER_AHEAD:
        /* The pull brings what we lack, and take_page tries again at once. Should it have done so
         * already, there is nothing to wait for. */
        if (outbox->upstream_head < failure->minimum_expected_seq_num ||
            outbox->failure_count > 0) {
            outbox->push_not_before_ms = core_wait(core, outbox->failure_count + 2);
        }
        if (++outbox->failure_count >= CORE_AHEAD_TOLD_AT) {
            tell_failed(outbox, failure, false); /* it may be a log that was restored from a copy */
        }
        return;
    case SLUICE_BACKEND_ID_MISMATCH:
        halt(outbox, failure);
        return;
    default:
        outbox->push_not_before_ms = core_wait(core, outbox->failure_count++);
        tell_failed(outbox, failure, false);
        return;
    }
}

static void push_done(struct core_push *push, const struct sluice_push_result *result)
{
    struct core_outbox *outbox = outbox_of_push(push);
    struct outbox_state state;
    outbox->pushing = false;
    outbox->core->again = true;
    if (result->acknowledged_count > 0) {
        uint64_t last = push->events[result->acknowledged_count - 1].seq_num;
        bool current = outbox->outbox->ops->state(outbox->outbox, &state, NULL) == SLUICE_OK &&
                       state.generation == outbox->generation;
        if (!current && is_changed_by_server(outbox, result)) {
            struct sluice_failure failure = {0};
            (void)error_set(&failure.error, SLUICE_INVALID,
                            "the server stores event %llu otherwise than it was pushed: are there "
                            "args that it cannot keep, such as numbers past 2^53?",
                            (unsigned long long)outbox->differs_seq_num);
            halt(outbox, &failure);
            return;
        }
        if (current && last > outbox->acknowledged_seq_num) {
            outbox->acknowledged_seq_num = last;
        }
        if (core_polls(outbox->core) && outbox->pulling) {
            outbox->pull.not_before_ms = outbox->core->now_ms; /* to hear that they are confirmed */
        }
    }
    if (result->failure == NULL) {
        outbox->failure_count = 0;
    } else {
        push_failed(outbox, result->failure);
    }
}

static void push_pending(struct core_outbox *outbox)
{
    struct client_core *core = outbox->core;
    struct outbox_batch batch = {0};
    struct sluice_error error = {0};
    arena_deinit(&outbox->batch);
    enum sluice_status status = outbox->outbox->ops->read(
        outbox->outbox, outbox->acknowledged_seq_num, CORE_PUSH_EVENTS_MAX, CORE_PUSH_BYTES_MAX,
        &outbox->batch, &batch, &error);
    if (status != SLUICE_OK) {
        outbox->push_not_before_ms = core_wait(core, outbox->failure_count++);
        tell_storage(outbox, &error);
        return;
    }
    if (batch.event_count == 0) {
        outbox->may_have_pending = false;
        return;
    }
    outbox->generation = batch.generation;
    outbox->pushing = true;
    outbox->push = (struct core_push){.events = batch.events,
                                      .event_count = batch.event_count,
                                      .done = push_done,
                                      .internal = true};
    client_core_push(core, &outbox->push, core->now_ms);
}

/* ---- starting ---- */

static void start_pull(struct core_outbox *outbox)
{
    struct client_core *core = outbox->core;
    struct outbox_state state;
    struct sluice_error error = {0};
    if (outbox->outbox->ops->state(outbox->outbox, &state, &error) != SLUICE_OK) {
        outbox->start_not_before_ms = core_wait(core, outbox->failure_count++);
        tell_storage(outbox, &error);
        return;
    }
    core_set_backend_id(core, slice_make(state.backend_id, state.backend_id_bytes));
    outbox->upstream_head = state.upstream_head;
    outbox->acknowledged_seq_num = state.upstream_head;
    outbox->may_have_pending = true;
    outbox->pulling = true;
    outbox->pull = (struct core_pull){.cursor_seq_num = state.upstream_head,
                                      .live = true,
                                      .page = take_page,
                                      .ended = pull_ended,
                                      .internal = true};
    client_core_pull(core, &outbox->pull, core->now_ms);
}

static bool may_push(const struct core_outbox *outbox)
{
    return outbox->pulling && !outbox->pushing && outbox->may_have_pending &&
           outbox->pull.at_head && (core_polls(outbox->core) || outbox->core->phase == CORE_UP);
}

void core_outbox_step(struct client_core *core)
{
    struct core_outbox *outbox = core->outbox;
    if (outbox == NULL || outbox->halted) {
        return;
    }
    if (!outbox->pulling && core->now_ms >= outbox->start_not_before_ms) {
        start_pull(outbox);
    }
    if (may_push(outbox) && core->now_ms >= outbox->push_not_before_ms) {
        push_pending(outbox);
    }
}

void core_outbox_lost(struct client_core *core)
{
    if (core->outbox != NULL) {
        core->outbox->acknowledged_seq_num = core->outbox->upstream_head;
        core->outbox->may_have_pending = true;
    }
}

uint64_t core_outbox_deadline(const struct client_core *core)
{
    const struct core_outbox *outbox = core->outbox;
    if (outbox == NULL || outbox->halted) {
        return UINT64_MAX;
    }
    if (!outbox->pulling) {
        return outbox->start_not_before_ms;
    }
    return may_push(outbox) ? outbox->push_not_before_ms : UINT64_MAX;
}

void core_outbox_destroy(struct client_core *core)
{
    if (core->outbox != NULL) {
        SLUICE_ASSERT(!core->outbox->pulling && !core->outbox->pushing);
        arena_deinit(&core->outbox->batch);
        free(core->outbox);
        core->outbox = NULL;
    }
}

enum sluice_status client_core_attach_outbox(struct client_core *core, struct outbox *engine,
                                             const struct sluice_outbox_callbacks *callbacks,
                                             void *user, uint64_t now_ms)
{
    SLUICE_ASSERT(core->outbox == NULL);
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    struct core_outbox *outbox = malloc(sizeof(*outbox));
    if (outbox == NULL) {
        return SLUICE_NO_MEMORY;
    }
    *outbox =
        (struct core_outbox){.core = core, .outbox = engine, .callbacks = callbacks, .user = user};
    arena_init(&outbox->batch, SIZE_MAX / 2);
    core->outbox = outbox;
    core_settle(core);
    return SLUICE_OK;
}

void client_core_outbox_grew(struct client_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    if (core->outbox != NULL) {
        core->outbox->may_have_pending = true;
    }
    core_settle(core);
}

enum sluice_status client_core_outbox_reset(struct client_core *core, uint64_t now_ms,
                                            struct sluice_error *error)
{
    struct core_outbox *outbox = core->outbox;
    struct sluice_rebase rebase = {0};
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    SLUICE_ASSERT(outbox != NULL);
    enum sluice_status status = outbox->outbox->ops->reset(outbox->outbox, &rebase, error);
    if (status != SLUICE_OK) {
        return status;
    }
    outbox->halted = false;
    outbox->differs_seq_num = 0;
    outbox->push.withdrawn = true; /* its numbers mean something else in another log */
    outbox->start_not_before_ms = 0;
    outbox->push_not_before_ms = 0;
    if (outbox->pulling) { /* begins anew when that has ended */
        client_core_pull_cancel(core, &outbox->pull, core->now_ms);
    }
    if (rebase.count > 0 && outbox->callbacks->rebased != NULL) {
        outbox->callbacks->rebased(outbox->user, &rebase);
    }
    core_settle(core);
    return SLUICE_OK;
}
