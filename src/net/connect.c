/* connect: outgoing connections. */
#include "net/net_internal.h"

enum sluice_status net_connect(struct net_loop *loop, const struct net_target *target,
                               const struct net_conn_ops *ops, void *user, struct net_conn **out,
                               struct sluice_error *error)
{
    (void)loop, (void)target, (void)ops, (void)user, (void)out;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}

const struct sluice_error *net_conn_failure(const struct net_conn *conn)
{
    (void)conn;
    return NULL;
}
