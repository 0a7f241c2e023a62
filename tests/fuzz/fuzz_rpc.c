/* fuzz_rpc: any bytes as a frame of Effect RPC messages, and their payloads as sync-cf requests.
 *
 * What decodes as a push is checked by admission, written as a page, and read again: the page must
 * be valid JSON and hold the same events. Every answer that names a request must be valid JSON. */
#include <stdlib.h>

#include "base/assert.h"
#include "proto/effect_rpc.h"
#include "proto/event_json.h"
#include "proto/sync_cf.h"
#include "sync/admission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define ARENA_BYTES_MAX (64u << 20)

static void check_json(struct buffer *out)
{
    enum sluice_status status = buffer_status(out);
    SLUICE_ASSERT(status == SLUICE_OK);
    status = json_validate(buffer_slice(out), NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    buffer_clear(out);
}

static void check_answers(const struct rpc_message *message)
{
    struct buffer out;
    buffer_init(&out, SIZE_MAX / 2);
    if (message->id.data != NULL) {
        rpc_append_exit_success(&out, message->id, SLICE("{}"));
        check_json(&out);
        rpc_append_exit_die(&out, message->id, message->dialect, message->payload);
        check_json(&out);
        rpc_append_exit_interrupt(&out, message->id, message->dialect);
        check_json(&out);
        rpc_append_chunk_start(&out, message->id);
        buffer_append_literal(&out, "1" RPC_CHUNK_END);
        check_json(&out);
    }
    rpc_append_defect(&out, message->tag.data != NULL ? message->tag : SLICE("none"));
    check_json(&out);
    buffer_deinit(&out);
}

static void check_same(const struct event *a, const struct event *b)
{
    bool same = false;
    enum sluice_status status = admission_same_event(a, b, &same);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(same);
    SLUICE_ASSERT(slice_equal(a->args, b->args));
}

/* The events as the clients' JSON, read again. */
static void check_round_trip(const struct event *events, size_t count)
{
    struct buffer out;
    struct arena arena;
    struct json_reader reader;
    struct event *again = NULL;
    size_t again_count = 0;
    buffer_init(&out, SIZE_MAX / 2);
    arena_init(&arena, ARENA_BYTES_MAX);
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_append_slice(&out, i > 0 ? SLICE(",") : SLICE_EMPTY);
        event_json_append(&out, &events[i]);
    }
    buffer_append_byte(&out, ']');
    SLUICE_ASSERT(json_validate(buffer_slice(&out), NULL) == SLUICE_OK);
    json_reader_init(&reader, buffer_slice(&out));
    enum sluice_status status =
        event_json_decode_batch(&reader, &arena, &again, &again_count, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(again_count == count);
    for (size_t i = 0; i < count; i++) {
        check_same(&events[i], &again[i]);
    }
    buffer_clear(&out);
    sync_cf_page_start(&out);
    for (size_t i = 0; i < count; i++) {
        sync_cf_page_event(&out, &events[i], i == 0);
    }
    sync_cf_page_end(&out, count, SLICE("backend"));
    check_json(&out);
    arena_deinit(&arena);
    buffer_deinit(&out);
}

static void check_payload(struct slice payload)
{
    struct sync_cf_push push = {0};
    struct sync_cf_pull pull = {0};
    struct slice store_id = SLICE_EMPTY;
    struct sluice_error error;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    if (sync_cf_decode_push(payload, &arena, &push, &error) == SLUICE_OK) {
        enum sluice_status status =
            admission_check_batch(push.events, push.event_count, 1u << 20, &error);
        SLUICE_ASSERT(status == SLUICE_OK || status == SLUICE_INVALID || status == SLUICE_LIMIT);
        if (status == SLUICE_OK) {
            check_round_trip(push.events, push.event_count);
        }
    }
    if (sync_cf_decode_pull(payload, true, &arena, &pull, &error) == SLUICE_OK) {
        SLUICE_ASSERT(!pull.has_cursor || pull.cursor_backend_id.data != NULL);
    }
    if (sync_cf_decode_ping(payload, &arena, &store_id, &error) == SLUICE_OK) {
        SLUICE_ASSERT(store_id.data != NULL);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rpc_frame frame;
    struct rpc_message message;
    if (rpc_frame_open(&frame, slice_make(data, bytes), NULL) != SLUICE_OK) {
        return 0;
    }
    while (rpc_frame_next(&frame, &message)) {
        check_answers(&message);
        if (message.kind == RPC_REQUEST) {
            check_payload(message.payload);
        } else if (message.kind == RPC_INVALID) {
            SLUICE_ASSERT(message.problem != NULL);
        }
    }
    return 0;
}
