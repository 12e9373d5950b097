/* The emulator's cuda_runtime.h: what src/cuda uses of CUDA's runtime, with the same names, types and values, served by the host
 * doubles of tests/cudasim (README.md there).  C and C++; the words of kernels follow in cudasim_device.h for C++.
 * library_values.c compares the constants with those of CUDA's own headers where these are. */
#ifndef CUDASIM_CUDA_RUNTIME_H
#define CUDASIM_CUDA_RUNTIME_H

#include "vector_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUDART_VERSION 13000
#define CUDASIM_API __attribute__((visibility("default")))

#define CUDASIM_ERRORS(X)                                                                                                          \
    X(cudaSuccess, 0, "no error")                                                                                                  \
    X(cudaErrorInvalidValue, 1, "invalid argument")                                                                                \
    X(cudaErrorMemoryAllocation, 2, "out of memory")                                                                               \
    X(cudaErrorInitializationError, 3, "initialization error")                                                                     \
    X(cudaErrorInvalidConfiguration, 9, "invalid configuration argument")                                                          \
    X(cudaErrorInvalidDevicePointer, 17, "invalid device pointer")                                                                 \
    X(cudaErrorInvalidMemcpyDirection, 21, "invalid copy direction for memcpy")                                                    \
    X(cudaErrorInsufficientDriver, 35, "CUDA driver version is insufficient for CUDA runtime version")                             \
    X(cudaErrorDevicesUnavailable, 46, "CUDA-capable device(s) is/are busy or unavailable")                                        \
    X(cudaErrorInvalidDeviceFunction, 98, "invalid device function")                                                               \
    X(cudaErrorNoDevice, 100, "no CUDA-capable device is detected")                                                                \
    X(cudaErrorInvalidDevice, 101, "invalid device ordinal")                                                                       \
    X(cudaErrorInvalidKernelImage, 200, "device kernel image is invalid")                                                          \
    X(cudaErrorNoKernelImageForDevice, 209, "no kernel image is available for execution on the device")                            \
    X(cudaErrorECCUncorrectable, 214, "uncorrectable ECC error encountered")                                                       \
    X(cudaErrorInvalidResourceHandle, 400, "invalid resource handle")                                                              \
    X(cudaErrorIllegalState, 401, "the operation cannot be performed in the present state")                                        \
    X(cudaErrorNotReady, 600, "device not ready")                                                                                  \
    X(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered")                                                    \
    X(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch")                                               \
    X(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated")                                                      \
    X(cudaErrorAssert, 710, "device-side assert triggered")                                                                        \
    X(cudaErrorHostMemoryAlreadyRegistered, 712, "part or all of the requested memory range is already mapped")                    \
    X(cudaErrorHostMemoryNotRegistered, 713, "pointer does not correspond to a registered memory region")                          \
    X(cudaErrorIllegalInstruction, 715, "an illegal instruction was encountered")                                                  \
    X(cudaErrorMisalignedAddress, 716, "misaligned address")                                                                       \
    X(cudaErrorLaunchFailure, 719, "unspecified launch failure")                                                                   \
    X(cudaErrorNotPermitted, 800, "operation not permitted")                                                                       \
    X(cudaErrorNotSupported, 801, "operation not supported")                                                                       \
    X(cudaErrorSystemDriverMismatch, 803, "system has unsupported display driver / cuda driver combination")                       \
    X(cudaErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing")                                  \
    X(cudaErrorStreamCaptureInvalidated, 901, "operation failed due to a previous error during capture")                           \
    X(cudaErrorStreamCaptureMerge, 902, "operation would result in a merge of separate capture sequences")                         \
    X(cudaErrorStreamCaptureUnmatched, 903, "capture was not ended in the same stream as it began")                                \
    X(cudaErrorStreamCaptureUnjoined, 904, "capturing stream has unjoined work")                                                   \
    X(cudaErrorStreamCaptureIsolation, 905, "dependency created on uncaptured work in another stream")                             \
    X(cudaErrorStreamCaptureImplicit, 906, "operation would make the legacy stream depend on a capturing blocking stream")         \
    X(cudaErrorCapturedEvent, 907, "operation not permitted on an event last recorded in a capturing stream")                      \
    X(cudaErrorStreamCaptureWrongThread, 908, "attempt to terminate a thread-local capture sequence from another thread")          \
    X(cudaErrorGraphExecUpdateFailure, 910,                                                                                        \
      "the graph update was not performed because it included changes which violated "                                             \
      "constraints specific to instantiated graph update")                                                                         \
    X(cudaErrorUnknown, 999, "unknown error")

#ifdef __cplusplus
extern "C" {
#endif

enum cudaError {
#define CUDASIM_ERROR(name, value, text) name = value,
    CUDASIM_ERRORS(CUDASIM_ERROR)
#undef CUDASIM_ERROR
};
typedef enum cudaError cudaError_t;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4
};
enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrWarpSize = 10,
    cudaDevAttrClockRate = 13,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMemoryClockRate = 36,
    cudaDevAttrGlobalMemoryBusWidth = 37,
    cudaDevAttrL2CacheSize = 38,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout = 9 };
enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal = 0,
    cudaStreamCaptureModeThreadLocal = 1,
    cudaStreamCaptureModeRelaxed = 2
};
enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone = 0,
    cudaStreamCaptureStatusActive = 1,
    cudaStreamCaptureStatusInvalidated = 2
};
enum cudaMemoryType { cudaMemoryTypeUnregistered = 0, cudaMemoryTypeHost = 1, cudaMemoryTypeDevice = 2, cudaMemoryTypeManaged = 3 };
#ifndef __cplusplus
typedef enum cudaDeviceAttr cudaDeviceAttr;
typedef enum cudaFuncAttribute cudaFuncAttribute;
typedef enum cudaStreamCaptureMode cudaStreamCaptureMode;
typedef enum cudaStreamCaptureStatus cudaStreamCaptureStatus;
#endif

#define cudaHostAllocDefault 0x00
#define cudaHostAllocPortable 0x01
#define cudaHostAllocMapped 0x02
#define cudaHostAllocWriteCombined 0x04
#define cudaHostRegisterDefault 0x00
#define cudaHostRegisterPortable 0x01
#define cudaHostRegisterReadOnly 0x08
#define cudaStreamDefault 0x00
#define cudaStreamNonBlocking 0x01
#define cudaEventDefault 0x00
#define cudaEventBlockingSync 0x01
#define cudaEventDisableTiming 0x02
#define cudaEventRecordDefault 0x00
#define cudaEventWaitDefault 0x00

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;
typedef struct CUgraphNode_st *cudaGraphNode_t;
typedef void (*cudaHostFn_t)(void *user);
typedef struct cudaUUID {
    char bytes[16];
} cudaUUID_t;

struct cudaDeviceProp { /* the members that are filled; not CUDA's layout */
    char name[256];
    cudaUUID_t uuid;
    size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin, sharedMemPerMultiprocessor;
    int regsPerBlock, warpSize, maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3];
    int major, minor, multiProcessorCount, maxThreadsPerMultiProcessor, integrated, concurrentKernels, ECCEnabled;
    int pciBusID, pciDeviceID, pciDomainID, asyncEngineCount, unifiedAddressing, memoryBusWidth, l2CacheSize;
};
struct cudaPointerAttributes {
    enum cudaMemoryType type;
    int device;
    void *devicePointer, *hostPointer;
};
#ifndef __cplusplus
typedef struct cudaDeviceProp cudaDeviceProp;
#endif

/* ---- devices */
CUDASIM_API cudaError_t cudaDriverGetVersion(int *version);
CUDASIM_API cudaError_t cudaRuntimeGetVersion(int *version);
CUDASIM_API cudaError_t cudaGetDeviceCount(int *count);
CUDASIM_API cudaError_t cudaGetDevice(int *device);
CUDASIM_API cudaError_t cudaSetDevice(int device);
CUDASIM_API cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device);
CUDASIM_API cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device);
CUDASIM_API cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int device);
CUDASIM_API cudaError_t cudaDeviceSynchronize(void);
CUDASIM_API cudaError_t cudaDeviceReset(void);
CUDASIM_API cudaError_t cudaGetLastError(void);
CUDASIM_API cudaError_t cudaPeekAtLastError(void);
CUDASIM_API const char *cudaGetErrorName(cudaError_t error);
CUDASIM_API const char *cudaGetErrorString(cudaError_t error);

/* ---- memory */
CUDASIM_API cudaError_t cudaMalloc(void **pointer, size_t bytes);
CUDASIM_API cudaError_t cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t stream);
CUDASIM_API cudaError_t cudaFree(void *pointer);
CUDASIM_API cudaError_t cudaFreeAsync(void *pointer, cudaStream_t stream);
CUDASIM_API cudaError_t cudaMallocHost(void **pointer, size_t bytes);
CUDASIM_API cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags);
CUDASIM_API cudaError_t cudaFreeHost(void *pointer);
CUDASIM_API cudaError_t cudaHostRegister(void *pointer, size_t bytes, unsigned flags);
CUDASIM_API cudaError_t cudaHostUnregister(void *pointer);
CUDASIM_API cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes);
CUDASIM_API cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *pointer);
CUDASIM_API cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind);
CUDASIM_API cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream);
CUDASIM_API cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                                          size_t height, enum cudaMemcpyKind kind, cudaStream_t stream);
CUDASIM_API cudaError_t cudaMemset(void *pointer, int value, size_t bytes);
CUDASIM_API cudaError_t cudaMemsetAsync(void *pointer, int value, size_t bytes, cudaStream_t stream);

/* ---- streams and events */
CUDASIM_API cudaError_t cudaStreamCreate(cudaStream_t *stream);
CUDASIM_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
CUDASIM_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority);
CUDASIM_API cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest);
CUDASIM_API cudaError_t cudaStreamDestroy(cudaStream_t stream);
CUDASIM_API cudaError_t cudaStreamSynchronize(cudaStream_t stream);
CUDASIM_API cudaError_t cudaStreamQuery(cudaStream_t stream);
CUDASIM_API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
CUDASIM_API cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *user);
CUDASIM_API cudaError_t cudaEventCreate(cudaEvent_t *event);
CUDASIM_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
CUDASIM_API cudaError_t cudaEventDestroy(cudaEvent_t event);
CUDASIM_API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
CUDASIM_API cudaError_t cudaEventQuery(cudaEvent_t event);
CUDASIM_API cudaError_t cudaEventSynchronize(cudaEvent_t event);
CUDASIM_API cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end);

/* ---- graphs */
CUDASIM_API cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode);
CUDASIM_API cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
CUDASIM_API cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status);
CUDASIM_API cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count);
CUDASIM_API cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
CUDASIM_API cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
CUDASIM_API cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
CUDASIM_API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
CUDASIM_API cudaError_t cudaGraphDestroy(cudaGraph_t graph);

CUDASIM_API cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value);

#ifdef __cplusplus
}
#include "cudasim_device.h"

template <typename T> inline cudaError_t cudaMalloc(T **pointer, size_t bytes) {
    return cudaMalloc(reinterpret_cast<void **>(pointer), bytes);
}
template <typename T> inline cudaError_t cudaMallocHost(T **pointer, size_t bytes) {
    return cudaMallocHost(reinterpret_cast<void **>(pointer), bytes);
}
template <typename T> inline cudaError_t cudaFuncSetAttribute(T *function, enum cudaFuncAttribute attribute, int value) {
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(function), attribute, value);
}
#endif
#endif
