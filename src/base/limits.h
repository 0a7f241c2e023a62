/* limits: the bounds on what a peer can send, in one place. Those marked (flag) are defaults that a
 * command line flag changes; the others are fixed. docs/limits.md says the same in prose. */
#ifndef SLUICE_BASE_LIMITS_H
#define SLUICE_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define STORE_ID_BYTES_MAX 512u  /* storeId: 1..512 bytes of valid UTF-8 */
#define NAME_BYTES_MAX 512u      /* event name: 1..512; clientId, sessionId: 0..512 */
#define BACKEND_ID_BYTES_MAX 64u /* backend ids that clients send; ours have 21 */
#define BATCH_EVENTS_MAX 1000u   /* events in one push */
#define SEQ_NUM_MAX                                                                                \
    9007199254740991u /* 2^53 - 1: a JavaScript number holds every integer up to it */
/* An event's args nest so deep at most that a page with them, which adds up to 7 levels, stays
 * within JSON_DEPTH_MAX: whoever reads as strictly as we do can read it. */
#define ARGS_DEPTH_MAX 120u
#define REQUEST_ID_BYTES_MAX 128u /* an rpc request id's JSON text */
#define FRAME_MESSAGES_MAX 1000u  /* rpc messages in one WebSocket message or HTTP body */
#define MESSAGE_BYTES_MAX_DEFAULT (16u << 20) /* (flag) one WebSocket message or HTTP body */
#define PAGE_EVENTS_MAX 1000u                 /* events in one page of a pull */
#define PAGE_BYTES_TARGET (256u << 10) /* a page is closed when it has this many bytes or more */

#endif
