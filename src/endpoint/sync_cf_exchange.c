/* sync_cf_exchange: sync-cf over HTTP: the messages of one POST are answered, one after the other,
 * as one JSON array. The pages of a pull leave as they are read, chunk by chunk.
 *
 *   run ─▶ next message ─┬─▶ answered at once ─▶ run
 *                        ├─▶ push ─▶ on_push_decided ─▶ run
 *                        ├─▶ pull ─▶ on_page … ─▶ on_end ─▶ run
 *                        └─▶ none left: finish
 *
 * Loop thread. Owned by the exchange's connection: ends with finish or on_aborted. */
#include <stdlib.h>
#include <string.h>

#include "endpoint/sync_cf_internal.h"

#define RESPONSE_BYTES_MAX (1u << 20) /* answers that wait for the end; pages do not */

struct cf_exchange {
    struct endpoint_sync_cf *endpoint;
    struct exchange *exchange;
    struct rpc_frame frame;
    struct buffer out;   /* answers not yet sent */
    struct buffer piece; /* a page's envelope */
    bool streaming;      /* the response has begun */
    bool any;            /* a message has been written: a comma is due */
    bool running;        /* `run` is on the stack */
    bool waiting;        /* for a push or a pull */
    int http_status;
    struct push_request *push;
    struct cf_pull *pull;
    size_t store_id_bytes;
    char store_id[];
};

static struct slice store_of(const struct cf_exchange *self)
{
    return slice_make(self->store_id, self->store_id_bytes);
}

static void destroy(struct cf_exchange *self)
{
    buffer_deinit(&self->out);
    buffer_deinit(&self->piece);
    free(self);
}

/* The array's bracket or comma before the next message. */
static void separate(struct cf_exchange *self, struct buffer *out)
{
    buffer_append_byte(out, self->any ? ',' : '[');
    self->any = true;
}

static void finish(struct cf_exchange *self)
{
    struct exchange *exchange = self->exchange;
    if (!self->any) {
        buffer_append_byte(&self->out, '[');
    }
    buffer_append_byte(&self->out, ']');
    if (buffer_status(&self->out) != SLUICE_OK) {
        exchange_abort(exchange); /* on_aborted follows */
        return;
    }
    if (self->streaming) {
        exchange_write(exchange, buffer_slice(&self->out), NULL, SLICE_EMPTY);
        exchange_end(exchange);
    } else {
        exchange_respond(exchange, self->http_status, "application/json", buffer_slice(&self->out),
                         SLICE_EMPTY);
    }
    destroy(self);
}

static void run(struct cf_exchange *self);

/* ---- pushes ---- */

static void on_push_decided(struct push_request *push)
{
    struct cf_exchange *self = push->owner;
    if (self == NULL) {
        push_request_destroy(push);
        return;
    }
    separate(self, &self->out);
    cf_answer_push(&self->out, push);
    if (push->push.status != SLUICE_OK) {
        cf_report(self->endpoint, push->push.status, store_of(self),
                  exchange_request(self->exchange)->peer, push->push.error.message);
    }
    push_request_destroy(push);
    self->push = NULL;
    self->waiting = false;
    run(self);
}

static void refuse(struct cf_exchange *self, const struct rpc_message *message,
                   enum sluice_status status, const struct sluice_error *error)
{
    separate(self, &self->out);
    cf_answer_refusal(&self->out, message, status, error);
    cf_report(self->endpoint, status, store_of(self), exchange_request(self->exchange)->peer,
              error->message);
}

static void start_push(struct cf_exchange *self, const struct rpc_message *message)
{
    struct sluice_error error = {0};
    enum sluice_status status =
        cf_push_create(self->endpoint, message, store_of(self), &self->push, &error);
    if (status != SLUICE_OK) {
        refuse(self, message, status, &error);
        return;
    }
    self->push->owner = self;
    self->push->decided = on_push_decided;
    self->waiting = true;
    status = push_request_submit(self->push, self->endpoint->options.sync, &error);
    if (status != SLUICE_OK) {
        push_request_destroy(self->push);
        self->push = NULL;
        self->waiting = false;
        refuse(self, message, status, &error);
    }
}

/* ---- pulls ---- */

static void on_page(struct sync_pull *sync_pull, struct shared *page)
{
    struct cf_pull *pull = (struct cf_pull *)sync_pull;
    struct cf_exchange *self = pull->owner;
    if (!self->streaming) {
        exchange_start(self->exchange, 200, "application/json", SLICE_EMPTY);
        self->streaming = true;
    }
    /* What was answered before the page goes before it. */
    buffer_clear(&self->piece);
    buffer_append_slice(&self->piece, buffer_slice(&self->out));
    buffer_clear(&self->out);
    separate(self, &self->piece);
    buffer_append_slice(&self->piece, pull->chunk_start);
    if (buffer_status(&self->piece) != SLUICE_OK) {
        exchange_abort(self->exchange);
        return;
    }
    exchange_write(self->exchange, buffer_slice(&self->piece), page, SLICE(RPC_CHUNK_END));
}

static bool on_ready(struct sync_pull *sync_pull)
{
    struct cf_pull *pull = (struct cf_pull *)sync_pull;
    struct cf_exchange *self = pull->owner;
    return !exchange_full(self->exchange);
}

static void on_end(struct sync_pull *sync_pull, enum sluice_status status,
                   const struct sluice_error *error)
{
    struct cf_pull *pull = (struct cf_pull *)sync_pull;
    struct cf_exchange *self = pull->owner;
    separate(self, &self->out);
    cf_answer_pull_end(&self->out, pull, status, error);
    if (status != SLUICE_OK) {
        cf_report(self->endpoint, status, store_of(self), exchange_request(self->exchange)->peer,
                  error->message);
    }
    free(pull);
    self->pull = NULL;
    self->waiting = false;
    run(self);
}

static const struct sync_pull_ops PULL_OPS = {.page = on_page, .ready = on_ready, .end = on_end};

static void start_pull(struct cf_exchange *self, const struct rpc_message *message)
{
    struct sluice_error error = {0};
    struct cf_pull *pull = NULL;
    enum sluice_status status = cf_pull_create(message, store_of(self), false, &pull, &error);
    if (status == SLUICE_OK) {
        pull->owner = self;
        pull->pull.ops = &PULL_OPS;
        status = sync_pull_start(self->endpoint->options.sync, &pull->pull);
        if (status != SLUICE_OK) {
            (void)error_set(&error, status, "out of memory for a pull");
            free(pull);
        }
    }
    if (status != SLUICE_OK) {
        refuse(self, message, status, &error);
        return;
    }
    self->pull = pull;
    self->waiting = true;
}

/* ---- messages ---- */

static void answer_ping(struct cf_exchange *self, const struct rpc_message *message)
{
    struct sluice_error error = {0};
    enum sluice_status status = cf_ping_check(message, store_of(self), &error);
    if (status != SLUICE_OK) {
        refuse(self, message, status, &error);
        return;
    }
    separate(self, &self->out);
    rpc_append_exit_success(&self->out, message->id, SLICE("{\"_tag\":\"SyncMessage.Pong\"}"));
}

static void on_rpc(struct cf_exchange *self, const struct rpc_message *message)
{
    struct sluice_error error;
    if (message->kind == RPC_REQUEST && json_key_is(message->tag, "SyncHttpRpc.Pull")) {
        start_pull(self, message);
    } else if (message->kind == RPC_REQUEST && json_key_is(message->tag, "SyncHttpRpc.Push")) {
        start_push(self, message);
    } else if (message->kind == RPC_REQUEST && json_key_is(message->tag, "SyncHttpRpc.Ping")) {
        answer_ping(self, message);
    } else if (message->kind == RPC_REQUEST) {
        separate(self, &self->out);
        cf_answer_unknown_procedure(&self->out, message);
    } else if (message->kind == RPC_PING) {
        separate(self, &self->out);
        buffer_append_literal(&self->out, RPC_PONG);
    } else if (message->kind == RPC_INVALID) {
        separate(self, &self->out);
        cf_answer_invalid(&self->out, message);
        (void)error_set(&error, SLUICE_MALFORMED, "%s", message->problem);
        cf_report(self->endpoint, SLUICE_MALFORMED, store_of(self),
                  exchange_request(self->exchange)->peer, error.message);
    }
    /* Ack, Interrupt and Eof mean nothing where each request has its own response. */
}

static void run(struct cf_exchange *self)
{
    struct rpc_message message;
    if (self->running) {
        return; /* the loop below goes on */
    }
    self->running = true;
    while (!self->waiting && rpc_frame_next(&self->frame, &message)) {
        on_rpc(self, &message);
    }
    self->running = false;
    if (!self->waiting) {
        finish(self);
    }
}

static void on_writable(void *user)
{
    struct cf_exchange *self = user;
    if (self->pull != NULL) {
        sync_pull_resume(&self->pull->pull);
    }
}

static void on_aborted(void *user)
{
    struct cf_exchange *self = user;
    if (self->pull != NULL) {
        sync_pull_cancel(&self->pull->pull);
        free(self->pull);
    }
    if (self->push != NULL) {
        push_request_abandon(self->push);
    }
    destroy(self);
}

static const struct exchange_ops EXCHANGE_OPS = {.writable = on_writable, .aborted = on_aborted};

void cf_exchange_start(struct endpoint_sync_cf *endpoint, struct exchange *exchange,
                       struct slice store_id)
{
    struct sluice_error error;
    struct cf_exchange *self = calloc(1, sizeof(*self) + store_id.bytes);
    if (self == NULL) {
        exchange_abort(exchange);
        return;
    }
    self->endpoint = endpoint;
    self->exchange = exchange;
    self->http_status = 200;
    self->store_id_bytes = store_id.bytes;
    memcpy(self->store_id, store_id.data, store_id.bytes);
    buffer_init(&self->out, RESPONSE_BYTES_MAX);
    buffer_init(&self->piece, RESPONSE_BYTES_MAX);
    exchange_watch(exchange, &EXCHANGE_OPS, self);
    enum sluice_status status = rpc_frame_open(&self->frame, exchange_body(exchange), &error);
    if (status != SLUICE_OK) {
        self->frame.done = true;
        self->http_status = sluice_status_http(status);
        separate(self, &self->out);
        rpc_append_defect(&self->out, slice_of_string(error.message));
        cf_report(endpoint, status, store_id, exchange_request(exchange)->peer, error.message);
    }
    run(self);
}
