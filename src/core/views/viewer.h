/* The views of the objectives beside COVER, drawn from stored images: what a method does to them is a recipe, a viewer is one worker's
 * scratch memory for it.  Images are normalised and resized to `work` as for COVER.  Same arguments, same bits, on any thread.
 * Called by the makers of the objectives' samples. */
#ifndef COVER_VIEWER_H
#define COVER_VIEWER_H

#include "looks.h"

/* Where a view lies in its image. */
enum view_place {
    VIEW_BOX,    /* a box of its own, resized to the crop */
    VIEW_TURNED, /* a window of the crop's size of its own, turned about its middle, mirrored: `mild` */
    VIEW_SEVR,   /* COVER's pair */
    VIEW_WINDOW, /* one window of the crop's size for both, as COVER's */
    VIEW_PARTNER /* two images under one map */
};
struct view_recipe {
    enum view_place place;
    double share_low; /* VIEW_BOX: of the image's area, or */
    double side;      /* of each of its sides, always */
    bool flip;
    /* Changes of intensities, in their order. */
    double jitter, jitter_probability;        /* factors of brightness and contrast, about 1, in an order that a coin says */
    double blur_low, blur_high, blur_high_3d; /* sigma */
    double blur_probability[2];               /* of either view */
    double solarise_probability[2];
    double offset, spread; /* instead: + U(+-offset), then (x - mean) (1 + U(+-spread)) + mean, clipped to 0 .. 1.5 */
    bool cover_looks;      /* instead: COVER's five changes */
    bool deforms;          /* VIEW_PARTNER: translation, shear and deformation, too */
};
/* Of SimSiam, MoCo v2 and the dense methods that follow it; SimCLR; BYOL and PixPro; DeepCluster and rotation; the two stages of
 * Chaitanya et al.; whole methods; GVSL and GEMINI. */
extern const struct view_recipe views_moco, views_simclr, views_byol, views_plain, views_chaitanya_global, views_chaitanya_local,
    views_window, views_gvsl, views_gemini;
/* The method's recipe as the settings views and view_* change it; COVER_ERROR_ARGUMENT when one of them cannot be. */
cover_status view_recipe_settle(struct view_recipe *recipe, const struct view_recipe *own, const struct settings *settings);

/* Intensities must lie within 0 .. 1: COVER_ERROR_ARGUMENT with normalise=none. */
cover_status view_bounded(const struct settings *settings);

struct stored_image {
    const float *pixels; /* channels last, intensities as stored */
    struct grid grid;
    int channels;
    float integer_max; /* 255 or 65535 for such integer images, else 0 */
};

struct viewer;
cover_status viewer_create(struct viewer **viewer, cover_context *context, const struct settings *settings,
                           const struct view_recipe *recipe);
void viewer_destroy(struct viewer *viewer); /* takes NULL */
/* Would its draws take an image of this size?  COVER_ERROR_SHAPE names the sizes that do not fit and the remedy. */
cover_status viewer_accepts(const struct view_recipe *recipe, const struct settings *settings, const struct grid *grid,
                            int channels);
/* Make room for images of up to this size, so that draws allocate nothing. */
cover_status viewer_reserve(struct viewer *viewer, const struct grid *largest);
size_t viewer_bytes(const struct viewer *viewer);

/* ---- two_views.c: not of VIEW_PARTNER.  Two views of one image, moving a and fixed b: b(p) = a(p + field(p)) but for their intensities.
 * pair->field NULL: neither field nor mask are wanted, and the views may lie anywhere; else the mask covers 1/16 of the pixels at
 * least, where ten tries find such a place.  pair->fixed NULL: one view. */
cover_status viewer_pair(struct viewer *viewer, struct view_pair *pair, const struct stored_image *image,
                         const struct chance *chance);
/* A window of the crop's size as COVER's pair has it, no other change; chance NULL: the middle of the image. */
cover_status viewer_window(struct viewer *viewer, float *view, const struct stored_image *image, const struct chance *chance);

/* ---- partner_views.c: of VIEW_PARTNER */
struct partner_views {
    float *clean, *damaged, *partner; /* image A, A damaged, image B, under one map */
};
cover_status viewer_partner(struct viewer *viewer, struct partner_views *views, const struct stored_image *a,
                            const struct stored_image *b, const struct chance *chance);

#endif
