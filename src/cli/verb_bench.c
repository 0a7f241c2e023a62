/* verb_bench: `sluice bench`. */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "loadgen/loadgen.h"

int verb_bench(int argument_count, char **arguments)
{
    struct load_options options;
    struct sluice_error error = {0};
    for (int i = 0; i < argument_count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            load_options_print_help(stdout);
            return 0;
        }
    }
    if (load_options_read(argument_count, arguments, &options, &error) != SLUICE_OK) {
        (void)fprintf(stderr, "sluice bench: %s\n", error.message);
        return 2;
    }
    if (load_run(&options, stdout, &error) != SLUICE_OK) {
        (void)fprintf(stderr, "sluice bench: %s\n", error.message);
        return 1;
    }
    return 0;
}
