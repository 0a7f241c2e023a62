#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/utf8.h"
#include "failing_alloc.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct slice accepted[] = {
    /* values alone, with white space around */
    SLICE("null"),
    SLICE("true"),
    SLICE("false"),
    SLICE("0"),
    SLICE("\"\""),
    SLICE("[]"),
    SLICE("{}"),
    SLICE(" null"),
    SLICE("null "),
    SLICE("\t\n\r null\r\n\t "),
    SLICE("[ ]"),
    SLICE("{ }"),
    SLICE("[\n]"),
    SLICE("{\t}"),
    SLICE(" [] "),
    SLICE(" \"x\" "),
    /* numbers */
    SLICE("-0"),
    SLICE("1"),
    SLICE("-1"),
    SLICE("10"),
    SLICE("1234567890"),
    SLICE("0.0"),
    SLICE("-0.0"),
    SLICE("0.5"),
    SLICE("1.25"),
    SLICE("10.01"),
    SLICE("1e1"),
    SLICE("1E1"),
    SLICE("1e+1"),
    SLICE("1e-1"),
    SLICE("1E+01"),
    SLICE("0e0"),
    SLICE("0E-0"),
    SLICE("0.1e10"),
    SLICE("-1.5E-10"),
    SLICE("1e400"),
    SLICE("1e-400"),
    SLICE("9007199254740993"),
    SLICE("123456789012345678901234567890.123456789012345678901234567890e99999999999999999999"),
    SLICE("[-0,1]"),
    SLICE("[0 ,1]"),
    SLICE("[1e1,2]"),
    SLICE("[1.0]"),
    SLICE("{\"a\":-1}"),
    /* arrays */
    SLICE("[1]"),
    SLICE("[1,2]"),
    SLICE("[ 1 , 2 ]"),
    SLICE("[null,true,false]"),
    SLICE("[[]]"),
    SLICE("[[],[]]"),
    SLICE("[[[[]]],{}]"),
    SLICE("[\"\",\"\"]"),
    SLICE("[1\n,\n2\n]"),
    /* objects */
    SLICE("{\"a\":1}"),
    SLICE("{\"a\":1,\"b\":2}"),
    SLICE("{ \"a\" : 1 , \"b\" : 2 }"),
    SLICE("{\"\":0}"),
    SLICE("{\"a\":{\"a\":{\"a\":1}}}"),
    SLICE("{\"a\":[],\"b\":{}}"),
    SLICE("[{\"a\":1},{\"a\":1}]"),
    SLICE("{\"a\":1,\"A\":1}"),
    SLICE("{\"a\":1,\"aa\":1}"),
    SLICE("{\"a\":{\"b\":1},\"b\":{\"a\":1}}"),
    SLICE("{\"\\u0061\":1,\"b\":1}"),
    SLICE("{\"\\\\u0061\":1,\"a\":1}"),
    SLICE("{\"\\ud800\":1,\"\\ud801\":1}"),
    SLICE("{\"\\n\":1,\"n\":1}"),
    SLICE("{\"a\":1,\"\\u0000\":2,\"\":3,\"a\\u0000\":4}"),
    SLICE("{\"\xC3\xA9\":1,\"e\xCC\x81\":2}"),
    SLICE("{\"__proto__\":1,\"constructor\":2}"),
    /* strings */
    SLICE("\"a\""),
    SLICE("\"abcdefgh\""),
    SLICE("\"abcdefghijklmnopqrstuvwxyz\""),
    SLICE("\"\\\"\""),
    SLICE("\"\\\\\""),
    SLICE("\"\\/\""),
    SLICE("\"/\""),
    SLICE("\"\\b\""),
    SLICE("\"\\f\""),
    SLICE("\"\\n\""),
    SLICE("\"\\r\""),
    SLICE("\"\\t\""),
    SLICE("\"\\u0000\""),
    SLICE("\"\\u001f\""),
    SLICE("\"\\uabcd\""),
    SLICE("\"\\uABCD\""),
    SLICE("\"\\uFFFF\""),
    SLICE("\"\\\\\\\\\""),
    SLICE("\"\\\\\\\"\""),
    SLICE("\"'\""),
    SLICE("\"\x7F\""),
    SLICE("\"[1,{\""),
    SLICE("\"// not a comment\""),
    SLICE("[\"\\\\\",\"\\\"\"]"),
    /* surrogates: a pair, and what real clients send */
    SLICE("\"\\ud83d\\ude00\""),
    SLICE("\"\\uD83D\\uDE00\""),
    SLICE("\"\\ud800\""),
    SLICE("\"\\udc00\""),
    SLICE("\"\\udc00\\ud800\""),
    SLICE("\"\\ud800\\ud800\\udc00\""),
    SLICE("\"\\ud800x\""),
    SLICE("\"\\ud800\\n\""),
    /* UTF-8 */
    SLICE("\"\xC2\x80\""),
    SLICE("\"\xDF\xBF\""),
    SLICE("\"\xE0\xA0\x80\""),
    SLICE("\"\xED\x9F\xBF\""),
    SLICE("\"\xEE\x80\x80\""),
    SLICE("\"\xEF\xBF\xBF\""),
    SLICE("\"\xF0\x90\x80\x80\""),
    SLICE("\"\xF4\x8F\xBF\xBF\""),
    SLICE("\"\xE2\x80\xA8\""),
    SLICE("\"\xEF\xBB\xBF\""),
    SLICE("\"\xC3\xA9 abcdefgh \xE2\x82\xAC\""),
    SLICE("{\"\xF0\x9F\x98\x80\":\"\xF0\x9F\x98\x80\"}"),
};

static const struct slice rejected[] = {
    /* nothing, or more than one value */
    SLICE(""),
    SLICE(" "),
    SLICE("\n"),
    SLICE("1 2"),
    SLICE("[][]"),
    SLICE("{}{}"),
    SLICE("{}1"),
    SLICE("\"\"\"\""),
    SLICE("nullnull"),
    SLICE("null,"),
    SLICE("1,"),
    SLICE(",1"),
    SLICE("[]]"),
    SLICE("{}}"),
    SLICE("1]"),
    SLICE("\0"),
    SLICE("null\0"),
    SLICE("[1]\0"),
    SLICE("1 \0"),
    SLICE("[]x"),
    SLICE("[] //"),
    SLICE("[] #"),
    /* white space that JSON does not know */
    SLICE("\f1"),
    SLICE("\v1"),
    SLICE("1\xC2\xA0"),
    SLICE("\xE2\x80\x83"
          "1"),
    SLICE("[\b]"),
    SLICE("\xE2\x80\xA8[]"),
    /* byte order marks */
    SLICE("\xEF\xBB\xBF{}"),
    SLICE("\xEF\xBB\xBF"),
    SLICE("\xFF\xFE{\0}\0"),
    SLICE("{}\xEF\xBB\xBF"),
    /* words */
    SLICE("nul"),
    SLICE("nulll"),
    SLICE("Null"),
    SLICE("NULL"),
    SLICE("tru"),
    SLICE("True"),
    SLICE("fals"),
    SLICE("FALSE"),
    SLICE("undefined"),
    SLICE("NaN"),
    SLICE("nan"),
    SLICE("Infinity"),
    SLICE("-Infinity"),
    SLICE("-NaN"),
    SLICE("[NaN]"),
    SLICE("t"),
    SLICE("n"),
    SLICE("f"),
    SLICE("a"),
    SLICE("[nul]"),
    SLICE("[truefalse]"),
    /* numbers */
    SLICE("-"),
    SLICE("+1"),
    SLICE("--1"),
    SLICE("-+1"),
    SLICE("01"),
    SLICE("-01"),
    SLICE("00"),
    SLICE("1."),
    SLICE("1.e1"),
    SLICE(".5"),
    SLICE("-.5"),
    SLICE("0."),
    SLICE("1e"),
    SLICE("1e+"),
    SLICE("1e-"),
    SLICE("1ee1"),
    SLICE("1e1.5"),
    SLICE("1e+-1"),
    SLICE("1.2.3"),
    SLICE("1-1"),
    SLICE("0x10"),
    SLICE("0b1"),
    SLICE("0o7"),
    SLICE("1_000"),
    SLICE("1,000"),
    SLICE("1a"),
    SLICE("1f"),
    SLICE("1 e1"),
    SLICE("- 1"),
    SLICE("1. 0"),
    SLICE("[1.]"),
    SLICE("[-]"),
    SLICE("[1e]"),
    SLICE("[01]"),
    SLICE("\xEF\xBC\x91"),
    SLICE("1\0002"),
    /* arrays */
    SLICE("["),
    SLICE("]"),
    SLICE("[1"),
    SLICE("[1,"),
    SLICE("[1,]"),
    SLICE("[,1]"),
    SLICE("[,]"),
    SLICE("[1,,2]"),
    SLICE("[1 2]"),
    SLICE("[1}"),
    SLICE("[[]"),
    SLICE("[\"a\":1]"),
    SLICE("[1:2]"),
    SLICE("[\"\"\"\"]"),
    SLICE("[1;2]"),
    SLICE("[[1,]"),
    SLICE("[{]}"),
    SLICE("[1,\n2"),
    SLICE("(1)"),
    /* objects */
    SLICE("{"),
    SLICE("}"),
    SLICE("{\"a\""),
    SLICE("{\"a\":"),
    SLICE("{\"a\":1"),
    SLICE("{\"a\":1,"),
    SLICE("{\"a\":1,}"),
    SLICE("{,}"),
    SLICE("{,\"a\":1}"),
    SLICE("{\"a\"}"),
    SLICE("{\"a\" 1}"),
    SLICE("{\"a\",1}"),
    SLICE("{\"a\"::1}"),
    SLICE("{\"a\":1 \"b\":2}"),
    SLICE("{\"a\":1,,\"b\":2}"),
    SLICE("{a:1}"),
    SLICE("{'a':1}"),
    SLICE("{1:1}"),
    SLICE("{null:1}"),
    SLICE("{[]:1}"),
    SLICE("{\"a\":1]"),
    SLICE("{\"a\":}"),
    SLICE("{:1}"),
    SLICE("{\"a\":1:2}"),
    SLICE("{\"a\":1,\"b\"}"),
    SLICE("{\"a\" /**/ :1}"),
    SLICE("{\"a\"=1}"),
    SLICE("{1}"),
    SLICE("{\"a\":{}"),
    SLICE("{\"\xFF\":1}"),
    /* duplicate keys */
    SLICE("{\"a\":1,\"a\":1}"),
    SLICE("{\"a\":1,\"b\":2,\"a\":3}"),
    SLICE("{\"\":1,\"\":1}"),
    SLICE("{\"a\":1,\"\\u0061\":1}"),
    SLICE("{\"\\u0061\":1,\"\\u0061\":1}"),
    SLICE("{\"\\/\":1,\"/\":1}"),
    SLICE("{\"\\n\":1,\"\\u000A\":1}"),
    SLICE("{\"\xC3\xA9\":1,\"\\u00E9\":1}"),
    SLICE("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":1}"),
    SLICE("{\"\\ud800\":1,\"\\uD800\":1}"),
    SLICE("[{\"x\":{\"a\":1,\"a\":2}}]"),
    SLICE("{\"a\":{\"b\":1},\"a\":1}"),
    SLICE("{\"a\":{\"a\":1},\"b\":{\"c\":1,\"c\":1}}"),
    /* strings */
    SLICE("\""),
    SLICE("\"a"),
    SLICE("\"abcdefghijkl"),
    SLICE("a\""),
    SLICE("'a'"),
    SLICE("\"\\\""),
    SLICE("\"\\"),
    SLICE("\"\\x41\""),
    SLICE("\"\\a\""),
    SLICE("\"\\v\""),
    SLICE("\"\\0\""),
    SLICE("\"\\'\""),
    SLICE("\"\\U0041\""),
    SLICE("\"\\N\""),
    SLICE("\"\\ \""),
    SLICE("\"\\\n\""),
    SLICE("\"\\\0\""),
    SLICE("\"\\\xC3\xA9\""),
    SLICE("\"\\u\""),
    SLICE("\"\\u0\""),
    SLICE("\"\\u00\""),
    SLICE("\"\\u004\""),
    SLICE("\"\\u004g\""),
    SLICE("\"\\u 041\""),
    SLICE("\"\\u+041\""),
    SLICE("\"\\u-041\""),
    SLICE("\"\\u{41}\""),
    SLICE("\"\\u00G0\""),
    SLICE("\"\\u004"),
    SLICE("\"\\ud800\\u\""),
    SLICE("\"\\ud800\\u12\""),
    SLICE("\"\\u00@0\""),
    SLICE("\"\\u00`0\""),
    SLICE("\"\\u00/0\""),
    SLICE("\"\\u00:0\""),
    SLICE("\"\\ud800\\\""),
    SLICE("\"\0\""),
    SLICE("\"\n\""),
    SLICE("\"\t\""),
    SLICE("\"\r\""),
    SLICE("\"\x1F\""),
    SLICE("\"\x01\""),
    SLICE("\"abcdefg\nabcdefgh\""),
    SLICE("\"abcdefgh\x1F\""),
    /* UTF-8 */
    SLICE("\"\x80\""),
    SLICE("\"\xBF\""),
    SLICE("\"\xC0\x80\""),
    SLICE("\"\xC1\xBF\""),
    SLICE("\"\xC3\""),
    SLICE("\"\xC3"),
    SLICE("\"\xE0\x80\x80\""),
    SLICE("\"\xE0\x9F\xBF\""),
    SLICE("\"\xE2\x82\""),
    SLICE("\"\xE2\x82"),
    SLICE("\"\xED\xA0\x80\""),
    SLICE("\"\xED\xBF\xBF\""),
    SLICE("\"\xF0\x80\x80\x80\""),
    SLICE("\"\xF0\x8F\xBF\xBF\""),
    SLICE("\"\xF0\x9F\x98\""),
    SLICE("\"\xF4\x90\x80\x80\""),
    SLICE("\"\xF5\x80\x80\x80\""),
    SLICE("\"\xF8\x88\x80\x80\x80\""),
    SLICE("\"\xFE\""),
    SLICE("\"\xFF\""),
    SLICE("\xC3\xA9"),
    SLICE("[\xFF]"),
    SLICE("\"\xC3\xA9\xC3\""),
    SLICE("\"abcdefgh\xFF\""),
    SLICE("\"\xED\xA0\xBD\xED\xB8\x80\""),
};

static void what_rfc_8259_allows_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        struct sluice_error error;
        if (json_validate(accepted[i], &error) != SLUICE_OK) {
            fail_msg("%.*s: %s", SLICE_PRINT(accepted[i]), error.message);
        }
    }
}

static void everything_else_is_refused_with_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rejected); i++) {
        struct sluice_error error = {0};
        if (json_validate(rejected[i], &error) != SLUICE_MALFORMED) {
            fail_msg("accepted: %.*s", SLICE_PRINT(rejected[i]));
        }
        const char *place = strstr(error.message, " at byte ");
        assert_non_null(place);
        assert_true(strtoul(place + 9, NULL, 10) <= rejected[i].bytes);
    }
}

static void the_tables_are_as_large_as_they_should_be(void **state)
{
    (void)state;
    assert_true(COUNT(accepted) >= 100);
    assert_true(COUNT(rejected) >= 200);
}

/* Each text stands flush against unreadable memory when this runs under a sanitizer. */
static enum sluice_status validate_copy(struct slice text)
{
    char *copy = malloc(text.bytes == 0 ? 1 : text.bytes);
    assert_non_null(copy);
    if (text.bytes > 0) {
        memcpy(copy, text.data, text.bytes);
    }
    enum sluice_status status = json_validate(slice_make(copy, text.bytes), NULL);
    free(copy);
    return status;
}

static void no_text_is_read_past_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        for (size_t bytes = 0; bytes <= accepted[i].bytes; bytes++) {
            assert_in_range(validate_copy(slice_make(accepted[i].data, bytes)), SLUICE_OK,
                            SLUICE_MALFORMED);
        }
    }
    for (size_t i = 0; i < COUNT(rejected); i++) {
        for (size_t bytes = 0; bytes <= rejected[i].bytes; bytes++) {
            assert_in_range(validate_copy(slice_make(rejected[i].data, bytes)), SLUICE_OK,
                            SLUICE_MALFORMED);
        }
    }
}

static const char document[] =
    "{\"_tag\":\"Request\",\"id\":\"17\",\"payload\":{\"storeId\":\"caf\xC3\xA9\",\"batch\":["
    "{\"name\":\"todo\\nCreated\",\"args\":{\"a\":[1,-2.5e+3,true,false,null,{}],\"\\u0062\":"
    "\"\\ud83d"
    "\\ude00\"},\"seqNum\":9007199254740991,\"clientId\":\"\"}]},\"headers\":[[\"k\",\"v\"]]}";

static void every_prefix_of_a_document_is_refused_and_the_whole_is_accepted(void **state)
{
    (void)state;
    struct slice text = slice_of_string(document);
    for (size_t bytes = 0; bytes < text.bytes; bytes++) {
        assert_int_equal(validate_copy(slice_make(text.data, bytes)), SLUICE_MALFORMED);
    }
    assert_int_equal(validate_copy(text), SLUICE_OK);
}

static void a_changed_bracket_quote_or_comma_is_refused(void **state)
{
    (void)state;
    char copy[sizeof document];
    for (size_t i = 0; i < sizeof document - 1; i++) {
        if (strchr("{}[]\",:", document[i]) == NULL) {
            continue;
        }
        memcpy(copy, document, sizeof document);
        copy[i] = copy[i] == ':' ? ',' : ':';
        assert_int_equal(json_validate(slice_make(copy, sizeof document - 1), NULL),
                         SLUICE_MALFORMED);
    }
}

static void assert_message(const char *text, const char *expected)
{
    struct sluice_error error;
    assert_int_not_equal(json_validate(slice_of_string(text), &error), SLUICE_OK);
    assert_string_equal(error.message, expected);
}

static void a_refusal_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    assert_message("[1,]", "JSON: expected a value at byte 3");
    assert_message("{\"a\":1,}", "JSON: expected a key in quotes at byte 7");
    assert_message("{\"a\" 1}", "JSON: expected ':' after a key at byte 5");
    assert_message("[1 2]", "JSON: expected ',' or ']' at byte 3");
    assert_message("{\"a\":1]", "JSON: expected ',' or '}' at byte 6");
    assert_message("{} x", "JSON: something follows the value at byte 3");
    assert_message("[\"a", "JSON: the text ends inside a string at byte 3");
    assert_message("[[]", "JSON: the text ends inside an array at byte 3");
    assert_message("{\"a\":1,\"b\":2,\"\\u0061\":3}",
                   "JSON: a key that the object already has at byte 14");
    assert_message("\"a\x01\"", "JSON: a control character in a string at byte 2");
    assert_message("\"a\xFF\"", "JSON: invalid UTF-8 at byte 2");
    assert_message("[01]", "JSON: a number with a leading zero at byte 2");
    assert_message("[1.]", "JSON: a number lacks a digit at byte 3");
    assert_message("[nul]", "JSON: an unknown word at byte 1");
}

static void every_byte_value_in_a_string_is_judged_right_at_every_place_of_a_word(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t place = 1; place < 20; place++) {
            char text[32];
            memset(text, 'x', sizeof text);
            text[0] = '"';
            text[place] = (char)byte;
            text[21] = '"';
            bool legal = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            enum sluice_status status = json_validate(slice_make(text, 22), NULL);
            assert_int_equal(status == SLUICE_OK, legal);
        }
    }
}

static void append_nested(struct buffer *buffer, unsigned depth, const char *open,
                          const char *close)
{
    for (unsigned i = 0; i < depth; i++) {
        buffer_append_slice(buffer, slice_of_string(open));
    }
    buffer_append_byte(buffer, '1');
    for (unsigned i = 0; i < depth; i++) {
        buffer_append_slice(buffer, slice_of_string(close));
    }
}

static void nesting_is_limited(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 10u << 20);
    const char *brackets[][2] = {{"[", "]"}, {"{\"a\":", "}"}, {"[2,{\"a\":1,\"b\":", "}]"}};
    for (size_t i = 0; i < COUNT(brackets); i++) {
        unsigned each = i == 2 ? 2 : 1;
        append_nested(&text, JSON_DEPTH_MAX / each, brackets[i][0], brackets[i][1]);
        assert_int_equal(json_validate(buffer_slice(&text), NULL), SLUICE_OK);
        buffer_clear(&text);
        append_nested(&text, JSON_DEPTH_MAX / each + 1, brackets[i][0], brackets[i][1]);
        assert_int_equal(json_validate(buffer_slice(&text), NULL), SLUICE_LIMIT);
        buffer_clear(&text);
    }
    append_nested(&text, 1000000, "[", "]");
    assert_int_equal(json_validate(buffer_slice(&text), NULL), SLUICE_LIMIT);
    buffer_deinit(&text);
}

/* An object of `count` distinct keys, of which each tenth has an escape when `escaped`; the key at
 * `repeated`, if there is one, stands a second time at the end, escaped. */
static void fill_object(struct buffer *text, int count, bool escaped, int repeated)
{
    buffer_clear(text);
    for (int i = 0; i < count; i++) {
        buffer_append_byte(text, i == 0 ? '{' : ',');
        const char *first = escaped && i % 10 == 3 ? "\\u006B" : "k";
        buffer_append_format(text, "\"%sey%d\":[{\"key\":1}]", first, (int)(i * 2654435761u >> 8));
    }
    if (repeated >= 0) {
        buffer_append_format(text, ",\"%sey%d\":0", escaped ? "\\u006b" : "k",
                             (int)(repeated * 2654435761u >> 8));
    }
    buffer_append_byte(text, '}');
}

static void duplicates_are_found_among_few_and_many_keys(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 3, 7, 15, 16, 17, 18, 63, 64, 65, 128, 129, 1000, 20011};
    struct buffer text;
    buffer_init(&text, 100u << 20);
    for (size_t i = 0; i < COUNT(counts); i++) {
        int count = counts[i];
        const int places[] = {0, count / 2, count - 1};
        for (int escaped = 0; escaped < 2; escaped++) {
            fill_object(&text, count, escaped, -1);
            assert_int_equal(json_validate(buffer_slice(&text), NULL), SLUICE_OK);
            for (size_t j = 0; j < COUNT(places); j++) {
                fill_object(&text, count, escaped, places[j]);
                struct sluice_error error;
                assert_int_equal(json_validate(buffer_slice(&text), &error), SLUICE_MALFORMED);
                assert_non_null(strstr(error.message, "a key that the object already has"));
            }
        }
    }
    buffer_deinit(&text);
}

static void half_a_million_keys_need_memory_in_proportion_to_the_text(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 100u << 20);
    fill_object(&text, 500000, true, -1);
    failing_alloc_arm(50); /* a list that doubles, and one to sort with */
    assert_int_equal(json_validate(buffer_slice(&text), NULL), SLUICE_OK);
    assert_true(failing_alloc_seen < 30);
    failing_alloc_disarm();
    buffer_deinit(&text);
}

static void an_ordinary_message_is_validated_without_allocating(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 1u << 20);
    for (int i = 0; i < 1000; i++) {
        buffer_append_format(&text,
                             "%c{\"name\":\"n\",\"args\":{\"id\":\"%d\",\"text\":\"x\"},"
                             "\"seqNum\":%d,\"parentSeqNum\":%d,\"clientId\":\"c\"}",
                             i == 0 ? '[' : ',', i, i + 1, i);
    }
    buffer_append_byte(&text, ']');
    failing_alloc_arm(0);
    enum sluice_status status = json_validate(buffer_slice(&text), NULL);
    failing_alloc_disarm();
    assert_int_equal(status, SLUICE_OK);
    buffer_deinit(&text);
}

static void without_memory_for_keys_the_answer_is_no_memory(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 1u << 20);
    fill_object(&text, 300, false, -1);
    for (unsigned successes = 0; successes < 3; successes++) {
        failing_alloc_arm(successes);
        enum sluice_status status = json_validate(buffer_slice(&text), NULL);
        failing_alloc_disarm();
        assert_int_equal(status, SLUICE_NO_MEMORY);
    }
    buffer_deinit(&text);
}

/* The reader. */

static struct json_reader reader_of(const char *text)
{
    struct json_reader reader;
    json_reader_init(&reader, slice_of_string(text));
    return reader;
}

static void assert_slice(struct slice slice, const char *expected)
{
    assert_int_equal(slice.bytes, strlen(expected));
    assert_memory_equal(slice.data, expected, slice.bytes);
}

static void a_document_is_walked_in_place(void **state)
{
    (void)state;
    struct json_reader reader = reader_of(
        " { \"name\" : \"a\\nb\" , \"args\": { \"x\" : [1 , 2]} , \"seq\":42,\"live\":true,"
        "\"list\":[ null ,[],{} ] } ");
    struct slice key, raw;
    uint64_t number = 0;
    bool flag = false;
    assert_true(json_enter_object(&reader));
    assert_true(json_next_key(&reader, &key));
    assert_slice(key, "name");
    assert_int_equal(json_peek(&reader), JSON_STRING);
    assert_true(json_read_string(&reader, &raw));
    assert_slice(raw, "a\\nb");
    assert_true(json_next_key(&reader, &key));
    assert_slice(key, "args");
    assert_int_equal(json_peek(&reader), JSON_OBJECT);
    assert_true(json_skip(&reader, &raw));
    assert_slice(raw, "{ \"x\" : [1 , 2]}");
    assert_true(json_next_key(&reader, &key));
    assert_true(json_read_u64(&reader, 100, &number));
    assert_int_equal(number, 42);
    assert_true(json_next_key(&reader, &key));
    assert_true(json_read_bool(&reader, &flag));
    assert_true(flag);
    assert_true(json_next_key(&reader, &key));
    assert_true(json_enter_array(&reader));
    assert_true(json_next_item(&reader));
    assert_true(json_read_null(&reader));
    assert_true(json_next_item(&reader));
    assert_true(json_enter_array(&reader));
    assert_false(json_next_item(&reader));
    assert_true(json_next_item(&reader));
    assert_true(json_enter_object(&reader));
    assert_false(json_next_key(&reader, &key));
    assert_false(json_next_item(&reader));
    assert_false(json_next_key(&reader, &key));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_OK);
}

static void peek_tells_the_kind_and_consumes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_kind kind;
    } table[] = {
        {"null", JSON_NULL},  {"true", JSON_TRUE},   {" false", JSON_FALSE}, {"0", JSON_NUMBER},
        {" -1", JSON_NUMBER}, {"\"\"", JSON_STRING}, {"[]", JSON_ARRAY},     {"{}", JSON_OBJECT},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json_reader reader = reader_of(table[i].text);
        struct slice raw;
        assert_int_equal(json_peek(&reader), table[i].kind);
        assert_int_equal(json_peek(&reader), table[i].kind);
        assert_true(json_skip(&reader, &raw));
        assert_int_equal(json_finish(&reader, NULL), SLUICE_OK);
    }
    const char *nothing[] = {"", " ", "]", "}", ",", ":", "x", "+1", "\x80"};
    for (size_t i = 0; i < COUNT(nothing); i++) {
        struct json_reader reader = reader_of(nothing[i]);
        assert_int_equal(json_peek(&reader), JSON_ERROR);
        assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    }
}

static void a_value_of_another_kind_is_an_error_that_says_what_was_expected(void **state)
{
    (void)state;
    struct sluice_error error;
    struct slice raw = SLICE("before");
    bool flag = true;
    uint64_t number = 7;

    struct json_reader reader = reader_of(" 1");
    assert_false(json_read_string(&reader, &raw));
    assert_int_equal(json_finish(&reader, &error), SLUICE_MALFORMED);
    assert_string_equal(error.message, "JSON: a string is expected at byte 1");
    reader = reader_of("\"\"");
    assert_false(json_read_u64(&reader, 10, &number));
    assert_int_equal(json_finish(&reader, &error), SLUICE_MALFORMED);
    assert_string_equal(error.message, "JSON: a number is expected at byte 0");
    reader = reader_of("null");
    assert_false(json_read_bool(&reader, &flag));
    assert_int_equal(json_finish(&reader, &error), SLUICE_MALFORMED);
    assert_string_equal(error.message, "JSON: true or false is expected at byte 0");
    reader = reader_of("true");
    assert_false(json_read_null(&reader));
    reader = reader_of("[]");
    assert_false(json_enter_object(&reader));
    reader = reader_of("{}");
    assert_false(json_enter_array(&reader));
    assert_int_equal(json_finish(&reader, &error), SLUICE_MALFORMED);
    assert_string_equal(error.message, "JSON: an array is expected at byte 0");

    assert_slice(raw, "before");
    assert_int_equal(number, 7);
    assert_true(flag);
}

static void after_an_error_every_call_fails_and_outputs_stay(void **state)
{
    (void)state;
    struct json_reader reader = reader_of("{\"a\":1,\"b\":\"x\"}");
    struct slice raw = SLICE("before");
    uint64_t number = 7;
    bool flag = true;
    assert_true(json_enter_object(&reader));
    struct slice key;
    assert_true(json_next_key(&reader, &key));
    assert_false(json_read_bool(&reader, &flag));
    key = SLICE("before");
    assert_int_equal(json_peek(&reader), JSON_ERROR);
    assert_false(json_read_u64(&reader, 10, &number));
    assert_false(json_next_key(&reader, &key));
    assert_false(json_next_item(&reader));
    assert_false(json_skip(&reader, &raw));
    assert_false(json_read_string(&reader, &raw));
    assert_false(json_read_null(&reader));
    assert_false(json_enter_object(&reader));
    assert_false(json_enter_array(&reader));
    json_fail(&reader, "too late");
    assert_slice(raw, "before");
    assert_slice(key, "before");
    assert_int_equal(number, 7);
    struct sluice_error error;
    assert_int_equal(json_finish(&reader, &error), SLUICE_MALFORMED);
    assert_string_equal(error.message, "JSON: true or false is expected at byte 5");
}

static void what_a_decoder_finds_wrong_is_an_error_at_its_place(void **state)
{
    (void)state;
    struct json_reader reader = reader_of("[1,2]");
    uint64_t number;
    assert_true(json_enter_array(&reader));
    assert_true(json_next_item(&reader));
    assert_true(json_read_u64(&reader, 10, &number));
    json_fail(&reader, "the number is odd");
    assert_false(json_next_item(&reader));
    struct sluice_error error;
    assert_int_equal(json_finish(&reader, &error), SLUICE_INVALID);
    assert_string_equal(error.message, "JSON: the number is odd at byte 2");
}

static void whole_numbers_are_read_up_to_their_maximum(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        uint64_t value;
    } table[] = {
        {"0", 0, 0},
        {"0", 5, 0},
        {"9", 9, 9},
        {"10", 10, 10},
        {"9007199254740991", 9007199254740991u, 9007199254740991u},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX},
        {" 7 ", 100, 7},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json_reader reader = reader_of(table[i].text);
        uint64_t number = 99;
        assert_true(json_read_u64(&reader, table[i].max, &number));
        assert_true(number == table[i].value);
        assert_int_equal(json_finish(&reader, NULL), SLUICE_OK);
    }
}

static void other_numbers_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        const char *message;
    } table[] = {
        {"1", 0, "JSON: the number is too large at byte 0"},
        {"10", 9, "JSON: the number is too large at byte 0"},
        {"11", 10, "JSON: the number is too large at byte 0"},
        {"9007199254740992", 9007199254740991u, "JSON: the number is too large at byte 0"},
        {"18446744073709551616", UINT64_MAX, "JSON: the number is too large at byte 0"},
        {"99999999999999999999999999", UINT64_MAX, "JSON: the number is too large at byte 0"},
        {"-1", 10, "JSON: a whole number in digits only is expected at byte 0"},
        {"-0", 10, "JSON: a whole number in digits only is expected at byte 0"},
        {"1.0", 10, "JSON: a whole number in digits only is expected at byte 0"},
        {"1e0", 10, "JSON: a whole number in digits only is expected at byte 0"},
        {"1E2", 1000, "JSON: a whole number in digits only is expected at byte 0"},
        {"01", 1000, "JSON: a whole number in digits only is expected at byte 0"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json_reader reader = reader_of(table[i].text);
        uint64_t number = 99;
        struct sluice_error error;
        assert_false(json_read_u64(&reader, table[i].max, &number));
        assert_int_equal(number, 99);
        assert_int_equal(json_finish(&reader, &error), SLUICE_MALFORMED);
        assert_string_equal(error.message, table[i].message);
    }
}

static void skip_gives_the_exact_text_of_every_accepted_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        struct slice text = accepted[i];
        struct slice trimmed = text;
        while (strchr(" \t\r\n", trimmed.data[0]) != NULL) {
            trimmed = slice_make(trimmed.data + 1, trimmed.bytes - 1);
        }
        while (strchr(" \t\r\n", trimmed.data[trimmed.bytes - 1]) != NULL) {
            trimmed.bytes--;
        }
        struct json_reader reader;
        struct slice raw;
        json_reader_init(&reader, text);
        assert_true(json_skip(&reader, &raw));
        assert_true(slice_equal(raw, trimmed));
        assert_int_equal(json_finish(&reader, NULL), SLUICE_OK);
        json_reader_init(&reader, text);
        assert_true(json_skip(&reader, NULL));
    }
}

static void finish_refuses_what_follows_the_value(void **state)
{
    (void)state;
    const char *texts[] = {"1 1", "1,", "1]", "1 x"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct json_reader reader = reader_of(texts[i]);
        assert_true(json_skip(&reader, NULL));
        assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    }
    struct json_reader reader = reader_of("1");
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED); /* nothing was read */
    json_reader_init(&reader, slice_make("1\0", 2));
    assert_true(json_skip(&reader, NULL));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    reader = reader_of("[1]");
    assert_true(json_enter_array(&reader));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    reader = reader_of("[");
    assert_true(json_enter_array(&reader));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    json_reader_init(&reader, SLICE_EMPTY);
    assert_int_equal(json_peek(&reader), JSON_ERROR);
}

static void a_value_left_unread_is_an_error_not_a_loop(void **state)
{
    (void)state;
    struct json_reader reader = reader_of("[1,2]");
    assert_true(json_enter_array(&reader));
    assert_true(json_next_item(&reader));
    assert_false(json_next_item(&reader));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    reader = reader_of("{\"a\":1}");
    struct slice key;
    assert_true(json_enter_object(&reader));
    assert_true(json_next_key(&reader, &key));
    assert_false(json_next_key(&reader, &key));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
    reader = reader_of("1");
    assert_false(json_next_item(&reader));
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
}

static void a_key_is_compared_by_its_decoded_form(void **state)
{
    (void)state;
    assert_true(json_key_is(SLICE("storeId"), "storeId"));
    assert_true(json_key_is(SLICE("\\u0073toreId"), "storeId"));
    assert_true(json_key_is(SLICE("store\\u0049\\u0064"), "storeId"));
    assert_true(json_key_is(SLICE("a\\/b"), "a/b"));
    assert_true(json_key_is(SLICE(""), ""));
    assert_true(json_key_is(SLICE_EMPTY, ""));
    assert_false(json_key_is(SLICE_EMPTY, "a"));
    assert_false(json_key_is(SLICE("a"), ""));
    assert_false(json_key_is(SLICE("storeIds"), "storeId"));
    assert_false(json_key_is(SLICE("storeI"), "storeId"));
    assert_false(json_key_is(SLICE("StoreId"), "storeId"));
    assert_false(json_key_is(SLICE("\\u0073toreIds"), "storeId"));
    assert_false(json_key_is(SLICE("\\u0073tore"), "storeId"));
    assert_false(json_key_is(SLICE("a\\u0000"), "a"));
    assert_false(json_key_is(SLICE("\\ud800"), "x"));
    assert_false(json_key_is(SLICE("\\n"), "ab"));
    assert_false(json_key_is(SLICE("\\n"), "\\n"));
    assert_false(json_key_is(SLICE("\\u0161"), "a")); /* only its low byte is 'a' */
    assert_false(json_key_is(SLICE("\xC3\xA9"), "e"));
}

/* What the reader does with a text that was not validated: anything, inside the text, to an end. */
static void walk(struct json_reader *reader)
{
    struct slice slice;
    switch (json_peek(reader)) {
    case JSON_ARRAY:
        if (json_enter_array(reader)) {
            while (json_next_item(reader)) {
                walk(reader);
            }
        }
        break;
    case JSON_OBJECT:
        if (json_enter_object(reader)) {
            while (json_next_key(reader, &slice)) {
                walk(reader);
            }
        }
        break;
    default:
        (void)json_skip(reader, &slice);
        break;
    }
}

static void the_reader_ends_within_any_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rejected); i++) {
        for (size_t bytes = 0; bytes <= rejected[i].bytes; bytes++) {
            char *copy = malloc(bytes == 0 ? 1 : bytes);
            assert_non_null(copy);
            memcpy(copy, rejected[i].data, bytes);
            struct json_reader reader;
            json_reader_init(&reader, slice_make(copy, bytes));
            walk(&reader);
            assert_in_range(json_finish(&reader, NULL), SLUICE_OK, SLUICE_MALFORMED);
            json_reader_init(&reader, slice_make(copy, bytes));
            struct slice raw;
            while (json_skip(&reader, &raw)) {
                assert_true(raw.data >= copy && raw.data + raw.bytes <= copy + bytes);
                assert_true(reader.at <= reader.end);
            }
            free(copy);
        }
    }
}

static void the_reader_refuses_to_go_deeper_than_the_limit(void **state)
{
    (void)state;
    char text[1000];
    memset(text, '[', sizeof text);
    struct json_reader reader;
    json_reader_init(&reader, slice_make(text, sizeof text));
    unsigned depth = 0;
    while (json_enter_array(&reader) && json_next_item(&reader)) {
        depth++;
    }
    assert_int_equal(depth, JSON_DEPTH_MAX);
    assert_int_equal(json_finish(&reader, NULL), SLUICE_MALFORMED);
}

/* Strings. */

static void assert_decodes(struct slice raw, struct slice expected)
{
    struct arena arena;
    arena_init(&arena, 100000);
    struct slice out = SLICE("before");
    struct sluice_error error;
    assert_int_equal(json_decode_string(raw, &arena, &out, &error), SLUICE_OK);
    assert_true(slice_equal(out, expected));
    assert_true(utf8_valid(out));
    arena_deinit(&arena);
}

static void every_escape_is_decoded(void **state)
{
    (void)state;
    assert_decodes(SLICE("\\\"\\\\\\/\\b\\f\\n\\r\\t"), SLICE("\"\\/\b\f\n\r\t"));
    assert_decodes(SLICE("\\u0000x"), SLICE("\0x"));
    assert_decodes(SLICE("\\u007f\\u0080"), SLICE("\x7F\xC2\x80"));
    assert_decodes(SLICE("\\u07FF\\u0800"), SLICE("\xDF\xBF\xE0\xA0\x80"));
    assert_decodes(SLICE("\\ud7ff\\ue000"), SLICE("\xED\x9F\xBF\xEE\x80\x80"));
    assert_decodes(SLICE("\\uffff"), SLICE("\xEF\xBF\xBF"));
    assert_decodes(SLICE("\\ud800\\udc00"), SLICE("\xF0\x90\x80\x80"));
    assert_decodes(SLICE("\\uDBFF\\uDFFF"), SLICE("\xF4\x8F\xBF\xBF"));
    assert_decodes(SLICE("a\\u00e9\xC3\xA9z"), SLICE("a\xC3\xA9\xC3\xA9z"));
    assert_decodes(SLICE("\\\\u0061"), SLICE("\\u0061"));
    assert_decodes(SLICE_EMPTY, SLICE(""));
}

static void a_string_without_escapes_is_borrowed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct slice raw = SLICE("plain \xC3\xA9");
    struct slice out;
    assert_int_equal(json_decode_string(raw, &arena, &out, NULL), SLUICE_OK);
    assert_ptr_equal(out.data, raw.data);
    assert_int_equal(out.bytes, raw.bytes);
}

static void a_lone_surrogate_has_no_utf8_form(void **state)
{
    (void)state;
    static const char *const lone[] = {"\\ud800",        "\\udc00",
                                       "\\udfff",        "\\udbff",
                                       "x\\ud800y",      "\\ud800\\ud800",
                                       "\\udc00\\ud800", "\\ud800\\n",
                                       "\\ud800\\u0041", "\\ud83d\\ude00\\ud83d"};
    for (size_t i = 0; i < COUNT(lone); i++) {
        struct arena arena;
        arena_init(&arena, 1000);
        struct slice out = SLICE("before");
        struct sluice_error error;
        assert_int_equal(json_decode_string(slice_of_string(lone[i]), &arena, &out, &error),
                         SLUICE_INVALID);
        assert_non_null(strstr(error.message, "lone surrogate"));
        assert_slice(out, "before");
        arena_deinit(&arena);
    }
}

static void decoding_stays_within_a_string_that_was_not_validated(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\\",  "\\u",       "\\u1",       "\\u12",         "\\u123",
        "\\x", "\\ud800\\", "\\ud800\\u", "\\ud800\\udc0", "ab\\u00zz"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct arena arena;
        arena_init(&arena, 10000);
        size_t bytes = strlen(bad[i]);
        char *copy = malloc(bytes);
        assert_non_null(copy);
        memcpy(copy, bad[i], bytes);
        struct slice out;
        assert_int_not_equal(json_decode_string(slice_make(copy, bytes), &arena, &out, NULL),
                             SLUICE_OK);
        (void)json_key_is(slice_make(copy, bytes), "ab");
        free(copy);
        arena_deinit(&arena);
    }
}

static void an_arena_without_room_is_no_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4);
    struct slice out = SLICE("before");
    assert_int_equal(json_decode_string(SLICE("\\n"), &arena, &out, NULL), SLUICE_NO_MEMORY);
    assert_slice(out, "before");
    arena_deinit(&arena);
}

static void assert_appends(struct slice text, const char *expected)
{
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    json_append_string(&buffer, text);
    assert_slice(buffer_slice(&buffer), expected);
    buffer_deinit(&buffer);
}

static void only_what_must_be_escaped_is(void **state)
{
    (void)state;
    assert_appends(SLICE(""), "\"\"");
    assert_appends(SLICE_EMPTY, "\"\"");
    assert_appends(SLICE("a/b'<>&\x7F"), "\"a/b'<>&\x7F\"");
    assert_appends(SLICE("\"\\"), "\"\\\"\\\\\"");
    assert_appends(SLICE("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    assert_appends(SLICE("\0\x01\x1F"), "\"\\u0000\\u0001\\u001f\"");
    assert_appends(SLICE("\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80"),
                   "\"\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80\"");
}

static void bytes_that_are_not_utf8_are_appended_as_replacement_characters(void **state)
{
    (void)state;
    assert_appends(SLICE("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
    assert_appends(SLICE("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_appends(SLICE("\xC3\xA9\xC3\n"), "\"\xC3\xA9\xEF\xBF\xBD\\n\"");
}

static void what_is_appended_decodes_to_the_same_text(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        /* Characters of all lengths, many of which need escapes. */
        static const struct slice pieces[] = {
            SLICE("\""),
            SLICE("\\"),
            SLICE("\n"),
            SLICE("\0"),
            SLICE("\x1F"),
            SLICE("x"),
            SLICE("eightbyt"),
            SLICE("\xC3\xA9"),
            SLICE("\xE2\x82\xAC"),
            SLICE("\xF0\x9F\x98\x80"),
            SLICE("/"),
            SLICE("u0041"),
        };
        char text[200];
        size_t bytes = 0;
        for (int i = round % 20; i > 0; i--) {
            random = random * 1664525u + 1013904223u;
            struct slice piece = pieces[(random >> 16) % COUNT(pieces)];
            memcpy(text + bytes, piece.data, piece.bytes);
            bytes += piece.bytes;
        }
        struct buffer buffer;
        buffer_init(&buffer, 2000);
        json_append_string(&buffer, slice_make(text, bytes));
        assert_int_equal(json_validate(buffer_slice(&buffer), NULL), SLUICE_OK);
        struct json_reader reader;
        struct slice raw;
        json_reader_init(&reader, buffer_slice(&buffer));
        assert_true(json_read_string(&reader, &raw));
        assert_int_equal(json_finish(&reader, NULL), SLUICE_OK);
        assert_decodes(raw, slice_make(text, bytes));
        buffer_deinit(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_allows_is_accepted),
        cmocka_unit_test(everything_else_is_refused_with_the_place),
        cmocka_unit_test(the_tables_are_as_large_as_they_should_be),
        cmocka_unit_test(no_text_is_read_past_its_end),
        cmocka_unit_test(every_prefix_of_a_document_is_refused_and_the_whole_is_accepted),
        cmocka_unit_test(a_changed_bracket_quote_or_comma_is_refused),
        cmocka_unit_test(a_refusal_says_what_is_wrong_and_where),
        cmocka_unit_test(every_byte_value_in_a_string_is_judged_right_at_every_place_of_a_word),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(duplicates_are_found_among_few_and_many_keys),
        cmocka_unit_test(half_a_million_keys_need_memory_in_proportion_to_the_text),
        cmocka_unit_test(an_ordinary_message_is_validated_without_allocating),
        cmocka_unit_test(without_memory_for_keys_the_answer_is_no_memory),
        cmocka_unit_test(a_document_is_walked_in_place),
        cmocka_unit_test(peek_tells_the_kind_and_consumes_nothing),
        cmocka_unit_test(a_value_of_another_kind_is_an_error_that_says_what_was_expected),
        cmocka_unit_test(after_an_error_every_call_fails_and_outputs_stay),
        cmocka_unit_test(what_a_decoder_finds_wrong_is_an_error_at_its_place),
        cmocka_unit_test(whole_numbers_are_read_up_to_their_maximum),
        cmocka_unit_test(other_numbers_are_refused_with_the_reason),
        cmocka_unit_test(skip_gives_the_exact_text_of_every_accepted_value),
        cmocka_unit_test(finish_refuses_what_follows_the_value),
        cmocka_unit_test(a_value_left_unread_is_an_error_not_a_loop),
        cmocka_unit_test(a_key_is_compared_by_its_decoded_form),
        cmocka_unit_test(the_reader_ends_within_any_text),
        cmocka_unit_test(the_reader_refuses_to_go_deeper_than_the_limit),
        cmocka_unit_test(every_escape_is_decoded),
        cmocka_unit_test(a_string_without_escapes_is_borrowed),
        cmocka_unit_test(a_lone_surrogate_has_no_utf8_form),
        cmocka_unit_test(decoding_stays_within_a_string_that_was_not_validated),
        cmocka_unit_test(an_arena_without_room_is_no_memory),
        cmocka_unit_test(only_what_must_be_escaped_is),
        cmocka_unit_test(bytes_that_are_not_utf8_are_appended_as_replacement_characters),
        cmocka_unit_test(what_is_appended_decodes_to_the_same_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
