/* pulling: a pull from its start to its end, with its events as lines on standard output: what
 * `pull`, `tail` and `head` are made of.
 *
 *     client's thread: page ── lines ──▶ buffer, bounded ──▶ main thread: standard output
 *
 * When the reader of the output is slow, the buffer is full, and the client's thread waits; the
 * server then waits too, or cuts, and the pull goes on at its cursor. */
#ifndef SLUICE_CLI_PULLING_H
#define SLUICE_CLI_PULLING_H

#include "cli/event_line.h"
#include "cli/client_session.h"

struct pulling_options {
    uint64_t since_seq_num; /* events after this one */
    bool live;
    bool is_silent; /* no lines: only the head is wanted */
    enum event_format format;
    bool only_last; /* of what there is already, only `last_count` are written */
    uint64_t last_count;
};

struct pulled {
    uint64_t head_seq_num; /* the last event, or since_seq_num when there was none */
    uint64_t event_count;
};

/* Pulls until the head is reached, or, live, until a signal comes. Returns the exit code, and has
 * said what is to be said. `*out` is filled in any case. Main thread. */
int pulling_run(struct client_session *session, const struct pulling_options *options,
                struct pulled *out);

#endif
