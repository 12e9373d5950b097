/* Every image below a folder, in an order that depends on names alone (docs/dataset.md, "Packing").
 * Called by the layouts of pack, evaluation and prediction. */
#include "pack.h"

#include "io/bytes/walk.h"
#include "io/dicom/set.h"

#include <stdlib.h>
#include <string.h>

struct images {
    struct pack_files *files;
    struct pack_plan *plan;
    const char *folder;
};

static int compare(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Links that lead out of the folder are what the user has put there, or what a stranger's archive has: they are followed, and told. */
static void note_link(struct images *images, const char *path) {
    char *folder = realpath(images->folder, NULL), *target = folder ? realpath(path, NULL) : NULL;
    const size_t length = folder ? strlen(folder) : 0;
    if (target && (strncmp(target, folder, length) != 0 || (target[length] != '/' && length > 1)) && images->files->outside++ == 0)
        images->files->first_outside = arena_text(&images->plan->arena, target, strlen(target));
    free(folder);
    free(target);
}

static cover_status visit(void *user, const char *relative, const char *path, bool linked, const struct stat *about) {
    struct images *images = user;
    struct pack_files *files = images->files;
    const bool image = image_format_of(path) != NULL, folder = about && S_ISDIR(about->st_mode);
    if (linked && about && (image || folder)) note_link(images, path);
    if (folder) return COVER_OK;
    if (!image) {
        files->others++;
        bool dicom;
        if (about && S_ISREG(about->st_mode) && dicom_is_file(path, &dicom) == COVER_OK) files->dicom += dicom;
        return COVER_OK;
    }
    if (!array_grow(images->plan->context, &files->paths, &files->capacity, files->count + 1, sizeof *files->paths))
        return COVER_ERROR_MEMORY;
    files->paths[files->count++] = relative;
    return COVER_OK;
}

cover_status pack_walk(struct pack_files *files, struct pack_plan *plan, const char *folder) {
    struct images images = {.files = files, .plan = plan, .folder = folder};
    const struct walk_visitor visitor = {
        .visit = visit, .user = &images, .progress = plan->progress, .progress_user = plan->user, .doing = "looking for images"};
    *files = (struct pack_files){0};
    const cover_status status = walk(plan->context, &plan->arena, folder, &visitor);
    if (status != COVER_OK) {
        pack_files_free(files, plan);
        return status;
    }
    if (files->count > 0) qsort(files->paths, (size_t)files->count, sizeof *files->paths, compare);
    if (files->outside > 0 && !plan->quiet)
        log_line(plan->context, COVER_LOG_INFO, "%s: %lld %s out of this folder; the first leads to %s", folder,
                 (long long)files->outside, files->outside == 1 ? "link leads" : "links lead",
                 files->first_outside ? files->first_outside : "?");
    return COVER_OK;
}

void pack_files_free(struct pack_files *files, struct pack_plan *plan) {
    memory_free(plan->context, files->paths);
    *files = (struct pack_files){0};
}
