#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"

static void assert_prints(int64_t wall_ms, const char *expected)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    clock_append_iso8601(&buffer, wall_ms);
    buffer_append_byte(&buffer, '\0');
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    assert_string_equal(buffer.data, expected);
    buffer_deinit(&buffer);
}

static void a_time_prints_as_a_date_in_utc(void **state)
{
    (void)state;
    assert_prints(0, "1970-01-01T00:00:00.000Z");
    assert_prints(1, "1970-01-01T00:00:00.001Z");
    assert_prints(-1, "1969-12-31T23:59:59.999Z");
    assert_prints(1795394190784, "2026-11-23T00:36:30.784Z");
    assert_prints(86399999, "1970-01-01T23:59:59.999Z");
    assert_prints(86400000, "1970-01-02T00:00:00.000Z");
}

static void leap_days_stand_in_leap_years_only(void **state)
{
    (void)state;
    assert_prints(951782400000, "2000-02-29T00:00:00.000Z");
    assert_prints(951868800000, "2000-03-01T00:00:00.000Z");
    assert_prints(1709164800000, "2024-02-29T00:00:00.000Z");
    assert_prints(1740787199999, "2025-02-28T23:59:59.999Z");
    assert_prints(1740787200000, "2025-03-01T00:00:00.000Z");
    assert_prints(-2203977600000, "1900-02-28T00:00:00.000Z");
    assert_prints(-2203891200000, "1900-03-01T00:00:00.000Z");
    assert_prints(4107456000000, "2100-02-28T00:00:00.000Z");
    assert_prints(4107542400000, "2100-03-01T00:00:00.000Z");
    assert_prints(-62162208000000, "0000-02-28T00:00:00.000Z");
    assert_prints(-62162121600000, "0000-02-29T00:00:00.000Z");
    assert_prints(-62162035200000, "0000-03-01T00:00:00.000Z");
}

static void years_before_0_and_past_9999_are_clamped(void **state)
{
    (void)state;
    assert_prints(-62167219200000, "0000-01-01T00:00:00.000Z");
    assert_prints(-62167219200001, "0000-01-01T00:00:00.000Z");
    assert_prints(INT64_MIN, "0000-01-01T00:00:00.000Z");
    assert_prints(253402300799999, "9999-12-31T23:59:59.999Z");
    assert_prints(253402300800000, "9999-12-31T23:59:59.999Z");
    assert_prints(INT64_MAX, "9999-12-31T23:59:59.999Z");
}

static void every_third_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = -719528; day <= 2932896; day += 3) {
        time_t seconds = (time_t)(day * 86400 + 45296);
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        char expected[80];
        (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT12:34:56.007Z", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday);
        assert_prints((int64_t)seconds * 1000 + 7, expected);
    }
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = clock_monotonic_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void the_wall_clock_is_the_systems(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL);
    int64_t wall_ms = clock_wall_ms();
    assert_true(wall_ms / 1000 >= before - 1);
    assert_true(wall_ms / 1000 <= (int64_t)time(NULL) + 1);
}

static int64_t parsed(const char *text)
{
    int64_t wall_ms = 12345;
    return clock_parse_iso8601(slice_of_string(text), &wall_ms) ? wall_ms : INT64_MIN;
}

static void what_was_printed_is_read_again(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    for (int64_t wall_ms = -62167219200000; wall_ms <= 253402300799999;
         wall_ms += 86400000 * 5 + 7) {
        int64_t again = 0;
        buffer_clear(&buffer);
        clock_append_iso8601(&buffer, wall_ms);
        assert_true(clock_parse_iso8601(buffer_slice(&buffer), &again));
        assert_int_equal(again, wall_ms);
    }
    buffer_deinit(&buffer);
}

static void fractions_of_any_length_are_read_to_the_millisecond(void **state)
{
    (void)state;
    assert_int_equal(parsed("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(parsed("1970-01-01T00:00:01.5Z"), 1500);
    assert_int_equal(parsed("1970-01-01T00:00:01.123999999Z"), 1123);
}

static void what_is_no_time_is_not_read(void **state)
{
    static const char *const NONSENSE[] = {"",
                                           "yesterday",
                                           "1970-01-01",
                                           "1970-01-01T00:00:00",
                                           "1970-01-01T00:00:00+01:00",
                                           "1970-01-01T00:00:00Zx",
                                           "1970-13-01T00:00:00Z",
                                           "1970-00-01T00:00:00Z",
                                           "1970-02-30T00:00:00Z",
                                           "2023-02-29T00:00:00Z",
                                           "1970-01-32T00:00:00Z",
                                           "1970-01-01T24:00:00Z",
                                           "1970-01-01T00:60:00Z",
                                           "1970-01-01T00:00:60Z",
                                           "1970-01-01T00:00:00.1234567890Z"};
    (void)state;
    for (size_t i = 0; i < sizeof(NONSENSE) / sizeof(NONSENSE[0]); i++) {
        assert_true(parsed(NONSENSE[i]) == INT64_MIN);
    }
}

static void the_date_of_an_http_header_is_read(void **state)
{
    static const char *const NONSENSE[] = {"",
                                           "Sun, 06 Nov 1994 08:49:37 UTC",
                                           "Sun, 06 Now 1994 08:49:37 GMT",
                                           "Sun, 31 Nov 1994 08:49:37 GMT",
                                           "Sun, 06 Nov 1994 24:49:37 GMT",
                                           "Sun  06 Nov 1994 08:49:37 GMT",
                                           "Sunday, 06-Nov-94 08:49:37 GMT",
                                           "Sun, 06 Nov 1994 08:49:37 GMTx"};
    (void)state;
    int64_t wall_ms = 0;
    assert_true(clock_parse_http_date(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), &wall_ms));
    assert_int_equal(wall_ms, 784111777000);
    for (size_t i = 0; i < sizeof(NONSENSE) / sizeof(NONSENSE[0]); i++) {
        assert_false(clock_parse_http_date(slice_of_string(NONSENSE[i]), &wall_ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_prints_as_a_date_in_utc),
        cmocka_unit_test(leap_days_stand_in_leap_years_only),
        cmocka_unit_test(years_before_0_and_past_9999_are_clamped),
        cmocka_unit_test(every_third_day_agrees_with_the_c_library),
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_is_the_systems),
        cmocka_unit_test(what_was_printed_is_read_again),
        cmocka_unit_test(fractions_of_any_length_are_read_to_the_millisecond),
        cmocka_unit_test(what_is_no_time_is_not_read),
        cmocka_unit_test(the_date_of_an_http_header_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
