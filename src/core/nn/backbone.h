/* The backbone: what stands between images and their levels of features.  One file of this folder and one row of
 * core/settings/backbones.def a network; everything else (objectives, tasks, weight files, the public handles) goes by the row.
 * Called by them. */
#ifndef COVER_BACKBONE_H
#define COVER_BACKBONE_H

#include "core/graph/graph.h"
#include "core/settings/settings.h"

/* Levels run from coarse to full size.  The stride of each is a multiple of the next one's, the last one's is 1. */
enum { LEVELS_MAX = 8 };
struct level {
    int64_t channels;
    int stride; /* pixels of the image for one of the level's, along each axis */
};
struct levels {
    int count;
    struct level at[LEVELS_MAX];
};

/* A tensor of a weight file under the name that networks use. */
struct named_shape {
    const char *name;
    int rank;
    const int64_t *shape;
};
const struct named_shape *named_shape(const struct named_shape *shapes, int64_t count, const char *name); /* NULL = not there */

enum { BACKBONE_SETTINGS = 8, BACKBONE_MODULES = 32 };
struct backbone {
    const char *name;
    int multiple;              /* sizes of images are multiples of it, and it is one of every stride */
    const char *normalisation; /* as the metadata of weight files say it */
    /* The settings, beside dims and channels, that say which network it is: they stand in weight files and are taken over from there. */
    const char *settings[BACKBONE_SETTINGS];
    /* Prefixes of parameters, module by module, from the outputs back: of what level 0 needs, and of the rest. */
    const char *encoder_modules[BACKBONE_MODULES], *decoder_modules[BACKBONE_MODULES];
    /* Are the values of its settings a network?  COVER_ERROR_ARGUMENT says what is not.  The others are called behind it. */
    cover_status (*check)(const struct network_settings *settings);
    void (*levels)(const struct network_settings *settings, struct levels *levels);
    /* Levels of x (any images).  Parameters are named "backbone.". */
    void (*build)(struct graph *graph, int x, const struct network_settings *settings, int level[LEVELS_MAX]);
    /* Level 0 alone, with no more parameters than it needs. */
    int (*encoder)(struct graph *graph, int x, const struct network_settings *settings);
    /* Set dims, channels and `settings` as the tensors of a file without metadata say; COVER_ERROR_MISMATCH: not this network. */
    cover_status (*describe)(cover_config *config, const struct named_shape *shapes, int64_t count);
};

#define BACKBONE(name) extern const struct backbone backbone_##name;
#include "core/settings/backbones.def"
#undef BACKBONE

/* Row by number: the table's, then those added to the context (base/added.h); NULL past the end. */
const struct backbone *backbone_at(const cover_context *context, int index);
/* The one that the settings choose. */
const struct backbone *backbone_of(const cover_context *context, const struct network_settings *settings);
/* By name: COVER_ERROR_UNSUPPORTED says which there are. */
cover_status backbone_find(const struct backbone **backbone, const cover_context *context, const char *name);

/* ---- in words of the chosen one */
struct levels backbone_levels(const cover_context *context, const struct network_settings *settings);
/* A level's grid, of a full-size one of any size: what a pixel covers in part counts. */
struct grid level_grid(const struct grid *full, int stride);
/* The smallest grid that the network takes, `times` as large: what tables of parameters are built with. */
struct grid backbone_grid(const struct backbone *backbone, int64_t dims, int times);

#endif
