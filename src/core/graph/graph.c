/* Building a graph: tensors, nodes, views, names.  Called by nn/, method/ and differentiate.c. */
#include "ops.h"

#include <stdio.h>
#include <string.h>

const struct op_row op_rows[OP_COUNT] = {
#define NONE 0
#define CHEAP OP_CHEAP
#define IN_PLACE OP_IN_PLACE
#define NORMALISES OP_NORMALISES
#define OP(name, inputs, outputs, optional, normalised, flags, text) {#name, text, inputs, outputs, optional, normalised, flags},
#define BACKWARD(name, inputs, outputs, optional, normalised, flags, text)                                                         \
    OP(name, inputs, outputs, optional, normalised, (flags) | OP_GRADIENT, text)
#define FIGURE(name, inputs, outputs, optional, normalised, flags, text)                                                           \
    OP(name, inputs, outputs, optional, normalised, (flags) | OP_FIGURE, text)
#include "ops.def"
};

void graph_begin(struct graph *graph, cover_context *context, struct parameters *parameters) {
    *graph = (struct graph){.context = context, .parameters = parameters};
}

void graph_free(struct graph *graph) {
    if (!graph->context) return;
    memory_free(graph->context, graph->tensors);
    memory_free(graph->context, graph->nodes);
    *graph = (struct graph){0};
}

cover_status graph_finish(const struct graph *graph) { return graph->status; }

void graph_scope(struct graph *graph, const char *name) { snprintf(graph->scope, sizeof graph->scope, "%s", name); }

void graph_twin(struct graph *graph, const char *prefix) {
    graph->prefix = prefix;
    graph->parameters->hold = prefix != NULL;
}

/* Room for one more element of `bytes`; false after an error. */
static bool grow(struct graph *graph, void **array, int count, int *capacity, size_t bytes) {
    if (graph->status != COVER_OK) return false;
    if (count < *capacity) return true;
    int larger = *capacity ? 2 * *capacity : 64;
    void *fresh = memory_zero(graph->context, (size_t)larger * bytes);
    if (!fresh) {
        graph->status = COVER_ERROR_MEMORY;
        return false;
    }
    if (count) memcpy(fresh, *array, (size_t)count * bytes);
    memory_free(graph->context, *array);
    *array = fresh, *capacity = larger;
    return true;
}

static int add_tensor(struct graph *graph, const struct tensor *tensor, const char *name) {
    if (!grow(graph, (void **)&graph->tensors, graph->tensor_count, &graph->tensor_capacity, sizeof *tensor)) return ABSENT;
    struct tensor *fresh = &graph->tensors[graph->tensor_count];
    *fresh = *tensor;
    fresh->written = ABSENT, fresh->shared_gradient = false;
    if (fresh->storage != STORAGE_NORMALISED) fresh->raw = fresh->coefficients = ABSENT;
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    return graph->tensor_count++;
}

int graph_input(struct graph *graph, const char *name, int images, const struct grid *grid, int64_t channels) {
    if (graph->status == COVER_OK && graph->inputs == GRAPH_INPUTS)
        graph->status = fail(COVER_ERROR_INTERNAL, "graph: more than %d inputs: %s", GRAPH_INPUTS, name);
    struct tensor tensor = {.images = images,
                            .grid = *grid,
                            .channels = channels,
                            .storage = STORAGE_INPUT,
                            .index = graph->inputs,
                            .parent = ABSENT,
                            .producer = ABSENT};
    int made = add_tensor(graph, &tensor, name);
    if (made != ABSENT) graph->inputs++;
    return made;
}

int graph_parameter(struct graph *graph, const char *name, int rank, const int64_t *shape, int64_t fan_in,
                    enum parameter_init init) {
    int row;
    char whole[PARAMETER_NAME_BYTES + 1];
    if (graph->status != COVER_OK) return ABSENT;
    snprintf(whole, sizeof whole, "%s%s", graph->prefix ? graph->prefix : "", name);
    if ((graph->status = parameters_add(graph->parameters, whole, rank, shape, fan_in, init, &row)) != COVER_OK) return ABSENT;
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].storage == STORAGE_PARAMETER && graph->tensors[i].index == row &&
            graph->tensors[i].held == graph->hold)
            return i;
    struct tensor tensor = {.images = 1,
                            .grid = {2, {1, 1, 1}},
                            .channels = graph->parameters->rows[row].count,
                            .storage = STORAGE_PARAMETER,
                            .index = row,
                            .parent = ABSENT,
                            .producer = ABSENT,
                            .held = graph->hold};
    return add_tensor(graph, &tensor, whole);
}

int graph_image(struct graph *graph, int whole, int image) {
    if (whole == ABSENT || graph->status != COVER_OK) return ABSENT;
    struct tensor tensor = graph->tensors[whole];
    if (image < 0 || image >= tensor.images) {
        graph->status = fail(COVER_ERROR_INTERNAL, "graph: image %d of %s, which has %d", image, tensor.name, tensor.images);
        return ABSENT;
    }
    if (tensor.storage == STORAGE_NORMALISED) {
        tensor.raw = graph_image(graph, tensor.raw, image);
        tensor.coefficients = graph_image(graph, tensor.coefficients, image);
    }
    char name[sizeof tensor.name];
    snprintf(name, sizeof name, "%.144s[%d]", tensor.name, image);
    if (tensor.parent == ABSENT) tensor.parent = whole, tensor.first_image = image; /* views of views share the root */
    else tensor.first_image += image;
    tensor.images = 1;
    return add_tensor(graph, &tensor, name);
}

int graph_room(struct graph *graph, int like) {
    struct tensor tensor = graph->tensors[like];
    char name[sizeof tensor.name];
    snprintf(name, sizeof name, "%s", tensor.name);
    tensor.storage = STORAGE_ARENA, tensor.parent = ABSENT, tensor.first_image = 0, tensor.producer = graph->node_count - 1;
    return add_tensor(graph, &tensor, name);
}

int graph_stored(const struct graph *graph, int tensor) {
    return graph->tensors[tensor].storage == STORAGE_NORMALISED ? graph->tensors[tensor].raw : tensor;
}

int graph_floats(struct graph *graph, int x) {
    if (x == ABSENT || graph->status != COVER_OK) return ABSENT;
    const struct tensor *tensor = &graph->tensors[x];
    return tensor->storage == STORAGE_NORMALISED || tensor->element == ELEMENT_BF16
               ? graph_op(graph, OP_widen, &x, (struct attributes){0})
               : x;
}

int graph_result(struct graph *graph, int tensor) {
    tensor = graph_floats(graph, tensor);
    if (tensor == ABSENT || graph->status != COVER_OK) return ABSENT;
    struct tensor *kept = &graph->tensors[tensor];
    if (kept->storage == STORAGE_RESULT) return kept->index;
    if (kept->storage != STORAGE_ARENA || kept->parent != ABSENT) {
        graph->status = fail(COVER_ERROR_INTERNAL, "graph: %s cannot be kept as a result", kept->name);
        return ABSENT;
    }
    kept->storage = STORAGE_RESULT, kept->index = graph->results;
    for (int i = 0; i < graph->tensor_count; i++) /* its views follow */
        if (graph->tensors[i].parent == tensor) graph->tensors[i].storage = STORAGE_RESULT, graph->tensors[i].index = kept->index;
    return graph->results++;
}

static bool inputs_present(const struct graph *graph, enum op op, const int *inputs) {
    for (int i = 0; i < op_rows[op].inputs; i++)
        if (inputs[i] == ABSENT ? !(op_rows[op].optional >> i & 1) : inputs[i] < 0 || inputs[i] >= graph->tensor_count)
            return false;
    return true;
}

/* A normalised tensor for an op that reads it as it lies: written by norm_apply, once for readers that follow each other
 * soon; later ones write it again instead of having it kept. */
static int written(struct graph *graph, int tensor) {
    if (graph->tensors[tensor].storage != STORAGE_NORMALISED) return tensor;
    int copy = graph->tensors[tensor].written, outputs[NODE_OUTPUTS];
    if (copy == ABSENT || graph->node_count - graph->tensors[tensor].written_used > KEEP_NODES) {
        if (!graph_node(graph, OP_norm_apply, &tensor, &(struct attributes){0}, outputs)) return ABSENT;
        copy = graph->tensors[tensor].written = outputs[0];
    }
    graph->tensors[tensor].written_used = graph->node_count;
    return copy;
}

static bool take_inputs(struct graph *graph, struct node *node, const int *inputs) {
    const struct op_row *row = &op_rows[node->op];
    if (graph->status != COVER_OK) return false;
    if (!inputs_present(graph, node->op, inputs)) {
        graph->status = fail(COVER_ERROR_INTERNAL, "graph: %s %s: an input is absent", graph->scope, row->name);
        return false;
    }
    for (int i = 0; i < NODE_INPUTS; i++) {
        node->input[i] = i < row->inputs ? inputs[i] : ABSENT;
        if (node->input[i] != ABSENT && !(row->normalised >> i & 1)) node->input[i] = written(graph, node->input[i]);
    }
    return graph->status == COVER_OK;
}

static void mark_normalised(struct graph *graph, const struct node *node) {
    struct tensor *y = &graph->tensors[node->output[0]];
    y->storage = STORAGE_NORMALISED, y->slope = node->attributes.norm.slope;
    y->raw = node->input[0], y->coefficients = node->output[op_rows[node->op].outputs - 1];
}

bool graph_node(struct graph *graph, enum op op, const int *inputs, const struct attributes *attributes, int *outputs) {
    struct tensor shapes[NODE_OUTPUTS] = {0};
    struct node node = {.op = op, .attributes = *attributes};
    for (int i = 0; i < NODE_OUTPUTS; i++) node.output[i] = outputs[i] = ABSENT;
    if (!take_inputs(graph, &node, inputs)) return false;
    if ((graph->status = op_shape[op](graph, &node, shapes)) != COVER_OK) {
        fail_in(graph->status, "%s %s", graph->scope, op_rows[op].name);
        return false;
    }
    for (int i = 0; i < op_rows[op].outputs; i++) {
        if (shapes[i].images == 0) continue;
        char name[sizeof shapes[i].name];
        snprintf(name, sizeof name, "%.128s %.20s", graph->scope, op_rows[op].name);
        shapes[i].parent = ABSENT, shapes[i].producer = graph->node_count;
        outputs[i] = node.output[i] = add_tensor(graph, &shapes[i], name);
    }
    if (!grow(graph, (void **)&graph->nodes, graph->node_count, &graph->node_capacity, sizeof node)) return false;
    graph->nodes[graph->node_count++] = node;
    if (op_rows[op].flags & OP_NORMALISES) mark_normalised(graph, &node);
    return true;
}

int graph_op(struct graph *graph, enum op op, const int *inputs, struct attributes attributes) {
    int outputs[NODE_OUTPUTS];
    return graph_node(graph, op, inputs, &attributes, outputs) ? outputs[0] : ABSENT;
}

int graph_conv(struct graph *graph, int x, int x2, int weights, int bias, int kernel, enum element element, int *sums) {
    int outputs[NODE_OUTPUTS];
    struct attributes attributes = {.conv = {.kernel = kernel}, .element = element, .skip_output = {false, !sums}};
    bool made = graph_node(graph, OP_conv, (int[]){x, weights, bias, x2}, &attributes, outputs);
    if (sums) *sums = made ? outputs[1] : ABSENT;
    return made ? outputs[0] : ABSENT;
}
int graph_norm_act(struct graph *graph, int x, int gamma, int beta, int bias, int sums, struct norm_attributes norm) {
    return graph_op(graph, OP_norm_act, (int[]){x, gamma, beta, bias, sums}, (struct attributes){.norm = norm});
}
int graph_max_pool2(struct graph *graph, int x) { return graph_op(graph, OP_max_pool2, (int[]){x}, (struct attributes){0}); }
int graph_upsample(struct graph *graph, int x) { return graph_op(graph, OP_upsample, (int[]){x}, (struct attributes){0}); }
int graph_resize_corners(struct graph *graph, int x, const struct grid *grid, float scale) {
    return graph_op(graph, OP_resize_corners, (int[]){x}, (struct attributes){.grid = *grid, .scale = scale});
}
int graph_warp(struct graph *graph, int source, int field, enum coordinates coordinates) {
    return graph_op(graph, OP_warp, (int[]){source, field}, (struct attributes){.coordinates = coordinates});
}
int graph_mov(struct graph *graph, int query, int key, int heads, int radius) {
    return graph_op(graph, OP_mov, (int[]){query, key}, (struct attributes){.mov = {heads, radius}});
}
int graph_vector_loss(struct graph *graph, int prediction, int truth, int mask) {
    return graph_op(graph, OP_vector_loss, (int[]){prediction, truth, mask}, (struct attributes){0});
}
int graph_cosine_loss(struct graph *graph, int a, int b, int mask) {
    return graph_op(graph, OP_cosine_loss, (int[]){a, b, mask}, (struct attributes){0});
}
int graph_softmax_loss(struct graph *graph, int logits, int target, int class_weights, float ce_weight, float dice_weight) {
    return graph_op(graph, OP_softmax_loss, (int[]){logits, target, class_weights},
                    (struct attributes){.softmax = {ce_weight, dice_weight, 1}});
}
int graph_class_right(struct graph *graph, int logits, int target) {
    return graph_op(graph, OP_class_right, (int[]){logits, target}, (struct attributes){0});
}
int graph_sigmoid_loss(struct graph *graph, int logits, int target, int class_weights) {
    return graph_op(graph, OP_sigmoid_loss, (int[]){logits, target, class_weights}, (struct attributes){0});
}
int graph_global_pool(struct graph *graph, int x) { return graph_op(graph, OP_global_pool, (int[]){x}, (struct attributes){0}); }
int graph_add(struct graph *graph, int a, int b) { return graph_op(graph, OP_add, (int[]){a, b}, (struct attributes){0}); }

const struct tensor *graph_tensor(const struct graph *graph, enum storage storage, int index) {
    for (int t = 0; t < graph->tensor_count; t++) {
        const struct tensor *tensor = &graph->tensors[t];
        if (tensor->storage == storage && tensor->index == index && tensor->parent == ABSENT) return tensor;
    }
    return NULL;
}

int64_t tensor_elements(const struct tensor *tensor) { return tensor->images * grid_pixels(&tensor->grid) * tensor->channels; }

size_t tensor_bytes(const struct tensor *tensor) { return (size_t)tensor_elements(tensor) * element_bytes(tensor->element); }

bool node_writes(const struct node *node, int output) { return !(node->op == OP_conv && output == 1); }

int node_weights(const struct graph *graph, const struct node *node) {
    if (node->op == OP_conv_grad_weights) return node->attributes.conv.row;
    return node->op == OP_conv || node->op == OP_conv_grad_data ? graph->tensors[node->input[1]].index : ABSENT;
}
