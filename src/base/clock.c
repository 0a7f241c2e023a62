/* clock: reads the system's clocks and writes dates. Owns nothing; any thread. */
#include "base/clock.h"

#include <time.h>

#include "base/assert.h"

#define DAY_MS 86400000
#define YEAR_0_MS (-62167219200000)      /* 0000-01-01T00:00:00.000Z */
#define YEAR_9999_END_MS 253402300799999 /* 9999-12-31T23:59:59.999Z */

int64_t clock_wall_ms(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    SLUICE_ASSERT(result == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    SLUICE_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct date {
    unsigned year;  /* 0..9999 */
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
};

/* The proleptic Gregorian date of a day, counted from 0000-03-01. Years that start in March put the
 * leap day last, so that a month's first day is a linear function of the month. `day` may be as low
 * as -60 (January and February of year 0), hence the shift by one era of 400 years. */
static struct date date_of_day(int64_t day)
{
    const int64_t era_days = 146097;
    uint64_t shifted = (uint64_t)(day + era_days);
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0) - 400;
    return (struct date){
        .year = (unsigned)year,
        .month = (unsigned)month,
        .day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

static void write_digits(char *at, unsigned count, unsigned number)
{
    while (count > 0) {
        at[--count] = (char)('0' + number % 10);
        number /= 10;
    }
}

void clock_append_iso8601(struct buffer *buffer, int64_t wall_ms)
{
    if (wall_ms < YEAR_0_MS) {
        wall_ms = YEAR_0_MS;
    }
    if (wall_ms > YEAR_9999_END_MS) {
        wall_ms = YEAR_9999_END_MS;
    }
    int64_t since_year_0_ms = wall_ms - YEAR_0_MS;
    struct date date = date_of_day(since_year_0_ms / DAY_MS - 60);
    unsigned ms = (unsigned)(since_year_0_ms % DAY_MS);
    char text[] = "0000-00-00T00:00:00.000Z"; /* by hand: each event of each page has one */
    write_digits(text, 4, date.year);
    write_digits(text + 5, 2, date.month);
    write_digits(text + 8, 2, date.day);
    write_digits(text + 11, 2, ms / 3600000);
    write_digits(text + 14, 2, ms / 60000 % 60);
    write_digits(text + 17, 2, ms / 1000 % 60);
    write_digits(text + 20, 3, ms % 1000);
    buffer_append(buffer, text, sizeof(text) - 1);
}

/* Days from 0000-03-01 to a date: the inverse of date_of_day. */
static int64_t day_of_date(struct date date)
{
    int64_t year = (int64_t)date.year - (date.month <= 2 ? 1 : 0) + 400;
    int64_t era = year / 400;
    int64_t year_of_era = year % 400;
    int64_t month_from_march = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    return (era - 1) * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year;
}

/* Reads `digits` digits from the front of `*text`; false when there are fewer. */
static bool take_digits(struct slice *text, unsigned digits, unsigned *value)
{
    unsigned number = 0;
    if (text->bytes < digits) {
        return false;
    }
    for (unsigned i = 0; i < digits; i++) {
        if (text->data[i] < '0' || text->data[i] > '9') {
            return false;
        }
        number = number * 10 + (unsigned)(text->data[i] - '0');
    }
    *text = slice_make(text->data + digits, text->bytes - digits);
    *value = number;
    return true;
}

static bool take_byte(struct slice *text, char byte)
{
    if (text->bytes == 0 || text->data[0] != byte) {
        return false;
    }
    *text = slice_make(text->data + 1, text->bytes - 1);
    return true;
}

/* What a clock shows, to the second; false when there is no such time. */
static bool time_of(struct date date, unsigned hour, unsigned minute, unsigned second,
                    int64_t *wall_ms)
{
    if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31 || hour > 23 ||
        minute > 59 || second > 59) {
        return false;
    }
    int64_t day = day_of_date(date);
    struct date again = date_of_day(day);
    if (again.day != date.day || again.month != date.month) {
        return false; /* a day that the month does not have */
    }
    *wall_ms = YEAR_0_MS + (day + 60) * DAY_MS + (int64_t)hour * 3600000 + (int64_t)minute * 60000 +
               (int64_t)second * 1000;
    return true;
}

bool clock_parse_iso8601(struct slice text, int64_t *wall_ms)
{
    struct date date;
    unsigned hour;
    unsigned minute;
    unsigned second;
    unsigned ms = 0;
    int64_t whole_ms;
    if (!take_digits(&text, 4, &date.year) || !take_byte(&text, '-') ||
        !take_digits(&text, 2, &date.month) || !take_byte(&text, '-') ||
        !take_digits(&text, 2, &date.day) || !take_byte(&text, 'T') ||
        !take_digits(&text, 2, &hour) || !take_byte(&text, ':') ||
        !take_digits(&text, 2, &minute) || !take_byte(&text, ':') ||
        !take_digits(&text, 2, &second)) {
        return false;
    }
    if (take_byte(&text, '.')) {
        unsigned digit;
        for (unsigned i = 0, weight = 100; i < 9 && take_digits(&text, 1, &digit); i++) {
            ms += digit * weight;
            weight /= 10;
        }
    }
    if (!take_byte(&text, 'Z') || text.bytes > 0 ||
        !time_of(date, hour, minute, second, &whole_ms)) {
        return false;
    }
    *wall_ms = whole_ms + ms;
    return true;
}

/* "Nov " → 11 */
static bool take_month(struct slice *text, unsigned *month)
{
    static const char NAMES[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (unsigned i = 0; text->bytes >= 4 && i < 12; i++) {
        if (memcmp(text->data, NAMES + 3 * (size_t)i, 3) == 0 && text->data[3] == ' ') {
            *text = slice_make(text->data + 4, text->bytes - 4);
            *month = i + 1;
            return true;
        }
    }
    return false;
}

bool clock_parse_http_date(struct slice text, int64_t *wall_ms)
{
    struct date date = {0};
    unsigned hour;
    unsigned minute;
    unsigned second;
    if (text.bytes != 29) {
        return false;
    }
    text = slice_make(text.data + 3, text.bytes - 3);
    return take_byte(&text, ',') && take_byte(&text, ' ') && take_digits(&text, 2, &date.day) &&
           take_byte(&text, ' ') && take_month(&text, &date.month) &&
           take_digits(&text, 4, &date.year) && take_byte(&text, ' ') &&
           take_digits(&text, 2, &hour) && take_byte(&text, ':') &&
           take_digits(&text, 2, &minute) && take_byte(&text, ':') &&
           take_digits(&text, 2, &second) && slice_equal(text, SLICE(" GMT")) &&
           time_of(date, hour, minute, second, wall_ms);
}
