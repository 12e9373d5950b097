/* The buckets: contiguous parts of the flat gradient, some megabytes each.  Parameters lie in the order of the network, so backward
 * completes them from the end.  All calls of NCCL are non-blocking; what is in progress is asked for until it is done. */
#include "reduction.h"

#include "core/base/collective.h"
#include "library.h"

#include <cuda_runtime_api.h>
#include <time.h>

enum { BUCKETS_MAX = 8, BUCKET_FLOATS_LEAST = 1 << 20 };

struct bucket {
    int64_t first, count; /* floats of the flat gradient */
    int ready;            /* the node after which all of it is there */
    cudaEvent_t event;
};

struct reduction {
    cover_context *context;
    struct device *device;
    struct communicator *communicator;
    struct nccl_functions nccl;
    ncclComm_t ranks;
    float *gradient;
    struct bucket bucket[BUCKETS_MAX];
    int buckets;
    cudaEvent_t done;
    double started; /* when the step at work was */
};

/* ---- errors and waiting */

static cover_status nccl_check(struct reduction *reduction, ncclResult_t result, const char *what) {
    if (result == ncclSuccess || result == ncclInProgress) return COVER_OK;
    return fail(COVER_ERROR_RANK, "NCCL: %s at %s", reduction->nccl.GetErrorString(result), what);
}

cover_status reduction_watch(struct reduction *reduction) {
    struct communicator *c = reduction->communicator;
    ncclResult_t state = ncclSuccess;
    cover_status status = COVER_OK;
    if (!atomic_load(&c->failed)) {
        status = nccl_check(reduction, reduction->nccl.CommGetAsyncError(reduction->ranks, &state), "ncclCommGetAsyncError");
        if (status == COVER_OK) status = nccl_check(reduction, state, "a reduction");
        if (status == COVER_OK && seconds_now() - reduction->started <= c->deadline_seconds) return COVER_OK;
        if (status == COVER_OK)
            status = fail(COVER_ERROR_RANK,
                          "rank %d: the GPUs have not finished a step in %.3g seconds; one of them, or what connects "
                          "them, hangs",
                          c->rank, c->deadline_seconds);
        c->abort(c, status, error_slot());
    }
    (void)reduction->nccl.CommAbort(reduction->ranks); /* frees what waits on the device */
    reduction->ranks = NULL;
    return c->reason(c);
}

/* Until what was asked of NCCL last is done, or a rank is lost. */
static cover_status settle(struct reduction *reduction, ncclResult_t result, const char *what) {
    cover_status status = nccl_check(reduction, result, what);
    while (status == COVER_OK && result == ncclInProgress) {
        struct communicator *c = reduction->communicator;
        if (atomic_load(&c->failed)) return c->reason(c);
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        ncclResult_t asked = reduction->nccl.CommGetAsyncError(reduction->ranks, &result);
        status = nccl_check(reduction, asked, what);
        if (status == COVER_OK) status = nccl_check(reduction, result, what);
    }
    return status;
}

/* ---- buckets */

/* The last node that writes a parameter's gradient. */
static int last_writer(const struct graph *graph, int row) {
    int last = 0;
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < NODE_OUTPUTS; i++) {
            const int index = graph->nodes[n].output[i];
            if (index != ABSENT && graph->tensors[index].storage == STORAGE_PARAMETER_GRAD && graph->tensors[index].index == row)
                last = n;
        }
    return last;
}

static void make_buckets(struct reduction *reduction, const struct graph *graph) {
    const struct parameters *parameters = graph->parameters;
    int64_t least = parameters->trained / BUCKETS_MAX + 1;
    if (least < BUCKET_FLOATS_LEAST) least = BUCKET_FLOATS_LEAST;
    for (int i = 0; i < parameters->count && parameter_trained(parameters, i); i++) {
        const int64_t first = parameters->rows[i].offset;
        const int64_t end = i + 1 < parameters->count ? parameters->rows[i + 1].offset : parameters->floats;
        struct bucket *bucket = reduction->buckets ? &reduction->bucket[reduction->buckets - 1] : NULL;
        if (!bucket || (bucket->count >= least && reduction->buckets < BUCKETS_MAX)) {
            bucket = &reduction->bucket[reduction->buckets++];
            *bucket = (struct bucket){.first = first, .ready = graph->forward_nodes - 1};
        }
        bucket->count = end - bucket->first;
        const int writer = last_writer(graph, i);
        if (writer > bucket->ready) bucket->ready = writer;
    }
}

/* ---- life */

static cover_status meet(struct reduction *reduction) {
    struct communicator *c = reduction->communicator;
    ncclUniqueId id = {0};
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    cover_status own = COVER_OK;
    if (c->rank == 0) own = nccl_check(reduction, reduction->nccl.GetUniqueId(&id), "ncclGetUniqueId");
    TRY(collective_agree(c, own));
    TRY(collective_broadcast(c, &id, sizeof id));
    config.blocking = 0;
    return settle(reduction, reduction->nccl.CommInitRankConfig(&reduction->ranks, c->ranks, id, c->rank, &config),
                  "ncclCommInitRankConfig");
}

cover_status reduction_create(struct reduction **made, const struct program *program, float *gradient, int marks,
                              struct communicator *communicator) {
    cover_context *context = program->context;
    struct reduction *reduction = memory_zero(context, sizeof *reduction);
    if (!reduction) return COVER_ERROR_MEMORY;
    cover_status status;
    *reduction =
        (struct reduction){.context = context, .device = program->device, .communicator = communicator, .gradient = gradient};
    make_buckets(reduction, program->graph);
    reduction->bucket[reduction->buckets - 1].count += marks;
    GO(collective_agree(communicator, nccl_library_open(&reduction->nccl)));
    for (int i = 0; i < reduction->buckets; i++)
        CUDA_GO(cudaEventCreateWithFlags(&reduction->bucket[i].event, cudaEventDisableTiming));
    CUDA_GO(cudaEventCreateWithFlags(&reduction->done, cudaEventDisableTiming));
    GO(meet(reduction));
    *made = reduction;
done:
    if (status != COVER_OK) reduction_destroy(reduction);
    return status;
}

void reduction_destroy(struct reduction *reduction) {
    if (!reduction) return;
    /* with a lost rank nothing of NCCL's ends by itself */
    if (reduction->ranks && atomic_load(&reduction->communicator->failed)) (void)reduction->nccl.CommAbort(reduction->ranks);
    else if (reduction->ranks) {
        (void)settle(reduction, reduction->nccl.CommFinalize(reduction->ranks), "ncclCommFinalize");
        (void)reduction->nccl.CommDestroy(reduction->ranks);
    }
    for (int i = 0; i < reduction->buckets; i++)
        if (reduction->bucket[i].event) (void)cudaEventDestroy(reduction->bucket[i].event);
    if (reduction->done) (void)cudaEventDestroy(reduction->done);
    memory_free(reduction->context, reduction);
}

/* ---- a step */

void reduction_started(struct reduction *reduction) { reduction->started = seconds_now(); }

cover_status reduction_after(struct reduction *reduction, int node) {
    cudaStream_t compute = (cudaStream_t)reduction->device->compute, reduce = (cudaStream_t)reduction->device->reduce;
    for (int i = reduction->buckets - 1; i >= 0; i--) {
        const struct bucket *bucket = &reduction->bucket[i];
        float *part = reduction->gradient + bucket->first;
        if (bucket->ready != node) continue;
        CUDA_TRY(cudaEventRecord(bucket->event, compute));
        CUDA_TRY(cudaStreamWaitEvent(reduce, bucket->event, 0));
        TRY(settle(reduction,
                   reduction->nccl.AllReduce(part, part, (size_t)bucket->count, ncclFloat32, ncclSum, reduction->ranks, reduce),
                   "ncclAllReduce"));
    }
    return COVER_OK;
}

cover_status reduction_join(struct reduction *reduction) {
    CUDA_TRY(cudaEventRecord(reduction->done, (cudaStream_t)reduction->device->reduce));
    CUDA_TRY(cudaStreamWaitEvent((cudaStream_t)reduction->device->compute, reduction->done, 0));
    return COVER_OK;
}

cover_status reduction_sum(struct reduction *reduction, float *values, int64_t count) {
    cudaStream_t compute = (cudaStream_t)reduction->device->compute, reduce = (cudaStream_t)reduction->device->reduce;
    CUDA_TRY(cudaEventRecord(reduction->done, compute));
    CUDA_TRY(cudaStreamWaitEvent(reduce, reduction->done, 0));
    TRY(settle(reduction, reduction->nccl.AllReduce(values, values, (size_t)count, ncclFloat32, ncclSum, reduction->ranks, reduce),
               "ncclAllReduce"));
    return reduction_join(reduction);
}
