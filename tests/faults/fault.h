/* Calls of the C library on files that fail on purpose (fault.c).  A test program links the library fault and says which; a command is
 * run with it in LD_PRELOAD and is told by its environment (tests/faults/README.md). */
#ifndef COVER_FAULT_H
#define COVER_FAULT_H

/* From now on the `at`-th call (from 1; 0 = none) named in `calls`, "write,fsync" for example, on a path that holds `path` (NULL = any)
 * fails with `reason`: "EIO", "ENOSPC", ..., or does half of what it is asked, "SHORT".  sticky: and all calls behind it. */
void fault_set(const char *calls, const char *path, const char *reason, long at, int sticky);
/* Calls seen so far that the words are about, and how many of them have failed. */
long fault_seen(void);
long fault_failed(void);

#endif
