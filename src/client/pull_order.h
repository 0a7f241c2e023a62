/* pull_order: makes one ascending chain out of the pages that a server sends for a pull.
 *
 * What the caller had already is dropped. A page that starts further on than the last event (its
 * first event's parent has not been seen) is held back until what lies between has come: the
 * reference server lets live events overtake the pages of a catch-up. Where that does not happen,
 * or too much would have to be held, there is a gap, and whoever pulls asks again from the last
 * good event. A log may really have a broken chain (the reference server accepts one): the same gap
 * met again after a fresh pull is the log's own, and is passed on. Owns copies of what it holds;
 * pure otherwise. */
#ifndef SLUICE_CLIENT_PULL_ORDER_H
#define SLUICE_CLIENT_PULL_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "sluice/event.h"

#define PULL_ORDER_HELD_PAGES_MAX 64u
#define PULL_ORDER_HELD_BYTES_MAX (8u << 20)

struct pull_order;

/* NULL: out of memory. Starts after `seq_num`. With `accept_seq_num` (0: none) the event of that
 * number is taken next whatever its parent is. */
struct pull_order *pull_order_create(uint64_t seq_num, uint64_t accept_seq_num);
void pull_order_destroy(struct pull_order *order); /* NULL is accepted */

enum pull_order_verdict {
    PULL_ORDER_PAGE, /* `*out` is to be delivered (maybe without events); call pull_order_next then
                      */
    PULL_ORDER_HELD, /* nothing to deliver now */
    PULL_ORDER_GAP,  /* pull again from pull_order_seq_num; the first event behind the gap is
                        pull_order_gap */
};

/* Takes a Chunk's value (validated JSON, borrowed during the call). What is delivered lives until
 * the next call. INVALID: it is no page; NO_MEMORY: nothing was taken. */
enum sluice_status pull_order_take(struct pull_order *order, struct slice value,
                                   enum pull_order_verdict *verdict, struct sluice_page *out,
                                   struct sluice_error *error) SLUICE_MUST_CHECK;
/* Counts the page that was delivered last as taken, and gives a held one when its turn has come
 * (PAGE), or says that there is none (HELD). */
enum pull_order_verdict pull_order_next(struct pull_order *order, struct sluice_page *out);
/* The answer is complete (its NO_MORE page, or its Exit): what is still held back will not be
 * reached.
 */
bool pull_order_has_gap(const struct pull_order *order);
/* The number of the first event behind the gap; 0 when it is not known. */
uint64_t pull_order_gap(const struct pull_order *order);
/* The last event that was taken. */
uint64_t pull_order_seq_num(const struct pull_order *order);

#endif
