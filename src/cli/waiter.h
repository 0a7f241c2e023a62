/* waiter: where the main thread waits for what happens elsewhere: callbacks on the client's thread,
 * input, and the signals that end a verb.
 *
 * What callbacks and the main thread share is touched under the waiter's lock. Whoever changes it
 * wakes the main thread, which then looks; a wake before the wait is not lost. */
#ifndef SLUICE_CLI_WAITER_H
#define SLUICE_CLI_WAITER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t room; /* the main thread has taken something: callbacks may go on */
    int wake_fd;
};

/* IO. From here to waiter_deinit, SIGINT, SIGTERM and SIGHUP are caught, once each: a second one
 * ends the process at once. One waiter in a process. */
enum sluice_status waiter_init(struct waiter *waiter, struct sluice_error *error) SLUICE_MUST_CHECK;
void waiter_deinit(struct waiter *waiter);

void waiter_lock(struct waiter *waiter);
void waiter_unlock(struct waiter *waiter);
/* Any thread, with or without the lock. */
void waiter_wake(struct waiter *waiter);
/* With the lock, on another thread than the main one: until the next waiter_make_room. */
void waiter_wait_for_room(struct waiter *waiter);
void waiter_make_room(struct waiter *waiter);

/* Main thread, without the lock: returns when woken, at a signal, when `fd` (-1: none) can be read,
 * and after `timeout_ms` (-1: never). True: `fd` can be read. */
bool waiter_wait(struct waiter *waiter, int fd, int timeout_ms);

/* The signal that came, or 0. Any thread. */
int waiter_signal(void);

/* Writes lines to a descriptor. A signal stops it at the end of a line: then it returns SLUICE_OK
 * too, and waiter_signal tells. IO. */
enum sluice_status waiter_write_lines(int fd, struct slice lines,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
