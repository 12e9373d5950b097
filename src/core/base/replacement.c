/* New content for a file: written beside it, synced, moved into its place, so that the name leads to the old or the new file, never half
 * of one (files.h).  Called by every writer of results. */
#include "descriptor.h"
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder_of(cover_context *context, const char *path) {
    const size_t length = (size_t)(path_name(path) - path);
    char *folder = memory_text(context, length ? path : ".");
    if (folder && length) folder[length > 1 ? length - 1 : 1] = 0;
    return folder;
}

/* ---- temporary files: short names, since the name that they stand for may be as long as the system takes; a living writer has
 * locked its own, so that what nobody has locked was left behind */

static const char mark[] = ".cover-";
enum { DIGITS = 16 };

static bool is_temporary(const char *name) {
    return strncmp(name, mark, sizeof mark - 1) == 0 && strlen(name) == sizeof mark - 1 + DIGITS &&
           strspn(name + sizeof mark - 1, "0123456789abcdef") == DIGITS;
}

/* Somebody may have taken it for left behind before it was locked. */
static bool still_ours(int descriptor) {
    struct stat about;
    return descriptor_lock(descriptor) != LOCK_OF_ANOTHER && fstat(descriptor, &about) == 0 && about.st_nlink > 0;
}

static cover_status create_temporary(char **name, int *descriptor, cover_context *context, const char *path, bool private) {
    const size_t before = (size_t)(path_name(path) - path), bytes = before + sizeof mark + DIGITS;
    char *temporary = memory_alloc(context, bytes);
    if (!temporary) return COVER_ERROR_MEMORY;
    memcpy(temporary, path, before);
    for (int tries = 0; tries < 100; tries++) {
        const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
        uint64_t number;
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) continue;
        snprintf(temporary + before, bytes - before, "%s%016llx", mark, (unsigned long long)number);
        *descriptor = private ? descriptor_open_private(temporary, flags) : descriptor_open(temporary, flags);
        if (*descriptor < 0 && errno != EEXIST) break;
        if (*descriptor >= 0 && still_ours(*descriptor)) {
            *name = temporary;
            return COVER_OK;
        }
        if (*descriptor >= 0) descriptor_close(*descriptor);
    }
    *descriptor = -1;
    memory_free(context, temporary);
    return fail_system(path, "cannot be written");
}

cover_status temporary_beside(char **name, int *descriptor, cover_context *context, const char *path) {
    return create_temporary(name, descriptor, context, path, false);
}

static void remove_if_left(const char *path) {
    const int descriptor = descriptor_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) return;
    if (descriptor_lock(descriptor) == LOCK_OURS) path_remove(path);
    descriptor_close(descriptor);
}

cover_status temporaries_remove(cover_context *context, const char *folder) {
    cover_status status = COVER_OK;
    DIR *entries = path_list(folder);
    for (struct dirent *entry; status == COVER_OK && entries && (entry = readdir(entries));) {
        if (!is_temporary(entry->d_name)) continue;
        char *path = path_join(context, folder, entry->d_name);
        if (path) remove_if_left(path);
        else status = COVER_ERROR_MEMORY;
        memory_free(context, path);
    }
    if (entries) closedir(entries);
    return status;
}

cover_status temporaries_remove_beside(cover_context *context, const char *path) {
    char *folder = folder_of(context, path);
    const cover_status status = folder ? temporaries_remove(context, folder) : COVER_ERROR_MEMORY;
    memory_free(context, folder);
    return status;
}

/* ---- what is there already */

/* Where a link leads, which need not be there yet; *path is replaced. */
static cover_status follow(char **path, cover_context *context) {
    enum { MOST = 40 }; /* as Linux has it */
    struct stat about;
    char to[4096];
    for (int links = 0; lstat(*path, &about) == 0 && S_ISLNK(about.st_mode); links++) {
        const ssize_t bytes = readlink(*path, to, sizeof to - 1);
        if (links == MOST) errno = ELOOP;
        if (bytes < 0 || links == MOST) return fail_system(*path, "cannot be written");
        to[bytes] = 0;
        if (strncmp(to, "/proc/", 6) == 0)
            return fail(COVER_ERROR_ARGUMENT, "%s: stands for an open file, which cannot be replaced; name a file", *path);
        char *folder = *to == '/' ? NULL : folder_of(context, *path);
        char *next = *to == '/' ? memory_text(context, to) : folder ? path_join(context, folder, to) : NULL;
        memory_free(context, folder);
        if (!next) return COVER_ERROR_MEMORY;
        memory_free(context, *path);
        *path = next;
    }
    return COVER_OK;
}

static cover_status not_a_file(const char *path, mode_t mode) {
    const char *what = S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
    return fail(COVER_ERROR_ARGUMENT, "%s: is %s, where a result would be put in its place; name a file", path, what);
}

cover_status output_takes_file(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0) return errno == ENOENT ? COVER_OK : fail_system(path, "cannot be written");
    return S_ISREG(about.st_mode) ? COVER_OK : not_a_file(path, about.st_mode);
}

bool same_file(const char *a, const char *b) {
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

cover_status output_is_not(const char *output, const char *source) {
    if (!source || !same_file(output, source)) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "%s: is what the result is made of (%s) and would be replaced by it; name another file",
                output, source);
}

cover_status outputs_differ(cover_context *context, const char *a, const char *b) {
    if (!a || !b) return COVER_OK;
    cover_status status;
    const char *const given[] = {a, b};
    char *path[2] = {NULL}, *folder[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        path[i] = memory_text(context, given[i]);
        GO(path[i] ? COVER_OK : COVER_ERROR_MEMORY);
        GO(follow(&path[i], context));
        folder[i] = folder_of(context, path[i]);
        GO(folder[i] ? COVER_OK : COVER_ERROR_MEMORY);
    }
    struct stat about;
    const bool device = stat(a, &about) == 0 && S_ISCHR(about.st_mode); /* takes any number of them */
    const bool one = strcmp(path_name(path[0]), path_name(path[1])) == 0 && same_file(folder[0], folder[1]);
    status = !device && (one || same_file(a, b))
                 ? fail(COVER_ERROR_ARGUMENT, "%s: two results would be written there; name two files", b)
                 : COVER_OK;
done:
    for (int i = 0; i < 2; i++) memory_free(context, path[i]), memory_free(context, folder[i]);
    return status;
}

/* Characters may go to a device, /dev/null for one: there is nothing to replace. */
static cover_status open_device(struct replacement *file) {
    struct stat about;
    file->descriptor = descriptor_open(file->path, O_WRONLY | O_NONBLOCK);
    if (file->descriptor < 0 || fstat(file->descriptor, &about) != 0) return fail_system(file->path, "cannot be written");
    if (!S_ISCHR(about.st_mode)) return not_a_file(file->path, about.st_mode);
    fcntl(file->descriptor, F_SETFL, 0);
    return COVER_OK;
}

/* ---- begin, write, commit */

static cover_status begin(struct replacement *file, cover_context *context, const char *path, bool private) {
    struct stat about;
    cover_status status;
    *file = (struct replacement){.descriptor = -1, .private = private};
    file->path = memory_text(context, path), file->target = memory_text(context, path);
    GO(file->path && file->target ? COVER_OK : COVER_ERROR_MEMORY);
    file->replaces = stat(path, &about) == 0;
    if (file->replaces && S_ISCHR(about.st_mode)) GO(open_device(file));
    else {
        GO(output_takes_file(path));
        GO(follow(&file->target, context));
        GO(create_temporary(&file->temporary, &file->descriptor, context, file->target, file->replaces || private));
    }
done:
    if (status != COVER_OK) replacement_abandon(file, context);
    return status;
}

cover_status replacement_begin(struct replacement *file, cover_context *context, const char *path) {
    return begin(file, context, path, false);
}
cover_status replacement_begin_private(struct replacement *file, cover_context *context, const char *path) {
    return begin(file, context, path, true);
}

cover_status replacement_write(struct replacement *file, const void *data, size_t bytes) {
    return descriptor_write(file->descriptor, data, bytes) == bytes ? COVER_OK : fail_system(file->path, "cannot be written");
}

static bool give(int descriptor, uid_t owner, gid_t group) { return fchown(descriptor, owner, group) == 0; }

/* Who may read the old file may read the new one, and nobody else.  A group that we may not give has the rights of all others. */
static cover_status take_over_rights(const struct replacement *file) {
    struct stat old, fresh;
    if (file->private || !file->replaces || stat(file->target, &old) != 0) return COVER_OK;
    if (fstat(file->descriptor, &fresh) != 0) return fail_system(file->path, "cannot be examined");
    mode_t mode = old.st_mode & 0777;
    if (fresh.st_uid != old.st_uid) give(file->descriptor, old.st_uid, (gid_t)-1); /* only root may */
    if (fresh.st_gid != old.st_gid && !give(file->descriptor, (uid_t)-1, old.st_gid))
        mode = (mode & ~(mode_t)070) | (mode & 07) << 3;
    if ((fresh.st_mode & 0777) == mode || fchmod(file->descriptor, mode) == 0) return COVER_OK;
    return errno == EPERM || errno == ENOTSUP || errno == ENOSYS ? COVER_OK : fail_system(file->path, "its mode cannot be kept");
}

/* What a file system does not know how to do is no failure of the disk. */
static bool unsupported(int reason) { return reason == EINVAL || reason == ENOTSUP || reason == ENOSYS || reason == EROFS; }

static void warn_unsynced(cover_context *context, const char *path, const char *what, int reason) {
    if (atomic_exchange(&context->told_unsynced, true)) return;
    log_line(context, COVER_LOG_WARNING, "%s: is in place, but %s cannot be synced (%s): a power cut may undo it; said once", path,
             what, strerror(reason));
}

/* The rename itself must reach the disk: sync the folder that holds the name.  The file is in place: no memory may be refused here. */
static cover_status sync_folder(const struct replacement *file, cover_context *context) {
    char folder[4096]; /* a longer path could not have been opened */
    const char *slash = strrchr(file->target, '/');
    snprintf(folder, sizeof folder, "%.*s", !slash || slash == file->target ? 1 : (int)(slash - file->target),
             slash ? file->target : ".");
    const int descriptor = descriptor_open(folder, O_RDONLY | O_DIRECTORY);
    const int reason = descriptor < 0 || !descriptor_sync(descriptor) ? errno : 0;
    if (descriptor >= 0) descriptor_close(descriptor);
    if (reason == EIO)
        return fail(COVER_ERROR_IO, "%s: is in place, but its folder cannot be synced: %s", file->path, strerror(reason));
    if (reason) warn_unsynced(context, file->path, "its folder", reason);
    return COVER_OK;
}

/* The lock lasts until the name is the right one. */
static cover_status move_into_place(struct replacement *file, cover_context *context) {
    TRY(take_over_rights(file));
    const int unsynced = descriptor_sync(file->descriptor) ? 0 : errno;
    if (unsynced && !unsupported(unsynced)) return fail_system(file->path, "cannot be written");
    const int lock = fcntl(file->descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    cover_status status = descriptor_close(file->descriptor) ? COVER_OK : fail_system(file->path, "cannot be written");
    file->descriptor = lock;
    if (status == COVER_OK && !path_rename(file->temporary, file->target)) status = fail_system(file->path, "cannot be replaced");
    TRY(status);
    memory_free(context, file->temporary);
    file->temporary = NULL;
    if (unsynced) warn_unsynced(context, file->path, "it", unsynced);
    return sync_folder(file, context);
}

cover_status replacement_commit(struct replacement *file, cover_context *context) {
    cover_status status = COVER_OK;
    if (file->temporary) status = move_into_place(file, context);
    else {
        if (!descriptor_close(file->descriptor)) status = fail_system(file->path, "cannot be written");
        file->descriptor = -1;
    }
    replacement_abandon(file, context);
    return status;
}

void replacement_abandon(struct replacement *file, cover_context *context) {
    if (file->temporary) path_remove(file->temporary);
    if (file->descriptor >= 0) descriptor_close(file->descriptor);
    memory_free(context, file->temporary);
    memory_free(context, file->target);
    memory_free(context, file->path);
    *file = (struct replacement){.descriptor = -1};
}

cover_status file_replace(cover_context *context, const char *path, const void *data, size_t bytes) {
    struct replacement file;
    TRY(replacement_begin(&file, context, path));
    cover_status status = replacement_write(&file, data, bytes);
    if (status != COVER_OK) {
        replacement_abandon(&file, context);
        return status;
    }
    return replacement_commit(&file, context);
}
