/* piece: some lines of the input as events, to be pushed together: as many as there are at the
 * moment, up to a bound. Lines that carry numbers keep them; the others get theirs here, on top of
 * a head. Main thread. */
#ifndef SLUICE_CLI_PIECE_H
#define SLUICE_CLI_PIECE_H

#include "base/arena.h"
#include "cli/line_reader.h"
#include "sluice/event.h"

#define PIECE_EVENTS_MAX 1000u
#define PIECE_LINE_BYTES_MAX (8u << 20)

struct piece {
    struct line_reader reader;
    struct sluice_text client_id; /* of events whose lines have none; borrowed */
    struct sluice_text session_id;

    struct arena arena; /* texts of the events */
    struct sluice_event events[PIECE_EVENTS_MAX];
    size_t event_count;
    size_t bytes;
    uint64_t first_line; /* the number of the first event's line */

    bool any_line;         /* there was an event, in this piece or one before */
    bool is_numbered;      /* the lines have numbers: all or none do */
    uint64_t last_seq_num; /* of the last line, when they have */
    bool has_failed;       /* nothing comes after this piece, because … */
    struct sluice_error error;
};

void piece_init(struct piece *piece, int fd, struct waiter *waiter, const char *client_id,
                const char *session_id);
void piece_deinit(struct piece *piece);

/* Drops the events and reads the next ones. Waits `timeout_ms` at most for the first one, and for
 * the others not at all. LINE_FAILED, when all events before have been given out: the input cannot
 * be read, or a line is no event; the message names the line. */
enum line_result piece_read(struct piece *piece, int timeout_ms, struct sluice_error *error);

/* Numbers the events from `index` on: on top of `head`, without gaps. LIMIT: 2^53-1 is passed. */
enum sluice_status piece_number(struct piece *piece, size_t index, uint64_t head,
                                struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
