/* json_reader: hands out slices of a text that json_validate has accepted. See json.h.
 *
 * Owns nothing; a reader is its owner's. Any thread. Invariant: `at` stays within [start, end],
 * whatever the bytes are, and a failed reader never moves again. */
#include "base/json.h"

#include "base/assert.h"
#include "base/json_scan.h"

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
        return first == '-' || json_scan_is_digit(first) ? JSON_NUMBER : JSON_ERROR;
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
        return slice_equal(key, plain) && !json_scan_has_escape(key);
    }
    return json_scan_has_escape(key) && escaped_key_is(key, name);
}

/* `at` stands on an opening bracket; passes everything up to the one that closes it. On valid text
 * it is enough to count. */
static bool pass_nested(struct json_reader *reader)
{
    unsigned open = 0;
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
            reader->skipped_depth = open > reader->skipped_depth ? open : reader->skipped_depth;
        } else if ((byte == '}' || byte == ']') && --open == 0) {
            return true;
        }
    }
    return fail(reader, "the text ends inside an array or object");
}

static bool is_number_byte(char byte)
{
    return json_scan_is_digit(byte) || byte == '-' || byte == '+' || byte == '.' ||
           (byte | 0x20) == 'e';
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
    if (!json_scan_begins_with(reader->at, reader->end, word, bytes)) {
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
    reader->skipped_depth = 0;
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
    const char *digits_end = json_scan_digits(at, reader->end);
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
