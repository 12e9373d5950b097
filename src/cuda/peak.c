/* What a GPU can do at best, for the floors of bench: products by its clock and the published rates of its kind, memory by a copy.
 * Called through the executor's table. */
#include "open.h"
#include "program.h"

#include <cuda_runtime_api.h>

/* Products and sums of one multiprocessor a clock (two each): NVIDIA's white papers of the A100, H100, B200 and RTX PRO 6000. */
static const struct chip_rates {
    int capability;
    double f32, bf16;
} chip_rates[] = {{80, 128, 2048}, {90, 256, 4096}, {100, 256, 8192}, {120, 256, 1024}};

static const struct chip_rates *rates_of(int capability) {
    const struct chip_rates *found = &chip_rates[0];
    for (size_t i = 0; i < sizeof chip_rates / sizeof *chip_rates; i++)
        if (chip_rates[i].capability <= capability) found = &chip_rates[i];
    return found;
}

static cover_status copy_rate(double *bytes_per_second, struct device *device) {
    enum { BYTES = 1 << 28, ROUNDS = 8 };
    cudaStream_t stream = (cudaStream_t)device->compute;
    char *memory = NULL;
    cover_status status;
    GO(device_alloc((void **)&memory, device, 2 * (size_t)BYTES, "measuring the memory"));
    for (int round = 0; round < 2; round++) { /* the first one warms up */
        CUDA_GO(cudaStreamSynchronize(stream));
        double start = seconds_now();
        for (int i = 0; i < ROUNDS; i++) CUDA_GO(cudaMemcpyAsync(memory, memory + BYTES, BYTES, cudaMemcpyDeviceToDevice, stream));
        CUDA_GO(cudaStreamSynchronize(stream));
        *bytes_per_second = 2.0 * BYTES * ROUNDS / (seconds_now() - start);
    }
done:
    device_free(memory);
    return status;
}

cover_status cuda_peak(struct peak *peak, cover_context *context) {
    struct device *device = context->device;
    const struct chip_rates *rates = rates_of(device->capability);
    int kilohertz = 0;
    TRY(device_enter(device));
    cover_status status =
        cuda_check((cuda_error)cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, device->ordinal), "the clock");
    double clocks = 1e3 * kilohertz * device->processors;
    peak->one = (struct peak_rates){.f32 = clocks * rates->f32, .bf16 = clocks * rates->bf16};
    if (status == COVER_OK) status = copy_rate(&peak->one.bytes, device);
    peak->all = peak->one;
    device_leave(device);
    return status;
}
