/* The CUDA executor behind the table that core knows: inputs, parameters, gradients and results lie in the host's memory, so a run
 * copies in, starts every node on one stream, waits, and copies out.  Training goes another way, through training.c.
 * Called through the module's door (module.c). */
#include "program.h"

#include "open.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- preparing */

static cover_status cuda_program_create(struct program **program, cover_context *context, const struct graph *graph, int team) {
    (void)team; /* the device is one worker */
    struct device *device = context->device;
    TRY(device_enter(device));
    cover_status status = program_create_for(program, device, graph, 1);
    device_leave(device);
    return status;
}

static void cuda_program_destroy(struct program *program) {
    if (!program) return;
    struct device *device = program->device;
    bool entered = device_enter(device) == COVER_OK; /* a lost device has nothing left to wait for */
    program_free(program);
    if (entered) device_leave(device);
}

static const struct plan *cuda_program_plan(const struct program *program) { return &program->plan; }
static size_t cuda_program_packed_bytes(const struct program *program) { return program->packed_bytes; }

static cover_status pack(struct program *program, const float *parameters) {
    struct device *device = program->device;
    size_t bytes = (size_t)program->graph->parameters->floats * sizeof(float);
    if (!program->packed) TRY(device_alloc((void **)&program->packed, device, program->packed_bytes, "packed weights"));
    if (!program->parameters) TRY(device_alloc((void **)&program->parameters, device, bytes, "weights"));
    if (bytes)
        CUDA_TRY(cudaMemcpyAsync(program->parameters, parameters, bytes, cudaMemcpyHostToDevice, (cudaStream_t)device->compute));
    TRY(program_pack_on(program, device->compute, program->parameters));
    CUDA_TRY(cudaStreamSynchronize((cudaStream_t)device->compute));
    return COVER_OK;
}

static cover_status cuda_program_pack(struct program *program, const float *parameters) {
    TRY(device_enter(program->device));
    cover_status status = pack(program, parameters);
    device_leave(program->device);
    return status;
}

/* ---- one lane: its device memory, and the host's copies of what it keeps */

struct arena {
    struct lane lane;
    int *bad;      /* device: has a value that is not finite been seen? */
    char *results; /* host: every kept tensor, one behind the other */
    size_t *result_offset;
};

static void free_arena(const struct program *program, struct arena *arena) {
    device_free(arena->lane.arena);
    for (int i = 0; i < RUN_INPUTS; i++) device_free(arena->lane.input[i]);
    device_free(arena->lane.gradient);
    device_free(arena->bad);
    memory_free(program->context, arena->results);
    memory_free(program->context, arena->result_offset);
    memory_free(program->context, arena);
}

static cover_status fill_arena(struct arena *arena, const struct program *program) {
    const struct graph *graph = program->graph;
    struct device *device = program->device;
    size_t bytes = 0;
    TRY(device_alloc((void **)&arena->lane.arena, device, program->plan.arena_bytes, "the arena"));
    for (int i = 0; i < graph->inputs; i++)
        TRY(device_alloc((void **)&arena->lane.input[i], device, tensor_bytes(graph_tensor(graph, STORAGE_INPUT, i)), "an input"));
    TRY(device_alloc((void **)&arena->lane.gradient, device, (size_t)graph->parameters->trained * sizeof(float), "the gradient"));
    TRY(device_alloc((void **)&arena->bad, device, sizeof *arena->bad, "a flag"));
    arena->result_offset = memory_zero(program->context, (size_t)(graph->results + 1) * sizeof *arena->result_offset);
    if (!arena->result_offset) return COVER_ERROR_MEMORY;
    for (int i = 0; i < graph->results; i++) {
        arena->result_offset[i] = bytes;
        bytes += (tensor_bytes(graph_tensor(graph, STORAGE_RESULT, i)) + 63) / 64 * 64;
    }
    arena->results = memory_alloc(program->context, bytes + 64);
    return arena->results ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status cuda_arena_create(void **made, const struct program *program) {
    struct arena *arena = memory_zero(program->context, sizeof *arena);
    if (!arena) return COVER_ERROR_MEMORY;
    cover_status status = device_enter(program->device);
    if (status == COVER_OK) {
        status = fill_arena(arena, program);
        if (status != COVER_OK) free_arena(program, arena);
        device_leave(program->device);
    } else memory_free(program->context, arena);
    if (status == COVER_OK) *made = arena;
    return status;
}

static void cuda_arena_destroy(const struct program *program, void *arena) {
    if (!arena) return;
    bool entered = device_enter(program->device) == COVER_OK;
    free_arena(program, arena);
    if (entered) device_leave(program->device);
}

/* ---- running */

static cover_status copy_in(const struct program *program, struct run *run, struct lane *lane) {
    const struct graph *graph = program->graph;
    cudaStream_t stream = (cudaStream_t)program->device->compute;
    lane->parameters = program->parameters;
    for (int i = 0; i < graph->inputs; i++)
        if (run->input[i])
            CUDA_TRY(cudaMemcpyAsync(lane->input[i], run->input[i], tensor_bytes(graph_tensor(graph, STORAGE_INPUT, i)),
                                     cudaMemcpyHostToDevice, stream));
    if (run->gradient && graph->parameters->trained)
        CUDA_TRY(cudaMemsetAsync(lane->gradient, 0, (size_t)graph->parameters->trained * sizeof(float), stream));
    return COVER_OK;
}

static cover_status copy_out(const struct program *program, struct run *run, struct arena *arena) {
    const struct graph *graph = program->graph;
    cudaStream_t stream = (cudaStream_t)program->device->compute;
    for (int i = 0; i < graph->results; i++) {
        const struct tensor *tensor = graph_tensor(graph, STORAGE_RESULT, i);
        CUDA_TRY(cudaMemcpyAsync(arena->results + arena->result_offset[i],
                                 program_address(program, &arena->lane, (int)(tensor - graph->tensors)), tensor_bytes(tensor),
                                 cudaMemcpyDeviceToHost, stream));
    }
    for (int t = 0; run->gradient && t < graph->tensor_count; t++) { /* parameters without a gradient are left alone */
        const struct tensor *tensor = &graph->tensors[t];
        if (tensor->storage != STORAGE_PARAMETER_GRAD) continue;
        const int64_t offset = graph->parameters->rows[tensor->index].offset;
        CUDA_TRY(cudaMemcpyAsync(run->gradient + offset, arena->lane.gradient + offset, tensor_bytes(tensor),
                                 cudaMemcpyDeviceToHost, stream));
    }
    CUDA_TRY(cudaStreamSynchronize(stream));
    return COVER_OK;
}

/* *arena->bad is no longer zero where a value is not finite. */
static cuda_error mark_bad(const struct program *program, const struct arena *arena, const struct tensor *tensor,
                           const void *values) {
    const int64_t count = tensor_elements(tensor);
    if (tensor->element == ELEMENT_F64) return cuda_guard(program->device->compute, (float *)arena->bad, values, count);
    return cuda_not_finite(program->device->compute, arena->bad, values, tensor->element, count);
}

/* The first output of a node that is not finite is named. */
static cover_status check_outputs(const struct program *program, const struct arena *arena, const struct node *node) {
    cudaStream_t stream = (cudaStream_t)program->device->compute;
    for (int i = 0; i < NODE_OUTPUTS; i++) {
        const int index = node->output[i];
        if (index == ABSENT || !node_writes(node, i)) continue;
        const struct tensor *tensor = &program->graph->tensors[index];
        if (tensor->storage == STORAGE_NORMALISED || tensor->element == ELEMENT_U8) continue;
        int bad = 0;
        CUDA_TRY(cudaMemsetAsync(arena->bad, 0, sizeof bad, stream));
        CUDA_TRY(mark_bad(program, arena, tensor, program_address(program, &arena->lane, index)));
        CUDA_TRY(cudaMemcpyAsync(&bad, arena->bad, sizeof bad, cudaMemcpyDeviceToHost, stream));
        CUDA_TRY(cudaStreamSynchronize(stream));
        if (bad)
            return fail(COVER_ERROR_NUMERIC, "%s%s is not finite", tensor->name,
                        tensor->storage == STORAGE_PARAMETER_GRAD ? " (gradient)" : "");
    }
    return COVER_OK;
}

static cover_status run_nodes(const struct program *program, struct run *run, double *node_seconds) {
    struct arena *arena = run->arena;
    TRY(copy_in(program, run, &arena->lane));
    const int end = run->end ? run->end : program->graph->node_count;
    for (int n = run->begin; n < end; n++) {
        const struct node *node = &program->graph->nodes[n];
        if (run->only_convolutions && node_weights(program->graph, node) == ABSENT) continue;
        double start = 0;
        if (node_seconds) {
            CUDA_TRY(cudaStreamSynchronize((cudaStream_t)program->device->compute));
            start = seconds_now();
        }
        TRY(program_start_node(program, &arena->lane, program->device->compute, n));
        if (run->check) TRY(check_outputs(program, arena, node));
        if (node_seconds) {
            CUDA_TRY(cudaStreamSynchronize((cudaStream_t)program->device->compute));
            node_seconds[n] = seconds_now() - start;
        }
    }
    return copy_out(program, run, arena);
}

static void run_and_report(const struct program *program, struct run *run, double *node_seconds) {
    cover_status status = device_enter(program->device);
    if (status == COVER_OK) {
        status = run_nodes(program, run, node_seconds);
        device_leave(program->device);
    }
    run->status = status;
    if (status == COVER_OK) return;
    atomic_store(&run->failed, 1);
    snprintf(run->error, sizeof run->error, "%s", error_slot());
}

static void cuda_program_run(const struct program *program, struct run *run, int member) {
    if (member == 0) run_and_report(program, run, NULL);
}
static void cuda_program_time(const struct program *program, struct run *run, double *node_seconds) {
    run_and_report(program, run, node_seconds);
}

static const void *cuda_program_result(const struct program *program, const struct run *run, int result) {
    const struct arena *arena = run->arena;
    return result >= 0 && result < program->graph->results ? arena->results + arena->result_offset[result] : NULL;
}

/* ---- flat vectors of the host's, where components add up gradients */

static void host_add(const struct program *program, float *y, const float *a, const float *b, int64_t count) {
    (void)program;
    for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}
static double host_square_sum(const struct program *program, const float *x, int64_t count) {
    (void)program;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
    return sum;
}

const struct executor executor_cuda = {
    .name = "cuda",
    .device_open = cuda_device_open,
    .device_close = cuda_device_close,
    .device_describe = cuda_device_describe,
    .program_create = cuda_program_create,
    .program_destroy = cuda_program_destroy,
    .program_plan = cuda_program_plan,
    .program_packed_bytes = cuda_program_packed_bytes,
    .program_pack = cuda_program_pack,
    .program_run = cuda_program_run,
    .arena_create = cuda_arena_create,
    .arena_destroy = cuda_arena_destroy,
    .program_result = cuda_program_result,
    .program_time = cuda_program_time,
    .peak = cuda_peak,
    .add = host_add,
    .square_sum = host_square_sum,
    .training = &training_cuda,
};
