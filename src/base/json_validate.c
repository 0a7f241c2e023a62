/* json_validate: checks a text from outside, once. See json.h.
 *
 * Between ws/http, which deliver a message, and proto, which decodes it. Owns nothing beyond a call
 * (the validator's list of keys). Any thread.
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

/* `at` stands on the backslash. */
static const char *check_escape(struct validator *v, const char *at)
{
    if (v->end - at < 2) {
        return refuse(v, v->end, "the text ends inside a string");
    }
    if (at[1] == 'u') {
        if (json_scan_hex4(at + 2, v->end) < 0) {
            return refuse(v, at, "an escape \\u without four hexadecimal digits");
        }
        return at + 6;
    }
    if (json_scan_short_escape(at[1]) < 0) {
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

/* One digit or more. */
static const char *check_digits(struct validator *v, const char *at)
{
    if (at == v->end || !json_scan_is_digit(*at)) {
        return refuse(v, at, "a number lacks a digit");
    }
    return json_scan_digits(at, v->end);
}

static const char *check_number(struct validator *v, const char *at)
{
    if (*at == '-') {
        at++;
    }
    if (at < v->end && *at == '0') {
        at++;
        if (at < v->end && json_scan_is_digit(*at)) {
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

static const char *check_literal(struct validator *v, const char *at, const char *word,
                                 size_t bytes)
{
    if (!json_scan_begins_with(at, v->end, word, bytes)) {
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
    if (json_scan_begins_with(at, v->end, "\xEF\xBB\xBF", 3)) {
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
        return *at == '-' || json_scan_is_digit(*at) ? check_number(v, at) : refuse_value(v, at);
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
