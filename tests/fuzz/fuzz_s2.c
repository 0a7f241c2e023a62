/* fuzz_s2: any bytes as a pull's arguments, or as a push's batch, which then goes out as a batch of
 * the event stream: one line of data, valid JSON, whose records hold the same events. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "doors.h"
#include "proto/s2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define DATA_START "event: batch\ndata: "

static void check_args(struct slice query, struct arena *arena)
{
    struct slice args;
    struct sluice_error error;
    struct s2_pull pull = {0};
    doors_find_args(query, arena, &args);
    if (s2_decode_pull(args, arena, &pull, &error) == SLUICE_OK) {
        SLUICE_ASSERT(utf8_valid(pull.store_id));
        SLUICE_ASSERT(pull.position <= SEQ_NUM_MAX + 1);
    } else {
        struct buffer out;
        buffer_init(&out, 4096);
        s2_append_error(&out, slice_of_string(error.message));
        SLUICE_ASSERT(buffer_slice(&out).bytes > 0 && out.status == SLUICE_OK);
        SLUICE_ASSERT(memchr(out.data + 13, '\n', out.bytes - 15) == NULL);
        buffer_deinit(&out);
    }
}

static struct event decode_body(struct slice body, struct arena *arena)
{
    struct buffer array;
    struct json_reader reader;
    struct event *events = NULL;
    size_t count = 0;
    buffer_init(&array, SIZE_MAX / 2);
    buffer_append_byte(&array, '[');
    buffer_append_slice(&array, body);
    buffer_append_byte(&array, ']');
    char *kept = arena_alloc(arena, array.bytes);
    SLUICE_ASSERT(kept != NULL);
    memcpy(kept, array.data, array.bytes);
    struct slice text = slice_make(kept, array.bytes);
    buffer_deinit(&array);
    enum sluice_status status = json_validate(text, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    json_reader_init(&reader, text);
    status = event_json_decode_batch(&reader, arena, &events, &count, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(count == 1);
    return events[0];
}

/* What a client makes of it. */
static void check_page(struct slice page, const struct event *events, size_t count,
                       struct arena *arena)
{
    struct json_reader reader;
    struct slice record;
    size_t start = sizeof(DATA_START) - 1;
    SLUICE_ASSERT(page.bytes > start && memcmp(page.data, DATA_START, start) == 0);
    const char *end = memchr(page.data + start, '\n', page.bytes - start);
    SLUICE_ASSERT(end != NULL);
    struct slice batch = slice_make(page.data + start, (size_t)(end - page.data) - start);
    SLUICE_ASSERT(memchr(batch.data, '\r', batch.bytes) == NULL);
    enum sluice_status status = json_validate(batch, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(slice_equal(slice_make(end, 5), SLICE("\nid: ")));
    json_reader_init(&reader, doors_value_of(batch, "records"));
    SLUICE_ASSERT(json_enter_array(&reader));
    size_t i = 0;
    for (; json_next_item(&reader); i++) {
        SLUICE_ASSERT(i < count && json_skip(&reader, &record));
        struct event event = decode_body(doors_string_of(record, "body", arena), arena);
        doors_check_same(&event, &events[i]);
    }
    SLUICE_ASSERT(i == count);
}

static void check_batch(struct slice text, struct arena *arena)
{
    struct event *events = NULL;
    size_t count = 0;
    if (!doors_decode_batch(text, arena, &events, &count) || count == 0) {
        return;
    }
    struct buffer page;
    buffer_init(&page, SIZE_MAX / 2);
    s2_batch_start(&page);
    for (size_t i = 0; i < count; i++) {
        events[i].position = i;
        events[i].created_at_ms = 1;
        s2_batch_record(&page, &events[i], i == 0);
    }
    s2_batch_end(&page, count, 1, count - 1);
    enum sluice_status status = buffer_status(&page);
    SLUICE_ASSERT(status == SLUICE_OK);
    check_page(buffer_slice(&page), events, count, arena);
    buffer_deinit(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct arena arena;
    struct slice input = slice_make(data, bytes);
    arena_init(&arena, DOORS_ARENA_BYTES_MAX);
    if (bytes > 0 && data[0] == 'a') {
        check_args(input, &arena);
    } else {
        check_batch(input, &arena);
    }
    arena_deinit(&arena);
    return 0;
}
