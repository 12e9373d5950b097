/* Prediction of image files (include/libcover/predictor.h): each read, predicted and written in its own format and geometry.
 * An image that cannot be used is listed and left out; a result that cannot be written ends the work. */
#include "core/base/files.h"
#include "io/bytes/csv.h"
#include "predict_cases.h"
#include "predictor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED = 20 /* unusable images named in an error text; the log has all of them */ };

struct job {
    cover_context *context;
    cover_predictor *predictor;
    cover_predict_options options;
    const char *output;
    struct predict_cases cases;
    struct text bad; /* lines about what cannot be used */
    struct text csv; /* classification */
    int64_t bad_count, written;
    bool memory; /* an image that may be well: memory was short */
};

/* ---- scores in files */

/* NumPy's format 1.0 (numpy.lib.format): float32 (classes, [D,] H, W). */
static cover_status write_npy(struct job *job, const char *path, const float *scores, int64_t classes, const struct image *image) {
    char head[192];
    const uint16_t one = 1;
    int used = snprintf(head + 10, sizeof head - 10, "{'descr': '%cf4', 'fortran_order': False, 'shape': (%lld",
                        *(const uint8_t *)&one ? '<' : '>', (long long)classes) +
               10;
    int64_t count = classes * image->size[0] * image->size[1] * image->size[2];
    for (int a = 3 - image->dims; a < 3; a++)
        used += snprintf(head + used, sizeof head - (size_t)used, ", %lld", (long long)image->size[a]);
    used += snprintf(head + used, sizeof head - (size_t)used, "), }");
    while ((used + 1) % 64) head[used++] = ' ';
    head[used++] = '\n';
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)((used - 10) & 255), head[9] = (char)((used - 10) >> 8);
    struct replacement file = {.descriptor = -1};
    cover_status status;
    GO(replacement_begin(&file, job->context, path));
    GO(replacement_write(&file, head, (size_t)used));
    GO(replacement_write(&file, scores, (size_t)count * sizeof *scores));
    GO(replacement_commit(&file, job->context));
done:
    replacement_abandon(&file, job->context);
    return status;
}

static void add_row(struct job *job, const struct predict_case *item, const float *scores, int64_t classes) {
    struct text path = {.context = job->context};
    text_add(&path, "%s%s", item->name, image_extension(item->files[0]));
    if (path.failed) job->csv.failed = true;
    else csv_add(&job->csv, path.data);
    for (int64_t c = 0; c < classes; c++) text_add(&job->csv, ",%.9g", (double)scores[c]);
    text_add(&job->csv, "\n");
    text_free(&path);
}

/* ---- one image */

static cover_status make_folder(const struct job *job, const char *path) {
    char *folder = memory_text(job->context, path);
    if (!folder) return COVER_ERROR_MEMORY;
    folder[path_name(folder) - folder - 1] = 0;
    cover_status status = folder_create(folder);
    memory_free(job->context, folder);
    return status;
}

static cover_status write_result(struct job *job, const struct predict_case *item, const struct image *label, const float *scores) {
    int64_t classes = predictor_settings(job->predictor)->task.classes;
    struct arena *arena = &job->cases.plan.arena;
    if (!predictor_kind(job->predictor)->dense) {
        add_row(job, item, scores, classes);
        return job->csv.failed ? COVER_ERROR_MEMORY : COVER_OK;
    }
    const char *path = arena_print(arena, "%s/%s%s", job->output, item->name, item->extension);
    const char *npy = arena_print(arena, "%s/%s.npy", job->output, item->name);
    if (!path || !npy) return COVER_ERROR_MEMORY;
    TRY(make_folder(job, path));
    if (scores) TRY(write_npy(job, npy, scores, classes, label));
    return label_write(job->context, path, label, item->files[0]);
}

/* *bad: the image is to blame, not what became of its result. */
static cover_status predict_case(struct job *job, const struct predict_case *item, bool *bad) {
    struct image image = {0}, label = {0};
    float *scores = NULL;
    int64_t count;
    cover_status status;
    *bad = true;
    if (item->unusable) return fail(COVER_ERROR_FORMAT, "%s: %s", item->files[0], item->unusable);
    GO(image_read_files(&image, job->context, item->files, item->file_count));
    GO(predictor_scores(job->predictor, &image, &count));
    if (job->options.scores || !predictor_kind(job->predictor)->dense) {
        scores = memory_alloc(job->context, (size_t)count * sizeof *scores);
        GO(scores ? COVER_OK : COVER_ERROR_MEMORY);
    }
    status = predictor_image(job->predictor, &image, scores, &label);
    if (status != COVER_OK) GO(fail_in(status, "%s", item->files[0]));
    *bad = false;
    status = write_result(job, item, &label, scores);
done:
    image_free(&image, job->context);
    image_free(&label, job->context);
    memory_free(job->context, scores);
    return status;
}

static void note_bad(struct job *job, cover_status status) {
    job->memory = job->memory || status == COVER_ERROR_MEMORY;
    log_line(job->context, COVER_LOG_WARNING, "predict: %s", cover_error_text());
    if (job->bad_count++ < LISTED) text_add(&job->bad, "\n  %s", cover_error_text());
}

static cover_status predict_all(struct job *job) {
    for (int64_t i = 0; i < job->cases.count; i++) {
        bool bad;
        cover_status status = predict_case(job, &job->cases.cases[i], &bad);
        if (status == COVER_ERROR_CANCELLED || (status != COVER_OK && !bad)) return status;
        if (status == COVER_OK) job->written++;
        else note_bad(job, status);
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

static cover_status begin(struct job *job, const char *task, const char *input) {
    TRY(cover_predictor_load(&job->predictor, job->context, task, job->options.predictor));
    const struct task_about *about = predictor_about(job->predictor);
    const struct settings *settings = predictor_settings(job->predictor);
    TRY(predict_cases_create(&job->cases, job->context, input, about->rules.channels ? 1 : (int)settings->network.channels));
    TRY(folder_create(job->output));
    TRY(check_apart(input, job->output));
    text_add(&job->csv, "file");
    for (int64_t c = 0; c < settings->task.classes; c++) {
        text_add(&job->csv, ",");
        csv_add(&job->csv, about->class_names[c]);
    }
    text_add(&job->csv, "\n");
    return job->csv.failed ? COVER_ERROR_MEMORY : COVER_OK;
}

static cover_status write_csv(struct job *job) {
    if (predictor_kind(job->predictor)->dense || job->written == 0) return COVER_OK;
    char *path = path_join(job->context, job->output, "scores.csv");
    cover_status status = path ? file_replace(job->context, path, job->csv.data, job->csv.length) : COVER_ERROR_MEMORY;
    memory_free(job->context, path);
    return status;
}

static cover_status judge(struct job *job) {
    if (job->bad_count == 0) return COVER_OK;
    if (job->bad_count > LISTED) text_add(&job->bad, "\n  and %lld more (the log has all)", (long long)job->bad_count - LISTED);
    cover_status status = job->memory ? COVER_ERROR_MEMORY : COVER_ERROR_FORMAT;
    return fail(status, "%lld of %lld images could not be predicted%s:%s", (long long)job->bad_count, (long long)job->cases.count,
                job->written ? " (the others are done)" : "", job->bad.data ? job->bad.data : "");
}

static cover_status summarise(const struct job *job, double seconds, char **summary) {
    struct text text = {.context = job->context};
    text_add(&text, "{\"task\": \"%s\", \"classes\": %lld, \"images\": %lld, \"written\": %lld, \"seconds\": %.4f, \"output\": ",
             predictor_kind(job->predictor)->noun, (long long)predictor_settings(job->predictor)->task.classes,
             (long long)job->cases.count, (long long)job->written, seconds);
    text_add_json(&text, job->output);
    text_add(&text, "}");
    return text_take(&text, summary);
}

cover_status cover_images_predict(char **summary, cover_context *context, const char *task, const char *input, const char *output,
                                  const cover_predict_options *given) {
    if (!context || !task || !input || !output) return fail(COVER_ERROR_ARGUMENT, "cover_images_predict: an argument is NULL");
    struct job job = {.context = context,
                      .output = output,
                      .options = COVER_PREDICT_OPTIONS_INIT,
                      .bad.context = context,
                      .csv.context = context};
    double start = seconds_now();
    TRY(options_read(&job.options, sizeof job.options, given, "cover_predict_options"));
    cover_status status;
    GO(begin(&job, task, input));
    GO(predict_all(&job));
    GO(write_csv(&job));
    GO(judge(&job));
    if (summary) status = summarise(&job, seconds_now() - start, summary);
done:
    text_free(&job.bad);
    text_free(&job.csv);
    predict_cases_free(&job.cases);
    cover_predictor_destroy(job.predictor);
    return status;
}
