/* Sliding-window inference (see inference.h).  A job is one window in one orientation; all threads take one job after the
 * other through the network as a team, in one arena, and its probabilities are added to the scores in the order of the jobs. */
#include "inference.h"

#include "api/network/border.h"
#include "api/network/component.h"
#include "core/base/memory.h"
#include "core/method/supervised.h"

#include <math.h>
#include <string.h>

struct inference {
    struct component component; /* its weights belong to the caller */
    const struct task_kind *kind;
    bool limited; /* its windows are part of what the memory limit counts */
};

/* The windows along one axis of an image. */
struct axis {
    int64_t image, window, count;
    int64_t before; /* zeros before the image when it is smaller than the window */
    float *weight;  /* count x window: Gaussian, divided by the sum over all windows that cover the pixel */
};

/* One image on its way. */
struct sweep {
    struct inference *inference;
    struct prepared *prepared;
    const float *image;
    float *scores;
    struct axis axis[3];
    unsigned flips[8]; /* orientations: bits of the axes (1 << axis, 0..2) that are mirrored */
    int flip_count, classes;
    int64_t jobs, job; /* all, and the one at work */
    float *view;       /* its window of the image */
    struct run run;
};

/* ---- windows */

/* Spread evenly, and the same from both ends. */
static int64_t window_start(const struct axis *axis, int64_t index) {
    int64_t range = axis->image - axis->window, last = axis->count - 1;
    if (range <= 0) return -axis->before;
    return 2 * index <= last ? index * range / last : range - (last - index) * range / last;
}

static int64_t window_count(int64_t image, int64_t window, double overlap) {
    int64_t step = (int64_t)((double)window * (1 - overlap));
    if (step < 1) step = 1;
    return image <= window ? 1 : (image - window + step - 1) / step + 1;
}

static cover_status axis_create(struct axis *axis, cover_context *context, int64_t image, int64_t window, double overlap) {
    int64_t cells;
    *axis = (struct axis){.image = image, .window = window, .count = window_count(image, window, overlap)};
    if (image < window) axis->before = (window - image) / 2;
    if (!multiply(axis->count, window, &cells) || cells > INT64_MAX / (int64_t)sizeof(double))
        return fail(COVER_ERROR_SHAPE, "%lld pixels are too many windows of %lld", (long long)image, (long long)window);
    axis->weight = memory_alloc(context, (size_t)cells * sizeof *axis->weight);
    double *sum = memory_zero(context, (size_t)image * sizeof *sum);
    if (axis->weight && sum) {
        double sigma = (double)window / 8, middle = (double)(window - 1) / 2;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < axis->count; i++)
                for (int64_t p = 0, at = window_start(axis, i); p < window; p++, at++) {
                    if (at < 0 || at >= image) continue;
                    double weight = exp(-0.5 * ((double)p - middle) * ((double)p - middle) / (sigma * sigma));
                    if (pass == 0) sum[at] += weight;
                    else axis->weight[i * window + p] = (float)(weight / sum[at]);
                }
    }
    memory_free(context, sum);
    return axis->weight && sum ? COVER_OK : COVER_ERROR_MEMORY;
}

static void list_flips(struct sweep *sweep, const struct settings *settings) {
    unsigned all = settings->task.mirror == FLIP_OFF          ? 0
                   : settings->task.mirror == FLIP_HORIZONTAL ? 4
                   : settings->network.dims == 3              ? 7
                                                              : 6;
    for (unsigned flips = 0; flips < 8; flips++)
        if ((flips & ~all) == 0) sweep->flips[sweep->flip_count++] = flips;
}

static cover_status sweep_windows(struct sweep *sweep, const struct grid *grid) {
    const struct component *component = &sweep->inference->component;
    const struct settings *settings = &component->settings;
    struct grid window = settings_grid(&settings->views.crop, grid->ndim),
                padded = border_padded(grid, backbone_of(component->context, &settings->network)->multiple);
    list_flips(sweep, settings);
    sweep->jobs = sweep->flip_count;
    for (int a = 0; a < 3; a++) {
        if (!sweep->inference->kind->dense && padded.size[a] > window.size[a]) window.size[a] = padded.size[a];
        TRY(axis_create(&sweep->axis[a], component->context, grid->size[a], window.size[a], settings->task.overlap));
        if (!multiply(sweep->jobs, sweep->axis[a].count, &sweep->jobs))
            return fail(COVER_ERROR_SHAPE, "the image is too large for windows of this crop");
    }
    return COVER_OK;
}

/* Which window (along each axis) and orientation the job is. */
static unsigned job_window(const struct sweep *sweep, int64_t index[3]) {
    int64_t window = sweep->job / sweep->flip_count;
    for (int a = 2; a >= 0; a--) index[a] = window % sweep->axis[a].count, window /= sweep->axis[a].count;
    return sweep->flips[sweep->job % sweep->flip_count];
}

static int64_t mirrored(int64_t place, const struct axis *axis, bool flip) { return flip ? axis->window - 1 - place : place; }

/* A row of the job's window of the image, mirrored as asked, zeros where there is no image. */
static void cut_row(void *data, int64_t row) {
    const struct sweep *sweep = data;
    const struct axis *axis = sweep->axis;
    int64_t channels = sweep->inference->component.settings.network.channels, start[3], index[3], at[3];
    unsigned flips = job_window(sweep, index);
    for (int a = 0; a < 3; a++) start[a] = window_start(&axis[a], index[a]);
    at[0] = start[0] + mirrored(row / axis[1].window, &axis[0], flips & 1);
    at[1] = start[1] + mirrored(row % axis[1].window, &axis[1], flips & 2);
    bool inside = at[0] >= 0 && at[0] < axis[0].image && at[1] >= 0 && at[1] < axis[1].image;
    const float *from = sweep->image + (at[0] * axis[1].image + at[1]) * axis[2].image * channels;
    float *to = sweep->view + row * axis[2].window * channels;
    for (int64_t x = 0; x < axis[2].window; x++) {
        at[2] = start[2] + mirrored(x, &axis[2], flips & 4);
        bool there = inside && at[2] >= 0 && at[2] < axis[2].image;
        for (int64_t c = 0; c < channels; c++) to[x * channels + c] = there ? from[at[2] * channels + c] : 0;
    }
}

/* ---- the network */

static void build_task(struct prepared *prepared, struct component *component) {
    const struct inference *inference = (const struct inference *)component;
    struct task task;
    cover_status status = task_build(&task, component->context, &component->parameters, inference->kind, &component->settings,
                                     &prepared->grid, 1, TASK_KEEP);
    if (status == COVER_OK) {
        graph_free(&prepared->graph);
        prepared->graph = task.graph, prepared->result[0] = task.logits;
    } else if (prepared->graph.status == COVER_OK) {
        prepared->graph.status = status;
    }
}

/* ---- logits to scores */

static float *job_logits(const struct sweep *sweep) { /* in this call's arena, so they may be changed */
    return (float *)component_result(sweep->prepared, &sweep->run, 0);
}

/* Row `index` of the window's z and y: rows of one job do not touch each other. */
static void add_row(void *data, int64_t index) {
    const struct sweep *sweep = data;
    const struct axis *axis = sweep->axis;
    int64_t window[3], start[3], z = index / axis[1].window, y = index % axis[1].window;
    unsigned flips = job_window(sweep, window);
    for (int a = 0; a < 3; a++) start[a] = window_start(&axis[a], window[a]);
    if (start[0] + z < 0 || start[0] + z >= axis[0].image || start[1] + y < 0 || start[1] + y >= axis[1].image) return;
    const struct task_kind *kind = sweep->inference->kind;
    const struct task_settings *task = &sweep->inference->component.settings.task;
    int classes = sweep->classes;
    float *logits = job_logits(sweep) + (mirrored(z, &axis[0], flips & 1) * axis[1].window + mirrored(y, &axis[1], flips & 2)) *
                                            axis[2].window * classes;
    float *scores = sweep->scores + ((start[0] + z) * axis[1].image + start[1] + y) * axis[2].image * classes;
    float share =
        axis[0].weight[window[0] * axis[0].window + z] * axis[1].weight[window[1] * axis[1].window + y] / (float)sweep->flip_count;
    for (int64_t x = 0; x < axis[2].window; x++) {
        int64_t at = start[2] + x;
        if (at < 0 || at >= axis[2].image) continue;
        float *values = logits + mirrored(x, &axis[2], flips & 4) * classes;
        float weight = share * axis[2].weight[window[2] * axis[2].window + x];
        kind->scores(values, classes, task);
        for (int c = 0; c < classes; c++) scores[at * classes + c] += weight * values[c];
    }
}

static void add_job(struct sweep *sweep, struct pool *pool) {
    const struct task_kind *kind = sweep->inference->kind;
    if (kind->dense) {
        pool_each(pool, sweep->axis[0].window * sweep->axis[1].window, add_row, sweep);
        return;
    }
    float *values = job_logits(sweep);
    kind->scores(values, sweep->classes, &sweep->inference->component.settings.task);
    for (int c = 0; c < sweep->classes; c++) sweep->scores[c] += values[c] / (float)sweep->flip_count;
}

/* ---- the calls */

cover_status inference_create(struct inference **out, cover_context *context, const struct settings *settings,
                              const struct parameters *parameters) {
    struct inference *inference = memory_zero(context, sizeof *inference);
    if (!inference) return COVER_ERROR_MEMORY;
    struct component *component = &inference->component;
    cover_status status;
    GO(component_create(component, context, NULL));
    component->settings = *settings;
    inference->kind = task_kind_of(context, &settings->task);
    GO(task_parameters(&component->parameters, context, settings));
    if (component->parameters.count != parameters->count || component->parameters.floats != parameters->floats)
        GO(fail(COVER_ERROR_INTERNAL, "the parameters are not those of the settings' network"));
    *out = inference;
done:
    if (status != COVER_OK) inference_destroy(inference);
    return status;
}

void inference_limit(struct inference *inference) { inference->limited = true; }

void inference_destroy(struct inference *inference) {
    if (!inference) return;
    cover_context *context = inference->component.context;
    inference->component.weights = NULL; /* the caller's */
    component_free(&inference->component);
    memory_free(context, inference);
}

cover_status inference_weights(struct inference *inference, const float *flat) {
    inference->component.weights = (float *)flat; /* only read here */
    return component_weights_changed(&inference->component);
}

int64_t inference_scores(const struct inference *inference, const struct grid *grid) {
    return (inference->kind->dense ? grid_pixels(grid) : 1) * inference->component.settings.task.classes;
}

static cover_status run_jobs(struct sweep *sweep) {
    const struct component *component = &sweep->inference->component;
    cover_context *context = component->context;
    struct pool *pool;
    int64_t rows = sweep->axis[0].window * sweep->axis[1].window;
    size_t row_bytes = (size_t)(sweep->axis[2].window * component->settings.network.channels) * sizeof *sweep->view;
    TRY(context_pool(context, &pool));
    sweep->view = memory_alloc(context, (size_t)rows * row_bytes);
    sweep->run = (struct run){.input = {sweep->view}, .parameters = component->weights};
    if (!sweep->view) return COVER_ERROR_MEMORY;
    TRY(session_begin(&sweep->prepared->session, &sweep->run));
    for (sweep->job = 0; sweep->job < sweep->jobs; sweep->job++) {
        if (cancelled(context)) return fail(COVER_ERROR_CANCELLED, "cancelled");
        pool_each(pool, rows, cut_row, sweep);
        TRY(session_run(&sweep->prepared->session, &sweep->run));
        add_job(sweep, pool);
    }
    return COVER_OK;
}

cover_status inference_run(struct inference *inference, float *scores, const float *image, const struct grid *grid) {
    struct component *component = &inference->component;
    struct sweep sweep = {
        .inference = inference, .image = image, .scores = scores, .classes = (int)component->settings.task.classes};
    cover_status status;
    GO(sweep_windows(&sweep, grid));
    struct grid window = {.ndim = grid->ndim, .size = {sweep.axis[0].window, sweep.axis[1].window, sweep.axis[2].window}};
    GO(component_prepare(&sweep.prepared, component, build_task, &window, 1));
    const struct session *session = &sweep.prepared->session;
    const uint64_t arena = component->context->executor->program_plan(session->program)->arena_bytes;
    if (inference->limited) GO(memory_room(component->context, arena));
    memset(scores, 0, (size_t)inference_scores(inference, grid) * sizeof *scores);
    status = run_jobs(&sweep);
done:
    for (int a = 0; a < 3; a++) memory_free(component->context, sweep.axis[a].weight);
    memory_free(component->context, sweep.view);
    if (sweep.prepared) {
        session_end(&sweep.prepared->session, &sweep.run);
        component_done(component, sweep.prepared);
    }
    return status;
}
