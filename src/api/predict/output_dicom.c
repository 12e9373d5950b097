/* See output_dicom.h. */
#include "output_dicom.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "core/base/memory.h"
#include "io/dicom/identity.h"
#include "io/dicom/moment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct result {
    struct output_files *files;
    const struct predict_case *item;
    const struct image *label;
    const float *scores;
    struct replacement *file; /* of it */
};

/* A label map in the grid that the network saw, which a NIfTI file says twice. */
static cover_status write_nifti(const struct result *result) {
    return nifti_put_label(result->files->context, result->file, result->label);
}

/* ---- objects */

/* Where an object's bytes go, and why they could not. */
struct taker {
    struct replacement *file;
    cover_status status;
    char text[ERROR_TEXT_BYTES];
};
static int take(void *user, const void *bytes, size_t count) {
    struct taker *taker = user;
    taker->status = replacement_write(taker->file, bytes, count);
    if (taker->status != COVER_OK) snprintf(taker->text, sizeof taker->text, "%s", cover_error_text());
    return taker->status != COVER_OK;
}

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

static int index_of(const struct output_files *files, const struct predict_case *item) {
    return (int)(item->volume - files->dicom->volumes);
}

static cover_status put_object(const struct result *result, write_object *put) {
    struct output_files *files = result->files;
    cover_seg_options options = files->seg;
    cover_tensor *tensor;
    options.class_names = files->class_names, options.classes = (int)files->settings->task.classes;
    options.task = files->task, options.weights_sha256 = files->weights_sha256;
    TRY(make_tensor(&tensor, result, is_fractional(files)));
    struct taker taker = {.file = result->file};
    const cover_status status = put(files->dicom, index_of(files, result->item), tensor, &options, take, &taker);
    cover_tensor_destroy(tensor);
    return taker.status != COVER_OK ? fail_text(taker.status, taker.text) : status;
}

static cover_status write_seg(const struct result *result) { return put_object(result, cover_dicom_write_seg); }
static cover_status write_sr(const struct result *result) { return put_object(result, cover_dicom_write_sr); }
static cover_status write_sc(const struct result *result) { return put_object(result, cover_dicom_write_sc); }

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

/* ---- the work */

/* All that decides about results, as a text: a job that is run again has the same. */
static const char *facts_of(const struct output_files *files, const cover_predict_options *options) {
    const cover_seg_options *seg = &files->seg;
    const cover_dicom_options *dicom = &files->dicom->options;
    const cover_predictor_options *predictor = options->predictor;
    const char *words[] = {files->as,
                           seg->type,
                           seg->segments,
                           seg->description,
                           seg->uid_root,
                           files->task,
                           dicom->tilt,
                           dicom->padding,
                           dicom->window,
                           predictor ? predictor->mirror : NULL,
                           predictor ? predictor->precision : NULL};
    const char *text = "";
    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        text = arena_print(files->arena, "%s%s\n", text, words[i] ? words[i] : "");
    return text ? arena_print(files->arena, "%s%d %d %g %d %g %d", text, seg->empty_frames, seg->series_number,
                              dicom->spacing_tolerance, dicom->skip_bad, predictor ? predictor->overlap : 0,
                              predictor ? predictor->channels : 0)
                : NULL;
}

/* One time for all objects of a job, so that a report names the segmentation beside it. */
static cover_status say_now(struct output_files *files) {
    struct moment now;
    moment_now(&now);
    const int zone = abs(now.zone);
    files->seg.time =
        arena_print(files->arena, "%04d-%02d-%02dT%02d:%02d:%02d.%06d%c%02d:%02d", now.year, now.month, now.day, now.hour,
                    now.minute, now.second, now.microsecond, now.zone < 0 ? '-' : '+', zone / 60, zone % 60);
    return files->seg.time ? COVER_OK : COVER_ERROR_MEMORY;
}

cover_status output_dicom_begin(struct output_files *files, const cover_predict_options *options) {
    struct dicom_identity *identities = NULL;
    files->as = options->as;
    files->facts = facts_of(files, options);
    if (!files->facts) return COVER_ERROR_MEMORY;
    files->once = files->seg.time && strcmp(files->seg.time, "once") == 0;
    if (files->once && !options->audit)
        return fail(COVER_ERROR_ARGUMENT, "time once is that of the first start in the audit; name its file by option audit");
    if (!files->seg.time) TRY(say_now(files));
    TRY(audit_open(&files->audit, files->context, options->audit, options->audit_key));
    if (!options->link) return COVER_OK;
    cover_status status = dicom_identities(&identities, files->dicom);
    if (status == COVER_OK) status = dicom_link_write(files->dicom, identities, options->link);
    memory_free(files->context, identities);
    return status;
}

void output_dicom_end(struct output_files *files) {
    if (files->audit.context) audit_close(&files->audit);
}

bool output_dicom_scores(const struct output_files *files) {
    bool objects = false;
    for (int f = 0; f < FORMATS; f++) objects = objects || (formats[f].object && is_wanted(files->as, &formats[f]));
    return objects && is_fractional(files);
}

cover_status output_dicom_start(struct output_files *files, const struct predict_case *item) {
    files->job = (struct audit_job){.verb = "predict", .weights = files->weights_sha256, .options = files->facts};
    if (!files->audit.path) return COVER_OK;
    TRY(audit_volume(&files->job, files->dicom, index_of(files, item)));
    TRY(audit_start(&files->audit, &files->job));
    if (files->once) files->seg.time = files->job.first;
    return COVER_OK;
}

cover_status output_dicom_failed(struct output_files *files, const struct predict_case *item, cover_status status) {
    char reason[ERROR_TEXT_BYTES];
    const struct audit_end end = {
        .status = item->unusable || status == COVER_ERROR_FORMAT || status == COVER_ERROR_SHAPE ? "refused" : "failed",
        .reason = reason};
    snprintf(reason, sizeof reason, "%s", cover_error_text());
    if (files->audit.path) TRY(audit_end(&files->audit, &files->job, &end));
    return fail_text(status, reason);
}

cover_status output_dicom_done(struct output_files *files) {
    const struct audit_end end = {.status = "ok"};
    return files->audit.path ? audit_end(&files->audit, &files->job, &end) : COVER_OK;
}

/* What was written so far, read again. */
static cover_status look_again(struct audit_output *output, const struct replacement *file) {
    uint8_t piece[1 << 14], digest[SHA256_BYTES];
    struct sha256 hash;
    int64_t got;
    sha256_begin(&hash);
    for (output->bytes = 0; (got = descriptor_read_at(file->descriptor, piece, sizeof piece, output->bytes)) > 0;) {
        sha256_add(&hash, piece, (size_t)got);
        output->bytes += (uint64_t)got;
    }
    if (got < 0) return fail_system(file->path, "cannot be read");
    sha256_end(&hash, digest);
    sha256_text(digest, output->sha256);
    return COVER_OK;
}

/* The label, and where they are written the probabilities, onto the slices as they were sent (R31). */
static cover_status send_back(const float **scores, float **moved, const struct output_files *files,
                              const struct predict_case *item, struct image *label) {
    const int64_t voxels = label->size[0] * label->size[1] * label->size[2], classes = files->settings->task.classes;
    TRY(dicom_tilt_back(label, files->context, item->volume));
    if (!is_fractional(files) || !*scores) return COVER_OK;
    *moved = memory_within(files->context, (size_t)(classes * voxels) * sizeof **moved);
    if (!*moved) return COVER_ERROR_MEMORY;
    memcpy(*moved, *scores, (size_t)(classes * voxels) * sizeof **moved);
    for (int64_t k = 0; k < classes; k++) {
        struct image plane = *label;
        plane.dtype = COVER_F32, plane.data = *moved + k * voxels;
        TRY(dicom_tilt_back(&plane, files->context, item->volume));
    }
    *scores = *moved;
    return COVER_OK;
}

/* Complete, beside their places; then the audit says so; then they are moved. */
cover_status output_dicom_write(struct output_files *files, const struct predict_case *item, struct image *label,
                                const float *scores) {
    struct replacement staged[FORMATS];
    struct audit_output outputs[FORMATS];
    const struct audit_check compared = {.name = "compared", .ok = true}; /* objects have been read again, voxel by voxel (R37) */
    bool sent = item->volume->tilt_degrees == 0;                          /* the label lies on the slices as they were sent */
    int count = 0, done_with = 0;
    cover_status status = COVER_OK;
    float *moved = NULL;
    for (int objects = 0; objects < 2; objects++)
        for (int f = 0; f < FORMATS; f++) {
            if (formats[f].object != (objects == 1) || !is_wanted(files->as, &formats[f])) continue;
            if (objects && !sent) GO(send_back(&scores, &moved, files, item, label));
            sent = sent || objects;
            const char *path = arena_print(files->arena, "%s/%s%s", files->folder, item->name, formats[f].extension);
            GO(path ? replacement_begin_private(&staged[count], files->context, path) : COVER_ERROR_MEMORY);
            outputs[count].as = formats[f].name;
            const struct result result = {files, item, label, scores, &staged[count++]};
            GO(formats[f].write(&result));
            if (files->audit.path) GO(look_again(&outputs[count - 1], &staged[count - 1]));
        }
    const struct audit_end end = {.status = "ok", .checks = &compared, .check_count = 1, .outputs = outputs, .output_count = count};
    if (files->audit.path) GO(audit_end(&files->audit, &files->job, &end));
    for (; done_with < count && status == COVER_OK; done_with++) status = replacement_commit(&staged[done_with], files->context);
done:
    for (int i = done_with; i < count; i++) replacement_abandon(&staged[i], files->context);
    memory_free(files->context, moved);
    return status;
}
