#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct slice valid[] = {
    SLICE(""),
    SLICE("plain text that is longer than a word or two"),
    SLICE("\x00"),
    SLICE("\x7F"),
    SLICE("\xC2\x80"),
    SLICE("\xDF\xBF"),
    SLICE("\xE0\xA0\x80"),
    SLICE("\xE0\xBF\xBF"),
    SLICE("\xE1\x80\x80"),
    SLICE("\xEC\xBF\xBF"),
    SLICE("\xED\x80\x80"),
    SLICE("\xED\x9F\xBF"),
    SLICE("\xEE\x80\x80"),
    SLICE("\xEF\xBB\xBF"),
    SLICE("\xEF\xBF\xBF"),
    SLICE("\xF0\x90\x80\x80"),
    SLICE("\xF0\xBF\xBF\xBF"),
    SLICE("\xF1\x80\x80\x80"),
    SLICE("\xF3\xBF\xBF\xBF"),
    SLICE("\xF4\x80\x80\x80"),
    SLICE("\xF4\x8F\xBF\xBF"),
    SLICE("a\xC3\xA9z\xE2\x82\xAC-\xF0\x9F\x98\x80 eight more bytes \xC3\xA9"),
    SLICE("1234567\xC3\xA9"),
    SLICE("12345678\xC3\xA9"),
};

static const struct slice invalid[] = {
    SLICE("\x80"), /* a continuation byte alone */
    SLICE("\xBF"),
    SLICE("\xC0\x80"), /* overlong */
    SLICE("\xC1\xBF"),
    SLICE("\xE0\x80\x80"),
    SLICE("\xE0\x9F\xBF"),
    SLICE("\xF0\x80\x80\x80"),
    SLICE("\xF0\x8F\xBF\xBF"),
    SLICE("\xED\xA0\x80"), /* surrogates */
    SLICE("\xED\xBF\xBF"),
    SLICE("\xED\xA0\xBD\xED\xB8\x80"),
    SLICE("\xF4\x90\x80\x80"), /* past U+10FFFF */
    SLICE("\xF5\x80\x80\x80"),
    SLICE("\xF8\x88\x80\x80\x80"),
    SLICE("\xFE"),
    SLICE("\xFF"),
    SLICE("\xC3"), /* cut off */
    SLICE("\xE2\x82"),
    SLICE("\xF0\x9F\x98"),
    SLICE("\xC3z"), /* interrupted */
    SLICE("\xE2\x82z"),
    SLICE("\xF0\x9F\x98z"),
    SLICE("\xC3\xC3\xA9"),
    SLICE("\xE2\xC2\x80"),
    SLICE("12345678\x80"
          "12345678"),
    SLICE("long enough for whole words, then \xE2\x82 and on"),
};

static void every_boundary_of_rfc_3629_is_respected(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        assert_true(utf8_valid(valid[i]));
    }
    for (size_t i = 0; i < COUNT(invalid); i++) {
        assert_false(utf8_valid(invalid[i]));
    }
    assert_true(utf8_valid(SLICE_EMPTY));
}

/* The definition, written down the slow way: decode, then check the range and the shortest form. */
static bool valid_by_definition(const uint8_t *at, size_t bytes)
{
    while (bytes > 0) {
        size_t length = at[0] < 0x80       ? 1
                        : at[0] >> 5 == 6  ? 2
                        : at[0] >> 4 == 14 ? 3
                        : at[0] >> 3 == 30 ? 4
                                           : 0;
        if (length == 0 || length > bytes) {
            return false;
        }
        uint32_t code_point = length == 1 ? at[0] : at[0] & (0xFFu >> (length + 1));
        for (size_t i = 1; i < length; i++) {
            if (at[i] >> 6 != 2) {
                return false;
            }
            code_point = code_point << 6 | (at[i] & 0x3F);
        }
        static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code_point < lowest[length] || code_point > 0x10FFFF ||
            (code_point >= 0xD800 && code_point <= 0xDFFF)) {
            return false;
        }
        at += length;
        bytes -= length;
    }
    return true;
}

static void feed_agrees(const uint8_t *bytes, size_t count, bool expected)
{
    for (size_t split = 0; split <= count; split++) {
        uint32_t check = 0;
        bool whole = utf8_feed(&check, slice_make(bytes, split)) &&
                     utf8_feed(&check, slice_make(bytes + split, count - split)) && check == 0;
        assert_int_equal(whole, expected);
    }
}

static void all_sequences_of_boundary_bytes_agree_with_the_definition(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                    0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                    0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    const size_t n = COUNT(edges);
    for (size_t number = 0; number < n * n * n * n; number++) {
        uint8_t bytes[4] = {edges[number % n], edges[number / n % n], edges[number / n / n % n],
                            edges[number / n / n / n]};
        bool expected = valid_by_definition(bytes, 4);
        assert_int_equal(utf8_valid(slice_make(bytes, 4)), expected);
        feed_agrees(bytes, 4, expected);
    }
}

static void pieces_agree_with_the_whole_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        feed_agrees((const uint8_t *)valid[i].data, valid[i].bytes, true);
    }
    for (size_t i = 0; i < COUNT(invalid); i++) {
        feed_agrees((const uint8_t *)invalid[i].data, invalid[i].bytes, false);
    }
}

static void feeding_byte_by_byte_fails_at_the_first_byte_that_cannot_be(void **state)
{
    (void)state;
    uint32_t check = 0;
    assert_true(utf8_feed(&check, SLICE("a\xE2")));
    assert_int_not_equal(check, 0);
    assert_true(utf8_feed(&check, SLICE_EMPTY));
    assert_true(utf8_feed(&check, SLICE("\x82")));
    assert_true(utf8_feed(&check, SLICE("\xAC")));
    assert_int_equal(check, 0);
    assert_true(utf8_feed(&check, SLICE("\xED")));
    assert_false(utf8_feed(&check, SLICE("\xA0")));
}

static void a_rejected_text_stays_rejected(void **state)
{
    (void)state;
    uint32_t check = 0;
    assert_false(utf8_feed(&check, SLICE("\xFF")));
    assert_false(utf8_feed(&check, SLICE("fine")));
    assert_false(utf8_feed(&check, SLICE_EMPTY));
    assert_int_not_equal(check, 0);
}

static void a_characters_length_is_known_from_its_whole(void **state)
{
    (void)state;
    assert_int_equal(utf8_character_bytes(SLICE("ab")), 1);
    assert_int_equal(utf8_character_bytes(SLICE("\xC3\xA9x")), 2);
    assert_int_equal(utf8_character_bytes(SLICE("\xE2\x82\xACx")), 3);
    assert_int_equal(utf8_character_bytes(SLICE("\xF0\x9F\x98\x80x")), 4);
    assert_int_equal(utf8_character_bytes(SLICE_EMPTY), 0);
    assert_int_equal(utf8_character_bytes(SLICE("\xF0\x9F\x98")), 0);
    assert_int_equal(utf8_character_bytes(SLICE("\x80")), 0);
}

static void a_wide_run_ends_before_ascii_and_before_what_is_invalid(void **state)
{
    (void)state;
    assert_int_equal(utf8_wide_run_bytes(SLICE_EMPTY), 0);
    assert_int_equal(utf8_wide_run_bytes(SLICE("abc")), 0);
    assert_int_equal(utf8_wide_run_bytes(SLICE("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z")), 9);
    assert_int_equal(utf8_wide_run_bytes(SLICE("\xC3\xA9\xE2\x82")), 2);
    assert_int_equal(utf8_wide_run_bytes(SLICE("\xFF\xC3\xA9")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_boundary_of_rfc_3629_is_respected),
        cmocka_unit_test(all_sequences_of_boundary_bytes_agree_with_the_definition),
        cmocka_unit_test(pieces_agree_with_the_whole_at_every_split),
        cmocka_unit_test(feeding_byte_by_byte_fails_at_the_first_byte_that_cannot_be),
        cmocka_unit_test(a_rejected_text_stays_rejected),
        cmocka_unit_test(a_characters_length_is_known_from_its_whole),
        cmocka_unit_test(a_wide_run_ends_before_ascii_and_before_what_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
