#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "failing_alloc.h"

static void an_arena_that_was_not_used_has_no_memory(void **state)
{
    (void)state;
    struct arena arena;
    failing_alloc_arm(0);
    arena_init(&arena, 1000);
    arena_deinit(&arena);
    assert_int_equal(failing_alloc_seen, 0);
    failing_alloc_disarm();
}

static void every_allocation_is_aligned_and_its_own(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 10u << 20);
    unsigned char *parts[600];
    for (size_t i = 0; i < 600; i++) {
        parts[i] = arena_alloc(&arena, i);
        assert_non_null(parts[i]);
        assert_int_equal((uintptr_t)parts[i] % alignof(max_align_t), 0);
        memset(parts[i], (int)(i & 0xFF), i);
    }
    for (size_t i = 0; i < 600; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_equal(parts[i][j], i & 0xFF);
        }
    }
    arena_deinit(&arena);
}

static void allocations_of_no_bytes_differ(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 10000);
    void *a = arena_alloc(&arena, 0);
    void *b = arena_alloc(&arena, 0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    arena_deinit(&arena);
}

static void small_allocations_share_blocks(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 10u << 20);
    failing_alloc_arm(1000);
    for (int i = 0; i < 10000; i++) {
        assert_non_null(arena_alloc(&arena, 16));
    }
    assert_true(failing_alloc_seen < 12);
    failing_alloc_disarm();
    arena_deinit(&arena);
}

static void a_large_allocation_does_not_waste_the_room_that_was_left(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 10u << 20);
    char *first = arena_alloc(&arena, 16);
    assert_non_null(arena_alloc(&arena, 1u << 20));
    char *second = arena_alloc(&arena, 16);
    assert_ptr_equal(second, first + 16);
    arena_deinit(&arena);
}

static void what_the_system_gave_never_passes_the_cap(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 6000; cap += 37) {
        struct arena arena;
        arena_init(&arena, cap);
        size_t given = 0;
        failing_alloc_arm(1000);
        while (arena_alloc(&arena, 100) != NULL) {
            given += 100;
            assert_true(failing_alloc_bytes <= cap);
            assert_int_equal(failing_alloc_bytes, arena.bytes);
        }
        failing_alloc_disarm();
        assert_true(given <= cap);
        if (cap >= 300) {
            assert_true(given >= 100);
        }
        arena_deinit(&arena);
    }
}

static void an_allocation_past_the_cap_fails_and_smaller_ones_still_work(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    assert_null(arena_alloc(&arena, 4097));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 16));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2));
    assert_non_null(arena_alloc(&arena, 1000));
    arena_deinit(&arena);
}

static void without_memory_it_returns_null_and_recovers(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    failing_alloc_arm(0);
    assert_null(arena_alloc(&arena, 10));
    assert_int_equal(arena.bytes, 0);
    failing_alloc_disarm();
    assert_non_null(arena_alloc(&arena, 10));
    arena_deinit(&arena);
}

static void after_deinit_it_can_be_filled_again(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 2000);
    while (arena_alloc(&arena, 100) != NULL) {
    }
    arena_deinit(&arena);
    assert_int_equal(arena.bytes, 0);
    assert_non_null(arena_alloc(&arena, 100));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_that_was_not_used_has_no_memory),
        cmocka_unit_test(every_allocation_is_aligned_and_its_own),
        cmocka_unit_test(allocations_of_no_bytes_differ),
        cmocka_unit_test(small_allocations_share_blocks),
        cmocka_unit_test(a_large_allocation_does_not_waste_the_room_that_was_left),
        cmocka_unit_test(what_the_system_gave_never_passes_the_cap),
        cmocka_unit_test(an_allocation_past_the_cap_fails_and_smaller_ones_still_work),
        cmocka_unit_test(without_memory_it_returns_null_and_recovers),
        cmocka_unit_test(after_deinit_it_can_be_filled_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
