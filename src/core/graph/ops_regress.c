/* Shape rules and gradients of what regression of fields and images is made of: correlation, smoothness, affine fields, masks, and the
 * regions of local contrast.  Called through the tables of ops.c. */
#include "core/base/affine_map.h"
#include "core/base/regions.h"
#include "ops_rules.h"

static struct tensor one_loss(const struct tensor *x) { /* an image */
    struct tensor loss = vector(1);
    loss.images = x->images, loss.element = ELEMENT_F64;
    return loss;
}
static cover_status shape_as_first(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
static cover_status shape_as_both(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0)), out[1] = like(in(graph, node, 1));
    return COVER_OK;
}
/* The node's inputs as they are, and gradients for the first `count`. */
static void gradient_of_inputs(struct adjoint *adjoint, int index, enum op op, int count) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], inputs[NODE_INPUTS];
    for (int i = 0; i < NODE_INPUTS; i++) inputs[i] = i < count ? adjoint_again(adjoint, node.input[i]) : node.input[i];
    if (!graph_node(graph, op, inputs, &node.attributes, out)) return;
    for (int i = 0; i < count; i++) adjoint_add(adjoint, node.input[i], out[i]);
}

/* ---- ncc_loss */

cover_status shape_ncc_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *moved = in(graph, node, 0), *fixed = in(graph, node, 1);
    const int window = node->attributes.regress.window;
    if (window < 1 || window % 2 == 0) return fail(COVER_ERROR_ARGUMENT, "a window of %d pixels has no centre", window);
    TRY(must_have(fixed, moved->channels));
    if (node->input[2] != ABSENT) {
        TRY(must_have(in(graph, node, 2), 1));
        TRY(must_match(moved, in(graph, node, 2)));
    }
    out[0] = one_loss(moved);
    return must_match(moved, fixed);
}
SHAPE_OF(shape_ncc_loss_grad, shape_as_first)
void gradient_ncc_loss(struct adjoint *adjoint, int index) { gradient_of_inputs(adjoint, index, OP_ncc_loss_grad, 1); }

/* ---- smooth_loss, inside_mask */

cover_status shape_smooth_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = one_loss(in(graph, node, 0));
    return COVER_OK;
}
SHAPE_OF(shape_smooth_loss_grad, shape_as_first)
void gradient_smooth_loss(struct adjoint *adjoint, int index) { gradient_of_inputs(adjoint, index, OP_smooth_loss_grad, 1); }

cover_status shape_inside_mask(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *field = in(graph, node, 0);
    out[0] = like_with(field, 1);
    return must_have(field, field->grid.ndim);
}
void gradient_inside_mask(struct adjoint *adjoint, int index) { (void)adjoint, (void)index; }

/* ---- affine_field */

cover_status shape_affine_field(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *numbers = in(graph, node, 0);
    const struct grid *grid = &node->attributes.grid;
    if (grid_pixels(&numbers->grid) != 1) return fail(COVER_ERROR_SHAPE, "%s is not one vector an image", numbers->name);
    out[0] = like_with(numbers, grid->ndim);
    out[0].grid = *grid;
    return must_have(numbers, grid->ndim == 2 ? AFFINE_2D : AFFINE_3D);
}
cover_status shape_affine_field_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1));
    return COVER_OK;
}
void gradient_affine_field(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), adjoint_again(adjoint, node.input[0])};
    if (graph_node(graph, OP_affine_field_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- cosine_mean_loss */

cover_status shape_cosine_mean_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *a = in(graph, node, 0), *b = in(graph, node, 1), *mask = in(graph, node, 2);
    TRY(must_have(b, a->channels));
    TRY(must_have(mask, 1));
    TRY(must_match(a, mask));
    out[0] = one_loss(a);
    return must_match(a, b);
}
SHAPE_OF(shape_cosine_mean_loss_grad, shape_as_both)
void gradient_cosine_mean_loss(struct adjoint *adjoint, int index) {
    gradient_of_inputs(adjoint, index, OP_cosine_mean_loss_grad, 2);
}

/* ---- region_blocks, local_nce */

cover_status shape_region_blocks(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    for (int i = 3 - x->grid.ndim; i < 3; i++)
        if (x->grid.size[i] < REGION_LEAST)
            return fail(COVER_ERROR_SHAPE, "regions need %d pixels an axis, %s has %lld", REGION_LEAST, x->name,
                        (long long)x->grid.size[i]);
    out[0] = like_with(x, x->channels * region_pixels(x->grid.ndim));
    out[0].grid = (struct grid){2, {1, 1, region_places(x->grid.ndim)}};
    return COVER_OK;
}
cover_status shape_region_blocks_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *rows = in(graph, node, 0);
    out[0] = like_with(rows, rows->channels / region_pixels(node->attributes.grid.ndim));
    out[0].grid = node->attributes.grid;
    return COVER_OK;
}
void gradient_region_blocks(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    struct attributes attributes = {.grid = graph->tensors[node.input[0]].grid};
    if (graph_node(graph, OP_region_blocks_grad, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

cover_status shape_local_nce(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *a = in(graph, node, 0), *b = in(graph, node, 1);
    const int64_t rows = grid_pixels(&a->grid);
    if (rows % (1 + REGION_NEGATIVES))
        return fail(COVER_ERROR_SHAPE, "%s has %lld rows, which are not regions with %d negatives each", a->name, (long long)rows,
                    REGION_NEGATIVES);
    if (!(node->attributes.regress.temperature > 0)) return fail(COVER_ERROR_ARGUMENT, "a temperature must be above 0");
    TRY(must_have(b, a->channels));
    out[0] = one_loss(a);
    return must_match(a, b);
}
SHAPE_OF(shape_local_nce_grad, shape_as_both)
void gradient_local_nce(struct adjoint *adjoint, int index) { gradient_of_inputs(adjoint, index, OP_local_nce_grad, 2); }
