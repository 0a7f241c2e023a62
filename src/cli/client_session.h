/* client_session: what every verb that speaks to a server has: its flags, a client, and a waiter
 * between the client's thread and the main one. Main thread. */
#ifndef SLUICE_CLIENT_SESSION_H
#define SLUICE_CLIENT_SESSION_H

#include "cli/client_flags.h"
#include "cli/outcome.h"
#include "cli/waiter.h"

struct client_session {
    const struct client_verb *verb; /* borrowed */
    struct client_flags flags;
    struct waiter waiter;
    struct sluice_client *client;

    /* The last failure of the connection that was told; empty while it stands. Client's thread. */
    char last_note[sizeof(((struct sluice_error *)0)->message)];
};

/* Reads the words after the verb. False: `*exit_code` says how it ended, and there is nothing to
 * close. */
bool client_session_read(struct client_session *session, const struct client_verb *verb, int count,
                         char **words, int *exit_code);

/* Makes the client, with what client_session_read has read; nothing is sent yet.
 * `notes_connection`: says on standard error when the connection is lost and when it is back. False
 * as above. */
bool client_session_start(struct client_session *session, bool notes_connection, int *exit_code);

/* Ends the client: every callback has returned when this does. What was asked of it has ended as
 * SLUICE_CLOSED. A second time does nothing. */
void client_session_end_client(struct client_session *session);

/* Ends the client, and everything else. */
void client_session_close(struct client_session *session);

/* The exit code of a verb that ended with `failure`, or, when that is NULL, well; a signal that
 * came counts more. Says what is to be said. */
int client_session_outcome(const struct client_session *session,
                           const struct sluice_failure *failure);

#endif
