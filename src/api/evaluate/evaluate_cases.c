/* Who is compared with whom: files matched by their names without extension, and the names of the classes.  Called by
 * evaluate_maps.c and evaluate_scores.c. */
#include "evaluate.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "io/pack/pack.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NAMED = 5, LARGEST_JSON = 1 << 26, LARGEST_LABEL = 65535 };

/* Characters of a path before the extension: "a/b.nii.gz" gives 3. */
static size_t stem_length(const char *path) {
    const size_t length = strlen(path) - (has_suffix(path, ".gz") ? 3 : 0);
    for (size_t at = length; at > 0 && path[at - 1] != '/'; at--)
        if (path[at - 1] == '.' && at > 1) return at - 1;
    return length;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct eval_case *)a)->name, ((const struct eval_case *)b)->name);
}

/* Each file's path goes to `prediction`; the caller says what it is. */
cover_status eval_files(struct eval_cases *files, struct evaluation *evaluation, const char *folder) {
    struct pack_plan plan = {.context = evaluation->context, .arena = {.context = evaluation->context}};
    struct pack_files found = {0};
    cover_status status;
    GO(pack_walk(&found, &plan, folder));
    if (found.count == 0) GO(fail(COVER_ERROR_IO, "%s: holds no images; give a folder of label maps", folder));
    files->count = found.count;
    files->each = arena_alloc(evaluation->arena, (size_t)found.count * sizeof *files->each);
    GO(files->each ? COVER_OK : COVER_ERROR_MEMORY);
    for (int64_t i = 0; i < found.count; i++) {
        struct eval_case *file = &files->each[i];
        file->name = arena_text(evaluation->arena, found.paths[i], stem_length(found.paths[i]));
        file->prediction = arena_print(evaluation->arena, "%s/%s", folder, found.paths[i]);
        GO(file->name && file->prediction ? COVER_OK : COVER_ERROR_MEMORY);
    }
    qsort(files->each, (size_t)files->count, sizeof *files->each, by_name);
    for (int64_t i = 1; i < files->count; i++)
        if (strcmp(files->each[i].name, files->each[i - 1].name) == 0)
            GO(fail(COVER_ERROR_FORMAT, "%s and %s are the same case; remove one", files->each[i - 1].prediction,
                    files->each[i].prediction));
done:
    pack_files_free(&found, &plan);
    arena_free(&plan.arena);
    return status;
}

/* ---- matching */

struct missing {
    int64_t count;
    struct text names; /* of the first ones */
};

static void note_missing(struct missing *missing, const char *name) {
    if (missing->count < MOST_NAMED) text_add(&missing->names, "%s%s", missing->count ? ", " : "", name);
    if (missing->count++ == MOST_NAMED) text_add(&missing->names, ", ...");
}

/* Two sorted lists side by side; cases that only one has are noted. */
static cover_status match(struct eval_cases *cases, struct evaluation *evaluation, const struct eval_cases *predictions,
                          const struct eval_cases *labels, const char *label_folder) {
    cover_context *context = evaluation->context;
    struct missing no_label = {.names = {.context = context}}, no_prediction = {.names = {.context = context}};
    cover_status status = COVER_OK;
    cases->count = 0;
    cases->each = arena_alloc(evaluation->arena, (size_t)predictions->count * sizeof *cases->each);
    if (!cases->each) return COVER_ERROR_MEMORY;
    for (int64_t p = 0, l = 0; p < predictions->count || l < labels->count;) {
        const struct eval_case *prediction = &predictions->each[p], *label = &labels->each[l];
        const int order = p == predictions->count ? 1 : l == labels->count ? -1 : strcmp(prediction->name, label->name);
        if (order == 0) cases->each[cases->count++] = (struct eval_case){label->name, prediction->prediction, label->prediction};
        else if (order < 0) note_missing(&no_label, prediction->name);
        else note_missing(&no_prediction, label->name);
        p += order <= 0, l += order >= 0;
    }
    if (no_label.names.failed || no_prediction.names.failed) status = COVER_ERROR_MEMORY;
    else if (no_label.count)
        status =
            fail(COVER_ERROR_MISMATCH, "%s: %lld of %lld predictions have no label of their name in %s: %s", evaluation->prediction,
                 (long long)no_label.count, (long long)predictions->count, label_folder, no_label.names.data);
    else if (no_prediction.count && !evaluation->options.subset)
        status = fail(COVER_ERROR_MISMATCH,
                      "%s: %lld of %lld labels have no prediction of their name in %s: %s; predict them, or ask for the "
                      "subset that is there",
                      label_folder, (long long)no_prediction.count, (long long)labels->count, evaluation->prediction,
                      no_prediction.names.data);
    text_free(&no_label.names);
    text_free(&no_prediction.names);
    return status;
}

/* "folder/name" when it exists, else NULL; *status tells when memory was short. */
static const char *inside(struct evaluation *evaluation, const char *folder, const char *name, bool (*exists)(const char *path),
                          cover_status *status) {
    const char *path = arena_print(evaluation->arena, "%s/%s", folder, name);
    if (!path) *status = COVER_ERROR_MEMORY;
    return path && exists(path) ? path : NULL;
}

/* Where the labels lie: labelsTr or labelsTs of an nnU-Net dataset (whichever has the first prediction), labels/ or masks/ beside
 * images/, or the folder itself. */
static cover_status find_labels(struct eval_cases *labels, const char **folder, struct evaluation *evaluation, const char *first) {
    static const char *const names[] = {"labelsTr", "labelsTs", "labels", "masks", "mask", "annotations", "gt"};
    cover_status status = COVER_OK;
    bool any = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *below = inside(evaluation, evaluation->truth, names[i], folder_exists, &status);
        TRY(status);
        if (!below) continue;
        TRY(eval_files(labels, evaluation, below));
        *folder = below, any = true;
        const struct eval_case wanted = {.name = first};
        if (bsearch(&wanted, labels->each, (size_t)labels->count, sizeof wanted, by_name)) return COVER_OK;
    }
    if (any) return COVER_OK; /* matching says what is missing */
    *folder = evaluation->truth;
    return eval_files(labels, evaluation, evaluation->truth);
}

cover_status eval_cases_find(struct eval_cases *cases, struct evaluation *evaluation) {
    const char *prediction = evaluation->prediction, *truth = evaluation->truth, *folder;
    struct eval_cases predictions, labels;
    const bool folders = folder_exists(prediction);
    if (folders != folder_exists(truth))
        return fail(COVER_ERROR_MISMATCH, "%s is a folder, %s is a file; give two files or two folders",
                    folders ? prediction : truth, folders ? truth : prediction);
    if (folders) {
        TRY(eval_files(&predictions, evaluation, prediction));
        TRY(find_labels(&labels, &folder, evaluation, predictions.each[0].name));
        return match(cases, evaluation, &predictions, &labels, folder);
    }
    const char *file = path_name(prediction);
    cases->each = arena_alloc(evaluation->arena, sizeof *cases->each);
    const char *name = arena_text(evaluation->arena, file, stem_length(file));
    if (!cases->each || !name) return COVER_ERROR_MEMORY;
    cases->each[0] = (struct eval_case){name, prediction, truth};
    cases->count = 1;
    return COVER_OK;
}

/* ---- classes */

static cover_status add_class(struct eval_classes *classes, struct evaluation *evaluation, const char *name, size_t length,
                              int64_t value) {
    if (length == 0 || value < 0 || value > LARGEST_LABEL)
        return fail(COVER_ERROR_ARGUMENT, "%s: class '%.*s' has label %lld; a name and a label from 0 to %d are needed",
                    classes->source, (int)length, name, (long long)value, LARGEST_LABEL);
    const char *kept = arena_text(evaluation->arena, name, length);
    if (!kept) return COVER_ERROR_MEMORY;
    if (value == 0) { /* the background */
        classes->name[0] = kept;
        return COVER_OK;
    }
    for (int i = 1; i < classes->count; i++)
        if (classes->value[i] == value || strcmp(classes->name[i], kept) == 0)
            return fail(COVER_ERROR_ARGUMENT, "%s: '%s' (label %lld) and '%s' (label %d) are the same class", classes->source, kept,
                        (long long)value, classes->name[i], classes->value[i]);
    classes->name[classes->count] = kept, classes->value[classes->count++] = (int)value;
    return COVER_OK;
}

/* Room for `most` classes beside the background. */
static cover_status begin_classes(struct eval_classes *classes, struct evaluation *evaluation, size_t most, const char *source) {
    classes->name = arena_alloc(evaluation->arena, (most + 1) * sizeof *classes->name);
    classes->value = arena_alloc(evaluation->arena, (most + 1) * sizeof *classes->value);
    if (!classes->name || !classes->value) return COVER_ERROR_MEMORY;
    classes->name[0] = "background", classes->value[0] = 0, classes->count = 1, classes->source = source;
    return COVER_OK;
}

/* "background,lung,heart", "lung,heart" or "lung=255". */
static cover_status read_option(struct eval_classes *classes, struct evaluation *evaluation, const char *list) {
    size_t commas = 0;
    for (const char *c = list; *c; c++) commas += *c == ',';
    TRY(begin_classes(classes, evaluation, commas + 1, "the list of classes"));
    int64_t value = strncmp(list, "background,", 11) == 0 ? 0 : 1;
    for (const char *from = list;; value++) {
        const size_t length = strcspn(from, ",");
        size_t name = strcspn(from, ",=");
        if (name < length) {
            char *end;
            value = strtoll(from + name + 1, &end, 10);
            if (end != from + length || end == from + name + 1) value = -1;
        }
        TRY(add_class(classes, evaluation, from, name, value));
        if (!from[length]) break;
        from += length + 1;
    }
    if (classes->count < 2) return fail(COVER_ERROR_ARGUMENT, "classes: '%s' names none beside the background", list);
    return COVER_OK;
}

struct entry {
    const char *name;
    int64_t value;
};

static int by_value(const void *a, const void *b) {
    const int64_t x = ((const struct entry *)a)->value, y = ((const struct entry *)b)->value;
    return (x > y) - (x < y);
}

/* A whole text as a number, -1 when it is none. */
static int64_t number_of(const char *text) {
    char *end;
    const long long number = strtoll(text, &end, 10);
    return *text && !*end && number >= 0 ? number : -1;
}

/* The "labels" of nnU-Net: {"background": 0, "lung": 1}, or of its version 1: {"0": "background", "1": "lung"}. */
static cover_status read_labels(struct eval_classes *classes, struct evaluation *evaluation, const char *path, json_t *labels) {
    const size_t count = json_object_size(labels);
    const char *name;
    json_t *value;
    size_t i = 0;
    if (count == 0 || count > LARGEST_LABEL + 1)
        return fail(COVER_ERROR_FORMAT, "%s: \"labels\" is missing or maps no names to numbers", path);
    TRY(begin_classes(classes, evaluation, count, path));
    struct entry *entries = arena_alloc(evaluation->arena, count * sizeof *entries);
    if (!entries) return COVER_ERROR_MEMORY;
    json_object_foreach(labels, name, value) {
        const char *text = json_string_value(value);
        if (json_is_integer(value)) entries[i++] = (struct entry){name, json_integer_value(value)};
        else if (text && number_of(text) >= 0) entries[i++] = (struct entry){name, number_of(text)};
        else if (text) entries[i++] = (struct entry){text, number_of(name)};
        else
            return fail(COVER_ERROR_UNSUPPORTED, "%s: label '%s' is a region, not one number; name the classes in the call", path,
                        name);
    }
    qsort(entries, count, sizeof *entries, by_value);
    for (i = 0; i < count; i++) {
        TRY(add_class(classes, evaluation, entries[i].name, strlen(entries[i].name), entries[i].value));
        if (strcmp(entries[i].name, "ignore") != 0 || entries[i].value == 0) continue;
        classes->ignored = classes->value[--classes->count];
    }
    return COVER_OK;
}

static cover_status read_description(struct eval_classes *classes, struct evaluation *evaluation, const char *path) {
    json_t *root;
    TRY(json_file_read(&root, evaluation->context, path, LARGEST_JSON));
    const cover_status status = read_labels(classes, evaluation, path, json_object_get(root, "labels"));
    json_decref(root);
    return status;
}

cover_status eval_classes_find(struct eval_classes *classes, struct evaluation *evaluation) {
    const char *const places[] = {evaluation->truth, evaluation->prediction};
    cover_status status = COVER_OK;
    *classes = (struct eval_classes){0};
    if (evaluation->options.classes) return read_option(classes, evaluation, evaluation->options.classes);
    for (int i = 0; i < 2; i++) {
        const char *place = places[i], *folder = place;
        if (!folder_exists(place)) {
            const size_t length = (size_t)(path_name(place) - place);
            folder = length ? arena_text(evaluation->arena, place, length) : ".";
            if (!folder) return COVER_ERROR_MEMORY;
        }
        const char *description = inside(evaluation, folder, "dataset.json", file_exists, &status);
        if (!description && i == 0) description = inside(evaluation, folder, "../dataset.json", file_exists, &status);
        TRY(status);
        if (description) return read_description(classes, evaluation, description);
    }
    return COVER_OK;
}
