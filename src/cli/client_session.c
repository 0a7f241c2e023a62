/* client_session: see client_session.h. */
#include "cli/client_session.h"

#include <stdio.h>
#include <string.h>

/* On the client's thread. Says what is new: not the same failure after every attempt. */
static void note_connection(void *user, const struct sluice_connection *connection)
{
    struct client_session *session = user;
    if (connection->connected) {
        if (session->last_note[0] != '\0') {
            (void)fprintf(stderr, "sluice %s: connected again\n", session->verb->name);
        }
        session->last_note[0] = '\0';
        return;
    }
    const char *why = connection->failure != NULL ? connection->failure->error.message : "";
    if (why[0] != '\0' && strcmp(why, session->last_note) != 0) {
        (void)snprintf(session->last_note, sizeof(session->last_note), "%s", why);
        (void)fprintf(stderr, "sluice %s: %s; trying again\n", session->verb->name, why);
    }
}

bool client_session_read(struct client_session *session, const struct client_verb *verb, int count,
                         char **words, int *exit_code)
{
    *session = (struct client_session){.verb = verb};
    return client_flags_read(&session->flags, verb, count, words, exit_code);
}

bool client_session_start(struct client_session *session, bool notes_connection, int *exit_code)
{
    struct sluice_client_options *options = &session->flags.options;
    struct sluice_error error = {0};
    options->user = session;
    options->connection_changed = notes_connection ? note_connection : NULL;
    enum sluice_status status = waiter_init(&session->waiter, &error);
    if (status == SLUICE_OK) {
        status = sluice_client_create(options, &session->client, &error);
        if (status != SLUICE_OK) {
            waiter_deinit(&session->waiter);
        }
    }
    if (status != SLUICE_OK) {
        client_flags_deinit(&session->flags);
        *exit_code = outcome_of_error(session->verb->name, &error);
        return false;
    }
    return true;
}

void client_session_end_client(struct client_session *session)
{
    (void)sluice_client_close(session->client, NULL, NULL);
    session->client = NULL;
}

void client_session_close(struct client_session *session)
{
    client_session_end_client(session);
    waiter_deinit(&session->waiter);
    client_flags_deinit(&session->flags);
}

int client_session_outcome(const struct client_session *session,
                           const struct sluice_failure *failure)
{
    if (waiter_signal() != 0) {
        return OUTCOME_SIGNAL + waiter_signal();
    }
    return failure != NULL ? outcome_of_failure(session->verb->name, failure) : OUTCOME_DONE;
}
