#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http_parser.h"
#include "http/http_writer.h"

static void assert_written(struct buffer *out, const char *expected)
{
    assert_int_equal(buffer_status(out), SLUICE_OK);
    struct slice written = buffer_slice(out);
    if (!slice_equal(written, slice_of_string(expected))) {
        fail_msg("wrote \"%.*s\", expected \"%s\"", SLICE_PRINT(written), expected);
    }
    buffer_clear(out);
}

static void heads_are_written_as_the_protocol_has_them(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    http_write_status_line(&out, 101);
    http_write_header(&out, "Connection", SLICE("Upgrade"));
    http_write_header(&out, "X-Empty", SLICE_EMPTY);
    http_write_header_u64(&out, "Content-Length", UINT64_MAX);
    http_write_head_end(&out);
    assert_written(&out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nX-Empty: \r\n"
                         "Content-Length: 18446744073709551615\r\n\r\n");
    http_write_request_line(&out, SLICE("POST"), SLICE("/a?b=%20"));
    assert_written(&out, "POST /a?b=%20 HTTP/1.1\r\n");
    buffer_deinit(&out);
}

static void a_status_without_a_known_phrase_has_an_empty_one(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    http_write_status_line(&out, 299);
    assert_written(&out, "HTTP/1.1 299 \r\n");
    buffer_deinit(&out);
}

static void chunk_sizes_are_hexadecimal(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    http_write_chunk_start(&out, 1);
    http_write_chunk_start(&out, 500);
    http_write_chunk_start(&out, 4096);
    http_write_chunk_start(&out, UINT64_MAX);
    assert_written(&out, "1\r\n1f4\r\n1000\r\nffffffffffffffff\r\n");
    buffer_deinit(&out);
}

static void expect_event(struct http_parser *parser, struct slice *input, enum http_event expected)
{
    assert_int_equal(http_parser_feed(parser, input), expected);
}

static void the_parser_reads_every_status_that_is_written(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct http_parser parser;
    http_parser_init(&parser, HTTP_RESPONSES);
    for (int status = 100; status <= 599; status++) {
        http_write_status_line(&out, status);
        http_write_header(&out, "Transfer-Encoding", SLICE("chunked"));
        http_write_head_end(&out);
        parser.no_response_body = true;
        struct slice input = buffer_slice(&out);
        expect_event(&parser, &input, HTTP_HEAD);
        assert_int_equal(parser.status_code, status);
        expect_event(&parser, &input, HTTP_END);
        http_parser_reset(&parser);
        buffer_clear(&out);
    }
    http_parser_deinit(&parser);
    buffer_deinit(&out);
}

static void the_parser_reads_the_chunks_that_are_written(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    http_write_status_line(&out, 200);
    http_write_header(&out, "Transfer-Encoding", SLICE("chunked"));
    http_write_head_end(&out);
    for (unsigned bytes = 1; bytes <= 40; bytes++) {
        http_write_chunk_start(&out, bytes);
        for (unsigned at = 0; at < bytes; at++) {
            buffer_append_byte(&out, 'x');
        }
        buffer_append_literal(&out, HTTP_CHUNK_END);
    }
    buffer_append_literal(&out, HTTP_LAST_CHUNK);

    struct http_parser parser;
    http_parser_init(&parser, HTTP_RESPONSES);
    struct slice input = buffer_slice(&out);
    expect_event(&parser, &input, HTTP_HEAD);
    for (unsigned bytes = 1; bytes <= 40; bytes++) {
        expect_event(&parser, &input, HTTP_BODY);
        assert_int_equal(parser.piece.bytes, bytes);
    }
    expect_event(&parser, &input, HTTP_END);
    assert_int_equal(input.bytes, 0);
    http_parser_deinit(&parser);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_written_as_the_protocol_has_them),
        cmocka_unit_test(a_status_without_a_known_phrase_has_an_empty_one),
        cmocka_unit_test(chunk_sizes_are_hexadecimal),
        cmocka_unit_test(the_parser_reads_every_status_that_is_written),
        cmocka_unit_test(the_parser_reads_the_chunks_that_are_written),
    };
    return cmocka_run_group_tests_name("http_writer", tests, NULL, NULL);
}
