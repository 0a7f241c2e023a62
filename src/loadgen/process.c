/* process: see process.h. Linux. */
#include "loadgen/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PROC_TEXT_BYTES 4096u

static double clock_s(clockid_t clock)
{
    struct timespec time = {0};
    if (clock_gettime(clock, &time) != 0) {
        return 0;
    }
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double process_own_cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

/* The clock counts nanoseconds; what /proc has are ticks, which a process that sleeps often evades.
 */
double process_cpu_s(uint64_t pid)
{
    clockid_t clock;
    return pid != 0 && clock_getcpuclockid((pid_t)pid, &clock) == 0 ? clock_s(clock) : 0;
}

/* Fills `text` with a file of /proc, NUL-terminated; empty when it cannot be read. */
static void read_proc(uint64_t pid, const char *name, char text[PROC_TEXT_BYTES])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%llu/%s", (unsigned long long)pid, name);
    size_t bytes = 0;
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        bytes = fread(text, 1, PROC_TEXT_BYTES - 1, file);
        (void)fclose(file);
    }
    text[bytes] = '\0';
}

uint64_t process_private_bytes(uint64_t pid)
{
    char text[PROC_TEXT_BYTES];
    read_proc(pid, "status", text);
    const char *line = strstr(text, "RssAnon:");
    return line == NULL ? 0 : strtoull(line + sizeof("RssAnon:") - 1, NULL, 10) * 1024;
}

void process_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}
