/* options: see options.h. Main thread, before anything else runs. */
#include "server/options.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/quantity.h"
#include "base/slice.h"

enum kind { TEXT, COUNT, BYTES, DURATION, CHOICE };

struct option {
    const char *flag;
    enum kind kind;
    size_t offset;
    const char *fallback; /* the default, written as a user would */
    uint64_t minimum;     /* COUNT; BYTES in bytes; DURATION in ms */
    uint64_t maximum;
    const char *choices; /* CHOICE: "text json", by index */
    const char *help;
};

#define FIELD(name) offsetof(struct server_options, name)
#define HOUR_MS 3600000ull

static const struct option OPTIONS[] = {
    {"listen", TEXT, FIELD(listen), "127.0.0.1:8787", 0, 0, NULL,
     "address and port to listen on; port 0 takes any free one"},
    {"data", TEXT, FIELD(data), "./data", 0, 0, NULL,
     "directory of the data, made when missing; :memory: keeps nothing"},
    {"sync-cf", CHOICE, FIELD(sync_cf), "on", 0, 0, "off on",
     "apps written for @livestore/sync-cf, told by their parameters on any path"},
    {"s2-path", TEXT, FIELD(s2_path), "/s2", 0, 0, NULL,
     "path for apps written for @livestore/sync-s2; off: not served"},
    {"electric-path", TEXT, FIELD(electric_path), "/electric", 0, 0, NULL,
     "path for apps written for @livestore/sync-electric; off: not served"},
    {"tls-cert", TEXT, FIELD(tls_cert), NULL, 0, 0, NULL,
     "certificate chain (PEM); serves https and wss"},
    {"tls-key", TEXT, FIELD(tls_key), NULL, 0, 0, NULL, "its private key (PEM)"},
    {"log-format", CHOICE, FIELD(log_format), "text", 0, 0, "text json", "how log lines look"},
    {"log-level", CHOICE, FIELD(log_level), "info", 0, 0, "debug info warn error",
     "the least that is logged"},
    {"connections-max", COUNT, FIELD(connections_max), "10000", 1, 10000000, NULL,
     "connections at a time"},
    {"pulls-per-connection-max", COUNT, FIELD(pulls_per_connection_max), "16", 1, 1000, NULL,
     "pulls at a time on one WebSocket"},
    {"message-bytes-max", BYTES, FIELD(message_bytes_max), "16M", 1024, 1ull << 30, NULL,
     "size of one WebSocket message or HTTP body"},
    {"event-bytes-max", BYTES, FIELD(event_bytes_max), "1M", 64, 1ull << 29, NULL,
     "size of one event: args, name and ids"},
    {"inflight-bytes-max", BYTES, FIELD(inflight_bytes_max), "256M", 1024, 1ull << 40, NULL,
     "messages being received or worked on, over all connections"},
    {"reader-threads", COUNT, FIELD(reader_threads), "2", 1, 64, NULL,
     "threads that read pages for pulls"},
    {"silent-connection-timeout", DURATION, FIELD(silent_connection_timeout_ms), "30s", 0, HOUR_MS,
     NULL, "a WebSocket without a Pull for this long is closed, so that it pulls again; 0: never"},
    {"head-timeout", DURATION, FIELD(head_timeout_ms), "10s", 1, HOUR_MS, NULL,
     "time for a request's head to arrive"},
    {"body-timeout", DURATION, FIELD(body_timeout_ms), "60s", 1, HOUR_MS, NULL,
     "time for a request's body to arrive"},
    {"idle-timeout", DURATION, FIELD(idle_timeout_ms), "75s", 1, HOUR_MS, NULL,
     "an HTTP connection without a request is closed after this"},
    {"stall-timeout", DURATION, FIELD(stall_timeout_ms), "60s", 1, HOUR_MS, NULL,
     "a peer that stops reading or acknowledging is cut after this"},
    {"ping-interval", DURATION, FIELD(ping_interval_ms), "30s", 1, HOUR_MS, NULL,
     "a silent WebSocket is pinged after this, and cut after three times this"},
    {"long-poll-timeout", DURATION, FIELD(long_poll_timeout_ms), "20s", 1, HOUR_MS, NULL,
     "how long a live Electric pull waits for an event"},
    {"event-stream-ping-interval", DURATION, FIELD(event_stream_ping_interval_ms), "15s", 1,
     HOUR_MS, NULL, "a silent S2 event stream gets a ping after this"},
    {"drain-timeout", DURATION, FIELD(drain_timeout_ms), "8s", 1, HOUR_MS, NULL,
     "time that SIGTERM leaves for answers under way"},
};

#define OPTION_COUNT (sizeof(OPTIONS) / sizeof(OPTIONS[0]))
#define VARIABLE_BYTES 64u

/* "log-format" → "SLUICE_LOG_FORMAT" */
static void variable_name(const struct option *option, char out[VARIABLE_BYTES])
{
    (void)snprintf(out, VARIABLE_BYTES, "SLUICE_%s", option->flag);
    for (char *at = out; *at != '\0'; at++) {
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    }
}

static bool parse(const struct option *option, const char *text, uint64_t *out)
{
    unsigned long long count = 0;
    bool ok = false;
    switch (option->kind) {
    case TEXT:
        return true;
    case CHOICE:
        return quantity_read_choice(text, option->choices, out);
    case COUNT:
        ok = slice_to_u64(slice_of_string(text), &count);
        *out = count;
        break;
    case BYTES:
        ok = quantity_read_bytes(text, out);
        break;
    case DURATION:
        ok = quantity_read_duration_ms(text, out);
        break;
    }
    return ok && *out >= option->minimum && *out <= option->maximum;
}

static const char *takes(const struct option *option)
{
    switch (option->kind) {
    case TEXT:
        return "a text";
    case COUNT:
        return "a number";
    case BYTES:
        return "a number of bytes, such as 65536, 64K, 16M or 1G";
    case DURATION:
        return "a duration, such as 500ms, 30s or 5m";
    case CHOICE:
        return "one of";
    }
    return "";
}

static enum sluice_status set(struct server_options *options, const struct option *option,
                              const char *source, const char *text, struct sluice_error *error)
{
    char *field = (char *)options + option->offset;
    uint64_t value = 0;
    if (option->kind == TEXT) {
        if (text[0] == '\0') {
            return error_set(error, SLUICE_CONFIG, "%s is empty", source);
        }
        memcpy(field, &text, sizeof(text));
        return SLUICE_OK;
    }
    if (!parse(option, text, &value)) {
        if (option->kind == CHOICE) {
            return error_set(error, SLUICE_CONFIG, "%s is '%s'; it takes one of: %s", source, text,
                             option->choices);
        }
        return error_set(error, SLUICE_CONFIG, "%s is '%s'; it takes %s, from %llu to %llu%s",
                         source, text, takes(option), (unsigned long long)option->minimum,
                         (unsigned long long)option->maximum,
                         option->kind == DURATION ? " ms" : "");
    }
    memcpy(field, &value, sizeof(value));
    return SLUICE_OK;
}

static enum sluice_status read_environment(struct server_options *options,
                                           struct sluice_error *error)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char name[VARIABLE_BYTES];
        variable_name(&OPTIONS[i], name);
        const char *text = getenv(name);
        const char *source = text != NULL ? name : OPTIONS[i].flag;
        text = text != NULL ? text : OPTIONS[i].fallback;
        if (text != NULL) {
            enum sluice_status status = set(options, &OPTIONS[i], source, text, error);
            if (status != SLUICE_OK) {
                return status;
            }
        }
    }
    return SLUICE_OK;
}

static const struct option *find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(OPTIONS[i].flag) == bytes && memcmp(OPTIONS[i].flag, name, bytes) == 0) {
            return &OPTIONS[i];
        }
    }
    return NULL;
}

static enum sluice_status read_arguments(int count, char **arguments,
                                         struct server_options *options, struct sluice_error *error)
{
    for (int i = 0; i < count; i++) {
        const char *argument = arguments[i];
        if (strncmp(argument, "--", 2) != 0) {
            return error_set(error, SLUICE_CONFIG,
                             "unexpected argument '%s'; see sluice serve --help", argument);
        }
        size_t bytes = strcspn(argument + 2, "=");
        const struct option *option = find(argument + 2, bytes);
        if (option == NULL) {
            return error_set(error, SLUICE_CONFIG, "unknown flag '%s'; see sluice serve --help",
                             argument);
        }
        const char *text = argument[2 + bytes] == '=' ? argument + 2 + bytes + 1 : NULL;
        if (text == NULL && i + 1 < count) {
            text = arguments[++i];
        }
        if (text == NULL) {
            return error_set(error, SLUICE_CONFIG, "%s needs a value: %s%s%s", argument,
                             takes(option), option->kind == CHOICE ? ": " : "",
                             option->kind == CHOICE ? option->choices : "");
        }
        char source[VARIABLE_BYTES];
        (void)snprintf(source, sizeof(source), "--%s", option->flag);
        enum sluice_status status = set(options, option, source, text, error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

static enum sluice_status check_path(const char *flag, const char *path, struct sluice_error *error)
{
    if (strcmp(path, "off") == 0 || (path[0] == '/' && strpbrk(path, "?# ") == NULL)) {
        return SLUICE_OK;
    }
    return error_set(error, SLUICE_CONFIG, "%s is '%s'; it takes a path, such as /sync, or off",
                     flag, path);
}

enum sluice_status server_options_read(int argument_count, char **arguments,
                                       struct server_options *out, struct sluice_error *error)
{
    struct server_options options = {0};
    enum sluice_status status = read_environment(&options, error);
    if (status == SLUICE_OK) {
        status = read_arguments(argument_count, arguments, &options, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if ((options.tls_cert == NULL) != (options.tls_key == NULL)) {
        return error_set(error, SLUICE_CONFIG, "--tls-cert and --tls-key go together");
    }
    status = check_path("--s2-path", options.s2_path, error);
    if (status == SLUICE_OK) {
        status = check_path("--electric-path", options.electric_path, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (options.s2_path[0] == '/' && strcmp(options.s2_path, options.electric_path) == 0) {
        return error_set(error, SLUICE_CONFIG, "--s2-path and --electric-path are both %s",
                         options.s2_path);
    }
    if (options.event_bytes_max > options.message_bytes_max) {
        return error_set(error, SLUICE_CONFIG,
                         "--event-bytes-max %llu is more than --message-bytes-max %llu: such an "
                         "event could not be pushed",
                         (unsigned long long)options.event_bytes_max,
                         (unsigned long long)options.message_bytes_max);
    }
    if (options.message_bytes_max > options.inflight_bytes_max) {
        return error_set(error, SLUICE_CONFIG,
                         "--message-bytes-max %llu is more than --inflight-bytes-max %llu: such a "
                         "message could not be received",
                         (unsigned long long)options.message_bytes_max,
                         (unsigned long long)options.inflight_bytes_max);
    }
    *out = options;
    return SLUICE_OK;
}

void server_options_print_help(FILE *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char name[VARIABLE_BYTES];
        variable_name(&OPTIONS[i], name);
        (void)fprintf(out, "  --%-26s %s", OPTIONS[i].flag, OPTIONS[i].help);
        if (OPTIONS[i].choices != NULL) {
            (void)fprintf(out, ": %s", OPTIONS[i].choices);
        }
        (void)fprintf(out, "\n    %-26s ", name);
        (void)fprintf(out, "%s%s\n", OPTIONS[i].fallback != NULL ? "default " : "no default",
                      OPTIONS[i].fallback != NULL ? OPTIONS[i].fallback : "");
    }
}
