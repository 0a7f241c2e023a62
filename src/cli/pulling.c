/* pulling: see pulling.h. What both threads touch is touched under the waiter's lock. */
#include "cli/pulling.h"

#include <string.h>
#include <unistd.h>

#include "cli/progress.h"

#define LINES_BYTES_TARGET                                                                         \
    (1u << 20) /* of lines that wait to be written; one more may come on top */
#define LINES_BYTES_MAX (256u << 20)
#define LAST_LINES_BYTES_MAX (16u << 20) /* of the last lines, before the head is known */

struct pulling {
    struct client_session *session;
    const struct pulling_options *options;
    struct buffer lines;
    size_t dropped_bytes; /* at the front of `lines`: lines that are not the last ones any more */
    size_t kept_count;    /* lines that are kept back until the head is reached */
    bool holds;           /* they are kept back */
    bool stopping;        /* the main thread takes nothing more */
    bool has_ended;
    bool has_failed;
    struct sluice_failure failure;
    struct pulled pulled;
    uint64_t remaining;
};

/* ---- on the client's thread ---- */

static struct slice lines_of(const struct pulling *pulling)
{
    size_t bytes = pulling->lines.bytes - pulling->dropped_bytes;
    return bytes > 0 ? slice_make(pulling->lines.data + pulling->dropped_bytes, bytes)
                     : SLICE_EMPTY;
}

/* Leaves the last `last_count` lines; moves them seldom, so that a long log costs no more for it.
 */
static void drop_old_lines(struct pulling *pulling)
{
    for (struct slice lines = lines_of(pulling);
         lines.bytes > 0 && (pulling->kept_count > pulling->options->last_count ||
                             (lines.bytes > LAST_LINES_BYTES_MAX && pulling->kept_count > 1));
         lines = lines_of(pulling)) {
        const char *newline = memchr(lines.data, '\n', lines.bytes);
        pulling->dropped_bytes += (size_t)(newline - lines.data) + 1;
        pulling->kept_count--;
    }
    if (pulling->dropped_bytes > LINES_BYTES_TARGET ||
        pulling->dropped_bytes == pulling->lines.bytes) {
        buffer_consume(&pulling->lines, pulling->dropped_bytes);
        pulling->dropped_bytes = 0;
    }
}

static void add_line(struct pulling *pulling, const struct sluice_event *event)
{
    while (!pulling->holds && !pulling->stopping && pulling->lines.bytes >= LINES_BYTES_TARGET) {
        waiter_wake(&pulling->session->waiter);
        waiter_wait_for_room(&pulling->session->waiter);
    }
    event_line_append(&pulling->lines, pulling->options->format, event);
    if (buffer_status(&pulling->lines) != SLUICE_OK) {
        return; /* the main thread finds out */
    }
    if (pulling->holds) {
        pulling->kept_count++;
        drop_old_lines(pulling);
    }
}

static void on_page(void *user, const struct sluice_page *page)
{
    struct pulling *pulling = user;
    waiter_lock(&pulling->session->waiter);
    for (size_t i = 0; i < page->event_count && !pulling->stopping; i++) {
        if (!pulling->options->is_silent) {
            add_line(pulling, &page->events[i]);
        }
        pulling->pulled.head_seq_num = page->events[i].seq_num;
        pulling->pulled.event_count++;
    }
    pulling->remaining = page->remaining;
    if (page->info == SLUICE_PAGE_NO_MORE) {
        pulling->holds = false;
    }
    waiter_unlock(&pulling->session->waiter);
    waiter_wake(&pulling->session->waiter);
}

static void on_ended(void *user, const struct sluice_failure *failure)
{
    struct pulling *pulling = user;
    waiter_lock(&pulling->session->waiter);
    pulling->has_ended = true;
    pulling->holds = false;
    if (failure != NULL) {
        pulling->has_failed = true;
        pulling->failure = *failure;
    }
    waiter_unlock(&pulling->session->waiter);
    waiter_wake(&pulling->session->waiter);
}

/* ---- on the main thread ---- */

/* What the main thread takes in one look. */
struct taken {
    struct buffer lines; /* to be written; goes back empty the next time */
    struct slice text;
    bool has_ended;
    uint64_t event_count;
    uint64_t remaining;
};

static void take(struct pulling *pulling, struct taken *taken)
{
    waiter_lock(&pulling->session->waiter);
    buffer_clear(&taken->lines);
    taken->text = SLICE_EMPTY;
    if (!pulling->holds) {
        struct buffer empty = taken->lines;
        taken->lines = pulling->lines;
        taken->text = lines_of(pulling);
        pulling->lines = empty;
        pulling->dropped_bytes = 0;
        waiter_make_room(&pulling->session->waiter);
    }
    taken->has_ended = pulling->has_ended;
    taken->event_count = pulling->pulled.event_count;
    taken->remaining = pulling->remaining;
    waiter_unlock(&pulling->session->waiter);
}

/* Writes what comes until the end, or a signal. */
static enum sluice_status write_all(struct pulling *pulling, struct taken *taken,
                                    struct progress *progress, struct sluice_error *error)
{
    enum sluice_status status = SLUICE_OK;
    do {
        (void)waiter_wait(&pulling->session->waiter, -1, -1);
        take(pulling, taken);
        status = buffer_status(&taken->lines);
        if (status != SLUICE_OK) {
            return error_set(error, status, "no memory for the next lines");
        }
        if (taken->text.bytes > 0) {
            status = waiter_write_lines(STDOUT_FILENO, taken->text, error);
        }
        if (!pulling->options->live) {
            progress_show(progress, taken->event_count, taken->event_count + taken->remaining,
                          taken->event_count);
        }
    } while (status == SLUICE_OK && waiter_signal() == 0 && !taken->has_ended);
    return status;
}

/* The callbacks touch nothing of the main thread's any more when this returns. */
static void finish(struct pulling *pulling, struct sluice_pull *pull)
{
    struct waiter *waiter = &pulling->session->waiter;
    waiter_lock(waiter);
    pulling->stopping = true;
    waiter_make_room(waiter);
    if (!pulling->has_ended) {
        sluice_pull_cancel(pull); /* under the lock: on_ended waits, so the pull is still there */
    }
    while (!pulling->has_ended) {
        waiter_unlock(waiter);
        (void)waiter_wait(waiter, -1, -1);
        waiter_lock(waiter);
    }
    waiter_unlock(waiter);
}

static enum sluice_status write_head(enum event_format format, struct sluice_error *error)
{
    struct buffer head;
    buffer_init(&head, 1024);
    event_line_append_head(&head, format);
    enum sluice_status status = buffer_status(&head);
    if (status != SLUICE_OK) {
        status = error_set(error, status, "no memory for the first line");
    } else if (head.bytes > 0) {
        status = waiter_write_lines(STDOUT_FILENO, buffer_slice(&head), error);
    }
    buffer_deinit(&head);
    return status;
}

static enum sluice_status run(struct pulling *pulling, struct sluice_error *error)
{
    static const struct sluice_pull_callbacks CALLBACKS = {.page = on_page, .ended = on_ended};
    const struct pulling_options *options = pulling->options;
    struct client_session *session = pulling->session;
    struct sluice_pull *pull = NULL;
    struct progress progress;
    struct taken taken = {0};
    enum sluice_status status = SLUICE_OK;
    if (!options->is_silent) {
        status = write_head(options->format, error);
    }
    if (status == SLUICE_OK) {
        status = sluice_client_pull(session->client, options->since_seq_num, options->live,
                                    &CALLBACKS, pulling, &pull, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    buffer_init(&taken.lines, LINES_BYTES_MAX);
    progress_init(&progress, session->verb->name, !options->is_silent);
    status = write_all(pulling, &taken, &progress, error);
    progress_clear(&progress);
    finish(pulling, pull);
    buffer_deinit(&taken.lines);
    return status;
}

int pulling_run(struct client_session *session, const struct pulling_options *options,
                struct pulled *out)
{
    struct sluice_failure failure = {0};
    struct pulling pulling = {
        .session = session,
        .options = options,
        .holds = options->only_last,
        .pulled = {.head_seq_num = options->since_seq_num},
    };
    buffer_init(&pulling.lines, LINES_BYTES_MAX);
    bool has_failed = run(&pulling, &failure.error) != SLUICE_OK;
    if (!has_failed && pulling.has_failed) {
        has_failed = true;
        failure = pulling.failure;
    }
    *out = pulling.pulled;
    buffer_deinit(&pulling.lines);
    return client_session_outcome(session, has_failed ? &failure : NULL);
}
