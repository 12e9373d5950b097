/* Memory planning: lifetimes along the node order, then placement, largest block first, at the lowest offset that is free
 * for its whole life.  What an op can do in place is merged before.  Called when an executor prepares a program. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

struct block {
    size_t bytes, offset;
    int first, last; /* nodes during which it lives */
    int tensor;      /* root tensor, or ABSENT for a workspace */
};

static int root_of(const struct graph *graph, int tensor) {
    while (graph->tensors[tensor].parent != ABSENT) tensor = graph->tensors[tensor].parent;
    return tensor;
}

static bool in_arena(const struct tensor *tensor) { return tensor->storage == STORAGE_ARENA || tensor->storage == STORAGE_RESULT; }

static void touch(struct block *blocks, const struct graph *graph, int tensor, int node) {
    if (tensor == ABSENT) return;
    if (graph->tensors[tensor].storage == STORAGE_NORMALISED) {
        touch(blocks, graph, graph->tensors[tensor].coefficients, node);
        tensor = graph->tensors[tensor].raw;
    }
    struct block *block = &blocks[root_of(graph, tensor)];
    if (block->first > node) block->first = node;
    if (block->last < node) block->last = node;
}

/* Can the bytes of all tensors together be counted? */
static bool fits(const struct graph *graph, int64_t samples) {
    int64_t sum = 0;
    for (int t = 0; t < graph->tensor_count; t++) {
        const struct tensor *tensor = &graph->tensors[t];
        int64_t bytes = (int64_t)element_bytes(tensor->element);
        const int64_t factors[] = {
            samples, tensor->images, tensor->channels, tensor->grid.size[0], tensor->grid.size[1], tensor->grid.size[2]};
        for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
            if (!multiply(bytes, factors[i], &bytes)) return false;
        if (__builtin_add_overflow(sum, bytes, &sum)) return false;
    }
    return true;
}

static void find_lifetimes(struct block *blocks, const struct graph *graph, size_t samples, size_t alignment) {
    for (int t = 0; t < graph->tensor_count; t++) blocks[t] = (struct block){.first = graph->node_count, .last = -1, .tensor = t};
    for (int n = 0; n < graph->node_count; n++) {
        for (int i = 0; i < NODE_INPUTS; i++) touch(blocks, graph, graph->nodes[n].input[i], n);
        for (int i = 0; i < NODE_OUTPUTS; i++) touch(blocks, graph, graph->nodes[n].output[i], n);
    }
    for (int t = 0; t < graph->tensor_count; t++) {
        const struct tensor *tensor = &graph->tensors[t];
        if (tensor->parent != ABSENT || !in_arena(tensor) || blocks[t].last < 0) continue;
        blocks[t].bytes = round_up(samples * tensor_bytes(tensor), alignment);
        if (tensor->storage == STORAGE_RESULT) blocks[t].last = graph->node_count;
    }
}

/* Outputs that take the memory of an input whose last reader is their first writer: owner[t] is the tensor whose block
 * t lies in, itself for most. */
static void share_blocks(int *owner, struct block *blocks, const struct graph *graph) {
    for (int t = 0; t < graph->tensor_count; t++) owner[t] = t;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (!(op_rows[node->op].flags & OP_IN_PLACE)) continue;
        if (node->input[0] == ABSENT || node->output[0] == ABSENT) continue;
        const int in = graph_stored(graph, node->input[0]), out = node->output[0];
        if (graph->tensors[in].parent != ABSENT || graph->tensors[out].parent != ABSENT) continue;
        if (graph->tensors[in].storage != STORAGE_ARENA || !in_arena(&graph->tensors[out])) continue;
        if (blocks[in].last != n || blocks[out].first != n ||
            tensor_bytes(&graph->tensors[in]) != tensor_bytes(&graph->tensors[out]))
            continue;
        owner[out] = owner[in];
        blocks[out].bytes = 0;
        blocks[owner[in]].last = blocks[out].last;
    }
}

static int larger_first(const void *a, const void *b) {
    const struct block *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor; /* a total order, so that plans repeat */
}

static int lower_first(const void *a, const void *b) {
    const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* blocks sorted larger first; neighbours: scratch of `count` pointers.  Returns the arena's size. */
static size_t place(struct block *blocks, int count, struct block **neighbours) {
    size_t end = 0;
    for (int i = 0; i < count; i++) {
        struct block *block = &blocks[i];
        int found = 0;
        for (int k = 0; k < i; k++)
            if (blocks[k].first <= block->last && block->first <= blocks[k].last) neighbours[found++] = &blocks[k];
        qsort(neighbours, (size_t)found, sizeof *neighbours, lower_first);
        size_t at = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
        for (int k = 0; k < found; k++) { /* the tightest gap that is wide enough */
            if (neighbours[k]->offset > at && neighbours[k]->offset - at >= block->bytes && neighbours[k]->offset - at < best_gap)
                best = at, best_gap = neighbours[k]->offset - at;
            size_t behind = neighbours[k]->offset + neighbours[k]->bytes;
            if (behind > at) at = behind;
        }
        block->offset = best != SIZE_MAX ? best : at;
        if (block->offset + block->bytes > end) end = block->offset + block->bytes;
    }
    return end;
}

static size_t peak(const struct block *blocks, int count, int nodes) {
    size_t most = 0;
    for (int n = 0; n < nodes; n++) {
        size_t sum = 0;
        for (int i = 0; i < count; i++)
            if (blocks[i].first <= n && n <= blocks[i].last) sum += blocks[i].bytes;
        if (sum > most) most = sum;
    }
    return most;
}

cover_status plan_create(struct plan *plan, const struct graph *graph, const size_t *workspace_bytes, int64_t samples,
                         size_t alignment) {
    cover_context *context = graph->context;
    cover_status status = COVER_ERROR_MEMORY;
    int tensors = graph->tensor_count, nodes = graph->node_count, count = 0;
    *plan = (struct plan){.samples = samples};
    struct block *blocks = memory_zero(context, (size_t)(tensors + nodes) * sizeof *blocks);
    struct block **neighbours = memory_zero(context, (size_t)(tensors + nodes) * sizeof *neighbours);
    int *owner = memory_zero(context, (size_t)(tensors + 1) * sizeof *owner);
    plan->offset = memory_zero(context, (size_t)tensors * sizeof *plan->offset);
    plan->workspace = memory_zero(context, (size_t)nodes * sizeof *plan->workspace);
    if (!blocks || !neighbours || !owner || !plan->offset || !plan->workspace) goto done;
    if (!fits(graph, samples)) {
        status = fail(COVER_ERROR_SHAPE, "the tensors of %lld samples at once are more than memory can hold", (long long)samples);
        goto done;
    }
    find_lifetimes(blocks, graph, (size_t)samples, alignment);
    share_blocks(owner, blocks, graph);
    for (int t = 0; t < tensors; t++)
        if (blocks[t].bytes) blocks[count++] = blocks[t];
    for (int n = 0; n < nodes; n++) {
        plan->flops += (double)samples * node_flops(graph, &graph->nodes[n]);
        if (workspace_bytes[n])
            blocks[count++] =
                (struct block){.bytes = round_up(workspace_bytes[n], alignment), .first = n, .last = n, .tensor = -1 - n};
    }
    plan->tensor_peak_bytes = peak(blocks, count, nodes);
    qsort(blocks, (size_t)count, sizeof *blocks, larger_first);
    plan->arena_bytes = place(blocks, count, neighbours);
    for (int i = 0; i < count; i++) {
        if (blocks[i].tensor >= 0) plan->offset[blocks[i].tensor] = blocks[i].offset;
        else plan->workspace[-1 - blocks[i].tensor] = blocks[i].offset;
    }
    for (int t = 0; t < tensors; t++) plan->offset[t] = plan->offset[owner[t]];
    for (int t = 0; t < tensors; t++) {
        const struct tensor *tensor = &graph->tensors[t];
        if (tensor->parent == ABSENT || !in_arena(&graph->tensors[root_of(graph, t)])) continue;
        size_t image = (size_t)samples * tensor_bytes(tensor) / (size_t)tensor->images, offset = 0;
        for (int v = t; graph->tensors[v].parent != ABSENT; v = graph->tensors[v].parent)
            offset += (size_t)graph->tensors[v].first_image * image;
        plan->offset[t] = plan->offset[root_of(graph, t)] + offset;
    }
    status = COVER_OK;
done:
    memory_free(context, blocks);
    memory_free(context, neighbours);
    memory_free(context, owner);
    if (status != COVER_OK) plan_free(plan, context);
    return status;
}

void plan_free(struct plan *plan, cover_context *context) {
    memory_free(context, plan->offset);
    memory_free(context, plan->workspace);
    *plan = (struct plan){0};
}
