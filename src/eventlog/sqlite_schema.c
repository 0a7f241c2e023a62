/* sqlite_schema: what is in sluice.db.
 *
 *   meta    key, value: schema_version; secret (32 random bytes, from which backend ids are
 *           derived); created_at (ms); probed_at (ms, the last test write)
 *   store   one row for each store that has, or had, events: the bytes of its id, its backend id,
 *           and what would otherwise have to be counted
 *   event   the events; position is 0, 1, 2 … in each store, created_at is in ms
 *
 * A store's row is made by its first commit. `generation` counts how often its log was begun anew:
 * a reset deletes the events, sets the counts to 0 and takes the next generation, and with it
 * another backend id.
 *
 * event has a rowid and an index on (store, seq_num), not WITHOUT ROWID: commits then write only
 * the end of the table, however many stores take turns, which is up to three times as fast, and an
 * event of some kilobytes does not spill onto a page of its own. The price is that a scan of one
 * store jumps over the others' events.
 *
 * Versions go forward only: migrations[n] brings version n to n + 1. Owns nothing; loop thread. */
#include "eventlog/sqlite_schema.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "eventlog/backend_id.h"

static const char *const migrations[] = {
    "CREATE TABLE meta ("
    " key TEXT NOT NULL PRIMARY KEY,"
    " value ANY NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE store ("
    " id INTEGER PRIMARY KEY,"
    " store_id TEXT NOT NULL UNIQUE,"
    " generation INTEGER NOT NULL,"
    " backend_id TEXT NOT NULL,"
    " head INTEGER NOT NULL,"
    " event_count INTEGER NOT NULL,"
    " event_bytes INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE event ("
    " store INTEGER NOT NULL,"
    " seq_num INTEGER NOT NULL,"
    " parent_seq_num INTEGER NOT NULL,"
    " position INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " args TEXT NOT NULL,"
    " client_id TEXT NOT NULL,"
    " session_id TEXT NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " PRIMARY KEY (store, seq_num)"
    ") STRICT;",
};
#define SCHEMA_VERSION ((int64_t)(sizeof migrations / sizeof migrations[0]))

static enum sluice_status insert_meta(sqlite3 *db, const char *key, const void *blob,
                                      size_t blob_bytes, int64_t number, struct sluice_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sluice_status status =
        sqlite_db_prepare(db, "INSERT INTO meta (key, value) VALUES (?1, ?2)", &statement, error);
    if (status != SLUICE_OK) {
        return status;
    }
    int code = sql_bind(statement, 1, slice_of_string(key));
    if (code == SQLITE_OK) {
        code = blob != NULL ? sqlite3_bind_blob64(statement, 2, blob, blob_bytes, SQLITE_STATIC)
                            : sqlite3_bind_int64(statement, 2, number);
    }
    if (code == SQLITE_OK) {
        code = sql_run(statement);
    }
    if (code != SQLITE_OK) {
        status = sqlite_db_failed(db, code, "creating the event log", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

/* What a new file has besides its tables. */
static enum sluice_status fill_new_file(sqlite3 *db, struct sluice_error *error)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id=%d", SQLITE_APPLICATION_ID);
    unsigned char secret[BACKEND_ID_SECRET_BYTES];
    enum sluice_status status = sqlite_db_execute(db, sql, error);
    if (status == SLUICE_OK) {
        status = backend_id_make_secret(secret, error);
    }
    if (status == SLUICE_OK) {
        status = insert_meta(db, "secret", secret, sizeof secret, 0, error);
    }
    if (status == SLUICE_OK) {
        status = insert_meta(db, "created_at", NULL, 0, clock_wall_ms(), error);
    }
    if (status == SLUICE_OK) {
        status = insert_meta(db, "schema_version", NULL, 0, 0, error);
    }
    return status;
}

/* Inside a transaction. Version 0 is an empty file. */
static enum sluice_status migrate_steps(sqlite3 *db, int64_t version, struct sluice_error *error)
{
    for (int64_t step = version; step < SCHEMA_VERSION; step++) {
        enum sluice_status status = sqlite_db_execute(db, migrations[step], error);
        if (status == SLUICE_OK && step == 0) {
            status = fill_new_file(db, error);
        }
        if (status != SLUICE_OK) {
            return status;
        }
    }
    char sql[96];
    (void)snprintf(sql, sizeof sql,
                   "UPDATE meta SET value = %" PRId64 " WHERE key = 'schema_version'",
                   SCHEMA_VERSION);
    return sqlite_db_execute(db, sql, error);
}

static enum sluice_status migrate(sqlite3 *db, int64_t version, struct sluice_error *error)
{
    if (version == SCHEMA_VERSION) {
        return SLUICE_OK;
    }
    enum sluice_status status = sqlite_db_execute(db, "BEGIN IMMEDIATE", error);
    if (status == SLUICE_OK) {
        status = migrate_steps(db, version, error);
    }
    if (status == SLUICE_OK) {
        status = sqlite_db_execute(db, "COMMIT", error);
    }
    if (status != SLUICE_OK && sqlite3_get_autocommit(db) == 0) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

/* Fills `*version`: 0 for an empty file. Changes nothing in the file. */
static enum sluice_status read_version(sqlite3 *db, int64_t *version, struct sluice_error *error)
{
    int64_t application_id = 0;
    int64_t table_count = 0;
    bool found = false;
    enum sluice_status status =
        sqlite_db_read_integer(db, "PRAGMA application_id", &application_id, &found, error);
    if (status == SLUICE_OK) {
        status = sqlite_db_read_integer(db, "SELECT count(*) FROM sqlite_schema", &table_count,
                                        &found, error);
    }
    if (status != SLUICE_OK) {
        return status;
    }
    if (application_id == 0 && table_count == 0) {
        *version = 0;
        return SLUICE_OK;
    }
    if (application_id != SQLITE_APPLICATION_ID) {
        return error_set(error, SLUICE_STORAGE_CORRUPT,
                         SQLITE_FILE_NAME " is another program's database (application id %" PRId64
                                          "): choose another data directory",
                         application_id);
    }
    status = sqlite_db_read_integer(db, "SELECT value FROM meta WHERE key = 'schema_version'",
                                    version, &found, error);
    if (status == SLUICE_OK && (!found || *version < 1)) {
        status = error_set(
            error, SLUICE_STORAGE_CORRUPT,
            "the event log is damaged: it has no schema version: restore " SQLITE_FILE_NAME
            " from a backup");
    }
    return status;
}

static enum sluice_status read_secret(sqlite3 *db, unsigned char *secret,
                                      struct sluice_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sluice_status status =
        sqlite_db_prepare(db, "SELECT value FROM meta WHERE key = 'secret'", &statement, error);
    if (status != SLUICE_OK) {
        return status;
    }
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        status = sqlite_db_failed(db, code, "reading the event log's secret", error);
    } else if (code == SQLITE_DONE || sqlite3_column_type(statement, 0) != SQLITE_BLOB ||
               sqlite3_column_bytes(statement, 0) != BACKEND_ID_SECRET_BYTES) {
        status = error_set(error, SLUICE_STORAGE_CORRUPT,
                           "the event log is damaged: it has no secret: restore " SQLITE_FILE_NAME
                           " from a backup");
    } else {
        memcpy(secret, sqlite3_column_blob(statement, 0), BACKEND_ID_SECRET_BYTES);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

enum sluice_status sqlite_schema_open(sqlite3 *db, bool create, unsigned char *secret,
                                      struct sluice_error *error)
{
    int64_t version = 0;
    enum sluice_status status = read_version(db, &version, error);
    if (status == SLUICE_OK && version == 0 && !create) {
        status = error_set(error, SLUICE_STORAGE_CORRUPT,
                           SQLITE_FILE_NAME " is empty: restore it from a backup");
    }
    if (status == SLUICE_OK && version > SCHEMA_VERSION) {
        status = error_set(error, SLUICE_STORAGE_VERSION,
                           SQLITE_FILE_NAME " has schema version %" PRId64
                                            ", this program knows up to %" PRId64
                                            ": run the newer program that wrote it",
                           version, SCHEMA_VERSION);
    }
    if (status == SLUICE_OK) {
        status = sqlite_db_configure(db, true, error);
    }
    if (status == SLUICE_OK) {
        status = migrate(db, version, error);
    }
    if (status == SLUICE_OK) {
        status = read_secret(db, secret, error);
    }
    return status;
}
