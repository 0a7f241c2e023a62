#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "server/options.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What another SLUICE_… variable of the one who runs the tests says must not matter. */
extern char **environ;

static int forget_environment(void **state)
{
    (void)state;
    for (char **at = environ; *at != NULL;) {
        const char *end = strchr(*at, '=');
        if (strncmp(*at, "SLUICE_", 7) != 0 || end == NULL) {
            at++;
            continue;
        }
        char name[128];
        size_t bytes = (size_t)(end - *at);
        assert_true(bytes < sizeof name);
        memcpy(name, *at, bytes);
        name[bytes] = '\0';
        assert_int_equal(unsetenv(name), 0);
        at = environ;
    }
    return 0;
}

/* Arguments as a shell splits a line, separated by single spaces. */
struct line {
    char text[256];
    char *arguments[16];
    int count;
};

static void split(struct line *line, const char *text)
{
    char *at = line->text;
    line->count = 0;
    assert_true(strlen(text) < sizeof line->text);
    memcpy(line->text, text, strlen(text) + 1);
    while (*at != '\0') {
        line->arguments[line->count++] = at;
        at += strcspn(at, " ");
        if (*at == ' ') {
            *at++ = '\0';
        }
    }
}

static struct line used; /* the options borrow from it */

static struct server_options read_options(const char *text)
{
    struct server_options options;
    struct sluice_error error = {0};
    split(&used, text);
    if (server_options_read(used.count, used.arguments, &options, &error) != SLUICE_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return options;
}

static void assert_refused(const char *text, const char *message)
{
    struct server_options options = {.connections_max = 77};
    struct sluice_error error = {0};
    split(&used, text);
    enum sluice_status status = server_options_read(used.count, used.arguments, &options, &error);
    if (status != SLUICE_CONFIG || strcmp(error.message, message) != 0) {
        fail_msg("%s: %s, '%s'", text, sluice_status_name(status), error.message);
    }
    assert_int_equal(options.connections_max, 77);
    assert_int_equal(server_options_read(used.count, used.arguments, &options, NULL),
                     SLUICE_CONFIG);
}

static void without_arguments_all_have_their_defaults(void **state)
{
    (void)state;
    struct server_options options = read_options("");
    assert_string_equal(options.listen, "127.0.0.1:8787");
    assert_string_equal(options.data, "./data");
    assert_null(options.tls_cert);
    assert_null(options.tls_key);
    assert_int_equal(options.log_format, LOG_TEXT);
    assert_int_equal(options.log_level, LOG_INFO);
    assert_int_equal(options.connections_max, 10000);
    assert_int_equal(options.pulls_per_connection_max, 16);
    assert_int_equal(options.message_bytes_max, 16u << 20);
    assert_int_equal(options.event_bytes_max, 1u << 20);
    assert_int_equal(options.inflight_bytes_max, 256u << 20);
    assert_int_equal(options.reader_threads, 2);
    assert_int_equal(options.silent_connection_timeout_ms, 30000);
    assert_int_equal(options.head_timeout_ms, 10000);
    assert_int_equal(options.body_timeout_ms, 60000);
    assert_int_equal(options.idle_timeout_ms, 75000);
    assert_int_equal(options.stall_timeout_ms, 60000);
    assert_int_equal(options.ping_interval_ms, 30000);
    assert_int_equal(options.drain_timeout_ms, 8000);
}

static void a_value_follows_its_flag_or_an_equals_sign(void **state)
{
    (void)state;
    struct server_options options = read_options("--listen :1 --data=/a=b --connections-max=5");
    assert_string_equal(options.listen, ":1");
    assert_string_equal(options.data, "/a=b");
    assert_int_equal(options.connections_max, 5);
    assert_string_equal(read_options("--data --x").data, "--x");
}

static void the_last_of_two_flags_counts(void **state)
{
    (void)state;
    assert_int_equal(read_options("--reader-threads 3 --reader-threads 4").reader_threads, 4);
}

static void a_flag_wins_over_the_environment_and_that_over_the_default(void **state)
{
    (void)state;
    assert_int_equal(setenv("SLUICE_READER_THREADS", "7", 1), 0);
    assert_int_equal(setenv("SLUICE_DATA", "/from/environment", 1), 0);
    assert_int_equal(setenv("SLUICE_LOG_FORMAT", "json", 1), 0);
    struct server_options options = read_options("--data /from/flag");
    assert_int_equal(options.reader_threads, 7);
    assert_string_equal(options.data, "/from/flag");
    assert_int_equal(options.log_format, LOG_JSON);
    assert_string_equal(options.listen, "127.0.0.1:8787");
}

struct value_case {
    const char *line;
    size_t offset;
    uint64_t value;
};

#define FIELD(name) offsetof(struct server_options, name)

static void numbers_bytes_durations_and_choices_are_understood(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"--connections-max 1", FIELD(connections_max), 1},
        {"--connections-max 10000000", FIELD(connections_max), 10000000},
        {"--pulls-per-connection-max 007", FIELD(pulls_per_connection_max), 7},
        {"--reader-threads 64", FIELD(reader_threads), 64},
        {"--event-bytes-max 64", FIELD(event_bytes_max), 64},
        {"--event-bytes-max 3K", FIELD(event_bytes_max), 3072},
        {"--message-bytes-max 2M", FIELD(message_bytes_max), 2u << 20},
        {"--message-bytes-max 1G --inflight-bytes-max 1G", FIELD(message_bytes_max), 1u << 30},
        {"--inflight-bytes-max 1024G", FIELD(inflight_bytes_max), 1ull << 40},
        {"--head-timeout 5", FIELD(head_timeout_ms), 5000},
        {"--head-timeout 5s", FIELD(head_timeout_ms), 5000},
        {"--head-timeout 1ms", FIELD(head_timeout_ms), 1},
        {"--head-timeout 2m", FIELD(head_timeout_ms), 120000},
        {"--head-timeout 1h", FIELD(head_timeout_ms), 3600000},
        {"--silent-connection-timeout 0", FIELD(silent_connection_timeout_ms), 0},
        {"--body-timeout 3599999ms", FIELD(body_timeout_ms), 3599999},
        {"--idle-timeout 61s", FIELD(idle_timeout_ms), 61000},
        {"--stall-timeout 62s", FIELD(stall_timeout_ms), 62000},
        {"--ping-interval 63s", FIELD(ping_interval_ms), 63000},
        {"--drain-timeout 64s", FIELD(drain_timeout_ms), 64000},
        {"--log-format text", FIELD(log_format), LOG_TEXT},
        {"--log-format json", FIELD(log_format), LOG_JSON},
        {"--log-level debug", FIELD(log_level), LOG_DEBUG},
        {"--log-level info", FIELD(log_level), LOG_INFO},
        {"--log-level warn", FIELD(log_level), LOG_WARN},
        {"--log-level error", FIELD(log_level), LOG_ERROR},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct server_options options = read_options(cases[i].line);
        uint64_t value;
        memcpy(&value, (const char *)&options + cases[i].offset, sizeof value);
        if (value != cases[i].value) {
            fail_msg("%s: %llu", cases[i].line, (unsigned long long)value);
        }
    }
}

struct refused_case {
    const char *line;
    const char *message;
};

static void a_value_that_is_not_understood_is_named_with_what_is(void **state)
{
    (void)state;
#define COUNT_RULE "; it takes a number, from 1 to 10000000"
#define BYTES_RULE                                                                                 \
    "; it takes a number of bytes, such as 65536, 64K, 16M or 1G, from 64 to 536870912"
#define TIME_RULE "; it takes a duration, such as 500ms, 30s or 5m, from 1 to 3600000 ms"
    static const struct refused_case cases[] = {
        {"--connections-max 0", "--connections-max is '0'" COUNT_RULE},
        {"--connections-max 10000001", "--connections-max is '10000001'" COUNT_RULE},
        {"--connections-max -1", "--connections-max is '-1'" COUNT_RULE},
        {"--connections-max 5K", "--connections-max is '5K'" COUNT_RULE},
        {"--connections-max 1e3", "--connections-max is '1e3'" COUNT_RULE},
        {"--connections-max=", "--connections-max is ''" COUNT_RULE},
        {"--connections-max 99999999999999999999",
         "--connections-max is '99999999999999999999'" COUNT_RULE},
        {"--event-bytes-max 63", "--event-bytes-max is '63'" BYTES_RULE},
        {"--event-bytes-max 536870913", "--event-bytes-max is '536870913'" BYTES_RULE},
        {"--event-bytes-max K", "--event-bytes-max is 'K'" BYTES_RULE},
        {"--event-bytes-max 1k", "--event-bytes-max is '1k'" BYTES_RULE},
        {"--event-bytes-max 1KB", "--event-bytes-max is '1KB'" BYTES_RULE},
        {"--event-bytes-max 1.5M", "--event-bytes-max is '1.5M'" BYTES_RULE},
        /* 2^34 G is 2^64 bytes: it must not come out as none */
        {"--event-bytes-max 17179869184G", "--event-bytes-max is '17179869184G'" BYTES_RULE},
        {"--head-timeout 0", "--head-timeout is '0'" TIME_RULE},
        {"--head-timeout 2h", "--head-timeout is '2h'" TIME_RULE},
        {"--head-timeout 3600001ms", "--head-timeout is '3600001ms'" TIME_RULE},
        {"--head-timeout 5min", "--head-timeout is '5min'" TIME_RULE},
        {"--head-timeout soon", "--head-timeout is 'soon'" TIME_RULE},
        {"--log-format xml", "--log-format is 'xml'; it takes one of: text json"},
        {"--log-format tex", "--log-format is 'tex'; it takes one of: text json"},
        {"--log-format=", "--log-format is ''; it takes one of: text json"},
        {"--log-level INFO", "--log-level is 'INFO'; it takes one of: debug info warn error"},
        {"--data=", "--data is empty"},
        {"--listen=", "--listen is empty"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_refused(cases[i].line, cases[i].message);
    }
}

static void an_error_in_the_environment_names_the_variable(void **state)
{
    (void)state;
    assert_int_equal(setenv("SLUICE_HEAD_TIMEOUT", "never", 1), 0);
    assert_refused("", "SLUICE_HEAD_TIMEOUT is 'never'; it takes a duration, such as 500ms, 30s or "
                       "5m, from 1 to 3600000 ms");
    assert_int_equal(unsetenv("SLUICE_HEAD_TIMEOUT"), 0);
    assert_int_equal(setenv("SLUICE_DATA", "", 1), 0);
    assert_refused("", "SLUICE_DATA is empty");
    assert_int_equal(unsetenv("SLUICE_DATA"), 0);
    assert_int_equal(setenv("SLUICE_PULLS_PER_CONNECTION_MAX", "many", 1), 0);
    assert_refused("", "SLUICE_PULLS_PER_CONNECTION_MAX is 'many'; it takes a number, from 1 to "
                       "1000");
}

static void what_is_not_a_flag_is_refused(void **state)
{
    (void)state;
    static const struct refused_case cases[] = {
        {"data", "unexpected argument 'data'; see sluice serve --help"},
        {"-d", "unexpected argument '-d'; see sluice serve --help"},
        {"--data x y", "unexpected argument 'y'; see sluice serve --help"},
        {"--", "unknown flag '--'; see sluice serve --help"},
        {"--dat x", "unknown flag '--dat'; see sluice serve --help"},
        {"--data-x x", "unknown flag '--data-x'; see sluice serve --help"},
        {"--=5", "unknown flag '--=5'; see sluice serve --help"},
        {"--data", "--data needs a value: a text"},
        {"--listen :1 --reader-threads", "--reader-threads needs a value: a number"},
        {"--head-timeout", "--head-timeout needs a value: a duration, such as 500ms, 30s or 5m"},
        {"--message-bytes-max",
         "--message-bytes-max needs a value: a number of bytes, such as 65536, 64K, 16M or 1G"},
        {"--log-level", "--log-level needs a value: one of: debug info warn error"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_refused(cases[i].line, cases[i].message);
    }
}

static void a_certificate_and_its_key_go_together(void **state)
{
    (void)state;
    assert_refused("--tls-cert c.pem", "--tls-cert and --tls-key go together");
    assert_refused("--tls-key k.pem", "--tls-cert and --tls-key go together");
    struct server_options options = read_options("--tls-key k.pem --tls-cert c.pem");
    assert_string_equal(options.tls_cert, "c.pem");
    assert_string_equal(options.tls_key, "k.pem");
    assert_int_equal(setenv("SLUICE_TLS_CERT", "e.pem", 1), 0);
    assert_string_equal(read_options("--tls-key k.pem").tls_cert, "e.pem");
}

static void limits_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    assert_refused("--event-bytes-max 2M --message-bytes-max 1M",
                   "--event-bytes-max 2097152 is more than --message-bytes-max 1048576: such an "
                   "event could not be pushed");
    assert_refused(
        "--inflight-bytes-max 16M --message-bytes-max 17M",
        "--message-bytes-max 17825792 is more than --inflight-bytes-max 16777216: such a "
        "message could not be received");
    assert_int_equal(read_options("--event-bytes-max 2M --message-bytes-max 2M").event_bytes_max,
                     2u << 20);
}

static void help_shows_each_flag_with_its_variable_and_default(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    server_options_print_help(out);
    assert_int_equal(fclose(out), 0);
    static const char *const parts[] = {
        "--listen ",
        "SLUICE_LISTEN ",
        "default 127.0.0.1:8787",
        "--tls-key ",
        "SLUICE_TLS_KEY ",
        "no default",
        "--log-level ",
        ": debug info warn error",
        "SLUICE_LOG_LEVEL ",
        "--drain-timeout ",
        "SLUICE_DRAIN_TIMEOUT ",
        "default 8s",
        "SLUICE_SILENT_CONNECTION_TIMEOUT ",
    };
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (strstr(text, parts[i]) == NULL) {
            fail_msg("no '%s' in:\n%s", parts[i], text);
        }
    }
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, forget_environment, forget_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_arguments_all_have_their_defaults),
        TEST(a_value_follows_its_flag_or_an_equals_sign),
        TEST(the_last_of_two_flags_counts),
        TEST(a_flag_wins_over_the_environment_and_that_over_the_default),
        TEST(numbers_bytes_durations_and_choices_are_understood),
        TEST(a_value_that_is_not_understood_is_named_with_what_is),
        TEST(an_error_in_the_environment_names_the_variable),
        TEST(what_is_not_a_flag_is_refused),
        TEST(a_certificate_and_its_key_go_together),
        TEST(limits_that_contradict_each_other_are_refused),
        TEST(help_shows_each_flag_with_its_variable_and_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
