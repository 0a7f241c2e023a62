/* error: the one list of status codes, and the detail that goes with a failure.
 *
 * Every function that can fail returns an `enum sluice_status`. Text that a person needs (what was
 * wrong, where, what to do) goes into the caller's `struct sluice_error`, which may be NULL. On
 * failure, outputs are untouched. */
#ifndef SLUICE_BASE_ERROR_H
#define SLUICE_BASE_ERROR_H

#include <stdarg.h>

/* X(name, http_status, wire_tag, text)
 * wire_tag: the sync-cf error's `_tag` that a client decodes. */
#define SLUICE_STATUS_LIST(X)                                                                      \
    X(OK, 200, "", "success")                                                                      \
    X(NO_MEMORY, 503, "UnknownError", "out of memory")                                             \
    X(MALFORMED, 400, "UnknownError", "malformed input")                                           \
    X(INVALID, 400, "UnknownError", "a rule of the event log is broken")                           \
    X(LIMIT, 413, "UnknownError", "a limit is exceeded")                                           \
    X(UNSUPPORTED, 400, "UnknownError", "not supported")                                           \
    X(SERVER_AHEAD, 409, "ServerAheadError", "the store's head is not the push's parent")          \
    X(BACKEND_ID_MISMATCH, 409, "BackendIdMismatchError", "the backend id is another log's")       \
    X(CURSOR_AHEAD, 409, "UnknownError", "the cursor is past the store's head")                    \
    X(STORAGE_FULL, 507, "UnknownError", "no space left to store events")                          \
    X(STORAGE_IO, 503, "UnknownError", "an I/O error in the event log")                            \
    X(STORAGE_CORRUPT, 500, "UnknownError", "the event log is damaged")                            \
    X(STORAGE_LOCKED, 503, "UnknownError", "another process holds the data directory")             \
    X(STORAGE_VERSION, 500, "UnknownError", "the data was written by another version")             \
    X(UNAVAILABLE, 503, "UnknownError", "the server cannot do this now")                           \
    X(TIMEOUT, 408, "UnknownError", "the peer took too long")                                      \
    X(CLOSED, 499, "UnknownError", "the connection is closed")                                     \
    X(IO, 500, "UnknownError", "an input or output error")                                         \
    X(CONFIG, 500, "UnknownError", "the configuration is wrong")

enum sluice_status {
#define X(name, http_status, wire_tag, text) SLUICE_##name,
    SLUICE_STATUS_LIST(X)
#undef X
        SLUICE_STATUS_COUNT
};

#define SLUICE_MUST_CHECK __attribute__((warn_unused_result))
#define SLUICE_PRINTF(format_index, first_index)                                                   \
    __attribute__((format(printf, format_index, first_index)))

struct sluice_error {
    enum sluice_status status;
    char message[384]; /* NUL-terminated, valid UTF-8; truncated when longer */
};

/* The code's name ("SERVER_AHEAD"), text, HTTP status and wire tag. Never NULL. */
const char *sluice_status_name(enum sluice_status status);
const char *sluice_status_text(enum sluice_status status);
int sluice_status_http(enum sluice_status status);
const char *sluice_status_wire_tag(enum sluice_status status);

/* Fills `error` (may be NULL) and returns `status`, so that a failure is one statement:
 *     return error_set(error, SLUICE_INVALID, "batch[%zu].name is empty", index);
 * `error_set` with SLUICE_OK is a bug of the caller. Bytes of a peer that go into a message must be
 * printed with a precision; what is not valid UTF-8 is replaced by '?'. */
enum sluice_status error_set(struct sluice_error *error, enum sluice_status status,
                             const char *format, ...) SLUICE_PRINTF(3, 4);

#endif
