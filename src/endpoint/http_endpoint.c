/* http_endpoint: see http_endpoint.h. Owns the pushes that came in until they are answered. */
#include "endpoint/http_endpoint.h"

#include "base/json.h"
#include "endpoint/json_parameter.h"
#include "endpoint/push_request.h"
#include "http/http_query.h"
#include "proto/event_json.h"
#include "proto/fields.h"

#define ANSWER_BYTES_MAX 16384u
#define ARGS_BYTES_MAX (64u << 10)

static void refuse(struct http_endpoint *endpoint, struct exchange *exchange, int http_status,
                   enum sluice_status status, struct slice store_id, const char *message,
                   const uint64_t *head)
{
    const char *peer = exchange_request(exchange)->peer;
    struct buffer body;
    if (endpoint->options.refused != NULL) {
        endpoint->options.refused(endpoint->options.user, status, store_id, peer, message);
    }
    buffer_init(&body, ANSWER_BYTES_MAX);
    buffer_append_literal(&body, "{\"success\":false,\"error\":");
    json_append_string(&body, slice_of_string(sluice_status_name(status)));
    buffer_append_literal(&body, ",\"message\":");
    json_append_string(&body, slice_of_string(message));
    if (head != NULL) {
        buffer_append_literal(&body, ",\"minimumExpectedNum\":");
        buffer_append_u64(&body, *head);
    }
    buffer_append_byte(&body, '}');
    exchange_respond(exchange, http_status, "application/json", buffer_slice(&body), SLICE_EMPTY);
    buffer_deinit(&body);
}

void http_endpoint_refuse(struct http_endpoint *endpoint, struct exchange *exchange,
                          int http_status, enum sluice_status status, struct slice store_id,
                          const char *message)
{
    refuse(endpoint, exchange, http_status, status, store_id, message, NULL);
}

/* ---- pushes ---- */

struct http_push {
    struct http_endpoint *endpoint;
    struct exchange *exchange;
    struct push_request *request; /* in whose arena this is */
};

static void on_decided(struct push_request *request)
{
    struct http_push *owner = request->owner;
    const struct sync_push *push = &request->push;
    if (owner == NULL) {
        push_request_destroy(request);
        return;
    }
    if (push->status == SLUICE_OK) {
        exchange_respond(owner->exchange, 200, "application/json", SLICE("{\"success\":true}"),
                         SLICE_EMPTY);
    } else {
        refuse(owner->endpoint, owner->exchange, sluice_status_http(push->status), push->status,
               push->store_id, push->error.message,
               push->status == SLUICE_SERVER_AHEAD ? &push->head : NULL);
    }
    push_request_destroy(request);
}

static void on_aborted(void *user)
{
    struct http_push *owner = user;
    push_request_abandon(owner->request);
}

static void on_writable(void *user)
{
    (void)user;
}

static const struct exchange_ops PUSH_OPS = {.writable = on_writable, .aborted = on_aborted};

/* {"storeId":…,"batch":[…]}; other fields are ignored. */
static enum sluice_status decode_push(struct push_request *request, struct sluice_error *error)
{
    struct json_reader reader;
    struct slice key;
    enum sluice_status status = json_validate(request->payload, error);
    if (status != SLUICE_OK) {
        return status;
    }
    json_reader_init(&reader, request->payload);
    if (json_peek(&reader) != JSON_OBJECT || !json_enter_object(&reader)) {
        return error_set(error, SLUICE_INVALID, "the body must be {\"storeId\":…,\"batch\":[…]}");
    }
    while (status == SLUICE_OK && json_next_key(&reader, &key)) {
        if (json_key_is(key, "storeId")) {
            status =
                field_string(&reader, "storeId", &request->arena, &request->push.store_id, error);
        } else if (json_key_is(key, "batch")) {
            status = event_json_decode_batch(&reader, &request->arena, &request->push.events,
                                             &request->push.event_count, error);
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    if (status == SLUICE_OK && request->push.events == NULL) {
        status = error_set(error, SLUICE_INVALID, "batch is missing");
    }
    if (status == SLUICE_OK && request->push.store_id.bytes == 0) {
        status = error_set(error, SLUICE_INVALID, "storeId is missing or empty");
    }
    return status;
}

/* Decodes what came and hands it on. */
static enum sluice_status start_push(struct http_endpoint *endpoint, struct exchange *exchange,
                                     struct push_request *request, struct sluice_error *error)
{
    struct http_push *owner = arena_alloc(&request->arena, sizeof(*owner));
    if (owner == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a push");
    }
    enum sluice_status status = decode_push(request, error);
    if (status != SLUICE_OK) {
        return status;
    }
    *owner = (struct http_push){.endpoint = endpoint, .exchange = exchange, .request = request};
    request->owner = owner;
    request->decided = on_decided;
    exchange_watch(exchange, &PUSH_OPS, owner);
    return push_request_submit(request, endpoint->options.sync, error);
}

static void on_push(struct http_endpoint *endpoint, struct exchange *exchange)
{
    struct sluice_error error = {0};
    struct push_request *request = NULL;
    enum sluice_status status = push_request_create(endpoint->front, exchange_body(exchange),
                                                    SLICE_EMPTY, &request, &error);
    if (status == SLUICE_OK) {
        status = start_push(endpoint, exchange, request, &error);
    }
    if (status != SLUICE_OK) {
        struct slice store_id = request != NULL ? request->push.store_id : SLICE_EMPTY;
        exchange_watch(exchange, NULL, NULL);
        refuse(endpoint, exchange, sluice_status_http(status), status, store_id, error.message,
               NULL);
        push_request_destroy(request);
    }
}

/* ---- requests ---- */

static void on_pull(struct http_endpoint *endpoint, struct exchange *exchange)
{
    struct arena arena;
    struct slice encoded;
    struct slice args;
    if (exchange_body(exchange).bytes > 0) {
        /* It would be kept, and counted as in flight, for as long as the answer takes. */
        http_endpoint_refuse(endpoint, exchange, 413, SLUICE_LIMIT, SLICE_EMPTY,
                             "a pull has no body");
        return;
    }
    unsigned count = http_query_find(exchange_request(exchange)->query, "args", &encoded);
    if (count > 1) { /* a proxy that checks it may look at the other one */
        http_endpoint_refuse(endpoint, exchange, 400, SLUICE_MALFORMED, SLICE_EMPTY,
                             "the parameter args is given more than once");
        return;
    }
    arena_init(&arena, ARGS_BYTES_MAX);
    if (count == 0 || json_parameter_decode(encoded, &arena, &args) != SLUICE_OK) {
        args = SLICE("");
    }
    endpoint->pull(endpoint, exchange, args, &arena);
    arena_deinit(&arena);
}

static void on_request(void *user, struct exchange *exchange)
{
    struct http_endpoint *endpoint = user;
    const struct request *request = exchange_request(exchange);
    if (slice_equal(request->method, SLICE("HEAD"))) {
        exchange_respond(exchange, 200, NULL, SLICE_EMPTY, SLICE_EMPTY);
    } else if (slice_equal(request->method, SLICE("GET"))) {
        on_pull(endpoint, exchange);
    } else if (slice_equal(request->method, SLICE("POST"))) {
        on_push(endpoint, exchange);
    } else {
        exchange_respond(exchange, 405, "text/plain; charset=utf-8",
                         SLICE("GET pulls, POST pushes, HEAD pings\n"),
                         SLICE("allow: GET, POST, HEAD, OPTIONS\r\n"));
    }
}

static bool claims(void *user, const struct request *request)
{
    struct http_endpoint *endpoint = user;
    return slice_equal(request->path, slice_of_string(endpoint->options.path)) &&
           !slice_equal(request->method, SLICE("OPTIONS"));
}

struct endpoint http_endpoint_entry(struct http_endpoint *endpoint)
{
    return (struct endpoint){.claims = claims, .request = on_request, .user = endpoint};
}
