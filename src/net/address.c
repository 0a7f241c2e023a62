/* address: socket addresses as text. */
#include <netinet/in.h>
#include <stdio.h>

#include "net/net_internal.h"

void net_format_address(const struct sockaddr_storage *address, char *out, size_t bytes)
{
    char host[46] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        (void)uv_ip4_name(v4, host, sizeof(host));
        (void)snprintf(out, bytes, "%s:%u", host, ntohs(v4->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        (void)uv_ip6_name(v6, host, sizeof(host));
        (void)snprintf(out, bytes, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        (void)snprintf(out, bytes, "unknown");
    }
}
