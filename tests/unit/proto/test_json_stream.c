/* Every text is fed whole and in pieces of every length: the objects must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/json_stream.h"

/* Feeds `text` in pieces; gives "object object … end", or "… error", or "… cut". */
static void take_apart(const char *text, size_t piece_bytes, size_t object_bytes_max,
                       struct buffer *out)
{
    struct json_stream stream;
    struct slice rest = slice_of_string(text);
    bool failed = false;
    json_stream_init(&stream, object_bytes_max);
    buffer_clear(out);
    while (rest.bytes > 0 && !failed) {
        size_t bytes = rest.bytes < piece_bytes ? rest.bytes : piece_bytes;
        struct slice piece = slice_make(rest.data, bytes);
        rest = slice_make(rest.data + bytes, rest.bytes - bytes);
        enum json_stream_event event;
        while ((event = json_stream_feed(&stream, &piece)) == JSON_STREAM_OBJECT) {
            buffer_append_slice(out, stream.object);
            buffer_append_byte(out, ' ');
        }
        failed = event == JSON_STREAM_ERROR;
    }
    buffer_append_slice(out, failed                          ? SLICE("error")
                             : json_stream_complete(&stream) ? SLICE("end")
                                                             : SLICE("cut"));
    buffer_append_byte(out, '\0');
    json_stream_deinit(&stream);
}

static void assert_objects(const char *text, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 10000);
    for (size_t piece_bytes = 1; piece_bytes <= strlen(text) + 1; piece_bytes++) {
        take_apart(text, piece_bytes, 1000, &out);
        assert_string_equal(out.data, expected);
    }
    buffer_deinit(&out);
}

static void an_array_of_objects_is_taken_apart(void **state)
{
    (void)state;
    assert_objects("[{\"a\":1},{\"b\":[{},{}]}]", "{\"a\":1} {\"b\":[{},{}]} end");
    assert_objects(" [ {} , {} ]\r\n", "{} {} end");
}

static void brackets_and_quotes_in_strings_do_not_count(void **state)
{
    (void)state;
    assert_objects("[{\"a\":\"}]\\\"{\\\\\"},{}]", "{\"a\":\"}]\\\"{\\\\\"} {} end");
}

static void single_objects_and_lines_are_taken_too(void **state)
{
    (void)state;
    assert_objects("{\"a\":1}", "{\"a\":1} end");
    assert_objects("{\"a\":1}\n{\"b\":2}\n", "{\"a\":1} {\"b\":2} end");
}

static void what_ends_too_early_is_not_complete(void **state)
{
    (void)state;
    assert_objects("[{}", "{} cut");
    assert_objects("[{},", "{} cut");
    assert_objects("[{\"a\":", "cut");
    assert_objects("[", "cut");
    assert_objects("[]", "cut");
    assert_objects(" ", "cut");
}

static void what_is_no_message_is_an_error(void **state)
{
    (void)state;
    assert_objects("<html>", "error");
    assert_objects("7", "error");
    assert_objects("[7]", "error");
    assert_objects("[[{}]]", "error");
    assert_objects("[,{}]", "error");
    assert_objects("{},{}", "{} error");
    assert_objects("[{}]{}", "{} error");
    assert_objects("[{}]]", "{} error");
    assert_objects("{}[{}]", "{} error");
}

static void an_object_that_is_too_long_is_refused_before_it_is_held(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 10000);
    take_apart("[{\"a\":1},{\"a\":\"0123456789\"}]", 3, 10, &out);
    assert_string_equal(out.data, "{\"a\":1} error");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_of_objects_is_taken_apart),
        cmocka_unit_test(brackets_and_quotes_in_strings_do_not_count),
        cmocka_unit_test(single_objects_and_lines_are_taken_too),
        cmocka_unit_test(what_ends_too_early_is_not_complete),
        cmocka_unit_test(what_is_no_message_is_an_error),
        cmocka_unit_test(an_object_that_is_too_long_is_refused_before_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
