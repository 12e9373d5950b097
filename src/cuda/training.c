/* Training on a GPU: weights, gradient and moments stay in device memory, and a step (packing of weights, forward, backward, reduction
 * over ranks, norm, update) is one CUDA graph, captured at the second step and played from then on.  What changes from step to step
 * (samples, rate, scale) lies in memory that the graph reads.  Three streams: samples come in on one while another computes; gradients
 * go out bucket by bucket on the third while backward goes on.  Called by core/train/resident.c through training_cuda. */
#include "program.h"

#include "open.h"
#include "reduction.h"
#include "sevr.h"

#include "../core/method/objective.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <string.h>
#include <time.h>

struct range { /* of the flat buffers, in floats */
    int64_t first, count;
};

/* What comes back after a step, in page-locked memory of the host. */
struct outcome {
    double square_sum;
    double terms[]; /* of each term's result: (samples, channels) */
};

struct training_state {
    cover_context *context;
    struct device *device;
    const struct model *model;
    int64_t samples, floats;
    struct program *program;
    struct lane lane[TRAINING_SLOTS];      /* one arena and gradient, inputs of their own */
    float *staging[TRAINING_SLOTS];        /* page-locked: the inputs as they will lie in device memory */
    size_t input_offset[RUN_INPUTS], input_bytes, outcome_bytes, term_offset[MODEL_TERMS];
    float *weights, *m, *v, *gradient;     /* device */
    struct range *trained;                 /* parameters with a gradient, joined where they touch */
    int trained_count;
    double *square_sum;                    /* device */
    void *square_workspace;                /* device */
    struct cuda_update *update, *update_host; /* device; page-locked */
    struct outcome *outcome;               /* page-locked */
    cudaEvent_t copied[TRAINING_SLOTS], finished;
    cudaGraphExec_t graph[TRAINING_SLOTS]; /* NULL: not captured */
    bool no_graph;                         /* capturing failed once */
    int64_t steps;
    struct reduction *reduction; /* over ranks, or NULL */
    /* where views are drawn here: an image and scratch memory, which draws take in turn, and what pairs count */
    const struct settings *settings;
    float *image;
    void *scratch;
    size_t image_bytes, scratch_bytes;
    struct cuda_view_sums *view_sums, *view_sums_host[TRAINING_SLOTS]; /* of each sample: device; page-locked */
    int64_t *numbers[TRAINING_SLOTS];                                  /* of the images in their dataset */
};

/* ---- planning */

static const struct tensor *graph_tensor(const struct graph *graph, enum storage storage, int index) {
    for (int t = 0; t < graph->tensor_count; t++) {
        const struct tensor *tensor = &graph->tensors[t];
        if (tensor->storage == storage && tensor->index == index && tensor->parent == ABSENT) return tensor;
    }
    return NULL;
}

static cover_status find_ranges(struct training_state *state) {
    const struct parameters *parameters = &state->model->parameters;
    state->trained = memory_zero(state->context, (size_t)(parameters->count + 1) * sizeof *state->trained);
    if (!state->trained) return COVER_ERROR_MEMORY;
    for (int i = 0; i < parameters->count; i++) {
        const int64_t first = parameters->rows[i].offset;
        const int64_t end = i + 1 < parameters->count ? parameters->rows[i + 1].offset : parameters->floats;
        if (!graph_has_gradient(&state->model->graph, i)) continue;
        struct range *last = state->trained_count ? &state->trained[state->trained_count - 1] : NULL;
        if (last && last->first + last->count == first) last->count = end - last->first;
        else state->trained[state->trained_count++] = (struct range){first, end - first};
    }
    return COVER_OK;
}

static size_t padded(size_t bytes) { return (bytes + 255) / 256 * 256; }

static void measure(struct training_state *state) {
    const struct graph *graph = &state->model->graph;
    for (int i = 0; i < graph->inputs; i++) {
        state->input_offset[i] = state->input_bytes;
        state->input_bytes += padded((size_t)state->samples * tensor_bytes(graph_tensor(graph, STORAGE_INPUT, i)));
    }
    state->outcome_bytes = sizeof *state->outcome;
    for (int i = 0; i < MODEL_TERMS; i++) {
        state->term_offset[i] = (state->outcome_bytes - sizeof *state->outcome) / sizeof(double);
        state->outcome_bytes += (size_t)state->samples * tensor_bytes(graph_tensor(graph, STORAGE_RESULT, state->model->term[i].result));
    }
}

static struct training_bytes cuda_training_bytes(const struct training_state *state) {
    const uint64_t flat = (uint64_t)state->floats * sizeof(float);
    struct training_bytes bytes = {.weights = flat, .gradients = flat, .optimiser = 2 * flat, .arena = state->program->plan.arena_bytes,
                                   .packed = state->program->packed_bytes, .samples = TRAINING_SLOTS * (uint64_t)state->input_bytes};
    bytes.total = bytes.weights + bytes.gradients + bytes.optimiser + bytes.arena + bytes.packed + bytes.samples +
                  cuda_square_sum_workspace(state->floats);
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
    void *const device[] = {state->lane[0].arena, state->weights, state->m, state->v, state->gradient, state->square_sum,
                            state->square_workspace, state->update, state->image, state->scratch, state->view_sums};
    for (size_t i = 0; i < sizeof device / sizeof *device; i++) device_free(device[i]);
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
    *state = (struct training_state){.context = context, .device = device, .model = model, .samples = samples,
                                     .floats = model->parameters.floats, .settings = settings};
    GO(program_create_for(&state->program, device, &model->graph, samples));
    GO(find_ranges(state));
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

static cover_status allocate(struct training_state *state) {
    struct device *device = state->device;
    const size_t flat = (size_t)state->floats * sizeof(float);
    float **flats[] = {&state->weights, &state->m, &state->v, &state->gradient};
    for (size_t i = 0; i < sizeof flats / sizeof *flats; i++) {
        TRY(device_alloc((void **)flats[i], device, flat, "weights and moments"));
        CUDA_TRY(cudaMemset(*flats[i], 0, flat));
    }
    TRY(device_alloc((void **)&state->lane[0].arena, device, state->program->plan.arena_bytes, "the arena"));
    TRY(device_alloc((void **)&state->program->packed, device, state->program->packed_bytes, "packed weights"));
    TRY(device_alloc((void **)&state->square_sum, device, sizeof(double), "a sum"));
    TRY(device_alloc(&state->square_workspace, device, cuda_square_sum_workspace(state->floats), "sums"));
    TRY(device_alloc((void **)&state->update, device, sizeof *state->update, "the update's settings"));
    CUDA_TRY(cudaMallocHost((void **)&state->update_host, sizeof *state->update_host));
    CUDA_TRY(cudaMallocHost((void **)&state->outcome, state->outcome_bytes));
    CUDA_TRY(cudaEventCreateWithFlags(&state->finished, cudaEventDisableTiming));
    for (int slot = 0; slot < TRAINING_SLOTS; slot++) TRY(allocate_slot(state, slot));
    return COVER_OK;
}

static cover_status cuda_training_allocate(struct training_state *state) {
    TRY(device_enter(state->device));
    cover_status status = allocate(state);
    device_leave(state->device);
    return status;
}

static cover_status copy_flats(struct training_state *state, float *const host[4], enum cudaMemcpyKind kind) {
    float *const device[4] = {state->weights, state->m, state->v, state->gradient};
    const size_t bytes = (size_t)state->floats * sizeof(float);
    CUDA_TRY(cudaDeviceSynchronize());
    for (int i = 0; i < 4; i++)
        if (host[i]) CUDA_TRY(kind == cudaMemcpyHostToDevice ? cudaMemcpy(device[i], host[i], bytes, kind) : cudaMemcpy(host[i], device[i], bytes, kind));
    return COVER_OK;
}
static cover_status cuda_training_write(struct training_state *state, const float *weights, const float *m, const float *v) {
    TRY(device_enter(state->device));
    cover_status status = copy_flats(state, (float *const[]){(float *)weights, (float *)m, (float *)v, NULL}, cudaMemcpyHostToDevice);
    device_leave(state->device);
    return status;
}
static cover_status cuda_training_read(struct training_state *state, float *weights, float *m, float *v, float *gradient) {
    TRY(device_enter(state->device));
    cover_status status = copy_flats(state, (float *const[]){weights, m, v, gradient}, cudaMemcpyDeviceToHost);
    device_leave(state->device);
    return status;
}

/* ---- samples that come as images */

/* Room that grows with the images; what is under way is waited for first. */
static cover_status grow(void **memory, size_t *have, struct device *device, size_t bytes, const char *what) {
    if (bytes <= *have) return COVER_OK;
    CUDA_TRY(cudaStreamSynchronize((cudaStream_t)device->copy));
    device_free(*memory);
    *memory = NULL, *have = 0;
    TRY(device_alloc(memory, device, bytes, what));
    *have = bytes;
    return COVER_OK;
}

static cover_status make_room(struct training_state *state, const struct sample_image *image) {
    const size_t pairs = (size_t)state->samples;
    const size_t bytes = (size_t)(grid_pixels(&image->grid) * image->channels) * sizeof(float);
    if (!state->view_sums) TRY(device_alloc((void **)&state->view_sums, state->device, pairs * sizeof *state->view_sums, "sums of views"));
    for (int slot = 0; slot < TRAINING_SLOTS; slot++) {
        if (!state->view_sums_host[slot])
            CUDA_TRY(cudaMallocHost((void **)&state->view_sums_host[slot], pairs * sizeof *state->view_sums));
        if (!state->numbers[slot] && !(state->numbers[slot] = memory_zero(state->context, pairs * sizeof *state->numbers[slot])))
            return COVER_ERROR_MEMORY;
    }
    TRY(grow((void **)&state->image, &state->image_bytes, state->device, bytes, "an image"));
    return grow(&state->scratch, &state->scratch_bytes, state->device, cuda_sevr_workspace(state->settings, &image->grid), "drawing views");
}

static float *view_at(struct training_state *state, int slot, int input, int image, int64_t index) {
    const struct tensor *tensor = graph_tensor(&state->model->graph, STORAGE_INPUT, input);
    const int64_t floats = tensor_elements(tensor) / tensor->images;
    return state->lane[slot].input[input] + (image * state->samples + index) * floats;
}

static cover_status draw(struct training_state *state, int slot, int64_t index, const struct sample_image *image) {
    cudaStream_t stream = (cudaStream_t)state->device->copy;
    struct cuda_view_sums *sums;
    TRY(make_room(state, image));
    sums = state->view_sums + index;
    const struct cuda_views views = {view_at(state, slot, OBJECTIVE_IMAGES, 0, index), view_at(state, slot, OBJECTIVE_IMAGES, 1, index),
                                     view_at(state, slot, OBJECTIVE_TRUTH, 0, index), view_at(state, slot, OBJECTIVE_MASK, 0, index)};
    state->numbers[slot][index] = image->number;
    /* from memory that is not page-locked: it has been read when the call returns */
    CUDA_TRY(cudaMemcpyAsync(state->image, image->pixels, (size_t)(grid_pixels(&image->grid) * image->channels) * sizeof(float),
                             cudaMemcpyHostToDevice, stream));
    TRY(cuda_sevr_draw(state->device->copy, &views, sums, state->settings, state->image, &image->grid, image->channels,
                       image->integer_max, image->seed, image->step, image->index, state->scratch));
    CUDA_TRY(cudaMemcpyAsync(&state->view_sums_host[slot][index], sums, sizeof *sums, cudaMemcpyDeviceToHost, stream));
    return COVER_OK;
}

static cover_status count_views(struct training_state *state, int slot, int64_t samples, int64_t *count, double *zero) {
    CUDA_TRY(cudaEventSynchronize(state->copied[slot]));
    *count = 0, *zero = 0;
    for (int64_t i = 0; i < samples; i++) {
        const struct cuda_view_sums *sums = &state->view_sums_host[slot][i];
        if (sums->bad != -1)
            return fail(COVER_ERROR_NUMERIC, sums->bad < 0 ? "sample %lld: the range of its values does not fit float32"
                        : "sample %lld: value %lld of its image is not finite; cover check names the file",
                        (long long)state->numbers[slot][i], (long long)sums->bad);
        *count += sums->valid, *zero += sums->zero_loss;
    }
    return COVER_OK;
}
static cover_status cuda_training_counts(struct training_state *state, int slot, int64_t samples, int64_t *count, double *zero) {
    TRY(device_enter(state->device));
    cover_status status = count_views(state, slot, samples, count, zero);
    device_leave(state->device);
    return status;
}

/* ---- samples */

/* Image by image to its place among those of all samples, first into page-locked memory. */
static cover_status give(struct training_state *state, int slot, int64_t index, const struct sample *sample) {
    const struct graph *graph = &state->model->graph;
    cudaStream_t stream = (cudaStream_t)state->device->copy;
    if (index == 0) CUDA_TRY(cudaStreamSynchronize(stream)); /* what a step that failed may have left under way */
    if (sample->image) TRY(draw(state, slot, index, sample->image));
    for (int i = 0; i < graph->inputs && !sample->image; i++) {
        const struct tensor *tensor = graph_tensor(graph, STORAGE_INPUT, i);
        const size_t image = tensor_bytes(tensor) / (size_t)tensor->images;
        for (int k = 0; k < tensor->images; k++) {
            const size_t at = state->input_offset[i] + ((size_t)k * (size_t)state->samples + (size_t)index) * image;
            char *staged = (char *)state->staging[slot] + at;
            memcpy(staged, (const char *)sample->input[i] + (size_t)k * image, image);
            CUDA_TRY(cudaMemcpyAsync((char *)state->lane[slot].input[0] + at, staged, image, cudaMemcpyHostToDevice, stream));
        }
    }
    if (index == state->samples - 1) CUDA_TRY(cudaEventRecord(state->copied[slot], stream));
    return COVER_OK;
}
static cover_status cuda_training_sample(struct training_state *state, int slot, int64_t index, const struct sample *sample) {
    TRY(device_enter(state->device));
    cover_status status = give(state, slot, index, sample);
    device_leave(state->device);
    return status;
}

/* ---- a step */

static cover_status start_adam(struct training_state *state) {
    cuda_stream stream = state->device->compute;
    CUDA_TRY(cudaMemcpyAsync(state->update, state->update_host, sizeof *state->update, cudaMemcpyHostToDevice, (cudaStream_t)stream));
    for (int i = 0; i < state->trained_count; i++) {
        const struct range *range = &state->trained[i];
        CUDA_TRY(cuda_adam(stream, state->weights + range->first, state->m + range->first, state->v + range->first,
                           state->gradient + range->first, range->count, state->update, state->square_sum));
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
        if (state->reduction) TRY(reduction_after(state->reduction, n));
    }
    if (state->reduction) TRY(reduction_join(state->reduction));
    CUDA_TRY(cuda_square_sum(compute, state->square_sum, state->gradient, state->floats, state->square_workspace));
    for (int i = 0; i < MODEL_TERMS; i++) {
        const struct tensor *term = graph_tensor(graph, STORAGE_RESULT, state->model->term[i].result);
        const int64_t values = state->samples * tensor_elements(term);
        const double *result = program_address(state->program, lane, (int)(term - graph->tensors));
        CUDA_TRY(cuda_guard(compute, state->square_sum, result, values));
        CUDA_TRY(cudaMemcpyAsync(&state->outcome->terms[state->term_offset[i]], result, (size_t)values * sizeof *result,
                                 cudaMemcpyDeviceToHost, (cudaStream_t)compute));
    }
    TRY(start_adam(state));
    CUDA_TRY(cudaMemcpyAsync(&state->outcome->square_sum, state->square_sum, sizeof(double), cudaMemcpyDeviceToHost,
                             (cudaStream_t)compute));
    return COVER_OK;
}

static cover_status start_only(struct training_state *state, int slot, uint64_t only_ops) {
    const struct graph *graph = &state->model->graph;
    TRY(program_pack_on(state->program, state->device->compute, state->weights));
    for (int n = 0; n < graph->node_count; n++)
        if (only_ops >> graph->nodes[n].op & 1) TRY(program_start_node(state->program, &state->lane[slot], state->device->compute, n));
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
    *state->update_host = (struct cuda_update){.clip = step->clip};
    if (step->adam) state->update_host->adam = *step->adam;
    CUDA_TRY(cudaStreamWaitEvent(compute, state->copied[slot], 0));
    if (step->only_ops) TRY(start_only(state, slot, step->only_ops));
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
static cover_status cuda_training_start(struct training_state *state, int slot, const struct training_step *step) {
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
    for (int i = 0; i < MODEL_TERMS; i++) {
        const struct loss_term *term = &state->model->term[i];
        const int64_t width = graph_tensor(graph, STORAGE_RESULT, term->result)->channels;
        for (int64_t sample = 0; sample < state->samples; sample++)
            step->term[i][sample] = state->outcome->terms[(int64_t)state->term_offset[i] + sample * width + term->place];
    }
    return COVER_OK;
}
static cover_status cuda_training_finish(struct training_state *state, struct training_step *step) {
    TRY(device_enter(state->device));
    cover_status status = finish(state, step);
    device_leave(state->device);
    return status;
}

static cover_status cuda_training_update(struct training_state *state, const struct adam *adam) {
    TRY(device_enter(state->device));
    *state->update_host = (struct cuda_update){.adam = *adam};
    cover_status status = start_adam(state);
    if (status == COVER_OK) status = cuda_check((cuda_error)cudaStreamSynchronize((cudaStream_t)state->device->compute), "the update");
    device_leave(state->device);
    return status;
}

static cover_status cuda_training_join(struct training_state *state, struct communicator *communicator) {
    TRY(device_enter(state->device));
    cover_status status = reduction_create(&state->reduction, state->program, state->gradient, communicator);
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
};
