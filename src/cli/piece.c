/* piece: see piece.h. */
#include "cli/piece.h"

#include <string.h>

#include "cli/event_line.h"

#define PIECE_BYTES_TARGET (1u << 20)
#define PIECE_BYTES_MAX (64u << 20)

void piece_init(struct piece *piece, int fd, struct waiter *waiter, const char *client_id,
                const char *session_id)
{
    *piece = (struct piece){.client_id = sluice_text_of(client_id),
                            .session_id = sluice_text_of(session_id)};
    line_reader_init(&piece->reader, fd, PIECE_LINE_BYTES_MAX, waiter);
    arena_init(&piece->arena, PIECE_BYTES_MAX);
}

void piece_deinit(struct piece *piece)
{
    line_reader_deinit(&piece->reader);
    arena_deinit(&piece->arena);
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.bytes; i++) {
        if (strchr(" \t\r", line.data[i]) == NULL || line.data[i] == '\0') {
            return false;
        }
    }
    return true;
}

/* What a line must be to those before it. */
static enum sluice_status check_order(const struct piece *piece, const struct sluice_event *event,
                                      bool is_numbered, struct sluice_error *error)
{
    if (!piece->any_line) {
        return SLUICE_OK;
    }
    if (is_numbered != piece->is_numbered) {
        return error_set(error, SLUICE_INVALID, "it has %s seqNum, unlike the lines before",
                         is_numbered ? "a" : "no");
    }
    if (is_numbered && event->parent_seq_num != piece->last_seq_num) {
        return error_set(
            error, SLUICE_INVALID, "parentSeqNum is %llu, but the event before it is %llu",
            (unsigned long long)event->parent_seq_num, (unsigned long long)piece->last_seq_num);
    }
    return SLUICE_OK;
}

static enum sluice_status add_line(struct piece *piece, struct slice line,
                                   struct sluice_error *error)
{
    struct sluice_event *event = &piece->events[piece->event_count];
    bool is_numbered = false;
    char *copy = arena_alloc(&piece->arena, line.bytes);
    if (copy == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory");
    }
    memcpy(copy, line.data, line.bytes);
    enum sluice_status status =
        event_line_read(slice_make(copy, line.bytes), &piece->arena, event, &is_numbered, error);
    if (status == SLUICE_OK) {
        status = check_order(piece, event, is_numbered, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (!is_numbered) {
        event->client_id = piece->client_id;
        event->session_id = piece->session_id;
    }
    piece->last_seq_num = event->seq_num;
    piece->is_numbered = is_numbered;
    piece->any_line = true;
    piece->first_line = piece->event_count == 0 ? piece->reader.line_number : piece->first_line;
    piece->event_count++;
    piece->bytes += line.bytes;
    return SLUICE_OK;
}

/* One more line of the input. */
static enum line_result read_line(struct piece *piece, int timeout_ms)
{
    struct slice line = SLICE_EMPTY;
    struct sluice_error why = {0};
    enum line_result result = line_reader_next(&piece->reader, timeout_ms, &line, &piece->error);
    piece->has_failed = result == LINE_FAILED;
    if (result != LINE_READ || is_blank(line)) {
        return result;
    }
    enum sluice_status status = add_line(piece, line, &why);
    if (status != SLUICE_OK) {
        piece->has_failed = true;
        (void)error_set(&piece->error, status, "line %llu: %s",
                        (unsigned long long)piece->reader.line_number, why.message);
        return LINE_FAILED;
    }
    return LINE_READ;
}

enum line_result piece_read(struct piece *piece, int timeout_ms, struct sluice_error *error)
{
    enum line_result result = piece->has_failed ? LINE_FAILED : LINE_READ;
    arena_deinit(&piece->arena);
    arena_init(&piece->arena, PIECE_BYTES_MAX);
    piece->event_count = 0;
    piece->bytes = 0;
    while (result == LINE_READ && piece->event_count < PIECE_EVENTS_MAX &&
           piece->bytes < PIECE_BYTES_TARGET) {
        result = read_line(piece, piece->event_count == 0 ? timeout_ms : 0);
    }
    if (piece->event_count > 0) {
        return LINE_READ;
    }
    if (result == LINE_FAILED) {
        *error = piece->error;
    }
    return result;
}

enum sluice_status piece_number(struct piece *piece, size_t index, uint64_t head,
                                struct sluice_error *error)
{
    if (piece->event_count - index > SLUICE_SEQ_NUM_MAX - head) {
        return error_set(error, SLUICE_LIMIT,
                         "the store's head is %llu: no numbers are left for %zu more events",
                         (unsigned long long)head, piece->event_count - index);
    }
    for (size_t i = index; i < piece->event_count; i++) {
        piece->events[i].parent_seq_num = head;
        piece->events[i].seq_num = ++head;
    }
    return SLUICE_OK;
}
