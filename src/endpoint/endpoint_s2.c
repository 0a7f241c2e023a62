/* endpoint_s2: see endpoint_s2.h.
 *
 *   pull ─┬─▶ on_page: batch … ─┬─▶ not live, at the tail: [DONE], end
 *         │                     ├─▶ live: on_page, on_timer (ping) … until the peer goes
 *         │                     └─▶ on_drain; a failure: end
 *         └─▶ refused: an error event
 *
 * The client does not look at a pull's HTTP status: an answer without events makes it ask again at
 * once. So a refused pull carries its reason as an `error` event, which ends the client's pull,
 * beside the status that says the same to everybody else. A stream that has begun ends without one,
 * whatever happens: after an error the client would ask again from where this stream began, get
 * events a second time and give up for good; after an end it asks from where it is, and if the
 * trouble lasts, that request is refused. Only [DONE] says that nothing is missing. Loop thread. */
#include "endpoint/endpoint_s2.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "proto/s2.h"
#include "sync/admission.h"

#define EVENT_BYTES_MAX 4096u

struct s2_stream {
    struct sync_pull pull; /* first member */
    struct endpoint_s2 *endpoint;
    struct exchange *exchange;
    bool started;    /* the response has begun */
    char store_id[]; /* pull.store_id, for the log */
};

static void end_batch(struct buffer *out, const struct sync_page_end *end)
{
    /* A page without events has no last record and is not sent (on_page). */
    uint64_t next = end->event_count - end->remaining;
    s2_batch_end(out, end->event_count, end->last_created_at_ms, next > 0 ? next - 1 : 0);
}

static const struct sync_encoder S2_ENCODER = {
    .start = s2_batch_start,
    .event = s2_batch_record,
    .end = end_batch,
};

static void start_response(struct s2_stream *stream)
{
    if (!stream->started) {
        stream->started = true;
        if (stream->pull.live) {
            /* It ends when the server does: the client's next request, which follows at once, must
             * not go to this connection, which will be closed. */
            exchange_close_after(stream->exchange);
        }
        exchange_start(stream->exchange, 200, "text/event-stream", SLICE_EMPTY);
    }
}

static void report(struct endpoint_s2 *endpoint, struct exchange *exchange,
                   enum sluice_status status, struct slice store_id, const char *message)
{
    const struct http_endpoint_options *options = &endpoint->http.options;
    if (options->refused != NULL) {
        options->refused(options->user, status, store_id, exchange_request(exchange)->peer,
                         message);
    }
}

static void refuse(struct endpoint_s2 *endpoint, struct exchange *exchange,
                   enum sluice_status status, struct slice store_id, const char *message)
{
    struct buffer body;
    report(endpoint, exchange, status, store_id, message);
    buffer_init(&body, EVENT_BYTES_MAX);
    s2_append_error(&body, slice_of_string(message));
    exchange_respond(exchange, sluice_status_http(status), "text/event-stream", buffer_slice(&body),
                     SLICE_EMPTY);
    buffer_deinit(&body);
}

/* The client asks again from where it is. */
static void end_early(struct s2_stream *stream)
{
    sync_pull_cancel(&stream->pull);
    start_response(stream);
    exchange_end(stream->exchange);
    free(stream);
}

static void on_page(struct sync_pull *pull, struct shared *page)
{
    struct s2_stream *stream = (struct s2_stream *)pull;
    start_response(stream);
    if (pull->page_events > 0) {
        exchange_write(stream->exchange, SLICE_EMPTY, page, SLICE_EMPTY);
    }
    if (pull->live && front_draining(stream->endpoint->http.front)) {
        end_early(stream); /* it came after the drain had begun */
    } else if (pull->live) {
        exchange_start_timer(stream->exchange, stream->endpoint->ping_interval_ms);
    }
}

static bool on_ready(struct sync_pull *pull)
{
    struct s2_stream *stream = (struct s2_stream *)pull;
    return !exchange_full(stream->exchange);
}

static void on_end(struct sync_pull *pull, enum sluice_status status,
                   const struct sluice_error *error)
{
    struct s2_stream *stream = (struct s2_stream *)pull;
    if (status == SLUICE_OK) {
        start_response(stream);
        exchange_write(stream->exchange, SLICE(S2_DONE), NULL, SLICE_EMPTY);
        exchange_end(stream->exchange);
    } else if (!stream->started) {
        refuse(stream->endpoint, stream->exchange, status, pull->store_id, error->message);
    } else {
        report(stream->endpoint, stream->exchange, status, pull->store_id, error->message);
        exchange_end(stream->exchange);
    }
    free(stream);
}

static const struct sync_pull_ops PULL_OPS = {.page = on_page, .ready = on_ready, .end = on_end};

static void on_writable(void *user)
{
    struct s2_stream *stream = user;
    sync_pull_resume(&stream->pull);
}

static void on_aborted(void *user)
{
    struct s2_stream *stream = user;
    sync_pull_cancel(&stream->pull);
    free(stream);
}

static void on_timer(void *user)
{
    struct s2_stream *stream = user;
    struct buffer event;
    if (!exchange_full(stream->exchange)) {
        buffer_init(&event, EVENT_BYTES_MAX);
        s2_append_ping(&event, clock_wall_ms());
        exchange_write(stream->exchange, buffer_slice(&event), NULL, SLICE_EMPTY);
        buffer_deinit(&event);
    }
    exchange_start_timer(stream->exchange, stream->endpoint->ping_interval_ms);
}

static void on_drain(void *user)
{
    struct s2_stream *stream = user;
    if (stream->pull.live) {
        end_early(stream);
    }
}

static const struct exchange_ops EXCHANGE_OPS = {
    .writable = on_writable,
    .aborted = on_aborted,
    .timer = on_timer,
    .drain = on_drain,
};

/* What a browser's EventSource adds when it connects again: the id of the last event it had. */
static void continue_after_last_event_id(const struct request *request, uint64_t *position)
{
    unsigned long long last = 0;
    if (slice_to_u64(http_parser_header(request->head, "last-event-id"), &last) &&
        last < UINT64_MAX) {
        *position = last + 1;
    }
}

static void pull(struct http_endpoint *http, struct exchange *exchange, struct slice args,
                 struct arena *arena)
{
    struct endpoint_s2 *endpoint = (struct endpoint_s2 *)http;
    struct s2_pull asked = {0};
    struct sluice_error error = {0};
    enum sluice_status status = s2_decode_pull(args, arena, &asked, &error);
    if (status == SLUICE_OK) {
        status = admission_check_store_id(asked.store_id, &error);
    }
    if (status != SLUICE_OK) {
        refuse(endpoint, exchange, status, asked.store_id, error.message);
        return;
    }
    continue_after_last_event_id(exchange_request(exchange), &asked.position);
    struct s2_stream *stream = calloc(1, sizeof(*stream) + asked.store_id.bytes);
    if (stream == NULL) {
        refuse(endpoint, exchange, SLUICE_NO_MEMORY, asked.store_id, "out of memory for a pull");
        return;
    }
    stream->endpoint = endpoint;
    stream->exchange = exchange;
    memcpy(stream->store_id, asked.store_id.data, asked.store_id.bytes);
    stream->pull = (struct sync_pull){
        .store_id = slice_make(stream->store_id, asked.store_id.bytes),
        .live = asked.live,
        .by_position = true,
        .position = asked.position,
        .encoder = &S2_ENCODER,
        .ops = &PULL_OPS,
    };
    if (sync_pull_start(http->options.sync, &stream->pull) != SLUICE_OK) {
        free(stream);
        refuse(endpoint, exchange, SLUICE_NO_MEMORY, asked.store_id, "out of memory for a pull");
        return;
    }
    exchange_watch(exchange, &EXCHANGE_OPS, stream);
}

void endpoint_s2_init(struct endpoint_s2 *endpoint, const struct http_endpoint_options *options,
                      uint64_t ping_interval_ms)
{
    *endpoint = (struct endpoint_s2){
        .http = {.options = *options, .pull = pull},
        .ping_interval_ms = ping_interval_ms,
    };
}
