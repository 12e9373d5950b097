/* Matching two image files with pretrained weights: the command's `match`.  For tensors in memory see backbone.h and
 * head.h, on which it is built (paper, eq. 8 and 30; MoV and VPA).
 *
 * Owner:      the caller releases the summary with cover_text_release()
 * Lifetime:   nothing is lent
 * Threads:    all at once, on different outputs
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_MATCH_H
#define LIBCOVER_MATCH_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The displacement field that takes each point of the fixed image to its place in the moving image.
 *
 *  Both images must have the dimensions and channels of the network and the same size; sizes that are no multiples of
 *  what the backbone wants (U-Net: 16) are padded at the edges for the network and cropped back.  The field is a 5-D NIfTI file, intent 1007
 *  (NIFTI_INTENT_VECTOR), components x y z in mm, LPS, on the fixed image's grid, as ITK and ANTs read it; images
 *  without a known spacing count 1 mm a pixel.
 *
 *  @param weights  run folder, checkpoint or safetensors file
 *  @param moving   image file
 *  @param fixed    image file
 *  @param field    written: ".nii" or ".nii.gz"
 *  @param warped   written: the moving image on the fixed image's grid, ".nii" or ".nii.gz"; NULL = not wanted
 *  @param[out] summary JSON {size, spacing_mm, mean_mm, max_mm, seconds}, released with cover_text_release(); may be
 *                  NULL
 *  @return COVER_OK; COVER_ERROR_SHAPE (sizes, dims or channels that do not fit); COVER_ERROR_FORMAT and
 *  COVER_ERROR_IO name the file; COVER_ERROR_MISMATCH (weights of another network); COVER_ERROR_MEMORY;
 *  COVER_ERROR_CANCELLED */
COVER_API cover_status cover_images_match(char **summary, cover_context *context, const char *weights, const char *moving,
                                          const char *fixed, const char *field, const char *warped);

/** What else may be wanted of a match. */
typedef struct cover_match_options {
    size_t struct_size;
    const char *warped; /**< as above */
    int channels; /**< 1: images of colours become grey, 3: grey ones RGB; the network's number; 0 = as they are.  Colours that
                             are equal count as grey all the same, where the network takes one channel */
} cover_match_options;
#define COVER_MATCH_OPTIONS_INIT COVER_SIZED(cover_match_options)

/** The same with options.
 *  @param options NULL for defaults
 *  @return as above; COVER_ERROR_ARGUMENT (channels that are not the network's, one file for both results) */
COVER_API cover_status cover_images_match_with(char **summary, cover_context *context, const char *weights, const char *moving,
                                               const char *fixed, const char *field, const cover_match_options *options);

#ifdef __cplusplus
}
#endif
#endif
