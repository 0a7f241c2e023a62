/* event_line: an event as a line: of JSON, which `sluice pull` writes and `sluice push` reads, or
 * of a table for people. Pure. */
#ifndef SLUICE_CLI_EVENT_LINE_H
#define SLUICE_CLI_EVENT_LINE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "sluice/event.h"

enum event_format { EVENT_FORMAT_JSON, EVENT_FORMAT_TABLE };

#define EVENT_FORMATS "json table" /* by enum event_format */

/* Reads a line of JSON: an object with `name` and `args`, and with `seqNum`, `parentSeqNum`,
 * `clientId` and `sessionId` or with none of these four; then `*numbered` is false and they are 0
 * and empty. `createdAt` is passed over; anything else is refused. `*out` borrows from the line and
 * from the arena. MALFORMED, INVALID, LIMIT: the message says what is wrong with the line. */
enum sluice_status event_line_read(struct slice line, struct arena *arena, struct sluice_event *out,
                                   bool *numbered, struct sluice_error *error) SLUICE_MUST_CHECK;

/* Appends a line in the format. As JSON, args keep their text but for line breaks between its
 * tokens, which become spaces. */
void event_line_append(struct buffer *out, enum event_format format,
                       const struct sluice_event *event);
/* Appends what comes before the first line; nothing for JSON. */
void event_line_append_head(struct buffer *out, enum event_format format);

#endif
