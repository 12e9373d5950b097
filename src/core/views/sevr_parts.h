/* What the parts of SeVR share: where a view lies in its image, scratch memory, and the steps of one draw in the order
 * in which sevr.c takes them.  Called by sevr.c, by augment.c, which draws the samples of downstream tasks, and by looks.h. */
#ifndef COVER_SEVR_PARTS_H
#define COVER_SEVR_PARTS_H

#include "intensity.h"
#include "sevr.h"
#include "sevr_random.h"

/* Memory that grows when a larger image comes. */
struct room {
    void *data;
    size_t bytes;
};

/* A box of pixels, D, H, W. */
struct window {
    int64_t first[3], size[3];
};

/* One draw: what is asked for, and what follows from the sizes. */
struct draw {
    const struct settings *settings;
    uint64_t seed;
    uint32_t step, sample;
    int channels;
    struct grid work;   /* the image once it is resized */
    struct window crop; /* the views within it */
    bool two_angles;    /* 2D: the map turns by the difference of two angles */
};
static inline struct random_stream draw_stream(const struct draw *draw, enum random_use use) {
    return random_stream(draw->seed, use, draw->step, draw->sample);
}
static inline struct random_image draw_image(const struct draw *draw, enum random_use use, uint32_t plane) {
    return (struct random_image){draw->seed, use, plane, draw->step, draw->sample};
}
/* One of 0 .. count - 1, count <= 2^32. */
static inline int64_t random_below(struct random_stream *stream, int64_t count) {
    return (int64_t)(random_word(stream) * (uint64_t)count >> 32);
}
static inline bool random_coin(struct random_stream *stream, double probability) {
    return (double)uniform01(random_word(stream)) < probability;
}

/* ---- sevr_size.c */
/* The image's grid once it is resized. */
struct grid work_grid(const struct settings *settings, const struct grid *grid);
const char *size_text(char text[80], const struct grid *grid);
/* Dims and channels as the settings say, and sizes that memory can hold. */
cover_status sizes_accept(const struct settings *settings, const struct grid *grid, int channels);
cover_status room_grow(cover_context *context, struct room *room, size_t bytes);

/* ---- sevr.c: one window for both views and the field, anywhere within the image; the mask and its sums, of the field */
void window_draw(struct draw *draw, const struct grid *crop);
void pair_mask(struct view_pair *pair, const struct grid *crop, bool released);

/* ---- sevr_affine.c: supplement B.2.  v_a(p) = sum_b linear[a][b] (p_b - centre[b]) + shift[a], axes in array order */
struct affine {
    double linear[3][3], centre[3], shift[3]; /* linear: A's matrix minus the identity */
};
void affine_draw(struct affine *affine, const struct draw *draw);
/* field = A(p + u) - p over the crop; u is what the field holds when `displaced`, else 0. */
void affine_field(float *field, const struct affine *affine, const struct draw *draw, bool displaced);
/* v at a position p, D, H, W. */
void affine_at(double v[3], const struct affine *affine, int dims, const double p[3]);
/* The position p with p + v(p) = `at`; false, and p as it was, when the map is flat. */
bool affine_origin(double p[3], const struct affine *affine, int dims, const double at[3]);
/* What is read of the (resized) image: positions p + v(p) of the crop, these and the crop itself, or anything. */
enum reach { REACH_MOVED, REACH_BOTH, REACH_ANYWHERE };
/* The box that is read, the image's frame of zeros included. */
void affine_reach(struct window *box, const struct affine *affine, const struct draw *draw, enum reach reach);
/* Bounds on the sizes of that box over all draws of REACH_MOVED, whatever the image: *span has the crop's dims. */
void affine_span(struct grid *span, const struct settings *settings, const struct grid *crop);

/* ---- sevr_deform.c: beyond the paper, off by default */
size_t deform_bytes(const struct settings *settings, const struct grid *work, const struct grid *crop);
/* field = u, the diffeomorphic displacement by scaling and squaring a smooth random velocity. */
void deform_diffeomorphic(float *field, const struct draw *draw, void *scratch);
/* What both are made of: for each axis uniform noise of -1 .. 1 over the resized image, zero outside, smoothed, times a gain. */
struct smooth_noise {
    float gain;
    double sigma;
    struct random_image image; /* of the first axis; the others are the next planes */
};
struct smooth_noise smooth_draw(const struct draw *draw);
struct smooth_noise velocity_draw(const struct draw *draw); /* the gain includes 2^-squarings */
int smooth_taps(double sigma, int64_t size);                /* that matter along an axis */
/* field += smooth random displacement. */
void deform_smooth(float *field, const struct draw *draw, void *scratch);

/* ---- sevr_image.c: resizing, warp */
/* Where a place of an axis that is resized is read: between its two nearest places, at the edges the edge. */
struct tap {
    int64_t first, second;
    float weight; /* of second */
};
struct tap resize_tap(int64_t place, int64_t from, int64_t to); /* half-pixel centres */
/* The resized, normalised image within a box, channels last, with zeros where the box leaves the image. */
struct resized {
    float *values;
    struct window box;
};
size_t source_bytes(const struct grid *work, int channels);
size_t resize_bytes(const struct grid *grid, const struct grid *work, int channels);
void source_fill(struct resized *source, const float *image, const struct grid *grid, const struct intensity *intensity,
                 const struct draw *draw, void *scratch);
void source_crop(float *view, const struct resized *source, const struct draw *draw);
void source_warp(float *view, const float *field, const struct resized *source, const struct draw *draw);

/* ---- sevr_appearance.c: supplement B.1 */
enum change { CHANGE_NOISE, CHANGE_BLUR, CHANGE_CONTRAST, CHANGE_BRIGHTNESS, CHANGE_INPAINT, CHANGES }; /* in their order */
struct appearance {
    bool wanted[CHANGES];
    float amount[CHANGES]; /* sigma of noise, blur and brightness, gain of contrast, largest number of boxes */
};
void appearance_draw(struct appearance *appearance, const struct draw *draw);
size_t appearance_bytes(const struct settings *settings, const struct grid *crop, int channels);
void appearance_change(float *view, const struct draw *draw, void *scratch);
struct random_image appearance_noise(const struct draw *draw); /* normal, by the place of each value in the view */
struct random_image appearance_fill(const struct draw *draw);  /* uniform, the same */
float brightness_offset(const struct draw *draw, float sigma);
/* The boxes that are painted over: for (struct boxes boxes = boxes_of(draw, amount); boxes_next(&box, &boxes);) */
struct boxes {
    const struct draw *draw;
    struct random_stream stream;
    int left;
};
struct boxes boxes_of(const struct draw *draw, float amount);
bool boxes_next(struct window *box, struct boxes *boxes); /* false: no more */

/* ---- sevr_smooth.c: Gaussian kernels, the one loop that convolves with them, the blur of an image */
int gaussian_radius(double sigma); /* truncated at 4 sigma */
/* kernel[0..taps]: one half of the Gaussian normalised over its whole radius; taps may be smaller than the radius. */
void gaussian_kernel(float *kernel, double sigma, int taps);
void gaussian_weights(float *weights, double sigma, int first, int count); /* a part of it */
/* out[x] = kernel[0] rows[0][x] + sum_k kernel[k] (rows[-k][x] + rows[k][x]) */
void convolve_rows(float *out, const float *const *rows, const float *kernel, int taps, int64_t count);
/* Every axis of an image, its borders replicated; scratch of blur_bytes() for the largest sigma. */
void blur_image(float *values, const struct grid *grid, int channels, double sigma, void *scratch);
size_t blur_bytes(double sigma, const struct grid *grid, int channels);
float mean_value(const float *values, int64_t count); /* summed in fixed lanes of double */

#endif
