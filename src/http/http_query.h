/* http_query: request targets: path, query parameters, percent encoding (RFC 3986). Pure. */
#ifndef SLUICE_HTTP_QUERY_H
#define SLUICE_HTTP_QUERY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

/* Splits an origin-form or absolute-form target into its path ("/" when absent) and its query
 * (without '?'; empty when absent). Borrowed from `target`. A fragment is refused with
 * SLUICE_MALFORMED, as is a target of another form, except "*" (path "*"). */
enum sluice_status http_target_split(struct slice target, struct slice *path, struct slice *query,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;

/* How many parameters of a query ("a=1&b=2") have that name, written in whatever way ("%61=1"). The
 * first one's value, still encoded, is in `*value`. More than one is for the caller to refuse: a
 * proxy that looks at the query may have taken another one. */
unsigned http_query_find(struct slice query, const char *name, struct slice *value);

/* Decodes percent escapes, and '+' as a space (application/x-www-form-urlencoded, as
 * URLSearchParams writes it) when `plus_is_space`. SLUICE_MALFORMED for a bad escape; any decoded
 * bytes are allowed. `*out` borrows from `encoded` when nothing needs decoding, else from the
 * arena. */
enum sluice_status http_percent_decode(struct slice encoded, bool plus_is_space,
                                       struct arena *arena, struct slice *out,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
