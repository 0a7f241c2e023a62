/* outbox_sqlite: the outbox in a SQLite file. See outbox.h for what it does. */
#ifndef SLUICE_CLIENT_OUTBOX_SQLITE_H
#define SLUICE_CLIENT_OUTBOX_SQLITE_H

#include "client/outbox.h"

/* Opens or makes the file, for one store: another `store_id` than the file's is CONFIG. WAL,
 * synchronous=FULL, STRICT tables, an application_id and a schema version; a newer file is
 * STORAGE_VERSION, one that another process has open STORAGE_LOCKED, one that is no database
 * STORAGE_CORRUPT. Destroyed by `(*out)->ops->destroy`. */
enum sluice_status outbox_sqlite_open(const char *path, struct slice store_id, struct outbox **out,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
