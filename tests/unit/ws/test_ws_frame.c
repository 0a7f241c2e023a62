#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ws/ws_frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void lengths_take_the_shortest_header(void **state)
{
    (void)state;
    static const struct {
        uint64_t payload_bytes;
        struct slice header;
    } rows[] = {
        {0, SLICE("\x82\x00")},
        {1, SLICE("\x82\x01")},
        {125, SLICE("\x82\x7D")},
        {126, SLICE("\x82\x7E\x00\x7E")},
        {65535, SLICE("\x82\x7E\xFF\xFF")},
        {65536, SLICE("\x82\x7F\0\0\0\0\0\1\0\0")},
        {INT64_MAX, SLICE("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF")},
    };
    static const uint8_t mask[4] = {1, 2, 3, 4};
    for (size_t row = 0; row < COUNT(rows); row++) {
        struct slice expected = rows[row].header;
        uint8_t out[WS_FRAME_HEADER_BYTES_MAX];
        assert_int_equal(ws_frame_header(out, WS_OP_BINARY, rows[row].payload_bytes),
                         expected.bytes);
        assert_memory_equal(out, expected.data, expected.bytes);
        assert_int_equal(ws_frame_header_masked(out, WS_OP_BINARY, rows[row].payload_bytes, mask),
                         expected.bytes + 4);
        assert_int_equal(out[1], (uint8_t)expected.data[1] | 0x80);
        assert_memory_equal(out + 2, expected.data + 2, expected.bytes - 2);
        assert_memory_equal(out + expected.bytes, mask, 4);
    }
}

static void every_byte_is_masked_at_every_length_offset_and_alignment(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    for (size_t alignment = 0; alignment < 8; alignment++) {
        for (size_t offset = 0; offset < 9; offset++) {
            for (size_t bytes = 0; bytes < 100; bytes++) {
                char block[120];
                memset(block, 'x', sizeof(block));
                ws_mask(block + alignment, bytes, mask, offset);
                for (size_t at = 0; at < sizeof(block); at++) {
                    bool inside = at >= alignment && at < alignment + bytes;
                    uint8_t key = inside ? mask[(at - alignment + offset) % 4] : 0;
                    assert_int_equal((uint8_t)block[at], 'x' ^ key);
                }
            }
        }
    }
}

static void the_sample_of_the_rfc_is_masked_as_it_says(void **state)
{
    (void)state;
    /* RFC 6455 5.7: a single-frame masked text message */
    static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    char text[] = "Hello";
    ws_mask(text, 5, mask, 0);
    assert_memory_equal(text, "\x7F\x9F\x4D\x51\x58", 5);
}

static void assert_appended(struct buffer *out, struct slice expected)
{
    assert_int_equal(buffer_status(out), SLUICE_OK);
    assert_int_equal(out->bytes, expected.bytes);
    assert_memory_equal(out->data, expected.data, expected.bytes);
    buffer_clear(out);
}

static void control_frames_are_written_whole(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1000);
    ws_append_ping(&out, SLICE("hi"));
    assert_appended(&out, SLICE("\x89\x02hi"));
    ws_append_pong(&out, SLICE_EMPTY);
    assert_appended(&out, SLICE("\x8A\x00"));
    ws_append_close(&out, WS_CLOSE_GOING_AWAY, SLICE("bye"));
    assert_appended(&out, SLICE("\x88\x05\x03\xE9"
                                "bye"));
    ws_append_close(&out, WS_CLOSE_NORMAL, SLICE_EMPTY);
    assert_appended(&out, SLICE("\x88\x02\x03\xE8"));
    ws_append_close(&out, WS_CLOSE_NO_STATUS, SLICE("not sent"));
    assert_appended(&out, SLICE("\x88\x00"));
    buffer_deinit(&out);
}

static void a_long_close_reason_is_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        size_t before;       /* 'a's before the character */
        size_t reason_bytes; /* what is left of it all */
    } rows[] = {{119, 123}, {120, 120}, {121, 121}, {122, 122}, {123, 123}, {130, 123}};
    struct buffer out;
    buffer_init(&out, 1000);
    for (size_t row = 0; row < COUNT(rows); row++) {
        char reason[200];
        memset(reason, 'a', sizeof(reason));
        memcpy(reason + rows[row].before, "\xF0\x9F\x98\x80", 4);
        ws_append_close(&out, WS_CLOSE_POLICY, slice_make(reason, sizeof(reason)));
        assert_int_equal(buffer_status(&out), SLUICE_OK);
        assert_int_equal(out.bytes, 4 + rows[row].reason_bytes);
        assert_int_equal((uint8_t)out.data[1], 2 + rows[row].reason_bytes);
        assert_memory_equal(out.data + 4, reason, rows[row].reason_bytes);
        buffer_clear(&out);
    }
    buffer_deinit(&out);
}

static void the_sample_key_of_the_rfc_is_accepted_as_it_says(void **state)
{
    (void)state;
    char out[WS_ACCEPT_BYTES];
    ws_accept_key(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), out);
    assert_memory_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_ACCEPT_BYTES);
}

static void a_key_is_base64_of_16_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool valid;
    } rows[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", true},   {"AAAAAAAAAAAAAAAAAAAAAA==", true},
        {"+/+/+/+/+/+/+/+/+/+/+w==", true},   {"", false},
        {"dGhlIHNhbXBsZSBub25jZQ=", false},   {"dGhlIHNhbXBsZSBub25jZQ", false},
        {"dGhlIHNhbXBsZSBub25jZQ===", false}, {"dGhlIHNhbXBsZSBub25jZQA=", false},
        {"dGhlIHNhbXBsZSBub25jZQAA", false},  {"dGhlIHNhbXBsZSBub25jZ-==", false},
        {"dGhlIHNhbXBsZ=Bub25jZQ==", false},  {" GhlIHNhbXBsZSBub25jZQ==", false},
    };
    for (size_t row = 0; row < COUNT(rows); row++) {
        if (ws_key_valid(slice_of_string(rows[row].key)) != rows[row].valid) {
            fail_msg("\"%s\"", rows[row].key);
        }
    }
}

static void a_frame_for_a_failed_buffer_leaves_it_failed(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 3);
    ws_append_ping(&out, SLICE("hi"));
    assert_int_equal(buffer_status(&out), SLUICE_LIMIT);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_take_the_shortest_header),
        cmocka_unit_test(every_byte_is_masked_at_every_length_offset_and_alignment),
        cmocka_unit_test(the_sample_of_the_rfc_is_masked_as_it_says),
        cmocka_unit_test(control_frames_are_written_whole),
        cmocka_unit_test(a_long_close_reason_is_cut_between_characters),
        cmocka_unit_test(the_sample_key_of_the_rfc_is_accepted_as_it_says),
        cmocka_unit_test(a_key_is_base64_of_16_bytes),
        cmocka_unit_test(a_frame_for_a_failed_buffer_leaves_it_failed),
    };
    return cmocka_run_group_tests_name("ws_frame", tests, NULL, NULL);
}
