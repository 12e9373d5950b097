/* Host double of cuDNN's graph API: convolutions, their gradients and an added bias, channels last.  It is stricter than cuDNN
 * where a slip would pass there unseen: every attribute's type and count, required ones, order of finalizing, dense strides, each
 * operand named once, aligned and in device memory.  Its engines differ as cuDNN's do (notes, workspace, plans that cannot be
 * made after all). Work is put into the handle's stream, with the operands that the variant pack had then. */
#include <cudasim.h>
#include <cudasim_cudnn.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

using std::shared_ptr;
using std::vector;
using attribute_name = cudnnBackendAttributeName_t;
using attribute_type = cudnnBackendAttributeType_t;
using descriptor_type = cudnnBackendDescriptorType_t;

/* ---- state of the process */

static std::mutex lock;
static unsigned refusals;
static int calls, failing;
static cudnnStatus_t failing_status;
static thread_local char message[512];

static cudnnStatus_t refuse(cudnnStatus_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));
static cudnnStatus_t refuse(cudnnStatus_t status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    return status;
}
#define CHECK(condition, status, ...)                                                                                              \
    do {                                                                                                                           \
        if (!(condition)) return refuse(status, __VA_ARGS__);                                                                      \
    } while (0)
#define PASS_ON(call)                                                                                                              \
    do {                                                                                                                           \
        cudnnStatus_t passed = (call);                                                                                             \
        if (passed != CUDNN_STATUS_SUCCESS) return passed;                                                                         \
    } while (0)
/* At the head of every call that may fail; holds the lock to its end. */
#define ENTER()                                                                                                                    \
    std::lock_guard<std::mutex> hold(lock);                                                                                        \
    if (++calls == failing) return refuse(failing_status, "the test wants this call to fail")

/* ---- descriptors */

enum { POINTER_BYTES = sizeof(void *), ENGINES = 8, MOST_DIMENSIONS = 8 };
static size_t bytes_of(attribute_type type) {
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
        return 1;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    default:
        return 4;
    }
}

/* What an attribute takes: `part` is the type of a descriptor that is its value (-1: no descriptor, -2: any operation). */
struct rule {
    descriptor_type owner;
    attribute_name name;
    attribute_type type;
    int64_t least, most;
    bool required;
    int part;
};
enum { NO_PART = -1, ANY_OPERATION = -2 };
#define CONVOLUTION_RULES(OWNER, PREFIX, X, W, Y)                                                                                  \
    {OWNER, PREFIX##_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, true, NO_PART}, {OWNER, PREFIX##_BETA, CUDNN_TYPE_FLOAT, 1, 1, true, NO_PART}, \
        {OWNER, PREFIX##_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR},              \
        {OWNER, PREFIX##_##X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true, CUDNN_BACKEND_TENSOR_DESCRIPTOR},                         \
        {OWNER, PREFIX##_##W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true, CUDNN_BACKEND_TENSOR_DESCRIPTOR}, {                       \
        OWNER, PREFIX##_##Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true, CUDNN_BACKEND_TENSOR_DESCRIPTOR                            \
    }
static const rule rules[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, 5, true, NO_PART},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, 5, true, NO_PART},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, false, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, 3, true, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, 3, true, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, 3, true, NO_PART},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, 3, true, NO_PART},
    CONVOLUTION_RULES(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD, X, W, Y),
    CONVOLUTION_RULES(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA, DX,
                      W, DY),
    CONVOLUTION_RULES(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER,
                      X, DW, DY),
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
     1, true, CUDNN_BACKEND_POINTWISE_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, false,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 2, true,
     ANY_OPERATION},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, true, NO_PART},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_ENGINECFG_DESCRIPTOR},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, 8, true, NO_PART},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, 8, true, NO_PART},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, false, NO_PART},
};

struct engine {
    int index;
    vector<cudnnBackendNumericalNote_t> notes;
    int64_t workspace;
    bool plannable;
};
/* A convolution in plain numbers. */
struct problem {
    descriptor_type pass;
    int axes;
    int64_t images, size[3], c_in, c_out, kernel, before[3];
    cudnnDataType_t x, weights, y;               /* of the operands */
    int64_t uid_x, uid_weights, uid_y, uid_bias; /* bias: 0 = none */
    bool converted;                              /* an identity stands behind */
};
static int alive;
struct descriptor {
    descriptor_type type;
    bool finalized = false;
    std::map<attribute_name, vector<char>> values;
    std::map<attribute_name, vector<shared_ptr<descriptor>>> parts;
    problem what{}; /* of a graph and all that comes of it */
    engine how{};   /* of an engine, its configuration, its plan */
    explicit descriptor(descriptor_type t) : type(t) { alive++; }
    ~descriptor() { alive--; }
    template <typename T> T get(attribute_name name, size_t i = 0) const {
        T value{};
        auto at = values.find(name);
        if (at != values.end() && at->second.size() >= (i + 1) * sizeof value)
            memcpy(&value, at->second.data() + i * sizeof value, sizeof value);
        return value;
    }
    size_t count(attribute_name name, size_t size) const {
        auto at = values.find(name);
        return at == values.end() ? 0 : at->second.size() / size;
    }
    const descriptor *part(attribute_name name, size_t i = 0) const {
        auto at = parts.find(name);
        return at != parts.end() && at->second.size() > i ? at->second[i].get() : nullptr;
    }
};
/* What the caller holds; parts of others live on, as cuDNN's do. */
static std::map<void *, shared_ptr<descriptor>> held;
static descriptor *find(cudnnBackendDescriptor_t given) {
    auto at = held.find(given);
    return at == held.end() ? nullptr : at->second.get();
}

struct cudnnContext {
    cudaStream_t stream = nullptr;
};
static std::set<cudnnHandle_t> handles;

/* ---- finalizing */

static cudnnStatus_t finish_tensor(descriptor *d) {
    const size_t rank = d->count(CUDNN_ATTR_TENSOR_DIMENSIONS, 8);
    CHECK(rank == d->count(CUDNN_ATTR_TENSOR_STRIDES, 8), CUDNN_STATUS_BAD_PARAM, "a stride for each dimension");
    int64_t expected = d->get<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, 1);
    for (size_t a = 0; a < rank; a++)
        CHECK(d->get<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, a) > 0, CUDNN_STATUS_BAD_PARAM, "dimension %zu is not positive", a);
    CHECK(d->get<int64_t>(CUDNN_ATTR_TENSOR_STRIDES, 1) == 1, CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "channels are not last");
    for (size_t a = rank - 1; a != 1; a = a == 2 ? 0 : a - 1) {
        CHECK(d->get<int64_t>(CUDNN_ATTR_TENSOR_STRIDES, a) == expected, CUDNN_STATUS_NOT_SUPPORTED_LAYOUT,
              "stride %zu is not dense", a);
        expected *= d->get<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, a);
        if (a == 0) break;
    }
    const cudnnDataType_t type = d->get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
    CHECK(type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16, CUDNN_STATUS_NOT_SUPPORTED, "neither float32 nor bfloat16");
    CHECK(d->get<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT) >= 16, CUDNN_STATUS_BAD_PARAM, "not aligned for vector loads");
    CHECK(d->get<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID) > 0, CUDNN_STATUS_BAD_PARAM, "no unique id");
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t finish_convolution(descriptor *d) {
    const size_t axes = (size_t)d->get<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
    CHECK(axes == 2 || axes == 3, CUDNN_STATUS_NOT_SUPPORTED, "%zu axes", axes);
    for (attribute_name name : {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
                                CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES})
        CHECK(d->count(name, 8) == axes, CUDNN_STATUS_BAD_PARAM, "attribute %d has not a value an axis", name);
    for (size_t a = 0; a < axes; a++)
        CHECK(d->get<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS, a) == 1 &&
                  d->get<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, a) == 1 &&
                  d->get<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, a) >= 0,
              CUDNN_STATUS_NOT_SUPPORTED, "dilated or strided");
    CHECK(d->get<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_FLOAT, CUDNN_STATUS_NOT_SUPPORTED,
          "sums not in float32");
    CHECK(d->get<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CROSS_CORRELATION, CUDNN_STATUS_NOT_SUPPORTED,
          "not a cross-correlation");
    return CUDNN_STATUS_SUCCESS;
}

static int64_t dimension(const descriptor *tensor, size_t a) { return tensor->get<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, a); }
static cudnnDataType_t type_of(const descriptor *tensor) { return tensor->get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE); }
static int64_t uid_of(const descriptor *tensor) { return tensor->get<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID); }
static bool is_virtual(const descriptor *tensor) { return tensor->get<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL); }

struct pass_names {
    descriptor_type type;
    attribute_name alpha, beta, convolution, x, weights, y;
};
#define PASS(TYPE, PREFIX, X, W, Y)                                                                                                \
    { TYPE, PREFIX##_ALPHA, PREFIX##_BETA, PREFIX##_CONV_DESC, PREFIX##_##X, PREFIX##_##W, PREFIX##_##Y }
static const pass_names passes[] = {
    PASS(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD, X, W, Y),
    PASS(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA, DX, W, DY),
    PASS(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER, X, DW, DY),
};
static const pass_names *names_of(descriptor_type type) {
    for (const pass_names &names : passes)
        if (names.type == type) return &names;
    return nullptr;
}

static cudnnStatus_t finish_pass(descriptor *d) {
    const pass_names &n = *names_of(d->type);
    const descriptor *x = d->part(n.x), *w = d->part(n.weights), *y = d->part(n.y), *c = d->part(n.convolution);
    const size_t rank = x->count(CUDNN_ATTR_TENSOR_DIMENSIONS, 8), axes = rank - 2;
    CHECK(d->get<float>(n.alpha) == 1 && d->get<float>(n.beta) == 0, CUDNN_STATUS_NOT_SUPPORTED, "alpha is not 1, or beta not 0");
    CHECK(w->count(CUDNN_ATTR_TENSOR_DIMENSIONS, 8) == rank && y->count(CUDNN_ATTR_TENSOR_DIMENSIONS, 8) == rank &&
              (size_t)c->get<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) == axes,
          CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "tensors and convolution have different ranks");
    CHECK(dimension(x, 0) == dimension(y, 0) && dimension(x, 1) == dimension(w, 1) && dimension(y, 1) == dimension(w, 0),
          CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "images or channels do not match");
    problem &p = d->what = {n.type,    (int)axes,  dimension(x, 0), {1, 1, 1},  dimension(x, 1), dimension(y, 1), dimension(w, 2),
                            {0, 0, 0}, type_of(x), type_of(w),      type_of(y), uid_of(x),       uid_of(w),       uid_of(y),
                            0,         false};
    for (size_t a = 0; a < axes; a++) {
        const int64_t before = c->get<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, a);
        const int64_t behind = c->get<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, a);
        CHECK(dimension(y, 2 + a) == dimension(x, 2 + a) + before + behind - (dimension(w, 2 + a) - 1),
              CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "axis %zu: sizes do not match", a);
        CHECK(dimension(y, 2 + a) == dimension(x, 2 + a) && dimension(w, 2 + a) == p.kernel, CUDNN_STATUS_NOT_SUPPORTED,
              "the double knows outputs of the input's size alone");
        p.size[3 - axes + a] = dimension(x, 2 + a), p.before[3 - axes + a] = before;
    }
    return CUDNN_STATUS_SUCCESS;
}
/* An added bias, or the identity, which may convert. */
static cudnnStatus_t finish_pointwise(descriptor *d) {
    const descriptor *x = d->part(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), *b = d->part(CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
                     *y = d->part(CUDNN_ATTR_OPERATION_POINTWISE_YDESC),
                     *how = d->part(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const cudnnPointwiseMode_t mode = how->get<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
    CHECK((mode == CUDNN_POINTWISE_ADD || mode == CUDNN_POINTWISE_IDENTITY) &&
              how->get<cudnnDataType_t>(CUDNN_ATTR_POINTWISE_MATH_PREC) == CUDNN_DATA_FLOAT,
          CUDNN_STATUS_NOT_SUPPORTED, "neither an addition nor the identity in float32");
    CHECK((mode == CUDNN_POINTWISE_ADD) == (b != nullptr), CUDNN_STATUS_BAD_PARAM,
          "a second operand of the identity, or none of an addition");
    CHECK(!is_virtual(y), CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "what comes out is virtual");
    for (size_t a = 0; a < x->count(CUDNN_ATTR_TENSOR_DIMENSIONS, 8); a++)
        CHECK(dimension(x, a) == dimension(y, a) && (!b || dimension(b, a) == (a == 1 ? dimension(x, 1) : 1)),
              CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "axis %zu: sizes do not match", a);
    CHECK(!b || (type_of(b) == CUDNN_DATA_FLOAT && !is_virtual(b)), CUDNN_STATUS_NOT_SUPPORTED, "a bias not in float32");
    return CUDNN_STATUS_SUCCESS;
}
/* The tensor that a pass writes. */
static const descriptor *written(const descriptor *pass) {
    const pass_names &n = *names_of(pass->type);
    return pass->part(pass->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? n.y
                      : pass->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? n.x
                                                                                                   : n.weights);
}
static cudnnStatus_t finish_graph(descriptor *d) {
    const descriptor *first = d->part(CUDNN_ATTR_OPERATIONGRAPH_OPS), *second = d->part(CUDNN_ATTR_OPERATIONGRAPH_OPS, 1);
    CHECK(handles.count(d->get<cudnnHandle_t>(CUDNN_ATTR_OPERATIONGRAPH_HANDLE)), CUDNN_STATUS_BAD_PARAM, "no such handle");
    const pass_names *n = names_of(first->type);
    CHECK(n, CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "the first operation is no convolution");
    problem &p = d->what = first->what;
    const descriptor *sums = written(first);
    int virtuals = 0;
    for (attribute_name name : {n->x, n->weights, n->y}) virtuals += is_virtual(first->part(name));
    CHECK(virtuals == (second ? 1 : 0) && is_virtual(sums) == (second != nullptr), CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN,
          "virtual tensors in wrong places");
    if (!second) return CUDNN_STATUS_SUCCESS;
    CHECK(second->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN,
          "two convolutions in a graph");
    CHECK(second->part(CUDNN_ATTR_OPERATION_POINTWISE_XDESC) == sums && type_of(sums) == CUDNN_DATA_FLOAT,
          CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "the second operation does not read the convolution's sums in float32");
    const descriptor *bias = second->part(CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
                     *out = second->part(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    const bool weights = sums == first->part(n->weights), y = sums == first->part(n->y);
    CHECK(!bias || (y && !weights), CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "a bias behind a gradient");
    (weights ? p.weights : y ? p.y : p.x) = type_of(out);
    (weights ? p.uid_weights : y ? p.uid_y : p.uid_x) = uid_of(out);
    p.uid_bias = bias ? uid_of(bias) : 0, p.converted = !bias;
    return CUDNN_STATUS_SUCCESS;
}

/* Engines as cuDNN lists them, best first: some that must not be taken, one whose plan cannot be made, one too hungry. */
static vector<engine> engines_of(const problem &p, cudnnBackendHeurMode_t mode) {
    const bool weights = p.pass == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
               data = p.pass == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const cudnnDataType_t a = data ? p.y : p.x, b = weights ? p.y : p.weights, out = weights ? p.weights : data ? p.x : p.y;
    const bool half = a == CUDNN_DATA_BFLOAT16, odd = p.c_in % 8 || p.c_out % 8, mixed = half && out == CUDNN_DATA_FLOAT;
    if (a != b || (!half && out == CUDNN_DATA_BFLOAT16) || (mixed && !p.converted && !p.uid_bias) ||
        (refusals & CUDASIM_CUDNN_ALL) || (half && refusals & CUDASIM_CUDNN_HALF) ||
        (half && odd && refusals & CUDASIM_CUDNN_ODD_CHANNELS) || (mixed && !weights && refusals & CUDASIM_CUDNN_MIXED) ||
        (mixed && weights && refusals & (CUDASIM_CUDNN_MIXED | CUDASIM_CUDNN_FLOAT_GRADIENTS)) ||
        (p.uid_bias && refusals & CUDASIM_CUDNN_BIAS))
        return {};
    if (mode == CUDNN_HEUR_MODE_FALLBACK) return {{0, {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP}, 0, true}};
    if (half)
        return {{7, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}, 0, true},
                {8, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, 0, true},
                {9, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 0, false},
                {10, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, (int64_t)1 << 50, true},
                {22, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 1000, true}};
    return {{47, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}, 0, true},
            {48, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 4000, true},
            {20, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, 0, true},
            {28, {}, 300, true}};
}
static cudnnStatus_t finish_heuristics(descriptor *d) {
    const cudnnBackendHeurMode_t mode = d->get<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE);
    CHECK(mode == CUDNN_HEUR_MODE_A || mode == CUDNN_HEUR_MODE_FALLBACK, CUDNN_STATUS_NOT_SUPPORTED, "heuristics %d", mode);
    d->what = d->part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)->what;
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t finish_plan(descriptor *d) {
    const descriptor *config = d->part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    CHECK(handles.count(d->get<cudnnHandle_t>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE)), CUDNN_STATUS_BAD_PARAM, "no such handle");
    CHECK(config->how.plannable, CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED, "engine %d does not compile here",
          config->how.index);
    d->what = config->what, d->how = config->how;
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t finish_pack(descriptor *d) {
    const size_t count = d->count(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 8);
    CHECK(count == d->count(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, 8), CUDNN_STATUS_BAD_PARAM, "a pointer for each id");
    std::set<int64_t> seen;
    for (size_t i = 0; i < count; i++)
        CHECK(seen.insert(d->get<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i)).second, CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES,
              "an id twice");
    return CUDNN_STATUS_SUCCESS;
}

static const struct finisher {
    descriptor_type type;
    cudnnStatus_t (*finish)(descriptor *);
} finishers[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, finish_tensor},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, finish_convolution},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, finish_pass},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, finish_pass},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, finish_pass},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, nullptr},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, finish_pointwise},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, finish_graph},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, finish_heuristics},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, finish_plan},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, finish_pack},
};

/* ---- computing: channels are the inner loops */

struct job {
    problem what;
    engine how;
    void *x, *weights, *y, *workspace;
    const float *bias;
};

static float as_float(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static uint16_t as_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
/* Float32 is rounded to TF32's ten bits by tensor cores. */
static vector<float> load(const void *from, cudnnDataType_t type, int64_t count, bool tensor_cores) {
    vector<float> values((size_t)count);
    for (int64_t i = 0; i < count; i++) {
        if (type == CUDNN_DATA_BFLOAT16) values[(size_t)i] = as_float(((const uint16_t *)from)[i]);
        else {
            uint32_t bits;
            memcpy(&bits, (const float *)from + i, sizeof bits);
            if (tensor_cores) bits = (bits + 0x1000) & ~0x1fffu;
            memcpy(&values[(size_t)i], &bits, sizeof bits);
        }
    }
    return values;
}
static void store(void *to, cudnnDataType_t type, const float *from, int64_t count, int64_t first) {
    for (int64_t i = 0; i < count; i++)
        if (type == CUDNN_DATA_BFLOAT16) ((uint16_t *)to)[first + i] = as_half(from[i]);
        else ((float *)to)[first + i] = from[i];
}

/* The pixel that tap t of pixel (z, y, x) reads, or -1. */
static int64_t tap_pixel(const problem &p, int64_t z, int64_t y, int64_t x, int64_t t, int64_t sign) {
    const int64_t k = p.kernel, deep = p.axes == 3 ? k : 1;
    z += sign * ((deep == 1 ? 0 : t / (k * k)) - p.before[0]), y += sign * (t / k % k - p.before[1]),
        x += sign * (t % k - p.before[2]);
    if (z < 0 || y < 0 || x < 0 || z >= p.size[0] || y >= p.size[1] || x >= p.size[2]) return -1;
    return (z * p.size[1] + y) * p.size[2] + x;
}

static void multiply_add(float *__restrict sums, float factor, const float *__restrict row, int64_t count) {
    for (int64_t i = 0; i < count; i++) sums[i] += factor * row[i];
}

/* out(p, to) = bias(to) + sum over taps and `from` of in(p +- tap, from) weights(tap, from, to) */
static void convolve(const job &j, void *out, cudnnDataType_t type, const vector<float> &in, const vector<float> &weights,
                     int64_t from, int64_t to, int64_t sign) {
    const problem &p = j.what;
    const int64_t taps = (p.axes == 3 ? p.kernel : 1) * p.kernel * p.kernel, pixels = p.size[0] * p.size[1] * p.size[2];
    vector<float> sums((size_t)to);
    for (int64_t image = 0; image < p.images; image++)
        for (int64_t pixel = 0; pixel < pixels; pixel++) {
            const int64_t x = pixel % p.size[2], y = pixel / p.size[2] % p.size[1], z = pixel / p.size[2] / p.size[1];
            std::fill(sums.begin(), sums.end(), 0.0f);
            for (int64_t t = 0; t < taps; t++) {
                const int64_t q = tap_pixel(p, z, y, x, t, sign);
                if (q < 0) continue;
                const float *row = &in[(size_t)((image * pixels + q) * from)], *w = &weights[(size_t)(t * from * to)];
                for (int64_t c = 0; c < from; c++) multiply_add(sums.data(), row[c], w + c * to, to);
            }
            if (j.bias) multiply_add(sums.data(), 1, j.bias, to);
            store(out, type, sums.data(), to, (image * pixels + pixel) * to);
        }
}

/* dw(o, tap, i) = sum over pixels of dy(p, o) x(p + tap, i): float32 along a row of the image, double from row to row. */
static void weight_gradient(const job &j, const vector<float> &in, const vector<float> &dy) {
    const problem &p = j.what;
    const int64_t taps = (p.axes == 3 ? p.kernel : 1) * p.kernel * p.kernel, rows = p.images * p.size[0] * p.size[1];
    const int64_t count = p.c_out * taps * p.c_in, pixels = p.size[0] * p.size[1] * p.size[2];
    vector<double> total((size_t)count);
    vector<float> sums((size_t)count);
    for (int64_t row = 0; row < rows; row++) {
        const int64_t y = row % p.size[1], z = row / p.size[1] % p.size[0], image = row / p.size[1] / p.size[0];
        for (int64_t x = 0; x < p.size[2]; x++)
            for (int64_t t = 0; t < taps; t++) {
                const int64_t q = tap_pixel(p, z, y, x, t, 1);
                if (q < 0) continue;
                const float *g = &dy[(size_t)((row * p.size[2] + x) * p.c_out)], *v = &in[(size_t)((image * pixels + q) * p.c_in)];
                for (int64_t o = 0; o < p.c_out; o++) multiply_add(&sums[(size_t)((o * taps + t) * p.c_in)], g[o], v, p.c_in);
            }
        for (int64_t i = 0; i < count; i++) total[(size_t)i] += sums[(size_t)i], sums[(size_t)i] = 0;
    }
    for (int64_t i = 0; i < count; i++) sums[(size_t)i] = (float)total[(size_t)i];
    store(j.weights, p.weights, sums.data(), count, 0);
}

/* (c_out, taps, c_in) as (taps, from, to) */
static vector<float> turn(const vector<float> &weights, const problem &p, int64_t taps, bool forward) {
    vector<float> turned(weights.size());
    for (int64_t o = 0; o < p.c_out; o++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < p.c_in; i++)
                turned[(size_t)(forward ? (t * p.c_in + i) * p.c_out + o : (t * p.c_out + o) * p.c_in + i)] =
                    weights[(size_t)((o * taps + t) * p.c_in + i)];
    return turned;
}

static cudaError_t run(void *user, int) {
    const job *j = (const job *)user;
    const problem &p = j->what;
    const int64_t taps = (p.axes == 3 ? p.kernel : 1) * p.kernel * p.kernel, rows = p.images * p.size[0] * p.size[1] * p.size[2];
    const int64_t weights = p.c_out * taps * p.c_in;
    const auto &notes = j->how.notes;
    const bool cores = std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE) != notes.end();
    if (j->how.workspace) memset(j->workspace, 0xff, (size_t)j->how.workspace); /* whoever has it too will see */
    if (p.pass == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        convolve(*j, j->y, p.y, load(j->x, p.x, rows * p.c_in, cores),
                 turn(load(j->weights, p.weights, weights, cores), p, taps, true), p.c_in, p.c_out, 1);
    else if (p.pass == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
        convolve(*j, j->x, p.x, load(j->y, p.y, rows * p.c_out, cores),
                 turn(load(j->weights, p.weights, weights, cores), p, taps, false), p.c_out, p.c_in, -1);
    else weight_gradient(*j, load(j->x, p.x, rows * p.c_in, cores), load(j->y, p.y, rows * p.c_out, cores));
    return cudaSuccess;
}
static void release(void *user) { delete (job *)user; }

/* ---- the calls */

static cudnnStatus_t in_device_memory(const void *pointer, int64_t bytes, int64_t alignment, const char *what) {
    CHECK(pointer, CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "%s is NULL", what);
    CHECK((uintptr_t)pointer % (uintptr_t)alignment == 0, CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "%s is not aligned", what);
    CHECK(cudasim_is_device(pointer, (size_t)bytes, -1), CUDNN_STATUS_EXECUTION_FAILED, "%s, %lld bytes, is not in device memory",
          what, (long long)bytes);
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t operand(void **found, const descriptor *pack, int64_t uid, int64_t count, cudnnDataType_t type,
                             const char *what) {
    const size_t ids = pack->count(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 8);
    for (size_t i = 0; i < ids; i++)
        if (pack->get<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) == uid) {
            *found = pack->get<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
            return in_device_memory(*found, count * (type == CUDNN_DATA_BFLOAT16 ? 2 : 4), 16, what);
        }
    return refuse(CUDNN_STATUS_BAD_PARAM, "%s is not named in the variant pack", what);
}

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }
const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch (CUDNN_STATUS_CATEGORY(status)) {
    case 0:
        return "CUDNN_STATUS_SUCCESS";
    case 1000:
        return "CUDNN_STATUS_NOT_INITIALIZED";
    case 2000:
        return "CUDNN_STATUS_BAD_PARAM";
    case 3000:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case 4000:
        return "CUDNN_STATUS_INTERNAL_ERROR";
    case 5000:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    }
    return "unknown status";
}
void cudnnGetLastErrorString(char *text, size_t bytes) {
    if (bytes) snprintf(text, bytes, "%s", message);
    message[0] = 0;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    ENTER();
    CHECK(handle, CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no place for a handle");
    *handle = new cudnnContext;
    handles.insert(*handle), alive++;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    std::lock_guard<std::mutex> hold(lock);
    CHECK(handles.erase(handle), CUDNN_STATUS_BAD_PARAM, "no such handle");
    delete handle, alive--;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    ENTER();
    CHECK(handles.count(handle), CUDNN_STATUS_BAD_PARAM, "no such handle");
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(descriptor_type type, cudnnBackendDescriptor_t *out) {
    ENTER();
    bool known = type == CUDNN_BACKEND_ENGINE_DESCRIPTOR || type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
    for (const finisher &row : finishers) known |= row.type == type;
    CHECK(out, CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no place for a descriptor");
    CHECK(known, CUDNN_STATUS_NOT_SUPPORTED, "the double knows no descriptor of type %d", type);
    auto made = std::make_shared<descriptor>(type);
    *out = made.get();
    held[*out] = made;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t given) {
    std::lock_guard<std::mutex> hold(lock);
    CHECK(held.erase(given), CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    return CUDNN_STATUS_SUCCESS;
}

static bool fits(const descriptor *part, int wanted) {
    if (wanted != ANY_OPERATION) return (int)part->type == wanted;
    return names_of(part->type) || part->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t given, attribute_name name, attribute_type type, int64_t count,
                                       const void *values) {
    ENTER();
    descriptor *d = find(given);
    CHECK(d, CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    CHECK(!d->finalized, CUDNN_STATUS_BAD_PARAM, "attribute %d of a finalized descriptor", name);
    const rule *r = nullptr;
    for (const rule &row : rules)
        if (row.owner == d->type && row.name == name) r = &row;
    CHECK(r, CUDNN_STATUS_BAD_PARAM, "a descriptor of type %d has no attribute %d", d->type, name);
    CHECK(r->type == type, CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d is of type %d, not %d", name, r->type, type);
    CHECK(count >= r->least && count <= r->most && values, CUDNN_STATUS_BAD_PARAM, "attribute %d: %lld values", name,
          (long long)count);
    d->values[name].assign((const char *)values, (const char *)values + (size_t)count * bytes_of(type));
    if (r->part == NO_PART) return CUDNN_STATUS_SUCCESS;
    d->parts[name].clear();
    for (int64_t i = 0; i < count; i++) {
        auto at = held.find(((const cudnnBackendDescriptor_t *)values)[i]);
        CHECK(at != held.end(), CUDNN_STATUS_BAD_PARAM, "attribute %d: no such descriptor", name);
        CHECK(at->second->finalized, CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d: a descriptor that is not finalized",
              name);
        CHECK(fits(at->second.get(), r->part), CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "attribute %d: a descriptor of type %d",
              name, at->second->type);
        d->parts[name].push_back(at->second);
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t given) {
    ENTER();
    descriptor *d = find(given);
    CHECK(d, CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    CHECK(!d->finalized, CUDNN_STATUS_BAD_PARAM, "finalized twice");
    for (const rule &row : rules)
        CHECK(row.owner != d->type || !row.required || d->values.count(row.name), CUDNN_STATUS_BAD_PARAM, "attribute %d is not set",
              row.name);
    const finisher *f = nullptr;
    for (const finisher &row : finishers)
        if (row.type == d->type) f = &row;
    CHECK(f, CUDNN_STATUS_BAD_PARAM, "a descriptor of type %d is not made by hand", d->type);
    if (f->finish) PASS_ON(f->finish(d));
    d->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}

/* What the caller has made room for is filled: configurations of heuristics, the engine of a configuration. */
static cudnnStatus_t hand_over(cudnnBackendDescriptor_t room, descriptor_type type, const problem &what, const engine &how) {
    descriptor *d = find(room);
    CHECK(d && d->type == type && !d->finalized, CUDNN_STATUS_BAD_PARAM, "no room for a descriptor of type %d", type);
    d->what = what, d->how = how, d->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const given, attribute_name name, attribute_type type,
                                       int64_t requested, int64_t *count, void *values) {
    ENTER();
    const descriptor *d = find(given);
    const auto is = [&](descriptor_type owner, attribute_name wanted, attribute_type of) {
        return d->type == owner && name == wanted && type == of;
    };
    CHECK(d, CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    CHECK(d->finalized, CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d asked of a descriptor that is not finalized", name);
    CHECK(requested >= 0 && (values || requested == 0), CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no room for attribute %d", name);
    int64_t found = 1;
    if (is(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR)) {
        const vector<engine> engines = engines_of(d->what, d->get<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE));
        found = (int64_t)engines.size();
        if (requested) found = std::min(found, requested);
        for (int64_t i = 0; i < std::min(found, requested); i++)
            PASS_ON(hand_over(((cudnnBackendDescriptor_t *)values)[i], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, d->what,
                              engines[(size_t)i]));
    } else if (is(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR) && requested == 1)
        PASS_ON(hand_over(*(cudnnBackendDescriptor_t *)values, CUDNN_BACKEND_ENGINE_DESCRIPTOR, d->what, d->how));
    else if (is(CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64) && requested == 1)
        *(int64_t *)values = d->how.index;
    else if (is(CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE)) {
        found = std::min(requested, (int64_t)d->how.notes.size());
        std::copy_n(d->how.notes.begin(), found, (cudnnBackendNumericalNote_t *)values);
    } else if (is(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64) &&
               requested == 1)
        *(int64_t *)values = d->how.workspace;
    else
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d of type %d of a descriptor of type %d cannot be asked for", name, type,
                      d->type);
    if (count) *count = found;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t given_plan, cudnnBackendDescriptor_t given_pack) {
    ENTER();
    const descriptor *plan = find(given_plan), *pack = find(given_pack);
    CHECK(handles.count(handle), CUDNN_STATUS_BAD_PARAM, "no such handle");
    CHECK(plan && plan->finalized && plan->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && pack && pack->finalized &&
              pack->type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
          CUDNN_STATUS_BAD_PARAM, "not a plan and a variant pack");
    CHECK(plan->get<cudnnHandle_t>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) == handle, CUDNN_STATUS_BAD_PARAM, "a plan of another handle");
    const problem &p = plan->what;
    const int64_t rows = p.images * p.size[0] * p.size[1] * p.size[2], taps = (p.axes == 3 ? p.kernel : 1) * p.kernel * p.kernel;
    auto work = std::make_unique<job>();
    void *bias = nullptr;
    work->what = p, work->how = plan->how;
    PASS_ON(operand(&work->x, pack, p.uid_x, rows * p.c_in, p.x, "x"));
    PASS_ON(operand(&work->weights, pack, p.uid_weights, p.c_out * taps * p.c_in, p.weights, "the weights"));
    PASS_ON(operand(&work->y, pack, p.uid_y, rows * p.c_out, p.y, "y"));
    if (p.uid_bias) PASS_ON(operand(&bias, pack, p.uid_bias, p.c_out, CUDNN_DATA_FLOAT, "the bias"));
    work->bias = (const float *)bias, work->workspace = pack->get<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    if (work->how.workspace) PASS_ON(in_device_memory(work->workspace, work->how.workspace, 256, "the workspace"));
    job *given = work.release();
    CHECK(cudasim_submit(handle->stream, "convolution", run, given, release) == cudaSuccess, CUDNN_STATUS_EXECUTION_FAILED,
          "the stream takes no work");
    return CUDNN_STATUS_SUCCESS;
}

/* ---- what tests say */

void cudasim_cudnn_refuse(unsigned wanted) {
    std::lock_guard<std::mutex> hold(lock);
    refusals = wanted;
}
void cudasim_cudnn_fail(int call, cudnnStatus_t status) {
    std::lock_guard<std::mutex> hold(lock);
    calls = 0, failing = call, failing_status = status;
}
int cudasim_cudnn_calls(void) {
    std::lock_guard<std::mutex> hold(lock);
    return calls;
}
int cudasim_cudnn_alive(void) {
    std::lock_guard<std::mutex> hold(lock);
    return alive;
}
