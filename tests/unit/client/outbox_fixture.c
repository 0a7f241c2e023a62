/* outbox_fixture: see outbox_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "outbox_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "client/outbox_memory.h"
#include "client/outbox_sqlite.h"

void outbox_fixture_init(struct outbox_fixture *fixture, enum outbox_kind kind)
{
    *fixture = (struct outbox_fixture){.kind = kind};
    const char *parent = getenv("TMPDIR");
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/sluice-outbox-XXXXXX",
                   parent != NULL && strlen(parent) < 32 ? parent : "/tmp");
    SLUICE_ASSERT(mkdtemp(fixture->directory) != NULL);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/outbox.db", fixture->directory);
    arena_init(&fixture->arena, SIZE_MAX);
}

void outbox_fixture_deinit(struct outbox_fixture *fixture)
{
    outbox_fixture_close(fixture);
    DIR *directory = opendir(fixture->directory);
    SLUICE_ASSERT(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        const char *path = outbox_fixture_path(fixture, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0) {
            (void)rmdir(path);
        }
    }
    (void)closedir(directory);
    (void)rmdir(fixture->directory);
    arena_deinit(&fixture->arena);
}

enum sluice_status outbox_fixture_open(struct outbox_fixture *fixture, struct sluice_error *error)
{
    if (fixture->kind == OUTBOX_MEMORY) {
        fixture->outbox = outbox_memory_create();
        return fixture->outbox != NULL ? SLUICE_OK : SLUICE_NO_MEMORY;
    }
    return outbox_sqlite_open(fixture->path, SLICE("shop"), &fixture->outbox, error);
}

void outbox_fixture_close(struct outbox_fixture *fixture)
{
    if (fixture->outbox != NULL) {
        fixture->outbox->ops->destroy(fixture->outbox);
        fixture->outbox = NULL;
    }
}

const char *outbox_fixture_path(const struct outbox_fixture *fixture, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    return path;
}

struct sluice_event numbered_event(unsigned number)
{
    static char texts[64][32];
    static size_t next;
    char *args = texts[next++ % 64];
    (void)snprintf(args, sizeof texts[0], "{\"n\":%u}", number);
    return (struct sluice_event){.name = sluice_text_of("v1.Counted"),
                                 .args = sluice_text_of(args),
                                 .client_id = sluice_text_of("client-a"),
                                 .session_id = sluice_text_of("session-1")};
}

unsigned event_number(const struct sluice_event *event)
{
    char text[32] = {0};
    unsigned number = 0;
    memcpy(text, event->args.data, event->args.bytes < 31 ? event->args.bytes : 31);
    assert_int_equal(sscanf(text, "{\"n\":%u}", &number), 1);
    return number;
}

static void expect_ok(enum sluice_status status, const struct sluice_error *error)
{
    if (status != SLUICE_OK) {
        fail_msg("%s", error->message);
    }
}

struct outbox_state outbox_fixture_state(struct outbox_fixture *fixture)
{
    struct outbox_state state = {0};
    struct sluice_error error = {0};
    expect_ok(fixture->outbox->ops->state(fixture->outbox, &state, &error), &error);
    return state;
}

struct sluice_commit outbox_fixture_append(struct outbox_fixture *fixture, unsigned number)
{
    struct sluice_event event = numbered_event(number);
    struct sluice_commit commit = {0};
    struct sluice_error error = {0};
    expect_ok(fixture->outbox->ops->append(fixture->outbox, &event, &commit, &error), &error);
    return commit;
}

struct outbox_batch outbox_fixture_read(struct outbox_fixture *fixture, uint64_t after_seq_num,
                                        size_t event_count_max, size_t bytes_max)
{
    struct outbox_batch batch = {0};
    struct sluice_error error = {0};
    arena_deinit(&fixture->arena);
    expect_ok(fixture->outbox->ops->read(fixture->outbox, after_seq_num, event_count_max, bytes_max,
                                         &fixture->arena, &batch, &error),
              &error);
    return batch;
}

struct sluice_rebase outbox_fixture_advance(struct outbox_fixture *fixture, size_t confirmed_count,
                                            uint64_t upstream_head, bool rebases)
{
    struct outbox_advance advance = {
        .confirmed_count = confirmed_count, .upstream_head = upstream_head, .rebases = rebases};
    struct sluice_rebase rebase = {.count = 77};
    struct sluice_error error = {0};
    expect_ok(fixture->outbox->ops->advance(fixture->outbox, &advance, &rebase, &error), &error);
    return rebase;
}

void outbox_fixture_expect(struct outbox_fixture *fixture, uint64_t upstream_head, unsigned first,
                           unsigned last)
{
    size_t count = first <= last ? last - first + 1 : 0;
    struct outbox_state state = outbox_fixture_state(fixture);
    assert_int_equal(state.upstream_head, upstream_head);
    assert_int_equal(state.local_head, upstream_head + count);
    assert_int_equal(state.pending_count, count);
    struct outbox_batch batch = outbox_fixture_read(fixture, 0, SIZE_MAX, SIZE_MAX);
    assert_int_equal(batch.event_count, count);
    assert_int_equal(batch.generation, state.generation);
    for (size_t index = 0; index < count; index++) {
        const struct sluice_event *event = &batch.events[index];
        assert_int_equal(event_number(event), first + index);
        assert_int_equal(event->parent_seq_num, upstream_head + index);
        assert_int_equal(event->seq_num, upstream_head + index + 1);
    }
    if (count > 0) {
        assert_int_equal(batch.first_commit_id, state.last_commit_id - count + 1);
    }
}
