/* Host double of the runtime: streams and events.  A stream is a queue; its operations run when somebody waits, on the thread that
 * waits, in an order that the seed draws among all that the streams and events allow.  What relies on an order that nobody asked for
 * fails for some seed. */
#include "state.h"

#include <cstdlib>

static const std::chrono::milliseconds PATIENCE(2);

CUstream_st *find_stream(cudaStream_t handle) {
    if (!handle) return &state.device[current_device].null_stream;
    return state.streams.count(handle) ? handle : nullptr;
}

static CUstream_st *null_stream_of(const CUstream_st *stream) { return &state.device[stream->device].null_stream; }

template <typename F> static void for_streams(int device, F f) {
    f(&state.device[device].null_stream);
    for (cudaStream_t stream : state.streams)
        if (stream->device == device) f(stream);
}

static void enqueue(CUstream_st *stream, operation op) {
    CUstream_st *null_stream = null_stream_of(stream);
    if (stream == null_stream) {
        for_streams(stream->device, [&](CUstream_st *other) {
            if (other != stream && other->blocking && other->last) op.after.push_back(other->last);
        });
    } else if (stream->blocking && null_stream->last) {
        op.after.push_back(null_stream->last);
    }
    op.serial = ++state.serial;
    stream->last = op.done;
    stream->queue.push_back(std::move(op));
    state.changes++;
    state.changed.notify_all();
}

cudaError_t submit(CUstream_st *stream, const char *name, work run) {
    if (stream->capture) {
        if (capture_invalid(stream)) return cudaErrorStreamCaptureInvalidated;
        stream->capture->nodes.push_back({name, std::move(run), stream->tail});
        stream->tail = {stream->capture->nodes.size() - 1};
        return cudaSuccess;
    }
    if (stream == null_stream_of(stream))
        for (struct capture *c : state.captures)
            for (cudaStream_t captured : c->streams)
                if (captured->blocking && captured->device == stream->device) {
                    c->invalid = true;
                    return cudaErrorStreamCaptureImplicit;
                }
    operation op;
    op.name = name;
    op.run = std::move(run);
    enqueue(stream, std::move(op));
    return cudaSuccess;
}

void fail_device(int device, cudaError_t error, const std::string &message) {
    state.device[device].error = error;
    if (!message.empty()) state.message = message;
    for_streams(device, [](CUstream_st *stream) { /* nobody shall wait for what will not come */
                                                  for (operation &op : stream->queue) op.done->reached = true;
                                                  stream->queue.clear();
    });
    state.changes++;
    state.changed.notify_all();
}

static bool is_ready(const operation &op) {
    for (const moment_pointer &before : op.after)
        if (!before->reached) return false;
    return op.tried != state.changes;
}

/* Of all streams whose next operation can run: the one of the oldest operation, or of the highest random priority. */
static CUstream_st *choose_stream() {
    CUstream_st *best = nullptr;
    for (int d = 0; d < state.devices; d++) {
        if (state.device[d].busy) continue;
        for_streams(d, [&](CUstream_st *stream) {
            if (!stream->queue.empty() && is_ready(stream->queue.front()) &&
                (!best ||
                 (state.seed ? stream->priority > best->priority : stream->queue.front().serial < best->queue.front().serial)))
                best = stream;
        });
    }
    return best;
}

static void run_first(hold &locked, CUstream_st *stream) {
    int device = stream->device;
    operation op = std::move(stream->queue.front());
    uint64_t changes = state.changes;
    cudaError_t error = cudaSuccess;
    stream->queue.pop_front();
    state.device[device].busy = true;
    if (op.run) {
        locked.unlock();
        error = op.run(device);
        locked.lock();
    }
    state.device[device].busy = false;
    bool alive = stream == &state.device[device].null_stream || state.streams.count(stream);
    if (state.device[device].error != cudaSuccess || !alive) { /* the device was lost meanwhile */
        op.done->reached = true;
        state.changes++;
        state.changed.notify_all();
        return;
    }
    if (error == cudaErrorNotReady) {
        op.tried = changes;
        stream->queue.push_front(std::move(op));
        return;
    }
    op.done->reached = true;
    op.done->when = std::chrono::steady_clock::now();
    state.changes++;
    state.changed.notify_all();
    if (error != cudaSuccess) fail_device(device, error, "");
}

/* Runs operations, of any device, until it is enough. */
cudaError_t drive(hold &locked, const std::function<bool()> &enough) {
    if (enough()) return cudaSuccess;
    device_access open;
    for (int d = 0; d < state.devices; d++) for_streams(d, [](CUstream_st *stream) { stream->priority = state.random.next(); });
    while (!enough()) {
        CUstream_st *stream = choose_stream();
        if (stream) run_first(locked, stream);
        else if (state.changed.wait_for(locked, PATIENCE) == std::cv_status::timeout) /* for other threads of the host */
            state.changes++; /* other processes do not say when something has changed */
        if (state.seed && stream && (state.random.next() & 3) == 0) stream->priority = state.random.next();
    }
    return cudaSuccess;
}

cudaError_t finish_stream(hold &locked, CUstream_st *stream) {
    int device = stream->device;
    moment_pointer last = stream->last;
    if (last) drive(locked, [last] { return last->reached; });
    return state.device[device].error;
}

cudaError_t finish_device(hold &locked, int device) {
    std::vector<moment_pointer> lasts;
    for_streams(device, [&](CUstream_st *stream) {
        if (stream->last) lasts.push_back(stream->last);
    });
    drive(locked, [&] {
        for (const moment_pointer &last : lasts)
            if (!last->reached) return false;
        return true;
    });
    return state.device[device].error;
}

/* Runs a little, as a device does while the host asks: the first that can be done, perhaps nothing. */
static void drive_a_little(hold &locked) {
    device_access open;
    const uint64_t before = ++state.changes; /* other processes may have changed something */
    while (state.changes == before) {
        CUstream_st *stream = choose_stream();
        if (!stream) return;
        run_first(locked, stream);
    }
}

/* ---- streams */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    BEGIN_CALL();
    *stream = new CUstream_st();
    (*stream)->device = current_device;
    (*stream)->blocking = !(flags & cudaStreamNonBlocking);
    state.streams.insert(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int) {
    return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    BEGIN_CALL();
    *least = 0, *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) { /* what is in it runs to its end */
    hold locked(state.lock);
    if (!state.streams.count(stream)) return keep_error(cudaErrorInvalidResourceHandle);
    if (stream->capture) return keep_error(cudaErrorStreamCaptureUnsupported);
    cudaError_t error = finish_stream(locked, stream);
    state.streams.erase(stream);
    delete stream;
    return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    cudaError_t error = not_while_capturing(stream);
    return keep_error(error != cudaSuccess ? error : finish_stream(locked, stream));
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    cudaError_t error = not_while_capturing(stream);
    if (error != cudaSuccess) return keep_error(error);
    int device = stream->device;
    moment_pointer last = stream->last;
    drive_a_little(locked);
    if (state.device[device].error != cudaSuccess) return keep_error(state.device[device].error);
    return !last || last->reached ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream || !state.events.count(event)) return keep_error(cudaErrorInvalidResourceHandle);
    if (event->capture) { /* the stream joins the capture */
        if (stream->capture && stream->capture != event->capture) return keep_error(cudaErrorStreamCaptureMerge);
        if (stream == null_stream_of(stream)) return keep_error(cudaErrorStreamCaptureImplicit);
        if (!stream->capture) {
            stream->capture = event->capture;
            stream->capture->streams.push_back(stream);
            stream->tail.clear();
        }
        stream->tail.insert(stream->tail.end(), event->nodes.begin(), event->nodes.end());
        return cudaSuccess;
    }
    if (stream->capture) {
        stream->capture->invalid = true;
        return keep_error(cudaErrorStreamCaptureIsolation);
    }
    if (!event->at || event->at->reached) return cudaSuccess;
    operation op;
    op.name = __func__;
    op.after = {event->at};
    enqueue(stream, std::move(op));
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void *user) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    return keep_error(submit(stream, __func__, [function, user](int) {
        function(user);
        return cudaSuccess;
    }));
}

/* ---- events */
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    BEGIN_CALL();
    *event = new CUevent_st();
    (*event)->timing = !(flags & cudaEventDisableTiming);
    state.events.insert(*event);
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    hold locked(state.lock);
    if (!state.events.erase(event)) return keep_error(cudaErrorInvalidResourceHandle);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream || !state.events.count(event)) return keep_error(cudaErrorInvalidResourceHandle);
    if (stream->capture) {
        if (capture_invalid(stream)) return keep_error(cudaErrorStreamCaptureInvalidated);
        event->capture = stream->capture;
        event->nodes = stream->tail;
        return cudaSuccess;
    }
    cudaError_t error = submit(stream, __func__, nullptr);
    event->capture = nullptr;
    event->at = stream->last;
    return keep_error(error);
}

static cudaError_t check_event(cudaEvent_t event) {
    if (!state.events.count(event)) return cudaErrorInvalidResourceHandle;
    return event->capture ? cudaErrorCapturedEvent : not_while_capturing(nullptr);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    BEGIN_CALL();
    cudaError_t error = check_event(event);
    if (error != cudaSuccess) return keep_error(error);
    moment_pointer at = event->at;
    drive_a_little(locked);
    if (state.device[current_device].error != cudaSuccess) return keep_error(state.device[current_device].error);
    return !at || at->reached ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    BEGIN_CALL();
    cudaError_t error = check_event(event);
    if (error != cudaSuccess) return keep_error(error);
    moment_pointer at = event->at;
    if (at) drive(locked, [at] { return at->reached; });
    return keep_error(state.device[current_device].error);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    BEGIN_CALL();
    if (!state.events.count(start) || !state.events.count(end) || !start->timing || !end->timing || !start->at || !end->at)
        return keep_error(cudaErrorInvalidResourceHandle);
    if (!start->at->reached || !end->at->reached) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->at->when - start->at->when).count();
    return cudaSuccess;
}

/* ---- what others put into streams */
cudaError_t cudasim_submit(cudaStream_t handle, const char *name, cudaError_t (*run)(void *, int), void *user,
                           void (*release)(void *)) {
    std::shared_ptr<void> owned(user, [release](void *p) {
        if (release) release(p);
    });
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    return keep_error(submit(stream, name, [owned, run](int device) { return run(owned.get(), device); }));
}

void cudasim_notify(void) {
    hold locked(state.lock);
    state.changes++;
    state.changed.notify_all();
}

void cudasim_explain(const char *text) {
    hold locked(state.lock);
    state.message = text;
}

int cudasim_enqueue(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t handle, const void *function,
                    void *closure, size_t closure_bytes, void (*run)(void *), void (*release)(void *)) {
    std::shared_ptr<void> owned(closure, release);
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (!grid.x || !grid.y || !grid.z || !threads || threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64 ||
        grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535)
        return keep_error(cudaErrorInvalidConfiguration);
    auto limit = state.shared_limits.find(function);
    if (shared_bytes > (limit == state.shared_limits.end() ? (size_t)48 << 10 : (size_t)limit->second))
        return keep_error(cudaErrorInvalidValue);
    return keep_error(submit(stream, name, [name, grid, block, shared_bytes, owned, closure_bytes, run](int device) {
        grid_launch launch = {name, grid, block, shared_bytes, owned.get(), closure_bytes, run, device, 0};
        {
            hold inside(state.lock);
            launch.seed = state.seed ? (uint64_t)state.random.next() << 32 | state.random.next() | 1 : 0;
        }
        std::string message;
        cudaError_t error = grid_run(&launch, &message);
        if (error != cudaSuccess) {
            hold inside(state.lock);
            state.message = message;
        }
        return error;
    }));
}
