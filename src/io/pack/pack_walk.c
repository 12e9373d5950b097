/* Every image below a folder, in an order that depends on names alone (docs/dataset.md, "Packing").
 * Called by the layouts of pack. */
#include "pack.h"

#include "core/base/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 64 };

/* The folders on the way down, to notice links that lead back up. */
struct way {
    const struct way *up;
    dev_t device;
    ino_t node;
    int depth;
};

static cover_status add(struct pack_files *files, struct pack_plan *plan, const char *path) {
    if (files->count == files->capacity) {
        const int64_t capacity = files->capacity ? 2 * files->capacity : 256;
        const char **paths = memory_alloc(plan->context, (size_t)capacity * sizeof *paths);
        if (!paths) return COVER_ERROR_MEMORY;
        if (files->count > 0) memcpy(paths, files->paths, (size_t)files->count * sizeof *paths);
        memory_free(plan->context, files->paths);
        files->paths = paths, files->capacity = capacity;
    }
    files->paths[files->count++] = path;
    return COVER_OK;
}

/* `relative` is "" for the folder itself. */
static cover_status walk(struct pack_files *files, struct pack_plan *plan, const char *folder, const char *relative,
                         const struct way *up) {
    cover_status status = COVER_OK;
    char *full = *relative ? path_join(plan->context, folder, relative) : memory_text(plan->context, folder);
    DIR *directory = NULL;
    struct stat about;
    struct way here = {.up = up, .depth = up ? up->depth + 1 : 0};
    if (!full) return COVER_ERROR_MEMORY;
    directory = opendir(full);
    if (!directory || stat(full, &about) != 0) {
        status = fail(COVER_ERROR_IO, "%s: cannot be listed: %s", full, strerror(errno));
        goto done;
    }
    here.device = about.st_dev, here.node = about.st_ino;
    for (const struct way *w = up; w; w = w->up)
        if (w->device == here.device && w->node == here.node) goto done; /* a link to a folder above */
    if (here.depth > DEEPEST) {
        status = fail(COVER_ERROR_IO, "%s: more than %d folders deep", full, DEEPEST);
        goto done;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(directory)); errno = 0) {
        if (entry->d_name[0] == '.') continue;
        const char *below = *relative ? arena_print(&plan->arena, "%s/%s", relative, entry->d_name)
                                      : arena_text(&plan->arena, entry->d_name, strlen(entry->d_name));
        char *path = below ? path_join(plan->context, folder, below) : NULL;
        status = path ? COVER_OK : COVER_ERROR_MEMORY;
        if (status == COVER_OK && folder_exists(path)) status = walk(files, plan, folder, below, &here);
        else if (status == COVER_OK && image_format_of(path)) status = add(files, plan, below);
        else files->others++;
        memory_free(plan->context, path);
        if (status != COVER_OK) goto done;
    }
    if (errno != 0) status = fail(COVER_ERROR_IO, "%s: cannot be listed: %s", full, strerror(errno));
done:
    if (directory) closedir(directory);
    memory_free(plan->context, full);
    return status;
}

static int compare(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

cover_status pack_walk(struct pack_files *files, struct pack_plan *plan, const char *folder) {
    *files = (struct pack_files){0};
    cover_status status = walk(files, plan, folder, "", NULL);
    if (status != COVER_OK) {
        pack_files_free(files, plan);
        return status;
    }
    if (files->count > 0) qsort(files->paths, (size_t)files->count, sizeof *files->paths, compare);
    return COVER_OK;
}

void pack_files_free(struct pack_files *files, struct pack_plan *plan) {
    memory_free(plan->context, files->paths);
    *files = (struct pack_files){0};
}
