/* cover_tensor: memory of any dtype and strides (include/libcover/tensor.h), and its way to channels-last float32 and
 * back.  Called at every public call that takes or gives pixels. */
#include "tensor.h"

#include "convert.h"

#include <stdio.h>
#include <string.h>

static const struct dtype_row {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [COVER_U8] = {"u8", 1},   [COVER_U16] = {"u16", 2}, [COVER_I16] = {"i16", 2},   [COVER_I32] = {"i32", 4},
    [COVER_I64] = {"i64", 8}, [COVER_F16] = {"f16", 2}, [COVER_BF16] = {"bf16", 2}, [COVER_F32] = {"f32", 4},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static bool known_dtype(cover_dtype dtype) { return (unsigned)dtype < DTYPES; }
size_t cover_dtype_bytes(cover_dtype dtype) { return known_dtype(dtype) ? dtypes[dtype].bytes : 0; }
const char *cover_dtype_name(cover_dtype dtype) { return known_dtype(dtype) ? dtypes[dtype].name : "unknown dtype"; }

const char *tensor_shape_text(char *text, int rank, const int64_t *shape) {
    size_t used = (size_t)snprintf(text, 128, "(");
    for (int i = 0; i < rank && i < COVER_MAX_RANK; i++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(text + used, 128 - used, ")");
    return text;
}

static bool multiply_signed(int64_t a, int64_t b, int64_t *product) { return !__builtin_mul_overflow(a, b, product); }

/* Fill a tensor's dtype, shape and strides after checking them; *bytes: what a contiguous one takes. */
static cover_status describe(cover_tensor *tensor, cover_context *context, cover_dtype dtype, int rank, const int64_t *shape,
                             const int64_t *strides, int64_t *bytes) {
    if (!context || !shape) return fail(COVER_ERROR_ARGUMENT, "tensor: context and shape may not be NULL");
    if (!known_dtype(dtype)) return fail(COVER_ERROR_ARGUMENT, "tensor: dtype %d is not one of cover_dtype", (int)dtype);
    if (rank < 1 || rank > COVER_MAX_RANK) return fail(COVER_ERROR_ARGUMENT, "tensor: rank is %d; use 1..%d", rank, COVER_MAX_RANK);
    *tensor = (cover_tensor){.context = context, .dtype = dtype, .rank = rank};
    char text[128];
    int64_t dense = 1, element = (int64_t)dtypes[dtype].bytes, low = 0, high = 0;
    for (int i = rank - 1; i >= 0; i--) {
        if (shape[i] < 1)
            return fail(COVER_ERROR_SHAPE, "tensor: shape %s: every size must be at least 1", tensor_shape_text(text, rank, shape));
        int64_t extent;
        tensor->shape[i] = shape[i];
        tensor->strides[i] = strides ? strides[i] : dense;
        if (!multiply(dense, shape[i], &dense) || !multiply_signed(shape[i] - 1, tensor->strides[i], &extent) ||
            !multiply_signed(extent, element, &extent) ||
            __builtin_add_overflow(extent < 0 ? low : high, extent, extent < 0 ? &low : &high))
            return fail(COVER_ERROR_SHAPE, "tensor: shape %s: more bytes than memory has addresses",
                        tensor_shape_text(text, rank, shape));
    }
    if (!multiply(dense, element, bytes))
        return fail(COVER_ERROR_SHAPE, "tensor: shape %s: more bytes than memory has addresses",
                    tensor_shape_text(text, rank, shape));
    return COVER_OK;
}

static void release_own(void *user, void *data) { memory_free(user, data); }

cover_status cover_tensor_create(cover_tensor **out, cover_context *context, cover_dtype dtype, int rank, const int64_t *shape) {
    if (!out) return fail(COVER_ERROR_ARGUMENT, "cover_tensor_create: the out-parameter is NULL");
    cover_tensor tensor;
    int64_t bytes;
    TRY(describe(&tensor, context, dtype, rank, shape, NULL, &bytes));
    void *data = memory_zero(context, (size_t)bytes);
    if (!data) return COVER_ERROR_MEMORY;
    cover_status status = cover_tensor_adopt(out, context, dtype, rank, shape, NULL, data, release_own, context);
    if (status != COVER_OK) memory_free(context, data);
    return status;
}

cover_status cover_tensor_wrap(cover_tensor **out, cover_context *context, cover_dtype dtype, int rank, const int64_t *shape,
                               const int64_t *strides, void *data) {
    return cover_tensor_adopt(out, context, dtype, rank, shape, strides, data, NULL, NULL);
}

cover_status cover_tensor_view(cover_tensor **out, cover_context *context, cover_dtype dtype, int rank, const int64_t *shape,
                               const int64_t *strides, const void *data) {
    TRY(cover_tensor_wrap(out, context, dtype, rank, shape, strides, (void *)data)); /* read_only keeps what the cast takes away */
    (*out)->read_only = true;
    return COVER_OK;
}

cover_status cover_tensor_adopt(cover_tensor **out, cover_context *context, cover_dtype dtype, int rank, const int64_t *shape,
                                const int64_t *strides, void *data, void (*release)(void *user, void *data), void *user) {
    if (!out || !data) return fail(COVER_ERROR_ARGUMENT, "tensor: out-parameter and data may not be NULL");
    cover_tensor tensor;
    int64_t bytes;
    TRY(describe(&tensor, context, dtype, rank, shape, strides, &bytes));
    tensor.data = tensor.held = data, tensor.release = release, tensor.user = user;
    cover_tensor *made = handle_make(context, sizeof tensor);
    if (!made) return COVER_ERROR_MEMORY;
    *made = tensor;
    *out = made;
    return COVER_OK;
}

void cover_tensor_destroy(cover_tensor *tensor) {
    if (!tensor) return;
    if (tensor->release) tensor->release(tensor->user, tensor->held);
    handle_free(tensor->context, tensor);
}

cover_dtype cover_tensor_dtype(const cover_tensor *tensor) { return tensor ? tensor->dtype : COVER_U8; }
int cover_tensor_rank(const cover_tensor *tensor) { return tensor ? tensor->rank : 0; }
const int64_t *cover_tensor_shape(const cover_tensor *tensor) { return tensor ? tensor->shape : NULL; }
const int64_t *cover_tensor_strides(const cover_tensor *tensor) { return tensor ? tensor->strides : NULL; }
void *cover_tensor_data(cover_tensor *tensor) { return tensor && !tensor->read_only ? tensor->data : NULL; }
const void *cover_tensor_data_const(const cover_tensor *tensor) { return tensor ? tensor->data : NULL; }

/* ---- copies */

struct axis {
    int64_t size, target, source; /* strides in elements */
};

/* Axes of both tensors with those of size 1 left out and neighbours that are one run in both merged; at least one. */
static int merge_axes(struct axis axes[COVER_MAX_RANK], const cover_tensor *target, const cover_tensor *source) {
    int count = 0;
    for (int i = 0; i < target->rank; i++) {
        struct axis next = {target->shape[i], target->strides[i], source->strides[i]};
        if (next.size == 1) continue;
        struct axis *last = count ? &axes[count - 1] : NULL;
        int64_t target_run, source_run;
        if (last && multiply_signed(next.target, next.size, &target_run) && target_run == last->target &&
            multiply_signed(next.source, next.size, &source_run) && source_run == last->source)
            *last = (struct axis){last->size * next.size, next.target, next.source};
        else axes[count++] = next;
    }
    if (!count) axes[count++] = (struct axis){1, 1, 1};
    return count;
}

static void copy_elements(const cover_tensor *target, const cover_tensor *source) {
    struct axis axes[COVER_MAX_RANK];
    int outer = merge_axes(axes, target, source) - 1;
    const struct axis *run = &axes[outer];
    int64_t index[COVER_MAX_RANK] = {0}, to_bytes = (int64_t)dtypes[target->dtype].bytes,
            from_bytes = (int64_t)dtypes[source->dtype].bytes;
    char *to = target->data;
    const char *from = source->data;
    for (;;) {
        convert_run(to, target->dtype, run->target, from, source->dtype, run->source, run->size);
        int i = outer - 1;
        for (; i >= 0; i--) { /* the next run, like an odometer */
            to += axes[i].target * to_bytes, from += axes[i].source * from_bytes;
            if (++index[i] < axes[i].size) break;
            to -= axes[i].size * axes[i].target * to_bytes, from -= axes[i].size * axes[i].source * from_bytes;
            index[i] = 0;
        }
        if (i < 0) return;
    }
}

cover_status cover_tensor_copy(cover_tensor *target, const cover_tensor *source) {
    if (!target || !source) return fail(COVER_ERROR_ARGUMENT, "cover_tensor_copy: an argument is NULL");
    if (target->read_only) return fail(COVER_ERROR_ARGUMENT, "cover_tensor_copy: the target is a view of memory that is only read");
    if (target->rank != source->rank || memcmp(target->shape, source->shape, sizeof target->shape) != 0) {
        char to[128], from[128];
        return fail(COVER_ERROR_SHAPE, "cover_tensor_copy: the target is %s, but the source is %s",
                    tensor_shape_text(to, target->rank, target->shape), tensor_shape_text(from, source->rank, source->shape));
    }
    copy_elements(target, source);
    return COVER_OK;
}

/* ---- channels last */

cover_status tensor_layout(struct tensor_layout *layout, const cover_tensor *tensor, int dims, const char *what) {
    int rank = tensor->rank, batch = rank - dims - 1;
    if (batch != 0 && batch != 1) {
        char text[128];
        return fail(COVER_ERROR_SHAPE, "%s: shape %s; (C, %sH, W) or (N, C, %sH, W) is expected for %dD images", what,
                    tensor_shape_text(text, rank, tensor->shape), dims == 3 ? "D, " : "", dims == 3 ? "D, " : "", dims);
    }
    *layout = (struct tensor_layout){
        .images = batch ? tensor->shape[0] : 1, .channels = tensor->shape[batch], .grid = {.ndim = dims, .size = {1, 1, 1}}};
    for (int i = 0; i < dims; i++) layout->grid.size[3 - dims + i] = tensor->shape[batch + 1 + i];
    return COVER_OK;
}

/* Strides of (N, C, axes) or (C, axes) over channels-last memory. */
static void channels_last_strides(int64_t *strides, int rank, const int64_t *shape, int dims) {
    int channel = rank - dims - 1;
    int64_t step = shape[channel];
    strides[channel] = 1;
    for (int i = rank - 1; i > channel; i--) strides[i] = step, step *= shape[i];
    if (channel == 1) strides[0] = step;
}

static cover_status channels_last_view(cover_tensor *view, const cover_tensor *tensor, float *values, int dims) {
    struct tensor_layout layout;
    TRY(tensor_layout(&layout, tensor, dims, "tensor"));
    *view = *tensor;
    view->dtype = COVER_F32, view->data = values;
    channels_last_strides(view->strides, view->rank, view->shape, dims);
    return COVER_OK;
}

cover_status tensor_to_channels_last(float *values, const cover_tensor *tensor, int dims) {
    cover_tensor view;
    TRY(channels_last_view(&view, tensor, values, dims));
    copy_elements(&view, tensor);
    return COVER_OK;
}

cover_status tensor_from_channels_last(cover_tensor *tensor, const float *values, int dims) {
    cover_tensor view;
    TRY(channels_last_view(&view, tensor, (float *)values, dims)); /* the view is only read */
    copy_elements(tensor, &view);
    return COVER_OK;
}

cover_status tensor_adopt_channels_last(cover_tensor **out, cover_context *context, float *values,
                                        const struct tensor_layout *layout) {
    int dims = layout->grid.ndim, rank = dims + 2;
    int64_t shape[COVER_MAX_RANK] = {layout->images, layout->channels}, strides[COVER_MAX_RANK];
    for (int i = 0; i < dims; i++) shape[2 + i] = grid_axis(&layout->grid, i);
    channels_last_strides(strides, rank, shape, dims);
    return cover_tensor_adopt(out, context, COVER_F32, rank, shape, strides, values, release_own, context);
}
