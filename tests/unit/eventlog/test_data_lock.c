#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eventlog/data_lock.h"
#include "log_fixture.h"

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

static void take(const char *path, int *lock)
{
    struct sluice_error error = {0};
    if (data_lock_take(path, lock, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
}

static void make_file(const char *path)
{
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    (void)close(file);
}

static void a_missing_directory_is_made_with_its_parents_for_this_user_only(void **state)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s", fixture_path(*state, "a//b/c/"));
    int lock = DATA_LOCK_NONE;
    take(path, &lock);
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_true(S_ISDIR(found.st_mode));
    assert_int_equal(found.st_mode & 0777, 0700);
    data_lock_release(lock);
}

static void a_relative_path_is_taken_from_the_working_directory(void **state)
{
    struct log_fixture *fixture = *state;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(fixture->directory), 0);
    int lock = DATA_LOCK_NONE;
    take("data", &lock);
    data_lock_release(lock);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(access(fixture_path(fixture, "data/sluice.lock"), F_OK), 0);
}

static void the_lock_file_names_the_process(void **state)
{
    struct log_fixture *fixture = *state;
    int lock = DATA_LOCK_NONE;
    take(fixture->directory, &lock);
    char text[64] = {0};
    int file = open(fixture_path(fixture, "sluice.lock"), O_RDONLY | O_CLOEXEC);
    assert_true(read(file, text, sizeof text - 1) > 0);
    (void)close(file);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "pid %d\n", (int)getpid());
    assert_string_equal(text, expected);
    data_lock_release(lock);
}

static void a_second_taker_is_told_who_holds_the_directory(void **state)
{
    struct log_fixture *fixture = *state;
    int lock = DATA_LOCK_NONE;
    take(fixture->directory, &lock);
    int second = DATA_LOCK_NONE;
    struct sluice_error error = {0};
    assert_int_equal(data_lock_take(fixture->directory, &second, &error), SLUICE_STORAGE_LOCKED);
    assert_int_equal(second, DATA_LOCK_NONE);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %d ", (int)getpid());
    assert_non_null(strstr(error.message, pid));
    assert_non_null(strstr(error.message, fixture->directory));
    data_lock_release(lock);
    take(fixture->directory, &second);
    data_lock_release(second);
}

static void a_killed_process_leaves_no_lock_behind(void **state)
{
    struct log_fixture *fixture = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int lock = DATA_LOCK_NONE;
        char byte = data_lock_take(fixture->directory, &lock, NULL) == SLUICE_OK ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            (void)pause();
        }
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    int lock = DATA_LOCK_NONE;
    struct sluice_error error = {0};
    assert_int_equal(data_lock_take(fixture->directory, &lock, &error), SLUICE_STORAGE_LOCKED);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %d ", (int)child);
    assert_non_null(strstr(error.message, pid));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    take(fixture->directory, &lock);
    data_lock_release(lock);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void garbage_in_the_lock_file_does_no_harm(void **state)
{
    struct log_fixture *fixture = *state;
    const char *garbage[] = {"",
                             "pid \n",
                             "pid 99999999999999999999\n",
                             "pid 1",
                             "pid -4\n",
                             ("something that is much longer than a process number could "
                              "ever be, and has no end of line")};
    for (size_t index = 0; index < sizeof garbage / sizeof garbage[0]; index++) {
        int lock = DATA_LOCK_NONE;
        take(fixture->directory, &lock);
        FILE *file = fopen(fixture_path(fixture, "sluice.lock"), "w");
        assert_non_null(file);
        (void)fputs(garbage[index], file);
        (void)fclose(file);
        int second = DATA_LOCK_NONE;
        struct sluice_error error = {0};
        assert_int_equal(data_lock_take(fixture->directory, &second, &error),
                         SLUICE_STORAGE_LOCKED);
        assert_non_null(strstr(error.message, "another process holds"));
        data_lock_release(lock);
    }
}

static void a_path_that_cannot_be_a_directory_is_refused_with_the_reason(void **state)
{
    struct log_fixture *fixture = *state;
    char path[256];
    struct sluice_error error = {0};
    int lock = DATA_LOCK_NONE;
    (void)snprintf(path, sizeof path, "%s", fixture_path(fixture, "file"));
    make_file(path);
    assert_int_equal(data_lock_take(path, &lock, &error), SLUICE_STORAGE_IO);
    assert_non_null(strstr(error.message, "not a directory"));
    (void)snprintf(path, sizeof path, "%s", fixture_path(fixture, "file/below"));
    assert_int_equal(data_lock_take(path, &lock, &error), SLUICE_STORAGE_IO);
    assert_non_null(strstr(error.message, "a part of the path is a file"));
    assert_int_equal(data_lock_take("", &lock, &error), SLUICE_STORAGE_IO);
    char *longest = malloc(PATH_MAX + 2);
    assert_non_null(longest);
    memset(longest, 'x', PATH_MAX + 1);
    longest[PATH_MAX + 1] = '\0';
    assert_int_equal(data_lock_take(longest, &lock, &error), SLUICE_STORAGE_IO);
    free(longest);
    assert_int_equal(lock, DATA_LOCK_NONE);
}

/* In a process without root's powers: 0 when `path` was refused with advice on access. */
static int try_without_powers(const char *path)
{
    struct sluice_error error = {0};
    int lock = DATA_LOCK_NONE;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
        return 1;
    }
    if (data_lock_take(path, &lock, &error) != SLUICE_STORAGE_IO) {
        return 2;
    }
    return strstr(error.message, "write access") != NULL ? 0 : 3;
}

static void a_directory_that_is_not_writable_is_refused_with_the_reason(void **state)
{
    struct log_fixture *fixture = *state;
    assert_int_equal(chmod(fixture->directory, 0555), 0);
    const char *paths[] = {"", "below"};
    for (size_t index = 0; index < 2; index++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(try_without_powers(fixture_path(fixture, paths[index])));
        }
        int result = -1;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_int_equal(result, 0);
    }
    assert_int_equal(chmod(fixture->directory, 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_directory_is_made_with_its_parents_for_this_user_only),
        TEST(a_relative_path_is_taken_from_the_working_directory),
        TEST(the_lock_file_names_the_process),
        TEST(a_second_taker_is_told_who_holds_the_directory),
        TEST(a_killed_process_leaves_no_lock_behind),
        TEST(garbage_in_the_lock_file_does_no_harm),
        TEST(a_path_that_cannot_be_a_directory_is_refused_with_the_reason),
        TEST(a_directory_that_is_not_writable_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
