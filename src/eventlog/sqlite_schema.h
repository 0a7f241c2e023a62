/* sqlite_schema: the tables of sluice.db, their version and the way from an older one. */
#ifndef SLUICE_EVENTLOG_SQLITE_SCHEMA_H
#define SLUICE_EVENTLOG_SQLITE_SCHEMA_H

#include "eventlog/sqlite_db.h"

/* "Slui" in the file's header, by which file(1) and we know our files. */
#define SQLITE_APPLICATION_ID 0x536c7569

/* Makes the file ours when it is empty and `create` allows it, brings an older one up to this
 * version, and sets up the connection (sqlite_db_configure) in between, so that a file that is not
 * ours is left as it was. Fills `secret` (BACKEND_ID_SECRET_BYTES). STORAGE_VERSION for a newer
 * file, STORAGE_CORRUPT for one that is not ours. */
enum sluice_status sqlite_schema_open(sqlite3 *db, bool create, unsigned char *secret,
                                      struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
