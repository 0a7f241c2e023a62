/* event_json: events as the JSON that every LiveStore client writes and reads:
 * {"name":…,"args":…,"seqNum":…,"parentSeqNum":…,"clientId":…,"sessionId":…}. The one decoder and
 * encoder of it. Pure. */
#ifndef SLUICE_PROTO_EVENT_JSON_H
#define SLUICE_PROTO_EVENT_JSON_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/event.h"
#include "base/json.h"

/* An array of events, into the arena. Absent args become null; unknown fields are ignored. INVALID
 * names the event and the field; LIMIT: more than BATCH_EVENTS_MAX; NO_MEMORY. `*events` is never
 * NULL on success. */
enum sluice_status event_json_decode_batch(struct json_reader *reader, struct arena *arena,
                                           struct event **events, size_t *count,
                                           struct sluice_error *error) SLUICE_MUST_CHECK;

/* One event. INVALID names the field; NO_MEMORY. */
enum sluice_status event_json_decode(struct json_reader *reader, struct arena *arena,
                                     struct event *event,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;

void event_json_append(struct buffer *out, const struct event *event);

#endif
