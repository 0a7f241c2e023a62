/* state_file: the backend id between runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/state_file.h"

#define ID SLICE("V1StGXR8_Z5jdHi6B-myT")
#define OTHER_ID SLICE("another-backend-id-12")

static char directory[64];
static char path[128];

static int set_up(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/sluice-state-XXXXXX",
                   parent != NULL && strlen(parent) < 32 ? parent : "/tmp");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/state", directory);
    return 0;
}

/* Files in the directory; removes them when told so. */
static unsigned count_files(bool remove_them)
{
    unsigned count = 0;
    DIR *opened = opendir(directory);
    assert_non_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        if (entry->d_name[0] != '.') {
            count++;
            if (remove_them) {
                assert_int_equal(unlinkat(dirfd(opened), entry->d_name, 0), 0);
            }
        }
    }
    (void)closedir(opened);
    return count;
}

static int tear_down(void **state)
{
    (void)state;
    (void)count_files(true);
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

static void put(const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void assert_loads(struct slice id)
{
    char out[SLUICE_BACKEND_ID_BYTES_MAX];
    size_t bytes = 77;
    struct sluice_error error = {0};
    if (state_file_load(path, out, &bytes, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(slice_equal(slice_make(out, bytes), id));
}

static void save(struct slice id)
{
    struct sluice_error error = {0};
    if (state_file_save(path, id, &error) != SLUICE_OK) {
        fail_msg("%s", error.message);
    }
}

static void without_a_file_no_id_is_known(void **state)
{
    (void)state;
    assert_loads(SLICE_EMPTY);
    assert_int_equal(count_files(false), 0);
}

static void an_id_that_was_saved_is_loaded_and_a_later_one_replaces_it(void **state)
{
    (void)state;
    save(ID);
    assert_loads(ID);
    save(OTHER_ID);
    assert_loads(OTHER_ID);
    assert_int_equal(count_files(false), 1);
}

static void the_file_is_one_line_that_only_this_user_can_read(void **state)
{
    (void)state;
    save(ID);
    char text[64] = {0};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), ID.bytes + 1);
    (void)fclose(file);
    assert_string_equal(text, "V1StGXR8_Z5jdHi6B-myT\n");
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

static void the_longest_id_has_sixty_four_bytes(void **state)
{
    (void)state;
    char longest[SLUICE_BACKEND_ID_BYTES_MAX + 1];
    memset(longest, 'x', sizeof longest);
    save(slice_make(longest, SLUICE_BACKEND_ID_BYTES_MAX));
    assert_loads(slice_make(longest, SLUICE_BACKEND_ID_BYTES_MAX));
    assert_int_equal(state_file_save(path, slice_make(longest, sizeof longest), NULL),
                     SLUICE_INVALID);
    assert_loads(slice_make(longest, SLUICE_BACKEND_ID_BYTES_MAX));
}

static void a_line_without_its_end_and_an_empty_file_are_taken(void **state)
{
    (void)state;
    put("abc", 3);
    assert_loads(SLICE("abc"));
    put("", 0);
    assert_loads(SLICE_EMPTY);
}

static void a_file_that_holds_something_else_is_refused_and_left_as_it_is(void **state)
{
    (void)state;
    char too_long[66];
    memset(too_long, 'x', sizeof too_long);
    const struct slice contents[] = {SLICE("\n"),      SLICE("abc\n\n"), SLICE("abc\ndef\n"),
                                     SLICE("a\tb\n"),  SLICE("a\0b\n"),  SLICE("\xff\xfe\n"),
                                     SLICE("abc\r\n"), {too_long, 65},   {too_long, 66}};
    for (size_t index = 0; index < sizeof contents / sizeof contents[0]; index++) {
        char out[SLUICE_BACKEND_ID_BYTES_MAX] = "untouched";
        size_t bytes = 77;
        struct sluice_error error = {0};
        put(contents[index].data, contents[index].bytes);
        assert_int_equal(state_file_load(path, out, &bytes, &error), SLUICE_MALFORMED);
        assert_non_null(strstr(error.message, path));
        assert_int_equal(bytes, 77);
        assert_string_equal(out, "untouched");
        struct stat found;
        assert_int_equal(stat(path, &found), 0);
        assert_int_equal(found.st_size, contents[index].bytes);
    }
}

static void an_id_that_would_not_come_back_is_not_saved(void **state)
{
    (void)state;
    const struct slice ids[] = {SLICE(""), SLICE("a\nb"), SLICE("a\0b"), SLICE("\x7f"),
                                SLICE("\xc3")};
    save(ID);
    for (size_t index = 0; index < sizeof ids / sizeof ids[0]; index++) {
        assert_int_equal(state_file_save(path, ids[index], NULL), SLUICE_INVALID);
    }
    assert_loads(ID);
    assert_int_equal(count_files(false), 1);
}

static void a_path_that_cannot_be_is_refused_with_the_reason(void **state)
{
    (void)state;
    char out[SLUICE_BACKEND_ID_BYTES_MAX];
    size_t bytes = 0;
    struct sluice_error error = {0};
    char below[160];
    (void)snprintf(below, sizeof below, "%s/no/such", directory);
    assert_int_equal(state_file_save(below, ID, &error), SLUICE_IO);
    assert_non_null(strstr(error.message, "No such file or directory"));
    assert_int_equal(state_file_load(directory, out, &bytes, &error), SLUICE_IO);
    assert_non_null(strstr(error.message, "Is a directory"));
    assert_int_equal(state_file_save(directory, ID, &error), SLUICE_IO);
    assert_int_equal(state_file_save("", ID, &error), SLUICE_IO);
    char *longest = malloc(PATH_MAX + 1);
    assert_non_null(longest);
    memset(longest, 'x', PATH_MAX);
    longest[PATH_MAX] = '\0';
    assert_int_equal(state_file_save(longest, ID, &error), SLUICE_IO);
    free(longest);
    assert_int_equal(count_files(true), 0);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    save(ID);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {5, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct sluice_error error = {0};
    enum sluice_status status = state_file_save(path, OTHER_ID, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, SLUICE_STORAGE_FULL);
    assert_non_null(strstr(error.message, path));
    assert_loads(ID);
    assert_int_equal(count_files(false), 1);
}

/* Writes the one and the other for ever; says so once. */
static void save_in_turns(int said)
{
    for (unsigned count = 0;; count++) {
        if (state_file_save(path, count % 2 == 0 ? ID : OTHER_ID, NULL) != SLUICE_OK) {
            _exit(1);
        }
        if (write(said, "x", 1) != 1) {
            _exit(1);
        }
    }
}

static void a_kill_at_any_moment_leaves_the_one_or_the_other(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        int said[2];
        assert_int_equal(pipe(said), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(said[0]);
            save_in_turns(said[1]);
        }
        (void)close(said[1]);
        char byte;
        for (unsigned count = 0; count <= round; count++) {
            assert_int_equal(read(said[0], &byte, 1), 1);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        (void)close(said[0]);
        char out[SLUICE_BACKEND_ID_BYTES_MAX];
        size_t bytes = 0;
        assert_int_equal(state_file_load(path, out, &bytes, NULL), SLUICE_OK);
        struct slice id = slice_make(out, bytes);
        assert_true(slice_equal(id, ID) || slice_equal(id, OTHER_ID));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_no_id_is_known),
        TEST(an_id_that_was_saved_is_loaded_and_a_later_one_replaces_it),
        TEST(the_file_is_one_line_that_only_this_user_can_read),
        TEST(the_longest_id_has_sixty_four_bytes),
        TEST(a_line_without_its_end_and_an_empty_file_are_taken),
        TEST(a_file_that_holds_something_else_is_refused_and_left_as_it_is),
        TEST(an_id_that_would_not_come_back_is_not_saved),
        TEST(a_path_that_cannot_be_is_refused_with_the_reason),
        TEST(a_full_disk_leaves_the_old_file),
        TEST(a_kill_at_any_moment_leaves_the_one_or_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
