/* thread: starts a thread that signals leave alone. */
#ifndef SLUICE_BASE_THREAD_H
#define SLUICE_BASE_THREAD_H

#include <pthread.h>

#include "base/error.h"

/* Starts a thread that takes no signals, so that the process's signals reach the threads that want
 * them. `name` has at most 15 bytes. Fills `*out`, perhaps only after the thread has begun to run;
 * the caller joins or detaches it. NO_MEMORY when the system gives no thread. */
enum sluice_status thread_start(const char *name, void *(*run)(void *user), void *user,
                                pthread_t *out, struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
