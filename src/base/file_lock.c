/* file_lock: see file_lock.h. Owns the descriptor on which the kernel's lock hangs. */
#include "base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/slice.h"

/* The process that holds the lock, as it wrote itself down; 0 when it did not. */
static long long read_holder(int file)
{
    char text[64];
    ssize_t bytes = pread(file, text, sizeof text, 0);
    unsigned long long pid = 0;
    if (bytes < 5 || memcmp(text, "pid ", 4) != 0 || text[bytes - 1] != '\n' ||
        !slice_to_u64(slice_make(text + 4, (size_t)bytes - 5), &pid)) {
        return 0;
    }
    return (long long)pid;
}

/* So that a second opener can name us. A full disk does not keep us from starting: the lock holds
 * without the text. */
static void write_holder(int file)
{
    char text[64];
    int bytes = snprintf(text, sizeof text, "pid %lld\n", (long long)getpid());
    SLUICE_ASSERT(bytes > 0);
    if (ftruncate(file, 0) == 0) {
        ssize_t written = pwrite(file, text, (size_t)bytes, 0);
        (void)written;
    }
}

int file_lock_take(const char *path, int *out, long long *holder)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return errno;
    }
    if (flock(file, LOCK_EX | LOCK_NB) == 0) {
        write_holder(file);
        *out = file;
        return 0;
    }
    int reason = errno;
    if (reason == EWOULDBLOCK) {
        *holder = read_holder(file);
    }
    (void)close(file);
    return reason;
}

void file_lock_release(int lock)
{
    if (lock != FILE_LOCK_NONE) {
        (void)close(lock);
    }
}
