/* Images to predict: one file, a folder of images, a folder in nnU-Net's manner (github.com/MIC-DKFZ/nnUNet,
 * documentation/dataset_format.md).  See predict_cases.h. */
#include "predict_cases.h"

#include "core/base/files.h"
#include "core/base/number.h"
#include "io/dicom/identity.h"

#include <stdlib.h>
#include <string.h>

static struct predict_case *add_case(struct predict_cases *cases) {
    if (cases->count == cases->capacity) {
        int64_t capacity = cases->capacity ? 2 * cases->capacity : 64;
        struct predict_case *larger = memory_zero(cases->plan.context, (size_t)capacity * sizeof *larger);
        if (!larger) return NULL;
        if (cases->count) memcpy(larger, cases->cases, (size_t)cases->count * sizeof *larger);
        memory_free(cases->plan.context, cases->cases);
        cases->cases = larger, cases->capacity = capacity;
    }
    return &cases->cases[cases->count++];
}

/* The channel that NAME_XXXX.EXT is, -1 when it is not named so; length: of NAME. */
static int channel_of(const char *path, size_t *length) {
    size_t stem = (size_t)(image_extension(path) - path);
    if (stem < 6 || path[stem - 5] != '_' || path[stem - 6] == '/') return -1;
    for (size_t i = stem - 4; i < stem; i++)
        if (!is_digit(path[i])) return -1;
    *length = stem - 5;
    return atoi(path + stem - 4);
}

/* Files first .. next - 1 (relative to `folder`) become one image. */
static cover_status make_case(struct predict_cases *cases, const char *folder, const char *const *paths, int count, bool channels) {
    struct arena *arena = &cases->plan.arena;
    struct predict_case *item = add_case(cases);
    const char **files = arena_alloc(arena, (size_t)count * sizeof *files);
    const char *extension = image_extension(paths[0]);
    size_t length = (size_t)(extension - paths[0]), other;
    if (!item || !files) return COVER_ERROR_MEMORY;
    if (channels) channel_of(paths[0], &length);
    *item = (struct predict_case){.files = files, .file_count = count};
    for (int i = 0; i < count; i++) {
        files[i] = *folder ? arena_print(arena, "%s/%s", folder, paths[i]) : arena_text(arena, paths[i], strlen(paths[i]));
        if (!files[i]) return COVER_ERROR_MEMORY;
        if (channels && !item->unusable && channel_of(paths[i], &other) != i)
            item->unusable = arena_print(arena, "channel %04d of this case is missing: there is no %.*s_%04d%s", i, (int)length,
                                         paths[0], i, extension);
    }
    item->name = arena_text(arena, paths[0], length);
    const struct image_format *format = image_format_of(paths[0]);
    item->extension = format && !format->write_label ? ".png" : arena_text(arena, extension, strlen(extension));
    return item->name && item->extension ? COVER_OK : COVER_ERROR_MEMORY;
}

/* How many files from the first on are channels of one image. */
static int group_size(const struct pack_files *files, int64_t first) {
    size_t length = 0, other;
    int64_t next = first + 1;
    channel_of(files->paths[first], &length);
    while (next < files->count && channel_of(files->paths[next], &other) >= 0 && other == length &&
           strncmp(files->paths[next], files->paths[first], length) == 0)
        next++;
    return (int)(next - first);
}

/* Every file is a numbered channel, one of them the first, and no image has more than it may have. */
static bool channels_apart(const struct pack_files *files, int channel_files) {
    bool any_first = false;
    size_t length;
    for (int64_t i = 0; i < files->count; i++) {
        int channel = channel_of(files->paths[i], &length);
        if (channel < 0) return false;
        any_first = any_first || channel == 0;
    }
    for (int64_t first = 0, size; first < files->count; first += size)
        if ((size = group_size(files, first)) > channel_files) return false;
    return any_first;
}

static cover_status add_folder(struct predict_cases *cases, const char *folder, int channel_files) {
    struct pack_files files;
    TRY(pack_walk(&files, &cases->plan, folder));
    cover_status status = COVER_OK;
    bool apart = channels_apart(&files, channel_files);
    if (files.count == 0 && files.dicom > 0) status = pack_dicom_add(&cases->plan, folder);
    else if (files.count == 0)
        status = fail(COVER_ERROR_IO, "%s: there is no image in this folder (.png, .jpg, .tif, .nii, .nii.gz, DICOM)", folder);
    else if (files.dicom > 0)
        log_line(cases->plan.context, COVER_LOG_WARNING,
                 "%s: beside its images are %lld DICOM files, which are left out; give them a folder of "
                 "their own",
                 folder, (long long)files.dicom);
    for (int64_t first = 0; first < files.count && status == COVER_OK;) {
        int count = apart ? group_size(&files, first) : 1;
        status = make_case(cases, folder, files.paths + first, count, apart);
        first += count;
    }
    pack_files_free(&files, &cases->plan);
    return status;
}

/* A raw dataset of nnU-Net: its test images, or where there are none those of training. */
static cover_status add_dataset(struct predict_cases *cases, const char *folder, int channel_files) {
    static const char *const names[] = {"imagesTs", "imagesTr"};
    for (int i = 0; i < 2; i++) {
        const char *images = arena_print(&cases->plan.arena, "%s/%s", folder, names[i]);
        if (!images) return COVER_ERROR_MEMORY;
        if (folder_exists(images)) return add_folder(cases, images, channel_files);
    }
    return fail(COVER_ERROR_IO, "%s: has dataset.json, but neither imagesTs nor imagesTr", folder);
}

/* CASE_0000.EXT brings its further channels along. */
static cover_status add_file(struct predict_cases *cases, const char *path, int channel_files) {
    struct arena *arena = &cases->plan.arena;
    const char *name = path_name(path), *extension = image_extension(path);
    const char *folder = arena_text(arena, path, name > path ? (size_t)(name - path - 1) : 0);
    size_t length;
    bool channels = channel_of(name, &length) == 0;
    if (name == path + 1) folder = "/.";
    if (!folder) return COVER_ERROR_MEMORY;
    const char **names = arena_alloc(arena, (size_t)channel_files * sizeof *names);
    int count = 0;
    for (; names && count < channel_files && (channels || count == 0); count++) {
        const char *full = count ? arena_print(arena, "%.*s%04d%s", (int)(extension - path - 4), path, count, extension) : path;
        if (!full) return COVER_ERROR_MEMORY;
        if (count && !file_exists(full)) break;
        names[count] = path_name(full);
    }
    return names ? make_case(cases, folder, names, count, channels) : COVER_ERROR_MEMORY;
}

static int compare_results(const void *a, const void *b) {
    const struct predict_case *left = *(struct predict_case *const *)a, *right = *(struct predict_case *const *)b;
    int order = strcmp(left->name, right->name);
    if (!order) order = strcmp(left->extension, right->extension);
    return order ? order : (left > right) - (left < right);
}

/* Two images may not give one result: the later one is left out. */
static cover_status find_doubles(struct predict_cases *cases, bool by_name) {
    cover_context *context = cases->plan.context;
    struct predict_case **sorted = memory_alloc(context, (size_t)cases->count * sizeof *sorted);
    if (!sorted) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < cases->count; i++) sorted[i] = &cases->cases[i];
    qsort(sorted, (size_t)cases->count, sizeof *sorted, compare_results);
    cover_status status = COVER_OK;
    for (int64_t i = 1; i < cases->count && status == COVER_OK; i++) {
        const struct predict_case *before = sorted[i - 1];
        if (strcmp(before->name, sorted[i]->name) != 0 || (!by_name && strcmp(before->extension, sorted[i]->extension) != 0))
            continue;
        sorted[i]->unusable =
            arena_print(&cases->plan.arena, "its result would have the name of that of %s; rename one of them", before->files[0]);
        if (!sorted[i]->unusable) status = COVER_ERROR_MEMORY;
    }
    memory_free(context, sorted);
    return status;
}

cover_status predict_cases_create(struct predict_cases *cases, cover_context *context, const char *input, int channel_files,
                                  bool by_name, const cover_dicom_options *dicom) {
    bool is_dicom = false;
    *cases = (struct predict_cases){.plan = {.context = context, .arena = {.context = context}}, .pack.dicom = dicom};
    cases->plan.options = &cases->pack;
    char *json = path_join(context, input, "dataset.json");
    cover_status status = COVER_ERROR_MEMORY;
    if (json && folder_exists(input))
        status = file_exists(json) ? add_dataset(cases, input, channel_files) : add_folder(cases, input, channel_files);
    else if (json && file_exists(input) && !image_format_of(input) && dicom_is_file(input, &is_dicom) == COVER_OK && is_dicom)
        status = pack_dicom_add(&cases->plan, input);
    else if (json && file_exists(input)) status = add_file(cases, input, channel_files);
    else if (json) status = fail(COVER_ERROR_IO, "%s: there is no such image or folder", input);
    memory_free(context, json);
    if (status == COVER_OK) status = find_doubles(cases, by_name);
    if (status != COVER_OK) predict_cases_free(cases);
    return status;
}

/* ---- DICOM */

static cover_status add_volume(struct predict_cases *cases, const struct dicom_identity *identity, int index) {
    struct arena *arena = &cases->plan.arena;
    const struct dicom_volume *volume = &cases->plan.dicom->volumes[index];
    char series[DICOM_SERIES_BYTES];
    struct predict_case *item = add_case(cases);
    const char **files = arena_alloc(arena, sizeof *files);
    if (!item || !files) return COVER_ERROR_MEMORY;
    dicom_series_name(cases->plan.dicom, index, series);
    files[0] = arena_text(arena, series, strlen(series));
    *item = (struct predict_case){.files = files, .file_count = 1, .volume = volume, .extension = ""};
    item->name = arena_print(arena, "P%04d_S%02d", identity->patient, identity->series);
    if (volume->refusal) item->unusable = arena_text(arena, volume->refusal, strlen(volume->refusal));
    return files[0] && item->name && (item->unusable || !volume->refusal) ? COVER_OK : COVER_ERROR_MEMORY;
}

static bool fits(const struct cover_dicom *set, int index, int dims, int channels) {
    struct image image;
    const struct dicom_volume *volume = &set->volumes[index];
    dicom_volume_look(&image, set, index, volume->images ? 0 : -1);
    image_take_dims(&image, dims);
    return image.dims == dims && (channels == 0 || image.channels == channels) && !volume->localizer;
}

/* Without a word the only one that fits; where none does the only one there is, so that it is said what is wrong with it. */
static cover_status choose(bool *chosen, const struct cover_dicom *set, const char *series, int dims, int channels) {
    int *indices = memory_alloc(set->context, ((size_t)set->volume_count + 1) * sizeof *indices), count = 0, only;
    cover_status status = COVER_OK;
    if (!indices) return COVER_ERROR_MEMORY;
    for (int i = 0; i < set->volume_count; i++) {
        const bool meant = series ? strcmp(series, "all") == 0 || dicom_is_meant(set, i, series) : fits(set, i, dims, channels);
        if (meant) chosen[i] = true, indices[count++] = i;
    }
    if (!series && count > 1) status = dicom_several(set, indices, count, "fit this task");
    if (count == 0) status = cover_dicom_find(set, series, &only);
    if (count == 0 && status == COVER_OK) chosen[only] = true;
    memory_free(set->context, indices);
    return status;
}

cover_status predict_cases_of_dicom(struct predict_cases *cases, const char *series, int dims, int channels) {
    struct cover_dicom *set = cases->plan.dicom;
    struct dicom_identity *identities = NULL;
    bool *chosen = NULL;
    int count;
    cover_status status;
    GO(cover_dicom_volumes(set, &count));
    GO(dicom_identities(&identities, set));
    chosen = memory_zero(set->context, (size_t)count + 1);
    GO(chosen ? COVER_OK : COVER_ERROR_MEMORY);
    GO(choose(chosen, set, series, dims, channels));
    for (int i = 0; i < count; i++)
        if (chosen[i]) GO(add_volume(cases, &identities[i], i));
done:
    memory_free(set->context, identities);
    memory_free(set->context, chosen);
    return status;
}

void predict_cases_free(struct predict_cases *cases) {
    if (!cases->plan.context) return;
    memory_free(cases->plan.context, cases->cases);
    cover_dicom_destroy(cases->plan.dicom);
    arena_free(&cases->plan.arena);
    *cases = (struct predict_cases){0};
}
