/* server: `sluice serve`: puts the rooms together, runs the loop, and takes it down again. */
#ifndef SLUICE_SERVER_H
#define SLUICE_SERVER_H

#include "server/options.h"

/* Runs until SIGTERM or SIGINT has been carried out. OK: a clean end. */
enum sluice_status server_run(const struct server_options *options,
                              struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
