/* push_request: see push_request.h. */
#include "endpoint/push_request.h"

#include <stdlib.h>

/* An event's struct, next to the least text it can come from, with room for unescaped strings. */
#define ARENA_BYTES_PER_TEXT_BYTE 16u
#define ARENA_BYTES_MIN 8192u

static enum sluice_status take_inflight(struct push_request *request, size_t bytes,
                                        struct sluice_error *error)
{
    if (!front_take_inflight(request->front, bytes)) {
        return error_set(error, SLUICE_UNAVAILABLE,
                         "the server holds too many messages (--inflight-bytes-max); push again "
                         "later");
    }
    request->inflight_bytes += bytes;
    return SLUICE_OK;
}

struct slice push_request_keep(struct push_request *request, struct slice text)
{
    char *copy = arena_alloc(&request->arena, text.bytes + 1);
    if (copy == NULL) {
        return SLICE_EMPTY;
    }
    if (text.bytes > 0) {
        memcpy(copy, text.data, text.bytes);
    }
    return slice_make(copy, text.bytes);
}

enum sluice_status push_request_create(struct front *front, struct slice payload,
                                       struct slice store_id, struct push_request **out,
                                       struct sluice_error *error)
{
    struct push_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a push");
    }
    request->front = front;
    arena_init(&request->arena, ARENA_BYTES_MIN + payload.bytes * ARENA_BYTES_PER_TEXT_BYTE);
    enum sluice_status status = take_inflight(request, sizeof(*request) + payload.bytes, error);
    if (status == SLUICE_OK) {
        request->payload = push_request_keep(request, payload);
        request->push.store_id = push_request_keep(request, store_id);
        if (request->payload.data == NULL || request->push.store_id.data == NULL) {
            status = error_set(error, SLUICE_NO_MEMORY, "out of memory for a push");
        }
    }
    if (status != SLUICE_OK) {
        push_request_destroy(request);
        return status;
    }
    *out = request;
    return SLUICE_OK;
}

void push_request_destroy(struct push_request *request)
{
    if (request != NULL) {
        front_give_inflight(request->front, request->inflight_bytes);
        arena_deinit(&request->arena);
        free(request);
    }
}

static void on_done(struct sync_push *push)
{
    struct push_request *request = (struct push_request *)push; /* its first member */
    request->decided(request);
}

enum sluice_status push_request_submit(struct push_request *request, struct sync *sync,
                                       struct sluice_error *error)
{
    /* The copy of what came lies in the arena too, and has been counted. */
    enum sluice_status status =
        take_inflight(request, request->arena.bytes - request->payload.bytes, error);
    if (status == SLUICE_OK) {
        request->push.done = on_done;
        sync_push_submit(sync, &request->push);
    }
    return status;
}

void push_request_abandon(struct push_request *request)
{
    request->owner = NULL;
    sync_push_abandon(&request->push);
}
