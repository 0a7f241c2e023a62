#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "net/output.h"

#include "../base/aborts.h"
#include "../base/failing_alloc.h"

#define PIECES_MAX 64u

/* A page of so many bytes, each telling where in which page it is. */
static struct shared *page_of(size_t bytes, unsigned seed)
{
    struct buffer buffer;
    buffer_init(&buffer, bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        buffer_append_byte(&buffer, (char)('a' + (i * 7 + i / 251 + seed) % 26));
    }
    struct shared *page = shared_take_buffer(&buffer);
    assert_non_null(page);
    return page;
}

/* What a socket would get that takes at most `bytes` at a time, in at most `count` pieces. */
static void drain(struct net_output *output, size_t bytes, unsigned count, struct buffer *out)
{
    struct iovec pieces[PIECES_MAX];
    while (output->bytes > 0) {
        unsigned filled = net_output_peek(output, pieces, count);
        size_t left = bytes;
        size_t taken = 0;
        assert_true(filled > 0 && filled <= count);
        for (unsigned i = 0; i < filled && left > 0; i++) {
            size_t part = pieces[i].iov_len < left ? pieces[i].iov_len : left;
            assert_true(pieces[i].iov_len > 0);
            buffer_append(out, pieces[i].iov_base, part);
            left -= part;
            taken += part;
        }
        net_output_consume(output, taken);
    }
    assert_int_equal(buffer_status(out), SLUICE_OK);
}

/* A stream of all kinds: copied pieces that run together, pages that are referenced, pages so small
 * that they are copied, nothing at all. */
static void append_stream(struct net_output *output, struct shared **pages, struct buffer *expected)
{
    static const char head[] = "head:";
    net_output_append(output, head, sizeof head - 1);
    net_output_append(output, "", 0);
    net_output_append(output, "more", 4);
    net_output_append_shared(output, pages[0]);
    net_output_append(output, "|", 1);
    net_output_append_shared(output, pages[1]);
    net_output_append_shared(output, pages[2]);
    net_output_append_shared(output, pages[0]);
    net_output_append(output, "tail", 4);
    buffer_append_literal(expected, "head:more");
    buffer_append_slice(expected, pages[0]->bytes);
    buffer_append_literal(expected, "|");
    buffer_append_slice(expected, pages[1]->bytes);
    buffer_append_slice(expected, pages[2]->bytes);
    buffer_append_slice(expected, pages[0]->bytes);
    buffer_append_literal(expected, "tail");
    assert_int_equal(buffer_status(expected), SLUICE_OK);
}

struct stream {
    struct net_output output;
    struct shared *pages[3];
    struct buffer expected;
    struct buffer got;
};

static void stream_init(struct stream *stream)
{
    net_output_init(&stream->output);
    stream->pages[0] = page_of(NET_COPY_BYTES_MAX + 1, 1);
    stream->pages[1] = page_of(NET_COPY_BYTES_MAX, 2); /* copied */
    stream->pages[2] = page_of(NET_COPY_BYTES_MAX + 100, 3);
    buffer_init(&stream->expected, 1u << 20);
    buffer_init(&stream->got, 1u << 20);
    append_stream(&stream->output, stream->pages, &stream->expected);
    assert_int_equal(stream->output.bytes, stream->expected.bytes);
}

static void stream_deinit(struct stream *stream)
{
    net_output_deinit(&stream->output);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(stream->pages[i]->references, 1);
        shared_unref(stream->pages[i]);
    }
    buffer_deinit(&stream->expected);
    buffer_deinit(&stream->got);
}

static void assert_same(struct stream *stream)
{
    assert_int_equal(stream->got.bytes, stream->expected.bytes);
    assert_memory_equal(stream->got.data, stream->expected.data, stream->expected.bytes);
}

static void a_fresh_output_has_nothing_to_send(void **state)
{
    (void)state;
    struct net_output output;
    struct iovec piece;
    net_output_init(&output);
    assert_int_equal(output.bytes, 0);
    assert_int_equal(net_output_peek(&output, &piece, 1), 0);
    net_output_consume(&output, 0);
    net_output_append(&output, NULL, 0);
    assert_int_equal(net_output_peek(&output, &piece, 1), 0);
    net_output_reset(&output);
    net_output_deinit(&output);
}

static void copied_pieces_run_together(void **state)
{
    (void)state;
    struct net_output output;
    struct iovec pieces[4];
    net_output_init(&output);
    net_output_append(&output, "one", 3);
    net_output_append(&output, "two", 3);
    assert_int_equal(net_output_peek(&output, pieces, 4), 1);
    assert_int_equal(pieces[0].iov_len, 6);
    assert_memory_equal(pieces[0].iov_base, "onetwo", 6);
    net_output_deinit(&output);
}

static void a_small_page_is_copied_and_a_larger_one_referenced(void **state)
{
    (void)state;
    struct net_output output;
    struct iovec piece;
    struct shared *small = page_of(NET_COPY_BYTES_MAX, 0);
    struct shared *large = page_of(NET_COPY_BYTES_MAX + 1, 0);
    net_output_init(&output);
    net_output_append_shared(&output, small);
    assert_int_equal(small->references, 1);
    net_output_reset(&output);
    net_output_append_shared(&output, large);
    assert_int_equal(large->references, 2);
    assert_int_equal(net_output_peek(&output, &piece, 1), 1);
    assert_ptr_equal(piece.iov_base, large->bytes.data);
    assert_int_equal(piece.iov_len, large->bytes.bytes);
    net_output_consume(&output, large->bytes.bytes);
    assert_int_equal(large->references, 1); /* as soon as it is sent */
    net_output_deinit(&output);
    shared_unref(small);
    shared_unref(large);
}

static void all_is_gathered_in_order_in_one_go(void **state)
{
    (void)state;
    struct stream stream;
    stream_init(&stream);
    struct iovec pieces[PIECES_MAX];
    /* The small page runs together with the copied byte before it. */
    assert_int_equal(net_output_peek(&stream.output, pieces, PIECES_MAX), 6);
    drain(&stream.output, SIZE_MAX, PIECES_MAX, &stream.got);
    assert_same(&stream);
    stream_deinit(&stream);
}

static void a_socket_may_take_any_number_of_bytes_at_a_time(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 2, 3, 7, 64, 1000, NET_COPY_BYTES_MAX, 4096};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        for (unsigned count = 1; count <= 4; count++) {
            struct stream stream;
            stream_init(&stream);
            drain(&stream.output, steps[i], count, &stream.got);
            assert_same(&stream);
            stream_deinit(&stream);
        }
    }
}

static void it_may_stop_at_every_byte_and_get_more_meanwhile(void **state)
{
    (void)state;
    struct stream measure;
    stream_init(&measure);
    size_t whole = measure.expected.bytes;
    stream_deinit(&measure);
    for (size_t cut = 0; cut <= whole; cut++) {
        struct stream stream;
        stream_init(&stream);
        buffer_append(&stream.got, stream.expected.data, cut);
        net_output_consume(&stream.output, cut);
        append_stream(&stream.output, stream.pages, &stream.expected);
        drain(&stream.output, SIZE_MAX, 3, &stream.got);
        assert_same(&stream);
        stream_deinit(&stream);
    }
}

static void what_is_peeked_is_no_more_than_what_is_left(void **state)
{
    (void)state;
    struct stream stream;
    stream_init(&stream);
    size_t left = stream.output.bytes;
    while (left > 0) {
        struct iovec pieces[PIECES_MAX];
        unsigned filled = net_output_peek(&stream.output, pieces, PIECES_MAX);
        size_t offered = 0;
        for (unsigned i = 0; i < filled; i++) {
            offered += pieces[i].iov_len;
        }
        assert_int_equal(offered, left);
        size_t step = left < 97 ? left : 97;
        net_output_consume(&stream.output, step);
        left -= step;
        assert_int_equal(stream.output.bytes, left);
    }
    stream_deinit(&stream);
}

static void a_reset_output_is_as_good_as_a_fresh_one(void **state)
{
    (void)state;
    struct stream stream;
    stream_init(&stream);
    net_output_consume(&stream.output, 2000); /* amid the first page */
    net_output_reset(&stream.output);
    assert_int_equal(stream.output.bytes, 0);
    buffer_clear(&stream.expected);
    append_stream(&stream.output, stream.pages, &stream.expected);
    drain(&stream.output, 100, 2, &stream.got);
    assert_same(&stream);
    stream_deinit(&stream);
}

static void a_reset_keeps_no_large_allocation(void **state)
{
    (void)state;
    struct net_output output;
    struct shared *page = page_of(NET_COPY_BYTES_MAX + 1, 0);
    net_output_init(&output);
    for (unsigned i = 0; i < 20; i++) {
        net_output_append(&output, page->bytes.data, page->bytes.bytes);
        net_output_append_shared(&output, page);
    }
    net_output_reset(&output);
    assert_int_equal(output.copied.capacity, 0);
    assert_int_equal(output.segment_capacity, 0);
    net_output_append(&output, "small", 5);
    net_output_reset(&output);
    assert_true(output.copied.capacity > 0);
    assert_true(output.segment_capacity > 0);
    net_output_deinit(&output);
    assert_int_equal(page->references, 1);
    shared_unref(page);
}

/* Whichever allocation fails, the output says so, and what was referenced is released. */
static void without_memory_it_has_failed_and_says_so(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned successes = 0; failed; successes++) {
        struct net_output output;
        struct shared *page = page_of(NET_COPY_BYTES_MAX + 1, 0);
        net_output_init(&output);
        failing_alloc_arm(successes);
        for (unsigned i = 0; i < 10; i++) {
            net_output_append(&output, "copied", 6);
            net_output_append_shared(&output, page);
        }
        failing_alloc_disarm();
        failed = output.failed;
        assert_true(failed || output.bytes == 10 * (6 + page->bytes.bytes));
        net_output_append(&output, "later", 5); /* stays failed */
        assert_int_equal(output.failed, failed);
        net_output_deinit(&output);
        assert_int_equal(page->references, 1);
        shared_unref(page);
        assert_true(successes < 100);
    }
}

static void more_than_there_is_cannot_be_consumed(void **state)
{
    (void)state;
    struct net_output output;
    net_output_init(&output);
    net_output_append(&output, "four", 4);
    ASSERT_ABORTS(net_output_consume(&output, 5));
    net_output_deinit(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_output_has_nothing_to_send),
        cmocka_unit_test(copied_pieces_run_together),
        cmocka_unit_test(a_small_page_is_copied_and_a_larger_one_referenced),
        cmocka_unit_test(all_is_gathered_in_order_in_one_go),
        cmocka_unit_test(a_socket_may_take_any_number_of_bytes_at_a_time),
        cmocka_unit_test(it_may_stop_at_every_byte_and_get_more_meanwhile),
        cmocka_unit_test(what_is_peeked_is_no_more_than_what_is_left),
        cmocka_unit_test(a_reset_output_is_as_good_as_a_fresh_one),
        cmocka_unit_test(a_reset_keeps_no_large_allocation),
        cmocka_unit_test(without_memory_it_has_failed_and_says_so),
        cmocka_unit_test(more_than_there_is_cannot_be_consumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
