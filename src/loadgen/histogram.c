/* histogram: see histogram.h. Values under 64 have a bucket each; above, every power of two is cut
 * into 64. */
#include "loadgen/histogram.h"

#define STEPS 64u
#define STEP_BITS 6u

static unsigned bucket_of(uint64_t ns)
{
    unsigned shift = 0;
    while (ns >> shift >= 2u * STEPS) {
        shift++;
    }
    uint64_t bucket = (uint64_t)shift * STEPS + (ns >> shift);
    return bucket < HISTOGRAM_BUCKETS ? (unsigned)bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t value_of(unsigned bucket)
{
    if (bucket < 2u * STEPS) {
        return bucket;
    }
    unsigned shift = (bucket >> STEP_BITS) - 1;
    return (uint64_t)(bucket - shift * STEPS) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->buckets[bucket_of(ns)]++;
    histogram->max_ns = ns > histogram->max_ns ? ns : histogram->max_ns;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > 0 && (double)seen >= wanted) {
            return value_of(bucket);
        }
    }
    return 0;
}
