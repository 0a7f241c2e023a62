/* doors: what the targets of the plain-HTTP protocols share. An input that starts with 'a' is the
 * query of a pull (args=…), any other the JSON of a push's batch. */
#ifndef SLUICE_TESTS_FUZZ_DOORS_H
#define SLUICE_TESTS_FUZZ_DOORS_H

#include "base/assert.h"
#include "base/json.h"
#include "endpoint/json_parameter.h"
#include "http/http_query.h"
#include "proto/event_json.h"
#include "sync/admission.h"

#define DOORS_ARENA_BYTES_MAX (64u << 20)

/* As http_endpoint does: `*args` is empty when there is nothing that can be understood. */
static inline void doors_find_args(struct slice query, struct arena *arena, struct slice *args)
{
    struct slice encoded;
    if (http_query_find(query, "args", &encoded) != 1 ||
        json_parameter_decode(encoded, arena, args) != SLUICE_OK) {
        *args = SLICE("");
    }
}

/* True when it is a batch that could be stored. */
static inline bool doors_decode_batch(struct slice text, struct arena *arena, struct event **events,
                                      size_t *count)
{
    struct json_reader reader;
    struct sluice_error error;
    if (json_validate(text, NULL) != SLUICE_OK) {
        return false;
    }
    json_reader_init(&reader, text);
    if (event_json_decode_batch(&reader, arena, events, count, &error) != SLUICE_OK) {
        SLUICE_ASSERT(error.message[0] != '\0');
        return false;
    }
    return admission_check_batch(*events, *count, SIZE_MAX, &error) == SLUICE_OK;
}

static inline void doors_check_same(const struct event *a, const struct event *b)
{
    SLUICE_ASSERT(a->seq_num == b->seq_num);
    SLUICE_ASSERT(a->parent_seq_num == b->parent_seq_num);
    SLUICE_ASSERT(slice_equal(a->name, b->name));
    SLUICE_ASSERT(slice_equal(a->args, b->args));
    SLUICE_ASSERT(slice_equal(a->client_id, b->client_id));
    SLUICE_ASSERT(slice_equal(a->session_id, b->session_id));
}

/* The string that is the value of `name` in an object, decoded. */
static inline struct slice doors_string_of(struct slice object, const char *name,
                                           struct arena *arena)
{
    struct json_reader reader;
    struct slice key;
    struct slice raw = SLICE_EMPTY;
    struct slice out = SLICE_EMPTY;
    json_reader_init(&reader, object);
    SLUICE_ASSERT(json_enter_object(&reader));
    while (json_next_key(&reader, &key)) {
        if (json_key_is(key, name)) {
            SLUICE_ASSERT(json_read_string(&reader, &raw));
        } else {
            (void)json_skip(&reader, NULL);
        }
    }
    SLUICE_ASSERT(raw.data != NULL);
    enum sluice_status status = json_decode_string(raw, arena, &out, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    return out;
}

/* The text of the value of `name` in an object. */
static inline struct slice doors_value_of(struct slice object, const char *name)
{
    struct json_reader reader;
    struct slice key;
    struct slice found = SLICE_EMPTY;
    json_reader_init(&reader, object);
    SLUICE_ASSERT(json_enter_object(&reader));
    while (json_next_key(&reader, &key)) {
        (void)json_skip(&reader, json_key_is(key, name) ? &found : NULL);
    }
    SLUICE_ASSERT(found.data != NULL);
    return found;
}

#endif
