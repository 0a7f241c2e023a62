/* error: the texts of the status codes, and the one way to fill a sluice_error; also where a failed
 * assertion ends. Owns nothing; any thread. */
#include "base/error.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/utf8.h"

struct status_row {
    const char *name;
    const char *text;
    const char *wire_tag;
    int http_status;
};

static const struct status_row status_rows[] = {
#define X(name_, http_status_, wire_tag_, text_)                                                   \
    {.name = #name_, .text = (text_), .wire_tag = (wire_tag_), .http_status = (http_status_)},
    SLUICE_STATUS_LIST(X)
#undef X
};

static const struct status_row *row_of(enum sluice_status status)
{
    SLUICE_ASSERT((unsigned)status < SLUICE_STATUS_COUNT);
    return &status_rows[status];
}

const char *sluice_status_name(enum sluice_status status)
{
    return row_of(status)->name;
}

const char *sluice_status_text(enum sluice_status status)
{
    return row_of(status)->text;
}

int sluice_status_http(enum sluice_status status)
{
    return row_of(status)->http_status;
}

const char *sluice_status_wire_tag(enum sluice_status status)
{
    return row_of(status)->wire_tag;
}

/* Whether the bytes could go on to be a character: true for what a cut through a character leaves.
 */
static bool is_cut_character(struct slice rest)
{
    uint32_t state = 0;
    return utf8_feed(&state, rest);
}

/* Copies `printed` and its NUL, with '?' for what is not UTF-8 or would control a terminal. When
 * the text was cut to fit, a character that lost its end is left out. */
static void copy_clean(char *message, struct slice printed, bool cut)
{
    size_t used = 0;
    while (printed.bytes > 0) {
        size_t bytes = utf8_character_bytes(printed);
        if (bytes == 0 && cut && is_cut_character(printed)) {
            break;
        }
        if (bytes == 0 || utf8_is_control(slice_make(printed.data, bytes))) {
            message[used++] = '?';
            bytes = bytes == 0 ? 1 : bytes;
        } else {
            memcpy(message + used, printed.data, bytes);
            used += bytes;
        }
        printed = slice_make(printed.data + bytes, printed.bytes - bytes);
    }
    message[used] = '\0';
}

enum sluice_status error_set(struct sluice_error *error, enum sluice_status status,
                             const char *format, ...)
{
    SLUICE_ASSERT(status != SLUICE_OK);
    if (error == NULL) {
        return status;
    }
    /* Printed aside, because a caller that adds to a message passes error->message itself. */
    char printed[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(printed, sizeof printed, format, arguments);
    va_end(arguments);
    SLUICE_ASSERT(bytes >= 0);
    bool cut = (size_t)bytes >= sizeof printed;
    size_t kept = cut ? sizeof printed - 1 : (size_t)bytes;
    copy_clean(error->message, slice_make(printed, kept), cut);
    error->status = status;
    return status;
}

void sluice_assert_failed(const char *condition, const char *file, int line, const char *function)
{
    char text[512];
    int printed = snprintf(text, sizeof text, "assertion failed: %s, in %s at %s:%d\n", condition,
                           function, file, line);
    size_t bytes = 0;
    if (printed > 0) {
        bytes = (size_t)printed < sizeof text ? (size_t)printed : sizeof text - 1;
    }
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written; /* nothing can be done about it on the way out */
    abort();
}
