/* client_options: see client_options.h. */
#include "client/client_options.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

#define ARENA_BYTES_MAX (16u << 20)

void sluice_client_options_init(struct sluice_client_options *options)
{
    *options = (struct sluice_client_options){.struct_bytes = sizeof(*options),
                                              .connect_timeout_ms = 10000,
                                              .ping_interval_ms = 10000,
                                              .ping_timeout_ms = 5000,
                                              .request_timeout_ms = 60000,
                                              .operation_timeout_ms = 30000,
                                              .backoff_base_ms = 500,
                                              .backoff_cap_ms = 30000,
                                              .poll_interval_ms = 5000,
                                              .message_bytes_max = MESSAGE_BYTES_MAX_DEFAULT};
}

static enum sluice_status copy_string(struct client_options *options, const char **string,
                                      struct sluice_error *error)
{
    if (*string == NULL) {
        return SLUICE_OK;
    }
    size_t bytes = strlen(*string) + 1;
    char *copy = arena_alloc(&options->arena, bytes);
    if (copy == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for the options");
    }
    memcpy(copy, *string, bytes);
    *string = copy;
    return SLUICE_OK;
}

static bool is_token(const char *name)
{
    static const char OTHERS[] = "!#$%&'*+-.^_`|~";
    for (const char *at = name; *at != '\0'; at++) {
        bool alphanumeric =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (!alphanumeric && strchr(OTHERS, *at) == NULL) {
            return false;
        }
    }
    return name[0] != '\0';
}

/* Headers that a request has already: a second one would make it say two things at once. */
static bool is_own_header(const char *name)
{
    static const char *const OWN[] = {"host",           "connection",        "upgrade",
                                      "content-length", "transfer-encoding", "content-type",
                                      "accept-encoding"};
    struct slice text = slice_of_string(name);
    struct slice prefix = SLICE("sec-websocket-");
    for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++) {
        if (slice_equal_ignoring_case(text, slice_of_string(OWN[i]))) {
            return true;
        }
    }
    return text.bytes >= prefix.bytes &&
           slice_equal_ignoring_case(slice_make(text.data, prefix.bytes), prefix);
}

static bool is_printable(const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if ((byte < ' ' && byte != '\t') || byte == 0x7F) {
            return false;
        }
    }
    return true;
}

static enum sluice_status copy_headers(struct client_options *options, struct sluice_error *error)
{
    const struct sluice_header *from = options->public.headers;
    size_t count = options->public.header_count;
    if (count > CLIENT_HEADERS_MAX || (count > 0 && from == NULL)) {
        return error_set(error, SLUICE_CONFIG, "header_count: 0 to %u headers are possible",
                         CLIENT_HEADERS_MAX);
    }
    struct sluice_header *headers = arena_alloc(&options->arena, (count + 1) * sizeof(*headers));
    if (headers == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for the options");
    }
    for (size_t i = 0; i < count; i++) {
        headers[i] = from[i];
        if (from[i].name == NULL || !is_token(from[i].name)) {
            return error_set(error, SLUICE_CONFIG, "headers[%zu].name is not a header's name", i);
        }
        if (is_own_header(from[i].name)) {
            return error_set(error, SLUICE_CONFIG,
                             "headers[%zu].name: '%.40s' is written by the client itself", i,
                             from[i].name);
        }
        if (from[i].value == NULL || !is_printable(from[i].value)) {
            return error_set(error, SLUICE_CONFIG,
                             "headers[%zu].value must be printable, without line breaks", i);
        }
        enum sluice_status status = copy_string(options, &headers[i].name, error);
        if (status == SLUICE_OK) {
            status = copy_string(options, &headers[i].value, error);
        }
        if (status != SLUICE_OK) {
            return status;
        }
    }
    options->public.headers = headers;
    return SLUICE_OK;
}

static enum sluice_status copy_strings(struct client_options *options, struct sluice_error *error)
{
    const char **strings[] = {&options->public.url,          &options->public.store_id,
                              &options->public.payload_json, &options->public.tls_ca_path,
                              &options->public.state_path,   &options->public.outbox_path};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        enum sluice_status status = copy_string(options, strings[i], error);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return copy_headers(options, error);
}

static enum sluice_status check_texts(const struct sluice_client_options *from,
                                      struct sluice_error *error)
{
    struct sluice_error detail = {0};
    if (from->url == NULL || from->store_id == NULL) {
        return error_set(error, SLUICE_CONFIG, "url and store_id must be given");
    }
    size_t store_id_bytes = strlen(from->store_id);
    if (store_id_bytes == 0 || store_id_bytes > STORE_ID_BYTES_MAX ||
        !utf8_valid(slice_of_string(from->store_id))) {
        return error_set(error, SLUICE_CONFIG, "store_id must have 1 to %u bytes of UTF-8",
                         STORE_ID_BYTES_MAX);
    }
    if (from->payload_json == NULL) {
        return SLUICE_OK;
    }
    enum sluice_status status = json_validate(slice_of_string(from->payload_json), &detail);
    if (status == SLUICE_NO_MEMORY) {
        return error_set(error, status, "out of memory for the options");
    }
    return status == SLUICE_OK
               ? status
               : error_set(error, SLUICE_CONFIG, "payload_json: %s", detail.message);
}

static enum sluice_status check_numbers(const struct sluice_client_options *from,
                                        struct sluice_error *error)
{
    if (from->ping_timeout_ms == 0 || from->ping_timeout_ms >= from->ping_interval_ms) {
        return error_set(error, SLUICE_CONFIG,
                         "ping_timeout_ms must be less than ping_interval_ms, and not 0");
    }
    if (from->backoff_base_ms == 0 || from->backoff_cap_ms < from->backoff_base_ms) {
        return error_set(error, SLUICE_CONFIG,
                         "backoff_base_ms must not be 0, nor greater than backoff_cap_ms");
    }
    if (from->connect_timeout_ms == 0 || from->request_timeout_ms == 0 ||
        from->operation_timeout_ms == 0 || from->poll_interval_ms == 0) {
        return error_set(error, SLUICE_CONFIG,
                         "connect_timeout_ms, request_timeout_ms, operation_timeout_ms and "
                         "poll_interval_ms must not be 0");
    }
    if (from->message_bytes_max < 1024 || from->message_bytes_max > (1u << 30)) {
        return error_set(error, SLUICE_CONFIG, "message_bytes_max must be from 1 KiB to 1 GiB");
    }
    if ((unsigned)from->transport > SLUICE_TRANSPORT_HTTP) {
        return error_set(error, SLUICE_CONFIG, "transport is none of the three");
    }
    return SLUICE_OK;
}

enum sluice_status client_options_init(struct client_options *options,
                                       const struct sluice_client_options *from,
                                       struct sluice_error *error)
{
    *options = (struct client_options){0};
    arena_init(&options->arena, ARENA_BYTES_MAX);
    if (from->struct_bytes != sizeof(*from)) {
        return error_set(error, SLUICE_CONFIG,
                         "the options must be set up by sluice_client_options_init");
    }
    enum sluice_status status = check_texts(from, error);
    if (status == SLUICE_OK) {
        status = check_numbers(from, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    options->public = *from;
    status = copy_strings(options, error);
    if (status != SLUICE_OK) {
        return status;
    }
    if (from->state != NULL) {
        options->state = *from->state;
        options->public.state = &options->state;
    }
    if (from->outbox != NULL) {
        options->outbox = *from->outbox;
    }
    return client_url_parse(slice_of_string(options->public.url), from->transport, &options->url,
                            error);
}

void client_options_deinit(struct client_options *options)
{
    arena_deinit(&options->arena);
}

void client_options_config(const struct client_options *options, struct client_core_config *out)
{
    const struct sluice_client_options *from = &options->public;
    *out = (struct client_core_config){
        .url = &options->url,
        .store_id = slice_of_string(from->store_id),
        .payload = from->payload_json != NULL ? slice_of_string(from->payload_json) : SLICE_EMPTY,
        .headers = from->headers,
        .header_count = from->header_count,
        .connect_timeout_ms = from->connect_timeout_ms,
        .ping_interval_ms = from->ping_interval_ms,
        .ping_timeout_ms = from->ping_timeout_ms,
        .request_timeout_ms = from->request_timeout_ms,
        .operation_timeout_ms = from->operation_timeout_ms,
        .backoff_base_ms = from->backoff_base_ms,
        .backoff_cap_ms = from->backoff_cap_ms,
        .poll_interval_ms = from->poll_interval_ms,
        .message_bytes_max = from->message_bytes_max,
    };
}
