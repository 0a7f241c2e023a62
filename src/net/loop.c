/* loop: the event loop, its wake-up and signals, on libuv; ours or the caller's.
 *
 * Owns its handles in the uv_loop_t, and that too when it made it. Leaving the caller's loop takes
 * two steps: first all that holds the loop (handles of connections, listeners, timers, look-ups) is
 * closed, each when libuv says so, then the handles of the net_loop itself.
 *
 * Writes made during a turn are sent by flush_dirty, once before the loop waits and once after it
 * has handled what came, so that a burst leaves in one write a connection. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/net_internal.h"

static void flush_dirty(struct net_loop *loop)
{
    while (loop->dirty != NULL) {
        struct net_conn *conn = loop->dirty;
        loop->dirty = conn->next_dirty;
        conn->next_dirty = NULL;
        conn->dirty = false;
        net_conn_flush(conn);
    }
}

static void on_prepare(uv_prepare_t *handle)
{
    flush_dirty(handle->data);
}

static void on_check(uv_check_t *handle)
{
    flush_dirty(handle->data);
}

static void on_async(uv_async_t *handle)
{
    struct net_loop *loop = handle->data;
    if (loop->woken != NULL) {
        loop->woken(loop->woken_user);
    }
}

/* The first loop of a process makes libuv open a pipe of its own, and libuv ends the process when
 * it cannot. So see first whether there is room for that pipe and the loop. */
static bool has_descriptors(void)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return false;
    }
    int third = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
    if (third < 0) {
        return false;
    }
    (void)close(third);
    return true;
}

static struct net_loop *loop_alloc(struct sluice_error *error)
{
    struct net_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        (void)error_set(error, SLUICE_NO_MEMORY, "out of memory for an event loop");
    }
    return loop;
}

/* Puts our handles into loop->uv. */
static int open_handles(struct net_loop *loop)
{
    int result = uv_async_init(loop->uv, &loop->async, on_async);
    if (result != 0) {
        return result;
    }
    loop->async.data = loop;
    (void)uv_prepare_init(loop->uv, &loop->before_poll);
    loop->before_poll.data = loop;
    (void)uv_prepare_start(&loop->before_poll, on_prepare);
    (void)uv_check_init(loop->uv, &loop->after_poll);
    loop->after_poll.data = loop;
    (void)uv_check_start(&loop->after_poll, on_check);
    return 0;
}

static void close_handle(struct net_loop *loop, void *handle, uv_close_cb closed)
{
    loop->closing++;
    uv_close(handle, closed);
}

static void close_handles(struct net_loop *loop, uv_close_cb closed)
{
    close_handle(loop, &loop->before_poll, closed);
    close_handle(loop, &loop->after_poll, closed);
    close_handle(loop, &loop->async, closed);
    for (unsigned i = 0; i < loop->signal_count; i++) {
        close_handle(loop, &loop->signals[i], closed);
    }
}

struct net_loop *net_loop_create(struct sluice_error *error)
{
    struct net_loop *loop = loop_alloc(error);
    if (loop == NULL) {
        return NULL;
    }
    loop->uv = &loop->own;
    int result = has_descriptors() ? uv_loop_init(loop->uv) : UV_EMFILE;
    if (result == 0) {
        result = open_handles(loop);
        if (result != 0) {
            (void)uv_loop_close(loop->uv);
        }
    }
    if (result != 0) {
        (void)error_set(error, SLUICE_IO, "cannot make an event loop: %s", uv_strerror(result));
        free(loop);
        return NULL;
    }
    return loop;
}

void net_loop_destroy(struct net_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    SLUICE_ASSERT(loop->uv == &loop->own);
    close_handles(loop, NULL);
    (void)uv_run(loop->uv, UV_RUN_DEFAULT);
    SLUICE_ASSERT(loop->held == 0);
    int result = uv_loop_close(loop->uv);
    SLUICE_ASSERT(result == 0);
    free(loop);
}

struct net_loop *net_loop_attach(void *uv_loop, struct sluice_error *error)
{
    struct net_loop *loop = loop_alloc(error);
    if (loop == NULL) {
        return NULL;
    }
    loop->uv = uv_loop;
    int result = open_handles(loop);
    if (result != 0) {
        (void)error_set(error, SLUICE_IO, "cannot use the event loop: %s", uv_strerror(result));
        free(loop);
        return NULL;
    }
    return loop;
}

static void on_detached(uv_handle_t *handle)
{
    struct net_loop *loop = handle->data;
    loop->closing--;
    if (loop->closing == 0) {
        void (*detached)(void *user) = loop->detached;
        void *user = loop->detached_user;
        free(loop);
        if (detached != NULL) {
            detached(user);
        }
    }
}

static void detach_when_free(struct net_loop *loop)
{
    if (loop->detaching && loop->held == 0) {
        close_handles(loop, on_detached);
    }
}

void net_loop_detach(struct net_loop *loop, void (*detached)(void *user), void *user)
{
    SLUICE_ASSERT(loop->uv != &loop->own);
    SLUICE_ASSERT(!loop->detaching);
    loop->detaching = true;
    loop->detached = detached;
    loop->detached_user = user;
    detach_when_free(loop);
}

void net_loop_hold(struct net_loop *loop)
{
    SLUICE_ASSERT(!loop->detaching);
    loop->held++;
}

void net_loop_release(struct net_loop *loop)
{
    SLUICE_ASSERT(loop->held > 0);
    loop->held--;
    detach_when_free(loop);
}

void net_loop_run(struct net_loop *loop)
{
    (void)uv_run(loop->uv, UV_RUN_DEFAULT);
}

void net_loop_stop(struct net_loop *loop)
{
    uv_stop(loop->uv);
}

void net_loop_on_wake(struct net_loop *loop, void (*woken)(void *user), void *user)
{
    loop->woken = woken;
    loop->woken_user = user;
}

void net_loop_wake(struct net_loop *loop)
{
    (void)uv_async_send(&loop->async);
}

uint64_t net_loop_now_ms(const struct net_loop *loop)
{
    return uv_now(loop->uv);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct net_loop *loop = handle->data;
    loop->signalled(loop->signalled_user, signal_number);
}

enum sluice_status net_loop_on_signal(struct net_loop *loop, int signal_number,
                                      void (*signalled)(void *user, int signal_number), void *user,
                                      struct sluice_error *error)
{
    SLUICE_ASSERT(loop->signal_count < NET_SIGNALS_MAX);
    uv_signal_t *handle = &loop->signals[loop->signal_count];
    int result = uv_signal_init(loop->uv, handle);
    if (result == 0) {
        loop->signal_count++;
        loop->signalled = signalled;
        loop->signalled_user = user;
        handle->data = loop;
        result = uv_signal_start(handle, on_signal, signal_number);
    }
    if (result != 0) {
        return error_set(error, SLUICE_IO, "cannot watch signal %d: %s", signal_number,
                         uv_strerror(result));
    }
    uv_unref((uv_handle_t *)handle);
    return SLUICE_OK;
}
