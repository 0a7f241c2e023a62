/* endpoint_sync_cf: see endpoint_sync_cf.h. Here: whose request it is, its parameters, and which
 * side (WebSocket, HTTP) goes on with it. */
#include "endpoint/endpoint_sync_cf.h"

#include <stdlib.h>

#include "endpoint/json_parameter.h"
#include "endpoint/sync_cf_internal.h"
#include "http/http_query.h"
#include "sync/admission.h"

#define PARAMETERS_BYTES_MAX (64u << 10)

struct parameters {
    struct slice store_id;
    bool websocket;
};

struct endpoint_sync_cf *endpoint_sync_cf_create(const struct endpoint_sync_cf_options *options)
{
    struct endpoint_sync_cf *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint != NULL) {
        endpoint->options = *options;
    }
    return endpoint;
}

void endpoint_sync_cf_destroy(struct endpoint_sync_cf *endpoint)
{
    free(endpoint);
}

void endpoint_sync_cf_attach(struct endpoint_sync_cf *endpoint, struct front *front)
{
    endpoint->front = front;
}

static bool claims(void *user, const struct request *request)
{
    struct slice value;
    (void)user;
    return !slice_equal(request->method, SLICE("OPTIONS")) &&
           (http_query_find(request->query, "storeId", &value) > 0 ||
            http_query_find(request->query, "transport", &value) > 0);
}

/* A parameter that is there twice is refused: a proxy that checks it may look at the other one. */
static enum sluice_status find_parameter(struct slice query, const char *name, bool is_needed,
                                         struct slice *value, struct sluice_error *error)
{
    unsigned count = http_query_find(query, name, value);
    if (count > 1) {
        return error_set(error, SLUICE_MALFORMED, "the parameter %s is given more than once", name);
    }
    if (count == 0 && is_needed) {
        return error_set(error, SLUICE_MALFORMED, "the parameter %s is missing", name);
    }
    return SLUICE_OK;
}

static enum sluice_status read_parameters(struct slice query, struct arena *arena,
                                          struct parameters *out, struct sluice_error *error)
{
    struct slice store_id = SLICE_EMPTY;
    struct slice transport = SLICE_EMPTY;
    struct slice payload = SLICE_EMPTY;
    struct slice json;
    enum sluice_status status = find_parameter(query, "storeId", true, &store_id, error);
    if (status == SLUICE_OK) {
        status = find_parameter(query, "transport", true, &transport, error);
    }
    if (status == SLUICE_OK) {
        status = find_parameter(query, "payload", false, &payload, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (!slice_equal(transport, SLICE("ws")) && !slice_equal(transport, SLICE("http"))) {
        return error_set(error, SLUICE_MALFORMED, "the parameter transport must be ws or http");
    }
    out->websocket = slice_equal(transport, SLICE("ws"));
    if (http_percent_decode(store_id, true, arena, &out->store_id, NULL) != SLUICE_OK) {
        return error_set(error, SLUICE_MALFORMED,
                         "the parameter storeId is not percent-encoded correctly");
    }
    status = admission_check_store_id(out->store_id, error);
    if (status == SLUICE_OK && payload.data != NULL &&
        json_parameter_decode(payload, arena, &json) != SLUICE_OK) {
        status = error_set(error, SLUICE_MALFORMED,
                           "the parameter payload must be JSON, percent-encoded once or twice");
    }
    return status;
}

static void respond_text(struct exchange *exchange, int status, const char *text,
                         struct slice extra_headers)
{
    struct buffer body;
    buffer_init(&body, ANSWER_BYTES_MAX);
    buffer_append_slice(&body, slice_of_string(text));
    buffer_append_byte(&body, '\n');
    exchange_respond(exchange, status, "text/plain; charset=utf-8", buffer_slice(&body),
                     extra_headers);
    buffer_deinit(&body);
}

static void on_request(void *user, struct exchange *exchange)
{
    struct endpoint_sync_cf *endpoint = user;
    const struct request *request = exchange_request(exchange);
    struct parameters parameters = {0};
    struct sluice_error error;
    struct arena arena;
    arena_init(&arena, PARAMETERS_BYTES_MAX);
    enum sluice_status status = read_parameters(request->query, &arena, &parameters, &error);
    if (status != SLUICE_OK) {
        respond_text(exchange, 400, error.message, SLICE_EMPTY);
    } else if (parameters.websocket) {
        respond_text(exchange, 426, "transport=ws wants a WebSocket handshake", SLICE_EMPTY);
    } else if (!slice_equal(request->method, SLICE("POST"))) {
        respond_text(exchange, 405, "transport=http wants POST", SLICE("allow: POST, OPTIONS\r\n"));
    } else {
        cf_exchange_start(endpoint, exchange, parameters.store_id);
    }
    arena_deinit(&arena);
}

static int on_upgrade(void *user, const struct request *request, void **session_user,
                      struct sluice_error *error)
{
    struct endpoint_sync_cf *endpoint = user;
    struct parameters parameters = {0};
    struct arena arena;
    int http_status = 101;
    arena_init(&arena, PARAMETERS_BYTES_MAX);
    enum sluice_status status = read_parameters(request->query, &arena, &parameters, error);
    if (status != SLUICE_OK) {
        http_status = 400;
    } else if (!parameters.websocket) {
        (void)error_set(error, SLUICE_MALFORMED, "transport=http does not take a WebSocket");
        http_status = 400;
    } else {
        *session_user = cf_session_create(endpoint, parameters.store_id);
        if (*session_user == NULL) {
            (void)error_set(error, SLUICE_NO_MEMORY, "out of memory for a connection");
            http_status = 503;
        }
    }
    arena_deinit(&arena);
    return http_status;
}

struct endpoint endpoint_sync_cf_entry(struct endpoint_sync_cf *endpoint)
{
    return (struct endpoint){
        .claims = claims,
        .request = on_request,
        .upgrade = on_upgrade,
        .session_ops = &CF_SESSION_OPS,
        .user = endpoint,
    };
}
