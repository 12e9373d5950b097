/* Folders that need no description file: splits and class folders, images beside their label maps, and plain folders
 * (docs/dataset.md, "Layouts").  Called by pack_sources.c. */
#include "pack_pairs.h"

#include "core/base/files.h"

#include <string.h>

/* The folders below which all images lie mean nothing: "data/" of data/train/a.png. */
struct tree {
    struct pack_plan *plan;
    const char *prefix, *folder;
    const struct pack_files *files;
    size_t base;
};

static const char *inner(const struct tree *tree, int64_t i) { return tree->files->paths[i] + tree->base; }

static const char *full_path(const struct tree *tree, const char *relative) {
    return arena_print(&tree->plan->arena, "%s/%s", tree->folder, relative);
}

static const char *second(const char *path) {
    char word[PACK_WORD];
    return pack_first_folder(path, word);
}

/* ---- which layout is it? */

/* What the images below the base say together. */
struct look {
    int64_t split, train;      /* that lie below a folder that is a split */
    int64_t role[3], under[3]; /* below a folder with a role, and below a split and a folder with a role */
    const char *no_split;      /* an image outside of all splits */
};

static void look_at(struct look *look, const struct tree *tree) {
    *look = (struct look){0};
    for (int64_t i = 0; i < tree->files->count; i++) {
        const char *path = inner(tree, i);
        const int split = pack_path_split(path);
        look->split += split >= 0, look->train += split == COVER_SPLIT_TRAIN;
        if (split < 0 && !look->no_split) look->no_split = path;
        look->role[pack_path_role(path)]++;
        look->under[split < 0 ? PACK_NO_ROLE : pack_path_role(second(path))]++;
    }
}

/* nnU-Net's folders without the dataset.json that says what is in them, or with it further down: an image in one of them, NULL = none. */
static const char *find_raw(const struct tree *tree) {
    bool images = false;
    const char *label = NULL;
    for (int64_t i = 0; i < tree->files->count; i++) {
        const char *path = tree->files->paths[i], *at = strstr(path, "labelsTr/"), *image = strstr(path, "imagesTr/");
        if (at && (at == path || at[-1] == '/') && !label) label = path;
        images |= image && (image == path || image[-1] == '/');
    }
    return images ? label : NULL;
}

/* Everything lies below one more folder. */
static bool step_down(struct tree *tree) {
    const char *first = inner(tree, 0), *slash = strchr(first, '/');
    const size_t length = slash ? (size_t)(slash - first) + 1 : 0;
    for (int64_t i = 1; i < tree->files->count; i++)
        if (strncmp(inner(tree, i), first, length) != 0) return false;
    tree->base += length;
    return length > 0;
}

/* ---- SPLIT/..., with or without class folders */

static cover_status add_splits(const struct tree *tree, const char **layout) {
    struct pack_plan *plan = tree->plan;
    const char *direct = NULL, *in_class = NULL; /* an image of either kind */
    for (int64_t i = 0; i < tree->files->count; i++)
        *(strchr(second(inner(tree, i)), '/') ? &in_class : &direct) = tree->files->paths[i];
    if (direct && in_class)
        return fail(COVER_ERROR_FORMAT, "%s: %s lies in a class folder, %s does not; put every image into SPLIT/CLASS/, or none",
                    tree->folder, in_class, direct);
    *layout = in_class ? "class folders" : "split folders";
    for (int64_t i = 0; i < tree->files->count; i++) {
        const char *relative = tree->files->paths[i], *class_name = second(inner(tree, i)), *path = full_path(tree, relative);
        if (!path || !pack_plan_add_file(plan, tree->prefix, relative, path)) return COVER_ERROR_MEMORY;
        struct pack_item *item = &plan->items[plan->count - 1];
        item->split = (cover_split)pack_path_split(inner(tree, i));
        if (!in_class) continue;
        item->class_name = arena_text(&plan->arena, class_name, strcspn(class_name, "/"));
        if (!item->class_name) return COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

/* ---- images/NAME beside labels/NAME, and either of them below splits or with splits below it */

static cover_status add_pair_folders(const struct tree *tree, bool below_splits) {
    struct pack_plan *plan = tree->plan;
    const int64_t count = tree->files->count;
    struct pack_pair *pairs = memory_zero(plan->context, (size_t)count * sizeof *pairs);
    cover_status status = pairs ? COVER_OK : COVER_ERROR_MEMORY;
    bool splits = !below_splits;
    for (int64_t i = 0; i < count && splits; i++) splits = pack_path_split(second(inner(tree, i))) >= 0;
    for (int64_t i = 0; i < count && status == COVER_OK; i++) {
        const char *path = inner(tree, i), *role = below_splits ? second(path) : path;
        struct pack_pair *pair = &pairs[i];
        pair->relative = tree->files->paths[i], pair->path = full_path(tree, pair->relative), pair->role = pack_path_role(role);
        pair->split = below_splits ? pack_path_split(path) : splits ? pack_path_split(second(path)) : COVER_SPLIT_NONE;
        pair->folder = arena_text(&plan->arena, role, strcspn(role, "/"));
        /* "train/a.png", whether it was images/train/a.png or train/images/a.png */
        pair->name = below_splits ? arena_print(&plan->arena, "%.*s%s", (int)(role - path), path, second(role)) : second(role);
        if (!pair->path || !pair->folder || !pair->name) status = COVER_ERROR_MEMORY;
    }
    if (status == COVER_OK) status = pack_pairs(plan, tree->prefix, tree->folder, pairs, count);
    memory_free(plan->context, pairs);
    return status;
}

/* ---- all images of the folder */

static cover_status add_plain(const struct tree *tree) {
    for (int64_t i = 0; i < tree->files->count; i++) {
        const char *relative = tree->files->paths[i], *path = full_path(tree, relative);
        if (!path || !pack_plan_add_file(tree->plan, tree->prefix, relative, path)) return COVER_ERROR_MEMORY;
    }
    return pack_warn_of_labels(tree->plan, tree->folder, tree->files);
}

/* Adds them by the first level that means something; *found false when none does. */
static cover_status add_known(struct tree *tree, const char **layout, bool *found) {
    const char *raw = find_raw(tree);
    if (raw && strncmp(raw, "labelsTr/", 9) == 0)
        return fail(COVER_ERROR_FORMAT,
                    "%s: holds imagesTr and labelsTr, but no dataset.json that says what is in them; add it, or name them images "
                    "and labels",
                    tree->folder);
    if (raw)
        return fail(COVER_ERROR_FORMAT,
                    "%s: %s lies in an nnU-Net raw dataset further down; give each folder with a dataset.json itself", tree->folder,
                    raw);
    *found = true;
    for (;;) {
        struct look look;
        look_at(&look, tree);
        if (look.role[PACK_IMAGES] && look.role[PACK_LABELS]) {
            *layout = "images and labels";
            return add_pair_folders(tree, false);
        }
        if (look.split == tree->files->count) {
            if (!look.under[PACK_IMAGES] || !look.under[PACK_LABELS]) return add_splits(tree, layout);
            *layout = "images and labels";
            return add_pair_folders(tree, true);
        }
        if (look.train)
            return fail(
                COVER_ERROR_FORMAT,
                "%s: holds a folder of training images, and beside it %s, which is in none of the splits train, val and test; "
                "rename its folder, or give the folders one by one",
                tree->folder, look.no_split);
        if (!step_down(tree)) break;
    }
    *found = false;
    return COVER_OK;
}

cover_status pack_folder(struct pack_plan *plan, const char *prefix, const char *folder, const char **layout) {
    struct pack_files files;
    bool found = false;
    TRY(pack_walk(&files, plan, folder));
    plan->ignored += files.others - files.dicom;
    struct tree tree = {.plan = plan, .prefix = prefix, .folder = folder, .files = &files};
    *layout = "folder";
    cover_status status = files.count > 0 ? add_known(&tree, layout, &found) : COVER_OK;
    if (status == COVER_OK && !found) status = add_plain(&tree);
    if (status == COVER_OK && files.dicom > 0) {
        status = pack_dicom_add(plan, folder);
        if (files.count == 0) *layout = "DICOM";
    }
    pack_files_free(&files, plan);
    return status;
}
