/* append_check: keeps a store's log one chain, whatever is asked of the engine. Owns nothing; any
 * thread. */
#include "eventlog/append_check.h"

#include "base/limits.h"

enum sluice_status append_check(const struct eventlog_append *append, uint64_t head,
                                struct sluice_error *error)
{
    if (append->expected_head != head) {
        return error_set(error, SLUICE_INVALID,
                         "the store's head is %llu, but the append continues after %llu: read the "
                         "store again and append after its head",
                         (unsigned long long)head, (unsigned long long)append->expected_head);
    }
    uint64_t previous = head;
    for (size_t index = 0; index < append->event_count; index++) {
        const struct event *event = &append->events[index];
        if (event->parent_seq_num != previous || event->seq_num <= previous ||
            event->seq_num > SEQ_NUM_MAX) {
            return error_set(
                error, SLUICE_INVALID,
                "events[%zu] has sequence number %llu and parent %llu, but it must come after %llu "
                "and name it as its parent",
                index, (unsigned long long)event->seq_num,
                (unsigned long long)event->parent_seq_num, (unsigned long long)previous);
        }
        previous = event->seq_num;
    }
    return SLUICE_OK;
}

uint64_t append_payload_bytes(const struct eventlog_append *append)
{
    uint64_t bytes = 0;
    for (size_t index = 0; index < append->event_count; index++) {
        bytes += event_payload_bytes(&append->events[index]);
    }
    return bytes;
}
