/* request_queue: first-in first-out queues of the caller's requests, linked through the requests'
 * own `next`, so that queueing allocates nothing and cannot fail. Not thread-safe. */
#ifndef SLUICE_EVENTLOG_REQUEST_QUEUE_H
#define SLUICE_EVENTLOG_REQUEST_QUEUE_H

#include "base/assert.h"
#include "eventlog/eventlog.h"

/* Defines struct `queue` over struct `item`, and its functions. Zeroes are an empty queue. */
#define REQUEST_QUEUE(queue, item)                                                                 \
    struct queue {                                                                                 \
        struct item *first;                                                                        \
        struct item *last; /* undefined while first is NULL */                                     \
    };                                                                                             \
    static inline void queue##_push(struct queue *to, struct item *pushed)                         \
    {                                                                                              \
        pushed->next = NULL;                                                                       \
        if (to->first == NULL) {                                                                   \
            to->first = pushed;                                                                    \
        } else {                                                                                   \
            to->last->next = pushed;                                                               \
        }                                                                                          \
        to->last = pushed;                                                                         \
    }                                                                                              \
    static inline struct item *queue##_pop(struct queue *from)                                     \
    {                                                                                              \
        struct item *popped = from->first;                                                         \
        SLUICE_ASSERT(popped != NULL);                                                             \
        from->first = popped->next;                                                                \
        popped->next = NULL;                                                                       \
        return popped;                                                                             \
    }                                                                                              \
    /* Moves all of `from` behind `to`. */                                                         \
    static inline void queue##_splice(struct queue *to, struct queue *from)                        \
    {                                                                                              \
        if (from->first == NULL) {                                                                 \
            return;                                                                                \
        }                                                                                          \
        if (to->first == NULL) {                                                                   \
            to->first = from->first;                                                               \
        } else {                                                                                   \
            to->last->next = from->first;                                                          \
        }                                                                                          \
        to->last = from->last;                                                                     \
        from->first = NULL;                                                                        \
    }

REQUEST_QUEUE(append_queue, eventlog_append)
REQUEST_QUEUE(read_queue, eventlog_read)
REQUEST_QUEUE(probe_queue, eventlog_probe)

#endif
