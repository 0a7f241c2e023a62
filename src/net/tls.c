/* tls: TLS on memory BIOs: bytes in, bytes out; the socket is conn.c's.
 *
 * Owns one SSL object a session. Loop thread. */
#include <openssl/err.h>
#include <stdlib.h>

#include "net/tls_internal.h"

#define RECORD_BYTES 16384u
/* Ciphertext is a connection's own, where plain pages are shared: it is made as the socket takes
 * it. */
#define CIPHERTEXT_BYTES_MAX (128u << 10)
/* What TLS says by itself is a handshake, or an answer to a few requests for new keys. A peer that
 * does not read can ask for more. */
#define UNSENT_BYTES_MAX (64u << 10)

struct net_tls {
    SSL_CTX *context;
};

static enum sluice_status fail(struct net_tls *tls, struct sluice_error *error, const char *what,
                               const char *path)
{
    char detail[256];
    ERR_error_string_n(ERR_get_error(), detail, sizeof(detail));
    net_tls_destroy(tls);
    return error_set(error, SLUICE_CONFIG, "%s '%s': %s", what, path, detail);
}

enum sluice_status net_tls_create(const char *certificate_path, const char *key_path,
                                  struct net_tls **out, struct sluice_error *error)
{
    struct net_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for TLS");
    }
    ERR_clear_error();
    tls->context = SSL_CTX_new(TLS_server_method());
    if (tls->context == NULL) {
        return fail(tls, error, "cannot set up TLS for", certificate_path);
    }
    (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (SSL_CTX_use_certificate_chain_file(tls->context, certificate_path) != 1) {
        return fail(tls, error, "cannot read the certificate chain (PEM)", certificate_path);
    }
    if (SSL_CTX_use_PrivateKey_file(tls->context, key_path, SSL_FILETYPE_PEM) != 1) {
        return fail(tls, error, "cannot read the private key (PEM)", key_path);
    }
    if (SSL_CTX_check_private_key(tls->context) != 1) {
        return fail(tls, error, "the key does not belong to the certificate", key_path);
    }
    *out = tls;
    return SLUICE_OK;
}

void net_tls_destroy(struct net_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        free(tls);
    }
}

struct net_tls_session *net_tls_session_of(SSL_CTX *context)
{
    struct net_tls_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    if (session->ssl == NULL || in == NULL || out == NULL) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(session->ssl);
        free(session);
        return NULL;
    }
    SSL_set_bio(session->ssl, in, out);
    return session;
}

struct net_tls_session *net_tls_session_create(struct net_tls *tls)
{
    struct net_tls_session *session = net_tls_session_of(tls->context);
    if (session != NULL) {
        SSL_set_accept_state(session->ssl);
    }
    return session;
}

void net_tls_session_destroy(struct net_tls_session *session)
{
    if (session != NULL) {
        SSL_free(session->ssl);
        free(session);
    }
}

bool net_tls_receive(struct net_tls_session *session, const char *data, size_t bytes)
{
    size_t written = 0;
    return BIO_write_ex(SSL_get_rbio(session->ssl), data, bytes, &written) == 1 && written == bytes;
}

int net_tls_read(struct net_tls_session *session, char *out, size_t bytes)
{
    size_t count = 0;
    if (BIO_ctrl_pending(SSL_get_wbio(session->ssl)) > UNSENT_BYTES_MAX) {
        return -1;
    }
    ERR_clear_error();
    if (SSL_read_ex(session->ssl, out, bytes, &count) == 1) {
        return (int)count;
    }
    switch (SSL_get_error(session->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -2;
    default:
        return -1;
    }
}

bool net_tls_ready(const struct net_tls_session *session)
{
    return SSL_is_init_finished(session->ssl) == 1;
}

/* Moves the ciphertext that waits in the session into `out`. */
static void take_ciphertext(struct net_tls_session *session, struct net_output *out)
{
    BIO *bio = SSL_get_wbio(session->ssl);
    char *data = NULL;
    long bytes = BIO_get_mem_data(bio, &data);
    if (bytes > 0) {
        net_output_append(out, data, (size_t)bytes);
        (void)BIO_reset(bio);
    }
}

bool net_tls_encrypt(struct net_tls_session *session, struct net_output *plain,
                     struct net_output *out)
{
    char record[RECORD_BYTES];
    while (plain->bytes > 0 && out->bytes < CIPHERTEXT_BYTES_MAX && net_tls_ready(session)) {
        struct iovec pieces[16];
        size_t filled = 0;
        unsigned count = net_output_peek(plain, pieces, 16);
        for (unsigned i = 0; i < count && filled < sizeof(record); i++) {
            size_t room = sizeof(record) - filled;
            size_t taken = pieces[i].iov_len < room ? pieces[i].iov_len : room;
            memcpy(record + filled, pieces[i].iov_base, taken);
            filled += taken;
        }
        size_t written = 0;
        ERR_clear_error();
        if (SSL_write_ex(session->ssl, record, filled, &written) != 1) {
            return false;
        }
        net_output_consume(plain, written);
        take_ciphertext(session, out);
    }
    if (plain->bytes == 0) {
        net_output_reset(plain);
    }
    take_ciphertext(session, out);
    return !out->failed;
}

void net_tls_shutdown(struct net_tls_session *session, struct net_output *out)
{
    if (net_tls_ready(session)) {
        (void)SSL_shutdown(session->ssl);
        take_ciphertext(session, out);
    }
}
