/* json_parameter: JSON in a query parameter, as LiveStore's clients write it: percent-encoded once,
 * or twice (once by the client's own encoder, once more by the URL). Pure. */
#ifndef SLUICE_ENDPOINT_JSON_PARAMETER_H
#define SLUICE_ENDPOINT_JSON_PARAMETER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

/* `*json` is a valid JSON text, borrowed from `encoded` or the arena. MALFORMED. */
enum sluice_status json_parameter_decode(struct slice encoded, struct arena *arena,
                                         struct slice *json) SLUICE_MUST_CHECK;

#endif
