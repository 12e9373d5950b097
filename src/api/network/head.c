/* The public head: VPA from the levels of two images (include/libcover/head.h), and the warp by a field. */
#include "component.h"
#include "core/method/cover.h"
#include "io/weights/weights.h"

#include <libcover/head.h>

#include <string.h>

struct cover_head {
    struct component component;
};

/* ---- graphs: levels of the moving and the fixed image lie one behind the other, as VPA takes them.  The key holds the
 * full-size grid; the coarser ones follow from it (level_grid). */
enum { DETAIL_WANT_LEVELS = 1 };

static struct levels levels_of(const struct component *component) {
    return backbone_levels(component->context, &component->settings.network);
}

static int build_field(struct prepared *prepared, struct component *component, int levels[LEVELS_MAX]) {
    const struct levels known = levels_of(component);
    for (int i = 0; i < known.count; i++) {
        struct grid grid = level_grid(&prepared->grid, known.at[i].stride);
        levels[i] = graph_input(&prepared->graph, "level", 2, &grid, known.at[i].channels);
    }
    return vpa_build(&prepared->graph, levels, &component->settings, NULL);
}

static void build_forward(struct prepared *prepared, struct component *component) {
    int levels[LEVELS_MAX];
    prepared->result[0] = graph_result(&prepared->graph, build_field(prepared, component, levels));
}

static void build_backward(struct prepared *prepared, struct component *component) {
    struct graph *graph = &prepared->graph;
    int levels[LEVELS_MAX], count = levels_of(component).count, field = build_field(prepared, component, levels);
    int gradient = graph_input(graph, "dfield", 1, &prepared->grid, prepared->grid.ndim);
    struct derivative derivative = {.outputs = 1, .output = {field}, .gradient = {gradient}};
    bool direct = component->settings.objective.pyramid == PYRAMID_DIRECT;
    for (int i = direct ? count - 1 : 0; i < count && prepared->detail & DETAIL_WANT_LEVELS; i++)
        derivative.want[derivative.wants++] = levels[i];
    graph_differentiate(graph, &derivative);
    for (int i = 0; i < derivative.wants; i++)
        prepared->result[count - derivative.wants + i] = graph_result(graph, derivative.want_gradient[i]);
}

/* ---- life */

static cover_status add_parameters(struct component *component) {
    struct settings *settings = &component->settings;
    struct settings given = *settings;
    struct prepared smallest = {.grid =
                                    backbone_grid(backbone_of(component->context, &settings->network), settings->network.dims, 1)};
    settings->objective.pyramid = PYRAMID_ALL; /* `direct` leaves levels out, never parameters */
    component->parameters.context = component->context;
    graph_begin(&smallest.graph, component->context, &component->parameters);
    build_forward(&smallest, component);
    cover_status status = graph_finish(&smallest.graph);
    graph_free(&smallest.graph);
    *settings = given;
    return status;
}

static cover_status create(cover_head **made, cover_context *context, const cover_config *config, bool fresh) {
    TRY(cover_config_validate(config));
    cover_head *head = handle_make(context, sizeof *head);
    if (!head) return COVER_ERROR_MEMORY;
    cover_status status;
    GO(component_create(&head->component, context, config));
    GO(add_parameters(&head->component));
    GO(component_allocate(&head->component, fresh));
    *made = head;
done:
    if (status != COVER_OK) cover_head_destroy(head);
    return status;
}

cover_status cover_head_create(cover_head **head, cover_context *context, const cover_config *config) {
    if (!head || !context || !config) return fail(COVER_ERROR_ARGUMENT, "cover_head_create: an argument is NULL");
    return create(head, context, config, true);
}

cover_status cover_head_load(cover_head **out, cover_context *context, const char *path, const cover_backbone_options *given) {
    if (!out || !context || !path) return fail(COVER_ERROR_ARGUMENT, "cover_head_load: an argument is NULL");
    cover_backbone_options options = COVER_BACKBONE_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "cover_backbone_options"));
    cover_head *head = NULL;
    cover_config *config = NULL;
    struct tensor_file *file;
    TRY(weights_open(&file, context, path));
    cover_status status;
    GO(config_of_weights(&config, NULL, context, file));
    GO(create(&head, context, config, options.allow_partial));
    GO(weights_load(head->component.weights, &head->component.parameters, file,
                    &(struct weights_match){.only = "proj.", .allow_partial = options.allow_partial}));
    *out = head, head = NULL;
done:
    cover_head_destroy(head);
    cover_config_destroy(config);
    tensor_file_close(file);
    return status;
}

void cover_head_destroy(cover_head *head) {
    if (!head) return;
    cover_context *context = head->component.context;
    component_free(&head->component);
    handle_free(context, head);
}

/* ---- parameters */

const char *cover_head_parameter_at(const cover_head *head, int index) {
    if (!head) return NULL;
    const struct parameters *parameters = &head->component.parameters;
    return index >= 0 && index < parameters->count ? parameters->rows[index].name : NULL;
}
cover_status cover_head_get(cover_tensor **value, const cover_head *head, const char *name) {
    if (!head || !name) return fail(COVER_ERROR_ARGUMENT, "cover_head_get: an argument is NULL");
    return component_get(value, &head->component, COMPONENT_WEIGHTS, name);
}
cover_status cover_head_set(cover_head *head, const char *name, const cover_tensor *value) {
    if (!head) return fail(COVER_ERROR_ARGUMENT, "cover_head_set: the head is NULL");
    return component_set(&head->component, name, value);
}
cover_status cover_head_gradient(cover_tensor **gradient, const cover_head *head, const char *name) {
    if (!head || !name) return fail(COVER_ERROR_ARGUMENT, "cover_head_gradient: an argument is NULL");
    return component_get(gradient, &head->component, COMPONENT_GRADIENT, name);
}
cover_status cover_head_zero_gradient(cover_head *head) {
    if (!head) return fail(COVER_ERROR_ARGUMENT, "cover_head_zero_gradient: an argument is NULL");
    component_zero_gradient(&head->component);
    return COVER_OK;
}

/* ---- running */

struct pairs { /* levels of both images of all pairs, moving and fixed of a pair one behind the other */
    struct levels levels;
    struct tensor_layout level[LEVELS_MAX]; /* images = pairs */
    float *values[LEVELS_MAX], *gradient[LEVELS_MAX];
};

static int64_t image_values(const struct tensor_layout *layout) { return grid_pixels(&layout->grid) * layout->channels; }

static void free_pairs(struct pairs *pairs, cover_context *context) {
    for (int i = 0; i < pairs->levels.count; i++) memory_free(context, pairs->values[i]), memory_free(context, pairs->gradient[i]);
}

/* Pair n's moving levels at image 2n, fixed at 2n + 1. */
static cover_status read_view(struct pairs *pairs, struct component *component, const cover_tensor *level, int i, int view) {
    struct tensor_layout *layout = &pairs->level[i];
    int64_t image = image_values(layout);
    float *values = memory_alloc(component->context, (size_t)(layout->images * image) * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    cover_status status = tensor_to_channels_last(values, level, (int)component->settings.network.dims);
    for (int64_t n = 0; n < layout->images && status == COVER_OK; n++)
        memcpy(pairs->values[i] + (2 * n + view) * image, values + n * image, (size_t)image * sizeof *values);
    memory_free(component->context, values);
    return status;
}

static cover_status check_level(const struct pairs *pairs, const struct component *component, const cover_tensor *tensor, int i) {
    struct tensor_layout layout;
    TRY(tensor_layout(&layout, tensor, (int)component->settings.network.dims, "a level"));
    const struct tensor_layout *full = &pairs->level[pairs->levels.count - 1];
    const struct level *level = &pairs->levels.at[i];
    struct grid wanted = level_grid(&full->grid, level->stride);
    if (layout.channels != level->channels || !grid_same(&layout.grid, &wanted) || layout.images != full->images)
        return fail(COVER_ERROR_SHAPE, "level %d: its images, channels (%lld, the head takes %lld) or size do not fit", i,
                    (long long)layout.channels, (long long)level->channels);
    return COVER_OK;
}

static cover_status read_pairs(struct pairs *pairs, struct component *component, const cover_tensor *const *moving,
                               const cover_tensor *const *fixed, int levels) {
    const int count = levels_of(component).count, last = count - 1;
    if (levels != count) return fail(COVER_ERROR_ARGUMENT, "%d levels were given, but the head takes %d", levels, count);
    pairs->levels = levels_of(component);
    for (int i = 0; i < count; i++)
        if (!moving[i] || !fixed[i]) return fail(COVER_ERROR_ARGUMENT, "level %d is NULL", i);
    TRY(tensor_layout(&pairs->level[last], fixed[last], (int)component->settings.network.dims, "the last level"));
    for (int i = last; i >= 0; i--) {
        TRY(check_level(pairs, component, moving[i], i));
        TRY(check_level(pairs, component, fixed[i], i));
        TRY(tensor_layout(&pairs->level[i], fixed[i], (int)component->settings.network.dims, "a level"));
        size_t bytes = (size_t)(2 * pairs->level[i].images * image_values(&pairs->level[i])) * sizeof(float);
        if (!(pairs->values[i] = memory_alloc(component->context, bytes))) return COVER_ERROR_MEMORY;
        TRY(read_view(pairs, component, moving[i], i, 0));
        TRY(read_view(pairs, component, fixed[i], i, 1));
    }
    return COVER_OK;
}

static void set_levels(struct run *run, const struct pairs *pairs, int64_t n) {
    for (int i = 0; i < pairs->levels.count; i++) run->input[i] = pairs->values[i] + 2 * n * image_values(&pairs->level[i]);
}

static struct tensor_layout field_layout(const struct pairs *pairs) {
    struct tensor_layout layout = pairs->level[pairs->levels.count - 1];
    layout.channels = layout.grid.ndim;
    return layout;
}

static cover_status run_fields(float *field, struct component *component, const struct pairs *pairs) {
    struct tensor_layout layout = field_layout(pairs);
    int64_t image = image_values(&layout);
    struct prepared *prepared;
    TRY(component_prepare(&prepared, component, build_forward, &layout.grid, 0));
    cover_status status = COVER_OK;
    for (int64_t n = 0; n < layout.images && status == COVER_OK; n++) {
        struct run run = {0};
        set_levels(&run, pairs, n);
        status = component_run(component, prepared, &run, false);
        if (status == COVER_OK) memcpy(field + n * image, component_result(prepared, &run, 0), (size_t)image * sizeof *field);
        session_end(&prepared->session, &run);
    }
    component_done(component, prepared);
    return status;
}

cover_status cover_head_forward(cover_tensor **out, cover_head *head, const cover_tensor *const *moving,
                                const cover_tensor *const *fixed, int levels) {
    if (!out || !head || !moving || !fixed) return fail(COVER_ERROR_ARGUMENT, "cover_head_forward: an argument is NULL");
    struct component *component = &head->component;
    struct pairs pairs = {0};
    float *field = NULL;
    cover_status status;
    GO(read_pairs(&pairs, component, moving, fixed, levels));
    struct tensor_layout layout = field_layout(&pairs);
    field = memory_alloc(component->context, (size_t)(layout.images * image_values(&layout)) * sizeof *field);
    if (!field) GO(COVER_ERROR_MEMORY);
    GO(run_fields(field, component, &pairs));
    GO(tensor_adopt_channels_last(out, component->context, field, &layout));
    field = NULL;
done:
    memory_free(component->context, field);
    free_pairs(&pairs, component->context);
    return status;
}

/* ---- backward */

static cover_status run_gradients(struct component *component, struct pairs *pairs, const float *dfield, bool want_levels) {
    struct tensor_layout layout = field_layout(pairs);
    struct prepared *prepared;
    TRY(component_prepare(&prepared, component, build_backward, &layout.grid, want_levels ? DETAIL_WANT_LEVELS : 0));
    cover_status status = COVER_OK;
    for (int64_t n = 0; n < layout.images && status == COVER_OK; n++) {
        struct run run = {0};
        set_levels(&run, pairs, n);
        run.input[pairs->levels.count] = dfield + n * image_values(&layout);
        status = component_run(component, prepared, &run, true);
        for (int i = 0; i < pairs->levels.count && want_levels && status == COVER_OK; i++) {
            int64_t image = image_values(&pairs->level[i]);
            const float *gradient = prepared->result[i] == ABSENT ? NULL : component_result(prepared, &run, i);
            if (gradient) memcpy(pairs->gradient[i] + 2 * n * image, gradient, (size_t)(2 * image) * sizeof *gradient);
        }
        session_end(&prepared->session, &run);
    }
    component_done(component, prepared);
    return status;
}

static cover_status give_view(cover_tensor **made, struct component *component, const struct pairs *pairs, int i, int view) {
    const struct tensor_layout *layout = &pairs->level[i];
    int64_t image = image_values(layout);
    float *values = memory_alloc(component->context, (size_t)(layout->images * image) * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    for (int64_t n = 0; n < layout->images; n++)
        memcpy(values + n * image, pairs->gradient[i] + (2 * n + view) * image, (size_t)image * sizeof *values);
    cover_status status = tensor_adopt_channels_last(made, component->context, values, layout);
    if (status != COVER_OK) memory_free(component->context, values);
    return status;
}

static cover_status give_gradients(cover_tensor **dmoving, cover_tensor **dfixed, struct component *component,
                                   const struct pairs *pairs) {
    cover_tensor *made[2][LEVELS_MAX] = {{0}}, **wanted[2] = {dmoving, dfixed};
    cover_status status = COVER_OK;
    for (int view = 0; view < 2; view++)
        for (int i = 0; i < pairs->levels.count && wanted[view] && status == COVER_OK; i++)
            status = give_view(&made[view][i], component, pairs, i, view);
    for (int view = 0; view < 2; view++)
        for (int i = 0; i < pairs->levels.count && wanted[view]; i++) {
            if (status == COVER_OK) wanted[view][i] = made[view][i];
            else cover_tensor_destroy(made[view][i]);
        }
    return status;
}

cover_status cover_head_backward(cover_tensor **dmoving, cover_tensor **dfixed, cover_head *head, const cover_tensor *const *moving,
                                 const cover_tensor *const *fixed, int levels, const cover_tensor *dfield) {
    if (!head || !moving || !fixed || !dfield) return fail(COVER_ERROR_ARGUMENT, "cover_head_backward: an argument is NULL");
    struct component *component = &head->component;
    struct pairs pairs = {0};
    struct tensor_layout given;
    float *values = NULL;
    bool want_levels = dmoving || dfixed;
    cover_status status;
    GO(read_pairs(&pairs, component, moving, fixed, levels));
    GO(tensor_layout(&given, dfield, (int)component->settings.network.dims, "dfield"));
    struct tensor_layout layout = field_layout(&pairs);
    if (given.images != layout.images || given.channels != layout.channels || !grid_same(&given.grid, &layout.grid))
        GO(fail(COVER_ERROR_SHAPE, "dfield has not the shape of the field"));
    values = memory_alloc(component->context, (size_t)(layout.images * image_values(&layout)) * sizeof *values);
    if (!values) GO(COVER_ERROR_MEMORY);
    GO(tensor_to_channels_last(values, dfield, (int)component->settings.network.dims));
    for (int i = 0; i < pairs.levels.count && want_levels; i++) {
        size_t bytes = (size_t)(2 * pairs.level[i].images * image_values(&pairs.level[i])) * sizeof(float);
        if (!(pairs.gradient[i] = memory_zero(component->context, bytes))) GO(COVER_ERROR_MEMORY);
    }
    GO(run_gradients(component, &pairs, values, want_levels));
    status = give_gradients(dmoving, dfixed, component, &pairs);
done:
    memory_free(component->context, values);
    free_pairs(&pairs, component->context);
    return status;
}
