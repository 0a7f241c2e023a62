/* What only the sqlite engine has: a file that stays, that others can hold, damage or replace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "log_fixture.h"

#define STORE SLICE("store-a")
#define OTHER SLICE("store-b")

static int setup(void **state)
{
    struct log_fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    fixture_init(fixture, LOG_SQLITE);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static void open_log(struct log_fixture *log)
{
    struct sluice_error error = {0};
    if (fixture_open(log, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
}

static void assert_refuses_to_open(struct log_fixture *log, enum sluice_status status,
                                   const char *words)
{
    struct sluice_error error = {0};
    assert_int_equal(fixture_open(log, &error), status);
    assert_int_equal(error.status, status);
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    }
    assert_null(log->log);
}

static void append_range(struct log_fixture *log, struct slice store_id, uint64_t first,
                         uint64_t last)
{
    assert_int_equal(fixture_append_range(log, store_id, first, last), SLUICE_OK);
}

/* The first column of the first row, from a connection of its own. */
static sqlite3_int64 query(struct log_fixture *log, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(fixture_path(log, "sluice.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    sqlite3_int64 value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return value;
}

/* --- The file --- */

static void reopening_keeps_everything(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 30);
    append_range(log, OTHER, 1, 2);
    struct eventlog_store_info before = fixture_info(log, STORE);
    struct eventlog_store_info missing_before = fixture_info(log, SLICE("never pushed to"));
    fixture_close(log);
    open_log(log);
    struct eventlog_store_info after = fixture_info(log, STORE);
    assert_memory_equal(&before, &after, sizeof before);
    assert_string_equal(fixture_info(log, SLICE("never pushed to")).backend_id,
                        missing_before.backend_id);
    struct collected got = {0};
    assert_int_equal(fixture_read(log, STORE, 0, 100, &got), SLUICE_OK);
    assert_int_equal(got.count, 30);
    for (size_t index = 0; index < got.count; index++) {
        struct event expected = fixture_event(index + 1, index);
        assert_true(event_equal(&got.events[index], &expected));
        assert_int_equal(got.events[index].position, index);
    }
    collected_deinit(&got);
    append_range(log, STORE, 31, 31);
}

static void another_data_directory_gives_the_same_store_another_backend_id(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    struct log_fixture second;
    fixture_init(&second, LOG_SQLITE);
    open_log(&second);
    assert_string_not_equal(fixture_info(log, STORE).backend_id,
                            fixture_info(&second, STORE).backend_id);
    fixture_deinit(&second);
}

static void only_this_user_can_read_the_files(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 1);
    const char *names[] = {"sluice.db", "sluice.db-wal", "sluice.db-shm", "sluice.lock"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        struct stat found;
        assert_int_equal(stat(fixture_path(log, names[index]), &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
}

static void a_person_can_read_the_tables(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 7);
    assert_int_equal(query(log, "PRAGMA application_id"), 0x536c7569);
    assert_int_equal(query(log, "SELECT value FROM meta WHERE key = 'schema_version'"), 1);
    assert_int_equal(query(log, "SELECT count(*) FROM pragma_table_list WHERE strict"
                                " AND name IN ('meta', 'store', 'event')"),
                     3);
    assert_int_equal(query(log, "SELECT count(*) FROM event JOIN store ON store.id = event.store"
                                " WHERE store_id = 'store-a' AND position = seq_num - 1"
                                " AND args LIKE '{\"id\":\"todo-%'"),
                     7);
}

static void a_read_makes_no_store(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    (void)fixture_info(log, STORE);
    assert_int_equal(query(log, "SELECT count(*) FROM store"), 0);
}

static void a_store_that_was_reset_starts_again_with_its_new_identity(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 3);
    fixture_execute_sql(log, "DELETE FROM event; UPDATE store SET generation = 1, head = 0,"
                             " event_count = 0, event_bytes = 0,"
                             " backend_id = 'ABCDEFGHIJKLMNOPQRSTU'");
    struct eventlog_store_info info = fixture_info(log, STORE);
    assert_string_equal(info.backend_id, "ABCDEFGHIJKLMNOPQRSTU");
    assert_int_equal(info.head, 0);
    append_range(log, STORE, 1, 2);
    assert_string_equal(fixture_info(log, STORE).backend_id, "ABCDEFGHIJKLMNOPQRSTU");
}

/* --- Who may open it --- */

static void a_second_open_is_refused_while_the_first_is_open(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    struct log_fixture second = *log;
    second.log = NULL;
    assert_refuses_to_open(&second, SLUICE_STORAGE_LOCKED, log->directory);
    fixture_close(log);
    open_log(log);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 3);
    fixture_close(log);
    fixture_execute_sql(log, "UPDATE meta SET value = 2 WHERE key = 'schema_version'");
    assert_refuses_to_open(log, SLUICE_STORAGE_VERSION, "schema version 2");
    fixture_execute_sql(log, "UPDATE meta SET value = 1 WHERE key = 'schema_version'");
    open_log(log);
    assert_int_equal(fixture_info(log, STORE).head, 3);
}

static void a_file_without_a_version_or_secret_is_refused(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    fixture_close(log);
    fixture_execute_sql(log, "UPDATE meta SET key = 'x' WHERE key = 'secret'");
    assert_refuses_to_open(log, SLUICE_STORAGE_CORRUPT, "no secret");
    fixture_execute_sql(log, "DELETE FROM meta WHERE key = 'schema_version'");
    assert_refuses_to_open(log, SLUICE_STORAGE_CORRUPT, "no schema version");
    fixture_execute_sql(log, "DROP TABLE meta");
    assert_refuses_to_open(log, SLUICE_STORAGE_CORRUPT, "meta");
}

static void another_programs_database_is_refused_and_left_alone(void **state)
{
    struct log_fixture *log = *state;
    fixture_execute_sql(log, "CREATE TABLE recipes (name); PRAGMA application_id = 77");
    assert_refuses_to_open(log, SLUICE_STORAGE_CORRUPT, "another program");
    assert_int_equal(query(log, "SELECT count(*) FROM sqlite_schema"), 1);
    /* Still in rollback mode: bytes 18 and 19 of the header are 1. */
    FILE *file = fopen(fixture_path(log, "sluice.db"), "r");
    assert_non_null(file);
    unsigned char header[20];
    assert_int_equal(fread(header, 1, sizeof header, file), sizeof header);
    (void)fclose(file);
    assert_int_equal(header[18], 1);
}

/* --- Damage --- */

static void write_bytes(struct log_fixture *log, long offset, const void *bytes, size_t count)
{
    FILE *file = fopen(fixture_path(log, "sluice.db"), "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct log_fixture *log = *state;
    FILE *file = fopen(fixture_path(log, "sluice.db"), "w");
    assert_non_null(file);
    for (int line = 0; line < 1000; line++) {
        (void)fputs("this is not a database\n", file);
    }
    assert_int_equal(fclose(file), 0);
    assert_refuses_to_open(log, SLUICE_STORAGE_CORRUPT, "damaged");
}

static void a_file_that_was_cut_is_an_error_and_not_a_shorter_log(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 500);
    fixture_close(log);
    struct stat found;
    assert_int_equal(stat(fixture_path(log, "sluice.db"), &found), 0);
    assert_int_equal(truncate(fixture_path(log, "sluice.db"), found.st_size / 4096 / 2 * 4096), 0);
    struct sluice_error error = {0};
    enum sluice_status status = fixture_open(log, &error);
    if (status == SLUICE_OK) {
        struct collected got = {0};
        status = fixture_read(log, STORE, 0, 1000, &got);
        collected_deinit(&got);
    }
    assert_int_equal(status, SLUICE_STORAGE_CORRUPT);
}

/* Each statement damages store-a's log in its own way; store-b's must not suffer from it. */
static void a_log_that_is_no_chain_is_an_error_when_read(void **state)
{
    struct log_fixture *log = *state;
    const char *damages[] = {
        "DELETE FROM event WHERE seq_num = 5 AND store = 1",
        "DELETE FROM event WHERE seq_num = 1 AND store = 1",
        "DELETE FROM event WHERE seq_num = 10 AND store = 1",
        "DELETE FROM event WHERE store = 1",
        "UPDATE event SET parent_seq_num = 3 WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET position = 5 WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET args = substr(args, 2) WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET args = CAST(x'22ff22' AS TEXT) WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET name = CAST(x'c3' AS TEXT) WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET client_id = CAST(x'c3' AS TEXT) WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET session_id = CAST(x'c3' AS TEXT) WHERE seq_num = 5 AND store = 1",
        "UPDATE event SET seq_num = 11 WHERE seq_num = 10 AND store = 1",
        "UPDATE event SET seq_num = -3 WHERE seq_num = 1 AND store = 1",
        "UPDATE store SET head = 9 WHERE id = 1",
        "UPDATE store SET head = -9 WHERE id = 1",
        "UPDATE store SET event_count = 11 WHERE id = 1",
        "UPDATE store SET event_count = 0 WHERE id = 1",
        "UPDATE store SET backend_id = 'short' WHERE id = 1",
    };
    for (size_t index = 0; index < sizeof damages / sizeof damages[0]; index++) {
        struct log_fixture damaged;
        fixture_init(&damaged, LOG_SQLITE);
        open_log(&damaged);
        append_range(&damaged, STORE, 1, 10);
        append_range(&damaged, OTHER, 1, 10);
        fixture_execute_sql(&damaged, damages[index]);
        struct collected got = {0};
        enum sluice_status status = fixture_read(&damaged, STORE, 0, 100, &got);
        if (status != SLUICE_STORAGE_CORRUPT) {
            fail_msg("%s: %s", damages[index], sluice_status_name(status));
        }
        collected_deinit(&got);
        assert_int_equal(fixture_read(&damaged, OTHER, 0, 100, &got), SLUICE_OK);
        assert_int_equal(got.count, 10);
        collected_deinit(&got);
        fixture_deinit(&damaged);
    }
    (void)log;
}

static void damage_in_one_store_does_not_refuse_the_pushes_of_others(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 5);
    append_range(log, OTHER, 1, 5);
    fixture_execute_sql(log, "INSERT INTO event SELECT store, 7, 6, 6, name, args, client_id,"
                             " session_id, created_at FROM event WHERE store = 1 AND seq_num = 5");
    fixture_close(log);
    struct eventlog_options options = {.data_path = log->directory};
    struct eventlog_engine *engine = NULL;
    assert_int_equal(eventlog_sqlite_open(&options, &engine, NULL), SLUICE_OK);
    struct event events[][2] = {{fixture_event(6, 5), fixture_event(7, 6)},
                                {fixture_event(6, 5), fixture_event(7, 6)},
                                {fixture_event(1, 0), fixture_event(2, 1)}};
    struct eventlog_append appends[] = {
        {.store_id = STORE, .expected_head = 5, .events = events[0], .event_count = 2},
        {.store_id = OTHER, .expected_head = 5, .events = events[1], .event_count = 2},
        {.store_id = SLICE("new"), .expected_head = 0, .events = events[2], .event_count = 2},
    };
    struct eventlog_append *group[] = {&appends[0], &appends[1], &appends[2]};
    engine->ops->commit(engine, group, 3, 1700000000000);
    assert_int_equal(appends[0].status, SLUICE_STORAGE_CORRUPT);
    assert_non_null(strstr(appends[0].error.message, "UNIQUE"));
    assert_int_equal(appends[1].status, SLUICE_OK);
    assert_int_equal(appends[2].status, SLUICE_OK);
    engine->ops->close(engine);
    assert_int_equal(query(log, "SELECT count(*) FROM event WHERE store = 1"), 6);
    assert_int_equal(query(log, "SELECT count(*) FROM event WHERE store = 2"), 7);
    assert_int_equal(query(log, "SELECT count(*) FROM event WHERE store = 3"), 2);
}

/* Bytes flip at random (always the same way). A changed letter in args goes unseen, for SQLite
 * keeps no checksums; but nothing may crash, and what is read is a chain. */
static void no_damage_to_the_file_ends_the_process(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 100);
    append_range(log, OTHER, 1, 3);
    fixture_close(log);
    struct stat found;
    assert_int_equal(stat(fixture_path(log, "sluice.db"), &found), 0);
    char *intact = malloc((size_t)found.st_size);
    assert_non_null(intact);
    FILE *file = fopen(fixture_path(log, "sluice.db"), "r");
    assert_int_equal(fread(intact, 1, (size_t)found.st_size, file), found.st_size);
    (void)fclose(file);
    uint64_t random = 88172645463325252u;
    unsigned refused = 0;
    for (int round = 0; round < 150; round++) {
        for (int flip = 0; flip < 8; flip++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            unsigned char byte = (unsigned char)(random >> 40);
            write_bytes(log, (long)(random % (uint64_t)found.st_size), &byte, 1);
        }
        if (fixture_open(log, NULL) == SLUICE_OK) {
            struct collected got = {0};
            refused += fixture_read(log, STORE, 0, 1000, &got) != SLUICE_OK;
            collected_deinit(&got);
            (void)fixture_append_range(log, OTHER, 4, 5);
            fixture_close(log);
        } else {
            refused++;
        }
        (void)unlink(fixture_path(log, "sluice.db-wal"));
        assert_int_equal(truncate(fixture_path(log, "sluice.db"), found.st_size), 0);
        write_bytes(log, 0, intact, (size_t)found.st_size);
    }
    free(intact);
    assert_true(refused > 20);
}

static void a_file_that_is_taken_away_stops_pushes_with_the_reason(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 3);
    char there[128];
    char away[128];
    (void)snprintf(there, sizeof there, "%s", fixture_path(log, "sluice.db"));
    (void)snprintf(away, sizeof away, "%s", fixture_path(log, "elsewhere.db"));
    assert_int_equal(rename(there, away), 0);
    struct event event = fixture_event(4, 3);
    struct eventlog_append append;
    assert_int_equal(fixture_append(log, STORE, 3, &event, 1, &append), SLUICE_STORAGE_IO);
    assert_non_null(strstr(append.error.message, "removed or replaced"));
    assert_int_equal(rename(away, there), 0);
    append_range(log, STORE, 4, 4);
}

/* --- Beside others --- */

static void a_shell_that_holds_the_file_too_long_makes_pushes_unavailable(void **state)
{
    struct log_fixture *log = *state;
    open_log(log);
    append_range(log, STORE, 1, 3);
    sqlite3 *shell = NULL;
    assert_int_equal(sqlite3_open(fixture_path(log, "sluice.db"), &shell), SQLITE_OK);
    assert_int_equal(sqlite3_exec(shell, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct event event = fixture_event(4, 3);
    struct eventlog_append append;
    assert_int_equal(fixture_append(log, STORE, 3, &event, 1, &append), SLUICE_UNAVAILABLE);
    assert_non_null(strstr(append.error.message, "another program"));
    assert_int_equal(fixture_info(log, STORE).head, 3);
    assert_int_equal(sqlite3_exec(shell, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(shell), SQLITE_OK);
    append_range(log, STORE, 4, 4);
}

/* A visitor that waits until an append is durable, which would be for ever if it held it up. */
struct waiting_read {
    struct eventlog_read read; /* first */
    sem_t visiting;
    sem_t go_on;
};

static enum sluice_status visit_and_wait(struct eventlog_read *read, const struct event *event,
                                         bool *stop)
{
    struct waiting_read *waiting = (struct waiting_read *)read;
    (void)stop;
    SLUICE_ASSERT(event->seq_num <= 3);
    if (event->seq_num == 1) {
        (void)sem_post(&waiting->visiting);
        while (sem_wait(&waiting->go_on) != 0) {
        }
    }
    return SLUICE_OK;
}

static void release_read(struct eventlog_append *append)
{
    (void)append;
}

static void ignore_read(struct eventlog_read *read)
{
    (void)read;
}

static void a_long_pull_delays_nobodys_push(void **state)
{
    struct log_fixture *log = *state;
    log->checkpoint_pages = 1; /* so that checkpoints, too, meet the reader */
    open_log(log);
    append_range(log, STORE, 1, 3);
    struct waiting_read waiting = {
        .read = {
            .store_id = STORE, .events_max = 100, .visit = visit_and_wait, .done = ignore_read}};
    (void)sem_init(&waiting.visiting, 0, 0);
    (void)sem_init(&waiting.go_on, 0, 0);
    eventlog_submit_read(log->log, &waiting.read);
    while (sem_wait(&waiting.visiting) != 0) {
    }
    for (uint64_t seq_num = 4; seq_num < 10; seq_num++) {
        struct event event = fixture_event(seq_num, seq_num - 1);
        struct eventlog_append append = {.store_id = STORE,
                                         .expected_head = seq_num - 1,
                                         .events = &event,
                                         .event_count = 1,
                                         .done = release_read};
        eventlog_submit_append(log->log, &append);
        while (eventlog_pending(log->log) > 1) {
            while (sem_wait(&log->woken) != 0) {
            }
            (void)eventlog_poll(log->log);
        }
        assert_int_equal(append.status, SLUICE_OK);
    }
    (void)sem_post(&waiting.go_on);
    fixture_wait(log);
    assert_int_equal(waiting.read.status, SLUICE_OK);
    assert_int_equal(waiting.read.events_read, 3); /* the moment at which it began */
    assert_int_equal(waiting.read.info.head, 3);
}

static off_t file_bytes(struct log_fixture *log, const char *name)
{
    struct stat found;
    assert_int_equal(stat(fixture_path(log, name), &found), 0);
    return found.st_size;
}

static void checkpoints_keep_the_write_ahead_log_short(void **state)
{
    struct log_fixture *log = *state;
    log->checkpoint_pages = 50;
    open_log(log);
    for (uint64_t round = 0; round < 100; round++) {
        append_range(log, STORE, round * 100 + 1, round * 100 + 100);
    }
    assert_true(file_bytes(log, "sluice.db") > 100 * 4096);
    assert_true(file_bytes(log, "sluice.db-wal") < 120 * 4120);
    struct eventlog_stats stats;
    eventlog_stats(log->log, &stats);
    assert_int_equal(stats.checkpoint_failures, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reopening_keeps_everything),
        TEST(another_data_directory_gives_the_same_store_another_backend_id),
        TEST(only_this_user_can_read_the_files),
        TEST(a_person_can_read_the_tables),
        TEST(a_read_makes_no_store),
        TEST(a_store_that_was_reset_starts_again_with_its_new_identity),
        TEST(a_second_open_is_refused_while_the_first_is_open),
        TEST(a_newer_schema_is_refused_and_left_alone),
        TEST(a_file_without_a_version_or_secret_is_refused),
        TEST(another_programs_database_is_refused_and_left_alone),
        TEST(a_file_that_is_no_database_is_refused),
        TEST(a_file_that_was_cut_is_an_error_and_not_a_shorter_log),
        TEST(a_log_that_is_no_chain_is_an_error_when_read),
        TEST(damage_in_one_store_does_not_refuse_the_pushes_of_others),
        TEST(no_damage_to_the_file_ends_the_process),
        TEST(a_file_that_is_taken_away_stops_pushes_with_the_reason),
        TEST(a_shell_that_holds_the_file_too_long_makes_pushes_unavailable),
        TEST(a_long_pull_delays_nobodys_push),
        TEST(checkpoints_keep_the_write_ahead_log_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
