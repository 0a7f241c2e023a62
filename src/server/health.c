/* health: see health.h. /readyz makes a small commit and tells how that went; the answer holds for
 * a second, so that many askers cost one commit. */
#include "server/health.h"

#include <stdlib.h>

#define ANSWER_HOLDS_MS 1000u

struct asker {
    struct exchange *exchange; /* NULL once its connection is gone */
    struct asker *next;
};

struct health {
    struct eventlog *eventlog;
    struct front *front;
    struct eventlog_probe probe;
    bool probing;
    bool answered; /* `probe` holds an outcome */
    uint64_t answered_ms;
    struct asker *askers;
};

struct health *health_create(struct eventlog *eventlog)
{
    struct health *health = calloc(1, sizeof(*health));
    if (health != NULL) {
        health->eventlog = eventlog;
    }
    return health;
}

void health_destroy(struct health *health)
{
    free(health);
}

void health_attach(struct health *health, struct front *front)
{
    health->front = front;
}

bool health_busy(const struct health *health)
{
    return health->probing;
}

static void respond(struct exchange *exchange, int status, const char *text)
{
    struct buffer body;
    buffer_init(&body, 1024);
    buffer_append_slice(&body, slice_of_string(text));
    buffer_append_byte(&body, '\n');
    exchange_respond(exchange, status, "text/plain; charset=utf-8", buffer_slice(&body),
                     SLICE_EMPTY);
    buffer_deinit(&body);
}

static void answer(struct health *health, struct exchange *exchange)
{
    bool ok = health->probe.status == SLUICE_OK;
    respond(exchange, ok ? 200 : 503, ok ? "ready" : health->probe.error.message);
}

static void on_probed(struct eventlog_probe *probe)
{
    struct health *health = (struct health *)((char *)probe - offsetof(struct health, probe));
    health->probing = false;
    health->answered = true;
    health->answered_ms = net_loop_now_ms(front_loop(health->front));
    struct asker *asker = health->askers;
    health->askers = NULL;
    while (asker != NULL) {
        struct asker *next = asker->next;
        if (asker->exchange != NULL) {
            answer(health, asker->exchange);
        }
        free(asker);
        asker = next;
    }
}

static void on_aborted(void *user)
{
    struct asker *asker = user;
    asker->exchange = NULL;
}

static void on_writable(void *user)
{
    (void)user;
}

static const struct exchange_ops WATCH = {.writable = on_writable, .aborted = on_aborted};

static void ask(struct health *health, struct exchange *exchange)
{
    uint64_t now = net_loop_now_ms(front_loop(health->front));
    if (health->answered && !health->probing && now < health->answered_ms + ANSWER_HOLDS_MS) {
        answer(health, exchange);
        return;
    }
    struct asker *asker = calloc(1, sizeof(*asker));
    if (asker == NULL) {
        respond(exchange, 503, "out of memory");
        return;
    }
    asker->exchange = exchange;
    asker->next = health->askers;
    health->askers = asker;
    exchange_watch(exchange, &WATCH, asker);
    if (!health->probing) {
        health->probing = true;
        health->probe = (struct eventlog_probe){.done = on_probed};
        eventlog_submit_probe(health->eventlog, &health->probe);
    }
}

static bool claims(void *user, const struct request *request)
{
    (void)user;
    return (slice_equal(request->path, SLICE("/healthz")) ||
            slice_equal(request->path, SLICE("/readyz"))) &&
           (slice_equal(request->method, SLICE("GET")) ||
            slice_equal(request->method, SLICE("HEAD")));
}

static void on_request(void *user, struct exchange *exchange)
{
    struct health *health = user;
    if (slice_equal(exchange_request(exchange)->path, SLICE("/healthz"))) {
        respond(exchange, 200, "ok");
    } else if (front_draining(health->front)) {
        respond(exchange, 503, "the server is going away");
    } else {
        ask(health, exchange);
    }
}

struct endpoint health_entry(struct health *health)
{
    return (struct endpoint){.claims = claims, .request = on_request, .user = health};
}
