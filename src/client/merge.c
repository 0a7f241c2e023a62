/* merge: see merge.h. */
#include "client/merge.h"

enum sluice_status merge(const struct merge_input *input, struct merge_result *out,
                         struct sluice_error *error)
{
    (void)input, (void)out;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}

uint64_t merge_renumber(struct sluice_event *events, size_t count, uint64_t upstream_head)
{
    (void)events, (void)count;
    return upstream_head;
}
