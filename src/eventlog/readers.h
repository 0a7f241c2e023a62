/* readers: a few threads that read pages, so that a long pull delays nobody's push, and another
 * pull only when all of them are busy. Reads are taken in the order in which they came; each thread
 * has its own view of the engine. */
#ifndef SLUICE_EVENTLOG_READERS_H
#define SLUICE_EVENTLOG_READERS_H

#include "eventlog/completions.h"
#include "eventlog/eventlog_engine.h"

#define READERS_THREADS_MAX 64u

struct readers;

/* Opens `thread_count` (1..READERS_THREADS_MAX) readers and starts their threads. Borrows the
 * engine and the completions until readers_destroy. */
enum sluice_status readers_create(struct eventlog_engine *engine, struct completions *completions,
                                  unsigned thread_count, struct readers **out,
                                  struct sluice_error *error) SLUICE_MUST_CHECK;
/* Ends the threads. Nothing may wait. NULL is accepted. */
void readers_destroy(struct readers *readers);

/* Loop thread. The request must stay in place until it comes back through the completions. */
void readers_submit(struct readers *readers, struct eventlog_read *read);

#endif
