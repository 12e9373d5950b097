/* The public backbone and its features (include/libcover/backbone.h). */
#include "core/nn/backbone.h"
#include "border.h"
#include "component.h"
#include "io/weights/weights.h"

#include <libcover/backbone.h>

#include <string.h>

struct cover_backbone {
    struct component component;
};
_Static_assert((int)LEVELS_MAX <= (int)COMPONENT_RESULTS && (int)LEVELS_MAX < (int)RUN_INPUTS &&
                   (int)LEVELS_MAX <= (int)DERIVATIVES,
               "every level, and an image, has its place");

struct cover_features {
    cover_context *context;
    struct levels levels;
    cover_tensor *level[LEVELS_MAX];
};

static const struct backbone *row_of(const struct component *component) {
    return backbone_of(component->context, &component->settings.network);
}
static struct levels levels_of(const struct component *component) {
    return backbone_levels(component->context, &component->settings.network);
}

/* ---- graphs: detail = images, then bits */
enum { DETAIL_IMAGES = 0xffff, DETAIL_WANT_INPUT = 1 << 16, DETAIL_LEVEL = 1 << 17 /* << level: it has a gradient */ };

static int build_levels(struct prepared *prepared, struct component *component, int levels[LEVELS_MAX]) {
    int x = graph_input(&prepared->graph, "x", (int)(prepared->detail & DETAIL_IMAGES), &prepared->grid,
                        component->settings.network.channels);
    row_of(component)->build(&prepared->graph, x, &component->settings.network, levels);
    return x;
}

static void build_forward(struct prepared *prepared, struct component *component) {
    int levels[LEVELS_MAX];
    const int count = levels_of(component).count;
    prepared->graph.features = settings_features(&component->settings.network);
    build_levels(prepared, component, levels);
    for (int i = 0; i < count; i++) prepared->result[i] = graph_result(&prepared->graph, levels[i]);
}

static void build_backward(struct prepared *prepared, struct component *component) {
    struct graph *graph = &prepared->graph;
    int levels[LEVELS_MAX], count = levels_of(component).count, x = build_levels(prepared, component, levels);
    struct derivative derivative = {.wants = prepared->detail & DETAIL_WANT_INPUT ? 1 : 0, .want = {x}};
    for (int i = 0; i < count && graph->status == COVER_OK; i++) {
        if (!(prepared->detail & (unsigned)DETAIL_LEVEL << i)) continue;
        const struct tensor level = graph->tensors[levels[i]];
        derivative.output[derivative.outputs] = levels[i];
        derivative.gradient[derivative.outputs++] = graph_input(graph, "gradient", level.images, &level.grid, level.channels);
    }
    graph_differentiate(graph, &derivative);
    if (derivative.wants) prepared->result[0] = graph_result(graph, derivative.want_gradient[0]);
}

/* ---- life */

static void add_parameters(struct component *component, cover_status *status) {
    struct prepared whole = {.detail = 1, .grid = backbone_grid(row_of(component), component->settings.network.dims, 1)};
    component->parameters.context = component->context;
    graph_begin(&whole.graph, component->context, &component->parameters);
    build_forward(&whole, component);
    *status = graph_finish(&whole.graph);
    graph_free(&whole.graph);
}

static cover_status create(cover_backbone **made, cover_context *context, const cover_config *config, bool fresh) {
    TRY(cover_config_validate(config));
    cover_backbone *backbone = handle_make(context, sizeof *backbone);
    if (!backbone) return COVER_ERROR_MEMORY;
    struct component *component = &backbone->component;
    cover_status status;
    GO(component_create(component, context, config));
    add_parameters(component, &status);
    if (status == COVER_OK) status = component_allocate(component, fresh);
    if (status == COVER_OK) *made = backbone;
done:
    if (status != COVER_OK) cover_backbone_destroy(backbone);
    return status;
}

cover_status cover_backbone_create(cover_backbone **backbone, cover_context *context, const cover_config *config) {
    if (!backbone || !context || !config) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_create: an argument is NULL");
    return create(backbone, context, config, true);
}

cover_status cover_backbone_load(cover_backbone **out, cover_context *context, const char *path,
                                 const cover_backbone_options *given) {
    if (!out || !context || !path) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_load: an argument is NULL");
    cover_backbone_options options = COVER_BACKBONE_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "cover_backbone_options"));
    cover_backbone *backbone = NULL;
    cover_config *config = NULL;
    struct tensor_file *file;
    TRY(weights_open(&file, context, path));
    cover_status status;
    GO(config_of_weights(&config, NULL, context, file));
    GO(create(&backbone, context, config, options.allow_partial));
    GO(weights_load(backbone->component.weights, &backbone->component.parameters, file,
                    &(struct weights_match){.only = "backbone.", .allow_partial = options.allow_partial}));
    *out = backbone, backbone = NULL;
done:
    cover_backbone_destroy(backbone);
    cover_config_destroy(config);
    tensor_file_close(file);
    return status;
}

void cover_backbone_destroy(cover_backbone *backbone) {
    if (!backbone) return;
    cover_context *context = backbone->component.context;
    component_free(&backbone->component);
    handle_free(context, backbone);
}

const cover_config *cover_backbone_config(const cover_backbone *backbone) { return backbone ? backbone->component.config : NULL; }

/* ---- parameters */

const char *cover_backbone_parameter_at(const cover_backbone *backbone, int index) {
    if (!backbone) return NULL;
    const struct parameters *parameters = &backbone->component.parameters;
    return index >= 0 && index < parameters->count ? parameters->rows[index].name : NULL;
}
cover_status cover_backbone_get(cover_tensor **value, const cover_backbone *backbone, const char *name) {
    if (!backbone || !name) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_get: an argument is NULL");
    return component_get(value, &backbone->component, COMPONENT_WEIGHTS, name);
}
cover_status cover_backbone_set(cover_backbone *backbone, const char *name, const cover_tensor *value) {
    if (!backbone) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_set: the backbone is NULL");
    return component_set(&backbone->component, name, value);
}
cover_status cover_backbone_gradient(cover_tensor **gradient, const cover_backbone *backbone, const char *name) {
    if (!backbone || !name) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_gradient: an argument is NULL");
    return component_get(gradient, &backbone->component, COMPONENT_GRADIENT, name);
}
cover_status cover_backbone_zero_gradient(cover_backbone *backbone) {
    if (!backbone) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_zero_gradient: an argument is NULL");
    component_zero_gradient(&backbone->component);
    return COVER_OK;
}

/* ---- forward */

static cover_status check_input(struct tensor_layout *layout, const struct component *component, const cover_tensor *x) {
    TRY(tensor_layout(layout, x, (int)component->settings.network.dims, "x"));
    if (layout->channels != component->settings.network.channels)
        return fail(COVER_ERROR_SHAPE, "x has %lld channel%s, but the network takes %d", (long long)layout->channels,
                    layout->channels == 1 ? "" : "s", (int)component->settings.network.channels);
    return COVER_OK;
}

static struct tensor_layout level_layout(const struct level *level, const struct tensor_layout *x) {
    return (struct tensor_layout){.images = x->images, .channels = level->channels, .grid = level_grid(&x->grid, level->stride)};
}

static int64_t layout_values(const struct tensor_layout *layout) {
    return layout->images * grid_pixels(&layout->grid) * layout->channels;
}

static cover_status make_features(cover_features **made, struct component *component, const struct tensor_layout *x) {
    cover_features *features = handle_make(component->context, sizeof *features);
    if (!features) return COVER_ERROR_MEMORY;
    features->context = component->context;
    features->levels = levels_of(component);
    for (int i = 0; i < features->levels.count; i++) {
        struct tensor_layout layout = level_layout(&features->levels.at[i], x);
        float *values = memory_alloc(component->context, (size_t)layout_values(&layout) * sizeof *values);
        cover_status status =
            values ? tensor_adopt_channels_last(&features->level[i], component->context, values, &layout) : COVER_ERROR_MEMORY;
        if (status != COVER_OK) {
            memory_free(component->context, values);
            cover_features_destroy(features);
            return status;
        }
    }
    *made = features;
    return COVER_OK;
}

/* Levels of `count` images, from padded size to the features' own. */
static void store_levels(cover_features *features, const struct prepared *prepared, const struct run *run,
                         const struct tensor_layout *x, int64_t first, int64_t count) {
    struct tensor_layout padded = {.images = count, .channels = x->channels, .grid = prepared->grid};
    for (int i = 0; i < features->levels.count; i++) {
        struct tensor_layout from = level_layout(&features->levels.at[i], &padded), to = level_layout(&features->levels.at[i], x);
        int64_t from_image = layout_values(&from) / from.images, to_image = layout_values(&to) / to.images;
        float *values = cover_tensor_data(features->level[i]);
        const float *result = component_result(prepared, run, i);
        for (int64_t n = 0; n < count; n++)
            border_copy(values + (first + n) * to_image, &to.grid, result + n * from_image, &from.grid, to.channels);
    }
}

/* A large image keeps all threads busy by itself, so several would only cost memory; of small ones a run takes several. */
static int64_t images_at_once(const struct grid *grid, int64_t most) {
    enum { ENOUGH_PIXELS = 1 << 17 };
    int64_t images = ENOUGH_PIXELS / grid_pixels(grid);
    return images < 1 ? 1 : images < most ? images : most;
}

cover_status cover_backbone_forward(cover_features **out, cover_backbone *backbone, const cover_tensor *x) {
    if (!out || !backbone || !x) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_forward: an argument is NULL");
    struct component *component = &backbone->component;
    cover_context *context = component->context;
    struct tensor_layout layout;
    TRY(check_input(&layout, component, x));
    struct grid padded = border_padded(&layout.grid, row_of(component)->multiple);
    int64_t image = grid_pixels(&layout.grid) * layout.channels, padded_image = grid_pixels(&padded) * layout.channels;
    int64_t at_once = images_at_once(&padded, layout.images < context->threads ? layout.images : context->threads);
    cover_features *features = NULL;
    cover_status status = COVER_ERROR_MEMORY;
    float *plain = memory_alloc(context, (size_t)(layout.images * image) * sizeof *plain);
    float *chunk = memory_alloc(context, (size_t)(at_once * padded_image) * sizeof *chunk);
    if (!plain || !chunk) goto done;
    GO(tensor_to_channels_last(plain, x, (int)component->settings.network.dims));
    GO(make_features(&features, component, &layout));
    for (int64_t first = 0; first < layout.images && status == COVER_OK; first += at_once) {
        int64_t count = layout.images - first < at_once ? layout.images - first : at_once;
        struct run run = {.input = {chunk}};
        struct prepared *prepared;
        if (cancelled(context)) GO(fail(COVER_ERROR_CANCELLED, "cover_backbone_forward: cancelled"));
        GO(component_prepare(&prepared, component, build_forward, &padded, (unsigned)count));
        for (int64_t n = 0; n < count; n++)
            border_copy(chunk + n * padded_image, &padded, plain + (first + n) * image, &layout.grid, layout.channels);
        status = component_run(component, prepared, &run, false);
        if (status == COVER_OK) store_levels(features, prepared, &run, &layout, first, count);
        session_end(&prepared->session, &run);
        component_done(component, prepared);
    }
    if (status == COVER_OK) *out = features, features = NULL;
done:
    cover_features_destroy(features);
    memory_free(context, plain);
    memory_free(context, chunk);
    return status;
}

/* ---- backward */

static cover_status read_gradients(float *values[LEVELS_MAX], struct component *component, const struct levels *levels,
                                   const struct tensor_layout *x, const cover_tensor *const *gradients) {
    for (int i = 0; i < levels->count; i++) {
        if (!gradients[i]) continue;
        struct tensor_layout wanted = level_layout(&levels->at[i], x), given;
        TRY(tensor_layout(&given, gradients[i], (int)component->settings.network.dims, "a level's gradient"));
        if (given.images != wanted.images || given.channels != wanted.channels || !grid_same(&given.grid, &wanted.grid))
            return fail(COVER_ERROR_SHAPE, "the gradient of level %d has not the level's shape", i);
        values[i] = memory_alloc(component->context, (size_t)layout_values(&given) * sizeof(float));
        if (!values[i]) return COVER_ERROR_MEMORY;
        TRY(tensor_to_channels_last(values[i], gradients[i], (int)component->settings.network.dims));
    }
    return COVER_OK;
}

static cover_status run_backward(struct component *component, float *dx, const float *x, float *const gradients[LEVELS_MAX],
                                 const struct tensor_layout *layout) {
    unsigned detail = 1 | (dx ? DETAIL_WANT_INPUT : 0);
    int64_t image = grid_pixels(&layout->grid) * layout->channels;
    const struct levels levels = levels_of(component);
    struct prepared *prepared;
    for (int i = 0; i < levels.count; i++) detail |= gradients[i] ? (unsigned)DETAIL_LEVEL << i : 0;
    TRY(component_prepare(&prepared, component, build_backward, &layout->grid, detail));
    cover_status status = COVER_OK;
    for (int64_t n = 0; n < layout->images && status == COVER_OK; n++) {
        struct run run = {.input = {x + n * image}};
        for (int i = 0, input = 1; i < levels.count; i++) {
            struct tensor_layout level = level_layout(&levels.at[i], layout);
            if (gradients[i]) run.input[input++] = gradients[i] + n * (layout_values(&level) / level.images);
        }
        status = component_run(component, prepared, &run, true);
        if (status == COVER_OK && dx) memcpy(dx + n * image, component_result(prepared, &run, 0), (size_t)image * sizeof *dx);
        session_end(&prepared->session, &run);
    }
    component_done(component, prepared);
    return status;
}

cover_status cover_backbone_backward(cover_tensor **dx, cover_backbone *backbone, const cover_tensor *x,
                                     const cover_tensor *const *gradients, int count) {
    if (!backbone || !x || !gradients) return fail(COVER_ERROR_ARGUMENT, "cover_backbone_backward: an argument is NULL");
    struct component *component = &backbone->component;
    const struct levels levels = levels_of(component);
    if (count != levels.count)
        return fail(COVER_ERROR_ARGUMENT, "cover_backbone_backward: %d levels, but there are %d", count, levels.count);
    cover_context *context = component->context;
    struct tensor_layout layout;
    TRY(check_input(&layout, component, x));
    struct grid padded = border_padded(&layout.grid, row_of(component)->multiple);
    if (!grid_same(&padded, &layout.grid))
        return fail(COVER_ERROR_SHAPE, "cover_backbone_backward: sizes must be multiples of %d; pad the images",
                    row_of(component)->multiple);
    float *values = NULL, *gradient = NULL, *level[LEVELS_MAX] = {0};
    cover_status status = COVER_ERROR_MEMORY;
    size_t bytes = (size_t)layout_values(&layout) * sizeof *values;
    if (!(values = memory_alloc(context, bytes)) || (dx && !(gradient = memory_alloc(context, bytes)))) goto done;
    GO(tensor_to_channels_last(values, x, (int)component->settings.network.dims));
    GO(read_gradients(level, component, &levels, &layout, gradients));
    GO(run_backward(component, gradient, values, level, &layout));
    if (dx) {
        GO(tensor_adopt_channels_last(dx, context, gradient, &layout));
        gradient = NULL;
    }
done:
    for (int i = 0; i < levels.count; i++) memory_free(context, level[i]);
    memory_free(context, values);
    memory_free(context, gradient);
    return status;
}

/* ---- features */

int cover_features_count(const cover_features *features) { return features ? features->levels.count : 0; }
const cover_tensor *cover_features_level(const cover_features *features, int level) {
    return features && level >= 0 && level < features->levels.count ? features->level[level] : NULL;
}
int cover_features_stride(const cover_features *features, int level) {
    return features && level >= 0 && level < features->levels.count ? features->levels.at[level].stride : 0;
}
void cover_features_destroy(cover_features *features) {
    if (!features) return;
    for (int i = 0; i < LEVELS_MAX; i++) cover_tensor_destroy(features->level[i]);
    handle_free(features->context, features);
}
