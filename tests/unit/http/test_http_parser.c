/* Every input here is fed whole, one byte at a time, and cut at every point: what the parser
 * reports must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "transcript.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GET "GET /a HTTP/1.1\r\nHost: h\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define HEAD_GET "HEAD GET /a HTTP/1.1 [keep-alive]\n  Host: h\n"

/* ---- ways of feeding ---- */

enum ending { STAYS_OPEN, ENDS };

static void compare(const struct transcript *transcript, struct slice expected, const char *how,
                    size_t at)
{
    if (!slice_equal(buffer_slice(&transcript->text), expected)) {
        fail_msg("fed %s %zu:\n%.*s\nexpected:\n%.*s", how, at, (int)transcript->text.bytes,
                 transcript->text.data, (int)expected.bytes, expected.data);
    }
}

static void feed_in_pieces(struct transcript *transcript, struct slice input, size_t first_bytes,
                           size_t piece_bytes, enum ending ending)
{
    size_t at = first_bytes < input.bytes ? first_bytes : input.bytes;
    transcript_feed(transcript, slice_make(input.data, at));
    while (at < input.bytes) {
        size_t bytes = piece_bytes < input.bytes - at ? piece_bytes : input.bytes - at;
        transcript_feed(transcript, slice_make(input.data + at, bytes));
        at += bytes;
    }
    if (ending == ENDS) {
        transcript_finish(transcript);
    }
}

/* Checks that `input` gives `expected`, however it is cut. */
static void expect_bytes(enum http_role role, bool answers_head, struct slice input,
                         enum ending ending, struct slice expected)
{
    struct transcript transcript;
    for (size_t cut = 0; cut <= input.bytes; cut++) {
        transcript_init(&transcript, role);
        transcript.answers_head = answers_head;
        feed_in_pieces(&transcript, input, cut, SIZE_MAX, ending);
        compare(&transcript, expected, "cut at", cut);
        transcript_deinit(&transcript);
    }
    transcript_init(&transcript, role);
    transcript.answers_head = answers_head;
    feed_in_pieces(&transcript, input, 0, 1, ending);
    compare(&transcript, expected, "in pieces of", 1);
    transcript_deinit(&transcript);
}

static void expect_request(const char *input, const char *expected)
{
    expect_bytes(HTTP_REQUESTS, false, slice_of_string(input), STAYS_OPEN,
                 slice_of_string(expected));
}

static void expect_response(const char *input, enum ending ending, const char *expected)
{
    expect_bytes(HTTP_RESPONSES, false, slice_of_string(input), ending, slice_of_string(expected));
}

/* Checks that `input` is refused with `http_status`, in the same words however it is cut. */
static void expect_refusal(const char *what, enum http_role role, struct slice input,
                           int http_status)
{
    struct transcript whole;
    transcript_init(&whole, role);
    transcript_feed(&whole, input);
    if (!whole.failed || whole.parser.error_http_status != http_status ||
        whole.parser.error.message[0] == '\0') {
        fail_msg("%s: expected a refusal with %d, got:\n%.*s", what, http_status,
                 (int)whole.text.bytes, whole.text.data);
    }
    struct slice rest = SLICE_EMPTY;
    assert_int_equal(http_parser_feed(&whole.parser, &rest), HTTP_ERROR);
    assert_int_equal(http_parser_finish(&whole.parser), HTTP_ERROR);
    assert_false(http_parser_idle(&whole.parser));
    expect_bytes(role, false, input, STAYS_OPEN, buffer_slice(&whole.text));
    transcript_deinit(&whole);
}

/* A buffer with `count` copies of `text` between `before` and `after`. */
static struct buffer repeated(const char *before, const char *text, size_t count, const char *after)
{
    struct buffer buffer;
    buffer_init(&buffer, 1u << 20);
    buffer_append_slice(&buffer, slice_of_string(before));
    for (size_t index = 0; index < count; index++) {
        buffer_append_slice(&buffer, slice_of_string(text));
    }
    buffer_append_slice(&buffer, slice_of_string(after));
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    return buffer;
}

static void expect_long_refusal(const char *what, enum http_role role, struct buffer input,
                                int http_status)
{
    struct transcript whole, bytewise;
    transcript_init(&whole, role);
    transcript_init(&bytewise, role);
    feed_in_pieces(&whole, buffer_slice(&input), 0, SIZE_MAX, STAYS_OPEN);
    feed_in_pieces(&bytewise, buffer_slice(&input), 0, 1, STAYS_OPEN);
    if (!whole.failed || whole.parser.error_http_status != http_status) {
        fail_msg("%s: expected a refusal with %d, got:\n%.*s", what, http_status,
                 (int)whole.text.bytes, whole.text.data);
    }
    compare(&bytewise, buffer_slice(&whole.text), "in pieces of", 1);
    transcript_deinit(&whole);
    transcript_deinit(&bytewise);
    buffer_deinit(&input);
}

static void expect_long_accepted(struct buffer input)
{
    struct transcript whole, bytewise;
    transcript_init(&whole, HTTP_REQUESTS);
    transcript_init(&bytewise, HTTP_REQUESTS);
    feed_in_pieces(&whole, buffer_slice(&input), 0, SIZE_MAX, STAYS_OPEN);
    feed_in_pieces(&bytewise, buffer_slice(&input), 0, 1, STAYS_OPEN);
    assert_false(whole.failed);
    assert_true(http_parser_idle(&whole.parser));
    assert_true(whole.text.bytes > 4);
    assert_memory_equal(whole.text.data + whole.text.bytes - 4, "END\n", 4);
    compare(&bytewise, buffer_slice(&whole.text), "in pieces of", 1);
    transcript_deinit(&whole);
    transcript_deinit(&bytewise);
    buffer_deinit(&input);
}

/* ---- requests that are understood ---- */

static void a_request_without_a_body_ends_with_its_head(void **state)
{
    (void)state;
    expect_request(GET "\r\n", HEAD_GET "END\n");
}

static void header_values_lose_the_white_space_around_them_and_keep_what_is_inside(void **state)
{
    (void)state;
    expect_request(GET "X-One: \t a \t b  \r\nX-Two:c\r\nX-Empty:\r\nX-Blank:  \r\nX-Obs: \xE9\r\n"
                       "x!#$%&'*+-.^_`|~9: d\r\n\r\n",
                   HEAD_GET "  X-One: a \t b\n  X-Two: c\n  X-Empty: \n  X-Blank: \n  X-Obs: \xE9\n"
                            "  x!#$%&'*+-.^_`|~9: d\nEND\n");
}

static void a_target_is_handed_out_as_it_was_sent(void **state)
{
    (void)state;
    expect_request("PUT http://h/%2e%2E/?a={|}^ HTTP/1.1\r\nHost: h:80\r\n\r\n",
                   "HEAD PUT http://h/%2e%2E/?a={|}^ HTTP/1.1 [keep-alive]\n  Host: h:80\nEND\n");
}

static void a_body_with_a_length_ends_after_that_many_bytes(void **state)
{
    (void)state;
    expect_request(POST "Content-Length: 5\r\n\r\nhello" GET "\r\n",
                   "HEAD POST /a HTTP/1.1 [keep-alive length=5]\n  Host: h\n  Content-Length: 5\n"
                   "BODY 5 hello\nEND\n" HEAD_GET "END\n");
}

static void a_body_of_length_zero_is_no_body(void **state)
{
    (void)state;
    expect_request(POST "content-length: 000\r\n\r\n",
                   "HEAD POST /a HTTP/1.1 [keep-alive length=0]\n  Host: h\n  content-length: 000\n"
                   "END\n");
}

static void a_chunked_body_is_put_together(void **state)
{
    (void)state;
    expect_request(
        POST
        "Transfer-Encoding: Chunked\r\n\r\n"
        "5\r\nhello\r\n0010;a=b;c=\"\t\xC3\xA9\"\r\n0123456789abcdef\r\nA\r\n\r\n\r\n\r\n\r\n\r\n"
        "\r\n0;last\r\nX-Sum: 1\r\nX-Other:\r\n\r\n" GET "\r\n",
        "HEAD POST /a HTTP/1.1 [keep-alive chunked]\n  Host: h\n  Transfer-Encoding: Chunked\n"
        "BODY 31 hello0123456789abcdef\r\n\r\n\r\n\r\n\r\n\nEND\n" HEAD_GET "END\n");
}

static void a_chunked_body_may_be_empty(void **state)
{
    (void)state;
    expect_request(CHUNKED "0\r\n\r\n", "HEAD POST /a HTTP/1.1 [keep-alive chunked]\n  Host: h\n"
                                        "  Transfer-Encoding: chunked\nEND\n");
}

static void requests_can_be_pipelined(void **state)
{
    (void)state;
    expect_request(GET "\r\n" GET "\r\n" GET "\r\n",
                   HEAD_GET "END\n" HEAD_GET "END\n" HEAD_GET "END\n");
}

static void two_empty_lines_before_a_request_are_skipped(void **state)
{
    (void)state;
    expect_request("\r\n\r\n" GET "\r\n\r\n" GET "\r\n", HEAD_GET "END\n" HEAD_GET "END\n");
}

static void an_http_1_0_request_needs_no_host_and_closes(void **state)
{
    (void)state;
    expect_request("GET / HTTP/1.0\r\n\r\n", "HEAD GET / HTTP/1.0 []\nEND\n");
}

static void the_connection_header_decides_about_keep_alive_and_upgrade(void **state)
{
    (void)state;
    static const struct {
        const char *version, *connection, *flags;
    } rows[] = {
        {"1.1", "keep-alive", "keep-alive"},
        {"1.1", "close", ""},
        {"1.1", "x, CLOSE ,y", ""},
        {"1.1", "keep-alive, close", ""},
        {"1.1", "closed", "keep-alive"},
        {"1.1", "Upgrade", "keep-alive upgrade"},
        {"1.1", "keep-alive,\tupgrade", "keep-alive upgrade"},
        {"1.1", ",, ,upgrade", "keep-alive upgrade"},
        {"1.1", "not-upgrade", "keep-alive"},
        {"1.0", "keep-alive", "keep-alive"},
        {"1.0", "Keep-Alive, close", ""},
        {"1.0", "upgrade", ""},
    };
    for (size_t row = 0; row < COUNT(rows); row++) {
        char input[200], expected[200];
        (void)snprintf(input, sizeof(input), "GET / HTTP/%s\r\nHost: h\r\nConnection: %s\r\n\r\n",
                       rows[row].version, rows[row].connection);
        (void)snprintf(expected, sizeof(expected),
                       "HEAD GET / HTTP/%s [%s]\n  Host: h\n  Connection: %s\nEND\n",
                       rows[row].version, rows[row].flags, rows[row].connection);
        expect_request(input, expected);
    }
}

static void a_second_connection_header_counts_too(void **state)
{
    (void)state;
    expect_request(GET "Connection: upgrade\r\nConnection: close\r\n\r\n",
                   "HEAD GET /a HTTP/1.1 [upgrade]\n  Host: h\n  Connection: upgrade\n"
                   "  Connection: close\nEND\n");
}

static void expect_100_continue_is_reported_for_http_1_1_only(void **state)
{
    (void)state;
    expect_request(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
                   "HEAD POST /a HTTP/1.1 [keep-alive expect-continue length=1]\n  Host: h\n"
                   "  Expect: 100-Continue\n  Content-Length: 1\nBODY 1 x\nEND\n");
    expect_request("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
                   "HEAD POST / HTTP/1.0 [length=1]\n"
                   "  Expect: 100-continue\n  Content-Length: 1\nBODY 1 x\nEND\n");
}

/* ---- responses ---- */

static void a_response_is_framed_by_its_length_or_its_chunks(void **state)
{
    (void)state;
    expect_response(OK "Content-Length: 2\r\n\r\nhi" OK
                       "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                    ENDS,
                    "HEAD 200 HTTP/1.1 [keep-alive length=2]\n  Content-Length: 2\nBODY 2 hi\nEND\n"
                    "HEAD 200 HTTP/1.1 [keep-alive chunked]\n  Transfer-Encoding: chunked\n"
                    "BODY 2 hi\nEND\n");
}

static void a_response_without_a_length_ends_with_the_connection(void **state)
{
    (void)state;
    expect_response(OK "\r\nabc", ENDS, "HEAD 200 HTTP/1.1 []\nBODY 3 abc\nEND\n");
    expect_response(OK "\r\n", ENDS, "HEAD 200 HTTP/1.1 []\nEND\n");
}

static void responses_that_never_have_a_body_end_with_their_head(void **state)
{
    (void)state;
    expect_response("HTTP/1.1 100 Continue\r\n\r\n"
                    "HTTP/1.1 204 No Content\r\n\r\n"
                    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
                    STAYS_OPEN,
                    "HEAD 100 HTTP/1.1 [keep-alive]\nEND\n"
                    "HEAD 204 HTTP/1.1 [keep-alive]\nEND\n"
                    "HEAD 304 HTTP/1.1 [keep-alive length=9]\n  Content-Length: 9\nEND\n"
                    "HEAD 101 HTTP/1.1 [keep-alive upgrade]\n  Connection: Upgrade\nEND\n");
}

static void a_response_to_head_has_no_body_whatever_it_says(void **state)
{
    (void)state;
    expect_bytes(HTTP_RESPONSES, true, SLICE(OK "Content-Length: 2\r\n\r\n" OK "\r\n"), STAYS_OPEN,
                 SLICE("HEAD 200 HTTP/1.1 [keep-alive length=2]\n  Content-Length: 2\nEND\n"
                       "HEAD 200 HTTP/1.1 [keep-alive]\nEND\n"));
}

static void a_reason_phrase_may_be_anything_or_missing(void **state)
{
    (void)state;
    expect_response("HTTP/1.0 404 Not  \xC3\xA9 found:\t!\r\nContent-Length: 0\r\n\r\n"
                    "HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n"
                    "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n",
                    STAYS_OPEN,
                    "HEAD 404 HTTP/1.0 [length=0]\n  Content-Length: 0\nEND\n"
                    "HEAD 599 HTTP/1.1 [keep-alive length=0]\n  Content-Length: 0\nEND\n"
                    "HEAD 500 HTTP/1.1 [keep-alive length=0]\n  Content-Length: 0\nEND\n");
}

static void a_connection_that_ends_inside_a_response_is_an_error(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "H",
        OK,
        OK "Content-Length: 2\r\n\r\n",
        OK "Content-Length: 2\r\n\r\nh",
        OK "Transfer-Encoding: chunked\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n0\r\n",
    };
    for (size_t row = 0; row < COUNT(inputs); row++) {
        struct transcript transcript;
        transcript_init(&transcript, HTTP_RESPONSES);
        transcript_feed(&transcript, slice_of_string(inputs[row]));
        assert_false(transcript.failed);
        transcript_finish(&transcript);
        assert_true(transcript.failed);
        transcript_deinit(&transcript);
    }
}

static void a_connection_that_ends_before_a_response_is_an_error(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_RESPONSES);
    assert_true(http_parser_idle(&parser));
    assert_int_equal(http_parser_finish(&parser), HTTP_ERROR);
    http_parser_deinit(&parser);
}

/* ---- refusals ---- */

struct refusal {
    const char *what;
    struct slice input;
    int http_status;
};

static void expect_refusals(enum http_role role, const struct refusal *rows, size_t row_count)
{
    for (size_t row = 0; row < row_count; row++) {
        expect_refusal(rows[row].what, role, rows[row].input, rows[row].http_status);
    }
}

static void malformed_request_lines_are_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"no version", SLICE("GET /\r\n\r\n"), 400},
        {"only a method", SLICE("GET\r\n\r\n"), 400},
        {"a method and a space", SLICE("GET \r\n\r\n"), 400},
        {"two spaces before the target", SLICE("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"two spaces after the target", SLICE("GET /  HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a space after the version", SLICE("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"), 400},
        {"a space before the method", SLICE(" GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a tab for a space", SLICE("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a tab in the target", SLICE("GET /\ta HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a method that is no token", SLICE("G(T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a method with a colon", SLICE("GET: / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a method with a high byte", SLICE("G\xC3\xA9T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a target with a high byte", SLICE("GET /\xC3\xA9 HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a target with a NUL", SLICE("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a target with a DEL", SLICE("GET /\x7F HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"lower case http", SLICE("GET / http/1.1\r\nHost: h\r\n\r\n"), 400},
        {"another protocol", SLICE("GET / ICAP/1.1\r\nHost: h\r\n\r\n"), 400},
        {"a version without a minor", SLICE("GET / HTTP/1\r\nHost: h\r\n\r\n"), 400},
        {"a version with two digits", SLICE("GET / HTTP/1.10\r\nHost: h\r\n\r\n"), 400},
        {"a version with a comma", SLICE("GET / HTTP/1,1\r\nHost: h\r\n\r\n"), 400},
        {"HTTP/0.9", SLICE("GET / HTTP/0.9\r\nHost: h\r\n\r\n"), 505},
        {"HTTP/1.2", SLICE("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505},
        {"HTTP/2.0", SLICE("PRI * HTTP/2.0\r\n\r\n"), 505},
        {"an HTTP/2 preface", SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
        {"a TLS hello", SLICE("\x16\x03\x01\x02\x00\x01\x00"), 400},
        {"three empty lines", SLICE("\r\n\r\n\r\n" GET "\r\n"), 400},
        {"an empty line with a bare LF", SLICE("\n" GET "\r\n"), 400},
        {"a status line", SLICE("HTTP/1.1 200 OK\r\n\r\n"), 400},
    };
    expect_refusals(HTTP_REQUESTS, rows, COUNT(rows));
}

static void malformed_headers_are_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"a space before the colon", SLICE(GET "X : a\r\n\r\n"), 400},
        {"a tab before the colon", SLICE(GET "X\t: a\r\n\r\n"), 400},
        {"a folded line", SLICE(GET "X: a\r\n b\r\n\r\n"), 400},
        {"a line folded with a tab", SLICE(GET "X: a\r\n\tb: c\r\n\r\n"), 400},
        {"a folded first line", SLICE("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 400},
        {"a line of white space", SLICE(GET " \r\n\r\n"), 400},
        {"no colon", SLICE(GET "X\r\n\r\n"), 400},
        {"an empty name", SLICE(GET ": a\r\n\r\n"), 400},
        {"a name with a space", SLICE(GET "X Y: a\r\n\r\n"), 400},
        {"a name in quotes", SLICE(GET "\"X\": a\r\n\r\n"), 400},
        {"a name with a high byte", SLICE(GET "X\xE9: a\r\n\r\n"), 400},
        {"a name with a NUL", SLICE(GET "X\0: a\r\n\r\n"), 400},
        {"a value with a NUL", SLICE(GET "X: a\0b\r\n\r\n"), 400},
        {"a value with a control byte", SLICE(GET "X: a\x01\r\n\r\n"), 400},
        {"a value with a DEL", SLICE(GET "X: \x7F\r\n\r\n"), 400},
        {"a bare LF after the request line", SLICE("GET / HTTP/1.1\nHost: h\n\n"), 400},
        {"a bare LF after a header", SLICE(GET "X: a\nY: b\r\n\r\n"), 400},
        {"a bare LF as the head's end", SLICE(GET "\n"), 400},
        {"a bare CR in a value", SLICE(GET "X: a\rb\r\n\r\n"), 400},
        {"a CR before the CR LF", SLICE(GET "X: a\r\r\n\r\n"), 400},
        {"a CR that starts a line", SLICE(GET "\rX: a\r\n\r\n"), 400},
        {"a bare CR in the request line", SLICE("GET /\r HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
    };
    expect_refusals(HTTP_REQUESTS, rows, COUNT(rows));
}

static void an_unclear_host_is_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"no host", SLICE("GET / HTTP/1.1\r\n\r\n"), 400},
        {"no host but a body", SLICE("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 400},
        {"two hosts", SLICE(GET "Host: i\r\n\r\n"), 400},
        {"the same host twice", SLICE(GET "host: h\r\n\r\n"), 400},
        {"two hosts in HTTP/1.0", SLICE("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), 400},
        {"a host with a path", SLICE("GET / HTTP/1.1\r\nHost: h/a\r\n\r\n"), 400},
        {"a host with a space", SLICE("GET / HTTP/1.1\r\nHost: h i\r\n\r\n"), 400},
        {"a host with a user", SLICE("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"), 400},
    };
    expect_refusals(HTTP_REQUESTS, rows, COUNT(rows));
}

static void a_body_whose_length_is_unclear_is_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"both, length first",
         SLICE(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
        {"both, chunked first",
         SLICE(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), 400},
        {"two lengths", SLICE(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400},
        {"the same length twice", SLICE(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
         400},
        {"a list of lengths", SLICE(POST "Content-Length: 5, 5\r\n\r\nhello"), 400},
        {"a signed length", SLICE(POST "Content-Length: +5\r\n\r\nhello"), 400},
        {"a negative length", SLICE(POST "Content-Length: -5\r\n\r\nhello"), 400},
        {"a hexadecimal length", SLICE(POST "Content-Length: 0x5\r\n\r\nhello"), 400},
        {"a length and text", SLICE(POST "Content-Length: 5 5\r\n\r\nhello"), 400},
        {"an empty length", SLICE(POST "Content-Length:\r\n\r\nhello"), 400},
        {"a length past 64 bits", SLICE(POST "Content-Length: 18446744073709551621\r\n\r\n"), 413},
        {"chunked in HTTP/1.0",
         SLICE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
        {"two transfer encodings",
         SLICE(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
        {"chunked twice", SLICE(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400},
        {"chunked, then another", SLICE(POST "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400},
        {"another alone", SLICE(POST "Transfer-Encoding: gzip\r\n\r\n"), 400},
        {"identity", SLICE(POST "Transfer-Encoding: identity\r\n\r\n"), 400},
        {"nothing", SLICE(POST "Transfer-Encoding:\r\n\r\n"), 400},
        {"a likeness", SLICE(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400},
        {"quotes", SLICE(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400},
        {"a parameter", SLICE(POST "Transfer-Encoding: chunked;a=b\r\n\r\n"), 400},
        {"a comma", SLICE(POST "Transfer-Encoding: ,chunked,\r\n\r\n"), 501},
        {"a coding that we lack", SLICE(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501},
    };
    expect_refusals(HTTP_REQUESTS, rows, COUNT(rows));
}

static void malformed_chunks_are_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"no size", SLICE(CHUNKED "\r\n"), 400},
        {"a size that is no number", SLICE(CHUNKED "g\r\n"), 400},
        {"a signed size", SLICE(CHUNKED "-1\r\n"), 400},
        {"a size with 0x", SLICE(CHUNKED "0x5\r\nhello\r\n"), 400},
        {"a space before the size", SLICE(CHUNKED " 5\r\nhello\r\n"), 400},
        {"a space after the size", SLICE(CHUNKED "5 \r\nhello\r\n"), 400},
        {"an extension without a size", SLICE(CHUNKED ";a\r\n"), 400},
        {"a bare LF after the size", SLICE(CHUNKED "5\nhello\r\n"), 400},
        {"a bare CR after the size", SLICE(CHUNKED "5\rhello\r\n"), 400},
        {"a bare LF in an extension", SLICE(CHUNKED "5;a\nhello\r\n"), 400},
        {"a bare CR in an extension", SLICE(CHUNKED "5;a\rb\r\nhello\r\n"), 400},
        {"a control byte in an extension", SLICE(CHUNKED "5;a\x01\r\nhello\r\n"), 400},
        {"a NUL in an extension", SLICE(CHUNKED "5;a\0\r\nhello\r\n"), 400},
        {"a chunk longer than its size", SLICE(CHUNKED "4\r\nhello\r\n"), 400},
        {"a chunk shorter than its size", SLICE(CHUNKED "6\r\nhello\r\n0\r\n\r\n"), 400},
        {"a bare LF after a chunk", SLICE(CHUNKED "5\r\nhello\n"), 400},
        {"a bare CR after a chunk", SLICE(CHUNKED "5\r\nhello\r0"), 400},
        {"a size of 2^64", SLICE(CHUNKED "10000000000000000\r\n"), 413},
        {"a size past 64 bits", SLICE(CHUNKED "fffffffffffffffff\r\n"), 413},
        {"sizes that together pass 64 bits", SLICE(CHUNKED "1\r\na\r\nffffffffffffffff\r\n"), 413},
        {"a malformed trailer", SLICE(CHUNKED "0\r\nX\r\n\r\n"), 400},
        {"a folded trailer", SLICE(CHUNKED "0\r\nX: a\r\n b\r\n\r\n"), 400},
        {"a trailer with a bare LF", SLICE(CHUNKED "0\r\nX: a\n\r\n"), 400},
        {"a bare LF for the last line", SLICE(CHUNKED "0\r\n\n"), 400},
    };
    expect_refusals(HTTP_REQUESTS, rows, COUNT(rows));
}

static void malformed_responses_are_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"an empty line first", SLICE("\r\n" OK "\r\n"), 400},
        {"another protocol", SLICE("SSH-2.0-OpenSSH\r\n\r\n"), 400},
        {"HTTP/2.0", SLICE("HTTP/2.0 200 OK\r\n\r\n"), 505},
        {"no code", SLICE("HTTP/1.1\r\n\r\n"), 400},
        {"an empty code", SLICE("HTTP/1.1  OK\r\n\r\n"), 400},
        {"a short code", SLICE("HTTP/1.1 20 OK\r\n\r\n"), 400},
        {"a long code", SLICE("HTTP/1.1 2000 OK\r\n\r\n"), 400},
        {"a code below 100", SLICE("HTTP/1.1 099 OK\r\n\r\n"), 400},
        {"a code over 599", SLICE("HTTP/1.1 600 OK\r\n\r\n"), 400},
        {"a code that is no number", SLICE("HTTP/1.1 2x0 OK\r\n\r\n"), 400},
        {"a control byte in the phrase", SLICE("HTTP/1.1 200 O\x08K\r\n\r\n"), 400},
        {"both length headers", SLICE(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
         400},
        {"two lengths", SLICE(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
        {"chunked in HTTP/1.0", SLICE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
         400},
    };
    expect_refusals(HTTP_RESPONSES, rows, COUNT(rows));
}

/* ---- limits ---- */

static void a_target_over_the_limit_is_refused_with_414(void **state)
{
    (void)state;
    const char *end = " HTTP/1.1\r\nHost: h\r\n\r\n";
    expect_long_accepted(repeated("GET ", "/", HTTP_TARGET_BYTES_MAX, end));
    expect_long_refusal("one over", HTTP_REQUESTS,
                        repeated("GET ", "/", HTTP_TARGET_BYTES_MAX + 1, end), 414);
    expect_long_refusal("a request line that fills the head", HTTP_REQUESTS,
                        repeated("GET ", "/", HTTP_HEAD_BYTES_MAX, end), 414);
    expect_long_refusal("a request line that never ends", HTTP_REQUESTS,
                        repeated("", "x", HTTP_HEAD_BYTES_MAX + 1, ""), 414);
}

static void headers_over_the_limit_are_refused_with_431(void **state)
{
    (void)state;
    expect_long_accepted(repeated(GET, "X: a\r\n", HTTP_HEADERS_MAX - 1, "\r\n"));
    expect_long_refusal("one header too many", HTTP_REQUESTS,
                        repeated(GET, "X: a\r\n", HTTP_HEADERS_MAX, "\r\n"), 431);
    expect_long_refusal("a flood of headers", HTTP_REQUESTS, repeated(GET, "X: a\r\n", 10000, ""),
                        431);
    expect_long_refusal("a flood of headers in a response", HTTP_RESPONSES,
                        repeated(OK, "X: a\r\n", 10000, ""), 431);
    expect_long_refusal("a status line that never ends", HTTP_RESPONSES,
                        repeated(OK, "x", HTTP_HEAD_BYTES_MAX, ""), 431);
}

static void a_head_of_exactly_the_limit_is_accepted(void **state)
{
    (void)state;
    size_t frame_bytes = strlen(GET "X: \r\n\r\n");
    expect_long_accepted(repeated(GET "X: ", "a", HTTP_HEAD_BYTES_MAX - frame_bytes, "\r\n\r\n"));
    expect_long_refusal("one byte over", HTTP_REQUESTS,
                        repeated(GET "X: ", "a", HTTP_HEAD_BYTES_MAX + 1 - frame_bytes, "\r\n\r\n"),
                        431);
}

static void chunk_lines_and_trailers_have_limits(void **state)
{
    (void)state;
    const char *last = "\r\n0\r\n\r\n";
    expect_long_accepted(
        repeated(CHUNKED "1;", "a", HTTP_CHUNK_LINE_BYTES_MAX - 2, "\r\nx\r\n0\r\n\r\n"));
    expect_long_refusal("a chunk line", HTTP_REQUESTS,
                        repeated(CHUNKED "1;", "a", HTTP_CHUNK_LINE_BYTES_MAX - 1, last), 400);
    expect_long_refusal("a size of many zeros", HTTP_REQUESTS,
                        repeated(CHUNKED, "0", HTTP_CHUNK_LINE_BYTES_MAX + 1, last), 400);
    expect_long_accepted(
        repeated(CHUNKED "0\r\nX:", "a", HTTP_CHUNK_LINE_BYTES_MAX - 2, "\r\n\r\n"));
    expect_long_refusal("a trailer line", HTTP_REQUESTS,
                        repeated(CHUNKED "0\r\nX:", "a", HTTP_CHUNK_LINE_BYTES_MAX - 1, "\r\n\r\n"),
                        431);
    expect_long_accepted(repeated(CHUNKED "0\r\n", "X: a\r\n", HTTP_TRAILERS_MAX, "\r\n"));
    expect_long_refusal("trailers", HTTP_REQUESTS,
                        repeated(CHUNKED "0\r\n", "X: a\r\n", HTTP_TRAILERS_MAX + 1, "\r\n"), 431);
}

/* ---- what the parser holds ---- */

static void feed_all(struct http_parser *parser, struct slice input, enum http_event last)
{
    enum http_event event;
    do {
        event = http_parser_feed(parser, &input);
    } while (event == HTTP_HEAD || event == HTTP_BODY);
    assert_int_equal(event, last);
    assert_int_equal(input.bytes, 0);
}

static void headers_are_found_by_name_without_regard_to_case(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    feed_all(&parser,
             SLICE(GET "X-Key: one\r\nx-key: two\r\nVia: a, B ,c\r\nVIA:d\r\nEmpty:\r\n\r\n"),
             HTTP_END);
    assert_true(slice_equal(http_parser_header(&parser, "x-KEY"), SLICE("one")));
    assert_null(http_parser_header(&parser, "X-Ke").data);
    assert_non_null(http_parser_header(&parser, "empty").data);
    assert_int_equal(http_parser_header(&parser, "empty").bytes, 0);
    assert_true(http_parser_header_has_token(&parser, "via", "A"));
    assert_true(http_parser_header_has_token(&parser, "via", "b"));
    assert_true(http_parser_header_has_token(&parser, "via", "c"));
    assert_true(http_parser_header_has_token(&parser, "via", "D"));
    assert_false(http_parser_header_has_token(&parser, "via", "e"));
    assert_false(http_parser_header_has_token(&parser, "vi", "a"));
    http_parser_deinit(&parser);
}

static void header_slices_stay_valid_while_the_body_arrives(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    struct slice input = SLICE(POST "X: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_int_equal(http_parser_feed(&parser, &input), HTTP_HEAD);
    struct slice target = parser.target;
    struct slice value = http_parser_header(&parser, "X");
    feed_all(&parser, input, HTTP_NEED_MORE);
    feed_all(&parser, SLICE("0\r\nTrailer: z\r\n\r\n"), HTTP_END);
    assert_true(slice_equal(target, SLICE("/a")));
    assert_true(slice_equal(value, SLICE("y")));
    http_parser_deinit(&parser);
}

static void body_pieces_are_borrowed_from_the_bytes_fed(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    feed_all(&parser, SLICE(POST "Content-Length: 5\r\n\r\n"), HTTP_NEED_MORE);
    struct slice input = SLICE("hello");
    const char *start = input.data;
    assert_int_equal(http_parser_feed(&parser, &input), HTTP_BODY);
    assert_ptr_equal(parser.piece.data, start);
    assert_int_equal(parser.piece.bytes, 5);
    assert_int_equal(http_parser_feed(&parser, &input), HTTP_END);
    http_parser_deinit(&parser);
}

static void bytes_after_a_message_are_left_in_the_input(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    struct slice input = SLICE(GET "Connection: upgrade\r\n\r\n\x81\x85");
    assert_int_equal(http_parser_feed(&parser, &input), HTTP_HEAD);
    assert_int_equal(http_parser_feed(&parser, &input), HTTP_END);
    assert_true(slice_equal(input, SLICE("\x81\x85")));
    http_parser_deinit(&parser);
}

static void a_parser_is_idle_between_messages_only(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    assert_true(http_parser_idle(&parser));
    feed_all(&parser, SLICE("\r\n"), HTTP_NEED_MORE);
    assert_true(http_parser_idle(&parser));
    feed_all(&parser, SLICE("G"), HTTP_NEED_MORE);
    assert_false(http_parser_idle(&parser));
    feed_all(&parser, SLICE("ET / HTTP/1.1\r\nHost: h\r\n\r\n"), HTTP_END);
    assert_false(http_parser_idle(&parser));
    http_parser_reset(&parser);
    assert_true(http_parser_idle(&parser));
    http_parser_deinit(&parser);
}

static void a_large_head_is_freed_by_the_reset_and_a_small_one_is_kept(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    assert_null(parser.head.data);
    feed_all(&parser, SLICE(GET "\r\n"), HTTP_END);
    http_parser_reset(&parser);
    assert_non_null(parser.head.data);
    struct buffer large = repeated(GET "X: ", "a", 10000, "\r\n\r\n");
    feed_all(&parser, buffer_slice(&large), HTTP_END);
    buffer_deinit(&large);
    http_parser_reset(&parser);
    assert_null(parser.head.data);
    http_parser_deinit(&parser);
}

static void a_lack_of_memory_is_answered_with_503(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    parser.head.status = SLUICE_NO_MEMORY; /* as after an allocation that failed */
    feed_all(&parser, SLICE("G"), HTTP_ERROR);
    assert_int_equal(parser.error_http_status, 503);
    http_parser_reset(&parser);
    feed_all(&parser, SLICE(CHUNKED), HTTP_NEED_MORE);
    parser.line.status = SLUICE_NO_MEMORY;
    feed_all(&parser, SLICE("5"), HTTP_ERROR);
    assert_int_equal(parser.error_http_status, 503);
    http_parser_deinit(&parser);
}

static void a_refused_message_can_be_reset_away(void **state)
{
    (void)state;
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUESTS);
    struct slice bad = SLICE("GET\n");
    assert_int_equal(http_parser_feed(&parser, &bad), HTTP_ERROR);
    assert_int_equal(parser.error.status, SLUICE_MALFORMED);
    http_parser_reset(&parser);
    assert_int_equal(parser.error.status, SLUICE_OK);
    feed_all(&parser, SLICE(GET "\r\n"), HTTP_END);
    http_parser_deinit(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_a_body_ends_with_its_head),
        cmocka_unit_test(header_values_lose_the_white_space_around_them_and_keep_what_is_inside),
        cmocka_unit_test(a_target_is_handed_out_as_it_was_sent),
        cmocka_unit_test(a_body_with_a_length_ends_after_that_many_bytes),
        cmocka_unit_test(a_body_of_length_zero_is_no_body),
        cmocka_unit_test(a_chunked_body_is_put_together),
        cmocka_unit_test(a_chunked_body_may_be_empty),
        cmocka_unit_test(requests_can_be_pipelined),
        cmocka_unit_test(two_empty_lines_before_a_request_are_skipped),
        cmocka_unit_test(an_http_1_0_request_needs_no_host_and_closes),
        cmocka_unit_test(the_connection_header_decides_about_keep_alive_and_upgrade),
        cmocka_unit_test(a_second_connection_header_counts_too),
        cmocka_unit_test(expect_100_continue_is_reported_for_http_1_1_only),
        cmocka_unit_test(a_response_is_framed_by_its_length_or_its_chunks),
        cmocka_unit_test(a_response_without_a_length_ends_with_the_connection),
        cmocka_unit_test(responses_that_never_have_a_body_end_with_their_head),
        cmocka_unit_test(a_response_to_head_has_no_body_whatever_it_says),
        cmocka_unit_test(a_reason_phrase_may_be_anything_or_missing),
        cmocka_unit_test(a_connection_that_ends_inside_a_response_is_an_error),
        cmocka_unit_test(a_connection_that_ends_before_a_response_is_an_error),
        cmocka_unit_test(malformed_request_lines_are_refused),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(an_unclear_host_is_refused),
        cmocka_unit_test(a_body_whose_length_is_unclear_is_refused),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(malformed_responses_are_refused),
        cmocka_unit_test(a_target_over_the_limit_is_refused_with_414),
        cmocka_unit_test(headers_over_the_limit_are_refused_with_431),
        cmocka_unit_test(a_head_of_exactly_the_limit_is_accepted),
        cmocka_unit_test(chunk_lines_and_trailers_have_limits),
        cmocka_unit_test(headers_are_found_by_name_without_regard_to_case),
        cmocka_unit_test(header_slices_stay_valid_while_the_body_arrives),
        cmocka_unit_test(body_pieces_are_borrowed_from_the_bytes_fed),
        cmocka_unit_test(bytes_after_a_message_are_left_in_the_input),
        cmocka_unit_test(a_parser_is_idle_between_messages_only),
        cmocka_unit_test(a_large_head_is_freed_by_the_reset_and_a_small_one_is_kept),
        cmocka_unit_test(a_lack_of_memory_is_answered_with_503),
        cmocka_unit_test(a_refused_message_can_be_reset_away),
    };
    return cmocka_run_group_tests_name("http_parser", tests, NULL, NULL);
}
