#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

void sim_init(struct sim *sim, uint64_t seed, const char *profile)
{
    *sim = (struct sim){.now_ms = 1000, .seed = seed, .profile = profile};
    sim->random = seed * 0x9E3779B97F4A7C15u + 1;
    sim->traces = getenv("SIMULATION_TRACE") != NULL;
}

void sim_deinit(struct sim *sim)
{
    free(sim->heap);
    sim->heap = NULL;
}

/* ---- the heap of timers ---- */

static bool is_before(const struct sim_timer *a, const struct sim_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void put(struct sim *sim, size_t place, struct sim_timer *timer)
{
    sim->heap[place] = timer;
    timer->place = place;
}

static void sift_up(struct sim *sim, size_t place)
{
    struct sim_timer *timer = sim->heap[place];
    while (place > 1 && is_before(timer, sim->heap[place / 2])) {
        put(sim, place, sim->heap[place / 2]);
        place /= 2;
    }
    put(sim, place, timer);
}

static void sift_down(struct sim *sim, size_t place)
{
    struct sim_timer *timer = sim->heap[place];
    for (;;) {
        size_t child = 2 * place;
        if (child < sim->count && is_before(sim->heap[child + 1], sim->heap[child])) {
            child++;
        }
        if (child > sim->count || !is_before(sim->heap[child], timer)) {
            break;
        }
        put(sim, place, sim->heap[child]);
        place = child;
    }
    put(sim, place, timer);
}

void sim_disarm(struct sim *sim, struct sim_timer *timer)
{
    size_t place = timer->place;
    if (place == 0) {
        return;
    }
    timer->place = 0;
    struct sim_timer *last = sim->heap[sim->count--];
    if (last != timer) {
        put(sim, place, last);
        sift_up(sim, place);
        sift_down(sim, last->place);
    }
}

void sim_arm(struct sim *sim, struct sim_timer *timer, uint64_t at_ms)
{
    sim_disarm(sim, timer);
    if (sim->count + 2 > sim->capacity) {
        sim->capacity = sim->capacity == 0 ? 64 : 2 * sim->capacity;
        sim->heap = realloc(sim->heap, sim->capacity * sizeof(struct sim_timer *));
        SLUICE_ASSERT(sim->heap != NULL);
    }
    timer->at_ms = at_ms > sim->now_ms ? at_ms : sim->now_ms;
    timer->order = sim->order++;
    sim->count++;
    put(sim, sim->count, timer);
    sift_up(sim, sim->count);
}

bool sim_step(struct sim *sim)
{
    if (sim->count == 0) {
        return false;
    }
    struct sim_timer *timer = sim->heap[1];
    SLUICE_ASSERT(timer->at_ms >= sim->now_ms);
    sim->now_ms = timer->at_ms;
    sim_disarm(sim, timer);
    timer->run(timer->user);
    return true;
}

/* ---- random numbers ---- */

uint64_t sim_draw(struct sim *sim, uint64_t bound)
{
    SLUICE_ASSERT(bound > 0);
    uint64_t z = sim->random += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) % bound;
}

uint64_t sim_between(struct sim *sim, uint64_t first, uint64_t last)
{
    return first + sim_draw(sim, last - first + 1);
}

bool sim_chance(struct sim *sim, unsigned percent)
{
    return sim_draw(sim, 100) < percent;
}

/* ---- what a person sees ---- */

void sim_trace(const struct sim *sim, const char *format, ...)
{
    if (!sim->traces) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%8llu  ", (unsigned long long)sim->now_ms);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

_Noreturn void sim_fail(const struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "at %llu ms: ", (unsigned long long)sim->now_ms);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    abort(); /* the handler of SIGABRT says which seed it was */
}
