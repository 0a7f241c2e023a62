#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/client_event.h"

static struct sluice_event event(const char *args)
{
    return (struct sluice_event){.seq_num = 2,
                                 .parent_seq_num = 1,
                                 .name = sluice_text_of("n"),
                                 .args = sluice_text_of(args),
                                 .client_id = sluice_text_of("c"),
                                 .session_id = sluice_text_of("")};
}

static bool same(const struct sluice_event *a, const struct sluice_event *b)
{
    bool equal = false;
    assert_int_equal(client_event_same(a, b, &equal), SLUICE_OK);
    return equal;
}

static void events_are_the_same_by_number_name_ids_and_the_value_of_args(void **state)
{
    (void)state;
    struct sluice_event a = event("{\"x\":1,\"y\":2}");
    struct sluice_event b = event("{\"y\":2.0, \"x\":1}");
    b.parent_seq_num = 0;
    b.created_at_ms = 7;
    assert_true(same(&a, &b));
    b = a;
    b.seq_num = 3;
    assert_false(same(&a, &b));
    b = a;
    b.name = sluice_text_of("m");
    assert_false(same(&a, &b));
    b = a;
    b.client_id = sluice_text_of("d");
    assert_false(same(&a, &b));
    b = a;
    b.session_id = sluice_text_of("d");
    assert_false(same(&a, &b));
    b = event("{\"x\":1,\"y\":3}");
    assert_false(same(&a, &b));
}

static void a_copy_borrows_nothing(void **state)
{
    (void)state;
    char args[] = "[1]";
    struct sluice_event original = event(args);
    struct sluice_event copy;
    struct arena arena;
    arena_init(&arena, 10000);
    assert_int_equal(client_event_copy(&arena, &original, &copy), SLUICE_OK);
    memset(args, 'x', 3);
    assert_true(slice_equal(slice_of_text(copy.args), SLICE("[1]")));
    assert_int_equal(copy.seq_num, 2);
    arena_deinit(&arena);
    arena_init(&arena, 1);
    assert_int_equal(client_event_copy(&arena, &original, &copy), SLUICE_NO_MEMORY);
    arena_deinit(&arena);
}

static void the_way_to_the_wire_and_back_changes_nothing(void **state)
{
    (void)state;
    struct sluice_event original = event("[1]");
    original.created_at_ms = 99;
    struct event wire = client_event_to_wire(&original);
    struct sluice_event back = client_event_from_wire(&wire);
    assert_true(same(&original, &back));
    assert_int_equal(back.parent_seq_num, 1);
    assert_int_equal(back.created_at_ms, 99);
}

static void assert_refused(struct sluice_event wrong, const char *part)
{
    struct sluice_error error = {0};
    assert_int_equal(client_event_check(&wrong, 3, true, &error), SLUICE_INVALID);
    if (strstr(error.message, part) == NULL) {
        fail_msg("'%s' has no '%s'", error.message, part);
    }
}

static void what_the_server_would_refuse_is_refused_with_the_field(void **state)
{
    (void)state;
    char long_name[514];
    memset(long_name, 'n', 513);
    long_name[513] = '\0';
    struct sluice_event good = event("{}");
    assert_int_equal(client_event_check(&good, 0, true, NULL), SLUICE_OK);
    struct sluice_event wrong = good;
    wrong.name = sluice_text_of("");
    assert_refused(wrong, "events[3].name is empty");
    wrong.name = sluice_text_of(long_name);
    assert_refused(wrong, "events[3].name has 513 bytes");
    wrong = good;
    wrong.client_id = sluice_text_of("\xFF");
    assert_refused(wrong, "events[3].client_id is not valid UTF-8");
    wrong = good;
    wrong.session_id = (struct sluice_text){NULL, 1};
    assert_refused(wrong, "events[3].session_id has no data");
    wrong = good;
    wrong.seq_num = 0;
    assert_refused(wrong, "events[3].seq_num");
    wrong.seq_num = SLUICE_SEQ_NUM_MAX + 1;
    assert_refused(wrong, "events[3].seq_num");
    wrong = good;
    wrong.parent_seq_num = 2;
    assert_refused(wrong, "events[3].parent_seq_num");
    wrong = good;
    wrong.args = sluice_text_of("{");
    assert_refused(wrong, "events[3].args: ");
    wrong.args = sluice_text_of("");
    assert_refused(wrong, "events[3].args: ");
    char deep[243];
    memset(deep, '[', 121);
    memset(deep + 121, ']', 121);
    deep[242] = '\0';
    wrong.args = sluice_text_of(deep);
    assert_refused(wrong, "events[3].args nests 121 arrays and objects; the limit is 120");
    deep[0] = ' ';
    deep[241] = ' ';
    wrong.args = sluice_text_of(deep);
    assert_int_equal(client_event_check(&wrong, 0, true, NULL), SLUICE_OK);
}

static void numbers_are_not_looked_at_where_they_will_be_given(void **state)
{
    (void)state;
    struct sluice_event unnumbered = event("null");
    unnumbered.seq_num = 0;
    assert_int_equal(client_event_check(&unnumbered, 0, false, NULL), SLUICE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_by_number_name_ids_and_the_value_of_args),
        cmocka_unit_test(a_copy_borrows_nothing),
        cmocka_unit_test(the_way_to_the_wire_and_back_changes_nothing),
        cmocka_unit_test(what_the_server_would_refuse_is_refused_with_the_field),
        cmocka_unit_test(numbers_are_not_looked_at_where_they_will_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
