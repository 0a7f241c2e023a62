/* sim_writer: a program with an outbox. It commits events, applies what it is told of, and is
 * killed and started again. What it has applied and its outbox outlive that, as files do. */
#include <stdlib.h>

#include "base/assert.h"
#include "client/outbox_memory.h"
#include "sim_client.h"

struct applied {
    uint64_t seq_num;
    uint64_t commit_id; /* 0: it was not ours */
};

/* An outbox on a disk that is full at times. */
struct disk {
    struct outbox outbox; /* first */
    struct outbox *engine;
    struct sim *sim;
};

struct writer {
    struct sim_client *client;
    struct disk disk;
    struct applied *applied;
    size_t applied_count;
    size_t applied_max;
    size_t confirmed_count;
    bool halted;
};

/* ---- the disk ---- */

static struct outbox *engine_of(struct outbox *outbox)
{
    return ((struct disk *)outbox)->engine;
}

static bool is_full(struct outbox *outbox)
{
    return sim_chance(((struct disk *)outbox)->sim, 2);
}

static void disk_destroy(struct outbox *outbox)
{
    engine_of(outbox)->ops->destroy(engine_of(outbox));
}

static enum sluice_status disk_state(struct outbox *outbox, struct outbox_state *out,
                                     struct sluice_error *error)
{
    return engine_of(outbox)->ops->state(engine_of(outbox), out, error);
}

static enum sluice_status disk_append(struct outbox *outbox, const struct sluice_event *event,
                                      struct sluice_commit *out, struct sluice_error *error)
{
    if (is_full(outbox)) {
        return error_set(error, SLUICE_STORAGE_FULL, "the disk is full");
    }
    return engine_of(outbox)->ops->append(engine_of(outbox), event, out, error);
}

static enum sluice_status disk_read(struct outbox *outbox, uint64_t after_seq_num,
                                    size_t event_count_max, size_t bytes_max, struct arena *arena,
                                    struct outbox_batch *out, struct sluice_error *error)
{
    return engine_of(outbox)->ops->read(engine_of(outbox), after_seq_num, event_count_max,
                                        bytes_max, arena, out, error);
}

static enum sluice_status disk_advance(struct outbox *outbox, const struct outbox_advance *advance,
                                       struct sluice_rebase *out, struct sluice_error *error)
{
    if (is_full(outbox)) {
        return error_set(error, SLUICE_STORAGE_FULL, "the disk is full");
    }
    return engine_of(outbox)->ops->advance(engine_of(outbox), advance, out, error);
}

static enum sluice_status disk_reset(struct outbox *outbox, struct sluice_rebase *out,
                                     struct sluice_error *error)
{
    return engine_of(outbox)->ops->reset(engine_of(outbox), out, error);
}

static const struct outbox_ops DISK_OPS = {.destroy = disk_destroy,
                                           .state = disk_state,
                                           .append = disk_append,
                                           .read = disk_read,
                                           .advance = disk_advance,
                                           .reset = disk_reset};

static struct outbox_state state_of(struct writer *writer)
{
    struct outbox_state state;
    SLUICE_ASSERT(disk_state(&writer->disk.outbox, &state, NULL) == SLUICE_OK);
    return state;
}

/* ---- what it is told ---- */

static uint64_t head_of(const struct writer *writer)
{
    return writer->applied_count > 0 ? writer->applied[writer->applied_count - 1].seq_num : 0;
}

/* It comes again because the outbox could not note it: it must say the same. */
static void check_again(struct writer *writer, const struct sluice_event *event, uint64_t commit_id)
{
    for (size_t i = writer->applied_count; i > 0; i--) {
        if (writer->applied[i - 1].seq_num == event->seq_num) {
            SIM_CHECK(writer->client->sim, writer->applied[i - 1].commit_id == commit_id,
                      "writer %u: event %llu was commit %llu and is now %llu",
                      writer->client->number, (unsigned long long)event->seq_num,
                      (unsigned long long)writer->applied[i - 1].commit_id,
                      (unsigned long long)commit_id);
            return;
        }
    }
    sim_fail(writer->client->sim, "writer %u: event %llu comes after event %llu",
             writer->client->number, (unsigned long long)event->seq_num,
             (unsigned long long)head_of(writer));
}

static void apply(struct writer *writer, const struct sluice_event *event, uint64_t commit_id)
{
    struct sim_client *client = writer->client;
    unsigned maker = 0;
    size_t n = 0;
    sim_client_check_event(client, event);
    if (event->seq_num <= head_of(writer)) {
        check_again(writer, event, commit_id);
        return;
    }
    SIM_CHECK(client->sim, event->parent_seq_num == head_of(writer),
              "writer %u: event %llu skips some after %llu", client->number,
              (unsigned long long)event->seq_num, (unsigned long long)head_of(writer));
    SLUICE_ASSERT(sim_args_read(event->args.data, event->args.bytes, &maker, &n));
    bool is_ours = maker == client->number;
    SIM_CHECK(client->sim, is_ours == (commit_id != 0),
              "writer %u: event %llu is %s and told as commit %llu", client->number,
              (unsigned long long)event->seq_num, is_ours ? "its own" : "another's",
              (unsigned long long)commit_id);
    if (is_ours) {
        SIM_CHECK(client->sim, n == commit_id && commit_id == writer->confirmed_count + 1,
                  "writer %u: commit %zu is confirmed as %llu after %zu", client->number, n,
                  (unsigned long long)commit_id, writer->confirmed_count);
        writer->confirmed_count++;
    }
    if (writer->applied_count == writer->applied_max) {
        writer->applied_max = writer->applied_max == 0 ? 256 : 2 * writer->applied_max;
        writer->applied = realloc(writer->applied, writer->applied_max * sizeof(*writer->applied));
        SLUICE_ASSERT(writer->applied != NULL);
    }
    writer->applied[writer->applied_count++] =
        (struct applied){.seq_num = event->seq_num, .commit_id = commit_id};
}

static void on_advanced(void *user, const struct sluice_advance *advance)
{
    struct writer *writer = user;
    struct outbox_state state = state_of(writer);
    SIM_CHECK(writer->client->sim,
              advance->confirmed_count <= advance->page.event_count &&
                  advance->confirmed_count <= state.pending_count,
              "writer %u: more is confirmed than there is", writer->client->number);
    bool foreign = advance->confirmed_count < advance->page.event_count;
    bool some_left = advance->confirmed_count < state.pending_count;
    SIM_CHECK(writer->client->sim, advance->rebases == (foreign && some_left),
              "writer %u: a rebase is %stold", writer->client->number,
              advance->rebases ? "" : "not ");
    for (size_t i = 0; i < advance->page.event_count; i++) {
        apply(writer, &advance->page.events[i],
              i < advance->confirmed_count ? advance->first_confirmed_commit_id + i : 0);
    }
}

static void on_rebased(void *user, const struct sluice_rebase *rebase)
{
    struct writer *writer = user;
    struct outbox_state state = state_of(writer);
    SIM_CHECK(writer->client->sim,
              rebase->count == state.pending_count &&
                  rebase->first_seq_num == state.upstream_head + 1 &&
                  rebase->first_commit_id == writer->confirmed_count + 1,
              "writer %u: a rebase of %zu from commit %llu to %llu, on %zu pending after %llu",
              writer->client->number, rebase->count, (unsigned long long)rebase->first_commit_id,
              (unsigned long long)rebase->first_seq_num, state.pending_count,
              (unsigned long long)state.upstream_head);
}

static void on_failed(void *user, const struct sluice_failure *failure, bool halted)
{
    struct writer *writer = user;
    sim_trace(writer->client->sim, "writer %u: %s%s", writer->client->number,
              failure->error.message, halted ? " (halted)" : "");
    writer->halted = writer->halted || halted;
}

static const struct sluice_outbox_callbacks CALLBACKS = {
    .advanced = on_advanced, .rebased = on_rebased, .failed = on_failed};

/* ---- life ---- */

static void *writer_create(struct sim_client *client)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    SLUICE_ASSERT(writer != NULL);
    writer->client = client;
    writer->disk = (struct disk){
        .outbox = {.ops = &DISK_OPS}, .engine = outbox_memory_create(), .sim = client->sim};
    SLUICE_ASSERT(writer->disk.engine != NULL);
    return writer;
}

static void writer_destroy(void *program)
{
    struct writer *writer = program;
    disk_destroy(&writer->disk.outbox);
    free(writer->applied);
    free(writer);
}

static void writer_started(void *program)
{
    struct writer *writer = program;
    struct sim_client *client = writer->client;
    writer->halted = false;
    SLUICE_ASSERT(client_core_attach_outbox(client->core, &writer->disk.outbox, &CALLBACKS, writer,
                                            client->sim->now_ms) == SLUICE_OK);
}

static void writer_ended(void *program)
{
    (void)program;
}

static void commit(struct writer *writer)
{
    struct sim_client *client = writer->client;
    char args[SIM_ARGS_BYTES_MAX];
    struct sluice_commit done = {0};
    size_t n = client->made_count + 1;
    struct sluice_event event = {.name = sluice_text_of("committed"),
                                 .args = {args, sim_args_write(args, client->number, n)},
                                 .client_id = sluice_text_of("writer"),
                                 .session_id = sluice_text_of("session")};
    if (disk_append(&writer->disk.outbox, &event, &done, NULL) == SLUICE_OK) {
        SIM_CHECK(client->sim, done.commit_id == n, "commit %zu has the id %llu", n,
                  (unsigned long long)done.commit_id);
        client->made_count = n;
    }
}

static void writer_act(void *program)
{
    struct writer *writer = program;
    struct sim_client *client = writer->client;
    size_t count = sim_chance(client->sim, 2) ? sim_between(client->sim, 90, 230)
                                              : sim_between(client->sim, 1, 4);
    for (size_t i = 0; i < count; i++) {
        commit(writer);
    }
    client_core_outbox_grew(client->core, client->sim->now_ms);
}

static bool writer_has_finished(void *program)
{
    struct writer *writer = program;
    size_t log_count = 0;
    (void)sim_server_log(writer->client->server, &log_count);
    if (writer->halted) { /* the program's answer: it starts again */
        sim_client_kill(writer->client);
        return false;
    }
    return writer->client->core != NULL && writer->confirmed_count == writer->client->made_count &&
           writer->applied_count == log_count &&
           state_of(writer).upstream_head == head_of(writer) &&
           client_core_is_connected(writer->client->core);
}

static void writer_check(void *program, const unsigned *counts)
{
    struct writer *writer = program;
    struct outbox_state state = state_of(writer);
    struct sim *sim = writer->client->sim;
    SIM_CHECK(sim, state.pending_count == 0 && state.upstream_head == head_of(writer),
              "writer %u: the outbox is at %llu with %zu pending, the program at %llu",
              writer->client->number, (unsigned long long)state.upstream_head, state.pending_count,
              (unsigned long long)head_of(writer));
    for (size_t n = 1; n <= writer->client->made_count; n++) {
        SIM_CHECK(sim, counts[n] == 1, "writer %u: commit %zu is %u times in the log",
                  writer->client->number, n, counts[n]);
    }
}

const struct sim_program SIM_WRITER = {.create = writer_create,
                                       .destroy = writer_destroy,
                                       .started = writer_started,
                                       .ended = writer_ended,
                                       .act = writer_act,
                                       .has_finished = writer_has_finished,
                                       .check = writer_check};
