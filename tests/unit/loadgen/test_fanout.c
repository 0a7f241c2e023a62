#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loadgen/run.h"

static void assert_delivered(uint64_t received, uint64_t events, uint64_t batch, uint64_t first,
                             uint64_t end)
{
    struct load_deliveries pushes = load_deliveries_of(received, events, batch);
    assert_int_equal(pushes.first, first);
    assert_int_equal(pushes.end, end);
}

static void a_page_of_one_push_is_one_delivery(void **state)
{
    (void)state;
    assert_delivered(1, 1, 1, 0, 1);
    assert_delivered(8, 1, 1, 7, 8);
    assert_delivered(30, 10, 10, 2, 3);
}

static void a_page_of_several_pushes_is_a_delivery_of_each(void **state)
{
    (void)state;
    assert_delivered(8, 8, 1, 0, 8);
    assert_delivered(12, 3, 1, 9, 12);
    assert_delivered(30, 20, 10, 1, 3);
}

static void a_push_is_delivered_with_its_last_event(void **state)
{
    (void)state;
    assert_delivered(15, 15, 10, 0, 1);
    assert_delivered(20, 5, 10, 1, 2);
    assert_delivered(19, 4, 10, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_one_push_is_one_delivery),
        cmocka_unit_test(a_page_of_several_pushes_is_a_delivery_of_each),
        cmocka_unit_test(a_push_is_delivered_with_its_last_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
