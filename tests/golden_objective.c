/* An objective against its golden file: figures and gradients of the first step, then steps with updates and what follows them. */
#include "golden_objective.h"

#include "core/objective/reconstruct.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The largest distance of the file's values, the first half of the bounds without batch norm in heads. */
struct bounds {
    double gradient, value, trajectory, norm, after;
};
static struct bounds bounds_of(const struct checked *checked) {
    const bool dense = tensor_file_metadata(checked->golden->file, "terms") != NULL;
    const char *norm = tensor_file_metadata(checked->golden->file, "norm"); /* of heads: over the batch */
    if (dense) return (struct bounds){1e-3, 1e-4, 1e-3, 5e-3, 5e-4};
    return norm && strcmp(norm, "batch") == 0 ? (struct bounds){3e-3, 1e-4, 2e-3, 5e-3, 2e-3}
                                              : (struct bounds){5e-4, 1e-5, 1e-4, 3e-4, 2e-4};
}

/* ---- what samples hold */

static void reconstruction(struct sample *sample, const struct grid *grid, int64_t channels) {
    reconstruct_sample(sample, sample->input[RECONSTRUCT_SEEN], sample->input[RECONSTRUCT_TRUTH], grid_pixels(grid) * channels);
}
/* What is seen was read as the truth once more. */
static void dropped(struct sample *sample, const struct grid *grid, int64_t channels) {
    reconstruct_dropped(sample, (float *)sample->input[RECONSTRUCT_SEEN], sample->input[RECONSTRUCT_TRUTH],
                        sample->input[RECONSTRUCT_DROPPED], grid, channels);
}

#define HEADS                                                                                                                      \
    .setting = {{"out", "projection"},          {"hidden", "hidden"},     {"norm", "head_norm"}, {"layers", "projector_layers"},   \
                {"temperature", "temperature"}, {"momentum", "momentum"}, {"base", "momentum"},  {"queue", "queue"}}
#define DENSE                                                                                                                      \
    .setting = {{"level", "dense_level"},     {"cell", "cell"},                                                                    \
                {"head_norm", "head_norm"},   {"tau", "temperature"},                                                              \
                {"momentum", "momentum"},     {"embed", "projection"},                                                             \
                {"hidden", "hidden"},         {"queue", "queue"},                                                                  \
                {"threshold", "threshold"},   {"attention", "attention"},                                                          \
                {"similarity", "similarity"}, {"geometry", "geometry"},                                                            \
                {"points", "points"},         {"neighbours", "neighbours"},                                                        \
                {"prototypes", "prototypes"}, {"tau_p", "prototype_temperature"}}
#define PAIR                                                                                                                       \
    {"in.moving", "in.fixed"}, { "in.field" }
/* Each copy was read as the image. */
static void turned(struct sample *sample, const struct grid *grid, int64_t channels) {
    const int64_t values = grid_pixels(grid) * channels;
    float *copy = malloc((size_t)values * sizeof *copy);
    for (int i = 0; i < VIEWS; i++) {
        float *view = (float *)sample->input[0] + i * values;
        memcpy(copy, view, (size_t)values * sizeof *copy);
        look_turn(view, copy, grid, (int)channels, (int)sample->input[1][i]);
    }
    free(copy);
}

/* The same with an adversary: the weights are of the average over the file's samples. */
static cover_status judge(struct checked *checked) {
    const int64_t pixels = grid_pixels(&checked->shape[0].grid);
    double average = 0;
    if (!(checked->input[RECONSTRUCT_WEIGHTS] =
              memory_alloc(checked->golden->context, (size_t)(checked->samples * pixels) * sizeof(float))))
        return COVER_ERROR_MEMORY;
    for (int i = 0; i < checked->samples; i++) average += (double)checked->sample[i].count / checked->samples;
    for (int i = 0; i < checked->samples; i++)
        reconstruct_judged(&checked->sample[i], checked->input[RECONSTRUCT_WEIGHTS] + i * pixels, &checked->shape[0].grid, average);
    return COVER_OK;
}

static const struct meaning meanings[] = {
    {.file = "inpainting_adversarial",
     .objective = "inpainting",
     .setting = {{"weight", "adversarial"}, {"discriminator", "discriminator"}},
     .input = {{"in.image"}, {"in.image"}, {"in.mask"}},
     .sample = dropped,
     .inputs = judge},
    {.file = "gvsl",
     .objective = "gvsl",
     .setting = {{"affine_width", "hidden"}, {"coordinates", "coordinates"}},
     .input = {{"in.damaged", "in.other"}, {"in.clean"}}},
    {.file = "chaitanya_global",
     .objective = "chaitanya_global",
     .setting = {{"embed", "projection"}, {"tau", "temperature"}},
     .input = {{"in.view1", "in.view2"}}},
    {.file = "chaitanya_local",
     .objective = "chaitanya_local",
     .setting = {{"level", "local_level"}, {"embed", "projection"}, {"tau", "temperature"}, {"head_norm", "head_norm"}},
     .input = {{"in.view1", "in.view2"}}},
    {.file = "gemini_match",
     .objective = "gemini",
     .setting = {{"deformer", "deformer"}, {"coordinates", "coordinates"}},
     .fixed = {"restore", "off"},
     .input = {{"in.clean", "in.other"}}},
    {.file = "denoising", .objective = "denoising", .input = {{"in.corrupted"}, {"in.clean"}}, .sample = reconstruction},
    {.file = "deepcluster",
     .objective = "deepcluster",
     .setting = {{"clusters", "clusters"}, {"pca", "pca"}, {"iterations", "kmeans_iterations"}},
     .input = {{"in.images"}},
     .before = deepcluster_before},
    {.file = "inpainting", .objective = "inpainting", .input = {{"in.image"}, {"in.image"}, {"in.mask"}}, .sample = dropped},
    {.file = "rotation",
     .objective = "rotation",
     .input = {{"in.image", "in.image", "in.image", "in.image"}, {"in.labels"}},
     .sample = turned},
    {.file = "genesis", .objective = "genesis", .input = {{"in.changed"}, {"in.clean"}}, .sample = reconstruction},
    {.file = "simsiam", .objective = "simsiam", HEADS, .input = {{"in.a", "in.b"}}},
    {.file = "byol", .objective = "byol", HEADS, .input = {{"in.a", "in.b"}}},
    {.file = "simclr", .objective = "simclr", HEADS, .input = {{"in.a", "in.b"}}},
    {.file = "moco", .objective = "moco", HEADS, .input = {{"in.a", "in.b"}}},
    {.file = "densecl", .objective = "densecl", DENSE, .input = {PAIR}},
    {.file = "setsim", .objective = "setsim", DENSE, .input = {PAIR}},
    {.file = "pixpro", .objective = "pixpro", DENSE, .input = {PAIR}},
    {.file = "dsc_pm", .objective = "dsc_pm", DENSE, .input = {PAIR}},
    {.file = "vader", .objective = "vader", DENSE, .input = {PAIR, {"in.points_moving"}, {"in.points_fixed"}}},
};

/* ---- reading */

static cover_status read_settings(struct checked *checked) {
    static const char *const known[][2] = {{"dims", "dims"}, {"widths", "widths"}, {"lr", "lr"}, {"steps", "steps"}};
    struct golden *golden = checked->golden;
    char text[64];
    TRY(cover_config_create(&checked->config, golden->context, NULL));
    TRY(cover_config_set(checked->config, "objective", checked->meaning->objective));
    const char *dims = tensor_file_metadata(golden->file, "dims");
    if (dims && *dims == '3') TRY(cover_config_set(checked->config, "work", "0x0x0"));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *value = tensor_file_metadata(golden->file, known[i][0]);
        if (!value) return fail(COVER_ERROR_FORMAT, "%s: metadata has no %s", golden->path, known[i][0]);
        TRY(cover_config_set(checked->config, known[i][1], value));
    }
    for (int i = 0; i < SETTINGS && checked->meaning->setting[i].metadata; i++) {
        const char *value = tensor_file_metadata(golden->file, checked->meaning->setting[i].metadata);
        if (value && strcmp(value, "off") == 0) value = "none";
        if (value) TRY(cover_config_set(checked->config, checked->meaning->setting[i].setting, value));
    }
    if (checked->meaning->fixed[0]) TRY(cover_config_set(checked->config, checked->meaning->fixed[0], checked->meaning->fixed[1]));
    const struct tensor *image = &checked->shape[0];
    const char *batch = checked->meaning->before ? tensor_file_metadata(golden->file, "batch") : NULL;
    checked->batch = batch ? atoi(batch) : checked->samples;
    if (checked->batch < 1 || checked->batch > checked->samples)
        return fail(COVER_ERROR_FORMAT, "%s: a batch of %d from %d samples", golden->path, checked->batch, checked->samples);
    for (int i = 0; i < SAMPLES; i++) checked->taken[i] = i;
    snprintf(text, sizeof text, "%d", checked->batch);
    TRY(cover_config_set(checked->config, "batch", text));
    snprintf(text, sizeof text, "%lld", (long long)image->channels);
    TRY(cover_config_set(checked->config, "channels", text));
    int used = 0;
    for (int a = 0; a < image->grid.ndim; a++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld", a ? "x" : "", (long long)grid_axis(&image->grid, a));
    TRY(cover_config_set(checked->config, "crop", text));
    return objective_settle(checked->config, 0);
}

/* A pair whose field the loss does not need: of zeros. */
static cover_status no_field(struct checked *checked, int which) {
    const struct grid *grid = &checked->shape[0].grid;
    checked->input[which] = memory_zero(checked->golden->context, (size_t)(grid_pixels(grid) * grid->ndim) * sizeof(float));
    if (!checked->input[which]) return COVER_ERROR_MEMORY;
    for (int i = 0; i < checked->samples; i++) checked->sample[i].input[which] = checked->input[which];
    return COVER_OK;
}

/* Entries of an input, an image a sample each, become that input of each sample. */
static cover_status read_input(struct checked *checked, int which) {
    const char *const *entry = checked->meaning->input[which];
    int views = 0;
    while (views < VIEWS && entry[views]) views++;
    if (strcmp(entry[0], "in.field") == 0 && !tensor_file_find(checked->golden->file, entry[0])) return no_field(checked, which);
    for (int view = 0; view < views; view++) {
        struct tensor shape;
        float *values = golden_load(checked->golden, entry[view], &shape);
        if (!values) return COVER_ERROR_FORMAT;
        const int samples = (int)tensor_file_find(checked->golden->file, entry[view])->shape[0];
        const int64_t each = tensor_elements(&shape) / samples;
        if (samples > SAMPLES || (checked->samples && samples != checked->samples))
            return fail(COVER_ERROR_SHAPE, "%s: %s does not fit the others", checked->golden->path, entry[view]);
        checked->samples = samples, checked->shape[which] = shape;
        if (!checked->input[which])
            checked->input[which] = memory_zero(checked->golden->context, (size_t)(each * samples * views) * sizeof *values);
        if (!checked->input[which]) return COVER_ERROR_MEMORY;
        for (int i = 0; i < samples; i++) {
            float *to = checked->input[which] + (i * views + view) * each;
            memcpy(to, values + i * each, (size_t)each * sizeof *values);
            checked->sample[i].input[which] = checked->input[which] + i * views * each;
        }
        memory_free(checked->golden->context, values);
    }
    return COVER_OK;
}

static cover_status read_inputs(struct checked *checked) {
    for (int i = 0; i < INPUTS && checked->meaning->input[i][0]; i++) TRY(read_input(checked, i));
    for (int i = 0; i < checked->samples; i++) {
        checked->sample[i].count = 1;
        if (checked->meaning->sample)
            checked->meaning->sample(&checked->sample[i], &checked->shape[0].grid, checked->shape[0].channels);
    }
    return checked->meaning->inputs ? checked->meaning->inputs(checked) : COVER_OK;
}

/* The entry of a row: "param.NAME"; of a twin "twin.NAME" as well; of a queue "state.queue" or "queue.N". */
static const struct tensor_entry *entry_of(struct golden *golden, const char *prefix, const char *row) {
    static const char *const queues[][3] = {{"queue", "state.queue", "queue.0"}, {"queue.dense", "queue.1", "queue.1"}};
    char name[PARAMETER_NAME_BYTES + 16];
    snprintf(name, sizeof name, "%s.%s", prefix, row);
    const struct tensor_entry *entry = tensor_file_find(golden->file, name);
    if (strcmp(prefix, "param") != 0 || entry) return entry;
    if ((entry = tensor_file_find(golden->file, row))) return entry;
    for (size_t i = 0; i < sizeof queues / sizeof *queues && !entry; i++)
        if (strcmp(row, queues[i][0]) == 0 && !(entry = tensor_file_find(golden->file, queues[i][1])))
            entry = tensor_file_find(golden->file, queues[i][2]);
    return entry;
}

/* Rows that the file has not stay as they were drawn: held ones and zeros of norms, a decoder that nothing reads. */
static cover_status load_weights(struct checked *checked) {
    struct engine *engine = checked->engine;
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        const struct tensor_entry *entry = entry_of(checked->golden, "param", row->name);
        if (!entry && engine->has_gradient[i])
            return fail(COVER_ERROR_FORMAT, "%s: param.%s is missing", checked->golden->path, row->name);
        if (entry && entry->elements != row->count)
            return fail(COVER_ERROR_FORMAT, "%s: param.%s has another shape", checked->golden->path, row->name);
        if (entry) TRY(tensor_read_f32(checked->golden->file, entry, engine->weights + row->offset));
    }
    return engine_weights_changed(engine);
}

/* ---- comparing */

static void compare(struct golden *golden, const char *name, double value, double expected, double bound) {
    const double scale = fabs(expected) > 0.1 ? fabs(expected) : 0.1;
    golden_number(golden, name, (value - expected) / scale + 1, 1, bound);
}

static void compare_gradients(struct checked *checked, int64_t count, double bound) {
    struct golden *golden = checked->golden;
    const struct engine *engine = checked->engine;
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        char name[PARAMETER_NAME_BYTES + 8];
        snprintf(name, sizeof name, "grad.%s", row->name);
        const struct tensor_entry *entry = tensor_file_find(golden->file, name);
        if (!engine->has_gradient[i]) {
            if (entry) fail(COVER_ERROR_INTERNAL, "%s: there is no gradient", row->name), golden_error(golden, name);
            continue;
        }
        float *mean = memory_alloc(golden->context, (size_t)row->count * sizeof *mean);
        for (int64_t k = 0; mean && k < row->count; k++)
            mean[k] = (float)((double)engine->gradient[row->offset + k] / (double)count);
        if (mean) golden_tensor(golden, name, mean, bound);
        else golden_error(golden, name);
        memory_free(golden->context, mean);
    }
}

static void compare_after(struct checked *checked, double bound) {
    static const char *const prefixes[] = {"after5", "after"};
    const struct engine *engine = checked->engine;
    for (int i = 0; i < engine->model.parameters.count; i++)
        for (int k = 0; k < 2; k++) {
            const struct parameter *row = &engine->model.parameters.rows[i];
            const struct tensor_entry *entry = entry_of(checked->golden, prefixes[k], row->name);
            if (entry) golden_tensor(checked->golden, entry->name, engine->weights + row->offset, bound);
        }
}

static cover_status take(void *user, int64_t index, const struct sample **sample) {
    struct checked *checked = user;
    *sample = &checked->sample[checked->taken[index]];
    return COVER_OK;
}
static void give_back(void *user, int64_t index, const struct sample *sample) { (void)user, (void)index, (void)sample; }

/* The columns of the trajectory by name; of the last, the norm, NULL. */
static int columns_of(char text[256], const char *column[COLUMNS], struct golden *golden) {
    const char *names = tensor_file_metadata(golden->file, "columns"), *terms = tensor_file_metadata(golden->file, "terms");
    int count = 0;
    snprintf(text, 256, "%s", names ? names : terms ? terms : "");
    char *rest = text;
    for (char *name; (name = strtok_r(rest, ",", &rest)) && count + 1 < COLUMNS;)
        if (strcmp(name, "gradient_norm") != 0) column[count++] = name;
    column[count++] = NULL;
    return count;
}

/* A figure; of both ways of a method that has two, their sum. */
static double figure_of(const struct checked *checked, const cover_figure *figures, double loss, const char *name) {
    static const char *const ways[] = {"_forth", "_back"};
    const size_t length = strlen(name);
    double both = 0;
    int found = 0;
    for (int i = 0; i < checked->engine->model.terms; i++)
        if (strcmp(figures[i].name, name) == 0) return figures[i].value;
    for (int i = 0; i < 2 * checked->engine->model.terms; i++)
        if (strncmp(figures[i / 2].name, name, length) == 0 && strcmp(figures[i / 2].name + length, ways[i % 2]) == 0)
            both += figures[i / 2].value, found++;
    if (found == 2) return both;
    double parts = 0; /* "discriminator" is told in parts: _real and _fake */
    for (int i = 0; i < checked->engine->model.terms; i++) {
        const size_t length = strlen(name);
        if (strncmp(figures[i].name, name, length) == 0 && figures[i].name[length] == '_') parts += figures[i].value;
    }
    return strcmp(name, "loss") == 0 ? loss : parts > 0 ? parts : NAN;
}

static cover_status check_steps(struct checked *checked) {
    struct golden *golden = checked->golden;
    struct engine *engine = checked->engine;
    const struct bounds bound = bounds_of(checked);
    const char *column[COLUMNS];
    char names[256], name[96];
    const int columns = columns_of(names, column, golden);
    const struct tensor_entry *entry = tensor_file_find(golden->file, "out.trajectory");
    float expected[STEPS_MAX * COLUMNS];
    if (!entry || entry->elements > STEPS_MAX * COLUMNS || entry->elements % columns)
        return fail(COVER_ERROR_FORMAT, "%s: out.trajectory does not fit its columns", golden->path);
    TRY(tensor_read_f32(golden->file, entry, expected));
    const struct sample_source source = {take, give_back, checked};
    for (int step = 0; step < (int)(entry->elements / columns); step++) {
        struct step_sums sums;
        cover_figure figures[MODEL_TERMS];
        if (checked->meaning->before) TRY(checked->meaning->before(checked, step));
        TRY(engine_step(engine, &source, &sums));
        TRY(engine_fetch(engine));
        const double loss = model_figures(&engine->model, sums.term, sums.count, figures);
        const double norm = engine_gradient_norm(engine, sums.count);
        if (step == 0) compare_gradients(checked, sums.count, bound.gradient);
        for (int i = 0; i < columns; i++) {
            snprintf(name, sizeof name, "trajectory.%d.%s", step, column[i] ? column[i] : "gradient_norm");
            compare(golden, name, column[i] ? figure_of(checked, figures, loss, column[i]) : norm, expected[step * columns + i],
                    !column[i]  ? bound.norm
                    : step == 0 ? bound.value
                                : bound.trajectory);
        }
        TRY(engine_update(engine, sums.count, norm, config_settings(checked->config)->common.lr));
        checked->run.step = step + 1;
        if (checked->objective->after_step) TRY(checked->objective->after_step(&checked->run));
    }
    TRY(engine_fetch(engine));
    compare_after(checked, bound.after);
    return COVER_OK;
}

/* ---- a file */

static cover_status check(struct checked *checked) {
    struct golden *golden = checked->golden;
    TRY(read_inputs(checked));
    TRY(read_settings(checked));
    const struct settings *settings = config_settings(checked->config);
    checked->objective = objective_of(golden->context, &settings->objective);
    const struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    TRY(engine_create(&checked->engine, golden->context, settings, objective_build, &crop, checked->batch));
    checked->reader =
        (struct sample_reader){.count = checked->samples, .channels = (int)settings->network.channels, .largest = crop};
    checked->run = (struct objective_run){
        .context = golden->context, .settings = settings, .reader = &checked->reader, .engine = checked->engine};
    if (!(checked->run.state = memory_zero(golden->context, checked->objective->state_bytes + 1))) return COVER_ERROR_MEMORY;
    if (checked->objective->start) TRY(checked->objective->start(&checked->run));
    TRY(load_weights(checked));
    return check_steps(checked);
}

bool golden_is_objective(const struct golden *golden) {
    const char *name = tensor_file_metadata(golden->file, "objective");
    for (size_t i = 0; name && i < sizeof meanings / sizeof *meanings; i++)
        if (strcmp(meanings[i].file, name) == 0) return true;
    return false;
}

void golden_objective(struct golden *golden) {
    struct checked checked = {.golden = golden};
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (strcmp(meanings[i].file, tensor_file_metadata(golden->file, "objective")) == 0) checked.meaning = &meanings[i];
    if (check(&checked) != COVER_OK) golden_error(golden, golden->path);
    if (checked.objective && checked.objective->end) checked.objective->end(&checked.run);
    memory_free(golden->context, checked.run.state);
    engine_destroy(checked.engine);
    cover_config_destroy(checked.config);
    for (int i = 0; i < INPUTS; i++) memory_free(golden->context, checked.input[i]);
}
