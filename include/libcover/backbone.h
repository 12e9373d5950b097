/* The pretrained network as a feature extractor: levels of features from the caller's own pixels.
 *
 * Owner:      the caller destroys backbones, features and every tensor that a call makes
 * Lifetime:   the config and names of parameters: as long as the backbone; levels: as long as their features
 * Threads:    several may run forward, backward and get on one backbone at once; cover_backbone_set() and destroy alone
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL;
 *             questions answer 0 or NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  experimental: how a network is chosen and how many levels it has */
#ifndef LIBCOVER_BACKBONE_H
#define LIBCOVER_BACKBONE_H

#include <libcover/config.h>
#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A network with its weights.  Once made it does not change but through cover_backbone_set(); several threads may call
 *  forward and backward at once. */
typedef struct cover_backbone cover_backbone;
/** Levels of features of one forward pass. */
typedef struct cover_features cover_features;

typedef struct cover_backbone_options {
    size_t struct_size;
    int allow_partial; /**< 1: weights that are missing stay fresh, unexpected ones are left out; both are logged */
} cover_backbone_options;
#define COVER_BACKBONE_OPTIONS_INIT COVER_SIZED(cover_backbone_options)

/** Load a network from a run folder, checkpoint or safetensors file; the file says which network it is.
 *  @param options NULL for defaults
 *  @return COVER_OK; COVER_ERROR_IO, COVER_ERROR_FORMAT; COVER_ERROR_MISMATCH lists missing, unexpected and mis-shaped
 *  names; COVER_ERROR_MEMORY */
COVER_API cover_status cover_backbone_load(cover_backbone **backbone, cover_context *context, const char *path,
                                           const cover_backbone_options *options);
/** A fresh network as the settings backbone, dims, channels, widths and seed say. */
COVER_API cover_status cover_backbone_create(cover_backbone **backbone, cover_context *context, const cover_config *config);
COVER_API void cover_backbone_destroy(cover_backbone *backbone);

/** The settings of the network: backbone, dims, channels, widths, heads, normalise, ...  Owned by the backbone. */
COVER_API const cover_config *cover_backbone_config(const cover_backbone *backbone);

/** Features of images (paper, section 3.1; method: Backbone).
 *
 *  Sizes that are no multiple of what the backbone wants (U-Net: 16) are padded at the far edges with the border's values; features are cropped to
 *  ceil(size / stride).
 *  @param[out] features levels coarse to full size, as float32
 *  @param      x        (N, C, [D,] H, W), any dtype and strides; intensities as the network was trained on, usually 0..1
 *  @return COVER_OK; COVER_ERROR_SHAPE names dims or channels that do not fit; COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_backbone_forward(cover_features **features, cover_backbone *backbone, const cover_tensor *x);

/** Gradients of a scalar through the same images (the forward pass is computed again).
 *  @param[out] dx        gradient of x, created by the call; NULL = not wanted
 *  @param      x         as in cover_backbone_forward(); sizes must be multiples of what the backbone wants (U-Net: 16)
 *  @param      gradients of each level, coarse to full size, of the shapes that forward gives; NULL entries are zero
 *  @param      levels    their number, as cover_features_count() gives it
 *  Parameter gradients are added to those that cover_backbone_gradient() reads. */
COVER_API cover_status cover_backbone_backward(cover_tensor **dx, cover_backbone *backbone, const cover_tensor *x,
                                               const cover_tensor *const *gradients, int levels);
COVER_API cover_status cover_backbone_zero_gradient(cover_backbone *backbone);

/** Parameters by index, in the network's order, under the authors' names; NULL past the end. */
COVER_API const char *cover_backbone_parameter_at(const cover_backbone *backbone, int index);
/** A parameter as float32 tensor of PyTorch's shape, a copy. */
COVER_API cover_status cover_backbone_get(cover_tensor **value, const cover_backbone *backbone, const char *name);
/** Replace a parameter.  Not while another thread runs the network. */
COVER_API cover_status cover_backbone_set(cover_backbone *backbone, const char *name, const cover_tensor *value);
/** The accumulated gradient of a parameter, a copy; zeros before the first backward. */
COVER_API cover_status cover_backbone_gradient(cover_tensor **gradient, const cover_backbone *backbone, const char *name);

/** Number of levels: the backbone's (U-Net: 5), at most 8. */
COVER_API int cover_features_count(const cover_features *features);
/** Level i (0 coarse .. count-1 full size): float32 (N, C, [D,] H, W), owned by the features; NULL past the end. */
COVER_API const cover_tensor *cover_features_level(const cover_features *features, int level);
/** Pixels of the image for one of the level's (U-Net: 16, 8, 4, 2, 1); the last level's is 1. */
COVER_API int cover_features_stride(const cover_features *features, int level);
COVER_API void cover_features_destroy(cover_features *features);

#ifdef __cplusplus
}
#endif
#endif
