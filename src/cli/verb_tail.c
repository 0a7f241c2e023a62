/* verb_tail: `sluice tail`: the last events of a store, and those that come. */
#include "cli/pulling.h"
#include "cli/verbs.h"

#define LINES_MAX 10000u

int verb_tail(int argument_count, char **arguments)
{
    uint64_t since = 0;
    uint64_t lines = 10;
    uint64_t format = EVENT_FORMAT_JSON;
    const struct flag flags[] = {
        {"lines", FLAG_COUNT, &lines, LINES_MAX, NULL, "N",
         "begin with the last N events of those there are (10)"},
        {"since", FLAG_COUNT, &since, SLUICE_SEQ_NUM_MAX, NULL, "N",
         "pass over the log up to this sequence number"},
        {"format", FLAG_CHOICE, &format, 0, EVENT_FORMATS, "FORMAT",
         "json (a line of JSON for each event) or table"},
    };
    const struct client_verb verb = {
        .name = "tail",
        .arguments = "URL STORE",
        .text =
            "Writes the last events of a store to standard output, and then each one that comes,\n"
            "until Ctrl-C. Goes on by itself when the connection is lost or the server restarts.",
        .flags = flags,
        .flag_count = sizeof(flags) / sizeof(flags[0]),
        .argument_min = 2,
        .argument_max = 2,
    };
    struct client_session session;
    struct pulled pulled;
    int code = OUTCOME_DONE;
    if (client_session_read(&session, &verb, argument_count, arguments, &code) &&
        client_session_start(&session, true, &code)) {
        const struct pulling_options options = {.since_seq_num = since,
                                                .live = true,
                                                .format = (enum event_format)format,
                                                .only_last = true,
                                                .last_count = lines};
        code = pulling_run(&session, &options, &pulled);
        client_session_close(&session);
    }
    return code;
}
