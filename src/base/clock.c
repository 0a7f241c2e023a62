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
