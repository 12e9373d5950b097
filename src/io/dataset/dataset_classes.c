/* Names of a dataset's classes, from what it says about itself (docs/dataset.md, "Classes").
 * Called by dataset.c, pack_nnunet.c and users of the library. */
#include "dataset.h"

#include "core/base/json.h"

#include <stdlib.h>

enum { MOST_LABELS = 65535 };

/* A whole number that a label may have; -1 otherwise. */
static int number_of(const char *text) {
    char *end;
    const long number = strtol(text, &end, 10);
    return *text && !*end && number >= 0 && number <= MOST_LABELS ? (int)number : -1;
}

int dataset_label_value(const char *key, const json_t *value, const char **name) {
    *name = key;
    if (json_is_array(value) && json_array_size(value) == 1) value = json_array_get(value, 0);
    if (json_is_integer(value)) {
        const json_int_t number = json_integer_value(value);
        return number >= 0 && number <= MOST_LABELS ? (int)number : -1;
    }
    if (!json_is_string(value)) return -1;
    const int number = number_of(json_string_value(value));
    if (number >= 0) return number;
    *name = json_string_value(value);
    return number_of(key);
}

/* Label maps are named by dataset.json, classes by the list of folders or words. */
static void find_names(cover_dataset *dataset) {
    const int classes = dataset->directory.classes;
    if (dataset->directory.has_labels) {
        const char *key, *name;
        json_t *value;
        json_object_foreach(json_object_get(dataset->about, "label_names"), key, value) {
            const int label = dataset_label_value(key, value, &name);
            if (label >= 0 && label < classes) dataset->class_names[label] = name;
        }
        return;
    }
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(dataset->about, "class_names"), i, name) {
        if (i < (size_t)classes) dataset->class_names[i] = json_string_value(name);
    }
}

const char *dataset_region(const cover_dataset *dataset) {
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(dataset->about, "label_names"), key, value) {
        if (json_array_size(value) > 1) return key;
    }
    return NULL;
}

cover_status dataset_classes_open(cover_dataset *dataset) {
    size_t bytes;
    const char *text = dataset_about(dataset, &bytes);
    if (json_read(&dataset->about, dataset->path, text, bytes) == COVER_ERROR_MEMORY) return COVER_ERROR_MEMORY;
    const json_t *ignore = json_object_get(dataset->about, "ignore_label");
    const bool ignores =
        dataset->directory.has_labels && json_is_integer(ignore) && json_integer_value(ignore) == dataset->directory.classes;
    dataset->ignore_label = ignores ? dataset->directory.classes : -1;
    if (dataset->directory.classes == 0) return COVER_OK;
    dataset->class_names = memory_zero(dataset->context, (size_t)dataset->directory.classes * sizeof *dataset->class_names);
    if (!dataset->class_names) return COVER_ERROR_MEMORY;
    find_names(dataset);
    return COVER_OK;
}

void dataset_classes_close(cover_dataset *dataset) {
    json_decref(dataset->about);
    memory_free(dataset->context, dataset->class_names);
}

cover_status dataset_about_json(const cover_dataset *dataset, const json_t **about) {
    *about = dataset->about;
    return *about ? COVER_OK : fail(COVER_ERROR_FORMAT, "%s: what it says about itself is not JSON", dataset->path);
}

const char *cover_dataset_class_name(const cover_dataset *dataset, int index) {
    if (!dataset || index < 0 || index >= dataset->directory.classes) return NULL;
    return dataset->class_names[index];
}
