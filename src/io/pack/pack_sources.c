/* Sources become a plan: which layout each one has, and the list of samples to be.  Nothing is read but names and
 * description files (docs/dataset.md, "Layouts").  Called by pack.c. */
#include "pack.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_JSON = 1 << 26 };

struct pack_item *pack_plan_add(struct pack_plan *plan) {
    if (plan->count == plan->capacity) {
        const int64_t capacity = plan->capacity ? 2 * plan->capacity : 256;
        struct pack_item *items = memory_alloc(plan->context, (size_t)capacity * sizeof *items);
        if (!items) return NULL;
        if (plan->count > 0) memcpy(items, plan->items, (size_t)plan->count * sizeof *items);
        memory_free(plan->context, plan->items);
        plan->items = items, plan->capacity = capacity;
    }
    struct pack_item *item = &plan->items[plan->count++];
    *item = (struct pack_item){.class_index = -1};
    return item;
}

bool pack_plan_add_file(struct pack_plan *plan, const char *prefix, const char *name, const char *path) {
    const char **files = arena_alloc(&plan->arena, sizeof *files);
    const char *whole = arena_print(&plan->arena, "%s%s", prefix, name);
    struct pack_item *item = files && whole ? pack_plan_add(plan) : NULL;
    if (!item) return false;
    files[0] = path;
    item->name = whole, item->path = path, item->files = files, item->file_count = 1;
    if (strlen(whole) > DATASET_NAME_MAX) item->unusable = "its path is longer than 4095 bytes";
    return true;
}

/* ---- layouts, in the order in which they are tried */

struct layout {
    const char *name;
    bool (*detect)(cover_context *context, const char *source);
    /* May put a closer name into *name. */
    cover_status (*list)(struct pack_plan *plan, const char *prefix, const char *source, const char **name);
};

/* "source/name" exists, as a file or as a folder.  No memory is asked for: a refusal would look like "no". */
static bool holds(const char *source, const char *name, bool (*exists)(const char *path)) {
    char path[4096 + 32];
    const int length = snprintf(path, sizeof path, "%s/%s", source, name);
    return length > 0 && (size_t)length < sizeof path && exists(path);
}

/* dataset.json may list its cases itself: then there is no imagesTr.  When there is no memory to tell, its reader will say so. */
static bool lists_cases(cover_context *context, const char *source) {
    json_t *root = NULL;
    char *path = path_join(context, source, "dataset.json");
    const cover_status status = path ? json_file_read(&root, context, path, LARGEST_JSON) : COVER_ERROR_MEMORY;
    const bool listed = status == COVER_ERROR_MEMORY || json_is_object(json_object_get(root, "dataset")) ||
                        json_is_array(json_object_get(root, "training"));
    json_decref(root);
    memory_free(context, path);
    return listed;
}

static bool is_nnunet(cover_context *context, const char *source) {
    return holds(source, "dataset.json", file_exists) && (holds(source, "imagesTr", folder_exists) || lists_cases(context, source));
}
static cover_status list_nnunet(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    (void)name;
    return pack_nnunet(plan, prefix, source);
}

static bool is_description(cover_context *context, const char *source) {
    (void)context;
    return file_exists(source) && strcmp(path_name(source), "dataset.json") == 0;
}
static cover_status list_description(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    (void)name;
    const char *slash = strrchr(source, '/');
    const char *folder = slash ? arena_text(&plan->arena, source, (size_t)(slash - source)) : ".";
    return folder ? pack_nnunet(plan, prefix, *folder ? folder : "/") : COVER_ERROR_MEMORY;
}

static bool is_collection(cover_context *context, const char *source) {
    (void)context;
    return file_exists(source) && has_suffix(source, ".json");
}
static cover_status list_collection(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    (void)name;
    return pack_collection(plan, prefix, source);
}

static bool is_collection_folder(cover_context *context, const char *source) {
    (void)context;
    return holds(source, "pretrain_data.json", file_exists);
}
static cover_status list_collection_folder(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    (void)name;
    const char *json = arena_print(&plan->arena, "%s/pretrain_data.json", source);
    return json ? pack_collection(plan, prefix, json) : COVER_ERROR_MEMORY;
}

static bool is_folder(cover_context *context, const char *source) {
    (void)context;
    return folder_exists(source);
}
static cover_status list_folder(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    return pack_folder(plan, prefix, source, name);
}

static bool is_image(cover_context *context, const char *source) {
    (void)context;
    return file_exists(source) && image_format_of(source) != NULL;
}
static cover_status list_image(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    (void)prefix, (void)name;
    return pack_plan_add_file(plan, "", path_name(source), source) ? COVER_OK : COVER_ERROR_MEMORY;
}

static bool is_dicom(cover_context *context, const char *source) {
    bool is;
    (void)context;
    return file_exists(source) && dicom_is_file(source, &is) == COVER_OK && is;
}
static cover_status list_dicom(struct pack_plan *plan, const char *prefix, const char *source, const char **name) {
    (void)prefix, (void)name;
    return pack_dicom_add(plan, source);
}

static const struct layout layouts[] = {
    {"nnU-Net raw dataset", is_nnunet, list_nnunet},
    {"nnU-Net raw dataset", is_description, list_description},
    {"collection file", is_collection, list_collection},
    {"collection file", is_collection_folder, list_collection_folder},
    {"folder", is_folder, list_folder},
    {"image", is_image, list_image},
    {"DICOM", is_dicom, list_dicom},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static cover_status add_source(struct pack_plan *plan, const char *given, bool several) {
    /* "data/" and "data" are the same source */
    size_t length = strlen(given);
    while (length > 1 && given[length - 1] == '/') length--;
    const char *source = arena_text(&plan->arena, given, length);
    const char *prefix = source && several ? arena_print(&plan->arena, "%s/", path_name(source)) : "";
    if (!source || !prefix) return COVER_ERROR_MEMORY;
    if (!file_exists(source) && !folder_exists(source)) return fail(COVER_ERROR_IO, "%s: no such file or folder", source);
    int l = 0;
    while (l < LAYOUTS && !layouts[l].detect(plan->context, source)) l++;
    if (l == LAYOUTS)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: neither a folder, nor an image by its name, nor DICOM, nor a collection file (.json)", source);
    const char *name = layouts[l].name;
    const int64_t before = plan->count, objects = plan->dicom ? plan->dicom->counts.objects : 0;
    TRY(layouts[l].list(plan, prefix, source, &name));
    text_add(&plan->layouts, "%s{\"path\": ", plan->layouts.length ? ", " : "");
    text_add_json(&plan->layouts, source);
    text_add(&plan->layouts, ", \"layout\": \"%s\", \"images\": %lld", name, (long long)(plan->count - before));
    if (plan->dicom && plan->dicom->counts.objects > objects)
        text_add(&plan->layouts, ", \"dicom_objects\": %lld", (long long)(plan->dicom->counts.objects - objects));
    text_add(&plan->layouts, "}");
    return COVER_OK;
}

/* ---- classes: names sorted by their bytes, over all sources */

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

cover_status pack_plan_classes(struct pack_plan *plan, const char **names, int64_t count) {
    int64_t unique = 0;
    qsort(names, (size_t)count, sizeof *names, compare_names);
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[unique - 1]) != 0) names[unique++] = names[i];
    if (unique > 65535) return fail(COVER_ERROR_SHAPE, "%lld classes; at most 65535 are taken", (long long)unique);
    plan->class_names = names, plan->classes = (int)unique;
    return COVER_OK;
}

int pack_plan_class(const struct pack_plan *plan, const char *name) {
    const char **found = bsearch(&name, plan->class_names, (size_t)plan->classes, sizeof *plan->class_names, compare_names);
    return (int)(found - plan->class_names);
}

static cover_status number_classes(struct pack_plan *plan) {
    if (!plan->class_names) { /* no labels file: what folders and the split file say */
        const char **names = arena_alloc(&plan->arena, (size_t)plan->count * sizeof *names);
        int64_t count = 0;
        if (!names) return COVER_ERROR_MEMORY;
        for (int64_t i = 0; i < plan->count; i++)
            if (plan->items[i].class_name) names[count++] = plan->items[i].class_name;
        TRY(pack_plan_classes(plan, names, count));
    }
    for (int64_t i = 0; i < plan->count; i++) {
        struct pack_item *item = &plan->items[i];
        if (item->class_name) item->class_index = pack_plan_class(plan, item->class_name);
    }
    return COVER_OK;
}

cover_status pack_plan_create(struct pack_plan *plan, cover_context *context, const char *const *sources, int count,
                              const cover_pack_options *options) {
    const char *split = options->split;
    *plan = (struct pack_plan){.context = context,
                               .arena = {.context = context},
                               .layouts = {.context = context},
                               .label_values = {.context = context},
                               .ignore_label = -1,
                               .progress = options->progress,
                               .user = options->user,
                               .options = options,
                               .quiet = plan->quiet};
    for (int i = 0; i < count; i++) {
        if (!sources[i] || !*sources[i]) return fail(COVER_ERROR_ARGUMENT, "source %d is empty", i + 1);
        TRY(add_source(plan, sources[i], count > 1));
    }
    if (plan->layouts.failed) return COVER_ERROR_MEMORY;
    TRY(pack_dicom_items(plan));
    if (plan->count == 0)
        return fail(COVER_ERROR_ARGUMENT, "%s%s: no images found (%lld files of other kinds)", sources[0],
                    count > 1 ? " and the other sources" : "", (long long)plan->ignored);
    TRY(pack_once(plan));
    if (options->labels) {
        bool splits;
        TRY(pack_labels_read(plan, options->labels, options->negative, &splits));
        if (splits && !split) split = options->labels;
    }
    if (split) TRY(pack_is_folds(split) ? pack_folds_read(plan, split) : pack_split_read(plan, split));
    return number_classes(plan);
}

void pack_plan_free(struct pack_plan *plan) {
    memory_free(plan->context, plan->items);
    cover_dicom_destroy(plan->dicom);
    text_free(&plan->layouts);
    text_free(&plan->label_values);
    arena_free(&plan->arena);
    *plan = (struct pack_plan){.context = plan->context};
}
