/* error: how failures are made. The one list of status codes, and the detail that goes with a
 * failure, are in sluice/status.h, because the users of the client library see them too. */
#ifndef SLUICE_BASE_ERROR_H
#define SLUICE_BASE_ERROR_H

#include <stdarg.h>

#include "sluice/status.h"

#define SLUICE_PRINTF(format_index, first_index)                                                   \
    __attribute__((format(printf, format_index, first_index)))

/* The code's HTTP status, and the `_tag` of the sync-cf error that a client decodes. Never NULL. */
int sluice_status_http(enum sluice_status status);
const char *sluice_status_wire_tag(enum sluice_status status);

/* Fills `error` (may be NULL) and returns `status`, so that a failure is one statement:
 *     return error_set(error, SLUICE_INVALID, "batch[%zu].name is empty", index);
 * `error_set` with SLUICE_OK is a bug of the caller. Bytes of a peer that go into a message must be
 * printed with a precision; what is not valid UTF-8, and control characters, become '?'. */
enum sluice_status error_set(struct sluice_error *error, enum sluice_status status,
                             const char *format, ...) SLUICE_PRINTF(3, 4);

#endif
