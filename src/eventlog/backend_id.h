/* backend_id: the identity of a store's log, derived rather than stored first, so that a store has
 * the same one before its first push, after it and after a restart. */
#ifndef SLUICE_EVENTLOG_BACKEND_ID_H
#define SLUICE_EVENTLOG_BACKEND_ID_H

#include <stdint.h>

#include "eventlog/eventlog.h"

#define BACKEND_ID_SECRET_BYTES 32

/* Fills `out` (EVENTLOG_BACKEND_ID_BYTES and a NUL) with the first characters of
 * base64url(HMAC-SHA256(secret, generation as 8 bytes big endian || store id)).
 * `secret` has BACKEND_ID_SECRET_BYTES, random and the data's own, so that another log of the same
 * store id has another identity; `generation` counts how often the store's log was begun anew.
 * `store_id` has at most STORE_ID_BYTES_MAX bytes. NO_MEMORY. Any thread. */
enum sluice_status backend_id_derive(const unsigned char *secret, uint64_t generation,
                                     struct slice store_id, char *out,
                                     struct sluice_error *error) SLUICE_MUST_CHECK;
/* Fills `secret`. UNAVAILABLE when the system has no randomness. */
enum sluice_status backend_id_make_secret(unsigned char *secret,
                                          struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
