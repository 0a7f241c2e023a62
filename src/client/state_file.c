/* state_file: see state_file.h. */
#include "client/state_file.h"

enum sluice_status state_file_load(const char *path, char out[SLUICE_BACKEND_ID_BYTES_MAX],
                                   size_t *bytes, struct sluice_error *error)
{
    (void)path, (void)out, (void)bytes;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}

enum sluice_status state_file_save(const char *path, struct slice backend_id,
                                   struct sluice_error *error)
{
    (void)path, (void)backend_id;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}
