/* Single operations against their golden file: each is built as a graph of one op, run and differentiated by the executor. */
#include "core/graph/regress_ops.h"
#include "cpu/kernels.h"
#include "golden.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { INPUTS_MAX = 3 };
static const double bound = 2e-5;

struct op_case {
    struct golden *golden;
    const char *name; /* "conv3.2d" */
    json_t *attributes;
    struct parameters parameters;
    struct graph graph;
    int count;                       /* inputs in0, in1, ... */
    struct tensor shape[INPUTS_MAX]; /* of them */
    float *values[INPUTS_MAX];
    int tensor[INPUTS_MAX];
    float *gout, *extra[2]; /* gradient of the output; truth, mask or a skip connection */
    int extra_input[2];
    double pixels; /* M of a loss, else 1: ours are unscaled sums */
    double flow;   /* gradient that flows into a loss, else 1 */
    int out;
};

static int64_t integer(const struct op_case *c, const char *key) { return json_integer_value(json_object_get(c->attributes, key)); }
static enum coordinates coordinates(const struct op_case *c) {
    const char *text = json_string_value(json_object_get(c->attributes, "coordinates"));
    return text && strcmp(text, "released") == 0 ? COORDINATES_RELEASED : COORDINATES_EXACT;
}

/* ---- one builder a kind of op: c->tensor[] in, the output tensor out */

static int build_conv3(struct op_case *c) {
    return graph_conv(&c->graph, c->tensor[0], ABSENT, c->tensor[1], c->tensor[2], 3, ELEMENT_F32, NULL);
}
static int build_conv1(struct op_case *c) {
    return graph_conv(&c->graph, c->tensor[0], ABSENT, c->tensor[1], c->tensor[2], 1, ELEMENT_F32, NULL);
}
static int build_norm(struct op_case *c) {
    json_t *slope = json_object_get(c->attributes, "slope");
    return graph_norm_act(
        &c->graph, c->tensor[0], c->tensor[1], c->tensor[2], ABSENT, ABSENT,
        (struct norm_attributes){(int)integer(c, "groups"), 1e-5f, slope ? (float)json_number_value(slope) : 1.0f});
}
static int build_pool(struct op_case *c) { return graph_max_pool2(&c->graph, c->tensor[0]); }
static int build_upsample(struct op_case *c) { return graph_upsample(&c->graph, c->tensor[0]); }
static struct grid doubled(const struct grid *grid) {
    struct grid twice = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) twice.size[i] *= 2;
    return twice;
}
static int build_corners(struct op_case *c) {
    struct grid grid = doubled(&c->shape[0].grid);
    return graph_resize_corners(&c->graph, c->tensor[0], &grid, 1.0f);
}
static int build_warp(struct op_case *c) { return graph_warp(&c->graph, c->tensor[0], c->tensor[1], coordinates(c)); }
static int build_mov(struct op_case *c) {
    return graph_mov(&c->graph, c->tensor[0], c->tensor[1], (int)integer(c, "heads"), (int)integer(c, "radius"));
}

static int extra(struct op_case *c, int index, const char *suffix) {
    char name[96];
    struct tensor shape;
    snprintf(name, sizeof name, "%s.%s", c->name, suffix);
    if (!(c->extra[index] = golden_load(c->golden, name, &shape))) return ABSENT;
    if (c->pixels == 0) /* the mask: its ones are M */
        for (int64_t i = 0; i < tensor_elements(&shape); i++) c->pixels += c->extra[index][i];
    return c->extra_input[index] = graph_input(&c->graph, suffix, shape.images, &shape.grid, shape.channels);
}
static int build_vector_loss(struct op_case *c) {
    c->pixels = 0;
    int mask = extra(c, 1, "mask"), truth = extra(c, 0, "truth");
    return graph_vector_loss(&c->graph, c->tensor[0], truth, mask);
}
static int build_consistency(struct op_case *c) {
    c->pixels = 0;
    return graph_cosine_loss(&c->graph, c->tensor[0], c->tensor[1], extra(c, 1, "mask"));
}

/* ---- regression: means of images, which a file has the mean of */

static struct attributes regress(const struct op_case *c) {
    return (struct attributes){.regress = {.weight = 1, .window = (int)integer(c, "window")}};
}
static int build_ncc(struct op_case *c) {
    c->pixels = c->shape[0].images;
    return graph_op(&c->graph, OP_ncc_loss, (int[]){c->tensor[0], extra(c, 0, "in1"), ABSENT}, regress(c));
}
static int build_ncc_masked(struct op_case *c) {
    c->pixels = c->shape[0].images;
    const int fixed = extra(c, 0, "in1"), mask = extra(c, 1, "mask");
    return graph_op(&c->graph, OP_ncc_loss, (int[]){c->tensor[0], fixed, mask}, regress(c));
}
static int build_smooth(struct op_case *c) {
    c->pixels = c->shape[0].images;
    return graph_smooth_loss(&c->graph, c->tensor[0], 1);
}
static int build_cosine_mean(struct op_case *c) {
    c->pixels = c->shape[0].images;
    return graph_cosine_mean_loss(&c->graph, c->tensor[0], c->tensor[1], extra(c, 1, "mask"), 1);
}
static int build_inside(struct op_case *c) { return graph_inside_mask(&c->graph, extra(c, 0, "field"), coordinates(c)); }
static int build_affine(struct op_case *c) {
    const json_t *shape = json_object_get(c->attributes, "shape");
    struct grid grid = {(int)json_array_size(shape), {1, 1, 1}};
    for (int i = 0; i < grid.ndim && grid.ndim <= 3; i++)
        grid.size[3 - grid.ndim + i] = json_integer_value(json_array_get(shape, (size_t)i));
    return graph_affine_field(&c->graph, c->tensor[0], &grid);
}

static const struct op_kind {
    const char *prefix;
    int inputs;
    unsigned parameters; /* bits: inputs that are parameters */
    int (*build)(struct op_case *c);
    bool loss;
    double offset; /* loss = offset + sum / M */
    bool rows;     /* inputs are rows, one an image */
    bool exact;    /* there is no gradient, and nothing to round */
} kinds[] = {
    {"conv3.", 3, 6, build_conv3, false, 0},
    {"conv1.", 3, 6, build_conv1, false, 0},
    {"group_norm.", 3, 6, build_norm, false, 0},
    {"norm_act.", 3, 6, build_norm, false, 0},
    {"max_pool2.", 1, 0, build_pool, false, 0},
    {"upsample_half_pixel.", 1, 0, build_upsample, false, 0},
    {"upsample_corners.", 1, 0, build_corners, false, 0},
    {"warp_", 2, 0, build_warp, false, 0},
    {"mov_", 2, 0, build_mov, false, 0},
    {"vector_loss.", 1, 0, build_vector_loss, true, 0},
    {"consistency_loss.", 2, 0, build_consistency, true, 1},
    {"ncc_loss.", 1, 0, build_ncc, true, 0},
    {"ncc_loss_masked.", 1, 0, build_ncc_masked, true, 0},
    {"smooth_loss.", 1, 0, build_smooth, true, 0},
    {"cosine_mean_loss.", 2, 0, build_cosine_mean, true, 0},
    {"affine_field.", 1, 0, build_affine, .rows = true},
    {"inside_mask.", 0, 0, build_inside, .exact = true},
};

static bool read_inputs(struct op_case *c, const struct op_kind *kind) {
    c->count = kind->inputs;
    for (int i = 0; i < kind->inputs; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s.in%d", c->name, i);
        const struct tensor_entry *entry = tensor_file_find(c->golden->file, name);
        if (!(kind->parameters >> i & 1)) {
            if (!(c->values[i] = golden_load(c->golden, name, &c->shape[i]))) return false;
            if (kind->rows) c->shape[i].images = (int)entry->shape[0], c->shape[i].channels = entry->shape[1];
            c->tensor[i] = graph_input(&c->graph, name, c->shape[i].images, &c->shape[i].grid, c->shape[i].channels);
            continue;
        }
        if (!entry || tensor_load_f32(c->golden->file, entry, &c->values[i]) != COVER_OK) return false;
        c->tensor[i] = graph_parameter(&c->graph, name, entry->rank, entry->shape, 1, INIT_ZERO);
    }
    return true;
}

/* The gradient of the output as a graph input. */
static int read_gout(struct op_case *c) {
    char name[96];
    struct tensor shape;
    const struct tensor out = c->graph.tensors[c->out];
    snprintf(name, sizeof name, "%s.gout", c->name);
    c->gout = golden_load(c->golden, name, &shape);
    if (!c->gout || tensor_elements(&shape) != tensor_elements(&out)) return ABSENT;
    return graph_input(&c->graph, "gout", out.images, &out.grid, out.channels);
}

/* A loss takes a number; its marker is the loss itself. */
static int read_flow(struct op_case *c) {
    char name[96];
    struct tensor shape;
    snprintf(name, sizeof name, "%s.gout", c->name);
    float *given = golden_load(c->golden, name, &shape);
    if (given) c->flow = given[0];
    memory_free(c->golden->context, given);
    return c->out;
}

static void compare_out(struct op_case *c, const struct op_kind *kind, const void *result) {
    struct golden *golden = c->golden;
    struct tensor shape = c->graph.tensors[c->out];
    char name[96];
    snprintf(name, sizeof name, "%s.out", c->name);
    if (kind->loss) {
        double sum = 0;
        for (int i = 0; i < shape.images; i++) sum += ((const double *)result)[i];
        golden_tensor(golden, name, &(float){(float)(kind->offset + sum / c->pixels)}, bound);
        return;
    }
    float *values = memory_copy(golden->context, result, tensor_bytes(&shape));
    if (!values) return;
    golden_store(golden, &shape, values);
    golden_tensor(golden, name, values, kind->exact ? 0 : bound);
    memory_free(golden->context, values);
}

static void compare_gradient(struct op_case *c, int i, const float *gradient) {
    char name[96];
    int64_t count = tensor_elements(&c->graph.tensors[c->tensor[i]]);
    float *values = memory_alloc(c->golden->context, (size_t)count * sizeof *values);
    if (!values) return;
    for (int64_t k = 0; k < count; k++) values[k] = gradient[k] * (float)(c->flow / c->pixels);
    if (c->graph.tensors[c->tensor[i]].storage == STORAGE_INPUT) golden_store(c->golden, &c->shape[i], values);
    snprintf(name, sizeof name, "%s.grad%d", c->name, i);
    golden_tensor(c->golden, name, values, bound);
    memory_free(c->golden->context, values);
}

static cover_status run_case(struct op_case *c, const struct op_kind *kind) {
    cover_context *context = c->golden->context;
    const struct executor *executor = context->executor;
    struct program *program = NULL;
    struct run run = {0};
    float *weights = NULL;
    cover_status status = COVER_ERROR_MEMORY;
    struct derivative derivative = {.outputs = !kind->exact, .output = {c->out}};
    if (!kind->exact) derivative.gradient[0] = kind->loss ? read_flow(c) : read_gout(c);
    int results[INPUTS_MAX], out = graph_result(&c->graph, c->out);
    for (int i = 0; i < c->count; i++)
        if (!(kind->parameters >> i & 1)) derivative.want[derivative.wants++] = c->tensor[i];
    graph_differentiate(&c->graph, &derivative);
    for (int i = 0; i < derivative.wants; i++) results[i] = graph_result(&c->graph, derivative.want_gradient[i]);
    GO(graph_finish(&c->graph));
    GO(executor->program_create(&program, context, &c->graph, context->threads));
    size_t flat = (size_t)(c->parameters.floats + 16) * sizeof *weights;
    weights = memory_zero(context, flat), run.gradient = memory_zero(context, flat);
    GO(executor->arena_create(&run.arena, program));
    run.parameters = weights;
    for (int i = 0; i < c->count; i++) {
        const struct tensor *tensor = &c->graph.tensors[c->tensor[i]];
        if (tensor->storage == STORAGE_INPUT) run.input[tensor->index] = c->values[i];
        else memcpy(weights + c->parameters.rows[tensor->index].offset, c->values[i], tensor_bytes(tensor));
    }
    for (int i = 0; i < 2; i++)
        if (c->extra[i]) run.input[c->graph.tensors[c->extra_input[i]].index] = c->extra[i];
    if (!kind->loss && !kind->exact) run.input[c->graph.tensors[derivative.gradient[0]].index] = c->gout;
    GO(executor->program_pack(program, weights));
    GO(run_once(context, executor, program, &run, context->threads));
    compare_out(c, kind, executor->program_result(program, &run, out));
    for (int i = 0, want = 0; i < c->count; i++) {
        const struct tensor *tensor = &c->graph.tensors[c->tensor[i]];
        compare_gradient(c, i,
                         tensor->storage == STORAGE_INPUT ? executor->program_result(program, &run, results[want++])
                                                          : run.gradient + c->parameters.rows[tensor->index].offset);
    }
done:
    memory_free(context, weights);
    memory_free(context, run.gradient);
    executor->arena_destroy(program, run.arena);
    executor->program_destroy(program);
    return status;
}

/* LeakyReLU is no op of its own here but a part of norm_act: with mean 0, rstd 1, gamma 1 and beta 0 the norm is the
 * identity, and the sum over a single pixel of the gradient behind the activation is the gradient itself. */
static void check_leaky_relu(struct op_case *c) {
    struct golden *golden = c->golden;
    struct tensor shape;
    char name[96];
    const struct kernels *kernels = kernels_best(golden->context->cpu_features, ELEMENT_F32);
    float zeros[64] = {0}, ones[64], slope = (float)json_number_value(json_object_get(c->attributes, "slope"));
    for (int i = 0; i < 64; i++) ones[i] = 1;
    snprintf(name, sizeof name, "%s.in0", c->name);
    float *x = golden_load(golden, name, &shape);
    snprintf(name, sizeof name, "%s.gout", c->name);
    float *gout = golden_load(golden, name, &shape);
    double sums[3 * 64];
    int64_t pixels = shape.images * grid_pixels(&shape.grid), channels = shape.channels;
    float *y = memory_alloc(golden->context, tensor_bytes(&shape)), *grad = memory_alloc(golden->context, tensor_bytes(&shape));
    const struct norm_load norm = {.scale = ones, .offset = zeros, .slope = slope};
    if (x && gout && y && grad && channels <= 64) {
        for (int64_t p = 0; p < pixels; p++) {
            kernels->norm_apply(y + p * channels, x + p * channels, &norm, 1, channels, 0, 1);
            kernels->norm_grad_sums(sums, gout + p * channels, x + p * channels, &norm, 1, channels, 0, 1);
            for (int64_t c = 0; c < channels; c++) grad[p * channels + c] = (float)sums[c];
        }
        golden_store(golden, &shape, y), golden_store(golden, &shape, grad);
        snprintf(name, sizeof name, "%s.out", c->name);
        golden_tensor(golden, name, y, bound);
        snprintf(name, sizeof name, "%s.grad0", c->name);
        golden_tensor(golden, name, grad, bound);
    } else golden_error(golden, c->name);
    memory_free(golden->context, x), memory_free(golden->context, gout), memory_free(golden->context, y);
    memory_free(golden->context, grad);
}

static void check_op(struct golden *golden, const struct tensor_pair *pair) {
    struct op_case c = {.golden = golden, .name = pair->key, .pixels = 1, .flow = 1, .parameters = {.context = golden->context}};
    const struct op_kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !kind; i++)
        if (strncmp(pair->key, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) kind = &kinds[i];
    c.attributes = json_loads(pair->value, 0, NULL);
    graph_begin(&c.graph, golden->context, &c.parameters);
    if (strncmp(pair->key, "leaky_relu.", 11) == 0) check_leaky_relu(&c);
    else if (!kind) {
        fail(COVER_ERROR_UNSUPPORTED, "%s: an operation that is not known here", pair->key);
        golden_error(golden, pair->key);
    } else if (!read_inputs(&c, kind) || (c.out = kind->build(&c)) == ABSENT || run_case(&c, kind) != COVER_OK)
        golden_error(golden, pair->key);
    graph_free(&c.graph);
    parameters_free(&c.parameters);
    for (int i = 0; i < INPUTS_MAX; i++) memory_free(golden->context, c.values[i]);
    memory_free(golden->context, c.gout);
    memory_free(golden->context, c.extra[0]);
    memory_free(golden->context, c.extra[1]);
    json_decref(c.attributes);
}

void golden_ops(struct golden *golden) {
    for (int64_t i = 0; i < golden->file->metadata_count; i++) check_op(golden, &golden->file->metadata[i]);
}
