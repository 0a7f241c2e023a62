/* quantity: what a person writes on a command line: durations, sizes, one word of several. Pure. A
 * function that returns false has not understood the text, and leaves `*out` untouched. */
#ifndef SLUICE_BASE_QUANTITY_H
#define SLUICE_BASE_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/* "500ms", "30s", "5m", "1h"; a number alone is seconds. */
bool quantity_read_duration_ms(const char *text, uint64_t *out);
/* "65536", "64K", "16M", "1G", by 1024. */
bool quantity_read_bytes(const char *text, uint64_t *out);
/* One of `choices`, which are separated by spaces ("text json"); `*out` is its place, from 0. */
bool quantity_read_choice(const char *text, const char *choices, uint64_t *out);

#endif
