/* driver: a program on libsluice that does what its standard input says and writes what it is told
 * on its standard output, a line of JSON each. So tests in another language can hold a client in
 * their hands.
 *
 *     driver URL STORE [OPTION=VALUE …]
 *
 * Options are those of sluice_client_options, by their names. Commands, one a line:
 *     connect
 *     ping
 *     connected                             asks sluice_client_is_connected
 *     pull ID CURSOR live|once              ID is a digit
 *     cancel ID
 *     push FIRST COUNT PARENT BYTES         events FIRST…, with args of about so many bytes
 *     commit CLIENT NAME ARGS               into the outbox
 *     status                                of the outbox
 * The end of the input closes the client. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/sluice.h"

#define PULLS_MAX 10
#define LINE_BYTES_MAX (1u << 20)

static struct sluice_client *client;
static struct sluice_pull *pulls[PULLS_MAX];
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER; /* a line at a time; and `pulls` */
static int pull_ids[PULLS_MAX];

/* ---- lines ---- */

static void put_text(const char *data, size_t bytes)
{
    putchar('"');
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte == '"' || byte == '\\') {
            putchar('\\');
            putchar(byte);
        } else if (byte < 0x20) {
            printf("\\u%04x", byte);
        } else {
            putchar(byte);
        }
    }
    putchar('"');
}

static void put_failure(const struct sluice_failure *failure)
{
    printf("\"status\":\"%s\"", failure == NULL ? "OK" : sluice_status_name(failure->error.status));
    if (failure == NULL) {
        return;
    }
    printf(",\"message\":");
    put_text(failure->error.message, strlen(failure->error.message));
    printf(",\"minimumExpected\":%" PRIu64 ",\"provided\":%" PRIu64 ",\"httpStatus\":%d",
           failure->minimum_expected_seq_num, failure->provided_seq_num, failure->http_status);
    printf(",\"retryAfterMs\":%" PRIu64 ",\"expectedId\":", failure->retry_after_ms);
    put_text(failure->expected_backend_id, strlen(failure->expected_backend_id));
    printf(",\"receivedId\":");
    put_text(failure->received_backend_id, strlen(failure->received_backend_id));
}

static void begin(const char *what)
{
    pthread_mutex_lock(&output);
    printf("{\"what\":\"%s\",", what);
}

static void end(void)
{
    printf("}\n");
    fflush(stdout);
    pthread_mutex_unlock(&output);
}

static void put_result(const char *what, const struct sluice_failure *failure)
{
    begin(what);
    put_failure(failure);
    end();
}

static void put_status(const char *what, enum sluice_status status,
                       const struct sluice_error *error)
{
    struct sluice_failure failure = {.error = *error};
    put_result(what, status == SLUICE_OK ? NULL : &failure);
}

static void put_events(const struct sluice_page *page, size_t own_count)
{
    static const char *const INFOS[] = {"no more", "more known", "more unknown"};
    printf("\"info\":\"%s\",\"remaining\":%" PRIu64 ",\"backendId\":", INFOS[page->info],
           page->remaining);
    put_text(page->backend_id.data, page->backend_id.bytes);
    printf(",\"own\":%zu,\"events\":[", own_count);
    for (size_t i = 0; i < page->event_count; i++) {
        const struct sluice_event *event = &page->events[i];
        printf("%s{\"seqNum\":%" PRIu64 ",\"parentSeqNum\":%" PRIu64 ",\"name\":", i > 0 ? "," : "",
               event->seq_num, event->parent_seq_num);
        put_text(event->name.data, event->name.bytes);
        printf(",\"args\":%.*s,\"clientId\":", (int)event->args.bytes, event->args.data);
        put_text(event->client_id.data, event->client_id.bytes);
        printf(",\"sessionId\":");
        put_text(event->session_id.data, event->session_id.bytes);
        printf(",\"dated\":%s}", event->created_at_ms != SLUICE_NO_TIME ? "true" : "false");
    }
    printf("]");
}

/* ---- what is told ---- */

static void on_connection(void *user, const struct sluice_connection *connection)
{
    (void)user;
    begin("connection");
    printf("\"connected\":%s,\"retryInMs\":%" PRIu64 ",", connection->connected ? "true" : "false",
           connection->retry_in_ms);
    put_failure(connection->failure);
    end();
}

static void on_connect(void *user, const struct sluice_failure *failure)
{
    (void)user;
    put_result("connect", failure);
}

static void on_ping(void *user, const struct sluice_failure *failure, uint64_t round_trip_ms)
{
    (void)user;
    (void)round_trip_ms;
    put_result("ping", failure);
}

static void on_page(void *user, const struct sluice_page *page)
{
    begin("page");
    printf("\"pull\":%d,", *(int *)user);
    put_events(page, 0);
    end();
}

static void on_ended(void *user, const struct sluice_failure *failure)
{
    begin("ended");
    printf("\"pull\":%d,", *(int *)user);
    put_failure(failure);
    pulls[*(int *)user] = NULL;
    end();
}

static void on_pushed(void *user, const struct sluice_push_result *result)
{
    (void)user;
    begin("pushed");
    printf("\"count\":%zu,", result->acknowledged_count);
    put_failure(result->failure);
    end();
}

static void on_advanced(void *user, const struct sluice_advance *advance)
{
    (void)user;
    begin("advanced");
    printf("\"firstCommit\":%" PRIu64 ",\"rebases\":%s,", advance->first_confirmed_commit_id,
           advance->rebases ? "true" : "false");
    put_events(&advance->page, advance->confirmed_count);
    end();
}

static void on_rebased(void *user, const struct sluice_rebase *rebase)
{
    (void)user;
    begin("rebased");
    printf("\"firstCommit\":%" PRIu64 ",\"firstSeqNum\":%" PRIu64 ",\"count\":%zu",
           rebase->first_commit_id, rebase->first_seq_num, rebase->count);
    end();
}

static void on_failed(void *user, const struct sluice_failure *failure, bool halted)
{
    (void)user;
    begin("failed");
    printf("\"halted\":%s,", halted ? "true" : "false");
    put_failure(failure);
    end();
}

/* ---- commands ---- */

static void do_pull(int id, uint64_t cursor, bool live)
{
    static const struct sluice_pull_callbacks CALLBACKS = {.page = on_page, .ended = on_ended};
    struct sluice_error error = {0};
    pull_ids[id] = id;
    pthread_mutex_lock(&output); /* so that `ended` does not come before the pull is noted */
    enum sluice_status status =
        sluice_client_pull(client, cursor, live, &CALLBACKS, &pull_ids[id], &pulls[id], &error);
    pthread_mutex_unlock(&output);
    put_status("pull", status, &error);
}

static void do_cancel(int id)
{
    pthread_mutex_lock(&output); /* nor between the look and the call */
    if (pulls[id] != NULL) {
        sluice_pull_cancel(pulls[id]);
    }
    pthread_mutex_unlock(&output);
}

/* {"n":1,"text":"xxx…"} */
static void do_push(uint64_t first, size_t count, uint64_t parent, size_t bytes)
{
    struct sluice_event *events = calloc(count + 1, sizeof(*events));
    char *texts = malloc((count + 1) * (bytes + 64));
    struct sluice_error error = {0};
    for (size_t i = 0; i < count; i++) {
        char *args = texts + i * (bytes + 64);
        size_t at = (size_t)snprintf(args, 64, "{\"n\":%" PRIu64 ",\"text\":\"", first + i);
        memset(args + at, 'x', bytes);
        memcpy(args + at + bytes, "\"}", 2);
        events[i] = (struct sluice_event){.seq_num = first + i,
                                          .parent_seq_num = i > 0 ? first + i - 1 : parent,
                                          .name = sluice_text_of("pushed"),
                                          .args = {args, at + bytes + 2},
                                          .client_id = sluice_text_of("driver"),
                                          .session_id = sluice_text_of("session")};
    }
    put_status("push", sluice_client_push(client, events, count, on_pushed, NULL, &error), &error);
    free(texts);
    free(events);
}

static void do_commit(char *words)
{
    struct sluice_error error = {0};
    struct sluice_commit done = {0};
    char *rest = NULL;
    char *who = strtok_r(words, " ", &rest);
    char *name = strtok_r(NULL, " ", &rest);
    struct sluice_event event = {.name = sluice_text_of(name),
                                 .args = sluice_text_of(rest),
                                 .client_id = sluice_text_of(who),
                                 .session_id = sluice_text_of("session")};
    enum sluice_status status = sluice_client_commit(client, &event, &done, &error);
    struct sluice_failure failure = {.error = error};
    begin("committed");
    printf("\"commit\":%" PRIu64 ",", done.commit_id);
    put_failure(status == SLUICE_OK ? NULL : &failure);
    end();
}

static void do_status(void)
{
    struct sluice_outbox_status status = {0};
    struct sluice_error error = {0};
    if (sluice_client_outbox_status(client, &status, &error) != SLUICE_OK) {
        put_status("status", error.status, &error);
        return;
    }
    begin("status");
    printf("\"head\":%" PRIu64 ",\"pending\":%zu,\"lastCommit\":%" PRIu64, status.head_seq_num,
           status.pending_count, status.last_commit_id);
    end();
}

static void obey(char *line)
{
    struct sluice_error error = {0};
    uint64_t first = 0;
    uint64_t parent = 0;
    size_t count = 0;
    size_t bytes = 0;
    int id = 0;
    char how[8] = "";
    if (strcmp(line, "connect") == 0) {
        put_status("asked", sluice_client_connect(client, on_connect, NULL, &error), &error);
    } else if (strcmp(line, "ping") == 0) {
        put_status("asked", sluice_client_ping(client, on_ping, NULL, &error), &error);
    } else if (strcmp(line, "connected") == 0) {
        begin("connected");
        printf("\"connected\":%s", sluice_client_is_connected(client) ? "true" : "false");
        end();
    } else if (sscanf(line, "pull %1d %" SCNu64 " %7s", &id, &first, how) == 3) {
        do_pull(id, first, strcmp(how, "live") == 0);
    } else if (sscanf(line, "cancel %1d", &id) == 1) {
        do_cancel(id);
    } else if (sscanf(line, "push %" SCNu64 " %zu %" SCNu64 " %zu", &first, &count, &parent,
                      &bytes) == 4) {
        do_push(first, count, parent, bytes);
    } else if (strncmp(line, "commit ", 7) == 0) {
        do_commit(line + 7);
    } else if (strcmp(line, "status") == 0) {
        do_status();
    } else {
        fprintf(stderr, "driver: what is '%s'?\n", line);
        exit(2);
    }
}

/* ---- options ---- */

static bool set_text(struct sluice_client_options *options, const char *name, const char *value)
{
    static struct sluice_header headers[8];
    if (strcmp(name, "transport") == 0) {
        options->transport = strcmp(value, "ws") == 0 ? SLUICE_TRANSPORT_WS : SLUICE_TRANSPORT_HTTP;
    } else if (strcmp(name, "payload_json") == 0) {
        options->payload_json = value;
    } else if (strcmp(name, "outbox_path") == 0) {
        options->outbox_path = value;
    } else if (strcmp(name, "state_path") == 0) {
        options->state_path = value;
    } else if (strcmp(name, "tls_ca_path") == 0) {
        options->tls_ca_path = value;
    } else if (strncmp(name, "header:", 7) == 0 && options->header_count < 8) {
        headers[options->header_count++] = (struct sluice_header){name + 7, value};
        options->headers = headers;
    } else {
        return false;
    }
    return true;
}

static bool set_number(struct sluice_client_options *options, const char *name, const char *value)
{
    const struct {
        const char *name;
        uint64_t *place;
    } NUMBERS[] = {
        {"connect_timeout_ms", &options->connect_timeout_ms},
        {"ping_interval_ms", &options->ping_interval_ms},
        {"ping_timeout_ms", &options->ping_timeout_ms},
        {"request_timeout_ms", &options->request_timeout_ms},
        {"operation_timeout_ms", &options->operation_timeout_ms},
        {"backoff_base_ms", &options->backoff_base_ms},
        {"backoff_cap_ms", &options->backoff_cap_ms},
        {"poll_interval_ms", &options->poll_interval_ms},
    };
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        if (strcmp(name, NUMBERS[i].name) == 0) {
            *NUMBERS[i].place = strtoull(value, NULL, 10);
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct sluice_outbox_callbacks OUTBOX = {
        .advanced = on_advanced, .rebased = on_rebased, .failed = on_failed};
    static char line[LINE_BYTES_MAX];
    struct sluice_client_options options;
    struct sluice_error error = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: driver URL STORE [OPTION=VALUE …]\n");
        return 2;
    }
    sluice_client_options_init(&options);
    options.url = argv[1];
    options.store_id = argv[2];
    options.connection_changed = on_connection;
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            fprintf(stderr, "driver: an option is NAME=VALUE\n");
            return 2;
        }
        *value++ = '\0';
        if (!set_text(&options, argv[i], value) && !set_number(&options, argv[i], value)) {
            fprintf(stderr, "driver: there is no option '%s'\n", argv[i]);
            return 2;
        }
    }
    options.outbox = options.outbox_path != NULL ? &OUTBOX : NULL;
    enum sluice_status status = sluice_client_create(&options, &client, &error);
    put_status("created", status, &error);
    if (status != SLUICE_OK) {
        return 1;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    return sluice_client_close(client, NULL, NULL) == SLUICE_OK ? 0 : 1;
}
