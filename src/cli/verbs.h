/* verbs: what `sluice` can be told to do, one file each. Each takes the arguments after the verb
 * and returns the process's exit code. */
#ifndef SLUICE_CLI_VERBS_H
#define SLUICE_CLI_VERBS_H

int verb_serve(int argument_count, char **arguments);
int verb_ping(int argument_count, char **arguments);
int verb_push(int argument_count, char **arguments);
int verb_pull(int argument_count, char **arguments);
int verb_tail(int argument_count, char **arguments);
int verb_head(int argument_count, char **arguments);
int verb_bench(int argument_count, char **arguments);

#endif
