/* readers: the reader threads and the queue they share.
 *
 *     loop thread            reader threads
 *     readers_submit ──▶ waiting ──▶ engine read (visit …) ──▶ finish ──▶ completions
 *
 * Owns the threads and the engine's readers; the requests are the caller's. `waiting` and `stop`
 * are under the lock; a reader belongs to its thread from the start of the thread to its end. */
#include "eventlog/readers.h"

#include <stdlib.h>

#include "base/thread.h"

struct reader_thread {
    struct readers *readers;
    struct eventlog_reader *reader; /* owned; NULL: not opened */
    pthread_t thread;
    bool started;
};

struct readers {
    struct eventlog_engine *engine;  /* borrowed */
    struct completions *completions; /* borrowed */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct read_queue waiting; /* under the lock */
    bool stop;                 /* under the lock */
    unsigned thread_count;
    struct reader_thread threads[];
};

/* Waits for a read. NULL when it is time to end. */
static struct eventlog_read *take_waiting(struct readers *readers)
{
    struct eventlog_read *read = NULL;
    (void)pthread_mutex_lock(&readers->lock);
    while (readers->waiting.first == NULL && !readers->stop) {
        (void)pthread_cond_wait(&readers->arrived, &readers->lock);
    }
    if (readers->waiting.first != NULL) {
        read = read_queue_pop(&readers->waiting);
    }
    (void)pthread_mutex_unlock(&readers->lock);
    return read;
}

static void run_read(struct reader_thread *thread, struct eventlog_read *read)
{
    const struct eventlog_engine_ops *ops = thread->readers->engine->ops;
    read->error.status = SLUICE_OK;
    read->error.message[0] = '\0';
    read->events_read = 0;
    read->last_seq_num = read->after_seq_num;
    if (atomic_load_explicit(&read->is_abandoned, memory_order_relaxed)) {
        read->status = error_set(&read->error, SLUICE_UNAVAILABLE, "the read was abandoned");
    } else {
        read->status = ops->read(thread->reader, read, &read->error);
    }
    if (read->status == SLUICE_OK && read->finish != NULL) {
        read->finish(read);
    }
    struct completions_lists answers = {0};
    read_queue_push(&answers.reads, read);
    completions_add(thread->readers->completions, &answers);
}

static void *run(void *user)
{
    struct reader_thread *thread = user;
    struct eventlog_read *read = NULL;
    while ((read = take_waiting(thread->readers)) != NULL) {
        run_read(thread, read);
    }
    return NULL;
}

static enum sluice_status start_thread(struct readers *readers, struct reader_thread *thread,
                                       struct sluice_error *error)
{
    thread->readers = readers;
    enum sluice_status status =
        readers->engine->ops->reader_open(readers->engine, &thread->reader, error);
    if (status != SLUICE_OK) {
        return status;
    }
    status = thread_start("sluice-read", run, thread, &thread->thread, error);
    thread->started = status == SLUICE_OK;
    return status;
}

enum sluice_status readers_create(struct eventlog_engine *engine, struct completions *completions,
                                  unsigned thread_count, struct readers **out,
                                  struct sluice_error *error)
{
    SLUICE_ASSERT(thread_count >= 1);
    SLUICE_ASSERT(thread_count <= READERS_THREADS_MAX);
    struct readers *readers =
        calloc(1, sizeof *readers + thread_count * sizeof readers->threads[0]);
    if (readers == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the readers");
    }
    readers->engine = engine;
    readers->completions = completions;
    readers->thread_count = thread_count;
    if (pthread_mutex_init(&readers->lock, NULL) != 0) {
        free(readers);
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the readers' lock");
    }
    if (pthread_cond_init(&readers->arrived, NULL) != 0) {
        (void)pthread_mutex_destroy(&readers->lock);
        free(readers);
        return error_set(error, SLUICE_NO_MEMORY, "no memory for the readers' lock");
    }
    enum sluice_status status = SLUICE_OK;
    for (unsigned index = 0; index < thread_count && status == SLUICE_OK; index++) {
        status = start_thread(readers, &readers->threads[index], error);
    }
    if (status != SLUICE_OK) {
        readers_destroy(readers);
        return status;
    }
    *out = readers;
    return SLUICE_OK;
}

void readers_destroy(struct readers *readers)
{
    if (readers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&readers->lock);
    SLUICE_ASSERT(readers->waiting.first == NULL);
    readers->stop = true;
    (void)pthread_cond_broadcast(&readers->arrived);
    (void)pthread_mutex_unlock(&readers->lock);
    for (unsigned index = 0; index < readers->thread_count; index++) {
        struct reader_thread *thread = &readers->threads[index];
        if (thread->started) {
            (void)pthread_join(thread->thread, NULL);
        }
        if (thread->reader != NULL) {
            readers->engine->ops->reader_close(thread->reader);
        }
    }
    (void)pthread_cond_destroy(&readers->arrived);
    (void)pthread_mutex_destroy(&readers->lock);
    free(readers);
}

void readers_submit(struct readers *readers, struct eventlog_read *read)
{
    (void)pthread_mutex_lock(&readers->lock);
    read_queue_push(&readers->waiting, read);
    (void)pthread_cond_signal(&readers->arrived);
    (void)pthread_mutex_unlock(&readers->lock);
}
