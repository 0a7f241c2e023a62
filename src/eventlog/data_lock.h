/* data_lock: one process for a data directory. The lock is the kernel's (flock on sluice.lock), so
 * it ends with the process, however that ends, and no stale file keeps a server from starting. */
#ifndef SLUICE_EVENTLOG_DATA_LOCK_H
#define SLUICE_EVENTLOG_DATA_LOCK_H

#include "base/error.h"
#include "base/file_lock.h"

#define DATA_LOCK_NONE FILE_LOCK_NONE

/* Creates the directory when missing (mode 0700, with its parents) and takes its lock. Fills
 * `*out`. STORAGE_LOCKED names the holder's process; STORAGE_FULL; STORAGE_IO says what is wrong
 * with the directory. */
enum sluice_status data_lock_take(const char *data_path, int *out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;
/* DATA_LOCK_NONE is accepted. */
void data_lock_release(int lock);

#endif
