/* runner: see runner.h. */
#include "client/runner.h"

enum sluice_status runner_create(const struct runner_options *options, struct runner **out,
                                 struct sluice_error *error)
{
    (void)options, (void)out;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}

void runner_post(struct runner *runner, struct runner_command *command)
{
    (void)runner, (void)command;
}

bool runner_is_connected(const struct runner *runner)
{
    (void)runner;
    return false;
}

bool runner_is_own_thread(const struct runner *runner)
{
    (void)runner;
    return false;
}

void runner_close(struct runner *runner)
{
    (void)runner;
}
