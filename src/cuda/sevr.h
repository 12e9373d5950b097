/* SeVR on the device: the pair that sevr_draw() draws on the CPU from the same (seed, step, sample).  The host draws the few
 * numbers of a draw, with the code of core/method; kernels do what is done to pixels.  Called by training.c.
 *
 * Field, mask and the number of valid pixels are the CPU's bit for bit, and so are the views, but for contrast: its mean is
 * summed in another order, so that it may differ in the last place.  The sum of |field| is added up in another order too, in
 * double. */
#ifndef COVER_CUDA_SEVR_H
#define COVER_CUDA_SEVR_H

#include "core/views/sevr.h"
#include "sevr_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One pair in device memory, as a struct view_pair. */
struct cuda_views {
    float *moving, *fixed, *field, *mask;
};

/* Bytes of workspace for an image of this size, which sevr_accepts(). */
size_t cuda_sevr_workspace(const struct settings *settings, const struct grid *grid);
/* Starts the draw on the stream; sums is device memory too.  image: device memory, float32, channels last, as it is stored; the
 * others as for sevr_draw(). */
cover_status cuda_sevr_draw(cuda_stream stream, const struct cuda_views *views, struct cuda_view_sums *sums,
                            const struct settings *settings, const float *image, const struct grid *grid, int channels,
                            float integer_max, uint64_t seed, uint32_t step, uint32_t sample, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
