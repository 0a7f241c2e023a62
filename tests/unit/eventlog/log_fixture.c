/* log_fixture: the calls of the eventlog, made to wait. Aborts on anything that is not the test's
 * matter, such as a directory that cannot be made. */
#include "log_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

static void wake(void *wake_user)
{
    struct log_fixture *fixture = wake_user;
    atomic_fetch_add(&fixture->wakes, 1);
    SLUICE_ASSERT(sem_post(&fixture->woken) == 0);
}

void fixture_init(struct log_fixture *fixture, enum log_kind kind)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->kind = kind;
    const char *parent = getenv("TMPDIR");
    int bytes = snprintf(fixture->directory, sizeof fixture->directory, "%s/sluice-test-XXXXXX",
                         parent != NULL && strlen(parent) < 32 ? parent : "/tmp");
    SLUICE_ASSERT(bytes > 0 && (size_t)bytes < sizeof fixture->directory);
    SLUICE_ASSERT(mkdtemp(fixture->directory) != NULL);
    SLUICE_ASSERT(sem_init(&fixture->woken, 0, 0) == 0);
}

static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        char child[512];
        (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (unlink(child) != 0) {
            remove_directory(child);
        }
    }
    (void)closedir(directory);
    (void)rmdir(path);
}

void fixture_deinit(struct log_fixture *fixture)
{
    fixture_close(fixture);
    remove_directory(fixture->directory);
    (void)sem_destroy(&fixture->woken);
}

enum sluice_status fixture_open(struct log_fixture *fixture, struct sluice_error *error)
{
    struct eventlog_options options = {
        .data_path = fixture->kind == LOG_MEMORY ? ":memory:" : fixture->directory,
        .reader_threads = fixture->reader_threads,
        .wake = wake,
        .wake_user = fixture,
        .sqlite_vfs = fixture->vfs,
        .sqlite_checkpoint_pages = fixture->checkpoint_pages,
    };
    return eventlog_open(&options, &fixture->log, error);
}

void fixture_close(struct log_fixture *fixture)
{
    eventlog_close(fixture->log);
    fixture->log = NULL;
}

const char *fixture_path(const struct log_fixture *fixture, const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    return path;
}

void fixture_execute_sql(const struct log_fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    SLUICE_ASSERT(sqlite3_open(fixture_path(fixture, "sluice.db"), &db) == SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", sql, message);
        abort();
    }
    SLUICE_ASSERT(sqlite3_close(db) == SQLITE_OK);
}

void fixture_wait(struct log_fixture *fixture)
{
    while (eventlog_pending(fixture->log) > 0) {
        while (sem_wait(&fixture->woken) != 0) {
            SLUICE_ASSERT(errno == EINTR);
        }
        (void)eventlog_poll(fixture->log);
    }
}

struct event fixture_event(uint64_t seq_num, uint64_t parent_seq_num)
{
    static char texts[4096][96];
    static size_t next;
    char *args = texts[next++ % 4096];
    int bytes = snprintf(args, sizeof texts[0], "{\"id\":\"todo-%llu\",\"after\":%llu}",
                         (unsigned long long)seq_num, (unsigned long long)parent_seq_num);
    return (struct event){
        .seq_num = seq_num,
        .parent_seq_num = parent_seq_num,
        .name = seq_num % 2 == 0 ? SLICE("v1.TodoCreated") : SLICE("v1.TodoCompleted"),
        .args = slice_make(args, (size_t)bytes),
        .client_id = SLICE("client-a"),
        .session_id = SLICE("session-1"),
    };
}

static void append_done(struct eventlog_append *append)
{
    (void)append;
}

enum sluice_status fixture_append(struct log_fixture *fixture, struct slice store_id,
                                  uint64_t expected_head, struct event *events, size_t count,
                                  struct eventlog_append *append)
{
    struct eventlog_append own = {0};
    struct eventlog_append *used = append != NULL ? append : &own;
    *used = (struct eventlog_append){.store_id = store_id,
                                     .expected_head = expected_head,
                                     .events = events,
                                     .event_count = count,
                                     .done = append_done};
    eventlog_submit_append(fixture->log, used);
    fixture_wait(fixture);
    return used->status;
}

enum sluice_status fixture_append_range(struct log_fixture *fixture, struct slice store_id,
                                        uint64_t first, uint64_t last)
{
    size_t count = (size_t)(last - first + 1);
    struct event *events = calloc(count, sizeof *events);
    SLUICE_ASSERT(events != NULL);
    for (size_t index = 0; index < count; index++) {
        events[index] = fixture_event(first + index, first + index - 1);
    }
    enum sluice_status status = fixture_append(fixture, store_id, first - 1, events, count, NULL);
    free(events);
    return status;
}

static struct slice copy_slice(struct slice source)
{
    char *copy = malloc(source.bytes + 1);
    SLUICE_ASSERT(copy != NULL);
    if (source.bytes > 0) {
        memcpy(copy, source.data, source.bytes);
    }
    return slice_make(copy, source.bytes);
}

static enum sluice_status visit(struct eventlog_read *read, const struct event *event, bool *stop)
{
    struct collected *collected = (struct collected *)read;
    if (collected->fail_after > 0 && collected->count + 1 >= collected->fail_after) {
        return error_set(&read->error, SLUICE_LIMIT, "the visitor had enough");
    }
    struct event *events =
        realloc(collected->events, (collected->count + 1) * sizeof collected->events[0]);
    SLUICE_ASSERT(events != NULL);
    collected->events = events;
    struct event *copy = &events[collected->count++];
    *copy = *event;
    copy->name = copy_slice(event->name);
    copy->args = copy_slice(event->args);
    copy->client_id = copy_slice(event->client_id);
    copy->session_id = copy_slice(event->session_id);
    *stop = collected->count == collected->stop_after;
    return SLUICE_OK;
}

static void finish(struct eventlog_read *read)
{
    struct collected *collected = (struct collected *)read;
    collected->finished = true;
    collected->finished_before_outputs =
        read->status != SLUICE_OK || read->events_read != collected->count;
}

static void read_done(struct eventlog_read *read)
{
    (void)read;
}

void collected_prepare(struct collected *collected, struct slice store_id, uint64_t after_seq_num,
                       size_t events_max, void (*done)(struct eventlog_read *read))
{
    collected->read = (struct eventlog_read){.store_id = store_id,
                                             .after_seq_num = after_seq_num,
                                             .events_max = events_max,
                                             .visit = visit,
                                             .finish = finish,
                                             .done = done};
    /* Answers must be written, not left over: so begin with wrong ones. */
    collected->read.status = SLUICE_STATUS_COUNT;
    collected->read.events_read = 777;
    collected->read.last_seq_num = 777;
    collected->read.remaining = 777;
    collected->read.info.head = 777;
    collected->read.info.event_count = 777;
}

enum sluice_status fixture_read(struct log_fixture *fixture, struct slice store_id,
                                uint64_t after_seq_num, size_t events_max,
                                struct collected *collected)
{
    collected_prepare(collected, store_id, after_seq_num, events_max, read_done);
    eventlog_submit_read(fixture->log, &collected->read);
    fixture_wait(fixture);
    return collected->read.status;
}

void collected_deinit(struct collected *collected)
{
    for (size_t index = 0; index < collected->count; index++) {
        struct event *event = &collected->events[index];
        free((void *)event->name.data);
        free((void *)event->args.data);
        free((void *)event->client_id.data);
        free((void *)event->session_id.data);
    }
    free(collected->events);
    memset(collected, 0, sizeof *collected);
}

struct eventlog_store_info fixture_info(struct log_fixture *fixture, struct slice store_id)
{
    struct collected collected = {0};
    enum sluice_status status = fixture_read(fixture, store_id, 0, 0, &collected);
    SLUICE_ASSERT(status == SLUICE_OK);
    SLUICE_ASSERT(collected.count == 0);
    return collected.read.info;
}

bool event_equal(const struct event *a, const struct event *b)
{
    return a->seq_num == b->seq_num && a->parent_seq_num == b->parent_seq_num &&
           slice_equal(a->name, b->name) && slice_equal(a->args, b->args) &&
           slice_equal(a->client_id, b->client_id) && slice_equal(a->session_id, b->session_id);
}
