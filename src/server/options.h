/* options: what `sluice serve` can be told, by flags and by SLUICE_… environment variables; a flag
 * wins. One table says all of it: names, kinds, bounds, defaults and help. */
#ifndef SLUICE_SERVER_OPTIONS_H
#define SLUICE_SERVER_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"

struct server_options {
    const char *listen; /* strings are borrowed from argv and the environment */
    const char *data;
    const char *s2_path;       /* "off": not served */
    const char *electric_path; /* "off": not served */
    uint64_t sync_cf;          /* 0: not served */
    const char *tls_cert;      /* both or none */
    const char *tls_key;
    uint64_t log_format; /* enum log_format */
    uint64_t log_level;  /* enum log_level */
    uint64_t connections_max;
    uint64_t pulls_per_connection_max;
    uint64_t message_bytes_max;
    uint64_t event_bytes_max;
    uint64_t inflight_bytes_max;
    uint64_t reader_threads;
    uint64_t silent_connection_timeout_ms; /* 0: never */
    uint64_t head_timeout_ms;
    uint64_t body_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t stall_timeout_ms;
    uint64_t ping_interval_ms;
    uint64_t long_poll_timeout_ms;
    uint64_t event_stream_ping_interval_ms;
    uint64_t drain_timeout_ms;
};

/* Reads the arguments after the verb and the environment. CONFIG: the message names the flag or
 * variable, what it was given and what it takes. */
enum sluice_status server_options_read(int argument_count, char **arguments,
                                       struct server_options *out,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* The flags, their variables, defaults and meaning. */
void server_options_print_help(FILE *out);

#endif
