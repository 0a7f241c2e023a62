/* stage: pushers and pullers for the tests of sync/, which check at every call what sync.h
 * promises: a puller hears each event after its cursor once, in order, and only while it is ready;
 * no live puller is behind a push that is acknowledged; nothing is called after an end or a cancel.
 *
 * The structs that sync/ works on are freed the moment they may be, so that the sanitizers see
 * whether it still touches them. A stage knows nothing of the log below; see backend.h. */
#ifndef SLUICE_TESTS_STAGE_H
#define SLUICE_TESTS_STAGE_H

#include "sync/sync.h"

struct pusher {
    struct stage *stage;
    struct pusher *next; /* in the stage's list, newest first */
    struct pusher_body *body;
    char *store_id; /* owned */
    char *texts;    /* owned: the events' args */
    struct event *events;
    size_t event_count;
    uint64_t number; /* counts submissions: 1, 2 … */
    bool abandoned;
    void (*on_done)(struct pusher *pusher);
    /* What it was told. */
    bool done;
    uint64_t done_number; /* counts answers: 1, 2 … */
    enum sluice_status status;
    struct sluice_error error;
    uint64_t head;
    char backend_id_expected[EVENTLOG_BACKEND_ID_BYTES + 1];
};

struct heard {
    uint64_t seq_num;
    uint64_t parent_seq_num;
    uint64_t position;
    uint64_t fingerprint; /* of name, args and ids */
};

struct puller {
    struct stage *stage;
    struct puller *next;      /* in the stage's list, newest first */
    struct puller_body *body; /* NULL: ended or cancelled */
    char *store_id;           /* owned */
    bool live;
    uint64_t cursor;
    uint64_t credit;      /* pages that it will still take; it is ready while there is one */
    bool cut_off;         /* the credit was taken away while a page was on its way */
    uint64_t ready_calls; /* how often it was asked */
    void (*on_page)(struct puller *puller);
    void (*on_end)(struct puller *puller);
    void *user; /* the hooks' */
    /* What it was told. */
    struct heard *heard; /* owned */
    size_t heard_count;
    uint64_t last_seq_num;   /* of the last event heard; before that, where the pull began */
    size_t pages;            /* all */
    size_t page_events;      /* in the last page */
    uint64_t page_remaining; /* after the last page */
    const void *page_data;   /* the last page's; only to compare */
    bool ended;
    bool cancelled;
    enum sluice_status status;
    struct sluice_error error;
    char backend_id[EVENTLOG_BACKEND_ID_BYTES + 1];
};

struct stage {
    struct sync *sync;
    struct pusher *pushers;
    struct puller *pullers;
    uint64_t submissions;
    uint64_t answers;
    unsigned encoders; /* how many the pulls have in turn: 1 to STAGE_ENCODERS_MAX; 1 at first */
    unsigned pulls;
};

#define STAGE_ENCODERS_MAX 7u

void stage_init(struct stage *stage, struct sync *sync); /* borrows */
/* Cancels what still pulls, and frees all. No push may be under way. */
void stage_deinit(struct stage *stage);

/* A push of events first, first + 1, … to first + count - 1, whose first parent is `parent`. What
 * is in an event follows from its number and the variant. Its fields may be changed until it is
 * submitted. */
struct pusher *stage_push_prepare(struct stage *stage, const char *store_id, uint64_t parent,
                                  uint64_t first, size_t count, unsigned variant);
void pusher_set_backend_id(struct pusher *pusher, const char *backend_id);
void pusher_submit(struct pusher *pusher);
void pusher_abandon(struct pusher *pusher); /* it was submitted, and has no answer yet */
/* Prepares and submits. */
struct pusher *stage_push(struct stage *stage, const char *store_id, uint64_t parent,
                          uint64_t first, size_t count, unsigned variant);

#define CREDIT_ENDLESS UINT64_MAX

/* A pull after `cursor` of the log `backend_id`; NULL: from the start. The credit is endless. */
struct puller *stage_pull(struct stage *stage, const char *store_id, bool live,
                          const char *backend_id, uint64_t cursor);
/* From the event at `position` on. */
struct puller *stage_pull_from_position(struct stage *stage, const char *store_id, bool live,
                                        uint64_t position);
/* Sets the credit, and tells sync/ when there is some. */
void puller_give(struct puller *puller, uint64_t credit);
void puller_cancel(struct puller *puller);
bool puller_runs(const struct puller *puller);
enum sync_pull_state puller_state(const struct puller *puller);

/* What a puller has to hear of an event. */
struct heard heard_of(const struct event *event);
bool heard_equal(const struct heard *a, const struct heard *b);

#endif
