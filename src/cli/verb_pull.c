/* verb_pull: `sluice pull`: the events of a store, as lines. */
#include "cli/pulling.h"
#include "cli/verbs.h"

int verb_pull(int argument_count, char **arguments)
{
    uint64_t since = 0;
    uint64_t format = EVENT_FORMAT_JSON;
    bool live = false;
    const struct flag flags[] = {
        {"since", FLAG_COUNT, &since, SLUICE_SEQ_NUM_MAX, NULL, "N",
         "only the events after this sequence number (0)"},
        {"live", FLAG_SWITCH, &live, 0, NULL, NULL, "go on with what comes, until Ctrl-C"},
        {"format", FLAG_CHOICE, &format, 0, EVENT_FORMATS, "FORMAT",
         "json (a line of JSON for each event) or table"},
    };
    const struct client_verb verb = {
        .name = "pull",
        .arguments = "URL STORE",
        .text = "Writes the events of a store to standard output, in order, each once.",
        .flags = flags,
        .flag_count = sizeof(flags) / sizeof(flags[0]),
        .argument_min = 2,
        .argument_max = 2,
    };
    struct client_session session;
    struct pulled pulled;
    int code = OUTCOME_DONE;
    if (client_session_read(&session, &verb, argument_count, arguments, &code) &&
        client_session_start(&session, live, &code)) {
        const struct pulling_options options = {
            .since_seq_num = since, .live = live, .format = (enum event_format)format};
        code = pulling_run(&session, &options, &pulled);
        client_session_close(&session);
    }
    return code;
}
