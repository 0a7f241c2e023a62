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

size_t utf8_character_bytes(struct slice text)
{
    const uint8_t *at = (const uint8_t *)text.data;
    if (text.bytes == 0) {
        return 0;
    }
    if (at[0] < 0x80) {
        return 1;
    }
    uint32_t state = state_after_first(at[0]);
    for (size_t i = 1; i < text.bytes && state != REJECTED; i++) {
        state = state_after_next(state, at[i]);
        if (state == 0) {
            return i + 1;
        }
    }
    return 0;
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
        if (now != 0) {
            now = state_after_next(now, *at++);
        } else if (*at >= 0x80) {
            now = state_after_first(*at++);
        } else {
            at = skip_ascii(at, end);
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
