/* sync_cf_session: sync-cf over WebSocket: one session a socket, any number of pulls and pushes.
 *
 * Owns its pulls and the pushes whose answers wait. Loop thread. What it keeps to, for the clients'
 * sake (docs/protocol.md):
 *  - a push is answered only when this socket's live pulls have been sent what the answer is about:
 *    its events (it learns that they are confirmed from there) or, with ServerAhead, all up to
 * head;
 *  - a live pull never gets an Exit but for an error that is the client's to know: where the server
 *    cannot go on, the socket is closed, and the client pulls again from its cursor;
 *  - an Ack or Interrupt for an id that this socket never had, or no Pull for a while, is a client
 * that believes an old pull still runs: closing the socket heals it. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "endpoint/sync_cf_internal.h"

#define WINDOW_CHUNKS 16u           /* sent and not acknowledged, for each pull */
#define AHEAD_WITHOUT_PULL_MS 2000u /* how long a client that was told so has to pull */
#define ID_HASHES 16u

/* Which request ids this socket has had: the range of numbers, and the last few of other forms. */
struct id_history {
    bool any_number;
    uint64_t lowest;
    uint64_t highest;
    uint32_t hashes[ID_HASHES];
    unsigned hash_count;
};

struct cf_session {
    struct endpoint_sync_cf *endpoint;
    struct session *session; /* NULL until opened */
    struct cf_pull *pulls;
    unsigned pull_count;
    struct push_request *waiting; /* decided, but not to be answered yet; in order */
    struct push_request *inflight;
    unsigned waiting_count;
    unsigned inflight_count;
    bool pulled; /* a Pull has come */
    bool paused;
    bool draining;
    uint64_t silent_at_ms; /* when a socket without a Pull is closed; 0: never */
    struct id_history ids;
    struct sync_store *store; /* held, so that its head is known when a push comes */
};

static struct slice store_of(const struct cf_session *self)
{
    return sync_store_id(self->store);
}

static uint64_t now_ms(const struct cf_session *self)
{
    return net_loop_now_ms(front_loop(self->endpoint->front));
}

/* ---- ids ---- */

static bool id_number(struct slice id, uint64_t *number)
{
    unsigned long long value = 0;
    if (id.bytes >= 2 && id.data[0] == '"') {
        id = slice_make(id.data + 1, id.bytes - 2);
    }
    if (!slice_to_u64(id, &value)) {
        return false;
    }
    *number = value;
    return true;
}

static uint32_t id_hash(struct slice id)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < id.bytes; i++) {
        hash = (hash ^ (uint8_t)id.data[i]) * 16777619u;
    }
    return hash;
}

static void note_id(struct id_history *ids, struct slice id)
{
    uint64_t number = 0;
    if (!id_number(id, &number)) {
        ids->hashes[ids->hash_count++ % ID_HASHES] = id_hash(id);
    } else if (!ids->any_number) {
        ids->any_number = true;
        ids->lowest = number;
        ids->highest = number;
    } else if (number < ids->lowest) {
        ids->lowest = number;
    } else if (number > ids->highest) {
        ids->highest = number;
    }
}

static bool had_id(const struct id_history *ids, struct slice id)
{
    uint64_t number = 0;
    if (id_number(id, &number)) {
        return ids->any_number && number >= ids->lowest && number <= ids->highest;
    }
    uint32_t hash = id_hash(id);
    for (unsigned i = 0; i < ID_HASHES && i < ids->hash_count; i++) {
        if (ids->hashes[i] == hash) {
            return true;
        }
    }
    return false;
}

/* ---- answers ---- */

static void send_buffer(struct cf_session *self, struct buffer *out)
{
    if (buffer_status(out) == SLUICE_OK) {
        session_send(self->session, buffer_slice(out), NULL, SLICE_EMPTY);
    } else {
        session_close(self->session, WS_CLOSE_INTERNAL_ERROR, "out of memory");
    }
    buffer_deinit(out);
}

static void send_defect(struct cf_session *self, const char *why)
{
    struct buffer out;
    buffer_init(&out, ANSWER_BYTES_MAX);
    rpc_append_defect(&out, slice_of_string(why));
    send_buffer(self, &out);
    cf_report(self->endpoint, SLUICE_MALFORMED, store_of(self), session_peer(self->session), why);
}

static void refuse(struct cf_session *self, const struct rpc_message *message,
                   enum sluice_status status, const struct sluice_error *error)
{
    struct buffer out;
    buffer_init(&out, ANSWER_BYTES_MAX);
    cf_answer_refusal(&out, message, status, error);
    send_buffer(self, &out);
    cf_report(self->endpoint, status, store_of(self), session_peer(self->session), error->message);
}

/* ---- the timer: silence, and chunks that nobody acknowledges ---- */

static void arm(struct cf_session *self)
{
    uint64_t stall_ms = self->endpoint->options.stall_timeout_ms;
    uint64_t deadline = self->pulled || self->silent_at_ms == 0 ? UINT64_MAX : self->silent_at_ms;
    for (struct cf_pull *pull = self->pulls; pull != NULL; pull = pull->next) {
        if (pull->unacknowledged >= WINDOW_CHUNKS && pull->acknowledged_ms + stall_ms < deadline) {
            deadline = pull->acknowledged_ms + stall_ms;
        }
    }
    if (deadline == UINT64_MAX) {
        session_stop_timer(self->session);
    } else {
        uint64_t now = now_ms(self);
        session_start_timer(self->session, deadline > now ? deadline - now : 0);
    }
}

static void on_timer(void *user)
{
    struct cf_session *self = user;
    uint64_t now = now_ms(self);
    if (!self->pulled && self->silent_at_ms != 0 && now >= self->silent_at_ms) {
        session_close(self->session, WS_CLOSE_TRY_AGAIN_LATER,
                      "no Pull came on this connection: connect and pull again");
        return;
    }
    for (struct cf_pull *pull = self->pulls; pull != NULL; pull = pull->next) {
        if (pull->unacknowledged >= WINDOW_CHUNKS &&
            now >= pull->acknowledged_ms + self->endpoint->options.stall_timeout_ms) {
            session_close(self->session, WS_CLOSE_TRY_AGAIN_LATER,
                          "a pull's chunks were not acknowledged: pull again");
            return;
        }
    }
    arm(self);
}

/* ---- pushes ---- */

static void close_when_drained(struct cf_session *self)
{
    if (self->draining && self->inflight_count + self->waiting_count == 0) {
        session_close(self->session, WS_CLOSE_SERVICE_RESTART, "the server is restarting");
    }
}

/* Up to which event this socket's live pulls must have been sent before the answer. */
static uint64_t answer_needs(const struct sync_push *push)
{
    if (push->status == SLUICE_OK && push->event_count > 0) {
        return push->events[push->event_count - 1].seq_num;
    }
    return push->status == SLUICE_SERVER_AHEAD ? push->head : 0;
}

static bool heard_up_to(const struct cf_session *self, uint64_t seq_num)
{
    for (const struct cf_pull *pull = self->pulls; pull != NULL; pull = pull->next) {
        if (pull->pull.live && pull->pull.sent < seq_num) {
            return false;
        }
    }
    return true;
}

static void answer(struct cf_session *self, struct push_request *push)
{
    struct buffer out;
    buffer_init(&out, ANSWER_BYTES_MAX);
    cf_answer_push(&out, push);
    send_buffer(self, &out);
    enum sluice_status status = push->push.status;
    if (status != SLUICE_OK) {
        cf_report(self->endpoint, status, store_of(self), session_peer(self->session),
                  push->push.error.message);
    }
    if (status == SLUICE_SERVER_AHEAD && !self->pulled && self->silent_at_ms != 0) {
        uint64_t soon = now_ms(self) + AHEAD_WITHOUT_PULL_MS;
        self->silent_at_ms = soon < self->silent_at_ms ? soon : self->silent_at_ms;
        arm(self);
    }
    push_request_destroy(push);
    close_when_drained(self);
}

/* Answers pushes that waited for a pull, in the order in which they were decided. */
static void answer_waiting(struct cf_session *self)
{
    while (self->waiting != NULL && heard_up_to(self, answer_needs(&self->waiting->push))) {
        struct push_request *push = self->waiting;
        self->waiting = push->next;
        self->waiting_count--;
        answer(self, push);
    }
}

/* Takes a push out of those that are under way. */
static void take_push(struct cf_session *self, struct push_request *push)
{
    struct push_request **link = &self->inflight;
    while (*link != push) {
        link = &(*link)->next;
    }
    *link = push->next;
    push->next = NULL;
    self->inflight_count--;
}

static void on_push_decided(struct push_request *push)
{
    struct cf_session *self = push->owner;
    if (self == NULL) {
        push_request_destroy(push);
        return;
    }
    take_push(self, push);
    struct push_request **link = &self->waiting;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = push;
    self->waiting_count++;
    answer_waiting(self);
    if (self->waiting_count > PUSHES_PER_CONNECTION_MAX) {
        session_close(self->session, WS_CLOSE_TRY_AGAIN_LATER,
                      "pushes wait for a pull whose chunks are not acknowledged: pull again");
    }
    if (self->paused && self->inflight_count <= PUSHES_PER_CONNECTION_MAX / 2) {
        self->paused = false;
        session_resume(self->session);
    }
}

static void start_push(struct cf_session *self, const struct rpc_message *message)
{
    struct sluice_error error = {0};
    struct push_request *push = NULL;
    enum sluice_status status =
        cf_push_create(self->endpoint, message, store_of(self), &push, &error);
    if (status != SLUICE_OK) {
        refuse(self, message, status, &error);
        return;
    }
    push->owner = self;
    push->decided = on_push_decided;
    push->next = self->inflight;
    self->inflight = push;
    self->inflight_count++;
    if (self->inflight_count >= PUSHES_PER_CONNECTION_MAX && !self->paused) {
        /* Only pushes that the eventlog works on count: they end without anything being read. */
        self->paused = true;
        session_pause(self->session);
    }
    status = push_request_submit(push, self->endpoint->options.sync, &error);
    if (status != SLUICE_OK) {
        take_push(self, push);
        push_request_destroy(push);
        refuse(self, message, status, &error);
    }
}

/* ---- pulls ---- */

static void forget_pull(struct cf_session *self, struct cf_pull *pull)
{
    struct cf_pull **link = &self->pulls;
    while (*link != pull) {
        link = &(*link)->next;
    }
    *link = pull->next;
    self->pull_count--;
    sync_pull_cancel(&pull->pull);
    free(pull);
}

static void on_page(struct sync_pull *sync_pull, struct shared *page)
{
    struct cf_pull *pull = (struct cf_pull *)sync_pull; /* its first member */
    struct cf_session *self = pull->owner;
    if (pull->unacknowledged == 0) {
        pull->acknowledged_ms = now_ms(self);
    }
    pull->unacknowledged++;
    session_send(self->session, pull->chunk_start, page, SLICE(RPC_CHUNK_END));
    if (pull->unacknowledged == WINDOW_CHUNKS) {
        arm(self);
    }
    if (self->waiting != NULL) {
        answer_waiting(self);
    }
}

static bool on_ready(struct sync_pull *sync_pull)
{
    struct cf_pull *pull = (struct cf_pull *)sync_pull;
    struct cf_session *self = pull->owner;
    return pull->unacknowledged < WINDOW_CHUNKS && !session_full(self->session);
}

/* Whether an ended pull is answered, or the socket closed so that the client tries again. */
static bool is_for_the_client(enum sluice_status status)
{
    return status == SLUICE_OK || status == SLUICE_BACKEND_ID_MISMATCH ||
           status == SLUICE_CURSOR_AHEAD;
}

static void on_end(struct sync_pull *sync_pull, enum sluice_status status,
                   const struct sluice_error *error)
{
    struct cf_pull *pull = (struct cf_pull *)sync_pull;
    struct cf_session *self = pull->owner;
    if (is_for_the_client(status)) {
        struct buffer out;
        buffer_init(&out, ANSWER_BYTES_MAX);
        cf_answer_pull_end(&out, pull, status, error);
        send_buffer(self, &out);
    } else {
        session_close(self->session, WS_CLOSE_TRY_AGAIN_LATER, error->message);
    }
    if (status != SLUICE_OK) {
        cf_report(self->endpoint, status, store_of(self), session_peer(self->session),
                  error->message);
    }
    forget_pull(self, pull);
    answer_waiting(self);
}

static const struct sync_pull_ops PULL_OPS = {.page = on_page, .ready = on_ready, .end = on_end};

static void start_pull(struct cf_session *self, const struct rpc_message *message)
{
    struct sluice_error error = {0};
    struct cf_pull *pull = NULL;
    enum sluice_status status = SLUICE_OK;
    if (self->pull_count >= self->endpoint->options.pulls_per_connection_max) {
        status = error_set(&error, SLUICE_LIMIT,
                           "this connection has %u pulls, the limit (--pulls-per-connection-max)",
                           self->pull_count);
    }
    if (status == SLUICE_OK) {
        status = cf_pull_create(message, store_of(self), true, &pull, &error);
    }
    if (status == SLUICE_OK) {
        pull->owner = self;
        pull->acknowledged_ms = now_ms(self);
        pull->pull.ops = &PULL_OPS;
        status = sync_pull_start(self->endpoint->options.sync, &pull->pull);
        if (status != SLUICE_OK) {
            free(pull);
            session_close(self->session, WS_CLOSE_TRY_AGAIN_LATER, "out of memory for a pull");
            return;
        }
    }
    if (status != SLUICE_OK) {
        refuse(self, message, status, &error);
        return;
    }
    pull->next = self->pulls;
    self->pulls = pull;
    self->pull_count++;
    if (!self->pulled) {
        self->pulled = true;
        arm(self);
    }
}

/* ---- messages ---- */

static struct cf_pull *find_pull(struct cf_session *self, struct slice id)
{
    struct cf_pull *pull = self->pulls;
    while (pull != NULL && !slice_equal(pull->id, id)) {
        pull = pull->next;
    }
    return pull;
}

static bool is_active(struct cf_session *self, struct slice id)
{
    for (struct push_request *push = self->inflight; push != NULL; push = push->next) {
        if (slice_equal(push->id, id)) {
            return true;
        }
    }
    for (struct push_request *push = self->waiting; push != NULL; push = push->next) {
        if (slice_equal(push->id, id)) {
            return true;
        }
    }
    return find_pull(self, id) != NULL;
}

static void on_request(struct cf_session *self, const struct rpc_message *message)
{
    if (self->draining) {
        return; /* it will be asked again on the next connection */
    }
    if (is_active(self, message->id)) {
        /* Two requests of one id cannot be answered apart. */
        session_close(self->session, WS_CLOSE_POLICY, "a request id is used twice at once");
        return;
    }
    note_id(&self->ids, message->id);
    if (json_key_is(message->tag, "SyncWsRpc.Pull")) {
        start_pull(self, message);
    } else if (json_key_is(message->tag, "SyncWsRpc.Push")) {
        start_push(self, message);
    } else {
        struct buffer out;
        buffer_init(&out, ANSWER_BYTES_MAX);
        cf_answer_unknown_procedure(&out, message);
        send_buffer(self, &out);
    }
}

static void close_confused(struct cf_session *self)
{
    session_close(self->session, WS_CLOSE_TRY_AGAIN_LATER,
                  "this connection never had that request: connect and pull again");
}

static void on_ack(struct cf_session *self, struct slice id)
{
    struct cf_pull *pull = find_pull(self, id);
    if (pull == NULL) {
        if (!had_id(&self->ids, id)) {
            close_confused(self);
        }
        return;
    }
    bool was_full = pull->unacknowledged >= WINDOW_CHUNKS;
    if (pull->unacknowledged > 0) {
        pull->unacknowledged--;
    }
    pull->acknowledged_ms = now_ms(self);
    if (was_full) {
        arm(self);
    }
    sync_pull_resume(&pull->pull);
}

/* A push that is interrupted goes on: it may be durable already, and the client has forgotten its
 * id, so that the answer does no harm. */
static void on_interrupt(struct cf_session *self, const struct rpc_message *message)
{
    struct cf_pull *pull = find_pull(self, message->id);
    if (pull == NULL) {
        if (!had_id(&self->ids, message->id)) {
            close_confused(self);
        }
        return;
    }
    struct buffer out;
    buffer_init(&out, ANSWER_BYTES_MAX);
    rpc_append_exit_interrupt(&out, pull->id, pull->dialect);
    forget_pull(self, pull);
    send_buffer(self, &out);
    answer_waiting(self);
}

static void on_rpc(struct cf_session *self, const struct rpc_message *message)
{
    struct buffer out;
    switch (message->kind) {
    case RPC_PING:
        session_send(self->session, SLICE(RPC_PONG), NULL, SLICE_EMPTY);
        break;
    case RPC_REQUEST:
        on_request(self, message);
        break;
    case RPC_ACK:
        on_ack(self, message->id);
        break;
    case RPC_INTERRUPT:
        on_interrupt(self, message);
        break;
    case RPC_EOF:
        break; /* what runs goes on */
    case RPC_INVALID:
        buffer_init(&out, ANSWER_BYTES_MAX);
        cf_answer_invalid(&out, message);
        send_buffer(self, &out);
        cf_report(self->endpoint, SLUICE_MALFORMED, store_of(self), session_peer(self->session),
                  message->problem);
        break;
    }
}

static void on_message(void *user, struct slice text)
{
    struct cf_session *self = user;
    struct rpc_frame frame;
    struct rpc_message message;
    struct sluice_error error;
    if (rpc_frame_open(&frame, text, &error) != SLUICE_OK) {
        send_defect(self, error.message);
        return;
    }
    while (!session_closing(self->session) && rpc_frame_next(&frame, &message)) {
        on_rpc(self, &message);
    }
}

static void on_opened(void *user, struct session *session)
{
    struct cf_session *self = user;
    self->session = session;
    if (self->endpoint->options.silent_connection_timeout_ms > 0) {
        self->silent_at_ms = now_ms(self) + self->endpoint->options.silent_connection_timeout_ms;
    }
    arm(self);
}

static void on_writable(void *user)
{
    struct cf_session *self = user;
    struct cf_pull *next = NULL;
    for (struct cf_pull *pull = self->pulls; pull != NULL; pull = next) {
        next = pull->next;
        sync_pull_resume(&pull->pull);
    }
}

static void on_drain(void *user)
{
    struct cf_session *self = user;
    self->draining = true;
    close_when_drained(self);
}

static void on_closed(void *user)
{
    struct cf_session *self = user;
    while (self->pulls != NULL) {
        forget_pull(self, self->pulls);
    }
    while (self->waiting != NULL) {
        struct push_request *push = self->waiting;
        self->waiting = push->next;
        push_request_destroy(push);
    }
    for (struct push_request *push = self->inflight; push != NULL; push = push->next) {
        push_request_abandon(push);
    }
    sync_store_let_go(self->store);
    free(self);
}

const struct session_ops CF_SESSION_OPS = {
    .opened = on_opened,
    .message = on_message,
    .writable = on_writable,
    .timer = on_timer,
    .drain = on_drain,
    .closed = on_closed,
};

void *cf_session_create(struct endpoint_sync_cf *endpoint, struct slice store_id)
{
    struct cf_session *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->endpoint = endpoint;
    self->store = sync_store_hold(endpoint->options.sync, store_id);
    if (self->store == NULL) {
        free(self);
        return NULL;
    }
    return self;
}
