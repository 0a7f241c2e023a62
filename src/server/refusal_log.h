/* refusal_log: log lines for what clients were refused, at most a few a second, with a count of
 * those left out. Loop thread. */
#ifndef SLUICE_SERVER_REFUSAL_LOG_H
#define SLUICE_SERVER_REFUSAL_LOG_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct refusal_log {
    uint64_t window_ms;  /* when the current second began, monotonic */
    unsigned lines;      /* written in it */
    uint64_t suppressed; /* since the last line */
    uint64_t counts[SLUICE_STATUS_COUNT];
};

void refusal_log_write(struct refusal_log *log, enum sluice_status status, struct slice store_id,
                       const char *peer, const char *message);

#endif
