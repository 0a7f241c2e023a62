/* ws_parser: WebSocket frames (RFC 6455), bytes in, messages out. No sockets, no clock; for the
 * server and the client role.
 *
 * It checks masking (a server wants it, a client forbids it), reserved bits, opcodes, fragmentation
 * with control frames in between, control frame lengths, minimal length encodings, close codes, and
 * the UTF-8 of text across fragments as it arrives. A message is assembled in one buffer, capped at
 * message_bytes_max, which is checked against a frame's announced length before anything is
 * allocated; the buffer is freed between messages when it grew large, so that an idle connection
 * holds next to nothing. A message that lies whole in the bytes fed is unmasked in place and handed
 * out without a copy. permessage-deflate would sit between frames and messages: RSV1 is refused
 * until then. */
#ifndef SLUICE_WS_PARSER_H
#define SLUICE_WS_PARSER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

enum ws_role { WS_SERVER, WS_CLIENT };

enum ws_event {
    WS_NEED_MORE, /* everything fed was consumed */
    WS_TEXT,      /* a whole text message, valid UTF-8, in `payload` */
    WS_BINARY,    /* a whole binary message */
    WS_PING,      /* answer with a pong of the same payload (0..125 bytes) */
    WS_PONG,
    WS_CLOSE, /* close_code (1005 when none was given) and the reason in `payload` */
    WS_ERROR, /* a violation: send a close frame with close_code, then close; see `error` */
};

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED_DATA = 1003,
    WS_CLOSE_NO_STATUS = 1005, /* never on the wire */
    WS_CLOSE_INVALID_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL_ERROR = 1011,
    WS_CLOSE_SERVICE_RESTART = 1012,
    WS_CLOSE_TRY_AGAIN_LATER = 1013,
};

struct ws_parser {
    enum ws_role role;
    size_t message_bytes_max;
    struct slice payload; /* of the event just reported; valid until the next call */
    uint16_t close_code;  /* at WS_CLOSE and WS_ERROR */
    struct sluice_error error;
    /* private: header bytes so far, mask, payload left, opcode of the message under way, UTF-8
     * state, the assembled message, the control frame's payload. The implementer adds fields and
     * keeps an idle parser under 600 bytes in all (move `error` behind a pointer to a static string
     * if that helps). */
    int state;
};

/* In place; allocates nothing until a message is split. `message_bytes_max` ≥ 125. */
void ws_parser_init(struct ws_parser *parser, enum ws_role role, size_t message_bytes_max);
void ws_parser_deinit(struct ws_parser *parser);

/* Takes bytes from the front of `*bytes_left` bytes at `*data` (which it may change: unmasking is
 * in place) and reports the next event, moving `*data` and `*bytes_left` past what it consumed:
 * call again with the rest until WS_NEED_MORE. After WS_CLOSE and WS_ERROR it takes no more. */
enum ws_event ws_parser_feed(struct ws_parser *parser, char **data, size_t *bytes_left);

#endif
