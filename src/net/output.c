/* output: see output.h. Loop thread.
 *
 * Invariant: the bytes of the segments without a page, from the first one on, are the bytes of
 * `copied` after copied_consumed, in order. */
#include "net/output.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"

#define COPIED_BYTES_KEPT 4096u
#define SEGMENTS_KEPT 8u

void net_output_init(struct net_output *output)
{
    *output = (struct net_output){0};
    buffer_init(&output->copied, SIZE_MAX / 2);
}

static void release_segments(struct net_output *output)
{
    for (unsigned i = output->first; i < output->segment_count; i++) {
        shared_unref(output->segments[i].shared);
    }
    output->segment_count = 0;
    output->first = 0;
    output->first_consumed = 0;
    output->copied_consumed = 0;
    output->bytes = 0;
}

void net_output_deinit(struct net_output *output)
{
    release_segments(output);
    buffer_deinit(&output->copied);
    free(output->segments);
    output->segments = NULL;
    output->segment_capacity = 0;
}

void net_output_reset(struct net_output *output)
{
    release_segments(output);
    if (output->copied.capacity > COPIED_BYTES_KEPT) {
        buffer_deinit(&output->copied);
    }
    buffer_clear(&output->copied);
    if (output->segment_capacity > SEGMENTS_KEPT) {
        free(output->segments);
        output->segments = NULL;
        output->segment_capacity = 0;
    }
}

static struct net_segment *add_segment(struct net_output *output)
{
    if (output->segment_count == output->segment_capacity) {
        unsigned capacity = output->segment_capacity == 0 ? 4 : output->segment_capacity * 2;
        struct net_segment *segments =
            realloc(output->segments, capacity * sizeof(struct net_segment));
        if (segments == NULL) {
            output->failed = true;
            return NULL;
        }
        output->segments = segments;
        output->segment_capacity = capacity;
    }
    SLUICE_ASSERT(output->segments != NULL);
    struct net_segment *segment = &output->segments[output->segment_count++];
    *segment = (struct net_segment){0};
    return segment;
}

void net_output_append(struct net_output *output, const void *data, size_t bytes)
{
    if (bytes == 0 || output->failed) {
        return;
    }
    struct net_segment *last =
        output->segment_count > output->first ? &output->segments[output->segment_count - 1] : NULL;
    if (last == NULL || last->shared != NULL) {
        last = add_segment(output);
        if (last == NULL) {
            return;
        }
    }
    buffer_append(&output->copied, data, bytes);
    if (buffer_status(&output->copied) != SLUICE_OK) {
        output->failed = true;
        return;
    }
    last->bytes += bytes;
    output->bytes += bytes;
}

void net_output_append_shared(struct net_output *output, struct shared *shared)
{
    if (shared->bytes.bytes <= NET_COPY_BYTES_MAX) {
        net_output_append(output, shared->bytes.data, shared->bytes.bytes);
        return;
    }
    struct net_segment *segment = output->failed ? NULL : add_segment(output);
    if (segment != NULL) {
        segment->shared = shared_ref(shared);
        segment->bytes = shared->bytes.bytes;
        output->bytes += shared->bytes.bytes;
    }
}

unsigned net_output_peek(const struct net_output *output, struct iovec *pieces, unsigned count)
{
    unsigned filled = 0;
    size_t skip = output->first_consumed;
    size_t copied = output->copied_consumed;
    for (unsigned i = output->first; i < output->segment_count && filled < count; i++) {
        const struct net_segment *segment = &output->segments[i];
        const char *start = segment->shared != NULL ? segment->shared->bytes.data + skip
                                                    : output->copied.data + copied;
        size_t bytes = segment->bytes - skip;
        if (segment->shared == NULL) {
            copied += bytes;
        }
        pieces[filled++] = (struct iovec){.iov_base = (void *)start, .iov_len = bytes};
        skip = 0;
    }
    return filled;
}

void net_output_consume(struct net_output *output, size_t bytes)
{
    SLUICE_ASSERT(bytes <= output->bytes);
    output->bytes -= bytes;
    while (bytes > 0) {
        SLUICE_ASSERT(output->first < output->segment_count);
        struct net_segment *segment = &output->segments[output->first];
        size_t left = segment->bytes - output->first_consumed;
        size_t taken = bytes < left ? bytes : left;
        if (segment->shared == NULL) {
            output->copied_consumed += taken;
        }
        bytes -= taken;
        output->first_consumed += taken;
        if (taken == left) {
            shared_unref(segment->shared);
            segment->shared = NULL;
            output->first++;
            output->first_consumed = 0;
        }
    }
}
