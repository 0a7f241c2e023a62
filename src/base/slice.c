/* slice: the few operations on slices that are not inline. Pure functions; any thread. */
#include "base/slice.h"

static char ascii_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

bool slice_equal_ignoring_case(struct slice a, struct slice b)
{
    if (a.bytes != b.bytes) {
        return false;
    }
    for (size_t i = 0; i < a.bytes; i++) {
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

bool slice_to_u64(struct slice text, unsigned long long *value)
{
    /* 19 digits cannot overflow: 10^19 - 1 < 2^64. */
    if (text.bytes < 1 || text.bytes > 19) {
        return false;
    }
    unsigned long long number = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = number * 10 + (unsigned long long)(text.data[i] - '0');
    }
    *value = number;
    return true;
}
