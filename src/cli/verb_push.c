/* verb_push: `sluice push`: lines of JSON become events of a store.
 *
 *     lines ──▶ piece ──▶ sluice_client_push ──▶ acknowledged: the next piece
 *                 ▲                 │
 *                 └── renumbered ◀──┘ server ahead, when the lines have no numbers of their own
 *
 * Where the head is, the server says: the first push assumes an empty store, and is told. That is
 * sound because a session id of this run's own makes its events different from all others; with one
 * that the user gave, the same lines could have been pushed before, so then the head is pulled. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/piece.h"
#include "cli/progress.h"
#include "cli/pulling.h"
#include "cli/verbs.h"

#define NO_HEAD UINT64_MAX

struct pushing {
    struct client_session *session;
    struct piece piece;
    struct progress progress;
    uint64_t input_bytes;  /* 0: nobody knows */
    uint64_t head;         /* the last event that is stored, as far as is known */
    uint64_t stored_count; /* events that are acknowledged */

    /* The answer, under the waiter's lock. */
    bool is_done;
    bool has_failed;
    struct sluice_failure failure;
    size_t acknowledged_count;
};

static void on_done(void *user, const struct sluice_push_result *result)
{
    struct pushing *pushing = user;
    struct waiter *waiter = &pushing->session->waiter;
    waiter_lock(waiter);
    pushing->is_done = true;
    pushing->has_failed = result->failure != NULL;
    if (result->failure != NULL) {
        pushing->failure = *result->failure;
    }
    pushing->acknowledged_count = result->acknowledged_count;
    waiter_unlock(waiter);
    waiter_wake(waiter);
}

static void show_progress(struct pushing *pushing)
{
    progress_show(&pushing->progress, pushing->piece.reader.bytes_read, pushing->input_bytes,
                  pushing->stored_count);
}

/* Until the push is answered. After a signal the client is closed, which answers it. */
static void wait_for_answer(struct pushing *pushing)
{
    struct waiter *waiter = &pushing->session->waiter;
    bool is_done = false;
    while (!is_done && waiter_signal() == 0) {
        (void)waiter_wait(waiter, -1, PROGRESS_INTERVAL_MS);
        show_progress(pushing);
        waiter_lock(waiter);
        is_done = pushing->is_done;
        waiter_unlock(waiter);
    }
    if (!is_done) {
        client_session_end_client(pushing->session);
    }
}

/* Pushes the piece's events from `*index` on, and moves `*index` past those that are stored. False:
 * pushing->failure says why not all are. */
static bool push_rest(struct pushing *pushing, size_t *index)
{
    const struct sluice_event *events = pushing->piece.events + *index;
    pushing->is_done = false;
    if (sluice_client_push(pushing->session->client, events, pushing->piece.event_count - *index,
                           on_done, pushing, &pushing->failure.error) != SLUICE_OK) {
        return false;
    }
    wait_for_answer(pushing);
    size_t stored = pushing->acknowledged_count;
    pushing->stored_count += stored;
    pushing->head = stored > 0 ? events[stored - 1].seq_num : pushing->head;
    *index += stored;
    return !pushing->has_failed;
}

static bool push_piece(struct pushing *pushing)
{
    struct piece *piece = &pushing->piece;
    size_t index = 0;
    bool has_pushed = false;
    while (!has_pushed) {
        if (!piece->is_numbered &&
            piece_number(piece, index, pushing->head, &pushing->failure.error) != SLUICE_OK) {
            return false;
        }
        has_pushed = push_rest(pushing, &index);
        bool can_renumber = !piece->is_numbered && waiter_signal() == 0 &&
                            pushing->failure.error.status == SLUICE_SERVER_AHEAD &&
                            pushing->failure.minimum_expected_seq_num != pushing->head;
        if (!has_pushed && !can_renumber) {
            return false;
        }
        if (!has_pushed) {
            pushing->head = pushing->failure.minimum_expected_seq_num;
        }
    }
    return true;
}

/* Until the input's end. False: pushing->failure says why it stopped before, or a signal came. */
static bool push_all(struct pushing *pushing)
{
    while (waiter_signal() == 0) {
        enum line_result result =
            piece_read(&pushing->piece, PROGRESS_INTERVAL_MS, &pushing->failure.error);
        if (result == LINE_END) {
            return true;
        }
        if (result == LINE_FAILED || (result == LINE_READ && !push_piece(pushing))) {
            return false;
        }
        show_progress(pushing);
    }
    return false;
}

static void say_what_is_stored(const struct pushing *pushing, bool all)
{
    bool is_one = pushing->stored_count == 1;
    (void)fprintf(stderr, "sluice push: %s%llu event%s stored", all ? "" : "stopped with ",
                  (unsigned long long)pushing->stored_count, is_one ? "" : "s");
    if (pushing->stored_count > 0) {
        (void)fprintf(stderr, ", the last one is %llu", (unsigned long long)pushing->head);
    }
    (void)fprintf(stderr, "\n");
}

static int push(struct client_session *session, int fd, uint64_t head, const char *client_id,
                const char *session_id)
{
    struct pushing pushing = {.session = session, .head = head};
    struct stat about;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        pushing.input_bytes = (uint64_t)about.st_size;
    }
    piece_init(&pushing.piece, fd, &session->waiter, client_id, session_id);
    progress_init(&pushing.progress, "push", false);
    bool all = push_all(&pushing);
    progress_clear(&pushing.progress);
    client_session_end_client(session); /* the last callback has returned */
    int code = client_session_outcome(session, all ? NULL : &pushing.failure);
    say_what_is_stored(&pushing, all);
    piece_deinit(&pushing.piece);
    return code;
}

/* 16 random hexadecimal digits: events of this run are like no others. */
static enum sluice_status make_session_id(char out[17], struct sluice_error *error)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return error_set(error, SLUICE_IO, "cannot get random bytes: %s", strerror(errno));
    }
    (void)snprintf(out, 17, "%016llx", (unsigned long long)random);
    return SLUICE_OK;
}

struct push_flags {
    uint64_t head;
    const char *client_id;
    const char *session_id;
};

/* With the session's flags read: the input and the head, then the pushing itself. */
static int run(struct client_session *session, const struct push_flags *flags)
{
    struct sluice_error error = {0};
    struct pulled pulled = {.head_seq_num = flags->head};
    char own_session_id[17] = "";
    const char *path = session->flags.arguments[2];
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    int code = OUTCOME_DONE;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)error_set(&error, SLUICE_IO, "cannot open %.100s: %s", path, strerror(errno));
        return outcome_of_error("push", &error);
    }
    if (flags->session_id == NULL && make_session_id(own_session_id, &error) != SLUICE_OK) {
        code = outcome_of_error("push", &error);
    } else if (flags->head == NO_HEAD && flags->session_id != NULL) {
        const struct pulling_options head_only = {.is_silent = true};
        code = pulling_run(session, &head_only, &pulled);
    } else if (flags->head == NO_HEAD) {
        pulled.head_seq_num = 0;
    }
    if (code == OUTCOME_DONE) {
        code = push(session, fd, pulled.head_seq_num, flags->client_id,
                    flags->session_id != NULL ? flags->session_id : own_session_id);
    }
    if (!is_stdin) {
        (void)close(fd);
    }
    return code;
}

int verb_push(int argument_count, char **arguments)
{
    struct push_flags own = {.head = NO_HEAD, .client_id = "sluice"};
    const struct flag flags[] = {
        {"client-id", FLAG_TEXT, &own.client_id, 0, NULL, "TEXT",
         "clientId of lines that have none (sluice)"},
        {"session-id", FLAG_TEXT, &own.session_id, 0, NULL, "TEXT",
         "sessionId of lines that have none (a random one)"},
        {"head", FLAG_COUNT, &own.head, SLUICE_SEQ_NUM_MAX, NULL, "N",
         "begin to number on top of this event"},
    };
    const struct client_verb verb = {
        .name = "push",
        .arguments = "URL STORE [FILE|-]",
        .text = "Pushes events, one line of JSON for each: whole ones, as `sluice pull` writes "
                "them, or\n"
                "{\"name\":…,\"args\":…}, which are numbered on top of the store's head.",
        .flags = flags,
        .flag_count = sizeof(flags) / sizeof(flags[0]),
        .argument_min = 2,
        .argument_max = 3,
    };
    struct client_session session;
    int code = OUTCOME_DONE;
    if (client_session_read(&session, &verb, argument_count, arguments, &code) &&
        client_session_start(&session, false, &code)) {
        code = run(&session, &own);
        client_session_close(&session);
    }
    return code;
}
