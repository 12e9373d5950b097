/* DeepCluster (Caron et al., ECCV 2018): images are clustered by what the encoder says of them, and it learns to tell the cluster of a view; a
 * period later they are clustered anew.  A row of objective.h's table. */
#include "core/base/collective.h"
#include "core/base/memory.h"
#include "core/metrics/cluster.h"
#include "core/nn/layers.h"
#include "core/train/embed.h"
#include "core/train/order.h"
#include "networks.h"
#include "view_maker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VIEW, CLUSTER }; /* inputs */
enum { FEATURES };      /* results that others ask for */
enum { TERM_ENTROPY, TERM_ZERO, TERM_ACCURACY, TERM_DISTANCE, TERM_INFORMATION, TERM_USED, TERM_LARGEST, TERMS };
enum { DRAW_PICKS, DRAW_KEYS, DRAW_TOP }; /* streams of a period */
enum { CLUSTERS_MOST = 1000, IMAGES_EACH = 40, DIMS_MOST = 256, IMAGES_A_DIM = 4 };
static const float TOP_SIGMA = 0.01f;
static const double ONE_FOR_ALL = 0.9; /* the largest cluster's share that is worth a warning */

struct deepcluster {
    int32_t *label, *before; /* the cluster of each image, and that in the period before */
    double figure[TERMS];    /* of the period, by their places */
    int32_t *order;          /* the images of the period's samples; follows from the rest */
    bool warned;             /* of features that say nothing */
};

static int64_t coarse_channels(const cover_context *context, const struct settings *settings) {
    return backbone_levels(context, &settings->network).at[0].channels;
}

/* ---- the network */

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const struct grid one = {grid->ndim, {1, 1, 1}};
    const int view = graph_input(graph, "view", 1, grid, settings->network.channels),
              cluster = graph_input(graph, "cluster", 1, &one, 1);
    const int rows = objective_rows(graph, view, settings);
    (void)graph_result(graph, rows);
    const int logits = layer_conv1(graph, "top", rows, settings->objective.clusters, true, INIT_UNIFORM_FAN);
    graph_scope(graph, "cross_entropy");
    const int loss = graph_softmax_loss(graph, logits, cluster, ABSENT, 1, 0), right = graph_class_right(graph, logits, cluster);
    static const char *const told[TERMS] = {[TERM_ZERO] = "zero",
                                            [TERM_DISTANCE] = "cluster_distance",
                                            [TERM_INFORMATION] = "mutual_information",
                                            [TERM_USED] = "used_clusters",
                                            [TERM_LARGEST] = "largest_cluster"};
    for (int i = 0; i < TERMS; i++) {
        struct loss_term term = {.name = told[i], .result = ABSENT, .place = i};
        if (i == TERM_ENTROPY)
            term = (struct loss_term){.name = "cross_entropy", .result = graph_result(graph, loss), .weight = 1, .over = "zero"};
        if (i == TERM_ACCURACY) term = (struct loss_term){.name = "accuracy", .result = graph_result(graph, right)};
        objective_term(model, &term);
    }
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return COVER_OK;
}

/* ---- settings */

static cover_status set_number(cover_config *config, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return cover_config_set(config, name, text);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static cover_status settle(cover_config *config, int64_t images) {
    const struct objective_settings *own = &config_settings(config)->objective;
    const int64_t channels = coarse_channels(config_context(config), config_settings(config));
    const int64_t many = images > 0 ? images : INT32_MAX; /* not known: as much as may be wanted */
    if (own->clusters == 0) TRY(set_number(config, "clusters", least(most(many / IMAGES_EACH, 2), CLUSTERS_MOST)));
    if (own->pca == 0) TRY(set_number(config, "pca", most(1, least(least(DIMS_MOST, channels / 2), many / IMAGES_A_DIM))));
    if (own->clusters < 2) return fail(COVER_ERROR_ARGUMENT, "clusters=%lld: use 2 at least", (long long)own->clusters);
    if (own->clusters > many)
        return fail(COVER_ERROR_ARGUMENT, "clusters=%lld: the dataset has %lld image%s; %s", (long long)own->clusters,
                    (long long)many, many == 1 ? "" : "s",
                    many < 2 ? "use one of 2 at least" : "use no more clusters than images, or 0 for a 40th of them");
    if (own->pca > channels)
        return fail(COVER_ERROR_ARGUMENT, "pca=%lld: the coarsest features have %lld channels; use %lld at most, or 0",
                    (long long)own->pca, (long long)channels, (long long)channels);
    return COVER_OK;
}

/* ---- samples */

static int64_t steps_of(const struct objective_run *run) {
    const struct settings *s = run->settings;
    return most((int64_t)(s->objective.reassign * (double)run->reader->count / (double)s->common.batch),
                s->objective.reassign_least);
}

static int64_t one_float(const struct settings *settings, const struct grid *crop) {
    (void)settings, (void)crop;
    return 1;
}
static void add_label(const struct view_work *work, struct sample *sample) {
    const struct deepcluster *state = work->maker->run->state;
    work->extra[0] = (float)state->label[work->image];
    sample->input[CLUSTER] = work->extra;
    memcpy(sample->known, state->figure, sizeof state->figure);
}
static int64_t pick(const struct objective_run *run, int64_t number) {
    return ((const struct deepcluster *)run->state)->order[number % (steps_of(run) * run->settings->common.batch)];
}
static const struct view_plan views = {.recipe = &views_plain, .views = 1, .extra = one_float, .make = add_label, .pick = pick};
static const struct view_plan plain = {.recipe = &views_plain, .views = 1, .middle = true, .extra = one_float, .make = add_label};

static void draw_numbers(float *to, int64_t count, const struct objective_run *run, uint32_t which) {
    struct random_stream random =
        random_stream((uint64_t)run->settings->common.seed, RANDOM_CLUSTERS, (uint32_t)(run->step / steps_of(run)), which);
    for (int64_t i = 0; i < count; i++) to[i] = random_uniform(&random, 0, 1);
}

/* The order of the period, from its labels. */
static cover_status draw_order(const struct objective_run *run, struct deepcluster *state) {
    cover_context *context = run->context;
    const int64_t images = run->reader->count, clusters = run->settings->objective.clusters;
    int64_t *members = memory_within(context, (size_t)clusters * sizeof *members), places, largest;
    float *draw = NULL;
    cover_status status = COVER_ERROR_MEMORY;
    if (!members) return status;
    if (!multiply(steps_of(run), run->settings->common.batch, &places) || places > INT64_MAX / 64)
        GO(fail(COVER_ERROR_MEMORY, "a period of %lld steps is too long", (long long)steps_of(run)));
    const int64_t used = clusters_used(members, &largest, state->label, images, clusters), picks = used * order_picks(places, used);
    memory_free(context, state->order);
    state->order = memory_within(context, (size_t)places * sizeof *state->order);
    draw = memory_within(context, (size_t)(2 * picks) * sizeof *draw);
    if (!state->order || !draw) goto done;
    draw_numbers(draw, picks, run, DRAW_PICKS);
    draw_numbers(draw + picks, picks, run, DRAW_KEYS);
    status = order_uniform(state->order, context, state->label, images, clusters, places, draw, draw + picks);
done:
    memory_free(context, draw);
    memory_free(context, members);
    return status;
}

/* Asked for before the first sample of a period, and after a resume. */
static cover_status make(struct sample_maker *maker, const struct objective_run *run) {
    TRY(draw_order(run, run->state));
    return view_maker((struct view_maker *)maker, run, &views);
}
static cover_status accepts(const struct settings *settings, const struct grid *grid, int channels) {
    TRY(view_accepts(&plain, settings, grid, channels));
    return view_accepts(&views, settings, grid, channels);
}

/* ---- a period */

struct work {
    float *features, *rows, *centroid;
    int32_t *label;
    int64_t *members;
    double *objective; /* of each iteration */
};

static cover_status make_room(struct work *work, const struct objective_run *run) {
    cover_context *context = run->context;
    const struct objective_settings *own = &run->settings->objective;
    const size_t images = (size_t)run->reader->count, channels = (size_t)coarse_channels(context, run->settings);
    const size_t dims = (size_t)own->pca, clusters = (size_t)own->clusters;
    work->features = memory_within(context, images * channels * sizeof *work->features);
    work->rows = memory_within(context, images * dims * sizeof *work->rows);
    work->centroid = memory_within(context, clusters * dims * sizeof *work->centroid);
    work->label = memory_within(context, images * sizeof *work->label);
    work->members = memory_within(context, clusters * sizeof *work->members);
    work->objective = memory_within(context, (size_t)own->kmeans_iterations * sizeof *work->objective);
    const bool room = work->features && work->rows && work->centroid && work->label && work->members && work->objective;
    return room ? COVER_OK : COVER_ERROR_MEMORY;
}
static void free_room(struct work *work, cover_context *context) {
    void *const all[] = {work->features, work->rows, work->centroid, work->label, work->members, work->objective};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) memory_free(context, all[i]);
}
/* Features, whitened ones, the label, the distance to its centroid; there are fewer centroids than images. */
static uint64_t image_bytes(const cover_context *context, const struct settings *settings) {
    return ((uint64_t)coarse_channels(context, settings) + 2 * (uint64_t)settings->objective.pca + 2) * sizeof(float);
}

/* From the features of all images to labels and figures. */
static cover_status cluster(struct work *work, double figure[TERMS], const struct objective_run *run) {
    const struct objective_settings *own = &run->settings->objective;
    const struct deepcluster *state = run->state;
    const int64_t images = run->reader->count, dims = own->pca, clusters = own->clusters, period = run->step / steps_of(run);
    int64_t largest;
    TRY(whiten(work->rows, run->context, work->features, images, coarse_channels(run->context, run->settings), dims));
    for (int64_t k = 0; k < clusters; k++)
        memcpy(work->centroid + k * dims, work->rows + order_sample((uint64_t)run->settings->common.seed, period, k, images) * dims,
               (size_t)dims * sizeof(float));
    TRY(kmeans(work->label, work->centroid, work->objective, run->context, work->rows, images, dims, clusters,
               (int)own->kmeans_iterations));
    const int64_t used = clusters_used(work->members, &largest, work->label, images, clusters);
    figure[TERM_ZERO] = log((double)used);
    figure[TERM_DISTANCE] = work->objective[own->kmeans_iterations - 1] / (double)images;
    figure[TERM_USED] = (double)used, figure[TERM_LARGEST] = (double)largest / (double)images;
    if (period == 0) return COVER_OK; /* there is none before it */
    return mutual_information(&figure[TERM_INFORMATION], run->context, work->label, state->label, images, clusters);
}

/* Weights from a normal distribution, no bias, and Adam knows nothing of it. */
static cover_status fresh_top(const struct objective_run *run) {
    struct engine *engine = run->engine;
    const struct parameters *parameters = &engine->model.parameters;
    const struct parameter *weight = &parameters->rows[parameters_find(parameters, "top.weight")],
                           *bias = &parameters->rows[parameters_find(parameters, "top.bias")];
    struct random_stream random =
        random_stream((uint64_t)run->settings->common.seed, RANDOM_CLUSTERS, (uint32_t)(run->step / steps_of(run)), DRAW_TOP);
    TRY(engine_fetch(engine));
    for (int64_t i = 0; i < weight->count; i++) {
        float pair[2];
        const uint32_t a = random_word(&random), b = random_word(&random);
        normal2(a, b, pair);
        engine->weights[weight->offset + i] = TOP_SIGMA * pair[0];
    }
    memset(engine->weights + bias->offset, 0, (size_t)bias->count * sizeof(float));
    return engine_forget(engine, "top.");
}

static void warn(const struct objective_run *run, struct deepcluster *state) {
    const struct communicator *ranks = run->engine->share.with;
    if (state->warned || state->figure[TERM_LARGEST] < ONE_FOR_ALL || (ranks && ranks->rank != 0)) return;
    state->warned = true;
    log_line(run->context, COVER_LOG_WARNING,
             "step %lld: %.0f %% of the images are in one cluster, so there is little to learn: the images are nearly alike, or "
             "training has "
             "made their features so (a smaller lr may keep them apart)",
             (long long)run->step + 1, 100 * state->figure[TERM_LARGEST]);
}

/* Ranks agree where one of them alone may fail; then all have the same labels. */
static cover_status begin_period(struct objective_run *run) {
    struct deepcluster *state = run->state;
    struct communicator *ranks = run->engine->share.with;
    struct view_maker maker;
    struct work work = {0};
    double figure[TERMS] = {0};
    cover_status status = make_room(&work, run);
    if (status == COVER_OK) status = view_maker(&maker, run, &plain);
    GO(collective_agree(ranks, status));
    GO(embed_samples(work.features, run->engine, &maker.maker, run->reader->count, FEATURES));
    GO(collective_agree(ranks, cluster(&work, figure, run)));
    GO(collective_agree(ranks, fresh_top(run)));
    memcpy(state->before, state->label, (size_t)run->reader->count * sizeof *state->label);
    memcpy(state->label, work.label, (size_t)run->reader->count * sizeof *state->label);
    memcpy(state->figure, figure, sizeof state->figure);
    warn(run, state);
done:
    free_room(&work, run->context);
    return status;
}

/* ---- the state */

static cover_status start(struct objective_run *run) {
    struct deepcluster *state = run->state;
    const size_t bytes = (size_t)run->reader->count * sizeof *state->label;
    if (run->reader->count > INT32_MAX)
        return fail(COVER_ERROR_ARGUMENT, "%lld images are more than can be clustered", (long long)run->reader->count);
    if (!state->label) state->label = memory_within(run->context, bytes);
    if (!state->before) state->before = memory_within(run->context, bytes);
    if (!state->label || !state->before) return COVER_ERROR_MEMORY;
    memset(state->label, 0, bytes), memset(state->before, 0, bytes);
    memset(state->figure, 0, sizeof state->figure);
    return COVER_OK;
}
static void end(struct objective_run *run) {
    struct deepcluster *state = run->state;
    memory_free(run->context, state->label);
    memory_free(run->context, state->before);
    memory_free(run->context, state->order);
}

static void visit(struct objective_run *run, struct visitor *visitor) {
    struct deepcluster *state = run->state;
    const size_t bytes = (size_t)run->reader->count * sizeof *state->label;
    visitor->array(visitor, "labels", state->label, bytes);
    visitor->array(visitor, "labels_before", state->before, bytes);
    visitor->array(visitor, "period_figures", state->figure, sizeof state->figure);
}

static cover_status loaded(struct objective_run *run) {
    const struct deepcluster *state = run->state;
    const int64_t clusters = run->settings->objective.clusters;
    const int32_t *const both[] = {state->label, state->before};
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < run->reader->count; i++)
            if (both[k][i] < 0 || both[k][i] >= clusters)
                return fail(COVER_ERROR_FORMAT, "image %lld is in cluster %d of %lld", (long long)i, (int)both[k][i],
                            (long long)clusters);
    for (int i = 0; i < TERMS; i++)
        if (!isfinite(state->figure[i])) return fail(COVER_ERROR_FORMAT, "figure %d of a period is not finite", i);
    return COVER_OK;
}

/* ---- the row */

static const struct objective_setting own_settings[] = {
    {"clusters", {NULL, NULL}},
    {"pca", {NULL, NULL}},
    {"kmeans_iterations", {"20", "20"}},
    {"reassign", {"1", "1"}},
    {"reassign_least", {"500", "500"}},
    {"views", {NULL, NULL}},
    {"view_area_low", {NULL, NULL}},
    {"view_flip", {NULL, NULL}},
    {"view_jitter", {NULL, NULL}},
    {"view_blur", {NULL, NULL}},
    {0},
};
static const struct figure_words figures[] = {
    {.name = "cross_entropy",
     .over = "zero",
     .title = "cross-entropy of the cluster",
     .note = "A view is told to belong to the cluster of its image; each period begins with clusters and a top layer that are new.",
     .naive = "all clusters that have images being as likely"},
    {.name = "zero", .title = "cross-entropy of all clusters being as likely"},
    {.name = "accuracy", .title = "share of views whose cluster is right"},
    {.name = "cluster_distance",
     .title = "mean squared distance to the centroid",
     .note = "Of whitened features, each of length 1, in the last iteration of k-means."},
    {.name = "mutual_information",
     .title = "mutual information with the clusters before",
     .note = "Normalised: 0 = the clusters of this period say nothing of those of the one before, 1 = they are the same."},
    {.name = "used_clusters", .title = "clusters that have images"},
    {.name = "largest_cluster", .title = "share of the largest cluster"},
    {0},
};
static const struct objective_picture pictures[] = {{"view", VIEW, 0}, {0}};
const struct objective objective_deepcluster = {
    .name = "deepcluster",
    .title = "DeepCluster",
    .paper = "Deep Clustering for Unsupervised Learning of Visual Features, ECCV 2018",
    .text = "tells the cluster of an image, of clusters that are made anew of its own features",
    .use = "for classification of large datasets: small ones have too few images for clusters",
    .cost = "about 0.15 of COVER's operations, and a look at all images a period",
    .trained = "encoder",
    .sample = "image",
    .counts = "image",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .accepts = accepts,
    .maker_bytes = sizeof(struct view_maker),
    .maker = make,
    .figure = figures,
    .picture = pictures,
    .state_bytes = sizeof(struct deepcluster),
    .start = start,
    .end = end,
    .visit = visit,
    .loaded = loaded,
    .period = steps_of,
    .begin_period = begin_period,
    .image_bytes = image_bytes,
};
