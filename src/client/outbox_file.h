/* outbox_file: the SQLite file of an outbox: which file it is, who may open it, and that it is an
 * outbox, of this store, and whole. A file that is refused is left as it is. One thread at a time.
 */
#ifndef SLUICE_CLIENT_OUTBOX_FILE_H
#define SLUICE_CLIENT_OUTBOX_FILE_H

#include "client/outbox_numbers.h"
#include "sql/sql_db.h"

struct outbox_file {
    char *path;      /* owned; absolute, without symbolic links */
    char *lock_path; /* owned */
    int lock;
    char *store_id; /* owned */
    size_t store_id_bytes;
    sqlite3 *db;  /* NULL: not connected */
    bool suspect; /* an I/O error may have left a broken connection: connect again */
};

/* Makes the file when it is missing and keeps it to this process, and to one client in it. Errors
 * as outbox_sqlite_open. Whatever the result, it is for outbox_file_deinit. */
enum sluice_status outbox_file_init(struct outbox_file *file, const char *path,
                                    struct slice store_id,
                                    struct sluice_error *error) SLUICE_MUST_CHECK;
/* Disconnects, and lets others have the file. */
void outbox_file_deinit(struct outbox_file *file);

/* Opens a connection, makes the tables of a new file, checks those of an old one. `*numbers` are as
 * they were when it was connected before, or zero: the file must then not be a new one, and commits
 * behind the last one, which failed, are taken out. Fills them with what the file has, and counts
 * the generation up. Errors as outbox_sqlite_open; then it is not connected. */
enum sluice_status outbox_file_connect(struct outbox_file *file, struct outbox_numbers *numbers,
                                       struct sluice_error *error) SLUICE_MUST_CHECK;
/* Statements must be finalized. */
void outbox_file_disconnect(struct outbox_file *file);

/* STORAGE_IO: the file was removed or replaced since. */
enum sluice_status outbox_file_check_in_place(struct outbox_file *file,
                                              struct sluice_error *error) SLUICE_MUST_CHECK;
/* Says what `code`, the result of the latest call on the connection, means while `doing`
 * ("reading", "writing to"), and what to do; marks a suspect connection. */
enum sluice_status outbox_file_failed(struct outbox_file *file, int code, const char *doing,
                                      struct sluice_error *error);
/* STORAGE_CORRUPT, with how one can tell. */
enum sluice_status outbox_file_damaged(const struct outbox_file *file, const char *how,
                                       struct sluice_error *error);

#endif
