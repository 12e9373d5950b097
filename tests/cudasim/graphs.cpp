/* Host double of the runtime: stream capture, across streams by events, and graphs.  A launched graph is one operation of its stream;
 * its nodes run in a random order that their dependencies allow. */
#include "state.h"

#include <algorithm>

uint64_t this_thread(void) {
    static thread_local char mark;
    return reinterpret_cast<uintptr_t>(&mark);
}

bool capture_invalid(const CUstream_st *stream) { return stream->capture->invalid; }

/* Waiting, allocating and freeing are forbidden in a stream that captures, and, unless the capture is relaxed, in its thread. */
cudaError_t not_while_capturing(const CUstream_st *stream) {
    if (stream && stream->capture) {
        stream->capture->invalid = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    for (struct capture *c : state.captures)
        if (!stream && (c->mode == cudaStreamCaptureModeGlobal ||
                        (c->mode == cudaStreamCaptureModeThreadLocal && c->thread == this_thread()))) {
            c->invalid = true;
            return cudaErrorStreamCaptureUnsupported;
        }
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    if (!handle || stream->capture) return keep_error(handle ? cudaErrorIllegalState : cudaErrorStreamCaptureUnsupported);
    stream->capture = std::make_shared<struct capture>();
    stream->capture->origin = stream;
    stream->capture->streams = {stream};
    stream->capture->mode = mode;
    stream->capture->thread = this_thread();
    stream->tail.clear();
    state.captures.insert(stream->capture.get());
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    *graph = nullptr;
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    if (!stream->capture) return keep_error(cudaErrorIllegalState);
    auto capture = stream->capture;
    if (capture->origin != stream) return keep_error(cudaErrorStreamCaptureUnmatched);
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != this_thread())
        return keep_error(cudaErrorStreamCaptureWrongThread);

    std::vector<bool> joined(capture->nodes.size()); /* nodes that the origin's end comes after */
    for (size_t node : stream->tail) joined[node] = true;
    for (size_t i = capture->nodes.size(); i-- > 0;)
        if (joined[i])
            for (size_t before : capture->nodes[i].after) joined[before] = true;
    bool unjoined = false;
    for (cudaStream_t other : capture->streams) {
        for (size_t node : other->tail) unjoined |= !joined[node];
        other->capture = nullptr;
        other->tail.clear();
    }
    state.captures.erase(capture.get());
    if (capture->invalid || unjoined)
        return keep_error(capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{std::make_shared<std::vector<graph_node>>(std::move(capture->nodes))};
    state.graphs.insert(*graph);
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *status) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream) return keep_error(cudaErrorInvalidResourceHandle);
    *status = !stream->capture           ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    BEGIN_CALL();
    if (!state.graphs.count(graph) || nodes) /* handles of nodes do not exist here, their number does */
        return keep_error(cudaErrorInvalidValue);
    *count = graph->nodes->size();
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
    BEGIN_CALL();
    if (!state.graphs.count(graph)) return keep_error(cudaErrorInvalidValue);
    *exec = new CUgraphExec_st{graph->nodes};
    state.execs.insert(*exec);
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
    BEGIN_CALL();
    return keep_error(!state.execs.count(exec) ? cudaErrorInvalidValue
                      : !find_stream(stream)   ? cudaErrorInvalidResourceHandle
                                               : cudaSuccess);
}

/* One launch of a graph under way: nodes may have to wait for other ranks, and are asked again. */
struct graph_run {
    std::shared_ptr<std::vector<graph_node>> nodes;
    std::vector<bool> done;
    size_t left;

    bool ready(size_t i) const {
        if (done[i]) return false;
        for (size_t before : (*nodes)[i].after)
            if (!done[before]) return false;
        return true;
    }

    cudaError_t run(int device) {
        std::vector<bool> waits(nodes->size());
        while (left) {
            std::vector<size_t> choice;
            for (size_t i = 0; i < nodes->size(); i++)
                if (ready(i) && !waits[i]) choice.push_back(i);
            if (choice.empty()) return cudaErrorNotReady;
            size_t at = 0;
            {
                hold locked(state.lock);
                if (state.seed) at = state.random.below((uint32_t)choice.size());
            }
            size_t i = choice[at];
            cudaError_t error = (*nodes)[i].run ? (*nodes)[i].run(device) : cudaSuccess;
            if (error == cudaErrorNotReady) {
                waits[i] = true;
            } else if (error != cudaSuccess) {
                return error;
            } else {
                done[i] = true;
                left--;
            }
        }
        done.assign(nodes->size(), false); /* a graph within a graph is launched again */
        left = nodes->size();
        return cudaSuccess;
    }
};

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
    BEGIN_CALL();
    CUstream_st *stream = find_stream(handle);
    if (!stream || !state.execs.count(exec)) return keep_error(stream ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle);
    auto run = std::make_shared<graph_run>(graph_run{exec->nodes, std::vector<bool>(exec->nodes->size()), exec->nodes->size()});
    return keep_error(submit(stream, __func__, [run](int device) { return run->run(device); }));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    hold locked(state.lock);
    if (!state.execs.erase(exec)) return keep_error(cudaErrorInvalidValue);
    delete exec;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    hold locked(state.lock);
    if (!state.graphs.erase(graph)) return keep_error(cudaErrorInvalidValue);
    delete graph;
    return cudaSuccess;
}
