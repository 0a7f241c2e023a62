/* refusal_log: see refusal_log.h. */
#include "server/refusal_log.h"

#include "base/clock.h"
#include "base/log.h"

#define LINES_PER_SECOND 5u

/* A store that has moved on is the protocol's everyday work; the rest is worth a look. */
static enum log_level level_of(enum sluice_status status)
{
    return status == SLUICE_SERVER_AHEAD ? LOG_DEBUG : LOG_WARN;
}

void refusal_log_write(struct refusal_log *log, enum sluice_status status, struct slice store_id,
                       const char *peer, const char *message)
{
    uint64_t now_ms = clock_monotonic_ns() / 1000000u;
    log->counts[status]++;
    if (!log_enabled(level_of(status))) {
        return;
    }
    if (now_ms >= log->window_ms + 1000) {
        log->window_ms = now_ms;
        log->lines = 0;
    }
    if (log->lines >= LINES_PER_SECOND) {
        log->suppressed++;
        return;
    }
    log->lines++;
    LOG(level_of(status), "refused",
        LOG_TEXT_FIELD("status", slice_of_string(sluice_status_name(status))),
        LOG_TEXT_FIELD("store", store_id), LOG_TEXT_FIELD("client", slice_of_string(peer)),
        LOG_TEXT_FIELD("why", slice_of_string(message)),
        LOG_NUMBER_FIELD("suppressed", log->suppressed));
    log->suppressed = 0;
}
