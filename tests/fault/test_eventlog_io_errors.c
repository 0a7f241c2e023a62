/* Every I/O operation of the sqlite engine fails once, and whatever it was, the log keeps its word;
 * so it does when the power fails there, or memory runs out.
 *
 * A fixed scenario (open, appends to several stores, reads, checkpoints, reopen) runs again and
 * again; the first time its first operation fails, then its second, and so on until a run comes
 * through without a failure. Then the fault is gone, and an oracle checks what is promised:
 *   - the open log takes appends again by itself, without being reopened;
 *   - a fresh log on the same files, through the default VFS, has every append that was
 * acknowledged, once, unchanged and in its place, and every other append whole or not at all;
 *   - SQLite's own integrity check finds nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "log_fixture.h"
#include "vfs_fault.h"

enum { STORES = 3, ATTEMPTS_MAX = 32, BATCH_MAX = 40, ARGS_BYTES_MAX = 2000 };

static const char *const store_names[STORES] = {"store-a", "store-b", "store-c"};

/* An append that was tried, identified by what its events carry in their args. */
struct attempt {
    size_t store;
    size_t count;
    size_t args_bytes;
    bool acknowledged;
    struct eventlog_append append;
    struct event events[BATCH_MAX];
    char args[BATCH_MAX][ARGS_BYTES_MAX];
};

struct run {
    struct log_fixture fixture;
    unsigned long nth;
    struct attempt *attempts; /* owned, ATTEMPTS_MAX */
    size_t attempt_count;
    uint64_t heads[STORES];  /* after the last acknowledged append */
    bool head_known[STORES]; /* false from a reopen until a read has told the head */
    char backend_ids[STORES][EVENTLOG_BACKEND_ID_BYTES + 1];
};

#define CHECK(run, condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("operation %lu (%s): %s", (run)->nth, describe_fault(), #condition);          \
        }                                                                                          \
    } while (0)

static const char *describe_fault(void)
{
    const char *first = vfs_fault_first();
    return first != NULL ? first : "none failed";
}

static bool is_storage_failure(enum sluice_status status)
{
    return status == SLUICE_STORAGE_IO || status == SLUICE_STORAGE_FULL ||
           status == SLUICE_NO_MEMORY;
}

static void append_done(struct eventlog_append *append)
{
    (void)append;
}

static void fill_args(char *args, size_t bytes, size_t attempt, size_t index)
{
    memset(args, 'x', bytes);
    int used = snprintf(args, bytes, "{\"attempt\":%zu,\"index\":%zu,\"pad\":\"", attempt, index);
    args[used] = 'x'; /* over the NUL */
    memcpy(args + bytes - 2, "\"}", 2);
}

static struct attempt *submit(struct run *run, size_t store, size_t count, size_t args_bytes)
{
    SLUICE_ASSERT(run->attempt_count < ATTEMPTS_MAX);
    SLUICE_ASSERT(count <= BATCH_MAX && args_bytes <= ARGS_BYTES_MAX);
    size_t number = run->attempt_count++;
    struct attempt *attempt = &run->attempts[number];
    attempt->store = store;
    attempt->count = count;
    attempt->args_bytes = args_bytes;
    for (size_t index = 0; index < count; index++) {
        fill_args(attempt->args[index], args_bytes, number, index);
        attempt->events[index] = (struct event){
            .seq_num = run->heads[store] + index + 1,
            .parent_seq_num = run->heads[store] + index,
            .name = SLICE("v1.Event"),
            .args = slice_make(attempt->args[index], args_bytes),
            .client_id = SLICE("client"),
            .session_id = SLICE("session"),
        };
    }
    attempt->append = (struct eventlog_append){.store_id = slice_of_string(store_names[store]),
                                               .expected_head = run->heads[store],
                                               .events = attempt->events,
                                               .event_count = count,
                                               .done = append_done};
    eventlog_submit_append(run->fixture.log, &attempt->append);
    return attempt;
}

static void settle_attempt(struct run *run, struct attempt *attempt)
{
    enum sluice_status status = attempt->append.status;
    if (status == SLUICE_OK) {
        attempt->acknowledged = true;
        run->heads[attempt->store] = attempt->append.info.head;
        run->head_known[attempt->store] = true;
        return;
    }
    if (status == SLUICE_INVALID && !run->head_known[attempt->store]) {
        return;
    }
    CHECK(run, is_storage_failure(status));
    CHECK(run, attempt->append.error.message[0] != '\0');
}

static enum sluice_status append(struct run *run, size_t store, size_t count, size_t args_bytes)
{
    struct attempt *attempt = submit(run, store, count, args_bytes);
    fixture_wait(&run->fixture);
    settle_attempt(run, attempt);
    return attempt->append.status;
}

/* A read under faults gives a storage failure or the whole truth. */
static enum sluice_status read_store(struct run *run, size_t store)
{
    struct collected got = {0};
    enum sluice_status status =
        fixture_read(&run->fixture, slice_of_string(store_names[store]), 0, 1000, &got);
    if (status != SLUICE_OK) {
        CHECK(run, is_storage_failure(status));
        collected_deinit(&got);
        return status;
    }
    if (!run->head_known[store]) {
        CHECK(run, got.read.info.head >= run->heads[store]);
        run->heads[store] = got.read.info.head;
        run->head_known[store] = true;
    }
    CHECK(run, got.read.info.head == run->heads[store]);
    CHECK(run, got.count == got.read.info.event_count);
    CHECK(run, got.read.remaining == 0);
    if (run->backend_ids[store][0] == '\0') {
        memcpy(run->backend_ids[store], got.read.info.backend_id, sizeof run->backend_ids[store]);
    }
    CHECK(run, strcmp(run->backend_ids[store], got.read.info.backend_id) == 0);
    collected_deinit(&got);
    return SLUICE_OK;
}

static bool open_log(struct run *run)
{
    struct sluice_error error = {0};
    enum sluice_status status = fixture_open(&run->fixture, &error);
    if (status != SLUICE_OK) {
        CHECK(run, is_storage_failure(status));
        CHECK(run, error.message[0] != '\0');
        return false;
    }
    memset(run->head_known, 0, sizeof run->head_known);
    return true;
}

static void probe_done(struct eventlog_probe *probe)
{
    (void)probe;
}

static enum sluice_status probe(struct run *run)
{
    struct eventlog_probe made = {.done = probe_done};
    eventlog_submit_probe(run->fixture.log, &made);
    fixture_wait(&run->fixture);
    CHECK(run, made.status == SLUICE_OK || is_storage_failure(made.status));
    return made.status;
}

static void first_life(struct run *run)
{
    (void)read_store(run, 0);
    (void)append(run, 0, 3, 100);
    struct attempt *b = submit(run, 1, 1, 100);
    struct attempt *c = submit(run, 2, 2, 100);
    fixture_wait(&run->fixture);
    settle_attempt(run, b);
    settle_attempt(run, c);
    (void)read_store(run, 0);
    (void)append(run, 0, BATCH_MAX, ARGS_BYTES_MAX); /* pages enough for a checkpoint */
    (void)read_store(run, 0);
    (void)append(run, 1, 5, 100);
    (void)probe(run);
    (void)append(run, 1, 5, ARGS_BYTES_MAX);
    (void)read_store(run, 1);
}

static void second_life(struct run *run)
{
    for (size_t store = 0; store < STORES; store++) {
        (void)read_store(run, store);
    }
    (void)append(run, 0, 2, 100);
    (void)append(run, 2, 20, ARGS_BYTES_MAX);
    (void)append(run, 2, 1, 100);
    (void)read_store(run, 2);
}

/* With faults: leaves the log open, unless opening it failed. */
static void scenario(struct run *run)
{
    if (!open_log(run)) {
        return;
    }
    first_life(run);
    fixture_close(&run->fixture);
    if (open_log(run)) {
        second_life(run);
    }
}

/* The cause is gone: whatever is open works again without help. */
static void check_recovery(struct run *run)
{
    if (run->fixture.log == NULL) {
        CHECK(run, open_log(run));
    }
    CHECK(run, probe(run) == SLUICE_OK);
    for (size_t store = 0; store < STORES; store++) {
        CHECK(run, read_store(run, store) == SLUICE_OK);
        CHECK(run, append(run, store, 2, 100) == SLUICE_OK);
        CHECK(run, read_store(run, store) == SLUICE_OK);
    }
    fixture_close(&run->fixture);
}

/* Which attempt an event belongs to, by its args. */
static size_t attempt_of(struct run *run, const struct event *event)
{
    unsigned long number = ATTEMPTS_MAX;
    char prefix[32] = {0};
    CHECK(run, event->args.bytes > sizeof prefix);
    memcpy(prefix, event->args.data, sizeof prefix - 1);
    CHECK(run, memcmp(prefix, "{\"attempt\":", 11) == 0);
    number = strtoul(prefix + 11, NULL, 10);
    CHECK(run, number < run->attempt_count);
    return number;
}

static void check_store(struct run *run, size_t store)
{
    struct collected got = {0};
    CHECK(run, fixture_read(&run->fixture, slice_of_string(store_names[store]), 0, 1000, &got) ==
                   SLUICE_OK);
    CHECK(run, got.count == got.read.info.event_count);
    bool seen[ATTEMPTS_MAX] = {false};
    size_t at = 0;
    while (at < got.count) {
        size_t number = attempt_of(run, &got.events[at]);
        const struct attempt *attempt = &run->attempts[number];
        CHECK(run, !seen[number]);
        CHECK(run, attempt->store == store);
        CHECK(run, at + attempt->count <= got.count);
        for (size_t index = 0; index < attempt->count; index++) {
            CHECK(run, event_equal(&got.events[at + index], &attempt->events[index]));
            CHECK(run, got.events[at + index].position == at + index);
        }
        seen[number] = true;
        at += attempt->count;
    }
    for (size_t number = 0; number < run->attempt_count; number++) {
        CHECK(run, run->attempts[number].store != store || !run->attempts[number].acknowledged ||
                       seen[number]);
    }
    CHECK(run, run->backend_ids[store][0] == '\0' ||
                   strcmp(run->backend_ids[store], got.read.info.backend_id) == 0);
    collected_deinit(&got);
}

static void check_integrity(struct run *run)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *check = NULL;
    CHECK(run, sqlite3_open(fixture_path(&run->fixture, "sluice.db"), &db) == SQLITE_OK);
    CHECK(run, sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL) == SQLITE_OK);
    CHECK(run, sqlite3_step(check) == SQLITE_ROW);
    CHECK(run, strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0);
    (void)sqlite3_finalize(check);
    (void)sqlite3_close(db);
}

static void oracle(struct run *run)
{
    run->fixture.vfs = NULL;
    struct sluice_error error = {0};
    CHECK(run, fixture_open(&run->fixture, &error) == SLUICE_OK);
    for (size_t store = 0; store < STORES; store++) {
        check_store(run, store);
    }
    fixture_close(&run->fixture);
    check_integrity(run);
}

/* One run with operation `nth` failing. Returns how many failed. */
static unsigned long run_once(enum vfs_fault_kind kind, unsigned long nth, bool from_then_on)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->attempts = calloc(ATTEMPTS_MAX, sizeof run->attempts[0]);
    assert_non_null(run->attempts);
    run->nth = nth;
    fixture_init(&run->fixture, LOG_SQLITE);
    run->fixture.vfs = VFS_FAULT_NAME;
    run->fixture.reader_threads = 1;
    run->fixture.checkpoint_pages = 20;

    vfs_fault_arm(kind, nth, from_then_on);
    scenario(run);
    unsigned long failures = vfs_fault_failures();
    if (kind == VFS_FAULT_POWER) {
        fixture_close(&run->fixture);
    }
    vfs_fault_disarm();
    if (kind == VFS_FAULT_POWER) {
        vfs_fault_cut_power(fixture_path(&run->fixture, "sluice.db"));
    }
    check_recovery(run);
    oracle(run);

    fixture_deinit(&run->fixture);
    free(run->attempts);
    free(run);
    return failures;
}

/* Each operation, or each `stride`-th. */
static void fail_every_operation(const char *what, enum vfs_fault_kind kind, bool from_then_on,
                                 unsigned long stride)
{
    unsigned long total = 0;
    unsigned long runs = 0;
    for (unsigned long nth = 1;; nth += stride) {
        unsigned long failures = run_once(kind, nth, from_then_on);
        if (failures == 0) {
            break;
        }
        total += failures;
        runs++;
    }
    print_message("%s: %lu runs, %lu operations failed\n", what, runs, total);
    assert_true(runs > 50);
}

static void each_operation_may_fail_once_with_an_io_error(void **state)
{
    (void)state;
    fail_every_operation("I/O error, once", VFS_FAULT_IO, false, 1);
}

static void the_disk_may_break_at_each_operation(void **state)
{
    (void)state;
    fail_every_operation("I/O error, from then on", VFS_FAULT_IO, true, 1);
}

static void each_operation_may_find_the_disk_full_once(void **state)
{
    (void)state;
    fail_every_operation("disk full, once", VFS_FAULT_FULL, false, 1);
}

static void the_disk_may_be_full_from_each_operation_on(void **state)
{
    (void)state;
    fail_every_operation("disk full, from then on", VFS_FAULT_FULL, true, 1);
}

static void the_power_may_fail_at_each_operation(void **state)
{
    (void)state;
    fail_every_operation("power cut", VFS_FAULT_POWER, true, 1);
}

/* There are many allocations, and SQLite checks each; a prime stride meets all kinds of them. */
static void each_allocation_may_find_no_memory(void **state)
{
    (void)state;
    fail_every_operation("no memory, once", VFS_FAULT_MEMORY, false, 13);
    fail_every_operation("no memory, from then on", VFS_FAULT_MEMORY, true, 61);
}

static void open_on_faulty_disk(struct log_fixture *fixture)
{
    fixture_init(fixture, LOG_SQLITE);
    fixture->vfs = VFS_FAULT_NAME;
    assert_int_equal(fixture_open(fixture, NULL), SLUICE_OK);
}

static void a_full_disk_refuses_pushes_and_goes_on_serving_pulls(void **state)
{
    (void)state;
    struct log_fixture fixture;
    open_on_faulty_disk(&fixture);
    struct slice store = SLICE("store");
    assert_int_equal(fixture_append_range(&fixture, store, 1, 10), SLUICE_OK);

    vfs_fault_arm(VFS_FAULT_FULL, 1, true);
    for (int round = 0; round < 3; round++) {
        struct event event = fixture_event(11, 10);
        struct eventlog_append append;
        assert_int_equal(fixture_append(&fixture, store, 10, &event, 1, &append),
                         SLUICE_STORAGE_FULL);
        assert_non_null(strstr(append.error.message, "free space"));
        struct eventlog_probe made = {.done = probe_done};
        eventlog_submit_probe(fixture.log, &made);
        struct collected got = {0};
        assert_int_equal(fixture_read(&fixture, store, 0, 100, &got), SLUICE_OK);
        assert_int_equal(got.count, 10);
        assert_int_equal(made.status, SLUICE_STORAGE_FULL);
        collected_deinit(&got);
    }
    struct eventlog_stats stats;
    eventlog_stats(fixture.log, &stats);
    assert_int_equal(stats.commit_failures, 3);
    assert_int_equal(stats.transactions, 1);

    vfs_fault_disarm();
    assert_int_equal(fixture_append_range(&fixture, store, 11, 11), SLUICE_OK);
    fixture_deinit(&fixture);
}

static void a_failed_checkpoint_is_counted_and_loses_nothing(void **state)
{
    (void)state;
    struct log_fixture fixture;
    fixture_init(&fixture, LOG_SQLITE);
    fixture.vfs = VFS_FAULT_NAME;
    fixture.checkpoint_pages = 4;
    assert_int_equal(fixture_open(&fixture, NULL), SLUICE_OK);
    struct slice store = SLICE("store");
    /* A commit writes to the write-ahead log only; the first write to the file is a checkpoint's.
     */
    vfs_fault_fail_on("write main");
    uint64_t seq_num = 0;
    struct eventlog_stats stats = {0};
    while (stats.checkpoint_failures == 0 && seq_num < 1000) {
        seq_num++;
        assert_int_equal(fixture_append_range(&fixture, store, seq_num, seq_num), SLUICE_OK);
        eventlog_stats(fixture.log, &stats);
    }
    assert_true(stats.checkpoint_failures > 0);
    vfs_fault_disarm();
    assert_int_equal(fixture_append_range(&fixture, store, seq_num + 1, seq_num + 1), SLUICE_OK);
    assert_int_equal(fixture_info(&fixture, store).event_count, seq_num + 1);
    fixture_deinit(&fixture);
}

static void copy_file(const char *from, const char *to)
{
    char data[4096];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t bytes = 0;
    while ((bytes = fread(data, 1, sizeof data, in)) > 0) {
        assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    }
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

/* Copies a file of one log into the directory of another. */
static void copy_between(const struct log_fixture *from, const char *name,
                         const struct log_fixture *to, const char *new_name)
{
    char source[128];
    (void)snprintf(source, sizeof source, "%s", fixture_path(from, name));
    copy_file(source, fixture_path(to, new_name));
}

/* A process can be killed when its last commit is written and not synced yet. The next one finds
 * the commit all the same, serves it, and acknowledges it to whoever sends it again; then the power
 * fails. */
static void what_a_killed_process_had_written_is_durable_before_it_is_served(void **state)
{
    (void)state;
    struct log_fixture killed;
    struct log_fixture next;
    struct slice store = SLICE("store");
    vfs_fault_arm(VFS_FAULT_POWER, ULONG_MAX, false);
    fixture_init(&next, LOG_SQLITE);
    fixture_init(&killed, LOG_SQLITE);
    killed.vfs = VFS_FAULT_NAME;
    assert_int_equal(fixture_open(&killed, NULL), SLUICE_OK);
    assert_int_equal(fixture_append_range(&killed, store, 1, 3), SLUICE_OK);
    copy_between(&killed, "sluice.db-wal.synced", &next, "sluice.db-wal.synced");
    assert_int_equal(fixture_append_range(&killed, store, 4, 4), SLUICE_OK);
    copy_between(&killed, "sluice.db", &next, "sluice.db");
    copy_between(&killed, "sluice.db-wal", &next, "sluice.db-wal");
    copy_between(&killed, "sluice.db.synced", &next, "sluice.db.synced");
    fixture_deinit(&killed);

    next.vfs = VFS_FAULT_NAME;
    assert_int_equal(fixture_open(&next, NULL), SLUICE_OK);
    assert_int_equal(fixture_info(&next, store).event_count, 4);
    vfs_fault_arm(VFS_FAULT_POWER, 1, true);
    fixture_close(&next);
    vfs_fault_disarm();
    vfs_fault_cut_power(fixture_path(&next, "sluice.db"));
    assert_int_equal(fixture_open(&next, NULL), SLUICE_OK);
    assert_int_equal(fixture_info(&next, store).event_count, 4);
    fixture_deinit(&next);
}

int main(void)
{
    vfs_fault_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_may_fail_once_with_an_io_error),
        cmocka_unit_test(the_disk_may_break_at_each_operation),
        cmocka_unit_test(each_operation_may_find_the_disk_full_once),
        cmocka_unit_test(the_disk_may_be_full_from_each_operation_on),
        cmocka_unit_test(the_power_may_fail_at_each_operation),
        cmocka_unit_test(each_allocation_may_find_no_memory),
        cmocka_unit_test(a_full_disk_refuses_pushes_and_goes_on_serving_pulls),
        cmocka_unit_test(a_failed_checkpoint_is_counted_and_loses_nothing),
        cmocka_unit_test(what_a_killed_process_had_written_is_durable_before_it_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
