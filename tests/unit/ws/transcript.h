/* transcript: what a WebSocket parser reports for a run of bytes, as text that tests can compare.
 * Shared by the unit tests and the fuzz target.
 *
 *     TEXT 5 hello      BINARY 0      PING 2 hi      PONG 0
 *     CLOSE 1000 3 bye  (the last line)
 *     ERROR 1002 text   (the last line) */
#ifndef SLUICE_TEST_WS_TRANSCRIPT_H
#define SLUICE_TEST_WS_TRANSCRIPT_H

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buffer.h"
#include "ws/ws_parser.h"

struct transcript {
    struct ws_parser parser;
    struct buffer text;
    bool ended; /* WS_CLOSE or WS_ERROR was reported */
};

static inline void transcript_init(struct transcript *transcript, enum ws_role role,
                                   size_t message_bytes_max)
{
    memset(transcript, 0, sizeof(*transcript));
    ws_parser_init(&transcript->parser, role, message_bytes_max);
    buffer_init(&transcript->text, 64u << 20);
}

static inline void transcript_deinit(struct transcript *transcript)
{
    ws_parser_deinit(&transcript->parser);
    buffer_deinit(&transcript->text);
}

static inline void transcript_event(struct transcript *transcript, enum ws_event event)
{
    static const char *const names[] = {
        [WS_TEXT] = "TEXT", [WS_BINARY] = "BINARY", [WS_PING] = "PING",
        [WS_PONG] = "PONG", [WS_CLOSE] = "CLOSE",   [WS_ERROR] = "ERROR",
    };
    const struct ws_parser *parser = &transcript->parser;
    struct buffer *text = &transcript->text;
    SLUICE_ASSERT(!transcript->ended);
    SLUICE_ASSERT((parser->problem != NULL) == (event == WS_ERROR));
    buffer_append_format(text, "%s ", names[event]);
    if (event == WS_CLOSE || event == WS_ERROR) {
        transcript->ended = true;
        buffer_append_u64(text, parser->close_code);
        buffer_append_byte(text, ' ');
    }
    if (event == WS_ERROR) {
        SLUICE_ASSERT(parser->payload.bytes == 0);
        buffer_append_slice(text, slice_of_string(parser->problem));
    } else {
        buffer_append_u64(text, parser->payload.bytes);
        if (parser->payload.bytes > 0) {
            buffer_append_byte(text, ' ');
            buffer_append_slice(text, parser->payload);
        }
    }
    buffer_append_byte(text, '\n');
}

/* Feeds one piece, from a block of its own, so that the address sanitizer sees what goes past it.
 */
static inline void transcript_feed(struct transcript *transcript, struct slice piece)
{
    char *block = malloc(piece.bytes + (piece.bytes == 0));
    SLUICE_ASSERT(block != NULL);
    if (piece.bytes > 0) {
        memcpy(block, piece.data, piece.bytes);
    }
    char *data = block;
    size_t bytes_left = piece.bytes;
    enum ws_event event;
    while ((event = ws_parser_feed(&transcript->parser, &data, &bytes_left)) != WS_NEED_MORE) {
        SLUICE_ASSERT(data + bytes_left == block + piece.bytes);
        transcript_event(transcript, event);
    }
    SLUICE_ASSERT(bytes_left == 0);
    SLUICE_ASSERT(data == block + piece.bytes);
    free(block);
}

/* Feeds `input` in pieces: `first_bytes`, then `piece_bytes` each. */
static inline void transcript_feed_pieces(struct transcript *transcript, struct slice input,
                                          size_t first_bytes, size_t piece_bytes)
{
    size_t at = first_bytes < input.bytes ? first_bytes : input.bytes;
    transcript_feed(transcript, slice_make(input.data, at));
    while (at < input.bytes) {
        size_t bytes = piece_bytes < input.bytes - at ? piece_bytes : input.bytes - at;
        transcript_feed(transcript, slice_make(input.data + at, bytes));
        at += bytes;
    }
}

#endif
