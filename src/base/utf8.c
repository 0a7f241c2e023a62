/* utf8: the check that every text from a peer passes. Owns nothing; any thread.
 *
 * The incremental check has this state: 0 between characters; inside one, how many continuation
 * bytes are missing and the range of the next one, which is narrower than 80..BF after E0, ED, F0
 * and F4 (that excludes overlong forms, surrogates and what lies past U+10FFFF); or REJECTED,
 * which stays.
 *
 *     bits 0-7 missing (1..3) · bits 8-15 lowest next byte · bits 16-23 highest next byte
 */
#include "base/utf8.h"

#define REJECTED UINT32_MAX
#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint32_t state_make(unsigned missing, unsigned low, unsigned high)
{
    return missing | low << 8 | high << 16;
}

/* The state after a first byte ≥ 0x80. */
static uint32_t state_after_first(uint8_t byte)
{
    if (byte < 0xC2) {
        return REJECTED;
    }
    if (byte < 0xE0) {
        return state_make(1, 0x80, 0xBF);
    }
    if (byte < 0xF0) {
        return state_make(2, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF);
    }
    if (byte < 0xF5) {
        return state_make(3, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF);
    }
    return REJECTED;
}

static uint32_t state_after_next(uint32_t state, uint8_t byte)
{
    unsigned missing = state & 0xFF;
    if (byte < (state >> 8 & 0xFF) || byte > (state >> 16 & 0xFF)) {
        return REJECTED;
    }
    return missing == 1 ? 0 : state_make(missing - 1, 0x80, 0xBF);
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The same rules as the states', for whole characters at once: this is what long texts go through.
 */
static inline size_t character_bytes(const uint8_t *at, size_t bytes)
{
    uint8_t first = at[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xE0) {
        return first >= 0xC2 && bytes >= 2 && is_continuation(at[1]) ? 2 : 0;
    }
    if (first < 0xF0) {
        if (bytes < 3 || !is_continuation(at[1]) || !is_continuation(at[2])) {
            return 0;
        }
        bool bad = (first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F);
        return bad ? 0 : 3;
    }
    if (first > 0xF4 || bytes < 4 || !is_continuation(at[1]) || !is_continuation(at[2]) ||
        !is_continuation(at[3])) {
        return 0;
    }
    bool bad = (first == 0xF0 && at[1] < 0x90) || (first == 0xF4 && at[1] > 0x8F);
    return bad ? 0 : 4;
}

size_t utf8_character_bytes(struct slice text)
{
    return text.bytes == 0 ? 0 : character_bytes((const uint8_t *)text.data, text.bytes);
}

bool utf8_is_control(struct slice character)
{
    const uint8_t *at = (const uint8_t *)character.data;
    return at[0] < 0x20 || at[0] == 0x7F || (character.bytes == 2 && at[0] == 0xC2 && at[1] < 0xA0);
}

size_t utf8_wide_run_bytes(struct slice text)
{
    const uint8_t *at = (const uint8_t *)text.data;
    size_t run = 0;
    while (run < text.bytes && at[run] >= 0x80) {
        size_t bytes = character_bytes(at + run, text.bytes - run);
        if (bytes == 0) {
            break;
        }
        run += bytes;
    }
    return run;
}

/* Where the run of ASCII that starts at `at` ends: mostly eight bytes a step. */
static const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if ((word & HIGH_BITS) != 0) {
            break;
        }
        at += 8;
    }
    while (at < end && *at < 0x80) {
        at++;
    }
    return at;
}

bool utf8_feed(uint32_t *state, struct slice piece)
{
    if (piece.bytes == 0) {
        return *state != REJECTED; /* data may be NULL */
    }
    const uint8_t *at = (const uint8_t *)piece.data;
    const uint8_t *end = at + piece.bytes;
    uint32_t now = *state;
    while (at < end && now != REJECTED) {
        if (now == 0 && *at < 0x80) {
            at = skip_ascii(at, end);
        } else if (now == 0) {
            size_t run = utf8_wide_run_bytes(slice_make(at, (size_t)(end - at)));
            at += run;
            now = run == 0 ? state_after_first(*at++) : 0;
        } else {
            now = state_after_next(now, *at++);
        }
    }
    *state = now;
    return now != REJECTED;
}

bool utf8_valid(struct slice text)
{
    uint32_t state = 0;
    return utf8_feed(&state, text) && state == 0;
}
