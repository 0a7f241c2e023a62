/* endpoint_electric: see endpoint_electric.h.
 *
 *   pull ─▶ first page ─┬─▶ events, or not to wait: 200 with the page
 *                       └─▶ nothing, to wait ─┬─▶ on_page: 200 with the page
 *                                             └─▶ on_timer, on_drain: 204, the client asks again
 *
 * Whoever has events and asks live for more is first told, by an empty page, that there are none:
 * until then the client holds its own events back, because it takes any page with events for one of
 * several. Only with the offset of that answer it waits. A first request without a handle is never
 * made to wait either; the app may be waiting for it to start.
 *
 * The offset and the handle that the client is to come back with are headers; they are the sequence
 * number of the last event sent and the store's backend id, so they outlive a restart. Responses
 * are not to be cached (front_http's cache-control): a page is true only until the next push. On a
 * pull, 400 means an empty log to the client and 409 is not implemented in it: neither is ever
 * sent. */
#include "endpoint/endpoint_electric.h"

#include <stdlib.h>

#include "base/limits.h"
#include "proto/electric.h"
#include "sync/admission.h"

#define HEADERS_BYTES_MAX 512u

struct electric_poll {
    struct sync_pull pull; /* first member */
    struct endpoint_electric *endpoint;
    struct exchange *exchange;
    bool live; /* asked for, whether it waits or not */
    char handle[BACKEND_ID_BYTES_MAX];
    char store_id[]; /* pull.store_id, for the log */
};

static void end_page(struct buffer *out, const struct sync_page_end *end)
{
    electric_page_end(out, end->events > 0, end->remaining == 0);
}

static const struct sync_encoder ELECTRIC_ENCODER = {
    .start = electric_page_start,
    .event = electric_page_event,
    .end = end_page,
};

/* On a pull, 400, 401 and 409 mean something else to the client. */
static int pull_http_status(enum sluice_status status)
{
    int http_status = sluice_status_http(status);
    if (http_status == 409) {
        return 410; /* the log that the handle and offset name is gone */
    }
    return http_status == 400 ? 422 : http_status;
}

/* The poll is over: answers and frees it. `body` is a page, or empty for 204. */
static void respond(struct electric_poll *poll, int http_status, struct slice body, bool has_events)
{
    struct buffer headers;
    buffer_init(&headers, HEADERS_BYTES_MAX);
    buffer_append_literal(&headers, "electric-handle: ");
    buffer_append_slice(&headers, slice_of_string(poll->pull.backend_id));
    buffer_append_literal(&headers, "\r\nelectric-offset: ");
    electric_append_offset(&headers, poll->pull.sent, !(poll->live && has_events));
    buffer_append_literal(&headers, "\r\naccess-control-expose-headers: electric-handle, "
                                    "electric-offset\r\n");
    sync_pull_cancel(&poll->pull);
    exchange_respond(poll->exchange, http_status, body.bytes > 0 ? "application/json" : NULL, body,
                     buffer_slice(&headers));
    buffer_deinit(&headers);
    free(poll);
}

static void on_page(struct sync_pull *pull, struct shared *page)
{
    struct electric_poll *poll = (struct electric_poll *)pull;
    if (pull->page_events > 0 || !pull->live) {
        respond(poll, 200, page->bytes, pull->page_events > 0);
    } else if (front_draining(poll->endpoint->http.front)) {
        respond(poll, 204, SLICE_EMPTY, false);
    }
}

static bool on_ready(struct sync_pull *pull)
{
    (void)pull;
    return true; /* one page, and that is all */
}

/* A pull that is not live has been answered with its first page: only failures get here. */
static void on_end(struct sync_pull *pull, enum sluice_status status,
                   const struct sluice_error *error)
{
    struct electric_poll *poll = (struct electric_poll *)pull;
    http_endpoint_refuse(&poll->endpoint->http, poll->exchange, pull_http_status(status), status,
                         pull->store_id, error->message);
    free(poll);
}

static const struct sync_pull_ops PULL_OPS = {.page = on_page, .ready = on_ready, .end = on_end};

static void on_writable(void *user)
{
    (void)user;
}

static void on_aborted(void *user)
{
    struct electric_poll *poll = user;
    sync_pull_cancel(&poll->pull);
    free(poll);
}

static void on_timer(void *user)
{
    struct electric_poll *poll = user;
    if (poll->pull.backend_id[0] == '\0') {
        exchange_start_timer(poll->exchange, poll->endpoint->long_poll_ms); /* not even read yet */
        return;
    }
    respond(poll, 204, SLICE_EMPTY, false);
}

/* One that has not even been read yet is answered by on_page. */
static void on_drain(void *user)
{
    struct electric_poll *poll = user;
    if (poll->pull.live && poll->pull.backend_id[0] != '\0') {
        respond(poll, 204, SLICE_EMPTY, false);
    }
}

static const struct exchange_ops EXCHANGE_OPS = {
    .writable = on_writable,
    .aborted = on_aborted,
    .timer = on_timer,
    .drain = on_drain,
};

static enum sluice_status check(const struct electric_pull *asked, struct sluice_error *error)
{
    enum sluice_status status = admission_check_store_id(asked->store_id, error);
    if (status == SLUICE_OK && asked->has_handle && asked->handle.bytes > BACKEND_ID_BYTES_MAX) {
        status = error_set(error, SLUICE_LIMIT, "the handle has more than %u bytes",
                           BACKEND_ID_BYTES_MAX);
    }
    return status;
}

static void pull(struct http_endpoint *http, struct exchange *exchange, struct slice args,
                 struct arena *arena)
{
    struct endpoint_electric *endpoint = (struct endpoint_electric *)http;
    struct electric_pull asked = {0};
    struct sluice_error error = {0};
    struct electric_poll *poll = NULL;
    enum sluice_status status = electric_decode_pull(args, arena, &asked, &error);
    if (status == SLUICE_OK) {
        status = check(&asked, &error);
    }
    if (status == SLUICE_OK) {
        poll = calloc(1, sizeof(*poll) + asked.store_id.bytes);
        if (poll == NULL) {
            status = error_set(&error, SLUICE_NO_MEMORY, "out of memory for a pull");
        }
    }
    if (status != SLUICE_OK || poll == NULL) {
        http_endpoint_refuse(http, exchange, pull_http_status(status), status, asked.store_id,
                             error.message);
        return;
    }
    poll->endpoint = endpoint;
    poll->exchange = exchange;
    poll->live = asked.live;
    if (asked.has_handle && asked.handle.bytes > 0) {
        memcpy(poll->handle, asked.handle.data, asked.handle.bytes);
    }
    memcpy(poll->store_id, asked.store_id.data, asked.store_id.bytes);
    poll->pull = (struct sync_pull){
        .store_id = slice_make(poll->store_id, asked.store_id.bytes),
        .live = asked.live && asked.knows_end,
        .has_cursor = asked.has_handle,
        .cursor_backend_id = slice_make(poll->handle, asked.handle.bytes),
        .cursor = asked.seq_num,
        .encoder = &ELECTRIC_ENCODER,
        .ops = &PULL_OPS,
    };
    if (sync_pull_start(http->options.sync, &poll->pull) != SLUICE_OK) {
        free(poll);
        http_endpoint_refuse(http, exchange, 503, SLUICE_NO_MEMORY, asked.store_id,
                             "out of memory for a pull");
        return;
    }
    exchange_watch(exchange, &EXCHANGE_OPS, poll);
    exchange_start_timer(exchange, endpoint->long_poll_ms);
}

void endpoint_electric_init(struct endpoint_electric *endpoint,
                            const struct http_endpoint_options *options, uint64_t long_poll_ms)
{
    *endpoint = (struct endpoint_electric){
        .http = {.options = *options, .pull = pull},
        .long_poll_ms = long_poll_ms,
    };
}
