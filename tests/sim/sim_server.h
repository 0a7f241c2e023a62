/* sim_server: the server on the simulated network: the rooms endpoint and sync as they are, on the
 * eventlog's stand-in that does one small thing at a time (tests/unit/sync/simulated_backend.c). */
#ifndef SLUICE_TESTS_SIM_SERVER_H
#define SLUICE_TESTS_SIM_SERVER_H

#include "base/event.h"
#include "sim_net.h"

struct sim_server;

/* `strict`: a push that is not on top of the head is refused with ServerAhead even when all of it
 * is stored already, as the reference server does it. One server at a time. */
struct sim_server *sim_server_create(struct sim *sim, struct sim_net *net, bool strict);
void sim_server_destroy(struct sim_server *server);

/* After everything that happens: lets the eventlog work on what it was given. */
void sim_server_watch(struct sim_server *server);

/* The process ends, here and now, and comes back after `down_ms`: what the log has is kept; of what
 * was under way, some is in the log, and nobody was told. Nothing happens while it is down. */
void sim_server_crash(struct sim_server *server, uint64_t down_ms, bool silent);
/* It ends as it does for an operator, and comes back. */
void sim_server_restart(struct sim_server *server, uint64_t down_ms);
/* One commit in `commits_one_in` fails from here on, and one read in `reads_one_in`; 0: none. */
void sim_server_fail(struct sim_server *server, unsigned commits_one_in, unsigned reads_one_in);

/* The store's log, as it is now; until something happens. */
const struct event *sim_server_log(struct sim_server *server, size_t *count);

#define SIM_STORE "store"

#endif
