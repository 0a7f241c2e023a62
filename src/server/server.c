/* server: see server.h.
 *
 *   start ─▶ running ──SIGTERM, SIGINT──▶ draining (front_drain) ──all closed──▶ settling
 *                                            │                                    │
 *             drain-timeout: front_abort_all ┘                  nothing under way └─▶ stopped
 *
 * A second signal, or commits that do not end after the cut, end the process at once.
 *
 * Owns everything; the loop thread is the thread that calls server_run. */
#include "server/server.h"

#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "endpoint/endpoint_electric.h"
#include "endpoint/endpoint_root.h"
#include "endpoint/endpoint_s2.h"
#include "endpoint/endpoint_sync_cf.h"
#include "eventlog/eventlog.h"
#include "net/net.h"
#include "server/health.h"
#include "server/refusal_log.h"
#include "sluice_config.h"
#include "sync/sync.h"

#define FIRST_PASSED_DESCRIPTOR 3  /* the sd_listen_fds(3) convention */
#define SETTLE_TIMEOUT_MS 1500u    /* for commits under way, once the connections are cut */
#define FREE_BYTES_KEPT (32 << 20) /* at the end of the heap */
#define HEAP_STEP_BYTES (1 << 20)
#define MAPPED_BYTES_MIN (2 << 20) /* larger ones go back to the system at once */

struct server {
    const struct server_options *options;
    struct net_loop *loop;
    struct net_tls *tls;
    struct net_listener *listener;
    struct eventlog *eventlog;
    struct sync *sync;
    struct endpoint_sync_cf *sync_cf;
    struct endpoint_s2 s2;
    struct endpoint_electric electric;
    struct health *health;
    struct front *front;
    struct net_timer *drain_timer;
    struct refusal_log refusals;
    bool draining;
    bool cut; /* the drain took too long */
    bool drained;
};

static void stop_when_settled(struct server *server)
{
    if (server->drained && !sync_busy(server->sync) && !health_busy(server->health)) {
        net_loop_stop(server->loop);
    }
}

static void on_wake(void *user)
{
    struct server *server = user;
    if (server->eventlog != NULL) {
        (void)eventlog_poll(server->eventlog);
        stop_when_settled(server);
    }
}

/* Any thread. */
static void wake(void *user)
{
    net_loop_wake(user);
}

static void on_drained(void *user)
{
    struct server *server = user;
    server->drained = true;
    stop_when_settled(server);
}

/* First the connections are cut; then there is no more waiting for the disk either. What was
 * acknowledged is on it, and what was not may be lost. */
static void on_drain_timeout(void *user)
{
    struct server *server = user;
    if (server->cut) {
        LOG(LOG_WARN, "ended without waiting for a commit that takes too long",
            LOG_NUMBER_FIELD("requests", eventlog_pending(server->eventlog)));
        _exit(0);
    }
    server->cut = true;
    LOG(LOG_WARN, "connections were cut: they took too long to finish",
        LOG_NUMBER_FIELD("connections", front_connections(server->front)));
    front_abort_all(server->front);
    net_timer_start(server->drain_timer, SETTLE_TIMEOUT_MS);
}

static void on_signal(void *user, int signal_number)
{
    struct server *server = user;
    if (server->draining) {
        _exit(128 + signal_number);
    }
    server->draining = true;
    LOG(LOG_INFO, "stopping: finishing what is under way",
        LOG_NUMBER_FIELD("signal", signal_number),
        LOG_NUMBER_FIELD("connections", front_connections(server->front)));
    net_listener_close(server->listener);
    server->listener = NULL;
    net_timer_start(server->drain_timer, server->options->drain_timeout_ms);
    front_drain(server->front, on_drained, server);
}

static void on_refused(void *user, enum sluice_status status, struct slice store_id,
                       const char *peer, const char *message)
{
    struct server *server = user;
    refusal_log_write(&server->refusals, status, store_id, peer, message);
}

/* Each connection needs a descriptor; the soft limit is often only 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum sluice_status open_storage(struct server *server, struct sluice_error *error)
{
    const struct eventlog_options options = {
        .data_path = server->options->data,
        .reader_threads = (unsigned)server->options->reader_threads,
        .wake = wake,
        .wake_user = server->loop,
    };
    enum sluice_status status = eventlog_open(&options, &server->eventlog, error);
    if (status != SLUICE_OK) {
        return status;
    }
    server->sync = sync_create(&(struct sync_options){
        .eventlog = server->eventlog,
        .event_bytes_max = server->options->event_bytes_max,
    });
    if (server->sync == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory at the start");
    }
    return SLUICE_OK;
}

/* The fronts that are switched on, in the order in which they are asked. */
static unsigned list_endpoints(struct server *server, struct endpoint out[FRONT_ENDPOINTS_MAX])
{
    const struct server_options *options = server->options;
    struct http_endpoint_options http = {
        .sync = server->sync,
        .refused = on_refused,
        .user = server,
    };
    unsigned count = 0;
    if (options->sync_cf != 0) {
        out[count++] = endpoint_sync_cf_entry(server->sync_cf);
    }
    if (options->s2_path[0] == '/') {
        http.path = options->s2_path;
        endpoint_s2_init(&server->s2, &http, options->event_stream_ping_interval_ms);
        out[count++] = http_endpoint_entry(&server->s2.http);
    }
    if (options->electric_path[0] == '/') {
        http.path = options->electric_path;
        endpoint_electric_init(&server->electric, &http, options->long_poll_timeout_ms);
        out[count++] = http_endpoint_entry(&server->electric.http);
    }
    out[count++] = health_entry(server->health);
    out[count++] = endpoint_root_entry();
    return count;
}

static enum sluice_status open_front(struct server *server, struct sluice_error *error)
{
    const struct server_options *options = server->options;
    struct endpoint endpoints[FRONT_ENDPOINTS_MAX];
    server->health = health_create(server->eventlog);
    server->sync_cf = endpoint_sync_cf_create(&(struct endpoint_sync_cf_options){
        .sync = server->sync,
        .pulls_per_connection_max = (unsigned)options->pulls_per_connection_max,
        .silent_connection_timeout_ms = options->silent_connection_timeout_ms,
        .stall_timeout_ms = options->stall_timeout_ms,
        .refused = on_refused,
        .user = server,
    });
    server->drain_timer = net_timer_create(server->loop, on_drain_timeout, server);
    if (server->health != NULL && server->sync_cf != NULL && server->drain_timer != NULL) {
        unsigned count = list_endpoints(server, endpoints);
        server->front = front_create(
            &(struct front_options){
                .loop = server->loop,
                .message_bytes_max = options->message_bytes_max,
                .connections_max = options->connections_max,
                .inflight_bytes_max = options->inflight_bytes_max,
                .head_timeout_ms = options->head_timeout_ms,
                .body_timeout_ms = options->body_timeout_ms,
                .idle_timeout_ms = options->idle_timeout_ms,
                .stall_timeout_ms = options->stall_timeout_ms,
                .ping_interval_ms = options->ping_interval_ms,
            },
            endpoints, count);
    }
    if (server->front == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory at the start");
    }
    endpoint_sync_cf_attach(server->sync_cf, server->front);
    server->s2.http.front = server->front;
    server->electric.http.front = server->front;
    health_attach(server->health, server->front);
    return SLUICE_OK;
}

/* How many sockets a service manager has passed on (sd_listen_fds(3)). With one, clients of a
 * server that restarts wait in its queue instead of being refused. */
static enum sluice_status count_passed_sockets(unsigned long long *count,
                                               struct sluice_error *error)
{
    const char *pid = getenv("LISTEN_PID");
    const char *text = getenv("LISTEN_FDS");
    unsigned long long number = 0;
    *count = 0;
    if (text == NULL || (pid != NULL && (!slice_to_u64(slice_of_string(pid), &number) ||
                                         number != (unsigned long long)getpid()))) {
        return SLUICE_OK; /* none, or meant for another process */
    }
    if (!slice_to_u64(slice_of_string(text), count) || *count > 1) {
        return error_set(error, SLUICE_CONFIG, "LISTEN_FDS is '%s'; one socket can be passed on",
                         text);
    }
    return SLUICE_OK;
}

static enum sluice_status open_listener(struct server *server, struct sluice_error *error)
{
    const struct server_options *options = server->options;
    unsigned long long passed = 0;
    enum sluice_status status = count_passed_sockets(&passed, error);
    if (status == SLUICE_OK && options->tls_cert != NULL) {
        status = net_tls_create(options->tls_cert, options->tls_key, &server->tls, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (passed == 1) {
        return net_listen_fd(server->loop, FIRST_PASSED_DESCRIPTOR, server->tls, front_accept,
                             server->front, &server->listener, error);
    }
    return net_listen(server->loop, slice_of_string(options->listen), server->tls, front_accept,
                      server->front, &server->listener, error);
}

static enum sluice_status watch_signals(struct server *server, struct sluice_error *error)
{
    enum sluice_status status = net_loop_on_signal(server->loop, SIGTERM, on_signal, server, error);
    if (status == SLUICE_OK) {
        status = net_loop_on_signal(server->loop, SIGINT, on_signal, server, error);
    }
    return status;
}

static void greet(const struct server *server)
{
    char path[PATH_MAX];
    bool in_memory = strcmp(server->options->data, ":memory:") == 0;
    const char *data = in_memory ? "memory only: it is gone when the server ends"
                                 : realpath(server->options->data, path);
    const char *scheme = server->tls != NULL ? "https" : "http";
    const char *address = net_listener_address(server->listener);
    (void)printf("sluice %s\n"
                 "listening on %s://%s\n"
                 "data in %s\n"
                 "in your app: makeWsSync({ url: '%s://%s' })\n",
                 SLUICE_VERSION, scheme, address, data != NULL ? data : server->options->data,
                 scheme, address);
    (void)fflush(stdout);
    if (!net_listener_is_loopback(server->listener)) {
        LOG(LOG_WARN, "whoever reaches this address can read and write every store",
            LOG_TEXT_FIELD("address", slice_of_string(address)));
    }
}

static void close_all(struct server *server)
{
    net_listener_close(server->listener);
    net_timer_destroy(server->drain_timer);
    front_destroy(server->front);
    endpoint_sync_cf_destroy(server->sync_cf);
    health_destroy(server->health);
    sync_destroy(server->sync);
    eventlog_close(server->eventlog);
    server->eventlog = NULL;
    net_loop_destroy(server->loop);
    net_tls_destroy(server->tls);
}

/* A wave of output to thousands of connections takes megabytes for a moment. glibc would give them
 * back to the system and ask for them again in every turn of the loop, which took a quarter of the
 * server's time. Setting one of these switches off the rule by which it adapts the others, so all
 * are set. */
static void tune_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, FREE_BYTES_KEPT);
    (void)mallopt(M_TOP_PAD, HEAP_STEP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
}

enum sluice_status server_run(const struct server_options *options, struct sluice_error *error)
{
    struct server server = {.options = options};
    log_configure((enum log_format)options->log_format, (enum log_level)options->log_level);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an error, not the end */
    raise_descriptor_limit();
    tune_memory();
    server.loop = net_loop_create(error);
    if (server.loop == NULL) {
        return error != NULL ? error->status : SLUICE_IO;
    }
    net_loop_on_wake(server.loop, on_wake, &server);
    enum sluice_status status = open_storage(&server, error);
    if (status == SLUICE_OK) {
        status = open_front(&server, error);
    }
    if (status == SLUICE_OK) {
        status = open_listener(&server, error);
    }
    if (status == SLUICE_OK) {
        status = watch_signals(&server, error);
    }
    if (status == SLUICE_OK) {
        greet(&server);
        net_loop_run(server.loop);
        LOG(LOG_INFO, "stopped", LOG_NUMBER_FIELD("draining", server.draining));
    }
    close_all(&server);
    return status;
}
