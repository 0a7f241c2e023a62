/* fuzz_electric: any bytes as a pull's arguments, or as a push's batch, which then goes out as a
 * page: valid JSON, whose items hold the same events. */
#include <stdlib.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "doors.h"
#include "proto/electric.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_args(struct slice query, struct arena *arena)
{
    struct slice args;
    struct sluice_error error;
    struct electric_pull pull = {0};
    doors_find_args(query, arena, &args);
    if (electric_decode_pull(args, arena, &pull, &error) == SLUICE_OK) {
        SLUICE_ASSERT(utf8_valid(pull.store_id));
        SLUICE_ASSERT(utf8_valid(pull.handle));
        SLUICE_ASSERT(pull.seq_num <= SEQ_NUM_MAX);
        SLUICE_ASSERT(pull.has_handle || (pull.seq_num == 0 && !pull.knows_end));
    } else {
        SLUICE_ASSERT(error.message[0] != '\0');
    }
}

static uint64_t number_of(struct slice object, const char *name, struct arena *arena)
{
    unsigned long long number = 0;
    SLUICE_ASSERT(slice_to_u64(doors_string_of(object, name, arena), &number));
    return number;
}

/* What a client makes of it: an item for each event, and one that says that these are all. */
static void check_page(struct slice page, const struct event *events, size_t count,
                       struct arena *arena)
{
    struct json_reader reader;
    struct slice item;
    enum sluice_status status = json_validate(page, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    json_reader_init(&reader, page);
    SLUICE_ASSERT(json_enter_array(&reader));
    for (size_t i = 0; i < count; i++) {
        SLUICE_ASSERT(json_next_item(&reader) && json_skip(&reader, &item));
        struct slice value = doors_value_of(item, "value");
        struct event event = {
            .seq_num = number_of(value, "seqNum", arena),
            .parent_seq_num = number_of(value, "parentSeqNum", arena),
            .name = doors_string_of(value, "name", arena),
            .args = doors_string_of(value, "args", arena),
            .client_id = doors_string_of(value, "clientId", arena),
            .session_id = doors_string_of(value, "sessionId", arena),
        };
        doors_check_same(&event, &events[i]);
    }
    SLUICE_ASSERT(json_next_item(&reader) && json_skip(&reader, &item));
    SLUICE_ASSERT(slice_equal(item, SLICE("{\"headers\":{\"control\":\"up-to-date\"}}")));
    SLUICE_ASSERT(!json_next_item(&reader));
}

static void check_batch(struct slice text, struct arena *arena)
{
    struct event *events = NULL;
    size_t count = 0;
    if (!doors_decode_batch(text, arena, &events, &count)) {
        return;
    }
    struct buffer page;
    buffer_init(&page, SIZE_MAX / 2);
    electric_page_start(&page);
    for (size_t i = 0; i < count; i++) {
        electric_page_event(&page, &events[i], i == 0);
    }
    electric_page_end(&page, count > 0, true);
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
