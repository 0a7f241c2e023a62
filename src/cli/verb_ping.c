/* verb_ping: `sluice ping`: whether a server answers, and how soon. */
#include <stdio.h>

#include "cli/client_session.h"
#include "cli/verbs.h"

#define PING_STORE "sluice-ping" /* a store is part of every URL; a ping leaves nothing in it */

struct pinging {
    struct waiter *waiter;
    bool is_done;
    bool has_failed;
    struct sluice_failure failure;
    uint64_t round_trip_ms;
};

static void on_done(void *user, const struct sluice_failure *failure, uint64_t round_trip_ms)
{
    struct pinging *pinging = user;
    waiter_lock(pinging->waiter);
    pinging->is_done = true;
    pinging->round_trip_ms = round_trip_ms;
    if (failure != NULL) {
        pinging->has_failed = true;
        pinging->failure = *failure;
    }
    waiter_unlock(pinging->waiter);
    waiter_wake(pinging->waiter);
}

/* Until it is done, or a signal comes. */
static void wait_for_answer(struct pinging *pinging)
{
    bool is_done = false;
    while (!is_done && waiter_signal() == 0) {
        (void)waiter_wait(pinging->waiter, -1, -1);
        waiter_lock(pinging->waiter);
        is_done = pinging->is_done;
        waiter_unlock(pinging->waiter);
    }
}

static int ping(struct client_session *session)
{
    struct pinging pinging = {.waiter = &session->waiter};
    struct sluice_failure failure = {0};
    bool has_failed =
        sluice_client_ping(session->client, on_done, &pinging, &failure.error) != SLUICE_OK;
    if (!has_failed) {
        wait_for_answer(&pinging);
    }
    client_session_end_client(session); /* the callback has returned */
    if (!has_failed && pinging.has_failed) {
        has_failed = true;
        failure = pinging.failure;
    }
    int code = client_session_outcome(session, has_failed ? &failure : NULL);
    if (code == OUTCOME_DONE) {
        char answer[64];
        (void)snprintf(answer, sizeof(answer), "answered in %llu ms\n",
                       (unsigned long long)pinging.round_trip_ms);
        code = outcome_print(session->verb->name, answer);
    }
    return code;
}

int verb_ping(int argument_count, char **arguments)
{
    const struct client_verb verb = {
        .name = "ping",
        .arguments = "URL [STORE]",
        .text =
            "Connects, asks the server for a sign of life, and prints how long the answer took.\n"
            "STORE matters where the server gives access by it.",
        .argument_min = 1,
        .argument_max = 2,
    };
    struct client_session session;
    int code = OUTCOME_DONE;
    if (!client_session_read(&session, &verb, argument_count, arguments, &code)) {
        return code;
    }
    if (session.flags.options.store_id == NULL) {
        session.flags.options.store_id = PING_STORE;
    }
    if (client_session_start(&session, false, &code)) {
        code = ping(&session);
        client_session_close(&session);
    }
    return code;
}
