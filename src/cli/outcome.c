/* outcome: see outcome.h. */
#include "cli/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int code_of(enum sluice_status status)
{
    switch (status) {
    case SLUICE_OK:
        return OUTCOME_DONE;
    case SLUICE_CONFIG:
        return OUTCOME_USAGE;
    case SLUICE_OFFLINE:
        return OUTCOME_OFFLINE;
    case SLUICE_UNAUTHORIZED:
        return OUTCOME_UNAUTHORIZED;
    case SLUICE_SERVER_AHEAD:
        return OUTCOME_SERVER_AHEAD;
    case SLUICE_BACKEND_ID_MISMATCH:
        return OUTCOME_BACKEND_ID;
    default:
        return OUTCOME_FAILED;
    }
}

int outcome_of_error(const char *verb, const struct sluice_error *error)
{
    const char *text =
        error->message[0] != '\0' ? error->message : sluice_status_text(error->status);
    (void)fprintf(stderr, "sluice %s: %s\n", verb, text);
    return code_of(error->status);
}

int outcome_of_failure(const char *verb, const struct sluice_failure *failure)
{
    return outcome_of_error(verb, &failure->error);
}

int outcome_print(const char *verb, const char *answer)
{
    if (fputs(answer, stdout) < 0 || fflush(stdout) != 0) {
        (void)fprintf(stderr, "sluice %s: cannot write to standard output: %s\n", verb,
                      strerror(errno));
        return OUTCOME_FAILED;
    }
    return OUTCOME_DONE;
}
