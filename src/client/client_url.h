/* client_url: the URL of a server, and the request targets that are made from it. Pure. */
#ifndef SLUICE_CLIENT_URL_H
#define SLUICE_CLIENT_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "sluice/client.h"

#define CLIENT_HOST_BYTES_MAX 255u

struct client_url {
    bool secure;
    bool polls; /* HTTP requests instead of a WebSocket */
    uint16_t port;
    char host[CLIENT_HOST_BYTES_MAX +
              1];           /* a name or an address, without brackets; NUL-terminated */
    struct slice path;      /* borrowed from the text; "/" when absent */
    struct slice query;     /* the URL's own, without '?'; may be empty */
    struct slice authority; /* for the Host header: as written, "" never */
};

/* ws, wss, http and https; the default port is 80 or 443. `text` is borrowed for the URL's life.
 * CONFIG says what is wrong: another scheme, no host, a bad port, user information (which would end
 * up in logs), a fragment, control characters or spaces, a parameter of ours in the query. */
enum sluice_status client_url_parse(struct slice text, enum sluice_transport transport,
                                    struct client_url *out,
                                    struct sluice_error *error) SLUICE_MUST_CHECK;

/* Appends "/path?query&storeId=S&payload=P&transport=ws". The payload is encoded twice, as
 * LiveStore's clients do. */
void client_url_append_target(struct buffer *out, const struct client_url *url,
                              struct slice store_id, struct slice payload);

#endif
