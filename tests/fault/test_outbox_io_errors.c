/* Every I/O operation and allocation of the outbox's file fails once, or from then on, and whatever
 * it was, the outbox keeps its word: what was committed is there, and what was refused is not. Two
 * things nobody can know: whether an advance that failed was made, and whether a commit that failed
 * is there in the next run, when the disk refused everything from then on. When the cause is gone
 * it works again by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>

#include "outbox_fixture.h"
#include "vfs_fault.h"

struct held {
    uint64_t upstream_head;
    unsigned first; /* pending: first to last */
    unsigned last;
};

/* What the outbox must hold, by what its answers were. */
struct model {
    struct held now;
    struct held refused; /* as it would be, had the last write that failed been made */
    bool has_refused;    /* there was one, and no write since */
    bool is_next_run;    /* nothing was read since it was opened */
};

static bool is_storage_failure(enum sluice_status status)
{
    return status == SLUICE_STORAGE_FULL || status == SLUICE_STORAGE_IO ||
           status == SLUICE_NO_MEMORY;
}

/* Whether it is done; ends the test on any other failure than one of storage. */
static bool is_done(enum sluice_status status, const struct sluice_error *error)
{
    if (status != SLUICE_OK && !is_storage_failure(status)) {
        fail_msg("%s: %s (%s failed)", sluice_status_name(status), error->message,
                 vfs_fault_first());
    }
    assert_true(status == SLUICE_OK || error->message[0] != '\0');
    return status == SLUICE_OK;
}

static bool matches(const struct held *held, const struct outbox_state *state)
{
    return state->upstream_head == held->upstream_head && state->last_commit_id == held->last &&
           state->pending_count == held->last + 1 - held->first;
}

/* Finds out what the outbox holds, when it can be known. */
static bool settle(struct outbox_fixture *outbox, struct model *model)
{
    struct outbox_state state = {0};
    struct sluice_error error = {0};
    if (!is_done(outbox->outbox->ops->state(outbox->outbox, &state, &error), &error)) {
        return false;
    }
    bool was_commit = model->refused.last > model->now.last;
    if (!matches(&model->now, &state) && model->has_refused &&
        (model->is_next_run || !was_commit)) {
        model->now = model->refused;
        model->has_refused = false;
    }
    assert_true(matches(&model->now, &state));
    model->has_refused = model->has_refused && !model->is_next_run;
    model->is_next_run = false;
    return true;
}

/* A write that would lead to `then` has ended with `status`. */
static void note(struct model *model, struct held then, enum sluice_status status,
                 const struct sluice_error *error)
{
    if (is_done(status, error)) {
        model->now = then;
        model->has_refused = false;
    } else {
        model->refused = then;
        model->has_refused = true;
    }
}

static void append(struct outbox_fixture *outbox, struct model *model)
{
    if (settle(outbox, model)) {
        struct held then = model->now;
        struct sluice_event event = numbered_event(++then.last);
        struct sluice_commit commit = {0};
        struct sluice_error error = {0};
        enum sluice_status status =
            outbox->outbox->ops->append(outbox->outbox, &event, &commit, &error);
        note(model, then, status, &error);
        assert_int_equal(commit.commit_id, status == SLUICE_OK ? then.last : 0);
    }
}

static void advance(struct outbox_fixture *outbox, struct model *model, unsigned confirmed_count)
{
    if (settle(outbox, model) && model->now.first + confirmed_count <= model->now.last + 1) {
        struct held then = {model->now.upstream_head + confirmed_count + 1,
                            model->now.first + confirmed_count, model->now.last};
        struct outbox_advance advance = {.confirmed_count = confirmed_count,
                                         .upstream_head = then.upstream_head,
                                         .rebases = true,
                                         .backend_id = SLICE("backend-1")};
        struct sluice_rebase rebase = {0};
        struct sluice_error error = {0};
        enum sluice_status status =
            outbox->outbox->ops->advance(outbox->outbox, &advance, &rebase, &error);
        note(model, then, status, &error);
    }
}

static void reset(struct outbox_fixture *outbox, struct model *model)
{
    if (settle(outbox, model)) {
        struct held then = {0, model->now.first, model->now.last};
        struct sluice_rebase rebase = {0};
        struct sluice_error error = {0};
        note(model, then, outbox->outbox->ops->reset(outbox->outbox, &rebase, &error), &error);
    }
}

/* A read gives a storage failure or the whole truth. */
static void read_all(struct outbox_fixture *outbox, struct model *model)
{
    if (!settle(outbox, model)) {
        return;
    }
    const struct held *held = &model->now;
    struct outbox_batch batch = {0};
    struct sluice_error error = {0};
    arena_deinit(&outbox->arena);
    if (is_done(outbox->outbox->ops->read(outbox->outbox, 0, 1000, SIZE_MAX, &outbox->arena, &batch,
                                          &error),
                &error)) {
        assert_int_equal(batch.event_count, held->last + 1 - held->first);
        for (size_t index = 0; index < batch.event_count; index++) {
            assert_int_equal(event_number(&batch.events[index]), held->first + index);
            assert_int_equal(batch.events[index].seq_num, held->upstream_head + index + 1);
        }
    }
}

static void live(struct outbox_fixture *outbox, struct model *model)
{
    append(outbox, model);
    append(outbox, model);
    append(outbox, model);
    read_all(outbox, model);
    advance(outbox, model, 1);
    append(outbox, model);
    read_all(outbox, model);
    advance(outbox, model, 0);
    reset(outbox, model);
    append(outbox, model);
    read_all(outbox, model);
}

static bool open_outbox(struct outbox_fixture *outbox)
{
    struct sluice_error error = {0};
    return is_done(outbox_fixture_open(outbox, &error), &error);
}

/* What must be there when the cause is gone; without help when it is open. */
static void check(struct outbox_fixture *outbox, struct model *model)
{
    if (outbox->outbox == NULL) {
        assert_true(open_outbox(outbox));
        model->is_next_run = true;
    }
    assert_true(settle(outbox, model));
    outbox_fixture_expect(outbox, model->now.upstream_head, model->now.first, model->now.last);
}

/* Two lives, with operation `nth` failing in them. Returns how many failed. */
static unsigned long run(enum vfs_fault_kind kind, unsigned long nth, bool from_then_on)
{
    struct outbox_fixture outbox;
    struct model model = {.now = {.first = 1}};
    outbox_fixture_init(&outbox, OUTBOX_SQLITE);
    vfs_fault_arm(kind, nth, from_then_on);
    for (unsigned life = 0; life < 2; life++) {
        if (open_outbox(&outbox)) {
            model.is_next_run = life > 0;
            live(&outbox, &model);
        }
        if (life == 0) {
            outbox_fixture_close(&outbox);
        }
    }
    unsigned long failures = vfs_fault_failures();
    if (kind == VFS_FAULT_POWER) {
        outbox_fixture_close(&outbox);
        vfs_fault_cut_power(outbox.path);
    }
    vfs_fault_disarm();
    check(&outbox, &model);
    append(&outbox, &model);
    advance(&outbox, &model, 1);
    outbox_fixture_close(&outbox);
    check(&outbox, &model);
    outbox_fixture_deinit(&outbox);
    return failures;
}

static void fail_each(enum vfs_fault_kind kind, bool from_then_on, unsigned long stride)
{
    unsigned long nth = 1;
    while (run(kind, nth, from_then_on) > 0) {
        nth += stride;
    }
    assert_true(nth > 20); /* there was something to fail */
}

static void each_operation_may_fail_once_with_an_io_error(void **state)
{
    (void)state;
    fail_each(VFS_FAULT_IO, false, 1);
}

static void the_disk_may_break_at_each_operation(void **state)
{
    (void)state;
    fail_each(VFS_FAULT_IO, true, 1);
}

static void each_operation_may_find_the_disk_full_once(void **state)
{
    (void)state;
    fail_each(VFS_FAULT_FULL, false, 1);
}

static void the_disk_may_be_full_from_each_operation_on(void **state)
{
    (void)state;
    fail_each(VFS_FAULT_FULL, true, 1);
}

static void the_power_may_fail_at_each_operation(void **state)
{
    (void)state;
    fail_each(VFS_FAULT_POWER, true, 1);
}

/* There are many allocations, and SQLite checks each; a prime stride meets all kinds of them. */
static void each_allocation_may_find_no_memory(void **state)
{
    (void)state;
    fail_each(VFS_FAULT_MEMORY, false, 7);
    fail_each(VFS_FAULT_MEMORY, true, 61);
}

int main(void)
{
    vfs_fault_register();
    if (sqlite3_vfs_register(sqlite3_vfs_find(VFS_FAULT_NAME), 1) != SQLITE_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_may_fail_once_with_an_io_error),
        cmocka_unit_test(the_disk_may_break_at_each_operation),
        cmocka_unit_test(each_operation_may_find_the_disk_full_once),
        cmocka_unit_test(the_disk_may_be_full_from_each_operation_on),
        cmocka_unit_test(the_power_may_fail_at_each_operation),
        cmocka_unit_test(each_allocation_may_find_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
