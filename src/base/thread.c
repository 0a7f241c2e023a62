/* thread: see thread.h. Owns nothing. */
#include "base/thread.h"

#include <signal.h>
#include <string.h>

#include "base/assert.h"

enum sluice_status thread_start(const char *name, void *(*run)(void *user), void *user,
                                pthread_t *out, struct sluice_error *error)
{
    SLUICE_ASSERT(strlen(name) <= 15);
    /* A new thread starts with its creator's mask. SIGSEGV and its like come to the thread that
     * raised them whatever the mask says. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int masked = pthread_sigmask(SIG_SETMASK, &all, &before);
    SLUICE_ASSERT(masked == 0);
    pthread_t thread;
    int created = pthread_create(&thread, NULL, run, user);
    int unmasked = pthread_sigmask(SIG_SETMASK, &before, NULL);
    SLUICE_ASSERT(unmasked == 0);
    if (created != 0) {
        char reason[64];
        return error_set(error, SLUICE_NO_MEMORY, "cannot start the thread %s: %s", name,
                         strerror_r(created, reason, sizeof reason));
    }
    (void)pthread_setname_np(thread, name); /* for a debugger only */
    *out = thread;
    return SLUICE_OK;
}
