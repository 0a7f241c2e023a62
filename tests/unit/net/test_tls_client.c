#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "certificates.h"
#include "net/net_internal.h"
#include "net_stage.h"

#include "../base/failing_calloc.h"

static struct certificates certificates;

static int set_up(void **state)
{
    (void)state;
    certificates_init(&certificates);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    certificates_deinit(&certificates);
    return 0;
}

static struct net_tls *server_tls(const struct certificate *certificate)
{
    struct net_tls *tls = NULL;
    struct sluice_error error;
    assert_int_equal(net_tls_create(certificate->path, certificate->key_path, &tls, &error),
                     SLUICE_OK);
    return tls;
}

static struct net_tls_client *client_tls(const char *ca_path, bool insecure)
{
    struct net_tls_client *tls = NULL;
    struct sluice_error error;
    assert_int_equal(net_tls_client_create(ca_path, insecure, &tls, &error), SLUICE_OK);
    return tls;
}

/* A client that trusts the authority, and a server with this certificate (NULL: without TLS). */
struct pair {
    struct net_stage stage;
    struct net_tls *server;
    struct net_tls_client *client;
};

static void pair_init(struct pair *pair, const struct certificate *certificate, enum habit habit)
{
    stage_init(&pair->stage);
    pair->server = certificate != NULL ? server_tls(certificate) : NULL;
    pair->client = client_tls(certificates.ca_path, false);
    stage_listen(&pair->stage, pair->server, habit);
    names_add("127.0.0.1", pair->stage.port);
}

static void pair_deinit(struct pair *pair)
{
    stage_deinit(&pair->stage);
    net_tls_destroy(pair->server);
    net_tls_client_destroy(pair->client);
}

static bool client_has_5_bytes(struct net_stage *stage)
{
    return stage->client.bytes.bytes >= 5;
}

/* Connects to `host` and is answered. */
static void assert_speaks(struct pair *pair, const char *host)
{
    stage_connect(&pair->stage, host, pair->stage.port, pair->client);
    stage_run_until(&pair->stage, client_opened);
    net_conn_write_slice(pair->stage.client.conn, SLICE("hello"));
    stage_run_until(&pair->stage, client_has_5_bytes);
    assert_memory_equal(pair->stage.client.bytes.data, "hello", 5);
}

/* Connects to `host`, which ends before it opened, with a failure that has these words. */
static void assert_refuses(struct pair *pair, const char *host, const char *words)
{
    stage_connect(&pair->stage, host, pair->stage.port, pair->client);
    stage_run_until(&pair->stage, client_closed);
    assert_int_equal(pair->stage.client.opened, 0);
    assert_int_equal(pair->stage.client.bytes.bytes, 0);
    assert_failure(&pair->stage, words);
}

static void a_trusted_certificate_with_the_name_is_accepted(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    assert_speaks(&pair, "sync.example");
    pair_deinit(&pair);
    assert_no_failure(&pair.stage);
}

static void a_name_with_a_dot_at_its_end_is_the_same_name(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    assert_speaks(&pair, "sync.example.");
    pair_deinit(&pair);
}

static void a_trusted_certificate_with_the_address_is_accepted(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue(&certificates, "IP:127.0.0.1", -1, 1, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    assert_speaks(&pair, "127.0.0.1");
    pair_deinit(&pair);
}

static bool client_has_a_megabyte(struct net_stage *stage)
{
    return stage->client.bytes.bytes >= 1u << 20;
}

static void a_megabyte_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    struct buffer sent;
    buffer_init(&sent, 2u << 20);
    for (unsigned i = 0; sent.bytes < 1u << 20; i++) {
        buffer_append(&sent, &i, sizeof i);
    }
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    stage_connect(&pair.stage, "sync.example", pair.stage.port, pair.client);
    stage_run_until(&pair.stage, client_opened);
    net_conn_write(pair.stage.client.conn, sent.data, sent.bytes);
    stage_run_until(&pair.stage, client_has_a_megabyte);
    assert_memory_equal(pair.stage.client.bytes.data, sent.data, sent.bytes);
    pair_deinit(&pair);
    buffer_deinit(&sent);
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    (void)state;
    static const char *const hosts[] = {"sync.example", "127.0.0.1"};
    struct certificate certificate;
    certificates_issue(&certificates, "DNS:other.example,DNS:*.sync.example,IP:127.0.0.2", -1, 1,
                       &certificate);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct pair pair;
        char words[64];
        pair_init(&pair, &certificate, HABIT_ECHOES);
        (void)snprintf(words, sizeof words, "the certificate of %s:%u is for another host",
                       hosts[i], pair.stage.port);
        assert_refuses(&pair, hosts[i], words);
        pair_deinit(&pair);
    }
}

static void a_certificate_of_nobody_we_trust_is_refused(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue_self_signed(&certificates, "DNS:sync.example", &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    assert_refuses(&pair, "sync.example", "from an authority that is not trusted here");
    pair_deinit(&pair);
}

static void the_systems_authorities_do_not_include_ours(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    net_tls_client_destroy(pair.client);
    pair.client = client_tls(NULL, false);
    assert_refuses(&pair, "sync.example", "not trusted here");
    pair_deinit(&pair);
}

static void a_certificate_out_of_its_time_is_refused(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue(&certificates, "DNS:sync.example", -2, -1, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    assert_refuses(&pair, "sync.example", "has expired");
    pair_deinit(&pair);
    certificates_issue(&certificates, "DNS:sync.example", 1, 2, &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    assert_refuses(&pair, "sync.example", "is not valid yet");
    pair_deinit(&pair);
}

static void insecure_accepts_any_certificate(void **state)
{
    (void)state;
    struct certificate certificate;
    struct pair pair;
    certificates_issue_self_signed(&certificates, "DNS:other.example", &certificate);
    pair_init(&pair, &certificate, HABIT_ECHOES);
    net_tls_client_destroy(pair.client);
    pair.client = client_tls(certificates.ca_path, true);
    assert_speaks(&pair, "sync.example");
    pair_deinit(&pair);
}

static void a_server_without_tls_is_told_from_a_broken_one(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, NULL, HABIT_SAYS_GOODBYE);
    assert_refuses(&pair, "sync.example", "answers without TLS");
    pair_deinit(&pair);
}

static void a_server_that_hangs_up_amid_the_handshake_is_a_failure(void **state)
{
    (void)state;
    static const enum habit habits[] = {HABIT_HANGS_UP, HABIT_RESETS};
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++) {
        struct pair pair;
        pair_init(&pair, NULL, habits[i]);
        assert_refuses(&pair, "sync.example", "closed the connection during the TLS handshake");
        pair_deinit(&pair);
    }
}

static void a_handshake_that_does_not_end_is_given_up(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, NULL, HABIT_SILENT);
    stage_connect_within(&pair.stage, "sync.example", pair.stage.port, pair.client, 100);
    stage_run_until(&pair.stage, client_closed);
    assert_failure(&pair.stage, "did not finish the TLS handshake within 100 ms");
    pair_deinit(&pair);
}

static bool server_has_bytes(struct net_stage *stage)
{
    return stage->server.bytes.bytes > 0;
}

static void it_can_be_aborted_amid_the_handshake(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, NULL, HABIT_SILENT);
    stage_connect(&pair.stage, "sync.example", pair.stage.port, pair.client);
    stage_run_until(&pair.stage, server_has_bytes); /* the first word of TLS */
    net_conn_abort(pair.stage.client.conn);
    stage_run_until(&pair.stage, client_closed);
    pair_deinit(&pair);
    assert_int_equal(pair.stage.client.closed, 1);
    assert_no_failure(&pair.stage);
}

static void it_can_be_aborted_as_it_opens_and_as_bytes_come(void **state)
{
    (void)state;
    struct certificate certificate;
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    for (int abort = ABORT_IN_OPENED; abort <= ABORT_IN_BYTES; abort++) {
        struct pair pair;
        pair_init(&pair, &certificate, HABIT_ECHOES);
        pair.stage.aborts = abort;
        stage_connect(&pair.stage, "sync.example", pair.stage.port, pair.client);
        stage_run_until(&pair.stage, client_opened);
        if (abort == ABORT_IN_BYTES) {
            net_conn_write_slice(pair.stage.client.conn, SLICE("hello"));
        }
        stage_run_until(&pair.stage, client_closed);
        assert_no_failure(&pair.stage);
        pair_deinit(&pair);
    }
}

/* What the client says first, to a host. */
static void first_word(const char *host, struct buffer *out)
{
    char nothing[16];
    struct net_output plain;
    struct net_output encrypted;
    struct iovec pieces[8];
    struct net_tls_client *tls = client_tls(NULL, true);
    struct net_tls_session *session = net_tls_session_connect(tls, host);
    assert_non_null(session);
    assert_int_equal(net_tls_read(session, nothing, sizeof nothing), 0);
    net_output_init(&plain);
    net_output_init(&encrypted);
    assert_true(net_tls_encrypt(session, &plain, &encrypted));
    unsigned count = net_output_peek(&encrypted, pieces, 8);
    assert_true(count > 0);
    for (unsigned i = 0; i < count; i++) {
        buffer_append(out, pieces[i].iov_base, pieces[i].iov_len);
    }
    net_output_deinit(&plain);
    net_output_deinit(&encrypted);
    net_tls_session_destroy(session);
    net_tls_client_destroy(tls);
}

static bool says(const char *host, const char *words)
{
    struct buffer word;
    buffer_init(&word, 64u << 10);
    first_word(host, &word);
    bool found = memmem(word.data, word.bytes, words, strlen(words)) != NULL;
    buffer_deinit(&word);
    return found;
}

static void the_name_is_sent_and_an_address_is_not(void **state)
{
    (void)state;
    assert_true(says("sync.example", "sync.example"));
    assert_true(says("sync.example.", "sync.example"));
    assert_false(says("sync.example.", "sync.example."));
    assert_false(says("127.0.0.1", "127.0.0.1"));
    assert_false(says("2001:db8::77", "2001:db8::77"));
}

static void a_file_without_certificates_is_named(void **state)
{
    (void)state;
    struct net_tls_client *tls = NULL;
    struct sluice_error error = {0};
    assert_int_equal(net_tls_client_create("/nowhere/ca.pem", false, &tls, &error), SLUICE_CONFIG);
    assert_non_null(strstr(error.message, "/nowhere/ca.pem"));
    assert_null(tls);
    struct certificate certificate;
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    assert_int_equal(net_tls_client_create(certificate.key_path, false, &tls, &error),
                     SLUICE_CONFIG);
    assert_non_null(strstr(error.message, certificate.key_path));
    net_tls_client_destroy(NULL);
}

static bool opened_or_closed(struct net_stage *stage)
{
    return stage->client.opened + stage->client.closed > 0;
}

/* With so many allocations of ours that succeed while it opens and says hello. */
static bool speaks_with(unsigned successes, const struct certificate *certificate)
{
    struct pair pair;
    pair_init(&pair, certificate, HABIT_SILENT);
    stage_connect(&pair.stage, "sync.example", pair.stage.port, pair.client);
    failing_alloc_arm(successes);
    stage_run_until(&pair.stage, opened_or_closed);
    failing_alloc_disarm();
    bool opened = pair.stage.client.opened > 0;
    if (!opened) {
        assert_true(pair.stage.client.has_failure);
    }
    pair_deinit(&pair);
    return opened;
}

static void whichever_allocation_fails_the_handshake_ends(void **state)
{
    (void)state;
    struct certificate certificate;
    unsigned needed = 0;
    certificates_issue(&certificates, "DNS:sync.example", -1, 1, &certificate);
    while (!speaks_with(needed, &certificate)) {
        needed++;
    }
    assert_true(needed >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_certificate_with_the_name_is_accepted),
        cmocka_unit_test(a_name_with_a_dot_at_its_end_is_the_same_name),
        cmocka_unit_test(a_trusted_certificate_with_the_address_is_accepted),
        cmocka_unit_test(a_megabyte_comes_back_as_it_was_sent),
        cmocka_unit_test(a_certificate_for_another_host_is_refused),
        cmocka_unit_test(a_certificate_of_nobody_we_trust_is_refused),
        cmocka_unit_test(the_systems_authorities_do_not_include_ours),
        cmocka_unit_test(a_certificate_out_of_its_time_is_refused),
        cmocka_unit_test(insecure_accepts_any_certificate),
        cmocka_unit_test(a_server_without_tls_is_told_from_a_broken_one),
        cmocka_unit_test(a_server_that_hangs_up_amid_the_handshake_is_a_failure),
        cmocka_unit_test(a_handshake_that_does_not_end_is_given_up),
        cmocka_unit_test(it_can_be_aborted_amid_the_handshake),
        cmocka_unit_test(it_can_be_aborted_as_it_opens_and_as_bytes_come),
        cmocka_unit_test(the_name_is_sent_and_an_address_is_not),
        cmocka_unit_test(a_file_without_certificates_is_named),
        cmocka_unit_test(whichever_allocation_fails_the_handshake_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
