/* pull_order: see pull_order.h. Between the wire and the caller of a pull.
 *
 *     take: page ── what was had already is cut off ──┬─▶ starts at the last event ──▶ delivered
 *                                                     └─▶ starts further on ──▶ held
 *     next: held ── its turn has come ──▶ delivered
 *
 * Owns the page that was delivered last and the pages that are held. Invariants: held pages ascend
 * by their first event, and inside a page each event's parent is the one before. The last event
 * moves on only in pull_order_next, so a page that could not be passed on is not lost. */
#include "client/pull_order.h"

#include <stdlib.h>

#include "base/assert.h"
#include "client/client_event.h"
#include "proto/sync_cf_client.h"

#define ARENA_BYTES_MIN (1u << 20)

struct ordered_page {
    struct ordered_page *next;
    struct arena arena;
    struct sluice_event *events; /* in the arena */
    size_t event_count;
    size_t bytes; /* what it costs */
    enum sluice_page_info info;
    uint64_t remaining;
    struct slice backend_id;
};

struct pull_order {
    uint64_t seq_num;           /* the last event that was taken */
    uint64_t delivered_seq_num; /* will be that, once the page is taken */
    uint64_t accept_seq_num;
    struct ordered_page *delivered;
    struct ordered_page *held; /* by first event */
    unsigned held_count;
    size_t held_bytes;
    bool lost; /* something behind what is held was dropped, so there is a gap until a fresh pull */
};

static void page_destroy(struct ordered_page *page)
{
    if (page != NULL) {
        arena_deinit(&page->arena);
        free(page);
    }
}

struct pull_order *pull_order_create(uint64_t seq_num, uint64_t accept_seq_num)
{
    struct pull_order *order = malloc(sizeof(*order));
    if (order != NULL) {
        *order = (struct pull_order){
            .seq_num = seq_num, .delivered_seq_num = seq_num, .accept_seq_num = accept_seq_num};
    }
    return order;
}

static void drop_held(struct pull_order *order)
{
    while (order->held != NULL) {
        struct ordered_page *page = order->held;
        order->held = page->next;
        page_destroy(page);
    }
    order->held_count = 0;
    order->held_bytes = 0;
}

void pull_order_destroy(struct pull_order *order)
{
    if (order != NULL) {
        page_destroy(order->delivered);
        drop_held(order);
        free(order);
    }
}

static int compare_events(const void *a, const void *b)
{
    const struct sluice_event *left = a;
    const struct sluice_event *right = b;
    return left->seq_num < right->seq_num ? -1 : left->seq_num > right->seq_num;
}

/* Puts the events in order, each number once, and leaves out those that were had already. */
static void sort_events(struct ordered_page *page, uint64_t after)
{
    bool ascending = true;
    for (size_t i = 1; i < page->event_count && ascending; i++) {
        ascending = page->events[i - 1].seq_num < page->events[i].seq_num;
    }
    if (!ascending) {
        qsort(page->events, page->event_count, sizeof(*page->events), compare_events);
    }
    size_t kept = 0;
    for (size_t i = 0; i < page->event_count; i++) {
        if (page->events[i].seq_num > after) {
            after = page->events[i].seq_num;
            page->events[kept++] = page->events[i];
        }
    }
    page->event_count = kept;
}

static enum sluice_page_info info_of(enum sync_cf_more more)
{
    switch (more) {
    case SYNC_CF_NO_MORE:
        return SLUICE_PAGE_NO_MORE;
    case SYNC_CF_MORE_KNOWN:
        return SLUICE_PAGE_MORE_KNOWN;
    default:
        return SLUICE_PAGE_MORE_UNKNOWN;
    }
}

/* A page of its own from a Chunk's value, which it borrows. */
static enum sluice_status page_decode(struct slice value, struct ordered_page **out,
                                      struct sluice_error *error)
{
    struct ordered_page *page = malloc(sizeof(*page));
    if (page == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a page");
    }
    *page = (struct ordered_page){.bytes = value.bytes};
    arena_init(&page->arena, ARENA_BYTES_MIN + 8 * value.bytes);
    struct sync_cf_page decoded;
    enum sluice_status status = sync_cf_decode_page(value, &page->arena, &decoded, error);
    if (status != SLUICE_OK) {
        page_destroy(page);
        return status;
    }
    page->events = arena_alloc(&page->arena, (decoded.event_count + 1) * sizeof(*page->events));
    if (page->events == NULL) {
        page_destroy(page);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a page");
    }
    for (size_t i = 0; i < decoded.event_count; i++) {
        page->events[i] = client_event_from_wire(&decoded.events[i]);
    }
    page->event_count = decoded.event_count;
    page->info = info_of(decoded.more);
    page->remaining = decoded.remaining;
    page->backend_id = decoded.backend_id;
    *out = page;
    return SLUICE_OK;
}

/* How many events, from `first` on, are one chain. */
static size_t chain_length(const struct ordered_page *page, size_t first)
{
    size_t end = first + 1;
    while (end < page->event_count &&
           page->events[end].parent_seq_num == page->events[end - 1].seq_num) {
        end++;
    }
    return end - first;
}

static bool continues(const struct pull_order *order, const struct sluice_event *event)
{
    return event->parent_seq_num == order->seq_num || event->seq_num == order->accept_seq_num;
}

static void hold(struct pull_order *order, struct ordered_page *page)
{
    struct ordered_page **link = &order->held;
    while (*link != NULL && (*link)->events[0].seq_num <= page->events[0].seq_num) {
        link = &(*link)->next;
    }
    page->next = *link;
    *link = page;
    order->held_count++;
    order->held_bytes += page->bytes;
}

/* Drops what is furthest away, until what is held is within its bounds. */
static void bound_held(struct pull_order *order)
{
    while (order->held_count > PULL_ORDER_HELD_PAGES_MAX ||
           (order->held_count > 1 && order->held_bytes > PULL_ORDER_HELD_BYTES_MAX)) {
        struct ordered_page **link = &order->held;
        while ((*link)->next != NULL) {
            link = &(*link)->next;
        }
        order->held_count--;
        order->held_bytes -= (*link)->bytes;
        page_destroy(*link);
        *link = NULL;
        order->lost = true;
    }
}

static struct sluice_text copy_into(struct arena *arena, struct slice text)
{
    char *bytes = arena_alloc(arena, text.bytes + 1);
    if (bytes != NULL && text.bytes > 0) {
        memcpy(bytes, text.data, text.bytes);
    }
    return (struct sluice_text){bytes, text.bytes};
}

/* A page of its own from `count` events of another one, with copies of the texts. NULL: no memory.
 */
static struct ordered_page *page_copy(const struct ordered_page *from, size_t first, size_t count)
{
    struct ordered_page *page = malloc(sizeof(*page));
    if (page == NULL) {
        return NULL;
    }
    *page = (struct ordered_page){.info = from->info, .remaining = from->remaining};
    arena_init(&page->arena, ARENA_BYTES_MIN + 8 * from->bytes);
    struct sluice_text backend_id = copy_into(&page->arena, from->backend_id);
    page->events = arena_alloc(&page->arena, count * sizeof(*page->events));
    if (backend_id.data == NULL || page->events == NULL) {
        page_destroy(page);
        return NULL;
    }
    page->backend_id = slice_of_text(backend_id);
    for (size_t i = 0; i < count; i++) {
        if (client_event_copy(&page->arena, &from->events[first + i], &page->events[i]) !=
            SLUICE_OK) {
            page_destroy(page);
            return NULL;
        }
    }
    page->event_count = count;
    page->bytes = page->arena.bytes;
    return page;
}

/* Copies the chains of `page` from `first` on, as many as can be held, to the held ones; false: no
 * memory, nothing was held. */
static bool hold_rest(struct pull_order *order, const struct ordered_page *page, size_t first)
{
    struct ordered_page *copies = NULL;
    for (unsigned chains = 0; first < page->event_count && chains < PULL_ORDER_HELD_PAGES_MAX;
         chains++) {
        size_t count = chain_length(page, first);
        struct ordered_page *copy = page_copy(page, first, count);
        if (copy == NULL) {
            while (copies != NULL) {
                struct ordered_page *next = copies->next;
                page_destroy(copies);
                copies = next;
            }
            return false;
        }
        first += count;
        if (first < page->event_count) {
            copy->info = SLUICE_PAGE_MORE_UNKNOWN;
            copy->remaining = 0;
        }
        copy->next = copies;
        copies = copy;
    }
    order->lost = order->lost || first < page->event_count;
    while (copies != NULL) {
        struct ordered_page *next = copies->next;
        hold(order, copies);
        copies = next;
    }
    return true;
}

static enum pull_order_verdict deliver(struct pull_order *order, struct ordered_page *page,
                                       struct sluice_page *out)
{
    SLUICE_ASSERT(order->delivered == NULL);
    order->delivered = page;
    if (page->event_count > 0) {
        order->delivered_seq_num = page->events[page->event_count - 1].seq_num;
    }
    *out = (struct sluice_page){
        .events = page->event_count > 0 ? page->events : NULL,
        .event_count = page->event_count,
        .info = page->info,
        .remaining = page->info == SLUICE_PAGE_MORE_KNOWN ? page->remaining : 0,
        .backend_id = text_of_slice(page->backend_id),
    };
    return PULL_ORDER_PAGE;
}

static void forget_delivered(struct pull_order *order)
{
    page_destroy(order->delivered);
    order->delivered = NULL;
    order->delivered_seq_num = order->seq_num;
}

enum sluice_status pull_order_take(struct pull_order *order, struct slice value,
                                   enum pull_order_verdict *verdict, struct sluice_page *out,
                                   struct sluice_error *error)
{
    struct ordered_page *page = NULL;
    forget_delivered(order);
    enum sluice_status status = page_decode(value, &page, error);
    if (status != SLUICE_OK) {
        return status;
    }
    sort_events(page, order->seq_num);
    if (page->event_count == 0) {
        *verdict = deliver(order, page, out);
        return SLUICE_OK;
    }
    size_t ready = continues(order, &page->events[0]) ? chain_length(page, 0) : 0;
    if (ready < page->event_count && !hold_rest(order, page, ready)) {
        page_destroy(page);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for holding a page back");
    }
    bound_held(order);
    if (ready == 0) {
        page_destroy(page);
        *verdict = order->lost ? PULL_ORDER_GAP : PULL_ORDER_HELD;
        return SLUICE_OK;
    }
    if (ready < page->event_count) {
        page->event_count = ready;
        page->info = SLUICE_PAGE_MORE_UNKNOWN;
    }
    *verdict = deliver(order, page, out);
    return SLUICE_OK;
}

enum pull_order_verdict pull_order_next(struct pull_order *order, struct sluice_page *out)
{
    order->seq_num = order->delivered_seq_num;
    forget_delivered(order);
    while (order->held != NULL) {
        struct ordered_page *page = order->held;
        sort_events(page, order->seq_num);
        if (page->event_count > 0 && !continues(order, &page->events[0])) {
            break;
        }
        order->held = page->next;
        order->held_count--;
        order->held_bytes -= page->bytes;
        if (page->event_count > 0) {
            return deliver(order, page, out);
        }
        page_destroy(page); /* came twice */
    }
    return PULL_ORDER_HELD;
}

bool pull_order_has_gap(const struct pull_order *order)
{
    return order->held != NULL || order->lost;
}

uint64_t pull_order_gap(const struct pull_order *order)
{
    return order->held != NULL ? order->held->events[0].seq_num : 0;
}

uint64_t pull_order_seq_num(const struct pull_order *order)
{
    return order->seq_num;
}
