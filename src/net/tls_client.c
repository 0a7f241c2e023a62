/* tls_client: the outgoing side of TLS: whom it trusts, whom it wants to speak to, and why a
 * handshake failed.
 *
 * Owns the SSL_CTX with the trusted certificates. Loop thread. Invariant: a session that is not
 * insecure verifies the chain and that the certificate is for the host it was made for; there is no
 * session between the two. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"

#define HOST_BYTES_MAX 255u

struct net_tls_client {
    SSL_CTX *context;
};

static enum sluice_status fail(struct net_tls_client *tls, struct sluice_error *error,
                               enum sluice_status status, const char *what)
{
    char detail[256];
    ERR_error_string_n(ERR_get_error(), detail, sizeof(detail));
    net_tls_client_destroy(tls);
    return error_set(error, status, "%s: %s", what, detail);
}

enum sluice_status net_tls_client_create(const char *ca_path, bool insecure,
                                         struct net_tls_client **out, struct sluice_error *error)
{
    struct net_tls_client *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for TLS");
    }
    ERR_clear_error();
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context == NULL) {
        return fail(tls, error, SLUICE_NO_MEMORY, "cannot set up TLS");
    }
    (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_verify(tls->context, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (ca_path != NULL && SSL_CTX_load_verify_file(tls->context, ca_path) != 1) {
        char what[320];
        (void)snprintf(what, sizeof(what), "cannot read the trusted certificates (PEM) '%.200s'",
                       ca_path);
        return fail(tls, error, SLUICE_CONFIG, what);
    }
    if (ca_path == NULL && SSL_CTX_set_default_verify_paths(tls->context) != 1) {
        return fail(tls, error, SLUICE_CONFIG, "cannot read the system's trusted certificates");
    }
    *out = tls;
    return SLUICE_OK;
}

void net_tls_client_destroy(struct net_tls_client *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        free(tls);
    }
}

/* Says to the peer, and to the verification, which host is meant. Addresses are not sent: SNI has
 * no form for them. */
static bool set_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char address[16];
    if (uv_inet_pton(AF_INET, host, address) == 0) {
        return X509_VERIFY_PARAM_set1_ip(param, address, 4) == 1;
    }
    if (uv_inet_pton(AF_INET6, host, address) == 0) {
        return X509_VERIFY_PARAM_set1_ip(param, address, 16) == 1;
    }
    char name[HOST_BYTES_MAX + 1] = "";
    size_t bytes = strlen(host);
    if (bytes > 0 && host[bytes - 1] == '.') {
        bytes--; /* "example.com." is a name that certificates have without the dot */
    }
    if (bytes == 0 || bytes > HOST_BYTES_MAX) {
        return false;
    }
    memcpy(name, host, bytes);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

struct net_tls_session *net_tls_session_connect(struct net_tls_client *tls, const char *host)
{
    struct net_tls_session *session = net_tls_session_of(tls->context);
    if (session == NULL) {
        return NULL;
    }
    if (!set_host(session->ssl, host)) {
        net_tls_session_destroy(session);
        return NULL;
    }
    SSL_set_connect_state(session->ssl);
    return session;
}

static const char *certificate_problem(long result)
{
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "is for another host: use the name that is in it";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "has expired: renew it, or check this machine's clock";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "is not valid yet: check this machine's clock";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "is from an authority that is not trusted here: name its certificate as one to "
               "trust";
    default:
        return NULL;
    }
}

void net_tls_session_explain(const struct net_tls_session *session, const char *where,
                             struct sluice_error *error)
{
    unsigned long code = ERR_peek_error();
    long result = SSL_get_verify_result(session->ssl);
    if (SSL_get_verify_mode(session->ssl) != SSL_VERIFY_NONE && result != X509_V_OK) {
        const char *problem = certificate_problem(result);
        (void)error_set(error, SLUICE_OFFLINE, "the certificate of %s %s%s", where,
                        problem != NULL ? "" : "cannot be verified: ",
                        problem != NULL ? problem : X509_verify_cert_error_string(result));
    } else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER && !net_tls_ready(session)) {
        (void)error_set(error, SLUICE_OFFLINE,
                        "%s answers without TLS: check the port, or do without TLS", where);
    } else {
        const char *reason = ERR_reason_error_string(code);
        (void)error_set(error, SLUICE_OFFLINE, "TLS with %s failed: %s", where,
                        reason != NULL ? reason : "the peer broke the protocol");
    }
}
