/* What a form of convolution provides to the list in conv.c: one table row, and per pass what it prepared.
 * A pass that convolves reads `in` channels and writes `out`: forward c_in -> c_out, data gradient c_out -> c_in with
 * the weights turned around; so one piece of code serves both. */
#ifndef COVER_CONV_FORM_H
#define COVER_CONV_FORM_H

#include "../conv.h"

struct conv_form;
struct prepared { /* one pass in one form */
    const struct conv_form *form;
    cover_context *context;
    struct conv_shape shape;
    enum conv_pass pass;
    size_t packed_bytes, scratch_bytes;
    void *state; /* the form's own, from memory_alloc() */
};

struct conv_form {
    const char *name;
    bool (*serves)(enum conv_pass pass, unsigned features);
    /* Fills packed_bytes, scratch_bytes and state; COVER_ERROR_UNSUPPORTED passes the shape on to the next row.
     * release() also follows a prepare() that failed. */
    cover_status (*prepare)(struct prepared *prepared);
    void (*release)(struct prepared *prepared);
    cover_status (*pack)(const struct prepared *prepared, void *packed, const float *weights, void *scratch);
    /* one of shape.slabs slabs; out and in are those of the whole image */
    cover_status (*convolve)(const struct prepared *prepared, int slab, float *out, const float *in, const void *packed,
                             const float *bias, void *scratch);
    cover_status (*grad_weights)(const struct prepared *prepared, float *dw, float *db, const float *x, const float *dy,
                                 void *scratch, bool accumulate);
};

extern const struct conv_form conv_onednn, conv_avx512, conv_avx2, conv_generic, conv_plain;

static inline int64_t conv_taps(const struct conv_shape *shape) {
    return shape->kernel == 1 ? 1 : shape->grid.ndim == 2 ? 9 : 27;
}
static inline int64_t conv_weights(const struct conv_shape *shape) {
    return shape->c_in * shape->c_out * conv_taps(shape);
}

/* Rows (2D) or planes (3D) of the image, and those of one slab: all slabs but the last are equally large. */
static inline int64_t conv_rows(const struct conv_shape *shape) { return shape->grid.size[3 - shape->grid.ndim]; }
static inline int64_t conv_row_pixels(const struct conv_shape *shape) {
    return grid_pixels(&shape->grid) / conv_rows(shape);
}
struct conv_slab {
    int64_t begin, end;
};
static inline struct conv_slab conv_slab(const struct conv_shape *shape, int slab) {
    int64_t rows = conv_rows(shape), part = (rows + shape->slabs - 1) / shape->slabs, begin = slab * part;
    return (struct conv_slab){begin, begin + part < rows ? begin + part : rows};
}

#endif
