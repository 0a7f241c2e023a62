/* refusal: what an HTTP answer that is not the one hoped for means to a client: 401 and 403 are
 * UNAUTHORIZED, everything else OFFLINE, with a text that says what to do and what the server asked
 * to wait. Pure. */
#ifndef SLUICE_CLIENT_REFUSAL_H
#define SLUICE_CLIENT_REFUSAL_H

#include <stdbool.h>

#include "http/http_parser.h"
#include "sluice/client.h"

/* Whether an answer's head says already that no messages will come: a redirect, 401, 403, 429, 503,
 * or HTML (a captive portal, a proxy's error page). */
bool refusal_by_head(const struct http_parser *answer);
/* Fills `out` from an answer's head. */
void refusal_fill(const struct http_parser *answer, struct sluice_failure *out);

#endif
