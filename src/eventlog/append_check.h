/* append_check: what every engine asks of an append before it stores anything of it. Defence in
 * depth: admission has decided already, and what is refused here is a mistake above or a log that
 * was changed from outside. */
#ifndef SLUICE_EVENTLOG_APPEND_CHECK_H
#define SLUICE_EVENTLOG_APPEND_CHECK_H

#include "eventlog/eventlog.h"

/* INVALID unless the append continues the chain of a store whose head is `head`. */
enum sluice_status append_check(const struct eventlog_append *append, uint64_t head,
                                struct sluice_error *error) SLUICE_MUST_CHECK;

/* Bytes of name, args, client id and session id: of one event, of all events. */
static inline uint64_t event_payload_bytes(const struct event *event)
{
    return (uint64_t)event->name.bytes + event->args.bytes + event->client_id.bytes +
           event->session_id.bytes;
}
uint64_t append_payload_bytes(const struct eventlog_append *append);

#endif
