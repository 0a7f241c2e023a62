/* timer: one-shot timers on the loop.
 *
 * libuv fires what is due before it looks at the sockets. After a stall of the loop (a process that
 * was frozen, a machine that slept) every time-out would judge peers by silence that only their
 * unread bytes could contradict. So a timer that is late waits for one poll. Loop thread. */
#include <stdlib.h>

#include "net/net_internal.h"

#define LATE_MS 20u /* later than any loop that is not stalled */

struct net_timer {
    uv_timer_t uv;
    struct net_loop *loop;
    void (*fired)(void *user);
    void *user;
    uint64_t due_ms;
    bool polled; /* it was late, and the sockets have been read since */
};

struct net_timer *net_timer_create(struct net_loop *loop, void (*fired)(void *user), void *user)
{
    struct net_timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return NULL;
    }
    (void)uv_timer_init(loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->loop = loop;
    net_loop_hold(loop);
    timer->fired = fired;
    timer->user = user;
    return timer;
}

static void on_fired(uv_timer_t *handle)
{
    struct net_timer *timer = handle->data;
    if (!timer->polled && uv_now(handle->loop) >= timer->due_ms + LATE_MS) {
        timer->polled = true;
        (void)uv_timer_start(handle, on_fired, 1, 0); /* 0 would fire before the poll */
        return;
    }
    timer->fired(timer->user);
}

void net_timer_start(struct net_timer *timer, uint64_t delay_ms)
{
    uint64_t now_ms = uv_now(timer->uv.loop);
    timer->due_ms = delay_ms < UINT64_MAX - now_ms ? now_ms + delay_ms : UINT64_MAX;
    timer->polled = false;
    (void)uv_timer_start(&timer->uv, on_fired, delay_ms, 0);
}

void net_timer_stop(struct net_timer *timer)
{
    (void)uv_timer_stop(&timer->uv);
}

static void on_closed(uv_handle_t *handle)
{
    struct net_timer *timer = handle->data;
    net_loop_release(timer->loop);
    free(timer);
}

void net_timer_destroy(struct net_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->uv, on_closed);
    }
}
