/* The batch graph of a model on a GPU (core/graph/model.h), between the forward pass of all samples and their backward pass.  A kept
 * result of all samples lies as an input of the batch graph wants it: (image, sample, pixel).  With other ranks each has a block of
 * every image; a sum over the ranks of what is zero elsewhere brings them together.  Called by the other files of training. */
#include "training_state.h"

#include "core/train/stepper.h"

static const struct link *link_at(const struct training_state *state, int i) { return &state->model->link[i]; }
static int links(const struct training_state *state) { return state->model->links; }
static size_t input_bytes(const struct training_state *state, int i) {
    return tensor_bytes(link_input(state->model, link_at(state, i)));
}

cover_status batch_plan(struct training_state *state) {
    struct batch_part *batch = &state->batch;
    if (!links(state)) return COVER_OK;
    batch->samples = state->settings->common.batch;
    TRY(model_check(state->model, batch->samples));
    TRY(program_create_for(&batch->program, state->device, &state->model->batch, 1));
    return find_ranges(&batch->moved, &batch->moved_count, state, &state->model->batch);
}

uint64_t batch_bytes(const struct training_state *state) {
    const struct batch_part *batch = &state->batch;
    if (!batch->program) return 0;
    uint64_t bytes =
        batch->program->plan.arena_bytes + batch->program->packed_bytes + (uint64_t)state->trained_floats * sizeof(float);
    for (int i = 0; i < links(state); i++) bytes += input_bytes(state, i);
    return bytes;
}

cover_status batch_allocate(struct training_state *state) {
    struct batch_part *batch = &state->batch;
    struct lane *lane = &batch->lane;
    const size_t flat = (size_t)state->trained_floats * sizeof(float);
    if (!batch->program) return COVER_OK;
    for (int i = 0; i < links(state); i++)
        TRY(device_alloc((void **)&lane->input[link_at(state, i)->input], state->device, input_bytes(state, i), "rows of a batch"));
    TRY(device_alloc((void **)&lane->arena, state->device, batch->program->plan.arena_bytes, "the batch graph's arena"));
    TRY(device_alloc((void **)&batch->program->packed, state->device, batch->program->packed_bytes, "packed weights"));
    TRY(device_alloc((void **)&lane->gradient, state->device, flat, "the batch graph's gradient"));
    CUDA_TRY(cudaMemset(lane->gradient, 0, flat));
    lane->parameters = state->weights;
    return COVER_OK;
}

void batch_free(struct training_state *state) {
    struct batch_part *batch = &state->batch;
    for (int i = 0; i < RUN_INPUTS; i++) device_free(batch->lane.input[i]);
    device_free(batch->lane.arena);
    device_free(batch->lane.gradient);
    program_free(batch->program);
    memory_free(state->context, batch->moved);
}

/* ---- a step */

/* Of link i the samples here, image by image: into the batch graph's rows, or their part of its gradient back. */
static cover_status copy_rows(struct training_state *state, const struct lane *lane, int i, bool back) {
    const struct link *link = link_at(state, i);
    const struct batch_part *batch = &state->batch;
    const struct tensor *rows = link_rows(state->model, link);
    const size_t part = tensor_bytes(rows) / (size_t)rows->images;
    char *there, *here;
    if (back) {
        const struct tensor *gradient = graph_tensor(&state->model->batch, STORAGE_RESULT, link->gradient);
        there = program_address(batch->program, &batch->lane, (int)(gradient - state->model->batch.tensors));
        here = (char *)lane->input[link->back];
    } else {
        there = (char *)batch->lane.input[link->input];
        here = program_address(state->program, lane, (int)(rows - state->model->graph.tensors));
    }
    for (int k = 0; k < rows->images; k++) {
        char *far = there + (size_t)(k * batch->samples + batch->first) * part, *near = here + (size_t)(k * state->samples) * part;
        CUDA_TRY(cudaMemcpyAsync(back ? near : far, back ? far : near, (size_t)state->samples * part, cudaMemcpyDeviceToDevice,
                                 (cudaStream_t)state->device->compute));
    }
    return COVER_OK;
}

static cover_status bring_rows(struct training_state *state, const struct lane *lane, int i) {
    float *rows = state->batch.lane.input[link_at(state, i)->input];
    const size_t bytes = input_bytes(state, i);
    if (state->reduction) CUDA_TRY(cudaMemsetAsync(rows, 0, bytes, (cudaStream_t)state->device->compute));
    TRY(copy_rows(state, lane, i, false));
    return state->reduction ? reduction_sum(state->reduction, rows, (int64_t)(bytes / sizeof *rows)) : COVER_OK;
}

cover_status batch_start(struct training_state *state, const struct lane *lane) {
    struct batch_part *batch = &state->batch;
    cuda_stream compute = state->device->compute;
    if (!batch->program) return COVER_OK;
    for (int i = 0; i < batch->moved_count; i++) /* the last step's, where samples have no gradient of their own */
        CUDA_TRY(cudaMemsetAsync(state->gradient + batch->moved[i].first, 0, (size_t)batch->moved[i].count * sizeof(float),
                                 (cudaStream_t)compute));
    for (int i = 0; i < links(state); i++) TRY(bring_rows(state, lane, i));
    TRY(program_pack_on(batch->program, compute, state->weights));
    for (int n = 0; n < batch->program->graph->node_count; n++) TRY(program_start_node(batch->program, &batch->lane, compute, n));
    for (int i = 0; i < links(state); i++)
        if (link_at(state, i)->back != ABSENT) TRY(copy_rows(state, lane, i, true));
    return COVER_OK;
}

cover_status batch_add(struct training_state *state) {
    const struct batch_part *batch = &state->batch;
    for (int i = 0; i < batch->moved_count; i++) {
        float *gradient = state->gradient + batch->moved[i].first;
        CUDA_TRY(cuda_add(state->device->compute, gradient, gradient, batch->lane.gradient + batch->moved[i].first, ELEMENT_F32,
                          batch->moved[i].count));
    }
    return COVER_OK;
}

/* ---- what follows a step */

static cover_status read_rows(struct training_state *state, int link, float *rows) {
    CUDA_TRY(cudaStreamSynchronize((cudaStream_t)state->device->compute));
    CUDA_TRY(
        cudaMemcpy(rows, state->batch.lane.input[link_at(state, link)->input], input_bytes(state, link), cudaMemcpyDeviceToHost));
    return COVER_OK;
}
cover_status cuda_training_rows(struct training_state *state, int link, float *rows) {
    TRY(device_enter(state->device));
    cover_status status = read_rows(state, link, rows);
    device_leave(state->device);
    return status;
}

static cover_status follow(struct training_state *state, int64_t to, int64_t from, int64_t count, float rate) {
    CUDA_TRY(cuda_follow(state->device->compute, state->weights + to, state->weights + from, count, rate));
    return COVER_OK;
}
cover_status cuda_training_follow(struct training_state *state, int64_t to, int64_t from, int64_t count, float rate) {
    TRY(device_enter(state->device));
    cover_status status = follow(state, to, from, count, rate);
    device_leave(state->device);
    return status;
}

static cover_status push_rows(struct training_state *state, const struct push *push) {
    const struct batch_part *batch = &state->batch;
    const float *from;
    if (push->link == ABSENT) {
        const struct tensor *result = graph_tensor(&state->model->batch, STORAGE_RESULT, push->result);
        from = program_address(batch->program, &batch->lane, (int)(result - state->model->batch.tensors));
    } else from = batch->lane.input[link_at(state, push->link)->input];
    CUDA_TRY(cuda_push(state->device->compute, state->weights + push->to, from, push->count, push->rows, push->width, push->place));
    return COVER_OK;
}
cover_status cuda_training_push(struct training_state *state, const struct push *push) {
    TRY(device_enter(state->device));
    cover_status status = push_rows(state, push);
    device_leave(state->device);
    return status;
}
