/* client_core: see client_core.h. This file: inputs, the connection's states, pings and deadlines.
 *
 *     CORE_DOWN ── wanted, and due ──▶ CORE_OPENING ── client_core_opened ──▶ CORE_SHAKING
 *         ▲                                                                       │ handshake done
 *         │                                                                       ▼
 *         └── give_up, from any of the others: failure, silence, time-out ──── CORE_UP
 *
 * Over HTTP client_core_opened leads straight to CORE_UP. After give_up the next attempt waits.
 *
 * Owns the wires and the scratch buffers; requests are their callers'. One thread at a time.
 * Invariants: while `busy`, nothing that a caller up the stack works on is freed: failures, closing
 * and cancelling are noted and done by core_settle. */
#include "client/core_internal.h"

#include <stdlib.h>

#include "base/assert.h"

struct client_core *client_core_create(const struct client_core_config *config,
                                       const struct client_core_ops *ops, void *user)
{
    struct client_core *core = malloc(sizeof(*core));
    if (core == NULL) {
        return NULL;
    }
    *core = (struct client_core){.config = config, .ops = ops, .user = user};
    backoff_init(&core->backoff, config->backoff_base_ms, config->backoff_cap_ms);
    buffer_init(&core->message, CORE_OUTPUT_BYTES_MAX);
    buffer_init(&core->output, CORE_OUTPUT_BYTES_MAX + 65536);
    SLUICE_ASSERT(config->backend_id.bytes <= sizeof(core->backend_id));
    if (config->backend_id.bytes > 0) {
        memcpy(core->backend_id, config->backend_id.data, config->backend_id.bytes);
        core->backend_id_bytes = config->backend_id.bytes;
    }
    return core;
}

static void drop_wire(struct client_core *core)
{
    if (core->wire_ready && core_polls(core)) {
        wire_http_deinit(&core->http);
    } else if (core->wire_ready) {
        wire_ws_deinit(&core->ws);
    }
    core->wire_ready = false;
}

void client_core_destroy(struct client_core *core)
{
    if (core == NULL) {
        return;
    }
    SLUICE_ASSERT(core->closed && !core->busy);
    drop_wire(core);
    core_outbox_destroy(core);
    buffer_deinit(&core->message);
    buffer_deinit(&core->output);
    free(core);
}

bool core_polls(const struct client_core *core)
{
    return core->config->url->polls;
}

uint64_t core_random(struct client_core *core)
{
    uint64_t random = 0;
    core->ops->random(core->user, &random, sizeof(random));
    return random;
}

uint64_t core_wait(struct client_core *core, unsigned failure_count)
{
    struct backoff backoff;
    backoff_init(&backoff, core->config->backoff_base_ms, core->config->backoff_cap_ms);
    backoff.failure_count = failure_count;
    return core_after(core->now_ms, backoff_next_ms(&backoff, core_random(core), 0));
}

bool core_had_worked(const struct client_core *core)
{
    return core->backoff.failure_count <= 1; /* give_up has counted this one */
}

bool core_is_refused(const struct client_core *core)
{
    return core->phase == CORE_DOWN && core->has_last_failure &&
           core->last_failure.error.status == SLUICE_UNAUTHORIZED;
}

struct sluice_failure core_offline(const struct client_core *core)
{
    struct sluice_failure failure = {0};
    if (core->has_last_failure) {
        return core->last_failure;
    }
    (void)error_set(&failure.error, SLUICE_OFFLINE, "no connection to %s yet",
                    core->config->url->host);
    return failure;
}

void core_set_backend_id(struct client_core *core, struct slice backend_id)
{
    SLUICE_ASSERT(backend_id.bytes <= sizeof(core->backend_id));
    if (backend_id.bytes > 0) {
        memcpy(core->backend_id, backend_id.data, backend_id.bytes);
    }
    core->backend_id_bytes = backend_id.bytes;
}

static void tell_connection(struct client_core *core, bool connected,
                            const struct sluice_failure *failure, uint64_t retry_in_ms)
{
    core->connected = connected;
    struct sluice_connection connection = {
        .connected = connected, .failure = failure, .retry_in_ms = retry_in_ms};
    core->ops->connection(core->user, &connection);
}

/* ---- pings ---- */

/* Takes the first ping off the list and tells it. */
static void end_ping(struct client_core *core, const struct sluice_failure *failure)
{
    struct core_ping *ping = core->pings;
    core->pings = ping->next;
    uint64_t took_ms = failure == NULL && ping->sent ? core->now_ms - ping->sent_ms : 0;
    ping->done(ping, failure, took_ms);
}

static void end_pings(struct client_core *core, const struct sluice_failure *failure)
{
    struct core_ping *last = core->pings;
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    /* Those that are asked for meanwhile are not meant. */
    for (bool more = last != NULL; more;) {
        more = core->pings != last;
        end_ping(core, failure);
    }
}

void core_pong(struct client_core *core)
{
    core->ping_sent = false;
    core->ping_id = 0;
    while (core->pings != NULL && core->pings->sent) {
        end_ping(core, NULL);
    }
}

static void ping_now(struct client_core *core)
{
    if (!core_polls(core)) {
        core_send_ping(core);
    } else {
        struct sync_cf_query query = core_query(core);
        core->ping_id = core_request_start(core, "SyncHttpRpc.Ping");
        sync_cf_append_ping(&core->message, &query);
        if (core_request_send(core, core->ping_id) != SLUICE_OK) {
            core->ping_id = 0;
            core_fail_text(core, SLUICE_NO_MEMORY, "out of memory for a ping");
        }
    }
    core->ping_sent = true;
    core->ping_sent_ms = core->now_ms;
    for (struct core_ping *ping = core->pings; ping != NULL; ping = ping->next) {
        if (!ping->sent) {
            ping->sent = true;
            ping->sent_ms = core->now_ms;
        }
    }
}

/* When a ping is due: after so much silence that its answer, or the lack of it, is known within the
 * interval. */
static uint64_t ping_due_ms(const struct client_core *core)
{
    bool unsent = false;
    for (const struct core_ping *ping = core->pings; ping != NULL; ping = ping->next) {
        unsent = unsent || !ping->sent;
    }
    if (unsent) {
        return core->now_ms;
    }
    if (core->ping_sent || (core_polls(core) && !core->keep)) {
        return UINT64_MAX;
    }
    return core_after(core->heard_ms,
                      core->config->ping_interval_ms - core->config->ping_timeout_ms);
}

/* When the silence counts as the end: of a WebSocket after the interval, of an exchange when its
 * answer is overdue. */
static uint64_t silence_deadline_ms(const struct client_core *core)
{
    if (!core_polls(core)) {
        return core_after(core->heard_ms, core->config->ping_interval_ms);
    }
    if (core->exchange_id == 0) {
        return UINT64_MAX;
    }
    return core_after(core->heard_ms, core->ping_id != 0 ? core->config->ping_timeout_ms
                                                         : core->config->request_timeout_ms);
}

/* A ping whose answer is overdue although other things come. */
static uint64_t ping_deadline_ms(const struct client_core *core)
{
    if (core->pings == NULL || !core->pings->sent) {
        return UINT64_MAX;
    }
    return core_after(core->pings->sent_ms, core->config->ping_timeout_ms);
}

static void pings_step(struct client_core *core, bool may_ask)
{
    if (core->now_ms >= ping_deadline_ms(core)) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, SLUICE_OFFLINE, "no answer to a ping within %llu ms",
                        (unsigned long long)core->config->ping_timeout_ms);
        end_ping(core, &failure);
        core->again = true;
    }
    if (may_ask && core->now_ms >= ping_due_ms(core)) {
        ping_now(core);
    }
}

/* ---- the connection ---- */

static bool is_wanted(const struct client_core *core)
{
    if (core_polls(core)) {
        for (const struct core_pull *pull = core->pulls; pull != NULL; pull = pull->next) {
            if (core->now_ms >= pull->not_before_ms) {
                return true;
            }
        }
        return core->pushes != NULL || core->pings != NULL ||
               (core->keep && core->now_ms >= ping_due_ms(core));
    }
    return core->keep || core->pings != NULL || core->pulls != NULL || core->pushes != NULL;
}

void core_fail(struct client_core *core, const struct sluice_failure *failure)
{
    if (!core->failing && core->phase != CORE_DOWN) {
        core->failing = true;
        core->failure = *failure;
    }
    core->again = true;
}

void core_fail_text(struct client_core *core, enum sluice_status status, const char *text)
{
    struct sluice_failure failure = {0};
    (void)error_set(&failure.error, status, "%s", text);
    core_fail(core, &failure);
}

/* The connection is over: nothing is with the server any more. */
static void go_down(struct client_core *core)
{
    if (!core->lost) {
        core->ops->shut(core->user);
    }
    drop_wire(core);
    core->phase = CORE_DOWN;
    core->failing = false;
    core->lost = false;
    core->ping_sent = false;
    core->ping_id = 0;
    core->exchange_id = 0;
    core->abandoned = false;
    core->reused = false;
    core_pulls_lost(core);
    core_pushes_lost(core);
    core_outbox_lost(core);
    for (struct core_ping *ping = core->pings; ping != NULL; ping = ping->next) {
        ping->sent = false;
    }
}

static void give_up(struct client_core *core)
{
    struct sluice_failure failure = core->failure;
    uint64_t wait_ms = backoff_next_ms(&core->backoff, core_random(core), failure.retry_after_ms);
    go_down(core);
    core->last_failure = failure;
    core->has_last_failure = true;
    core->retry_at_ms = core_after(core->now_ms, wait_ms);
    tell_connection(core, false, &failure, wait_ms);
    end_pings(core, &failure);
}

/* An HTTP connection ended between two exchanges, or as the next one began: that is no failure. */
static bool is_idle_end(const struct client_core *core)
{
    return core_polls(core) && core->phase == CORE_UP &&
           (core->exchange_id == 0 || (core->reused && !core->http.heard));
}

void core_came_up(struct client_core *core)
{
    if (!core->connected) {
        tell_connection(core, true, NULL, 0);
    }
    while (core->pings != NULL && core->pings->is_connect) {
        end_ping(core, NULL);
    }
}

/* A connection that stands proves little: only an answer starts the waiting times anew, or a server
 * that accepts and closes at once would be asked without end. */
void core_worked(struct client_core *core)
{
    backoff_reset(&core->backoff);
    core->has_last_failure = false;
    core_came_up(core);
}

void client_core_opened(struct client_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    SLUICE_ASSERT(!core->busy);
    if (core->phase != CORE_OPENING) {
        return; /* it was shut meanwhile */
    }
    core->busy = true;
    if (core_polls(core)) {
        wire_http_init(&core->http, core->config->message_bytes_max);
        core->wire_ready = true;
        core->phase = CORE_UP; /* connected is told when an exchange has succeeded */
        core->heard_ms = core->now_ms;
    } else if (core_start_ws(core)) {
        core->phase = CORE_SHAKING;
    } else {
        core_fail_text(core, SLUICE_NO_MEMORY, "out of memory for the WebSocket handshake");
    }
    core->busy = false;
    core_settle(core);
}

void client_core_bytes(struct client_core *core, char *data, size_t bytes, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    SLUICE_ASSERT(!core->busy);
    if (core->phase != CORE_SHAKING && core->phase != CORE_UP) {
        return;
    }
    core->busy = true;
    core_feed(core, data, bytes);
    core->busy = false;
    core_settle(core);
}

void client_core_closed(struct client_core *core, const struct sluice_error *why, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    if (core->phase == CORE_DOWN) {
        return;
    }
    bool was_busy = core->busy;
    core->busy = true;
    if (!was_busy && why == NULL && core_polls(core) && core->phase == CORE_UP) {
        core_feed_end(core); /* an answer may end with its connection */
    }
    if (!core->failing && why == NULL && is_idle_end(core)) {
        core->lost = true;
        go_down(core);
        core->retry_at_ms = core->now_ms;
    } else if (!core->failing) {
        struct sluice_failure failure = {0};
        if (why != NULL) {
            failure.error = *why;
        } else {
            (void)error_set(&failure.error, SLUICE_OFFLINE, "the server ended the connection");
        }
        core_fail(core, &failure);
        core->lost = true;
    } else {
        core->lost = true;
    }
    core->busy = was_busy;
    core_settle(core);
}

/* ---- time ---- */

static void open_when_due(struct client_core *core)
{
    if (core->phase == CORE_DOWN && core->now_ms >= core->retry_at_ms && is_wanted(core)) {
        core->phase = CORE_OPENING;
        core->phase_deadline_ms = core_after(core->now_ms, core->config->connect_timeout_ms);
        core->ops->open(core->user);
    }
}

/* When an answer over HTTP is so late that nobody can say that there is a connection. The request
 * goes on; its answer, or silence_deadline_ms, decides. */
static uint64_t doubt_deadline_ms(const struct client_core *core)
{
    bool is_owed = core_polls(core) && core->exchange_id != 0;
    return is_owed && core->connected ? core_after(core->heard_ms, core->config->ping_interval_ms)
                                      : UINT64_MAX;
}

static void check_connection(struct client_core *core)
{
    bool opening = core->phase == CORE_OPENING || core->phase == CORE_SHAKING;
    if (opening && core->now_ms >= core->phase_deadline_ms) {
        core_fail_text(core, SLUICE_OFFLINE,
                       core->phase == CORE_OPENING
                           ? "the connection could not be opened in time"
                           : "the server did not answer the WebSocket handshake in time");
    } else if (core->phase == CORE_UP && core->now_ms >= silence_deadline_ms(core)) {
        core_fail_text(core, SLUICE_OFFLINE, "nothing was heard from the server in time");
    } else if (core->phase == CORE_UP && core->now_ms >= doubt_deadline_ms(core)) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, SLUICE_OFFLINE,
                        "the server has not answered for %llu ms; it still may",
                        (unsigned long long)core->config->ping_interval_ms);
        tell_connection(core, false, &failure, 0);
    }
}

static void close_now(struct client_core *core)
{
    struct sluice_failure failure = {0};
    (void)error_set(&failure.error, SLUICE_CLOSED, "the client was closed");
    core->closed = true;
    if (core->phase != CORE_DOWN) {
        go_down(core);
    }
    if (core->connected) {
        tell_connection(core, false, NULL, 0);
    }
    end_pings(core, &failure);
    core_pulls_close(core);
    core_pushes_close(core);
}

static void step(struct client_core *core)
{
    if (core->close_wanted) {
        if (!core->closed || core->pings != NULL || core->pulls != NULL || core->pushes != NULL) {
            close_now(core);
        }
        return;
    }
    if (core->failing) {
        give_up(core);
    }
    if (core->abandoned) {
        core_drop_http(core);
    }
    check_connection(core);
    if (core->failing) {
        core->again = true;
        return;
    }
    core_outbox_step(core);
    open_when_due(core);
    bool up = core->phase == CORE_UP;
    /* Over HTTP there is one exchange at a time, so pushes and pulls take turns. */
    if (core->pushed_last) {
        core_pulls_step(core, up && (!core_polls(core) || core->exchange_id == 0));
        core_pushes_step(core, up && (!core_polls(core) || core->exchange_id == 0));
    } else {
        core_pushes_step(core, up && (!core_polls(core) || core->exchange_id == 0));
        core_pulls_step(core, up && (!core_polls(core) || core->exchange_id == 0));
    }
    pings_step(core, up && (!core_polls(core) || core->exchange_id == 0));
}

void core_settle(struct client_core *core)
{
    if (core->busy) {
        core->again = true;
        return;
    }
    core->busy = true;
    do {
        core->again = false;
        step(core);
    } while (core->again || core->failing);
    core->busy = false;
}

void client_core_time(struct client_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    core_settle(core);
}

uint64_t client_core_deadline_ms(const struct client_core *core)
{
    if (core->close_wanted) {
        return UINT64_MAX;
    }
    uint64_t deadline = core_min(core_pulls_deadline(core), core_pushes_deadline(core));
    deadline = core_min(deadline, core_outbox_deadline(core));
    switch (core->phase) {
    case CORE_DOWN:
        if (is_wanted(core)) {
            deadline = core_min(deadline, core->retry_at_ms);
        } else if (core->keep) {
            deadline = core_min(deadline, ping_due_ms(core));
        }
        break;
    case CORE_OPENING:
    case CORE_SHAKING:
        deadline = core_min(deadline, core->phase_deadline_ms);
        break;
    case CORE_UP:
        deadline = core_min(deadline, silence_deadline_ms(core));
        deadline = core_min(deadline, doubt_deadline_ms(core));
        deadline = core_min(deadline, ping_deadline_ms(core));
        if (!core_polls(core) || core->exchange_id == 0) {
            deadline = core_min(deadline, ping_due_ms(core));
        }
        break;
    }
    return deadline;
}

/* ---- the rest ---- */

void client_core_close(struct client_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    core->close_wanted = true;
    core_settle(core);
}

bool client_core_is_connected(const struct client_core *core)
{
    return core->connected;
}

struct slice client_core_backend_id(const struct client_core *core)
{
    return slice_make(core->backend_id, core->backend_id_bytes);
}

void client_core_ping(struct client_core *core, struct core_ping *ping, uint64_t now_ms)
{
    core->now_ms = now_ms > core->now_ms ? now_ms : core->now_ms;
    ping->next = NULL;
    ping->sent = false;
    core->keep = core->keep || ping->is_connect;
    struct core_ping **link = &core->pings;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = ping;
    core_settle(core);
}
