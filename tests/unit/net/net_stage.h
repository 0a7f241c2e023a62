/* net_stage: two ends of connections on one loop, what happened to them, and names that a test
 * makes up. Programs that use it are linked with --wrap=getaddrinfo. */
#ifndef SLUICE_TESTS_NET_STAGE_H
#define SLUICE_TESTS_NET_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/net.h"

/* One end of a connection. */
struct end {
    struct net_stage *stage;
    struct net_conn *conn; /* NULL: none, or closed */
    unsigned opened;       /* how often it was called, and so on */
    unsigned ended;
    unsigned closed;
    struct buffer bytes; /* all that came */
    bool has_failure;
    struct sluice_error failure; /* as `closed` found it */
};

/* What the listening end does with what it accepts. */
enum habit {
    HABIT_ECHOES,
    HABIT_SILENT,      /* reads, and says nothing */
    HABIT_HANGS_UP,    /* closes at once */
    HABIT_RESETS,      /* at the first bytes */
    HABIT_SAYS_GOODBYE /* answers the first bytes with a line of HTTP and closes */
};

struct net_stage {
    struct net_loop *loop;
    struct net_listener *listener; /* NULL: none */
    uint16_t port;                 /* of the listener */
    enum habit habit;
    struct end client;
    struct end server; /* the last one accepted */
    bool (*until)(struct net_stage *stage);
    struct net_timer *watchdog;
    bool timed_out;
    enum { NO_ABORT, ABORT_IN_OPENED, ABORT_IN_BYTES } aborts;
};

void stage_init(struct net_stage *stage);
/* Everything is closed, and every look-up has ended. */
void stage_deinit(struct net_stage *stage);

/* `tls` (or NULL) is borrowed. */
void stage_listen(struct net_stage *stage, struct net_tls *tls, enum habit habit);

/* Connects to the host, with 20 seconds for it. */
void stage_connect(struct net_stage *stage, const char *host, uint16_t port,
                   struct net_tls_client *tls);
void stage_connect_within(struct net_stage *stage, const char *host, uint16_t port,
                          struct net_tls_client *tls, uint64_t timeout_ms);

/* The same, which may fail at once. */
enum sluice_status stage_try_connect(struct net_stage *stage, const char *host, uint16_t port,
                                     struct net_tls_client *tls, uint64_t timeout_ms,
                                     struct sluice_error *error);

/* Runs the loop until this holds; it is looked at after every event. Fails after a minute. */
void stage_run_until(struct net_stage *stage, bool (*until)(struct net_stage *stage));
bool client_opened(struct net_stage *stage);
bool client_closed(struct net_stage *stage);
bool server_accepted(struct net_stage *stage);

/* The failure's text contains these words. */
void assert_failure(const struct net_stage *stage, const char *words);
void assert_no_failure(const struct net_stage *stage);

/* A port of 127.0.0.1 that refuses connections, until it is given back. */
struct refusing_port {
    int socket;
    uint16_t port;
};
void refusing_port_init(struct refusing_port *refusing);
void refusing_port_deinit(struct refusing_port *refusing);

/* A port of 127.0.0.1 that does not answer connections: its queue is full. */
struct silent_port {
    int listener;
    int fillers[4];
    uint16_t port;
};
void silent_port_init(struct silent_port *silent);
void silent_port_deinit(struct silent_port *silent);

/* From now on every name is found at these addresses, or, with none, is not found. */
void names_clear(void);
void names_add(const char *address, uint16_t port);
/* They are found at once, as addresses are, which have not to be looked up. */
void names_at_once(void);
/* Look-ups hang from now on, until they are let go. */
void names_hold(void);
void names_release(void);
void names_await(void); /* waits for a look-up to be under way */

#endif
