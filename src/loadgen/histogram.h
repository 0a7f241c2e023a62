/* histogram: durations, in buckets that are at most 1/64 of their value wide. */
#ifndef SLUICE_LOADGEN_HISTOGRAM_H
#define SLUICE_LOADGEN_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (64u * 40u) /* up to 2^45 ns: nine hours */

struct histogram {
    uint64_t count;
    uint64_t max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
/* The duration that `share` (0..1) of all do not pass; 0 when there are none. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
