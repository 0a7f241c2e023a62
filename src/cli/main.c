/* main: `sluice VERB …`: finds the verb and leaves the rest to it. Exit codes: cli/outcome.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "sluice_config.h"

struct verb {
    const char *name;
    int (*run)(int argument_count, char **arguments);
    const char *help;
};

static const struct verb VERBS[] = {
    {"serve", verb_serve, "run the server"},
    {"ping", verb_ping, "ask a server for a sign of life"},
    {"push", verb_push, "append events to a store"},
    {"pull", verb_pull, "write a store's events"},
    {"tail", verb_tail, "follow a store"},
    {"head", verb_head, "print the number of a store's last event"},
    {"bench", verb_bench, "load a server and measure it"},
};

#define VERB_COUNT (sizeof(VERBS) / sizeof(VERBS[0]))

static void print_help(FILE *out)
{
    (void)fprintf(out,
                  "sluice %s: a self-hosted sync backend for LiveStore, and its client\n\n"
                  "usage: sluice VERB [FLAGS]\n\nverbs:\n",
                  SLUICE_VERSION);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        (void)fprintf(out, "  %-8s %s\n", VERBS[i].name, VERBS[i].help);
    }
    (void)fprintf(out, "\n  --help     this text; after a verb, what it takes\n"
                       "  --version  the version\n");
}

/* A standard descriptor that whoever started us has closed would go to the first file or socket
 * that is opened, and what is printed or logged into that. */
static void fill_standard_descriptors(void)
{
    int file = STDIN_FILENO;
    while (file >= 0 && file <= STDERR_FILENO) {
        file = open("/dev/null", O_RDWR);
    }
    if (file > STDERR_FILENO) {
        (void)close(file);
    }
}

int main(int argument_count, char **arguments)
{
    fill_standard_descriptors();
    const char *name = argument_count > 1 ? arguments[1] : "";
    if (strcmp(name, "--version") == 0) {
        (void)printf("sluice %s\n", SLUICE_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(name, VERBS[i].name) == 0) {
            return VERBS[i].run(argument_count - 2, arguments + 2);
        }
    }
    if (name[0] != '\0') {
        (void)fprintf(stderr, "sluice: unknown verb '%s'\n\n", name);
    }
    print_help(stderr);
    return 2;
}
