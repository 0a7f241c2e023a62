/* sigpipe: writes in a thread of the caller's. Writing to a socket that the peer has reset raises
 * SIGPIPE, which would end a program that does not ignore it, and libuv has no way around that. The
 * server ignores the signal and a client's own thread has it blocked; in the caller's loop it is
 * held back for the length of a write. (What libuv writes by itself, when a socket has room again,
 * comes after a read that finds the reset and closes.) */
#ifndef SLUICE_NET_SIGPIPE_H
#define SLUICE_NET_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
    sigset_t before;
    bool was_pending; /* it was blocked already: nothing to do */
};

void sigpipe_hold(struct sigpipe *sigpipe);
/* Drops the one that was raised since, if any. */
void sigpipe_release(const struct sigpipe *sigpipe);

#endif
