/* From the seconds of each node to figures: rows by layer and by operation, floors from this machine's peak rates.
 * Called by bench.c and its parts. */
#include "bench_parts.h"

#include "core/graph/executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MIN = 2, PASSES_MAX = 8 };
static const double passes_seconds = 1; /* short graphs are run again so long */

/* ---- rows */

/* What a node reads and writes, each tensor once.  A normalised tensor is written nowhere; a normalisation whose sums a convolution has
 * given does not read what it normalises. */
static double node_bytes(const struct graph *graph, const struct node *node) {
    const bool given = node->op == OP_norm_act && node->input[4] != ABSENT;
    double bytes = 0;
    for (int i = given; i < NODE_INPUTS; i++)
        if (node->input[i] != ABSENT) bytes += (double)tensor_bytes(&graph->tensors[node->input[i]]);
    for (int i = 0; i < NODE_OUTPUTS; i++) {
        const struct tensor *output = node->output[i] != ABSENT ? &graph->tensors[node->output[i]] : NULL;
        if (output && output->storage != STORAGE_NORMALISED) bytes += (double)tensor_bytes(output);
    }
    return bytes;
}

/* The parameter that a node works with names its layer; a node without one, what its output is called. */
static const char *layer_of(const struct graph *graph, const struct node *node) {
    const char *name = op_rows[node->op].name;
    if (node->op == OP_conv_grad_weights) return graph->parameters->rows[node->attributes.conv.row].name;
    for (int i = 0; i < op_rows[node->op].inputs; i++)
        if (node->input[i] != ABSENT && graph->tensors[node->input[i]].storage == STORAGE_PARAMETER)
            return graph->tensors[node->input[i]].name;
    for (int i = op_rows[node->op].outputs - 1; i >= 0; i--)
        if (node->output[i] != ABSENT) name = graph->tensors[node->output[i]].name;
    return name + strspn(name, " "); /* built outside any scope */
}

static bool has_bf16(const struct graph *graph, const int *tensors, int count) {
    for (int i = 0; i < count; i++)
        if (tensors[i] != ABSENT && graph->tensors[tensors[i]].element == ELEMENT_BF16) return true;
    return false;
}

static bool is_convolution(enum op op) { return op == OP_conv || op == OP_conv_grad_data || op == OP_conv_grad_weights; }

static void fill_layer(struct bench_row *row, const struct graph *graph, const struct node *node, double seconds) {
    *row = (struct bench_row){.op = op_rows[node->op].name, .count = 1, .seconds = seconds, .flops = node_flops(graph, node)};
    row->bytes = node_bytes(graph, node);
    row->bf16 =
        is_convolution(node->op) && (has_bf16(graph, node->input, NODE_INPUTS) || has_bf16(graph, node->output, NODE_OUTPUTS));
    snprintf(row->layer, sizeof row->layer, "%s", layer_of(graph, node));
    const struct tensor *larger = &graph->tensors[node->input[0] != ABSENT ? node->input[0] : node->output[0]];
    for (int i = 0; i < op_rows[node->op].outputs; i++)
        if (node->output[i] != ABSENT && tensor_elements(&graph->tensors[node->output[i]]) > tensor_elements(larger))
            larger = &graph->tensors[node->output[i]];
    const int64_t *size = larger->grid.size;
    char depth[24] = "";
    if (larger->grid.ndim == 3) snprintf(depth, sizeof depth, "%lldx", (long long)size[0]);
    snprintf(row->size, sizeof row->size, "%s%lldx%lld, %lld", depth, (long long)size[1], (long long)size[2],
             (long long)larger->channels);
}

static int longest_first(const void *a, const void *b) {
    const struct bench_row *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return strcmp(x->op, y->op);
}

static cover_status make_rows(struct bench_figures *figures, cover_context *context, const struct graph *graph,
                              const double *node_seconds) {
    int of_op[OP_COUNT];
    figures->layers = memory_zero(context, (size_t)graph->node_count * sizeof *figures->layers);
    figures->ops = memory_zero(context, OP_COUNT * sizeof *figures->ops);
    if (!figures->layers || !figures->ops) return COVER_ERROR_MEMORY;
    for (int op = 0; op < OP_COUNT; op++) of_op[op] = ABSENT;
    for (int n = 0; n < graph->node_count; n++) {
        struct bench_row *layer = &figures->layers[figures->layer_count++];
        fill_layer(layer, graph, &graph->nodes[n], node_seconds[n]);
        int *index = &of_op[graph->nodes[n].op];
        if (*index == ABSENT) *index = figures->op_count++;
        struct bench_row *op = &figures->ops[*index];
        op->op = layer->op;
        op->count++, op->seconds += layer->seconds, op->flops += layer->flops, op->bytes += layer->bytes;
    }
    return COVER_OK;
}

cover_status bench_nodes(cover_bench *bench, const struct graph *graph, cover_status (*time)(void *data, double *node_seconds),
                         void *data) {
    if (bench->options.brief) return COVER_OK;
    size_t count = (size_t)graph->node_count;
    double *least = memory_zero(bench->context, 2 * count * sizeof *least), *pass = least + count;
    if (!least) return COVER_ERROR_MEMORY;
    cover_status status = COVER_OK;
    double start = seconds_now();
    for (int i = 0; i < PASSES_MAX && (i < PASSES_MIN || seconds_now() - start < passes_seconds); i++) {
        if (cancelled(bench->context)) GO(fail(COVER_ERROR_CANCELLED, "bench: cancelled"));
        GO(time(data, pass));
        for (size_t n = 0; n < count; n++)
            if (i == 0 || pass[n] < least[n]) least[n] = pass[n];
    }
    status = make_rows(&bench->figures, bench->context, graph, least);
done:
    memory_free(bench->context, least);
    return status;
}

cover_status bench_alone_row(cover_bench *bench, const char *op, double seconds, double bytes) {
    if (bench->options.brief) return COVER_OK;
    struct bench_row *row = bench->figures.ops = memory_zero(bench->context, sizeof *row);
    if (!row) return COVER_ERROR_MEMORY;
    *row = (struct bench_row){.op = op, .count = 1, .seconds = seconds, .bytes = bytes};
    bench->figures.op_count = 1;
    return COVER_OK;
}

/* ---- floors */

double bench_roof(const struct bench_figures *figures, const struct bench_row *row) {
    return row->bf16 && figures->peak.one.bf16 > 0 ? figures->peak.one.bf16 : figures->peak.one.f32;
}

static void set_floor(struct bench_row *row, const struct bench_figures *figures) {
    double arithmetic = row->flops / bench_roof(figures, row), memory = row->bytes / figures->peak.one.bytes;
    row->memory_bound = memory > arithmetic;
    row->floor_seconds = row->memory_bound ? memory : arithmetic;
}

/* The floor of an operation is the sum over its layers, each bound by what binds it; the operation's own bound is that of
 * the larger part. */
cover_status bench_floors(cover_bench *bench) {
    struct bench_figures *figures = &bench->figures;
    TRY(bench->context->executor->peak(&figures->peak, bench->context));
    if (!figures->layer_count)
        for (int i = 0; i < figures->op_count; i++) set_floor(&figures->ops[i], figures);
    for (int i = 0; i < figures->op_count && figures->layer_count; i++) {
        struct bench_row *op = &figures->ops[i];
        double by_memory = 0;
        for (int n = 0; n < figures->layer_count; n++) {
            struct bench_row *layer = &figures->layers[n];
            if (layer->op != op->op) continue;
            set_floor(layer, figures);
            op->floor_seconds += layer->floor_seconds, op->bf16 |= layer->bf16;
            if (layer->memory_bound) by_memory += layer->floor_seconds;
        }
        op->memory_bound = by_memory > op->floor_seconds / 2;
    }
    for (int i = 0; i < figures->op_count; i++)
        figures->ops_seconds += figures->ops[i].seconds, figures->ops_floor_seconds += figures->ops[i].floor_seconds;
    qsort(figures->ops, (size_t)figures->op_count, sizeof *figures->ops, longest_first);
    return COVER_OK;
}
