/* What the host double of the runtime keeps: devices, memory, streams, events, captures.  One lock guards all of it; an operation runs
 * without the lock, one at a time on a device.  Shared by devices.cpp, memory.cpp, streams.cpp, graphs.cpp and nccl_double.cpp. */
#ifndef CUDASIM_STATE_H
#define CUDASIM_STATE_H

#include "cudasim.h"
#include "launch.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

enum { DEVICES_MAX = 16 };

/* A point in a stream: what came before it is done. */
struct moment {
    bool reached = false;
    std::chrono::steady_clock::time_point when;
};
using moment_pointer = std::shared_ptr<moment>;

/* cudaSuccess: done; cudaErrorNotReady: ask again when something has changed (a rank that waits for others); else the device fails. */
using work = std::function<cudaError_t(int device)>;

struct operation {
    const char *name;
    work run; /* empty: nothing but a point in the stream */
    std::vector<moment_pointer> after;
    moment_pointer done = std::make_shared<moment>();
    uint64_t serial = 0;
    uint64_t tried = 0; /* state.changes when it was not ready */
};

struct capture;

struct CUstream_st {
    int device = 0;
    bool blocking = true; /* waits for the null stream, and it for this one */
    std::deque<operation> queue;
    moment_pointer last;   /* of what was put in last */
    uint32_t priority = 0; /* random, drawn anew each time that somebody waits */
    std::shared_ptr<struct capture> capture;
    std::vector<size_t> tail; /* nodes that the next one comes after */
};
struct CUevent_st {
    bool timing = true;
    moment_pointer at; /* nullptr: never recorded */
    std::shared_ptr<struct capture> capture;
    std::vector<size_t> nodes;
};

struct graph_node {
    const char *name;
    work run;
    std::vector<size_t> after;
};
struct capture {
    cudaStream_t origin;
    std::vector<cudaStream_t> streams;
    std::vector<graph_node> nodes;
    bool invalid = false;
    cudaStreamCaptureMode mode;
    uint64_t thread;
};
struct CUgraph_st {
    std::shared_ptr<std::vector<graph_node>> nodes;
};
struct CUgraphExec_st {
    std::shared_ptr<std::vector<graph_node>> nodes;
};

struct allocation {
    size_t bytes;
    bool freed;
};
struct device_state {
    cudaError_t error = cudaSuccess; /* sticky: every call fails with it */
    bool busy = false;               /* an operation runs */
    size_t used = 0;
    uintptr_t next = 0;
    std::map<uintptr_t, allocation> allocations; /* freed ones too: for messages */
    CUstream_st null_stream;
};

struct state {
    std::mutex lock;
    std::condition_variable changed;
    uint64_t changes = 0; /* grows with all that a waiting operation might wait for */
    uint64_t serial = 0;
    int devices = 1;
    size_t device_bytes = (size_t)8 << 30;
    int capability = 80;
    device_state device[DEVICES_MAX];
    std::set<cudaStream_t> streams;
    std::set<cudaEvent_t> events;
    std::set<cudaGraph_t> graphs;
    std::set<cudaGraphExec_t> execs;
    std::set<struct capture *> captures;
    std::map<uintptr_t, size_t> pinned;
    std::map<const void *, int> shared_limits; /* of functions, cudaFuncSetAttribute() */
    std::string message;
    uint64_t seed;
    random_bits random{0};
    uint64_t calls = 0, fail_at = 0;
    cudaError_t fail_with = cudaSuccess;
    bool fail_is_loss = false; /* ... and the device is lost with it */
    state();
};
extern struct state state;
using hold = std::unique_lock<std::mutex>;

extern thread_local int current_device;

/* Begins every call of the runtime that can fail: the k-th may be made to fail, and after a sticky error all do.  The lock is held. */
cudaError_t begin_call(const char *name);
/* Every call ends so: the error is kept for cudaGetLastError(). */
cudaError_t keep_error(cudaError_t error);
#define BEGIN_CALL()                                                                                                               \
    hold locked(state.lock);                                                                                                       \
    do {                                                                                                                           \
        cudaError_t begun = begin_call(__func__);                                                                                  \
        if (begun != cudaSuccess) return keep_error(begun);                                                                        \
    } while (0)

/* ---- streams.cpp; the lock is held */
CUstream_st *find_stream(cudaStream_t handle); /* NULL: the current device's; nullptr: there is none such */
cudaError_t submit(CUstream_st *stream, const char *name, work run);
cudaError_t drive(hold &locked, const std::function<bool()> &enough);
cudaError_t finish_stream(hold &locked, CUstream_st *stream);
cudaError_t finish_device(hold &locked, int device);
void fail_device(int device, cudaError_t error, const std::string &message);

/* ---- graphs.cpp: calls that a capture forbids end it; the lock is held */
cudaError_t not_while_capturing(const CUstream_st *stream);
bool capture_invalid(const CUstream_st *stream);
uint64_t this_thread(void);

/* ---- memory.cpp */
const allocation *find_allocation(const void *pointer, uintptr_t *begin,
                                  int *device); /* the one at or before it; the lock is held */
bool is_pinned(const void *pointer, size_t bytes);
void free_device_memory(int device);
/* Device memory can be touched by the host's threads only while one lives: for kernels and copies, never by host code.  Made and
 * destroyed with the lock held. */
struct device_access {
    device_access();
    ~device_access();
};
/* Where device memory lies: device d's begins at device_base + d * DEVICE_SPAN; 0 before the first allocation. */
constexpr size_t DEVICE_SPAN = (size_t)1 << 38;
extern uintptr_t device_base;

#endif
