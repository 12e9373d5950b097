/* Label maps against label maps: Dice and HD95 of each case and class.  Cases are judged in parallel, each by one
 * thread.  Called by evaluate.c; evaluate_result.c sums up. */
#include "evaluate.h"

#include "core/base/memory.h"
#include "core/base/threads.h"
#include "io/image/image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABELS = 65536, MOST_UNNAMED = 256, MOST_WARNED = 20 };
enum { EVAL_PREDICTION, EVAL_TRUTH, EVAL_SIDES };

/* One label map as class indices. */
struct map {
    struct image image;
    uint16_t *label;
    double printed_mm[3]; /* what its resolution for printing would make of a pixel; 0 = none */
};

struct maps_job {
    struct evaluation *evaluation;
    struct eval_cases cases;
    struct eval_classes classes;
    int32_t class_of[LABELS];        /* of each label; -1 = none */
    int foreground[EVAL_SIDES];      /* where both sides have one label only and not the same, these are one class; else 0 */
    bool occurs[EVAL_SIDES][LABELS]; /* without a list of names: labels seen in any map of predictions, and of truth */
    pthread_mutex_t lock;            /* of what follows, and of `occurs` */
    int64_t done, failed_at;
    cover_status failed;
    char failure[1024];
    bool no_spacing;
    int64_t odd;     /* things to warn of */
    double *figures; /* [cases][Dice, HD95][classes without the background] */
};

/* ---- reading */

static cover_status map_read(struct map *map, cover_context *context, const char *path) {
    *map = (struct map){0};
    TRY(label_map_read(&map->image, context, path));
    const struct image *image = &map->image;
    const int64_t pixels = image->size[0] * image->size[1] * image->size[2];
    map->label = memory_within(context, (size_t)pixels * sizeof *map->label);
    if (!map->label) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < pixels; i++)
        map->label[i] = image->dtype == COVER_U8 ? ((uint8_t *)image->data)[i] : ((uint16_t *)image->data)[i];
    image_free(&map->image, context); /* its size, spacing and affine stay */
    if (map->image.printed) {         /* dots an inch of paper are no distance in what is seen */
        memcpy(map->printed_mm, map->image.spacing_mm, sizeof map->printed_mm);
        memset(map->image.spacing_mm, 0, sizeof map->image.spacing_mm);
    }
    return COVER_OK;
}

static void map_free(struct map *map, cover_context *context) {
    image_free(&map->image, context);
    memory_free(context, map->label);
}

/* ---- do the two lie on the same grid? */

static cover_status same_grid(const struct image *prediction, const struct image *truth, const struct eval_case *who) {
    static const double RELATIVE = 1e-3; /* of a spacing, where no affine tells more */
    const bool placed = image_place_known(prediction) && image_place_known(truth);
    double corner[3], other[3];
    const int64_t *a = prediction->size, *b = truth->size;
    if (memcmp(a, b, sizeof prediction->size) != 0)
        return fail(COVER_ERROR_MISMATCH,
                    "%s is %lldx%lldx%lld (D, H, W), but its label %s is %lldx%lldx%lld; predict in the "
                    "label's own geometry",
                    who->prediction, (long long)a[0], (long long)a[1], (long long)a[2], who->truth, (long long)b[0],
                    (long long)b[1], (long long)b[2]);
    const bool same = image_same_place(truth, prediction, corner, other);
    if (placed && same) return COVER_OK;
    for (int i = 0; i < 3; i++) {
        const double p = prediction->spacing_mm[i], t = truth->spacing_mm[i];
        if (p > 0 && t > 0 && fabs(p - t) > RELATIVE * t)
            return fail(COVER_ERROR_MISMATCH,
                        "%s has a spacing of %g mm along %c, but its label %s has %g mm; resample one to "
                        "the other",
                        who->prediction, p, "DHW"[i], who -> truth, t);
    }
    if (same) return COVER_OK;
    return fail(COVER_ERROR_MISMATCH,
                "%s lies elsewhere than its label %s: their affines put a corner %.3g mm apart; "
                "copy the label's header, or resample one to the other",
                who->prediction, who->truth, hypot(hypot(corner[0] - other[0], corner[1] - other[1]), corner[2] - other[2]));
}

/* What is odd about the files of a case: some dozen such lines, and a count at the end. */
static void warn(struct maps_job *job, const struct eval_case *who, const struct map *prediction, const struct map *truth) {
    cover_context *context = job->evaluation->context;
    const double *a = prediction->printed_mm, *b = truth->printed_mm;
    pthread_mutex_lock(&job->lock);
    if (prediction->image.note[0] && job->odd++ < MOST_WARNED)
        log_line(context, COVER_LOG_WARNING, "eval: %s: %s", who->prediction, prediction->image.note);
    if (truth->image.note[0] && job->odd++ < MOST_WARNED)
        log_line(context, COVER_LOG_WARNING, "eval: %s: %s", who->truth, truth->image.note);
    if ((a[1] != b[1] || a[2] != b[2]) && a[1] > 0 && b[1] > 0 && job->odd++ < MOST_WARNED)
        log_line(context, COVER_LOG_WARNING, "eval: %s has %g x %g dpi, %s %g x %g: for printing; distances count pixels",
                 who->prediction, 25.4 / a[2], 25.4 / a[1], who->truth, 25.4 / b[2], 25.4 / b[1]);
    pthread_mutex_unlock(&job->lock);
}

/* ---- one case */

static cover_status to_classes(struct map *map, const struct maps_job *job, const char *path) {
    const int64_t pixels = map->image.size[0] * map->image.size[1] * map->image.size[2];
    for (int64_t i = 0; i < pixels; i++) {
        const int32_t index = job->class_of[map->label[i]];
        if (index < 0)
            return fail(COVER_ERROR_FORMAT, "%s: voxel %lld has label %d, which %s does not name; correct the map or the names",
                        path, (long long)i, map->label[i], job->classes.source);
        map->label[i] = (uint16_t)index;
    }
    return COVER_OK;
}

/* Pixels that nobody judged count for neither side. */
static void pass_over(struct map *prediction, struct map *truth, int ignored) {
    const int64_t pixels = truth->image.size[0] * truth->image.size[1] * truth->image.size[2];
    for (int64_t i = 0; ignored > 0 && i < pixels; i++)
        if (truth->label[i] == ignored) prediction->label[i] = truth->label[i] = 0;
}

static cover_status judge(struct maps_job *job, int64_t index) {
    const struct eval_case *who = &job->cases.each[index];
    cover_evaluation_case *judged = &job->evaluation->result->cases[index];
    const int classes = job->evaluation->result->info.classes; /* without the background */
    double *dice = job->figures + 2 * index * classes, *hd95 = dice + classes;
    cover_context *context = job->evaluation->context;
    struct map prediction = {0}, truth = {0};
    struct overlap *overlap = memory_zero(context, (size_t)job->classes.count * sizeof *overlap);
    cover_status status;
    GO(overlap ? COVER_OK : COVER_ERROR_MEMORY);
    GO(map_read(&prediction, context, who->prediction));
    GO(map_read(&truth, context, who->truth));
    GO(same_grid(&prediction.image, &truth.image, who));
    warn(job, who, &prediction, &truth);
    pass_over(&prediction, &truth, job->classes.ignored);
    GO(to_classes(&prediction, job, who->prediction));
    GO(to_classes(&truth, job, who->truth));
    const int64_t *size = truth.image.size;
    const struct grid grid = {.ndim = size[0] > 1 ? 3 : 2, .size = {size[0], size[1], size[2]}};
    double spacing[3];
    bool known = true;
    for (int a = 0; a < 3; a++) {
        spacing[a] = truth.image.spacing_mm[a] > 0 ? truth.image.spacing_mm[a] : prediction.image.spacing_mm[a];
        known = known && (spacing[a] > 0 || size[a] == 1);
        if (!(spacing[a] > 0)) spacing[a] = 1;
    }
    const struct labels maps[2] = {{prediction.label, true}, {truth.label, true}};
    overlap_add(overlap, job->classes.count, maps[0], maps[1], grid_pixels(&grid));
    for (int c = 0; c < classes; c++) dice[c] = overlap_dice(&overlap[c + 1]);
    if (classes > 0) GO(surface_hd95(hd95, context, maps[0], maps[1], 1, classes, &grid, spacing));
    judged->mean_dice = overlap_mean_dice(overlap, job->classes.count);
    judged->mean_hd95 = mean_known(hd95, classes);
    judged->dice = dice, judged->hd95 = hd95;
    pthread_mutex_lock(&job->lock);
    job->no_spacing |= !known;
    pthread_mutex_unlock(&job->lock);
done:
    map_free(&prediction, context);
    map_free(&truth, context);
    memory_free(context, overlap);
    return status;
}

/* Which labels the two maps of a case hold. */
static cover_status survey(struct maps_job *job, int64_t index) {
    const char *const paths[] = {job->cases.each[index].prediction, job->cases.each[index].truth};
    cover_context *context = job->evaluation->context;
    for (int i = 0; i < 2; i++) {
        struct map map;
        const cover_status status = map_read(&map, context, paths[i]);
        pthread_mutex_lock(&job->lock);
        for (int64_t p = 0; status == COVER_OK && p < map.image.size[0] * map.image.size[1] * map.image.size[2]; p++)
            job->occurs[i][map.label[p]] = true;
        pthread_mutex_unlock(&job->lock);
        map_free(&map, context);
        TRY(status);
    }
    return COVER_OK;
}

/* ---- all cases; of several failures the first case's is kept, whatever the order they ran in */

struct work {
    struct maps_job *job;
    cover_status (*each)(struct maps_job *job, int64_t index);
    const char *what;
};

static void work_on(void *data, int64_t index) {
    struct work *work = data;
    struct maps_job *job = work->job;
    const cover_evaluate_options *options = &job->evaluation->options;
    pthread_mutex_lock(&job->lock);
    const bool wanted = job->failed == COVER_OK || (job->failed != COVER_ERROR_CANCELLED && index < job->failed_at);
    pthread_mutex_unlock(&job->lock);
    if (!wanted) return;
    cover_status status = work->each(job, index);
    pthread_mutex_lock(&job->lock);
    job->done++;
    if (status == COVER_OK)
        status = progress_call(job->evaluation->context, options->progress, options->user, job->done, job->cases.count, work->what);
    if (status != COVER_OK && (job->failed == COVER_OK || index < job->failed_at)) {
        job->failed = status, job->failed_at = index;
        snprintf(job->failure, sizeof job->failure, "%s", cover_error_text());
    }
    pthread_mutex_unlock(&job->lock);
}

static cover_status work_through(struct maps_job *job, cover_status (*each)(struct maps_job *job, int64_t index),
                                 const char *what) {
    struct work work = {job, each, what};
    struct pool *pool;
    TRY(context_pool(job->evaluation->context, &pool));
    job->done = 0;
    pool_each(pool, job->cases.count, work_on, &work);
    if (job->failed == COVER_ERROR_MEMORY &&
        job->evaluation->context->memory_limit_bytes) { /* one by one they may keep to the limit */
        job->failed = COVER_OK, job->done = 0;
        for (int64_t i = 0; i < job->cases.count && job->failed == COVER_OK; i++) work_on(&work, i);
    }
    return job->failed == COVER_OK ? COVER_OK : fail_text(job->failed, job->failure);
}

/* The labels of one side beside the background, and the last of them. */
static int count_labels(const struct maps_job *job, int side, struct names *names, int *last) {
    int count = 0;
    for (int value = 1; value < LABELS; value++) {
        char number[8];
        if (!job->occurs[side][value]) continue;
        snprintf(number, sizeof number, "%d", value);
        names_add(names, number);
        count++, *last = value;
    }
    return count;
}

/* Unnamed labels of the two sides must be the same ones, but for masks: 1 of the one and 255 of the other are both what is not
 * background. */
static cover_status check_common(struct maps_job *job) {
    struct names names[EVAL_SIDES] = {0};
    int counts[EVAL_SIDES], last[EVAL_SIDES] = {0};
    for (int side = 0; side < EVAL_SIDES; side++) counts[side] = count_labels(job, side, &names[side], &last[side]);
    for (int value = 1; value < LABELS; value++)
        if (job->occurs[EVAL_PREDICTION][value] && job->occurs[EVAL_TRUTH][value]) return COVER_OK;
    if (counts[EVAL_PREDICTION] == 0 || counts[EVAL_TRUTH] == 0) return COVER_OK;
    if (counts[EVAL_PREDICTION] == 1 && counts[EVAL_TRUTH] == 1) {
        memcpy(job->foreground, last, sizeof last);
        job->occurs[EVAL_PREDICTION][last[EVAL_PREDICTION]] = false; /* the class has the number that truth gives it */
        return COVER_OK;
    }
    return fail(COVER_ERROR_MISMATCH,
                "%s holds the labels %s, but %s holds %s: they have none in common; save both with the same numbers",
                job->evaluation->prediction, names[EVAL_PREDICTION].text, job->evaluation->truth, names[EVAL_TRUTH].text);
}

static bool occurs(const struct maps_job *job, int value) {
    return job->occurs[EVAL_PREDICTION][value] || job->occurs[EVAL_TRUTH][value];
}

/* Without a list the labels that occur are the classes, and their numbers the names. */
static cover_status name_by_value(struct maps_job *job) {
    struct arena *arena = job->evaluation->arena;
    struct eval_classes *classes = &job->classes;
    TRY(work_through(job, survey, "labels"));
    TRY(check_common(job));
    int count = 1;
    for (int value = 1; value < LABELS; value++) count += occurs(job, value);
    if (count > MOST_UNNAMED)
        return fail(COVER_ERROR_FORMAT, "%s: %d different labels in these maps; are they images? If not, name the classes",
                    job->evaluation->truth, count);
    classes->name = arena_alloc(arena, (size_t)count * sizeof *classes->name);
    classes->value = arena_alloc(arena, (size_t)count * sizeof *classes->value);
    if (!classes->name || !classes->value) return COVER_ERROR_MEMORY;
    classes->name[0] = "background", classes->count = 1, classes->source = "the labels that occur";
    for (int value = 1; value < LABELS; value++) {
        if (!occurs(job, value)) continue;
        classes->value[classes->count] = value;
        classes->name[classes->count] = arena_print(arena, "%d", value);
        if (!classes->name[classes->count++]) return COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

static cover_status prepare(struct maps_job *job) {
    struct evaluation *evaluation = job->evaluation;
    TRY(eval_cases_find(&job->cases, evaluation));
    TRY(eval_classes_find(&job->classes, evaluation));
    if (job->classes.count == 0) TRY(name_by_value(job));
    for (int value = 0; value < LABELS; value++) job->class_of[value] = -1;
    for (int c = 0; c < job->classes.count; c++) job->class_of[job->classes.value[c]] = c;
    if (job->foreground[EVAL_TRUTH]) job->class_of[job->foreground[EVAL_PREDICTION]] = job->class_of[job->foreground[EVAL_TRUTH]];
    const int classes = job->classes.count - 1;
    TRY(eval_result_room(evaluation, classes, job->cases.count));
    cover_evaluation *result = evaluation->result;
    result->info.kind = COVER_EVALUATION_MAPS;
    for (int c = 0; c < classes; c++) result->classes[c].name = job->classes.name[c + 1];
    for (int64_t i = 0; i < job->cases.count; i++) result->cases[i].name = job->cases.each[i].name;
    int64_t figures;
    if (!multiply(job->cases.count, 2 * (int64_t)classes * (int64_t)sizeof(double), &figures))
        return fail(COVER_ERROR_MEMORY, "out of memory: figures of %lld cases and %d classes", (long long)job->cases.count,
                    classes);
    job->figures = arena_alloc(evaluation->arena, (size_t)figures);
    return job->figures ? COVER_OK : COVER_ERROR_MEMORY;
}

cover_status evaluate_maps(struct evaluation *evaluation) {
    struct maps_job *job = memory_zero(evaluation->context, sizeof *job);
    if (!job) return COVER_ERROR_MEMORY;
    job->evaluation = evaluation;
    pthread_mutex_init(&job->lock, NULL);
    cover_status status = prepare(job);
    if (status == COVER_OK) status = work_through(job, judge, "cases");
    if (job->odd > MOST_WARNED)
        log_line(evaluation->context, COVER_LOG_WARNING, "eval: the same or the like of %lld more files",
                 (long long)job->odd - MOST_WARNED);
    evaluation->result->info.spacing_known = !job->no_spacing;
    if (status == COVER_OK) status = eval_maps_summarise(evaluation);
    pthread_mutex_destroy(&job->lock);
    memory_free(evaluation->context, job);
    return status;
}
