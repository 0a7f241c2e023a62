/* utf8: validity of UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF). */
#ifndef SLUICE_BASE_UTF8_H
#define SLUICE_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* True when the whole slice is valid. */
bool utf8_valid(struct slice text);

/* The length of the character that `text` begins with, 1 to 4 bytes; 0 when it begins with none
 * (empty, invalid or cut off). */
size_t utf8_character_bytes(struct slice text);

/* Whether a character (valid, not empty) controls a terminal instead of being shown: C0, DEL, C1.
 */
bool utf8_is_control(struct slice character);

/* How many bytes of whole, valid characters past ASCII `text` begins with; may be 0. */
size_t utf8_wide_run_bytes(struct slice text);

/* Incremental check, for text that arrives in pieces. `state` starts at 0. Returns false as soon as
 * the bytes so far cannot be the beginning of valid UTF-8, and from then on. At the end of the text
 * `*state` must be 0, or it ended inside a character. */
bool utf8_feed(uint32_t *state, struct slice piece);

#endif
