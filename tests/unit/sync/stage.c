/* stage: see stage.h. One thread, but for the encoder's functions, which are pure. */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

#define ARGS_BYTES 64u

struct pusher_body {
    struct sync_push push; /* first */
    struct pusher *pusher;
};

struct puller_body {
    struct sync_pull pull; /* first */
    struct puller *puller;
    char cursor_backend_id[64];
};

/* A page is heard structs, then a trailer. */
struct trailer {
    uint64_t events;
    uint64_t remaining;
    uint64_t event_count;
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 3];
};

void stage_init(struct stage *stage, struct sync *sync)
{
    *stage = (struct stage){.sync = sync, .encoders = 1};
}

static void free_pusher(struct pusher *pusher)
{
    SLUICE_ASSERT(pusher->done || pusher->number == 0);
    free(pusher->body);
    free(pusher->store_id);
    free(pusher->texts);
    free(pusher->events);
    free(pusher);
}

void stage_deinit(struct stage *stage)
{
    while (stage->pullers != NULL) {
        struct puller *puller = stage->pullers;
        stage->pullers = puller->next;
        if (puller_runs(puller)) {
            puller_cancel(puller);
        }
        free(puller->store_id);
        free(puller->heard);
        free(puller);
    }
    while (stage->pushers != NULL) {
        struct pusher *pusher = stage->pushers;
        stage->pushers = pusher->next;
        free_pusher(pusher);
    }
}

/* --- Pushing --- */

static void push_done(struct sync_push *push)
{
    struct pusher_body *body = (struct pusher_body *)push;
    struct pusher *pusher = body->pusher;
    struct stage *stage = pusher->stage;
    SLUICE_ASSERT(!pusher->done);
    pusher->done = true;
    pusher->done_number = ++stage->answers;
    pusher->status = push->status;
    pusher->error = push->error;
    pusher->head = push->head;
    memcpy(pusher->backend_id_expected, push->backend_id_expected,
           sizeof(pusher->backend_id_expected));
    if (push->status == SLUICE_OK && push->event_count > 0) {
        uint64_t last = push->events[push->event_count - 1].seq_num;
        SLUICE_ASSERT(push->head >= last);
        for (struct puller *puller = stage->pullers; puller != NULL; puller = puller->next) {
            if (strcmp(puller->store_id, pusher->store_id) == 0 && puller_runs(puller) &&
                puller_state(puller) == SYNC_PULL_LIVE) {
                SLUICE_ASSERT(puller->last_seq_num >= last); /* published before the answer */
            }
        }
    }
    pusher->body = NULL;
    free(body);
    if (pusher->on_done != NULL) {
        pusher->on_done(pusher);
    }
}

static char *copy_string(const char *string)
{
    char *copy = strdup(string);
    SLUICE_ASSERT(copy != NULL);
    return copy;
}

static void fill_event(struct event *event, char *args, uint64_t seq_num, uint64_t parent,
                       unsigned variant)
{
    int bytes = snprintf(args, ARGS_BYTES, "{\"event\":%llu,\"variant\":%u}",
                         (unsigned long long)seq_num, variant);
    *event = (struct event){
        .seq_num = seq_num,
        .parent_seq_num = parent,
        .name = seq_num % 2 == 0 ? SLICE("v1.TodoCreated") : SLICE("v1.TodoCompleted"),
        .args = slice_make(args, (size_t)bytes),
        .client_id = SLICE("client-a"),
        .session_id = SLICE("session-1"),
    };
}

struct pusher *stage_push_prepare(struct stage *stage, const char *store_id, uint64_t parent,
                                  uint64_t first, size_t count, unsigned variant)
{
    struct pusher *pusher = calloc(1, sizeof(*pusher));
    SLUICE_ASSERT(pusher != NULL);
    pusher->body = calloc(1, sizeof(*pusher->body));
    pusher->store_id = copy_string(store_id);
    pusher->texts = calloc(count + 1, ARGS_BYTES);
    pusher->events = calloc(count + 1, sizeof(struct event));
    SLUICE_ASSERT(pusher->body != NULL);
    SLUICE_ASSERT(pusher->texts != NULL);
    SLUICE_ASSERT(pusher->events != NULL);
    pusher->stage = stage;
    pusher->event_count = count;
    for (size_t i = 0; i < count; i++) {
        fill_event(&pusher->events[i], pusher->texts + i * ARGS_BYTES, first + i,
                   i == 0 ? parent : first + i - 1, variant);
    }
    pusher->body->pusher = pusher;
    pusher->body->push = (struct sync_push){
        .store_id = slice_of_string(pusher->store_id),
        .events = pusher->events,
        .event_count = count,
        .done = push_done,
    };
    pusher->next = stage->pushers;
    stage->pushers = pusher;
    return pusher;
}

void pusher_set_backend_id(struct pusher *pusher, const char *backend_id)
{
    pusher->body->push.has_backend_id = true;
    pusher->body->push.backend_id = slice_of_string(backend_id);
}

void pusher_submit(struct pusher *pusher)
{
    SLUICE_ASSERT(pusher->number == 0);
    pusher->number = ++pusher->stage->submissions;
    sync_push_submit(pusher->stage->sync, &pusher->body->push);
}

void pusher_abandon(struct pusher *pusher)
{
    SLUICE_ASSERT(!pusher->done);
    pusher->abandoned = true;
    sync_push_abandon(&pusher->body->push);
}

struct pusher *stage_push(struct stage *stage, const char *store_id, uint64_t parent,
                          uint64_t first, size_t count, unsigned variant)
{
    struct pusher *pusher = stage_push_prepare(stage, store_id, parent, first, count, variant);
    pusher_submit(pusher);
    return pusher;
}

/* --- Pages: one encoder for catch-up and live ones, as the endpoints have --- */

static uint64_t mix(uint64_t hash, struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u;
    }
    return hash * 31 + text.bytes;
}

struct heard heard_of(const struct event *event)
{
    uint64_t hash = mix(0xcbf29ce484222325u, event->name);
    hash = mix(hash, event->args);
    hash = mix(hash, event->client_id);
    hash = mix(hash, event->session_id);
    return (struct heard){.seq_num = event->seq_num,
                          .parent_seq_num = event->parent_seq_num,
                          .position = event->position,
                          .fingerprint = hash};
}

bool heard_equal(const struct heard *a, const struct heard *b)
{
    return a->seq_num == b->seq_num && a->parent_seq_num == b->parent_seq_num &&
           a->position == b->position && a->fingerprint == b->fingerprint;
}

static void encode_start(struct buffer *out)
{
    SLUICE_ASSERT(out->bytes == 0);
}

static void encode_event(struct buffer *out, const struct event *event, bool first)
{
    SLUICE_ASSERT(first == (out->bytes == 0));
    struct heard heard = heard_of(event);
    buffer_append(out, &heard, sizeof(heard));
}

static void encode_end(struct buffer *out, const struct sync_page_end *end)
{
    struct trailer trailer = {
        .events = end->events,
        .remaining = end->remaining,
        .event_count = end->event_count,
    };
    memcpy(trailer.backend_id, end->backend_id, EVENTLOG_BACKEND_ID_BYTES + 1);
    buffer_append(out, &trailer, sizeof(trailer));
}

#define ENCODER                                                                                    \
    {                                                                                              \
        .start = encode_start, .event = encode_event, .end = encode_end                            \
    }

/* Each endpoint has one of its own; it is by its address that sync/ tells them apart. */
static const struct sync_encoder ENCODERS[STAGE_ENCODERS_MAX] = {
    ENCODER, ENCODER, ENCODER, ENCODER, ENCODER, ENCODER, ENCODER,
};

/* --- Pulling --- */

static void hear(struct puller *puller, const struct heard *events, size_t count)
{
    if (count == 0) {
        return;
    }
    puller->heard = realloc(puller->heard, (puller->heard_count + count) * sizeof(*events));
    SLUICE_ASSERT(puller->heard != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct heard *event = &events[i];
        bool first = puller->heard_count == 0;
        bool from_position = puller->body->pull.by_position && puller->pages == 0 && first;
        SLUICE_ASSERT(event->seq_num > puller->last_seq_num);
        /* Without a gap: */
        SLUICE_ASSERT(from_position || event->parent_seq_num == puller->last_seq_num);
        SLUICE_ASSERT(!from_position || event->position == puller->body->pull.position);
        SLUICE_ASSERT(first ||
                      event->position == puller->heard[puller->heard_count - 1].position + 1);
        puller->heard[puller->heard_count++] = *event;
        puller->last_seq_num = event->seq_num;
    }
}

static void take_page(struct puller *puller, struct slice page)
{
    struct trailer trailer;
    struct sync_pull *pull = &puller->body->pull;
    SLUICE_ASSERT(page.bytes >= sizeof(trailer));
    memcpy(&trailer, page.data + page.bytes - sizeof(trailer), sizeof(trailer));
    SLUICE_ASSERT(page.bytes == trailer.events * sizeof(struct heard) + sizeof(trailer));
    SLUICE_ASSERT(trailer.events == pull->page_events);
    /* Only an empty first page has nothing to say. */
    SLUICE_ASSERT(trailer.events > 0 || (puller->pages == 0 && trailer.remaining == 0));
    hear(puller, (const struct heard *)(const void *)page.data, trailer.events);
    if (puller->heard_count > 0) {
        uint64_t next_position = puller->heard[puller->heard_count - 1].position + 1;
        SLUICE_ASSERT(trailer.event_count == next_position + trailer.remaining);
    }
    if (pull->by_position && puller->pages == 0 && trailer.events == 0) {
        puller->last_seq_num = pull->sent; /* it has begun at the tail */
    }
    SLUICE_ASSERT(pull->sent == puller->last_seq_num);
    SLUICE_ASSERT(strcmp(trailer.backend_id, pull->backend_id) == 0);
    memcpy(puller->backend_id, pull->backend_id, sizeof(puller->backend_id));
    puller->page_events = trailer.events;
    puller->page_remaining = trailer.remaining;
    puller->pages++;
}

static void on_page(struct sync_pull *pull, struct shared *page)
{
    struct puller *puller = ((struct puller_body *)pull)->puller;
    SLUICE_ASSERT(!puller->ended);
    SLUICE_ASSERT(!puller->cancelled);
    /* The first page is read without asking; and one may have been on its way. */
    SLUICE_ASSERT(puller->credit > 0 || puller->pages == 0 || puller->cut_off);
    puller->cut_off = false;
    take_page(puller, page->bytes);
    puller->page_data = page->bytes.data;
    if (puller->credit > 0 && puller->credit != CREDIT_ENDLESS) {
        puller->credit--;
    }
    if (puller->on_page != NULL) {
        puller->on_page(puller);
    }
}

static bool on_ready(struct sync_pull *pull)
{
    struct puller *puller = ((struct puller_body *)pull)->puller;
    SLUICE_ASSERT(!puller->ended);
    SLUICE_ASSERT(!puller->cancelled);
    puller->ready_calls++;
    return puller->credit > 0;
}

static void on_end(struct sync_pull *pull, enum sluice_status status,
                   const struct sluice_error *error)
{
    struct puller_body *body = (struct puller_body *)pull;
    struct puller *puller = body->puller;
    SLUICE_ASSERT(!puller->ended);
    SLUICE_ASSERT(!puller->cancelled);
    SLUICE_ASSERT(pull->state == SYNC_PULL_ENDED);
    SLUICE_ASSERT(status != SLUICE_OK || !puller->live);
    SLUICE_ASSERT(status != SLUICE_OK || puller->page_remaining == 0);
    puller->ended = true;
    puller->status = status;
    if (status != SLUICE_OK) {
        puller->error = *error;
        memcpy(puller->backend_id, pull->backend_id, sizeof(puller->backend_id));
    }
    sync_pull_cancel(pull); /* is fine, and does nothing */
    puller->body = NULL;
    free(body);
    if (puller->on_end != NULL) {
        puller->on_end(puller);
    }
}

static const struct sync_pull_ops OPS = {.page = on_page, .ready = on_ready, .end = on_end};

static struct puller *prepare_pull(struct stage *stage, const char *store_id, bool live)
{
    struct puller *puller = calloc(1, sizeof(*puller));
    SLUICE_ASSERT(puller != NULL);
    puller->body = calloc(1, sizeof(*puller->body));
    SLUICE_ASSERT(puller->body != NULL);
    puller->stage = stage;
    puller->store_id = copy_string(store_id);
    puller->live = live;
    puller->credit = CREDIT_ENDLESS;
    puller->body->puller = puller;
    puller->body->pull = (struct sync_pull){
        .live = live, .encoder = &ENCODERS[stage->pulls++ % stage->encoders], .ops = &OPS};
    puller->next = stage->pullers;
    stage->pullers = puller;
    return puller;
}

static void start(struct puller *puller)
{
    char *store_id = copy_string(puller->store_id); /* need not outlive the start */
    puller->body->pull.store_id = slice_of_string(store_id);
    enum sluice_status status = sync_pull_start(puller->stage->sync, &puller->body->pull);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(puller->pages == 0);
    SLUICE_ASSERT(!puller->ended);
    free(store_id);
}

struct puller *stage_pull(struct stage *stage, const char *store_id, bool live,
                          const char *backend_id, uint64_t cursor)
{
    struct puller *puller = prepare_pull(stage, store_id, live);
    struct sync_pull *pull = &puller->body->pull;
    puller->cursor = cursor;
    puller->last_seq_num = cursor;
    if (backend_id != NULL) {
        size_t bytes = strlen(backend_id);
        SLUICE_ASSERT(bytes < sizeof(puller->body->cursor_backend_id));
        memcpy(puller->body->cursor_backend_id, backend_id, bytes + 1);
        pull->has_cursor = true;
        pull->cursor = cursor;
        pull->cursor_backend_id = slice_make(puller->body->cursor_backend_id, bytes);
    }
    start(puller);
    return puller;
}

struct puller *stage_pull_from_position(struct stage *stage, const char *store_id, bool live,
                                        uint64_t position)
{
    struct puller *puller = prepare_pull(stage, store_id, live);
    puller->body->pull.by_position = true;
    puller->body->pull.position = position;
    start(puller);
    return puller;
}

void puller_give(struct puller *puller, uint64_t credit)
{
    puller->credit = credit;
    if (!puller_runs(puller)) {
        return;
    }
    puller->cut_off = credit == 0 && puller_state(puller) == SYNC_PULL_READING;
    if (credit > 0) {
        sync_pull_resume(&puller->body->pull);
    }
}

void puller_cancel(struct puller *puller)
{
    struct puller_body *body = puller->body;
    SLUICE_ASSERT(body != NULL);
    puller->cancelled = true;
    sync_pull_cancel(&body->pull);
    sync_pull_cancel(&body->pull);
    puller->body = NULL;
    free(body);
}

bool puller_runs(const struct puller *puller)
{
    return puller->body != NULL;
}

enum sync_pull_state puller_state(const struct puller *puller)
{
    return puller->body != NULL ? puller->body->pull.state : SYNC_PULL_ENDED;
}
