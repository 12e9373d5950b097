/* The losses and the warp as calls of their own (include/libcover/loss.h, head.h): graphs of one op, run once. */
#include "component.h"

#include <libcover/head.h>
#include <libcover/loss.h>

#include <string.h>

enum { OPERANDS = 3 };

struct operation {
    struct component component; /* without parameters: memory and the way to run */
    struct prepared *prepared;
    struct run run;
    struct tensor_layout layout[OPERANDS];
    float *values[OPERANDS];
    int count;
};

static void free_operation(struct operation *operation) {
    cover_context *context = operation->component.context;
    if (operation->prepared) {
        session_end(&operation->prepared->session, &operation->run);
        component_done(&operation->component, operation->prepared);
    }
    for (int i = 0; i < OPERANDS; i++) memory_free(context, operation->values[i]);
    component_free(&operation->component);
}

static cover_status read_operand(struct operation *operation, const cover_tensor *tensor, const char *what) {
    int dims = cover_tensor_rank(tensor) - 2, i = operation->count++;
    struct tensor_layout *layout = &operation->layout[i];
    if (dims != 2 && dims != 3) return fail(COVER_ERROR_SHAPE, "%s: rank %d, but (N, C, [D,] H, W) is needed", what, dims + 2);
    TRY(tensor_layout(layout, tensor, dims, what));
    if (layout->images != operation->layout[0].images || !grid_same(&layout->grid, &operation->layout[0].grid))
        return fail(COVER_ERROR_SHAPE, "%s: its images or size differ from those of the others", what);
    size_t bytes = (size_t)(layout->images * grid_pixels(&layout->grid) * layout->channels) * sizeof(float);
    if (!(operation->values[i] = memory_alloc(operation->component.context, bytes))) return COVER_ERROR_MEMORY;
    operation->run.input[i] = operation->values[i];
    return tensor_to_channels_last(operation->values[i], tensor, dims);
}

/* The component is the first member of its operation, which knows the operands' channels. */
static int operand(struct prepared *prepared, const struct component *component, int i) {
    const struct operation *operation = (const struct operation *)component;
    return graph_input(&prepared->graph, "operand", (int)operation->layout[i].images, &prepared->grid,
                       operation->layout[i].channels);
}

static void differentiate(struct prepared *prepared, int loss, const int *wanted, int wants) {
    struct derivative derivative = {.outputs = 1, .output = {loss}, .gradient = {loss}, .wants = wants};
    memcpy(derivative.want, wanted, (size_t)wants * sizeof *wanted);
    prepared->result[0] = graph_result(&prepared->graph, loss);
    graph_differentiate(&prepared->graph, &derivative);
    for (int i = 0; i < wants; i++) prepared->result[1 + i] = graph_result(&prepared->graph, derivative.want_gradient[i]);
}

static void build_vector(struct prepared *prepared, struct component *component) {
    int prediction = operand(prepared, component, 0), truth = operand(prepared, component, 1);
    int loss = graph_vector_loss(&prepared->graph, prediction, truth, operand(prepared, component, 2));
    if (prepared->detail) differentiate(prepared, loss, &prediction, 1);
    else prepared->result[0] = graph_result(&prepared->graph, loss);
}

static void build_cosine(struct prepared *prepared, struct component *component) {
    int wanted[] = {operand(prepared, component, 0), operand(prepared, component, 1)};
    int loss = graph_cosine_loss(&prepared->graph, wanted[0], wanted[1], operand(prepared, component, 2));
    if (prepared->detail) differentiate(prepared, loss, wanted, 2);
    else prepared->result[0] = graph_result(&prepared->graph, loss);
}

static void build_warp(struct prepared *prepared, struct component *component) {
    int source = operand(prepared, component, 0);
    prepared->result[0] =
        graph_result(&prepared->graph, graph_warp(&prepared->graph, source, operand(prepared, component, 1), COORDINATES_EXACT));
}

static cover_status run_operation(struct operation *operation, prepared_builder *builder, bool gradient) {
    TRY(component_prepare(&operation->prepared, &operation->component, builder, &operation->layout[0].grid, gradient));
    return component_run(&operation->component, operation->prepared, &operation->run, false);
}

/* A result as a new tensor, scaled. */
static cover_status give(cover_tensor **made, struct operation *operation, int result, const struct tensor_layout *layout,
                         double scale) {
    int64_t count = layout->images * grid_pixels(&layout->grid) * layout->channels;
    float *values = memory_alloc(operation->component.context, (size_t)count * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    const float *from = component_result(operation->prepared, &operation->run, result);
    for (int64_t i = 0; i < count; i++) values[i] = (float)scale * from[i];
    cover_status status = tensor_adopt_channels_last(made, operation->component.context, values, layout);
    if (status != COVER_OK) memory_free(operation->component.context, values);
    return status;
}

/* Sum of the loss over images, and the number of valid pixels. */
static cover_status loss_sum(const struct operation *operation, double *sum, double *valid) {
    const double *parts = (const double *)(const void *)component_result(operation->prepared, &operation->run, 0);
    const struct tensor_layout *mask = &operation->layout[2];
    *sum = 0, *valid = 0;
    for (int64_t n = 0; n < mask->images; n++) *sum += parts[n];
    for (int64_t i = 0; i < mask->images * grid_pixels(&mask->grid); i++) *valid += operation->values[2][i] > 0;
    return *valid > 0 ? COVER_OK : fail(COVER_ERROR_NUMERIC, "the mask has no valid pixel, so the loss is not defined");
}

cover_status cover_loss_vector(double *value, cover_tensor **gradient, cover_context *context, const cover_tensor *prediction,
                               const cover_tensor *truth, const cover_tensor *mask) {
    if (!context || !value || !prediction || !truth || !mask)
        return fail(COVER_ERROR_ARGUMENT, "cover_loss_vector: an argument is NULL");
    struct operation operation = {0};
    double sum, valid;
    cover_status status;
    GO(component_create(&operation.component, context, NULL));
    GO(read_operand(&operation, prediction, "prediction"));
    GO(read_operand(&operation, truth, "truth"));
    GO(read_operand(&operation, mask, "mask"));
    GO(run_operation(&operation, build_vector, gradient != NULL));
    GO(loss_sum(&operation, &sum, &valid));
    if (gradient) GO(give(gradient, &operation, 1, &operation.layout[0], 1 / valid));
    *value = sum / valid;
done:
    free_operation(&operation);
    return status;
}

cover_status cover_loss_consistency(double *value, cover_tensor **da, cover_tensor **db, cover_context *context,
                                    const cover_tensor *a, const cover_tensor *b, const cover_tensor *mask) {
    if (!context || !value || !a || !b || !mask || !da != !db)
        return fail(COVER_ERROR_ARGUMENT, "cover_loss_consistency: an argument is NULL, or one of da and db alone");
    struct operation operation = {0};
    cover_tensor *first = NULL;
    double sum, valid;
    cover_status status;
    GO(component_create(&operation.component, context, NULL));
    GO(read_operand(&operation, a, "a"));
    GO(read_operand(&operation, b, "b"));
    GO(read_operand(&operation, mask, "mask"));
    GO(run_operation(&operation, build_cosine, da != NULL));
    GO(loss_sum(&operation, &sum, &valid));
    if (da) {
        GO(give(&first, &operation, 1, &operation.layout[0], 1 / valid));
        GO(give(db, &operation, 2, &operation.layout[1], 1 / valid));
        *da = first, first = NULL;
    }
    *value = 1 + sum / valid;
done:
    cover_tensor_destroy(first);
    free_operation(&operation);
    return status;
}

cover_status cover_field_warp(cover_tensor **warped, cover_context *context, const cover_tensor *source,
                              const cover_tensor *field) {
    if (!warped || !context || !source || !field) return fail(COVER_ERROR_ARGUMENT, "cover_field_warp: an argument is NULL");
    struct operation operation = {0};
    cover_status status;
    GO(component_create(&operation.component, context, NULL));
    GO(read_operand(&operation, source, "source"));
    GO(read_operand(&operation, field, "field"));
    GO(run_operation(&operation, build_warp, false));
    GO(give(warped, &operation, 0, &operation.layout[0], 1));
done:
    free_operation(&operation);
    return status;
}
