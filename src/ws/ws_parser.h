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
#include "base/slice.h"
#include "ws/ws_frame.h"

enum ws_role { WS_SERVER, WS_CLIENT };

enum ws_event {
    WS_NEED_MORE, /* everything fed was consumed */
    WS_TEXT,      /* a whole text message, valid UTF-8, in `payload` */
    WS_BINARY,    /* a whole binary message */
    WS_PING,      /* answer with a pong of the same payload (0..125 bytes) */
    WS_PONG,
    WS_CLOSE, /* close_code (1005 when none was given) and the reason in `payload` */
    WS_ERROR, /* a violation: send a close frame with close_code, then close; see `problem` */
};

struct ws_parser {
    struct slice payload; /* of the event just reported; valid until the next call */
    const char *problem;  /* at WS_ERROR: what was wrong, in a static string; else NULL */
    uint16_t close_code;  /* at WS_CLOSE and WS_ERROR */
    /* private: */
    uint8_t role;           /* enum ws_role */
    uint8_t state;          /* enum state in ws_parser.c */
    uint8_t message_opcode; /* of the message under way, or WS_OP_CONTINUATION when none is */
    uint8_t header_bytes;   /* of the frame's header so far: 0..14 */
    uint8_t control_bytes;  /* in `control`: 0..125 */
    bool message_reported;  /* `message` was handed out and is to be released by the next call */
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    uint8_t mask[4];                    /* of the frame under way; zeros when it has none */
    uint32_t utf8_state;                /* of the text message under way */
    size_t payload_bytes;               /* of the frame under way, as its header says */
    size_t payload_bytes_left;          /* of these, not seen yet */
    struct buffer message;              /* the data frames of a split message so far, unmasked */
    char control[WS_CONTROL_BYTES_MAX]; /* a split control frame's payload so far, still masked */
};

/* In place; allocates nothing until a message is split. `message_bytes_max` ≥ 125. */
void ws_parser_init(struct ws_parser *parser, enum ws_role role, size_t message_bytes_max);
void ws_parser_deinit(struct ws_parser *parser);

/* Takes bytes from the front of `*bytes_left` bytes at `*data` (which it may change: unmasking is
 * in place) and reports the next event, moving `*data` and `*bytes_left` past what it consumed:
 * call again with the rest until WS_NEED_MORE. After WS_CLOSE and WS_ERROR it reports nothing more:
 * what is fed is dropped, with WS_NEED_MORE (RFC 6455 1.4). */
enum ws_event ws_parser_feed(struct ws_parser *parser, char **data, size_t *bytes_left);

#endif
