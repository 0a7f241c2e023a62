/* http_parser: HTTP/1.1 messages (RFC 9112), bytes in, events out. No sockets, no clock.
 *
 * Strict on purpose: what two parsers could read differently (request smuggling) is refused. Both
 * length headers at once, repeated or conflicting Content-Length, a Transfer-Encoding other than
 * "chunked", white space before a colon, obs-fold, bare CR or LF, control bytes in names or values,
 * control bytes in chunk extensions, and heads over the limits end the message with an error that
 * names the problem and the HTTP status to answer. Requests and responses; bodies by
 * Content-Length, chunked, and (responses only) until the end of the connection.
 *
 * The parser may be fed one byte at a time. It keeps the head in a buffer of its own until the body
 * is done, so header slices stay valid from HTTP_HEAD to the next http_parser_reset. */
#ifndef SLUICE_HTTP_PARSER_H
#define SLUICE_HTTP_PARSER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#define HTTP_HEAD_BYTES_MAX 16384u /* start line and headers together */
#define HTTP_HEADERS_MAX 64u
#define HTTP_TARGET_BYTES_MAX 8192u
#define HTTP_CHUNK_LINE_BYTES_MAX 256u /* chunk size and extensions; also each trailer line */
#define HTTP_TRAILERS_MAX 16u          /* trailers are checked and dropped */
#define HTTP_BLANK_LINES_MAX 2u        /* before a request line, RFC 9112 2.2 */

enum http_role { HTTP_REQUESTS, HTTP_RESPONSES };

enum http_event {
    HTTP_NEED_MORE, /* everything fed was consumed; feed more */
    HTTP_HEAD,      /* the head is complete: method, target, headers (or status) are filled */
    HTTP_BODY,      /* a piece of the body, in `piece`: borrowed from the bytes fed */
    HTTP_END,       /* the message is complete; what follows in the input is the next message's */
    HTTP_ERROR, /* refused: see `error` and `error_http_status`; the connection must be closed */
};

struct http_header {
    struct slice name;  /* as sent; compare with slice_equal_ignoring_case */
    struct slice value; /* without white space around it */
};

struct http_parser {
    enum http_role role;
    int state;          /* private */
    struct buffer head; /* private: the raw head; freed by reset when large */
    struct http_header headers[HTTP_HEADERS_MAX]; /* slices of `head`; valid from HTTP_HEAD on */
    unsigned header_count;
    struct slice method;  /* requests */
    struct slice target;  /* requests: as sent, origin-form ("/p?q") or absolute-form */
    int status_code;      /* responses: 100..599 */
    int version_minor;    /* 0 or 1, of HTTP/1.x */
    bool keep_alive;      /* by version and the Connection header */
    bool upgrade;         /* HTTP/1.1 and Connection contains "upgrade" */
    bool expect_continue; /* an HTTP/1.1 request with Expect: 100-continue */
    bool chunked;
    bool has_content_length;
    bool no_response_body;   /* responses: set by the caller before the head ends, for HEAD; a reset
                                clears it */
    uint64_t content_length; /* bytes; meaningful when has_content_length */
    uint64_t body_bytes;     /* received so far */
    struct slice piece;      /* at HTTP_BODY */
    int error_http_status;   /* at HTTP_ERROR: 400, 413, 414, 431, 501, 503 (no memory) or 505 */
    struct sluice_error error; /* at HTTP_ERROR */
    /* private: */
    uint64_t chunk_bytes_left;
    struct buffer line;      /* the chunk-size or trailer line under way, with its CR LF */
    size_t head_line_offset; /* where in `head` the line under way starts */
    unsigned blank_line_count;
    unsigned trailer_count;
};

/* In place; allocates nothing until bytes arrive. */
void http_parser_init(struct http_parser *parser, enum http_role role);
void http_parser_deinit(struct http_parser *parser);
/* Ready for the next message on the same connection. Keeps the head's buffer when it is small. */
void http_parser_reset(struct http_parser *parser);

/* Takes bytes from the front of `*input` and reports the next event, leaving in `*input` what it
 * did not consume: call again with the rest (also when that is empty) until HTTP_NEED_MORE,
 * HTTP_END or HTTP_ERROR. After HTTP_HEAD of a message without a body the next call gives HTTP_END.
 * After HTTP_END call http_parser_reset before feeding more (asserted); after HTTP_ERROR every call
 * gives HTTP_ERROR. Empty lines before a request line are skipped (RFC 9112 2.2), at most 2. Linear
 * in the bytes fed, however they are split. */
enum http_event http_parser_feed(struct http_parser *parser, struct slice *input);

/* Tells a response parser that the connection has ended. HTTP_END when that ends the body (or the
 * message was complete), HTTP_ERROR when it came too early. */
enum http_event http_parser_finish(struct http_parser *parser);

/* True between messages: nothing of a next one has arrived. */
bool http_parser_idle(const struct http_parser *parser);

/* The first header of that name, or an empty slice with NULL data. From HTTP_HEAD on. */
struct slice http_parser_header(const struct http_parser *parser, const char *name);
/* Whether a comma-separated header (all lines of that name) contains `token`, ignoring case. */
bool http_parser_header_has_token(const struct http_parser *parser, const char *name,
                                  const char *token);

#endif
