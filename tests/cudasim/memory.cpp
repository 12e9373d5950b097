/* Host double of the runtime: memory.  Each device has a wide range of addresses, none of which is used twice, with red zones between
 * allocations; what is touched is checked against the map of valid bytes (checker.cpp).  The range is closed to the host except while
 * kernels or copies run: a host that follows a device pointer gets SIGSEGV, as with CUDA. */
#include "state.h"

#include "checker.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#endif

constexpr size_t ALIGNMENT = 256, RED_ZONE = 256, PAGE = 4096, FILLED_BYTES = (size_t)256 << 20;
uintptr_t device_base;
static int open_count;

static uintptr_t begin_of(int device) { return device_base + (uintptr_t)device * DEVICE_SPAN; }
static size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

static bool reserve(void) {
    if (device_base) return true;
    void *range = mmap(nullptr, DEVICES_MAX * DEVICE_SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED || !check_reserve(reinterpret_cast<uintptr_t>(range), DEVICES_MAX * DEVICE_SPAN)) return false;
    device_base = reinterpret_cast<uintptr_t>(range);
    return true;
}

static void protect(int protection) {
    for (int d = 0; d < DEVICES_MAX; d++)
        if (state.device[d].next) mprotect(reinterpret_cast<void *>(begin_of(d)), round_up(state.device[d].next, PAGE), protection);
}
device_access::device_access() {
    if (open_count++ == 0) protect(PROT_READ | PROT_WRITE);
}
device_access::~device_access() {
    if (--open_count == 0) protect(PROT_NONE);
}

void free_device_memory(int device) {
    device_state *d = &state.device[device];
    if (d->next) {
        void *range = reinterpret_cast<void *>(begin_of(device));
        size_t bytes = round_up(d->next, PAGE);
        check_set_valid(begin_of(device), d->next, false);
        ASAN_UNPOISON_MEMORY_REGION(range, bytes);
        madvise(range, bytes, MADV_DONTNEED);
        mprotect(range, bytes, PROT_NONE);
    }
    d->allocations.clear();
    d->used = d->next = 0;
}

const allocation *find_allocation(const void *pointer, uintptr_t *begin, int *device) {
    uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    if (!device_base || address - device_base >= DEVICES_MAX * DEVICE_SPAN) return nullptr;
    *device = (int)((address - device_base) / DEVICE_SPAN);
    auto &all = state.device[*device].allocations;
    auto after = all.upper_bound(address);
    if (after == all.begin()) return nullptr;
    --after;
    *begin = after->first;
    return &after->second;
}

bool is_pinned(const void *pointer, size_t bytes) {
    uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    auto after = state.pinned.upper_bound(address);
    if (after == state.pinned.begin()) return false;
    --after;
    return address - after->first + bytes <= (after->second & ~(size_t)1) / 2;
}

/* ---- device memory */
static cudaError_t allocate(void **pointer, size_t bytes) {
    *pointer = nullptr;
    if (!bytes) return cudaSuccess;
    device_state *device = &state.device[current_device];
    size_t rounded = round_up(bytes, ALIGNMENT);
    if (rounded < bytes || rounded > state.device_bytes || device->used > state.device_bytes - rounded)
        return cudaErrorMemoryAllocation;
    if (!reserve() || device->next + rounded + 2 * RED_ZONE + PAGE > DEVICE_SPAN) return cudaErrorMemoryAllocation;
    uintptr_t begin = begin_of(current_device) + device->next + RED_ZONE;
    device_access open;
    device->next += RED_ZONE + rounded + RED_ZONE;
    if (mprotect(reinterpret_cast<void *>(begin_of(current_device)), round_up(device->next, PAGE), PROT_READ | PROT_WRITE))
        return cudaErrorMemoryAllocation;
    device->used += rounded;
    device->allocations[begin] = {bytes, false};
    *pointer = reinterpret_cast<void *>(begin);
    ASAN_POISON_MEMORY_REGION(reinterpret_cast<void *>(begin - RED_ZONE), RED_ZONE + rounded + RED_ZONE);
    ASAN_UNPOISON_MEMORY_REGION(*pointer, bytes);
    memset(*pointer, 0xff, bytes < FILLED_BYTES ? bytes : FILLED_BYTES); /* NaN to whoever reads what nobody wrote */
    check_set_valid(begin, bytes, true);
    return cudaSuccess;
}

static cudaError_t release(void *pointer) {
    uintptr_t begin;
    int owner;
    const allocation *found = find_allocation(pointer, &begin, &owner);
    if (!found || found->freed || begin != reinterpret_cast<uintptr_t>(pointer)) {
        state.message = "cudaFree: not the begin of device memory, or freed before";
        return cudaErrorInvalidValue;
    }
    device_state *device = &state.device[owner];
    device->used -= round_up(found->bytes, ALIGNMENT);
    check_set_valid(begin, found->bytes, false);
    ASAN_POISON_MEMORY_REGION(pointer, found->bytes);
    uintptr_t first = round_up(begin, PAGE), last = (begin + found->bytes) / PAGE * PAGE;
    if (last > first) madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
    device->allocations[begin].freed = true;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    BEGIN_CALL();
    cudaError_t error = not_while_capturing(nullptr);
    return keep_error(error != cudaSuccess ? error : allocate(pointer, bytes));
}
cudaError_t cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t stream) {
    BEGIN_CALL();
    return keep_error(find_stream(stream) ? allocate(pointer, bytes) : cudaErrorInvalidResourceHandle);
}
cudaError_t cudaFree(void *pointer) { /* waits for the device, as CUDA's does */
    hold locked(state.lock);
    if (!pointer) return cudaSuccess;
    uintptr_t begin;
    int owner = current_device;
    find_allocation(pointer, &begin, &owner);
    cudaError_t error = not_while_capturing(nullptr);
    if (error == cudaSuccess) error = finish_device(locked, owner);
    cudaError_t freed = release(pointer);
    return keep_error(error != cudaSuccess ? error : freed);
}
cudaError_t cudaFreeAsync(void *pointer, cudaStream_t handle) {
    hold locked(state.lock);
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    return keep_error(submit(stream, "cudaFreeAsync", [pointer](int) {
        hold inside(state.lock);
        return release(pointer);
    }));
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    BEGIN_CALL();
    *total_bytes = state.device_bytes;
    *free_bytes = state.device_bytes - state.device[current_device].used;
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *pointer) {
    BEGIN_CALL();
    uintptr_t begin;
    int device;
    const allocation *found = find_allocation(pointer, &begin, &device);
    bool inside = found && !found->freed && reinterpret_cast<uintptr_t>(pointer) - begin < found->bytes;
    *attributes = {};
    attributes->device = inside ? device : -1;
    attributes->type = inside ? cudaMemoryTypeDevice : is_pinned(pointer, 1) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    (inside ? attributes->devicePointer : attributes->hostPointer) = const_cast<void *>(pointer);
    return cudaSuccess;
}

/* ---- pinned memory of the host; state.pinned: twice the bytes, + 1 if it was allocated here */
cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned) {
    BEGIN_CALL();
    *pointer = bytes ? aligned_alloc(PAGE, round_up(bytes, PAGE)) : nullptr;
    if (bytes && !*pointer) return keep_error(cudaErrorMemoryAllocation);
    if (bytes) state.pinned[reinterpret_cast<uintptr_t>(*pointer)] = 2 * bytes + 1;
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void **pointer, size_t bytes) { return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault); }

cudaError_t cudaHostRegister(void *pointer, size_t bytes, unsigned) {
    BEGIN_CALL();
    if (is_pinned(pointer, 1)) return keep_error(cudaErrorHostMemoryAlreadyRegistered);
    state.pinned[reinterpret_cast<uintptr_t>(pointer)] = 2 * bytes;
    return cudaSuccess;
}

static cudaError_t unpin(void *pointer, bool allocated) {
    hold locked(state.lock);
    if (!pointer) return cudaSuccess;
    for (int d = 0; d < state.devices; d++) /* copies may still read or write it */
        finish_device(locked, d);
    auto found = state.pinned.find(reinterpret_cast<uintptr_t>(pointer));
    if (found == state.pinned.end() || (found->second & 1) != (size_t)allocated)
        return keep_error(allocated ? cudaErrorInvalidValue : cudaErrorHostMemoryNotRegistered);
    state.pinned.erase(found);
    if (allocated) free(pointer);
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void *pointer) { return unpin(pointer, true); }
cudaError_t cudaHostUnregister(void *pointer) { return unpin(pointer, false); }

/* ---- copies */
struct side {
    bool device, pinned;
};
/* What lies there?  Device memory must be valid from end to end. */
static cudaError_t look(side *s, const void *pointer, size_t bytes, const char *call) {
    uintptr_t begin;
    int device;
    const allocation *found = find_allocation(pointer, &begin, &device);
    uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    s->device = device_base && address - device_base < DEVICES_MAX * DEVICE_SPAN;
    s->pinned = !s->device && is_pinned(pointer, bytes);
    if (s->device && (!found || found->freed || address - begin > found->bytes || bytes > found->bytes - (address - begin))) {
        state.message = std::string(call) + ": " + check_explain(pointer, bytes).text;
        return cudaErrorInvalidValue;
    }
    return cudaSuccess;
}

struct copy {
    unsigned char *to;
    const unsigned char *from;
    size_t to_pitch, from_pitch, width, height;
    std::shared_ptr<std::vector<unsigned char>> staged; /* of pageable memory: what it held when the call was made */
    void run() const {
        const unsigned char *source = staged ? staged->data() : from;
        for (size_t row = 0; row < height; row++) memmove(to + row * to_pitch, source + row * (staged ? width : from_pitch), width);
    }
};

static cudaError_t copy_memory(hold &locked, copy c, enum cudaMemcpyKind kind, cudaStream_t handle, bool wait, const char *call) {
    if (!c.width || !c.height) return cudaSuccess;
    side to, from;
    cudaError_t error = look(&to, c.to, (c.height - 1) * c.to_pitch + c.width, call);
    if (error == cudaSuccess) error = look(&from, c.from, (c.height - 1) * c.from_pitch + c.width, call);
    if (error != cudaSuccess) return error;
    if (kind != cudaMemcpyDefault && (to.device != (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) ||
                                      from.device != (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice))) {
        state.message = std::string(call) + ": the direction does not fit the pointers";
        return cudaErrorInvalidValue;
    }
    CUstream_st *stream = find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (wait && (error = not_while_capturing(nullptr)) != cudaSuccess) return error;
    bool pageable_source = !from.device && !from.pinned, pageable_target = !to.device && !to.pinned;
    if (pageable_source && !wait && !stream->capture) {
        c.staged = std::make_shared<std::vector<unsigned char>>(c.width * c.height);
        for (size_t row = 0; row < c.height; row++) memcpy(c.staged->data() + row * c.width, c.from + row * c.from_pitch, c.width);
    }
    error = submit(stream, call, [c](int) {
        c.run();
        return cudaSuccess;
    });
    if (error == cudaSuccess && !stream->capture && (wait || pageable_target)) error = finish_stream(locked, stream);
    return error;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    BEGIN_CALL();
    copy c = {static_cast<unsigned char *>(to), static_cast<const unsigned char *>(from), bytes, bytes, bytes, 1, nullptr};
    return keep_error(copy_memory(locked, c, kind, stream, false, __func__));
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    BEGIN_CALL();
    copy c = {static_cast<unsigned char *>(to), static_cast<const unsigned char *>(from), bytes, bytes, bytes, 1, nullptr};
    return keep_error(copy_memory(locked, c, kind, nullptr, true, __func__));
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                              enum cudaMemcpyKind kind, cudaStream_t stream) {
    BEGIN_CALL();
    if (width > to_pitch || width > from_pitch) return keep_error(cudaErrorInvalidValue);
    copy c = {
        static_cast<unsigned char *>(to), static_cast<const unsigned char *>(from), to_pitch, from_pitch, width, height, nullptr};
    return keep_error(copy_memory(locked, c, kind, stream, false, __func__));
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t bytes, cudaStream_t handle) {
    BEGIN_CALL();
    side to;
    cudaError_t error = look(&to, pointer, bytes, __func__);
    CUstream_st *stream = find_stream(handle);
    if (error == cudaSuccess && !to.device && !to.pinned && bytes) error = cudaErrorInvalidValue;
    if (error == cudaSuccess && !stream) error = cudaErrorInvalidResourceHandle;
    if (error == cudaSuccess && bytes)
        error = submit(stream, __func__, [pointer, value, bytes](int) {
            memset(pointer, value, bytes);
            return cudaSuccess;
        });
    return keep_error(error);
}
cudaError_t cudaMemset(void *pointer, int value, size_t bytes) { return cudaMemsetAsync(pointer, value, bytes, nullptr); }

bool cudasim_is_device(const void *pointer, size_t bytes, int device) {
    hold locked(state.lock);
    uintptr_t begin;
    int owner;
    const allocation *found = find_allocation(pointer, &begin, &owner);
    size_t offset = reinterpret_cast<uintptr_t>(pointer) - (found ? begin : 0);
    return found && !found->freed && (device < 0 || owner == device) && offset <= found->bytes && bytes <= found->bytes - offset;
}
