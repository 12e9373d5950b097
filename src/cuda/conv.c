/* Convolutions over cuDNN (contract in conv.h): which form serves each pass, and the copies around it.  cuDNN's tensors are dense
 * and of few combinations of types, so a source is joined, padded or converted on its way in (cuda_join), and a result on its way
 * out (cuda_split).  What a form multiplies is bfloat16 where either side is, else float32; sums are float32. */
#include "conv.h"

#include "cudnn.h"

#include <stdio.h>
#include <string.h>

static const struct form {
    const char *name;
    int multiple; /* of channels, on both sides */
    bool floats;  /* bfloat16 is multiplied as float32 */
} forms[] = {{"as it is", 1, false}, {"padded channels", 8, false}, {"float32", 1, true}};
enum { FORMS = sizeof forms / sizeof *forms, BLOCK = 256, CHOICES = 2 };

/* Offsets of a pass's parts of the workspace; cuDNN's own comes first. */
struct pass {
    const struct form *form; /* NULL: not wanted */
    const struct cudnn_plan *plan;
    struct cudnn_key key; /* what the plan computes */
    bool add_bias;        /* behind the plan */
    size_t packed;        /* its weights, in what cuda_conv_pack() writes */
    size_t x, y, weights, bias, sums, bytes;
};
struct cuda_conv {
    struct device *device;
    struct cuda_conv_shape shape;
    struct pass passes[CUDNN_PASSES];
    size_t packed_bytes, workspace_bytes;
};

static int64_t taps_of(const struct cuda_conv_shape *s) { return s->kernel == 1 ? 1 : s->grid.ndim == 2 ? 9 : 27; }
static int64_t rows_of(const struct cuda_conv_shape *s) { return s->images * grid_pixels(&s->grid); }
static size_t up(size_t bytes) { return (bytes + BLOCK - 1) / BLOCK * BLOCK; }
static size_t image_bytes(const struct cuda_conv_shape *s, int64_t channels, enum element element) {
    return up((size_t)(rows_of(s) * channels) * element_bytes(element));
}
static size_t weight_bytes(const struct pass *pass, const struct cuda_conv_shape *s, enum element element) {
    return up((size_t)(pass->key.c_out * taps_of(s) * pass->key.c_in) * element_bytes(element));
}

/* ---- preparing */

/* Sizes that no later product can overflow. */
static cover_status check(const struct cuda_conv_shape *s) {
    int64_t values = s->images, most = INT64_MAX / 1024, channels = s->c_in > s->c_out ? s->c_in : s->c_out;
    const int64_t *size = s->grid.size;
    bool good = s->images > 0 && ((s->grid.ndim == 2 && size[0] == 1) || s->grid.ndim == 3);
    good = good && s->c_in > 0 && s->c_out > 0 && (s->kernel == 1 || s->kernel == 3);
    good = good && s->c_second >= 0 && s->c_second < s->c_in && channels < INT32_MAX;
    for (int a = 0; a < 3 && good; a++)
        good = size[a] > 0 && size[a] < INT32_MAX && multiply(values, size[a], &values) && values < most;
    good = good && multiply(values, channels + 8, &values) && values < most && multiply(s->c_in + 8, s->c_out + 8, &values) &&
           values < most / 27;
    if (good) return COVER_OK;
    return fail(COVER_ERROR_SHAPE,
                "convolution %dD of %d images, %lld x %lld x %lld pixels, %lld -> %lld channels, kernel %d: sizes must be positive "
                "and addressable, the kernel 1 or 3",
                s->grid.ndim, s->images, (long long)size[0], (long long)size[1], (long long)size[2], (long long)s->c_in,
                (long long)s->c_out, s->kernel);
}

static int64_t padded(int64_t channels, int multiple) { return (channels + multiple - 1) / multiple * multiple; }

/* What a form asks of cuDNN.  Each pass may have a second choice: a bias added behind the plan, as not every engine takes one;
 * weight gradients of bfloat16 rounded once more, as not every engine writes them in float32.  False: it is the same as an
 * earlier one. */
static bool ask(struct pass *pass, const struct cuda_conv_shape *s, enum cudnn_pass which, const struct form *form, int choice) {
    const bool half = s->x == ELEMENT_BF16 || s->y == ELEMENT_BF16, forward = which == CUDNN_PASS_FORWARD;
    const enum element in = half && !form->floats ? ELEMENT_BF16 : ELEMENT_F32;
    const enum element out[CUDNN_PASSES] = {form->floats ? ELEMENT_F32 : s->y, in, choice ? in : ELEMENT_F32};
    *pass = (struct pass){.form = form,
                          .key = {.pass = which,
                                  .grid = s->grid,
                                  .images = s->images,
                                  .c_in = padded(s->c_in, form->multiple),
                                  .c_out = padded(s->c_out, form->multiple),
                                  .kernel = s->kernel,
                                  .in = in,
                                  .out = out[which],
                                  .bias = forward && s->bias && !choice},
                          .add_bias = forward && s->bias && choice};
    if (form->multiple > 1 && pass->key.c_in == s->c_in && pass->key.c_out == s->c_out) return false;
    if (form->floats && !half) return false;
    return !choice || pass->add_bias || (which == CUDNN_PASS_WEIGHTS && in == ELEMENT_BF16);
}

static bool joins(const struct pass *pass, const struct cuda_conv_shape *s, bool normed) {
    return normed || s->c_second > 0 || s->x != pass->key.in || s->c_in != pass->key.c_in;
}
static bool converts_dy(const struct pass *pass, const struct cuda_conv_shape *s) {
    return s->y != pass->key.in || s->c_out != pass->key.c_out;
}
static bool splits_y(const struct pass *pass, const struct cuda_conv_shape *s) {
    return s->y != pass->key.out || s->c_out != pass->key.c_out;
}
static bool splits_dx(const struct pass *pass, const struct cuda_conv_shape *s) {
    return s->c_second > 0 || s->x != pass->key.out || s->c_in != pass->key.c_in;
}

static size_t take(size_t *at, size_t bytes) {
    const size_t begin = *at;
    *at += bytes;
    return begin;
}
static void lay_out(struct pass *pass, const struct cuda_conv_shape *s) {
    const struct cudnn_key *k = &pass->key;
    size_t at = up(cudnn_plan_workspace(pass->plan));
    switch (k->pass) {
    case CUDNN_PASS_FORWARD:
        if (joins(pass, s, s->normed)) pass->x = take(&at, image_bytes(s, k->c_in, k->in));
        if (splits_y(pass, s)) pass->y = take(&at, image_bytes(s, k->c_out, k->out));
        if (s->bias && k->c_out != s->c_out) pass->bias = take(&at, up((size_t)k->c_out * sizeof(float)));
        break;
    case CUDNN_PASS_DATA:
        if (converts_dy(pass, s)) pass->y = take(&at, image_bytes(s, k->c_out, k->in));
        if (splits_dx(pass, s)) pass->x = take(&at, image_bytes(s, k->c_in, k->out));
        break;
    default:
        if (joins(pass, s, s->normed)) pass->x = take(&at, image_bytes(s, k->c_in, k->in));
        if (converts_dy(pass, s)) pass->y = take(&at, image_bytes(s, k->c_out, k->in));
        pass->weights = take(&at, weight_bytes(pass, s, k->out));
        pass->sums = take(&at, up(cuda_bias_grad_workspace(rows_of(s), s->c_out)));
    }
    pass->bytes = at;
}

static const char *const pass_names[CUDNN_PASSES] = {"forward", "gradient of the data", "gradient of the weights"};

static cover_status serve(struct cuda_conv *conv, enum cudnn_pass which) {
    const struct cuda_conv_shape *s = &conv->shape;
    struct pass *pass = &conv->passes[which];
    for (int i = 0; i < FORMS * CHOICES; i++) {
        if (!ask(pass, s, which, &forms[i / CHOICES], i % CHOICES)) continue;
        TRY(cudnn_plan_find(&pass->plan, conv->device->cudnn, &pass->key));
        if (!pass->plan) continue;
        lay_out(pass, s);
        return COVER_OK;
    }
    const int64_t *size = s->grid.size;
    const int version = cudnn_version(conv->device->cudnn);
    return fail(
        COVER_ERROR_UNSUPPORTED,
        "cuDNN %d.%d.%d has no engine on %s for a convolution's %s: %dD, %d images of %lld x %lld x %lld pixels, %lld -> %lld "
        "channels, kernel %d, %s%s; use another precision or use device=cpu",
        version / 10000, version / 100 % 100, version % 100, conv->device->name, pass_names[which], s->grid.ndim, s->images,
        (long long)size[0], (long long)size[1], (long long)size[2], (long long)s->c_in, (long long)s->c_out, s->kernel,
        s->y == ELEMENT_BF16 ? "bf16" : "fp32", conv->device->deterministic ? ", deterministic" : "");
}

/* Forward and data gradient read the same weights where they are in the same form. */
static bool shares_weights(const struct pass *a, const struct pass *b) {
    return a->form && b->form && a->key.in == b->key.in && a->key.c_in == b->key.c_in && a->key.c_out == b->key.c_out;
}
static void place_weights(struct cuda_conv *conv) {
    struct pass *forward = &conv->passes[CUDNN_PASS_FORWARD], *data = &conv->passes[CUDNN_PASS_DATA];
    if (forward->form) forward->packed = take(&conv->packed_bytes, weight_bytes(forward, &conv->shape, forward->key.in));
    if (shares_weights(forward, data)) data->packed = forward->packed;
    else if (data->form) data->packed = take(&conv->packed_bytes, weight_bytes(data, &conv->shape, data->key.in));
}

cover_status cuda_conv_create(struct cuda_conv **out, struct device *device, const struct cuda_conv_shape *shape) {
    const bool wanted[CUDNN_PASSES] = {shape->forward, shape->grad_data, shape->grad_weights};
    struct cuda_conv *conv;
    char text[512];
    cover_status status;
    TRY(check(shape));
    conv = memory_zero(device->context, sizeof *conv);
    if (!conv) return COVER_ERROR_MEMORY;
    conv->device = device, conv->shape = *shape;
    for (int p = 0; p < CUDNN_PASSES; p++) {
        if (!wanted[p]) continue;
        GO(serve(conv, p));
        if (conv->passes[p].bytes > conv->workspace_bytes) conv->workspace_bytes = conv->passes[p].bytes;
    }
    place_weights(conv);
    cuda_conv_describe(conv, text, sizeof text);
    log_line(device->context, COVER_LOG_DEBUG, "%s", text);
    *out = conv, conv = NULL;
    status = COVER_OK;
done:
    cuda_conv_destroy(conv);
    return status;
}

void cuda_conv_destroy(struct cuda_conv *conv) {
    if (conv) memory_free(conv->device->context, conv);
}
size_t cuda_conv_packed_bytes(const struct cuda_conv *conv) { return conv->packed_bytes; }
size_t cuda_conv_workspace_bytes(const struct cuda_conv *conv) { return conv->workspace_bytes; }

/* What a second choice changed, in words. */
static const char *remark(const struct pass *pass) {
    return pass->add_bias                                                          ? ", bias added behind"
           : pass->key.pass == CUDNN_PASS_WEIGHTS && pass->key.out == ELEMENT_BF16 ? ", written in bf16"
                                                                                   : "";
}
void cuda_conv_describe(const struct cuda_conv *conv, char *text, size_t bytes) {
    const struct cuda_conv_shape *s = &conv->shape;
    size_t at = 0;
    if (bytes == 0) return;
    at += (size_t)snprintf(text, bytes, "convolution %dD %lld -> %lld, kernel %d", s->grid.ndim, (long long)s->c_in,
                           (long long)s->c_out, s->kernel);
    for (int p = 0; p < CUDNN_PASSES && at < bytes; p++) {
        const struct pass *pass = &conv->passes[p];
        if (!pass->form) continue;
        at += (size_t)snprintf(text + at, bytes - at, "; %s: %s (%s%s)", pass_names[p], pass->form->name,
                               cudnn_plan_text(pass->plan), remark(pass));
    }
}

/* ---- running */

static cover_status prepared(const struct cuda_conv *conv, enum cudnn_pass which) {
    if (conv->passes[which].form) return COVER_OK;
    return fail(COVER_ERROR_INTERNAL, "a convolution's %s was not prepared", pass_names[which]);
}
static void *part(void *workspace, size_t offset) { return (char *)workspace + offset; }

cover_status cuda_conv_pack(const struct cuda_conv *conv, cuda_stream stream, void *packed, const float *weights) {
    const struct cuda_conv_shape *s = &conv->shape;
    const struct pass *forward = &conv->passes[CUDNN_PASS_FORWARD], *data = &conv->passes[CUDNN_PASS_DATA];
    const struct pass *passes[] = {forward, shares_weights(forward, data) ? NULL : data};
    for (int i = 0; i < 2; i++) {
        const struct pass *pass = passes[i];
        if (!pass || !pass->form) continue;
        CUDA_TRY(cuda_pack_weights(stream, part(packed, pass->packed), pass->key.in, pass->key.c_out, pass->key.c_in, weights,
                                   s->c_out, s->c_in, (int)taps_of(s)));
    }
    return COVER_OK;
}

/* x as the plan reads it: where it lies, or joined in the workspace. */
static cover_status gather(const void **x, const struct cuda_conv *conv, const struct pass *pass, cuda_stream stream,
                           const struct cuda_conv_source sources[CUDA_CONV_SOURCES], void *workspace) {
    const struct cuda_conv_shape *s = &conv->shape;
    const struct cudnn_key *k = &pass->key;
    const int64_t pixels = grid_pixels(&s->grid), first = s->c_in - s->c_second, zeros = k->c_in - s->c_in;
    *x = sources[0].x;
    if (!joins(pass, s, sources[0].norm != NULL)) return COVER_OK;
    if (!joins(pass, s, s->normed))
        return fail(COVER_ERROR_INTERNAL, "a convolution's source is normalised, but was not said to be");
    void *joined = part(workspace, pass->x);
    CUDA_TRY(cuda_join(stream, joined, k->in, k->c_in, 0, s->c_second ? 0 : zeros, sources[0].x, s->x, sources[0].norm, s->images,
                       pixels, first));
    if (s->c_second)
        CUDA_TRY(cuda_join(stream, joined, k->in, k->c_in, first, zeros, sources[1].x, s->x, sources[1].norm, s->images, pixels,
                           s->c_second));
    *x = joined;
    return COVER_OK;
}
/* dy likewise. */
static cover_status convert(const void **dy, const struct cuda_conv *conv, const struct pass *pass, cuda_stream stream,
                            const void *given, void *workspace) {
    const struct cuda_conv_shape *s = &conv->shape;
    const struct cudnn_key *k = &pass->key;
    *dy = given;
    if (!converts_dy(pass, s)) return COVER_OK;
    *dy = part(workspace, pass->y);
    CUDA_TRY(cuda_join(stream, part(workspace, pass->y), k->in, k->c_out, 0, k->c_out - s->c_out, given, s->y, NULL, s->images,
                       grid_pixels(&s->grid), s->c_out));
    return COVER_OK;
}

static cover_status run(const struct cuda_conv *conv, const struct pass *pass, cuda_stream stream, const void *x,
                        const void *weights, const void *y, const void *bias, void *workspace) {
    void *const data[CUDNN_OPERANDS] = {
        [CUDNN_X] = (void *)x, [CUDNN_WEIGHTS] = (void *)weights, [CUDNN_Y] = (void *)y, [CUDNN_BIAS] = (void *)bias};
    return cudnn_plan_run(conv->device->cudnn, pass->plan, stream, data, workspace);
}

cover_status cuda_conv_forward(const struct cuda_conv *conv, cuda_stream stream, void *y,
                               const struct cuda_conv_source x[CUDA_CONV_SOURCES], const void *packed, const float *bias,
                               void *workspace) {
    const struct cuda_conv_shape *s = &conv->shape;
    const struct pass *pass = &conv->passes[CUDNN_PASS_FORWARD];
    const struct cudnn_key *k = &pass->key;
    const void *read;
    TRY(prepared(conv, CUDNN_PASS_FORWARD));
    void *written = splits_y(pass, s) ? part(workspace, pass->y) : y;
    TRY(gather(&read, conv, pass, stream, x, workspace));
    if (s->bias && k->c_out != s->c_out) {
        float *longer = part(workspace, pass->bias);
        CUDA_TRY(cuda_join(stream, longer, ELEMENT_F32, k->c_out, 0, k->c_out - s->c_out, bias, ELEMENT_F32, NULL, 1, 1, s->c_out));
        bias = longer;
    }
    TRY(run(conv, pass, stream, read, (const char *)packed + pass->packed, written, bias, workspace));
    if (pass->add_bias) CUDA_TRY(cuda_add_bias(stream, written, k->out, bias, rows_of(s), k->c_out));
    if (written != y) CUDA_TRY(cuda_split(stream, y, s->y, s->c_out, written, k->out, k->c_out, 0, rows_of(s)));
    return COVER_OK;
}

cover_status cuda_conv_grad_data(const struct cuda_conv *conv, cuda_stream stream, void *const dx[CUDA_CONV_SOURCES],
                                 const void *dy, const void *packed, void *workspace) {
    const struct cuda_conv_shape *s = &conv->shape;
    const struct pass *pass = &conv->passes[CUDNN_PASS_DATA];
    const struct cudnn_key *k = &pass->key;
    const int64_t rows = rows_of(s), first = s->c_in - s->c_second;
    const void *read;
    TRY(prepared(conv, CUDNN_PASS_DATA));
    void *written = splits_dx(pass, s) ? part(workspace, pass->x) : dx[0];
    TRY(convert(&read, conv, pass, stream, dy, workspace));
    TRY(run(conv, pass, stream, written, (const char *)packed + pass->packed, read, NULL, workspace));
    if (written == dx[0]) return COVER_OK;
    if (dx[0]) CUDA_TRY(cuda_split(stream, dx[0], s->x, first, written, k->out, k->c_in, 0, rows));
    if (s->c_second && dx[1]) CUDA_TRY(cuda_split(stream, dx[1], s->x, s->c_second, written, k->out, k->c_in, first, rows));
    return COVER_OK;
}

cover_status cuda_conv_grad_weights(const struct cuda_conv *conv, cuda_stream stream, float *dweights, float *dbias,
                                    const struct cuda_conv_source x[CUDA_CONV_SOURCES], const void *dy, void *workspace) {
    const struct cuda_conv_shape *s = &conv->shape;
    const struct pass *pass = &conv->passes[CUDNN_PASS_WEIGHTS];
    const struct cudnn_key *k = &pass->key;
    const void *read_x, *read_dy;
    TRY(prepared(conv, CUDNN_PASS_WEIGHTS));
    if (dweights) {
        void *written = part(workspace, pass->weights);
        TRY(gather(&read_x, conv, pass, stream, x, workspace));
        TRY(convert(&read_dy, conv, pass, stream, dy, workspace));
        TRY(run(conv, pass, stream, read_x, written, read_dy, NULL, workspace));
        CUDA_TRY(cuda_unpack_weights(stream, dweights, s->c_out, s->c_in, (int)taps_of(s), written, k->out, k->c_out, k->c_in));
    }
    if (dbias) CUDA_TRY(cuda_bias_grad(stream, dbias, dy, s->y, rows_of(s), s->c_out, part(workspace, pass->sums)));
    return COVER_OK;
}
