#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/net.h"

#define KEY_UPDATES 20000

/* A server on a loop of the test's thread, and what a peer in a thread of its own does to it. */
struct stage {
    char directory[32];
    char certificate[64];
    char key[64];
    struct net_loop *loop;
    struct net_tls *tls;
    struct net_listener *listener;
    uint16_t port;
    size_t answer_bytes; /* what the server answers the first bytes with */
    unsigned key_updates_sent;
};

static void write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    int result = certificate != NULL ? PEM_write_X509(file, certificate)
                                     : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    assert_int_equal(result, 1);
    assert_int_equal(fclose(file), 0);
}

static void make_certificate(struct stage *stage)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_int_not_equal(X509_sign(certificate, key, EVP_sha256()), 0);
    write_pem(stage->certificate, certificate, NULL);
    write_pem(stage->key, NULL, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- the server ---- */

static void on_bytes(struct net_conn *conn, char *data, size_t bytes)
{
    struct stage *stage = net_conn_user(conn);
    (void)data;
    (void)bytes;
    char *answer = calloc(1, stage->answer_bytes);
    assert_non_null(answer);
    net_conn_write(conn, answer, stage->answer_bytes);
    free(answer);
}

static void on_ended(struct net_conn *conn)
{
    net_conn_abort(conn);
}

static void on_writable(struct net_conn *conn)
{
    (void)conn;
}

static void on_closed(struct net_conn *conn)
{
    struct stage *stage = net_conn_user(conn);
    net_loop_stop(stage->loop);
}

static void on_accepted(void *user, struct net_conn *conn)
{
    static const struct net_conn_ops OPS = {
        .bytes = on_bytes,
        .ended = on_ended,
        .writable = on_writable,
        .closed = on_closed,
    };
    net_conn_open(conn, &OPS, user);
}

static void stage_open(struct stage *stage)
{
    *stage = (struct stage){.directory = "/tmp/sluice-test-tls-XXXXXX"};
    assert_non_null(mkdtemp(stage->directory));
    (void)snprintf(stage->certificate, sizeof(stage->certificate), "%s/cert", stage->directory);
    (void)snprintf(stage->key, sizeof(stage->key), "%s/key", stage->directory);
    make_certificate(stage);
    stage->loop = net_loop_create(NULL);
    assert_non_null(stage->loop);
    assert_int_equal(net_tls_create(stage->certificate, stage->key, &stage->tls, NULL), SLUICE_OK);
    assert_int_equal(net_listen(stage->loop, SLICE("127.0.0.1:0"), stage->tls, on_accepted, stage,
                                &stage->listener, NULL),
                     SLUICE_OK);
    stage->port = (uint16_t)strtoul(net_listener_address(stage->listener) + 10, NULL, 10);
}

static void stage_close(struct stage *stage)
{
    net_listener_close(stage->listener);
    net_loop_destroy(stage->loop);
    net_tls_destroy(stage->tls);
    assert_int_equal(unlink(stage->certificate), 0);
    assert_int_equal(unlink(stage->key), 0);
    assert_int_equal(rmdir(stage->directory), 0);
}

/* ---- the peer; cmocka's assertions are for the test's own thread ---- */

static SSL *connect_to(const struct stage *stage, SSL_CTX *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(stage->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM, 0);
    SLUICE_ASSERT(file >= 0);
    SLUICE_ASSERT(connect(file, (struct sockaddr *)&address, sizeof(address)) == 0);
    SSL *ssl = SSL_new(context);
    SLUICE_ASSERT(ssl != NULL);
    SLUICE_ASSERT(SSL_set_fd(ssl, file) == 1);
    SLUICE_ASSERT(SSL_connect(ssl) == 1);
    return ssl;
}

/* Asks for an answer that it never reads, and then for new keys, on and on. */
static void *ask_for_keys(void *user)
{
    struct stage *stage = user;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SLUICE_ASSERT(context != NULL);
    SSL *ssl = connect_to(stage, context);
    SLUICE_ASSERT(SSL_write(ssl, "x", 1) == 1);
    while (stage->key_updates_sent < KEY_UPDATES &&
           SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1) {
        stage->key_updates_sent++;
    }
    SLUICE_ASSERT(close(SSL_get_fd(ssl)) == 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return NULL;
}

static void a_peer_that_asks_for_new_keys_and_does_not_read_is_cut(void **state)
{
    struct stage stage;
    pthread_t peer;
    (void)state;
    stage_open(&stage);
    stage.answer_bytes = 16u << 20; /* more than the system takes for a peer that does not read */
    assert_int_equal(pthread_create(&peer, NULL, ask_for_keys, &stage), 0);
    net_loop_run(stage.loop);
    assert_int_equal(pthread_join(peer, NULL), 0);
    assert_true(stage.key_updates_sent < KEY_UPDATES);
    stage_close(&stage);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_asks_for_new_keys_and_does_not_read_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
