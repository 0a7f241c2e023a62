/* outbox_sqlite: see outbox_sqlite.h. */
#include "client/outbox_sqlite.h"

enum sluice_status outbox_sqlite_open(const char *path, struct slice store_id, struct outbox **out,
                                      struct sluice_error *error)
{
    (void)path, (void)store_id, (void)out;
    return error_set(error, SLUICE_UNSUPPORTED, "not there yet");
}
