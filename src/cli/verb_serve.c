/* verb_serve: `sluice serve`. */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "server/server.h"

int verb_serve(int argument_count, char **arguments)
{
    struct server_options options;
    struct sluice_error error = {0};
    for (int i = 0; i < argument_count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            (void)printf("usage: sluice serve [FLAGS]\n\n"
                         "Each flag can also be set by the environment variable below it.\n\n");
            server_options_print_help(stdout);
            return 0;
        }
    }
    if (server_options_read(argument_count, arguments, &options, &error) != SLUICE_OK) {
        (void)fprintf(stderr, "sluice: %s\n", error.message);
        return 2;
    }
    enum sluice_status status = server_run(&options, &error);
    if (status != SLUICE_OK) {
        (void)fprintf(stderr, "sluice: %s\n", error.message);
        return status == SLUICE_CONFIG ? 2 : 1;
    }
    return 0;
}
