/* The U-Net backbone: nine double convolutions, four poolings, four upsamplings (method: Backbone), in the authors' names.
 * A backbone returns its levels, coarse to full size; method/ takes whatever grids they have. */
#ifndef COVER_UNET_H
#define COVER_UNET_H

#include "core/graph/graph.h"

enum { LEVELS = 5, UNET_WIDTHS = 9, UNET_MULTIPLE = 16 /* sizes must be divisible by it */ };

/* The encoder alone: outputs of its five stages, full size to coarse; the last one is level 0. */
void unet_encoder(struct graph *graph, int x, const int64_t widths[UNET_WIDTHS], int stages[LEVELS]);
/* Levels of x (any images); widths as in the settings. */
void unet_build(struct graph *graph, int x, const int64_t widths[UNET_WIDTHS], int levels[LEVELS]);

#endif
