/* The heads of methods that move one image onto another (GVSL, GEMINI): restoring an image, an affine map, a field.  Names of parameters
 * are those of the reference.  Called by gvsl.c and gemini.c. */
#ifndef COVER_REGRESS_HEADS_H
#define COVER_REGRESS_HEADS_H

#include "networks.h"

/* A convolution 3 wide, its norm of `groups` groups and LeakyReLU 0.2: parameters prefix.FIRST and prefix.(FIRST + 1). */
int head_conv_norm(struct graph *graph, const char *prefix, int first, int x, int x2, int64_t width, int groups,
                   enum parameter_init init);
/* Twice that, prefix.double_conv.0 .. 4, eight channels a group. */
int head_double_conv(struct graph *graph, const char *prefix, int x, int x2, int64_t width);
/* A convolution 3 wide to the components of a field, as floats. */
int head_field(struct graph *graph, const char *name, int x, enum parameter_init init);
/* Features of full size to an image: restore.0, 1 and 3. */
int head_restore(struct graph *graph, int x, int64_t channels, enum parameter_init init);
/* Numbers of an affine map from the coarsest features of both images, which are zeros at first: affine.conv, affine.out. */
int head_affine(struct graph *graph, int x, int x2, int64_t width);
/* GEMINI's small U-Net from features of full size of both images to a field: deformer.conv1 .. conv5 of these widths, deformer.out. */
enum { DEFORMER_STAGES = 5 };
int head_deformer(struct graph *graph, int x, int x2, const int64_t widths[DEFORMER_STAGES]);

/* A term "mse" whose gradient is `weight` times that of the mean squared difference; the loss's tensor. */
int head_mse(struct model *model, int restored, int truth, float weight);
/* The widths of heads are of eight channels a group: COVER_ERROR_ARGUMENT names the setting. */
cover_status head_width_fits(const char *setting, int64_t width);

#endif
