#include "core_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "client/client_event.h"
#include "ws/ws_frame.h"

#define PAGE_BYTES (256u << 10)

/* ---- journal ---- */

void stage_note(struct stage *stage, const char *format, ...)
{
    char line[600];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    assert_true(bytes >= 0 && (size_t)bytes < sizeof(line));
    buffer_append(&stage->journal, line, (size_t)bytes);
    buffer_append_byte(&stage->journal, '\n');
}

void stage_journal(struct stage *stage, const char *expected)
{
    buffer_append_byte(&stage->journal, '\0');
    assert_int_equal(buffer_status(&stage->journal), SLUICE_OK);
    if (strcmp(stage->journal.data, expected) != 0) {
        fail_msg("the core told:\n%sexpected:\n%s", stage->journal.data, expected);
    }
    buffer_clear(&stage->journal);
}

static const char *status_of(const struct sluice_failure *failure)
{
    return failure == NULL ? "OK" : sluice_status_name(failure->error.status);
}

/* ---- the core's wishes ---- */

static void on_open(void *user)
{
    struct stage *stage = user;
    assert_false(stage->opening || stage->open);
    stage->opening = true;
    stage->opens++;
}

static void on_send(void *user, struct slice bytes)
{
    struct stage *stage = user;
    assert_true(stage->open);
    buffer_append_slice(&stage->sent, bytes);
}

static void gone(struct stage *stage)
{
    stage->opening = false;
    stage->open = false;
    stage->upgraded = false;
    buffer_clear(&stage->sent);
}

static void on_shut(void *user)
{
    struct stage *stage = user;
    assert_true(stage->opening || stage->open);
    gone(stage);
}

static void on_random(void *user, void *out, size_t bytes)
{
    struct stage *stage = user;
    memset(out, 0, bytes);
    memcpy(out, &stage->random, bytes < sizeof(stage->random) ? bytes : sizeof(stage->random));
}

static void on_connection(void *user, const struct sluice_connection *connection)
{
    struct stage *stage = user;
    if (connection->connected) {
        assert_null(connection->failure);
        stage_note(stage, "connected");
    } else {
        stage_note(stage, "disconnected %s", status_of(connection->failure));
    }
}

static void on_backend_id(void *user, struct slice backend_id)
{
    stage_note(user, "backend id %.*s", SLICE_PRINT(backend_id));
}

static const struct client_core_ops OPS = {.open = on_open,
                                           .send = on_send,
                                           .shut = on_shut,
                                           .random = on_random,
                                           .connection = on_connection,
                                           .backend_id = on_backend_id};

static void enter(struct stage *stage)
{
    if (stage->entering != NULL) {
        stage->entering();
    }
}

static void leave(struct stage *stage)
{
    if (stage->leaving != NULL) {
        stage->leaving();
    }
}

/* ---- life ---- */

void stage_init(struct stage *stage, const char *url)
{
    *stage = (struct stage){.now_ms = 1000};
    struct sluice_error error = {0};
    assert_int_equal(
        client_url_parse(slice_of_string(url), SLUICE_TRANSPORT_AUTO, &stage->url, &error),
        SLUICE_OK);
    stage->config = (struct client_core_config){.url = &stage->url,
                                                .store_id = SLICE("s"),
                                                .connect_timeout_ms = 5000,
                                                .ping_interval_ms = 10000,
                                                .ping_timeout_ms = 4000,
                                                .request_timeout_ms = 60000,
                                                .operation_timeout_ms = 30000,
                                                .backoff_base_ms = 500,
                                                .backoff_cap_ms = 8000,
                                                .poll_interval_ms = 5000,
                                                .message_bytes_max = 1u << 20};
    buffer_init(&stage->sent, 64u << 20);
    buffer_init(&stage->heard, 64u << 20);
    buffer_init(&stage->head, 1u << 20);
    buffer_init(&stage->journal, 1u << 20);
    http_parser_init(&stage->requests, HTTP_REQUESTS);
    ws_parser_init(&stage->frames, WS_SERVER, 64u << 20);
}

void stage_start(struct stage *stage)
{
    stage->core = client_core_create(&stage->config, &OPS, stage);
    assert_non_null(stage->core);
}

void stage_reserve(struct stage *stage)
{
    assert_non_null(buffer_reserve(&stage->sent, 1u << 18));
    assert_non_null(buffer_reserve(&stage->journal, 1u << 16));
}

void stage_deinit(struct stage *stage)
{
    enter(stage);
    client_core_close(stage->core, stage->now_ms);
    leave(stage);
    client_core_destroy(stage->core);
    buffer_deinit(&stage->sent);
    buffer_deinit(&stage->heard);
    buffer_deinit(&stage->head);
    buffer_deinit(&stage->journal);
    http_parser_deinit(&stage->requests);
    ws_parser_deinit(&stage->frames);
}

/* ---- the server ---- */

/* Reads one HTTP request of what was sent; its body goes to `heard`. */
static bool read_request(struct stage *stage)
{
    struct slice input = buffer_slice(&stage->sent);
    bool complete = false;
    http_parser_reset(&stage->requests);
    while (!complete) {
        switch (http_parser_feed(&stage->requests, &input)) {
        case HTTP_NEED_MORE:
            return false;
        case HTTP_HEAD:
            buffer_clear(&stage->head);
            buffer_append_slice(&stage->head, stage->requests.target);
            buffer_append_byte(&stage->head, '\0');
            break;
        case HTTP_BODY:
            buffer_append_slice(&stage->heard, stage->requests.piece);
            break;
        case HTTP_END:
            complete = true;
            break;
        case HTTP_ERROR:
            fail_msg("the request is refused: %s", stage->requests.error.message);
        }
    }
    buffer_consume(&stage->sent, stage->sent.bytes - input.bytes);
    return true;
}

void stage_bytes(struct stage *stage, struct slice bytes)
{
    char *copy = calloc(1, bytes.bytes + 1);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.bytes);
    enter(stage);
    client_core_bytes(stage->core, copy, bytes.bytes, stage->now_ms);
    leave(stage);
    free(copy);
}

static void upgrade(struct stage *stage)
{
    char accept[WS_ACCEPT_BYTES + 1] = {0};
    char answer[256];
    assert_true(read_request(stage));
    ws_accept_key(http_parser_header(&stage->requests, "sec-websocket-key"), accept);
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
    ws_parser_deinit(&stage->frames);
    ws_parser_init(&stage->frames, WS_SERVER, 64u << 20);
    stage->upgraded = true;
    stage_bytes(stage, slice_of_string(answer));
}

void stage_open(struct stage *stage)
{
    assert_true(stage->opening);
    stage->opening = false;
    stage->open = true;
    enter(stage);
    client_core_opened(stage->core, stage->now_ms);
    leave(stage);
    if (!stage->url.polls && stage->open) {
        upgrade(stage);
    }
}

void stage_cut(struct stage *stage, const char *why)
{
    struct sluice_error error = {0};
    (void)error_set(&error, SLUICE_OFFLINE, "%s", why);
    assert_true(stage->opening || stage->open);
    gone(stage);
    enter(stage);
    client_core_closed(stage->core, &error, stage->now_ms);
    leave(stage);
}

void stage_end(struct stage *stage)
{
    assert_true(stage->open);
    gone(stage);
    enter(stage);
    client_core_closed(stage->core, NULL, stage->now_ms);
    leave(stage);
}

static bool read_frame(struct stage *stage)
{
    char *data = stage->sent.data;
    size_t left = stage->sent.bytes;
    for (;;) {
        switch (ws_parser_feed(&stage->frames, &data, &left)) {
        case WS_TEXT:
            buffer_append_slice(&stage->heard, stage->frames.payload);
            buffer_consume(&stage->sent, stage->sent.bytes - left);
            return true;
        case WS_PONG:
            buffer_append_slice(&stage->heard, SLICE("pong"));
            buffer_consume(&stage->sent, stage->sent.bytes - left);
            return true;
        case WS_NEED_MORE:
            buffer_clear(&stage->sent);
            return false;
        default:
            fail_msg("the core sent a frame that the server does not expect");
        }
    }
}

const char *stage_hear(struct stage *stage)
{
    buffer_clear(&stage->heard);
    bool any = stage->sent.bytes > 0 && (stage->upgraded ? read_frame(stage) : read_request(stage));
    (void)any;
    buffer_append_byte(&stage->heard, '\0');
    assert_int_equal(buffer_status(&stage->heard), SLUICE_OK);
    return stage->heard.data;
}

void stage_expect(struct stage *stage, const char *part)
{
    const char *heard = stage_hear(stage);
    if (strstr(heard, part) == NULL) {
        fail_msg("the core sent '%.500s', which has no '%s'", heard, part);
    }
}

static void say(struct stage *stage, struct slice text)
{
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    struct buffer frame;
    buffer_init(&frame, 64u << 20);
    buffer_append(&frame, header, ws_frame_header(header, WS_OP_TEXT, text.bytes));
    buffer_append_slice(&frame, text);
    stage_bytes(stage, buffer_slice(&frame));
    buffer_deinit(&frame);
}

void stage_say(struct stage *stage, const char *format, ...)
{
    static char text[PAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert_true(bytes >= 0 && (size_t)bytes < sizeof(text));
    say(stage, slice_make(text, (size_t)bytes));
}

void stage_answer(struct stage *stage, const char *status, const char *headers, const char *body)
{
    struct buffer answer;
    buffer_init(&answer, 1u << 20);
    buffer_append_format(&answer, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
                         strlen(body));
    buffer_append_slice(&answer, slice_of_string(body));
    assert_int_equal(buffer_status(&answer), SLUICE_OK);
    stage_bytes(stage, buffer_slice(&answer));
    buffer_deinit(&answer);
}

void stage_wait(struct stage *stage, uint64_t ms)
{
    uint64_t end_ms = stage->now_ms + ms;
    for (unsigned turns = 0;; turns++) {
        uint64_t deadline_ms = client_core_deadline_ms(stage->core);
        assert_true(turns < 10000); /* a deadline that does not move on */
        if (deadline_ms > end_ms) {
            break;
        }
        stage->now_ms = deadline_ms > stage->now_ms ? deadline_ms : stage->now_ms;
        enter(stage);
        client_core_time(stage->core, stage->now_ms);
        leave(stage);
    }
    stage->now_ms = end_ms;
    enter(stage);
    client_core_time(stage->core, stage->now_ms);
    leave(stage);
}

const char *stage_page(uint64_t first, uint64_t last, const char *more)
{
    static char page[PAGE_BYTES];
    int at = snprintf(page, sizeof(page), "{\"batch\":[");
    for (uint64_t n = first; n <= last && first > 0; n++) {
        at += snprintf(page + at, sizeof(page) - (size_t)at,
                       "%s{\"eventEncoded\":{\"name\":\"e\",\"args\":{\"n\":%llu},\"seqNum\":%llu,"
                       "\"parentSeqNum\":%llu,\"clientId\":\"c\",\"sessionId\":\"x\"},"
                       "\"metadata\":{\"_tag\":\"None\"}}",
                       n == first ? "" : ",", (unsigned long long)n, (unsigned long long)n,
                       (unsigned long long)(n - 1));
        assert_true((size_t)at < sizeof(page));
    }
    at += snprintf(page + at, sizeof(page) - (size_t)at,
                   "],\"pageInfo\":{\"_tag\":\"%s\"},\"backendId\":\"b1\"}", more);
    assert_true((size_t)at < sizeof(page));
    return page;
}

void stage_chunk(struct stage *stage, unsigned id, uint64_t first, uint64_t last, const char *more)
{
    stage_say(stage, "{\"_tag\":\"Chunk\",\"requestId\":\"%u\",\"values\":[%s]}", id,
              stage_page(first, last, more));
}

/* ---- requests ---- */

struct staged_pull {
    struct core_pull pull;
    struct stage *stage;
};

static enum sluice_status on_page(struct core_pull *pull, const struct sluice_page *page)
{
    struct stage *stage = ((struct staged_pull *)pull)->stage;
    static const char *const INFOS[] = {"no_more", "more_known", "more_unknown"};
    if (page->event_count == 0) {
        stage_note(stage, "page - %s", INFOS[page->info]);
    } else {
        for (size_t i = 1; i < page->event_count; i++) {
            assert_true(page->events[i].seq_num > page->events[i - 1].seq_num);
        }
        stage_note(stage, "page %llu-%llu %s", (unsigned long long)page->events[0].seq_num,
                   (unsigned long long)page->events[page->event_count - 1].seq_num,
                   INFOS[page->info]);
    }
    return SLUICE_OK;
}

static void on_ended(struct core_pull *pull, const struct sluice_failure *failure)
{
    stage_note(((struct staged_pull *)pull)->stage, "pulled %s", status_of(failure));
    free(pull);
}

struct core_pull *stage_pull(struct stage *stage, uint64_t cursor, bool live)
{
    struct staged_pull *pull = calloc(1, sizeof(*pull));
    assert_non_null(pull);
    pull->stage = stage;
    pull->pull.cursor_seq_num = cursor;
    pull->pull.live = live;
    pull->pull.page = on_page;
    pull->pull.ended = on_ended;
    enter(stage);
    client_core_pull(stage->core, &pull->pull, stage->now_ms);
    leave(stage);
    return &pull->pull;
}

struct staged_push {
    struct core_push push;
    struct stage *stage;
    struct sluice_event *events;
    char *args;
};

static void on_pushed(struct core_push *core, const struct sluice_push_result *result)
{
    struct staged_push *push = (struct staged_push *)core;
    const struct sluice_failure *failure = result->failure;
    if (failure != NULL && failure->error.status == SLUICE_SERVER_AHEAD) {
        stage_note(push->stage, "pushed %zu SERVER_AHEAD %llu", result->acknowledged_count,
                   (unsigned long long)failure->minimum_expected_seq_num);
    } else {
        stage_note(push->stage, "pushed %zu %s", result->acknowledged_count, status_of(failure));
    }
    free(push->events);
    free(push->args);
    free(push);
}

void stage_push(struct stage *stage, uint64_t first, uint64_t last, size_t args_bytes)
{
    struct staged_push *push = calloc(1, sizeof(*push));
    assert_non_null(push);
    size_t count = (size_t)(last + 1 - first);
    push->stage = stage;
    push->events = calloc(count + 1, sizeof(*push->events));
    push->args = calloc(count + 1, args_bytes + 32);
    assert_true(push->events != NULL && push->args != NULL);
    for (size_t i = 0; i < count; i++) {
        char *args = push->args + i * (args_bytes + 32);
        uint64_t n = first + i;
        int bytes = snprintf(args, 32, "{\"n\":%llu}", (unsigned long long)n);
        if (args_bytes > 0) { /* a string of that length */
            memset(args, 'x', args_bytes);
            args[0] = '"';
            args[args_bytes - 1] = '"';
            bytes = (int)args_bytes;
        }
        push->events[i] = (struct sluice_event){.seq_num = n,
                                                .parent_seq_num = n - 1,
                                                .name = sluice_text_of("e"),
                                                .args = {args, (size_t)bytes},
                                                .client_id = sluice_text_of("c"),
                                                .session_id = sluice_text_of("x")};
    }
    push->push.events = push->events;
    push->push.event_count = count;
    push->push.done = on_pushed;
    enter(stage);
    client_core_push(stage->core, &push->push, stage->now_ms);
    leave(stage);
}

struct staged_ping {
    struct core_ping ping;
    struct stage *stage;
};

static void on_pong(struct core_ping *core, const struct sluice_failure *failure,
                    uint64_t round_trip_ms)
{
    struct staged_ping *ping = (struct staged_ping *)core;
    if (core->is_connect) {
        stage_note(ping->stage, "connect %s", status_of(failure));
    } else {
        stage_note(ping->stage, "ping %s %llu", status_of(failure),
                   (unsigned long long)round_trip_ms);
    }
    free(ping);
}

void stage_ping(struct stage *stage, bool is_connect)
{
    struct staged_ping *ping = calloc(1, sizeof(*ping));
    assert_non_null(ping);
    ping->stage = stage;
    ping->ping.is_connect = is_connect;
    ping->ping.done = on_pong;
    enter(stage);
    client_core_ping(stage->core, &ping->ping, stage->now_ms);
    leave(stage);
}
