/* http_query: what a request asks for, taken out of its target (http → endpoint). Owns nothing,
 * keeps no state; any thread. Slices go in and slices of the same bytes come out; only percent
 * decoding writes, into the request's arena. */
#include "http/http_query.h"

#include <stdint.h>
#include <string.h>

static struct slice slice_from(struct slice text, size_t at)
{
    return slice_make(text.data + at, text.bytes - at);
}

/* Where `byte` first is in `text`; text.bytes when it is not there. */
static size_t find_byte(struct slice text, char byte)
{
    const char *found = text.bytes == 0 ? NULL : memchr(text.data, byte, text.bytes);
    return found == NULL ? text.bytes : (size_t)(found - text.data);
}

static bool is_letter(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool is_scheme(struct slice text)
{
    if (text.bytes == 0 || !is_letter(text.data[0])) {
        return false;
    }
    for (size_t at = 1; at < text.bytes; at++) {
        char byte = text.data[at];
        bool legal = is_letter(byte) || (byte >= '0' && byte <= '9') || byte == '+' ||
                     byte == '-' || byte == '.';
        if (!legal) {
            return false;
        }
    }
    return true;
}

/* "scheme://authority" is cut off, what follows it is left in `*rest`: "", "/path", "?query" or
 * both. False when `target` is no absolute-form. */
static bool skip_origin(struct slice target, struct slice *rest)
{
    size_t colon = find_byte(target, ':');
    if (!is_scheme(slice_make(target.data, colon)) || target.bytes - colon < 3 ||
        memcmp(target.data + colon, "://", 3) != 0) {
        return false;
    }
    struct slice after = slice_from(target, colon + 3);
    size_t slash = find_byte(after, '/');
    size_t authority_bytes = find_byte(slice_make(after.data, slash), '?');
    if (authority_bytes == 0) {
        return false;
    }
    *rest = slice_from(after, authority_bytes);
    return true;
}

enum sluice_status http_target_split(struct slice target, struct slice *path, struct slice *query,
                                     struct sluice_error *error)
{
    if (slice_equal(target, SLICE("*"))) {
        *path = target;
        *query = SLICE_EMPTY;
        return SLUICE_OK;
    }
    if (find_byte(target, '#') < target.bytes) {
        return error_set(error, SLUICE_MALFORMED, "the request target has a fragment: \"%.*s\"",
                         SLICE_PRINT(target));
    }
    struct slice rest = target;
    if (target.bytes == 0 || (target.data[0] != '/' && !skip_origin(target, &rest))) {
        return error_set(error, SLUICE_MALFORMED,
                         "the request target is neither a path nor an absolute URL: \"%.*s\"",
                         SLICE_PRINT(target));
    }
    size_t path_bytes = find_byte(rest, '?');
    *path = path_bytes == 0 ? SLICE("/") : slice_make(rest.data, path_bytes);
    *query = path_bytes == rest.bytes ? SLICE_EMPTY : slice_from(rest, path_bytes + 1);
    return SLUICE_OK;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'A' && byte <= 'F') {
        return byte - 'A' + 10;
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    return -1;
}

/* The byte that the escape at `at` ("%2F") stands for; -1 when it is no escape. */
static int decode_escape(struct slice text, size_t at)
{
    if (text.bytes - at < 3) {
        return -1;
    }
    int high = hex_digit(text.data[at + 1]);
    int low = hex_digit(text.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Whether `encoded`, with its escapes decoded, is `name`. */
static bool is_encoded_name(struct slice encoded, struct slice name)
{
    size_t at = 0;
    for (size_t i = 0; i < name.bytes; i++) {
        int byte = at == encoded.bytes       ? -1
                   : encoded.data[at] == '%' ? decode_escape(encoded, at)
                                             : (uint8_t)encoded.data[at];
        if (byte != (uint8_t)name.data[i]) {
            return false;
        }
        at += encoded.data[at] == '%' ? 3 : 1;
    }
    return at == encoded.bytes;
}

unsigned http_query_find(struct slice query, const char *name, struct slice *value)
{
    struct slice wanted = slice_of_string(name);
    unsigned count = 0;
    while (query.bytes > 0) {
        size_t pair_bytes = find_byte(query, '&');
        struct slice pair = slice_make(query.data, pair_bytes);
        size_t name_bytes = find_byte(pair, '=');
        if (is_encoded_name(slice_make(pair.data, name_bytes), wanted) && count++ == 0) {
            *value = slice_from(pair, name_bytes < pair_bytes ? name_bytes + 1 : pair_bytes);
        }
        query = slice_from(query, pair_bytes < query.bytes ? pair_bytes + 1 : pair_bytes);
    }
    return count;
}

enum sluice_status http_percent_decode(struct slice encoded, bool plus_is_space,
                                       struct arena *arena, struct slice *out,
                                       struct sluice_error *error)
{
    bool plain = find_byte(encoded, '%') == encoded.bytes &&
                 (!plus_is_space || find_byte(encoded, '+') == encoded.bytes);
    if (plain) {
        *out = encoded;
        return SLUICE_OK;
    }
    char *decoded = arena_alloc(arena, encoded.bytes);
    if (decoded == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory to decode a part of the URL");
    }
    size_t bytes = 0;
    for (size_t at = 0; at < encoded.bytes; at++) {
        char byte = encoded.data[at];
        if (byte == '%') {
            int value = decode_escape(encoded, at);
            if (value < 0) {
                return error_set(error, SLUICE_MALFORMED,
                                 "a '%%' in the URL is not followed by two hex digits: \"%.*s\"",
                                 SLICE_PRINT(encoded));
            }
            byte = (char)value;
            at += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        decoded[bytes++] = byte;
    }
    *out = slice_make(decoded, bytes);
    return SLUICE_OK;
}
