/* The pixel work of SeVR on the device: functions of C that start kernels (kernels/sevr*.cu), each one step of a draw, in the
 * order and with the arithmetic of core/method/sevr_*.c.  What is drawn at random is drawn by the host and given by value. Called
 * by sevr.c.  Pointers are of device memory, views and images float32, channels last. */
#ifndef COVER_CUDA_SEVR_KERNELS_H
#define COVER_CUDA_SEVR_KERNELS_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One draw: sizes and places along D, H, W. */
struct cuda_draw {
    int ndim, channels;
    int image[3], work[3], crop[3], first[3]; /* first: of the crop within the resized image */
    int box[3], box_first[3];                 /* the part of the resized image that is read, its frame of zeros included */
    double ratio[3];                          /* of the image's size to the resized one's */
    bool released;                            /* coordinates */
    bool by_range;                            /* offset and divisor follow from the image */
    float low, high, offset, divisor;         /* struct intensity of views/intensity.h */
    double linear[3][3], centre[3], shift[3]; /* struct affine, axes in array order */
};

/* What the host wants to know of a pair. */
struct cuda_view_sums {
    int64_t valid;    /* number of ones in the mask */
    double zero_loss; /* sum over valid pixels and axes of |field| */
    int64_t bad;      /* -1 = none, else the image's first value that is NaN or Inf; -2: its range does not fit float32 */
};

/* struct random_image of sevr_random.h; its plane goes with its use. */
struct cuda_random {
    uint64_t seed;
    uint32_t use, step, sample;
};

/* Smallest and largest value, as whole numbers in the order of the floats, the largest upside down; the first that is not finite.
 * All start from ones. */
struct cuda_range {
    unsigned long long bad;
    uint32_t smallest, largest_inverted;
};

enum { SEVR_BLOCKS = 1024, SEVR_SUMS = 256, SEVR_BOXES = 64 };
struct cuda_mask_sum { /* of one block */
    double zero_loss;
    int64_t valid;
};
struct cuda_boxes {
    int count;
    int first[SEVR_BOXES][3], size[SEVR_BOXES][3];
};

cuda_error cuda_sevr_range(cuda_stream stream, struct cuda_range *range, const float *image, int64_t values);
/* The affine field; flow: a displacement of every pixel of the resized image that comes first, or NULL. */
cuda_error cuda_sevr_field(cuda_stream stream, float *field, const float *flow, const struct cuda_draw *draw);
/* partial: SEVR_BLOCKS */
cuda_error cuda_sevr_mask(cuda_stream stream, float *mask, struct cuda_view_sums *sums, struct cuda_mask_sum *partial,
                          const float *field, const struct cuda_range *range, const struct cuda_draw *draw);
cuda_error cuda_sevr_source(cuda_stream stream, float *source, const float *image, const struct cuda_range *range,
                            const struct cuda_draw *draw);
cuda_error cuda_sevr_views(cuda_stream stream, float *moving, float *fixed, const float *field, const float *source,
                           const struct cuda_draw *draw);
cuda_error cuda_sevr_noise(cuda_stream stream, float *view, int64_t values, float sigma, const struct cuda_random *random);
/* (x - mean) gain + mean if there is contrast, then + offset.  partial: SEVR_SUMS */
cuda_error cuda_sevr_level(cuda_stream stream, float *view, int64_t values, bool contrast, float gain, float offset,
                           double *partial);
cuda_error cuda_sevr_fill(cuda_stream stream, float *view, const struct cuda_boxes *boxes, const struct cuda_random *random,
                          const struct cuda_draw *draw);

/* ---- sevr_smooth.cu: Gaussians along one axis, and what is made of them
 * A part of a Gaussian's weights, computed by the host: weights[first + i] = value[i]. */
enum { SEVR_WEIGHTS = 512 };
struct cuda_weights {
    int first, count;
    float value[SEVR_WEIGHTS];
};
cuda_error cuda_sevr_weights(cuda_stream stream, float *weights, const struct cuda_weights *part);
/* x is (outer, size, inner); places first .. first + count - 1 of the axis are wanted.  Beyond an edge the image goes on as its
 * edge, or is zero.  y (outer, count, inner) = the smoothed values or, where gain is not 0, y[i * stride] += gain * them. */
struct cuda_smoothing {
    int64_t outer, inner;
    int size, first, count, taps;
    bool edges;
    float gain;
    int stride;
};
cuda_error cuda_sevr_smooth(cuda_stream stream, float *y, const float *x, const float *weights, const struct cuda_smoothing *s);
/* Noise of -1 .. 1 at places 0 .. values - 1. */
cuda_error cuda_sevr_uniform(cuda_stream stream, float *x, int64_t values, const struct cuda_random *random);

/* Scaling and squaring over the part of the resized image that paths from the crop can reach, which follows from the largest
 * displacements: how far, the device finds out. */
struct cuda_flow_box {
    uint32_t largest[3]; /* bits of floats, by axes in array order; zeros at the start */
    int first[3], size[3];
};
cuda_error cuda_sevr_flow_box(cuda_stream stream, struct cuda_flow_box *box, const float *velocity, int squarings,
                              const struct cuda_draw *draw);
/* squared = u(p) + u(p + u(p)), over the box */
cuda_error cuda_sevr_square(cuda_stream stream, float *squared, const float *u, const struct cuda_flow_box *box,
                            const struct cuda_draw *draw);

#ifdef __cplusplus
}
#endif
#endif
