/* See pack_pairs.h.  Called by pack_folder.c. */
#include "pack_pairs.h"

#include "core/base/files.h"

#include <stdlib.h>
#include <string.h>

/* Characters of a path before the extension of its image format. */
static size_t stem_length(const char *path) {
    size_t length = strlen(path);
    if (has_suffix(path, ".gz")) length -= 3;
    size_t at = length;
    while (at > 0 && path[at - 1] != '.' && path[at - 1] != '/') at--;
    return at > 0 && path[at - 1] == '.' ? at - 1 : length;
}

/* A label map, or an image, by its name without the extension. */
struct stem {
    const char *name;
    size_t length;
    const struct pack_pair *file;
    bool used;
};

static struct stem stem_of(const char *name, const struct pack_pair *file) {
    return (struct stem){.name = name, .length = stem_length(name), .file = file};
}

static int compare_stems(const void *a, const void *b) {
    const struct stem *x = a, *y = b;
    const int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);
    return order ? order : x->length < y->length ? -1 : x->length > y->length;
}

/* All files must be images or label maps, each kind in folders of one name. */
static cover_status check_folders(const char *source, const struct pack_pair *files, int64_t count) {
    const char *folder[3] = {NULL};
    for (int64_t i = 0; i < count; i++)
        if (!folder[files[i].role]) folder[files[i].role] = files[i].folder;
    for (int64_t i = 0; i < count; i++) {
        const enum pack_role role = files[i].role;
        if (role == PACK_NO_ROLE)
            return fail(COVER_ERROR_FORMAT, "%s: holds %s/ and %s/, and beside them %s; move it into %s/", source,
                        folder[PACK_IMAGES], folder[PACK_LABELS], files[i].relative, folder[PACK_IMAGES]);
        if (strcmp(files[i].folder, folder[role]) != 0)
            return fail(COVER_ERROR_FORMAT, "%s: holds %s in %s/ and in %s/; put them into one folder, or take one of them away",
                        source, role == PACK_IMAGES ? "images" : "label maps", folder[role], files[i].folder);
    }
    return COVER_OK;
}

static cover_status add_image(struct pack_plan *plan, const char *prefix, const struct pack_pair *image, struct stem *label) {
    if (!pack_plan_add_file(plan, prefix, image->name, image->path)) return COVER_ERROR_MEMORY;
    struct pack_item *item = &plan->items[plan->count - 1];
    item->split = (cover_split)image->split;
    if (!label) return COVER_OK;
    if (label->used) item->unusable = "shares its label with another image of the same name";
    label->used = true;
    item->label = label->file->path;
    return COVER_OK;
}

static cover_status add_lost_label(struct pack_plan *plan, const char *prefix, const struct pack_pair *label) {
    if (!pack_plan_add_file(plan, prefix, label->relative, label->path)) return COVER_ERROR_MEMORY;
    struct pack_item *item = &plan->items[plan->count - 1];
    item->unusable = "a label without an image of the same name";
    return COVER_OK;
}

cover_status pack_pairs(struct pack_plan *plan, const char *prefix, const char *source, const struct pack_pair *files,
                        int64_t count) {
    cover_status status;
    size_t labels = 0;
    TRY(check_folders(source, files, count));
    struct stem *stems = memory_alloc(plan->context, (size_t)count * sizeof *stems);
    if (!stems) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        if (files[i].role == PACK_LABELS) stems[labels++] = stem_of(files[i].name, &files[i]);
    qsort(stems, labels, sizeof *stems, compare_stems);
    for (size_t i = 1; i < labels; i++)
        if (compare_stems(&stems[i - 1], &stems[i]) == 0)
            GO(fail(COVER_ERROR_FORMAT, "%s: %s and %s are labels of the same image; remove one", source,
                    stems[i - 1].file->relative, stems[i].file->relative));
    for (int64_t i = 0; i < count; i++) {
        if (files[i].role != PACK_IMAGES) continue;
        const struct stem wanted = stem_of(files[i].name, NULL);
        GO(add_image(plan, prefix, &files[i], bsearch(&wanted, stems, labels, sizeof *stems, compare_stems)));
    }
    for (size_t i = 0; i < labels; i++)
        if (!stems[i].used) GO(add_lost_label(plan, prefix, stems[i].file));
    status = COVER_OK;
done:
    memory_free(plan->context, stems);
    return status;
}

/* Folders of label maps where none are looked for: below each patient's, say. */
static bool warn_of_depth(const struct pack_plan *plan, const char *source, const struct pack_files *files) {
    int64_t images = 0, labels = 0;
    const char *first = NULL;
    for (int64_t i = 0; i < files->count; i++) {
        const char *path = files->paths[i];
        images += pack_path_has_role(path, PACK_IMAGES);
        if (!pack_path_has_role(path, PACK_LABELS)) continue;
        if (labels++ == 0) first = path;
    }
    if (images == 0 || labels == 0) return false;
    if (!plan->quiet)
        log_line(plan->context, COVER_LOG_WARNING,
                 "pack: %s: %lld files such as %s look like label maps, but become images: label maps are looked for in one folder "
                 "beside the one of images (images/, labels/)",
                 source, (long long)labels, first);
    return true;
}

cover_status pack_warn_of_labels(const struct pack_plan *plan, const char *source, const struct pack_files *files) {
    if (warn_of_depth(plan, source, files)) return COVER_OK;
    struct stem *stems = memory_alloc(plan->context, (size_t)(files->count + 1) * sizeof *stems);
    char word[PACK_WORD];
    size_t images = 0;
    int64_t others = 0, twins = 0;
    const char *twin = NULL;
    if (!stems) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < files->count; i++)
        if (pack_path_role(files->paths[i]) == PACK_IMAGES)
            stems[images++] = stem_of(pack_first_folder(files->paths[i], word), NULL);
    qsort(stems, images, sizeof *stems, compare_stems);
    for (int64_t i = 0; i < files->count; i++) {
        const char *path = files->paths[i], *rest = pack_first_folder(path, word);
        if (rest == path || pack_path_role(path) == PACK_IMAGES) continue;
        const struct stem wanted = stem_of(rest, NULL);
        others++;
        if (!bsearch(&wanted, stems, images, sizeof *stems, compare_stems)) continue;
        twins++;
        if (!twin) twin = path;
    }
    memory_free(plan->context, stems);
    if (2 * twins > others && !plan->quiet)
        log_line(
            plan->context, COVER_LOG_WARNING,
            "pack: %s: %lld images such as %s have the name of one in the folder of images; if they are label maps, name their "
            "folder labels: so they are taken for images",
            source, (long long)twins, twin);
    return COVER_OK;
}
