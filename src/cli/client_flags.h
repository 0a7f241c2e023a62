/* client_flags: the command line of the verbs that speak to a server: URL, STORE, and the flags
 * that all of them have. */
#ifndef SLUICE_CLIENT_FLAGS_H
#define SLUICE_CLIENT_FLAGS_H

#include "base/buffer.h"
#include "cli/flags.h"
#include "sluice/client.h"

/* What is a verb's own. */
struct client_verb {
    const char *name;
    const char *arguments; /* as the usage line has them: "URL STORE [FILE|-]" */
    const char *text;      /* what it does, for --help */
    const struct flag *flags;
    size_t flag_count;
    size_t argument_min; /* of URL, STORE, FILE */
    size_t argument_max;
};

struct client_flags {
    const char *arguments[3]; /* URL, STORE, FILE; NULL where absent */
    const char *payload;
    struct flag_texts headers;
    uint64_t transport; /* enum sluice_transport */
    const char *ca_path;
    bool insecure;
    uint64_t timeout_ms;
    const char *state_path;

    /* What came of it, for sluice_client_create. Borrows from here and from argv. */
    struct sluice_client_options options;
    struct sluice_header header_list[FLAG_TEXTS_MAX];
    struct buffer files; /* what the @FILEs hold, NUL-terminated one after the other */
};

/* Reads the words after the verb. False: there is nothing more to do, `*exit_code` says how it
 * ended (help was asked for, or something is wrong, and was said). */
bool client_flags_read(struct client_flags *flags, const struct client_verb *verb, int count,
                       char **words, int *exit_code);
void client_flags_deinit(struct client_flags *flags);

#endif
