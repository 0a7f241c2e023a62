/* fields: reading the fields of protocol objects, with errors that name them. Pure. */
#ifndef SLUICE_PROTO_FIELDS_H
#define SLUICE_PROTO_FIELDS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"

enum sluice_status field_missing(struct sluice_error *error, const char *field) SLUICE_MUST_CHECK;

/* A string, decoded: borrowed from the text or, where it had escapes, from the arena. INVALID,
 * NO_MEMORY. */
enum sluice_status field_string(struct json_reader *reader, const char *field, struct arena *arena,
                                struct slice *out, struct sluice_error *error) SLUICE_MUST_CHECK;

/* An integer from 0 to 2^53-1, written as digits. INVALID. */
enum sluice_status field_u53(struct json_reader *reader, const char *field, uint64_t *out,
                             struct sluice_error *error) SLUICE_MUST_CHECK;

enum sluice_status field_bool(struct json_reader *reader, const char *field, bool *out,
                              struct sluice_error *error) SLUICE_MUST_CHECK;

/* {"_tag":"None"} or {"_tag":"Some","value":V}: `*value` is V's text, NULL data for None. INVALID.
 */
enum sluice_status field_option(struct json_reader *reader, const char *field, struct slice *value,
                                struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
