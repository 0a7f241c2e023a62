/* log_fixture: an eventlog for a test, with calls that wait for their answer, on a directory of its
 * own that goes away afterwards. One thread, which plays the loop thread. */
#ifndef SLUICE_TESTS_LOG_FIXTURE_H
#define SLUICE_TESTS_LOG_FIXTURE_H

#include <semaphore.h>
#include <stdatomic.h>

#include "eventlog/eventlog.h"
#include "eventlog/eventlog_engine.h"

enum log_kind { LOG_SQLITE, LOG_MEMORY };

struct log_fixture {
    enum log_kind kind;
    const char *vfs; /* NULL: the default */
    unsigned reader_threads;
    unsigned checkpoint_pages;
    char directory[64]; /* made by fixture_init, removed by fixture_deinit */
    struct eventlog *log;
    sem_t woken;
    atomic_uint wakes;
};

void fixture_init(struct log_fixture *fixture, enum log_kind kind);
/* Closes the log when it is open. */
void fixture_deinit(struct log_fixture *fixture);
enum sluice_status fixture_open(struct log_fixture *fixture, struct sluice_error *error);
void fixture_close(struct log_fixture *fixture);
/* The path of a file in the directory; valid until the next call. */
const char *fixture_path(const struct log_fixture *fixture, const char *name);
/* Runs SQL on the log's file with a connection of its own; aborts when it fails. */
void fixture_execute_sql(const struct log_fixture *fixture, const char *sql);

/* Polls until nothing is under way. */
void fixture_wait(struct log_fixture *fixture);

/* Event number `seq_num` of a chain without gaps: what is in it follows from the number. The texts
 * live in a ring that is reused after some hundred calls. */
struct event fixture_event(uint64_t seq_num, uint64_t parent_seq_num);

/* Appends and waits. The append's outputs are in `*append`, which may be NULL. */
enum sluice_status fixture_append(struct log_fixture *fixture, struct slice store_id,
                                  uint64_t expected_head, struct event *events, size_t count,
                                  struct eventlog_append *append);
/* Appends events first..last, each the parent of the next, first - 1 being the first's parent. */
enum sluice_status fixture_append_range(struct log_fixture *fixture, struct slice store_id,
                                        uint64_t first, uint64_t last);

/* What a read gave: copies of the events. */
struct collected {
    struct eventlog_read read; /* first: the visitor finds the rest from it */
    struct event *events;      /* owned, with its texts */
    size_t count;
    size_t stop_after;            /* sets *stop after so many; 0: never */
    size_t fail_after;            /* returns LIMIT at this event; 0: never */
    bool finished;                /* finish was called */
    bool finished_before_outputs; /* finish did not see the outputs */
};
enum sluice_status fixture_read(struct log_fixture *fixture, struct slice store_id,
                                uint64_t after_seq_num, size_t events_max,
                                struct collected *collected);
void collected_deinit(struct collected *collected);
/* For reads that a test submits itself. */
void collected_prepare(struct collected *collected, struct slice store_id, uint64_t after_seq_num,
                       size_t events_max, void (*done)(struct eventlog_read *read));

struct eventlog_store_info fixture_info(struct log_fixture *fixture, struct slice store_id);
bool event_equal(const struct event *a, const struct event *b);

#endif
