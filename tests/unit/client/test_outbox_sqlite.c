/* What only the outbox in a file has: a file that stays when the program is killed, that others can
 * hold or damage, and that several threads use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/outbox_sqlite.h"
#include "outbox_fixture.h"

static int set_up(void **state)
{
    struct outbox_fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    outbox_fixture_init(fixture, OUTBOX_SQLITE);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    outbox_fixture_deinit(*state);
    free(*state);
    return 0;
}

static void open_outbox(struct outbox_fixture *fixture)
{
    struct sluice_error error = {0};
    if (outbox_fixture_open(fixture, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
}

static void assert_says(const struct sluice_error *error, const char *words)
{
    if (strstr(error->message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error->message, words);
    }
}

static void assert_refused(const char *path, struct slice store_id, enum sluice_status expected,
                           const char *words)
{
    struct outbox *outbox = NULL;
    struct sluice_error error = {0};
    assert_int_equal(outbox_sqlite_open(path, store_id, &outbox, &error), expected);
    assert_null(outbox);
    assert_int_equal(error.status, expected);
    assert_says(&error, words);
}

static void execute_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static sqlite3_int64 query(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    sqlite3_int64 value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return value;
}

struct content {
    char *data;
    size_t bytes;
};

static struct content read_file(const char *path)
{
    struct content content = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return content;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    content.bytes = (size_t)ftell(file);
    rewind(file);
    content.data = malloc(content.bytes + 1);
    assert_non_null(content.data);
    assert_int_equal(fread(content.data, 1, content.bytes, file), content.bytes);
    (void)fclose(file);
    return content;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void assert_unchanged(const char *path, struct content *before)
{
    struct content after = read_file(path);
    assert_int_equal(after.bytes, before->bytes);
    assert_true(before->bytes == 0 || memcmp(after.data, before->data, before->bytes) == 0);
    free(after.data);
    free(before->data);
}

/* --- The file --- */

static void a_person_can_read_the_tables(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    (void)outbox_fixture_advance(outbox, 0, 40, false);
    (void)outbox_fixture_append(outbox, 1);
    (void)outbox_fixture_append(outbox, 2);
    assert_int_equal(query(outbox->path, "PRAGMA application_id"), 0x536c754f);
    assert_int_equal(query(outbox->path, "PRAGMA user_version"), 1);
    assert_int_equal(query(outbox->path, "SELECT count(*) FROM pragma_table_list WHERE strict"
                                         " AND name IN ('outbox', 'pending')"),
                     2);
    assert_int_equal(query(outbox->path, "SELECT count(*) FROM outbox WHERE store_id = 'shop'"
                                         " AND upstream_head = 40"),
                     1);
    assert_int_equal(query(outbox->path, "SELECT count(*) FROM pending_event"
                                         " WHERE seq_num = 40 + commit_id AND parent_seq_num ="
                                         " seq_num - 1 AND args = '{\"n\":' || commit_id || '}'"
                                         " AND committed_at > 1700000000000"),
                     2);
}

static void only_this_user_can_read_the_files(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    (void)outbox_fixture_append(outbox, 1);
    const char *names[] = {"outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.db.lock"};
    for (size_t index = 0; index < 4; index++) {
        struct stat found;
        assert_int_equal(stat(outbox_fixture_path(outbox, names[index]), &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
}

static void an_empty_file_becomes_an_outbox(void **state)
{
    struct outbox_fixture *outbox = *state;
    write_file(outbox->path, "", 0);
    open_outbox(outbox);
    outbox_fixture_expect(outbox, 0, 1, 0);
}

static void a_relative_path_stays_the_same_file_when_the_program_goes_elsewhere(void **state)
{
    struct outbox_fixture *outbox = *state;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(outbox->directory), 0);
    enum sluice_status status =
        outbox_sqlite_open("outbox.db", SLICE("shop"), &outbox->outbox, NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(status, SLUICE_OK);
    (void)outbox_fixture_append(outbox, 1);
    outbox_fixture_close(outbox);
    open_outbox(outbox);
    outbox_fixture_expect(outbox, 0, 1, 1);
}

/* --- Who may open it --- */

static void the_same_file_is_not_opened_twice_under_whatever_name(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    char holder[64];
    (void)snprintf(holder, sizeof holder, "process %d has the outbox", (int)getpid());
    assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_LOCKED, holder);
    const char *other_name = outbox_fixture_path(outbox, "other");
    assert_int_equal(symlink(outbox->path, other_name), 0);
    assert_refused(other_name, SLICE("shop"), SLUICE_STORAGE_LOCKED, outbox->path);
    (void)outbox_fixture_append(outbox, 1); /* the first one is none the worse for it */
    outbox_fixture_expect(outbox, 0, 1, 1);
}

/* Opens the outbox in a child, which then waits to be killed. */
static pid_t hold_in_child(struct outbox_fixture *outbox)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte = outbox_fixture_open(outbox, NULL) == SLUICE_OK ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            (void)pause();
        }
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    (void)close(ready[0]);
    (void)close(ready[1]);
    return child;
}

static void a_second_process_is_told_which_one_has_it_until_that_ends(void **state)
{
    struct outbox_fixture *outbox = *state;
    pid_t child = hold_in_child(outbox);
    char holder[64];
    (void)snprintf(holder, sizeof holder, "process %d has the outbox", (int)child);
    assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_LOCKED, holder);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    open_outbox(outbox);
}

static void another_stores_outbox_is_refused(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    outbox_fixture_close(outbox);
    assert_refused(outbox->path, SLICE("other"), SLUICE_CONFIG, "belongs to the store \"shop\"");
    open_outbox(outbox);
}

static void a_path_that_cannot_be_a_file_is_refused_with_the_reason(void **state)
{
    struct outbox_fixture *outbox = *state;
    assert_refused(outbox->directory, SLICE("shop"), SLUICE_STORAGE_IO, "is not a file");
    assert_refused(outbox_fixture_path(outbox, "no/such/directory"), SLICE("shop"),
                   SLUICE_STORAGE_IO, "No such file or directory");
    assert_refused("", SLICE("shop"), SLUICE_STORAGE_IO, "No such file or directory");
}

/* --- Files that are refused, and left as they are --- */

static void what_is_no_database_is_refused_and_left_as_it_is(void **state)
{
    struct outbox_fixture *outbox = *state;
    char text[5000];
    memset(text, 'x', sizeof text);
    write_file(outbox->path, text, sizeof text);
    struct content before = read_file(outbox->path);
    assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_CORRUPT, outbox->path);
    assert_unchanged(outbox->path, &before);
}

static void another_programs_database_is_refused_and_left_as_it_is(void **state)
{
    struct outbox_fixture *outbox = *state;
    execute_sql(outbox->path, "CREATE TABLE recipe (name TEXT); PRAGMA application_id=12345");
    struct content before = read_file(outbox->path);
    assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_CORRUPT,
                   "another program's database (application id 12345)");
    assert_unchanged(outbox->path, &before);
}

static void a_newer_version_is_refused_and_left_as_it_is(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    (void)outbox_fixture_append(outbox, 1);
    outbox_fixture_close(outbox);
    execute_sql(outbox->path, "PRAGMA user_version=2");
    struct content before = read_file(outbox->path);
    assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_VERSION, "schema version 2");
    assert_unchanged(outbox->path, &before);
    execute_sql(outbox->path, "PRAGMA user_version=1");
    open_outbox(outbox);
    outbox_fixture_expect(outbox, 0, 1, 1);
}

static void fill(struct outbox_fixture *outbox, unsigned count)
{
    open_outbox(outbox);
    for (unsigned number = 1; number <= count; number++) {
        (void)outbox_fixture_append(outbox, number);
    }
    outbox_fixture_close(outbox);
}

static void damage_in_any_page_is_found_when_it_is_opened(void **state)
{
    struct outbox_fixture *outbox = *state;
    fill(outbox, 200);
    struct content good = read_file(outbox->path);
    assert_true(good.bytes >= 5 * 4096);
    for (size_t page = 0; page < good.bytes / 4096; page++) {
        struct content damaged = {malloc(good.bytes), good.bytes};
        assert_non_null(damaged.data);
        memcpy(damaged.data, good.data, good.bytes);
        memset(damaged.data + page * 4096, 0x5a, 64);
        write_file(outbox->path, damaged.data, damaged.bytes);
        assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_CORRUPT, outbox->path);
        assert_unchanged(outbox->path, &damaged);
    }
    free(good.data);
}

static void a_file_that_was_cut_is_refused_and_left_as_it_is(void **state)
{
    struct outbox_fixture *outbox = *state;
    fill(outbox, 200);
    struct content good = read_file(outbox->path);
    struct content cut = {good.data, good.bytes / 2 / 4096 * 4096 + 100};
    write_file(outbox->path, cut.data, cut.bytes);
    assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_CORRUPT, outbox->path);
    assert_unchanged(outbox->path, &cut);
}

/* The write-ahead log of a program that was killed stays beside the file that is refused. */
static void a_refused_file_keeps_its_write_ahead_log(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    (void)outbox_fixture_append(outbox, 1);
    struct content file = read_file(outbox->path);
    char log_path[192];
    (void)snprintf(log_path, sizeof log_path, "%s-wal", outbox->path);
    struct content log = read_file(log_path);
    assert_true(log.bytes > 0);
    outbox_fixture_close(outbox);
    write_file(outbox->path, file.data, file.bytes);
    write_file(log_path, log.data, log.bytes);
    assert_refused(outbox->path, SLICE("other"), SLUICE_CONFIG, "belongs to the store");
    assert_unchanged(outbox->path, &file);
    assert_unchanged(log_path, &log);
    open_outbox(outbox);
    outbox_fixture_expect(outbox, 0, 1, 1);
}

static void numbers_that_make_no_sense_are_refused(void **state)
{
    struct outbox_fixture *outbox = *state;
    const char *changes[][2] = {
        {"DELETE FROM pending WHERE commit_id = 2", "its numbers make no sense"},
        {"UPDATE pending SET commit_id = commit_id + 1000", "its numbers make no sense"},
        {"UPDATE outbox SET confirmed_commit_id = 2", "its numbers make no sense"},
        {"UPDATE outbox SET upstream_head = -1", "its numbers make no sense"},
        {"UPDATE outbox SET upstream_head = 9007199254740991", "its numbers make no sense"},
        {"UPDATE outbox SET backend_id = printf('%.*c', 65, 'x')", "its numbers make no sense"},
        {"DELETE FROM outbox", "its row in the table outbox is missing"},
        {"DROP VIEW pending_event; DROP TABLE pending", "no such table"},
    };
    fill(outbox, 3);
    struct content good = read_file(outbox->path);
    for (size_t index = 0; index < sizeof changes / sizeof changes[0]; index++) {
        write_file(outbox->path, good.data, good.bytes);
        execute_sql(outbox->path, changes[index][0]);
        assert_refused(outbox->path, SLICE("shop"), SLUICE_STORAGE_CORRUPT, changes[index][1]);
    }
    write_file(outbox->path, good.data, good.bytes);
    open_outbox(outbox);
    outbox_fixture_expect(outbox, 0, 1, 3);
    free(good.data);
}

static void a_file_that_is_removed_while_it_is_open_takes_no_more_commits(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    (void)outbox_fixture_append(outbox, 1);
    assert_int_equal(unlink(outbox->path), 0);
    struct sluice_event event = numbered_event(2);
    struct sluice_commit commit;
    struct sluice_error error = {0};
    assert_int_equal(outbox->outbox->ops->append(outbox->outbox, &event, &commit, &error),
                     SLUICE_STORAGE_IO);
    assert_says(&error, "was removed or replaced");
}

/* --- Killed --- */

/* Commits and confirms for ever, and says so after each: 8 bytes, the commit's number. */
static void live(struct outbox_fixture *outbox, int said)
{
    uint64_t upstream_head = outbox_fixture_state(outbox).upstream_head;
    for (;;) {
        struct outbox_state now = outbox_fixture_state(outbox);
        uint64_t number = outbox_fixture_append(outbox, (unsigned)now.last_commit_id + 1).commit_id;
        if (write(said, &number, sizeof number) != (ssize_t)sizeof number) {
            _exit(1);
        }
        if (number % 5 == 0) { /* two are confirmed, and one of another client comes */
            upstream_head += 3;
            (void)outbox_fixture_advance(outbox, 2, upstream_head, true);
        }
    }
}

/* One life: the last commit that was said to be on the disk, when it was killed after `commits`. */
static uint64_t live_and_be_killed(struct outbox_fixture *outbox, unsigned commits)
{
    int said[2];
    assert_int_equal(pipe(said), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(said[0]);
        if (outbox_fixture_open(outbox, NULL) != SLUICE_OK) {
            _exit(1);
        }
        live(outbox, said[1]);
    }
    (void)close(said[1]);
    uint64_t last = 0;
    uint64_t number = 0;
    for (unsigned count = 0; count < commits; count++) {
        assert_int_equal(read(said[0], &number, sizeof number), sizeof number);
        last = number;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(said[0], &number, sizeof number) == (ssize_t)sizeof number) {
        last = number; /* it went on until the signal came */
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    (void)close(said[0]);
    return last;
}

static void whatever_was_committed_survives_a_kill_at_any_moment(void **state)
{
    struct outbox_fixture *outbox = *state;
    for (unsigned round = 0; round < 25; round++) {
        uint64_t last = live_and_be_killed(outbox, 1 + round * 3 % 17);
        open_outbox(outbox);
        struct outbox_state now = outbox_fixture_state(outbox);
        /* At most the one that it was about to say is there besides. */
        assert_in_range(now.last_commit_id, last, last + 1);
        unsigned first = (unsigned)(now.last_commit_id - now.pending_count + 1);
        outbox_fixture_expect(outbox, now.upstream_head, first, (unsigned)now.last_commit_id);
        outbox_fixture_close(outbox);
    }
}

/* --- Full --- */

static void a_full_disk_refuses_commits_and_gives_back_what_it_has(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {200000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct sluice_event event = numbered_event(1);
    struct sluice_commit commit = {0};
    struct sluice_error error = {0};
    enum sluice_status status = SLUICE_OK;
    unsigned last = 0;
    while (status == SLUICE_OK && last < 100000) {
        event = numbered_event(last + 1);
        status = outbox->outbox->ops->append(outbox->outbox, &event, &commit, &error);
        last += status == SLUICE_OK ? 1 : 0;
    }
    assert_int_equal(status, SLUICE_STORAGE_FULL);
    assert_says(&error, outbox->path);
    outbox_fixture_expect(outbox, 0, 1, last);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(outbox_fixture_append(outbox, last + 1).commit_id, last + 1);
    outbox_fixture_expect(outbox, 0, 1, last + 1);
}

/* --- Threads --- */

enum { COMMITTERS = 3, COMMITS_EACH = 40 };

struct committer {
    struct outbox *outbox;
    pthread_t thread;
    uint64_t last_commit_id;
    bool failed;
};

static void *commit_many(void *argument)
{
    struct committer *committer = argument;
    struct sluice_event event = {.name = {"n", 1}, .args = {"{\"n\":1}", 7}};
    for (unsigned count = 0; count < COMMITS_EACH; count++) {
        struct sluice_commit commit = {0};
        enum sluice_status status =
            committer->outbox->ops->append(committer->outbox, &event, &commit, NULL);
        committer->failed |= status != SLUICE_OK || commit.commit_id <= committer->last_commit_id;
        committer->last_commit_id = commit.commit_id;
    }
    return NULL;
}

/* As the client's thread does it, while others commit. */
static void confirm_until_all_is(struct outbox_fixture *outbox)
{
    uint64_t confirmed = 0;
    while (confirmed < COMMITTERS * COMMITS_EACH) {
        struct outbox_batch batch = outbox_fixture_read(outbox, 0, 7, SIZE_MAX);
        struct outbox_state now = outbox_fixture_state(outbox);
        assert_true(now.pending_count >= batch.event_count);
        for (size_t index = 0; index < batch.event_count; index++) {
            assert_int_equal(batch.events[index].seq_num, now.upstream_head + index + 1);
        }
        if (batch.event_count > 0) {
            assert_int_equal(batch.first_commit_id, confirmed + 1);
            uint64_t upstream_head = now.upstream_head + batch.event_count + 1;
            (void)outbox_fixture_advance(outbox, batch.event_count, upstream_head, false);
            confirmed += batch.event_count;
        }
    }
}

static void threads_commit_while_another_confirms(void **state)
{
    struct outbox_fixture *outbox = *state;
    open_outbox(outbox);
    struct committer committers[COMMITTERS] = {0};
    for (size_t index = 0; index < COMMITTERS; index++) {
        committers[index].outbox = outbox->outbox;
        assert_int_equal(
            pthread_create(&committers[index].thread, NULL, commit_many, &committers[index]), 0);
    }
    confirm_until_all_is(outbox);
    for (size_t index = 0; index < COMMITTERS; index++) {
        assert_int_equal(pthread_join(committers[index].thread, NULL), 0);
        assert_false(committers[index].failed);
    }
    assert_int_equal(outbox_fixture_state(outbox).last_commit_id, COMMITTERS * COMMITS_EACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_person_can_read_the_tables),
        TEST(only_this_user_can_read_the_files),
        TEST(an_empty_file_becomes_an_outbox),
        TEST(a_relative_path_stays_the_same_file_when_the_program_goes_elsewhere),
        TEST(the_same_file_is_not_opened_twice_under_whatever_name),
        TEST(a_second_process_is_told_which_one_has_it_until_that_ends),
        TEST(another_stores_outbox_is_refused),
        TEST(a_path_that_cannot_be_a_file_is_refused_with_the_reason),
        TEST(what_is_no_database_is_refused_and_left_as_it_is),
        TEST(another_programs_database_is_refused_and_left_as_it_is),
        TEST(a_newer_version_is_refused_and_left_as_it_is),
        TEST(damage_in_any_page_is_found_when_it_is_opened),
        TEST(a_file_that_was_cut_is_refused_and_left_as_it_is),
        TEST(a_refused_file_keeps_its_write_ahead_log),
        TEST(numbers_that_make_no_sense_are_refused),
        TEST(a_file_that_is_removed_while_it_is_open_takes_no_more_commits),
        TEST(whatever_was_committed_survives_a_kill_at_any_moment),
        TEST(a_full_disk_refuses_commits_and_gives_back_what_it_has),
        TEST(threads_commit_while_another_confirms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
