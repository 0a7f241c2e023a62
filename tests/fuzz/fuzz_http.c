/* fuzz_http: whatever the bytes, and however they are cut, the parser reports the same events,
 * stays within its input and asserts nothing.
 *
 * An input is: one byte of flags (1: responses, 2: every response answers a HEAD request, 4: the
 * connection ends after the bytes), four bytes that seed the cuts, then what is fed. */
#include <stdint.h>
#include <stdio.h>

#include "../unit/http/transcript.h"

#define PREFIX_BYTES 5u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Mostly small pieces, so that cuts fall into lines; some are empty. */
static size_t next_piece_bytes(uint32_t *seed, size_t bytes_left)
{
    uint32_t random = next_random(seed);
    size_t bytes = (random & 7) == 0 ? random % 3000 : random % 12;
    return bytes < bytes_left ? bytes : bytes_left;
}

static void start(struct transcript *transcript, uint8_t flags)
{
    transcript_init(transcript, (flags & 1) != 0 ? HTTP_RESPONSES : HTTP_REQUESTS);
    transcript->answers_head = (flags & 2) != 0;
}

static void end(struct transcript *transcript, uint8_t flags)
{
    if ((flags & 4) != 0) {
        transcript_finish(transcript);
    }
    SLUICE_ASSERT(buffer_status(&transcript->text) == SLUICE_OK);
}

static void feed_in_random_pieces(struct transcript *transcript, struct slice input, uint32_t seed)
{
    for (size_t at = 0; at < input.bytes;) {
        size_t bytes = next_piece_bytes(&seed, input.bytes - at);
        transcript_feed(transcript, slice_make(input.data + at, bytes));
        at += bytes;
    }
}

static void feed_bytewise(struct transcript *transcript, struct slice input)
{
    for (size_t at = 0; at < input.bytes; at++) {
        transcript_feed(transcript, slice_make(input.data + at, 1));
    }
}

static void compare(const struct transcript *whole, const struct transcript *other)
{
    if (!slice_equal(buffer_slice(&whole->text), buffer_slice(&other->text))) {
        (void)fprintf(stderr, "whole:\n%.*s\nin pieces:\n%.*s\n", (int)whole->text.bytes,
                      whole->text.data, (int)other->text.bytes, other->text.data);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < PREFIX_BYTES) {
        return 0;
    }
    uint8_t flags = data[0];
    uint32_t seed;
    memcpy(&seed, data + 1, sizeof(seed));
    struct slice input = slice_make(data + PREFIX_BYTES, bytes - PREFIX_BYTES);

    struct transcript whole, pieces, bytewise;
    start(&whole, flags);
    start(&pieces, flags);
    start(&bytewise, flags);
    transcript_feed(&whole, input);
    feed_in_random_pieces(&pieces, input, seed);
    feed_bytewise(&bytewise, input);
    end(&whole, flags);
    end(&pieces, flags);
    end(&bytewise, flags);
    compare(&whole, &pieces);
    compare(&whole, &bytewise);
    transcript_deinit(&whole);
    transcript_deinit(&pieces);
    transcript_deinit(&bytewise);
    return 0;
}
