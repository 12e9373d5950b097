/* Ops over cells, points and rows against their golden file: each is built alone, run and differentiated by the executor.  Entries of other
 * ops are left to the tests of what computes them. */
#include "core/graph/dense.h"
#include "golden.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ENTRIES = 4 };
static const double bound = 5e-5;

/* How an entry of rows lies: (images, channels, rows); (images, rows, channels), or without images; a parameter. */
enum layout { COLUMNS, ROWS, PARAMETER };
struct dense_op {
    struct golden *golden;
    const char *name;
    const struct kind *kind;
    json_t *attributes;
    struct parameters parameters;
    struct graph graph;
    int count;
    struct tensor shape[ENTRIES];
    float *values[ENTRIES], *gout;
    int tensor[ENTRIES], out;
};
struct kind {
    const char *prefix;
    struct {
        const char *name;
        enum layout layout;
    } entry[ENTRIES];
    int gradients; /* of the first entries */
    int (*build)(struct dense_op *op);
    bool tangent; /* the file takes the first entry for unit rows as they are; ours makes them unit: no gradient along a row */
};

static float number(const struct dense_op *op, const char *key) {
    return (float)json_number_value(json_object_get(op->attributes, key));
}

/* ---- a builder a kind, of its entries */

static int build_cell_pool(struct dense_op *op) { return graph_cell_pool(&op->graph, op->tensor[0], (int)number(op, "cell")); }
static int build_sample_points(struct dense_op *op) { return graph_sample_points(&op->graph, op->tensor[0], op->tensor[1]); }
static int build_propagate(struct dense_op *op) { return graph_propagate(&op->graph, op->tensor[0], op->tensor[1]); }
static int build_queue_nce(struct dense_op *op) {
    return graph_matched_nce(&op->graph, op->tensor[0], op->tensor[1], ABSENT, op->tensor[2], number(op, "tau"), 1);
}
static int build_matched_nce(struct dense_op *op) {
    return graph_matched_nce(&op->graph, op->tensor[0], op->tensor[1], op->tensor[3], op->tensor[2], number(op, "tau"), 1);
}
static int build_set_nce(struct dense_op *op) {
    return graph_set_nce(&op->graph, op->tensor[0], op->tensor[1], op->tensor[3], op->tensor[2], number(op, "tau"), 1);
}
static int build_prototype_loss(struct dense_op *op) {
    return graph_soft_cross_entropy(&op->graph, op->tensor[0], op->tensor[1], ABSENT, 0, number(op, "tau"), 1);
}
static int build_sinkhorn(struct dense_op *op) {
    return graph_sinkhorn(&op->graph, op->tensor[0], number(op, "epsilon"), (int)number(op, "rounds"));
}
static const struct kind kinds[] = {
    {"cell_pool.", {{"in0"}}, 1, build_cell_pool},
    {"sample_points.", {{"in0"}, {"points", ROWS}}, 1, build_sample_points},
    {"propagate", {{"in0"}, {"in1"}}, 2, build_propagate},
    {"queue_nce", {{"in0"}, {"k"}, {"queue", PARAMETER}}, 1, build_queue_nce, true},
    {"matched_nce", {{"in0"}, {"k"}, {"queue", PARAMETER}, {"match", ROWS}}, 1, build_matched_nce, true},
    {"set_nce", {{"in0"}, {"k"}, {"queue", PARAMETER}, {"positives", ROWS}}, 1, build_set_nce, true},
    {"prototype_loss", {{"in0", ROWS}, {"codes", ROWS}}, 1, build_prototype_loss},
    {"sinkhorn", {{"scores", ROWS}}, 0, build_sinkhorn},
};

/* ---- reading */

/* Values of (images, channels, rows) as (images, rows, channels), or back. */
static void turn(struct golden *golden, const struct tensor *shape, float *values, bool back) {
    const int64_t rows = grid_pixels(&shape->grid), channels = shape->channels;
    float *copy = memory_copy(golden->context, values, tensor_bytes(shape));
    for (int64_t i = 0; copy && i < tensor_elements(shape); i++) {
        const int64_t image = i / (rows * channels), row = i / channels % rows, c = i % channels;
        const int64_t turned = (image * channels + c) * rows + row;
        values[back ? turned : i] = copy[back ? i : turned];
    }
    memory_free(golden->context, copy);
}
static float *load(struct dense_op *op, const char *suffix, enum layout layout, struct tensor *shape) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", op->name, suffix);
    float *values = golden_load(op->golden, name, shape);
    const struct tensor_entry *entry = tensor_file_find(op->golden->file, name);
    if (!values || entry->rank == 1 || entry->rank > 3) return values;
    const bool single = entry->rank == 2;
    const int64_t first = entry->shape[single ? 0 : 1], last = entry->shape[single ? 1 : 2];
    *shape = (struct tensor){.images = single ? 1 : (int)entry->shape[0],
                             .grid = {2, {1, 1, layout == COLUMNS ? last : first}},
                             .channels = layout == COLUMNS ? first : last};
    if (layout == COLUMNS) turn(op->golden, shape, values, false);
    return values;
}
static bool read_entries(struct dense_op *op) {
    struct tensor shape;
    for (; op->count < ENTRIES && op->kind->entry[op->count].name; op->count++) {
        const char *name = op->kind->entry[op->count].name;
        const int i = op->count;
        struct tensor *own = &op->shape[i];
        if (!(op->values[i] = load(op, name, op->kind->entry[i].layout, own))) return false;
        if (strcmp(name, "points") == 0) own->grid.ndim = (int)own->channels;
        const int64_t rows[] = {grid_pixels(&own->grid), own->channels};
        op->tensor[i] = op->kind->entry[i].layout == PARAMETER
                            ? graph_parameter(&op->graph, name, 2, rows, 1, INIT_ZERO)
                            : graph_input(&op->graph, name, own->images, &own->grid, own->channels);
    }
    return op->kind->gradients == 0 || (op->gout = load(op, "gout", op->kind->entry[0].layout, &shape));
}

/* ---- running */

static void compare(struct dense_op *op, const char *suffix, const struct tensor *shape, const float *found, double scale) {
    char name[96];
    float *values = memory_copy(op->golden->context, found, tensor_bytes(shape));
    snprintf(name, sizeof name, "%s.%s", op->name, suffix);
    for (int64_t i = 0; values && i < tensor_elements(shape); i++) values[i] = (float)(scale * (double)values[i]);
    if (values && op->kind->entry[0].layout == COLUMNS) turn(op->golden, shape, values, true);
    if (values) golden_tensor(op->golden, name, values, bound);
    memory_free(op->golden->context, values);
}
/* Of the file's gradient what is at right angles to each row. */
static void compare_tangent(struct dense_op *op, const char *suffix, const float *found, double scale) {
    struct tensor shape;
    char name[96];
    float *expected = load(op, suffix, COLUMNS, &shape);
    double worst = 0, square = 0;
    for (int64_t row = 0; expected && row < tensor_elements(&shape) / shape.channels; row++) {
        const float *q = op->values[0] + row * shape.channels, *g = expected + row * shape.channels;
        double along = 0;
        for (int64_t c = 0; c < shape.channels; c++) along += (double)q[c] * g[c];
        for (int64_t c = 0; c < shape.channels; c++) {
            const double value = g[c] - along * q[c], gap = fabs(scale * found[row * shape.channels + c] - value);
            square += value * value;
            if (!(gap <= worst)) worst = gap; /* keeps a NaN */
        }
    }
    snprintf(name, sizeof name, "%s.%s", op->name, suffix);
    if (expected) golden_number(op->golden, name, 1 + worst / (1e-6 + sqrt(square / (double)tensor_elements(&shape))), 1, bound);
    memory_free(op->golden->context, expected);
}
/* The file's loss is the mean over images. */
static void compare_out(struct dense_op *op, const void *found) {
    const struct tensor out = op->graph.tensors[op->out], single = {.images = 1, .grid = {2, {1, 1, 1}}, .channels = 1};
    double sum = 0;
    for (int i = 0; out.element == ELEMENT_F64 && i < out.images; i++) sum += ((const double *)found)[i * out.channels];
    const float loss = (float)(sum / out.images);
    if (out.element == ELEMENT_F64) compare(op, "out", &single, &loss, 1);
    else compare(op, "out", &out, found, 1);
}
static cover_status run_op(struct dense_op *op) {
    cover_context *context = op->golden->context;
    const struct executor *executor = context->executor;
    struct graph *graph = &op->graph;
    struct program *program = NULL;
    struct run run = {0};
    struct derivative derivative = {.outputs = 1, .output = {op->out}, .gradient = {op->out}};
    cover_status status = COVER_ERROR_MEMORY;
    const struct tensor y = graph->tensors[op->out];
    const int out = graph_result(graph, op->out), flow = graph->inputs;
    int results[ENTRIES];
    if (y.element != ELEMENT_F64 && op->gout) derivative.gradient[0] = graph_input(graph, "gout", y.images, &y.grid, y.channels);
    for (int i = 0; i < op->kind->gradients; i++) derivative.want[derivative.wants++] = op->tensor[i];
    if (op->gout) graph_differentiate(graph, &derivative);
    for (int i = 0; i < derivative.wants; i++) results[i] = graph_result(graph, derivative.want_gradient[i]);
    const size_t bytes = (size_t)(op->parameters.floats + 16) * sizeof(float);
    float *flat = memory_zero(context, bytes);
    run.gradient = memory_zero(context, bytes), run.parameters = flat;
    if (!flat || !run.gradient) goto done;
    GO(graph_finish(graph));
    GO(executor->program_create(&program, context, graph, context->threads));
    GO(executor->arena_create(&run.arena, program));
    for (int i = 0; i < op->count; i++) {
        const struct tensor *tensor = &graph->tensors[op->tensor[i]];
        if (tensor->storage == STORAGE_INPUT) run.input[tensor->index] = op->values[i];
        else memcpy(flat + op->parameters.rows[tensor->index].offset, op->values[i], tensor_bytes(tensor));
    }
    if (graph->inputs > flow) run.input[flow] = op->gout;
    GO(executor->program_pack(program, flat));
    GO(run_once(context, executor, program, &run, context->threads));
    compare_out(op, executor->program_result(program, &run, out));
    for (int i = 0; i < derivative.wants; i++) {
        char name[8];
        snprintf(name, sizeof name, "grad%d", i);
        const double scale = y.element == ELEMENT_F64 ? (double)op->gout[0] / y.images : 1;
        const float *found = executor->program_result(program, &run, results[i]);
        if (op->kind->tangent) compare_tangent(op, name, found, scale);
        else compare(op, name, &op->shape[i], found, scale);
    }
done:
    memory_free(context, flat), memory_free(context, run.gradient);
    executor->arena_destroy(program, run.arena);
    executor->program_destroy(program);
    return status;
}

static void check(struct golden *golden, const char *name, json_t *attributes) {
    struct dense_op op = {.golden = golden, .name = name, .attributes = attributes, .parameters = {.context = golden->context}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) op.kind = &kinds[i];
    if (!op.kind) return;
    graph_begin(&op.graph, golden->context, &op.parameters);
    op.parameters.hold = true;
    if (!read_entries(&op) || (op.out = op.kind->build(&op)) == ABSENT || run_op(&op) != COVER_OK) golden_error(golden, name);
    graph_free(&op.graph);
    parameters_free(&op.parameters);
    for (int i = 0; i < ENTRIES; i++) memory_free(golden->context, op.values[i]);
    memory_free(golden->context, op.gout);
}

void golden_dense(struct golden *golden) {
    for (int64_t i = 0; i < golden->file->metadata_count; i++) {
        json_t *attributes = json_loads(golden->file->metadata[i].value, 0, NULL);
        if (attributes) check(golden, golden->file->metadata[i].key, attributes);
        json_decref(attributes);
    }
}
