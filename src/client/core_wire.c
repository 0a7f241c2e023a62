/* core_wire: messages to and from the two transports, and who gets them.
 *
 *     bytes ──▶ wire_ws or wire_http ──▶ messages ──▶ effect_rpc_client ──▶ core_pull, core_push,
 *                                                                           pings
 *
 * Runs inside of the core's inputs. After each message it is asked whether the connection is still
 * wanted, for what a message says may end it. */
#include "base/assert.h"
#include "client/core_internal.h"

static struct wire_request wire_request_of(const struct client_core *core)
{
    return (struct wire_request){.url = core->config->url,
                                 .store_id = core->config->store_id,
                                 .payload = core->config->payload,
                                 .headers = core->config->headers,
                                 .header_count = core->config->header_count};
}

struct sync_cf_query core_query(const struct client_core *core)
{
    return (struct sync_cf_query){.store_id = core->config->store_id,
                                  .payload = core->config->payload,
                                  .backend_id = client_core_backend_id(core)};
}

/* ---- out ---- */

/* Sends what is in `output`; empties it when it has grown large. */
static enum sluice_status flush(struct client_core *core)
{
    enum sluice_status status = buffer_status(&core->output);
    if (status == SLUICE_OK) {
        core->ops->send(core->user, buffer_slice(&core->output));
    }
    if (core->output.capacity > 65536) {
        buffer_deinit(&core->output);
    }
    buffer_clear(&core->output);
    return status;
}

bool core_start_ws(struct client_core *core)
{
    uint8_t random[WS_NONCE_BYTES];
    struct wire_request request = wire_request_of(core);
    core->ops->random(core->user, random, sizeof(random));
    wire_ws_init(&core->ws, &request, random, core->config->message_bytes_max, &core->output);
    core->wire_ready = true;
    return flush(core) == SLUICE_OK;
}

static enum sluice_status send_ws(struct client_core *core, struct slice text)
{
    uint8_t mask[4];
    core->ops->random(core->user, mask, sizeof(mask));
    wire_ws_append_text(&core->output, text, mask);
    return flush(core);
}

/* Small messages; without memory for them the connection is of no use. */
static void send_or_fail(struct client_core *core, struct slice text)
{
    if (send_ws(core, text) != SLUICE_OK) {
        core_fail_text(core, SLUICE_NO_MEMORY, "out of memory for a message");
    }
}

void core_send_ping(struct client_core *core)
{
    send_or_fail(core, SLICE(RPC_PING_MESSAGE));
}

static void send_message(struct client_core *core)
{
    if (buffer_status(&core->message) != SLUICE_OK) {
        core_fail_text(core, SLUICE_NO_MEMORY, "out of memory for a message");
        return;
    }
    send_or_fail(core, buffer_slice(&core->message));
}

void core_send_ack(struct client_core *core, uint64_t request_id)
{
    buffer_clear(&core->message);
    rpc_append_ack(&core->message, request_id);
    send_message(core);
}

void core_send_interrupt(struct client_core *core, uint64_t request_id)
{
    buffer_clear(&core->message);
    rpc_append_interrupt(&core->message, request_id);
    send_message(core);
}

uint64_t core_request_start(struct client_core *core, const char *procedure)
{
    uint64_t id = ++core->last_request_id;
    buffer_clear(&core->message);
    rpc_append_request_start(&core->message, id, procedure);
    return id;
}

static enum sluice_status send_http(struct client_core *core, uint64_t id)
{
    struct wire_request request = wire_request_of(core);
    SLUICE_ASSERT(core->exchange_id == 0);
    wire_http_start(&core->http, &request, core->message.bytes, &core->output);
    buffer_append_slice(&core->output, buffer_slice(&core->message));
    enum sluice_status status = flush(core);
    if (status == SLUICE_OK) {
        core->exchange_id = id;
        core->exchange_exited = false;
        core->heard_ms = core->now_ms;
    }
    return status;
}

enum sluice_status core_request_send(struct client_core *core, uint64_t id)
{
    buffer_append_literal(&core->message, RPC_REQUEST_END);
    enum sluice_status status = buffer_status(&core->message);
    if (status == SLUICE_OK) {
        status =
            core_polls(core) ? send_http(core, id) : send_ws(core, buffer_slice(&core->message));
    }
    if (core->message.capacity > 65536) {
        buffer_deinit(&core->message);
    }
    buffer_clear(&core->message);
    return status;
}

/* ---- in ---- */

static void keep_backend_id(char out[SLUICE_BACKEND_ID_BYTES_MAX + 1], struct slice backend_id)
{
    size_t bytes = backend_id.bytes < SLUICE_BACKEND_ID_BYTES_MAX ? backend_id.bytes
                                                                  : SLUICE_BACKEND_ID_BYTES_MAX;
    if (bytes > 0) {
        memcpy(out, backend_id.data, bytes);
    }
    out[bytes] = '\0';
}

struct sluice_failure core_mismatch(struct slice theirs, struct slice ours)
{
    struct sluice_failure failure = {0};
    keep_backend_id(failure.expected_backend_id, theirs);
    keep_backend_id(failure.received_backend_id, ours);
    (void)error_set(&failure.error, SLUICE_BACKEND_ID_MISMATCH,
                    "the store's log is another one ('%s') than ours ('%s'): start again without a "
                    "cursor",
                    failure.expected_backend_id, failure.received_backend_id);
    return failure;
}

struct sluice_failure core_failure_of(const struct rpc_reply *reply)
{
    struct sluice_failure failure = {0};
    struct sync_cf_error error;
    struct arena arena;
    if (reply->kind != RPC_REPLY_FAIL) {
        (void)error_set(&failure.error, SLUICE_UNKNOWN,
                        "the server could not handle the request: %.*s", SLICE_PRINT(reply->body));
        return failure;
    }
    arena_init(&arena, 4 * reply->body.bytes + 65536);
    if (sync_cf_decode_error(reply->body, &arena, &error) != SLUICE_OK) {
        (void)error_set(&failure.error, SLUICE_NO_MEMORY, "out of memory for the server's error");
    } else if (error.status == SLUICE_SERVER_AHEAD) {
        failure.minimum_expected_seq_num = error.minimum_expected;
        failure.provided_seq_num = error.provided;
        (void)error_set(
            &failure.error, error.status,
            "the store's head is %llu, the push's parent %llu: pull, renumber, push again",
            (unsigned long long)error.minimum_expected, (unsigned long long)error.provided);
    } else if (error.status == SLUICE_BACKEND_ID_MISMATCH) {
        failure = core_mismatch(error.expected, error.received);
    } else {
        (void)error_set(&failure.error, SLUICE_UNKNOWN, "the server answered: %.*s",
                        SLICE_PRINT(error.text));
    }
    arena_deinit(&arena);
    return failure;
}

static void take_defect(struct client_core *core, const struct rpc_reply *reply)
{
    struct sluice_failure failure = {0};
    (void)error_set(&failure.error, SLUICE_OFFLINE, "the server could not handle a message: %.*s",
                    SLICE_PRINT(reply->body));
    core_push_defect(core, reply->body, false);
    core_fail(core, &failure);
}

static void take_exit(struct client_core *core, const struct rpc_reply *reply)
{
    if (reply->id == core->exchange_id) {
        core->exchange_exited = true;
    }
    struct core_pull *pull = core_pull_find(core, reply->id);
    if (pull != NULL) {
        core_pull_exit(core, pull, reply);
    } else if (core_push_is(core, reply->id)) {
        core_push_exit(core, reply);
    } else if (reply->id == core->ping_id && reply->kind == RPC_REPLY_SUCCESS) {
        core_pong(core);
    } else if (reply->id == core->ping_id) {
        struct sluice_failure failure = core_failure_of(reply);
        core_fail(core, &failure);
    }
}

/* A page that cannot be read is no success: it comes again with the next connection. */
static void take_chunk(struct client_core *core, const struct rpc_reply *reply)
{
    core_came_up(core);
    if (reply->has_id && reply->id != 0) {
        struct core_pull *pull = core_pull_find(core, reply->id);
        if (pull != NULL) { /* else of a pull that is over */
            core_pull_chunk(core, pull, reply->body);
        }
    }
    if (!core->failing) {
        core_worked(core);
    }
}

static void take_reply(struct client_core *core, const struct rpc_reply *reply)
{
    switch (reply->kind) {
    case RPC_REPLY_INVALID: {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, SLUICE_OFFLINE, "the server sent nonsense: %s",
                        reply->problem);
        core_fail(core, &failure);
        return;
    }
    case RPC_REPLY_DEFECT:
        take_defect(core, reply);
        return;
    case RPC_REPLY_OTHER:
        return;
    case RPC_REPLY_PONG:
        core_worked(core);
        core_pong(core);
        return;
    case RPC_REPLY_CHUNK:
        take_chunk(core, reply);
        return;
    default:
        core_worked(core);
        if (reply->has_id && reply->id != 0) {
            take_exit(core, reply);
        }
        return;
    }
}

static bool goes_on(const struct client_core *core)
{
    return !core->failing && !core->close_wanted && !core->abandoned;
}

static void take_frame(struct client_core *core, struct slice text)
{
    struct rpc_frame frame;
    struct rpc_reply reply;
    struct sluice_error error = {0};
    if (rpc_frame_open(&frame, text, &error) != SLUICE_OK) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error,
                        error.status == SLUICE_NO_MEMORY ? SLUICE_NO_MEMORY : SLUICE_OFFLINE,
                        "the server sent nonsense: %s", error.message);
        core_fail(core, &failure);
        return;
    }
    while (goes_on(core) && rpc_reply_next(&frame, &reply)) {
        take_reply(core, &reply);
    }
}

static void feed_ws(struct client_core *core, char *data, size_t bytes)
{
    uint8_t mask[4];
    core->heard_ms = core->now_ms;
    while (goes_on(core)) {
        core->ops->random(core->user, mask, sizeof(mask));
        switch (wire_ws_feed(&core->ws, &data, &bytes, &core->output, mask)) {
        case WIRE_WS_NEED_MORE:
            return;
        case WIRE_WS_OPEN:
            core->phase = CORE_UP;
            core_came_up(core);
            break;
        case WIRE_WS_TEXT:
            take_frame(core, core->ws.text);
            break;
        case WIRE_WS_PING:
            if (flush(core) != SLUICE_OK) {
                core_fail_text(core, SLUICE_NO_MEMORY, "out of memory for a message");
            }
            break;
        case WIRE_WS_FAILED:
            if (core->ws.close_code == WS_CLOSE_TOO_BIG) {
                core_push_defect(core, SLICE("a message is too big for the server"), true);
            }
            core_fail(core, &core->ws.failure);
            return;
        }
    }
}

void core_drop_http(struct client_core *core)
{
    core->ops->shut(core->user);
    wire_http_deinit(&core->http);
    core->wire_ready = false;
    core->phase = CORE_DOWN;
    core->exchange_id = 0;
    core->abandoned = false;
    core->reused = false;
    core->retry_at_ms = core->now_ms;
}

/* An answer is complete. */
static void end_exchange(struct client_core *core)
{
    bool exited = core->exchange_exited;
    core->exchange_id = 0;
    core->reused = true;
    if (!exited) {
        core_fail_text(core, SLUICE_OFFLINE, "the server's answer ends without a result");
    } else if (!core->http.keep_alive) {
        core_drop_http(core);
    }
}

static void feed_http(struct client_core *core, char *data, size_t bytes)
{
    struct slice input = slice_make(data, bytes);
    while (goes_on(core) && core->phase == CORE_UP) {
        if (core->exchange_id == 0) {
            if (input.bytes > 0) {
                core_fail_text(core, SLUICE_OFFLINE, "the server answers what was not asked");
            }
            return;
        }
        switch (wire_http_feed(&core->http, &input)) {
        case WIRE_HTTP_NEED_MORE:
            return;
        case WIRE_HTTP_MESSAGE:
            core->heard_ms = core->now_ms;
            take_frame(core, core->http.message);
            break;
        case WIRE_HTTP_END:
            core->heard_ms = core->now_ms;
            end_exchange(core);
            break;
        case WIRE_HTTP_FAILED:
            core_fail(core, &core->http.failure);
            return;
        }
    }
}

void core_feed(struct client_core *core, char *data, size_t bytes)
{
    if (core_polls(core)) {
        feed_http(core, data, bytes);
    } else {
        feed_ws(core, data, bytes);
    }
}

void core_feed_end(struct client_core *core)
{
    if (core->exchange_id == 0 || !core->http.heard) {
        return;
    }
    if (wire_http_finish(&core->http) != WIRE_HTTP_END) {
        core_fail(core, &core->http.failure);
        return;
    }
    core->exchange_id = 0;
    if (!core->exchange_exited) {
        core_fail_text(core, SLUICE_OFFLINE, "the server's answer ends without a result");
    }
}
