/* The ordered list of forms of a convolution and the choice among them (contract in ../conv.h).  Called by the
 * executor. */
#include "border.h"

#include "../features.h"

#include <string.h>

static const struct conv_form *const forms[] = {
#ifdef HAVE_AVX512_BF16
    &conv_thin_avx512_bf16,
#endif
#ifdef __x86_64__
    &conv_thin_avx512,
    &conv_thin_avx2,
#endif
    &conv_thin_generic,
#ifdef HAVE_ONEDNN
    &conv_onednn_amx,
#endif
#ifdef HAVE_AVX512_BF16
    &conv_winograd_avx512_bf16,
#endif
#ifdef __x86_64__
    &conv_winograd_avx512,
    &conv_winograd_avx2,
#endif
#ifdef HAVE_ONEDNN
    &conv_onednn,
#endif
#ifdef __x86_64__
    &conv_avx512,
    &conv_avx2,
#endif
    &conv_winograd_generic,
    &conv_generic,
    &conv_plain,
};
enum { FORMS = sizeof forms / sizeof *forms };

struct conv {
    cover_context *context;
    struct conv_shape shape;
    int passes; /* 1 without gradients, else CONV_PASSES */
    struct prepared prepared[CONV_PASSES];
    size_t packed_offset[CONV_PASSES], packed_bytes, scratch_bytes;
};

/* Sizes that no later product can overflow. */
static cover_status check(const struct conv_shape *s) {
    int64_t pixels = 1, most = INT64_MAX / 1024, channels = s->c_in > s->c_out ? s->c_in : s->c_out, values;
    const int64_t *size = s->grid.size;
    bool good = (s->grid.ndim == 2 && size[0] == 1) || s->grid.ndim == 3;
    good = good && s->c_in > 0 && s->c_out > 0 && (s->kernel == 1 || s->kernel == 3);
    good = good && s->c_second >= 0 && s->c_second < s->c_in;
    for (int a = 0; a < 3 && good; a++) good = size[a] > 0 && multiply(pixels, size[a], &pixels) && pixels < INT32_MAX;
    good = good && channels < INT32_MAX && multiply(pixels, channels, &values) && values < most &&
           multiply(s->c_in, s->c_out, &values) && values < most / 27;
    if (good) return COVER_OK;
    return fail(COVER_ERROR_SHAPE,
                "convolution %dD, %lld x %lld x %lld pixels, %lld -> %lld channels, kernel %d: sizes must"
                " be positive and addressable, the kernel 1 or 3",
                s->grid.ndim, (long long)size[0], (long long)size[1], (long long)size[2], (long long)s->c_in, (long long)s->c_out,
                s->kernel);
}

/* A slab is worth a thread's while above some work, some pixels (fewer use each weight too seldom) and some rows (those
 * beside a slab are read, and in part transformed, for it too).  In training most threads have images of their own, so slabs
 * must cost next to nothing; in inference one image may have all threads.  A power of two, as threads are. */
int conv_good_slabs(const struct conv_shape *shape) {
    enum { ROWS = 4 };
    const double flops = 16e6, work = 2.0 * (double)grid_pixels(&shape->grid) * (double)conv_weights(shape) / flops;
    const int64_t pixels = grid_pixels(&shape->grid) / (shape->gradient ? 288 : 144), rows = conv_rows(shape) / ROWS;
    int slabs = 1;
    while (slabs < CONV_SLABS_MAX && 2 * slabs <= work && 2 * slabs <= pixels && 2 * slabs <= rows) slabs *= 2;
    return slabs;
}

/* As many slabs as asked for, none of them empty. */
static int full_slabs(const struct conv_shape *shape) {
    const int64_t rows = conv_rows(shape);
    int64_t slabs = shape->slabs < 1 ? 1 : shape->slabs, before;
    do { /* fewer slabs may be larger ones */
        const int64_t part = conv_slab_rows(shape, slabs);
        before = slabs, slabs = (rows + part - 1) / part;
    } while (slabs != before);
    return (int)slabs;
}

/* The first row that serves this pass, `named` before all others. */
static cover_status prepare(struct prepared *prepared, const struct conv_shape *shape, const struct conv_form *named) {
    cover_status status = COVER_ERROR_UNSUPPORTED;
    for (int i = named ? -1 : 0; i < FORMS && status == COVER_ERROR_UNSUPPORTED; i++) {
        prepared->form = i < 0 ? named : forms[i];
        if (!prepared->form->serves(prepared->pass, prepared->context->cpu_features)) continue;
        prepared->shape = border_shape(shape, prepared->form->takes);
        status = prepared->form->prepare(prepared);
        if (status != COVER_OK) prepared->form->release(prepared), prepared->state = NULL;
    }
    return status;
}

static cover_status create(struct conv **out, cover_context *context, const struct conv_shape *shape,
                           const struct conv_form *named) {
    TRY(check(shape));
    struct conv *conv = memory_zero(context, sizeof *conv);
    if (!conv) return COVER_ERROR_MEMORY;
    conv->context = context, conv->shape = *shape, conv->shape.slabs = full_slabs(shape);
    for (int pass = 0; pass < (shape->gradient ? CONV_PASSES : 1); pass++) {
        struct prepared *prepared = &conv->prepared[pass];
        *prepared = (struct prepared){.context = context, .pass = pass};
        cover_status status = prepare(prepared, &conv->shape, named);
        if (status != COVER_OK) {
            conv_destroy(conv);
            return status;
        }
        conv->passes = pass + 1;
        conv->packed_offset[pass] = conv->packed_bytes;
        conv->packed_bytes += line_up(prepared->packed_bytes);
        const size_t scratch = line_up(prepared->scratch_bytes) + border_bytes(&conv->shape, pass, prepared->form->takes);
        if (scratch > conv->scratch_bytes) conv->scratch_bytes = scratch;
    }
    *out = conv;
    return COVER_OK;
}

cover_status conv_create(struct conv **conv, cover_context *context, const struct conv_shape *shape) {
    return create(conv, context, shape, NULL);
}

cover_status conv_create_form(struct conv **conv, cover_context *context, const struct conv_shape *shape, const char *form) {
    for (int i = 0; i < FORMS; i++) {
        if (strcmp(form, forms[i]->name) != 0) continue;
        for (int pass = 0; pass < CONV_PASSES; pass++)
            if (forms[i]->serves(pass, context->cpu_features)) return create(conv, context, shape, forms[i]);
    }
    return fail(COVER_ERROR_UNSUPPORTED, "convolution: form '%s' is not available here", form);
}

void conv_destroy(struct conv *conv) {
    if (!conv) return;
    for (int pass = 0; pass < conv->passes; pass++) conv->prepared[pass].form->release(&conv->prepared[pass]);
    memory_free(conv->context, conv);
}

const char *conv_form(const struct conv *conv, enum conv_pass pass) {
    return (int)pass < conv->passes ? conv->prepared[pass].form->name : "none";
}
size_t conv_packed_bytes(const struct conv *conv) { return conv->packed_bytes; }
size_t conv_scratch_bytes(const struct conv *conv) { return conv->scratch_bytes; }
int conv_slabs(const struct conv *conv) { return conv->shape.slabs; }
double conv_flops(const struct conv *conv) {
    return 2.0 * (double)grid_pixels(&conv->shape.grid) * (double)conv_weights(&conv->shape);
}

static cover_status prepared_for(const struct conv *conv, enum conv_pass pass) {
    if ((int)pass < conv->passes) return COVER_OK;
    return fail(COVER_ERROR_INTERNAL, "a gradient of a convolution that was created without");
}

cover_status conv_pack(const struct conv *conv, void *packed, const float *weights, void *scratch) {
    for (int pass = 0; pass < conv->passes; pass++) {
        const struct prepared *prepared = &conv->prepared[pass];
        if (prepared->packed_bytes)
            TRY(prepared->form->pack(prepared, (char *)packed + conv->packed_offset[pass], weights, scratch));
    }
    return COVER_OK;
}

/* Straight into the form when it takes all that there is, else by way of the border. */
static cover_status convolve(const struct conv *conv, enum conv_pass pass, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch) {
    const struct prepared *prepared = &conv->prepared[pass];
    packed = (const char *)packed + conv->packed_offset[pass];
    const bool sums = target->sums && !(prepared->form->takes & TAKES_PARTS);
    if (sums || border_bytes(&conv->shape, pass, prepared->form->takes))
        return border_convolve(prepared, &conv->shape, slab, target, source, packed, bias, scratch);
    return prepared->form->convolve(prepared, slab, target, source, packed, bias, scratch);
}

cover_status conv_forward(const struct conv *conv, int slab, void *y, double *sums, const struct conv_source x[CONV_SOURCES],
                          const void *packed, const float *bias, void *scratch) {
    if (bias && !conv->shape.bias) return fail(COVER_ERROR_INTERNAL, "a bias for a convolution that was created without");
    return convolve(conv, CONV_FORWARD, slab, &(struct conv_target){.data = {y}, .sums = sums}, x, packed, bias, scratch);
}

cover_status conv_grad_data(const struct conv *conv, int slab, void *const dx[CONV_SOURCES], const void *dy, const void *packed,
                            void *scratch) {
    TRY(prepared_for(conv, CONV_GRAD_DATA));
    const struct conv_source source[CONV_SOURCES] = {{.data = dy}};
    return convolve(conv, CONV_GRAD_DATA, slab, &(struct conv_target){.data = {dx[0], dx[1]}}, source, packed, NULL, scratch);
}

cover_status conv_grad_weights(const struct conv *conv, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                               const void *dy, void *scratch, bool accumulate) {
    TRY(prepared_for(conv, CONV_GRAD_WEIGHTS));
    if (db && !conv->shape.bias) return fail(COVER_ERROR_INTERNAL, "a bias for a convolution that was created without");
    const struct prepared *prepared = &conv->prepared[CONV_GRAD_WEIGHTS];
    if (border_bytes(&conv->shape, CONV_GRAD_WEIGHTS, prepared->form->takes))
        return border_grad_weights(prepared, &conv->shape, dw, db, x, dy, scratch, accumulate);
    return prepared->form->grad_weights(prepared, dw, db, x, dy, scratch, accumulate);
}
