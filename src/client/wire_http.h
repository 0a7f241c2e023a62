/* wire_http: one HTTP exchange of the client: a request with one message, an answer with several,
 * which are handed out while they arrive. Bytes in, events out. No sockets, no clock. */
#ifndef SLUICE_CLIENT_WIRE_HTTP_H
#define SLUICE_CLIENT_WIRE_HTTP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "client/wire_ws.h"
#include "http/http_parser.h"
#include "proto/json_stream.h"
#include "sluice/client.h"

struct wire_http {
    struct sluice_failure failure; /* at WIRE_HTTP_FAILED */
    struct slice message;          /* at WIRE_HTTP_MESSAGE: one JSON object, until the next call */
    bool keep_alive;               /* at WIRE_HTTP_END: the connection serves another request */
    bool heard;                    /* something of the answer has come */
    /* private */
    bool failed;
    struct slice piece; /* of the body, not taken apart yet */
    struct http_parser http;
    struct json_stream stream;
};

enum wire_http_event {
    WIRE_HTTP_NEED_MORE,
    WIRE_HTTP_MESSAGE,
    WIRE_HTTP_END,    /* the answer is complete */
    WIRE_HTTP_FAILED, /* refused or broken: see `failure`; shut the connection */
};

/* In place; for any number of exchanges. */
void wire_http_init(struct wire_http *wire, size_t message_bytes_max);
void wire_http_deinit(struct wire_http *wire);

/* Ready for an answer. Appends the request's head for a body of `body_bytes`, which is to follow.
 */
void wire_http_start(struct wire_http *wire, const struct wire_request *request, size_t body_bytes,
                     struct buffer *out);
/* Takes bytes from the front; call again until NEED_MORE, END or FAILED. */
enum wire_http_event wire_http_feed(struct wire_http *wire, struct slice *input);
/* The connection has ended: END when that ends the answer, else FAILED. */
enum wire_http_event wire_http_finish(struct wire_http *wire);

#endif
