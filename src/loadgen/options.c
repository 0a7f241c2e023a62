/* options: what `sluice bench` can be told. One table says all of it. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "loadgen/loadgen.h"
#include "loadgen/text.h"

struct option {
    const char *flag;
    bool is_switch; /* takes no value */
    size_t offset;
    uint64_t fallback;
    uint64_t minimum;
    uint64_t maximum;
    const char *help;
};

#define FIELD(name) offsetof(struct load_options, name)

static const struct option OPTIONS[] = {
    {"clients", false, FIELD(clients), 1, 1, 100000, "connections, each a client"},
    {"stores", false, FIELD(stores), 1, 1, LOAD_STORES_MAX, "client i uses store i % stores"},
    {"batch", false, FIELD(batch), 1, 1, BATCH_EVENTS_MAX, "events in a push"},
    {"event-bytes", false, FIELD(event_bytes), 250, 1, 1u << 20, "JSON text of an event"},
    {"inflight", false, FIELD(inflight), 0, 0, 100000,
     "pushes under way in all; 0: push: one for each client, fanout: one"},
    {"events", false, FIELD(events), 0, 0, 1000000000,
     "push: each client ends after so many events; 0: by time"},
    {"head", false, FIELD(head), 0, 0, 9999999999, "the stores' head, as a run before printed it"},
    {"pulls", false, FIELD(pulls), 1, 1, 1000000, "pull: pulls by each client, one by one"},
    {"cursor", false, FIELD(cursor), 0, 0, 9999999999, "pull: from after this event"},
    {"as-acked", true, FIELD(as_acked), 0, 0, 1,
     "fanout: push again when acknowledged, not when delivered"},
    {"rate", false, FIELD(rate), 0, 0, 1000, "fanout: pushes a second at most; 0: no limit"},
    {"warmup-ms", false, FIELD(warmup_ms), 500, 0, 600000, "work before the measurement"},
    {"seconds", false, FIELD(seconds), 3, 1, 86400, "length of the measurement"},
    {"http", true, FIELD(http), 0, 0, 1, "requests by HTTP, not WebSocket (push and pull)"},
    {"pid", false, FIELD(pid), 0, 0, UINT32_MAX, "the server's process, to measure it too"},
    {"json", true, FIELD(json), 0, 0, 1, "print one line of JSON"},
};

#define OPTION_COUNT (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

static const char *const WORKS[] = {
    [LOAD_PUSH] = "push", [LOAD_PULL] = "pull", [LOAD_FANOUT] = "fanout", [LOAD_IDLE] = "idle"};

#define WORK_COUNT (sizeof(WORKS) / sizeof(WORKS[0]))

void load_options_print_help(FILE *out)
{
    (void)fprintf(out, "usage: sluice bench URL WORK [FLAGS]\n\n"
                       "URL: http://HOST:PORT or https://HOST:PORT, any sync-cf server\n\n"
                       "WORK:\n"
                       "  push    every client pushes batch after batch\n"
                       "  pull    every client pulls its store's log\n"
                       "  fanout  every client is a live pull, and one more pushes\n"
                       "  idle    every client is a live pull, and nothing happens\n\n"
                       "FLAGS:\n"
                       "  --store NAME         stores are NAME-00000 and on (bench)\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char flag[64];
        (void)snprintf(flag, sizeof(flag), "%s%s", OPTIONS[i].flag,
                       OPTIONS[i].is_switch ? "" : " N");
        (void)fprintf(out, "  --%-18s %s", flag, OPTIONS[i].help);
        if (!OPTIONS[i].is_switch && OPTIONS[i].fallback > 0) {
            (void)fprintf(out, " (%llu)", (unsigned long long)OPTIONS[i].fallback);
        }
        (void)fprintf(out, "\n");
    }
}

static enum sluice_status read_url(char *url, struct load_options *out, struct sluice_error *error)
{
    static const struct {
        const char *scheme;
        bool tls;
    } SCHEMES[] = {{"http://", false}, {"ws://", false}, {"https://", true}, {"wss://", true}};
    for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]); i++) {
        size_t bytes = strlen(SCHEMES[i].scheme);
        if (strncmp(url, SCHEMES[i].scheme, bytes) != 0) {
            continue;
        }
        char *colon = strrchr(url + bytes, ':');
        if (colon != NULL && colon != url + bytes) {
            *colon = '\0';
            out->tls = SCHEMES[i].tls;
            out->host = url + bytes;
            out->port = colon + 1;
            return SLUICE_OK;
        }
    }
    return error_set(error, SLUICE_CONFIG, "%.100s is no URL of a server: http://HOST:PORT", url);
}

static enum sluice_status read_work(const char *name, struct load_options *out,
                                    struct sluice_error *error)
{
    for (unsigned i = 0; i < WORK_COUNT; i++) {
        if (strcmp(name, WORKS[i]) == 0) {
            out->work = (enum load_work)i;
            return SLUICE_OK;
        }
    }
    return error_set(error, SLUICE_CONFIG, "%.100s is no work: push, pull, fanout or idle", name);
}

/* The table's entry for a flag; NULL: there is none. */
static const struct option *find(const char *argument)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, OPTIONS[i].flag) == 0) {
            return &OPTIONS[i];
        }
    }
    return NULL;
}

static enum sluice_status read_value(const struct option *option, const char *text,
                                     struct load_options *out, struct sluice_error *error)
{
    unsigned long long number = 1;
    bool ok = option->is_switch || (text != NULL && slice_to_u64(slice_of_string(text), &number) &&
                                    number >= option->minimum && number <= option->maximum);
    if (!ok) {
        return error_set(error, SLUICE_CONFIG, "--%s takes a number from %llu to %llu",
                         option->flag, (unsigned long long)option->minimum,
                         (unsigned long long)option->maximum);
    }
    uint64_t value = number;
    memcpy((char *)out + option->offset, &value, sizeof(value));
    return SLUICE_OK;
}

/* What the numbers must be to each other. */
static enum sluice_status check(const struct load_options *options, struct sluice_error *error)
{
    bool live = options->work == LOAD_FANOUT || options->work == LOAD_IDLE;
    if (live && options->http != 0) {
        return error_set(error, SLUICE_CONFIG, "--http has no live pulls");
    }
    if (options->work == LOAD_FANOUT && (options->stores != 1 || options->head != 0)) {
        return error_set(error, SLUICE_CONFIG, "fanout is on one store, which is empty at first");
    }
    if (options->work == LOAD_PUSH && options->clients > options->stores) {
        return error_set(error, SLUICE_CONFIG,
                         "push wants a store for each client (--stores): a store takes the pushes "
                         "of one, and refuses the others'");
    }
    if (options->events % options->batch != 0) {
        return error_set(error, SLUICE_CONFIG, "--events must be a multiple of --batch");
    }
    return SLUICE_OK;
}

enum sluice_status load_options_read(int argument_count, char **arguments, struct load_options *out,
                                     struct sluice_error *error)
{
    struct load_options options = {.store = "bench"};
    if (argument_count < 2) {
        return error_set(error, SLUICE_CONFIG, "wants a URL and a work (see --help)");
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        memcpy((char *)&options + OPTIONS[i].offset, &OPTIONS[i].fallback, sizeof(uint64_t));
    }
    enum sluice_status status = read_url(arguments[0], &options, error);
    if (status == SLUICE_OK) {
        status = read_work(arguments[1], &options, error);
    }
    for (int i = 2; i < argument_count && status == SLUICE_OK; i++) {
        const char *value = i + 1 < argument_count ? arguments[i + 1] : NULL;
        const struct option *option = find(arguments[i]);
        if (strcmp(arguments[i], "--store") == 0 && value != NULL) {
            options.store = value;
            i++;
        } else if (option == NULL) {
            status = error_set(error, SLUICE_CONFIG, "there is no flag %.100s", arguments[i]);
        } else {
            status = read_value(option, value, &options, error);
            i += option->is_switch ? 0 : 1;
        }
    }
    if (status == SLUICE_OK) {
        status = check(&options, error);
    }
    if (status == SLUICE_OK) {
        *out = options;
    }
    return status;
}
