/* sim: simulated time: a clock that jumps from one thing that happens to the next, and the random
 * numbers that decide what happens. The same seed gives the same run. */
#ifndef SLUICE_TESTS_SIM_H
#define SLUICE_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_timer {
    void (*run)(void *user);
    void *user;
    /* private */
    uint64_t at_ms;
    uint64_t order; /* of two at the same time, the one that was armed first comes first */
    size_t place;   /* in the heap, from 1 on; 0: not armed */
};

struct sim {
    uint64_t now_ms;
    uint64_t seed;
    const char *profile;
    /* private */
    uint64_t random;
    uint64_t order;
    struct sim_timer **heap; /* [1..count] */
    size_t count;
    size_t capacity;
    bool traces;
};

void sim_init(struct sim *sim, uint64_t seed, const char *profile);
void sim_deinit(struct sim *sim);

/* At that time, or now when it has passed; replaces the time it was armed for. */
void sim_arm(struct sim *sim, struct sim_timer *timer, uint64_t at_ms);
void sim_disarm(struct sim *sim, struct sim_timer *timer);
/* Goes on to the next timer and runs it. False: none is armed. */
bool sim_step(struct sim *sim);

uint64_t sim_draw(struct sim *sim, uint64_t bound);                   /* 0..bound-1 */
uint64_t sim_between(struct sim *sim, uint64_t first, uint64_t last); /* both included */
bool sim_chance(struct sim *sim, unsigned percent);

/* With SIMULATION_TRACE set: a line of what happens. */
void sim_trace(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the test: something that must not be. Prints the seed and how to run it alone. */
_Noreturn void sim_fail(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#define SIM_CHECK(sim, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            sim_fail((sim), __VA_ARGS__);                                                          \
        }                                                                                          \
    } while (0)

#endif
