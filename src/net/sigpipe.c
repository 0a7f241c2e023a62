/* sigpipe: see sigpipe.h. Keeps nothing; the thread's mask is as before afterwards. */
#include "net/sigpipe.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static void only_sigpipe(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGPIPE);
}

void sigpipe_hold(struct sigpipe *sigpipe)
{
    sigset_t pending;
    sigset_t set;
    (void)sigpending(&pending);
    sigpipe->was_pending = sigismember(&pending, SIGPIPE) == 1;
    if (!sigpipe->was_pending) {
        only_sigpipe(&set);
        (void)pthread_sigmask(SIG_BLOCK, &set, &sigpipe->before);
    }
}

void sigpipe_release(const struct sigpipe *sigpipe)
{
    const struct timespec at_once = {0};
    sigset_t set;
    if (!sigpipe->was_pending) {
        only_sigpipe(&set);
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
        }
        (void)pthread_sigmask(SIG_SETMASK, &sigpipe->before, NULL);
    }
}
