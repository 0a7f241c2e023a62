/* quantity: see quantity.h. Owns nothing; any thread. */
#include "base/quantity.h"

#include <string.h>

#include "base/slice.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static bool read_with_unit(const char *text, const struct unit *units, size_t unit_count,
                           uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long long number = 0;
    uint64_t product = 0;
    if (!slice_to_u64(slice_make(text, digits), &number)) {
        return false;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(text + digits, units[i].name) == 0) {
            if (__builtin_mul_overflow((uint64_t)number, units[i].factor, &product)) {
                return false;
            }
            *out = product;
            return true;
        }
    }
    return false;
}

bool quantity_read_duration_ms(const char *text, uint64_t *out)
{
    static const struct unit UNITS[] = {
        {"s", 1000}, {"", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}};
    return read_with_unit(text, UNITS, sizeof(UNITS) / sizeof(UNITS[0]), out);
}

bool quantity_read_bytes(const char *text, uint64_t *out)
{
    static const struct unit UNITS[] = {{"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}};
    return read_with_unit(text, UNITS, sizeof(UNITS) / sizeof(UNITS[0]), out);
}

bool quantity_read_choice(const char *text, const char *choices, uint64_t *out)
{
    uint64_t index = 0;
    for (const char *at = choices; *at != '\0'; index++) {
        size_t bytes = strcspn(at, " ");
        if (strlen(text) == bytes && memcmp(at, text, bytes) == 0) {
            *out = index;
            return true;
        }
        at += bytes + (at[bytes] == ' ');
    }
    return false;
}
