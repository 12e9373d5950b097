/* Prediction of image files (include/libcover/predictor.h): each read, predicted and written in its own format and geometry.
 * An image that cannot be used is listed and left out; a result that cannot be written ends the work. */
#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "core/base/memory.h"
#include "output_dicom.h"
#include "predictor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED = 20 /* unusable images that are named, and odd ones; the others are counted */ };

struct job {
    cover_context *context;
    cover_predictor *predictor;
    cover_predict_options options;
    struct predict_cases cases;
    const struct task_output *output;
    struct output_files files;
    struct text bad;    /* lines about what cannot be used */
    struct text failed; /* the same as JSON, [{file, reason}] without the brackets */
    int64_t bad_count, odd_count, written;
    size_t made; /* where in the folder's path begins what was not there before */
    bool memory; /* an image that may be well: memory was short */
};

/* ---- one image */

/* What is odd about an image that is predicted all the same. */
static void warn(struct job *job, const struct predict_case *item, const struct image *image) {
    const struct image_rules *rules = &predictor_about(job->predictor)->rules;
    char code[ORIENTATION_BYTES];
    if (image->note[0] && job->odd_count++ < LISTED)
        log_line(job->context, COVER_LOG_WARNING, "predict: %s: %s", item->files[0], image->note);
    const struct dicom_volume *volume = item->volume;
    const char *at = volume && volume->images ? dicom_spacing_names[volume->spacing_at] : "";
    if (rules->spacing_at[0] && *at && strcmp(at, rules->spacing_at) != 0 && job->odd_count++ < LISTED)
        log_line(job->context, COVER_LOG_WARNING,
                 "predict: %s: the spacing of its pixels is \"%s\", that of the training images \"%s\"", item->files[0], at,
                 rules->spacing_at);
    if (!rules->orientation[0] || rules->orient || !orientation_of(image, code) || strcmp(code, rules->orientation) == 0) return;
    if (job->odd_count++ < LISTED)
        log_line(
            job->context, COVER_LOG_WARNING,
            "predict: %s: it is stored as %s, the training images as %s: it is mirrored or turned for the network; store it alike, "
            "or train with an orientation",
            item->files[0], code, rules->orientation);
}

static cover_status predict_files(struct job *job, const struct predict_case *item, struct image *label, float **scores) {
    struct image image = {0};
    int64_t count;
    cover_status status;
    GO(image_read_files(&image, job->context, item->files, item->file_count));
    warn(job, item, &image);
    GO(predictor_scores(job->predictor, &image, &count));
    if (job->options.scores || job->output->scores) {
        *scores = memory_within(job->context, (size_t)count * sizeof **scores);
        GO(*scores ? COVER_OK : COVER_ERROR_MEMORY);
    }
    status = predictor_image(job->predictor, &image, *scores, label);
    if (status != COVER_OK) GO(fail_in(status, "%s", item->files[0]));
done:
    image_free(&image, job->context);
    return status;
}

static cover_status predict_volume(struct job *job, const struct predict_case *item, struct image *label, float **scores) {
    const struct cover_dicom *set = job->cases.plan.dicom;
    const bool wanted = job->options.scores || job->output->scores || output_dicom_scores(&job->files);
    struct image image;
    const cover_status status =
        predictor_volume(job->predictor, set, (int)(item->volume - set->volumes), wanted ? scores : NULL, label, &image);
    if (status == COVER_OK) warn(job, item, &image);
    /* readers have said which series and image it is */
    return status == COVER_OK || strncmp(cover_error_text(), "series ", 7) == 0 ? status : fail_in(status, "%s", item->files[0]);
}

/* *bad: the image is to blame, not what became of its result. */
static cover_status predict_case(struct job *job, const struct predict_case *item, bool *bad) {
    struct image label = {0};
    float *scores = NULL;
    *bad = false;
    if (item->volume) TRY(output_dicom_start(&job->files, item));
    *bad = true;
    cover_status status = item->unusable ? fail(COVER_ERROR_FORMAT, "%s: %s", item->files[0], item->unusable)
                                         : (item->volume ? predict_volume : predict_files)(job, item, &label, &scores);
    if (status == COVER_OK) {
        *bad = false;
        status = job->output->write(&job->files, item, &label, scores);
        if (status == COVER_OK && item->volume && !predictor_kind(job->predictor)->dense) status = output_dicom_done(&job->files);
    }
    if (status != COVER_OK && item->volume) status = output_dicom_failed(&job->files, item, status);
    image_free(&label, job->context);
    memory_free(job->context, scores);
    return status;
}

static void note_bad(struct job *job, const struct predict_case *item, cover_status status) {
    job->memory = job->memory || status == COVER_ERROR_MEMORY;
    const bool listed = job->bad_count < LISTED, skip = job->options.skip_bad; /* else the error says it */
    if (listed && skip) log_line(job->context, COVER_LOG_WARNING, "predict: %s", cover_error_text());
    if (listed) text_add(&job->bad, "\n  %s", cover_error_text());
    text_add(&job->failed, "%s{\"file\": ", job->bad_count ? ", " : "");
    text_add_json(&job->failed, item->files[0]);
    text_add(&job->failed, ", \"reason\": ");
    text_add_json(&job->failed, cover_error_text());
    text_add(&job->failed, "}");
    job->bad_count++;
}

static cover_status predict_all(struct job *job) {
    for (int64_t i = 0; i < job->cases.count; i++) {
        bool bad;
        cover_status status = predict_case(job, &job->cases.cases[i], &bad);
        if (status == COVER_ERROR_CANCELLED || (status != COVER_OK && !bad)) return status;
        if (status == COVER_OK) job->written++;
        else note_bad(job, &job->cases.cases[i], status);
        TRY(progress_call(job->context, job->options.progress, job->options.user, i + 1, job->cases.count, "image"));
    }
    return COVER_OK;
}

/* ---- the whole */

/* What a former call wrote must not be taken for images, nor an image be replaced by its label. */
static cover_status check_apart(const char *input, const char *output) {
    char *in = realpath(input, NULL), *out = realpath(output, NULL);
    cover_status status = COVER_OK;
    if (in && out) {
        if (!folder_exists(in)) in[path_name(in) > in + 1 ? path_name(in) - in - 1 : 1] = 0;
        size_t length = strlen(in);
        bool within = strncmp(in, out, length) == 0 && (out[length] == 0 || (out[length] == '/' && folder_exists(input)));
        if (within) status = fail(COVER_ERROR_ARGUMENT, "%s: is where the images are; write the results to another folder", output);
    }
    free(in);
    free(out);
    return status;
}

/* Where in the path begins what is not there yet; its length when all is. */
static size_t missing_from(const char *path) {
    size_t length = strlen(path);
    for (size_t at = 1; at <= length; at++) {
        char before[PATH_MAX];
        if ((at < length && path[at] != '/') || at >= sizeof before) continue;
        snprintf(before, sizeof before, "%.*s", (int)at, path);
        if (!folder_exists(before)) return at;
    }
    return length + 1;
}

/* No folder stays that was made for results of which there are none. */
static void remove_made(const struct job *job) {
    char path[PATH_MAX];
    if (job->written || !job->made || snprintf(path, sizeof path, "%s", job->files.folder) >= (int)sizeof path) return;
    for (size_t at = strlen(path); at >= job->made && at > 0; at--) {
        if (path[at] && path[at] != '/') continue;
        path[at] = 0;
        if (!path_remove_folder(path)) return;
    }
}

/* What objects call the task: the folder of its run, or its file. */
static const char *task_name(struct job *job, const char *task) {
    size_t length = strlen(task);
    while (length > 1 && task[length - 1] == '/') length--;
    const char *whole = arena_text(&job->cases.plan.arena, task, length);
    if (whole && strcmp(path_name(whole), "weights.safetensors") == 0 && path_name(whole) > whole + 1)
        whole = arena_text(&job->cases.plan.arena, whole, (size_t)(path_name(whole) - whole) - 1);
    return whole ? path_name(whole) : NULL;
}

static cover_status begin(struct job *job, const char *task, const char *input) {
    TRY(cover_predictor_load(&job->predictor, job->context, task, job->options.predictor));
    const struct task_about *about = predictor_about(job->predictor);
    const struct settings *settings = predictor_settings(job->predictor);
    job->output = task_output_of(job->context, &settings->task);
    /* scores that are asked for are files named after the image, whatever its format; those of an image are rows of one file */
    TRY(predict_cases_create(&job->cases, job->context, input, about->rules.channels ? 1 : (int)settings->network.channels,
                             job->options.scores && !job->output->scores, job->options.dicom));
    if (job->cases.plan.dicom)
        TRY(predict_cases_of_dicom(&job->cases, job->options.series, (int)settings->network.dims,
                                   about->rules.channels ? 0 : (int)settings->network.channels));
    job->made = missing_from(job->files.folder);
    TRY(folder_create(job->files.folder));
    TRY(check_apart(input, job->files.folder));
    TRY(temporaries_remove(job->context, job->files.folder));
    job->files.settings = settings, job->files.class_names = (const char *const *)about->class_names;
    job->files.arena = &job->cases.plan.arena;
    job->files.dicom = job->cases.plan.dicom;
    job->files.scores = job->options.scores;
    if (job->cases.plan.dicom) {
        predictor_weights_hash(job->predictor, job->files.weights_sha256);
        if (job->options.seg) TRY(options_read(&job->files.seg, sizeof job->files.seg, job->options.seg, "cover_seg_options"));
        if (!job->files.seg.segments) job->files.seg.segments = about->segments;
        job->files.task = task_name(job, task);
        TRY(output_dicom_begin(&job->files, &job->options));
    }
    return job->output->begin ? job->output->begin(&job->files) : COVER_OK;
}

/* A kind's one file for all images is written, whatever has ended the work: what was done is kept. */
static cover_status end(struct job *job, cover_status ended) {
    if (!job->output->end || job->written == 0) return ended;
    if (ended == COVER_OK) return job->output->end(&job->files);
    char why[ERROR_TEXT_BYTES];
    snprintf(why, sizeof why, "%s", cover_error_text());
    if (!job->files.rows.failed) job->output->end(&job->files);
    return fail_text(ended, why);
}

static cover_status judge(struct job *job) {
    if (job->bad_count > LISTED && job->options.skip_bad)
        log_line(job->context, COVER_LOG_WARNING, "predict: and %lld more (the summary has all)",
                 (long long)job->bad_count - LISTED);
    if (job->bad_count == 0 || job->options.skip_bad) return COVER_OK;
    if (job->bad_count > LISTED) text_add(&job->bad, "\n  and %lld more", (long long)job->bad_count - LISTED);
    cover_status status = job->memory ? COVER_ERROR_MEMORY : COVER_ERROR_FORMAT;
    return fail_list(status, &job->bad, "%lld of %lld images could not be predicted%s:", (long long)job->bad_count,
                     (long long)job->cases.count, job->written ? " (the others are done)" : "");
}

static cover_status summarise(const struct job *job, double seconds, char **summary) {
    struct text text = {.context = job->context};
    if (job->failed.failed) return COVER_ERROR_MEMORY;
    text_add(&text, "{\"task\": \"%s\", \"classes\": %lld, \"images\": %lld, \"written\": %lld, \"seconds\": %.4f, \"output\": ",
             predictor_kind(job->predictor)->noun, (long long)predictor_settings(job->predictor)->task.classes,
             (long long)job->cases.count, (long long)job->written, seconds);
    text_add_json(&text, job->files.folder);
    text_add(&text, ", \"failed\": [%s]}", job->failed.data ? job->failed.data : "");
    return text_take(&text, summary);
}

cover_status cover_images_predict(char **summary, cover_context *context, const char *task, const char *input, const char *output,
                                  const cover_predict_options *given) {
    if (!context || !task || !input || !output) return fail(COVER_ERROR_ARGUMENT, "cover_images_predict: an argument is NULL");
    struct job job = {.context = context,
                      .options = COVER_PREDICT_OPTIONS_INIT,
                      .files = {.context = context, .folder = output, .rows.context = context, .seg = COVER_SEG_OPTIONS_INIT},
                      .bad.context = context,
                      .failed.context = context};
    double start = seconds_now();
    TRY(options_read(&job.options, sizeof job.options, given, "cover_predict_options"));
    TRY(output_dicom_check(job.options.as));
    cover_status status;
    GO(begin(&job, task, input));
    GO(end(&job, predict_all(&job)));
    GO(judge(&job));
    if (summary) status = summarise(&job, seconds_now() - start, summary);
done:
    remove_made(&job);
    text_free(&job.bad);
    text_free(&job.failed);
    text_free(&job.files.rows);
    output_dicom_end(&job.files);
    predict_cases_free(&job.cases);
    cover_predictor_destroy(job.predictor);
    return status;
}
