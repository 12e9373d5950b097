/* Host double of the runtime: devices and their properties, errors, faults on request, and all settings of cudasim.h. */
#include "state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

struct state state;
thread_local int current_device;
static thread_local cudaError_t last_error;

static uint64_t from_environment(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, nullptr, 0) : otherwise;
}
static int devices_at_start(void) {
    uint64_t devices = from_environment("CUDASIM_DEVICES", 1);
    return devices > DEVICES_MAX ? DEVICES_MAX : (int)devices;
}

state::state() {
    seed = from_environment("CUDASIM_SEED", 0);
    random = random_bits(seed);
    devices = devices_at_start();
    for (int d = 0; d < DEVICES_MAX; d++) device[d].null_stream.device = d;
}

cudaError_t keep_error(cudaError_t error) {
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

cudaError_t begin_call(const char *name) {
    if (state.devices == 0) return cudaErrorNoDevice;
    state.calls++;
    device_state *device = &state.device[current_device];
    if (device->error != cudaSuccess) return device->error;
    if (state.fail_at && state.calls == state.fail_at) {
        state.message = std::string(name) + ": failed on request";
        if (state.fail_is_loss) fail_device(current_device, state.fail_with, state.message);
        return state.fail_with;
    }
    return cudaSuccess;
}

/* ---- cudasim.h */
void cudasim_reset(void) {
    hold locked(state.lock);
    for (cudaStream_t stream : state.streams) delete stream;
    for (cudaEvent_t event : state.events) delete event;
    for (cudaGraph_t graph : state.graphs) delete graph;
    for (cudaGraphExec_t exec : state.execs) delete exec;
    state.streams.clear(), state.events.clear(), state.graphs.clear(), state.execs.clear(), state.captures.clear();
    state.shared_limits.clear();
    for (int d = 0; d < DEVICES_MAX; d++) {
        device_state *device = &state.device[d];
        free_device_memory(d);
        device->error = cudaSuccess;
        device->null_stream = CUstream_st();
        device->null_stream.device = d;
    }
    for (auto &range : state.pinned)
        if (range.second) free(reinterpret_cast<void *>(range.first));
    state.pinned.clear();
    state.devices = devices_at_start();
    state.device_bytes = (size_t)8 << 30;
    state.capability = 80;
    state.calls = state.fail_at = 0;
    state.message.clear();
    current_device = 0;
    last_error = cudaSuccess;
}

void cudasim_seed(uint64_t seed) {
    hold locked(state.lock);
    state.seed = seed;
    state.random = random_bits(seed);
}

void cudasim_devices(int count, size_t bytes, int capability) {
    hold locked(state.lock);
    state.devices = count < 0 ? 0 : count > DEVICES_MAX ? DEVICES_MAX : count;
    state.device_bytes = bytes ? bytes : (size_t)8 << 30;
    state.capability = capability ? capability : 80;
}

void cudasim_fail_at(uint64_t call, int error) {
    hold locked(state.lock);
    state.calls = 0;
    state.fail_at = call;
    state.fail_with = (cudaError_t)error;
    state.fail_is_loss = false;
}

void cudasim_lose_at(uint64_t call, int error) {
    cudasim_fail_at(call, error);
    hold locked(state.lock);
    state.fail_is_loss = true;
}

void cudasim_lose_device(int device, int error) {
    hold locked(state.lock);
    if (device >= 0 && device < DEVICES_MAX) fail_device(device, (cudaError_t)error, "device lost on request");
}

uint64_t cudasim_calls(void) {
    hold locked(state.lock);
    return state.calls;
}

const char *cudasim_message(void) {
    static thread_local std::string copy;
    hold locked(state.lock);
    copy = state.message;
    return copy.c_str();
}

void cudasim_alive(struct cudasim_alive *alive) {
    hold locked(state.lock);
    *alive = {};
    alive->streams = (int)state.streams.size();
    alive->events = (int)state.events.size();
    alive->graphs = (int)(state.graphs.size() + state.execs.size());
    alive->pinned = (int)state.pinned.size();
    for (device_state &device : state.device)
        for (auto &entry : device.allocations)
            if (!entry.second.freed) alive->allocations++, alive->bytes += entry.second.bytes;
}

/* ---- errors */
cudaError_t cudaGetLastError(void) {
    hold locked(state.lock);
    cudaError_t error = state.device[current_device].error != cudaSuccess ? state.device[current_device].error : last_error;
    last_error = cudaSuccess;
    return error;
}
cudaError_t cudaPeekAtLastError(void) {
    hold locked(state.lock);
    return state.device[current_device].error != cudaSuccess ? state.device[current_device].error : last_error;
}

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
#define ROW(name, value, text) {name, #name, text},
    CUDASIM_ERRORS(ROW)
#undef ROW
};
const char *cudaGetErrorName(cudaError_t error) {
    for (const auto &row : errors)
        if (row.error == error) return row.name;
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t error) {
    for (const auto &row : errors)
        if (row.error == error) return row.text;
    return "unrecognized error code";
}

/* ---- devices */
cudaError_t cudaDriverGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    BEGIN_CALL();
    *count = state.devices;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *device) {
    BEGIN_CALL();
    *device = current_device;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    hold locked(state.lock);
    if (state.devices == 0) return keep_error(cudaErrorNoDevice);
    if (device < 0 || device >= state.devices) return keep_error(cudaErrorInvalidDevice);
    current_device = device; /* the device may be lost: then the call says so, as CUDA's does */
    return keep_error(begin_call(__func__));
}

/* An A100, a H100 or a later one, by the capability: what the kernels' choices depend on. */
static const struct {
    int capability, processors;
    size_t shared_optin, shared_processor;
    int threads_processor, bus_bits, cache_bytes;
    const char *name;
} models[] = {
    {80, 108, 163 << 10, 164 << 10, 2048, 5120, 40 << 20, "emulated A100"},
    {90, 132, 227 << 10, 228 << 10, 2048, 5120, 50 << 20, "emulated H100"},
    {100, 148, 227 << 10, 228 << 10, 2048, 8192, 126 << 20, "emulated B200"},
    {120, 188, 99 << 10, 100 << 10, 1536, 512, 96 << 20, "emulated RTX PRO 6000"},
};
static const auto *model(void) {
    for (const auto &m : models)
        if (m.capability == state.capability) return &m;
    return &models[0];
}

static void fill(struct cudaDeviceProp *p, int device) {
    const auto *m = model();
    *p = {};
    snprintf(p->name, sizeof p->name, "%s", m->name);
    p->uuid.bytes[0] = (char)('a' + device);
    p->totalGlobalMem = state.device_bytes;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = m->shared_optin;
    p->sharedMemPerMultiprocessor = m->shared_processor;
    p->regsPerBlock = 65536;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = INT32_MAX, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->major = state.capability / 10, p->minor = state.capability % 10;
    p->multiProcessorCount = m->processors;
    p->maxThreadsPerMultiProcessor = m->threads_processor;
    p->concurrentKernels = p->unifiedAddressing = 1;
    p->asyncEngineCount = 3;
    p->pciBusID = 1 + device;
    p->memoryBusWidth = m->bus_bits;
    p->l2CacheSize = m->cache_bytes;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    BEGIN_CALL();
    if (device < 0 || device >= state.devices) return keep_error(cudaErrorInvalidDevice);
    fill(properties, device);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    BEGIN_CALL();
    if (device < 0 || device >= state.devices) return keep_error(cudaErrorInvalidDevice);
    struct cudaDeviceProp p;
    fill(&p, device);
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = (int)p.sharedMemPerBlock;
        break;
    case cudaDevAttrWarpSize:
        *value = p.warpSize;
        break;
    case cudaDevAttrClockRate:
        *value = 1410000;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = 1512000;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = p.memoryBusWidth;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    default:
        return keep_error(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int device) {
    BEGIN_CALL();
    if (device < 0 || device >= state.devices) return keep_error(cudaErrorInvalidDevice);
    if (bytes < 13) return keep_error(cudaErrorInvalidValue);
    snprintf(text, (size_t)bytes, "0000:%02x:00.0", (unsigned)(1 + device) & 0xff);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
    BEGIN_CALL();
    cudaError_t error = not_while_capturing(nullptr);
    return keep_error(error != cudaSuccess ? error : finish_device(locked, current_device));
}

cudaError_t cudaDeviceReset(void) {
    hold locked(state.lock);
    device_state *device = &state.device[current_device];
    device->error = cudaSuccess;
    free_device_memory(current_device);
    device->null_stream = CUstream_st();
    device->null_stream.device = current_device;
    last_error = cudaSuccess;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value) {
    BEGIN_CALL();
    if (!function) return keep_error(cudaErrorInvalidDeviceFunction);
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || (size_t)value > model()->shared_optin) return keep_error(cudaErrorInvalidValue);
        state.shared_limits[function] = value;
    }
    return cudaSuccess;
}
