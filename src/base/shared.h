/* shared: immutable bytes with a reference count, so that one encoded page serves every subscriber.
 *
 * The count is not atomic: made on any thread, then referenced and released on the loop thread
 * only. */
#ifndef SLUICE_BASE_SHARED_H
#define SLUICE_BASE_SHARED_H

#include "base/buffer.h"
#include "base/slice.h"

struct shared {
    unsigned references;
    struct slice bytes; /* owned, immutable */
};

/* Takes the buffer's bytes and leaves the buffer empty. One reference, the caller's. NULL when
 * there is no memory (the buffer is then untouched). */
struct shared *shared_take_buffer(struct buffer *buffer);
struct shared *shared_ref(struct shared *shared);
/* NULL is accepted. */
void shared_unref(struct shared *shared);

#endif
