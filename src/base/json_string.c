/* json_string: the strings of JSON texts: their escapes read and written. See json.h. Any thread.
 */
#include "base/json.h"

#include "base/assert.h"
#include "base/json_scan.h"
#include "base/utf8.h"

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
    int32_t unit = end - from < 2 ? -1 : json_scan_short_escape(from[1]);
    if (unit >= 0) {
        *at = from + 2;
        return (uint32_t)unit;
    }
    unit = end - from >= 2 && from[1] == 'u' ? json_scan_hex4(from + 2, end) : -1;
    if (unit < 0) {
        *at = from + 1;
        return JSON_CHARACTER_BAD + '\\';
    }
    *at = from + 6;
    if (is_high_surrogate(unit) && json_scan_begins_with(*at, end, "\\u", 2)) {
        int32_t low = json_scan_hex4(*at + 2, end);
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
    if (json_scan_has_escape(a) || json_scan_has_escape(b)) {
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
    if (!json_scan_has_escape(raw)) {
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
