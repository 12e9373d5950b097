/* The head: VPA over MoV, from the features of two images to the displacement field between them.
 *
 * Owner:      the caller destroys heads and every tensor that a call makes
 * Lifetime:   names of parameters: as long as the head
 * Threads:    several may run forward, backward and get on one head at once; cover_head_set() and destroy alone
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL;
 *             questions answer 0 or NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_HEAD_H
#define LIBCOVER_HEAD_H

#include <libcover/backbone.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Projections and vector heads with their weights; threads as for cover_backbone. */
typedef struct cover_head cover_head;

/** Load the head of a run folder, checkpoint or safetensors file.  Errors as cover_backbone_load(). */
COVER_API cover_status cover_head_load(cover_head **head, cover_context *context, const char *path,
                                       const cover_backbone_options *options);
/** A fresh head as the settings backbone, widths, heads, head_dim, radius, coordinates, pyramid and seed say. */
COVER_API cover_status cover_head_create(cover_head **head, cover_context *context, const cover_config *config);
COVER_API void cover_head_destroy(cover_head *head);

/** Displacement field between two images: VPA over the levels of one backbone (paper, eq. 8 and 30).
 *
 *  @param[out] field   (N, d, [D,] H, W) float32, pixels, array-axis order: fixed(p) matches moving(p + field(p));
 *                      created by the call, caller destroys it
 *  @param      moving  levels of the moving images, coarse to full size, as cover_backbone_forward() gives them
 *  @param      fixed   the same for the fixed images
 *  @param      levels  number of each: the backbone's
 *  @return COVER_OK; COVER_ERROR_SHAPE when the levels do not match each other or the head; COVER_ERROR_MEMORY */
COVER_API cover_status cover_head_forward(cover_tensor **field, cover_head *head, const cover_tensor *const *moving,
                                          const cover_tensor *const *fixed, int levels);

/** Gradients through cover_head_forward() (which is computed again).
 *  @param[out] dmoving, dfixed  arrays of `levels` tensors, created by the call; NULL = not wanted
 *  @param      dfield  gradient of the field, (N, d, [D,] H, W) */
COVER_API cover_status cover_head_backward(cover_tensor **dmoving, cover_tensor **dfixed, cover_head *head,
                                           const cover_tensor *const *moving, const cover_tensor *const *fixed, int levels,
                                           const cover_tensor *dfield);
COVER_API cover_status cover_head_zero_gradient(cover_head *head);

/** Parameters, as those of cover_backbone. */
COVER_API const char *cover_head_parameter_at(const cover_head *head, int index);
COVER_API cover_status cover_head_get(cover_tensor **value, const cover_head *head, const char *name);
COVER_API cover_status cover_head_set(cover_head *head, const char *name, const cover_tensor *value);
COVER_API cover_status cover_head_gradient(cover_tensor **gradient, const cover_head *head, const char *name);

/** Warp by a field: out(p) = source(p + field(p)), linear, zero outside (method: Coordinates, exact).
 *  @param source (N, C, [D,] H, W)   @param field (N, d, [D,] H, W) pixels, array-axis order */
COVER_API cover_status cover_field_warp(cover_tensor **warped, cover_context *context, const cover_tensor *source,
                                        const cover_tensor *field);

#ifdef __cplusplus
}
#endif
#endif
