/* fuzz_client: whatever a server says, the client's core gives its caller ascending events, once
 * each, ends each request once, and asserts nothing.
 *
 * An input is: one byte of flags (1: HTTP; 2: the bytes are raw, not messages), then lines. Each
 * line is a message: over a WebSocket a text frame, over HTTP the body of an answer. An empty line
 * lets a second pass. The requests that run have the ids 1 (a live pull) and 2 (a push of two
 * events). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "client/client_core.h"
#include "ws/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct harness {
    struct client_core *core;
    uint64_t now_ms;
    bool opening;
    bool open;
    bool polls;
    uint64_t seq_num; /* last event that the pull gave */
    unsigned ends;
};

static void on_open(void *user)
{
    ((struct harness *)user)->opening = true;
}

static void on_send(void *user, struct slice bytes)
{
    SLUICE_ASSERT(((struct harness *)user)->open && bytes.bytes > 0);
}

static void on_shut(void *user)
{
    struct harness *harness = user;
    harness->opening = false;
    harness->open = false;
}

static void on_random(void *user, void *out, size_t bytes)
{
    (void)user;
    memset(out, 0, bytes);
}

static void on_connection(void *user, const struct sluice_connection *connection)
{
    (void)user;
    SLUICE_ASSERT(connection->connected == (connection->failure == NULL) || !connection->connected);
}

static void on_backend_id(void *user, struct slice backend_id)
{
    (void)user;
    SLUICE_ASSERT(backend_id.bytes >= 1 && backend_id.bytes <= SLUICE_BACKEND_ID_BYTES_MAX);
}

static const struct client_core_ops OPS = {.open = on_open,
                                           .send = on_send,
                                           .shut = on_shut,
                                           .random = on_random,
                                           .connection = on_connection,
                                           .backend_id = on_backend_id};

struct fuzzed_pull {
    struct core_pull pull;
    struct harness *harness;
};

struct fuzzed_push {
    struct core_push push;
    struct harness *harness;
};

static enum sluice_status on_page(struct core_pull *pull, const struct sluice_page *page)
{
    struct harness *harness = ((struct fuzzed_pull *)pull)->harness;
    for (size_t i = 0; i < page->event_count; i++) {
        SLUICE_ASSERT(page->events[i].seq_num > harness->seq_num);
        SLUICE_ASSERT(page->events[i].args.bytes > 0);
        harness->seq_num = page->events[i].seq_num;
    }
    return SLUICE_OK;
}

static void on_ended(struct core_pull *pull, const struct sluice_failure *failure)
{
    SLUICE_ASSERT(failure != NULL); /* a live pull has no good end */
    ((struct fuzzed_pull *)pull)->harness->ends++;
}

static void on_pushed(struct core_push *push, const struct sluice_push_result *result)
{
    SLUICE_ASSERT(result->acknowledged_count <= 2);
    SLUICE_ASSERT(result->failure != NULL || result->acknowledged_count == 2);
    ((struct fuzzed_push *)push)->harness->ends++;
}

static void feed(struct harness *harness, const char *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    SLUICE_ASSERT(copy != NULL);
    memcpy(copy, data, bytes);
    if (harness->open) {
        client_core_bytes(harness->core, copy, bytes, harness->now_ms);
    }
    free(copy);
}

/* Opens the connection that the core wants. */
static void open_wanted(struct harness *harness)
{
    char accept[WS_ACCEPT_BYTES];
    char answer[200];
    static const uint8_t ZEROS[WS_NONCE_BYTES];
    char key[WS_KEY_BYTES];
    if (!harness->opening) {
        return;
    }
    harness->opening = false;
    harness->open = true;
    client_core_opened(harness->core, harness->now_ms);
    if (!harness->polls) {
        ws_make_key(ZEROS, key);
        ws_accept_key(slice_make(key, sizeof(key)), accept);
        int bytes = snprintf(answer, sizeof(answer),
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n",
                             (int)WS_ACCEPT_BYTES, accept);
        feed(harness, answer, (size_t)bytes);
    }
}

static void say(struct harness *harness, struct slice line)
{
    struct buffer out;
    buffer_init(&out, 1u << 20);
    if (harness->polls) {
        buffer_append_format(&out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", line.bytes);
    } else {
        uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
        buffer_append(&out, header, ws_frame_header(header, WS_OP_TEXT, line.bytes));
    }
    buffer_append_slice(&out, line);
    if (buffer_status(&out) == SLUICE_OK) {
        feed(harness, out.data, out.bytes);
    }
    buffer_deinit(&out);
}

static void wait_a_second(struct harness *harness)
{
    harness->now_ms += 1000;
    client_core_time(harness->core, harness->now_ms);
    open_wanted(harness);
}

static void converse(struct harness *harness, struct slice input)
{
    while (input.bytes > 0) {
        const char *end = memchr(input.data, '\n', input.bytes);
        size_t bytes = end != NULL ? (size_t)(end - input.data) : input.bytes;
        if (bytes == 0) {
            wait_a_second(harness);
        } else {
            say(harness, slice_make(input.data, bytes));
        }
        size_t used = end != NULL ? bytes + 1 : bytes;
        input = slice_make(input.data + used, input.bytes - used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct client_url url;
    if (bytes < 1) {
        return 0;
    }
    uint8_t flags = data[0];
    struct slice input = slice_make(data + 1, bytes - 1);
    struct harness harness = {.polls = (flags & 1) != 0, .now_ms = 1};
    enum sluice_status status = client_url_parse(
        SLICE("ws://h/"), harness.polls ? SLUICE_TRANSPORT_HTTP : SLUICE_TRANSPORT_WS, &url, NULL);
    SLUICE_ASSERT(status == SLUICE_OK);
    struct client_core_config config = {.url = &url,
                                        .store_id = SLICE("s"),
                                        .connect_timeout_ms = 5000,
                                        .ping_interval_ms = 10000,
                                        .ping_timeout_ms = 5000,
                                        .request_timeout_ms = 60000,
                                        .operation_timeout_ms = 30000,
                                        .backoff_base_ms = 500,
                                        .backoff_cap_ms = 8000,
                                        .poll_interval_ms = 2000,
                                        .message_bytes_max = 1u << 16};
    harness.core = client_core_create(&config, &OPS, &harness);
    SLUICE_ASSERT(harness.core != NULL);
    const struct sluice_event events[] = {
        {.seq_num = 1, .name = sluice_text_of("e"), .args = sluice_text_of("1")},
        {.seq_num = 2,
         .parent_seq_num = 1,
         .name = sluice_text_of("e"),
         .args = sluice_text_of("2")}};
    struct fuzzed_pull pull = {.pull = {.live = true, .page = on_page, .ended = on_ended},
                               .harness = &harness};
    struct fuzzed_push push = {.push = {.events = events, .event_count = 2, .done = on_pushed},
                               .harness = &harness};
    client_core_pull(harness.core, &pull.pull, harness.now_ms);
    open_wanted(&harness); /* so that the pull is request 1 */
    client_core_push(harness.core, &push.push, harness.now_ms);
    if ((flags & 2) != 0) {
        feed(&harness, input.data, input.bytes);
    } else {
        converse(&harness, input);
    }
    client_core_close(harness.core, harness.now_ms);
    SLUICE_ASSERT(harness.ends == 2);
    client_core_destroy(harness.core);
    return 0;
}
