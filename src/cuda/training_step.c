/* A step on a GPU: packing of weights, forward, backward, reduction over ranks, norm and update are one CUDA graph, captured at the second
 * step and played from then on.  What changes from step to step (samples, rate, scale) lies in memory that the graph reads.  Gradients
 * go out bucket by bucket on a stream of their own while backward goes on.  Called through training_cuda. */
#include "training_state.h"

#include <time.h>

/* adam NULL: no update. */
static void set_update(struct training_state *state, const struct adam *adam, double clip) {
    const struct model *model = state->model;
    for (int i = 0; i <= model->rates; i++) {
        state->update_host[i] = (struct cuda_update){.clip = clip};
        if (!adam) continue;
        state->update_host[i].adam = i ? adam_rated(*adam, model->rate[i - 1].factor, model->rate[i - 1].beta1) : *adam;
    }
}

static cover_status start_adam(struct training_state *state) {
    cuda_stream stream = state->device->compute;
    CUDA_TRY(cudaMemcpyAsync(state->update, state->update_host, (1 + MODEL_RATES) * sizeof *state->update, cudaMemcpyHostToDevice,
                             (cudaStream_t)stream));
    for (int i = 0; i < state->trained_count; i++) {
        const struct range *range = &state->trained[i];
        CUDA_TRY(cuda_adam(stream, state->weights + range->first, state->m + range->first, state->v + range->first,
                           state->gradient + range->first, range->count, state->update + range->rate, state->square_sum));
    }
    return COVER_OK;
}

/* Behind the forward pass: the terms of the loss to the host; one that is not finite marks the gradient. */
static cover_status start_terms(struct training_state *state, const struct lane *own) {
    cuda_stream compute = state->device->compute;
    for (int i = 0; i < state->model->terms; i++) {
        const struct loss_term *row = &state->model->term[i];
        const struct program *program = row->of_batch ? state->batch.program : state->program;
        const struct lane *lane = row->of_batch ? &state->batch.lane : own;
        if (row->result == ABSENT) continue;
        const struct tensor *term = graph_tensor(program->graph, STORAGE_RESULT, row->result);
        const int64_t values = program->samples * tensor_elements(term);
        const double *result = program_address(program, lane, (int)(term - program->graph->tensors));
        CUDA_TRY(cuda_guard(compute, state->gradient + state->trained_floats + i, result, values));
        CUDA_TRY(cudaMemcpyAsync(&state->outcome->terms[state->term_offset[i]], result, (size_t)values * sizeof *result,
                                 cudaMemcpyDeviceToHost, (cudaStream_t)compute));
    }
    return COVER_OK;
}

/* Everything behind the samples, onto the streams. */
static cover_status start_body(struct training_state *state, int slot) {
    const struct graph *graph = &state->model->graph;
    const struct lane *lane = &state->lane[slot];
    cuda_stream compute = state->device->compute;
    TRY(program_pack_on(state->program, compute, state->weights));
    for (int n = 0; n < graph->node_count; n++) {
        TRY(program_start_node(state->program, lane, compute, n));
        if (n == graph->forward_nodes - 1) {
            TRY(batch_start(state, lane));
            TRY(start_terms(state, lane));
        }
        if (state->reduction) TRY(reduction_after(state->reduction, n));
    }
    if (state->reduction) TRY(reduction_join(state->reduction));
    TRY(batch_add(state));
    CUDA_TRY(cuda_square_sum(compute, state->square_sum, state->gradient, state->trained_floats + GRADIENT_MARKS,
                             state->square_workspace));
    TRY(start_adam(state));
    CUDA_TRY(cudaMemcpyAsync(&state->outcome->square_sum, state->square_sum, sizeof(double), cudaMemcpyDeviceToHost,
                             (cudaStream_t)compute));
    return COVER_OK;
}

static cover_status start_convolutions(struct training_state *state, int slot) {
    const struct graph *graph = &state->model->graph;
    TRY(program_pack_on(state->program, state->device->compute, state->weights));
    for (int n = 0; n < graph->node_count; n++)
        if (node_weights(graph, &graph->nodes[n]) != ABSENT)
            TRY(program_start_node(state->program, &state->lane[slot], state->device->compute, n));
    return COVER_OK;
}

/* The body as a CUDA graph.  Where it cannot be captured, steps go on without. */
static cover_status capture(struct training_state *state, int slot) {
    cudaStream_t compute = (cudaStream_t)state->device->compute;
    cudaGraph_t graph = NULL;
    CUDA_TRY(cudaStreamBeginCapture(compute, cudaStreamCaptureModeThreadLocal));
    cover_status status = start_body(state, slot);
    cudaError_t error = cudaStreamEndCapture(compute, &graph);
    if (status == COVER_OK && error == cudaSuccess) error = cudaGraphInstantiate(&state->graph[slot], graph, 0);
    if (graph) (void)cudaGraphDestroy(graph);
    if (status == COVER_OK && error == cudaSuccess) return COVER_OK;
    (void)cudaGetLastError();
    log_line(state->context, COVER_LOG_WARNING, "a step could not be made a CUDA graph (%s); steps are started kernel by kernel",
             status != COVER_OK ? error_slot() : cudaGetErrorString(error));
    state->no_graph = true, state->graph[slot] = NULL;
    return COVER_OK;
}

static cover_status start(struct training_state *state, int slot, const struct training_step *step) {
    cudaStream_t compute = (cudaStream_t)state->device->compute;
    set_update(state, step->adam, step->clip);
    CUDA_TRY(cudaStreamWaitEvent(compute, state->copied[slot], 0));
    if (step->only_convolutions) TRY(start_convolutions(state, slot));
    else {
        /* the first step runs as it is: libraries load what they need */
        if (state->steps++ > 0 && !state->graph[slot] && !state->no_graph) TRY(capture(state, slot));
        if (state->graph[slot]) CUDA_TRY(cudaGraphLaunch(state->graph[slot], compute));
        else TRY(start_body(state, slot));
    }
    CUDA_TRY(cudaEventRecord(state->finished, compute));
    if (state->reduction) reduction_started(state->reduction);
    return COVER_OK;
}
cover_status cuda_training_start(struct training_state *state, int slot, const struct training_step *step) {
    TRY(device_enter(state->device));
    cover_status status = start(state, slot, step);
    device_leave(state->device);
    return status;
}

/* Wait without blocking in the driver, so that a lost rank is noticed: soon at first, then ever more patiently. */
static cover_status wait(struct training_state *state) {
    for (long pause = 1000;; pause += pause < 1000000 ? pause / 2 : 0) {
        cudaError_t error = cudaEventQuery(state->finished);
        if (error != cudaErrorNotReady) return cuda_check((cuda_error)error, "the step");
        if (state->reduction) TRY(reduction_watch(state->reduction));
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
}

static cover_status finish(struct training_state *state, struct training_step *step) {
    const struct graph *graph = &state->model->graph;
    TRY(wait(state));
    step->square_sum = state->outcome->square_sum;
    for (int i = 0; i < state->model->terms; i++) {
        const struct loss_term *term = &state->model->term[i];
        if (term->result == ABSENT) continue;
        const int64_t width = term->of_batch ? 0 : graph_tensor(graph, STORAGE_RESULT, term->result)->channels;
        for (int64_t sample = 0; sample < (term->of_batch ? 1 : state->samples); sample++)
            step->term[i][sample] = state->outcome->terms[(int64_t)state->term_offset[i] + sample * width + term->place];
    }
    return COVER_OK;
}
cover_status cuda_training_finish(struct training_state *state, struct training_step *step) {
    TRY(device_enter(state->device));
    cover_status status = finish(state, step);
    device_leave(state->device);
    return status;
}

cover_status cuda_training_update(struct training_state *state, const struct adam *adam) {
    TRY(device_enter(state->device));
    set_update(state, adam, 0);
    cover_status status = start_adam(state);
    if (status == COVER_OK)
        status = cuda_check((cuda_error)cudaStreamSynchronize((cudaStream_t)state->device->compute), "the update");
    device_leave(state->device);
    return status;
}

/* ---- the forward pass alone */

static cover_status forward(struct training_state *state, int slot, int result, float *rows) {
    const struct graph *graph = &state->model->graph;
    const struct lane *lane = &state->lane[slot];
    const struct tensor *kept = graph_tensor(graph, STORAGE_RESULT, result);
    cudaStream_t compute = (cudaStream_t)state->device->compute;
    CUDA_TRY(cudaStreamWaitEvent(compute, state->copied[slot], 0));
    TRY(program_pack_on(state->program, compute, state->weights));
    for (int n = 0; n < graph->forward_nodes; n++) TRY(program_start_node(state->program, lane, compute, n));
    CUDA_TRY(cudaMemcpyAsync(rows, program_address(state->program, lane, (int)(kept - graph->tensors)),
                             (size_t)state->samples * tensor_bytes(kept), cudaMemcpyDeviceToHost, compute));
    return cuda_check((cuda_error)cudaStreamSynchronize(compute), "a forward pass");
}
cover_status cuda_training_forward(struct training_state *state, int slot, int result, float *rows) {
    TRY(device_enter(state->device));
    cover_status status = forward(state, slot, result, rows);
    device_leave(state->device);
    return status;
}
