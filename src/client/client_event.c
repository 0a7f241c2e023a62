/* client_event: see client_event.h. */
#include "client/client_event.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

struct event client_event_to_wire(const struct sluice_event *event)
{
    return (struct event){.seq_num = event->seq_num,
                          .parent_seq_num = event->parent_seq_num,
                          .created_at_ms = event->created_at_ms,
                          .name = slice_of_text(event->name),
                          .args = slice_of_text(event->args),
                          .client_id = slice_of_text(event->client_id),
                          .session_id = slice_of_text(event->session_id)};
}

struct sluice_event client_event_from_wire(const struct event *event)
{
    return (struct sluice_event){.seq_num = event->seq_num,
                                 .parent_seq_num = event->parent_seq_num,
                                 .created_at_ms = event->created_at_ms,
                                 .name = text_of_slice(event->name),
                                 .args = text_of_slice(event->args),
                                 .client_id = text_of_slice(event->client_id),
                                 .session_id = text_of_slice(event->session_id)};
}

static enum sluice_status copy_text(struct arena *arena, struct sluice_text text,
                                    struct sluice_text *out)
{
    char *bytes = arena_alloc(arena, text.bytes + 1);
    if (bytes == NULL) {
        return SLUICE_NO_MEMORY;
    }
    if (text.bytes > 0) {
        memcpy(bytes, text.data, text.bytes);
    }
    *out = (struct sluice_text){bytes, text.bytes};
    return SLUICE_OK;
}

enum sluice_status client_event_copy(struct arena *arena, const struct sluice_event *event,
                                     struct sluice_event *out)
{
    struct sluice_event copy = *event;
    if (copy_text(arena, event->name, &copy.name) != SLUICE_OK ||
        copy_text(arena, event->args, &copy.args) != SLUICE_OK ||
        copy_text(arena, event->client_id, &copy.client_id) != SLUICE_OK ||
        copy_text(arena, event->session_id, &copy.session_id) != SLUICE_OK) {
        return SLUICE_NO_MEMORY;
    }
    *out = copy;
    return SLUICE_OK;
}

static enum sluice_status check_text(struct sluice_text text, size_t index, const char *field,
                                     struct sluice_error *error)
{
    if (text.data == NULL && text.bytes > 0) {
        return error_set(error, SLUICE_INVALID, "events[%zu].%s has no data", index, field);
    }
    if (text.bytes > NAME_BYTES_MAX) {
        return error_set(error, SLUICE_INVALID, "events[%zu].%s has %zu bytes; the limit is %u",
                         index, field, text.bytes, NAME_BYTES_MAX);
    }
    if (!utf8_valid(slice_of_text(text))) {
        return error_set(error, SLUICE_INVALID, "events[%zu].%s is not valid UTF-8", index, field);
    }
    return SLUICE_OK;
}

static enum sluice_status check_numbers(const struct sluice_event *event, size_t index,
                                        struct sluice_error *error)
{
    if (event->seq_num == 0 || event->seq_num > SEQ_NUM_MAX) {
        return error_set(error, SLUICE_INVALID, "events[%zu].seq_num must be from 1 to 2^53-1",
                         index);
    }
    if (event->parent_seq_num >= event->seq_num) {
        return error_set(error, SLUICE_INVALID,
                         "events[%zu].parent_seq_num must be less than its seq_num", index);
    }
    return SLUICE_OK;
}

static enum sluice_status check_args(struct slice args, size_t index, struct sluice_error *error)
{
    struct sluice_error detail = {0};
    struct json_reader reader;
    enum sluice_status status = json_validate(args, &detail);
    if (status == SLUICE_NO_MEMORY) {
        return error_set(error, status, "out of memory for checking an event");
    }
    if (status != SLUICE_OK) {
        return error_set(error, SLUICE_INVALID, "events[%zu].args: %s", index, detail.message);
    }
    json_reader_init(&reader, args);
    (void)json_skip(&reader, NULL);
    if (reader.skipped_depth > ARGS_DEPTH_MAX) {
        return error_set(error, SLUICE_INVALID,
                         "events[%zu].args nests %u arrays and objects; the limit is %u", index,
                         reader.skipped_depth, ARGS_DEPTH_MAX);
    }
    return SLUICE_OK;
}

enum sluice_status client_event_check(const struct sluice_event *event, size_t index,
                                      bool with_numbers, struct sluice_error *error)
{
    enum sluice_status status = check_text(event->name, index, "name", error);
    if (status == SLUICE_OK && event->name.bytes == 0) {
        status = error_set(error, SLUICE_INVALID, "events[%zu].name is empty", index);
    }
    if (status == SLUICE_OK) {
        status = check_text(event->client_id, index, "client_id", error);
    }
    if (status == SLUICE_OK) {
        status = check_text(event->session_id, index, "session_id", error);
    }
    if (status == SLUICE_OK && with_numbers) {
        status = check_numbers(event, index, error);
    }
    return status == SLUICE_OK ? check_args(slice_of_text(event->args), index, error) : status;
}

enum sluice_status client_event_same(const struct sluice_event *a, const struct sluice_event *b,
                                     bool *same)
{
    *same = a->seq_num == b->seq_num &&
            slice_equal(slice_of_text(a->name), slice_of_text(b->name)) &&
            slice_equal(slice_of_text(a->client_id), slice_of_text(b->client_id)) &&
            slice_equal(slice_of_text(a->session_id), slice_of_text(b->session_id));
    if (!*same) {
        return SLUICE_OK;
    }
    return json_equal(slice_of_text(a->args), slice_of_text(b->args), same);
}
