/* committer: the one thread that writes. It takes whatever waits, in order, over all stores, and
 * has the engine commit it in one transaction (group commit): what arrives while a transaction runs
 * goes into the next. There is no timer, so a lone append waits for nothing. */
#ifndef SLUICE_EVENTLOG_COMMITTER_H
#define SLUICE_EVENTLOG_COMMITTER_H

#include "eventlog/completions.h"
#include "eventlog/eventlog_engine.h"

/* Bounds on one transaction. A single append beyond the bytes goes alone. */
#define COMMITTER_APPENDS_MAX 4096u
#define COMMITTER_BYTES_MAX (32u << 20) /* names, args and ids */

struct committer;

/* Starts the thread. Borrows the engine and the completions until committer_destroy. */
enum sluice_status committer_create(struct eventlog_engine *engine, struct completions *completions,
                                    struct committer **out,
                                    struct sluice_error *error) SLUICE_MUST_CHECK;
/* Ends the thread. Nothing may wait. NULL is accepted. */
void committer_destroy(struct committer *committer);

/* Loop thread. The request must stay in place until it comes back through the completions. */
void committer_submit_append(struct committer *committer, struct eventlog_append *append);
void committer_submit_probe(struct committer *committer, struct eventlog_probe *probe);

/* Fills the counters that the committer keeps: transactions, commit_failures, checkpoint_failures.
 */
void committer_count(struct committer *committer, struct eventlog_stats *stats);

#endif
