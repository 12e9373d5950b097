/* See output_dicom.h. */
#include "output_dicom.h"

#include "core/base/files.h"
#include "core/base/memory.h"
#include "io/dicom/moment.h"

#include <stdlib.h>
#include <string.h>

struct result {
    struct output_files *files;
    const struct predict_case *item;
    const struct image *label;
    const float *scores;
    const char *path;
};

/* A label map in the grid that the network saw, which a NIfTI file says twice. */
static cover_status write_nifti(const struct result *result) {
    return label_write(result->files->context, result->path, result->label, NULL);
}

/* ---- objects */

static int take(void *user, const void *bytes, size_t count) { return replacement_write(user, bytes, count) != COVER_OK; }

typedef cover_status write_object(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                                  cover_write_fn *write, void *user);

static bool is_fractional(const struct output_files *files) {
    return files->seg.type && strcmp(files->seg.type, "fractional") == 0;
}

/* Labels, or the probabilities of a fractional segmentation, of what reports on it, and of what shows it. */
static cover_status make_tensor(cover_tensor **tensor, const struct result *result, bool fractional) {
    const struct image *label = result->label;
    const int64_t classes = result->files->settings->task.classes;
    const int64_t shape[4] = {classes, label->size[0], label->size[1], label->size[2]};
    return cover_tensor_view(tensor, result->files->context, fractional ? COVER_F32 : label->dtype, fractional ? 4 : 3,
                             fractional ? shape : shape + 1, NULL, fractional ? (const void *)result->scores : label->data);
}

static cover_status write_file(const struct result *result, write_object *put) {
    struct output_files *files = result->files;
    cover_seg_options options = files->seg;
    struct replacement file = {.descriptor = -1};
    cover_tensor *tensor = NULL;
    cover_status status;
    options.class_names = files->class_names, options.classes = (int)files->settings->task.classes;
    options.task = files->task, options.weights_sha256 = files->weights_sha256;
    GO(make_tensor(&tensor, result, is_fractional(files)));
    GO(replacement_begin(&file, files->context, result->path));
    GO(put(files->dicom, (int)(result->item->volume - files->dicom->volumes), tensor, &options, take, &file));
    GO(replacement_commit(&file, files->context));
done:
    replacement_abandon(&file, files->context);
    cover_tensor_destroy(tensor);
    return status;
}

static cover_status write_seg(const struct result *result) { return write_file(result, cover_dicom_write_seg); }
static cover_status write_sr(const struct result *result) { return write_file(result, cover_dicom_write_sr); }
static cover_status write_sc(const struct result *result) { return write_file(result, cover_dicom_write_sc); }

/* ---- the table: the first is the usual one; objects lie on the slices as they were sent, and come behind */

static const struct format {
    const char *name, *extension;
    bool object;
    cover_status (*write)(const struct result *result);
} formats[] = {
    {"dicom-seg", ".seg.dcm", true, write_seg},
    {"dicom-sr", ".sr.dcm", true, write_sr},
    {"dicom-sc", ".sc.dcm", true, write_sc},
    {"nifti", ".nii.gz", false, write_nifti},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static const char *next_word(const char *word) {
    const char *comma = strchr(word, ',');
    return comma ? comma + 1 : NULL;
}

static bool is_word(const char *word, const struct format *format) {
    const size_t length = strlen(format->name);
    return strcspn(word, ",") == length && strncmp(word, format->name, length) == 0;
}

static bool is_wanted(const char *as, const struct format *format) {
    if (!as) return format == formats;
    for (const char *word = as; word; word = next_word(word))
        if (is_word(word, format)) return true;
    return false;
}

cover_status output_dicom_check(const char *as) {
    struct names names = {0};
    for (int f = 0; f < FORMATS; f++) names_add(&names, formats[f].name);
    for (const char *word = as; word; word = next_word(word)) {
        int f = 0;
        while (f < FORMATS && !is_word(word, &formats[f])) f++;
        if (f == FORMATS) return fail(COVER_ERROR_ARGUMENT, "as \"%s\": known are %s", as, names.text);
    }
    return COVER_OK;
}

/* One time for all objects of a job, so that a report names the segmentation beside it. */
cover_status output_dicom_begin(struct output_files *files) {
    struct moment now;
    if (files->seg.time) return COVER_OK;
    moment_now(&now);
    const int zone = abs(now.zone);
    files->seg.time =
        arena_print(files->arena, "%04d-%02d-%02dT%02d:%02d:%02d.%06d%c%02d:%02d", now.year, now.month, now.day, now.hour,
                    now.minute, now.second, now.microsecond, now.zone < 0 ? '-' : '+', zone / 60, zone % 60);
    return files->seg.time ? COVER_OK : COVER_ERROR_MEMORY;
}

bool output_dicom_scores(const struct output_files *files) {
    bool objects = false;
    for (int f = 0; f < FORMATS; f++) objects = objects || (formats[f].object && is_wanted(files->as, &formats[f]));
    return objects && is_fractional(files);
}

/* The label, and where they are written the probabilities, onto the slices as they were sent (R31). */
static cover_status send_back(struct result *result, struct image *label, float **moved) {
    cover_context *context = result->files->context;
    const int64_t voxels = label->size[0] * label->size[1] * label->size[2], classes = result->files->settings->task.classes;
    TRY(dicom_tilt_back(label, context, result->item->volume));
    if (!is_fractional(result->files) || !result->scores) return COVER_OK;
    *moved = memory_within(context, (size_t)(classes * voxels) * sizeof **moved);
    if (!*moved) return COVER_ERROR_MEMORY;
    memcpy(*moved, result->scores, (size_t)(classes * voxels) * sizeof **moved);
    for (int64_t k = 0; k < classes; k++) {
        struct image plane = *label;
        plane.dtype = COVER_F32, plane.data = *moved + k * voxels;
        TRY(dicom_tilt_back(&plane, context, result->item->volume));
    }
    result->scores = *moved;
    return COVER_OK;
}

cover_status output_dicom_write(struct output_files *files, const struct predict_case *item, struct image *label,
                                const float *scores) {
    struct result result = {.files = files, .item = item, .label = label, .scores = scores};
    bool sent = item->volume->tilt_degrees == 0; /* the label lies on the slices as they were sent */
    cover_status status = COVER_OK;
    float *moved = NULL;
    for (int objects = 0; objects < 2; objects++)
        for (int f = 0; f < FORMATS; f++) {
            if (formats[f].object != (objects == 1) || !is_wanted(files->as, &formats[f])) continue;
            if (objects && !sent) GO(send_back(&result, label, &moved));
            sent = sent || objects;
            result.path = arena_print(files->arena, "%s/%s%s", files->folder, item->name, formats[f].extension);
            GO(result.path ? formats[f].write(&result) : COVER_ERROR_MEMORY);
        }
done:
    memory_free(files->context, moved);
    return status;
}
