/* clock: time, in the two kinds that must not be mixed up. Thread-safe. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

/* Milliseconds since 1970-01-01 UTC, as the system has it; may jump. */
int64_t clock_wall_ms(void);
/* Nanoseconds that only grow, from an arbitrary start. */
uint64_t clock_monotonic_ns(void);
/* Appends 2026-11-23T00:36:30.784Z, for any time from year 0 to 9999; outside it is clamped. */
void clock_append_iso8601(struct buffer *buffer, int64_t wall_ms);
/* Reads what clock_append_iso8601 writes; the fraction may have 0 to 9 digits, of which three
 * count. UTC ("Z") only. False leaves `*wall_ms` untouched. */
bool clock_parse_iso8601(struct slice text, int64_t *wall_ms);
/* Reads the date of an HTTP header, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7; the two forms
 * that are obsolete are not read). The day's name is not looked at. */
bool clock_parse_http_date(struct slice text, int64_t *wall_ms);

#endif
