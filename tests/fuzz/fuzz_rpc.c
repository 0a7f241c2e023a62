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

/* The value of `name` in the object that comes next, which has it. */
static struct slice value_of(struct json_reader *reader, const char *name)
{
    struct slice key;
    struct slice found = SLICE_EMPTY;
    SLUICE_ASSERT(json_enter_object(reader));
    while (json_next_key(reader, &key)) {
        (void)json_skip(reader, json_key_is(key, name) ? &found : NULL);
    }
    SLUICE_ASSERT(found.data != NULL);
    return found;
}

/* What a client makes of a page: the eventEncoded of each item of its batch, as an array. */
static void collect_events(struct slice page, struct buffer *out)
{
    struct json_reader reader;
    json_reader_init(&reader, page);
    struct slice batch = value_of(&reader, "batch");
    enum sluice_status status = json_finish(&reader, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    json_reader_init(&reader, batch);
    buffer_append_byte(out, '[');
    (void)json_enter_array(&reader);
    for (bool first = true; json_next_item(&reader); first = false) {
        buffer_append_slice(out, first ? SLICE_EMPTY : SLICE(","));
        buffer_append_slice(out, value_of(&reader, "eventEncoded"));
    }
    buffer_append_byte(out, ']');
}

/* The events as a page, read again as a client's push would be. */
static void check_round_trip(const struct event *events, size_t count)
{
    struct buffer page;
    struct buffer batch;
    struct arena arena;
    struct json_reader reader;
    struct event *again = NULL;
    size_t again_count = 0;
    buffer_init(&page, SIZE_MAX / 2);
    buffer_init(&batch, SIZE_MAX / 2);
    arena_init(&arena, ARENA_BYTES_MAX);
    sync_cf_page_start(&page);
    for (size_t i = 0; i < count; i++) {
        sync_cf_page_event(&page, &events[i], i == 0);
    }
    sync_cf_page_end(&page, count, SLICE("backend"));
    enum sluice_status status = json_validate(buffer_slice(&page), NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    collect_events(buffer_slice(&page), &batch);
    status = json_validate(buffer_slice(&batch), NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    json_reader_init(&reader, buffer_slice(&batch));
    status = event_json_decode_batch(&reader, &arena, &again, &again_count, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(again_count == count);
    for (size_t i = 0; i < count; i++) {
        check_same(&events[i], &again[i]);
    }
    arena_deinit(&arena);
    buffer_deinit(&batch);
    buffer_deinit(&page);
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

/* The Ack that is known without reading JSON is what reading JSON makes of it: with a space before
 * it, it is read. */
static void check_plain_ack(struct slice text)
{
    struct buffer spaced;
    buffer_init(&spaced, SIZE_MAX / 2);
    buffer_append_byte(&spaced, ' ');
    buffer_append_slice(&spaced, text);
    struct rpc_frame quick;
    struct rpc_frame slow;
    struct rpc_message known;
    struct rpc_message read;
    enum sluice_status quick_status = rpc_frame_open(&quick, text, NULL);
    enum sluice_status slow_status = rpc_frame_open(&slow, buffer_slice(&spaced), NULL);
    SLUICE_ASSERT(quick_status == slow_status);
    if (quick_status == SLUICE_OK && quick.plain_ack.bytes > 0) {
        SLUICE_ASSERT(rpc_frame_next(&quick, &known));
        SLUICE_ASSERT(rpc_frame_next(&slow, &read));
        SLUICE_ASSERT(known.kind == read.kind);
        SLUICE_ASSERT(known.dialect == read.dialect);
        SLUICE_ASSERT(slice_equal(known.id, read.id));
        SLUICE_ASSERT(slice_equal(known.payload, read.payload));
        SLUICE_ASSERT(known.tag.data == read.tag.data);
        SLUICE_ASSERT(!rpc_frame_next(&quick, &known));
        SLUICE_ASSERT(!rpc_frame_next(&slow, &read));
    }
    buffer_deinit(&spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rpc_frame frame;
    struct rpc_message message;
    check_plain_ack(slice_make(data, bytes));
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
