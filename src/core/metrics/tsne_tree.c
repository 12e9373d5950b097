/* The quadtree of Barnes-Hut t-SNE (van der Maaten 2014, section 4.2): far points are summed as one.  Called by tsne.c. */
#include "tsne.h"

#include <math.h>

enum { DEPTH_MAX = 40, NOBODY = -1 };

struct cell {
    double x, y, half; /* centre and half of the width */
    double mass, mean_x, mean_y;
    int32_t child[4]; /* NOBODY = none yet */
    bool leaf;
};

struct tree {
    struct cell *cells;
    int64_t count, used, room;
};

cover_status tree_create(struct tree **out, cover_context *context, int64_t count) {
    struct tree *tree = memory_zero(context, sizeof *tree);
    if (!tree) return COVER_ERROR_MEMORY;
    tree->count = count;
    /* two points of one cell are parted by a chain of at most DEPTH_MAX cells; a point makes one cell beside such a chain */
    tree->room = (DEPTH_MAX + 2) * count;
    tree->cells = memory_alloc(context, (size_t)tree->room * sizeof *tree->cells);
    if (!tree->cells) {
        memory_free(context, tree);
        return COVER_ERROR_MEMORY;
    }
    *out = tree;
    return COVER_OK;
}

void tree_destroy(struct tree *tree, cover_context *context) {
    if (!tree) return;
    memory_free(context, tree->cells);
    memory_free(context, tree);
}

static int32_t add_cell(struct tree *tree, double x, double y, double half) {
    tree->cells[tree->used] = (struct cell){.x = x, .y = y, .half = half, .leaf = true, .child = {NOBODY, NOBODY, NOBODY, NOBODY}};
    return (int32_t)tree->used++;
}

static int32_t child_at(struct tree *tree, int32_t index, double x, double y) {
    struct cell *cell = &tree->cells[index];
    int right = x >= cell->x, up = y >= cell->y, which = 2 * up + right;
    if (cell->child[which] == NOBODY) {
        double half = cell->half / 2;
        int32_t made = add_cell(tree, cell->x + (right ? half : -half), cell->y + (up ? half : -half), half);
        tree->cells[index].child[which] = made;
    }
    return tree->cells[index].child[which];
}

static void add_mass(struct cell *cell, double x, double y, double mass) {
    cell->mass += mass;
    cell->mean_x += (x - cell->mean_x) * mass / cell->mass;
    cell->mean_y += (y - cell->mean_y) * mass / cell->mass;
}

static void insert(struct tree *tree, double x, double y) {
    int32_t at = 0;
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        struct cell *cell = &tree->cells[at];
        bool first = cell->mass == 0, same = cell->mean_x == x && cell->mean_y == y;
        if (cell->leaf && (first || same)) break;
        if (cell->leaf) { /* what it holds goes one down */
            struct cell held = *cell;
            cell->leaf = false;
            add_mass(&tree->cells[child_at(tree, at, held.mean_x, held.mean_y)], held.mean_x, held.mean_y, held.mass);
        }
        add_mass(&tree->cells[at], x, y, 1);
        at = child_at(tree, at, x, y);
    }
    add_mass(&tree->cells[at], x, y, 1);
}

void tree_build(struct tree *tree, const double *y) {
    double low[2] = {y[0], y[1]}, high[2] = {y[0], y[1]};
    for (int64_t i = 0; i < 2 * tree->count; i++) low[i % 2] = fmin(low[i % 2], y[i]), high[i % 2] = fmax(high[i % 2], y[i]);
    double half = fmax(high[0] - low[0], high[1] - low[1]) / 2;
    tree->used = 0;
    add_cell(tree, (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, half > 0 ? half * (1 + 1e-9) : 1);
    for (int64_t i = 0; i < tree->count; i++) insert(tree, y[2 * i], y[2 * i + 1]);
}

void tree_repel(const struct tree *tree, const double at[2], double theta, double *q_sum, double force[2]) {
    int32_t stack[3 * DEPTH_MAX + 4];
    int depth = 0;
    double sum = -1, force_x = 0, force_y = 0; /* -1: the point itself, whose q is 1 */
    stack[depth++] = 0;
    while (depth) {
        const struct cell *cell = &tree->cells[stack[--depth]];
        double x = at[0] - cell->mean_x, y = at[1] - cell->mean_y, square = x * x + y * y, width = 2 * cell->half;
        if (!cell->leaf && width * width >= theta * theta * square) {
            for (int i = 3; i >= 0; i--)
                if (cell->child[i] != NOBODY) stack[depth++] = cell->child[i];
            continue;
        }
        double q = 1 / (1 + square);
        sum += cell->mass * q;
        force_x += cell->mass * q * q * x, force_y += cell->mass * q * q * y;
    }
    *q_sum = sum, force[0] = force_x, force[1] = force_y;
}
