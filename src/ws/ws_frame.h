/* ws_frame: encodes WebSocket frame headers and control frames, and the opening handshake's key
 * (RFC 6455). Pure; both roles. */
#ifndef SLUICE_WS_FRAME_H
#define SLUICE_WS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

enum ws_opcode {
    WS_OP_CONTINUATION = 0x0,
    WS_OP_TEXT = 0x1,
    WS_OP_BINARY = 0x2,
    WS_OP_CLOSE = 0x8,
    WS_OP_PING = 0x9,
    WS_OP_PONG = 0xA,
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

/* Whether an endpoint may send `code` in a close frame (RFC 6455 7.4): 1000..1003, 1007..1014 and
 * 3000..4999. */
bool ws_close_code_valid(uint16_t code);

#define WS_CONTROL_BYTES_MAX 125u     /* a control frame's payload */
#define WS_FRAME_HEADER_BYTES_MAX 14u /* 2 + 8 (length) + 4 (mask) */

/* Fills `out` with the header of a final, unmasked frame of `payload_bytes` (< 2^63; at most 125
 * for a control frame); returns its length, 2, 4 or 10. */
size_t ws_frame_header(uint8_t out[WS_FRAME_HEADER_BYTES_MAX], enum ws_opcode opcode,
                       uint64_t payload_bytes);
/* The same with a mask (client role); returns 6, 8 or 14. */
size_t ws_frame_header_masked(uint8_t out[WS_FRAME_HEADER_BYTES_MAX], enum ws_opcode opcode,
                              uint64_t payload_bytes, const uint8_t mask[4]);
/* XORs `bytes` at `data` with the mask, starting at mask[offset % 4]; as fast as memory allows. */
void ws_mask(char *data, size_t bytes, const uint8_t mask[4], size_t offset);

/* Appends a whole unmasked control frame. `code` must be one that ws_close_code_valid allows, or
 * WS_CLOSE_NO_STATUS for an empty close; `reason` is valid UTF-8 and is cut to 123 bytes at a
 * character's edge. A payload has at most WS_CONTROL_BYTES_MAX bytes. */
void ws_append_close(struct buffer *out, uint16_t code, struct slice reason);
void ws_append_pong(struct buffer *out, struct slice payload);
void ws_append_ping(struct buffer *out, struct slice payload);

#define WS_ACCEPT_BYTES 28u
/* Fills `out` (no NUL) with the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2).
 * SHA-1 and base64 are OpenSSL's; should it fail, for want of memory, `out` is all '=', which no
 * client accepts. */
void ws_accept_key(struct slice key, char out[WS_ACCEPT_BYTES]);
#define WS_NONCE_BYTES 16u
#define WS_KEY_BYTES 24u
/* Fills `out` (no NUL) with the Sec-WebSocket-Key made from random bytes. */
void ws_make_key(const uint8_t nonce[WS_NONCE_BYTES], char out[WS_KEY_BYTES]);
/* Whether a Sec-WebSocket-Key is base64 of 16 bytes. */
bool ws_key_valid(struct slice key);

#endif
