/* verb_head: `sluice head`: the sequence number of a store's last event. */
#include <stdio.h>

#include "cli/pulling.h"
#include "cli/verbs.h"

int verb_head(int argument_count, char **arguments)
{
    uint64_t since = 0;
    const struct flag flags[] = {
        {"since", FLAG_COUNT, &since, SLUICE_SEQ_NUM_MAX, NULL, "N",
         "look only after this event, which the store has (0)"},
    };
    const struct client_verb verb = {
        .name = "head",
        .arguments = "URL STORE",
        .text =
            "Prints the sequence number of a store's last event; 0 when it has none. The protocol\n"
            "tells it at the end of a pull, so a long log takes as long as pulling it.",
        .flags = flags,
        .flag_count = sizeof(flags) / sizeof(flags[0]),
        .argument_min = 2,
        .argument_max = 2,
    };
    struct client_session session;
    struct pulled pulled;
    int code = OUTCOME_DONE;
    if (client_session_read(&session, &verb, argument_count, arguments, &code) &&
        client_session_start(&session, false, &code)) {
        const struct pulling_options options = {.since_seq_num = since, .is_silent = true};
        code = pulling_run(&session, &options, &pulled);
        client_session_close(&session);
        if (code == OUTCOME_DONE) {
            char answer[32];
            (void)snprintf(answer, sizeof(answer), "%llu\n",
                           (unsigned long long)pulled.head_seq_num);
            code = outcome_print(verb.name, answer);
        }
    }
    return code;
}
