/* SeVR, self-vector regression: two views of one image and the true displacement field between them
 * (paper, section 3.2; supplement B.1-B.3).
 *
 * Owner:      the caller destroys the sampler, and releases pairs with cover_views_release()
 * Lifetime:   tensors of a pair: until they are released, also after the sampler
 * Threads:    one thread at a time for a sampler; one each
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy and release
 *             take NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_SEVR_H
#define LIBCOVER_SEVR_H

#include <libcover/config.h>
#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A sampler of view pairs.  Belongs to one thread at a time; make one a thread. */
typedef struct cover_sevr cover_sevr;

/** Create a sampler from the settings crop, work, normalise, affine, translate ... inpaint_probability.
 *  @param config copied; may be changed or destroyed afterwards
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_SHAPE (crop larger than work); COVER_ERROR_MEMORY */
COVER_API cover_status cover_sevr_create(cover_sevr **sevr, cover_context *context, const cover_config *config);
COVER_API void cover_sevr_destroy(cover_sevr *sevr);

/** One view pair.  Tensors are float32 of logical shape (1, C, *S), channels last in memory, S = the crop. */
typedef struct cover_views {
    size_t struct_size;
    cover_tensor *moving; /**< a: the crop with its appearance changed */
    cover_tensor *fixed;  /**< b: the image warped by the field, cropped alike */
    cover_tensor *field;  /**< (1, d, *S) pixels, array-axis order: b(p) shows what a shows at p + field(p) */
    cover_tensor *mask;   /**< (1, 1, *S) 1 where p + field(p) lies inside the crop, else 0 */
    int64_t valid_pixels; /**< ones in mask */
    double zero_loss;     /**< sum over valid pixels and axes of |field|: unscaled L_vec of the zero field */
} cover_views;
#define COVER_VIEWS_INIT COVER_SIZED(cover_views)

/** Draw the pair (seed, step, sample) of one image.  Same arguments, same pair, bit for bit, on any thread.
 *  @param[out] views  the tensors are created by the call; release them with cover_views_release()
 *  @param      image  (C, [D,] H, W), any dtype and strides, intensities as stored: `normalise` is applied here (`max`
 *                     divides COVER_U8 by 255 and COVER_U16 by 65535; images of other types go by their range)
 *  @return COVER_OK; COVER_ERROR_SHAPE (channels or dims that the settings do not have, smaller than the crop);
 *          COVER_ERROR_NUMERIC names the first pixel that is NaN or Inf; COVER_ERROR_MEMORY */
COVER_API cover_status cover_sevr_draw(cover_views *views, cover_sevr *sevr, const cover_tensor *image, uint64_t seed,
                                       uint32_t step, uint32_t sample);

/** Destroy the tensors of a pair and set them to NULL; takes NULL and pairs that were never drawn. */
COVER_API void cover_views_release(cover_views *views);

#ifdef __cplusplus
}
#endif
#endif
