/* fuzz_json: any bytes through the validator and the reader.
 *
 * What is valid is walked value by value, and what the functions of json.h promise about each other
 * is asserted; what is not is walked as well, since the reader must end within any text. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static struct slice trim(struct slice text)
{
    while (text.bytes > 0 && is_space(text.data[0])) {
        text = slice_make(text.data + 1, text.bytes - 1);
    }
    while (text.bytes > 0 && is_space(text.data[text.bytes - 1])) {
        text.bytes--;
    }
    return text;
}

static bool is_equal(struct slice a, struct slice b)
{
    bool equal = false;
    enum sluice_status status = json_equal(a, b, &equal);
    SLUICE_ASSERT(status == SLUICE_OK);
    return equal;
}

/* Its text with the quotes, read again, decodes to the same. */
static void check_appended(struct slice decoded, struct slice raw)
{
    struct buffer again;
    buffer_init(&again, 6 * decoded.bytes + 2);
    json_append_string(&again, decoded);
    enum sluice_status status = buffer_status(&again);
    SLUICE_ASSERT(status == SLUICE_OK);
    status = json_validate(buffer_slice(&again), NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    struct slice with_quotes = slice_make(raw.data - 1, raw.bytes + 2);
    SLUICE_ASSERT(is_equal(buffer_slice(&again), with_quotes));
    buffer_deinit(&again);
}

static void check_string(struct slice raw)
{
    struct arena arena;
    arena_init(&arena, 2 * raw.bytes + 4096);
    struct slice decoded = SLICE_EMPTY;
    enum sluice_status status = json_decode_string(raw, &arena, &decoded, NULL);
    SLUICE_ASSERT(status == SLUICE_OK || status == SLUICE_INVALID);
    if (status == SLUICE_OK) {
        SLUICE_ASSERT(utf8_valid(decoded));
        SLUICE_ASSERT(decoded.bytes <= raw.bytes);
        check_appended(decoded, raw);
    }
    arena_deinit(&arena);
}

static void decode_unvalidated(struct slice raw)
{
    struct arena arena;
    arena_init(&arena, 2 * raw.bytes + 4096);
    struct slice decoded;
    enum sluice_status status = json_decode_string(raw, &arena, &decoded, NULL);
    SLUICE_ASSERT(status != SLUICE_NO_MEMORY);
    arena_deinit(&arena);
}

static void pass_string(struct slice raw, bool is_valid)
{
    (void)json_key_is(raw, "storeId");
    if (is_valid) {
        check_string(raw);
    } else {
        decode_unvalidated(raw);
    }
}

static void walk(struct json_reader *reader, bool is_valid);

static void walk_object(struct json_reader *reader, bool is_valid)
{
    struct slice key;
    if (json_enter_object(reader)) {
        while (json_next_key(reader, &key)) {
            pass_string(key, is_valid);
            walk(reader, is_valid);
        }
    }
}

static void walk_array(struct json_reader *reader, bool is_valid)
{
    if (json_enter_array(reader)) {
        while (json_next_item(reader)) {
            walk(reader, is_valid);
        }
    }
}

static void walk_number(struct json_reader *reader)
{
    uint64_t number;
    struct json_reader attempt = *reader;
    if (!json_read_u64(&attempt, SIZE_MAX, &number)) {
        (void)json_skip(reader, NULL);
        return;
    }
    *reader = attempt;
}

/* Recursion is bounded by JSON_DEPTH_MAX, which the reader enforces. */
static void walk(struct json_reader *reader, bool is_valid)
{
    struct slice raw;
    bool flag;
    switch (json_peek(reader)) {
    case JSON_OBJECT:
        walk_object(reader, is_valid);
        break;
    case JSON_ARRAY:
        walk_array(reader, is_valid);
        break;
    case JSON_STRING:
        if (json_read_string(reader, &raw)) {
            pass_string(raw, is_valid);
        }
        break;
    case JSON_NUMBER:
        walk_number(reader);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        (void)json_read_bool(reader, &flag);
        break;
    case JSON_NULL:
        (void)json_read_null(reader);
        break;
    case JSON_ERROR:
        break;
    }
}

static void check_skip(struct slice text)
{
    struct json_reader reader;
    struct slice raw = SLICE_EMPTY;
    json_reader_init(&reader, text);
    bool skipped = json_skip(&reader, &raw);
    SLUICE_ASSERT(skipped);
    SLUICE_ASSERT(slice_equal(raw, trim(text)));
    enum sluice_status status = json_finish(&reader, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
}

/* Compares the text with itself in other bytes, which the shortcut for equal bytes does not take;
 * and with a value that it is not. */
static void check_equal(struct slice text)
{
    struct buffer other;
    buffer_init(&other, text.bytes + 2);
    buffer_append_byte(&other, ' ');
    buffer_append_slice(&other, text);
    SLUICE_ASSERT(is_equal(text, text));
    SLUICE_ASSERT(is_equal(text, buffer_slice(&other)));
    buffer_clear(&other);
    buffer_append_byte(&other, '[');
    buffer_append_slice(&other, text);
    buffer_append_byte(&other, ']');
    SLUICE_ASSERT(!is_equal(text, buffer_slice(&other)));
    buffer_deinit(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct slice text = slice_make(data, bytes);
    struct sluice_error error;
    enum sluice_status validated = json_validate(text, &error);
    bool is_valid = validated == SLUICE_OK;
    SLUICE_ASSERT(is_valid || utf8_valid(slice_of_string(error.message)));

    struct json_reader reader;
    json_reader_init(&reader, text);
    walk(&reader, is_valid);
    enum sluice_status finished = json_finish(&reader, NULL);
    if (is_valid) {
        SLUICE_ASSERT(finished == SLUICE_OK);
        SLUICE_ASSERT(utf8_valid(text));
        check_skip(text);
        check_equal(text);
    } else {
        SLUICE_ASSERT(!is_equal(text, text));
        json_reader_init(&reader, text);
        while (json_skip(&reader, NULL)) {
        }
    }
    return 0;
}
