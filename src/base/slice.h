/* slice: a borrowed run of bytes. Nothing here relies on a terminating NUL. */
#ifndef SLUICE_BASE_SLICE_H
#define SLUICE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* borrowed; may be NULL when bytes is 0 */
    size_t bytes;
};

#define SLICE_EMPTY ((struct slice){NULL, 0})
/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){("" literal), sizeof(literal) - 1})
/* For printf("%.*s", SLICE_PRINT(slice)): at most 200 bytes. */
#define SLICE_PRINT(slice)                                                                         \
    (int)((slice).bytes < 200 ? (slice).bytes : 200), (slice).data ? (slice).data : ""

static inline struct slice slice_make(const void *data, size_t bytes)
{
    return (struct slice){data, bytes};
}

static inline struct slice slice_of_string(const char *string)
{
    return (struct slice){string, strlen(string)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* ASCII letters compare without case; other bytes exactly. */
bool slice_equal_ignoring_case(struct slice a, struct slice b);

/* A decimal number of 1 to 19 digits, nothing else, no sign. False leaves `*value` untouched. */
bool slice_to_u64(struct slice text, unsigned long long *value);

#endif
