/* process: what a process has used of the machine. Linux. */
#ifndef SLUICE_LOADGEN_PROCESS_H
#define SLUICE_LOADGEN_PROCESS_H

#include <stdint.h>

/* Seconds of processor time, of this process or of the one with that pid (all threads); 0 when it
 * is not there. */
double process_own_cpu_s(void);
double process_cpu_s(uint64_t pid);
/* Bytes that a process has of memory that is its own: not of files, nor shared. */
uint64_t process_private_bytes(uint64_t pid);
/* As many open files as the system lets this process have. */
void process_raise_file_limit(void);

#endif
