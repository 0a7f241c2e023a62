/* state_file: the backend id in a small file of its own, written anew beside the old one and
 * renamed, so that a crash leaves the one or the other. The file is the id and a line's end. */
#ifndef SLUICE_CLIENT_STATE_FILE_H
#define SLUICE_CLIENT_STATE_FILE_H

#include "base/error.h"
#include "base/slice.h"
#include "sluice/client.h"

/* `*bytes` is 0 when there is no such file, or nothing in it. IO; MALFORMED: the file holds
 * something else, and is left as it is. */
enum sluice_status state_file_load(const char *path, char out[SLUICE_BACKEND_ID_BYTES_MAX],
                                   size_t *bytes, struct sluice_error *error) SLUICE_MUST_CHECK;
/* On the disk when it returns SLUICE_OK; otherwise the old file is still there. INVALID: the id is
 * not 1 to 64 bytes of text without control characters; STORAGE_FULL; IO. */
enum sluice_status state_file_save(const char *path, struct slice backend_id,
                                   struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
