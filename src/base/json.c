/* json: checks a text from outside once, then hands out slices of it.
 *
 * Between ws/http, which deliver a message, and proto, which decodes it. Owns nothing beyond a call
 * (the validator's list of keys). Any thread; a reader is its owner's.
 *
 * The validator goes over the text once, without recursion:
 *
 *      VALUE_DUE --check_value--> VALUE_DONE    (a scalar, or an empty array or object)
 *      VALUE_DUE --check_value--> VALUE_DUE     (an array or object was opened; its first key read)
 *      VALUE_DONE --check_after_value--> VALUE_DUE    (a comma, and in an object the next key)
 *      VALUE_DONE --check_after_value--> VALUE_DONE   (a closing bracket)
 *      VALUE_DONE with no open bracket: the end
 *
 * Invariants: `keys` holds the keys of the open objects, outermost first, and nothing else; a
 * frame's `first_key` says where its own begin. Each object's keys are compared when it closes, and
 * then leave the list.
 */
#include "base/json.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json_scan.h"
#include "base/utf8.h"

#define KEYS_INLINE 64u   /* keys that need no allocation */
#define KEYS_PAIRWISE 16u /* up to here, comparing each with each beats sorting */

enum step { VALUE_DUE, VALUE_DONE };

struct frame {
    size_t first_key; /* index into keys; for objects */
    bool is_object;
    bool has_escaped_key;
};

struct key {
    const char *data; /* inside the quotes, still escaped; borrowed from the text */
    uint32_t bytes;
    uint32_t hash; /* filled only where keys are sorted */
};

struct validator {
    const char *start; /* borrowed text */
    const char *end;
    struct key *keys; /* keys_inline, or owned */
    size_t key_count;
    size_t key_capacity;
    unsigned depth; /* open frames, 0..JSON_DEPTH_MAX */
    enum sluice_status status;
    const char *problem; /* static */
    const char *problem_at;
    struct frame frames[JSON_DEPTH_MAX];
    struct key keys_inline[KEYS_INLINE];
};

/* Records what is wrong; returns NULL, which every check passes up. */
static const char *refuse_as(struct validator *v, enum sluice_status status, const char *at,
                             const char *problem)
{
    v->status = status;
    v->problem = problem;
    v->problem_at = at;
    return NULL;
}

static const char *refuse(struct validator *v, const char *at, const char *problem)
{
    return refuse_as(v, SLUICE_MALFORMED, at, problem);
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* The value of four hexadecimal digits, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    if (end - at < 4) {
        return -1;
    }
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char byte = at[i];
        int32_t digit;
        if (is_digit(byte)) {
            digit = byte - '0';
        } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
            digit = (byte | 0x20) - 'a' + 10;
        } else {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* The character of a two-character escape (\n for 'n'), or -1. */
static int32_t short_escape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return -1;
    }
}

/* `at` stands on the backslash. */
static const char *check_escape(struct validator *v, const char *at)
{
    if (v->end - at < 2) {
        return refuse(v, v->end, "the text ends inside a string");
    }
    if (at[1] == 'u') {
        if (hex4(at + 2, v->end) < 0) {
            return refuse(v, at, "an escape \\u without four hexadecimal digits");
        }
        return at + 6;
    }
    if (short_escape(at[1]) < 0) {
        return refuse(v, at, "an unknown escape in a string");
    }
    return at + 2;
}

/* `at` stands behind the opening quote; returns the closing one. */
static const char *check_string(struct validator *v, const char *at, bool *has_escape)
{
    *has_escape = false;
    while (at != NULL) {
        at = json_scan_plain(at, v->end);
        if (at == v->end) {
            return refuse(v, at, "the text ends inside a string");
        }
        uint8_t byte = (uint8_t)*at;
        if (byte == '"') {
            return at;
        }
        if (byte == '\\') {
            *has_escape = true;
            at = check_escape(v, at);
        } else if (byte < 0x20) {
            return refuse(v, at, "a control character in a string");
        } else {
            size_t bytes = utf8_wide_run_bytes(slice_make(at, (size_t)(v->end - at)));
            if (bytes == 0) {
                return refuse(v, at, "invalid UTF-8");
            }
            at += bytes;
        }
    }
    return NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at)) {
        at++;
    }
    return at;
}

/* One digit or more. */
static const char *check_digits(struct validator *v, const char *at)
{
    if (at == v->end || !is_digit(*at)) {
        return refuse(v, at, "a number lacks a digit");
    }
    return skip_digits(at, v->end);
}

static const char *check_number(struct validator *v, const char *at)
{
    if (*at == '-') {
        at++;
    }
    if (at < v->end && *at == '0') {
        at++;
        if (at < v->end && is_digit(*at)) {
            return refuse(v, at, "a number with a leading zero");
        }
    } else {
        at = check_digits(v, at);
    }
    if (at != NULL && at < v->end && *at == '.') {
        at = check_digits(v, at + 1);
    }
    if (at != NULL && at < v->end && (*at | 0x20) == 'e') {
        at++;
        if (at < v->end && (*at == '+' || *at == '-')) {
            at++;
        }
        at = check_digits(v, at);
    }
    return at;
}

static bool begins_with(const char *at, const char *end, const char *word, size_t bytes)
{
    return (size_t)(end - at) >= bytes && memcmp(at, word, bytes) == 0;
}

static const char *check_literal(struct validator *v, const char *at, const char *word,
                                 size_t bytes)
{
    if (!begins_with(at, v->end, word, bytes)) {
        return refuse(v, at, "an unknown word");
    }
    return at + bytes;
}

static bool grow_keys(struct validator *v)
{
    size_t capacity = 2 * v->key_capacity;
    bool was_inline = v->keys == v->keys_inline;
    struct key *keys = realloc(was_inline ? NULL : v->keys, capacity * sizeof *keys);
    if (keys == NULL) {
        return false;
    }
    if (was_inline) {
        memcpy(keys, v->keys_inline, sizeof v->keys_inline);
    }
    v->keys = keys;
    v->key_capacity = capacity;
    return true;
}

/* A key and its colon, in the object on top. */
static const char *check_key(struct validator *v, const char *at)
{
    at = json_scan_space(at, v->end);
    if (at == v->end || *at != '"') {
        return refuse(v, at, "expected a key in quotes");
    }
    const char *key = at + 1;
    bool has_escape;
    at = check_string(v, key, &has_escape);
    if (at == NULL) {
        return NULL;
    }
    if (has_escape) {
        v->frames[v->depth - 1].has_escaped_key = true;
    }
    const char *colon = json_scan_space(at + 1, v->end);
    if (colon == v->end || *colon != ':') {
        return refuse(v, colon, "expected ':' after a key");
    }
    if (v->key_count == v->key_capacity && !grow_keys(v)) {
        return refuse_as(v, SLUICE_NO_MEMORY, key, "no memory for the keys of an object");
    }
    v->keys[v->key_count++] = (struct key){.data = key, .bytes = (uint32_t)(at - key)};
    return colon + 1;
}

/* Whether two keys of an object are the same; `plain` when none of its keys has an escape. */
static bool same_key(const struct key *a, const struct key *b, bool plain)
{
    if (plain) {
        return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
    }
    return json_string_compare(slice_make(a->data, a->bytes), slice_make(b->data, b->bytes)) == 0;
}

/* Returns where the second of two equal keys stands, or NULL. For a few keys. */
static const char *find_duplicate_pairwise(const struct key *keys, size_t count, bool plain)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (same_key(&keys[i], &keys[j], plain)) {
                return keys[i].data;
            }
        }
    }
    return NULL;
}

/* FNV-1a over the bytes, or over the characters where keys have escapes. It only makes comparing
 * quick: keys that a peer chose to have one hash are ordered by their characters. */
static uint32_t hash_key(const struct key *key, bool plain)
{
    const char *at = key->data;
    const char *end = at + key->bytes;
    uint32_t hash = 2166136261u;
    while (at < end) {
        uint32_t unit = plain ? (uint8_t)*at++ : json_scan_character(&at, end);
        hash = (hash ^ unit) * 16777619u;
    }
    return hash;
}

/* < 0, 0 or > 0, in an order that has no meaning beyond being one. */
static int order_keys(const struct key *a, const struct key *b, bool plain)
{
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    if (!plain) {
        return json_string_compare(slice_make(a->data, a->bytes), slice_make(b->data, b->bytes));
    }
    if (a->bytes != b->bytes) {
        return a->bytes < b->bytes ? -1 : 1;
    }
    return memcmp(a->data, b->data, a->bytes);
}

/* Merges two sorted runs into `to`. Stops at two equal keys and returns the later one's place in
 * the text; otherwise NULL. */
static const char *merge_runs(const struct key *a, const struct key *a_end, const struct key *b,
                              const struct key *b_end, struct key *to, bool plain)
{
    while (a < a_end && b < b_end) {
        int order = order_keys(a, b, plain);
        if (order == 0) {
            return a->data > b->data ? a->data : b->data;
        }
        *to++ = order < 0 ? *a++ : *b++;
    }
    memcpy(to, a, (size_t)(a_end - a) * sizeof *a);
    memcpy(to + (a_end - a), b, (size_t)(b_end - b) * sizeof *b);
    return NULL;
}

/* The same as find_duplicate_pairwise for many keys, by a merge sort that ends at the first two
 * equal ones; changes the order of the keys. Whatever a peer sends, half a million keys cost
 * n log n comparisons and a second list. `scratch` has room for `count` keys too. */
static const char *find_duplicate_sorting(struct key *keys, struct key *scratch, size_t count,
                                          bool plain)
{
    for (size_t i = 0; i < count; i++) {
        keys[i].hash = hash_key(&keys[i], plain);
    }
    struct key *from = keys;
    struct key *to = scratch;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t start = 0; start < count; start += 2 * run) {
            size_t middle = count - start < run ? count : start + run;
            size_t end = count - middle < run ? count : middle + run;
            const char *duplicate = merge_runs(from + start, from + middle, from + middle,
                                               from + end, to + start, plain);
            if (duplicate != NULL) {
                return duplicate;
            }
        }
        struct key *swap = from;
        from = to;
        to = swap;
    }
    return NULL;
}

/* Checks the keys of an object that closes; `at` is passed through. */
static const char *check_keys(struct validator *v, const struct frame *frame, const char *at)
{
    struct key *keys = v->keys + frame->first_key;
    size_t count = v->key_count - frame->first_key;
    bool plain = !frame->has_escaped_key;
    const char *duplicate;
    if (count <= KEYS_PAIRWISE) {
        duplicate = find_duplicate_pairwise(keys, count, plain);
    } else {
        struct key *scratch = malloc(count * sizeof *scratch);
        if (scratch == NULL) {
            return refuse_as(v, SLUICE_NO_MEMORY, at, "no memory for the keys of an object");
        }
        duplicate = find_duplicate_sorting(keys, scratch, count, plain);
        free(scratch);
    }
    if (duplicate != NULL) {
        return refuse(v, duplicate, "a key that the object already has");
    }
    return at;
}

/* `at` stands on the closing bracket of the frame on top. */
static const char *close_frame(struct validator *v, const char *at)
{
    SLUICE_ASSERT(v->depth > 0);
    const struct frame *frame = &v->frames[--v->depth];
    if (frame->is_object) {
        at = check_keys(v, frame, at);
        v->key_count = frame->first_key;
    }
    return at == NULL ? NULL : at + 1;
}

/* `at` stands on the opening bracket. */
static const char *open_frame(struct validator *v, const char *at, enum step *step)
{
    if (v->depth == JSON_DEPTH_MAX) {
        return refuse_as(v, SLUICE_LIMIT, at, "more than 128 nested arrays and objects");
    }
    bool is_object = *at == '{';
    v->frames[v->depth++] = (struct frame){.first_key = v->key_count, .is_object = is_object};
    at = json_scan_space(at + 1, v->end);
    if (at < v->end && *at == (is_object ? '}' : ']')) {
        *step = VALUE_DONE;
        return close_frame(v, at);
    }
    *step = VALUE_DUE;
    return is_object ? check_key(v, at) : at;
}

static const char *refuse_value(struct validator *v, const char *at)
{
    if (begins_with(at, v->end, "\xEF\xBB\xBF", 3)) {
        return refuse(v, at, "a byte order mark, which JSON does not allow,");
    }
    return refuse(v, at, "expected a value");
}

static const char *check_value(struct validator *v, const char *at, enum step *step)
{
    if (at == v->end) {
        return refuse(v, at, "the text ends where a value is expected,");
    }
    *step = VALUE_DONE;
    switch (*at) {
    case '{':
    case '[':
        return open_frame(v, at, step);
    case '"': {
        bool has_escape;
        at = check_string(v, at + 1, &has_escape);
        return at == NULL ? NULL : at + 1;
    }
    case 't':
        return check_literal(v, at, "true", 4);
    case 'f':
        return check_literal(v, at, "false", 5);
    case 'n':
        return check_literal(v, at, "null", 4);
    default:
        return *at == '-' || is_digit(*at) ? check_number(v, at) : refuse_value(v, at);
    }
}

static const char *check_after_value(struct validator *v, const char *at, enum step *step)
{
    bool in_object = v->frames[v->depth - 1].is_object;
    if (at == v->end) {
        return refuse(
            v, at, in_object ? "the text ends inside an object" : "the text ends inside an array");
    }
    if (*at == ',') {
        *step = VALUE_DUE;
        return in_object ? check_key(v, at + 1) : at + 1;
    }
    if (*at == (in_object ? '}' : ']')) {
        return close_frame(v, at);
    }
    return refuse(v, at, in_object ? "expected ',' or '}'" : "expected ',' or ']'");
}

static void check_text(struct validator *v)
{
    const char *at = v->start;
    enum step step = VALUE_DUE;
    do {
        at = json_scan_space(at, v->end);
        at = step == VALUE_DUE ? check_value(v, at, &step) : check_after_value(v, at, &step);
    } while (at != NULL && (step == VALUE_DUE || v->depth > 0));
    if (at == NULL) {
        return;
    }
    at = json_scan_space(at, v->end);
    if (at != v->end) {
        (void)refuse(v, at, "something follows the value");
    }
}

/* Leaves frames and keys_inline as they are: they are written before they are read, and zeroing
 * them would cost a short text more than checking it. */
static void validator_init(struct validator *v, struct slice text)
{
    v->start = text.bytes == 0 ? "" : text.data;
    v->end = v->start + text.bytes;
    v->keys = v->keys_inline;
    v->key_count = 0;
    v->key_capacity = KEYS_INLINE;
    v->depth = 0;
    v->status = SLUICE_OK;
    v->problem = NULL;
    v->problem_at = NULL;
}

enum sluice_status json_validate(struct slice text, struct sluice_error *error)
{
    if (text.bytes > UINT32_MAX) {
        return error_set(error, SLUICE_LIMIT, "JSON: a text of %zu bytes", text.bytes);
    }
    struct validator v;
    validator_init(&v, text);
    check_text(&v);
    if (v.keys != v.keys_inline) {
        free(v.keys);
    }
    if (v.status != SLUICE_OK) {
        return error_set(error, v.status, "JSON: %s at byte %zu", v.problem,
                         (size_t)(v.problem_at - v.start));
    }
    return SLUICE_OK;
}

/* The reader. */

void json_reader_init(struct json_reader *reader, struct slice text)
{
    const char *start = text.bytes == 0 ? "" : text.data;
    *reader = (struct json_reader){
        .start = start,
        .at = start,
        .end = start + text.bytes,
        .status = SLUICE_OK,
    };
}

/* Marks the first failure; always false, so that a read fails in one statement. */
static bool fail_as(struct json_reader *reader, enum sluice_status status, const char *problem)
{
    if (reader->status == SLUICE_OK) {
        reader->status = status;
        reader->problem = problem;
        reader->problem_offset = (size_t)(reader->at - reader->start);
    }
    return false;
}

static bool fail(struct json_reader *reader, const char *problem)
{
    return fail_as(reader, SLUICE_MALFORMED, problem);
}

void json_fail(struct json_reader *reader, const char *problem)
{
    (void)fail_as(reader, SLUICE_INVALID, problem);
}

/* Goes to the next token; its first byte, or '\0' at the end. A '\0' in the text begins no token
 * either. */
static char next_byte(struct json_reader *reader)
{
    reader->at = json_scan_space(reader->at, reader->end);
    return reader->at < reader->end ? *reader->at : '\0';
}

static enum json_kind kind_of(char first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return first == '-' || is_digit(first) ? JSON_NUMBER : JSON_ERROR;
    }
}

enum json_kind json_peek(struct json_reader *reader)
{
    if (reader->status != SLUICE_OK) {
        return JSON_ERROR;
    }
    enum json_kind kind = kind_of(next_byte(reader));
    if (kind == JSON_ERROR) {
        (void)fail(reader, "a value is expected");
    }
    return kind;
}

static bool expect(struct json_reader *reader, enum json_kind kind, const char *problem)
{
    enum json_kind found = json_peek(reader);
    if (found != kind && found != JSON_ERROR) {
        (void)fail(reader, problem);
    }
    return found == kind;
}

static bool enter(struct json_reader *reader)
{
    if (reader->depth >= JSON_DEPTH_MAX) {
        return fail(reader, "more than 128 nested arrays and objects");
    }
    reader->at++;
    reader->depth++;
    reader->fresh = true;
    return true;
}

bool json_enter_object(struct json_reader *reader)
{
    return expect(reader, JSON_OBJECT, "an object is expected") && enter(reader);
}

bool json_enter_array(struct json_reader *reader)
{
    return expect(reader, JSON_ARRAY, "an array is expected") && enter(reader);
}

/* Passes the comma before the next item, or the closing bracket. True before an item. */
static bool next_member(struct json_reader *reader, char closing)
{
    if (reader->status != SLUICE_OK) {
        return false;
    }
    if (reader->depth == 0) {
        return fail(reader, "no array or object is open");
    }
    char byte = next_byte(reader);
    if (byte == closing) {
        reader->at++;
        reader->depth--;
        reader->fresh = false;
        return false;
    }
    if (reader->fresh) {
        reader->fresh = false;
        return true;
    }
    if (byte != ',') {
        return fail(reader, "a comma or a closing bracket is expected");
    }
    reader->at++;
    return true;
}

/* `at` stands on a quote; passes the string. */
static bool pass_string(struct json_reader *reader, struct slice *raw)
{
    const char *start = reader->at + 1;
    const char *at = json_scan_quote(start, reader->end);
    while (at < reader->end && *at == '\\') {
        at = reader->end - at < 2 ? reader->end : json_scan_quote(at + 2, reader->end);
    }
    if (at == reader->end) {
        return fail(reader, "the text ends inside a string");
    }
    *raw = slice_make(start, (size_t)(at - start));
    reader->at = at + 1;
    return true;
}

bool json_next_key(struct json_reader *reader, struct slice *key)
{
    if (!next_member(reader, '}')) {
        return false;
    }
    if (next_byte(reader) != '"') {
        return fail(reader, "a key is expected");
    }
    struct slice raw;
    if (!pass_string(reader, &raw)) {
        return false;
    }
    if (next_byte(reader) != ':') {
        return fail(reader, "a colon is expected");
    }
    reader->at++;
    *key = raw;
    return true;
}

bool json_next_item(struct json_reader *reader)
{
    return next_member(reader, ']');
}

static bool has_escape(struct slice raw)
{
    return raw.bytes > 0 && memchr(raw.data, '\\', raw.bytes) != NULL;
}

static bool escaped_key_is(struct slice key, const char *name)
{
    const char *at = key.data;
    const char *end = key.data + key.bytes;
    while (at < end) {
        if (*name == '\0' || json_scan_character(&at, end) != (uint8_t)*name) {
            return false;
        }
        name++;
    }
    return *name == '\0';
}

bool json_key_is(struct slice key, const char *name)
{
    /* An escape is longer than what it stands for, so the length decides nearly always. */
    struct slice plain = slice_of_string(name);
    if (key.bytes < plain.bytes) {
        return false;
    }
    if (key.bytes == plain.bytes) {
        return slice_equal(key, plain) && !has_escape(key);
    }
    return has_escape(key) && escaped_key_is(key, name);
}

/* `at` stands on an opening bracket; passes everything up to the one that closes it. On valid text
 * it is enough to count. */
static bool pass_nested(struct json_reader *reader)
{
    size_t open = 0;
    while (reader->at < reader->end) {
        char byte = *reader->at;
        if (byte == '"') {
            struct slice raw;
            if (!pass_string(reader, &raw)) {
                return false;
            }
            continue;
        }
        reader->at++;
        if (byte == '{' || byte == '[') {
            open++;
        } else if ((byte == '}' || byte == ']') && --open == 0) {
            return true;
        }
    }
    return fail(reader, "the text ends inside an array or object");
}

static bool is_number_byte(char byte)
{
    return is_digit(byte) || byte == '-' || byte == '+' || byte == '.' || (byte | 0x20) == 'e';
}

static bool pass_number(struct json_reader *reader)
{
    while (reader->at < reader->end && is_number_byte(*reader->at)) {
        reader->at++;
    }
    return true;
}

static bool pass_literal(struct json_reader *reader, const char *word)
{
    size_t bytes = strlen(word);
    if (!begins_with(reader->at, reader->end, word, bytes)) {
        return fail(reader, "an unknown word");
    }
    reader->at += bytes;
    return true;
}

static bool pass_value(struct json_reader *reader)
{
    struct slice raw;
    switch (json_peek(reader)) {
    case JSON_ERROR:
        return false;
    case JSON_NULL:
        return pass_literal(reader, "null");
    case JSON_FALSE:
        return pass_literal(reader, "false");
    case JSON_TRUE:
        return pass_literal(reader, "true");
    case JSON_NUMBER:
        return pass_number(reader);
    case JSON_STRING:
        return pass_string(reader, &raw);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return pass_nested(reader);
    }
    return false;
}

bool json_skip(struct json_reader *reader, struct slice *raw)
{
    if (reader->status != SLUICE_OK) {
        return false;
    }
    const char *start = json_scan_space(reader->at, reader->end);
    if (!pass_value(reader)) {
        return false;
    }
    if (raw != NULL) {
        *raw = slice_make(start, (size_t)(reader->at - start));
    }
    return true;
}

bool json_read_string(struct json_reader *reader, struct slice *raw)
{
    return expect(reader, JSON_STRING, "a string is expected") && pass_string(reader, raw);
}

bool json_read_bool(struct json_reader *reader, bool *value)
{
    enum json_kind kind = json_peek(reader);
    if (kind != JSON_TRUE && kind != JSON_FALSE) {
        return fail(reader, "true or false is expected");
    }
    if (!pass_literal(reader, kind == JSON_TRUE ? "true" : "false")) {
        return false;
    }
    *value = kind == JSON_TRUE;
    return true;
}

bool json_read_null(struct json_reader *reader)
{
    return expect(reader, JSON_NULL, "null is expected") && pass_literal(reader, "null");
}

bool json_read_u64(struct json_reader *reader, uint64_t max, uint64_t *value)
{
    if (!expect(reader, JSON_NUMBER, "a number is expected")) {
        return false;
    }
    const char *at = reader->at;
    const char *digits_end = skip_digits(at, reader->end);
    bool ends = digits_end == reader->end || !is_number_byte(*digits_end);
    if (digits_end == at || !ends || (*at == '0' && digits_end - at > 1)) {
        return fail(reader, "a whole number in digits only is expected");
    }
    uint64_t number = 0;
    for (; at < digits_end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (digit > max || number > (max - digit) / 10) {
            return fail(reader, "the number is too large");
        }
        number = number * 10 + digit;
    }
    reader->at = digits_end;
    *value = number;
    return true;
}

enum sluice_status json_finish(struct json_reader *reader, struct sluice_error *error)
{
    if (reader->status == SLUICE_OK) {
        bool at_end = next_byte(reader) == '\0' && reader->at == reader->end;
        if (!at_end || reader->depth != 0) {
            (void)fail(reader, "something follows the value");
        }
    }
    if (reader->status != SLUICE_OK) {
        return error_set(error, reader->status, "JSON: %s at byte %zu", reader->problem,
                         reader->problem_offset);
    }
    return SLUICE_OK;
}

/* Strings. */

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* `*at` stands on a backslash. */
static uint32_t scan_escape(const char **at, const char *end)
{
    const char *from = *at;
    int32_t unit = end - from < 2 ? -1 : short_escape(from[1]);
    if (unit >= 0) {
        *at = from + 2;
        return (uint32_t)unit;
    }
    unit = end - from >= 2 && from[1] == 'u' ? hex4(from + 2, end) : -1;
    if (unit < 0) {
        *at = from + 1;
        return JSON_CHARACTER_BAD + '\\';
    }
    *at = from + 6;
    if (is_high_surrogate(unit) && begins_with(*at, end, "\\u", 2)) {
        int32_t low = hex4(*at + 2, end);
        if (low >= 0 && is_low_surrogate(low)) {
            *at += 6;
            return 0x10000u + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
        }
    }
    return (uint32_t)unit;
}

uint32_t json_scan_character(const char **at, const char *end)
{
    const uint8_t *from = (const uint8_t *)*at;
    if (*from == '\\') {
        return scan_escape(at, end);
    }
    if (*from < 0x80) {
        (*at)++;
        return *from;
    }
    size_t bytes = utf8_character_bytes(slice_make(from, (size_t)(end - *at)));
    *at += bytes == 0 ? 1 : bytes;
    switch (bytes) {
    case 2:
        return (from[0] & 0x1Fu) << 6 | (from[1] & 0x3Fu);
    case 3:
        return (from[0] & 0x0Fu) << 12 | (from[1] & 0x3Fu) << 6 | (from[2] & 0x3Fu);
    case 4:
        return (from[0] & 0x07u) << 18 | (from[1] & 0x3Fu) << 12 | (from[2] & 0x3Fu) << 6 |
               (from[3] & 0x3Fu);
    default:
        return JSON_CHARACTER_BAD + *from;
    }
}

static int compare_decoded(struct slice a, struct slice b)
{
    const char *a_at = a.data;
    const char *b_at = b.data;
    const char *a_end = a_at + a.bytes;
    const char *b_end = b_at + b.bytes;
    while (a_at < a_end && b_at < b_end) {
        uint32_t a_character = json_scan_character(&a_at, a_end);
        uint32_t b_character = json_scan_character(&b_at, b_end);
        if (a_character != b_character) {
            return a_character < b_character ? -1 : 1;
        }
    }
    return (a_at < a_end) - (b_at < b_end);
}

int json_string_compare(struct slice a, struct slice b)
{
    if (a.bytes == 0 || b.bytes == 0) {
        return (a.bytes > 0) - (b.bytes > 0);
    }
    if (has_escape(a) || has_escape(b)) {
        return compare_decoded(a, b);
    }
    int order = memcmp(a.data, b.data, a.bytes < b.bytes ? a.bytes : b.bytes);
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* Writes a code point that is not a surrogate; its length. */
static size_t encode_utf8(char *to, uint32_t code_point)
{
    if (code_point < 0x80) {
        to[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        to[0] = (char)(0xC0 | code_point >> 6);
        to[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        to[0] = (char)(0xE0 | code_point >> 12);
        to[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        to[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | code_point >> 18);
    to[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    to[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    to[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

/* Decodes `raw` to `to`, which has as many bytes: no escape is shorter than its character. */
static enum sluice_status decode_escapes(struct slice raw, char *to, size_t *to_bytes,
                                         struct sluice_error *error)
{
    const char *at = raw.data;
    const char *end = raw.data + raw.bytes;
    size_t used = 0;
    while (at < end) {
        const char *backslash = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((backslash == NULL ? end : backslash) - at);
        memcpy(to + used, at, run);
        used += run;
        at += run;
        if (at == end) {
            break;
        }
        uint32_t character = scan_escape(&at, end);
        if (character >= JSON_CHARACTER_BAD) {
            return error_set(error, SLUICE_MALFORMED, "a string has a bad escape");
        }
        if (character >= 0xD800 && character <= 0xDFFF) {
            return error_set(
                error, SLUICE_INVALID,
                "a string has the lone surrogate \\u%04x, which no UTF-8 text can hold",
                (unsigned)character);
        }
        used += encode_utf8(to + used, character);
    }
    *to_bytes = used;
    return SLUICE_OK;
}

enum sluice_status json_decode_string(struct slice raw, struct arena *arena, struct slice *out,
                                      struct sluice_error *error)
{
    if (!has_escape(raw)) {
        *out = raw;
        return SLUICE_OK;
    }
    char *data = arena_alloc(arena, raw.bytes);
    if (data == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory to decode a string of %zu bytes",
                         raw.bytes);
    }
    size_t bytes = 0;
    enum sluice_status status = decode_escapes(raw, data, &bytes, error);
    if (status == SLUICE_OK) {
        *out = slice_make(data, bytes);
    }
    return status;
}

static void append_escape(struct buffer *buffer, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* character, letter */
    for (size_t i = 0; i < sizeof letters - 1; i += 2) {
        if ((uint8_t)letters[i] == byte) {
            buffer_append(buffer, (char[]){'\\', letters[i + 1]}, 2);
            return;
        }
    }
    buffer_append(buffer, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
}

/* The end of what can stand in a string as it is: plain ASCII and valid characters past it. */
static const char *pass_unescaped(const char *at, const char *end)
{
    size_t wide;
    do {
        at = json_scan_plain(at, end);
        wide = utf8_wide_run_bytes(slice_make(at, (size_t)(end - at)));
        at += wide;
    } while (wide > 0);
    return at;
}

void json_append_string(struct buffer *buffer, struct slice text)
{
    const char *at = text.bytes == 0 ? "" : text.data;
    const char *end = at + text.bytes;
    buffer_append_byte(buffer, '"');
    while (at < end) {
        const char *run = at;
        at = pass_unescaped(at, end);
        buffer_append(buffer, run, (size_t)(at - run));
        if (at < end && (uint8_t)*at >= 0x80) {
            buffer_append_literal(buffer, "\xEF\xBF\xBD");
            at++;
        } else if (at < end) {
            append_escape(buffer, (uint8_t)*at++);
        }
    }
    buffer_append_byte(buffer, '"');
}
