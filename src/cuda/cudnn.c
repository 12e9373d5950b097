/* Descriptors, the choice of an engine, and plans (contract in cudnn.h; attributes as in cuDNN's "Graph API", backend descriptor
 * types). A descriptor is made from a table of its attributes; a plan keeps all that it was made from. */
#include "cudnn.h"

#include "library.h"

#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

enum {
    SPATIAL = 3,
    DIMENSIONS = SPATIAL + 2,
    ALIGNMENT = 16,
    VIRTUAL = CUDNN_OPERANDS, /* the convolution's sums, where an operation behind it takes them */
    TENSORS,
    PARTS = 16, /* descriptors of a plan */
    NOTES = 16,
    TILE = 128,          /* rows and columns of what a block of an engine computes, about */
    WORKSPACE_SHARE = 8, /* an engine may have as workspace one part in 8 of the device's memory */
};
typedef cudnnBackendDescriptor_t descriptor;

struct cudnn_plan {
    struct cudnn_plan *next;
    struct cudnn_key key;
    descriptor parts[PARTS];
    int count;
    descriptor execution; /* NULL: there is no engine */
    size_t workspace_bytes;
    char text[96];
};
struct cudnn {
    cover_context *context;
    struct cudnn_functions call;
    cudnnHandle_t handle;  /* NULL offline */
    descriptor properties; /* of the device that plans are made for, offline; else NULL */
    bool deterministic, tf32;
    int processors;
    size_t workspace_limit;
    pthread_mutex_t lock; /* of the handle and the list */
    struct cudnn_plan *plans;
};

/* ---- errors */

static cover_status translate(const struct cudnn *cudnn, cudnnStatus_t code, const char *what) {
    if (code == CUDNN_STATUS_SUCCESS) return COVER_OK;
    char more[512] = "";
    cudnn->call.GetLastErrorString(more, sizeof more);
    static const cover_status statuses[] = {[1] = COVER_ERROR_DEVICE,
                                            [2] = COVER_ERROR_INTERNAL,
                                            [3] = COVER_ERROR_UNSUPPORTED,
                                            [4] = COVER_ERROR_INTERNAL,
                                            [5] = COVER_ERROR_DEVICE};
    const size_t category = (size_t)code / 1000;
    cover_status status = category > 0 && category < sizeof statuses / sizeof *statuses ? statuses[category] : COVER_ERROR_INTERNAL;
    if (code == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED || code == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
        status = COVER_ERROR_MEMORY;
    return fail(status, "cuDNN could not %s: %s%s%s", what, cudnn->call.GetErrorString(code), *more ? ": " : "", more);
}

/* ---- descriptors */

struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count; /* 0: left out */
    const void *values;
};

static cover_status describe(descriptor *made, const struct cudnn *cudnn, cudnnBackendDescriptorType_t type, const char *what,
                             const struct attribute *attributes, int count) {
    cover_status status;
    *made = NULL;
    GO(translate(cudnn, cudnn->call.BackendCreateDescriptor(type, made), what));
    for (const struct attribute *a = attributes; a < attributes + count; a++)
        if (a->count) GO(translate(cudnn, cudnn->call.BackendSetAttribute(*made, a->name, a->type, a->count, a->values), what));
    status = translate(cudnn, cudnn->call.BackendFinalize(*made), what);
done:
    if (status != COVER_OK && *made) cudnn->call.BackendDestroyDescriptor(*made), *made = NULL;
    return status;
}
#define DESCRIBE(made, cudnn, type, what, ...)                                                                                     \
    describe(made, cudnn, type, what, (const struct attribute[]){__VA_ARGS__},                                                     \
             sizeof((const struct attribute[]){__VA_ARGS__}) / sizeof(struct attribute))
#define ONE(part)                                                                                                                  \
    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &(const descriptor) { part }
#define HANDLE(cudnn) CUDNN_TYPE_HANDLE, (cudnn)->handle != NULL, &(cudnn)->handle
#define PROPERTIES(cudnn) CUDNN_TYPE_BACKEND_DESCRIPTOR, (cudnn)->properties != NULL, &(cudnn)->properties

/* What a plan is made of lives as long as it. */
static descriptor keep(struct cudnn_plan *plan, descriptor part) { return plan->parts[plan->count++] = part; }
#define KEEP(kept, plan, cudnn, type, what, ...)                                                                                   \
    do {                                                                                                                           \
        descriptor made_;                                                                                                          \
        TRY(DESCRIBE(&made_, cudnn, type, what, __VA_ARGS__));                                                                     \
        (kept) = keep(plan, made_);                                                                                                \
    } while (0)

static cudnnDataType_t data_type(enum element element) { return element == ELEMENT_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

/* Logical order N, C, [D,] H, W; in memory channels come last. */
static cover_status make_tensor(descriptor *tensor, struct cudnn_plan *plan, const struct cudnn *cudnn, int id,
                                enum element element, const int64_t dims[DIMENSIONS]) {
    const int64_t uid = id + 1, alignment = ALIGNMENT, rank = plan->key.grid.ndim + 2;
    const bool is_virtual = id == VIRTUAL;
    const cudnnDataType_t type = data_type(element);
    int64_t strides[DIMENSIONS], stride = dims[1];
    strides[1] = 1;
    for (int64_t a = rank - 1; a > 1; a--) strides[a] = stride, stride *= dims[a];
    strides[0] = stride;
    KEEP(*tensor, plan, cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "describe a tensor",
         {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid}, {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
         {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment},
         {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, rank, dims}, {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, rank, strides},
         {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual});
    return COVER_OK;
}

/* The operand that a pass writes. */
static enum cudnn_operand written(const struct cudnn_key *key) {
    static const enum cudnn_operand operands[CUDNN_PASSES] = {CUDNN_Y, CUDNN_X, CUDNN_WEIGHTS};
    return operands[key->pass];
}
/* Float32 out of bfloat16 is an operation of its own to cuDNN, unless the addition of the bias writes it. */
static bool converts(const struct cudnn_key *key) { return key->in != key->out && !key->bias; }

static cover_status make_tensors(descriptor tensors[TENSORS], struct cudnn_plan *plan, const struct cudnn *cudnn) {
    const struct cudnn_key *k = &plan->key;
    const int out = (int)written(k);
    int64_t dims[TENSORS][DIMENSIONS] = {[CUDNN_X] = {k->images, k->c_in},
                                         [CUDNN_WEIGHTS] = {k->c_out, k->c_in},
                                         [CUDNN_Y] = {k->images, k->c_out},
                                         [CUDNN_BIAS] = {1, k->c_out}};
    for (int a = 0; a < k->grid.ndim; a++) {
        dims[CUDNN_X][2 + a] = dims[CUDNN_Y][2 + a] = grid_axis(&k->grid, a);
        dims[CUDNN_WEIGHTS][2 + a] = k->kernel, dims[CUDNN_BIAS][2 + a] = 1;
    }
    memcpy(dims[VIRTUAL], dims[out], sizeof dims[out]);
    for (int id = 0; id < TENSORS; id++) {
        if ((id == CUDNN_BIAS && !k->bias) || (id == VIRTUAL && !k->bias && !converts(k))) continue;
        const enum element element = id == CUDNN_BIAS || id == VIRTUAL ? ELEMENT_F32 : id == out ? k->out : k->in;
        TRY(make_tensor(&tensors[id], plan, cudnn, id, element, dims[id]));
    }
    return COVER_OK;
}

/* ---- the graph of operations: a convolution or a gradient of it, and behind it a bias or a conversion */

static cover_status make_convolution(descriptor *operation, struct cudnn_plan *plan, const struct cudnn *cudnn,
                                     const descriptor tensors[TENSORS]) {
    static const struct {
        cudnnBackendDescriptorType_t type;
        cudnnBackendAttributeName_t alpha, beta, convolution, x, weights, y;
    } passes[CUDNN_PASSES] = {
        [CUDNN_PASS_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
        [CUDNN_PASS_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
        [CUDNN_PASS_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
    };
    const struct cudnn_key *k = &plan->key;
    const int64_t axes = k->grid.ndim, reach = k->kernel / 2, padding[SPATIAL] = {reach, reach, reach}, ones[SPATIAL] = {1, 1, 1};
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const float alpha = 1, beta = 0;
    descriptor convolution, operands[CUDNN_OPERANDS];
    memcpy(operands, tensors, sizeof operands);
    if (tensors[VIRTUAL]) operands[written(k)] = tensors[VIRTUAL];
    KEEP(convolution, plan, cudnn, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "describe a convolution",
         {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes},
         {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums},
         {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
         {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, axes, padding},
         {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, axes, padding},
         {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, axes, ones},
         {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, axes, ones});
    KEEP(*operation, plan, cudnn, passes[k->pass].type, "describe a pass of a convolution",
         {passes[k->pass].alpha, CUDNN_TYPE_FLOAT, 1, &alpha}, {passes[k->pass].beta, CUDNN_TYPE_FLOAT, 1, &beta},
         {passes[k->pass].convolution, ONE(convolution)}, {passes[k->pass].x, ONE(operands[CUDNN_X])},
         {passes[k->pass].weights, ONE(operands[CUDNN_WEIGHTS])}, {passes[k->pass].y, ONE(operands[CUDNN_Y])});
    return COVER_OK;
}

static cover_status make_graph(descriptor *graph, struct cudnn_plan *plan, const struct cudnn *cudnn) {
    const bool bias = plan->key.bias, behind = bias || converts(&plan->key);
    const cudnnPointwiseMode_t mode = bias ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_IDENTITY;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    descriptor tensors[TENSORS] = {NULL}, operations[2], pointwise;
    TRY(make_tensors(tensors, plan, cudnn));
    TRY(make_convolution(&operations[0], plan, cudnn, tensors));
    if (behind) {
        KEEP(pointwise, plan, cudnn, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "describe what is done to each number",
             {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode},
             {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums});
        KEEP(operations[1], plan, cudnn, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "describe what comes behind a convolution",
             {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, ONE(pointwise)},
             {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, ONE(tensors[VIRTUAL])},
             {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, bias, &tensors[CUDNN_BIAS]},
             {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, ONE(tensors[written(&plan->key)])});
    }
    KEEP(*graph, plan, cudnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "describe a graph",
         {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, behind ? 2 : 1, operations},
         {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, HANDLE(cudnn)});
    return COVER_OK;
}

/* ---- the choice of an engine */

struct engine {
    int64_t index;
    unsigned notes; /* bits of cudnnBackendNumericalNote_t */
};

static cover_status look_at(struct engine *engine, const struct cudnn *cudnn, descriptor config) {
    cudnnBackendNumericalNote_t notes[NOTES];
    int64_t count = 0, one = 0;
    descriptor seen = NULL;
    cover_status status;
    *engine = (struct engine){.index = -1};
    GO(translate(cudnn, cudnn->call.BackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &seen), "look at an engine"));
    GO(translate(
        cudnn, cudnn->call.BackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &seen),
        "look at an engine"));
    GO(translate(cudnn,
                 cudnn->call.BackendGetAttribute(seen, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &one, &engine->index),
                 "tell an engine's number"));
    GO(translate(cudnn,
                 cudnn->call.BackendGetAttribute(seen, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                                 CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes),
                 "tell how an engine rounds"));
    for (int64_t i = 0; i < count && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++) engine->notes |= 1u << notes[i];
done:
    if (seen) cudnn->call.BackendDestroyDescriptor(seen);
    return status;
}
_Static_assert((int)NOTES >= (int)CUDNN_NUMERICAL_NOTE_TYPE_COUNT, "room for every note");

/* Tensor cores round float32 to TF32. */
static unsigned forbidden_notes(const struct cudnn *cudnn, const struct cudnn_key *key) {
    return 1u << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS | 1u << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION |
           (cudnn->deterministic ? 1u << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC : 0) |
           (key->in == ELEMENT_F32 && !cudnn->tf32 ? 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE : 0);
}

/* A gradient of weights has few numbers, each a sum over all pixels: with fewer tiles of it than the chip has processors the sums
 * must be split, which takes a workspace.  Some of the engines that convert do not, and would keep a few processors busy for
 * long. */
static bool keeps_busy(const struct cudnn *cudnn, const struct cudnn_key *key, int64_t workspace) {
    const int64_t taps = key->kernel == 1 ? 1 : key->grid.ndim == 2 ? 9 : 27;
    const int64_t tiles = ((key->c_out + TILE - 1) / TILE) * ((taps * key->c_in + TILE - 1) / TILE);
    return key->pass != CUDNN_PASS_WEIGHTS || !converts(key) || workspace > 0 || tiles >= cudnn->processors;
}

/* Make the plan of one engine: true when it may and can serve.  Engines are named that turn out not to (they cannot be compiled,
 * or the device lacks what they need), so another error than memory only means the next one. */
static cover_status try_engine(bool *serves, struct cudnn_plan *plan, const struct cudnn *cudnn, descriptor config) {
    struct engine engine;
    int64_t bytes = 0, one = 0;
    descriptor execution = NULL;
    cover_status status;
    *serves = false;
    GO(look_at(&engine, cudnn, config));
    if (engine.notes & forbidden_notes(cudnn, &plan->key)) goto done;
    GO(DESCRIBE(&execution, cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "make a plan",
                {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, ONE(config)}, {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, HANDLE(cudnn)},
                {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, PROPERTIES(cudnn)}));
    GO(translate(
        cudnn,
        cudnn->call.BackendGetAttribute(execution, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one, &bytes),
        "tell the workspace of a plan"));
    if (bytes < 0 || (uint64_t)bytes > cudnn->workspace_limit || !keeps_busy(cudnn, &plan->key, bytes)) goto done;
    *serves = true;
    plan->execution = keep(plan, execution), plan->workspace_bytes = (size_t)bytes, execution = NULL;
    number_print(plan->text, sizeof plan->text, "engine %lld%s%s, %.1f MiB", (long long)engine.index,
                 engine.notes & 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE ? ", tensor cores" : "",
                 engine.notes & 1u << CUDNN_NUMERICAL_NOTE_WINOGRAD ? ", Winograd" : "", (double)bytes / (1 << 20));
done:
    if (execution) cudnn->call.BackendDestroyDescriptor(execution);
    return status == COVER_ERROR_MEMORY ? status : COVER_OK;
}

static cover_status choose(struct cudnn_plan *plan, const struct cudnn *cudnn, descriptor graph, cudnnBackendHeurMode_t mode) {
    descriptor heuristics, *configs = NULL;
    int64_t count = 0, made = 0, found = 0;
    bool serves = false;
    cover_status status =
        DESCRIBE(&heuristics, cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "ask for engines",
                 {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, ONE(graph)}, {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
                 {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, PROPERTIES(cudnn)});
    if (status != COVER_OK) return status == COVER_ERROR_MEMORY ? status : COVER_OK; /* these heuristics know none */
    GO(translate(
        cudnn,
        cudnn->call.BackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, NULL),
        "count engines"));
    if (count <= 0) goto done;
    configs = memory_zero(cudnn->context, (size_t)count * sizeof *configs);
    if (!configs) GO(COVER_ERROR_MEMORY);
    for (; made < count; made++)
        GO(translate(cudnn, cudnn->call.BackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[made]),
                     "list engines"));
    GO(translate(cudnn,
                 cudnn->call.BackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count,
                                                 &found, configs),
                 "list engines"));
    for (int64_t i = 0; i < found && i < count && !serves; i++) {
        GO(try_engine(&serves, plan, cudnn, configs[i]));
        if (serves) keep(plan, configs[i]), configs[i] = NULL;
    }
done:
    for (int64_t i = 0; i < made; i++)
        if (configs[i]) cudnn->call.BackendDestroyDescriptor(configs[i]);
    memory_free(cudnn->context, configs);
    cudnn->call.BackendDestroyDescriptor(heuristics);
    return status;
}

/* ---- plans */

static void plan_destroy(struct cudnn_plan *plan, const struct cudnn *cudnn) {
    if (!plan) return;
    while (plan->count > 0) cudnn->call.BackendDestroyDescriptor(plan->parts[--plan->count]);
    memory_free(cudnn->context, plan);
}

/* An operation that cuDNN refuses to describe is one that it has no engine for. */
static cover_status plan_make(struct cudnn_plan **made, const struct cudnn *cudnn, const struct cudnn_key *key) {
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    struct cudnn_plan *plan = memory_zero(cudnn->context, sizeof *plan);
    descriptor graph = NULL;
    if (!plan) return COVER_ERROR_MEMORY;
    plan->key = *key;
    cover_status status = make_graph(&graph, plan, cudnn);
    for (int m = 0; m < 2 && status == COVER_OK && !plan->execution; m++) status = choose(plan, cudnn, graph, modes[m]);
    if (status == COVER_ERROR_UNSUPPORTED) status = COVER_OK;
    if (status != COVER_OK) plan_destroy(plan, cudnn);
    else *made = plan;
    return status;
}

static bool same(const struct cudnn_key *a, const struct cudnn_key *b) {
    return a->pass == b->pass && grid_same(&a->grid, &b->grid) && a->images == b->images && a->c_in == b->c_in &&
           a->c_out == b->c_out && a->kernel == b->kernel && a->in == b->in && a->out == b->out && a->bias == b->bias;
}

cover_status cudnn_plan_find(const struct cudnn_plan **found, struct cudnn *cudnn, const struct cudnn_key *key) {
    cover_status status = COVER_OK;
    pthread_mutex_lock(&cudnn->lock);
    struct cudnn_plan *plan = cudnn->plans;
    while (plan && !same(&plan->key, key)) plan = plan->next;
    if (!plan) {
        GO(plan_make(&plan, cudnn, key));
        plan->next = cudnn->plans, cudnn->plans = plan;
    }
    *found = plan->execution ? plan : NULL;
done:
    pthread_mutex_unlock(&cudnn->lock);
    return status;
}

int cudnn_plans(struct cudnn *cudnn) {
    int count = 0;
    pthread_mutex_lock(&cudnn->lock);
    for (const struct cudnn_plan *plan = cudnn->plans; plan; plan = plan->next) count += plan->execution != NULL;
    pthread_mutex_unlock(&cudnn->lock);
    return count;
}
size_t cudnn_plan_workspace(const struct cudnn_plan *plan) { return plan->workspace_bytes; }
const char *cudnn_plan_text(const struct cudnn_plan *plan) { return plan->text; }

cover_status cudnn_plan_run(struct cudnn *cudnn, const struct cudnn_plan *plan, cuda_stream stream,
                            void *const data[CUDNN_OPERANDS], void *workspace) {
    const int64_t uids[CUDNN_OPERANDS] = {CUDNN_X + 1, CUDNN_WEIGHTS + 1, CUDNN_Y + 1, CUDNN_BIAS + 1};
    const int64_t operands = plan->key.bias ? CUDNN_OPERANDS : CUDNN_BIAS;
    descriptor variant = NULL;
    cover_status status;
    if (!cudnn->handle) return fail(COVER_ERROR_UNSUPPORTED, "a plan made without a device cannot be run");
    pthread_mutex_lock(&cudnn->lock);
    GO(DESCRIBE(&variant, cudnn, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "name a plan's operands",
                {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, operands, uids},
                {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, operands, data},
                {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace}));
    GO(translate(cudnn, cudnn->call.SetStream(cudnn->handle, stream), "take a stream"));
    GO(translate(cudnn, cudnn->call.BackendExecute(cudnn->handle, plan->execution, variant), "run a convolution"));
done:
    if (variant) cudnn->call.BackendDestroyDescriptor(variant);
    pthread_mutex_unlock(&cudnn->lock);
    return status;
}

/* ---- the handle */

static cover_status create(struct cudnn **made, cover_context *context, const struct device *device) {
    struct cudnn *cudnn = memory_zero(context, sizeof *cudnn);
    if (!cudnn) return COVER_ERROR_MEMORY;
    cudnn->context = context;
    cudnn->deterministic = device->deterministic, cudnn->tf32 = device->tf32, cudnn->processors = device->processors;
    cudnn->workspace_limit = (size_t)(device->memory_bytes / WORKSPACE_SHARE);
    pthread_mutex_init(&cudnn->lock, NULL);
    cover_status status = cudnn_library_open(&cudnn->call);
    if (status != COVER_OK) cudnn_destroy(cudnn);
    else *made = cudnn;
    return status;
}

cover_status cudnn_create(struct cudnn **out, const struct device *device) {
    struct cudnn *cudnn;
    TRY(create(&cudnn, device->context, device));
    cover_status status = translate(cudnn, cudnn->call.Create(&cudnn->handle), "be started on this device");
    if (status != COVER_OK) cudnn_destroy(cudnn);
    else *out = cudnn;
    return status;
}

cover_status cudnn_create_offline(struct cudnn **out, cover_context *context, const char *properties, const struct device *like) {
    struct cudnn *cudnn;
    TRY(create(&cudnn, context, like));
    cover_status status =
        DESCRIBE(&cudnn->properties, cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "take the description of a device",
                 {CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(properties), properties});
    if (status != COVER_OK) cudnn_destroy(cudnn);
    else *out = cudnn;
    return status;
}

void cudnn_destroy(struct cudnn *cudnn) {
    if (!cudnn) return;
    for (struct cudnn_plan *plan = cudnn->plans, *next; plan; plan = next) next = plan->next, plan_destroy(plan, cudnn);
    if (cudnn->properties) cudnn->call.BackendDestroyDescriptor(cudnn->properties);
    if (cudnn->handle) cudnn->call.Destroy(cudnn->handle);
    pthread_mutex_destroy(&cudnn->lock);
    memory_free(cudnn->context, cudnn);
}
int cudnn_version(const struct cudnn *cudnn) { return (int)cudnn->call.GetVersion(); }
