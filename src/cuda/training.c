/* Training on a GPU: weights, gradient and moments stay in device memory; this file plans, allocates and copies them.  Called by
 * the resident stepper through training_cuda. */
#include "training_state.h"

#include "open.h"

/* ---- planning */

cover_status find_ranges(struct range **ranges, int *count, struct training_state *state, const struct graph *graph) {
    const struct parameters *parameters = &state->model->parameters;
    struct range *found = *ranges = memory_zero(state->context, (size_t)(parameters->count + 1) * sizeof *found);
    if (!found) return COVER_ERROR_MEMORY;
    for (int i = 0; i < parameters->count; i++) {
        const int64_t first = parameters->rows[i].offset;
        const int64_t end = i + 1 < parameters->count ? parameters->rows[i + 1].offset : parameters->floats;
        if (!(graph ? graph_has_gradient(graph, i) : model_has_gradient(state->model, i))) continue;
        struct range *last = *count ? &found[*count - 1] : NULL;
        const int rate = model_rate(state->model, i);
        if (last && last->first + last->count == first && last->rate == rate) last->count = end - last->first;
        else found[(*count)++] = (struct range){first, end - first, rate};
    }
    return COVER_OK;
}

static void measure(struct training_state *state) {
    const struct graph *graph = &state->model->graph;
    for (int i = 0; i < graph->inputs; i++) {
        state->input_offset[i] = state->input_bytes;
        state->input_bytes += round_up((size_t)state->samples * tensor_bytes(graph_tensor(graph, STORAGE_INPUT, i)), 256);
    }
    state->outcome_bytes = sizeof *state->outcome;
    for (int i = 0; i < state->model->terms; i++) {
        const struct loss_term *term = &state->model->term[i];
        if (term->result == ABSENT) continue;
        state->term_offset[i] = (state->outcome_bytes - sizeof *state->outcome) / sizeof(double);
        state->outcome_bytes += term->of_batch
                                    ? tensor_bytes(graph_tensor(&state->model->batch, STORAGE_RESULT, term->result))
                                    : (size_t)state->samples * tensor_bytes(graph_tensor(graph, STORAGE_RESULT, term->result));
    }
}

static struct engine_bytes cuda_training_bytes(const struct training_state *state) {
    const uint64_t flat = (uint64_t)state->trained_floats * sizeof(float);
    struct engine_bytes bytes = {.weights = (uint64_t)state->model->parameters.floats * sizeof(float),
                                 .gradients = flat,
                                 .optimiser = 2 * flat,
                                 .arena_per_lane = state->program->plan.arena_bytes,
                                 .packed = state->program->packed_bytes,
                                 .samples = TRAINING_SLOTS * (uint64_t)state->input_bytes,
                                 .batch = batch_bytes(state),
                                 .lanes = 1};
    bytes.total = bytes.batch + bytes.weights + bytes.gradients + bytes.optimiser + bytes.arena_per_lane + bytes.packed +
                  bytes.samples + cuda_square_sum_workspace(state->trained_floats + GRADIENT_MARKS);
    return bytes;
}

static void free_state(struct training_state *state) {
    for (int slot = 0; slot < TRAINING_SLOTS; slot++) {
        if (state->graph[slot]) (void)cudaGraphExecDestroy(state->graph[slot]);
        if (state->copied[slot]) (void)cudaEventDestroy(state->copied[slot]);
        if (state->staging[slot]) (void)cudaFreeHost(state->staging[slot]);
        device_free(state->lane[slot].input[0]);
        if (state->view_sums_host[slot]) (void)cudaFreeHost(state->view_sums_host[slot]);
        memory_free(state->context, state->numbers[slot]);
    }
    if (state->finished) (void)cudaEventDestroy(state->finished);
    if (state->outcome) (void)cudaFreeHost(state->outcome);
    if (state->update_host) (void)cudaFreeHost(state->update_host);
    void *const device[] = {state->lane[0].arena, state->weights,          state->m,      state->v,     state->gradient,
                            state->square_sum,    state->square_workspace, state->update, state->image, state->scratch,
                            state->view_sums};
    for (size_t i = 0; i < sizeof device / sizeof *device; i++) device_free(device[i]);
    batch_free(state);
    program_free(state->program);
    memory_free(state->context, state->trained);
    memory_free(state->context, state);
}

static void cuda_training_destroy(struct training_state *state) {
    if (!state) return;
    struct device *device = state->device;
    bool entered = device_enter(device) == COVER_OK;
    reduction_destroy(state->reduction); /* first: what waits for a lost rank waits no longer */
    (void)cudaDeviceSynchronize();
    free_state(state);
    if (entered) device_leave(device);
}

static cover_status cuda_training_create(struct training_state **made, cover_context *context, const struct model *model,
                                         const struct settings *settings, int64_t samples) {
    struct device *device = context->device;
    if (samples < 1 || samples > 1 << 20) return fail(COVER_ERROR_ARGUMENT, "a batch of %lld on one device", (long long)samples);
    struct training_state *state = memory_zero(context, sizeof *state);
    if (!state) return COVER_ERROR_MEMORY;
    cover_status status = device_enter(device);
    if (status != COVER_OK) {
        memory_free(context, state);
        return status;
    }
    *state = (struct training_state){.context = context,
                                     .device = device,
                                     .model = model,
                                     .samples = samples,
                                     .trained_floats = model->parameters.trained,
                                     .settings = settings};
    GO(program_create_for(&state->program, device, &model->graph, samples));
    GO(find_ranges(&state->trained, &state->trained_count, state, NULL));
    GO(batch_plan(state));
    measure(state);
    GO(device_has_room(device, cuda_training_bytes(state).total));
    *made = state;
done:
    if (status != COVER_OK) free_state(state);
    device_leave(device);
    return status;
}

/* ---- memory */

static cover_status allocate_slot(struct training_state *state, int slot) {
    struct lane *lane = &state->lane[slot];
    char *inputs;
    TRY(device_alloc((void **)&inputs, state->device, state->input_bytes, "samples"));
    for (int i = 0; i < state->model->graph.inputs; i++) lane->input[i] = (float *)(inputs + state->input_offset[i]);
    lane->arena = state->lane[0].arena, lane->parameters = state->weights, lane->gradient = state->gradient;
    CUDA_TRY(cudaMallocHost((void **)&state->staging[slot], state->input_bytes));
    CUDA_TRY(cudaEventCreateWithFlags(&state->copied[slot], cudaEventDisableTiming));
    return COVER_OK;
}

/* Weights, m, v and the gradient: held parameters are weights alone. */
enum { FLATS = 4 };
static size_t flat_bytes(const struct training_state *state, int flat) {
    return (size_t)(flat == 0 ? state->model->parameters.floats : state->trained_floats) * sizeof(float);
}

static cover_status allocate(struct training_state *state) {
    struct device *device = state->device;
    float **flats[FLATS] = {&state->weights, &state->m, &state->v, &state->gradient};
    for (int i = 0; i < FLATS; i++) {
        const size_t bytes = flat_bytes(state, i) + (i == FLATS - 1 ? GRADIENT_MARKS * sizeof(float) : 0);
        TRY(device_alloc((void **)flats[i], device, bytes, "weights and moments"));
        CUDA_TRY(cudaMemset(*flats[i], 0, bytes));
    }
    TRY(device_alloc((void **)&state->lane[0].arena, device, state->program->plan.arena_bytes, "the arena"));
    TRY(device_alloc((void **)&state->program->packed, device, state->program->packed_bytes, "packed weights"));
    TRY(device_alloc((void **)&state->square_sum, device, sizeof(double), "a sum"));
    TRY(device_alloc(&state->square_workspace, device, cuda_square_sum_workspace(state->trained_floats + GRADIENT_MARKS), "sums"));
    TRY(device_alloc((void **)&state->update, device, (1 + MODEL_RATES) * sizeof *state->update, "the update's settings"));
    CUDA_TRY(cudaMallocHost((void **)&state->update_host, (1 + MODEL_RATES) * sizeof *state->update_host));
    CUDA_TRY(cudaMallocHost((void **)&state->outcome, state->outcome_bytes));
    CUDA_TRY(cudaEventCreateWithFlags(&state->finished, cudaEventDisableTiming));
    for (int slot = 0; slot < TRAINING_SLOTS; slot++) TRY(allocate_slot(state, slot));
    return batch_allocate(state);
}

static cover_status cuda_training_allocate(struct training_state *state) {
    TRY(device_enter(state->device));
    cover_status status = allocate(state);
    device_leave(state->device);
    return status;
}

static cover_status copy_flats(struct training_state *state, float *const host[FLATS], enum cudaMemcpyKind kind) {
    float *const device[FLATS] = {state->weights, state->m, state->v, state->gradient};
    CUDA_TRY(cudaDeviceSynchronize());
    for (int i = 0; i < FLATS; i++)
        if (host[i])
            CUDA_TRY(kind == cudaMemcpyHostToDevice ? cudaMemcpy(device[i], host[i], flat_bytes(state, i), kind)
                                                    : cudaMemcpy(host[i], device[i], flat_bytes(state, i), kind));
    return COVER_OK;
}
static cover_status cuda_training_write(struct training_state *state, const float *weights, const float *m, const float *v) {
    TRY(device_enter(state->device));
    cover_status status =
        copy_flats(state, (float *const[]){(float *)weights, (float *)m, (float *)v, NULL}, cudaMemcpyHostToDevice);
    device_leave(state->device);
    return status;
}
static cover_status cuda_training_read(struct training_state *state, float *weights, float *m, float *v, float *gradient) {
    TRY(device_enter(state->device));
    cover_status status = copy_flats(state, (float *const[]){weights, m, v, gradient}, cudaMemcpyDeviceToHost);
    device_leave(state->device);
    return status;
}

static cover_status cuda_training_join(struct training_state *state, struct communicator *communicator, int64_t first) {
    state->batch.first = first;
    TRY(device_enter(state->device));
    cover_status status = reduction_create(&state->reduction, state->program, state->gradient, GRADIENT_MARKS, communicator);
    device_leave(state->device);
    return status;
}

const struct training training_cuda = {
    .create = cuda_training_create,
    .destroy = cuda_training_destroy,
    .bytes = cuda_training_bytes,
    .allocate = cuda_training_allocate,
    .join = cuda_training_join,
    .write = cuda_training_write,
    .read = cuda_training_read,
    .draws_views = true,
    .sample = cuda_training_sample,
    .counts = cuda_training_counts,
    .start = cuda_training_start,
    .finish = cuda_training_finish,
    .update = cuda_training_update,
    .follow = cuda_training_follow,
    .rows = cuda_training_rows,
    .forward = cuda_training_forward,
    .push = cuda_training_push,
};
