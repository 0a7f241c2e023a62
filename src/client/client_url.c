/* client_url: see client_url.h. */
#include "client/client_url.h"

#include "http/http_query.h"

static const struct scheme {
    const char *prefix;
    bool secure;
    bool polls;
} SCHEMES[] = {{"ws://", false, false},
               {"wss://", true, false},
               {"http://", false, true},
               {"https://", true, true}};

static struct slice after(struct slice text, size_t bytes)
{
    return slice_make(text.data + bytes, text.bytes - bytes);
}

static const struct scheme *find_scheme(struct slice text)
{
    for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]); i++) {
        size_t bytes = strlen(SCHEMES[i].prefix);
        if (text.bytes >= bytes && slice_equal_ignoring_case(slice_make(text.data, bytes),
                                                             slice_of_string(SCHEMES[i].prefix))) {
            return &SCHEMES[i];
        }
    }
    return NULL;
}

static enum sluice_status check_bytes(struct slice text, struct sluice_error *error)
{
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= ' ' || byte >= 0x7F) {
            return error_set(error, SLUICE_CONFIG,
                             "url: byte %zu is a space, a control character or not ASCII: "
                             "percent-encode it",
                             i);
        }
        if (byte == '#') {
            return error_set(error, SLUICE_CONFIG, "url: a fragment ('#…') has no meaning here");
        }
    }
    return SLUICE_OK;
}

/* The request's own parameters: a server that finds one twice may take either, or refuse it. */
static enum sluice_status check_query(struct slice query, struct sluice_error *error)
{
    static const char *const OURS[] = {"storeId", "payload", "transport"};
    struct slice value;
    for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++) {
        if (http_query_find(query, OURS[i], &value) > 0) {
            return error_set(error, SLUICE_CONFIG,
                             "url: '%s' in its query is set by an option of that name, not here",
                             OURS[i]);
        }
    }
    return SLUICE_OK;
}

static enum sluice_status read_port(struct slice text, struct client_url *url,
                                    struct sluice_error *error)
{
    unsigned long long port = url->secure ? 443 : 80;
    if (text.bytes > 0 && (!slice_to_u64(text, &port) || port == 0 || port > 65535)) {
        return error_set(error, SLUICE_CONFIG, "url: the port '%.*s' is not from 1 to 65535",
                         SLICE_PRINT(text));
    }
    url->port = (uint16_t)port;
    return SLUICE_OK;
}

/* "host", "host:port", "[v6]" or "[v6]:port" */
static enum sluice_status read_authority(struct client_url *url, struct sluice_error *error)
{
    struct slice host = url->authority;
    struct slice port = SLICE_EMPTY;
    bool bracketed = host.bytes > 0 && host.data[0] == '[';
    if (host.bytes > 0 && memchr(host.data, '@', host.bytes) != NULL) {
        return error_set(error, SLUICE_CONFIG,
                         "url: a user or password before the host would show up in logs: use a "
                         "payload or a header");
    }
    const char *end = bracketed ? memchr(host.data, ']', host.bytes) : NULL;
    if (bracketed && end == NULL) {
        return error_set(error, SLUICE_CONFIG, "url: ']' is missing after the IPv6 address");
    }
    struct slice rest = bracketed ? after(host, (size_t)(end + 1 - host.data)) : host;
    const char *colon = rest.bytes > 0 ? memchr(rest.data, ':', rest.bytes) : NULL;
    if (bracketed && rest.bytes > 0 && colon != rest.data) {
        return error_set(error, SLUICE_CONFIG, "url: a port is expected after ']'");
    }
    if (colon != NULL) {
        port = slice_make(colon + 1, (size_t)(rest.data + rest.bytes - colon - 1));
    }
    if (bracketed) {
        host = slice_make(host.data + 1, (size_t)(end - host.data - 1));
    } else if (colon != NULL) {
        host = slice_make(host.data, (size_t)(colon - host.data));
    }
    if (host.bytes == 0 || host.bytes > CLIENT_HOST_BYTES_MAX) {
        return error_set(error, SLUICE_CONFIG, "url: the host must have 1 to %u bytes",
                         CLIENT_HOST_BYTES_MAX);
    }
    memcpy(url->host, host.data, host.bytes);
    url->host[host.bytes] = '\0';
    return read_port(port, url, error);
}

enum sluice_status client_url_parse(struct slice text, enum sluice_transport transport,
                                    struct client_url *out, struct sluice_error *error)
{
    struct client_url url = {0};
    const struct scheme *scheme = find_scheme(text);
    if (scheme == NULL) {
        return error_set(error, SLUICE_CONFIG,
                         "url: it must start with ws://, wss://, http:// or https://");
    }
    enum sluice_status status = check_bytes(text, error);
    if (status != SLUICE_OK) {
        return status;
    }
    url.secure = scheme->secure;
    url.polls =
        transport == SLUICE_TRANSPORT_AUTO ? scheme->polls : transport == SLUICE_TRANSPORT_HTTP;
    struct slice rest = after(text, strlen(scheme->prefix));
    size_t authority_bytes = 0;
    while (authority_bytes < rest.bytes && rest.data[authority_bytes] != '/' &&
           rest.data[authority_bytes] != '?') {
        authority_bytes++;
    }
    url.authority = slice_make(rest.data, authority_bytes);
    rest = after(rest, authority_bytes);
    const char *query = rest.bytes > 0 ? memchr(rest.data, '?', rest.bytes) : NULL;
    size_t path_bytes = query != NULL ? (size_t)(query - rest.data) : rest.bytes;
    url.path = path_bytes > 0 ? slice_make(rest.data, path_bytes) : SLICE("/");
    url.query = query != NULL ? after(rest, path_bytes + 1) : SLICE_EMPTY;
    status = read_authority(&url, error);
    if (status == SLUICE_OK) {
        status = check_query(url.query, error);
    }
    if (status == SLUICE_OK) {
        *out = url;
    }
    return status;
}

static bool is_unreserved(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

/* Percent-encodes, `times` times over: the second round only meets escapes, whose '%' becomes %25.
 */
static void append_encoded(struct buffer *out, struct slice text, unsigned times)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (is_unreserved(text.data[i])) {
            buffer_append_byte(out, text.data[i]);
            continue;
        }
        buffer_append_byte(out, '%');
        for (unsigned round = 1; round < times; round++) {
            buffer_append_literal(out, "25");
        }
        buffer_append_format(out, "%02X", (unsigned)(unsigned char)text.data[i]);
    }
}

void client_url_append_target(struct buffer *out, const struct client_url *url,
                              struct slice store_id, struct slice payload)
{
    buffer_append_slice(out, url->path);
    buffer_append_byte(out, '?');
    if (url->query.bytes > 0) {
        buffer_append_slice(out, url->query);
        buffer_append_byte(out, '&');
    }
    buffer_append_literal(out, "storeId=");
    append_encoded(out, store_id, 1);
    if (payload.bytes > 0) {
        buffer_append_literal(out, "&payload=");
        append_encoded(out, payload, 2);
    }
    buffer_append_slice(out, url->polls ? SLICE("&transport=http") : SLICE("&transport=ws"));
}
