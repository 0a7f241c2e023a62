/* runner: lets a client_core run on a real network: owns the loop (or lives in the caller's), the
 * thread, the connection, the timer, and the queue through which other threads reach the core.
 *
 *     any thread ── runner_post ──▶ queue ── wake ──▶ loop thread: command->run(core)
 *     socket ──▶ net_conn ops ──▶ client_core_opened / _bytes / _closed
 *     client_core ops ──▶ net_connect, net_conn_write, net_conn_abort
 *
 * After every input it arms the one timer for client_core_deadline_ms, and publishes
 * client_core_is_connected for runner_is_connected. */
#ifndef SLUICE_CLIENT_RUNNER_H
#define SLUICE_CLIENT_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "client/client_core.h"

struct runner;

/* Something to do on the client's thread; part of a struct of the caller's, which may be freed from
 * inside `run`. */
struct runner_command {
    void (*run)(struct runner_command *command, struct client_core *core, uint64_t now_ms);
    struct runner_command *next; /* private */
};

struct runner_options {
    const struct client_core_config *config; /* borrowed for the runner's life */
    void *uv_loop;                           /* uv_loop_t, or NULL: an own thread */
    const char *tls_ca_path;                 /* borrowed during the call; or NULL */
    bool tls_insecure;
    /* On the client's thread: the core's news, passed on. */
    void (*connection)(void *user, const struct sluice_connection *connection);
    void (*backend_id)(void *user, struct slice backend_id);
    /* The last call: the core is closed and destroyed and nothing is left in the loop. With an own
     * thread on that thread, before runner_close returns. */
    void (*closed)(void *user);
    void *user;
};

/* Makes the core, and starts the thread when it has one. CONFIG: the CA file; NO_MEMORY; IO. An own
 * thread has all signals blocked, so that signals of the program go to its own threads. */
enum sluice_status runner_create(const struct runner_options *options, struct runner **out,
                                 struct sluice_error *error) SLUICE_MUST_CHECK;

/* Queues a command; commands run in order. Any thread (with `uv_loop` too). Cannot fail. A command
 * that comes after runner_close began still runs, with a closed core, before `closed`. */
void runner_post(struct runner *runner, struct runner_command *command);

/* Any thread. */
bool runner_is_connected(const struct runner *runner);
/* Whether the calling thread is the runner's own; false with `uv_loop`. */
bool runner_is_own_thread(const struct runner *runner);

/* With an own thread: closes the core, runs what is queued, ends and joins the thread, frees the
 * runner. With `uv_loop`: begins that, and ends it from the loop. NULL is accepted. */
void runner_close(struct runner *runner);

#endif
