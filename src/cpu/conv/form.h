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

/* Where a pass that convolves writes: the image of each tensor that takes part (the second one of grad_data alone). */
struct conv_target {
    void *data[CONV_SOURCES];
    double *sums; /* (2, c_out) of the slab, forward alone; NULL = not wanted */
};

/* What a form takes beyond one dense float tensor in and one out.  For the others border.c makes that of a shape which has
 * more, before and behind them; what they are given then is described by a shape without those features. */
enum {
    TAKES_BF16 = 1,  /* features of bf16, in any mixture with floats */
    TAKES_PARTS = 2, /* two sources, normalisation on load, sums, and two targets of the data gradient */
};

struct conv_form {
    const char *name;
    unsigned takes;
    bool (*serves)(enum conv_pass pass, unsigned features);
    /* Fills packed_bytes, scratch_bytes and state; COVER_ERROR_UNSUPPORTED passes the shape on to the next row.
     * release() also follows a prepare() that failed. */
    cover_status (*prepare)(struct prepared *prepared);
    void (*release)(struct prepared *prepared);
    cover_status (*pack)(const struct prepared *prepared, void *packed, const float *weights, void *scratch);
    /* one of shape.slabs slabs; target and source are those of the whole image */
    cover_status (*convolve)(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch);
    cover_status (*grad_weights)(const struct prepared *prepared, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                                 const void *dy, void *scratch, bool accumulate);
};

extern const struct conv_form conv_onednn_amx, conv_onednn, conv_avx512, conv_avx2, conv_generic, conv_plain;
extern const struct conv_form conv_thin_avx512_bf16, conv_thin_avx512, conv_thin_avx2, conv_thin_generic;
extern const struct conv_form conv_winograd_avx512_bf16, conv_winograd_avx512, conv_winograd_avx2, conv_winograd_generic;

/* Channels of each source of x. */
static inline int64_t conv_source_channels(const struct conv_shape *shape, int source) {
    return source == 0 ? shape->c_in - shape->c_second : shape->c_second;
}
static inline int64_t conv_taps(const struct conv_shape *shape) { return shape->kernel == 1 ? 1 : shape->grid.ndim == 2 ? 9 : 27; }
static inline int64_t conv_weights(const struct conv_shape *shape) { return shape->c_in * shape->c_out * conv_taps(shape); }

/* Rows (2D) or planes (3D) of the image, and those of one slab: all slabs but the last are equally large. */
static inline int64_t conv_rows(const struct conv_shape *shape) { return shape->grid.size[3 - shape->grid.ndim]; }
static inline int64_t conv_row_pixels(const struct conv_shape *shape) { return grid_pixels(&shape->grid) / conv_rows(shape); }
struct conv_slab {
    int64_t begin, end;
};
/* An even number of rows in 2D, where forms work on two at a time; a whole image may have an odd one. */
static inline int64_t conv_slab_rows(const struct conv_shape *shape, int64_t slabs) {
    const int64_t rows = conv_rows(shape), part = (rows + slabs - 1) / slabs;
    return shape->grid.ndim == 2 && slabs > 1 ? (part + 1) / 2 * 2 : part;
}
static inline struct conv_slab conv_slab(const struct conv_shape *shape, int slab) {
    const int64_t rows = conv_rows(shape), part = conv_slab_rows(shape, shape->slabs), begin = slab * part;
    return (struct conv_slab){begin, begin + part < rows ? begin + part : rows};
}

#endif
