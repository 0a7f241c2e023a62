#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loadgen/histogram.h"

static void without_durations_every_share_is_zero(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_at(&histogram, 0.5), 0);
    assert_int_equal(histogram_at(&histogram, 1), 0);
}

static void a_share_is_at_most_a_sixty_fourth_too_low(void **state)
{
    (void)state;
    static struct histogram histogram;
    const uint64_t durations_ns = 1000000;
    for (uint64_t ns = 1; ns <= durations_ns; ns++) {
        histogram_add(&histogram, ns);
    }
    assert_int_equal(histogram.count, durations_ns);
    assert_int_equal(histogram.max_ns, durations_ns);
    const double shares[] = {0.001, 0.25, 0.5, 0.99, 1};
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t exact = (uint64_t)(shares[i] * (double)durations_ns);
        assert_in_range(histogram_at(&histogram, shares[i]), exact - exact / 64 - 1, exact);
    }
}

static void one_long_duration_does_not_move_the_middle(void **state)
{
    (void)state;
    static struct histogram histogram;
    for (unsigned i = 0; i < 99; i++) {
        histogram_add(&histogram, 100);
    }
    histogram_add(&histogram, UINT64_MAX); /* longer than there are buckets */
    assert_int_equal(histogram_at(&histogram, 0.5), 100);
    assert_int_equal(histogram_at(&histogram, 0.99), 100);
    assert_true(histogram_at(&histogram, 1) > UINT64_C(1) << 40);
    assert_true(histogram.max_ns == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_durations_every_share_is_zero),
        cmocka_unit_test(a_share_is_at_most_a_sixty_fourth_too_low),
        cmocka_unit_test(one_long_duration_does_not_move_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
