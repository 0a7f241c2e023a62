/* vfs_fault: the shim. A file of ours is followed in memory by the default VFS's own. Beside a file
 * that was synced while the power may fail lies a copy, <name>.synced. */
#include "vfs_fault.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

struct fault_file {
    sqlite3_file base; /* first, as SQLite wants it */
    const char *what;  /* "main", "wal": a static string */
    const char *name;  /* SQLite's, until close */
    sqlite3_file *real;
};

enum operation_kind { OPERATION_PLAIN, OPERATION_NEEDS_SPACE, OPERATION_ALLOCATION };

static struct {
    sqlite3_vfs *real;
    sqlite3_mem_methods allocator;
    atomic_bool armed;
    atomic_int kind;
    atomic_ulong nth;
    atomic_bool from_then_on;
    atomic_ulong operations;
    atomic_ulong failures;
    _Atomic(const char *) first;
    _Atomic(const char *) only; /* the one operation that fails; NULL: chosen by number */
} fault;

/* Whether this kind of fault can hit this kind of operation. */
static bool can_hit(int kind, enum operation_kind operation)
{
    switch (kind) {
    case VFS_FAULT_MEMORY:
        return operation == OPERATION_ALLOCATION;
    case VFS_FAULT_FULL:
        return operation == OPERATION_NEEDS_SPACE;
    default:
        return operation != OPERATION_ALLOCATION;
    }
}

static bool fails(enum operation_kind operation_kind, const char *operation)
{
    if (!atomic_load(&fault.armed) || !can_hit(atomic_load(&fault.kind), operation_kind)) {
        return false;
    }
    const char *only = atomic_load(&fault.only);
    unsigned long number = atomic_fetch_add(&fault.operations, 1) + 1;
    unsigned long nth = atomic_load(&fault.nth);
    if (only != NULL ? strcmp(operation, only) != 0
                     : number != nth && (number < nth || !atomic_load(&fault.from_then_on))) {
        return false;
    }
    if (atomic_fetch_add(&fault.failures, 1) == 0) {
        atomic_store(&fault.first, operation);
    }
    return true;
}

static int code_of(int io_code)
{
    return atomic_load(&fault.kind) == VFS_FAULT_FULL ? SQLITE_FULL : io_code;
}

static struct fault_file *of(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return of(file)->real;
}

/* Names the operation on the kind of file that it is. */
#define NAME(file, operation) (of(file)->what[0] == 'w' ? operation " wal" : operation " main")

static int fault_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int fault_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 offset)
{
    if (fails(OPERATION_PLAIN, NAME(file, "read"))) {
        return SQLITE_IOERR_READ;
    }
    return real_of(file)->pMethods->xRead(real_of(file), data, bytes, offset);
}

static int fault_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 offset)
{
    if (fails(OPERATION_NEEDS_SPACE, NAME(file, "write"))) {
        if (bytes > 1) {
            (void)real_of(file)->pMethods->xWrite(real_of(file), data, bytes / 2, offset);
        }
        return code_of(SQLITE_IOERR_WRITE);
    }
    return real_of(file)->pMethods->xWrite(real_of(file), data, bytes, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 bytes)
{
    if (fails(OPERATION_PLAIN, NAME(file, "truncate"))) {
        return SQLITE_IOERR_TRUNCATE;
    }
    return real_of(file)->pMethods->xTruncate(real_of(file), bytes);
}

static void name_synced(char *out, size_t bytes, const char *name)
{
    int printed = snprintf(out, bytes, "%s.synced", name);
    SLUICE_ASSERT(printed > 0 && (size_t)printed < bytes);
}

/* Keeps what the file has now as what a power cut leaves of it. */
static void keep_synced(sqlite3_file *file)
{
    char path[512];
    name_synced(path, sizeof path, of(file)->name);
    FILE *copy = fopen(path, "w");
    SLUICE_ASSERT(copy != NULL);
    sqlite3_int64 bytes = 0;
    int code = real_of(file)->pMethods->xFileSize(real_of(file), &bytes);
    for (sqlite3_int64 at = 0; at < bytes && code == SQLITE_OK; at += 4096) {
        char page[4096];
        int count = bytes - at < 4096 ? (int)(bytes - at) : 4096;
        code = real_of(file)->pMethods->xRead(real_of(file), page, count, at);
        SLUICE_ASSERT(fwrite(page, 1, (size_t)count, copy) == (size_t)count);
    }
    SLUICE_ASSERT(code == SQLITE_OK);
    SLUICE_ASSERT(fclose(copy) == 0);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    if (fails(OPERATION_NEEDS_SPACE, NAME(file, "sync"))) {
        return code_of(SQLITE_IOERR_FSYNC);
    }
    if (atomic_load(&fault.armed) && atomic_load(&fault.kind) == VFS_FAULT_POWER) {
        keep_synced(file);
    }
    return SQLITE_OK;
}

static int fault_file_size(sqlite3_file *file, sqlite3_int64 *bytes)
{
    if (fails(OPERATION_PLAIN, NAME(file, "size"))) {
        return SQLITE_IOERR_FSTAT;
    }
    return real_of(file)->pMethods->xFileSize(real_of(file), bytes);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int fault_check_reserved_lock(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int fault_file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int fault_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_device_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int fault_shm_map(sqlite3_file *file, int region, int bytes, int extend,
                         void volatile **mapped)
{
    if (fails(OPERATION_NEEDS_SPACE, "map shm")) {
        return code_of(SQLITE_IOERR_SHMMAP);
    }
    return real_of(file)->pMethods->xShmMap(real_of(file), region, bytes, extend, mapped);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    /* An unlock that fails would leave the lock held for ever, which no file system does. */
    if ((flags & SQLITE_SHM_LOCK) != 0 && fails(OPERATION_PLAIN, "lock shm")) {
        return SQLITE_IOERR_SHMLOCK;
    }
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int fault_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

/* Version 2: without xFetch, so that every read is seen. */
static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_file_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_check_reserved_lock,
    .xFileControl = fault_file_control,
    .xSectorSize = fault_sector_size,
    .xDeviceCharacteristics = fault_device_characteristics,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *out_flags)
{
    (void)vfs;
    struct fault_file *opened = of(file);
    opened->base.pMethods = NULL;
    opened->what = (flags & SQLITE_OPEN_WAL) != 0 ? "wal" : "main";
    opened->name = name;
    opened->real = (sqlite3_file *)(opened + 1);
    opened->real->pMethods = NULL;
    if (fails(OPERATION_NEEDS_SPACE, NAME(file, "open"))) {
        return code_of(SQLITE_CANTOPEN);
    }
    int code = fault.real->xOpen(fault.real, name, opened->real, flags, out_flags);
    if (opened->real->pMethods != NULL) {
        opened->base.pMethods = &fault_methods;
    }
    return code;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    (void)vfs;
    if (fails(OPERATION_PLAIN, "delete")) {
        return SQLITE_IOERR_DELETE;
    }
    char synced[512];
    name_synced(synced, sizeof synced, name);
    (void)unlink(synced);
    return fault.real->xDelete(fault.real, name, sync_directory);
}

static int fault_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    (void)vfs;
    if (fails(OPERATION_PLAIN, "access")) {
        return SQLITE_IOERR_ACCESS;
    }
    return fault.real->xAccess(fault.real, name, flags, result);
}

static int fault_full_pathname(sqlite3_vfs *vfs, const char *name, int bytes_max, char *out)
{
    (void)vfs;
    return fault.real->xFullPathname(fault.real, name, bytes_max, out);
}

static int fault_randomness(sqlite3_vfs *vfs, int bytes, char *out)
{
    (void)vfs;
    return fault.real->xRandomness(fault.real, bytes, out);
}

static int fault_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return fault.real->xSleep(fault.real, microseconds);
}

static int fault_current_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    return fault.real->xCurrentTime(fault.real, out);
}

static int fault_get_last_error(sqlite3_vfs *vfs, int bytes, char *out)
{
    (void)vfs;
    return fault.real->xGetLastError(fault.real, bytes, out);
}

static int fault_current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    return fault.real->xCurrentTimeInt64(fault.real, out);
}

static void *fault_malloc(int bytes)
{
    return fails(OPERATION_ALLOCATION, "malloc") ? NULL : fault.allocator.xMalloc(bytes);
}

static void *fault_realloc(void *old, int bytes)
{
    return fails(OPERATION_ALLOCATION, "realloc") ? NULL : fault.allocator.xRealloc(old, bytes);
}

static void take_over_allocator(void)
{
    int code = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.allocator);
    SLUICE_ASSERT(code == SQLITE_OK);
    sqlite3_mem_methods methods = fault.allocator;
    methods.xMalloc = fault_malloc;
    methods.xRealloc = fault_realloc;
    code = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    SLUICE_ASSERT(code == SQLITE_OK);
    code = sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0); /* so that every allocation is seen */
    SLUICE_ASSERT(code == SQLITE_OK);
}

void vfs_fault_register(void)
{
    take_over_allocator();
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .zName = VFS_FAULT_NAME,
        .xOpen = fault_open,
        .xDelete = fault_delete,
        .xAccess = fault_access,
        .xFullPathname = fault_full_pathname,
        .xRandomness = fault_randomness,
        .xSleep = fault_sleep,
        .xCurrentTime = fault_current_time,
        .xGetLastError = fault_get_last_error,
        .xCurrentTimeInt64 = fault_current_time_int64,
    };
    fault.real = sqlite3_vfs_find(NULL);
    SLUICE_ASSERT(fault.real != NULL);
    SLUICE_ASSERT(fault.real->iVersion >= 2);
    vfs.szOsFile = (int)sizeof(struct fault_file) + fault.real->szOsFile;
    vfs.mxPathname = fault.real->mxPathname;
    int code = sqlite3_vfs_register(&vfs, 0);
    SLUICE_ASSERT(code == SQLITE_OK);
}

void vfs_fault_arm(enum vfs_fault_kind kind, unsigned long nth, bool from_then_on)
{
    atomic_store(&fault.armed, false);
    atomic_store(&fault.kind, (int)kind);
    atomic_store(&fault.nth, nth);
    atomic_store(&fault.from_then_on, from_then_on);
    atomic_store(&fault.operations, 0);
    atomic_store(&fault.failures, 0);
    atomic_store(&fault.first, NULL);
    atomic_store(&fault.only, NULL);
    atomic_store(&fault.armed, true);
}

void vfs_fault_fail_on(const char *operation)
{
    vfs_fault_arm(VFS_FAULT_IO, 1, true);
    atomic_store(&fault.only, operation);
}

void vfs_fault_disarm(void)
{
    atomic_store(&fault.armed, false);
}

void vfs_fault_cut_power(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-journal"};
    for (size_t index = 0; index < sizeof suffixes / sizeof suffixes[0]; index++) {
        char name[256];
        char synced[512];
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[index]);
        name_synced(synced, sizeof synced, name);
        if (rename(synced, name) != 0) {
            (void)unlink(name); /* never synced: as if it had never been made */
        }
    }
    char shared_memory[256];
    (void)snprintf(shared_memory, sizeof shared_memory, "%s-shm", path);
    (void)unlink(shared_memory);
}

unsigned long vfs_fault_failures(void)
{
    return atomic_load(&fault.failures);
}

const char *vfs_fault_first(void)
{
    return atomic_load(&fault.first);
}
