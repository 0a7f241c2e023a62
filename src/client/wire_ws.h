/* wire_ws: one WebSocket connection of the client: the opening handshake, then messages. Bytes in,
 * events out; what is to be sent goes into the caller's buffer. No sockets, no clock. */
#ifndef SLUICE_CLIENT_WIRE_WS_H
#define SLUICE_CLIENT_WIRE_WS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "client/client_url.h"
#include "http/http_parser.h"
#include "sluice/client.h"
#include "ws/ws_parser.h"

struct wire_ws {
    struct sluice_failure failure; /* at WIRE_WS_FAILED */
    struct slice text;             /* at WIRE_WS_TEXT: until the next call */
    uint16_t close_code;           /* at WIRE_WS_FAILED: the peer's, or 0 */
    /* private */
    bool open;
    bool failed;
    char key[WS_KEY_BYTES];
    struct http_parser http; /* of the handshake */
    struct ws_parser ws;
};

enum wire_ws_event {
    WIRE_WS_NEED_MORE,
    WIRE_WS_OPEN,   /* the handshake is done */
    WIRE_WS_TEXT,   /* a message */
    WIRE_WS_PING,   /* a pong was appended to `out`: send it */
    WIRE_WS_FAILED, /* refused, broken or closed by the peer: see `failure`; shut the connection */
};

struct wire_request {
    const struct client_url *url;
    struct slice store_id;
    struct slice payload;
    const struct sluice_header *headers;
    size_t header_count;
};

/* In place. Appends the upgrade request to `out`; `random` are random bytes. */
void wire_ws_init(struct wire_ws *wire, const struct wire_request *request,
                  const uint8_t random[WS_NONCE_BYTES], size_t message_bytes_max,
                  struct buffer *out);
void wire_ws_deinit(struct wire_ws *wire);
/* Takes bytes from the front, changing them (unmasking); call again until NEED_MORE or FAILED. */
enum wire_ws_event wire_ws_feed(struct wire_ws *wire, char **data, size_t *bytes_left,
                                struct buffer *out, const uint8_t mask[4]);
/* Appends `text` as a masked text frame. */
void wire_ws_append_text(struct buffer *out, struct slice text, const uint8_t mask[4]);

/* The configured headers, as lines of a request's head. */
void wire_append_headers(struct buffer *out, const struct wire_request *request);

#endif
