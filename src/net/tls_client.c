/* tls_client: whom an outgoing connection trusts. */
#include "net/net_internal.h"

enum sluice_status net_tls_client_create(const char *ca_path, bool insecure,
                                         struct net_tls_client **out, struct sluice_error *error)
{
    (void)ca_path, (void)insecure, (void)out;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}

void net_tls_client_destroy(struct net_tls_client *tls)
{
    (void)tls;
}
