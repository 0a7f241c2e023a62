/* sync_cf_answer: from rpc messages to pushes and pulls, and from outcomes to rpc messages; the
 * same for WebSocket and HTTP. Loop thread. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "endpoint/sync_cf_internal.h"

#define ARENA_BYTES_MAX 16384u /* of a pull or a ping: the cursor and the store id */

static void end_page(struct buffer *out, const struct sync_page_end *end)
{
    sync_cf_page_end(out, end->remaining, slice_of_string(end->backend_id));
}

const struct sync_encoder SYNC_CF_ENCODER = {
    .start = sync_cf_page_start,
    .event = sync_cf_page_event,
    .end = end_page,
};

static enum sluice_status check_store(struct slice named, struct slice store_id,
                                      struct sluice_error *error)
{
    if (slice_equal(named, store_id)) {
        return SLUICE_OK;
    }
    return error_set(error, SLUICE_INVALID,
                     "the payload's storeId is not the one in the URL, which counts");
}

enum sluice_status cf_push_create(struct endpoint_sync_cf *endpoint,
                                  const struct rpc_message *message, struct slice store_id,
                                  struct push_request **out, struct sluice_error *error)
{
    struct sync_cf_push decoded = {0};
    struct push_request *request = NULL;
    enum sluice_status status =
        push_request_create(endpoint->front, message->payload, store_id, &request, error);
    if (status != SLUICE_OK) {
        return status;
    }
    request->dialect = (int)message->dialect;
    request->id = push_request_keep(request, message->id);
    if (request->id.data == NULL) {
        status = error_set(error, SLUICE_NO_MEMORY, "out of memory for a push");
    }
    if (status == SLUICE_OK) {
        status = sync_cf_decode_push(request->payload, &request->arena, &decoded, error);
    }
    if (status == SLUICE_OK) {
        status = check_store(decoded.store_id, store_id, error);
    }
    if (status == SLUICE_OK && decoded.has_backend_id &&
        decoded.backend_id.bytes > BACKEND_ID_BYTES_MAX) {
        status = error_set(error, SLUICE_LIMIT, "backendId has more than %u bytes",
                           BACKEND_ID_BYTES_MAX);
    }
    if (status != SLUICE_OK) {
        push_request_destroy(request);
        return status;
    }
    request->push.has_backend_id = decoded.has_backend_id;
    request->push.backend_id = decoded.backend_id;
    request->push.events = decoded.events;
    request->push.event_count = decoded.event_count;
    *out = request;
    return SLUICE_OK;
}

enum sluice_status cf_pull_create(const struct rpc_message *message, struct slice store_id,
                                  bool websocket, struct cf_pull **out, struct sluice_error *error)
{
    struct arena arena;
    struct buffer start;
    struct sync_cf_pull decoded = {0};
    arena_init(&arena, ARENA_BYTES_MAX);
    buffer_init(&start, 256);
    rpc_append_chunk_start(&start, message->id);
    enum sluice_status status =
        sync_cf_decode_pull(message->payload, websocket, &arena, &decoded, error);
    if (status == SLUICE_OK) {
        status = check_store(decoded.store_id, store_id, error);
    }
    if (status == SLUICE_OK && decoded.has_cursor &&
        decoded.cursor_backend_id.bytes > BACKEND_ID_BYTES_MAX) {
        status = error_set(error, SLUICE_LIMIT, "the cursor's backendId has more than %u bytes",
                           BACKEND_ID_BYTES_MAX);
    }
    if (status == SLUICE_OK) {
        status = buffer_status(&start);
    }
    if (status != SLUICE_OK) {
        goto out;
    }
    struct cf_pull *pull = malloc(sizeof(*pull) + start.bytes);
    if (pull == NULL) {
        status = error_set(error, SLUICE_NO_MEMORY, "out of memory for a pull");
        goto out;
    }
    *pull = (struct cf_pull){.dialect = message->dialect};
    memcpy(pull->text, start.data, start.bytes);
    pull->chunk_start = slice_make(pull->text, start.bytes);
    pull->id = slice_make(pull->text + RPC_CHUNK_ID_AT, message->id.bytes);
    SLUICE_ASSERT(slice_equal(pull->id, message->id));
    pull->pull.store_id = store_id;
    pull->pull.live = decoded.live;
    pull->pull.has_cursor = decoded.has_cursor;
    pull->pull.cursor = decoded.has_cursor ? decoded.cursor_seq_num : 0;
    if (decoded.has_cursor) {
        memcpy(pull->backend_id, decoded.cursor_backend_id.data, decoded.cursor_backend_id.bytes);
    }
    pull->pull.cursor_backend_id = slice_make(pull->backend_id, decoded.cursor_backend_id.bytes);
    pull->pull.encoder = &SYNC_CF_ENCODER;
    *out = pull;
out:
    buffer_deinit(&start);
    arena_deinit(&arena);
    return status;
}

enum sluice_status cf_ping_check(const struct rpc_message *message, struct slice store_id,
                                 struct sluice_error *error)
{
    struct arena arena;
    struct slice named = SLICE_EMPTY;
    arena_init(&arena, ARENA_BYTES_MAX);
    enum sluice_status status = sync_cf_decode_ping(message->payload, &arena, &named, error);
    if (status == SLUICE_OK) {
        status = check_store(named, store_id, error);
    }
    arena_deinit(&arena);
    return status;
}

static void append_fail(struct buffer *out, struct slice id, enum rpc_dialect dialect,
                        struct buffer *error_json)
{
    if (buffer_status(error_json) == SLUICE_OK) {
        rpc_append_exit_fail(out, id, dialect, buffer_slice(error_json));
    } else {
        rpc_append_exit_die(out, id, dialect, SLICE("out of memory"));
    }
    buffer_deinit(error_json);
}

void cf_answer_push(struct buffer *out, const struct push_request *push)
{
    const struct sync_push *outcome = &push->push;
    struct buffer error;
    buffer_init(&error, ANSWER_BYTES_MAX);
    switch (outcome->status) {
    case SLUICE_OK:
        rpc_append_exit_success(out, push->id, SLICE("{}"));
        return;
    case SLUICE_SERVER_AHEAD:
        sync_cf_append_server_ahead(&error, outcome->head, outcome->events[0].parent_seq_num);
        break;
    case SLUICE_BACKEND_ID_MISMATCH:
        sync_cf_append_backend_id_mismatch(&error, slice_of_string(outcome->backend_id_expected),
                                           outcome->backend_id);
        break;
    default:
        sync_cf_append_unknown_error(&error, slice_of_string(outcome->error.message));
        break;
    }
    append_fail(out, push->id, (enum rpc_dialect)push->dialect, &error);
}

void cf_answer_pull_end(struct buffer *out, const struct cf_pull *pull, enum sluice_status status,
                        const struct sluice_error *error)
{
    struct buffer json;
    buffer_init(&json, ANSWER_BYTES_MAX);
    switch (status) {
    case SLUICE_OK:
        rpc_append_exit_success(out, pull->id, SLICE("null"));
        return;
    case SLUICE_BACKEND_ID_MISMATCH:
        sync_cf_append_backend_id_mismatch(&json, slice_of_string(pull->pull.backend_id),
                                           pull->pull.cursor_backend_id);
        break;
    default:
        sync_cf_append_unknown_error(&json, slice_of_string(error->message));
        break;
    }
    append_fail(out, pull->id, pull->dialect, &json);
}

void cf_answer_refusal(struct buffer *out, const struct rpc_message *message,
                       enum sluice_status status, const struct sluice_error *error)
{
    struct buffer json;
    if (status == SLUICE_INVALID || status == SLUICE_MALFORMED) {
        rpc_append_exit_die(out, message->id, message->dialect, slice_of_string(error->message));
        return;
    }
    buffer_init(&json, ANSWER_BYTES_MAX);
    sync_cf_append_unknown_error(&json, slice_of_string(error->message));
    append_fail(out, message->id, message->dialect, &json);
}

void cf_answer_invalid(struct buffer *out, const struct rpc_message *message)
{
    if (message->id.data != NULL) {
        rpc_append_exit_die(out, message->id, message->dialect, slice_of_string(message->problem));
    } else {
        rpc_append_defect(out, slice_of_string(message->problem));
    }
}

void cf_answer_unknown_procedure(struct buffer *out, const struct rpc_message *message)
{
    struct sluice_error error;
    (void)error_set(&error, SLUICE_UNSUPPORTED, "unknown procedure %.*s",
                    SLICE_PRINT(message->tag));
    rpc_append_exit_die(out, message->id, message->dialect, slice_of_string(error.message));
}

void cf_report(struct endpoint_sync_cf *endpoint, enum sluice_status status, struct slice store_id,
               const char *peer, const char *message)
{
    if (endpoint->options.refused != NULL) {
        endpoint->options.refused(endpoint->options.user, status, store_id, peer, message);
    }
}
