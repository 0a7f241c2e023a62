/* data_lock: makes the data directory and keeps it to one process.
 *
 * Owns nothing beyond a call; the lock is base/file_lock's. Loop thread. */
#include "eventlog/data_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_lock.h"

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

static enum sluice_status refuse_second(long long pid, const char *path, struct sluice_error *error)
{
    if (pid == 0) {
        return error_set(error, SLUICE_STORAGE_LOCKED,
                         "another process holds %s: stop it, or choose another data directory",
                         path);
    }
    return error_set(error, SLUICE_STORAGE_LOCKED,
                     "process %lld holds %s: stop it, or choose another data directory", pid, path);
}

enum sluice_status data_lock_take(const char *data_path, int *out, struct sluice_error *error)
{
    enum sluice_status status = ensure_directory(data_path, error);
    if (status != SLUICE_OK) {
        return status;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" LOCK_NAME, data_path);
    long long holder = 0;
    int reason = file_lock_take(path, out, &holder);
    if (reason == EWOULDBLOCK) {
        return refuse_second(holder, path, error);
    }
    return reason == 0 ? SLUICE_OK : directory_failed("lock", path, reason, error);
}

void data_lock_release(int lock)
{
    file_lock_release(lock);
}
