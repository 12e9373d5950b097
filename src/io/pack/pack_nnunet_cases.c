/* The cases of an nnU-Net raw dataset: imagesTr/CASE_0000.EXT, CASE_0001.EXT beside labelsTr/CASE.EXT, or listed in
 * dataset.json.  What a case lacks makes it unusable, with the name of the file.  Called by pack_nnunet.c. */
#include "pack_nnunet.h"

#include "core/base/files.h"
#include "core/base/number.h"

#include <stdlib.h>
#include <string.h>

static cover_status unusable(struct pack_item *item, const char *reason) {
    item->unusable = reason;
    return reason ? COVER_OK : COVER_ERROR_MEMORY;
}

/* An item of the source for these files; NULL with the error set. */
static struct pack_item *add_case(const struct nnunet *source, const char *name, const char *const *files, int count,
                                  cover_split split) {
    if (!pack_plan_add_file(source->plan, source->prefix, name, files[0])) return NULL;
    struct pack_item *item = &source->plan->items[source->plan->count - 1];
    item->files = files, item->file_count = count;
    item->channels = source->channels, item->label_classes = source->label_values;
    item->split = split;
    return item;
}

/* ---- folders */

/* The case that a file belongs to, and its channel: CASE_0002.png; -1 when the name has another form. */
static int channel_of(const char *name, const char *ending, size_t *case_length) {
    const size_t length = strlen(name), tail = strlen(ending);
    if (length < tail + 6 || strcmp(name + length - tail, ending) != 0) return -1;
    const char *digits = name + length - tail - 4;
    if (digits[-1] != '_') return -1;
    for (int i = 0; i < 4; i++)
        if (!is_digit(digits[i])) return -1;
    *case_length = (size_t)(digits - 1 - name);
    return (digits[0] - '0') * 1000 + (digits[1] - '0') * 100 + (digits[2] - '0') * 10 + (digits[3] - '0');
}

/* Channels 0 to count - 1 must be there; a single file may hold all channels. */
static cover_status check_channels(const struct nnunet *source, struct pack_item *item, const char *folder,
                                   const char *const *names) {
    const int count = item->file_count, wanted = count > 1 && count < source->channels ? source->channels : count;
    size_t length = 0;
    for (int c = 0; c < wanted && !item->unusable; c++)
        if (c >= count || channel_of(names[c], source->ending, &length) != c) {
            (void)channel_of(names[0], source->ending, &length);
            TRY(unusable(item, arena_print(&source->plan->arena, "case %.*s has no channel %04d: %s/%.*s_%04d%s is missing",
                                           (int)length, names[0], c, folder, (int)length, names[0], c, source->ending)));
        }
    return COVER_OK;
}

/* Label maps that no case asked for: `used` has those that one did, sorted as the files are. */
static cover_status add_lost_labels(const struct nnunet *source, const char *folder, const char *images, const char *const *used,
                                    int64_t used_count) {
    cover_status status = COVER_OK;
    struct pack_files files;
    if (!folder_exists(folder)) return COVER_OK;
    TRY(pack_walk(&files, source->plan, folder));
    int64_t u = 0;
    for (int64_t i = 0; i < files.count; i++) {
        const char *path = arena_print(&source->plan->arena, "%s/%s", folder, files.paths[i]);
        GO(path ? COVER_OK : COVER_ERROR_MEMORY);
        while (u < used_count && strcmp(used[u], path) < 0) u++;
        if (u < used_count && strcmp(used[u], path) == 0) continue;
        if (!has_suffix(path, source->ending)) continue; /* not one of nnU-Net's */
        GO(pack_plan_add_file(source->plan, source->prefix, files.paths[i], path) ? COVER_OK : COVER_ERROR_MEMORY);
        GO(unusable(&source->plan->items[source->plan->count - 1],
                    arena_print(&source->plan->arena, "a label map without its image in %s", images)));
    }
done:
    pack_files_free(&files, source->plan);
    return status;
}

static int compare_texts(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The label map of the item; a training case needs one. */
static cover_status find_label(const struct nnunet *source, struct pack_item *item, const char *label) {
    if (file_exists(label)) item->label = label;
    else if (item->split == COVER_SPLIT_TRAIN && source->label_values > 0 && !item->unusable)
        return unusable(item, arena_print(&source->plan->arena, "its label %s is missing", label));
    return COVER_OK;
}

/* One case: files[0..count) of the folder, in order. */
static cover_status add_folder_case(const struct nnunet *source, const char *const *names, int count, const char *image_folder,
                                    const char *label_folder, cover_split split) {
    struct arena *arena = &source->plan->arena;
    size_t length = 0;
    const bool named = channel_of(names[0], source->ending, &length) >= 0;
    const char *case_name = arena_text(arena, names[0], named ? length : strlen(names[0]));
    const char **paths = arena_alloc(arena, (size_t)count * sizeof *paths);
    if (!case_name || !paths) return COVER_ERROR_MEMORY;
    for (int c = 0; c < count; c++)
        if (!(paths[c] = arena_print(arena, "%s/%s", image_folder, names[c]))) return COVER_ERROR_MEMORY;
    struct pack_item *item = add_case(source, case_name, paths, count, split);
    if (!item) return COVER_ERROR_MEMORY;
    if (!named) return unusable(item, arena_print(arena, "not named CASE_0000%s, as nnU-Net asks", source->ending));
    TRY(check_channels(source, item, image_folder, names));
    const char *label = arena_print(arena, "%s/%s%s", label_folder, case_name, source->ending);
    return label ? find_label(source, item, label) : COVER_ERROR_MEMORY;
}

cover_status nnunet_folder_cases(const struct nnunet *source, const char *images, const char *labels, cover_split split) {
    struct pack_plan *plan = source->plan;
    cover_status status = COVER_OK;
    struct pack_files files;
    const char *image_folder = arena_print(&plan->arena, "%s/%s", source->folder, images);
    const char *label_folder = arena_print(&plan->arena, "%s/%s", source->folder, labels);
    if (!image_folder || !label_folder) return COVER_ERROR_MEMORY;
    TRY(pack_walk(&files, plan, image_folder));
    plan->ignored += files.others;
    const int64_t before = plan->count;
    /* sorted names keep the channels of a case side by side and in order */
    for (int64_t first = 0, next; first < files.count; first = next) {
        size_t length = 0, other = 0;
        const bool named = channel_of(files.paths[first], source->ending, &length) >= 0;
        for (next = first + 1; named && next < files.count; next++)
            if (channel_of(files.paths[next], source->ending, &other) < 0 || other != length ||
                strncmp(files.paths[next], files.paths[first], length) != 0)
                break;
        GO(add_folder_case(source, files.paths + first, (int)(next - first), image_folder, label_folder, split));
    }
    const char **used = arena_alloc(&plan->arena, (size_t)(plan->count - before + 1) * sizeof *used);
    GO(used ? COVER_OK : COVER_ERROR_MEMORY);
    int64_t used_count = 0;
    for (int64_t i = before; i < plan->count; i++)
        if (plan->items[i].label) used[used_count++] = plan->items[i].label;
    qsort(used, (size_t)used_count, sizeof *used, compare_texts);
    GO(add_lost_labels(source, label_folder, images, used, used_count));
done:
    pack_files_free(&files, plan);
    return status;
}

/* ---- listed in dataset.json */

/* A description may list files from anywhere: whoever packs a stranger's dataset hears of it. */
static void tell_outside(const struct nnunet *source, int64_t before) {
    const struct pack_plan *plan = source->plan;
    const size_t length = strlen(source->folder);
    const char *first = NULL;
    int64_t count = 0;
    for (int64_t i = before; i < plan->count; i++) {
        const struct pack_item *item = &plan->items[i];
        for (int f = 0; f <= item->file_count; f++) {
            const char *path = f < item->file_count ? item->files[f] : item->label;
            if (!path || (strncmp(path, source->folder, length) == 0 && !strstr(path + length, "/../"))) continue;
            if (count++ == 0) first = path;
        }
    }
    if (count > 0 && !plan->quiet)
        log_line(plan->context, COVER_LOG_INFO, "%s: %lld files that it lists lie outside of its folder; the first is %s",
                 source->json, (long long)count, first);
}

/* Absolute, or relative to dataset.json; NULL with the error set. */
static const char *listed_path(const struct nnunet *source, const json_t *path) {
    const char *text = json_string_value(path);
    while (strncmp(text, "./", 2) == 0) text += 2;
    return *text == '/' ? arena_text(&source->plan->arena, text, strlen(text))
                        : arena_print(&source->plan->arena, "%s/%s", source->folder, text);
}

static cover_status add_listed_case(const struct nnunet *source, const char *name, const json_t *entry) {
    const json_t *images = json_object_get(entry, "images"), *label = json_object_get(entry, "label"), *image;
    const size_t count = json_array_size(images);
    size_t i;
    bool texts = json_is_array(images) && count > 0 && count <= (size_t)source->channels;
    json_array_foreach((json_t *)images, i, image) texts = texts && json_is_string(image);
    if (!texts || (label && !json_is_string(label)))
        return fail(COVER_ERROR_FORMAT,
                    "%s: \"dataset\": case %s must have \"images\", a list of 1 to %d files, and may have \"label\", a file",
                    source->json, name, source->channels);
    const char **paths = arena_alloc(&source->plan->arena, count * sizeof *paths);
    const char *own_name = arena_text(&source->plan->arena, name, strlen(name));
    if (!paths || !own_name) return COVER_ERROR_MEMORY;
    json_array_foreach((json_t *)images, i, image) if (!(paths[i] = listed_path(source, image))) return COVER_ERROR_MEMORY;
    struct pack_item *item = add_case(source, own_name, paths, (int)count, COVER_SPLIT_TRAIN);
    if (!item) return COVER_ERROR_MEMORY;
    for (i = 0; i < count && !item->unusable; i++)
        if (!file_exists(paths[i]))
            TRY(unusable(item,
                         arena_print(&source->plan->arena, "case %s has no channel %04d: %s is missing", name, (int)i, paths[i])));
    if (!label) {
        if (source->label_values > 0 && !item->unusable) item->unusable = "its entry in dataset.json names no label";
        return COVER_OK;
    }
    const char *path = listed_path(source, label);
    return path ? find_label(source, item, path) : COVER_ERROR_MEMORY;
}

cover_status nnunet_listed_cases(const struct nnunet *source, const json_t *cases) {
    const size_t count = json_object_size(cases);
    const char **names = arena_alloc(&source->plan->arena, (count + 1) * sizeof *names), *name;
    json_t *entry;
    size_t i = 0;
    if (!names) return COVER_ERROR_MEMORY;
    json_object_foreach((json_t *)cases, name, entry) names[i++] = name;
    qsort(names, count, sizeof *names, compare_texts);
    const int64_t before = source->plan->count;
    for (i = 0; i < count; i++) TRY(add_listed_case(source, names[i], json_object_get(cases, names[i])));
    tell_outside(source, before);
    return COVER_OK;
}

/* ---- version 1 */

/* The files of a case: the one that is named, or its channels by number. */
static cover_status version1_files(const struct nnunet *source, const char *path, const char ***files, int *count) {
    struct arena *arena = &source->plan->arena;
    const size_t stem = (size_t)(image_extension(path) - path);
    *files = arena_alloc(arena, (size_t)source->channels * sizeof **files), *count = 1;
    if (!*files) return COVER_ERROR_MEMORY;
    (*files)[0] = path;
    for (int c = 0; !file_exists(path) && c < source->channels; c++) {
        const char *channel = arena_print(arena, "%.*s_%04d%s", (int)stem, path, c, path + stem);
        if (!channel) return COVER_ERROR_MEMORY;
        if (c == 0 && !file_exists(channel)) break; /* it is the one that is named that is missing */
        (*files)[c] = channel, *count = c + 1;
    }
    return COVER_OK;
}

static cover_status add_version1_case(const struct nnunet *source, const json_t *image, const json_t *label, cover_split split) {
    struct arena *arena = &source->plan->arena;
    const char *path = listed_path(source, image), **files;
    int count;
    if (!path) return COVER_ERROR_MEMORY;
    const char *file = path_name(path), *name = arena_text(arena, file, (size_t)(image_extension(path) - file));
    if (!name) return COVER_ERROR_MEMORY;
    TRY(version1_files(source, path, &files, &count));
    struct pack_item *item = add_case(source, name, files, count, split);
    if (!item) return COVER_ERROR_MEMORY;
    for (int c = 0; c < count && !item->unusable; c++)
        if (!file_exists(files[c])) TRY(unusable(item, arena_print(arena, "dataset.json lists it, but there is no such file")));
    if (!label) return COVER_OK;
    const char *map = listed_path(source, label);
    return map ? find_label(source, item, map) : COVER_ERROR_MEMORY;
}

cover_status nnunet_version1_cases(const struct nnunet *source, const char *field, const json_t *cases, cover_split split) {
    const int64_t before = source->plan->count;
    const json_t *entry;
    size_t i;
    json_array_foreach((json_t *)cases, i, entry) {
        const json_t *image = json_is_object(entry) ? json_object_get(entry, "image") : entry,
                     *label = json_object_get(entry, "label");
        if (!json_is_string(image) || (label && !json_is_string(label)))
            return fail(COVER_ERROR_FORMAT, "%s: \"%s\": entry %zu must have \"image\", a file, and may have \"label\", a file",
                        source->json, field, i);
        TRY(add_version1_case(source, image, label, split));
    }
    tell_outside(source, before);
    return COVER_OK;
}
