/* What the objectives beside COVER do to images, each a pure function of numbers that were drawn, and the drawing of those numbers.
 * Images are channels last, float32, in 0 .. 1, 2D and 3D alike; boxes are D, H, W.  Nothing here allocates: scratch is the caller's.
 * Called by augment.c and by the makers of views. */
#ifndef COVER_LOOKS_H
#define COVER_LOOKS_H

#include "sevr_parts.h"

/* Whose numbers are drawn; `plane` keeps apart what one use draws for several images or several ends, below 256. */
struct chance {
    uint64_t seed;
    uint32_t step, sample;
};
struct random_stream chance_stream(const struct chance *chance, enum random_use use, uint32_t plane);
struct random_image chance_image(const struct chance *chance, enum random_use use, uint32_t plane);

/* A number a place: what was given (tests), or what is drawn where it is read. */
struct numbers {
    const float *given; /* NULL = drawn */
    struct random_image drawn;
};

/* ---- looks_geometry.c */

/* A box of whole pixels, and the axes (D, H, W) along which it is mirrored once it has the crop's size. */
struct look_box {
    struct window window;
    bool flip[3];
};
enum look_flips { LOOK_FLIP_OFF, LOOK_FLIP_OWN }; /* OWN: 2D the last axis, 3D every axis, each with probability 1/2 */
/* share_low .. 1 of the area or volume, aspect log-uniform in 3/4 .. 4/3, anywhere. */
void look_box_draw(struct look_box *box, struct random_stream *stream, const struct grid *grid, double share_low,
                   enum look_flips flips);
/* The box to the crop's size: linear, half-pixel centres, the box's own border replicated, mirrored as it says. */
void look_resized_crop(float *out, const struct grid *crop, const struct look_box *box, const float *image, const struct grid *grid,
                       int channels, void *scratch);
size_t look_resized_crop_bytes(const struct grid *crop, const struct grid *largest, int channels);
/* Mirror along the axes (D, H, W) that are set, in place. */
void look_flip(float *values, const struct grid *grid, int channels, const bool axes[3]);
/* Quarter turns of a square, a cube: exact copies.  2D: pose = turns, counter-clockwise in the plane of the axes; 3D: pose 0 as it is,
 * 1 + 3 plane + (turns - 1) in one of three planes. */
enum { POSES_2D = 4, POSES_3D = 10 };
void look_turn(float *out, const float *image, const struct grid *grid, int channels, int pose);
/* `count` different poses: all four in 2D in their order, 3D without repetition. */
void look_poses_draw(int *pose, int count, const struct chance *chance, int dims);

/* ---- looks_intensity.c */

void look_brightness(float *values, int64_t count, float factor);
void look_contrast(float *values, int64_t count, float factor); /* about the mean of all values */
/* + offset, then (x - mean) gain + mean, clipped to 0 .. top */
void look_offset(float *values, int64_t count, float offset, float gain, float top);
void look_solarise(float *values, int64_t count, float threshold);

enum corruption { CORRUPT_GAUSSIAN, CORRUPT_MASKING, CORRUPT_SALT_AND_PEPPER };
/* numbers: a value each, normal (gaussian: amount = sigma) or uniform in [0, 1) (amount = share of the values that are lost). */
void look_corrupt(float *out, const float *image, int64_t count, enum corruption kind, float amount, const struct numbers *numbers);

/* The cubic Bezier curve (0, 0) p q (1, 1), or (0, 1) .. (1, 0) when it falls. */
struct bezier {
    float p[2], q[2];
    bool falling;
};
enum { BEZIER_PIECES = 4096, BEZIER_BINS = 4096 };
struct bezier_table { /* scratch */
    float from[BEZIER_PIECES + 1], value[BEZIER_PIECES + 1], slope[BEZIER_PIECES];
    uint16_t piece[BEZIER_BINS + 2];
};
void look_bezier(float *values, int64_t count, const struct bezier *bezier, struct bezier_table *table);

/* ---- looks_windows.c: boxes whose pixels change places or are painted over */

/* The pixels of a box, in memory order, become those of the UNCHANGED image at order[0], order[1], ... of the box; room for as many. */
void look_shuffle(float *out, const float *image, const struct grid *grid, int channels, const struct window *box,
                  const int32_t *order, int32_t *room);
/* Noise (a number a pixel, the same for all channels) inside the boxes, or outside all of them; mark: a byte a pixel of a row. */
void look_paint(float *values, const struct grid *grid, int channels, const struct window *box, int boxes,
                const struct numbers *noise, bool outside, uint8_t *mark);
/* How boxes are drawn: `sure` ones, and while a coin of 0.95 says go on up to `most`; a side is one of
 * side low[0] / low[1] .. side high[0] / high[1] - less, or what these leave of it, at least 3 pixels from the border. */
struct box_rule {
    int sure, most, low[2], high[2], less;
    bool rest;
};
enum { BOXES = 30 };
int boxes_draw(struct window box[BOXES], struct random_stream *stream, const struct grid *grid, const struct box_rule *rule);
extern const struct box_rule genesis_inside, genesis_outside, genesis_mask, gvsl_boxes_2d, gvsl_boxes_3d;

/* ---- looks_mask.c: which pixels an image loses, 1 = dropped */

enum look_mask { LOOK_MASK_REGION, LOOK_MASK_BLOCKS, LOOK_MASK_CENTRE };
/* Linear from the lattice to the full size; the round(share pixels) smallest are dropped, of equals those whose place is earlier. */
void look_region_mask(float *mask, const struct grid *grid, const float *lattice, const struct grid *lattice_grid, double share,
                      void *scratch);
struct grid look_lattice(const struct grid *grid); /* a point every 16 pixels */
/* Draws it; returns how many pixels are dropped. */
int64_t look_mask_draw(float *mask, const struct grid *grid, enum look_mask kind, double share, const struct chance *chance,
                       void *scratch);
size_t look_mask_bytes(const struct grid *grid);
/* out: dropped pixels are `fill` in every channel. */
void look_fill(float *out, const float *image, const float *mask, const struct grid *grid, int channels, float fill);

/* ---- looks_draw.c: the changes of whole methods, drawn */

/* Models Genesis, of a view and its truth: flips of both, then shuffled windows, a curve, paint. */
struct damage {
    struct grid grid; /* of the image */
    int64_t first[3]; /* where it lies in what is damaged: 0, or behind a frame of zeros, which stay (gvsl_damage_draw() alone) */
    bool flip[3], curved, outside;
    bool alike;      /* windows have the sides below and one permutation, instead of 1 .. side and one each */
    int64_t windows; /* that are shuffled, 0 = none */
    int64_t side[3]; /* of them */
    struct bezier bezier;
    int boxes;
    struct window box[BOXES]; /* painted over, or left when `outside` */
    struct chance chance;     /* of orders and noise */
};
void genesis_draw(struct damage *damage, const struct grid *grid, const struct chance *chance);
/* GVSL and GEMINI: windows of fixed sides, a rising curve, boxes; no flips. */
void gvsl_damage_draw(struct damage *damage, const struct grid *grid, const struct chance *chance);
/* out = the image damaged, but for the flips, which are the caller's (look_flip() of the image before).  grid: of both in memory. */
void damage_apply(float *out, const float *image, const struct grid *grid, int channels, const struct damage *damage,
                  void *scratch);
size_t damage_bytes(const struct grid *grid);

#endif
