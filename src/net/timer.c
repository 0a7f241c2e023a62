/* timer: one-shot timers on the loop. */
#include <stdlib.h>

#include "net/net_internal.h"

struct net_timer {
    uv_timer_t uv;
    void (*fired)(void *user);
    void *user;
};

struct net_timer *net_timer_create(struct net_loop *loop, void (*fired)(void *user), void *user)
{
    struct net_timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return NULL;
    }
    (void)uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->fired = fired;
    timer->user = user;
    return timer;
}

static void on_fired(uv_timer_t *handle)
{
    struct net_timer *timer = handle->data;
    timer->fired(timer->user);
}

void net_timer_start(struct net_timer *timer, uint64_t delay_ms)
{
    (void)uv_timer_start(&timer->uv, on_fired, delay_ms, 0);
}

void net_timer_stop(struct net_timer *timer)
{
    (void)uv_timer_stop(&timer->uv);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void net_timer_destroy(struct net_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->uv, on_closed);
    }
}
