/* effect_rpc: the message layer of LiveStore's sync-cf protocol: Effect RPC's JSON messages.
 *
 * Two dialects are spoken on the same port. The published 0.4.0 client (Effect 3, "v3") writes
 * request ids as strings, the next one (Effect 4, "v4") as numbers; the type of a request's id
 * tells which one asks, and both want it echoed exactly. They differ in the shape of a failure's
 * cause. Facts: recorded frames of both clients; docs/protocol.md. Pure: text in, text out. */
#ifndef SLUICE_PROTO_EFFECT_RPC_H
#define SLUICE_PROTO_EFFECT_RPC_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"

enum rpc_kind {
    RPC_PING,
    RPC_REQUEST,
    RPC_ACK,       /* one chunk of request `id` was consumed */
    RPC_INTERRUPT, /* request `id` is to end */
    RPC_EOF,       /* no more requests will come; running ones go on */
    RPC_INVALID,   /* not a message: `problem` says why; `id` is set where one could be read */
};

enum rpc_dialect { RPC_V3, RPC_V4 };

struct rpc_message {
    enum rpc_kind kind;
    enum rpc_dialect dialect; /* by the type of `id`; V3 when there is none */
    struct slice id;      /* JSON text of id or requestId, to be echoed as it is; may be empty */
    struct slice tag;     /* REQUEST: the procedure, still escaped; compare with json_key_is */
    struct slice payload; /* REQUEST: JSON text; "null" when absent */
    const char *problem;  /* INVALID: a static string */
};

/* The messages of one text frame or HTTP body: one object, or an array of them. */
struct rpc_frame {
    struct json_reader reader;
    struct slice plain_ack; /* the frame is an Ack as clients write it, of this id; else empty */
    bool is_array;
    bool done;
};

/* Validates the text (borrowed while in use). MALFORMED, NO_MEMORY; LIMIT: nested too deeply, or
 * more than FRAME_MESSAGES_MAX messages. */
enum sluice_status rpc_frame_open(struct rpc_frame *frame, struct slice text,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;
/* The next message, in order; false at the end. Slices borrow from the text. An empty array is one
 * INVALID message. */
bool rpc_frame_next(struct rpc_frame *frame, struct rpc_message *message);

/* What follows appends one whole message, or the part that is named. */

#define RPC_PONG "{\"_tag\":\"Pong\"}"

/* {"_tag":"Chunk","requestId":ID,"values":[ … to be followed by one or more values, separated by
 * commas, and RPC_CHUNK_END. A chunk without a value kills the clients. */
void rpc_append_chunk_start(struct buffer *out, struct slice id);
#define RPC_CHUNK_END "]}"
/* Where in a chunk's start the id is. */
#define RPC_CHUNK_ID_AT (sizeof("{\"_tag\":\"Chunk\",\"requestId\":") - 1)

/* `value` is JSON text: "{}" for a push, "null" for the end of a stream (v4 needs both). */
void rpc_append_exit_success(struct buffer *out, struct slice id, struct slice value);
/* A typed failure; `error_json` is the error's JSON object. */
void rpc_append_exit_fail(struct buffer *out, struct slice id, enum rpc_dialect dialect,
                          struct slice error_json);
/* A defect of one request: its payload made no sense. `why` is plain text. */
void rpc_append_exit_die(struct buffer *out, struct slice id, enum rpc_dialect dialect,
                         struct slice why);
void rpc_append_exit_interrupt(struct buffer *out, struct slice id, enum rpc_dialect dialect);
/* Ends every request in flight on its socket: only where no request id could be read. */
void rpc_append_defect(struct buffer *out, struct slice why);

#endif
