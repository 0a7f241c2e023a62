/* outcome: how a verb ends: its exit code, and what it says about a failure. docs/cli.md and
 * man/sluice.1 list the codes; scripts rely on them. */
#ifndef SLUICE_CLI_OUTCOME_H
#define SLUICE_CLI_OUTCOME_H

#include "sluice/client.h"

enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_FAILED = 1,       /* anything that has no code of its own */
    OUTCOME_USAGE = 2,        /* asked wrongly: nothing was done */
    OUTCOME_OFFLINE = 3,      /* the server could not be reached */
    OUTCOME_UNAUTHORIZED = 4, /* it refuses access */
    OUTCOME_SERVER_AHEAD = 5, /* the pushed events are not on top of the store's head */
    OUTCOME_BACKEND_ID = 6,   /* the store's log is another one than before */
    OUTCOME_SIGNAL = 128,     /* ended by a signal: 128 and its number, 130 for Ctrl-C */
};

/* Says "sluice VERB: why" on standard error; returns the exit code for it. */
int outcome_of_error(const char *verb, const struct sluice_error *error);
int outcome_of_failure(const char *verb, const struct sluice_failure *failure);

/* Prints a verb's answer on standard output. Returns the exit code: what cannot be written is a
 * failure. */
int outcome_print(const char *verb, const char *answer);

#endif
