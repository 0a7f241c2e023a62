/* client: the public API (sluice/client.h, sluice/outbox.h): checks and copies what callers give,
 * and brings it to the core through the runner.
 *
 *     sluice_client_push ── copy ──▶ runner_post ──▶ core_push ── done ──▶ callback, free
 *
 * Owns the copies of the options and of every request, each of which frees itself after its last
 * callback. Thread: any for the functions, the client's for what they post. */
#include "sluice/client.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/arena.h"
#include "client/client_core.h"
#include "client/client_event.h"
#include "client/client_options.h"
#include "client/outbox_sqlite.h"
#include "client/runner.h"
#include "client/state_file.h"
#include "sluice/outbox.h"
#include "sluice_config.h"

struct sluice_client {
    struct client_options options; /* copies */
    struct client_core_config config;
    struct sluice_metadata metadata;
    struct runner *runner;
    struct outbox *outbox; /* NULL: none */
    struct runner_command attach;
    bool attached; /* the core has the outbox; client's thread */
    struct runner_command outbox_grew;
    atomic_flag growth_posted; /* outbox_grew is in the queue */
    atomic_bool closing;
    void (*closed)(void *user);
    void *closed_user;
};

const char *sluice_version(void)
{
    return SLUICE_VERSION;
}

/* What is asked for after sluice_client_close has begun, from callbacks. */
static enum sluice_status check_open(const struct sluice_client *client, struct sluice_error *error)
{
    if (atomic_load(&client->closing)) {
        return error_set(error, SLUICE_CLOSED, "the client is being closed");
    }
    return SLUICE_OK;
}

/* ---- life ---- */

static void on_connection(void *user, const struct sluice_connection *connection)
{
    struct sluice_client *client = user;
    if (client->options.public.connection_changed != NULL) {
        client->options.public.connection_changed(client->options.public.user, connection);
    }
}

/* A failure is not told: the id is learnt again in the next run. */
static void on_backend_id(void *user, struct slice backend_id)
{
    struct sluice_client *client = user;
    const struct sluice_client_options *options = &client->options.public;
    if (client->outbox != NULL) {
        return; /* it is kept with the next advance */
    }
    if (options->state != NULL) {
        (void)options->state->save(options->user, text_of_slice(backend_id));
    } else if (options->state_path != NULL) {
        enum sluice_status saved = state_file_save(options->state_path, backend_id, NULL);
        (void)saved;
    }
}

static void destroy_client(struct sluice_client *client)
{
    if (client->outbox != NULL) {
        client->outbox->ops->destroy(client->outbox);
    }
    client_options_deinit(&client->options);
    free(client);
}

static void on_closed(void *user)
{
    struct sluice_client *client = user;
    void (*closed)(void *) = client->closed;
    void *closed_user = client->closed_user;
    bool own_thread = client->options.public.uv_loop == NULL;
    if (!own_thread) {
        destroy_client(client);
    } /* else sluice_client_close does, when the thread is joined */
    if (closed != NULL) {
        closed(closed_user);
    }
}

/* The backend id of an earlier run. */
static enum sluice_status load_backend_id(struct sluice_client *client, struct sluice_error *error)
{
    const struct sluice_client_options *options = &client->options.public;
    size_t bytes = 0;
    enum sluice_status status = SLUICE_OK;
    if (client->outbox != NULL) {
        return SLUICE_OK; /* the core reads it there */
    }
    if (options->state != NULL) {
        status = options->state->load(options->user, client->options.backend_id, &bytes);
        if (status != SLUICE_OK || bytes > SLUICE_BACKEND_ID_BYTES_MAX) {
            return error_set(error, status != SLUICE_OK ? status : SLUICE_CONFIG,
                             "state.load did not give a backend id of at most %u bytes",
                             SLUICE_BACKEND_ID_BYTES_MAX);
        }
    } else if (options->state_path != NULL) {
        status = state_file_load(options->state_path, client->options.backend_id, &bytes, error);
    }
    client->config.backend_id = slice_make(client->options.backend_id, bytes);
    return status;
}

static void tell_halted(const struct sluice_client *client, const struct sluice_failure *failure)
{
    if (client->options.outbox.failed != NULL) {
        client->options.outbox.failed(client->options.public.user, failure, true);
    }
}

/* Gives the core the outbox, when it does not have it yet. */
static void attach(struct sluice_client *client, struct client_core *core, uint64_t now_ms)
{
    client->attached = client->attached ||
                       client_core_attach_outbox(core, client->outbox, &client->options.outbox,
                                                 client->options.public.user, now_ms) == SLUICE_OK;
    if (!client->attached) {
        struct sluice_failure failure = {0};
        (void)error_set(&failure.error, SLUICE_NO_MEMORY, "out of memory for the outbox");
        tell_halted(client, &failure);
    }
}

static void attach_outbox(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    attach((struct sluice_client *)((char *)command - offsetof(struct sluice_client, attach)), core,
           now_ms);
}

static enum sluice_status start(struct sluice_client *client, struct sluice_error *error)
{
    const struct sluice_client_options *options = &client->options.public;
    struct runner_options runner = {.config = &client->config,
                                    .uv_loop = options->uv_loop,
                                    .tls_ca_path = options->tls_ca_path,
                                    .tls_insecure = options->tls_insecure,
                                    .connection = on_connection,
                                    .backend_id = on_backend_id,
                                    .closed = on_closed,
                                    .user = client};
    enum sluice_status status = SLUICE_OK;
    if (options->outbox_path != NULL) {
        status = outbox_sqlite_open(options->outbox_path, client->config.store_id, &client->outbox,
                                    error);
    }
    if (status == SLUICE_OK) {
        status = load_backend_id(client, error);
    }
    if (status == SLUICE_OK) {
        status = runner_create(&runner, &client->runner, error);
    }
    if (status == SLUICE_OK && client->outbox != NULL) {
        client->attach.run = attach_outbox;
        runner_post(client->runner, &client->attach);
    }
    return status;
}

enum sluice_status sluice_client_create(const struct sluice_client_options *options,
                                        struct sluice_client **out, struct sluice_error *error)
{
    struct sluice_client *client = malloc(sizeof(*client));
    if (client == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a client");
    }
    *client = (struct sluice_client){.growth_posted = ATOMIC_FLAG_INIT};
    enum sluice_status status = client_options_init(&client->options, options, error);
    if (status == SLUICE_OK) {
        client_options_config(&client->options, &client->config);
        client->metadata = (struct sluice_metadata){
            .name = "libsluice",
            .description = "LiveStore sync backend client in C, for sync-cf servers",
            .protocol = client->options.url.polls ? "http" : "ws",
            .url = client->options.public.url};
        status = start(client, error);
    }
    if (status != SLUICE_OK) {
        destroy_client(client);
        return status;
    }
    *out = client;
    return SLUICE_OK;
}

enum sluice_status sluice_client_close(struct sluice_client *client, void (*closed)(void *user),
                                       void *user)
{
    if (client == NULL) {
        return SLUICE_OK;
    }
    if (runner_is_own_thread(client->runner)) {
        return SLUICE_INVALID;
    }
    bool own_thread = client->options.public.uv_loop == NULL;
    client->closed = closed;
    client->closed_user = user;
    atomic_store(&client->closing, true);
    runner_close(client->runner);
    if (own_thread) {
        destroy_client(client);
    }
    return SLUICE_OK;
}

/* ---- connection ---- */

struct ping {
    struct core_ping core;
    struct runner_command command;
    void (*done)(void *user, const struct sluice_failure *failure, uint64_t round_trip_ms);
    void (*connected)(void *user, const struct sluice_failure *failure);
    void *user;
};

static void ping_done(struct core_ping *core, const struct sluice_failure *failure,
                      uint64_t round_trip_ms)
{
    struct ping *ping = (struct ping *)core; /* its first member */
    if (ping->done != NULL) {
        ping->done(ping->user, failure, round_trip_ms);
    } else if (ping->connected != NULL) {
        ping->connected(ping->user, failure);
    }
    free(ping);
}

static void start_ping(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct ping *ping = (struct ping *)((char *)command - offsetof(struct ping, command));
    client_core_ping(core, &ping->core, now_ms);
}

static enum sluice_status post_ping(struct sluice_client *client, const struct ping *wanted,
                                    struct sluice_error *error)
{
    enum sluice_status status = check_open(client, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct ping *ping = malloc(sizeof(*ping));
    if (ping == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a ping");
    }
    *ping = *wanted;
    ping->core.done = ping_done;
    ping->command.run = start_ping;
    runner_post(client->runner, &ping->command);
    return SLUICE_OK;
}

enum sluice_status sluice_client_connect(struct sluice_client *client,
                                         void (*done)(void *user,
                                                      const struct sluice_failure *failure),
                                         void *user, struct sluice_error *error)
{
    struct ping ping = {.core = {.is_connect = true}, .connected = done, .user = user};
    return post_ping(client, &ping, error);
}

enum sluice_status sluice_client_ping(struct sluice_client *client,
                                      void (*done)(void *user, const struct sluice_failure *failure,
                                                   uint64_t round_trip_ms),
                                      void *user, struct sluice_error *error)
{
    struct ping ping = {.done = done, .user = user};
    return post_ping(client, &ping, error);
}

bool sluice_client_is_connected(const struct sluice_client *client)
{
    return runner_is_connected(client->runner);
}

/* ---- pull ---- */

struct sluice_pull {
    struct core_pull core;
    struct runner_command start;
    struct runner_command cancel;
    atomic_flag cancel_posted;
    bool cancel_ran; /* or was never posted; client's thread */
    bool has_ended;
    struct sluice_client *client;
    struct sluice_pull_callbacks callbacks;
    void *user;
};

static enum sluice_status pull_page(struct core_pull *core, const struct sluice_page *page)
{
    struct sluice_pull *pull = (struct sluice_pull *)core; /* its first member */
    if (pull->callbacks.page != NULL) {
        pull->callbacks.page(pull->user, page);
    }
    return SLUICE_OK;
}

/* A cancel that is in the queue still needs the pull. */
static void pull_ended(struct core_pull *core, const struct sluice_failure *failure)
{
    struct sluice_pull *pull = (struct sluice_pull *)core;
    if (pull->callbacks.ended != NULL) {
        pull->callbacks.ended(pull->user, failure);
    }
    pull->has_ended = true;
    if (!atomic_flag_test_and_set(&pull->cancel_posted)) {
        pull->cancel_ran = true; /* none will come */
    }
    if (pull->cancel_ran) {
        free(pull);
    }
}

static void start_pull(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct sluice_pull *pull =
        (struct sluice_pull *)((char *)command - offsetof(struct sluice_pull, start));
    client_core_pull(core, &pull->core, now_ms);
}

static void cancel_pull(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct sluice_pull *pull =
        (struct sluice_pull *)((char *)command - offsetof(struct sluice_pull, cancel));
    pull->cancel_ran = true;
    if (pull->has_ended) {
        free(pull);
    } else {
        client_core_pull_cancel(core, &pull->core, now_ms);
    }
}

enum sluice_status sluice_client_pull(struct sluice_client *client, uint64_t cursor_seq_num,
                                      bool live, const struct sluice_pull_callbacks *callbacks,
                                      void *user, struct sluice_pull **out,
                                      struct sluice_error *error)
{
    enum sluice_status status = check_open(client, error);
    if (status == SLUICE_OK && cursor_seq_num > SLUICE_SEQ_NUM_MAX) {
        status = error_set(error, SLUICE_INVALID, "the cursor must be from 0 to 2^53-1");
    }
    if (status != SLUICE_OK) {
        return status;
    }
    struct sluice_pull *pull = malloc(sizeof(*pull));
    if (pull == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a pull");
    }
    *pull = (struct sluice_pull){.core = {.cursor_seq_num = cursor_seq_num,
                                          .live = live,
                                          .page = pull_page,
                                          .ended = pull_ended},
                                 .start = {.run = start_pull},
                                 .cancel = {.run = cancel_pull},
                                 .cancel_posted = ATOMIC_FLAG_INIT,
                                 .client = client,
                                 .callbacks = *callbacks,
                                 .user = user};
    if (out != NULL) {
        *out = pull;
    }
    runner_post(client->runner, &pull->start);
    return SLUICE_OK;
}

void sluice_pull_cancel(struct sluice_pull *pull)
{
    if (!atomic_flag_test_and_set(&pull->cancel_posted)) {
        runner_post(pull->client->runner, &pull->cancel);
    }
}

/* ---- push ---- */

struct push {
    struct core_push core;
    struct runner_command command;
    struct arena arena; /* the events */
    void (*done)(void *user, const struct sluice_push_result *result);
    void *user;
};

static void push_destroy(struct push *push)
{
    arena_deinit(&push->arena);
    free(push);
}

static void push_done(struct core_push *core, const struct sluice_push_result *result)
{
    struct push *push = (struct push *)core; /* its first member */
    if (push->done != NULL) {
        push->done(push->user, result);
    }
    push_destroy(push);
}

static void start_push(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct push *push = (struct push *)((char *)command - offsetof(struct push, command));
    client_core_push(core, &push->core, now_ms);
}

static enum sluice_status check_events(const struct sluice_event *events, size_t event_count,
                                       struct sluice_error *error)
{
    for (size_t i = 0; i < event_count; i++) {
        enum sluice_status status = client_event_check(&events[i], i, true, error);
        if (status != SLUICE_OK) {
            return status;
        }
        if (i > 0 && events[i].parent_seq_num != events[i - 1].seq_num) {
            return error_set(error, SLUICE_INVALID,
                             "events[%zu].parent_seq_num must be the seq_num of the event before",
                             i);
        }
    }
    return SLUICE_OK;
}

static enum sluice_status copy_events(struct push *push, const struct sluice_event *events,
                                      size_t event_count)
{
    if (event_count > SIZE_MAX / sizeof(*events) - 1) {
        return SLUICE_NO_MEMORY;
    }
    struct sluice_event *copies = arena_alloc(&push->arena, (event_count + 1) * sizeof(*copies));
    for (size_t i = 0; copies != NULL && i < event_count; i++) {
        if (client_event_copy(&push->arena, &events[i], &copies[i]) != SLUICE_OK) {
            return SLUICE_NO_MEMORY;
        }
    }
    push->core.events = copies;
    push->core.event_count = event_count;
    return copies != NULL ? SLUICE_OK : SLUICE_NO_MEMORY;
}

enum sluice_status sluice_client_push(struct sluice_client *client,
                                      const struct sluice_event *events, size_t event_count,
                                      void (*done)(void *user,
                                                   const struct sluice_push_result *result),
                                      void *user, struct sluice_error *error)
{
    enum sluice_status status = check_open(client, error);
    if (status == SLUICE_OK && client->outbox != NULL) {
        status = error_set(error, SLUICE_INVALID,
                           "this client has an outbox, which pushes by itself: commit instead");
    }
    if (status == SLUICE_OK) {
        status = check_events(events, event_count, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    struct push *push = malloc(sizeof(*push));
    if (push == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a push");
    }
    *push = (struct push){
        .core = {.done = push_done}, .command = {.run = start_push}, .done = done, .user = user};
    arena_init(&push->arena, SIZE_MAX / 2);
    if (copy_events(push, events, event_count) != SLUICE_OK) {
        push_destroy(push);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a push of %zu events",
                         event_count);
    }
    runner_post(client->runner, &push->command);
    return SLUICE_OK;
}

/* ---- what it is ---- */

bool sluice_client_supports(const struct sluice_client *client, enum sluice_feature feature)
{
    (void)client;
    return feature == SLUICE_SUPPORTS_PULL_PAGE_INFO_KNOWN || feature == SLUICE_SUPPORTS_PULL_LIVE;
}

const struct sluice_metadata *sluice_client_metadata(const struct sluice_client *client)
{
    return &client->metadata;
}

/* ---- outbox ---- */

static enum sluice_status check_outbox(const struct sluice_client *client,
                                       struct sluice_error *error)
{
    if (client->outbox == NULL) {
        return error_set(error, SLUICE_CONFIG, "this client has no outbox: set outbox_path");
    }
    return check_open(client, error);
}

static void tell_growth(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct sluice_client *client =
        (struct sluice_client *)((char *)command - offsetof(struct sluice_client, outbox_grew));
    atomic_flag_clear(&client->growth_posted);
    client_core_outbox_grew(core, now_ms);
}

enum sluice_status sluice_client_commit(struct sluice_client *client,
                                        const struct sluice_event *event, struct sluice_commit *out,
                                        struct sluice_error *error)
{
    struct sluice_commit commit;
    enum sluice_status status = check_outbox(client, error);
    if (status == SLUICE_OK) {
        status = client_event_check(event, 0, false, error);
    }
    if (status == SLUICE_OK) {
        status = client->outbox->ops->append(client->outbox, event, &commit, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (!atomic_flag_test_and_set(&client->growth_posted)) {
        client->outbox_grew.run = tell_growth;
        runner_post(client->runner, &client->outbox_grew);
    }
    if (out != NULL) {
        *out = commit;
    }
    return SLUICE_OK;
}

enum sluice_status sluice_client_outbox_status(struct sluice_client *client,
                                               struct sluice_outbox_status *out,
                                               struct sluice_error *error)
{
    struct outbox_state state;
    enum sluice_status status = check_outbox(client, error);
    if (status == SLUICE_OK) {
        status = client->outbox->ops->state(client->outbox, &state, error);
    }
    if (status == SLUICE_OK) {
        *out = (struct sluice_outbox_status){.head_seq_num = state.upstream_head,
                                             .pending_count = state.pending_count,
                                             .last_commit_id = state.last_commit_id};
    }
    return status;
}

struct reset {
    struct runner_command command;
    struct sluice_client *client;
};

static void run_reset(struct runner_command *command, struct client_core *core, uint64_t now_ms)
{
    struct reset *reset = (struct reset *)command; /* its first member */
    struct sluice_client *client = reset->client;
    struct sluice_failure failure = {0};
    attach(client, core, now_ms);
    if (client->attached && client_core_outbox_reset(core, now_ms, &failure.error) != SLUICE_OK) {
        tell_halted(client, &failure);
    }
    free(reset);
}

enum sluice_status sluice_client_outbox_reset(struct sluice_client *client,
                                              struct sluice_error *error)
{
    enum sluice_status status = check_outbox(client, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct reset *reset = malloc(sizeof(*reset));
    if (reset == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for resetting the outbox");
    }
    *reset = (struct reset){.command = {.run = run_reset}, .client = client};
    runner_post(client->runner, &reset->command);
    return SLUICE_OK;
}
