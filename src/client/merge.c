/* merge: decides what a growing log does to pending events; see merge.h. Between the pull, which
 * brings events, and the outbox, which carries out what is decided. Pure; owns nothing; any thread.
 */
#include "client/merge.h"

#include <inttypes.h>

#include "client/client_event.h"

static enum sluice_status check_ascends(const struct merge_input *input, struct sluice_error *error)
{
    uint64_t last = input->upstream_head;
    for (size_t index = 0; index < input->upstream_count; index++) {
        uint64_t seq_num = input->upstream[index].seq_num;
        if (seq_num <= last) {
            return error_set(error, SLUICE_INVALID,
                             "upstream event %" PRIu64 " (index %zu) comes after event %" PRIu64
                             ": upstream events must ascend, after the upstream head",
                             seq_num, index, last);
        }
        last = seq_num;
    }
    return SLUICE_OK;
}

/* How many of the pending events come back as the first upstream ones. */
static enum sluice_status count_same(const struct merge_input *input, size_t compared_count,
                                     size_t *same_count, struct sluice_error *error)
{
    for (size_t index = 0; index < compared_count; index++) {
        bool same = false;
        if (client_event_same(&input->pending[index], &input->upstream[index], &same) !=
            SLUICE_OK) {
            return error_set(error, SLUICE_NO_MEMORY,
                             "out of memory while comparing pending events with the log's");
        }
        if (!same) {
            *same_count = index;
            return SLUICE_OK;
        }
    }
    *same_count = compared_count;
    return SLUICE_OK;
}

enum sluice_status merge(const struct merge_input *input, struct merge_result *out,
                         struct sluice_error *error)
{
    size_t compared_count =
        input->pending_count < input->upstream_count ? input->pending_count : input->upstream_count;
    size_t same_count = 0;
    enum sluice_status status = check_ascends(input, error);
    if (status == SLUICE_OK) {
        status = count_same(input, compared_count, &same_count, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    out->confirmed_count = same_count;
    out->rebases = same_count < compared_count;
    out->upstream_head = input->upstream_head;
    if (input->upstream_count > 0) {
        out->upstream_head = input->upstream[input->upstream_count - 1].seq_num;
    }
    return SLUICE_OK;
}

uint64_t merge_renumber(struct sluice_event *events, size_t count, uint64_t upstream_head)
{
    for (size_t index = 0; index < count; index++) {
        events[index].parent_seq_num = upstream_head + index;
        events[index].seq_num = upstream_head + index + 1;
    }
    return upstream_head + count;
}
