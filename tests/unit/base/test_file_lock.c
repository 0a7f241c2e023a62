#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file_lock.h"

static char path[96];

static int set_up(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/sluice-lock-XXXXXX",
                   parent != NULL && strlen(parent) < 64 ? parent : "/tmp");
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    return unlink(path); /* only its name is wanted */
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static void a_lock_is_taken_once_also_within_one_process(void **state)
{
    (void)state;
    int first = FILE_LOCK_NONE;
    int second = FILE_LOCK_NONE;
    long long holder = 0;
    assert_int_equal(file_lock_take(path, &first, &holder), 0);
    assert_int_equal(file_lock_take(path, &second, &holder), EWOULDBLOCK);
    assert_int_equal(holder, getpid());
    assert_int_equal(second, FILE_LOCK_NONE);
    file_lock_release(first);
    assert_int_equal(file_lock_take(path, &second, &holder), 0);
    file_lock_release(second);
    file_lock_release(FILE_LOCK_NONE);
}

static void the_file_is_for_this_user_and_stays(void **state)
{
    (void)state;
    int lock = FILE_LOCK_NONE;
    long long holder = 0;
    struct stat found;
    assert_int_equal(file_lock_take(path, &lock, &holder), 0);
    file_lock_release(lock);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

static void a_lock_ends_with_its_process_however_that_ends(void **state)
{
    (void)state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    int lock = FILE_LOCK_NONE;
    long long holder = 0;
    char byte = 0;
    if (child == 0) {
        byte = file_lock_take(path, &lock, &holder) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(file_lock_take(path, &lock, &holder), EWOULDBLOCK);
    assert_int_equal(holder, child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(file_lock_take(path, &lock, &holder), 0);
    file_lock_release(lock);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void a_holder_that_did_not_write_itself_down_is_unknown(void **state)
{
    (void)state;
    int lock = FILE_LOCK_NONE;
    int second = FILE_LOCK_NONE;
    long long holder = 77;
    assert_int_equal(file_lock_take(path, &lock, &holder), 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(file_lock_take(path, &second, &holder), EWOULDBLOCK);
    assert_int_equal(holder, 0);
    file_lock_release(lock);
}

static void what_cannot_be_opened_is_told_by_its_errno(void **state)
{
    (void)state;
    int lock = FILE_LOCK_NONE;
    long long holder = 0;
    assert_int_equal(file_lock_take("/no/such/directory/lock", &lock, &holder), ENOENT);
    assert_int_equal(file_lock_take("/", &lock, &holder), EISDIR);
    assert_int_equal(lock, FILE_LOCK_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lock_is_taken_once_also_within_one_process),
        TEST(the_file_is_for_this_user_and_stays),
        TEST(a_lock_ends_with_its_process_however_that_ends),
        TEST(a_holder_that_did_not_write_itself_down_is_unknown),
        TEST(what_cannot_be_opened_is_told_by_its_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
