/* The N-th call of a kind on a path fails: see fault.h and README.md.  Written for x86-64 and aarch64 Linux with glibc.  Called by the test
 * programs that link it, and by whatever runs with it in LD_PRELOAD. */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TEXT = 512 };
static struct {
    char calls[TEXT], path[TEXT];
    int number; /* errno; 0 = a short transfer */
    long at;
    bool sticky;
    atomic_long seen, failed;
    char count_file[TEXT], first[TEXT]; /* what failed first */
} plan;

static const struct {
    const char *name;
    int number;
} reasons[] = {{"SHORT", 0},         {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},   {"EMFILE", EMFILE},
               {"ENOMEM", ENOMEM},   {"EDQUOT", EDQUOT}, {"EROFS", EROFS},   {"EACCES", EACCES}, {"EINVAL", EINVAL},
               {"ENOTSUP", ENOTSUP}, {"ENOSYS", ENOSYS}, {"EBADF", EBADF},   {"ENOLCK", ENOLCK}};

static void copy(char to[TEXT], const char *from) { snprintf(to, TEXT, "%s", from ? from : ""); }

void fault_set(const char *calls, const char *path, const char *reason, long at, int sticky) {
    plan.at = 0;
    copy(plan.calls, calls);
    copy(plan.path, path);
    plan.number = EIO;
    for (size_t i = 0; reason && i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reason, reasons[i].name) == 0) plan.number = reasons[i].number;
    plan.sticky = sticky != 0;
    plan.first[0] = 0;
    atomic_store(&plan.seen, 0);
    atomic_store(&plan.failed, 0);
    plan.at = at;
}

long fault_seen(void) { return atomic_load(&plan.seen); }
long fault_failed(void) { return atomic_load(&plan.failed); }

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("FAULT_AT"), *sticky = getenv("FAULT_STICKY");
    if (!getenv("FAULT_CALL")) return;
    fault_set(getenv("FAULT_CALL"), getenv("FAULT_PATH"), getenv("FAULT_ERRNO"), at ? atol(at) : 0, sticky && atol(sticky));
    copy(plan.count_file, getenv("FAULT_COUNT"));
}

__attribute__((destructor)) static void end(void) {
    char line[TEXT + 64];
    if (!plan.count_file[0]) return;
    const int length = snprintf(line, sizeof line, "%ld %ld %s\n", fault_seen(), fault_failed(), plan.first);
    const long file = syscall(SYS_openat, AT_FDCWD, plan.count_file, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file >= 0) syscall(SYS_write, file, line, length), syscall(SYS_close, file);
}

static bool named(const char *name) {
    const size_t length = strlen(name);
    for (const char *word = plan.calls; *word; word += strcspn(word, ","), word += *word == ',')
        if (strcspn(word, ",") == length && strncmp(word, name, length) == 0) return true;
    return false;
}

/* Shall this call fail?  Then errno is set, unless it is to be cut short. */
static bool hit(const char *name, const char *path, int descriptor) {
    char link[64], where[TEXT] = "";
    if (!plan.calls[0] || !named(name) || (descriptor >= 0 && descriptor <= 2)) return false;
    if (descriptor >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        const long length = syscall(SYS_readlinkat, AT_FDCWD, link, where, sizeof where - 1);
        where[length > 0 ? length : 0] = 0, path = where;
    }
    if (plan.path[0] && (!path || !strstr(path, plan.path))) return false;
    const long number = atomic_fetch_add(&plan.seen, 1) + 1;
    if (!plan.at || number < plan.at || (number > plan.at && !plan.sticky)) return false;
    if (atomic_fetch_add(&plan.failed, 1) == 0) snprintf(plan.first, sizeof plan.first, "%s %.400s", name, path ? path : "");
    errno = plan.number;
    return true;
}

/* ---- calls that have a system call of their own */

static int open_any(const char *path, int flags, mode_t mode) {
    if (hit(flags & O_DIRECTORY ? "opendir" : "open", path, -1) && errno) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                                                                 \
    int name(const char *path, int flags, ...) {                                                                                   \
        mode_t mode = 0;                                                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                                       \
            va_list list;                                                                                                          \
            va_start(list, flags);                                                                                                 \
            mode = va_arg(list, mode_t);                                                                                           \
            va_end(list);                                                                                                          \
        }                                                                                                                          \
        return open_any(path, flags, mode);                                                                                        \
    }
OPEN(open)
OPEN(open64)
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) { return open_any(path, flags, 0); }
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags) { return open_any(path, flags, 0); }

/* How many bytes the call may move; -1 = it fails. */
static ssize_t allowed(const char *name, int descriptor, size_t bytes) {
    if (!hit(name, NULL, descriptor)) return (ssize_t)bytes;
    return errno ? -1 : (ssize_t)(bytes > 1 ? bytes / 2 : bytes);
}

#define TRANSFER(name, number, type)                                                                                               \
    ssize_t name(int descriptor, type *data, size_t bytes) {                                                                       \
        const ssize_t now = allowed(#name, descriptor, bytes);                                                                     \
        return now < 0 ? -1 : syscall(number, descriptor, data, now);                                                              \
    }
#define TRANSFER_AT(name, kind, number, type)                                                                                      \
    ssize_t name(int descriptor, type *data, size_t bytes, off_t offset) {                                                         \
        const ssize_t now = allowed(kind, descriptor, bytes);                                                                      \
        return now < 0 ? -1 : syscall(number, descriptor, data, now, offset);                                                      \
    }
TRANSFER(read, SYS_read, void)
TRANSFER(write, SYS_write, const void)
TRANSFER_AT(pread, "pread", SYS_pread64, void)
TRANSFER_AT(pread64, "pread", SYS_pread64, void)
TRANSFER_AT(pwrite, "pwrite", SYS_pwrite64, const void)
TRANSFER_AT(pwrite64, "pwrite", SYS_pwrite64, const void)

int fsync(int descriptor) {
    struct stat about;
    const bool folder = fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode);
    return hit(folder ? "fsyncdir" : "fsync", NULL, descriptor) && errno ? -1 : (int)syscall(SYS_fsync, descriptor);
}
int close(int descriptor) {
    const bool fails = hit("close", NULL, descriptor) && errno;
    const int reason = errno, result = (int)syscall(SYS_close, descriptor);
    if (!fails) return result;
    errno = reason;
    return -1;
}
int ftruncate(int descriptor, off_t bytes) {
    return hit("ftruncate", NULL, descriptor) && errno ? -1 : (int)syscall(SYS_ftruncate, descriptor, bytes);
}
int ftruncate64(int descriptor, off_t bytes) { return ftruncate(descriptor, bytes); }
int flock(int descriptor, int operation) {
    return hit("flock", NULL, descriptor) && errno ? -1 : (int)syscall(SYS_flock, descriptor, operation);
}
int rename(const char *from, const char *to) {
    return hit("rename", to, -1) && errno ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int unlink(const char *path) { return hit("unlink", path, -1) && errno ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
int mkdir(const char *path, mode_t mode) {
    return hit("mkdir", path, -1) && errno ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

/* ---- calls that have none */

FILE *fopen(const char *path, const char *mode) {
    FILE *(*real)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return hit("open", path, -1) && errno ? NULL : real(path, mode);
}
FILE *fopen64(const char *path, const char *mode) { return fopen(path, mode); }
