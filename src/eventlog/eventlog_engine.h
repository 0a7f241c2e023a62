/* eventlog_engine: how events are kept: a struct of functions, one implementation an engine. All
 * functions may block; none is called on the loop thread but open and close. */
#ifndef SLUICE_EVENTLOG_ENGINE_H
#define SLUICE_EVENTLOG_ENGINE_H

#include "eventlog/eventlog.h"

struct eventlog_reader; /* one reader thread's view of an engine, such as a database connection */

struct eventlog_engine {
    const struct eventlog_engine_ops *ops;
};

struct eventlog_engine_ops {
    const char *name; /* "sqlite", "memory" */
    /* Commits appends in order, in one transaction, at wall time `now_ms`. An append whose
     * expected_head is not the store's head gets INVALID and is left out. When the transaction
     * fails, every append gets that failure and nothing is stored. Fills each append's outputs.
     * Committer thread only. */
    void (*commit)(struct eventlog_engine *engine, struct eventlog_append **appends, size_t count,
                   int64_t now_ms);
    /* A small durable write. Committer thread only. */
    enum sluice_status (*probe)(struct eventlog_engine *engine, struct sluice_error *error);
    /* Work that may wait until the answers of a commit are out, such as a checkpoint; called after
     * every group. NULL: none. Committer thread only. */
    enum sluice_status (*settle)(struct eventlog_engine *engine);
    /* Readers run beside each other and beside the committer. */
    enum sluice_status (*reader_open)(struct eventlog_engine *engine, struct eventlog_reader **out,
                                      struct sluice_error *error);
    void (*reader_close)(struct eventlog_reader *reader);
    /* Runs one read: visits, fills the outputs, returns its status (also put into read->status by
     * the caller). Does not call finish or done. */
    enum sluice_status (*read)(struct eventlog_reader *reader, struct eventlog_read *read,
                               struct sluice_error *error);
    /* After all readers are closed. */
    void (*close)(struct eventlog_engine *engine);
};

/* Uses data_path, which must exist, and the options of sqlite. */
enum sluice_status eventlog_sqlite_open(const struct eventlog_options *options,
                                        struct eventlog_engine **out,
                                        struct sluice_error *error) SLUICE_MUST_CHECK;
enum sluice_status eventlog_memory_open(struct eventlog_engine **out,
                                        struct sluice_error *error) SLUICE_MUST_CHECK;

#endif
