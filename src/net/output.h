/* output: bytes that wait to be sent, as copied pieces and referenced pages, ready for a vectored
 * write. */
#ifndef SLUICE_NET_OUTPUT_H
#define SLUICE_NET_OUTPUT_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "base/shared.h"

/* Shared bytes up to this many are copied: cheaper than a segment of their own. */
#define NET_COPY_BYTES_MAX 2048u

struct net_segment {
    struct shared *shared; /* NULL: `bytes` of the copied ones, in order */
    size_t bytes;
};

struct net_output {
    struct buffer copied;
    struct net_segment *segments; /* owned */
    unsigned segment_count;
    unsigned segment_capacity;
    size_t bytes;           /* in all, not yet consumed */
    unsigned first;         /* segments before it are consumed */
    size_t first_consumed;  /* bytes of the first one */
    size_t copied_consumed; /* bytes of `copied` that lie before the first segment's rest */
    bool failed;            /* no memory: the stream has a hole and must be cut */
};

void net_output_init(struct net_output *output);
void net_output_deinit(struct net_output *output);
void net_output_append(struct net_output *output, const void *data, size_t bytes);
void net_output_append_shared(struct net_output *output, struct shared *shared);
/* The next bytes to send, as at most `count` pieces; returns how many. */
unsigned net_output_peek(const struct net_output *output, struct iovec *pieces, unsigned count);
void net_output_consume(struct net_output *output, size_t bytes);
/* Empties it; keeps a small allocation. */
void net_output_reset(struct net_output *output);

#endif
