/* fields: see fields.h. */
#include "proto/fields.h"

#include "base/limits.h"

enum sluice_status field_missing(struct sluice_error *error, const char *field)
{
    return error_set(error, SLUICE_INVALID, "%s is missing", field);
}

enum sluice_status field_string(struct json_reader *reader, const char *field, struct arena *arena,
                                struct slice *out, struct sluice_error *error)
{
    struct slice raw;
    if (json_peek(reader) != JSON_STRING || !json_read_string(reader, &raw)) {
        return error_set(error, SLUICE_INVALID, "%s must be a string", field);
    }
    enum sluice_status status = json_decode_string(raw, arena, out, NULL);
    if (status == SLUICE_INVALID) {
        return error_set(error, status,
                         "%s contains a lone surrogate escape, which has no UTF-8 form", field);
    }
    return status == SLUICE_OK ? status : error_set(error, status, "out of memory for %s", field);
}

enum sluice_status field_u53(struct json_reader *reader, const char *field, uint64_t *out,
                             struct sluice_error *error)
{
    if (json_peek(reader) != JSON_NUMBER || !json_read_u64(reader, SEQ_NUM_MAX, out)) {
        return error_set(error, SLUICE_INVALID,
                         "%s must be an integer from 0 to 2^53-1, written as digits", field);
    }
    return SLUICE_OK;
}

enum sluice_status field_bool(struct json_reader *reader, const char *field, bool *out,
                              struct sluice_error *error)
{
    enum json_kind kind = json_peek(reader);
    if ((kind != JSON_TRUE && kind != JSON_FALSE) || !json_read_bool(reader, out)) {
        return error_set(error, SLUICE_INVALID, "%s must be true or false", field);
    }
    return SLUICE_OK;
}

enum sluice_status field_option(struct json_reader *reader, const char *field, struct slice *value,
                                struct sluice_error *error)
{
    struct slice key;
    struct slice tag = SLICE_EMPTY;
    struct slice found = SLICE_EMPTY;
    if (json_peek(reader) == JSON_OBJECT && json_enter_object(reader)) {
        while (json_next_key(reader, &key)) {
            if (json_key_is(key, "_tag") && json_peek(reader) == JSON_STRING) {
                (void)json_read_string(reader, &tag);
            } else if (json_key_is(key, "value")) {
                (void)json_skip(reader, &found);
            } else {
                (void)json_skip(reader, NULL);
            }
        }
        if (tag.data != NULL && json_key_is(tag, "None")) {
            *value = SLICE_EMPTY;
            return SLUICE_OK;
        }
        if (tag.data != NULL && json_key_is(tag, "Some") && found.data != NULL) {
            *value = found;
            return SLUICE_OK;
        }
    }
    return error_set(error, SLUICE_INVALID,
                     "%s must be {\"_tag\":\"None\"} or {\"_tag\":\"Some\",\"value\":…}", field);
}
