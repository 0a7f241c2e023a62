#include "model_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "proto/effect_rpc.h"
#include "proto/sync_cf.h"
#include "ws/ws_frame.h"

#define PAGE_EVENTS 7u
#define BACKEND_ID SLICE("model")

void model_server_init(struct model_server *server, uint64_t (*random)(void *user), void *user)
{
    memset(server, 0, sizeof(*server));
    server->random = random;
    server->random_user = user;
}

void model_server_deinit(struct model_server *server)
{
    for (size_t i = 0; i < MODEL_CONNS_MAX; i++) {
        model_conn_close(&server->conns[i]);
    }
}

uint64_t model_server_head(const struct model_server *server)
{
    return server->event_count == 0 ? 0 : server->log[server->event_count - 1].seq_num;
}

static bool happens(struct model_server *server, unsigned one_in)
{
    return one_in > 0 && server->random(server->random_user) % one_in == 0;
}

void model_conn_open(struct model_server *server, struct model_conn *conn)
{
    (void)server;
    memset(conn, 0, sizeof(*conn));
    conn->open = true;
    http_parser_init(&conn->http, HTTP_REQUESTS);
    ws_parser_init(&conn->ws, WS_SERVER, 1u << 20);
    buffer_init(&conn->out, 16u << 20);
    buffer_init(&conn->chunk, 1u << 20);
}

void model_conn_close(struct model_conn *conn)
{
    if (conn->open) {
        http_parser_deinit(&conn->http);
        ws_parser_deinit(&conn->ws);
        buffer_deinit(&conn->out);
        buffer_deinit(&conn->chunk);
        conn->open = false;
    }
}

static void say(struct model_conn *conn, struct slice text)
{
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    buffer_append(&conn->out, header, ws_frame_header(header, WS_OP_TEXT, text.bytes));
    buffer_append_slice(&conn->out, text);
    assert_int_equal(buffer_status(&conn->out), SLUICE_OK);
}

/* ---- pulls ---- */

static size_t position_after(const struct model_server *server, uint64_t seq_num)
{
    size_t at = 0;
    while (at < server->event_count && server->log[at].seq_num <= seq_num) {
        at++;
    }
    return at;
}

/* The chunk with the log's events from `first` on, at most `count`. */
static void append_chunk(const struct model_server *server, struct slice id, size_t first,
                         size_t count, struct buffer *out)
{
    rpc_append_chunk_start(out, id);
    sync_cf_page_start(out);
    for (size_t i = first; i < first + count; i++) {
        struct event event = {.seq_num = server->log[i].seq_num,
                              .parent_seq_num = server->log[i].parent_seq_num,
                              .name = SLICE("e"),
                              .args = slice_of_string(server->log[i].args),
                              .client_id = SLICE("c"),
                              .session_id = SLICE("s")};
        sync_cf_page_event(out, &event, i == first);
    }
    sync_cf_page_end(out, server->event_count - first - count, BACKEND_ID);
    buffer_append_literal(out, RPC_CHUNK_END);
}

/* Everything that the pull lacks. `live`: what was just stored, with the server's bad habits. */
static void send_pages(struct model_server *server, struct model_conn *conn, bool live)
{
    struct buffer text;
    size_t first = position_after(server, conn->sent_seq_num);
    buffer_init(&text, 1u << 20);
    do {
        size_t left = server->event_count - first;
        size_t count = left < PAGE_EVENTS ? left : PAGE_EVENTS;
        buffer_clear(&text);
        append_chunk(server, slice_of_string(conn->pull_id), first, count, &text);
        first += count;
        if (live && happens(server, server->drop_chunk)) {
            continue;
        }
        if (live && conn->chunk.bytes == 0 && happens(server, server->swap_chunks)) {
            buffer_append_slice(&conn->chunk, buffer_slice(&text));
            continue;
        }
        say(conn, buffer_slice(&text));
        if (happens(server, server->repeat_chunk)) {
            say(conn, buffer_slice(&text));
        }
        if (conn->chunk.bytes > 0) {
            say(conn, buffer_slice(&conn->chunk));
            buffer_clear(&conn->chunk);
        }
    } while (first < server->event_count);
    conn->sent_seq_num = model_server_head(server);
    conn->live = true;
    buffer_deinit(&text);
}

/* A pull that is not live: all in one chunk, and its end. */
static void answer_pull(struct model_server *server, struct model_conn *conn, struct slice id,
                        uint64_t seq_num)
{
    struct buffer text;
    size_t first = position_after(server, seq_num);
    buffer_init(&text, 1u << 20);
    append_chunk(server, id, first, server->event_count - first, &text);
    say(conn, buffer_slice(&text));
    buffer_clear(&text);
    rpc_append_exit_success(&text, id, SLICE("null"));
    say(conn, buffer_slice(&text));
    buffer_deinit(&text);
}

static void take_pull(struct model_server *server, struct model_conn *conn,
                      const struct rpc_message *message, struct arena *arena)
{
    struct sync_cf_pull pull;
    struct sluice_error error = {0};
    if (sync_cf_decode_pull(message->payload, true, arena, &pull, &error) != SLUICE_OK) {
        fail_msg("a pull cannot be read: %s", error.message);
    }
    uint64_t seq_num = pull.has_cursor ? pull.cursor_seq_num : 0;
    if (!pull.live) {
        answer_pull(server, conn, message->id, seq_num);
        return;
    }
    (void)snprintf(conn->pull_id, sizeof(conn->pull_id), "%.*s", SLICE_PRINT(message->id));
    conn->sent_seq_num = seq_num;
    buffer_clear(&conn->chunk);
    send_pages(server, conn, false);
}

/* ---- pushes ---- */

static bool is_stored(const struct model_server *server, size_t at, const struct event *event)
{
    const struct model_event *stored = &server->log[at];
    return stored->seq_num == event->seq_num && stored->parent_seq_num == event->parent_seq_num &&
           slice_equal(slice_of_string(stored->args), event->args);
}

static void append_event(struct model_server *server, const struct event *event)
{
    assert_true(server->event_count < MODEL_EVENTS_MAX);
    assert_int_equal(event->parent_seq_num, model_server_head(server));
    assert_true(event->seq_num > event->parent_seq_num);
    struct model_event *stored = &server->log[server->event_count++];
    stored->seq_num = event->seq_num;
    stored->parent_seq_num = event->parent_seq_num;
    assert_true(event->args.bytes < sizeof(stored->args));
    memcpy(stored->args, event->args.data, event->args.bytes);
    stored->args[event->args.bytes] = '\0';
}

/* Admission: false for ServerAhead. */
static bool admit(struct model_server *server, const struct sync_cf_push *push)
{
    uint64_t head = model_server_head(server);
    uint64_t parent = push->events[0].parent_seq_num;
    size_t at = position_after(server, parent);
    size_t known = 0;
    if (parent > head) {
        return false;
    }
    while (known < push->event_count && at + known < server->event_count &&
           is_stored(server, at + known, &push->events[known])) {
        known++;
    }
    if (known < push->event_count && at + known < server->event_count) {
        return false; /* another event is in its place */
    }
    if (known > 0 && happens(server, server->refuse_duplicates)) {
        return false;
    }
    for (size_t i = known; i < push->event_count; i++) {
        append_event(server, &push->events[i]);
    }
    return true;
}

static void take_push(struct model_server *server, struct model_conn *conn,
                      const struct rpc_message *message, struct arena *arena)
{
    struct sync_cf_push push;
    struct sluice_error error = {0};
    struct buffer answer;
    size_t before = server->event_count;
    if (sync_cf_decode_push(message->payload, arena, &push, &error) != SLUICE_OK) {
        fail_msg("a push cannot be read: %s", error.message);
    }
    assert_true(push.event_count > 0);
    bool admitted = admit(server, &push);
    if (server->event_count > before && happens(server, server->crash_after_commit)) {
        server->crashed = true;
        return;
    }
    for (size_t i = 0; i < MODEL_CONNS_MAX && server->event_count > before; i++) {
        if (server->conns[i].open && server->conns[i].live) {
            send_pages(server, &server->conns[i], true);
        }
    }
    buffer_init(&answer, 1000);
    if (admitted) {
        rpc_append_exit_success(&answer, message->id, SLICE("{}"));
    } else {
        struct buffer ahead;
        buffer_init(&ahead, 1000);
        sync_cf_append_server_ahead(&ahead, model_server_head(server),
                                    push.events[0].parent_seq_num);
        rpc_append_exit_fail(&answer, message->id, message->dialect, buffer_slice(&ahead));
        buffer_deinit(&ahead);
    }
    say(conn, buffer_slice(&answer));
    buffer_deinit(&answer);
}

/* ---- messages ---- */

static void take_message(struct model_server *server, struct model_conn *conn, struct slice text)
{
    struct rpc_frame frame;
    struct rpc_message message;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    assert_int_equal(rpc_frame_open(&frame, text, NULL), SLUICE_OK);
    while (!server->crashed && rpc_frame_next(&frame, &message)) {
        switch (message.kind) {
        case RPC_PING:
            say(conn, SLICE(RPC_PONG));
            break;
        case RPC_REQUEST:
            if (json_key_is(message.tag, "SyncWsRpc.Pull")) {
                take_pull(server, conn, &message, &arena);
            } else {
                take_push(server, conn, &message, &arena);
            }
            break;
        case RPC_INTERRUPT:
            if (slice_equal(message.id, slice_of_string(conn->pull_id))) {
                conn->live = false;
            }
            break;
        default:
            assert_int_equal(message.kind, RPC_ACK);
            break;
        }
    }
    arena_deinit(&arena);
}

static void upgrade(struct model_conn *conn)
{
    char accept[WS_ACCEPT_BYTES];
    ws_accept_key(http_parser_header(&conn->http, "sec-websocket-key"), accept);
    buffer_append_format(&conn->out,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n",
                         (int)WS_ACCEPT_BYTES, accept);
    conn->upgraded = true;
}

void model_conn_feed(struct model_server *server, struct model_conn *conn, char *data, size_t bytes)
{
    while (!conn->upgraded) {
        struct slice input = slice_make(data, bytes);
        enum http_event event = http_parser_feed(&conn->http, &input);
        data += bytes - input.bytes;
        bytes = input.bytes;
        if (event == HTTP_NEED_MORE) {
            return;
        }
        assert_int_equal(event, HTTP_HEAD);
        upgrade(conn);
    }
    for (;;) {
        switch (ws_parser_feed(&conn->ws, &data, &bytes)) {
        case WS_NEED_MORE:
            return;
        case WS_TEXT:
            take_message(server, conn, conn->ws.payload);
            if (server->crashed) {
                return;
            }
            break;
        default:
            fail_msg("the client sent a frame that a server does not expect");
        }
    }
}
