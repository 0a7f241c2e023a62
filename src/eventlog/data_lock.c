/* data_lock: makes the data directory and keeps it to one process.
 *
 * Owns the descriptor of sluice.lock, on which the kernel's lock hangs. The file is never removed:
 * a process that had it open would then hold a lock on a file that no other process can find. Loop
 * thread. */
#include "eventlog/data_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/slice.h"

#define LOCK_NAME "sluice.lock"

/* What `errno` means for a person who chose the directory. */
static enum sluice_status directory_failed(const char *what, const char *path, int reason,
                                           struct sluice_error *error)
{
    char text[96];
    const char *advice = "check the path and the disk";
    switch (reason) {
    case EACCES:
    case EPERM:
        advice = "give this user write access, or choose another directory";
        break;
    case EROFS:
        advice = "mount the file system writable, or choose another directory";
        break;
    case ENOTDIR:
        advice = "a part of the path is a file: choose another directory";
        break;
    case ENOSPC:
    case EDQUOT:
        return error_set(error, SLUICE_STORAGE_FULL,
                         "cannot %s %s: no space left on device: free space there", what, path);
    default:
        break;
    }
    return error_set(error, SLUICE_STORAGE_IO, "cannot %s %s: %s: %s", what, path,
                     strerror_r(reason, text, sizeof text), advice);
}

/* Makes the new directory's entry in its parent durable. Best effort: not every file system can. */
static void sync_parent(const char *path, size_t parent_bytes)
{
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%.*s", (int)parent_bytes, path);
    const char *opened = parent_bytes > 0 ? parent : (path[0] == '/' ? "/" : ".");
    int directory = open(opened, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        (void)fsync(directory);
        (void)close(directory);
    }
}

/* Makes every missing directory of `path`, from the top. */
static enum sluice_status make_directories(const char *path, struct sluice_error *error)
{
    char prefix[PATH_MAX];
    size_t bytes = strlen(path);
    size_t parent_bytes = 0;
    for (size_t end = 1; end <= bytes; end++) {
        bool ends_here = (path[end] == '/' && path[end - 1] != '/') ||
                         (path[end] == '\0' && path[end - 1] != '/');
        if (!ends_here) {
            continue;
        }
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)end, path);
        struct stat found;
        if (stat(prefix, &found) != 0) {
            if (errno != ENOENT) {
                return directory_failed("reach the data directory", prefix, errno, error);
            }
            if (mkdir(prefix, 0700) == 0) {
                sync_parent(path, parent_bytes);
            } else if (errno != EEXIST) {
                return directory_failed("create the data directory", prefix, errno, error);
            }
        }
        parent_bytes = end;
    }
    return SLUICE_OK;
}

static enum sluice_status ensure_directory(const char *path, struct sluice_error *error)
{
    if (path[0] == '\0' || strlen(path) + sizeof "/" LOCK_NAME > PATH_MAX) {
        return error_set(error, SLUICE_STORAGE_IO,
                         "the data directory's path must have 1 to %zu bytes",
                         (size_t)PATH_MAX - sizeof "/" LOCK_NAME);
    }
    struct stat found;
    if (stat(path, &found) != 0) {
        enum sluice_status status = make_directories(path, error);
        if (status != SLUICE_OK) {
            return status;
        }
        if (stat(path, &found) != 0) {
            return directory_failed("reach the data directory", path, errno, error);
        }
    }
    if (!S_ISDIR(found.st_mode)) {
        return error_set(error, SLUICE_STORAGE_IO,
                         "the data path %s is not a directory: choose another path", path);
    }
    return SLUICE_OK;
}

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

static enum sluice_status refuse_second(int file, const char *path, struct sluice_error *error)
{
    long long pid = read_holder(file);
    if (pid == 0) {
        return error_set(error, SLUICE_STORAGE_LOCKED,
                         "another process holds %s: stop it, or choose another data directory",
                         path);
    }
    return error_set(error, SLUICE_STORAGE_LOCKED,
                     "process %lld holds %s: stop it, or choose another data directory", pid, path);
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

enum sluice_status data_lock_take(const char *data_path, int *out, struct sluice_error *error)
{
    enum sluice_status status = ensure_directory(data_path, error);
    if (status != SLUICE_OK) {
        return status;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" LOCK_NAME, data_path);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return directory_failed("open", path, errno, error);
    }
    if (flock(file, LOCK_EX | LOCK_NB) == 0) {
        write_holder(file);
        *out = file;
        return SLUICE_OK;
    }
    status = errno == EWOULDBLOCK ? refuse_second(file, path, error)
                                  : directory_failed("lock", path, errno, error);
    (void)close(file);
    return status;
}

void data_lock_release(int lock)
{
    if (lock != DATA_LOCK_NONE) {
        (void)close(lock);
    }
}
