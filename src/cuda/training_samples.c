/* The samples of a step on their way into a slot: inputs are copied through page-locked memory; of an image the views of a pair are
 * drawn on the device.  All of it goes on the copy stream, while another step computes.  Called through training_cuda. */
#include "training_state.h"

#include "core/method/cover.h"

#include <string.h>

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
    if (!state->view_sums)
        TRY(device_alloc((void **)&state->view_sums, state->device, pairs * sizeof *state->view_sums, "sums of views"));
    for (int slot = 0; slot < TRAINING_SLOTS; slot++) {
        if (!state->view_sums_host[slot])
            CUDA_TRY(cudaMallocHost((void **)&state->view_sums_host[slot], pairs * sizeof *state->view_sums));
        if (!state->numbers[slot] && !(state->numbers[slot] = memory_zero(state->context, pairs * sizeof *state->numbers[slot])))
            return COVER_ERROR_MEMORY;
    }
    TRY(grow((void **)&state->image, &state->image_bytes, state->device, bytes, "an image"));
    return grow(&state->scratch, &state->scratch_bytes, state->device, cuda_sevr_workspace(state->settings, &image->grid),
                "drawing views");
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
    const struct cuda_views views = {view_at(state, slot, PAIR_IMAGES, 0, index), view_at(state, slot, PAIR_IMAGES, 1, index),
                                     view_at(state, slot, PAIR_TRUTH, 0, index), view_at(state, slot, PAIR_MASK, 0, index)};
    state->numbers[slot][index] = image->number;
    /* from memory that is not page-locked: it has been read when the call returns */
    CUDA_TRY(cudaMemcpyAsync(state->image, image->pixels, (size_t)(grid_pixels(&image->grid) * image->channels) * sizeof(float),
                             cudaMemcpyHostToDevice, stream));
    TRY(cuda_sevr_draw(state->device->copy, &views, sums, state->settings, state->image, &image->grid, image->channels,
                       image->integer_max, image->seed, image->step, image->index, state->scratch));
    CUDA_TRY(cudaMemcpyAsync(&state->view_sums_host[slot][index], sums, sizeof *sums, cudaMemcpyDeviceToHost, stream));
    return COVER_OK;
}

static cover_status count_views(struct training_state *state, int slot, int64_t samples, int64_t *count,
                                double known[SAMPLE_KNOWN]) {
    CUDA_TRY(cudaEventSynchronize(state->copied[slot]));
    *count = 0, known[0] = 0;
    for (int64_t i = 0; i < samples; i++) {
        const struct cuda_view_sums *sums = &state->view_sums_host[slot][i];
        if (sums->bad != -1)
            return fail(COVER_ERROR_NUMERIC,
                        sums->bad < 0 ? "sample %lld: the range of its values does not fit float32"
                                      : "sample %lld: value %lld of its image is not finite; cover_file_check names the file",
                        (long long)state->numbers[slot][i], (long long)sums->bad);
        *count += sums->valid, known[0] += sums->zero_loss;
    }
    return COVER_OK;
}
cover_status cuda_training_counts(struct training_state *state, int slot, int64_t samples, int64_t *count,
                                  double known[SAMPLE_KNOWN]) {
    TRY(device_enter(state->device));
    cover_status status = count_views(state, slot, samples, count, known);
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
    for (int i = 0, own = model_inputs(state->model); i < own && !sample->image; i++) {
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
cover_status cuda_training_sample(struct training_state *state, int slot, int64_t index, const struct sample *sample) {
    TRY(device_enter(state->device));
    cover_status status = give(state, slot, index, sample);
    device_leave(state->device);
    return status;
}
