/* A GPU: found, looked at, and tried with one kernel before anything is promised.  Also its memory and errors.  Called through the
 * executor's device_open() and by everything in this folder. */
#include "device.h"

#include "cudnn.h"

#include "core/graph/executor.h"
#include "open.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <string.h>

enum { CAPABILITY_LEAST = 80 }; /* bfloat16 and what the kernels are built for */

/* ---- errors */

cover_status cuda_check(cuda_error error, const char *what) {
    if (error == cudaSuccess) return COVER_OK;
    const char *text = cudaGetErrorString((cudaError_t)error), *name = cudaGetErrorName((cudaError_t)error);
    (void)cudaGetLastError(); /* what can be forgotten is */
    if (error == cudaErrorMemoryAllocation)
        return fail(COVER_ERROR_MEMORY, "the device has too little memory (%s: %s)", what, text);
    return fail(COVER_ERROR_DEVICE, "CUDA: %s (%s) at %s", text, name, what);
}

/* ---- memory */

cover_status device_has_room(struct device *device, uint64_t bytes) {
    size_t available = 0, all = 0;
    CUDA_TRY(cudaSetDevice(device->ordinal));
    CUDA_TRY(cudaMemGetInfo(&available, &all));
    if (bytes <= available) return COVER_OK;
    return fail(COVER_ERROR_MEMORY,
                "the plan needs %.2f GiB on GPU %d (%s), where %.2f of %.2f GiB are free; use a smaller batch, crop "
                "or widths, or more ranks",
                (double)bytes / 0x1p30, device->ordinal, device->name, (double)available / 0x1p30, (double)all / 0x1p30);
}

cover_status device_alloc(void **memory, struct device *device, size_t bytes, const char *what) {
    *memory = NULL;
    if (bytes == 0) return COVER_OK;
    cudaError_t error = cudaMalloc(memory, bytes);
    if (error != cudaErrorMemoryAllocation) return cuda_check((cuda_error)error, "cudaMalloc");
    (void)cudaGetLastError();
    cover_status status = device_has_room(device, bytes);
    if (status != COVER_OK) return fail_in(status, "%s", what);
    return fail(COVER_ERROR_MEMORY, "%s: GPU %d refused %.2f GiB in one piece", what, device->ordinal, (double)bytes / 0x1p30);
}

void device_free(void *memory) {
    if (memory) (void)cudaFree(memory);
}

/* ---- opening */

static cover_status count_devices(int ordinal) {
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver) {
        int driver = 0, runtime = 0;
        (void)cudaDriverGetVersion(&driver);
        (void)cudaRuntimeGetVersion(&runtime);
        if (driver == 0)
            return fail(COVER_ERROR_DEVICE,
                        "there is no NVIDIA driver on this machine (libcuda.so.1); install it, or use device=cpu");
        return fail(COVER_ERROR_DEVICE,
                    "the NVIDIA driver serves CUDA %d.%d, but %d.%d is needed; update the driver, or use device=cpu", driver / 1000,
                    driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    }
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
        return fail(COVER_ERROR_DEVICE, "there is no GPU that CUDA can see (CUDA_VISIBLE_DEVICES hides some); use device=cpu");
    TRY(cuda_check((cuda_error)error, "cudaGetDeviceCount"));
    if (ordinal >= count)
        return fail(COVER_ERROR_ARGUMENT, "device is cuda:%d, but there %s; use cuda:0%s", ordinal,
                    count == 1 ? "is one GPU" : "are fewer GPUs", count == 1 ? "" : " or another number below their count");
    return COVER_OK;
}

static cover_status look(struct device *device) {
    struct cudaDeviceProp properties;
    CUDA_TRY(cudaGetDeviceProperties(&properties, device->ordinal));
    snprintf(device->name, sizeof device->name, "%s", properties.name);
    device->capability = 10 * properties.major + properties.minor;
    device->processors = properties.multiProcessorCount;
    device->memory_bytes = properties.totalGlobalMem;
    if (device->capability < CAPABILITY_LEAST)
        return fail(COVER_ERROR_DEVICE, "GPU %d (%s) has compute capability %d.%d, but 8.0 is the least; use device=cpu",
                    device->ordinal, device->name, properties.major, properties.minor);
    return COVER_OK;
}

/* One kernel, there and back: 1 + 1. */
static cover_status try_kernel(struct device *device) {
    float *two = NULL, values[2] = {1, 0};
    cover_status status;
    GO(device_alloc((void **)&two, device, sizeof values, "trying the device"));
    CUDA_GO(cudaMemcpy(two, values, sizeof values, cudaMemcpyHostToDevice));
    cudaError_t error = (cudaError_t)cuda_add(device->compute, two, two, two, ELEMENT_F32, 1);
    if (error == cudaErrorNoKernelImageForDevice)
        GO(fail(COVER_ERROR_DEVICE, "this module has no code for compute capability %d.%d (GPU %d, %s); build it with that target",
                device->capability / 10, device->capability % 10, device->ordinal, device->name));
    GO(cuda_check((cuda_error)error, "the first kernel"));
    CUDA_GO(cudaStreamSynchronize((cudaStream_t)device->compute));
    CUDA_GO(cudaMemcpy(values, two, sizeof values, cudaMemcpyDeviceToHost));
    if (values[0] != 2)
        status = fail(COVER_ERROR_DEVICE, "GPU %d (%s) says that 1 + 1 is %g", device->ordinal, device->name, (double)values[0]);
done:
    device_free(two);
    return status;
}

static cover_status open_streams(struct device *device) {
    cuda_stream *streams[] = {&device->compute, &device->copy, &device->reduce};
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        CUDA_TRY(cudaStreamCreateWithFlags((cudaStream_t *)streams[i], cudaStreamNonBlocking));
    return COVER_OK;
}

void cuda_device_close(struct device *device) {
    if (!device) return;
    (void)cudaSetDevice(device->ordinal);
    cudnn_destroy(device->cudnn);
    cuda_stream streams[] = {device->compute, device->copy, device->reduce};
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (streams[i]) (void)cudaStreamDestroy((cudaStream_t)streams[i]);
    pthread_mutex_destroy(&device->lock);
    memory_free(device->context, device);
}

cover_status cuda_device_open(struct device **made, cover_context *context, const struct device_options *options) {
    TRY(count_devices(options->ordinal));
    struct device *device = memory_zero(context, sizeof *device);
    if (!device) return COVER_ERROR_MEMORY;
    cover_status status;
    *device = (struct device){
        .context = context, .ordinal = options->ordinal, .deterministic = options->deterministic, .tf32 = options->tf32};
    pthread_mutex_init(&device->lock, NULL);
    GO(look(device));
    CUDA_GO(cudaSetDevice(device->ordinal));
    GO(open_streams(device));
    GO(try_kernel(device));
    GO(cudnn_create(&device->cudnn, device));
    *made = device;
done:
    if (status != COVER_OK) cuda_device_close(device);
    return status;
}

void cuda_device_describe(const struct device *device, struct text *json) {
    int driver = 0, runtime = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    text_add(json, "\"name\": ");
    text_add_json(json, device->name);
    text_add(json,
             ", \"ordinal\": %d, \"capability\": \"%d.%d\", \"processors\": %d, \"memory_bytes\": %llu, \"driver\": \"%d.%d\", "
             "\"runtime\": \"%d.%d\", \"cudnn\": %d, \"deterministic\": %s, \"tf32\": %s",
             device->ordinal, device->capability / 10, device->capability % 10, device->processors,
             (unsigned long long)device->memory_bytes, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10,
             cudnn_version(device->cudnn), device->deterministic ? "true" : "false", device->tf32 ? "true" : "false");
}

cover_status device_enter(struct device *device) {
    pthread_mutex_lock(&device->lock);
    cover_status status = cuda_check((cuda_error)cudaSetDevice(device->ordinal), "cudaSetDevice");
    if (status != COVER_OK) pthread_mutex_unlock(&device->lock);
    return status;
}
void device_leave(struct device *device) { pthread_mutex_unlock(&device->lock); }
