/* file_lock: keeps something on the disk to one process, by the kernel's lock (flock) on a file
 * made for that. The lock ends with the process, however that ends, so no stale file keeps anyone
 * out; the file itself stays, for a process that had it open would otherwise hold a lock on a file
 * that no other can find. A process that forks passes the lock on to its children until they exec
 * or end. Any thread. */
#ifndef SLUICE_BASE_FILE_LOCK_H
#define SLUICE_BASE_FILE_LOCK_H

#include "base/error.h"

#define FILE_LOCK_NONE (-1)

/* Makes the file when missing (mode 0600), takes its lock and writes this process's number into it.
 * Returns 0 and fills `*out`; or EWOULDBLOCK when it is held, with `*holder` filled: the holder's
 * process number, 0 when it is not known; or another errno. The file of a second try in the same
 * process is held, too. */
int file_lock_take(const char *path, int *out, long long *holder) SLUICE_MUST_CHECK;
/* FILE_LOCK_NONE is accepted. */
void file_lock_release(int lock);

#endif
