/* outbox_read: see outbox_read.h. Under the outbox's engines, which find the events. Owns nothing:
 * what it allocates is the arena's. */
#include "client/outbox_read.h"

#include "base/assert.h"
#include "client/client_event.h"

static enum sluice_status no_memory(struct sluice_error *error)
{
    return error_set(error, SLUICE_NO_MEMORY, "out of memory while reading pending events");
}

enum sluice_status outbox_read_begin(struct outbox_read *read, const struct outbox_numbers *numbers,
                                     uint64_t after_seq_num, size_t event_count_max,
                                     size_t bytes_max, struct arena *arena,
                                     struct sluice_error *error)
{
    uint64_t first = outbox_numbers_first_after(numbers, after_seq_num);
    uint64_t there = numbers->last_commit_id + 1 - first;
    *read = (struct outbox_read){
        .numbers = numbers,
        .arena = arena,
        .first_commit_id = first,
        .event_count_max = there < event_count_max ? (size_t)there : event_count_max,
        .bytes_left = bytes_max,
    };
    read->batch.generation = numbers->generation;
    if (read->event_count_max > 0) {
        size_t bytes = read->event_count_max * sizeof(struct sluice_event);
        read->batch.first_commit_id = first;
        read->batch.events = arena_alloc(arena, bytes);
        return read->batch.events != NULL ? SLUICE_OK : no_memory(error);
    }
    return SLUICE_OK;
}

enum sluice_status outbox_read_take(struct outbox_read *read, const struct sluice_event *event,
                                    struct sluice_error *error)
{
    SLUICE_ASSERT(outbox_read_wants(read));
    size_t bytes =
        event->name.bytes + event->args.bytes + event->client_id.bytes + event->session_id.bytes;
    if (bytes > read->bytes_left && read->batch.event_count > 0) {
        read->event_count_max = read->batch.event_count;
        return SLUICE_OK;
    }
    struct sluice_event *copy = &read->batch.events[read->batch.event_count];
    if (client_event_copy(read->arena, event, copy) != SLUICE_OK) {
        return no_memory(error);
    }
    copy->seq_num =
        outbox_numbers_seq_num(read->numbers, read->first_commit_id + read->batch.event_count);
    copy->parent_seq_num = copy->seq_num - 1;
    copy->created_at_ms = SLUICE_NO_TIME;
    read->batch.event_count++;
    read->bytes_left -= bytes < read->bytes_left ? bytes : read->bytes_left;
    return SLUICE_OK;
}
