/* json_stream: takes the messages of an HTTP body apart while it arrives: one JSON array of objects
 * (or a single object, or one a line), so that an answer of any length is read in little memory. It
 * finds where each object ends, no more; who gets one validates it. Pure. */
#ifndef SLUICE_PROTO_JSON_STREAM_H
#define SLUICE_PROTO_JSON_STREAM_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

enum json_stream_event {
    JSON_STREAM_NEED_MORE,
    JSON_STREAM_OBJECT, /* a whole object is in `object` until the next call */
    JSON_STREAM_ERROR,  /* MALFORMED (not JSON), LIMIT (an object too long) or NO_MEMORY: `error` */
};

struct json_stream {
    struct slice object;
    struct sluice_error error;
    /* private */
    struct buffer text; /* the object so far */
    unsigned depth;     /* of brackets inside the object */
    bool in_string;
    bool escaped;
    bool in_array; /* the outer [ was seen */
    bool ended;    /* and its ] */
    bool failed;
    bool reported;
    bool any;
};

/* In place. */
void json_stream_init(struct json_stream *stream, size_t object_bytes_max);
void json_stream_deinit(struct json_stream *stream);
/* Takes bytes from the front of `*input`; call again with the rest until NEED_MORE or ERROR. */
enum json_stream_event json_stream_feed(struct json_stream *stream, struct slice *input);
/* Whether the text may end here: outside of any object, the array closed, at least one object. */
bool json_stream_complete(const struct json_stream *stream);

#endif
