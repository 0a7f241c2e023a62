#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/shared.h"

#include "failing_alloc.h"

static struct buffer buffer_with(const char *text)
{
    struct buffer buffer;
    buffer_init(&buffer, 1024);
    buffer_append_slice(&buffer, slice_of_string(text));
    return buffer;
}

static void it_takes_the_bytes_and_leaves_the_buffer_empty(void **state)
{
    (void)state;
    struct buffer buffer = buffer_with("a page");
    const char *bytes = buffer.data;
    struct shared *page = shared_take_buffer(&buffer);
    assert_non_null(page);
    assert_ptr_equal(page->bytes.data, bytes); /* taken, not copied */
    assert_true(slice_equal(page->bytes, SLICE("a page")));
    assert_int_equal(page->references, 1);
    assert_null(buffer.data);
    assert_int_equal(buffer.bytes, 0);
    assert_int_equal(buffer.capacity, 0);
    shared_unref(page);
}

static void the_emptied_buffer_can_be_filled_again(void **state)
{
    (void)state;
    struct buffer buffer = buffer_with("one");
    struct shared *one = shared_take_buffer(&buffer);
    buffer_append_literal(&buffer, "two");
    assert_int_equal(buffer_status(&buffer), SLUICE_OK);
    struct shared *two = shared_take_buffer(&buffer);
    assert_true(slice_equal(one->bytes, SLICE("one")));
    assert_true(slice_equal(two->bytes, SLICE("two")));
    shared_unref(one);
    shared_unref(two);
    buffer_deinit(&buffer);
}

/* The sanitizers say whether they go too early, or not at all. */
static void the_bytes_live_as_long_as_the_last_reference(void **state)
{
    (void)state;
    struct buffer buffer = buffer_with("a page");
    struct shared *page = shared_take_buffer(&buffer);
    assert_ptr_equal(shared_ref(page), page);
    assert_ptr_equal(shared_ref(page), page);
    assert_int_equal(page->references, 3);
    shared_unref(page);
    shared_unref(page);
    assert_int_equal(page->references, 1);
    assert_true(slice_equal(page->bytes, SLICE("a page")));
    shared_unref(page);
}

static void no_bytes_can_be_shared_too(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 16);
    struct shared *nothing = shared_take_buffer(&buffer);
    assert_non_null(nothing);
    assert_int_equal(nothing->bytes.bytes, 0);
    shared_unref(nothing);
}

static void without_memory_the_buffer_keeps_its_bytes(void **state)
{
    (void)state;
    struct buffer buffer = buffer_with("a page");
    failing_alloc_arm(0);
    struct shared *page = shared_take_buffer(&buffer);
    failing_alloc_disarm();
    assert_null(page);
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("a page")));
    buffer_deinit(&buffer);
}

static void releasing_nothing_is_fine(void **state)
{
    (void)state;
    shared_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_the_bytes_and_leaves_the_buffer_empty),
        cmocka_unit_test(the_emptied_buffer_can_be_filled_again),
        cmocka_unit_test(the_bytes_live_as_long_as_the_last_reference),
        cmocka_unit_test(no_bytes_can_be_shared_too),
        cmocka_unit_test(without_memory_the_buffer_keeps_its_bytes),
        cmocka_unit_test(releasing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
