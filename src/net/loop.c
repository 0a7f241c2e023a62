/* loop: the event loop, its wake-up and signals, on libuv.
 *
 * Writes made during a turn are sent by flush_dirty, once before the loop waits and once after it
 * has handled what came, so that a burst leaves in one write a connection. */
#include <stdlib.h>

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

struct net_loop *net_loop_create(struct sluice_error *error)
{
    struct net_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        (void)error_set(error, SLUICE_NO_MEMORY, "out of memory for an event loop");
        return NULL;
    }
    int result = uv_loop_init(&loop->uv);
    if (result != 0) {
        (void)error_set(error, SLUICE_IO, "cannot make an event loop: %s", uv_strerror(result));
        free(loop);
        return NULL;
    }
    result = uv_async_init(&loop->uv, &loop->async, on_async);
    if (result != 0) {
        (void)error_set(error, SLUICE_IO, "cannot make an event loop: %s", uv_strerror(result));
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return NULL;
    }
    loop->async.data = loop;
    (void)uv_prepare_init(&loop->uv, &loop->before_poll);
    loop->before_poll.data = loop;
    (void)uv_prepare_start(&loop->before_poll, on_prepare);
    (void)uv_check_init(&loop->uv, &loop->after_poll);
    loop->after_poll.data = loop;
    (void)uv_check_start(&loop->after_poll, on_check);
    return loop;
}

void net_loop_destroy(struct net_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    uv_close((uv_handle_t *)&loop->after_poll, NULL);
    uv_close((uv_handle_t *)&loop->async, NULL);
    for (unsigned i = 0; i < loop->signal_count; i++) {
        uv_close((uv_handle_t *)&loop->signals[i], NULL);
    }
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int result = uv_loop_close(&loop->uv);
    SLUICE_ASSERT(result == 0);
    free(loop);
}

void net_loop_run(struct net_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void net_loop_stop(struct net_loop *loop)
{
    uv_stop(&loop->uv);
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
    return uv_now(&loop->uv);
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
    int result = uv_signal_init(&loop->uv, handle);
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

struct net_loop *net_loop_attach(void *uv_loop, struct sluice_error *error)
{
    (void)uv_loop;
    (void)error_set(error, SLUICE_UNSUPPORTED, "not there yet");
    return NULL;
}

void net_loop_detach(struct net_loop *loop, void (*detached)(void *user), void *user)
{
    (void)loop, (void)detached, (void)user;
}
