/* The pixel work of SeVR on the device: functions of C that start kernels (kernels/sevr.cu), each one step of a draw, in the order
 * and with the arithmetic of core/method/sevr_*.c.  What is drawn at random is drawn by the host and given by value.  Called by
 * sevr.c.  Pointers are of device memory, views and images float32, channels last. */
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
    bool released;                            /* coordinates */
    bool by_range;                            /* offset and divisor follow from the image */
    float low, high, offset, divisor;         /* struct intensity of sevr_parts.h */
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
/* partial: SEVR_BLOCKS */
cuda_error cuda_sevr_field(cuda_stream stream, float *field, float *mask, struct cuda_view_sums *sums, struct cuda_mask_sum *partial,
                           const struct cuda_range *range, const struct cuda_draw *draw);
cuda_error cuda_sevr_source(cuda_stream stream, float *source, const float *image, const struct cuda_range *range,
                            const struct cuda_draw *draw);
cuda_error cuda_sevr_views(cuda_stream stream, float *moving, float *fixed, const float *field, const float *source,
                           const struct cuda_draw *draw);
cuda_error cuda_sevr_noise(cuda_stream stream, float *view, int64_t values, float sigma, const struct cuda_random *random);
/* sum: of the Gaussian's values over its radius, by which they are divided; other: a view's room; weights: radius + 1 */
cuda_error cuda_sevr_blur(cuda_stream stream, float *view, float *other, float *weights, double sigma, double sum, int radius,
                          const struct cuda_draw *draw);
/* (x - mean) gain + mean if there is contrast, then + offset.  partial: SEVR_SUMS */
cuda_error cuda_sevr_level(cuda_stream stream, float *view, int64_t values, bool contrast, float gain, float offset, double *partial);
cuda_error cuda_sevr_fill(cuda_stream stream, float *view, const struct cuda_boxes *boxes, const struct cuda_random *random,
                          const struct cuda_draw *draw);

#ifdef __cplusplus
}
#endif
#endif
