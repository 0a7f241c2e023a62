/* backend: what stands below sync/ in these tests, so that a test can be run on either of two:
 *
 *   threaded_backend    the eventlog with its memory engine and its threads; the engine is wrapped,
 *                       so that a test can hold a commit or let it fail
 *   simulated_backend   a stand-in for the eventlog that does one small thing at a time, in an
 * order that random numbers choose: everything the eventlog may do, and no thread */
#ifndef SLUICE_TESTS_BACKEND_H
#define SLUICE_TESTS_BACKEND_H

#include "eventlog/eventlog.h"

struct eventlog *backend_open(void);
/* Nothing may be under way. */
void backend_close(struct eventlog *eventlog);
/* Lets something happen below, or calls `done` of what has happened, as `random` says. */
void backend_advance(struct eventlog *eventlog, uint64_t random);
/* Until nothing is under way. */
void backend_settle(struct eventlog *eventlog);

enum backend_failure {
    BACKEND_STORES_NOTHING,     /* what the eventlog promises when a commit fails */
    BACKEND_STORES_AND_SAYS_IO, /* what it does not, but sync/ is prepared for */
};
/* From here on, one commit in `commits_one_in` fails, and one read in `reads_one_in`; 0: none, 1:
 * all. */
void backend_fail(struct eventlog *eventlog, unsigned commits_one_in, unsigned reads_one_in,
                  enum backend_failure failure);

/* Only the simulated one: a store's events, as they are now. */
const struct event *backend_log(struct eventlog *eventlog, struct slice store_id, size_t *count);

/* Only the threaded one: commits wait at a gate from hold to release. */
void backend_hold_commits(struct eventlog *eventlog);
void backend_await_held_commit(struct eventlog *eventlog);
void backend_release_commits(struct eventlog *eventlog);
/* Only the threaded one: polls until so many reads have been answered. */
void backend_await_reads(struct eventlog *eventlog, uint64_t reads);

#endif
