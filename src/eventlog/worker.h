/* worker: starts the eventlog's threads. */
#ifndef SLUICE_EVENTLOG_WORKER_H
#define SLUICE_EVENTLOG_WORKER_H

#include <pthread.h>

#include "base/error.h"

/* Starts a thread that takes no signals, so that the process's signals reach the loop thread.
 * `name` has at most 15 bytes. Fills `*out`. NO_MEMORY when the system gives no thread. */
enum sluice_status worker_start(const char *name, void *(*run)(void *user), void *user,
                                pthread_t *out, struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
