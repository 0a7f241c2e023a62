/* effect_rpc_client: the client's side of Effect RPC's JSON messages: requests out, replies in. We
 * write as the published 0.4.0 client does (ids are strings of digits) and read both dialects: a
 * failure's cause is one object for Effect 3 ("v3") and an array of them for Effect 4. Facts:
 * recorded frames; docs/protocol.md. Pure. */
#ifndef SLUICE_PROTO_EFFECT_RPC_CLIENT_H
#define SLUICE_PROTO_EFFECT_RPC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"
#include "proto/effect_rpc.h"

#define RPC_PING_MESSAGE "{\"_tag\":\"Ping\"}"

/* A Request, to be followed by its payload's JSON text and RPC_REQUEST_END. `tag` is a plain word.
 */
void rpc_append_request_start(struct buffer *out, uint64_t id, const char *tag);
#define RPC_REQUEST_END "}"
void rpc_append_ack(struct buffer *out, uint64_t id);
void rpc_append_interrupt(struct buffer *out, uint64_t id);

enum rpc_reply_kind {
    RPC_REPLY_PONG,
    RPC_REPLY_CHUNK,       /* `body` is the array of values */
    RPC_REPLY_SUCCESS,     /* Exit: `body` is the value, "null" when absent */
    RPC_REPLY_FAIL,        /* Exit: `body` is the typed error */
    RPC_REPLY_DIE,         /* Exit: `body` is the defect, any JSON */
    RPC_REPLY_INTERRUPTED, /* Exit: somebody interrupted it */
    RPC_REPLY_DEFECT,      /* of the whole connection: `body` is the defect, any JSON */
    RPC_REPLY_OTHER,       /* a message with a _tag that is not known: to be ignored */
    RPC_REPLY_INVALID,     /* not a message: `problem` says why */
};

struct rpc_reply {
    enum rpc_reply_kind kind;
    bool has_id;         /* CHUNK and the Exits: an id of ours (digits, as a string or a number) */
    uint64_t id;         /* with has_id */
    struct slice body;   /* JSON text, borrowed from the frame */
    const char *problem; /* INVALID: a static string */
};

/* Reads the next message of a frame that rpc_frame_open has opened; false at the end. A cause that
 * has several parts counts as its first Fail, else its first Die, else as interrupted; one that has
 * none of them is a Die. */
bool rpc_reply_next(struct rpc_frame *frame, struct rpc_reply *reply);

#endif
