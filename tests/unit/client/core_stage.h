/* core_stage: a client_core with a scripted server and a clock that the test moves.
 *
 * What the core tells its caller is written into a journal, a line each, which tests compare:
 *
 *     connected, disconnected STATUS, page 1-3 no_more, pulled STATUS, pushed 2 STATUS, ping STATUS
 *
 * What it sends is taken apart by the server's parsers and read with stage_hear. */
#ifndef SLUICE_TESTS_CORE_STAGE_H
#define SLUICE_TESTS_CORE_STAGE_H

#include <stdbool.h>

#include "client/client_core.h"
#include "http/http_parser.h"
#include "ws/ws_parser.h"

struct stage {
    struct client_core *core;
    struct client_core_config config;
    struct client_url url;
    uint64_t now_ms;
    uint64_t random;    /* what the core gets for random bits */
    bool opening;       /* the core waits for a connection */
    bool open;          /* it has one */
    bool upgraded;      /* and it is a WebSocket */
    unsigned opens;     /* how often it asked for one */
    struct buffer sent; /* by the core, not read yet */
    struct ws_parser frames;
    struct http_parser requests;
    struct buffer heard;   /* the last message, with a NUL */
    struct buffer head;    /* of the last HTTP request: its target, with a NUL */
    struct buffer journal; /* with a NUL when read */
    /* Around every call into the core; NULL: nothing. For tests that let allocations fail there. */
    void (*entering)(void);
    void (*leaving)(void);
};

/* "ws://h/" or "http://h/". Start with stage_init, change stage->config, then stage_start. */
void stage_init(struct stage *stage, const char *url);
void stage_start(struct stage *stage);
/* Reserves what the stage itself needs during the core's calls, so that only the core allocates. */
void stage_reserve(struct stage *stage);
void stage_deinit(struct stage *stage);

/* The connection that the core asked for is there; a WebSocket is upgraded at once, unless the core
 * has shut it already. */
void stage_open(struct stage *stage);
/* It could not be opened, or breaks. */
void stage_cut(struct stage *stage, const char *why);
/* The peer ends it in an orderly way. */
void stage_end(struct stage *stage);
/* The next message of the core: JSON; "" when there is none. */
const char *stage_hear(struct stage *stage);
/* Fails unless the next message contains `part`. */
void stage_expect(struct stage *stage, const char *part);
/* The server sends raw bytes, a text frame, or a whole HTTP answer ("200 OK", extra header lines).
 */
void stage_bytes(struct stage *stage, struct slice bytes);
void stage_say(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));
void stage_answer(struct stage *stage, const char *status, const char *headers, const char *body);
/* Lets time pass, from deadline to deadline. */
void stage_wait(struct stage *stage, uint64_t ms);
/* Compares and empties the journal. */
void stage_journal(struct stage *stage, const char *expected);
void stage_note(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* {"batch":[first…last],…} with parents one less; `more` as "NoMore" or "MoreKnown". Static. */
const char *stage_page(uint64_t first, uint64_t last, const char *more);
/* A Chunk with one page for a request id; and Exits. */
void stage_chunk(struct stage *stage, unsigned id, uint64_t first, uint64_t last, const char *more);
#define STAGE_EXIT_OK                                                                              \
    "{\"_tag\":\"Exit\",\"requestId\":\"%u\",\"exit\":{\"_tag\":\"Success\",\"value\":{}}}"
#define STAGE_EXIT_FAIL                                                                            \
    "{\"_tag\":\"Exit\",\"requestId\":\"%u\",\"exit\":{\"_tag\":\"Failure\",\"cause\":"            \
    "{\"_tag\":\"Fail\",\"error\":%s}}}"

/* Requests that write into the journal. Freed with their last callback. */
struct core_pull *stage_pull(struct stage *stage, uint64_t cursor, bool live);
void stage_push(struct stage *stage, uint64_t first, uint64_t last, size_t args_bytes);
void stage_ping(struct stage *stage, bool is_connect);

#endif
