/* Whole files in, whole files out in one move.  Called by readers, writers and the run folder. */
#include "files.h"
#include "number.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static cover_status system_error(const char *path, const char *doing) {
    return fail(COVER_ERROR_IO, "%s: %s: %s", path, doing, strerror(errno));
}

cover_status file_read(cover_context *context, const char *path, uint64_t limit_bytes, uint8_t **out, size_t *bytes) {
    cover_status status = COVER_OK;
    uint8_t *data = NULL;
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer must not block */
    if (descriptor < 0) return system_error(path, "cannot be opened");
    if (fstat(descriptor, &about) != 0) {
        status = system_error(path, "cannot be examined");
        goto done;
    }
    if (!S_ISREG(about.st_mode)) {
        status = fail(COVER_ERROR_IO, "%s: not a regular file", path);
        goto done;
    }
    if (limit_bytes && (uint64_t)about.st_size > limit_bytes) {
        status = fail(COVER_ERROR_FORMAT, "%s: %lld bytes, but at most %llu are taken here", path, (long long)about.st_size,
                      (unsigned long long)limit_bytes);
        goto done;
    }
    data = memory_alloc(context, (size_t)about.st_size + 1);
    if (!data) {
        status = fail_in(COVER_ERROR_MEMORY, "%s", path);
        goto done;
    }
    size_t have = 0;
    while (have < (size_t)about.st_size) {
        ssize_t got = read(descriptor, data + have, (size_t)about.st_size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            status = system_error(path, "cannot be read");
            goto done;
        }
        if (got == 0) break; /* shrank meanwhile: the reader of the format will say so */
        have += (size_t)got;
    }
    data[have] = 0;
    *out = data, *bytes = have;
    data = NULL;
done:
    close(descriptor);
    memory_free(context, data);
    return status;
}

cover_status temporary_beside(char **name, int *descriptor, cover_context *context, const char *path) {
    const size_t bytes = strlen(path) + 32;
    char *temporary = memory_alloc(context, bytes);
    if (!temporary) return COVER_ERROR_MEMORY;
    for (int tries = 0; tries < 100; tries++) {
        uint64_t number;
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) break;
        snprintf(temporary, bytes, "%s.tmp-%llu", path, (unsigned long long)number);
        *descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (*descriptor >= 0) {
            *name = temporary;
            return COVER_OK;
        }
        if (errno != EEXIST) break;
    }
    memory_free(context, temporary);
    return system_error(path, "cannot be written");
}

void temporaries_remove(cover_context *context, const char *folder, const char *name) {
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const char *mark = strstr(entry->d_name, ".tmp-");
        if (!mark || mark[5] == 0 || mark[5 + strspn(mark + 5, "0123456789")] != 0) continue;
        const size_t length = (size_t)(mark - entry->d_name);
        if (name && (strlen(name) != length || memcmp(name, entry->d_name, length) != 0)) continue;
        char *path = path_join(context, folder, entry->d_name);
        if (path) unlink(path);
        memory_free(context, path);
    }
    if (entries) closedir(entries);
}

cover_status replacement_begin(struct replacement *file, cover_context *context, const char *path) {
    *file = (struct replacement){.descriptor = -1};
    file->path = memory_text(context, path);
    const cover_status status =
        file->path ? temporary_beside(&file->temporary, &file->descriptor, context, path) : COVER_ERROR_MEMORY;
    if (status != COVER_OK) replacement_abandon(file, context);
    return status;
}

cover_status replacement_write(struct replacement *file, const void *data, size_t bytes) {
    const char *from = data;
    while (bytes > 0) {
        ssize_t written = write(file->descriptor, from, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return system_error(file->path, "cannot be written");
        from += written, bytes -= (size_t)written;
    }
    return COVER_OK;
}

/* The rename itself must reach the disk: fsync the folder that holds the name. */
static cover_status sync_folder(const char *path) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder) return fail(COVER_ERROR_IO, "%s: the path is too long", path);
    if (!slash) memcpy(folder, ".", 2);
    else if (length == 0) memcpy(folder, "/", 2);
    else memcpy(folder, path, length), folder[length] = 0;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return system_error(folder, "cannot be opened");
    int result = fsync(descriptor);
    int reason = errno;
    close(descriptor);
    errno = reason;
    /* some network file systems cannot sync a folder; the file itself is safe */
    return result == 0 || reason == EINVAL || reason == EROFS ? COVER_OK : system_error(folder, "cannot be synced");
}

cover_status replacement_commit(struct replacement *file, cover_context *context) {
    cover_status status = COVER_OK;
    if (fsync(file->descriptor) != 0) status = system_error(file->path, "cannot be written");
    if (close(file->descriptor) != 0 && status == COVER_OK) status = system_error(file->path, "cannot be written");
    file->descriptor = -1;
    if (status == COVER_OK && rename(file->temporary, file->path) != 0) status = system_error(file->path, "cannot be replaced");
    if (status == COVER_OK) {
        memory_free(context, file->temporary);
        file->temporary = NULL;
        status = sync_folder(file->path);
    }
    replacement_abandon(file, context);
    return status;
}

void replacement_abandon(struct replacement *file, cover_context *context) {
    if (file->descriptor >= 0) close(file->descriptor);
    if (file->temporary) unlink(file->temporary);
    memory_free(context, file->temporary);
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

cover_status folder_create(const char *path) {
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) return fail(COVER_ERROR_IO, "'%s' is no folder name", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return system_error(part, "cannot be created");
    }
    return folder_exists(path) ? COVER_OK : fail(COVER_ERROR_IO, "%s: exists and is not a folder", path);
}

bool file_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

bool folder_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

char *path_join(cover_context *context, const char *folder, const char *name) {
    size_t a = strlen(folder), b = strlen(name);
    while (a > 1 && folder[a - 1] == '/') a--;
    char *path = memory_alloc(context, a + b + 2);
    if (!path) return NULL;
    memcpy(path, folder, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b + 1);
    return path;
}

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool has_suffix(const char *text, const char *suffix) {
    size_t a = strlen(text), b = strlen(suffix);
    return a >= b && same_word(text + a - b, suffix);
}

cover_status path_beside_library(char *path, size_t bytes, const char *name) {
    Dl_info info;
    char *real = dladdr((void *)cover_version, &info) && info.dli_fname ? realpath(info.dli_fname, NULL) : NULL;
    if (!real) return fail(COVER_ERROR_IO, "cannot tell where libcover lies, and so where %s is", name);
    const char *slash = strrchr(real, '/');
    int length = snprintf(path, bytes, "%.*s/%s", slash ? (int)(slash - real) : 0, real, name);
    free(real);
    return length > 0 && (size_t)length < bytes ? COVER_OK : fail(COVER_ERROR_IO, "the path of %s is too long", name);
}
