/* Host double of NCCL: all-reduce among ranks that are threads of one process, or processes of one machine.  A communicator is a file
 * of shared memory: each rank puts a chunk into its own slot, and when all have, each adds all slots in the order of ranks.  As with
 * NCCL, a rank that has died shows as an asynchronous error, one that hangs does not, and only ncclCommAbort() frees who waits. */
#include "state.h"

#include <cudasim_nccl.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr int RANKS_MAX = 16;
constexpr size_t CHUNK_BYTES = 1 << 20;
enum rank_state { ABSENT, JOINED, LEFT, DEAD };

struct shared_rank {
    std::atomic<int> state, pid, device;
    std::atomic<uint64_t> posted, taken; /* steps: chunks put into the slot, and fetched from all slots */
    std::atomic<uint64_t> bytes;         /* of the whole vector that the posted step belongs to, and of what type */
    std::atomic<int> type;
};
struct shared_communicator {
    std::atomic<int> ranks;
    shared_rank rank[RANKS_MAX];
    alignas(4096) unsigned char slots[RANKS_MAX][CHUNK_BYTES];
};

} // namespace

struct ncclComm {
    shared_communicator *shared;
    std::string file;
    int ranks, rank, device;
    bool blocking, aborted = false, destroyed = false, finalized = false;
    int in_progress = 0; /* how often the next questions are answered ncclInProgress */
    ncclResult_t error = ncclSuccess;
    uint64_t steps = 0; /* that this rank has begun */
    ~ncclComm() { munmap(shared, sizeof *shared); }
    shared_rank &self() { return shared->rank[rank]; }
};

namespace {

std::mutex guard; /* of what follows */
std::map<ncclComm_t, std::shared_ptr<ncclComm>> communicators;
int calls, failing, hung_rank = -1;
ncclResult_t failing_result;
thread_local int group_depth;

ncclResult_t refuse(ncclResult_t result, const std::string &why) {
    cudasim_explain(("NCCL: " + why).c_str());
    return result;
}
#define ENTER()                                                                                                                    \
    std::lock_guard<std::mutex> entered(guard);                                                                                    \
    if (++calls == failing) return failing_result

std::shared_ptr<ncclComm> find(ncclComm_t handle) {
    auto found = communicators.find(handle);
    return found == communicators.end() ? nullptr : found->second;
}

bool is_dead(const shared_rank &r) {
    int is = r.state, pid = r.pid;
    return is == DEAD || (is == JOINED && pid != getpid() && kill(pid, 0) && errno == ESRCH);
}
bool all_joined(const ncclComm &c) {
    for (int r = 0; r < c.ranks; r++)
        if (c.shared->rank[r].state == ABSENT) return false;
    return true;
}

size_t bytes_of(ncclDataType_t type) {
    switch (type) {
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
        return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
        return 8;
    default:
        return 0; /* not needed, not there */
    }
}
template <typename T> void add_slots(const ncclComm &c, unsigned char *receive, size_t bytes) {
    T *sum = reinterpret_cast<T *>(receive);
    memcpy(sum, c.shared->slots[0], bytes);
    for (int r = 1; r < c.ranks; r++) {
        const T *slot = reinterpret_cast<const T *>(c.shared->slots[r]);
        for (size_t i = 0; i < bytes / sizeof(T); i++) sum[i] += slot[i];
    }
}

struct reduction {
    std::shared_ptr<ncclComm> c;
    const unsigned char *send;
    unsigned char *receive;
    size_t bytes, at = 0;
    ncclDataType_t type;
    bool posted = false;

    bool everybody(std::atomic<uint64_t> shared_rank::*count, uint64_t step) const {
        for (int r = 0; r < c->ranks; r++)
            if (c->shared->rank[r].*count < step) return false;
        return true;
    }

    /* As far as it goes; true: finished. */
    bool advance() {
        shared_communicator *shared = c->shared;
        while (at < bytes) {
            size_t part = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
            if (!posted) {
                if (c->rank == hung_rank || c->self().state != JOINED || !everybody(&shared_rank::taken, c->steps)) return false;
                memcpy(shared->slots[c->rank], send + at, part);
                c->self().bytes = bytes;
                c->self().type = type;
                c->self().posted = ++c->steps;
                posted = true;
                cudasim_notify();
            }
            if (!everybody(&shared_rank::posted, c->steps)) return false;
            for (int r = 0; r < c->ranks; r++)
                if (shared->rank[r].bytes != bytes || shared->rank[r].type != type) {
                    c->error = refuse(ncclInvalidUsage, "ranks " + std::to_string(r) + " and " + std::to_string(c->rank) +
                                                            " reduce different vectors");
                    return false;
                }
            switch (type) {
            case ncclFloat32:
                add_slots<float>(*c, receive + at, part);
                break;
            case ncclFloat64:
                add_slots<double>(*c, receive + at, part);
                break;
            case ncclInt32:
            case ncclUint32:
                add_slots<uint32_t>(*c, receive + at, part);
                break;
            default:
                add_slots<uint64_t>(*c, receive + at, part);
                break;
            }
            c->self().taken = c->steps;
            posted = false;
            at += part;
            cudasim_notify();
        }
        at = 0; /* in a graph it begins again */
        return true;
    }
};

cudaError_t run_reduction(void *user, int) {
    auto *r = static_cast<reduction *>(user);
    if (r->c->destroyed) {
        cudasim_explain("ncclAllReduce: the communicator was destroyed before its work was done");
        return cudaErrorLaunchFailure;
    }
    if (r->c->aborted || r->advance()) /* what is left of an aborted one ends as it is */
        return cudaSuccess;
    return cudaErrorNotReady;
}

/* What a call on a communicator that does not block gives: the caller has to ask until it is done. */
ncclResult_t begun(ncclComm &c) {
    if (c.blocking) return ncclSuccess;
    c.in_progress = 2;
    return ncclInProgress;
}

} // namespace

ncclResult_t ncclGetVersion(int *version) { return *version = NCCL_VERSION_CODE, ncclSuccess; }

const char *ncclGetErrorString(ncclResult_t result) {
    static const char *const texts[] = {"no error",
                                        "unhandled cuda error",
                                        "unhandled system error",
                                        "internal error",
                                        "invalid argument",
                                        "invalid usage",
                                        "remote process exited or there was a network error",
                                        "NCCL operation in progress"};
    return result >= 0 && result < ncclNumResults ? texts[result] : "unknown result code";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    static std::atomic<unsigned> serial;
    ENTER();
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "/cudasim-%d-%u-%llx", (int)getpid(), ++serial,
             (unsigned long long)std::chrono::system_clock::now().time_since_epoch().count());
    int file = shm_open(id->internal, O_RDWR | O_CREAT | O_EXCL, 0600);
    bool made = file >= 0 && ftruncate(file, sizeof(shared_communicator)) == 0;
    if (file >= 0) close(file);
    return made ? ncclSuccess : refuse(ncclSystemError, "no shared memory");
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *handle, int ranks, ncclUniqueId id, int rank, ncclConfig_t *config) {
    *handle = nullptr;
    std::shared_ptr<ncclComm> c;
    {
        ENTER();
        id.internal[sizeof id.internal - 1] = 0;
        if (ranks < 1 || ranks > RANKS_MAX || rank < 0 || rank >= ranks || strncmp(id.internal, "/cudasim-", 9) != 0)
            return refuse(ncclInvalidArgument, "ranks, rank or id");
        if (config && (config->size != sizeof *config || config->magic != 0xcafebeef))
            return refuse(ncclInvalidArgument, "a config without NCCL_CONFIG_INITIALIZER");
        int device = 0;
        if (cudaGetDevice(&device) != cudaSuccess) return refuse(ncclUnhandledCudaError, "the device cannot be used");
        int file = shm_open(id.internal, O_RDWR, 0600);
        void *memory =
            file < 0 ? MAP_FAILED : mmap(nullptr, sizeof(shared_communicator), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        if (memory == MAP_FAILED) return refuse(ncclRemoteError, "the id's root has gone, or all ranks have joined before");
        c = std::make_shared<ncclComm>();
        c->shared = static_cast<shared_communicator *>(memory);
        c->file = id.internal;
        c->ranks = ranks, c->rank = rank, c->device = device;
        c->blocking = !config || config->blocking != 0;
        int nobody = 0, absent = ABSENT;
        if (!c->shared->ranks.compare_exchange_strong(nobody, ranks) && nobody != ranks)
            return refuse(ncclInvalidArgument, "ranks do not agree how many they are");
        for (int r = 0; r < ranks; r++)
            if (c->shared->rank[r].state == JOINED && c->shared->rank[r].device == device)
                return refuse(ncclInvalidUsage, "two ranks on one device");
        c->self().pid = getpid();
        c->self().device = device;
        if (!c->self().state.compare_exchange_strong(absent, JOINED)) return refuse(ncclInvalidUsage, "two ranks have one number");
        if (all_joined(*c)) shm_unlink(id.internal); /* nobody else needs its name */
        communicators[c.get()] = c;
        *handle = c.get();
    }
    cudasim_notify();
    while (c->blocking && !all_joined(*c)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return begun(*c);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t *error) {
    std::shared_ptr<ncclComm> c;
    {
        ENTER();
        c = find(handle);
        if (!c) return refuse(ncclInvalidArgument, "no such communicator");
        *error = c->error;
        for (int r = 0; r < c->ranks; r++)
            if (r != c->rank && is_dead(c->shared->rank[r])) *error = c->error = ncclRemoteError;
        if (*error == ncclSuccess && (!all_joined(*c) || c->in_progress)) {
            c->in_progress -= c->in_progress > 0;
            *error = ncclInProgress;
        }
    }
    return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *send, void *receive, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t handle, cudaStream_t stream) {
    ENTER();
    std::shared_ptr<ncclComm> c = find(handle);
    if (!c || c->finalized) return refuse(ncclInvalidArgument, "no such communicator, or a finalized one");
    if (c->error != ncclSuccess) return c->error;
    if (!all_joined(*c) || (c->in_progress && !group_depth))
        return refuse(ncclInvalidUsage, "a call on a communicator that is still busy: ask ncclCommGetAsyncError() first");
    size_t bytes = count * bytes_of(type);
    if (!bytes_of(type) || operation != ncclSum) return refuse(ncclInvalidArgument, "the double adds 32- and 64-bit numbers alone");
    if (!count) return ncclSuccess;
    if (!cudasim_is_device(send, bytes, c->device) || !cudasim_is_device(receive, bytes, c->device))
        return refuse(ncclInvalidArgument, "vectors do not lie in memory of the communicator's device");
    auto *r =
        new reduction{c, static_cast<const unsigned char *>(send), static_cast<unsigned char *>(receive), bytes, 0, type, false};
    cudaError_t error =
        cudasim_submit(stream, "ncclAllReduce", run_reduction, r, [](void *p) { delete static_cast<reduction *>(p); });
    if (error != cudaSuccess) return ncclUnhandledCudaError;
    return group_depth ? (c->blocking ? ncclSuccess : (c->in_progress = 2, ncclInProgress)) : begun(*c);
}

ncclResult_t ncclGroupStart(void) {
    ENTER();
    group_depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) { /* in progress, if one of the communicators is */
    ENTER();
    if (group_depth <= 0) return refuse(ncclInvalidUsage, "a group ends that did not begin");
    group_depth--;
    for (auto &entry : communicators)
        if (entry.second->in_progress) return ncclInProgress;
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
    ENTER();
    std::shared_ptr<ncclComm> c = find(handle);
    if (!c || c->finalized) return refuse(ncclInvalidArgument, "no such communicator, or it is finalized already");
    c->finalized = true;
    return begun(*c);
}

static ncclResult_t leave(ncclComm_t handle, bool abort) {
    {
        std::lock_guard<std::mutex> entered(guard);
        std::shared_ptr<ncclComm> c = find(handle);
        if (!c) return refuse(ncclInvalidArgument, "no such communicator");
        (abort ? c->aborted : c->destroyed) = true;
        c->self().state = abort ? DEAD : LEFT;
        shm_unlink(c->file.c_str()); /* in case that not all have joined */
        communicators.erase(handle);
    }
    cudasim_notify();
    return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t handle) {
    int device = 0;
    {
        std::lock_guard<std::mutex> entered(guard);
        std::shared_ptr<ncclComm> c = find(handle);
        if (c) device = c->device;
    }
    hold locked(state.lock);
    finish_device(locked, device);
    locked.unlock();
    return leave(handle, false);
}
ncclResult_t ncclCommAbort(ncclComm_t handle) { return leave(handle, true); }

/* ---- cudasim_nccl.h */
void cudasim_nccl_kill(int rank) {
    {
        std::lock_guard<std::mutex> entered(guard);
        for (auto &entry : communicators)
            if (rank >= 0 && rank < entry.second->ranks) entry.second->shared->rank[rank].state = DEAD;
    }
    cudasim_notify();
}
void cudasim_nccl_hang(int rank) { hung_rank = rank; }
void cudasim_nccl_fail(int call, ncclResult_t result) {
    std::lock_guard<std::mutex> entered(guard);
    calls = 0;
    failing = call;
    failing_result = result;
}
int cudasim_nccl_calls(void) {
    std::lock_guard<std::mutex> entered(guard);
    return calls;
}
int cudasim_nccl_alive(void) {
    std::lock_guard<std::mutex> entered(guard);
    return (int)communicators.size();
}
