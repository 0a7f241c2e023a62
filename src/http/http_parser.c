/* http_parser: the way in for everything that is not a WebSocket yet (net → http → endpoint), and
 * for the client's responses.
 *
 * Owns the raw head, and the line under way inside a chunked body; body pieces are borrowed from
 * the bytes fed. One parser belongs to one connection and one thread.
 *
 *     HEAD ── end_head ─┬─ no body ──────────────────────────────────────► COMPLETE
 *      ▲                ├─ Content-Length ──► LENGTH ── read_until_length ───►│
 *      │                ├─ until the end ───► UNTIL_CLOSE ── finish ─────────►│
 *      │                └─ chunked ─► CHUNK_LINE ─ last ─► TRAILERS ─────────►│
 *      │                                │      ▲             read_trailers    │
 *      │                read_chunk_line ▼      │ read_chunk_end               │
 *      │                       CHUNK_DATA ─► CHUNK_CR, CHUNK_LF               │
 *      │                         read_chunk_data                              │
 *      └── http_parser_reset (from any) ── DONE ◄── report_end ───────────────┘
 *     any ── fail ──► FAILED
 *
 * Invariants:
 * - Every byte is scanned once or handed out once, so feeding byte by byte costs a constant a byte.
 * - The head is parsed when it is complete, so no slice ever points into a buffer that still grows.
 * - What is reported does not depend on how the bytes were split: framing and control bytes are
 *   checked as they arrive, everything else when its line or head is complete. */
#include "http/http_parser.h"

#include <string.h>

#include "base/assert.h"

#define HEAD_KEPT_BYTES_MAX 4096u
#define CRLF_BYTES 2u

enum state {
    STATE_HEAD,        /* inside the head, or before it: then `head` is empty */
    STATE_LENGTH,      /* inside a body of Content-Length bytes */
    STATE_UNTIL_CLOSE, /* inside a body that the end of the connection ends */
    STATE_CHUNK_LINE,  /* inside a chunk-size line */
    STATE_CHUNK_DATA,  /* inside a chunk's data */
    STATE_CHUNK_CR,    /* before the CR that follows a chunk's data */
    STATE_CHUNK_LF,    /* before the LF of the same */
    STATE_TRAILERS,    /* after the last chunk's line */
    STATE_COMPLETE,    /* all there; HTTP_END is to be reported */
    STATE_DONE,        /* HTTP_END was reported */
    STATE_FAILED,
};

#define FROM(state) (1u << (state))

static void enter(struct http_parser *parser, enum state next)
{
    static const unsigned legal_predecessors[] = {
        [STATE_HEAD] = 0, /* only by http_parser_reset */
        [STATE_LENGTH] = FROM(STATE_HEAD),
        [STATE_UNTIL_CLOSE] = FROM(STATE_HEAD),
        [STATE_CHUNK_LINE] = FROM(STATE_HEAD) | FROM(STATE_CHUNK_LF),
        [STATE_CHUNK_DATA] = FROM(STATE_CHUNK_LINE),
        [STATE_CHUNK_CR] = FROM(STATE_CHUNK_DATA),
        [STATE_CHUNK_LF] = FROM(STATE_CHUNK_CR),
        [STATE_TRAILERS] = FROM(STATE_CHUNK_LINE),
        [STATE_COMPLETE] =
            FROM(STATE_HEAD) | FROM(STATE_LENGTH) | FROM(STATE_UNTIL_CLOSE) | FROM(STATE_TRAILERS),
        [STATE_DONE] = FROM(STATE_COMPLETE),
        [STATE_FAILED] = ~(FROM(STATE_DONE) | FROM(STATE_FAILED)),
    };
    SLUICE_ASSERT((legal_predecessors[next] & FROM(parser->state)) != 0);
    parser->state = (int)next;
}

void http_parser_init(struct http_parser *parser, enum http_role role)
{
    memset(parser, 0, sizeof(*parser));
    parser->role = role;
    buffer_init(&parser->head, HTTP_HEAD_BYTES_MAX);
    buffer_init(&parser->line, HTTP_CHUNK_LINE_BYTES_MAX + CRLF_BYTES);
    http_parser_reset(parser);
}

void http_parser_deinit(struct http_parser *parser)
{
    buffer_deinit(&parser->head);
    buffer_deinit(&parser->line);
}

void http_parser_reset(struct http_parser *parser)
{
    parser->state = STATE_HEAD;
    if (parser->head.capacity > HEAD_KEPT_BYTES_MAX) {
        buffer_deinit(&parser->head);
    }
    buffer_clear(&parser->head);
    buffer_clear(&parser->line);
    parser->header_count = 0;
    parser->method = SLICE_EMPTY;
    parser->target = SLICE_EMPTY;
    parser->status_code = 0;
    parser->version_minor = 0;
    parser->keep_alive = false;
    parser->upgrade = false;
    parser->expect_continue = false;
    parser->chunked = false;
    parser->has_content_length = false;
    parser->no_response_body = false;
    parser->content_length = 0;
    parser->body_bytes = 0;
    parser->piece = SLICE_EMPTY;
    parser->error_http_status = 0;
    parser->error.status = SLUICE_OK;
    parser->error.message[0] = '\0';
    parser->chunk_bytes_left = 0;
    parser->head_line_offset = 0;
    parser->blank_line_count = 0;
    parser->trailer_count = 0;
}

/* ---- refusing ---- */

static enum sluice_status status_of_http(int http_status)
{
    switch (http_status) {
    case 413:
    case 414:
    case 431:
        return SLUICE_LIMIT;
    case 501:
    case 505:
        return SLUICE_UNSUPPORTED;
    case 503:
        return SLUICE_NO_MEMORY;
    default:
        return SLUICE_MALFORMED;
    }
}

/* Refuses the message. Returns false, so that a check is one statement. */
static bool fail(struct http_parser *parser, int http_status, const char *problem)
{
    enter(parser, STATE_FAILED);
    parser->error_http_status = http_status;
    (void)error_set(&parser->error, status_of_http(http_status), "%s", problem);
    return false;
}

/* The same, with the text that is wrong. */
static bool fail_at(struct http_parser *parser, int http_status, const char *problem,
                    struct slice text)
{
    enter(parser, STATE_FAILED);
    parser->error_http_status = http_status;
    (void)error_set(&parser->error, status_of_http(http_status), "%s: \"%.*s\"", problem,
                    SLICE_PRINT(text));
    return false;
}

/* The same, with the limit that is exceeded. */
static bool fail_limit(struct http_parser *parser, int http_status, const char *problem,
                       unsigned limit)
{
    enter(parser, STATE_FAILED);
    parser->error_http_status = http_status;
    (void)error_set(&parser->error, status_of_http(http_status), "%s; the limit is %u", problem,
                    limit);
    return false;
}

/* What a step reports that found no whole line, or did all it could with it. */
static enum http_event need_more_or_error(const struct http_parser *parser)
{
    return parser->state == STATE_FAILED ? HTTP_ERROR : HTTP_NEED_MORE;
}

/* ---- bytes and words ---- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_letter_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte);
}

/* RFC 9110 5.6.2: tchar */
static bool is_token_byte(char byte)
{
    return is_letter_or_digit(byte) || (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

/* RFC 3986 3.2.2 and 3.2.3: what a host and a port are made of */
static bool is_host_byte(char byte)
{
    return is_letter_or_digit(byte) ||
           (byte != '\0' && strchr("-._~%!$&'()*+,;=:[]", byte) != NULL);
}

static bool is_visible_ascii(char byte)
{
    return byte > ' ' && byte < 0x7F;
}

static bool all_bytes(struct slice text, bool (*is_legal)(char))
{
    for (size_t at = 0; at < text.bytes; at++) {
        if (!is_legal(text.data[at])) {
            return false;
        }
    }
    return true;
}

static bool is_token(struct slice text)
{
    return text.bytes > 0 && all_bytes(text, is_token_byte);
}

static bool is_named(struct slice text, const char *name)
{
    return slice_equal_ignoring_case(text, slice_of_string(name));
}

/* Where `byte` first is in `text`; text.bytes when it is not there. */
static size_t find_byte(struct slice text, char byte)
{
    const char *found = text.bytes == 0 ? NULL : memchr(text.data, byte, text.bytes);
    return found == NULL ? text.bytes : (size_t)(found - text.data);
}

static struct slice slice_from(struct slice text, size_t at)
{
    return at == 0 ? text : slice_make(text.data + at, text.bytes - at);
}

static struct slice trim_blanks(struct slice text)
{
    while (text.bytes > 0 && is_blank(text.data[0])) {
        text = slice_from(text, 1);
    }
    while (text.bytes > 0 && is_blank(text.data[text.bytes - 1])) {
        text.bytes--;
    }
    return text;
}

/* Cuts the next item off a comma-separated list; false when there is none. */
static bool next_list_item(struct slice *list, struct slice *item)
{
    if (list->bytes == 0) {
        return false;
    }
    size_t item_bytes = find_byte(*list, ',');
    *item = trim_blanks(slice_make(list->data, item_bytes));
    *list = slice_from(*list, item_bytes < list->bytes ? item_bytes + 1 : item_bytes);
    return true;
}

static struct slice take(struct slice *input, size_t bytes)
{
    struct slice taken = slice_make(input->data, bytes);
    *input = slice_from(*input, bytes);
    return taken;
}

/* ---- lines: the framing of heads, chunk sizes and trailers ---- */

enum line_scan { LINE_PARTIAL, LINE_ENDED, LINE_MALFORMED };

/* Fills `*bytes` with how much of `text` belongs to the line under way, its CR LF included.
 * `after_cr`: the last byte before `text` was a CR. A CR and an LF are only legal together; other
 * control bytes, but for the tab, are not legal at all. */
static enum line_scan scan_line(struct slice text, bool after_cr, size_t *bytes)
{
    size_t at = 0;
    for (; at < text.bytes; at++) {
        unsigned char byte = (unsigned char)text.data[at];
        if (byte >= 0x20 && byte != 0x7F && !after_cr) {
            continue;
        }
        if (after_cr) {
            *bytes = at + 1;
            return byte == '\n' ? LINE_ENDED : LINE_MALFORMED;
        }
        after_cr = byte == '\r';
        if (!after_cr && byte != '\t') {
            return LINE_MALFORMED;
        }
    }
    *bytes = at;
    return LINE_PARTIAL;
}

/* Moves what belongs to the line under way from the input into `buffer`, up to the buffer's cap.
 * `line_offset` is where the line starts in the buffer. */
static enum line_scan take_line(struct http_parser *parser, struct buffer *buffer,
                                size_t line_offset, struct slice *input)
{
    size_t room = buffer->bytes_max - buffer->bytes;
    struct slice text = slice_make(input->data, input->bytes < room ? input->bytes : room);
    bool after_cr = buffer->bytes > line_offset && buffer->data[buffer->bytes - 1] == '\r';
    size_t bytes = 0;
    enum line_scan scan = scan_line(text, after_cr, &bytes);
    if (scan == LINE_MALFORMED) {
        (void)fail(parser, 400, "a control byte, or a CR or LF that is not part of a line's end");
        return LINE_MALFORMED;
    }
    buffer_append_slice(buffer, take(input, bytes));
    if (buffer_status(buffer) != SLUICE_OK) {
        (void)fail(parser, 503, "no memory for a line of the message");
        return LINE_MALFORMED;
    }
    return scan;
}

/* ---- the head ---- */

/* Cuts the next line off `*text`, which ends with a CR LF; the line comes without it. */
static struct slice next_line(struct slice *text)
{
    size_t bytes = find_byte(*text, '\r');
    SLUICE_ASSERT(text->bytes - bytes >= CRLF_BYTES);
    struct slice line = take(text, bytes);
    (void)take(text, CRLF_BYTES);
    return line;
}

static bool parse_version(struct http_parser *parser, struct slice version)
{
    bool formed = version.bytes == 8 && memcmp(version.data, "HTTP/", 5) == 0 &&
                  is_digit(version.data[5]) && version.data[6] == '.' && is_digit(version.data[7]);
    if (!formed) {
        return fail_at(parser, 400, "the start line has no HTTP version", version);
    }
    if (version.data[5] != '1' || version.data[7] > '1') {
        return fail_at(parser, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here", version);
    }
    parser->version_minor = version.data[7] - '0';
    return true;
}

/* method SP request-target SP HTTP-version */
static bool parse_request_line(struct http_parser *parser, struct slice line)
{
    size_t method_bytes = find_byte(line, ' ');
    parser->method = slice_make(line.data, method_bytes);
    if (!is_token(parser->method)) {
        return fail_at(parser, 400, "the method is not a token", parser->method);
    }
    struct slice rest = slice_from(line, method_bytes);
    if (rest.bytes == 0) {
        return fail_at(parser, 400, "the request line has no target", line);
    }
    rest = slice_from(rest, 1);
    size_t target_bytes = find_byte(rest, ' ');
    parser->target = slice_make(rest.data, target_bytes);
    if (target_bytes > HTTP_TARGET_BYTES_MAX) {
        return fail_limit(parser, 414, "the request target has too many bytes",
                          HTTP_TARGET_BYTES_MAX);
    }
    if (target_bytes == 0 || !all_bytes(parser->target, is_visible_ascii)) {
        return fail_at(parser, 400, "the request target is empty or not visible ASCII",
                       parser->target);
    }
    struct slice version = slice_from(rest, target_bytes);
    return parse_version(parser, version.bytes == 0 ? version : slice_from(version, 1));
}

/* HTTP-version SP status-code SP reason-phrase; the last SP may be missing with the phrase. */
static bool parse_status_line(struct http_parser *parser, struct slice line)
{
    size_t version_bytes = find_byte(line, ' ');
    if (!parse_version(parser, slice_make(line.data, version_bytes))) {
        return false;
    }
    struct slice rest = slice_from(line, version_bytes);
    rest = rest.bytes == 0 ? rest : slice_from(rest, 1);
    struct slice code = slice_make(rest.data, find_byte(rest, ' '));
    bool legal =
        code.bytes == 3 && all_bytes(code, is_digit) && code.data[0] >= '1' && code.data[0] <= '5';
    if (!legal) {
        return fail_at(parser, 400, "the status code is not 100 to 599", code);
    }
    parser->status_code =
        (code.data[0] - '0') * 100 + (code.data[1] - '0') * 10 + (code.data[2] - '0');
    return true;
}

/* field-name ":" OWS field-value OWS. Also the form of a trailer. */
static bool parse_header_line(struct http_parser *parser, struct slice line,
                              struct http_header *header)
{
    if (is_blank(line.data[0])) {
        return fail(parser, 400, "a header line that starts with white space");
    }
    size_t name_bytes = find_byte(line, ':');
    struct slice name = slice_make(line.data, name_bytes);
    if (name_bytes == line.bytes) {
        return fail_at(parser, 400, "a header line without a colon", line);
    }
    if (name_bytes > 0 && is_blank(name.data[name_bytes - 1])) {
        return fail_at(parser, 400, "white space between a header's name and its colon", name);
    }
    if (!is_token(name)) {
        return fail_at(parser, 400, "a header name that is not a token", name);
    }
    header->name = name;
    header->value = trim_blanks(slice_from(line, name_bytes + 1));
    return true;
}

static bool parse_header_lines(struct http_parser *parser, struct slice text)
{
    for (;;) {
        struct slice line = next_line(&text);
        if (line.bytes == 0) {
            return true;
        }
        if (parser->header_count == HTTP_HEADERS_MAX) {
            return fail_limit(parser, 431, "too many headers", HTTP_HEADERS_MAX);
        }
        if (!parse_header_line(parser, line, &parser->headers[parser->header_count])) {
            return false;
        }
        parser->header_count++;
    }
}

/* ---- what the headers mean ---- */

static bool take_content_length(struct http_parser *parser, struct slice value)
{
    if (parser->has_content_length) {
        return fail(parser, 400, "Content-Length is repeated");
    }
    if (value.bytes == 0 || !all_bytes(value, is_digit)) {
        return fail_at(parser, 400, "Content-Length is not a number", value);
    }
    unsigned long long length = 0;
    if (!slice_to_u64(value, &length)) {
        return fail_at(parser, 413, "Content-Length is too large", value);
    }
    parser->has_content_length = true;
    parser->content_length = length;
    return true;
}

/* RFC 9112 6.1 and 6.3: a coding before a final "chunked" is one that we lack; without a final
 * "chunked" nobody can tell where the body ends. */
static bool take_transfer_encoding(struct http_parser *parser, struct slice value)
{
    if (parser->chunked) {
        return fail(parser, 400, "Transfer-Encoding is repeated");
    }
    parser->chunked = is_named(value, "chunked");
    if (parser->chunked) {
        return true;
    }
    struct slice list = value;
    struct slice coding = SLICE_EMPTY;
    unsigned chunked_count = 0;
    while (next_list_item(&list, &coding)) {
        chunked_count += is_named(coding, "chunked");
    }
    bool only_unknown = chunked_count == 1 && is_named(coding, "chunked");
    return fail_at(parser, only_unknown ? 501 : 400, "Transfer-Encoding is not just \"chunked\"",
                   value);
}

static bool take_header(struct http_parser *parser, const struct http_header *header,
                        unsigned *host_count)
{
    if (is_named(header->name, "Content-Length")) {
        return take_content_length(parser, header->value);
    }
    if (is_named(header->name, "Transfer-Encoding")) {
        return take_transfer_encoding(parser, header->value);
    }
    if (is_named(header->name, "Host") && parser->role == HTTP_REQUESTS) {
        (*host_count)++;
        return all_bytes(header->value, is_host_byte) ||
               fail_at(parser, 400, "Host is not a host and a port", header->value);
    }
    return true;
}

/* RFC 9112 3.2 */
static bool check_host_count(struct http_parser *parser, unsigned host_count)
{
    if (host_count > 1) {
        return fail(parser, 400, "Host is repeated");
    }
    if (host_count == 0 && parser->version_minor == 1 && parser->role == HTTP_REQUESTS) {
        return fail(parser, 400, "an HTTP/1.1 request needs a Host header");
    }
    return true;
}

static void interpret_connection(struct http_parser *parser)
{
    bool close = http_parser_header_has_token(parser, "Connection", "close");
    if (parser->version_minor == 0) {
        /* RFC 9110 7.8 and 10.1.1: Upgrade and 100-continue of an HTTP/1.0 peer are ignored. */
        bool keep = http_parser_header_has_token(parser, "Connection", "keep-alive");
        parser->keep_alive = keep && !close;
        return;
    }
    parser->keep_alive = !close;
    parser->upgrade = http_parser_header_has_token(parser, "Connection", "upgrade");
    parser->expect_continue = parser->role == HTTP_REQUESTS &&
                              http_parser_header_has_token(parser, "Expect", "100-continue");
}

static bool interpret_headers(struct http_parser *parser)
{
    unsigned host_count = 0;
    for (unsigned index = 0; index < parser->header_count; index++) {
        if (!take_header(parser, &parser->headers[index], &host_count)) {
            return false;
        }
    }
    if (parser->chunked && parser->has_content_length) {
        return fail(parser, 400, "both Transfer-Encoding and Content-Length");
    }
    if (parser->chunked && parser->version_minor == 0) {
        return fail(parser, 400, "Transfer-Encoding in an HTTP/1.0 message");
    }
    if (!check_host_count(parser, host_count)) {
        return false;
    }
    interpret_connection(parser);
    return true;
}

/* RFC 9112 6.3, rule 1 */
static bool response_has_no_body(const struct http_parser *parser)
{
    return parser->no_response_body || parser->status_code < 200 || parser->status_code == 204 ||
           parser->status_code == 304;
}

/* RFC 9112 6.3 */
static enum state state_after_head(struct http_parser *parser)
{
    bool responses = parser->role == HTTP_RESPONSES;
    if (responses && response_has_no_body(parser)) {
        return STATE_COMPLETE;
    }
    if (parser->chunked) {
        return STATE_CHUNK_LINE;
    }
    if (parser->has_content_length) {
        return parser->content_length == 0 ? STATE_COMPLETE : STATE_LENGTH;
    }
    if (responses) {
        parser->keep_alive = false;
        return STATE_UNTIL_CLOSE;
    }
    return STATE_COMPLETE;
}

/* The head is complete: fills everything that is known of the message. */
static bool end_head(struct http_parser *parser)
{
    struct slice text = buffer_slice(&parser->head);
    struct slice start_line = next_line(&text);
    bool understood = (parser->role == HTTP_REQUESTS ? parse_request_line(parser, start_line)
                                                     : parse_status_line(parser, start_line)) &&
                      parse_header_lines(parser, text) && interpret_headers(parser);
    if (understood) {
        enter(parser, state_after_head(parser));
    }
    return understood;
}

/* An empty line where a start line should be. */
static bool skip_blank_line(struct http_parser *parser)
{
    if (parser->role == HTTP_RESPONSES || parser->blank_line_count == HTTP_BLANK_LINES_MAX) {
        return fail(parser, 400, "an empty line in place of the start line");
    }
    parser->blank_line_count++;
    buffer_clear(&parser->head);
    return true;
}

static enum http_event fail_head_too_long(struct http_parser *parser)
{
    bool in_request_line = parser->role == HTTP_REQUESTS && parser->head_line_offset == 0;
    (void)fail_limit(parser, in_request_line ? 414 : 431, "the head has too many bytes",
                     HTTP_HEAD_BYTES_MAX);
    return HTTP_ERROR;
}

/* What the end of a line in the head means. */
static enum http_event end_head_line(struct http_parser *parser)
{
    bool empty = parser->head.bytes - parser->head_line_offset == CRLF_BYTES;
    if (!empty) {
        parser->head_line_offset = parser->head.bytes;
        return HTTP_NEED_MORE;
    }
    if (parser->head_line_offset == 0) {
        return skip_blank_line(parser) ? HTTP_NEED_MORE : HTTP_ERROR;
    }
    return end_head(parser) ? HTTP_HEAD : HTTP_ERROR;
}

static enum http_event read_head(struct http_parser *parser, struct slice *input)
{
    enum http_event event = HTTP_NEED_MORE;
    while (event == HTTP_NEED_MORE && input->bytes > 0) {
        if (parser->head.bytes == HTTP_HEAD_BYTES_MAX) {
            return fail_head_too_long(parser);
        }
        enum line_scan scan = take_line(parser, &parser->head, parser->head_line_offset, input);
        if (scan == LINE_MALFORMED) {
            return HTTP_ERROR;
        }
        if (scan == LINE_ENDED) {
            event = end_head_line(parser);
        }
    }
    return event;
}

/* ---- the body ---- */

/* Hands out up to `bytes_left` bytes of the input, and counts them. */
static enum http_event report_piece(struct http_parser *parser, uint64_t bytes_left,
                                    struct slice *input)
{
    SLUICE_ASSERT(bytes_left > 0);
    if (input->bytes == 0) {
        return HTTP_NEED_MORE;
    }
    size_t bytes = input->bytes < bytes_left ? input->bytes : (size_t)bytes_left;
    parser->piece = take(input, bytes);
    parser->body_bytes += bytes;
    return HTTP_BODY;
}

static enum http_event read_until_length(struct http_parser *parser, struct slice *input)
{
    uint64_t bytes_left = parser->content_length - parser->body_bytes;
    enum http_event event = report_piece(parser, bytes_left, input);
    if (parser->body_bytes == parser->content_length) {
        enter(parser, STATE_COMPLETE);
    }
    return event;
}

static int hex_digit(char byte)
{
    if (is_digit(byte)) {
        return byte - '0';
    }
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* chunk-size [ ";" extensions ]; the extensions have been scanned for control bytes. */
static bool parse_chunk_line(struct http_parser *parser, struct slice line, uint64_t *chunk_bytes)
{
    uint64_t size = 0;
    size_t at = 0;
    for (; at < line.bytes && hex_digit(line.data[at]) >= 0; at++) {
        if (size > UINT64_MAX >> 4) {
            return fail_at(parser, 413, "a chunk is too large", line);
        }
        size = size << 4 | (uint64_t)hex_digit(line.data[at]);
    }
    if (at == 0 || (at < line.bytes && line.data[at] != ';')) {
        return fail_at(parser, 400, "a chunk's size is not a hexadecimal number", line);
    }
    if (size > UINT64_MAX - parser->body_bytes) {
        return fail_at(parser, 413, "a chunk is too large", line);
    }
    *chunk_bytes = size;
    return true;
}

/* Collects a line of a chunked body in parser->line. False while it is not whole, or refused. */
static bool take_body_line(struct http_parser *parser, struct slice *input, int too_long_status,
                           struct slice *line)
{
    enum line_scan scan = take_line(parser, &parser->line, 0, input);
    if (scan == LINE_PARTIAL && parser->line.bytes == parser->line.bytes_max) {
        return fail_limit(parser, too_long_status,
                          "a chunk-size or trailer line has too many bytes",
                          HTTP_CHUNK_LINE_BYTES_MAX);
    }
    if (scan != LINE_ENDED) {
        return false;
    }
    *line = slice_make(parser->line.data, parser->line.bytes - CRLF_BYTES);
    return true;
}

static enum http_event read_chunk_line(struct http_parser *parser, struct slice *input)
{
    struct slice line;
    uint64_t chunk_bytes = 0;
    if (take_body_line(parser, input, 400, &line) && parse_chunk_line(parser, line, &chunk_bytes)) {
        buffer_clear(&parser->line);
        parser->chunk_bytes_left = chunk_bytes;
        enter(parser, chunk_bytes == 0 ? STATE_TRAILERS : STATE_CHUNK_DATA);
    }
    return need_more_or_error(parser);
}

static enum http_event read_chunk_data(struct http_parser *parser, struct slice *input)
{
    enum http_event event = report_piece(parser, parser->chunk_bytes_left, input);
    if (event == HTTP_BODY) {
        parser->chunk_bytes_left -= parser->piece.bytes;
    }
    if (parser->chunk_bytes_left == 0) {
        enter(parser, STATE_CHUNK_CR);
    }
    return event;
}

static enum http_event read_chunk_end(struct http_parser *parser, struct slice *input)
{
    if (input->bytes == 0) {
        return HTTP_NEED_MORE;
    }
    bool cr = parser->state == STATE_CHUNK_CR;
    if (take(input, 1).data[0] != (cr ? '\r' : '\n')) {
        (void)fail(parser, 400, "a chunk is longer than its size says");
        return HTTP_ERROR;
    }
    enter(parser, cr ? STATE_CHUNK_LF : STATE_CHUNK_LINE);
    return HTTP_NEED_MORE;
}

static bool check_trailer(struct http_parser *parser, struct slice line)
{
    if (parser->trailer_count == HTTP_TRAILERS_MAX) {
        return fail_limit(parser, 431, "too many trailers", HTTP_TRAILERS_MAX);
    }
    parser->trailer_count++;
    struct http_header dropped;
    return parse_header_line(parser, line, &dropped);
}

static enum http_event read_trailers(struct http_parser *parser, struct slice *input)
{
    struct slice line;
    if (take_body_line(parser, input, 431, &line)) {
        if (line.bytes == 0) {
            enter(parser, STATE_COMPLETE);
        } else if (!check_trailer(parser, line)) {
            return HTTP_ERROR;
        }
        buffer_clear(&parser->line);
    }
    return need_more_or_error(parser);
}

static enum http_event report_end(struct http_parser *parser)
{
    enter(parser, STATE_DONE);
    parser->piece = SLICE_EMPTY;
    return HTTP_END;
}

/* One step. HTTP_NEED_MORE: it went on, or found nothing in the input to go on with. */
static enum http_event step(struct http_parser *parser, struct slice *input)
{
    switch ((enum state)parser->state) {
    case STATE_HEAD:
        return read_head(parser, input);
    case STATE_LENGTH:
        return read_until_length(parser, input);
    case STATE_UNTIL_CLOSE:
        return report_piece(parser, UINT64_MAX, input);
    case STATE_CHUNK_LINE:
        return read_chunk_line(parser, input);
    case STATE_CHUNK_DATA:
        return read_chunk_data(parser, input);
    case STATE_CHUNK_CR:
    case STATE_CHUNK_LF:
        return read_chunk_end(parser, input);
    case STATE_TRAILERS:
        return read_trailers(parser, input);
    case STATE_COMPLETE:
        return report_end(parser);
    case STATE_DONE:
    case STATE_FAILED:
        break;
    }
    SLUICE_ASSERT(parser->state == STATE_FAILED); /* else a reset was forgotten after HTTP_END */
    return HTTP_ERROR;
}

enum http_event http_parser_feed(struct http_parser *parser, struct slice *input)
{
    for (;;) {
        int state_before = parser->state;
        enum http_event event = step(parser, input);
        if (event != HTTP_NEED_MORE || (input->bytes == 0 && parser->state == state_before)) {
            return event;
        }
    }
}

enum http_event http_parser_finish(struct http_parser *parser)
{
    if (parser->state == STATE_UNTIL_CLOSE) {
        enter(parser, STATE_COMPLETE);
    }
    if (parser->state == STATE_COMPLETE) {
        return report_end(parser);
    }
    if (parser->state == STATE_DONE) {
        return HTTP_END;
    }
    if (parser->state != STATE_FAILED) {
        (void)fail(parser, 400, "the connection ended inside a message");
    }
    return HTTP_ERROR;
}

bool http_parser_idle(const struct http_parser *parser)
{
    return parser->state == STATE_HEAD && parser->head.bytes == 0;
}

struct slice http_parser_header(const struct http_parser *parser, const char *name)
{
    for (unsigned index = 0; index < parser->header_count; index++) {
        if (is_named(parser->headers[index].name, name)) {
            return parser->headers[index].value;
        }
    }
    return SLICE_EMPTY;
}

bool http_parser_header_has_token(const struct http_parser *parser, const char *name,
                                  const char *token)
{
    for (unsigned index = 0; index < parser->header_count; index++) {
        if (!is_named(parser->headers[index].name, name)) {
            continue;
        }
        struct slice list = parser->headers[index].value;
        struct slice item = SLICE_EMPTY;
        while (next_list_item(&list, &item)) {
            if (is_named(item, token)) {
                return true;
            }
        }
    }
    return false;
}
