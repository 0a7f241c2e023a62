/* client_options: the public options, checked and copied. */
#ifndef SLUICE_CLIENT_OPTIONS_H
#define SLUICE_CLIENT_OPTIONS_H

#include "base/arena.h"
#include "client/client_core.h"
#include "client/client_url.h"
#include "sluice/client.h"
#include "sluice/outbox.h"

#define CLIENT_HEADERS_MAX 32u

struct client_options {
    struct sluice_client_options public; /* strings are in the arena */
    struct sluice_state_callbacks state;
    struct sluice_outbox_callbacks outbox; /* all NULL when none were given */
    struct client_url url;
    char backend_id[SLUICE_BACKEND_ID_BYTES_MAX]; /* of an earlier run; the client's to fill */
    struct arena arena;
};

/* In place. CONFIG names the option and what it must be; NO_MEMORY. On failure it may only be given
 * to client_options_deinit. */
enum sluice_status client_options_init(struct client_options *options,
                                       const struct sluice_client_options *from,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
void client_options_deinit(struct client_options *options);
/* What the core needs of them; borrows. */
void client_options_config(const struct client_options *options, struct client_core_config *out);

#endif
