/* endpoint_root: see endpoint_root.h. */
#include "endpoint/endpoint_root.h"

#define HEADERS_BYTES_MAX 4096u

static bool claims(void *user, const struct request *request)
{
    (void)user;
    (void)request;
    return true;
}

/* Browsers ask before they POST from another origin. What headers they name is allowed. */
static void answer_preflight(struct exchange *exchange)
{
    struct slice asked =
        http_parser_header(exchange_request(exchange)->head, "access-control-request-headers");
    struct buffer headers;
    buffer_init(&headers, HEADERS_BYTES_MAX);
    buffer_append_literal(&headers, "access-control-allow-methods: GET, POST, OPTIONS\r\n"
                                    "access-control-max-age: 86400\r\n"
                                    "access-control-allow-headers: ");
    buffer_append_slice(&headers, asked.bytes > 0 && asked.bytes < 2048 ? asked : SLICE("*"));
    buffer_append_literal(&headers, "\r\n");
    exchange_respond(exchange, 204, NULL, SLICE_EMPTY, buffer_slice(&headers));
    buffer_deinit(&headers);
}

static void on_request(void *user, struct exchange *exchange)
{
    const struct request *request = exchange_request(exchange);
    bool reads =
        slice_equal(request->method, SLICE("GET")) || slice_equal(request->method, SLICE("HEAD"));
    (void)user;
    if (slice_equal(request->method, SLICE("OPTIONS"))) {
        answer_preflight(exchange);
    } else if (reads && slice_equal(request->path, SLICE("/"))) {
        exchange_respond(exchange, 200, "text/plain; charset=utf-8",
                         SLICE("Sluice: a sync backend for LiveStore. Give this URL to "
                               "makeWsSync({ url }) or makeHttpSync({ url }) of "
                               "@livestore/sync-cf/client.\n"),
                         SLICE_EMPTY);
    } else {
        exchange_respond(exchange, 404, "text/plain; charset=utf-8",
                         SLICE("Nothing is here. A sync request has the parameters storeId and "
                               "transport.\n"),
                         SLICE_EMPTY);
    }
}

struct endpoint endpoint_root_entry(void)
{
    return (struct endpoint){.claims = claims, .request = on_request};
}
