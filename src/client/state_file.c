/* state_file: see state_file.h. Beside the core, which tells a new backend id. Owns nothing beyond
 * a call; any thread, one at a time for a file. */
#include "client/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/utf8.h"

static enum sluice_status path_failed(const char *doing, const char *path, int reason,
                                      struct sluice_error *error)
{
    char text[96];
    const char *why = strerror_r(reason, text, sizeof text);
    if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) {
        return error_set(error, SLUICE_STORAGE_FULL,
                         "cannot %s the state file %s: %s: free space there", doing, path, why);
    }
    return error_set(error, SLUICE_IO,
                     "cannot %s the state file %s: %s: check the path, or choose another", doing,
                     path, why);
}

static bool is_backend_id(struct slice text)
{
    for (size_t index = 0; index < text.bytes; index++) {
        if ((unsigned char)text.data[index] < 0x20 || text.data[index] == 0x7f) {
            return false;
        }
    }
    return text.bytes > 0 && text.bytes <= SLUICE_BACKEND_ID_BYTES_MAX && utf8_valid(text);
}

/* Up to `bytes_max` of the file, however few a read gives at a time. An errno, or 0. */
static int read_all(int file, char *out, size_t bytes_max, size_t *bytes)
{
    *bytes = 0;
    while (*bytes < bytes_max) {
        ssize_t got = read(file, out + *bytes, bytes_max - *bytes);
        if (got < 0 && errno != EINTR) {
            return errno;
        }
        if (got == 0) {
            return 0;
        }
        *bytes += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

enum sluice_status state_file_load(const char *path, char out[SLUICE_BACKEND_ID_BYTES_MAX],
                                   size_t *bytes, struct sluice_error *error)
{
    char text[SLUICE_BACKEND_ID_BYTES_MAX + 2]; /* the line's end, and one byte too many */
    size_t text_bytes = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) {
        *bytes = 0;
        return SLUICE_OK;
    }
    if (file < 0) {
        return path_failed("open", path, errno, error);
    }
    int reason = read_all(file, text, sizeof text, &text_bytes);
    (void)close(file);
    if (reason != 0) {
        return path_failed("read", path, reason, error);
    }
    size_t id_bytes = text_bytes;
    if (id_bytes > 0 && text[id_bytes - 1] == '\n') {
        id_bytes--;
    }
    if (text_bytes > 0 && !is_backend_id(slice_make(text, id_bytes))) {
        return error_set(error, SLUICE_MALFORMED,
                         "%s is no state file (a backend id of 1 to %u bytes on one line): choose "
                         "another path, or remove it to learn the id anew",
                         path, SLUICE_BACKEND_ID_BYTES_MAX);
    }
    memcpy(out, text, id_bytes);
    *bytes = id_bytes;
    return SLUICE_OK;
}

/* An errno, or 0. */
static int write_all(int file, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(file, data, bytes);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        data += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* Writes the line into a new file beside `path` and puts it on the disk. Fills `new_path`. An
 * errno, or 0; no file is left behind then. */
static int write_new_file(const char *path, struct slice backend_id, char new_path[PATH_MAX])
{
    char line[SLUICE_BACKEND_ID_BYTES_MAX + 1];
    memcpy(line, backend_id.data, backend_id.bytes);
    line[backend_id.bytes] = '\n';
    int printed = snprintf(new_path, PATH_MAX, "%s.XXXXXX", path);
    if (printed < 0 || printed >= PATH_MAX) {
        return ENAMETOOLONG;
    }
    int file = mkostemp(new_path, O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    int reason = write_all(file, line, backend_id.bytes + 1);
    if (reason == 0 && fsync(file) != 0) {
        reason = errno;
    }
    if (close(file) != 0 && reason == 0) {
        reason = errno;
    }
    if (reason != 0) {
        (void)unlink(new_path);
    }
    return reason;
}

/* Makes the new name durable. Best effort: not every file system can. */
static void sync_directory(const char *path)
{
    char directory_path[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int bytes = slash == NULL ? 1 : (int)(slash - path) + 1;
    (void)snprintf(directory_path, sizeof directory_path, "%.*s", bytes,
                   slash == NULL ? "." : path);
    int directory = open(directory_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        (void)fsync(directory);
        (void)close(directory);
    }
}

enum sluice_status state_file_save(const char *path, struct slice backend_id,
                                   struct sluice_error *error)
{
    char new_path[PATH_MAX];
    if (!is_backend_id(backend_id)) {
        return error_set(error, SLUICE_INVALID,
                         "the backend id is not kept in %s: it must be 1 to %u bytes of text "
                         "without control characters",
                         path, SLUICE_BACKEND_ID_BYTES_MAX);
    }
    int reason = write_new_file(path, backend_id, new_path);
    if (reason != 0) {
        return path_failed("write", path, reason, error);
    }
    if (rename(new_path, path) != 0) {
        reason = errno;
        (void)unlink(new_path);
        return path_failed("replace", path, reason, error);
    }
    sync_directory(path);
    return SLUICE_OK;
}
