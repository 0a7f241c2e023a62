/* client_event: sluice_events as the client room passes them on: copies, comparisons, and the way
 * to and from the codecs, which know slices and `struct event`. Pure. */
#ifndef SLUICE_CLIENT_EVENT_H
#define SLUICE_CLIENT_EVENT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/event.h"
#include "base/slice.h"
#include "sluice/event.h"

static inline struct slice slice_of_text(struct sluice_text text)
{
    return slice_make(text.data, text.bytes);
}

static inline struct sluice_text text_of_slice(struct slice slice)
{
    return (struct sluice_text){slice.data, slice.bytes};
}

/* Borrow what `event` borrows. */
struct event client_event_to_wire(const struct sluice_event *event);
struct sluice_event client_event_from_wire(const struct event *event);

/* Copies an event with its texts into the arena; NO_MEMORY. */
enum sluice_status client_event_copy(struct arena *arena, const struct sluice_event *event,
                                     struct sluice_event *out) SLUICE_MUST_CHECK;

/* What the server will check of an event by itself: sizes, UTF-8, JSON args, numbers when
 * `with_numbers`. INVALID names the field, as "events[index].name is empty"; NO_MEMORY. */
enum sluice_status client_event_check(const struct sluice_event *event, size_t index,
                                      bool with_numbers,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

/* Whether two are the same event, as LiveStore's sync state sees it: sequence number, name,
 * clientId, sessionId, and args as JSON values; neither parents nor times. NO_MEMORY. */
enum sluice_status client_event_same(const struct sluice_event *a, const struct sluice_event *b,
                                     bool *same) SLUICE_MUST_CHECK;

#endif
