/* outbox_memory: the outbox without a file, for simulations: what it holds outlives the client that
 * uses it, as a file outlives a crash. Not for several threads. */
#ifndef SLUICE_CLIENT_OUTBOX_MEMORY_H
#define SLUICE_CLIENT_OUTBOX_MEMORY_H

#include "client/outbox.h"

/* NULL: out of memory. Destroyed by `->ops->destroy`. */
struct outbox *outbox_memory_create(void);

#endif
