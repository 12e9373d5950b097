/* What objectives are made of against its golden file: losses and norms over rows, each built of the ops that the objectives use, run and
 * differentiated by the executor.  Entries that are no graph (k-means, orders, optimisers) are left to the tests of what computes them. */
#include "core/graph/dense.h"
#include "core/graph/objective_ops.h"
#include "golden.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { INPUTS_MAX = 3 };
static const double bound = 2e-5;

struct component {
    struct golden *golden;
    const char *name; /* "nt_xent.0.1" */
    json_t *attributes;
    struct parameters parameters;
    struct graph graph;
    int count;                       /* of inputs in0, in1, ... */
    struct tensor shape[INPUTS_MAX]; /* rows: one image of so many pixels */
    float *values[INPUTS_MAX], *gout;
    int tensor[INPUTS_MAX]; /* an input or a parameter */
    int joined;             /* this many inputs are one, of rows behind each other, which is tensor[0]; 0 = none */
    double offset, scale;   /* the file's loss is offset + scale * ours */
    int out;
};

static double number(const struct component *c, const char *key) { return json_number_value(json_object_get(c->attributes, key)); }
static const char *text(const struct component *c, const char *key) {
    const char *found = json_string_value(json_object_get(c->attributes, key));
    return found ? found : "";
}
static int64_t rows(const struct component *c, int i) { return grid_pixels(&c->shape[i].grid); }

static int given(struct component *c, int i) {
    char name[8];
    snprintf(name, sizeof name, "in%d", i);
    return c->tensor[i] = graph_input(&c->graph, name, c->shape[i].images, &c->shape[i].grid, c->shape[i].channels);
}
/* Input i as a parameter, or ours of one value where the file has none. */
static int weights(struct component *c, int i, const char *name) {
    const int made = graph_parameter(&c->graph, name, 1, &c->shape[0].channels, 1, INIT_ZERO);
    return i < c->count ? c->tensor[i] = made : made;
}

/* ---- a builder a kind */

static int build_nt_xent(struct component *c) {
    const struct grid both = {2, {1, 1, 2 * rows(c, 0)}};
    c->joined = 2, c->scale = 1 / (double)both.size[2];
    c->tensor[0] = graph_input(&c->graph, "z", 1, &both, c->shape[0].channels);
    return graph_nt_xent(&c->graph, c->tensor[0], (float)number(c, "temperature"));
}
static int build_queue_nce(struct component *c) {
    const int q = given(c, 0), k = given(c, 1);
    const int64_t shape[] = {rows(c, 2), c->shape[2].channels};
    c->tensor[2] = graph_parameter(&c->graph, "queue", 2, shape, 1, INIT_ZERO);
    return graph_matched_nce(&c->graph, q, k, ABSENT, c->tensor[2], (float)number(c, "temperature"), 1);
}
static int build_cosine(struct component *c) { /* MINUS the sum; of a distance 2 + 2 times it */
    const double each = strncmp(c->name, "normalised", 10) == 0 ? 2 : 1;
    const int p = given(c, 0), z = given(c, 1);
    c->scale = each / (double)rows(c, 0), c->offset = each == 2 ? 2 : 0;
    return graph_cosine_loss(&c->graph, p, graph_hold(&c->graph, z, 0), ABSENT);
}
static int build_row_norm(struct component *c) {
    const bool layer = strcmp(text(c, "kind"), "layer") == 0;
    const struct grid one = {2, {1, 1, 1}};
    const int64_t channels = c->shape[0].channels;
    const int x = given(c, 0), scale = weights(c, 1, "scale"), shift = weights(c, 2, "shift");
    const int seen = layer ? graph_rows(&c->graph, x, (int)rows(c, 0), &one) : x;
    const struct norm_attributes norm = {layer ? 1 : (int)channels, 1e-5f, 1};
    const int y = graph_norm_act(&c->graph, seen, scale, shift, ABSENT, ABSENT, norm);
    return layer ? graph_rows(&c->graph, y, 1, &c->shape[0].grid) : graph_floats(&c->graph, y);
}
static int build_squared_error(struct component *c) {
    const int prediction = given(c, 0), truth = given(c, 1), mask = c->count > 2 ? given(c, 2) : ABSENT;
    double pixels = mask == ABSENT ? (double)(c->shape[0].images * rows(c, 0)) : 0;
    for (int64_t i = 0; mask != ABSENT && i < tensor_elements(&c->shape[2]); i++) pixels += (double)c->values[2][i];
    c->scale = 1 / (pixels * (double)c->shape[0].channels);
    return graph_image_loss(&c->graph, prediction, truth, mask, json_is_true(json_object_get(c->attributes, "sigmoid")));
}
static int build_binary(struct component *c) { /* the constant target is an input of ours behind the file's */
    c->shape[1] = c->shape[0], c->count = 2;
    if (!(c->values[1] = memory_alloc(c->golden->context, tensor_bytes(&c->shape[1])))) return ABSENT;
    for (int64_t i = 0; i < tensor_elements(&c->shape[1]); i++) c->values[1][i] = (float)number(c, "target");
    const int logits = given(c, 0);
    return graph_sigmoid_loss(&c->graph, logits, given(c, 1), ABSENT);
}
static int build_cross_entropy(struct component *c) {
    const int logits = given(c, 0);
    return graph_softmax_loss(&c->graph, logits, given(c, 1), ABSENT, 1, 0);
}
static int build_spread(struct component *c) { return graph_spread(&c->graph, given(c, 0)); }

static const struct kind {
    const char *op;
    int (*build)(struct component *c);
} kinds[] = {
    {"nt_xent", build_nt_xent},
    {"queue_nce", build_queue_nce},
    {"negative_cosine", build_cosine},
    {"normalised_distance", build_cosine},
    {"row_norm", build_row_norm},
    {"squared_error", build_squared_error},
    {"binary_cross_entropy", build_binary},
    {"cross_entropy", build_cross_entropy},
    {"spread", build_spread},
};

/* ---- reading */

/* (R, C) and (R) are rows; of an image golden_load() knows the shape. */
static float *load(struct component *c, const char *suffix, struct tensor *shape) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", c->name, suffix);
    float *values = golden_load(c->golden, name, shape);
    const struct tensor_entry *entry = tensor_file_find(c->golden->file, name);
    if (!values || entry->rank > 2) return values;
    *shape = (struct tensor){.images = 1, .grid = {2, {1, 1, entry->shape[0]}}, .channels = entry->elements / entry->shape[0]};
    return values;
}
static bool read_inputs(struct component *c) {
    for (char name[96]; c->count < INPUTS_MAX; c->count++) {
        snprintf(name, sizeof name, "%s.in%d", c->name, c->count);
        if (!tensor_file_find(c->golden->file, name)) break;
        if (!(c->values[c->count] = load(c, name + strlen(c->name) + 1, &c->shape[c->count]))) return false;
    }
    struct tensor shape;
    return (c->gout = load(c, "gout", &shape)) != NULL;
}

/* The rows of all joined inputs behind each other. */
static bool join(struct component *c) {
    const size_t bytes = c->joined ? tensor_bytes(&c->shape[0]) : 0;
    if (!c->joined) return true;
    char *all = memory_alloc(c->golden->context, bytes * (size_t)c->joined);
    for (int i = 0; all && i < c->joined; i++) memcpy(all + (size_t)i * bytes, c->values[i], bytes);
    memory_free(c->golden->context, c->values[0]);
    c->values[0] = (float *)(void *)all;
    return all != NULL;
}

/* ---- running */

static void compare(struct component *c, const char *suffix, const struct tensor *shape, const float *found, double scale) {
    char name[96];
    float *values = memory_copy(c->golden->context, found, tensor_bytes(shape));
    snprintf(name, sizeof name, "%s.%s", c->name, suffix);
    for (int64_t i = 0; values && i < tensor_elements(shape); i++) values[i] = (float)(scale * (double)values[i]);
    if (values && shape->images > 1) golden_store(c->golden, shape, values);
    if (values) golden_tensor(c->golden, name, values, bound);
    memory_free(c->golden->context, values);
}
static void compare_out(struct component *c, const void *found) {
    const struct tensor out = c->graph.tensors[c->out];
    double sum = 0;
    for (int i = 0; out.element == ELEMENT_F64 && i < out.images; i++) sum += ((const double *)found)[i * out.channels];
    const float loss = (float)(c->offset + c->scale * sum);
    const struct tensor single = {.images = 1, .grid = {2, {1, 1, 1}}, .channels = 1};
    if (out.element == ELEMENT_F64) compare(c, "out", &single, &loss, 1);
    else compare(c, "out", &out, found, 1);
}

/* Differentiates: of a loss 1 flows in, else gout. */
static int differentiate(struct component *c, int gradients, int results[INPUTS_MAX]) {
    struct graph *graph = &c->graph;
    struct derivative derivative = {.outputs = 1, .output = {c->out}, .gradient = {c->out}};
    int flow = ABSENT;
    if (graph->tensors[c->out].element != ELEMENT_F64)
        flow = derivative.gradient[0] = graph_input(graph, "gout", 1, &c->shape[0].grid, c->shape[0].channels);
    for (int i = 0; i < gradients && !(c->joined && i); i++)
        if (graph->tensors[c->tensor[i]].storage == STORAGE_INPUT) derivative.want[derivative.wants++] = c->tensor[i];
    graph_differentiate(graph, &derivative);
    for (int i = 0; i < derivative.wants; i++) results[i] = graph_result(graph, derivative.want_gradient[i]);
    return flow;
}
static void place_inputs(struct component *c, struct run *run, float *flat, int flow) {
    for (int64_t i = 0; i < c->shape[0].channels; i++) /* a scale that the file does not have */
        for (int row = 0; row < c->parameters.count; row++)
            if (strcmp(c->parameters.rows[row].name, "scale") == 0) flat[c->parameters.rows[row].offset + i] = 1;
    for (int i = 0; i < c->count && !(c->joined && i); i++) {
        const struct tensor *tensor = &c->graph.tensors[c->tensor[i]];
        if (tensor->storage == STORAGE_INPUT) run->input[tensor->index] = c->values[i];
        else memcpy(flat + c->parameters.rows[tensor->index].offset, c->values[i], tensor_bytes(tensor));
    }
    if (flow != ABSENT) run->input[c->graph.tensors[flow].index] = c->gout;
}
static cover_status run_component(struct component *c) {
    cover_context *context = c->golden->context;
    const struct executor *executor = context->executor;
    struct program *program = NULL;
    struct run run = {0};
    cover_status status = COVER_ERROR_MEMORY;
    const int gradients = (int)number(c, "gradients"), out = graph_result(&c->graph, c->out);
    int results[INPUTS_MAX], want = 0;
    const int flow = gradients > 0 ? differentiate(c, gradients, results) : ABSENT;
    const size_t bytes = (size_t)(c->parameters.floats + 16) * sizeof(float);
    float *flat = memory_zero(context, bytes);
    run.gradient = memory_zero(context, bytes);
    if (!flat || !run.gradient || !join(c)) goto done;
    GO(graph_finish(&c->graph));
    GO(executor->program_create(&program, context, &c->graph, context->threads));
    GO(executor->arena_create(&run.arena, program));
    place_inputs(c, &run, flat, flow);
    run.parameters = flat;
    GO(executor->program_pack(program, flat));
    GO(run_once(context, executor, program, &run, context->threads));
    compare_out(c, executor->program_result(program, &run, out));
    for (int i = 0; i < gradients; i++) {
        char name[8];
        snprintf(name, sizeof name, "grad%d", i);
        const int piece = c->joined ? i : 0;
        const struct tensor *tensor = &c->graph.tensors[c->tensor[c->joined ? 0 : i]];
        const float *found = tensor->storage != STORAGE_INPUT
                                 ? run.gradient + c->parameters.rows[tensor->index].offset
                                 : executor->program_result(program, &run, results[piece ? 0 : want++]);
        compare(c, name, &c->shape[i], found + piece * tensor_elements(&c->shape[0]), c->scale);
    }
done:
    memory_free(context, flat), memory_free(context, run.gradient);
    executor->arena_destroy(program, run.arena);
    executor->program_destroy(program);
    return status;
}

static void check(struct golden *golden, const char *name, json_t *attributes) {
    struct component c = {
        .golden = golden, .name = name, .attributes = attributes, .scale = 1, .parameters = {.context = golden->context}};
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(text(&c, "op"), kinds[i].op) == 0) kind = &kinds[i];
    if (!kind) return;
    graph_begin(&c.graph, golden->context, &c.parameters);
    if (!read_inputs(&c) || (c.out = kind->build(&c)) == ABSENT || run_component(&c) != COVER_OK) golden_error(golden, name);
    graph_free(&c.graph);
    parameters_free(&c.parameters);
    for (int i = 0; i < INPUTS_MAX; i++) memory_free(golden->context, c.values[i]);
    memory_free(golden->context, c.gout);
}

void golden_components(struct golden *golden) {
    for (int64_t i = 0; i < golden->file->metadata_count; i++) {
        json_t *attributes = json_loads(golden->file->metadata[i].value, 0, NULL);
        if (attributes) check(golden, golden->file->metadata[i].key, attributes);
        json_decref(attributes);
    }
}
