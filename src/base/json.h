/* json: a strict RFC 8259 validator, and a reader that walks valid text in place without a tree.
 *
 * A text from outside goes through json_validate once: one value, nothing but white space around
 * it, valid UTF-8, no control bytes in strings, RFC 8259 numbers, no duplicate keys in any object
 * (two keys are equal when they decode to the same string, so "a" and "\u0061" are), nesting up to
 * JSON_DEPTH_MAX. Lone surrogate escapes (\ud800) are legal inside a JSON text, as real clients
 * send them in args; json_decode_string refuses them, since they have no UTF-8 form.
 *
 * A reader then walks the text; what it hands out are slices of it, so args keep their exact bytes.
 * It skips quickly and relies on the validation for correctness, but stays within the text and
 * terminates on any bytes. Its errors are sticky: after the first one every call returns false and
 * leaves outputs untouched, so a decoder checks once, at the end. Not thread-safe. */
#ifndef SLUICE_BASE_JSON_H
#define SLUICE_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#define JSON_DEPTH_MAX 128 /* nested arrays and objects */

enum json_kind {
    JSON_ERROR = 0, /* no value here: the text is malformed, or an error came before */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_reader {
    const char *start; /* borrowed text */
    const char *at;
    const char *end;
    unsigned depth;            /* open arrays and objects */
    unsigned skipped_depth;    /* arrays and objects that the last json_skip met, one in another */
    bool fresh;                /* just entered: no comma is due before the next item or key */
    const char *problem;       /* NULL, or what is wrong: a static string */
    size_t problem_offset;     /* bytes from start */
    enum sluice_status status; /* SLUICE_OK, SLUICE_MALFORMED or SLUICE_INVALID (json_fail) */
};

/* Checks a text from outside, in one pass that allocates only to remember the keys of open objects.
 * SLUICE_MALFORMED (with "… at byte N"), SLUICE_LIMIT (depth, or a text past 4 GiB) or
 * SLUICE_NO_MEMORY. Time is linear in the text, but n log n in the keys of one object. Memory: none
 * while the open objects have up to 64 keys in all and 16 each; at most ten times the text for one
 * that consists of empty keys. */
enum sluice_status json_validate(struct slice text, struct sluice_error *error) SLUICE_MUST_CHECK;

/* Starts to read `text`, which json_validate has accepted (whole, or as part of a larger text).
 * Borrowed while the reader is in use. */
void json_reader_init(struct json_reader *reader, struct slice text);

/* The kind of the value that comes next (after white space); consumes nothing of it. */
enum json_kind json_peek(struct json_reader *reader);

/* Walks an object: after json_enter_object, each json_next_key that returns true has read a key and
 * its colon and stands before the value, which the caller must read or skip; false is the object's
 * end (consumed) or an error. `key` is the text between the quotes, still escaped; json_key_is
 * compares its decoded form with an ASCII name. */
bool json_enter_object(struct json_reader *reader);
bool json_next_key(struct json_reader *reader, struct slice *key);
bool json_key_is(struct slice key, const char *name);

/* Walks an array: each true stands before an item, which the caller must read or skip. */
bool json_enter_array(struct json_reader *reader);
bool json_next_item(struct json_reader *reader);

/* Passes the next value whole; `raw` (may be NULL) is its exact text, without the
 * white space around it. */
bool json_skip(struct json_reader *reader, struct slice *raw);

/* A string: `raw` is the text between the quotes, still escaped. Another kind is an error. */
bool json_read_string(struct json_reader *reader, struct slice *raw);
bool json_read_bool(struct json_reader *reader, bool *value);
/* A number written as digits only (no sign, fraction or exponent), at most `max`. Another form is
 * an error whose text says so. */
bool json_read_u64(struct json_reader *reader, uint64_t max, uint64_t *value);
bool json_read_null(struct json_reader *reader);

/* Marks the reader as failed, for what a decoder finds wrong in a valid text. `problem` is static.
 */
void json_fail(struct json_reader *reader, const char *problem);

/* After the value: nothing but white space may follow. Returns the status, with "… at byte N" in
 * `error`. */
enum sluice_status json_finish(struct json_reader *reader,
                               struct sluice_error *error) SLUICE_MUST_CHECK;

/* Unescapes the inside of a string (as json_read_string gives it) into the arena; without escapes
 * `*out` borrows from `raw` itself. SLUICE_INVALID for a lone surrogate escape, SLUICE_NO_MEMORY.
 */
enum sluice_status json_decode_string(struct slice raw, struct arena *arena, struct slice *out,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

/* Appends `text` (valid UTF-8) as a JSON string with its quotes. Escapes the quote, the backslash
 * and control characters, nothing else. Bytes that are not valid UTF-8 become U+FFFD. */
void json_append_string(struct buffer *buffer, struct slice text);

/* Whether two valid JSON texts are the same value: objects without regard to the order of keys,
 * strings by their decoded code units, numbers by their exact decimal value (1.0 equals 1 and 1e0;
 * 9007199254740993 does not equal 9007199254740992; 0 equals -0). n log n in the keys of an object.
 * SLUICE_OK with `*equal` filled, or SLUICE_NO_MEMORY (also for a text past 4 GiB). Either text
 * invalid: `*equal` is false, even when both are the same. */
enum sluice_status json_equal(struct slice a, struct slice b, bool *equal) SLUICE_MUST_CHECK;

#endif
