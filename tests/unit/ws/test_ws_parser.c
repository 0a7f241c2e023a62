/* The cases of RFC 6455. Where nothing else is said, frames are tried as a client's (masked, fed to
 * a server's parser) and as a server's (not masked, fed to a client's), whole, one byte at a time
 * and cut at every point; what is reported must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "transcript.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MESSAGE_BYTES_MAX 1000u

/* First bytes: FIN and the opcode. */
#define TEXT 0x81
#define TEXT_START 0x01
#define BINARY 0x82
#define BINARY_START 0x02
#define MIDDLE 0x00
#define LAST 0x80
#define CLOSE 0x88
#define PING 0x89
#define PONG 0x8A

#define NEEDS_MASK "ERROR 1002 a client's frame without a mask\n"
#define NOT_UTF8 "ERROR 1007 a text message that is not UTF-8\n"
#define TOO_BIG "ERROR 1009 a message over the size limit\n"
#define NOT_SHORTEST "ERROR 1002 a length that is not in its shortest form\n"
#define RESERVED_BIT "ERROR 1002 a reserved bit is set, without an extension that was agreed on\n"
#define RESERVED_OPCODE "ERROR 1002 a reserved opcode\n"
#define FRAGMENTED_CONTROL "ERROR 1002 a fragmented control frame\n"
#define LONG_CONTROL "ERROR 1002 a control frame of more than 125 bytes\n"
#define NOTHING_TO_CONTINUE "ERROR 1002 a continuation frame without a message to continue\n"
#define INTERRUPTED "ERROR 1002 a new message inside a fragmented one\n"
#define BAD_CODE "ERROR 1002 a close code that may not be sent\n"

struct frame {
    uint8_t first_byte;
    struct slice payload; /* NULL data: the end of the list */
};

#define FRAMES_MAX 8

static const uint8_t test_mask[4] = {0x37, 0xFA, 0x21, 0x3D};

static void append_frame(struct buffer *out, enum ws_role reader, uint8_t first_byte,
                         struct slice payload)
{
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    size_t header_bytes = reader == WS_SERVER
                              ? ws_frame_header_masked(header, WS_OP_TEXT, payload.bytes, test_mask)
                              : ws_frame_header(header, WS_OP_TEXT, payload.bytes);
    header[0] = first_byte;
    buffer_append(out, header, header_bytes);
    size_t start = out->bytes;
    buffer_append_slice(out, payload);
    assert_int_equal(buffer_status(out), SLUICE_OK);
    /* Byte by byte, so that ws_mask is not checked against itself. */
    for (size_t at = 0; reader == WS_SERVER && at < payload.bytes; at++) {
        out->data[start + at] = (char)((uint8_t)out->data[start + at] ^ test_mask[at % 4]);
    }
}

static void compare(const char *what, const struct transcript *transcript, struct slice expected,
                    size_t cut)
{
    if (!slice_equal(buffer_slice(&transcript->text), expected)) {
        fail_msg("%s, fed in pieces of %zu:\n%.*s\nexpected:\n%.*s", what, cut,
                 (int)transcript->text.bytes, transcript->text.data, (int)expected.bytes,
                 expected.data);
    }
}

static void expect_pieces(const char *what, enum ws_role role, struct slice input,
                          size_t first_bytes, size_t piece_bytes, struct slice expected)
{
    struct transcript transcript;
    transcript_init(&transcript, role, MESSAGE_BYTES_MAX);
    transcript_feed_pieces(&transcript, input, first_bytes, piece_bytes);
    compare(what, &transcript, expected, first_bytes > 0 ? first_bytes : piece_bytes);
    transcript_deinit(&transcript);
}

static void expect_bytes(const char *what, enum ws_role role, struct slice input,
                         struct slice expected)
{
    expect_pieces(what, role, input, 0, 1, expected);
    for (size_t cut = 0; cut <= input.bytes; cut++) {
        expect_pieces(what, role, input, cut, SIZE_MAX, expected);
    }
}

static void expect_frames(const char *what, const struct frame *frames, size_t frames_max,
                          struct slice expected)
{
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        struct buffer input;
        buffer_init(&input, 1u << 20);
        for (size_t index = 0; index < frames_max && frames[index].payload.data != NULL; index++) {
            append_frame(&input, (enum ws_role)role, frames[index].first_byte,
                         frames[index].payload);
        }
        expect_bytes(what, (enum ws_role)role, buffer_slice(&input), expected);
        buffer_deinit(&input);
    }
}

struct row {
    const char *what;
    struct frame frames[FRAMES_MAX];
    struct slice expected;
};

static void expect_rows(const struct row *rows, size_t row_count)
{
    for (size_t row = 0; row < row_count; row++) {
        expect_frames(rows[row].what, rows[row].frames, FRAMES_MAX, rows[row].expected);
    }
}

#define A125                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaa"                                                                                          \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void messages_in_one_frame_are_reported(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a text", {{TEXT, SLICE("hello")}}, SLICE("TEXT 5 hello\n")},
        {"an empty text", {{TEXT, SLICE("")}}, SLICE("TEXT 0\n")},
        {"a binary", {{BINARY, SLICE("\0\xFF")}}, SLICE("BINARY 2 \0\xFF\n")},
        {"an empty binary", {{BINARY, SLICE("")}}, SLICE("BINARY 0\n")},
        {"several",
         {{TEXT, SLICE("a")}, {BINARY, SLICE("b")}, {TEXT, SLICE("\xE2\x82\xAC")}},
         SLICE("TEXT 1 a\nBINARY 1 b\nTEXT 3 \xE2\x82\xAC\n")},
        {"125 bytes", {{TEXT, SLICE(A125)}}, SLICE("TEXT 125 " A125 "\n")},
        {"126 bytes", {{TEXT, SLICE(A125 "b")}}, SLICE("TEXT 126 " A125 "b\n")},
        {"pings and pongs",
         {{PING, SLICE("p")}, {PONG, SLICE("")}, {PING, SLICE("")}, {PONG, SLICE(A125)}},
         SLICE("PING 1 p\nPONG 0\nPING 0\nPONG 125 " A125 "\n")},
    };
    expect_rows(rows, COUNT(rows));
}

static void fragments_are_put_together(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"two", {{TEXT_START, SLICE("he")}, {LAST, SLICE("llo")}}, SLICE("TEXT 5 hello\n")},
        {"three",
         {{BINARY_START, SLICE("a")}, {MIDDLE, SLICE("b")}, {LAST, SLICE("c")}},
         SLICE("BINARY 3 abc\n")},
        {"an empty start", {{TEXT_START, SLICE("")}, {LAST, SLICE("a")}}, SLICE("TEXT 1 a\n")},
        {"an empty end", {{TEXT_START, SLICE("a")}, {LAST, SLICE("")}}, SLICE("TEXT 1 a\n")},
        {"all empty",
         {{TEXT_START, SLICE("")}, {MIDDLE, SLICE("")}, {LAST, SLICE("")}},
         SLICE("TEXT 0\n")},
        {"two messages",
         {{TEXT_START, SLICE("a")},
          {LAST, SLICE("b")},
          {BINARY_START, SLICE("c")},
          {LAST, SLICE("d")},
          {TEXT, SLICE("e")}},
         SLICE("TEXT 2 ab\nBINARY 2 cd\nTEXT 1 e\n")},
        {"control frames in between",
         {{TEXT_START, SLICE("a")},
          {PING, SLICE("1")},
          {MIDDLE, SLICE("b")},
          {PONG, SLICE("2")},
          {PING, SLICE("")},
          {LAST, SLICE("c")},
          {PING, SLICE("3")}},
         SLICE("PING 1 1\nPONG 1 2\nPING 0\nTEXT 3 abc\nPING 1 3\n")},
        {"a close in between",
         {{TEXT_START, SLICE("a")}, {CLOSE, SLICE("\x03\xE8")}, {LAST, SLICE("b")}},
         SLICE("CLOSE 1000 0\n")},
    };
    expect_rows(rows, COUNT(rows));
}

static void frames_against_the_rules_are_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"RSV1 (no deflate was agreed on)", {{0xC1, SLICE("a")}}, SLICE(RESERVED_BIT)},
        {"RSV2", {{0xA1, SLICE("a")}}, SLICE(RESERVED_BIT)},
        {"RSV3", {{0x91, SLICE("a")}}, SLICE(RESERVED_BIT)},
        {"RSV1 on a ping", {{0xC9, SLICE("")}}, SLICE(RESERVED_BIT)},
        {"RSV1 on a continuation",
         {{TEXT_START, SLICE("a")}, {0xC0, SLICE("")}},
         SLICE(RESERVED_BIT)},
        {"a fragmented ping", {{0x09, SLICE("a")}}, SLICE(FRAGMENTED_CONTROL)},
        {"a fragmented pong", {{0x0A, SLICE("")}}, SLICE(FRAGMENTED_CONTROL)},
        {"a fragmented close", {{0x08, SLICE("")}}, SLICE(FRAGMENTED_CONTROL)},
        {"a long ping", {{PING, SLICE(A125 "b")}}, SLICE(LONG_CONTROL)},
        {"a long close", {{CLOSE, SLICE("\x03\xE8" A125)}}, SLICE(LONG_CONTROL)},
        {"an end without a start", {{LAST, SLICE("a")}}, SLICE(NOTHING_TO_CONTINUE)},
        {"a middle without a start", {{MIDDLE, SLICE("a")}}, SLICE(NOTHING_TO_CONTINUE)},
        {"an end after a message",
         {{TEXT, SLICE("a")}, {LAST, SLICE("b")}},
         SLICE("TEXT 1 a\n" NOTHING_TO_CONTINUE)},
        {"an end after an end",
         {{TEXT_START, SLICE("a")}, {LAST, SLICE("b")}, {LAST, SLICE("c")}},
         SLICE("TEXT 2 ab\n" NOTHING_TO_CONTINUE)},
        {"a text inside a text",
         {{TEXT_START, SLICE("a")}, {TEXT, SLICE("b")}},
         SLICE(INTERRUPTED)},
        {"a binary inside a text, after a ping",
         {{TEXT_START, SLICE("")}, {PING, SLICE("")}, {BINARY_START, SLICE("b")}},
         SLICE("PING 0\n" INTERRUPTED)},
        {"nothing is reported after a violation",
         {{MIDDLE, SLICE("")}, {TEXT, SLICE("b")}, {CLOSE, SLICE("")}},
         SLICE(NOTHING_TO_CONTINUE)},
    };
    expect_rows(rows, COUNT(rows));
}

static void reserved_opcodes_are_refused(void **state)
{
    (void)state;
    for (uint8_t opcode = 0; opcode < 16; opcode++) {
        bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
        if (!known) {
            const struct frame frames[] = {{(uint8_t)(0x80 | opcode), SLICE("a")}};
            expect_frames("a reserved opcode", frames, 1, SLICE(RESERVED_OPCODE));
        }
    }
}

static void a_servers_parser_wants_masks_and_a_clients_forbids_them(void **state)
{
    (void)state;
    expect_bytes("not masked", WS_SERVER,
                 SLICE("\x81\x01"
                       "a"),
                 SLICE(NEEDS_MASK));
    expect_bytes("not masked, empty", WS_SERVER, SLICE("\x89\x00"), SLICE(NEEDS_MASK));
    expect_bytes("masked", WS_CLIENT,
                 SLICE("\x81\x81\0\0\0\0"
                       "a"),
                 SLICE("ERROR 1002 a server's frame with a mask\n"));
    expect_bytes("a mask of zeros", WS_SERVER,
                 SLICE("\x81\x81\0\0\0\0"
                       "a"),
                 SLICE("TEXT 1 a\n"));
}

static void lengths_must_be_in_their_shortest_form(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct slice input, expected;
    } rows[] = {
        {"0 in 16 bits", SLICE("\x82\x7E\0\0"), SLICE(NOT_SHORTEST)},
        {"125 in 16 bits", SLICE("\x82\x7E\0\x7D" A125), SLICE(NOT_SHORTEST)},
        {"125 in 64 bits", SLICE("\x82\x7F\0\0\0\0\0\0\0\x7D"), SLICE(NOT_SHORTEST)},
        {"65535 in 64 bits", SLICE("\x82\x7F\0\0\0\0\0\0\xFF\xFF"), SLICE(NOT_SHORTEST)},
        {"65536 in 64 bits", SLICE("\x82\x7F\0\0\0\0\0\1\0\0"), SLICE(TOO_BIG)},
        {"2^63 - 1", SLICE("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), SLICE(TOO_BIG)},
        {"2^63", SLICE("\x82\x7F\x80\0\0\0\0\0\0\0"),
         SLICE("ERROR 1002 a length of 2^63 or more\n")},
        {"2^64 - 1", SLICE("\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
         SLICE("ERROR 1002 a length of 2^63 or more\n")},
        {"a ping with a 16-bit length", SLICE("\x89\x7E\0\x05hello"), SLICE(LONG_CONTROL)},
        {"a ping with a 64-bit length", SLICE("\x89\x7F"), SLICE(LONG_CONTROL)},
    };
    for (size_t row = 0; row < COUNT(rows); row++) {
        expect_bytes(rows[row].what, WS_CLIENT, rows[row].input, rows[row].expected);
    }
}

static void every_close_code_is_judged(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        bool valid = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);
        const char payload[2] = {(char)(code >> 8), (char)code};
        char expected[80];
        int bytes = snprintf(expected, sizeof(expected), valid ? "CLOSE %u 0\n" : BAD_CODE, code);
        struct buffer input;
        buffer_init(&input, 100);
        append_frame(&input, WS_SERVER, CLOSE, slice_make(payload, 2));
        expect_pieces("a close", WS_SERVER, buffer_slice(&input), 0, SIZE_MAX,
                      slice_make(expected, (size_t)bytes));
        buffer_deinit(&input);
    }
}

static void close_frames_are_read(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"empty", {{CLOSE, SLICE("")}}, SLICE("CLOSE 1005 0\n")},
        {"half a code",
         {{CLOSE, SLICE("\x03")}},
         SLICE("ERROR 1002 a close frame with half a close code\n")},
        {"a reason",
         {{CLOSE, SLICE("\x03\xE9"
                        "bye")}},
         SLICE("CLOSE 1001 3 bye\n")},
        {"the longest reason",
         {{CLOSE, SLICE("\x0B\xB8"
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")}},
         SLICE("CLOSE 3000 123 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")},
        {"a reason with a character",
         {{CLOSE, SLICE("\x03\xE8\xE2\x82\xAC")}},
         SLICE("CLOSE 1000 3 \xE2\x82\xAC\n")},
        {"a reason that is not UTF-8",
         {{CLOSE, SLICE("\x03\xE8\xFF")}},
         SLICE("ERROR 1007 a close reason that is not UTF-8\n")},
        {"a reason that ends inside a character",
         {{CLOSE, SLICE("\x03\xE8\xE2\x82")}},
         SLICE("ERROR 1007 a close reason that is not UTF-8\n")},
        {"what follows a close is dropped",
         {{CLOSE, SLICE("\x03\xE8")}, {TEXT, SLICE("a")}, {0xFF, SLICE("b")}, {CLOSE, SLICE("")}},
         SLICE("CLOSE 1000 0\n")},
    };
    expect_rows(rows, COUNT(rows));
}

static void text_must_be_utf8_also_across_fragments(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a character in two fragments",
         {{TEXT_START, SLICE("\xE2\x82")}, {LAST, SLICE("\xAC")}},
         SLICE("TEXT 3 \xE2\x82\xAC\n")},
        {"a character in four fragments",
         {{TEXT_START, SLICE("\xF0")},
          {MIDDLE, SLICE("\x9F")},
          {PING, SLICE("\xFF")},
          {MIDDLE, SLICE("\x98")},
          {MIDDLE, SLICE("")},
          {LAST, SLICE("\x80")}},
         SLICE("PING 1 \xFF\nTEXT 4 \xF0\x9F\x98\x80\n")},
        {"a wrong byte",
         {{TEXT, SLICE("ab\xFF"
                       "cd")}},
         SLICE(NOT_UTF8)},
        {"an overlong form", {{TEXT, SLICE("\xC0\xAF")}}, SLICE(NOT_UTF8)},
        {"a surrogate", {{TEXT, SLICE("\xED\xA0\x80")}}, SLICE(NOT_UTF8)},
        {"past U+10FFFF", {{TEXT, SLICE("\xF4\x90\x80\x80")}}, SLICE(NOT_UTF8)},
        {"an end inside a character", {{TEXT, SLICE("a\xE2\x82")}}, SLICE(NOT_UTF8)},
        {"an end inside a character, in fragments",
         {{TEXT_START, SLICE("a")}, {LAST, SLICE("\xE2\x82")}},
         SLICE(NOT_UTF8)},
        {"an empty end inside a character",
         {{TEXT_START, SLICE("\xE2\x82")}, {LAST, SLICE("")}},
         SLICE(NOT_UTF8)},
        {"a character that a fragment breaks",
         {{TEXT_START, SLICE("\xE2\x82")}, {LAST, SLICE("a")}},
         SLICE(NOT_UTF8)},
        {"a message after one with a split character",
         {{TEXT_START, SLICE("\xC3")}, {LAST, SLICE("\xA9")}, {TEXT, SLICE("\xA9")}},
         SLICE("TEXT 2 \xC3\xA9\n" NOT_UTF8)},
        {"binary is not looked at", {{BINARY, SLICE("\xFF\xC0")}}, SLICE("BINARY 2 \xFF\xC0\n")},
        {"binary in fragments is not looked at",
         {{BINARY_START, SLICE("\xFF")}, {LAST, SLICE("\xC0")}},
         SLICE("BINARY 2 \xFF\xC0\n")},
    };
    expect_rows(rows, COUNT(rows));
}

/* Feeds the beginning of a message and checks that the parser has not waited for its end. */
static void expect_at_once(struct slice input, const char *expected)
{
    struct transcript transcript;
    transcript_init(&transcript, WS_CLIENT, MESSAGE_BYTES_MAX);
    transcript_feed_pieces(&transcript, input, 0, 1);
    compare("at once", &transcript, slice_of_string(expected), 1);
    transcript_deinit(&transcript);
}

static void what_is_wrong_is_refused_before_the_message_ends(void **state)
{
    (void)state;
    expect_at_once(SLICE("\x81\x7Dok\xFF"), NOT_UTF8);
    expect_at_once(SLICE("\x81\x7D\xF4\x90"), NOT_UTF8);
    expect_at_once(SLICE("\x01\x02\xE2\x82\x80\x02"
                         "a"),
                   NOT_UTF8);
    expect_at_once(SLICE("\xC1\x05"), RESERVED_BIT);
    expect_at_once(SLICE("\x83\x05"), RESERVED_OPCODE);
    expect_at_once(SLICE("\x82\x7E\x03\xE9"), TOO_BIG);
}

/* A message of `count` fragments of `bytes` each, after an optional first frame. */
static struct buffer fragments(enum ws_role reader, size_t count, size_t bytes)
{
    struct buffer input, payload;
    buffer_init(&input, 1u << 20);
    buffer_init(&payload, 1u << 20);
    for (size_t at = 0; at < bytes; at++) {
        buffer_append_byte(&payload, 'x');
    }
    for (size_t index = 0; index < count; index++) {
        unsigned first_byte =
            (index == 0 ? BINARY_START : MIDDLE) | (index + 1 == count ? 0x80 : 0);
        append_frame(&input, reader, (uint8_t)first_byte, buffer_slice(&payload));
    }
    buffer_deinit(&payload);
    return input;
}

static void expect_fragments(size_t count, size_t bytes, bool too_big)
{
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        struct buffer input = fragments((enum ws_role)role, count, bytes);
        for (size_t piece_bytes = 1; piece_bytes < 2000; piece_bytes = piece_bytes * 3 + 1) {
            struct transcript transcript;
            transcript_init(&transcript, (enum ws_role)role, MESSAGE_BYTES_MAX);
            transcript_feed_pieces(&transcript, buffer_slice(&input), 0, piece_bytes);
            if (too_big) {
                compare("fragments", &transcript, SLICE(TOO_BIG), piece_bytes);
            } else {
                char start[40];
                int start_bytes = snprintf(start, sizeof(start), "BINARY %zu ", count * bytes);
                assert_int_equal(transcript.text.bytes, (size_t)start_bytes + count * bytes + 1);
                assert_memory_equal(transcript.text.data, start, (size_t)start_bytes);
            }
            transcript_deinit(&transcript);
        }
        buffer_deinit(&input);
    }
}

static void a_message_over_the_limit_is_refused_in_one_frame_or_in_many(void **state)
{
    (void)state;
    expect_fragments(1, MESSAGE_BYTES_MAX, false);
    expect_fragments(1, MESSAGE_BYTES_MAX + 1, true);
    expect_fragments(2, MESSAGE_BYTES_MAX / 2, false);
    expect_fragments(2, MESSAGE_BYTES_MAX / 2 + 1, true);
    expect_fragments(MESSAGE_BYTES_MAX, 1, false);
    expect_fragments(MESSAGE_BYTES_MAX + 1, 1, true);
}

static void lengths_of_7_16_and_64_bits_are_read(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 100000};
    for (size_t row = 0; row < COUNT(lengths); row++) {
        for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
            struct buffer input = fragments((enum ws_role)role, 1, lengths[row]);
            struct transcript whole, bytewise;
            transcript_init(&whole, (enum ws_role)role, 100000);
            transcript_init(&bytewise, (enum ws_role)role, 100000);
            transcript_feed_pieces(&whole, buffer_slice(&input), 0, SIZE_MAX);
            transcript_feed_pieces(&bytewise, buffer_slice(&input), 0, 1);
            char start[40];
            int start_bytes = snprintf(start, sizeof(start), "BINARY %zu", lengths[row]);
            assert_memory_equal(whole.text.data, start, (size_t)start_bytes);
            assert_int_equal(whole.text.bytes,
                             (size_t)start_bytes + (lengths[row] > 0) + lengths[row] + 1);
            compare("bytewise", &bytewise, buffer_slice(&whole.text), 1);
            transcript_deinit(&whole);
            transcript_deinit(&bytewise);
            buffer_deinit(&input);
        }
    }
}

/* ---- memory ---- */

static enum ws_event feed(struct ws_parser *parser, char *bytes, size_t count)
{
    return ws_parser_feed(parser, &bytes, &count);
}

static void an_idle_parser_is_small_and_allocates_nothing(void **state)
{
    (void)state;
    struct ws_parser parser;
    assert_true(sizeof(parser) <= 320);
    ws_parser_init(&parser, WS_SERVER, 16u << 20);
    assert_null(parser.message.data);
    char message[] = "\x81\x85\0\0\0\0hello";
    assert_int_equal(feed(&parser, message, sizeof(message) - 1), WS_TEXT);
    assert_ptr_equal(parser.payload.data, message + 6);
    assert_null(parser.message.data);
    ws_parser_deinit(&parser);
}

static void a_whole_message_is_unmasked_in_place(void **state)
{
    (void)state;
    struct ws_parser parser;
    ws_parser_init(&parser, WS_SERVER, 1000);
    struct buffer input;
    buffer_init(&input, 1000);
    append_frame(&input, WS_SERVER, TEXT, SLICE("the first"));
    append_frame(&input, WS_SERVER, PING, SLICE("a ping"));
    append_frame(&input, WS_SERVER, BINARY, SLICE("the second"));
    char *data = input.data;
    size_t bytes_left = input.bytes;
    assert_int_equal(ws_parser_feed(&parser, &data, &bytes_left), WS_TEXT);
    assert_ptr_equal(parser.payload.data, input.data + 6);
    assert_int_equal(ws_parser_feed(&parser, &data, &bytes_left), WS_PING);
    assert_ptr_equal(parser.payload.data, input.data + 6 + 9 + 6);
    assert_int_equal(ws_parser_feed(&parser, &data, &bytes_left), WS_BINARY);
    assert_ptr_equal(parser.payload.data, input.data + 6 + 9 + 6 + 6 + 6);
    assert_int_equal(ws_parser_feed(&parser, &data, &bytes_left), WS_NEED_MORE);
    assert_null(parser.message.data);
    buffer_deinit(&input);
    ws_parser_deinit(&parser);
}

static void memory_follows_what_has_arrived_not_what_was_announced(void **state)
{
    (void)state;
    struct ws_parser parser;
    ws_parser_init(&parser, WS_CLIENT, 16u << 20);
    char header[] = "\x82\x7F\0\0\0\0\1\0\0\0"; /* 16 MiB */
    assert_int_equal(feed(&parser, header, 10), WS_NEED_MORE);
    assert_null(parser.message.data);
    char piece[1000] = {0};
    for (size_t arrived = sizeof(piece); arrived < 300000; arrived += sizeof(piece)) {
        assert_int_equal(feed(&parser, piece, sizeof(piece)), WS_NEED_MORE);
        assert_true(parser.message.capacity <= 2 * arrived + 64);
    }
    ws_parser_deinit(&parser);
}

static void a_flood_of_empty_fragments_costs_no_memory(void **state)
{
    (void)state;
    struct ws_parser parser;
    ws_parser_init(&parser, WS_CLIENT, 1000);
    char start[] = "\x01\x00";
    assert_int_equal(feed(&parser, start, 2), WS_NEED_MORE);
    for (unsigned count = 0; count < 100000; count++) {
        char middle[] = "\x00\x00";
        assert_int_equal(feed(&parser, middle, 2), WS_NEED_MORE);
    }
    assert_null(parser.message.data);
    ws_parser_deinit(&parser);
}

/* Feeds a binary message of `bytes` in two pieces, so that it is assembled. */
static void feed_split(struct ws_parser *parser, size_t bytes)
{
    struct buffer input = fragments(WS_CLIENT, 1, bytes);
    size_t half = input.bytes / 2;
    assert_int_equal(feed(parser, input.data, half), WS_NEED_MORE);
    assert_int_equal(feed(parser, input.data + half, input.bytes - half), WS_BINARY);
    buffer_deinit(&input);
    assert_int_equal(parser->payload.bytes, bytes);
    assert_ptr_equal(parser->payload.data, parser->message.data);
    assert_int_equal(feed(parser, NULL, 0), WS_NEED_MORE);
}

static void a_large_buffer_is_freed_between_messages_and_a_small_one_is_kept(void **state)
{
    (void)state;
    struct ws_parser parser;
    ws_parser_init(&parser, WS_CLIENT, 100000);
    feed_split(&parser, 1000);
    assert_non_null(parser.message.data);
    feed_split(&parser, 50000);
    assert_null(parser.message.data);
    feed_split(&parser, 100);
    ws_parser_deinit(&parser);
}

static void a_close_and_an_error_free_what_was_assembled(void **state)
{
    (void)state;
    static const struct {
        struct slice input;
        enum ws_event event;
    } rows[] = {{SLICE("\x88\x00"), WS_CLOSE}, {SLICE("\x81\x00"), WS_ERROR}};
    for (size_t row = 0; row < COUNT(rows); row++) {
        struct ws_parser parser;
        ws_parser_init(&parser, WS_CLIENT, 1000);
        char start[] = "\x01\x01"
                       "a";
        assert_int_equal(feed(&parser, start, 3), WS_NEED_MORE);
        assert_non_null(parser.message.data);
        char end[2];
        memcpy(end, rows[row].input.data, 2);
        assert_int_equal(feed(&parser, end, 2), rows[row].event);
        assert_null(parser.message.data);
        ws_parser_deinit(&parser);
    }
}

static void a_lack_of_memory_is_an_internal_error(void **state)
{
    (void)state;
    struct ws_parser parser;
    ws_parser_init(&parser, WS_CLIENT, 1000);
    parser.message.status = SLUICE_NO_MEMORY; /* as after an allocation that failed */
    char start[] = "\x01\x01"
                   "a";
    assert_int_equal(feed(&parser, start, 3), WS_ERROR);
    assert_int_equal(parser.close_code, WS_CLOSE_INTERNAL_ERROR);
    assert_int_equal(feed(&parser, start, 3), WS_NEED_MORE);
    ws_parser_deinit(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_in_one_frame_are_reported),
        cmocka_unit_test(fragments_are_put_together),
        cmocka_unit_test(frames_against_the_rules_are_refused),
        cmocka_unit_test(reserved_opcodes_are_refused),
        cmocka_unit_test(a_servers_parser_wants_masks_and_a_clients_forbids_them),
        cmocka_unit_test(lengths_must_be_in_their_shortest_form),
        cmocka_unit_test(every_close_code_is_judged),
        cmocka_unit_test(close_frames_are_read),
        cmocka_unit_test(text_must_be_utf8_also_across_fragments),
        cmocka_unit_test(what_is_wrong_is_refused_before_the_message_ends),
        cmocka_unit_test(a_message_over_the_limit_is_refused_in_one_frame_or_in_many),
        cmocka_unit_test(lengths_of_7_16_and_64_bits_are_read),
        cmocka_unit_test(an_idle_parser_is_small_and_allocates_nothing),
        cmocka_unit_test(a_whole_message_is_unmasked_in_place),
        cmocka_unit_test(memory_follows_what_has_arrived_not_what_was_announced),
        cmocka_unit_test(a_flood_of_empty_fragments_costs_no_memory),
        cmocka_unit_test(a_large_buffer_is_freed_between_messages_and_a_small_one_is_kept),
        cmocka_unit_test(a_close_and_an_error_free_what_was_assembled),
        cmocka_unit_test(a_lack_of_memory_is_an_internal_error),
    };
    return cmocka_run_group_tests_name("ws_parser", tests, NULL, NULL);
}
