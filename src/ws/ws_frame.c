/* ws_frame: the way out of the server (endpoint → ws → net) and of the client, as bytes.
 *
 * Owns nothing, keeps no state; any thread. Headers go into a caller's array, so that a shared
 * payload can be written after a header of its own for each subscriber; only control frames, which
 * are small, are written whole. Frames are never fragmented on the way out. */
#include "ws/ws_frame.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/assert.h"

#define FIN 0x80u
#define MASKED 0x80u
#define LENGTH_16_BIT 126u
#define LENGTH_64_BIT 127u
#define CLOSE_REASON_BYTES_MAX (WS_CONTROL_BYTES_MAX - 2)

static bool opcode_is_control(enum ws_opcode opcode)
{
    return opcode >= WS_OP_CLOSE;
}

static void put_big_endian(uint8_t *out, uint64_t number, unsigned bytes)
{
    for (unsigned at = bytes; at > 0; at--) {
        out[at - 1] = (uint8_t)number;
        number >>= 8;
    }
}

size_t ws_frame_header(uint8_t out[WS_FRAME_HEADER_BYTES_MAX], enum ws_opcode opcode,
                       uint64_t payload_bytes)
{
    SLUICE_ASSERT(payload_bytes <= INT64_MAX);
    SLUICE_ASSERT(!opcode_is_control(opcode) || payload_bytes <= WS_CONTROL_BYTES_MAX);
    out[0] = (uint8_t)(FIN | opcode);
    if (payload_bytes < LENGTH_16_BIT) {
        out[1] = (uint8_t)payload_bytes;
        return 2;
    }
    if (payload_bytes <= UINT16_MAX) {
        out[1] = LENGTH_16_BIT;
        put_big_endian(out + 2, payload_bytes, 2);
        return 4;
    }
    out[1] = LENGTH_64_BIT;
    put_big_endian(out + 2, payload_bytes, 8);
    return 10;
}

size_t ws_frame_header_masked(uint8_t out[WS_FRAME_HEADER_BYTES_MAX], enum ws_opcode opcode,
                              uint64_t payload_bytes, const uint8_t mask[4])
{
    size_t header_bytes = ws_frame_header(out, opcode, payload_bytes);
    out[1] |= MASKED;
    memcpy(out + header_bytes, mask, 4);
    return header_bytes + 4;
}

void ws_mask(char *data, size_t bytes, const uint8_t mask[4], size_t offset)
{
    uint8_t turned[8];
    for (size_t at = 0; at < sizeof(turned); at++) {
        turned[at] = mask[(offset + at) & 3];
    }
    uint64_t mask_word;
    memcpy(&mask_word, turned, sizeof(mask_word));

    size_t at = 0;
    /* Four independent words a turn, which compilers turn into vector instructions. */
    for (; bytes - at >= 32; at += 32) {
        uint64_t words[4];
        memcpy(words, data + at, sizeof(words));
        words[0] ^= mask_word;
        words[1] ^= mask_word;
        words[2] ^= mask_word;
        words[3] ^= mask_word;
        memcpy(data + at, words, sizeof(words));
    }
    for (; bytes - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof(word));
        word ^= mask_word;
        memcpy(data + at, &word, sizeof(word));
    }
    for (; at < bytes; at++) {
        data[at] = (char)((uint8_t)data[at] ^ turned[at & 7]);
    }
}

bool ws_close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void append_control(struct buffer *out, enum ws_opcode opcode, struct slice payload)
{
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    size_t header_bytes = ws_frame_header(header, opcode, payload.bytes);
    buffer_append(out, header, header_bytes);
    buffer_append_slice(out, payload);
}

/* The longest beginning of `text` that is at most `bytes_max` long and ends between characters. */
static struct slice cut_at_character(struct slice text, size_t bytes_max)
{
    if (text.bytes <= bytes_max) {
        return text;
    }
    size_t bytes = bytes_max;
    while (bytes > 0 && ((uint8_t)text.data[bytes] & 0xC0u) == 0x80u) {
        bytes--;
    }
    return slice_make(text.data, bytes);
}

void ws_append_close(struct buffer *out, uint16_t code, struct slice reason)
{
    if (code == WS_CLOSE_NO_STATUS) {
        append_control(out, WS_OP_CLOSE, SLICE_EMPTY);
        return;
    }
    SLUICE_ASSERT(ws_close_code_valid(code));
    struct slice cut = cut_at_character(reason, CLOSE_REASON_BYTES_MAX);
    char payload[WS_CONTROL_BYTES_MAX];
    put_big_endian((uint8_t *)payload, code, 2);
    if (cut.bytes > 0) {
        memcpy(payload + 2, cut.data, cut.bytes);
    }
    append_control(out, WS_OP_CLOSE, slice_make(payload, 2 + cut.bytes));
}

void ws_append_pong(struct buffer *out, struct slice payload)
{
    append_control(out, WS_OP_PONG, payload);
}

void ws_append_ping(struct buffer *out, struct slice payload)
{
    append_control(out, WS_OP_PING, payload);
}

/* The SHA-1 of the key and the protocol's GUID (RFC 6455 1.3). */
static bool accept_digest(struct slice key, uint8_t digest[EVP_MAX_MD_SIZE], unsigned *digest_bytes)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(context, key.data, key.bytes) == 1 &&
                EVP_DigestUpdate(context, guid, sizeof(guid) - 1) == 1 &&
                EVP_DigestFinal_ex(context, digest, digest_bytes) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

void ws_make_key(const uint8_t nonce[WS_NONCE_BYTES], char out[WS_KEY_BYTES])
{
    unsigned char encoded[WS_KEY_BYTES + 1]; /* OpenSSL adds a NUL */
    SLUICE_ASSERT(EVP_EncodeBlock(encoded, nonce, (int)WS_NONCE_BYTES) == (int)WS_KEY_BYTES);
    memcpy(out, encoded, WS_KEY_BYTES);
}

void ws_accept_key(struct slice key, char out[WS_ACCEPT_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (!accept_digest(key, digest, &digest_bytes)) {
        memset(out, '=', WS_ACCEPT_BYTES);
        return;
    }
    unsigned char encoded[WS_ACCEPT_BYTES + 1]; /* OpenSSL adds a NUL */
    SLUICE_ASSERT(digest_bytes == 20);
    SLUICE_ASSERT(EVP_EncodeBlock(encoded, digest, (int)digest_bytes) == (int)WS_ACCEPT_BYTES);
    memcpy(out, encoded, WS_ACCEPT_BYTES);
}

static bool is_base64(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
}

bool ws_key_valid(struct slice key)
{
    if (key.bytes != 24 || key.data[22] != '=' || key.data[23] != '=') {
        return false;
    }
    for (size_t at = 0; at < 22; at++) {
        if (!is_base64(key.data[at])) {
            return false;
        }
    }
    return true;
}
