/* The N-th allocation of the whole process fails, in whatever library: malloc, calloc, realloc and what aligns.  For LD_PRELOAD, told by the
 * environment: SHORT_AT=N (0 = none), SHORT_STICKY=1 (and all behind it), SHORT_COUNT=FILE (gets the number seen), SHORT_TRAP=1 (a debugger stops
 * there).  Needs glibc.
 * Called by malloc_faults.py. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static long fail_at; /* set before main(), when the loader has what it needs */
static bool sticky, counting;
static atomic_long seen;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("SHORT_AT"), *more = getenv("SHORT_STICKY");
    if (!at) return;
    fail_at = atol(at), sticky = more && *more == '1', counting = true;
}

__attribute__((destructor)) static void end(void) {
    const char *name = getenv("SHORT_COUNT");
    char line[32];
    if (!counting || !name) return;
    counting = false;
    const int length = snprintf(line, sizeof line, "%ld\n", atomic_load(&seen));
    const long file = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file >= 0) syscall(SYS_write, file, line, length), syscall(SYS_close, file);
}

static bool refused(void) {
    if (!counting) return false;
    const long number = atomic_fetch_add(&seen, 1) + 1;
    if (!fail_at || number < fail_at || (number > fail_at && !sticky)) return false;
    if (getenv("SHORT_TRAP")) raise(SIGTRAP);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes) { return refused() ? NULL : __libc_malloc(bytes); }
void *calloc(size_t count, size_t bytes) { return refused() ? NULL : __libc_calloc(count, bytes); }
void *realloc(void *memory, size_t bytes) { return refused() ? NULL : __libc_realloc(memory, bytes); }
void *memalign(size_t alignment, size_t bytes) { return refused() ? NULL : __libc_memalign(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return refused() ? NULL : __libc_memalign(alignment, bytes); }
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    if (refused()) return ENOMEM;
    void *made = __libc_memalign(alignment, bytes);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}
