/* Shape rule and gradient of every op, in the order of ops.def.  Called through the tables by graph_node() and
 * graph_differentiate(). */
#include "ops.h"

static const struct tensor *in(const struct graph *graph, const struct node *node, int i) {
    return &graph->tensors[node->input[i]];
}

static struct tensor like(const struct tensor *tensor) {
    return (struct tensor){
        .images = tensor->images, .grid = tensor->grid, .channels = tensor->channels, .element = tensor->element};
}
static struct tensor like_with(const struct tensor *tensor, int64_t channels) {
    struct tensor made = like(tensor);
    made.channels = channels;
    return made;
}
static struct tensor vector(int64_t count) { return (struct tensor){.images = 1, .grid = {2, {1, 1, 1}}, .channels = count}; }

static cover_status must_match(const struct tensor *a, const struct tensor *b) {
    if (a->images != b->images || !grid_same(&a->grid, &b->grid))
        return fail(COVER_ERROR_SHAPE, "%s and %s differ in images or size", a->name, b->name);
    return COVER_OK;
}
static cover_status must_have(const struct tensor *tensor, int64_t channels) {
    if (tensor->channels != channels)
        return fail(COVER_ERROR_SHAPE, "%s has %lld channels where %lld are needed", tensor->name, (long long)tensor->channels,
                    (long long)channels);
    return COVER_OK;
}

static struct grid scaled(const struct grid *grid, int up) {
    struct grid made = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) made.size[i] = up ? 2 * grid->size[i] : grid->size[i] / 2;
    return made;
}

/* ---- conv */

static int64_t taps(int kernel, int ndim) { return kernel == 1 ? 1 : ndim == 2 ? 9 : 27; }

static cover_status shape_conv(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0), *weights = in(graph, node, 1);
    const struct parameter *row = &graph->parameters->rows[weights->index];
    int64_t channels = x->channels;
    if (node->input[3] != ABSENT) {
        const struct tensor *second = in(graph, node, 3);
        TRY(must_match(x, second));
        if (second->element != x->element)
            return fail(COVER_ERROR_SHAPE, "%s and %s differ in their elements", x->name, second->name);
        channels += second->channels;
    }
    if (weights->storage != STORAGE_PARAMETER || row->rank != 2 + x->grid.ndim || row->shape[1] != channels ||
        row->count != row->shape[0] * row->shape[1] * taps(node->attributes.conv.kernel, x->grid.ndim))
        return fail(COVER_ERROR_SHAPE, "%s does not fit an input of %lld channels", weights->name, (long long)channels);
    if (node->input[2] != ABSENT) TRY(must_have(in(graph, node, 2), row->shape[0]));
    out[0] = like_with(x, row->shape[0]);
    out[0].element = node->attributes.element;
    if (node->attributes.skip_output[1]) return COVER_OK;
    out[1] = vector(CONV_SUMS_MAX * 2 * row->shape[0]);
    out[1].images = x->images, out[1].element = ELEMENT_F64;
    return COVER_OK;
}
static cover_status shape_conv_grad_data(const struct graph *graph, const struct node *node, struct tensor *out) {
    int64_t channels = graph->parameters->rows[in(graph, node, 1)->index].shape[1], second = node->attributes.conv.second;
    out[0] = like_with(in(graph, node, 0), channels - second);
    out[0].element = node->attributes.element;
    if (second) out[1] = out[0], out[1].channels = second;
    return COVER_OK;
}
static cover_status shape_conv_grad_weights(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = vector(graph->parameters->rows[node->attributes.conv.row].count);
    if (!node->attributes.skip_output[1]) out[1] = vector(in(graph, node, 1)->channels);
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
static void gradient_conv(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int dy = adjoint_of(adjoint, node.output[0]), second = node.input[3], out[NODE_OUTPUTS];
    struct attributes attributes = node.attributes;
    bool to_weights = adjoint_wanted(adjoint, node.input[1]);
    bool to_bias = node.input[2] != ABSENT && adjoint_wanted(adjoint, node.input[2]);
    attributes.conv.row = graph->tensors[node.input[1]].index;
    attributes.skip_output[1] = !to_bias;
    if (to_weights || to_bias) { /* before dx: x, computed again, is free before dx needs room */
        int x = adjoint_again(adjoint, node.input[0]), x2 = second == ABSENT ? ABSENT : adjoint_again(adjoint, second);
        if (!graph_node(graph, OP_conv_grad_weights, (int[]){x, dy, x2}, &attributes, out)) return;
        adjoint_add(adjoint, node.input[1], out[0]);
        if (to_bias) adjoint_add(adjoint, node.input[2], out[1]);
    }
    if (!adjoint_wanted(adjoint, node.input[0]) && !(second != ABSENT && adjoint_wanted(adjoint, second))) return;
    attributes.element = graph->tensors[node.input[0]].element;
    attributes.conv.second = second == ABSENT ? 0 : graph->tensors[second].channels;
    if (!graph_node(graph, OP_conv_grad_data, (int[]){dy, node.input[1]}, &attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    if (second != ABSENT) adjoint_add(adjoint, second, out[1]);
}

/* ---- norm_act */

static cover_status shape_norm_act(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    int groups = node->attributes.norm.groups;
    if (groups < 1 || x->channels % groups)
        return fail(COVER_ERROR_SHAPE, "%lld channels do not divide into %d groups", (long long)x->channels, groups);
    for (int i = 1; i < 4; i++)
        if (node->input[i] != ABSENT) TRY(must_have(in(graph, node, i), x->channels));
    if (node->input[4] != ABSENT) TRY(must_have(in(graph, node, 4), CONV_SUMS_MAX * 2 * x->channels));
    out[0] = like(x);
    out[1] = vector(2 * (int64_t)groups); /* mean of each group, then 1 / sigma of each group; an image a row */
    out[2] = vector(2 * x->channels);     /* scale of each channel, then offset of each channel */
    out[1].images = out[2].images = x->images;
    return COVER_OK;
}
static cover_status shape_norm_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1));
    out[1] = out[2] = vector(out[0].channels);
    if (node->input[3] != ABSENT) out[3] = out[1];
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
static void gradient_norm_act(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int x = adjoint_again(adjoint, node.input[0]), dy = adjoint_of(adjoint, node.output[0]), out[NODE_OUTPUTS];
    int inputs[] = {dy, x, node.input[1], node.input[3], node.output[1], node.output[2]};
    if (!graph_node(graph, OP_norm_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
    adjoint_add(adjoint, node.input[2], out[2]);
    if (node.input[3] != ABSENT) adjoint_add(adjoint, node.input[3], out[3]);
}

/* ---- norm_apply, widen: the same values, so the same gradient (of widen: of results alone, which nothing reads) */

#define shape_norm_apply shape_same
static cover_status shape_same(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
static void gradient_norm_apply(struct adjoint *adjoint, int index) {
    struct node node = adjoint_graph(adjoint)->nodes[index];
    int gradient = adjoint_of(adjoint, node.output[0]);
    adjoint_replace(adjoint, node.output[0], ABSENT); /* moved, so that more may be added in place */
    adjoint_add(adjoint, node.input[0], gradient);
}
static cover_status shape_widen(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(shape_same(graph, node, out));
    out[0].element = ELEMENT_F32;
    return COVER_OK;
}
static cover_status shape_widen_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(shape_same(graph, node, out));
    out[0].element = node->attributes.element;
    return COVER_OK;
}
static void gradient_widen(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const int x = graph->nodes[index].input[0];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, graph->nodes[index].output[0]);
    const struct attributes attributes = {.element = graph->tensors[x].element};
    if (attributes.element == ELEMENT_F32) adjoint_add(adjoint, x, dy);
    else if (graph_node(graph, OP_widen_grad, &dy, &attributes, out)) adjoint_add(adjoint, x, out[0]);
}

/* ---- max_pool2 */

static cover_status shape_max_pool2(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0); /* the last row of an odd size is dropped */
    for (int i = 3 - x->grid.ndim; i < 3; i++)
        if (x->grid.size[i] < 2) return fail(COVER_ERROR_SHAPE, "a size of %lld cannot be halved", (long long)x->grid.size[i]);
    out[0] = like(x);
    out[0].grid = scaled(&x->grid, 0);
    out[1] = out[0];
    out[1].element = ELEMENT_U8;
    return COVER_OK;
}
static cover_status shape_max_pool2_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1));
    out[0].grid = node->attributes.grid;
    return node->input[0] == ABSENT ? COVER_OK : must_match(&out[0], in(graph, node, 0));
}
static void gradient_max_pool2(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int plus = adjoint_of(adjoint, node.input[0]); /* what has flown in from elsewhere is added on the way */
    int out[NODE_OUTPUTS], inputs[] = {plus, adjoint_of(adjoint, node.output[0]), node.output[1]};
    struct attributes attributes = {.grid = graph->tensors[node.input[0]].grid};
    if (!graph_node(graph, OP_max_pool2_grad, inputs, &attributes, out)) return;
    if (plus == ABSENT) adjoint_add(adjoint, node.input[0], out[0]);
    else adjoint_replace(adjoint, node.input[0], out[0]);
}

/* ---- upsample */

static cover_status shape_upsample(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = scaled(&out[0].grid, 1);
    return COVER_OK;
}
static cover_status shape_upsample_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = scaled(&out[0].grid, 0);
    return COVER_OK;
}
static void gradient_upsample(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    if (graph_node(graph, OP_upsample_grad, &dy, &(struct attributes){0}, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- resize_corners */

static cover_status shape_resize_corners(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    if (node->attributes.grid.ndim != x->grid.ndim) return fail(COVER_ERROR_SHAPE, "2D and 3D are mixed");
    out[0] = like(x);
    out[0].grid = node->attributes.grid;
    return COVER_OK;
}
#define shape_resize_corners_grad shape_resize_corners
static void gradient_resize_corners(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    struct attributes attributes = node.attributes;
    attributes.grid = graph->tensors[node.input[0]].grid;
    if (graph_node(graph, OP_resize_corners_grad, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- warp */

static cover_status shape_warp(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_have(in(graph, node, 1), in(graph, node, 0)->grid.ndim));
    out[0] = like(in(graph, node, 0));
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
static cover_status shape_warp_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    if (!node->attributes.skip_output[0]) out[0] = like(in(graph, node, 0));
    if (!node->attributes.skip_output[1]) out[1] = like(in(graph, node, 2));
    return COVER_OK;
}
static void gradient_warp(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    bool to_source = adjoint_wanted(adjoint, node.input[0]), to_field = adjoint_wanted(adjoint, node.input[1]);
    struct attributes attributes = node.attributes;
    attributes.skip_output[0] = !to_source, attributes.skip_output[1] = !to_field;
    int source = to_field ? adjoint_again(adjoint, node.input[0]) : ABSENT; /* its values matter to the field alone */
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), source, node.input[1]};
    if (!graph_node(graph, OP_warp_grad, inputs, &attributes, out)) return;
    if (to_source) adjoint_add(adjoint, node.input[0], out[0]);
    if (to_field) adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- mov */

static cover_status shape_mov(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *query = in(graph, node, 0), *key = in(graph, node, 1);
    if (node->attributes.mov.heads < 1 || query->channels % node->attributes.mov.heads)
        return fail(COVER_ERROR_SHAPE, "%lld channels do not divide into %d heads", (long long)query->channels,
                    node->attributes.mov.heads);
    TRY(must_have(key, query->channels));
    out[0] = like_with(query, query->grid.ndim);
    return must_match(query, key);
}
static cover_status shape_mov_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1)), out[1] = like(in(graph, node, 2));
    return COVER_OK;
}
static void gradient_mov(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int query = adjoint_again(adjoint, node.input[0]), key = adjoint_again(adjoint, node.input[1]);
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), query, key};
    if (!graph_node(graph, OP_mov_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- losses */

static cover_status shape_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *a = in(graph, node, 0), *b = in(graph, node, 1), *mask = in(graph, node, 2);
    TRY(must_have(b, a->channels));
    TRY(must_have(mask, 1));
    TRY(must_match(a, mask));
    out[0] = vector(1);
    out[0].images = a->images, out[0].element = ELEMENT_F64;
    return must_match(a, b);
}
#define shape_vector_loss shape_loss
#define shape_cosine_loss shape_loss
static cover_status shape_vector_loss_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
static cover_status shape_cosine_loss_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0)), out[1] = like(in(graph, node, 1));
    return COVER_OK;
}
static void gradient_vector_loss(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS];
    if (graph_node(graph, OP_vector_loss_grad, node.input, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}
static void gradient_cosine_loss(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int a = adjoint_again(adjoint, node.input[0]), b = adjoint_again(adjoint, node.input[1]);
    int out[NODE_OUTPUTS], inputs[] = {a, b, node.input[2]};
    if (!graph_node(graph, OP_cosine_loss_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- losses of a task: f64 results, an image a row */

enum { TASK_LOSSES = 2, SOFTMAX_CLASS_STATISTICS = 3 }; /* of softmax_loss: kernels.h says which */

static cover_status task_loss(const struct graph *graph, const struct node *node, int64_t statistics, struct tensor *out) {
    const struct tensor *logits = in(graph, node, 0);
    if (node->input[2] != ABSENT) {
        const struct tensor *weights = in(graph, node, 2);
        TRY(must_have(weights, logits->channels));
        if (weights->images != 1 || grid_pixels(&weights->grid) != 1)
            return fail(COVER_ERROR_SHAPE, "%s is not one vector", weights->name);
    }
    out[0] = vector(TASK_LOSSES), out[1] = vector(statistics);
    for (int i = 0; i < 2; i++) out[i].images = logits->images, out[i].element = ELEMENT_F64;
    return must_match(logits, in(graph, node, 1));
}
static cover_status shape_softmax_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    int64_t classes = in(graph, node, 0)->channels;
    if (classes < 2) return fail(COVER_ERROR_SHAPE, "%s has one channel, but classes are at least 2", in(graph, node, 0)->name);
    if (!(node->attributes.softmax.smooth > 0)) return fail(COVER_ERROR_ARGUMENT, "the Dice loss needs smooth > 0");
    TRY(must_have(in(graph, node, 1), 1));
    return task_loss(graph, node, 1 + SOFTMAX_CLASS_STATISTICS * classes, out);
}
static cover_status shape_sigmoid_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_have(in(graph, node, 1), in(graph, node, 0)->channels));
    return task_loss(graph, node, 1, out);
}
static cover_status shape_task_loss_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
#define shape_softmax_loss_grad shape_task_loss_grad
#define shape_sigmoid_loss_grad shape_task_loss_grad
static void gradient_task_loss(struct adjoint *adjoint, int index, enum op grad) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int logits = adjoint_again(adjoint, node.input[0]);
    int out[NODE_OUTPUTS], inputs[] = {logits, node.input[1], node.input[2], node.output[1]};
    if (graph_node(graph, grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}
static void gradient_softmax_loss(struct adjoint *adjoint, int index) { gradient_task_loss(adjoint, index, OP_softmax_loss_grad); }
static void gradient_sigmoid_loss(struct adjoint *adjoint, int index) { gradient_task_loss(adjoint, index, OP_sigmoid_loss_grad); }

/* ---- global_pool */

static cover_status shape_global_pool(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = (struct grid){out[0].grid.ndim, {1, 1, 1}};
    return COVER_OK;
}
static cover_status shape_global_pool_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = node->attributes.grid;
    return COVER_OK;
}
static void gradient_global_pool(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    struct attributes attributes = {.grid = graph->tensors[node.input[0]].grid};
    if (graph_node(graph, OP_global_pool_grad, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- add */

static cover_status shape_add(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_have(in(graph, node, 1), in(graph, node, 0)->channels));
    out[0] = like(in(graph, node, 0));
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
static void gradient_add(struct adjoint *adjoint, int index) {
    struct node node = adjoint_graph(adjoint)->nodes[index];
    int dy = adjoint_of(adjoint, node.output[0]);
    for (int i = 0; i < 2; i++)
        if (adjoint_wanted(adjoint, node.input[i])) adjoint_add(adjoint, node.input[i], dy);
}

#define OP(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = shape_##name,
shape_rule *const op_shape[OP_COUNT] = {
#include "ops.def"
};
#define OP(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = gradient_##name,
#define BACKWARD(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = NULL,
gradient_rule *const op_gradient[OP_COUNT] = {
#include "ops.def"
};

/* Multiplications and additions, counted as two; what is not a convolution or MoV is left out. */
double node_flops(const struct graph *graph, const struct node *node) {
    if (node->input[0] == ABSENT) return 0; /* a pooling's gradient with nothing to add */
    const struct tensor *first = in(graph, node, 0);
    const double pixels = (double)first->images * (double)grid_pixels(&first->grid);
    const int weights = node_weights(graph, node);
    if (weights != ABSENT) return 2 * pixels * (double)graph->parameters->rows[weights].count;
    if (node->op != OP_mov && node->op != OP_mov_grad) return 0;
    double window = 1;
    for (int i = 0; i < first->grid.ndim; i++) window *= 2 * node->attributes.mov.radius + 1;
    return node->op == OP_mov ? 2 * pixels * window * (double)first->channels
                              : 6 * pixels * window * (double)in(graph, node, 1)->channels;
}
