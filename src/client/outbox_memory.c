/* outbox_memory: see outbox_memory.h. Under the core, in place of a file. Owns copies of the
 * pending events, in a list in their order. One thread. */
#include "client/outbox_memory.h"

#include <stdlib.h>

#include "client/client_event.h"
#include "client/outbox_read.h"

struct memory_event {
    struct memory_event *next;
    struct arena arena; /* the texts */
    struct sluice_event event;
};

struct memory_outbox {
    struct outbox outbox; /* first, so that the one pointer is the other */
    struct outbox_numbers numbers;
    struct memory_event *first;
    struct memory_event **end; /* where the next one is linked */
};

static struct memory_outbox *memory_of(struct outbox *outbox)
{
    return (struct memory_outbox *)outbox;
}

static void drop_first(struct memory_outbox *memory)
{
    struct memory_event *event = memory->first;
    memory->first = event->next;
    if (memory->first == NULL) {
        memory->end = &memory->first;
    }
    arena_deinit(&event->arena);
    free(event);
}

static void memory_destroy(struct outbox *outbox)
{
    struct memory_outbox *memory = memory_of(outbox);
    while (memory->first != NULL) {
        drop_first(memory);
    }
    free(memory);
}

static enum sluice_status memory_state(struct outbox *outbox, struct outbox_state *out,
                                       struct sluice_error *error)
{
    (void)error;
    *out = outbox_numbers_state(&memory_of(outbox)->numbers);
    return SLUICE_OK;
}

static struct memory_event *copy_event(const struct sluice_event *event)
{
    struct memory_event *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    copy->next = NULL;
    arena_init(&copy->arena, SIZE_MAX);
    if (client_event_copy(&copy->arena, event, &copy->event) != SLUICE_OK) {
        arena_deinit(&copy->arena);
        free(copy);
        return NULL;
    }
    return copy;
}

static enum sluice_status memory_append(struct outbox *outbox, const struct sluice_event *event,
                                        struct sluice_commit *out, struct sluice_error *error)
{
    struct memory_outbox *memory = memory_of(outbox);
    struct outbox_numbers next;
    struct sluice_commit commit;
    enum sluice_status status = outbox_numbers_append(&memory->numbers, &next, &commit, error);
    if (status != SLUICE_OK) {
        return status;
    }
    struct memory_event *copy = copy_event(event);
    if (copy == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a pending event");
    }
    *memory->end = copy;
    memory->end = &copy->next;
    memory->numbers = next;
    *out = commit;
    return SLUICE_OK;
}

static enum sluice_status memory_read(struct outbox *outbox, uint64_t after_seq_num,
                                      size_t event_count_max, size_t bytes_max, struct arena *arena,
                                      struct outbox_batch *out, struct sluice_error *error)
{
    struct memory_outbox *memory = memory_of(outbox);
    struct outbox_read read;
    enum sluice_status status = outbox_read_begin(&read, &memory->numbers, after_seq_num,
                                                  event_count_max, bytes_max, arena, error);
    const struct memory_event *event = memory->first;
    for (uint64_t id = memory->numbers.confirmed_commit_id + 1; id < read.first_commit_id; id++) {
        event = event->next;
    }
    for (; status == SLUICE_OK && outbox_read_wants(&read); event = event->next) {
        status = outbox_read_take(&read, &event->event, error);
    }
    if (status == SLUICE_OK) {
        *out = read.batch;
    }
    return status;
}

static void keep(struct memory_outbox *memory, const struct outbox_numbers *next)
{
    while (memory->numbers.confirmed_commit_id < next->confirmed_commit_id) {
        memory->numbers.confirmed_commit_id++;
        drop_first(memory);
    }
    memory->numbers = *next;
}

static enum sluice_status memory_advance(struct outbox *outbox,
                                         const struct outbox_advance *advance,
                                         struct sluice_rebase *out, struct sluice_error *error)
{
    struct memory_outbox *memory = memory_of(outbox);
    struct outbox_numbers next;
    enum sluice_status status =
        outbox_numbers_advance(&memory->numbers, advance, &next, out, error);
    if (status == SLUICE_OK) {
        keep(memory, &next);
    }
    return status;
}

static enum sluice_status memory_reset(struct outbox *outbox, struct sluice_rebase *out,
                                       struct sluice_error *error)
{
    (void)error;
    struct memory_outbox *memory = memory_of(outbox);
    struct outbox_numbers next;
    outbox_numbers_reset(&memory->numbers, &next, out);
    keep(memory, &next);
    return SLUICE_OK;
}

static const struct outbox_ops memory_ops = {
    .destroy = memory_destroy,
    .state = memory_state,
    .append = memory_append,
    .read = memory_read,
    .advance = memory_advance,
    .reset = memory_reset,
};

struct outbox *outbox_memory_create(void)
{
    struct memory_outbox *memory = malloc(sizeof *memory);
    if (memory == NULL) {
        return NULL;
    }
    *memory = (struct memory_outbox){.outbox = {&memory_ops}};
    memory->end = &memory->first;
    return &memory->outbox;
}
