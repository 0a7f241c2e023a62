/* merge, by the cases of merge_vectors.json, and by what holds for whatever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "client/client_event.h"
#include "client/merge.h"
#include "failing_alloc.h"

#define EVENTS_MAX 8

struct vector {
    char name[160];
    uint64_t upstream_head;
    struct sluice_event pending[EVENTS_MAX];
    struct sluice_event upstream[EVENTS_MAX];
    struct sluice_event after[EVENTS_MAX];
    size_t pending_count;
    size_t upstream_count;
    size_t after_count;
    uint64_t confirmed;
    bool rebases;
    uint64_t new_upstream_head;
    char error[32];
};

static char *read_vectors(size_t *bytes)
{
    FILE *file = fopen(MERGE_VECTORS, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long end = ftell(file);
    rewind(file);
    char *text = malloc((size_t)end);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)end, file), end);
    (void)fclose(file);
    *bytes = (size_t)end;
    return text;
}

/* Reads the item and goes to the next; false at the array's end. */
static bool read_text(struct json_reader *reader, struct sluice_text *out)
{
    struct slice raw = SLICE_EMPTY;
    assert_true(json_read_string(reader, &raw));
    *out = text_of_slice(raw);
    return json_next_item(reader);
}

static struct sluice_event read_event(struct json_reader *reader)
{
    struct sluice_event event = {.name = sluice_text_of("a"),
                                 .args = sluice_text_of("null"),
                                 .client_id = sluice_text_of("me"),
                                 .session_id = sluice_text_of("s1")};
    assert_true(json_enter_array(reader));
    assert_true(json_next_item(reader));
    assert_true(json_read_u64(reader, UINT64_MAX, &event.seq_num));
    assert_true(json_next_item(reader));
    assert_true(json_read_u64(reader, UINT64_MAX, &event.parent_seq_num));
    bool open = json_next_item(reader) && read_text(reader, &event.name);
    if (open) {
        struct slice args = SLICE_EMPTY;
        assert_true(json_skip(reader, &args));
        event.args = text_of_slice(args);
        open = json_next_item(reader);
    }
    open = open && read_text(reader, &event.client_id);
    open = open && read_text(reader, &event.session_id);
    assert_false(open);
    return event;
}

static void read_events(struct json_reader *reader, struct sluice_event *events, size_t *count)
{
    assert_true(json_enter_array(reader));
    while (json_next_item(reader)) {
        assert_true(*count < EVENTS_MAX);
        events[(*count)++] = read_event(reader);
    }
}

static void copy_string(struct json_reader *reader, char *out, size_t out_bytes)
{
    struct slice raw = SLICE_EMPTY;
    assert_true(json_read_string(reader, &raw));
    (void)snprintf(out, out_bytes, "%.*s", SLICE_PRINT(raw));
}

/* False: it is the entry that says what the file is. */
static bool read_vector(struct json_reader *reader, struct vector *out)
{
    *out = (struct vector){0};
    struct slice key = SLICE_EMPTY;
    assert_true(json_enter_object(reader));
    while (json_next_key(reader, &key)) {
        if (json_key_is(key, "name")) {
            copy_string(reader, out->name, sizeof out->name);
        } else if (json_key_is(key, "error")) {
            copy_string(reader, out->error, sizeof out->error);
        } else if (json_key_is(key, "upstreamHead")) {
            assert_true(json_read_u64(reader, UINT64_MAX, &out->upstream_head));
        } else if (json_key_is(key, "newUpstreamHead")) {
            assert_true(json_read_u64(reader, UINT64_MAX, &out->new_upstream_head));
        } else if (json_key_is(key, "confirmed")) {
            assert_true(json_read_u64(reader, EVENTS_MAX, &out->confirmed));
        } else if (json_key_is(key, "rebases")) {
            assert_true(json_read_bool(reader, &out->rebases));
        } else if (json_key_is(key, "pending")) {
            read_events(reader, out->pending, &out->pending_count);
        } else if (json_key_is(key, "upstream")) {
            read_events(reader, out->upstream, &out->upstream_count);
        } else if (json_key_is(key, "after")) {
            read_events(reader, out->after, &out->after_count);
        } else {
            assert_true(json_key_is(key, "about"));
            assert_true(json_skip(reader, NULL));
        }
    }
    return out->name[0] != '\0';
}

static bool same_with_parent(const struct sluice_event *a, const struct sluice_event *b)
{
    bool same = false;
    assert_int_equal(client_event_same(a, b, &same), SLUICE_OK);
    return same && a->parent_seq_num == b->parent_seq_num;
}

static struct merge_input input_of(const struct vector *vector)
{
    return (struct merge_input){.upstream_head = vector->upstream_head,
                                .pending = vector->pending,
                                .pending_count = vector->pending_count,
                                .upstream = vector->upstream,
                                .upstream_count = vector->upstream_count};
}

/* "" or what is wrong. */
static const char *check_result(struct vector *vector, const struct merge_result *result)
{
    if (result->confirmed_count != vector->confirmed || result->rebases != vector->rebases) {
        return "other events are confirmed or rebased";
    }
    if (result->upstream_head != vector->new_upstream_head) {
        return "the upstream head is another one";
    }
    struct sluice_event *left = vector->pending + result->confirmed_count;
    size_t left_count = vector->pending_count - result->confirmed_count;
    if (result->rebases) {
        uint64_t local_head = merge_renumber(left, left_count, result->upstream_head);
        if (local_head != left[left_count - 1].seq_num) {
            return "the local head is another one";
        }
    }
    if (left_count != vector->after_count) {
        return "more or fewer events are pending";
    }
    for (size_t index = 0; index < left_count; index++) {
        if (!same_with_parent(&left[index], &vector->after[index])) {
            return "what is pending is not as it should be";
        }
    }
    return "";
}

static const char *check_vector(struct vector *vector)
{
    struct merge_input input = input_of(vector);
    struct merge_result result = {.confirmed_count = 77, .upstream_head = 77};
    enum sluice_status status = merge(&input, &result, NULL);
    if (vector->error[0] != '\0') {
        if (strcmp(sluice_status_name(status), vector->error) != 0) {
            return "it is not refused as it should be";
        }
        return result.confirmed_count == 77 && result.upstream_head == 77 ? ""
                                                                          : "outputs are changed";
    }
    return status == SLUICE_OK ? check_result(vector, &result) : sluice_status_name(status);
}

static void every_vector_comes_out_as_it_says(void **state)
{
    (void)state;
    size_t bytes = 0;
    char *text = read_vectors(&bytes);
    struct json_reader reader;
    struct sluice_error error = {0};
    if (json_validate(slice_make(text, bytes), &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
    json_reader_init(&reader, slice_make(text, bytes));
    size_t checked = 0;
    size_t failed = 0;
    assert_true(json_enter_array(&reader));
    while (json_next_item(&reader)) {
        struct vector vector;
        if (read_vector(&reader, &vector)) {
            const char *problem = check_vector(&vector);
            checked++;
            if (problem[0] != '\0') {
                print_error("%s: %s\n", vector.name, problem);
                failed++;
            }
        }
    }
    assert_int_equal(json_finish(&reader, &error), SLUICE_OK);
    assert_int_equal(failed, 0);
    assert_true(checked >= 30);
    free(text);
}

/* --- Whatever comes --- */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Few names, so that equal events are frequent; numbers with gaps now and then. */
static size_t make_chain(uint64_t *seed, uint64_t head, bool gaps, struct sluice_event *events)
{
    static const char *const names[] = {"a", "a", "a", "b"};
    size_t count = next_random(seed) % EVENTS_MAX;
    for (size_t index = 0; index < count; index++) {
        uint64_t seq_num = head + 1 + (gaps && next_random(seed) % 8 == 0 ? 3 : 0);
        events[index] = (struct sluice_event){.seq_num = seq_num,
                                              .parent_seq_num = head,
                                              .name = sluice_text_of(names[next_random(seed) % 4]),
                                              .args = sluice_text_of("{\"x\":1}"),
                                              .client_id = sluice_text_of("me"),
                                              .session_id = sluice_text_of("s1")};
        head = seq_num;
    }
    return count;
}

static void check_random(uint64_t seed)
{
    struct sluice_event pending[EVENTS_MAX];
    struct sluice_event upstream[EVENTS_MAX];
    struct merge_input input = {
        .upstream_head = next_random(&seed) % 5, .pending = pending, .upstream = upstream};
    input.pending_count = make_chain(&seed, input.upstream_head, false, pending);
    input.upstream_count = make_chain(&seed, input.upstream_head, true, upstream);
    struct merge_result result;
    assert_int_equal(merge(&input, &result, NULL), SLUICE_OK);
    assert_true(result.confirmed_count <= input.pending_count);
    assert_true(result.confirmed_count <= input.upstream_count);
    for (size_t index = 0; index < result.confirmed_count; index++) {
        assert_true(same_with_parent(&pending[index], &upstream[index]));
    }
    size_t left_count = input.pending_count - result.confirmed_count;
    struct sluice_event *left = pending + result.confirmed_count;
    if (result.rebases) {
        assert_true(left_count > 0);
        assert_false(same_with_parent(left, &upstream[result.confirmed_count]));
        (void)merge_renumber(left, left_count, result.upstream_head);
    }
    /* Rebased or not, what is left is one chain on the new head: nothing else may be pushed. */
    for (size_t index = 0; index < left_count; index++) {
        assert_int_equal(left[index].parent_seq_num, result.upstream_head + index);
        assert_int_equal(left[index].seq_num, result.upstream_head + index + 1);
    }
}

static void what_is_left_is_one_chain_on_the_new_head_whatever_came(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        check_random(seed);
    }
}

static void a_refusal_says_which_event_and_which_rule(void **state)
{
    (void)state;
    struct sluice_event upstream[] = {{.seq_num = 6}, {.seq_num = 6}};
    struct merge_input input = {.upstream_head = 5, .upstream = upstream, .upstream_count = 2};
    struct merge_result result;
    struct sluice_error error = {0};
    assert_int_equal(merge(&input, &result, &error), SLUICE_INVALID);
    assert_string_equal(error.message, "upstream event 6 (index 1) comes after event 6: upstream "
                                       "events must ascend, after the upstream head");
}

static void nothing_to_renumber_leaves_the_head(void **state)
{
    (void)state;
    assert_int_equal(merge_renumber(NULL, 0, 7), 7);
}

static void without_memory_to_compare_args_it_says_so_and_decides_nothing(void **state)
{
    (void)state;
    struct sluice_event event = {.seq_num = 1,
                                 .name = sluice_text_of("a"),
                                 .args = sluice_text_of("{\"b\":[{\"c\":1},2],\"a\":\"\\u0041\"}"),
                                 .client_id = sluice_text_of(""),
                                 .session_id = sluice_text_of("")};
    struct sluice_event same = event;
    same.args = sluice_text_of("{\"a\":\"A\",\"b\":[{\"c\":1.0},2]}");
    struct merge_input input = {
        .pending = &event, .pending_count = 1, .upstream = &same, .upstream_count = 1};
    enum sluice_status status = SLUICE_NO_MEMORY;
    unsigned successes = 0;
    for (; status == SLUICE_NO_MEMORY; successes++) {
        struct merge_result result = {.confirmed_count = 77};
        struct sluice_error error = {0};
        failing_alloc_arm(successes);
        status = merge(&input, &result, &error);
        failing_alloc_disarm();
        if (status == SLUICE_NO_MEMORY) {
            assert_int_equal(result.confirmed_count, 77);
            assert_non_null(strstr(error.message, "out of memory"));
        } else {
            assert_int_equal(status, SLUICE_OK);
            assert_int_equal(result.confirmed_count, 1);
        }
    }
    assert_true(successes > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_comes_out_as_it_says),
        cmocka_unit_test(what_is_left_is_one_chain_on_the_new_head_whatever_came),
        cmocka_unit_test(a_refusal_says_which_event_and_which_rule),
        cmocka_unit_test(nothing_to_renumber_leaves_the_head),
        cmocka_unit_test(without_memory_to_compare_args_it_says_so_and_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
