/* What the files of shape rules and gradients (ops_conv.c, ops_norm.c, ops_grid.c, ops_losses.c, ops_regress.c) share.  Included by them and by
 * ops.c, whose tables they fill. */
#ifndef COVER_OPS_RULES_H
#define COVER_OPS_RULES_H

#include "ops.h"

#define OP(name, inputs, outputs, optional, normalised, flags, text)                                                               \
    shape_rule shape_##name;                                                                                                       \
    gradient_rule gradient_##name;
#define BACKWARD(name, inputs, outputs, optional, normalised, flags, text) shape_rule shape_##name;
#define FIGURE BACKWARD
#include "ops.def"

/* A shape rule that is another one's. */
#define SHAPE_OF(rule, other)                                                                                                      \
    cover_status rule(const struct graph *graph, const struct node *node, struct tensor *out) { return other(graph, node, out); }

static inline const struct tensor *in(const struct graph *graph, const struct node *node, int i) {
    return &graph->tensors[node->input[i]];
}

static inline struct tensor like(const struct tensor *tensor) {
    return (struct tensor){
        .images = tensor->images, .grid = tensor->grid, .channels = tensor->channels, .element = tensor->element};
}
static inline struct tensor like_with(const struct tensor *tensor, int64_t channels) {
    struct tensor made = like(tensor);
    made.channels = channels;
    return made;
}
static inline struct tensor vector(int64_t count) {
    return (struct tensor){.images = 1, .grid = {2, {1, 1, 1}}, .channels = count};
}

static inline cover_status must_match(const struct tensor *a, const struct tensor *b) {
    if (a->images != b->images || !grid_same(&a->grid, &b->grid))
        return fail(COVER_ERROR_SHAPE, "%s and %s differ in images or size", a->name, b->name);
    return COVER_OK;
}
static inline cover_status must_have(const struct tensor *tensor, int64_t channels) {
    if (tensor->channels != channels)
        return fail(COVER_ERROR_SHAPE, "%s has %lld channels where %lld are needed", tensor->name, (long long)tensor->channels,
                    (long long)channels);
    return COVER_OK;
}
static inline cover_status must_be_floats(const struct tensor *tensor) {
    if (tensor->element != ELEMENT_F32) return fail(COVER_ERROR_SHAPE, "%s is not of floats", tensor->name);
    return COVER_OK;
}

static inline struct grid scaled(const struct grid *grid, int up) {
    struct grid made = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) made.size[i] = up ? 2 * grid->size[i] : grid->size[i] / 2;
    return made;
}

#endif
