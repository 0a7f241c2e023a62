#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/quantity.h"

static void a_duration_has_a_unit_or_is_in_seconds(void **state)
{
    (void)state;
    uint64_t ms = 0;
    assert_true(quantity_read_duration_ms("500ms", &ms));
    assert_int_equal(ms, 500);
    assert_true(quantity_read_duration_ms("30", &ms));
    assert_int_equal(ms, 30000);
    assert_true(quantity_read_duration_ms("30s", &ms));
    assert_int_equal(ms, 30000);
    assert_true(quantity_read_duration_ms("5m", &ms));
    assert_int_equal(ms, 300000);
    assert_true(quantity_read_duration_ms("1h", &ms));
    assert_int_equal(ms, 3600000);
}

static void a_size_counts_by_1024(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_true(quantity_read_bytes("65536", &bytes));
    assert_int_equal(bytes, 65536);
    assert_true(quantity_read_bytes("64K", &bytes));
    assert_int_equal(bytes, 65536);
    assert_true(quantity_read_bytes("16M", &bytes));
    assert_int_equal(bytes, 16 << 20);
    assert_true(quantity_read_bytes("1G", &bytes));
    assert_int_equal(bytes, 1 << 30);
}

static void what_is_no_quantity_leaves_the_value_alone(void **state)
{
    (void)state;
    const char *refused[] = {"", "s", "-1s", "1 s", "1d", "1.5s", "1sec", "18446744073709551615"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        uint64_t value = 42;
        assert_false(quantity_read_duration_ms(refused[i], &value));
        assert_false(quantity_read_bytes(refused[i], &value));
        assert_int_equal(value, 42);
    }
}

static void a_product_that_does_not_fit_is_no_quantity(void **state)
{
    (void)state;
    uint64_t value = 42;
    assert_false(quantity_read_bytes("9999999999999999999G", &value));
    assert_false(quantity_read_duration_ms("9999999999999999999h", &value));
    assert_int_equal(value, 42);
}

static void a_choice_is_the_place_of_the_whole_word(void **state)
{
    (void)state;
    uint64_t index = 42;
    assert_false(quantity_read_choice("", "text json", &index));
    assert_false(quantity_read_choice("tex", "text json", &index));
    assert_false(quantity_read_choice("text json", "text json", &index));
    assert_false(quantity_read_choice("JSON", "text json", &index));
    assert_int_equal(index, 42);
    assert_true(quantity_read_choice("text", "text json", &index));
    assert_int_equal(index, 0);
    assert_true(quantity_read_choice("json", "text json", &index));
    assert_int_equal(index, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_has_a_unit_or_is_in_seconds),
        cmocka_unit_test(a_size_counts_by_1024),
        cmocka_unit_test(what_is_no_quantity_leaves_the_value_alone),
        cmocka_unit_test(a_product_that_does_not_fit_is_no_quantity),
        cmocka_unit_test(a_choice_is_the_place_of_the_whole_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
