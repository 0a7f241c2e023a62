/* status: the one list of status codes of Sluice, server and client, and the detail that goes with
 * a failure.
 *
 * A function that can fail returns an `enum sluice_status`. Text for a person (what was wrong,
 * where, what to do) goes into the caller's `struct sluice_error`, which may be NULL. On failure,
 * outputs are untouched. Numbers stay what they are: new codes come at the list's end. */
#ifndef SLUICE_STATUS_H
#define SLUICE_STATUS_H

/* What the shared library exports. */
#if defined(__GNUC__)
#define SLUICE_API __attribute__((visibility("default")))
#define SLUICE_MUST_CHECK __attribute__((warn_unused_result))
#else
#define SLUICE_API
#define SLUICE_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

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
    X(CONFIG, 500, "UnknownError", "the configuration is wrong")                                   \
    X(OFFLINE, 503, "UnknownError", "the server cannot be reached")                                \
    X(UNAUTHORIZED, 401, "UnknownError", "the server refuses access")                              \
    X(UNKNOWN, 500, "UnknownError", "the server reported an error")

enum sluice_status {
#define X(name, http_status, wire_tag, text) SLUICE_##name,
    SLUICE_STATUS_LIST(X)
#undef X
        SLUICE_STATUS_COUNT
};

struct sluice_error {
    enum sluice_status status;
    char message[384]; /* NUL-terminated, one line of valid UTF-8; cut when longer */
};

/* The code's name ("SERVER_AHEAD") and a short text. Static strings, never NULL; `status` must be
 * one of the list. Any thread. */
SLUICE_API const char *sluice_status_name(enum sluice_status status);
SLUICE_API const char *sluice_status_text(enum sluice_status status);

#ifdef __cplusplus
}
#endif

#endif
