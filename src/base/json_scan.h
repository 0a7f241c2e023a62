/* json_scan: the smallest steps of reading JSON text, shared by the json files; private to
 * them. Everything stays within [at, end) whatever the bytes are. */
#ifndef SLUICE_BASE_JSON_SCAN_H
#define SLUICE_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

#define JSON_EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* How many bytes lie before the first one whose high bit is set in `marks` (≠ 0). The tricks that
 * make the marks may set false ones, but only behind a true one. */
static inline size_t json_scan_first_mark(uint64_t marks)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(marks) / 8;
#else
    (void)marks;
    return 0; /* the caller goes on byte by byte */
#endif
}

static inline const char *json_scan_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/* The first byte that a string cannot simply contain: a quote, a backslash, a control character or
 * anything that is not ASCII; or `end`. */
static inline const char *json_scan_plain(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        /* In a byte below 0x80, a subtraction that borrows sets the high bit. */
        uint64_t marks = (word - JSON_EACH_BYTE(0x20)) |
                         ((word ^ JSON_EACH_BYTE('"')) - JSON_EACH_BYTE(1)) |
                         ((word ^ JSON_EACH_BYTE('\\')) - JSON_EACH_BYTE(1)) | word;
        marks &= JSON_EACH_BYTE(0x80);
        if (marks != 0) {
            at += json_scan_first_mark(marks);
            break;
        }
        at += 8;
    }
    while (at < end && (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* The first quote or backslash, or `end`. */
static inline const char *json_scan_quote(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t quote = word ^ JSON_EACH_BYTE('"');
        uint64_t backslash = word ^ JSON_EACH_BYTE('\\');
        uint64_t marks =
            ((quote - JSON_EACH_BYTE(1)) & ~quote) | ((backslash - JSON_EACH_BYTE(1)) & ~backslash);
        marks &= JSON_EACH_BYTE(0x80);
        if (marks != 0) {
            at += json_scan_first_mark(marks);
            break;
        }
        at += 8;
    }
    while (at < end && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* The next character of the inside of a string, escapes undone: a code point, or the unit of a lone
 * surrogate escape. `at` (< end) moves past it. A byte that fits nowhere comes out as a number past
 * JSON_CHARACTER_BAD, so it equals no character. */
uint32_t json_scan_character(const char **at, const char *end);
#define JSON_CHARACTER_BAD 0x110000u

/* Orders the insides of two strings by their decoded characters: < 0, 0 or > 0. */
int json_string_compare(struct slice a, struct slice b);

static inline bool json_scan_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* The value of four hexadecimal digits, or -1. */
static inline int32_t json_scan_hex4(const char *at, const char *end)
{
    if (end - at < 4) {
        return -1;
    }
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char byte = at[i];
        int32_t digit;
        if (json_scan_is_digit(byte)) {
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
static inline int32_t json_scan_short_escape(char letter)
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

static inline bool json_scan_begins_with(const char *at, const char *end, const char *word,
                                         size_t bytes)
{
    return (size_t)(end - at) >= bytes && memcmp(at, word, bytes) == 0;
}

/* Whether the inside of a string has an escape. */
static inline bool json_scan_has_escape(struct slice raw)
{
    return raw.bytes > 0 && memchr(raw.data, '\\', raw.bytes) != NULL;
}

static inline const char *json_scan_digits(const char *at, const char *end)
{
    while (at < end && json_scan_is_digit(*at)) {
        at++;
    }
    return at;
}

#endif
