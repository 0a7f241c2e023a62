/* client_flags: see client_flags.h. Main thread, before anything else runs. */
#include "cli/client_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/outcome.h"

#define FILE_BYTES_MAX (64u << 10)
#define HEADER_BYTES_MAX (8u << 10)
#define DAY_MS 86400000ull
#define TIMEOUT_MS 30000u

static enum sluice_status read_file(const char *path, struct buffer *out,
                                    struct sluice_error *error)
{
    size_t start = out->bytes;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0) {
        char *room = out->bytes - start <= FILE_BYTES_MAX ? buffer_reserve(out, 4096) : NULL;
        if (room == NULL) {
            (void)close(fd);
            return error_set(error, SLUICE_CONFIG,
                             "%.100s is too large: --payload and --header take %u bytes", path,
                             FILE_BYTES_MAX);
        }
        got = read(fd, room, 4096);
        buffer_commit(out, got > 0 ? (size_t)got : 0);
    }
    int why = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return got == 0
               ? SLUICE_OK
               : error_set(error, SLUICE_CONFIG, "cannot read %.100s: %s", path, strerror(why));
}

/* Whether all that was put into `files` found room. */
static enum sluice_status check_room(const struct client_flags *flags, struct sluice_error *error)
{
    return buffer_status(&flags->files) == SLUICE_OK
               ? SLUICE_OK
               : error_set(error, SLUICE_CONFIG,
                           "--payload and --header are too long: all of them take %zu bytes",
                           flags->files.bytes_max);
}

/* A flag's value, or, for "@FILE", what the file holds without the line break at its end, so that
 * secrets need not stand on command lines, which everybody on the machine can read. */
static enum sluice_status load(const char **value, struct client_flags *flags,
                               struct sluice_error *error)
{
    if (*value == NULL || (*value)[0] != '@') {
        return SLUICE_OK;
    }
    size_t start = flags->files.bytes;
    enum sluice_status status = read_file(*value + 1, &flags->files, error);
    if (status != SLUICE_OK) {
        return status;
    }
    while (flags->files.bytes > start &&
           strchr("\r\n", flags->files.data[flags->files.bytes - 1]) != NULL) {
        buffer_truncate(&flags->files, flags->files.bytes - 1);
    }
    buffer_append_byte(&flags->files, '\0');
    *value = flags->files.data + start;
    return check_room(flags, error);
}

/* "Name: value" in two; the name is copied, since it needs a NUL where the colon is. */
static enum sluice_status split_header(struct client_flags *flags, size_t index,
                                       struct sluice_error *error)
{
    const char *text = flags->headers.items[index];
    size_t bytes = strcspn(text, ":");
    if (bytes == 0 || text[bytes] != ':') {
        return error_set(error, SLUICE_CONFIG, "--header takes 'Name: value'; there is no colon");
    }
    const char *value = text + bytes + 1;
    size_t start = flags->files.bytes;
    buffer_append(&flags->files, text, bytes);
    buffer_append_byte(&flags->files, '\0');
    flags->header_list[index] = (struct sluice_header){
        .name = flags->files.data + start,
        .value = value + strspn(value, " \t"),
    };
    return check_room(flags, error);
}

static enum sluice_status resolve(struct client_flags *flags, struct sluice_error *error)
{
    /* One allocation, so that pointers into it stay. */
    if (buffer_reserve(&flags->files, flags->files.bytes_max) == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory");
    }
    enum sluice_status status = load(&flags->payload, flags, error);
    for (size_t i = 0; i < flags->headers.count && status == SLUICE_OK; i++) {
        status = load(&flags->headers.items[i], flags, error);
        if (status == SLUICE_OK) {
            status = split_header(flags, i, error);
        }
    }
    if (status != SLUICE_OK) {
        return status;
    }
    struct sluice_client_options *options = &flags->options;
    sluice_client_options_init(options);
    options->url = flags->arguments[0];
    options->store_id = flags->arguments[1];
    options->payload_json = flags->payload;
    options->headers = flags->header_list;
    options->header_count = flags->headers.count;
    options->transport = (enum sluice_transport)flags->transport;
    options->tls_ca_path = flags->ca_path;
    options->tls_insecure = flags->insecure;
    options->state_path = flags->state_path;
    options->operation_timeout_ms = flags->timeout_ms;
    if (options->connect_timeout_ms > flags->timeout_ms) {
        options->connect_timeout_ms = flags->timeout_ms;
    }
    return SLUICE_OK;
}

static void print_help(const struct client_verb *verb, const struct flags *flags)
{
    (void)printf("usage: sluice %s %s [FLAGS]\n\n%s\n\nflags:\n", verb->name, verb->arguments,
                 verb->text);
    flags_print_help(flags, stdout);
    (void)printf("\nA VALUE may be @FILE in --payload and --header: then it is read from there.\n"
                 "Exit codes: 0 done, 1 failed, 2 asked wrongly, 3 offline, 4 unauthorized,\n"
                 "5 server ahead, 6 another backend id, 130 interrupted. More: man sluice\n");
}

bool client_flags_read(struct client_flags *flags, const struct client_verb *verb, int count,
                       char **words, int *exit_code)
{
    *flags = (struct client_flags){.timeout_ms = TIMEOUT_MS};
    buffer_init(&flags->files, 2 * FILE_BYTES_MAX + FLAG_TEXTS_MAX * HEADER_BYTES_MAX);
    const struct flag common[] = {
        {"payload", FLAG_TEXT, &flags->payload, 0, NULL, "JSON", "for the server's authentication"},
        {"header", FLAG_TEXTS, &flags->headers, 0, NULL, "'NAME: VALUE'",
         "a header for every request; again for more"},
        {"transport", FLAG_CHOICE, &flags->transport, 0, "auto ws http", "KIND",
         "auto (by the URL), ws or http"},
        {"ca", FLAG_TEXT, &flags->ca_path, 0, NULL, "FILE",
         "certificates (PEM) to trust instead of the system's"},
        {"insecure", FLAG_SWITCH, &flags->insecure, 0, NULL, NULL,
         "accept any certificate; for tests only"},
        {"timeout", FLAG_DURATION, &flags->timeout_ms, DAY_MS, NULL, "TIME",
         "how long to try without a connection (30s)"},
        {"state", FLAG_TEXT, &flags->state_path, 0, NULL, "FILE",
         "remembers the backend id: another log is found out"},
    };
    const struct flags all = {
        .tables = {verb->flags, common},
        .counts = {verb->flag_count, sizeof(common) / sizeof(common[0])},
        .arguments = flags->arguments,
        .argument_min = verb->argument_min,
        .argument_max = verb->argument_max,
    };
    struct sluice_error error = {0};
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "--help") == 0) {
            print_help(verb, &all);
            *exit_code = OUTCOME_DONE;
            return false;
        }
    }
    if (flags_read(&all, count, words, &error) == SLUICE_OK &&
        resolve(flags, &error) == SLUICE_OK) {
        return true;
    }
    client_flags_deinit(flags);
    *exit_code = outcome_of_error(verb->name, &error);
    if (*exit_code == OUTCOME_USAGE) {
        (void)fprintf(stderr, "usage: sluice %s %s [FLAGS]; see sluice %s --help\n", verb->name,
                      verb->arguments, verb->name);
    }
    return false;
}

void client_flags_deinit(struct client_flags *flags)
{
    buffer_deinit(&flags->files);
}
