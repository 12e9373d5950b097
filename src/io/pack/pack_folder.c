/* Folders that need no description file: splits and class folders, images/ beside labels/, and plain folders
 * (docs/dataset.md, "Layouts").  Called by pack_sources.c. */
#include "pack.h"

#include "core/base/files.h"

#include <stdlib.h>
#include <string.h>

int pack_split_of(const char *word) {
    static const char *const words[] = {[COVER_SPLIT_TRAIN] = "train", [COVER_SPLIT_VAL] = "val", [COVER_SPLIT_TEST] = "test"};
    for (int split = COVER_SPLIT_TRAIN; split <= COVER_SPLIT_TEST; split++)
        if (strcmp(word, words[split]) == 0) return split;
    return -1;
}

/* The first part of a relative path, in the plan's arena, and what follows it; NULL when there is only one part. */
static const char *first_part(struct pack_plan *plan, const char *path, const char **rest) {
    const char *slash = strchr(path, '/');
    if (!slash) return NULL;
    *rest = slash + 1;
    return arena_text(&plan->arena, path, (size_t)(slash - path));
}

static bool begins_with(const char *path, const char *start) { return strncmp(path, start, strlen(start)) == 0; }

static const char *full_path(struct pack_plan *plan, const char *folder, const char *relative) {
    return arena_print(&plan->arena, "%s/%s", folder, relative);
}

/* ---- train|val|test/..., with or without class folders */

static bool is_split_folder(const struct pack_files *files) {
    for (int64_t i = 0; i < files->count; i++)
        if (!begins_with(files->paths[i], "train/") && !begins_with(files->paths[i], "val/") &&
            !begins_with(files->paths[i], "test/"))
            return false;
    return files->count > 0;
}

static cover_status add_splits(struct pack_plan *plan, const char *prefix, const char *folder, const struct pack_files *files,
                               const char **layout) {
    const char *direct = NULL, *in_class = NULL; /* an image of either kind */
    for (int64_t i = 0; i < files->count; i++) {
        const char *rest = strchr(files->paths[i], '/') + 1;
        *(strchr(rest, '/') ? &in_class : &direct) = files->paths[i];
    }
    if (direct && in_class)
        return fail(COVER_ERROR_FORMAT, "%s: %s lies in a class folder, %s does not; put every image into SPLIT/CLASS/, or none",
                    folder, in_class, direct);
    *layout = in_class ? "class folders" : "split folders";
    for (int64_t i = 0; i < files->count; i++) {
        const char *rest = "", *below, *split = first_part(plan, files->paths[i], &rest);
        const char *path = full_path(plan, folder, files->paths[i]);
        if (!split || !path || !pack_plan_add_file(plan, prefix, files->paths[i], path)) return COVER_ERROR_MEMORY;
        struct pack_item *item = &plan->items[plan->count - 1];
        item->split = (cover_split)pack_split_of(split);
        if (!in_class) continue;
        item->class_name = first_part(plan, rest, &below);
        if (!item->class_name) return COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

/* ---- images/NAME beside labels/NAME */

static bool is_pair_folder(const struct pack_files *files) {
    bool images = false, labels = false;
    for (int64_t i = 0; i < files->count; i++) {
        images = images || begins_with(files->paths[i], "images/");
        labels = labels || begins_with(files->paths[i], "labels/");
    }
    return images && labels;
}

/* Characters of a path before the extension of its image format. */
static size_t stem_length(const char *path) {
    size_t length = strlen(path);
    if (has_suffix(path, ".gz")) length -= 3;
    size_t at = length;
    while (at > 0 && path[at - 1] != '.' && path[at - 1] != '/') at--;
    return at > 0 && path[at - 1] == '.' ? at - 1 : length;
}

struct stem {
    const char *path; /* relative to the folder */
    const char *text; /* without labels/ or images/ and the extension */
    bool used;
};

static int compare_stems(const void *a, const void *b) {
    return strcmp(((const struct stem *)a)->text, ((const struct stem *)b)->text);
}

static cover_status add_pairs(struct pack_plan *plan, const char *prefix, const char *folder, const struct pack_files *files) {
    cover_status status = COVER_OK;
    const size_t start = strlen("images/"); /* as long as labels/ */
    struct stem *labels = memory_alloc(plan->context, (size_t)files->count * sizeof *labels);
    size_t count = 0;
    if (!labels) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < files->count; i++) {
        const char *path = files->paths[i];
        if (begins_with(path, "images/")) continue;
        if (!begins_with(path, "labels/")) {
            status =
                fail(COVER_ERROR_FORMAT, "%s: holds images/ and labels/, and beside them %s; move it into images/", folder, path);
            goto done;
        }
        const char *text = arena_text(&plan->arena, path + start, stem_length(path) - start);
        if (!text) {
            status = COVER_ERROR_MEMORY;
            goto done;
        }
        labels[count++] = (struct stem){.path = path, .text = text};
    }
    qsort(labels, count, sizeof *labels, compare_stems);
    for (size_t i = 1; i < count; i++)
        if (strcmp(labels[i - 1].text, labels[i].text) == 0) {
            status = fail(COVER_ERROR_FORMAT, "%s: %s and %s are labels of the same image; remove one", folder, labels[i - 1].path,
                          labels[i].path);
            goto done;
        }
    for (int64_t i = 0; i < files->count && begins_with(files->paths[i], "images/"); i++) {
        const char *relative = files->paths[i], *path = full_path(plan, folder, relative);
        const struct stem wanted = {.text = arena_text(&plan->arena, relative + start, stem_length(relative) - start)};
        if (!path || !wanted.text || !pack_plan_add_file(plan, prefix, relative + start, path)) {
            status = COVER_ERROR_MEMORY;
            goto done;
        }
        struct stem *label = bsearch(&wanted, labels, count, sizeof *labels, compare_stems);
        if (!label) continue;
        struct pack_item *item = &plan->items[plan->count - 1];
        if (label->used) item->unusable = "shares its label with another image of the same name";
        label->used = true;
        item->label = full_path(plan, folder, label->path);
        if (!item->label) {
            status = COVER_ERROR_MEMORY;
            goto done;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (labels[i].used) continue;
        const char *path = full_path(plan, folder, labels[i].path);
        if (!path || !pack_plan_add_file(plan, prefix, labels[i].path, path)) {
            status = COVER_ERROR_MEMORY;
            goto done;
        }
        plan->items[plan->count - 1].unusable = "a label without an image of the same name in images/";
    }
done:
    memory_free(plan->context, labels);
    return status;
}

cover_status pack_folder(struct pack_plan *plan, const char *prefix, const char *folder, const char **layout) {
    struct pack_files files;
    cover_status status;
    TRY(pack_walk(&files, plan, folder));
    plan->ignored += files.others;
    if (is_split_folder(&files)) {
        status = add_splits(plan, prefix, folder, &files, layout);
    } else if (is_pair_folder(&files)) {
        *layout = "images and labels";
        status = add_pairs(plan, prefix, folder, &files);
    } else {
        *layout = "folder";
        status = COVER_OK;
        for (int64_t i = 0; status == COVER_OK && i < files.count; i++) {
            const char *path = full_path(plan, folder, files.paths[i]);
            if (!path || !pack_plan_add_file(plan, prefix, files.paths[i], path)) status = COVER_ERROR_MEMORY;
        }
    }
    pack_files_free(&files, plan);
    return status;
}
