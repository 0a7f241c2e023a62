/* text: what the load generator says, made once: requests whose numbers have fixed places and are
 * written over before each use. A number is padded with spaces in front, which JSON allows. */
#ifndef SLUICE_LOADGEN_TEXT_H
#define SLUICE_LOADGEN_TEXT_H

#include "loadgen/loadgen.h"

#include "base/buffer.h"

/* Events start after this number, so that all their numbers have ten digits; the first one's parent
 * is 0 all the same. */
#define LOAD_SEQ_BASE 1000000000u
#define LOAD_NUMBER_BYTES 10u
#define LOAD_STORES_MAX 99999u

/* A request with its frame or head, and where its numbers are. */
struct load_text {
    struct buffer bytes;
    size_t id_at;
    size_t store_at[3]; /* in the URL, in a header, in the payload */
    unsigned store_count;
    size_t *seq_at; /* of each event's number; owned */
    size_t *parent_at;
    size_t event_count;
};

void load_text_init(struct load_text *text);
void load_text_deinit(struct load_text *text);

/* NO_MEMORY. */
enum sluice_status load_text_make_push(struct load_text *text, const struct load_options *options,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* `backend_id` (may be empty) and `cursor`: from where; 0: from the start. */
enum sluice_status load_text_make_pull(struct load_text *text, const struct load_options *options,
                                       bool live, struct slice backend_id, uint64_t cursor,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* The WebSocket's opening handshake, for the store that load_text_set_store says. */
enum sluice_status load_text_make_handshake(struct load_text *text,
                                            const struct load_options *options,
                                            struct sluice_error *error) SLUICE_MUST_CHECK;

void load_text_set_store(struct load_text *text, uint64_t store);
void load_text_set_id(struct load_text *text, uint64_t id);
/* The batch follows `head`; LOAD_SEQ_BASE is an empty store's. */
void load_text_set_head(struct load_text *text, uint64_t head);
static inline struct slice load_text_slice(const struct load_text *text)
{
    return buffer_slice(&text->bytes);
}

/* Ack or Interrupt of a request, as a frame in `out` (LOAD_CONTROL_BYTES_MAX). */
#define LOAD_CONTROL_BYTES_MAX 80u
struct slice load_text_ack(char out[LOAD_CONTROL_BYTES_MAX], uint64_t id);
struct slice load_text_interrupt(char out[LOAD_CONTROL_BYTES_MAX], uint64_t id);

/* What an answer's text is, by its first letters. */
enum load_answer { LOAD_CHUNK, LOAD_EXIT, LOAD_OTHER };
enum load_answer load_answer_kind(struct slice message);
bool load_answer_is_success(struct slice message);
/* The last event's number in a page; 0: it has none. */
uint64_t load_answer_last_seq_num(struct slice message);
/* The page's backend id, borrowed; empty: not found. */
struct slice load_answer_backend_id(struct slice message);

#endif
