/* text: see text.h. Of an answer only the places are looked at where the wanted words must be: its
 * first bytes, and backwards from its end. */
#include "loadgen/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ws/ws_frame.h"

#define TEXT_BYTES_MAX (64u << 20)
#define STORE_DIGITS 5u
/* A number's place, until it is written. */
#define NUMBER_PLACE "          "
#define STORE_PLACE "00000"

void load_text_init(struct load_text *text)
{
    *text = (struct load_text){0};
    buffer_init(&text->bytes, TEXT_BYTES_MAX);
}

void load_text_deinit(struct load_text *text)
{
    buffer_deinit(&text->bytes);
    free(text->seq_at);
    free(text->parent_at);
    load_text_init(text);
}

static void write_number(char *at, uint64_t number, unsigned width)
{
    for (unsigned left = width; left > 0; left--) {
        at[left - 1] = (char)('0' + number % 10);
        number /= 10;
        if (number == 0 && width == LOAD_NUMBER_BYTES) {
            memset(at, ' ', left - 1);
            return;
        }
    }
}

/* ---- requests ---- */

static void append_store(struct load_text *text, const struct load_options *options)
{
    buffer_append_format(&text->bytes, "%s-", options->store);
    text->store_at[text->store_count++] = text->bytes.bytes;
    buffer_append_literal(&text->bytes, STORE_PLACE);
}

static void append_number_place(struct load_text *text, size_t *at)
{
    *at = text->bytes.bytes;
    buffer_append_literal(&text->bytes, NUMBER_PLACE);
}

static void append_request_start(struct load_text *text, const struct load_options *options,
                                 const char *procedure)
{
    buffer_append_literal(&text->bytes, "{\"_tag\":\"Request\",\"id\":\"");
    append_number_place(text, &text->id_at);
    buffer_append_format(&text->bytes, "\",\"tag\":\"Sync%sRpc.%s\",\"payload\":{\"storeId\":\"",
                         options->http != 0 ? "Http" : "Ws", procedure);
    append_store(text, options);
    buffer_append_byte(&text->bytes, '"');
}

static void append_request_end(struct load_text *text)
{
    buffer_append_literal(&text->bytes,
                          "},\"traceId\":\"00000000000000000000000000000001\",\"spanId\":"
                          "\"0000000000000001\",\"sampled\":true,\"headers\":[]}");
}

static void append_event(struct load_text *text, size_t index, uint64_t event_bytes)
{
    static const char PADDING[] = "water the plants, feed the cat and call the plumber; ";
    struct buffer *out = &text->bytes;
    size_t start = out->bytes;
    buffer_append_literal(out, "{\"name\":\"v1.TodoCreated\",\"args\":{\"id\":"
                               "\"0123456789abcdef0123\",\"text\":\"");
    size_t rest = sizeof("\"},\"seqNum\":,\"parentSeqNum\":,\"clientId\":\"client\",\"sessionId\":"
                         "\"session\"}") -
                  1 + 2 * LOAD_NUMBER_BYTES;
    while (out->status == SLUICE_OK && out->bytes - start + rest < event_bytes) {
        size_t left = event_bytes - rest - (out->bytes - start);
        buffer_append(out, PADDING, left < sizeof(PADDING) - 1 ? left : sizeof(PADDING) - 1);
    }
    buffer_append_literal(out, "\"},\"seqNum\":");
    append_number_place(text, &text->seq_at[index]);
    buffer_append_literal(out, ",\"parentSeqNum\":");
    append_number_place(text, &text->parent_at[index]);
    buffer_append_literal(out, ",\"clientId\":\"client\",\"sessionId\":\"session\"}");
}

static void append_http_head(struct load_text *text, const struct load_options *options,
                             size_t body_bytes)
{
    buffer_append_literal(&text->bytes, "POST /?storeId=");
    append_store(text, options);
    buffer_append_format(&text->bytes,
                         "&transport=http HTTP/1.1\r\nhost: %s:%s\r\n"
                         "content-type: application/json\r\nx-livestore-store-id: ",
                         options->host, options->port);
    append_store(text, options);
    buffer_append_format(&text->bytes, "\r\ncontent-length: %zu\r\n\r\n", body_bytes);
}

static void append_frame_header(struct load_text *text, size_t body_bytes)
{
    static const uint8_t NO_MASK[4] = {0};
    uint8_t header[WS_FRAME_HEADER_BYTES_MAX];
    buffer_append(&text->bytes, header,
                  ws_frame_header_masked(header, WS_OP_TEXT, body_bytes, NO_MASK));
}

/* Puts the frame's header or the request's head before the body in `text`, and moves the places. */
static enum sluice_status finish(struct load_text *text, const struct load_options *options,
                                 struct sluice_error *error)
{
    struct load_text whole;
    load_text_init(&whole);
    if (options->http != 0) {
        append_http_head(&whole, options, text->bytes.bytes);
    } else {
        append_frame_header(&whole, text->bytes.bytes);
    }
    size_t moved = whole.bytes.bytes;
    buffer_append_slice(&whole.bytes, buffer_slice(&text->bytes));
    for (unsigned i = 0; i < text->store_count; i++) {
        whole.store_at[whole.store_count++] = text->store_at[i] + moved;
    }
    whole.id_at = text->id_at + moved;
    for (size_t i = 0; i < text->event_count; i++) {
        text->seq_at[i] += moved;
        text->parent_at[i] += moved;
    }
    whole.seq_at = text->seq_at;
    whole.parent_at = text->parent_at;
    whole.event_count = text->event_count;
    enum sluice_status status = buffer_status(&text->bytes);
    status = status == SLUICE_OK ? buffer_status(&whole.bytes) : status;
    buffer_deinit(&text->bytes);
    *text = whole;
    return status == SLUICE_OK ? status : error_set(error, status, "cannot make a request");
}

enum sluice_status load_text_make_push(struct load_text *text, const struct load_options *options,
                                       struct sluice_error *error)
{
    load_text_deinit(text);
    text->seq_at = calloc(options->batch, sizeof(size_t));
    text->parent_at = calloc(options->batch, sizeof(size_t));
    if (text->seq_at == NULL || text->parent_at == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a push");
    }
    text->event_count = options->batch;
    append_request_start(text, options, "Push");
    buffer_append_literal(&text->bytes, ",\"batch\":[");
    for (size_t index = 0; index < options->batch; index++) {
        if (index > 0) {
            buffer_append_byte(&text->bytes, ',');
        }
        append_event(text, index, options->event_bytes);
    }
    buffer_append_literal(&text->bytes, "],\"backendId\":{\"_tag\":\"None\"}");
    append_request_end(text);
    return finish(text, options, error);
}

enum sluice_status load_text_make_pull(struct load_text *text, const struct load_options *options,
                                       bool live, struct slice backend_id, uint64_t cursor,
                                       struct sluice_error *error)
{
    load_text_deinit(text);
    append_request_start(text, options, "Pull");
    if (options->http == 0) {
        buffer_append_format(&text->bytes, ",\"live\":%s", live ? "true" : "false");
    }
    if (cursor == 0) {
        buffer_append_literal(&text->bytes, ",\"cursor\":{\"_tag\":\"None\"}");
    } else {
        buffer_append_format(&text->bytes,
                             ",\"cursor\":{\"_tag\":\"Some\",\"value\":{\"backendId\":\"%.*s\","
                             "\"eventSequenceNumber\":%llu}}",
                             SLICE_PRINT(backend_id), (unsigned long long)cursor);
    }
    append_request_end(text);
    return finish(text, options, error);
}

enum sluice_status load_text_make_handshake(struct load_text *text,
                                            const struct load_options *options,
                                            struct sluice_error *error)
{
    load_text_deinit(text);
    buffer_append_literal(&text->bytes, "GET /?storeId=");
    append_store(text, options);
    buffer_append_format(&text->bytes,
                         "&transport=ws HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                         options->host, options->port);
    enum sluice_status status = buffer_status(&text->bytes);
    return status == SLUICE_OK ? status : error_set(error, status, "cannot make a handshake");
}

void load_text_set_store(struct load_text *text, uint64_t store)
{
    SLUICE_ASSERT(store <= LOAD_STORES_MAX);
    for (unsigned i = 0; i < text->store_count; i++) {
        write_number(text->bytes.data + text->store_at[i], store, STORE_DIGITS);
    }
}

void load_text_set_id(struct load_text *text, uint64_t id)
{
    write_number(text->bytes.data + text->id_at, id, LOAD_NUMBER_BYTES);
}

void load_text_set_head(struct load_text *text, uint64_t head)
{
    uint64_t parent = head == LOAD_SEQ_BASE ? 0 : head;
    for (size_t i = 0; i < text->event_count; i++) {
        write_number(text->bytes.data + text->parent_at[i], parent, LOAD_NUMBER_BYTES);
        parent = head + i + 1;
        write_number(text->bytes.data + text->seq_at[i], parent, LOAD_NUMBER_BYTES);
    }
}

static struct slice control(char out[LOAD_CONTROL_BYTES_MAX], struct slice start, uint64_t id)
{
    static const uint8_t NO_MASK[4] = {0};
    size_t body_bytes = start.bytes + LOAD_NUMBER_BYTES + 2;
    size_t at = ws_frame_header_masked((uint8_t *)out, WS_OP_TEXT, body_bytes, NO_MASK);
    SLUICE_ASSERT(at + body_bytes <= LOAD_CONTROL_BYTES_MAX);
    memcpy(out + at, start.data, start.bytes);
    write_number(out + at + start.bytes, id, LOAD_NUMBER_BYTES);
    memcpy(out + at + start.bytes + LOAD_NUMBER_BYTES, "\"}", 2);
    return slice_make(out, at + body_bytes);
}

struct slice load_text_ack(char out[LOAD_CONTROL_BYTES_MAX], uint64_t id)
{
    return control(out, SLICE("{\"_tag\":\"Ack\",\"requestId\":\""), id);
}

struct slice load_text_interrupt(char out[LOAD_CONTROL_BYTES_MAX], uint64_t id)
{
    return control(out, SLICE("{\"_tag\":\"Interrupt\",\"requestId\":\""), id);
}

/* ---- answers ---- */

static bool starts_with(struct slice text, struct slice start)
{
    return text.bytes >= start.bytes && memcmp(text.data, start.data, start.bytes) == 0;
}

enum load_answer load_answer_kind(struct slice message)
{
    if (starts_with(message, SLICE("{\"_tag\":\"Chunk\""))) {
        return LOAD_CHUNK;
    }
    return starts_with(message, SLICE("{\"_tag\":\"Exit\"")) ? LOAD_EXIT : LOAD_OTHER;
}

bool load_answer_is_success(struct slice message)
{
    struct slice wanted = SLICE("\"_tag\":\"Success\"");
    return memmem(message.data, message.bytes, wanted.data, wanted.bytes) != NULL;
}

uint64_t load_answer_last_seq_num(struct slice message)
{
    struct slice key = SLICE("\"seqNum\":");
    uint64_t number = 0;
    for (size_t before = message.bytes; before > 0;) {
        const char *quote = memrchr(message.data, '"', before);
        if (quote == NULL) {
            return 0;
        }
        before = (size_t)(quote - message.data);
        const char *end = message.data + message.bytes;
        if ((size_t)(end - quote) > key.bytes && memcmp(quote, key.data, key.bytes) == 0) {
            for (const char *at = quote + key.bytes; at < end && *at >= '0' && *at <= '9'; at++) {
                number = number * 10 + (uint64_t)(*at - '0');
            }
            return number;
        }
    }
    return 0;
}

struct slice load_answer_backend_id(struct slice message)
{
    struct slice key = SLICE("\"backendId\":\"");
    const char *found = memmem(message.data, message.bytes, key.data, key.bytes);
    if (found == NULL) {
        return SLICE_EMPTY;
    }
    const char *start = found + key.bytes;
    const char *end = memchr(start, '"', (size_t)(message.data + message.bytes - start));
    return end == NULL ? SLICE_EMPTY : slice_make(start, (size_t)(end - start));
}
