/* nnU-Net's splits_final.json: a list of folds {"train": [CASE, ...], "val": [CASE, ...]}, of which one becomes the
 * split (docs/dataset.md, "Splits").  Called by pack_sources.c. */
#include "pack.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_JSON = 1 << 28 };

struct listed {
    const char *name; /* in the JSON's memory */
    cover_split split;
    bool used;
};

struct fold {
    const char *path;
    int index;
    struct listed *cases; /* sorted by name */
    size_t count;
};

static int compare_cases(const void *a, const void *b) {
    return strcmp(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

static cover_status read_fold(struct fold *fold, struct arena *arena, const json_t *root) {
    static const struct {
        const char *key;
        cover_split split;
    } parts[] = {{"train", COVER_SPLIT_TRAIN}, {"val", COVER_SPLIT_VAL}};
    if (!json_is_array(root) || json_array_size(root) == 0)
        return fail(COVER_ERROR_FORMAT, "%s: not a list of folds, as nnU-Net writes it", fold->path);
    if ((size_t)fold->index >= json_array_size(root))
        return fail(COVER_ERROR_ARGUMENT, "%s: fold %d was asked for, but there are folds 0 to %zu", fold->path, fold->index,
                    json_array_size(root) - 1);
    const json_t *chosen = json_array_get(root, (size_t)fold->index), *name;
    size_t i;
    for (int p = 0; p < 2; p++) fold->count += json_array_size(json_object_get(chosen, parts[p].key));
    fold->cases = arena_alloc(arena, (fold->count + 1) * sizeof *fold->cases);
    if (!fold->cases) return COVER_ERROR_MEMORY;
    struct listed *next = fold->cases;
    for (int p = 0; p < 2; p++) {
        const json_t *names = json_object_get(chosen, parts[p].key);
        if (!json_is_array(names))
            return fail(COVER_ERROR_FORMAT, "%s: fold %d has no list \"%s\"", fold->path, fold->index, parts[p].key);
        json_array_foreach((json_t *)names, i, name) {
            if (!json_is_string(name))
                return fail(COVER_ERROR_FORMAT, "%s: fold %d: \"%s\" holds what is no name of a case", fold->path, fold->index,
                            parts[p].key);
            *next++ = (struct listed){.name = json_string_value(name), .split = parts[p].split};
        }
    }
    qsort(fold->cases, fold->count, sizeof *fold->cases, compare_cases);
    for (i = 1; i < fold->count; i++)
        if (strcmp(fold->cases[i - 1].name, fold->cases[i].name) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: fold %d has case %s twice", fold->path, fold->index, fold->cases[i].name);
    return COVER_OK;
}

static struct listed *find(const struct fold *fold, const char *name) {
    const struct listed wanted = {.name = name};
    return bsearch(&wanted, fold->cases, fold->count, sizeof wanted, compare_cases);
}

static void apply(const struct fold *fold, cover_context *context, struct pack_plan *plan) {
    size_t unused = 0;
    for (int64_t i = 0; i < plan->count; i++) {
        struct pack_item *item = &plan->items[i];
        struct listed *found = find(fold, item->name);
        if (!found) found = find(fold, path_name(item->name));
        if (found) item->split = found->split, found->used = true;
        else if (item->split != COVER_SPLIT_TEST && !item->unusable) item->unusable = "not listed in this fold of the split file";
    }
    for (size_t i = 0; i < fold->count; i++) unused += !fold->cases[i].used;
    if (unused > 0 && !plan->quiet)
        log_line(context, COVER_LOG_WARNING, "%s: %zu of %zu cases of fold %d are not in the sources", fold->path, unused,
                 fold->count, fold->index);
}

/* "FILE.json" is fold 0, "FILE.json:3" fold 3; *length is that of the file's name.  -1 when it is neither. */
static int fold_of(const char *given, size_t *length) {
    *length = strlen(given);
    if (has_suffix(given, ".json")) return 0;
    const char *colon = strrchr(given, ':');
    if (!colon || colon - given < 5 || strncmp(colon - 5, ".json", 5) != 0) return -1;
    const size_t digits = strspn(colon + 1, "0123456789");
    if (digits < 1 || digits > 6 || colon[1 + digits]) return -1;
    *length = (size_t)(colon - given);
    return atoi(colon + 1);
}

bool pack_is_folds(const char *path) {
    size_t length;
    return fold_of(path, &length) >= 0;
}

cover_status pack_folds_read(struct pack_plan *plan, const char *given) {
    json_t *root;
    size_t length;
    struct fold fold = {.index = fold_of(given, &length)};
    fold.path = arena_text(&plan->arena, given, length);
    if (!fold.path) return COVER_ERROR_MEMORY;
    TRY(json_file_read(&root, plan->context, fold.path, LARGEST_JSON));
    cover_status status = read_fold(&fold, &plan->arena, root);
    if (status == COVER_OK) apply(&fold, plan->context, plan);
    json_decref(root);
    return status;
}
