/* nnU-Net raw datasets (github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md): dataset.json, imagesTr/CASE_XXXX,
 * labelsTr/CASE, imagesTs, labelsTs.  Called by pack_sources.c. */
#include "dataset.h"
#include "pack.h"

#include "../core/base/files.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_JSON = 1 << 26, MOST_CHANNELS = 4096 };

struct description {
    const char *path; /* of dataset.json */
    const char *ending;
    int channels, label_classes;
};

static cover_status wrong(const struct description *description, const char *field, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: \"%s\" %s", description->path, field, what);
}

/* {"background": 0, "lung": 1}; regions {"whole": [1, 2]}; version 1 the other way round: {"0": "background"}. */
static cover_status read_labels(struct pack_plan *plan, struct description *description, const json_t *labels) {
    int largest = -1;
    const char *key, *name;
    json_t *value, *part;
    size_t i;
    json_object_foreach((json_t *)labels, key, value) {
        if (json_is_array(value)) {
            json_array_foreach(value, i, part) {
                const int number = dataset_label_value(key, part, &name);
                if (number < 0 || name != key)
                    return wrong(description, "labels", "holds a region with a value that is no label");
                if (number > largest) largest = number;
            }
            continue;
        }
        const int number = dataset_label_value(key, value, &name);
        if (number < 0) return wrong(description, "labels", "must map names to numbers from 0 to 65535");
        if (number > largest) largest = number;
    }
    if (largest < 0) return wrong(description, "labels", "names no label");
    description->label_classes = largest + 1;
    char *text = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
    const char *kept = text ? arena_text(&plan->arena, text, strlen(text)) : NULL;
    free(text);
    if (!kept) return fail(COVER_ERROR_MEMORY, "%s: out of memory", description->path);
    if (plan->label_names && strcmp(plan->label_names, kept) != 0)
        return fail(COVER_ERROR_MISMATCH, "%s: \"labels\" is %s, but another source has %s; pack them apart",
                    description->path, kept, plan->label_names);
    plan->label_names = kept;
    plan->label_classes = description->label_classes;
    return COVER_OK;
}

static cover_status read_description(struct pack_plan *plan, struct description *description) {
    cover_status status = COVER_OK;
    uint8_t *bytes;
    size_t count;
    json_error_t error;
    TRY(file_read(plan->context, description->path, LARGEST_JSON, &bytes, &count));
    json_t *root = json_loadb((const char *)bytes, count, 0, &error);
    memory_free(plan->context, bytes);
    if (!root) return fail(COVER_ERROR_FORMAT, "%s: line %d: not JSON: %s", description->path, error.line, error.text);
    const json_t *channels = json_object_get(root, "channel_names"), *labels = json_object_get(root, "labels");
    const json_t *ending = json_object_get(root, "file_ending");
    if (!channels) channels = json_object_get(root, "modality"); /* version 1 */
    if (!json_is_object(root))
        status = fail(COVER_ERROR_FORMAT, "%s: not a JSON object", description->path);
    else if (!json_is_object(channels) || json_object_size(channels) == 0 || json_object_size(channels) > MOST_CHANNELS)
        status = wrong(description, "channel_names", "is missing or names no channels");
    else if (!json_is_string(ending) || json_string_value(ending)[0] != '.' || strchr(json_string_value(ending), '/'))
        status = wrong(description, "file_ending", "is missing or no extension such as \".nii.gz\"");
    else if (labels && !json_is_object(labels))
        status = wrong(description, "labels", "must map names to numbers");
    else if (json_object_get(root, "dataset"))
        status =
            fail(COVER_ERROR_UNSUPPORTED,
                 "%s: \"dataset\" lists files elsewhere; lay them out as imagesTr and labelsTr", description->path);
    if (status == COVER_OK) {
        description->channels = (int)json_object_size(channels);
        const char *example = arena_print(&plan->arena, "x%s", json_string_value(ending));
        description->ending = example ? example + 1 : NULL;
        if (!example)
            status = COVER_ERROR_MEMORY;
        else if (!image_format_of(example))
            status = fail(COVER_ERROR_UNSUPPORTED, "%s: \"file_ending\" is %s, a format that is not read here",
                          description->path, description->ending);
    }
    if (status == COVER_OK && labels) status = read_labels(plan, description, labels);
    json_decref(root);
    return status;
}

/* The case that a file belongs to, and its channel: CASE_0002.png; -1 when the name has another form. */
static int channel_of(const char *name, const char *ending, size_t *case_length) {
    const size_t length = strlen(name), tail = strlen(ending);
    if (length < tail + 6 || strcmp(name + length - tail, ending) != 0) return -1;
    const char *digits = name + length - tail - 4;
    if (digits[-1] != '_') return -1;
    for (int i = 0; i < 4; i++)
        if (!isdigit((unsigned char)digits[i])) return -1;
    *case_length = (size_t)(digits - 1 - name);
    return (digits[0] - '0') * 1000 + (digits[1] - '0') * 100 + (digits[2] - '0') * 10 + (digits[3] - '0');
}

static cover_status unusable(struct pack_item *item, const char *reason) {
    item->unusable = reason;
    return reason ? COVER_OK : COVER_ERROR_MEMORY;
}

/* Cases of one folder pair.  Sorted file names keep the channels of a case side by side and in order. */
static cover_status add_cases(struct pack_plan *plan, const struct description *description, const char *prefix,
                              const char *folder, const char *images, const char *labels, enum pack_split split) {
    cover_status status = COVER_OK;
    struct pack_files files;
    const char *image_folder = arena_print(&plan->arena, "%s/%s", folder, images);
    if (!image_folder) return COVER_ERROR_MEMORY;
    TRY(pack_walk(&files, plan, image_folder));
    plan->ignored += files.others;
    for (int64_t first = 0, next; first < files.count; first = next) {
        const char *name = files.paths[first];
        size_t length = 0, other = 0;
        const bool named = channel_of(name, description->ending, &length) >= 0;
        for (next = first + 1; named && next < files.count; next++)
            if (channel_of(files.paths[next], description->ending, &other) < 0 || other != length ||
                strncmp(files.paths[next], name, length) != 0)
                break;
        const int count = (int)(next - first);
        const char **paths = arena_alloc(&plan->arena, (size_t)count * sizeof *paths);
        const char *case_name = arena_text(&plan->arena, name, named ? length : strlen(name));
        bool complete = paths && case_name;
        for (int c = 0; complete && c < count; c++)
            complete = (paths[c] = arena_print(&plan->arena, "%s/%s", image_folder, files.paths[first + c])) != NULL;
        GO(complete && pack_plan_add_file(plan, prefix, case_name, paths[0]) ? COVER_OK : COVER_ERROR_MEMORY);
        struct pack_item *item = &plan->items[plan->count - 1];
        item->files = paths, item->file_count = count;
        item->channels = description->channels, item->label_classes = description->label_classes;
        item->split = split;
        if (!named) {
            GO(unusable(item,
                        arena_print(&plan->arena, "not named CASE_0000%s, as nnU-Net asks", description->ending)));
            continue;
        }
        for (int c = 0; c < count && !item->unusable; c++)
            if (channel_of(files.paths[first + c], description->ending, &other) != c)
                GO(unusable(item, arena_print(&plan->arena, "channel %04d of this case is missing", c)));
        const char *label = arena_print(&plan->arena, "%s/%s/%s%s", folder, labels, case_name, description->ending);
        GO(label ? COVER_OK : COVER_ERROR_MEMORY);
        if (file_exists(label))
            item->label = label;
        else if (split == SPLIT_TRAIN && description->label_classes > 0 && !item->unusable)
            GO(unusable(item, arena_print(&plan->arena, "its label %s is missing", label)));
    }
done:
    pack_files_free(&files, plan);
    return status;
}

cover_status pack_nnunet(struct pack_plan *plan, const char *prefix, const char *folder) {
    struct description description = {.path = arena_print(&plan->arena, "%s/dataset.json", folder)};
    const char *training = arena_print(&plan->arena, "%s/imagesTr", folder);
    const char *test = arena_print(&plan->arena, "%s/imagesTs", folder);
    if (!description.path || !training || !test) return COVER_ERROR_MEMORY;
    TRY(read_description(plan, &description));
    if (!folder_exists(training))
        return fail(COVER_ERROR_IO, "%s: dataset.json says an nnU-Net raw dataset, but there is no folder imagesTr",
                    folder);
    TRY(add_cases(plan, &description, prefix, folder, "imagesTr", "labelsTr", SPLIT_TRAIN));
    if (folder_exists(test)) TRY(add_cases(plan, &description, prefix, folder, "imagesTs", "labelsTs", SPLIT_TEST));
    return COVER_OK;
}
