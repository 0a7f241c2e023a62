/* event: an event of a store's log, a page of them, and the text they are made of, as libsluice
 * takes and gives them.
 *
 * Everything here is borrowed: what the library is given it copies before the call returns, and
 * what it gives to a callback is valid until that callback returns. */
#ifndef SLUICE_EVENT_H
#define SLUICE_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sluice/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes with a length; UTF-8, not NUL-terminated, and NUL may be among them. `data` may be NULL
 * when `bytes` is 0. */
struct sluice_text {
    const char *data;
    size_t bytes;
};

/* The text of a C string, without its NUL. Borrows it. */
static inline struct sluice_text sluice_text_of(const char *string)
{
    struct sluice_text text;
    text.data = string;
    text.bytes = strlen(string);
    return text;
}

#define SLUICE_SEQ_NUM_MAX UINT64_C(9007199254740991) /* 2^53 - 1 */
#define SLUICE_NO_TIME INT64_MIN                      /* a created_at_ms that is not known */

struct sluice_event {
    uint64_t seq_num;        /* 1..SLUICE_SEQ_NUM_MAX; ascending in a store, gaps are legal */
    uint64_t parent_seq_num; /* the event before it; 0 is the root */
    struct sluice_text name; /* 1..512 bytes */
    struct sluice_text args; /* JSON text, byte for byte as it was pushed; "null" when absent */
    struct sluice_text client_id;  /* 0..512 bytes */
    struct sluice_text session_id; /* 0..512 bytes */
    int64_t created_at_ms; /* the server's time of the commit, ms since 1970 UTC, or SLUICE_NO_TIME;
                              ignored on the way in */
};

/* What follows a page. */
enum sluice_page_info {
    SLUICE_PAGE_NO_MORE,      /* nothing: this page ends at the head */
    SLUICE_PAGE_MORE_KNOWN,   /* `remaining` events */
    SLUICE_PAGE_MORE_UNKNOWN, /* more, nobody knows how many */
};

/* Events of a pull that come together, in log order. */
struct sluice_page {
    const struct sluice_event *events; /* NULL when event_count is 0 */
    size_t event_count;                /* 0 only where a pull finds nothing new */
    enum sluice_page_info info;
    uint64_t remaining;            /* with SLUICE_PAGE_MORE_KNOWN, else 0 */
    struct sluice_text backend_id; /* identity of the store's log; at most 64 bytes */
};

#ifdef __cplusplus
}
#endif

#endif
