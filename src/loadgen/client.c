/* client: see client.h. A frame that is whole in what was read is looked at where it lies; only the
 * beginning of one that is not is copied. */
#include "loadgen/client.h"

#include <stdlib.h>
#include <string.h>

#include "ws/ws_frame.h"

#define MESSAGE_BYTES_MAX (256u << 20)
#define ACKS_MAX 32u /* in one write */
#define HEADER_LENGTH_16_BIT 126u
#define HEADER_LENGTH_64_BIT 127u

static void fail(struct load_client *client, const char *what, struct slice text)
{
    load_loop_fail(client->conn.loop, SLUICE_INVALID, "%s: %.*s", what, SLICE_PRINT(text));
}

/* ---- messages ---- */

static void on_page(struct load_client *client, struct slice page)
{
    uint64_t last = load_answer_last_seq_num(page);
    uint64_t events = last > client->received ? last - client->received : 0;
    client->received = last > client->received ? last : client->received;
    client->shared->ops->page(client, page, events);
}

static void on_message(struct load_client *client, struct slice message)
{
    switch (load_answer_kind(message)) {
    case LOAD_CHUNK:
        client->acks_due++;
        on_page(client, message);
        break;
    case LOAD_EXIT:
        client->acks_due = 0; /* of a pull that is over nobody wants any */
        client->shared->ops->done(client, message);
        break;
    case LOAD_OTHER:
        fail(client, "an answer that was not asked for", message);
        break;
    }
}

static void on_frame(struct load_client *client, unsigned opcode, struct slice payload)
{
    static const uint8_t NO_MASK[4] = {0};
    uint8_t pong[WS_FRAME_HEADER_BYTES_MAX];
    switch (opcode) {
    case WS_OP_TEXT:
        on_message(client, payload);
        break;
    case WS_OP_PING: {
        size_t bytes = ws_frame_header_masked(pong, WS_OP_PONG, payload.bytes, NO_MASK);
        load_conn_send(&client->conn, slice_make(pong, bytes));
        load_conn_send(&client->conn, payload);
        break;
    }
    case WS_OP_PONG:
        break;
    default:
        fail(client, "the server closed a WebSocket",
             payload.bytes > 2 ? slice_make(payload.data + 2, payload.bytes - 2) : payload);
    }
}

/* The payload's length and where it starts; false: the header is not whole. */
static bool read_header(struct slice data, size_t *header_bytes, uint64_t *payload_bytes)
{
    const uint8_t *bytes = (const uint8_t *)data.data;
    if (data.bytes < 2) {
        return false;
    }
    unsigned code = bytes[1] & 0x7Fu;
    unsigned extended = code == HEADER_LENGTH_64_BIT ? 8 : code == HEADER_LENGTH_16_BIT ? 2 : 0;
    if (data.bytes < 2 + extended) {
        return false;
    }
    *header_bytes = 2 + extended;
    *payload_bytes = extended == 0 ? code : 0;
    for (unsigned i = 0; i < extended; i++) {
        *payload_bytes = *payload_bytes << 8 | bytes[2 + i];
    }
    return true;
}

/* The acks of all chunks that came in one read leave in one write. */
static void send_acks(struct load_client *client)
{
    char acks[ACKS_MAX * LOAD_CONTROL_BYTES_MAX];
    while (client->acks_due > 0 && client->conn.fd >= 0) {
        unsigned count = client->acks_due < ACKS_MAX ? client->acks_due : ACKS_MAX;
        size_t bytes = 0;
        for (unsigned i = 0; i < count; i++) {
            bytes += load_text_ack(acks + bytes, client->pull_id).bytes;
        }
        client->acks_due -= count;
        load_conn_send(&client->conn, slice_make(acks, bytes));
    }
}

/* Takes whole frames from the front; returns how many bytes they have. */
static size_t take_frames(struct load_client *client, struct slice data)
{
    size_t taken = 0;
    size_t header_bytes = 0;
    uint64_t payload_bytes = 0;
    while (client->conn.fd >= 0) {
        struct slice left = slice_make(data.data + taken, data.bytes - taken);
        if (!read_header(left, &header_bytes, &payload_bytes) ||
            left.bytes - header_bytes < payload_bytes) {
            return taken;
        }
        taken += header_bytes + payload_bytes;
        on_frame(client, (uint8_t)left.data[0] & 0x0Fu,
                 slice_make(left.data + header_bytes, payload_bytes));
    }
    return taken;
}

/* The answer to the handshake; returns how many bytes it has, 0 while it is not whole. */
static size_t take_handshake(struct load_client *client, struct slice data)
{
    const char *end = memmem(data.data, data.bytes, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    if (data.bytes < 12 || memcmp(data.data + 9, "101", 3) != 0) {
        fail(client, "the server refused a WebSocket", data);
        return 0;
    }
    client->open = true;
    client->shared->ops->opened(client);
    return (size_t)(end - data.data) + 4;
}

static size_t take_ws(struct load_client *client, struct slice data)
{
    size_t taken = client->open ? 0 : take_handshake(client, data);
    if (!client->open) {
        return taken;
    }
    taken += take_frames(client, slice_make(data.data + taken, data.bytes - taken));
    send_acks(client);
    return taken;
}

static void on_ws_bytes(struct load_client *client, char *data, size_t bytes)
{
    if (client->rest.bytes > 0) {
        buffer_append(&client->rest, data, bytes);
        if (buffer_status(&client->rest) != SLUICE_OK) {
            fail(client, "a message that is too long", SLICE_EMPTY);
            return;
        }
        size_t taken = take_ws(client, buffer_slice(&client->rest));
        if (taken == client->rest.bytes) {
            buffer_deinit(&client->rest);
        } else if (taken > 0) {
            buffer_consume(&client->rest, taken);
        }
        return;
    }
    size_t taken = take_ws(client, slice_make(data, bytes));
    buffer_append(&client->rest, data + taken, bytes - taken);
}

/* ---- HTTP ---- */

/* A body is an array of messages, the Exit last. */
static void on_body(struct load_client *client)
{
    struct slice body = buffer_slice(&client->rest);
    struct slice exit = SLICE("{\"_tag\":\"Exit\"");
    const char *found = memmem(body.data, body.bytes, exit.data, exit.bytes);
    if (client->parser->status_code != 200 || found == NULL) {
        fail(client, "an HTTP answer without an Exit", body);
        return;
    }
    on_page(client, body);
    client->shared->ops->done(client, slice_make(found, (size_t)(body.data + body.bytes - found)));
}

static void on_http_bytes(struct load_client *client, char *data, size_t bytes)
{
    struct slice input = slice_make(data, bytes);
    for (;;) {
        switch (http_parser_feed(client->parser, &input)) {
        case HTTP_NEED_MORE:
            return;
        case HTTP_HEAD:
            break;
        case HTTP_BODY:
            buffer_append_slice(&client->rest, client->parser->piece);
            break;
        case HTTP_END:
            on_body(client);
            buffer_clear(&client->rest);
            http_parser_reset(client->parser);
            if (input.bytes == 0) {
                return;
            }
            break;
        case HTTP_ERROR:
            fail(client, "an answer that is not HTTP",
                 slice_of_string(client->parser->error.message));
            return;
        }
    }
}

/* ---- the connection ---- */

static void on_bytes(struct load_conn *conn, char *data, size_t bytes)
{
    struct load_client *client = (struct load_client *)conn; /* its first member */
    client->shared->bytes_received += bytes;
    if (client->parser != NULL) {
        on_http_bytes(client, data, bytes);
    } else {
        on_ws_bytes(client, data, bytes);
    }
}

static void on_connected(struct load_conn *conn)
{
    struct load_client *client = (struct load_client *)conn;
    if (client->parser != NULL) {
        client->open = true;
        client->shared->ops->opened(client);
        return;
    }
    load_text_set_store(&client->shared->handshake, client->store);
    load_conn_send(conn, load_text_slice(&client->shared->handshake));
}

static const struct load_conn_ops CONN_OPS = {.connected = on_connected, .bytes = on_bytes};

void load_client_open(struct load_client *client, struct load_clients *shared, uint64_t store)
{
    const struct load_options *options = shared->options;
    *client = (struct load_client){.shared = shared, .store = store};
    client->head = options->head != 0 ? options->head : LOAD_SEQ_BASE;
    client->received = LOAD_SEQ_BASE;
    buffer_init(&client->rest, MESSAGE_BYTES_MAX);
    if (options->http != 0) {
        client->parser = malloc(sizeof(*client->parser));
        if (client->parser == NULL) {
            load_loop_fail(shared->loop, SLUICE_NO_MEMORY, "out of memory for a client");
            return;
        }
        http_parser_init(client->parser, HTTP_RESPONSES);
    }
    load_conn_open(&client->conn, shared->loop, &CONN_OPS);
}

void load_client_close(struct load_client *client)
{
    load_conn_close(&client->conn);
    buffer_deinit(&client->rest);
    if (client->parser != NULL) {
        http_parser_deinit(client->parser);
        free(client->parser);
        client->parser = NULL;
    }
}

void load_client_push(struct load_client *client)
{
    struct load_text *push = &client->shared->push;
    load_text_set_store(push, client->store);
    load_text_set_id(push, LOAD_SEQ_BASE + ++client->shared->last_id);
    load_text_set_head(push, client->head);
    client->head += push->event_count;
    load_conn_send(&client->conn, load_text_slice(push));
}

void load_client_pull(struct load_client *client)
{
    struct load_text *pull = &client->shared->pull;
    client->pull_id = LOAD_SEQ_BASE + ++client->shared->last_id;
    load_text_set_store(pull, client->store);
    load_text_set_id(pull, client->pull_id);
    load_conn_send(&client->conn, load_text_slice(pull));
}

void load_client_interrupt(struct load_client *client)
{
    char frame[LOAD_CONTROL_BYTES_MAX];
    load_conn_send(&client->conn, load_text_interrupt(frame, client->pull_id));
}
