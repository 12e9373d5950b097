/* Preparing a graph for a GPU and starting its nodes: convolutions, the plan for all samples at once, addresses.  Called by executor.c
 * (one sample, from and to the host) and by training.c (a whole batch). */
#include "program.h"

#include "core/graph/convs.h"

#include <cuda_runtime_api.h>
#include <string.h>

enum { ALIGNMENT = 256 }; /* of tensors and workspaces */

/* ---- convolutions */

static struct cuda_conv_shape conv_shape_of(const struct conv_use *use) {
    return (struct cuda_conv_shape){.grid = use->grid,
                                    .images = use->images,
                                    .c_in = use->c_in,
                                    .c_second = use->c_second,
                                    .c_out = use->c_out,
                                    .kernel = use->kernel,
                                    .x = use->x,
                                    .y = use->y,
                                    .normed = use->normed,
                                    .bias = use->forward && use->bias,
                                    .forward = use->forward,
                                    .grad_data = use->grad_data,
                                    .grad_weights = use->grad_weights};
}

static cover_status prepare_convs(struct program *program) {
    const struct graph *graph = program->graph;
    struct conv_use *uses = memory_zero(program->context, (size_t)graph->node_count * sizeof *uses);
    if (!uses) return COVER_ERROR_MEMORY;
    program->conv_count = graph_convs(graph, program->samples, uses, program->conv_of_node);
    for (int i = 0; i < program->conv_count; i++)
        program->convs[i].row = uses[i].row, program->convs[i].shape = conv_shape_of(&uses[i]);
    memory_free(program->context, uses);
    for (int i = 0; i < program->conv_count; i++) {
        struct prepared_conv *conv = &program->convs[i];
        cover_status status = cuda_conv_create(&conv->conv, program->device, &conv->shape);
        if (status != COVER_OK) return fail_in(status, "%s", graph->parameters->rows[conv->row].name);
        conv->packed_offset = program->packed_bytes;
        program->packed_bytes += round_up(cuda_conv_packed_bytes(conv->conv), ALIGNMENT);
    }
    return COVER_OK;
}

/* ---- making */

static cover_status prepare_plan(struct program *program) {
    const struct graph *graph = program->graph;
    for (int n = 0; n < graph->node_count; n++)
        if (!cuda_ops[graph->nodes[n].op]->run)
            return fail(COVER_ERROR_UNSUPPORTED, "the GPU has no op %s", op_rows[graph->nodes[n].op].name);
    size_t *workspace = memory_zero(program->context, (size_t)graph->node_count * sizeof *workspace);
    if (!workspace) return COVER_ERROR_MEMORY;
    for (int n = 0; n < graph->node_count; n++) {
        const struct op_cuda *op = cuda_ops[graph->nodes[n].op];
        if (op->workspace) workspace[n] = op->workspace(program, &graph->nodes[n], n);
    }
    cover_status status = plan_create(&program->plan, graph, workspace, program->samples, ALIGNMENT);
    memory_free(program->context, workspace);
    return status;
}

void program_free(struct program *program) {
    if (!program) return;
    cover_context *context = program->context;
    for (int i = 0; i < program->conv_count; i++) cuda_conv_destroy(program->convs[i].conv);
    plan_free(&program->plan, context);
    device_free(program->packed);
    device_free(program->parameters);
    memory_free(context, program->convs);
    memory_free(context, program->conv_of_node);
    memory_free(context, program);
}

cover_status program_create_for(struct program **made, struct device *device, const struct graph *graph, int64_t samples) {
    cover_context *context = device->context;
    struct program *program = memory_zero(context, sizeof *program);
    if (!program) return COVER_ERROR_MEMORY;
    cover_status status = COVER_ERROR_MEMORY;
    size_t nodes = (size_t)graph->node_count;
    *program = (struct program){.context = context, .device = device, .graph = graph, .samples = (int)samples};
    program->convs = memory_zero(context, nodes * sizeof *program->convs);
    program->conv_of_node = memory_zero(context, nodes * sizeof *program->conv_of_node);
    if (!program->convs || !program->conv_of_node) goto done;
    GO(prepare_convs(program));
    GO(prepare_plan(program));
    *made = program;
done:
    if (status != COVER_OK) program_free(program);
    return status;
}

/* ---- running */

void *program_address(const struct program *program, const struct lane *lane, int index) {
    if (index == ABSENT) return NULL;
    const struct graph *graph = program->graph;
    index = graph_stored(graph, index);
    const struct tensor *tensor = &graph->tensors[index], *root = tensor;
    switch (tensor->storage) {
    case STORAGE_ARENA:
    case STORAGE_RESULT:
        return lane->arena + program->plan.offset[index];
    case STORAGE_PARAMETER:
        return (float *)lane->parameters + graph->parameters->rows[tensor->index].offset;
    case STORAGE_PARAMETER_GRAD:
        return lane->gradient + graph->parameters->rows[tensor->index].offset;
    case STORAGE_INPUT: {
        int64_t skip = 0;
        for (; root->parent != ABSENT; root = &graph->tensors[root->parent]) skip += root->first_image;
        return (char *)lane->input[root->index] +
               (size_t)(skip * program->samples) * (tensor_bytes(tensor) / (size_t)tensor->images);
    }
    case STORAGE_NORMALISED:
        break; /* is stored elsewhere */
    }
    return NULL;
}

cover_status program_pack_on(const struct program *program, cuda_stream stream, const float *parameters) {
    for (int i = 0; i < program->conv_count; i++) {
        const struct prepared_conv *conv = &program->convs[i];
        TRY(cuda_conv_pack(conv->conv, stream, program->packed + conv->packed_offset,
                           parameters + program->graph->parameters->rows[conv->row].offset));
    }
    return COVER_OK;
}

cover_status program_start_node(const struct program *program, const struct lane *lane, cuda_stream stream, int n) {
    const struct node *node = &program->graph->nodes[n];
    struct call call = {.program = program,
                        .graph = program->graph,
                        .node = node,
                        .lane = lane,
                        .stream = stream,
                        .workspace = lane->arena + program->plan.workspace[n]};
    if (program->conv_of_node[n] != ABSENT) {
        const struct prepared_conv *conv = &program->convs[program->conv_of_node[n]];
        call.conv = conv->conv, call.packed = program->packed + conv->packed_offset;
    }
    cover_status status = cuda_ops[node->op]->run(&call);
    return status == COVER_OK ? COVER_OK : fail_in(status, "%s", op_rows[node->op].name);
}
