/* nnU-Net raw datasets (github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md and ignore_label.md): what
 * dataset.json says of channels, labels and files.  Called by pack_sources.c. */
#include "pack_nnunet.h"

#include "io/dataset/dataset.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_JSON = 1 << 26, MOST_CHANNELS = 4096 };

static cover_status wrong(const struct nnunet *source, const char *field, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: \"%s\" %s", source->json, field, what);
}

/* {"background": 0, "lung": 1, "ignore": 2}; regions {"whole": [1, 2]}; version 1 the other way round: {"0":
 * "background"}. */
static cover_status read_labels(struct nnunet *source, const json_t *labels) {
    struct pack_plan *plan = source->plan;
    int largest = -1, ignored = -1;
    const char *key, *name, *region = NULL;
    json_t *value, *part;
    size_t i;
    json_object_foreach((json_t *)labels, key, value) {
        if (json_is_array(value)) {
            json_array_foreach(value, i, part) {
                const int number = dataset_label_value(key, part, &name);
                if (number < 0 || name != key) return wrong(source, "labels", "holds a region with a value that is no label");
                if (number > largest) largest = number;
            }
            if (json_array_size(value) > 1 && !region) region = key;
            continue;
        }
        const int number = dataset_label_value(key, value, &name);
        if (number < 0) return wrong(source, "labels", "must map names to numbers from 0 to 65535");
        if (strcmp(name, "ignore") == 0) ignored = number;
        if (number > largest) largest = number;
    }
    if (largest < 0) return wrong(source, "labels", "names no label");
    if (ignored >= 0 && ignored < largest)
        return fail(COVER_ERROR_FORMAT, "%s: \"labels\": ignore is %d, but it must be the highest label, and %d is used",
                    source->json, ignored, largest);
    if (ignored == 0) return wrong(source, "labels", "names nothing but what to ignore");
    if (region && !plan->quiet)
        log_line(plan->context, COVER_LOG_WARNING,
                 "%s: \"labels\": '%s' is a region of several labels; the label maps are packed as they are, a class a label, and "
                 "fine-tuning does not train regions",
                 source->json, region);
    source->label_values = largest + 1;
    struct text text = {.context = plan->context};
    text_add_value(&text, labels);
    const char *kept = text.failed ? NULL : arena_text(&plan->arena, text.data, text.length);
    text_free(&text);
    if (!kept) return fail(COVER_ERROR_MEMORY, "%s: out of memory", source->json);
    if (plan->label_names && strcmp(plan->label_names, kept) != 0)
        return fail(COVER_ERROR_MISMATCH, "%s: \"labels\" is %s, but another source has %s; pack them apart", source->json, kept,
                    plan->label_names);
    plan->label_names = kept;
    plan->label_classes = ignored >= 0 ? ignored : largest + 1;
    plan->ignore_label = ignored;
    plan->value_names = arena_alloc(&plan->arena, (size_t)plan->label_classes * sizeof *plan->value_names);
    if (!plan->value_names) return COVER_ERROR_MEMORY;
    json_object_foreach((json_t *)labels, key, value) {
        const int number = dataset_label_value(key, value, &name);
        if (number < 0 || number >= plan->label_classes) continue; /* a region, or what to ignore */
        plan->value_names[number] = arena_text(&plan->arena, name, strlen(name));
        if (!plan->value_names[number]) return COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

/* Version 1 (the Medical Segmentation Decathlon's) says it by its files alone. */
static const char *ending_of(const json_t *root) {
    const json_t *given = json_object_get(root, "file_ending"), *first = json_array_get(json_object_get(root, "training"), 0);
    if (given) return json_string_value(given);
    const char *file = json_string_value(json_is_object(first) ? json_object_get(first, "image") : first);
    return file && *image_extension(file) ? image_extension(file) : NULL;
}

static cover_status read_description(struct nnunet *source, const json_t *root) {
    const json_t *channels = json_object_get(root, "channel_names"), *labels = json_object_get(root, "labels");
    const json_t *cases = json_object_get(root, "dataset");
    const char *ending = ending_of(root);
    if (!channels) channels = json_object_get(root, "modality"); /* version 1 */
    if (!json_is_object(root)) return fail(COVER_ERROR_FORMAT, "%s: not a JSON object", source->json);
    if (!json_is_object(channels) || json_object_size(channels) == 0 || json_object_size(channels) > MOST_CHANNELS)
        return wrong(source, "channel_names", "is missing or names no channels");
    if (!ending || ending[0] != '.' || strchr(ending, '/'))
        return wrong(source, "file_ending", "is missing or no extension such as \".nii.gz\"");
    if (labels && !json_is_object(labels)) return wrong(source, "labels", "must map names to numbers");
    if (cases && !json_is_object(cases)) return wrong(source, "dataset", "must map cases to their images and label");
    source->channels = (int)json_object_size(channels);
    const char *example = arena_print(&source->plan->arena, "x%s", ending);
    if (!example) return COVER_ERROR_MEMORY;
    source->ending = example + 1;
    if (!image_format_of(example))
        return fail(COVER_ERROR_UNSUPPORTED, "%s: \"file_ending\" is %s, a format that is not read here", source->json,
                    source->ending);
    return labels ? read_labels(source, labels) : COVER_OK;
}

static cover_status list_cases(const struct nnunet *source, const json_t *root) {
    const json_t *listed = json_object_get(root, "dataset"), *first = json_object_get(root, "training");
    const json_t *last = json_object_get(root, "test");
    if (!listed && json_array_size(first) > 0) { /* version 1 */
        TRY(nnunet_version1_cases(source, "training", first, COVER_SPLIT_TRAIN));
        return json_is_array(last) ? nnunet_version1_cases(source, "test", last, COVER_SPLIT_TEST) : COVER_OK;
    }
    const char *training = arena_print(&source->plan->arena, "%s/imagesTr", source->folder);
    const char *test = arena_print(&source->plan->arena, "%s/imagesTs", source->folder);
    if (!training || !test) return COVER_ERROR_MEMORY;
    if (listed) TRY(nnunet_listed_cases(source, listed));
    else if (!folder_exists(training))
        return fail(COVER_ERROR_IO,
                    "%s: dataset.json says an nnU-Net raw dataset, but there is no folder imagesTr, and no \"dataset\" "
                    "lists the cases",
                    source->folder);
    else TRY(nnunet_folder_cases(source, "imagesTr", "labelsTr", COVER_SPLIT_TRAIN));
    return folder_exists(test) ? nnunet_folder_cases(source, "imagesTs", "labelsTs", COVER_SPLIT_TEST) : COVER_OK;
}

cover_status pack_nnunet(struct pack_plan *plan, const char *prefix, const char *folder) {
    struct nnunet source = {
        .plan = plan, .prefix = prefix, .folder = folder, .json = arena_print(&plan->arena, "%s/dataset.json", folder)};
    json_t *root;
    if (!source.json) return COVER_ERROR_MEMORY;
    TRY(json_file_read(&root, plan->context, source.json, LARGEST_JSON));
    cover_status status = read_description(&source, root);
    if (status == COVER_OK) status = list_cases(&source, root);
    json_decref(root);
    return status;
}
