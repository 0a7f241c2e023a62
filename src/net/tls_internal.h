/* tls_internal: what the two sides of TLS share. */
#ifndef SLUICE_NET_TLS_INTERNAL_H
#define SLUICE_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/net_internal.h"

struct net_tls_session {
    SSL *ssl;
};

/* A session with its memory BIOs, of neither side yet. NULL: out of memory. */
struct net_tls_session *net_tls_session_of(SSL_CTX *context);

#endif
