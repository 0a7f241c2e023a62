/* shared: see shared.h. */
#include "base/shared.h"

#include <stdlib.h>

#include "base/assert.h"

struct shared *shared_take_buffer(struct buffer *buffer)
{
    struct shared *shared = malloc(sizeof(*shared));
    if (shared == NULL) {
        return NULL;
    }
    *shared = (struct shared){.references = 1, .bytes = buffer_slice(buffer)};
    buffer->data = NULL;
    buffer->bytes = 0;
    buffer->capacity = 0;
    return shared;
}

struct shared *shared_ref(struct shared *shared)
{
    SLUICE_ASSERT(shared->references > 0);
    shared->references++;
    return shared;
}

void shared_unref(struct shared *shared)
{
    if (shared == NULL) {
        return;
    }
    SLUICE_ASSERT(shared->references > 0);
    if (--shared->references == 0) {
        free((void *)shared->bytes.data);
        free(shared);
    }
}
