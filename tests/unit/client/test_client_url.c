#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/client_url.h"

static struct client_url parse(const char *text, enum sluice_transport transport)
{
    struct client_url url;
    struct sluice_error error = {0};
    if (client_url_parse(slice_of_string(text), transport, &url, &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return url;
}

static void assert_url(const char *text, bool secure, bool polls, const char *host, unsigned port)
{
    struct client_url url = parse(text, SLUICE_TRANSPORT_AUTO);
    assert_int_equal(url.secure, secure);
    assert_int_equal(url.polls, polls);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
}

static void the_scheme_says_transport_tls_and_port(void **state)
{
    (void)state;
    assert_url("ws://h", false, false, "h", 80);
    assert_url("wss://h/", true, false, "h", 443);
    assert_url("http://h", false, true, "h", 80);
    assert_url("HTTPS://h", true, true, "h", 443);
}

static void a_transport_that_is_asked_for_wins_over_the_scheme(void **state)
{
    (void)state;
    assert_false(parse("http://h", SLUICE_TRANSPORT_WS).polls);
    assert_true(parse("ws://h", SLUICE_TRANSPORT_HTTP).polls);
}

static void hosts_and_ports_are_read(void **state)
{
    (void)state;
    assert_url("ws://127.0.0.1:8787", false, false, "127.0.0.1", 8787);
    assert_url("ws://[::1]:8787/x", false, false, "::1", 8787);
    assert_url("ws://[fe80::1]", false, false, "fe80::1", 80);
    assert_url("ws://h:", false, false, "h", 80);
    assert_url("ws://h?a=b", false, false, "h", 80);
}

static void assert_target(const char *text, const char *store_id, const char *payload,
                          const char *expected)
{
    struct client_url url = parse(text, SLUICE_TRANSPORT_AUTO);
    struct buffer out;
    buffer_init(&out, 10000);
    client_url_append_target(&out, &url, slice_of_string(store_id), slice_of_string(payload));
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_deinit(&out);
}

static void the_target_carries_the_store_and_the_payload_encoded_twice(void **state)
{
    (void)state;
    assert_target("ws://h", "s", "", "/?storeId=s&transport=ws");
    assert_target("http://h/a/b", "s", "", "/a/b?storeId=s&transport=http");
    assert_target("ws://h/p?x=1", "a&b=\xC3\xA9", "", "/p?x=1&storeId=a%26b%3D%C3%A9&transport=ws");
    assert_target("ws://h", "s", "{\"a\":1}",
                  "/?storeId=s&payload=%257B%2522a%2522%253A1%257D"
                  "&transport=ws");
    assert_target("ws://h", "s", "\"%\"", "/?storeId=s&payload=%2522%2525%2522&transport=ws");
}

static void what_is_wrong_with_a_url_is_said(void **state)
{
    static const struct {
        const char *url;
        const char *part;
    } WRONG[] = {
        {"", "must start with ws://"},
        {"ftp://h", "must start with ws://"},
        {"h:80", "must start with ws://"},
        {"ws://", "the host"},
        {"ws://:80", "the host"},
        {"ws://[::1", "']' is missing"},
        {"ws://[::1]80", "a port is expected"},
        {"ws://h:0", "the port"},
        {"ws://h:65536", "the port"},
        {"ws://h:1:2", "the port"},
        {"ws://h:x", "the port"},
        {"ws://user:secret@h/", "payload or a header"},
        {"ws://h/?a=b&storeId=x", "'storeId' in its query"},
        {"ws://h?%74ransport=ws", "'transport' in its query"},
        {"ws://h/#top", "fragment"},
        {"ws://h/a b", "a space"},
        {"ws://h/\r\nX: y", "a space"},
        {"ws://h/\xC3\xA9", "not ASCII"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        struct client_url url;
        struct sluice_error error = {0};
        assert_int_equal(
            client_url_parse(slice_of_string(WRONG[i].url), SLUICE_TRANSPORT_AUTO, &url, &error),
            SLUICE_CONFIG);
        if (strstr(error.message, WRONG[i].part) == NULL) {
            fail_msg("%s: '%s'", WRONG[i].url, error.message);
        }
    }
}

static void a_host_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[400] = "ws://";
    struct client_url url;
    memset(text + 5, 'h', 255);
    assert_int_equal(client_url_parse(slice_of_string(text), SLUICE_TRANSPORT_AUTO, &url, NULL),
                     SLUICE_OK);
    text[5 + 255] = 'h';
    assert_int_equal(client_url_parse(slice_of_string(text), SLUICE_TRANSPORT_AUTO, &url, NULL),
                     SLUICE_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scheme_says_transport_tls_and_port),
        cmocka_unit_test(a_transport_that_is_asked_for_wins_over_the_scheme),
        cmocka_unit_test(hosts_and_ports_are_read),
        cmocka_unit_test(the_target_carries_the_store_and_the_payload_encoded_twice),
        cmocka_unit_test(what_is_wrong_with_a_url_is_said),
        cmocka_unit_test(a_host_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
