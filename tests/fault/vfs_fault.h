/* vfs_fault: a SQLite VFS (and allocator) whose operations fail when the test says so.
 *
 * It passes everything on to the default VFS, but counts the operations that a disk can refuse
 * (open, read, write, truncate, sync, size, delete, access, shared memory) and lets the chosen one
 * fail, or all from the chosen one on. A write that fails has written its first half, as a torn
 * write does. Syncs are counted but not made, for nothing here ends the machine; where the power
 * fails, each sync keeps a copy of the file, and those copies are what is left afterwards. One for
 * the process; any thread. */
#ifndef SLUICE_TESTS_VFS_FAULT_H
#define SLUICE_TESTS_VFS_FAULT_H

#include <stdbool.h>

#define VFS_FAULT_NAME "fault"

enum vfs_fault_kind {
    VFS_FAULT_IO,    /* any operation: the I/O error that belongs to it */
    VFS_FAULT_FULL,  /* those that can need space (open, write, sync, shared memory): SQLITE_FULL */
    VFS_FAULT_POWER, /* as VFS_FAULT_IO, until vfs_fault_cut_power */
    VFS_FAULT_MEMORY, /* SQLite's allocations: there is no memory */
};

/* Registers the VFS under VFS_FAULT_NAME and takes over SQLite's allocator; aborts when that fails.
 * To be called before anything else of SQLite. */
void vfs_fault_register(void);

/* From here on operations of the kind are counted, and number `nth` (1 is the first) fails; with
 * `from_then_on`, so do all after it. */
void vfs_fault_arm(enum vfs_fault_kind kind, unsigned long nth, bool from_then_on);
/* From here on every operation of this name ("write main", "sync wal") fails with an I/O error. */
void vfs_fault_fail_on(const char *operation);
void vfs_fault_disarm(void);
/* After a run with VFS_FAULT_POWER whose connections are closed: puts the files of the database at
 * `path` into the state of their last sync. */
void vfs_fault_cut_power(const char *path);

/* Since vfs_fault_arm: operations that failed. */
unsigned long vfs_fault_failures(void);
/* Since vfs_fault_arm: what the first failure hit ("write wal"); NULL when nothing failed. */
const char *vfs_fault_first(void);

#endif
