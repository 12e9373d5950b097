/* Whole files in, folders and paths (files.h); replacement.c is how they get out.  Called by readers, writers and the run folder. */
#include "files.h"
#include "descriptor.h"
#include "number.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

cover_status fail_system(const char *path, const char *doing) {
    return fail(COVER_ERROR_IO, "%s: %s: %s", path, doing, strerror(errno));
}

cover_status file_read(cover_context *context, const char *path, uint64_t limit_bytes, uint8_t **out, size_t *bytes) {
    cover_status status = COVER_OK;
    uint8_t *data = NULL;
    struct stat about;
    int descriptor = descriptor_open(path, O_RDONLY | O_NONBLOCK); /* a FIFO without a writer must not block */
    if (descriptor < 0) return fail_system(path, "cannot be opened");
    if (fstat(descriptor, &about) != 0) {
        status = fail_system(path, "cannot be examined");
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
    const int64_t have = descriptor_read(descriptor, data, (size_t)about.st_size); /* less: the reader of the format will say so */
    if (have < 0) {
        status = fail_system(path, "cannot be read");
        goto done;
    }
    data[have] = 0;
    *out = data, *bytes = (size_t)have;
    data = NULL;
done:
    descriptor_close(descriptor);
    memory_free(context, data);
    return status;
}

cover_status folder_create(const char *path) {
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) return fail(COVER_ERROR_IO, "'%s' is no folder name", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (!path_make_folder(part) && errno != EEXIST) return fail_system(part, "cannot be created");
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
