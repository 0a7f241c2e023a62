/* transcript: what an HTTP parser reports for a run of bytes, as text that tests can compare.
 * Shared by the unit tests and the fuzz target, so that both mean the same by "the same events".
 *
 *     HEAD GET /path HTTP/1.1 [keep-alive upgrade]
 *       Host: a
 *     BODY 5 hello            (all pieces of one body together, with their bytes)
 *     END
 *     ERROR 400 text          (the last line; nothing is fed after it) */
#ifndef SLUICE_TEST_HTTP_TRANSCRIPT_H
#define SLUICE_TEST_HTTP_TRANSCRIPT_H

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buffer.h"
#include "http/http_parser.h"

struct transcript {
    struct http_parser parser;
    struct buffer text;
    struct buffer body; /* of the message under way, pieces together */
    bool failed;        /* HTTP_ERROR was reported */
    bool answers_head;  /* every response is one to a HEAD request */
};

static inline void transcript_init(struct transcript *transcript, enum http_role role)
{
    memset(transcript, 0, sizeof(*transcript));
    http_parser_init(&transcript->parser, role);
    buffer_init(&transcript->text, 16u << 20);
    buffer_init(&transcript->body, 16u << 20);
}

static inline void transcript_deinit(struct transcript *transcript)
{
    http_parser_deinit(&transcript->parser);
    buffer_deinit(&transcript->text);
    buffer_deinit(&transcript->body);
}

static inline void transcript_head(struct transcript *transcript)
{
    const struct http_parser *parser = &transcript->parser;
    struct buffer *text = &transcript->text;
    buffer_append_literal(text, "HEAD ");
    if (parser->role == HTTP_REQUESTS) {
        buffer_append_slice(text, parser->method);
        buffer_append_byte(text, ' ');
        buffer_append_slice(text, parser->target);
    } else {
        buffer_append_u64(text, (uint64_t)parser->status_code);
    }
    buffer_append_format(text, " HTTP/1.%d [", parser->version_minor);
    const char *comma = "";
    const struct {
        bool set;
        const char *name;
    } flags[] = {
        {parser->keep_alive, "keep-alive"},
        {parser->upgrade, "upgrade"},
        {parser->expect_continue, "expect-continue"},
        {parser->chunked, "chunked"},
    };
    for (size_t index = 0; index < sizeof(flags) / sizeof(flags[0]); index++) {
        if (flags[index].set) {
            buffer_append_format(text, "%s%s", comma, flags[index].name);
            comma = " ";
        }
    }
    if (parser->has_content_length) {
        buffer_append_format(text, "%slength=", comma);
        buffer_append_u64(text, parser->content_length);
    }
    buffer_append_literal(text, "]\n");
    for (unsigned index = 0; index < parser->header_count; index++) {
        buffer_append_literal(text, "  ");
        buffer_append_slice(text, parser->headers[index].name);
        buffer_append_literal(text, ": ");
        buffer_append_slice(text, parser->headers[index].value);
        buffer_append_literal(text, "\n");
    }
}

static inline void transcript_event(struct transcript *transcript, enum http_event event)
{
    struct http_parser *parser = &transcript->parser;
    if (event == HTTP_BODY) {
        SLUICE_ASSERT(parser->piece.bytes > 0);
        buffer_append_slice(&transcript->body, parser->piece);
        SLUICE_ASSERT(parser->body_bytes == transcript->body.bytes);
        return;
    }
    if (event != HTTP_NEED_MORE && transcript->body.bytes > 0) {
        buffer_append_literal(&transcript->text, "BODY ");
        buffer_append_u64(&transcript->text, transcript->body.bytes);
        buffer_append_byte(&transcript->text, ' ');
        buffer_append_slice(&transcript->text, buffer_slice(&transcript->body));
        buffer_append_byte(&transcript->text, '\n');
        buffer_clear(&transcript->body);
    }
    if (event == HTTP_HEAD) {
        transcript_head(transcript);
    } else if (event == HTTP_END) {
        buffer_append_literal(&transcript->text, "END\n");
        http_parser_reset(parser);
        parser->no_response_body = transcript->answers_head;
    } else if (event == HTTP_ERROR) {
        buffer_append_format(&transcript->text, "ERROR %d %s\n", parser->error_http_status,
                             parser->error.message);
        transcript->failed = true;
    }
}

/* Feeds one piece, from a block of its own, so that the address sanitizer sees a read past it. */
static inline void transcript_feed(struct transcript *transcript, struct slice piece)
{
    if (transcript->failed) {
        return;
    }
    char *block = malloc(piece.bytes + (piece.bytes == 0));
    SLUICE_ASSERT(block != NULL);
    if (piece.bytes > 0) {
        memcpy(block, piece.data, piece.bytes);
    }
    struct slice rest = slice_make(block, piece.bytes);
    transcript->parser.no_response_body = transcript->answers_head;
    enum http_event event;
    do {
        event = http_parser_feed(&transcript->parser, &rest);
        transcript_event(transcript, event);
    } while (event != HTTP_NEED_MORE && event != HTTP_ERROR);
    SLUICE_ASSERT(event == HTTP_ERROR || rest.bytes == 0);
    free(block);
}

/* The connection's end. Between messages it says nothing. */
static inline void transcript_finish(struct transcript *transcript)
{
    if (!transcript->failed && !http_parser_idle(&transcript->parser)) {
        transcript_event(transcript, http_parser_finish(&transcript->parser));
    }
}

#endif
