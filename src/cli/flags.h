/* flags: what a verb is told on its command line: flags from a table, and arguments without a name.
 *
 * A flag is written `--name VALUE` or `--name=VALUE`; a switch has no value. `--` ends the flags.
 * The outputs borrow from argv. */
#ifndef SLUICE_CLI_FLAGS_H
#define SLUICE_CLI_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum flag_kind {
    FLAG_SWITCH,   /* bool */
    FLAG_TEXT,     /* const char *; not empty */
    FLAG_TEXTS,    /* struct flag_texts; may be given again and again */
    FLAG_COUNT,    /* uint64_t, up to `maximum` */
    FLAG_DURATION, /* uint64_t, in ms, 1 to `maximum` */
    FLAG_CHOICE,   /* uint64_t: the place in `choices` */
};

#define FLAG_TEXTS_MAX 32u

struct flag_texts {
    const char *items[FLAG_TEXTS_MAX];
    size_t count;
};

struct flag {
    const char *name; /* without the dashes */
    enum flag_kind kind;
    void *out; /* what it says, as the kind tells; holds the default before */
    uint64_t maximum;
    const char *choices; /* separated by spaces */
    const char *value;   /* what the value is called in the help */
    const char *help;
};

/* A verb's arguments: the flags of two tables, and `argument_max` others. */
struct flags {
    const struct flag *tables[2];
    size_t counts[2];
    const char **arguments; /* filled, argument_max of them at most; the rest stays */
    size_t argument_min;
    size_t argument_max;
};

/* CONFIG: the message names the flag, what it was given and what it takes. */
enum sluice_status flags_read(const struct flags *flags, int count, char **words,
                              struct sluice_error *error) SLUICE_MUST_CHECK;

/* A line or more for each flag. */
void flags_print_help(const struct flags *flags, FILE *out);

#endif
