/* outbox_fixture: an outbox for a test, of either engine; a file lies in a directory of its own
 * that goes away afterwards. */
#ifndef SLUICE_TESTS_OUTBOX_FIXTURE_H
#define SLUICE_TESTS_OUTBOX_FIXTURE_H

#include "base/arena.h"
#include "client/outbox.h"

enum outbox_kind { OUTBOX_SQLITE, OUTBOX_MEMORY };

struct outbox_fixture {
    enum outbox_kind kind;
    char directory[64]; /* made by outbox_fixture_init, removed by outbox_fixture_deinit */
    char path[128];     /* of the outbox's file */
    struct outbox *outbox;
    struct arena arena; /* what outbox_fixture_read has read, until the next read */
};

void outbox_fixture_init(struct outbox_fixture *fixture, enum outbox_kind kind);
/* Closes the outbox when it is open. */
void outbox_fixture_deinit(struct outbox_fixture *fixture);
/* For the store "shop". */
enum sluice_status outbox_fixture_open(struct outbox_fixture *fixture, struct sluice_error *error);
void outbox_fixture_close(struct outbox_fixture *fixture);
/* The path of a file in the directory; valid until the next call. */
const char *outbox_fixture_path(const struct outbox_fixture *fixture, const char *name);

/* An event whose args tell its number: {"n":NUMBER}. Valid until the 64th call after this. */
struct sluice_event numbered_event(unsigned number);
/* The number in args of that form. */
unsigned event_number(const struct sluice_event *event);

/* The calls of an outbox; what fails ends the test. */
struct outbox_state outbox_fixture_state(struct outbox_fixture *fixture);
struct sluice_commit outbox_fixture_append(struct outbox_fixture *fixture, unsigned number);
struct outbox_batch outbox_fixture_read(struct outbox_fixture *fixture, uint64_t after_seq_num,
                                        size_t event_count_max, size_t bytes_max);
struct sluice_rebase outbox_fixture_advance(struct outbox_fixture *fixture, size_t confirmed_count,
                                            uint64_t upstream_head, bool rebases);

/* Fails unless what is pending are the events `first` to `last` (none: first > last), one chain on
 * `upstream_head`, and the state says the same. */
void outbox_fixture_expect(struct outbox_fixture *fixture, uint64_t upstream_head, unsigned first,
                           unsigned last);

#endif
