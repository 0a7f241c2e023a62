/* outbox_numbers: see outbox_numbers.h. Under the outbox's engines; owns nothing; any thread.
 *
 *     commits     … confirmed_commit_id │ +1          +2         …  last_commit_id
 *     the log     …       upstream_head │
 *     numbers                           │ head+1      head+2     …  local head */
#include "client/outbox_numbers.h"

#include <inttypes.h>
#include <string.h>

bool outbox_numbers_valid(const struct outbox_numbers *numbers)
{
    return numbers->upstream_head <= SLUICE_SEQ_NUM_MAX &&
           numbers->last_commit_id <= SLUICE_SEQ_NUM_MAX &&
           numbers->confirmed_commit_id <= numbers->last_commit_id &&
           outbox_numbers_pending_count(numbers) <= SLUICE_SEQ_NUM_MAX - numbers->upstream_head;
}

struct outbox_state outbox_numbers_state(const struct outbox_numbers *numbers)
{
    struct outbox_state state = {
        .upstream_head = numbers->upstream_head,
        .local_head = outbox_numbers_seq_num(numbers, numbers->last_commit_id),
        .last_commit_id = numbers->last_commit_id,
        .pending_count = (size_t)outbox_numbers_pending_count(numbers),
        .generation = numbers->generation,
        .backend_id_bytes = numbers->backend_id_bytes,
    };
    memcpy(state.backend_id, numbers->backend_id, sizeof state.backend_id);
    return state;
}

uint64_t outbox_numbers_first_after(const struct outbox_numbers *numbers, uint64_t seq_num)
{
    uint64_t passed = seq_num > numbers->upstream_head ? seq_num - numbers->upstream_head : 0;
    uint64_t pending_count = outbox_numbers_pending_count(numbers);
    return numbers->confirmed_commit_id + (passed < pending_count ? passed : pending_count) + 1;
}

static enum sluice_status no_number_left(struct sluice_error *error)
{
    return error_set(
        error, SLUICE_LIMIT,
        "no sequence number is left for another pending event: the largest is %" PRIu64,
        SLUICE_SEQ_NUM_MAX);
}

enum sluice_status outbox_numbers_append(const struct outbox_numbers *numbers,
                                         struct outbox_numbers *next, struct sluice_commit *commit,
                                         struct sluice_error *error)
{
    struct outbox_numbers appended = *numbers;
    appended.last_commit_id++;
    if (!outbox_numbers_valid(&appended)) {
        return no_number_left(error);
    }
    commit->commit_id = appended.last_commit_id;
    commit->seq_num = outbox_numbers_seq_num(&appended, appended.last_commit_id);
    *next = appended;
    return SLUICE_OK;
}

/* Says what has other numbers than before: all that is pending, or nothing. */
static struct sluice_rebase compare(const struct outbox_numbers *before,
                                    const struct outbox_numbers *after)
{
    struct sluice_rebase rebase = {0};
    uint64_t count = outbox_numbers_pending_count(after);
    uint64_t first_commit_id = after->confirmed_commit_id + 1;
    uint64_t first_seq_num = outbox_numbers_seq_num(after, first_commit_id);
    if (count > 0 && first_seq_num != outbox_numbers_seq_num(before, first_commit_id)) {
        rebase.first_commit_id = first_commit_id;
        rebase.first_seq_num = first_seq_num;
        rebase.count = (size_t)count;
    }
    return rebase;
}

enum sluice_status outbox_numbers_advance(const struct outbox_numbers *numbers,
                                          const struct outbox_advance *advance,
                                          struct outbox_numbers *next, struct sluice_rebase *rebase,
                                          struct sluice_error *error)
{
    struct outbox_numbers advanced = *numbers;
    if (advance->confirmed_count > outbox_numbers_pending_count(numbers) ||
        advance->upstream_head < numbers->upstream_head ||
        advance->upstream_head - numbers->upstream_head < advance->confirmed_count) {
        return error_set(error, SLUICE_INVALID,
                         "the log cannot have gone from event %" PRIu64 " to %" PRIu64
                         " with %zu of %" PRIu64 " pending events: pull again",
                         numbers->upstream_head, advance->upstream_head, advance->confirmed_count,
                         outbox_numbers_pending_count(numbers));
    }
    if (advance->backend_id.bytes > SLUICE_BACKEND_ID_BYTES_MAX) {
        return error_set(error, SLUICE_INVALID, "the backend id has %zu bytes; the limit is %u",
                         advance->backend_id.bytes, SLUICE_BACKEND_ID_BYTES_MAX);
    }
    advanced.upstream_head = advance->upstream_head;
    advanced.confirmed_commit_id += advance->confirmed_count;
    if (!outbox_numbers_valid(&advanced)) {
        return no_number_left(error);
    }
    if (advance->backend_id.bytes > 0) {
        memcpy(advanced.backend_id, advance->backend_id.data, advance->backend_id.bytes);
        advanced.backend_id_bytes = advance->backend_id.bytes;
    }
    *rebase = compare(numbers, &advanced);
    if (advance->rebases || rebase->count > 0) {
        advanced.generation++;
    }
    *next = advanced;
    return SLUICE_OK;
}

void outbox_numbers_reset(const struct outbox_numbers *numbers, struct outbox_numbers *next,
                          struct sluice_rebase *rebase)
{
    struct outbox_numbers reset = {
        .confirmed_commit_id = numbers->confirmed_commit_id,
        .last_commit_id = numbers->last_commit_id,
        .generation = numbers->generation + 1,
    };
    *rebase = compare(numbers, &reset);
    *next = reset;
}
