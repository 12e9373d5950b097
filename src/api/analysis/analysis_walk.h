/* Labelled images of a dataset and the network's features of them, one image after the other.  Called by the analyses of
 * features. */
#ifndef COVER_ANALYSIS_WALK_H
#define COVER_ANALYSIS_WALK_H

#include "core/base/base.h"
#include "core/base/grid.h"
#include "core/nn/backbone.h"

#include <libcover/analysis.h>
#include <libcover/backbone.h>
#include <libcover/dataset.h>

struct walk {
    cover_context *context;
    cover_backbone *backbone;
    cover_dataset *dataset;
    struct settings settings; /* of the network */
    struct levels levels;
    cover_feature_options options;
    int64_t *chosen, images; /* samples that are looked at */
};

/* Network, dataset, and which images: labelled ones in an order that the seed draws. */
cover_status walk_open(struct walk *walk, cover_context *context, const char *weights, const char *data,
                       const cover_feature_options *options);
void walk_close(struct walk *walk);

/* Labels of chosen image `at` on the grid of a level (0 coarse): *labels from memory_alloc(). */
cover_status walk_labels(const struct walk *walk, int64_t at, int level, uint16_t **labels, struct grid *grid);
/* Its features. */
cover_status walk_features(const struct walk *walk, int64_t at, cover_features **features);
/* A level as channels-last values of length 1 a pixel (zeros stay), from memory_alloc(). */
cover_status walk_level(const struct walk *walk, const cover_features *features, int level, float **values, int64_t *channels);
/* Progress and cancelling after image `at`. */
cover_status walk_step(const struct walk *walk, int64_t at, int64_t total);

#endif
