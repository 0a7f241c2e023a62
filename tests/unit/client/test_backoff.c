#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/backoff.h"

static void the_bound_doubles_and_is_capped(void **state)
{
    static const uint64_t BOUNDS_MS[] = {100, 200, 400, 800, 1000, 1000};
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 100, 1000);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(backoff_next_ms(&backoff, BOUNDS_MS[i], 0), BOUNDS_MS[i]);
    }
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(backoff_next_ms(&backoff, UINT64_MAX - i, 0) <= 1000);
    }
}

static void the_whole_range_is_used(void **state)
{
    (void)state;
    struct backoff backoff;
    for (uint64_t random = 0; random <= 100; random++) {
        backoff_init(&backoff, 100, 1000);
        assert_int_equal(backoff_next_ms(&backoff, random, 0), random);
    }
}

static void success_starts_anew(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 100, 1000);
    (void)backoff_next_ms(&backoff, 0, 0);
    (void)backoff_next_ms(&backoff, 0, 0);
    backoff_reset(&backoff);
    assert_int_equal(backoff_next_ms(&backoff, 100, 0), 100);
}

static void what_the_server_asks_for_counts_when_it_is_longer(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 100, 1000);
    assert_int_equal(backoff_next_ms(&backoff, 70, 5000), 5000);
    assert_int_equal(backoff_next_ms(&backoff, 70, 30), 70);
    assert_int_equal(backoff_next_ms(&backoff, 0, UINT64_MAX), BACKOFF_RETRY_AFTER_MS_MAX);
}

static void huge_times_do_not_overflow(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, UINT64_MAX / 2 + 2, UINT64_MAX);
    (void)backoff_next_ms(&backoff, 7, 0);
    assert_true(backoff_next_ms(&backoff, UINT64_MAX, 0) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_doubles_and_is_capped),
        cmocka_unit_test(the_whole_range_is_used),
        cmocka_unit_test(success_starts_anew),
        cmocka_unit_test(what_the_server_asks_for_counts_when_it_is_longer),
        cmocka_unit_test(huge_times_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
