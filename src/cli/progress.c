/* progress: see progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_CELLS 24u

void progress_init(struct progress *progress, const char *verb, bool shares_output)
{
    const char *terminal = getenv("TERM");
    bool can_draw = isatty(STDERR_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
    *progress = (struct progress){
        .enabled = can_draw && !(shares_output && isatty(STDOUT_FILENO)),
        .verb = verb,
        .next_ns = clock_monotonic_ns() + PROGRESS_INTERVAL_MS * UINT64_C(1000000),
    };
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total, uint64_t event_count)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (!progress->enabled || now_ns < progress->next_ns) {
        return;
    }
    progress->next_ns = now_ns + PROGRESS_INTERVAL_MS * UINT64_C(1000000);
    progress->drawn = true;
    if (total == 0) {
        (void)fprintf(stderr, "\r%s  %llu events\x1b[K", progress->verb,
                      (unsigned long long)event_count);
        return;
    }
    double part = done < total ? (double)done / (double)total : 1.0;
    unsigned filled = (unsigned)(part * BAR_CELLS);
    char bar[BAR_CELLS + 1];
    memset(bar, ' ', BAR_CELLS);
    memset(bar, '#', filled);
    bar[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "\r%s  [%s] %3u%%  %llu events\x1b[K", progress->verb, bar,
                  (unsigned)(part * 100), (unsigned long long)event_count);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn) {
        (void)fprintf(stderr, "\r\x1b[K");
        progress->drawn = false;
    }
}
