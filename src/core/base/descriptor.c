/* Calls of the system on files, finished or refused.  See descriptor.h. */
#include "descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A call that a signal interrupts before it has done anything is made again. */
#define AGAIN(result, call)                                                                                                        \
    do (result) = (call);                                                                                                          \
    while ((result) < 0 && errno == EINTR)

static int above_standard(int descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
    const int above = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), reason = errno;
    close(descriptor);
    errno = reason;
    return above;
}

static int open_with(const char *path, int flags, mode_t mode) {
    int descriptor;
    AGAIN(descriptor, open(path, flags | O_CLOEXEC | O_NOCTTY, mode));
    return above_standard(descriptor);
}

int descriptor_open(const char *path, int flags) { return open_with(path, flags, 0666); }
int descriptor_open_private(const char *path, int flags) { return open_with(path, flags, 0600); }

/* Linux has closed it even where a signal came in between. */
bool descriptor_close(int descriptor) { return close(descriptor) == 0 || errno == EINTR; }

int64_t descriptor_read(int descriptor, void *to, size_t bytes) {
    size_t have = 0;
    for (ssize_t got = 1; have < bytes && got > 0; have += (size_t)got) {
        AGAIN(got, read(descriptor, (char *)to + have, bytes - have));
        if (got < 0) return -1;
    }
    return (int64_t)have;
}

int64_t descriptor_read_at(int descriptor, void *to, size_t bytes, uint64_t offset) {
    size_t have = 0;
    for (ssize_t got = 1; have < bytes && got > 0; have += (size_t)got) {
        AGAIN(got, pread(descriptor, (char *)to + have, bytes - have, (off_t)(offset + have)));
        if (got < 0) return -1;
    }
    return (int64_t)have;
}

size_t descriptor_write(int descriptor, const void *from, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t now;
        AGAIN(now, write(descriptor, (const char *)from + done, bytes - done));
        if (now == 0) errno = ENOSPC;
        if (now <= 0) break;
        done += (size_t)now;
    }
    return done;
}

bool descriptor_write_at(int descriptor, const void *from, size_t bytes, uint64_t offset) {
    for (size_t done = 0; done < bytes;) {
        ssize_t now;
        AGAIN(now, pwrite(descriptor, (const char *)from + done, bytes - done, (off_t)(offset + done)));
        if (now == 0) errno = ENOSPC;
        if (now <= 0) return false;
        done += (size_t)now;
    }
    return true;
}

bool descriptor_sync(int descriptor) {
    int result;
    AGAIN(result, fsync(descriptor));
    return result == 0;
}

bool descriptor_cut(int descriptor, uint64_t bytes) {
    int result;
    AGAIN(result, ftruncate(descriptor, (off_t)bytes));
    return result == 0;
}

enum descriptor_lock descriptor_lock(int descriptor) {
    int result;
    AGAIN(result, flock(descriptor, LOCK_EX | LOCK_NB));
    return result == 0 ? LOCK_OURS : errno == EWOULDBLOCK ? LOCK_OF_ANOTHER : LOCK_IMPOSSIBLE;
}

enum descriptor_lock descriptor_lock_within(int descriptor, double seconds) {
    static const struct timespec pause = {.tv_nsec = 2000000};
    struct timespec begun, now;
    enum descriptor_lock lock;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    while ((lock = descriptor_lock(descriptor)) == LOCK_OF_ANOTHER) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((double)(now.tv_sec - begun.tv_sec) + 1e-9 * (double)(now.tv_nsec - begun.tv_nsec) > seconds) break;
        nanosleep(&pause, NULL);
    }
    return lock;
}

bool path_rename(const char *from, const char *to) {
    int result;
    AGAIN(result, rename(from, to));
    return result == 0;
}

bool path_remove(const char *path) {
    int result;
    AGAIN(result, unlink(path));
    return result == 0;
}

bool path_make_folder(const char *path) {
    int result;
    AGAIN(result, mkdir(path, 0777));
    return result == 0;
}

bool path_remove_folder(const char *path) {
    int result;
    AGAIN(result, rmdir(path));
    return result == 0;
}

DIR *path_list(const char *folder) {
    const int descriptor = descriptor_open(folder, O_RDONLY | O_DIRECTORY);
    DIR *entries = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (entries || descriptor < 0) return entries;
    const int reason = errno;
    close(descriptor);
    errno = reason;
    return NULL;
}
