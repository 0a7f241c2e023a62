/* client: LiveStore's SyncBackend for C programs: connect, pull, push, ping, over the sync-cf
 * protocol.
 *
 * A `struct sluice_client` is one store on one server. It keeps a connection, comes back by itself
 * when that is lost, and sends again what was not answered: a live pull goes on at its cursor, a
 * push that may or may not have arrived is sent anew and acknowledged once.
 *
 * Threads. Without `uv_loop` the client has a thread of its own: every callback comes on it, and
 * every function here may be called from any thread, also from inside a callback, except where it
 * says otherwise. With `uv_loop` there is no thread: callbacks come from the caller's uv_run, and
 * all functions belong to that loop's thread but sluice_client_commit (sluice/outbox.h). No
 * callback comes from inside the call that asks for it. A callback that takes long delays
 * everything else of its client.
 *
 * The library keeps no global state, installs no signal handler, writes no log, and does not end
 * the process: an allocation that fails is SLUICE_NO_MEMORY to whom it concerns, or costs the
 * connection, which is then made anew. */
#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/event.h"
#include "sluice/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_client; /* opaque */
struct sluice_pull;   /* opaque: a pull that runs */
struct sluice_outbox_callbacks;

#define SLUICE_BACKEND_ID_BYTES_MAX 64u
#define SLUICE_NEVER UINT64_MAX /* as a time-out: none */

/* ---- errors ---- */

/* Why something failed. `error.status` is one of
 *
 *   OFFLINE              no connection: refused, name not found, TLS, silence, 429, 5xx, something
 *                        that is no sync server (a captive portal's HTML, a redirect)
 *   UNAUTHORIZED         401 or 403
 *   SERVER_AHEAD         a push whose parent is not the head: pull, renumber, push again
 *   BACKEND_ID_MISMATCH  the store's log is another one than the cursor's or the push's
 *   INVALID              the events, or the request, break a rule; nothing was or will be stored
 *   LIMIT                an event is larger than the server takes
 *   UNKNOWN              the server answered with an error of its own; its text is in the message
 *   NO_MEMORY, CLOSED    out of memory; the client was closed, or the pull cancelled
 *   STORAGE_*, IO        the outbox or the state file
 *
 * error.message says what was wrong, where, and what to do. */
struct sluice_failure {
    struct sluice_error error;
    uint64_t minimum_expected_seq_num; /* SERVER_AHEAD: the store's head */
    uint64_t provided_seq_num;         /* SERVER_AHEAD: the parent of the push */
    /* BACKEND_ID_MISMATCH, NUL-terminated: the server's, and the one that was sent. */
    char expected_backend_id[SLUICE_BACKEND_ID_BYTES_MAX + 1];
    char received_backend_id[SLUICE_BACKEND_ID_BYTES_MAX + 1];
    int http_status;         /* of the answer that refused, or 0 */
    uint64_t retry_after_ms; /* what the server asked to wait, or 0 */
};

/* ---- options ---- */

enum sluice_transport {
    SLUICE_TRANSPORT_AUTO, /* by the URL: ws:// and wss:// are WebSocket, http:// and https://
                              polling */
    SLUICE_TRANSPORT_WS,   /* one WebSocket, whatever the URL's scheme */
    SLUICE_TRANSPORT_HTTP, /* requests; a live pull asks again every poll_interval_ms */
};

struct sluice_header {
    const char *name; /* an HTTP header's name, a token; none that a request has anyway (Host …) */
    const char *value; /* printable; no line breaks */
};

/* The connection as it is now. */
struct sluice_connection {
    bool connected;
    const struct sluice_failure *failure; /* NULL when connected, or at a deliberate close */
    uint64_t retry_in_ms;                 /* when not connected: until the next attempt */
};

/* Keeps the backend id between runs. */
struct sluice_state_callbacks {
    /* From inside sluice_client_create. Fills `out` with the id that was saved last and `*bytes`
     * with its length; 0 when none was. */
    enum sluice_status (*load)(void *user, char out[SLUICE_BACKEND_ID_BYTES_MAX], size_t *bytes);
    /* On the client's thread. Keeps the id. A failure is not fatal: the id is learnt again in the
     * next run. */
    enum sluice_status (*save)(void *user, struct sluice_text backend_id);
};

/* Strings are NUL-terminated and borrowed until sluice_client_create returns. Set by
 * sluice_client_options_init; change what you need, `url` and `store_id` at least. */
struct sluice_client_options {
    size_t struct_bytes; /* set by _init; how newer libraries know older callers */
    const char *url; /* scheme://host[:port][/path]; the path is used as it is, a query is kept */
    const char *store_id; /* 1..512 bytes */
    enum sluice_transport transport;
    const char *payload_json;            /* JSON for the server's authentication, or NULL */
    const struct sluice_header *headers; /* sent with every HTTP request and upgrade */
    size_t header_count;                 /* 0..32 */
    const char *tls_ca_path;             /* PEM file to trust instead of the system's, or NULL */
    bool tls_insecure;                   /* accept any certificate: for tests only */

    /* Times, in milliseconds; none may be 0. */

    /* Name, TCP, TLS and upgrade together; 10,000. */
    uint64_t connect_timeout_ms;
    /* The longest silence before the connection counts as lost; 10,000. So long
     * sluice_client_is_connected may be wrong. */
    uint64_t ping_interval_ms;
    /* Of these, how long a ping waits for its answer; less than the interval; 5,000. */
    uint64_t ping_timeout_ms;
    /* How long the server may owe a push its answer, or a pull a page; 60,000. Then the connection
     * is made anew and the request sent again. */
    uint64_t request_timeout_ms;
    /* How long a push, or a pull that is not live, waits without a connection, or with connections
     * that break before an answer, until it ends as OFFLINE; 30,000; SLUICE_NEVER is possible.
     * Refused access (UNAUTHORIZED) ends them at once.
     */
    uint64_t operation_timeout_ms;
    /* After the n-th failure in a row (0, 1, …) the next attempt waits from 0 to base*2^n, evenly,
     * but never longer than the cap, unless the server asks for it (Retry-After); 500 and 30,000.
     */
    uint64_t backoff_base_ms;
    uint64_t backoff_cap_ms;
    /* HTTP: between the requests of a live pull; 5,000. */
    uint64_t poll_interval_ms;

    size_t message_bytes_max; /* largest message taken from the server; 16 MiB */

    /* The backend id between runs: callbacks, or a file that is written anew when the id changes,
     * or neither (it is then learnt with every run). With an outbox the id is kept in that. */
    const struct sluice_state_callbacks *state; /* or NULL */
    const char *state_path;                     /* or NULL */

    /* The outbox: a SQLite file, made when it does not exist, or NULL (sluice/outbox.h). */
    const char *outbox_path;
    const struct sluice_outbox_callbacks *outbox; /* with outbox_path */

    /* The caller's uv_loop_t (as void *, so that this header needs no libuv), or NULL: own thread.
     */
    void *uv_loop;

    /* The connection came, went, or could not be made; also for every failed attempt. May be NULL.
     */
    void (*connection_changed)(void *user, const struct sluice_connection *connection);
    void *user; /* for connection_changed, state and outbox */
};

/* Fills in the defaults. Any thread. */
SLUICE_API void sluice_client_options_init(struct sluice_client_options *options);

/* ---- life ---- */

/* Makes a client; nothing is sent before sluice_client_connect, a pull, a push, a ping or a commit.
 * CONFIG names the option that is wrong; NO_MEMORY; IO; for the outbox STORAGE_*. With `uv_loop`:
 * on that loop's thread, not from inside another client's callback. `*out` is the caller's until
 * sluice_client_close. With an outbox and a thread of its own, callbacks may come before this
 * returns. */
SLUICE_API enum sluice_status sluice_client_create(const struct sluice_client_options *options,
                                                   struct sluice_client **out,
                                                   struct sluice_error *error) SLUICE_MUST_CHECK;

/* Ends it: whatever runs ends with SLUICE_CLOSED through its callback. With its own thread, returns
 * when the last callback has returned and the thread is joined; must not be called from a callback
 * of this client (INVALID, nothing is done). With `uv_loop`, on that loop's thread: returns at
 * once, the loop must go on running, and `closed` (may be NULL) is the last callback, after which
 * the loop holds nothing of the client; with an own thread `closed` is called before this returns.
 * `client` is gone in both cases and must not be used; NULL is accepted. What is in the outbox
 * stays there. */
SLUICE_API enum sluice_status sluice_client_close(struct sluice_client *client,
                                                  void (*closed)(void *user), void *user);

/* ---- connection ---- */

/* Keeps a connection from now on, also while nothing is to be done. `done` (may be NULL) is called
 * once, with NULL when the first attempt succeeded and with its failure otherwise; attempts go on
 * in both cases. NO_MEMORY. */
SLUICE_API enum sluice_status
sluice_client_connect(struct sluice_client *client,
                      void (*done)(void *user, const struct sluice_failure *failure), void *user,
                      struct sluice_error *error) SLUICE_MUST_CHECK;

/* Whether the server was heard from within the last ping_interval_ms over a connection that stands.
 * Over HTTP: whether the last exchange succeeded, and the one under way is not older than that. Any
 * thread, also with `uv_loop`. */
SLUICE_API bool sluice_client_is_connected(const struct sluice_client *client);

/* Asks the server for a sign of life. `done` gets NULL and the round trip in milliseconds, or why
 * there is none: a ping waits for one attempt to connect, not longer. NO_MEMORY. */
SLUICE_API enum sluice_status sluice_client_ping(
    struct sluice_client *client,
    void (*done)(void *user, const struct sluice_failure *failure, uint64_t round_trip_ms),
    void *user, struct sluice_error *error) SLUICE_MUST_CHECK;

/* ---- pull ---- */

struct sluice_pull_callbacks {
    /* The next events: strictly after the cursor, ascending, each once, however often the
     * connection broke. A page without events says where the pull stands (NO_MORE: at the head). */
    void (*page)(void *user, const struct sluice_page *page);
    /* The last callback: NULL when a pull that is not live has reached the head, else why it ended.
     * `pull` is gone when this returns. */
    void (*ended)(void *user, const struct sluice_failure *failure);
};

/* Pulls the events after `cursor_seq_num` (0: all). A pull that is not live ends at the head. A
 * live pull goes on with what comes, for ever: it survives the loss of the connection and a server
 * that refuses access for a while. It ends when it is cancelled, by BACKEND_ID_MISMATCH, and by
 * UNKNOWN when the server refuses it again and again. An event whose parent was not given is asked
 * for anew from the last good one; when two fresh answers have the same gap it is the log's own
 * (the reference server accepts such logs), or the cursor is no event's number, and the event is
 * given as it is. `callbacks` is copied. `*out` is for
 * sluice_pull_cancel only. NO_MEMORY; INVALID for a cursor past SLUICE_SEQ_NUM_MAX. */
SLUICE_API enum sluice_status sluice_client_pull(struct sluice_client *client,
                                                 uint64_t cursor_seq_num, bool live,
                                                 const struct sluice_pull_callbacks *callbacks,
                                                 void *user, struct sluice_pull **out,
                                                 struct sluice_error *error) SLUICE_MUST_CHECK;

/* Ends it: `ended` comes with CLOSED, unless it has come or is just coming for another reason;
 * pages may still come before that. Must not be called after `ended` has come: who cancels on
 * another thread keeps the two apart. */
SLUICE_API void sluice_pull_cancel(struct sluice_pull *pull);

/* ---- push ---- */

struct sluice_push_result {
    const struct sluice_failure *failure; /* NULL: all of them are stored */
    size_t acknowledged_count; /* so many from the front are durably in the log; after a failure
                                  nothing is known of the others but with SERVER_AHEAD, INVALID and
                                  BACKEND_ID_MISMATCH: these are not stored */
};

/* Pushes events in order, in batches of at most 100 events and 900,000 bytes. They must ascend and
 * chain: each one's parent is the one before. Where an answer was lost, the batch is sent again,
 * and is acknowledged also by a server that only says SERVER_AHEAD to what it has already (the log
 * is then pulled and compared). Pushes of one client run one after the other. `event_count` may be
 * 0. `events` is copied. `done` is called once. INVALID names the event and the rule; NO_MEMORY. */
SLUICE_API enum sluice_status
sluice_client_push(struct sluice_client *client, const struct sluice_event *events,
                   size_t event_count,
                   void (*done)(void *user, const struct sluice_push_result *result), void *user,
                   struct sluice_error *error) SLUICE_MUST_CHECK;

/* ---- what it is ---- */

enum sluice_feature {
    SLUICE_SUPPORTS_PULL_PAGE_INFO_KNOWN, /* pages say how many events remain */
    SLUICE_SUPPORTS_PULL_LIVE,
};

SLUICE_API bool sluice_client_supports(const struct sluice_client *client,
                                       enum sluice_feature feature);

/* NUL-terminated strings that live as long as the client. */
struct sluice_metadata {
    const char *name;        /* "libsluice" */
    const char *description; /* a sentence */
    const char *protocol;    /* "ws" or "http" */
    const char *url;         /* as given */
};

SLUICE_API const struct sluice_metadata *sluice_client_metadata(const struct sluice_client *client);

/* The library's version, "0.1.0". */
SLUICE_API const char *sluice_version(void);

#ifdef __cplusplus
}
#endif

#endif
