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

#define WS_FRAME_HEADER_BYTES_MAX 14u /* 2 + 8 (length) + 4 (mask) */

/* Writes the header of a final, unmasked frame of `payload_bytes`; returns its length, 2, 4 or 10.
 */
size_t ws_frame_header(uint8_t out[WS_FRAME_HEADER_BYTES_MAX], enum ws_opcode opcode,
                       uint64_t payload_bytes);
/* The same with a mask (client role); returns 6, 8 or 14. */
size_t ws_frame_header_masked(uint8_t out[WS_FRAME_HEADER_BYTES_MAX], enum ws_opcode opcode,
                              uint64_t payload_bytes, const uint8_t mask[4]);
/* XORs `bytes` at `data` with the mask, starting at mask[offset % 4]; as fast as memory allows. */
void ws_mask(char *data, size_t bytes, const uint8_t mask[4], size_t offset);

/* Appends a whole unmasked control frame. A reason is cut to 123 bytes at a character's edge. Code
 * WS_CLOSE_NO_STATUS writes an empty close. */
void ws_append_close(struct buffer *out, uint16_t code, struct slice reason);
void ws_append_pong(struct buffer *out, struct slice payload);
void ws_append_ping(struct buffer *out, struct slice payload);

#define WS_ACCEPT_BYTES 28u
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2). SHA-1 and base64 are OpenSSL's. */
void ws_accept_key(struct slice key, char out[WS_ACCEPT_BYTES]);
/* Whether a Sec-WebSocket-Key is base64 of 16 bytes. */
bool ws_key_valid(struct slice key);

#endif
