/* admission: see admission.h. On the way in, before the eventlog; admission_same_event also runs on
 * reader threads. */
#include "sync/admission.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

static enum sluice_status check_text(struct slice text, size_t index, const char *field,
                                     struct sluice_error *error)
{
    if (text.bytes > NAME_BYTES_MAX) {
        return error_set(error, SLUICE_LIMIT, "batch[%zu].%s has %zu bytes; the limit is %u", index,
                         field, text.bytes, NAME_BYTES_MAX);
    }
    if (!utf8_valid(text)) {
        return error_set(error, SLUICE_INVALID, "batch[%zu].%s is not valid UTF-8", index, field);
    }
    return SLUICE_OK;
}

static enum sluice_status check_event(const struct event *event, size_t index,
                                      size_t event_bytes_max, struct sluice_error *error)
{
    enum sluice_status status = check_text(event->name, index, "name", error);
    if (status == SLUICE_OK) {
        status = check_text(event->client_id, index, "clientId", error);
    }
    if (status == SLUICE_OK) {
        status = check_text(event->session_id, index, "sessionId", error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (event->name.bytes == 0) {
        return error_set(error, SLUICE_INVALID, "batch[%zu].name is empty", index);
    }
    if (event->seq_num == 0 || event->seq_num > SEQ_NUM_MAX) {
        return error_set(error, SLUICE_INVALID, "batch[%zu].seqNum must be from 1 to 2^53-1",
                         index);
    }
    size_t bytes =
        event->name.bytes + event->args.bytes + event->client_id.bytes + event->session_id.bytes;
    if (bytes > event_bytes_max) {
        return error_set(error, SLUICE_LIMIT,
                         "batch[%zu] (event %llu) has %zu bytes; the limit for an event is %zu "
                         "(--event-bytes-max)",
                         index, (unsigned long long)event->seq_num, bytes, event_bytes_max);
    }
    return SLUICE_OK;
}

static enum sluice_status check_chain(const struct event *events, size_t index,
                                      struct sluice_error *error)
{
    const struct event *event = &events[index];
    unsigned long long seq_num = event->seq_num;
    unsigned long long parent = event->parent_seq_num;
    if (index > 0 && event->seq_num <= events[index - 1].seq_num) {
        return error_set(error, SLUICE_INVALID,
                         "batch[%zu].seqNum %llu does not ascend: the event before it is %llu",
                         index, seq_num, (unsigned long long)events[index - 1].seq_num);
    }
    if (index > 0 && event->parent_seq_num != events[index - 1].seq_num) {
        return error_set(error, SLUICE_INVALID,
                         "batch[%zu].parentSeqNum is %llu but the event before it is %llu", index,
                         parent, (unsigned long long)events[index - 1].seq_num);
    }
    if (event->parent_seq_num >= event->seq_num) {
        return error_set(error, SLUICE_INVALID,
                         "batch[%zu].parentSeqNum %llu is not before its seqNum %llu", index,
                         parent, seq_num);
    }
    return SLUICE_OK;
}

enum sluice_status admission_check_batch(const struct event *events, size_t count,
                                         size_t event_bytes_max, struct sluice_error *error)
{
    if (count > BATCH_EVENTS_MAX) {
        return error_set(error, SLUICE_LIMIT, "batch has %zu events; the limit is %u", count,
                         BATCH_EVENTS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        enum sluice_status status = check_event(&events[i], i, event_bytes_max, error);
        if (status == SLUICE_OK) {
            status = check_chain(events, i, error);
        }
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

enum sluice_status admission_check_store_id(struct slice store_id, struct sluice_error *error)
{
    if (store_id.bytes == 0) {
        return error_set(error, SLUICE_INVALID, "storeId is empty");
    }
    if (store_id.bytes > STORE_ID_BYTES_MAX) {
        return error_set(error, SLUICE_LIMIT, "storeId has %zu bytes; the limit is %u",
                         store_id.bytes, STORE_ID_BYTES_MAX);
    }
    if (!utf8_valid(store_id)) {
        return error_set(error, SLUICE_INVALID, "storeId is not valid UTF-8");
    }
    return SLUICE_OK;
}

enum sluice_status admission_same_event(const struct event *stored, const struct event *pushed,
                                        bool *same)
{
    if (stored->seq_num != pushed->seq_num || stored->parent_seq_num != pushed->parent_seq_num ||
        !slice_equal(stored->client_id, pushed->client_id) ||
        !slice_equal(stored->session_id, pushed->session_id) ||
        !slice_equal(stored->name, pushed->name)) {
        *same = false;
        return SLUICE_OK;
    }
    return json_equal(stored->args, pushed->args, same);
}
