/* The CPU executor: prepares a planned graph and runs it node by node, an image or a slab of one a unit of work, on the
 * threads of one lane.
 * Convolutions go to conv.h, everything else to the kernels of this machine's best instruction set, by the rows of ops_*.c. */
#include "program.h"

#include "core/graph/convs.h"
#include "features.h"
#include "peak/peak.h"

#include <stdio.h>
#include <string.h>

/* ---- preparing */

static int node_images(const struct graph *graph, const struct node *node) {
    return graph->tensors[node->input[0] != ABSENT ? node->input[0] : node->output[0]].images;
}

/* Feature maps come in with most ops, come out of gradients. */
static enum element node_element(const struct graph *graph, const struct node *node) {
    const struct tensor *first = &graph->tensors[node->input[0] != ABSENT ? node->input[0] : node->output[0]];
    return first->element == ELEMENT_BF16 ? ELEMENT_BF16 : ELEMENT_F32;
}

/* Slabs that keep every thread of a team busy.  Only which thread does what depends on this, never a result. */
static int team_slabs(int images, int team) { return team > images ? (team + images - 1) / images : 1; }

int program_slabs(const struct program *program, int n, int team) {
    const struct node *node = &program->graph->nodes[n];
    const struct op_cpu *op = cpu_ops[node->op];
    if (op->slabs) return op->slabs(program, node, n);
    return op->any_slabs ? team_slabs(node_images(program->graph, node), team) : 1;
}

static void note_error(struct program *program, cover_status status) {
    pthread_mutex_lock(&program->error_lock);
    if (program->status == COVER_OK) {
        program->status = status;
        snprintf(program->error, sizeof program->error, "%s", cover_error_text());
    }
    pthread_mutex_unlock(&program->error_lock);
}
static cover_status noted_error(struct program *program) {
    cover_status status = program->status;
    program->status = COVER_OK;
    return status == COVER_OK ? COVER_OK : fail_text(status, program->error);
}

static void create_convs(void *data, int worker) {
    (void)worker;
    struct program *program = data;
    for (int i; (i = atomic_fetch_add(&program->next, 1)) < program->conv_count;) {
        cover_status status = conv_create(&program->convs[i].conv, program->context, &program->convs[i].shape);
        if (status != COVER_OK) note_error(program, status);
    }
}

static struct conv_shape conv_shape_of(const struct conv_use *use) {
    struct conv_shape shape = {.grid = use->grid,
                               .c_in = use->c_in,
                               .c_out = use->c_out,
                               .kernel = use->kernel,
                               .bias = use->bias,
                               .gradient = use->grad_data || use->grad_weights,
                               .x = use->x,
                               .y = use->y,
                               .c_second = use->c_second,
                               .normed = use->normed};
    shape.slabs = conv_good_slabs(&shape);
    return shape;
}

static cover_status prepare_convs(struct program *program, struct pool *pool) {
    const struct graph *graph = program->graph;
    struct conv_use *uses = memory_zero(program->context, (size_t)graph->node_count * sizeof *uses);
    if (!uses) return COVER_ERROR_MEMORY;
    program->conv_count = graph_convs(graph, 0, uses, program->conv_of_node);
    for (int i = 0; i < program->conv_count; i++)
        program->convs[i].row = uses[i].row, program->convs[i].shape = conv_shape_of(&uses[i]);
    memory_free(program->context, uses);
    atomic_store(&program->next, 0);
    pool_run(pool, create_convs, program);
    TRY(noted_error(program));
    for (int i = 0; i < program->conv_count; i++) {
        struct prepared_conv *conv = &program->convs[i];
        conv->packed_offset = program->packed_bytes;
        program->packed_bytes += (conv_packed_bytes(conv->conv) + 63) / 64 * 64;
        size_t scratch = (conv_scratch_bytes(conv->conv) + 63) / 64 * 64;
        if (scratch > program->pack_scratch_bytes) program->pack_scratch_bytes = scratch;
    }
    return COVER_OK;
}

static cover_status prepare_plan(struct program *program) {
    const struct graph *graph = program->graph;
    size_t *workspace = memory_zero(program->context, (size_t)graph->node_count * sizeof *workspace);
    if (!workspace) return COVER_ERROR_MEMORY;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        const struct op_cpu *op = cpu_ops[node->op];
        int units = node_images(graph, node) * program_slabs(program, n, program->team);
        int at_once = units < program->team ? units : program->team;
        program->unit_bytes[n] = op->unit_bytes ? (op->unit_bytes(program, node, n) + 63) / 64 * 64 : 0;
        workspace[n] = (size_t)at_once * program->unit_bytes[n];
        if (op->shared_bytes) workspace[n] += op->shared_bytes(program, node);
    }
    cover_status status = plan_create(&program->plan, graph, workspace, 1, 64);
    memory_free(program->context, workspace);
    return status;
}

static void find_results(struct program *program) {
    for (int i = 0; i < program->graph->results; i++)
        program->result_offset[i] = program->plan.offset[graph_tensor(program->graph, STORAGE_RESULT, i) - program->graph->tensors];
}

static void cpu_program_destroy(struct program *program) {
    if (!program) return;
    cover_context *context = program->context;
    for (int i = 0; i < program->conv_count; i++) conv_destroy(program->convs[i].conv);
    plan_free(&program->plan, context);
    memory_free(context, program->convs);
    memory_free(context, program->conv_of_node);
    memory_free(context, program->unit_bytes);
    memory_free(context, program->result_offset);
    memory_free(context, program->packed);
    memory_free(context, program->pack_scratch);
    pthread_mutex_destroy(&program->error_lock);
    memory_free(context, program);
}

static cover_status cpu_program_create(struct program **made, cover_context *context, const struct graph *graph, int team) {
    struct pool *pool;
    TRY(context_pool(context, &pool));
    struct program *program = memory_zero(context, sizeof *program);
    if (!program) return COVER_ERROR_MEMORY;
    cover_status status = COVER_ERROR_MEMORY;
    *program = (struct program){
        .context = context,
        .graph = graph,
        .team = team,
        .kernels = {kernels_best(context->cpu_features, ELEMENT_F32), kernels_best(context->cpu_features, ELEMENT_BF16)}};
    pthread_mutex_init(&program->error_lock, NULL);
    size_t nodes = (size_t)graph->node_count;
    program->convs = memory_zero(context, nodes * sizeof *program->convs);
    program->conv_of_node = memory_zero(context, nodes * sizeof *program->conv_of_node);
    program->unit_bytes = memory_zero(context, nodes * sizeof *program->unit_bytes);
    program->result_offset = memory_zero(context, (size_t)graph->results * sizeof *program->result_offset);
    if (!program->convs || !program->conv_of_node || !program->unit_bytes || !program->result_offset) goto done;
    GO(prepare_convs(program, pool));
    GO(prepare_plan(program));
    find_results(program);
    status = COVER_OK;
    *made = program;
done:
    if (status != COVER_OK) cpu_program_destroy(program);
    return status;
}

static cover_status cpu_arena_create(void **arena, const struct program *program) {
    *arena = memory_alloc(program->context, program->plan.arena_bytes);
    return *arena ? COVER_OK : COVER_ERROR_MEMORY;
}
static void cpu_arena_destroy(const struct program *program, void *arena) {
    if (arena) memory_free(program->context, arena);
}

static const struct plan *cpu_program_plan(const struct program *program) { return &program->plan; }
static size_t cpu_program_packed_bytes(const struct program *program) { return program->packed_bytes; }

/* ---- packing weights */

static void pack_convs(void *data, int worker) {
    struct program *program = data;
    char *scratch = program->pack_scratch + (size_t)worker * program->pack_scratch_bytes;
    for (int i; (i = atomic_fetch_add(&program->next, 1)) < program->conv_count;) {
        const struct prepared_conv *conv = &program->convs[i];
        const float *weights = program->parameters + program->graph->parameters->rows[conv->row].offset;
        cover_status status = conv_pack(conv->conv, program->packed + conv->packed_offset, weights, scratch);
        if (status != COVER_OK) note_error(program, status);
    }
}

static cover_status cpu_program_pack(struct program *program, const float *parameters) {
    struct pool *pool;
    TRY(context_pool(program->context, &pool));
    if (!program->packed) program->packed = memory_alloc(program->context, program->packed_bytes);
    if (!program->pack_scratch)
        program->pack_scratch = memory_alloc(program->context, program->pack_scratch_bytes * (size_t)pool_threads(pool));
    if (!program->packed || !program->pack_scratch) return COVER_ERROR_MEMORY;
    program->parameters = parameters;
    atomic_store(&program->next, 0);
    pool_run(pool, pack_convs, program);
    return noted_error(program);
}

/* ---- running */

static void run_failed(struct run *run, cover_status status) {
    if (atomic_exchange(&run->failed, 1)) return;
    run->status = status;
    snprintf(run->error, sizeof run->error, "%s", cover_error_text());
}

static bool is_finite(const struct tensor *tensor, const void *values, const struct kernels *kernels) {
    int64_t count = tensor_elements(tensor);
    double sum = 0;
    if (tensor->element == ELEMENT_F32) sum = kernels->square_sum(values, count);
    for (int64_t i = 0; i < count && tensor->element == ELEMENT_BF16; i++) sum += bf16_to_float(((const bf16 *)values)[i]);
    for (int64_t i = 0; i < count && tensor->element == ELEMENT_F64; i++) sum += 0 * ((const double *)values)[i];
    return sum - sum == 0;
}

static void check_outputs(const struct call *call) {
    for (int i = 0; i < NODE_OUTPUTS; i++) {
        int index = call->node->output[i];
        if (index == ABSENT || !node_writes(call->node, i) || call->graph->tensors[index].storage == STORAGE_NORMALISED) continue;
        const struct tensor *tensor = &call->graph->tensors[index];
        if (is_finite(tensor, call_address(call, index, 0), call->kernels)) continue;
        run_failed(call->run, fail(COVER_ERROR_NUMERIC, "%s%s is not finite", tensor->name,
                                   tensor->storage == STORAGE_PARAMETER_GRAD ? " (gradient)" : ""));
    }
}

/* Units come to whoever is free; `turn` counts these calls, the same for every member.  (Counters take turns: one is reset
 * while the other is in use.)  A unit's scratch is its own or, when there are more units than members, the member's. */
static void run_units(struct call *call, cover_status (*unit_run)(const struct call *call, int image), int images, int member,
                      int *turn) {
    struct run *run = call->run;
    int units = images * call->slabs, here = (*turn)++ % 2;
    for (int unit; (unit = atomic_fetch_add(&run->taken[here], 1)) < units && !atomic_load(&run->failed);) {
        call->slab = unit % call->slabs;
        call->scratch = call->unit_scratch + (size_t)(units < run->team ? unit : member) * call->unit_bytes;
        cover_status status = unit_run(call, unit / call->slabs);
        if (status != COVER_OK) run_failed(run, status);
    }
    if (run->team > 1) team_wait(run->barrier);
    if (member == 0) atomic_store(&run->taken[here], 0);
}

static void run_node(const struct program *program, struct run *run, int n, int member, int *turn) {
    const struct node *node = &program->graph->nodes[n];
    const struct op_cpu *op = cpu_ops[node->op];
    int images = node_images(program->graph, node), slabs = program_slabs(program, n, run->team), units = images * slabs;
    int at_once = units < program->team ? units : program->team;
    char *workspace = (char *)run->arena + program->plan.workspace[n];
    struct call call = {.program = program,
                        .graph = program->graph,
                        .node = node,
                        .kernels = program->kernels[node_element(program->graph, node)],
                        .run = run,
                        .unit_scratch = workspace,
                        .unit_bytes = program->unit_bytes[n],
                        .shared = workspace + (size_t)at_once * program->unit_bytes[n],
                        .slabs = slabs};
    if (program->conv_of_node[n] != ABSENT) {
        const struct prepared_conv *conv = &program->convs[program->conv_of_node[n]];
        call.conv = conv->conv, call.packed = program->packed + conv->packed_offset;
    }
    run_units(&call, op->run, images, member, turn);
    if (op->finish) {
        if (member == 0 && !atomic_load(&run->failed)) op->finish(&call);
        if (run->team > 1) team_wait(run->barrier);
    }
    if (op->again) {
        call.slabs = team_slabs(images, run->team);
        run_units(&call, op->again, images, member, turn);
    }
    if (run->check) {
        if (member == 0 && !atomic_load(&run->failed)) check_outputs(&call);
        if (run->team > 1) team_wait(run->barrier);
    }
}

static void cpu_program_run(const struct program *program, struct run *run, int member) {
    int turn = 0;
    const int end = run->end ? run->end : program->graph->node_count;
    for (int n = run->begin; n < end; n++) {
        if (run->only_convolutions && node_weights(program->graph, &program->graph->nodes[n]) == ABSENT) continue;
        run_node(program, run, n, member, &turn);
        if (run->team == 1 && atomic_load(&run->failed)) return;
    }
}

static void cpu_program_time(const struct program *program, struct run *run, double *node_seconds) {
    int turn = 0;
    for (int n = 0; n < program->graph->node_count; n++) {
        double start = seconds_now();
        run_node(program, run, n, 0, &turn);
        node_seconds[n] = seconds_now() - start;
    }
}

static const void *cpu_program_result(const struct program *program, const struct run *run, int result) {
    if (result < 0 || result >= program->graph->results) return NULL;
    return (const char *)run->arena + program->result_offset[result];
}

static void cpu_add(const struct program *program, float *y, const float *a, const float *b, int64_t count) {
    program->kernels[ELEMENT_F32]->add(y, a, b, count);
}
static double cpu_square_sum(const struct program *program, const float *x, int64_t count) {
    return program->kernels[ELEMENT_F32]->square_sum(x, count);
}
static void cpu_adam(const struct program *program, float *weights, float *m, float *v, const float *gradient, int64_t count,
                     const struct adam *update) {
    program->kernels[ELEMENT_F32]->adam(weights, m, v, gradient, count, update);
}

const struct executor executor_cpu = {
    .name = "cpu",
    .program_create = cpu_program_create,
    .program_destroy = cpu_program_destroy,
    .program_plan = cpu_program_plan,
    .program_packed_bytes = cpu_program_packed_bytes,
    .program_pack = cpu_program_pack,
    .program_run = cpu_program_run,
    .arena_create = cpu_arena_create,
    .arena_destroy = cpu_arena_destroy,
    .program_result = cpu_program_result,
    .program_time = cpu_program_time,
    .peak = cpu_peak,
    .add = cpu_add,
    .square_sum = cpu_square_sum,
    .adam = cpu_adam,
};
