/* Random deformations beyond the paper: uniform noise smoothed by a Gaussian and added to the field, as the authors' 3D
 * code does, and a diffeomorphic one, exp(v) of a smooth velocity v by scaling and squaring.  Called by sevr.c. */
#include "sevr_parts.h"

#include <math.h>
#include <string.h>

enum { PLANE_SMOOTH = 1, PLANE_VELOCITY = 4 }; /* of RANDOM_VIEW_DEFORM; one an axis */

/* Scratch of one smoothing: axis by axis, W first, so that little is kept and only what the window needs. */
struct smoothing {
    const float **rows;   /* one column of rows with `taps` more on either side */
    float *kernel, *line; /* a row of noise with `taps` zeros on either side */
    float *sheet;         /* D rows of one y, smoothed along W */
    float *stack;         /* (H, window D, window W), smoothed along W and D */
    float *zeros, *result;
};

static int64_t longest_axis(const struct grid *grid) {
    int64_t longest = 1;
    for (int i = 0; i < 3; i++) longest = grid->size[i] > longest ? grid->size[i] : longest;
    return longest;
}

/* Lay the parts out over `memory`; returns their bytes.  Rows beyond the image are zero, so as many taps as the
 * longest axis has pixels are all that any sigma needs. */
static size_t smoothing_layout(struct smoothing *room, char *memory, const struct grid *work, const int64_t window[3]) {
    size_t longest = (size_t)longest_axis(work), width = (size_t)window[2], used = 0;
    struct {
        void **part;
        size_t bytes;
    } parts[] = {
        {(void **)&room->rows, 3 * longest * sizeof(float *)},
        {(void **)&room->kernel, longest * sizeof(float)},
        {(void **)&room->line, (size_t)work->size[2] * 3 * sizeof(float)},
        {(void **)&room->sheet, (size_t)work->size[0] * width * sizeof(float)},
        {(void **)&room->stack, (size_t)work->size[1] * (size_t)window[0] * width * sizeof(float)},
        {(void **)&room->zeros, width * sizeof(float)},
        {(void **)&room->result, width * sizeof(float)},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (memory) *parts[i].part = memory + used;
        used += line_up(parts[i].bytes);
    }
    return used;
}

int smooth_taps(double sigma, int64_t size) {
    int radius = gaussian_radius(sigma);
    return radius < size ? radius : (int)size - 1;
}

/* A column of `count` rows, `step` floats apart, between rows of zeros: rows[i] for i = -taps .. count + taps - 1. */
static const float **column(const struct smoothing *room, const float *first, int64_t step, int64_t count, int taps) {
    const float **rows = room->rows + taps;
    for (int64_t i = -taps; i < count + taps; i++) rows[i] = i >= 0 && i < count ? first + i * step : room->zeros;
    return rows;
}

/* target[pixel * stride] += gain * (G * noise)(pixel) over the window; noise is U(-1, 1) within the work grid, zero
 * outside. */
static void add_smooth_noise(float *target, int64_t stride, const struct smooth_noise *of, int axis, const struct draw *draw,
                             const struct window *window, char *scratch) {
    const int64_t *size = draw->work.size, *first = window->first, *count = window->size;
    const int64_t width = count[2];
    const double sigma = of->sigma;
    const float gain = of->gain;
    struct random_image noise = of->image;
    noise.plane += (uint32_t)axis;
    struct smoothing room;
    smoothing_layout(&room, scratch, &draw->work, count);
    memset(room.zeros, 0, (size_t)width * sizeof(float));
    gaussian_kernel(room.kernel, sigma, smooth_taps(sigma, longest_axis(&draw->work)));
    int taps_z = smooth_taps(sigma, size[0]), taps_y = smooth_taps(sigma, size[1]), taps_x = smooth_taps(sigma, size[2]);
    memset(room.line, 0, (size_t)(size[2] + 2 * taps_x) * sizeof(float));

    for (int64_t y = 0; y < size[1]; y++) {
        bool volume = draw->work.ndim == 3;
        for (int64_t z = 0; z < size[0]; z++) {
            float *row = room.line + taps_x;
            random_image_uniform(row, &noise, (z * size[1] + y) * size[2], size[2]);
            for (int64_t x = 0; x < size[2]; x++) row[x] = 2 * row[x] - 1;
            for (int k = -taps_x; k <= taps_x; k++) room.rows[taps_x + k] = row + first[2] + k;
            convolve_rows(volume ? room.sheet + z * width : room.stack + y * width, room.rows + taps_x, room.kernel, taps_x, width);
        }
        if (!volume) continue;
        const float **rows = column(&room, room.sheet, width, size[0], taps_z);
        for (int64_t z = 0; z < count[0]; z++)
            convolve_rows(room.stack + (y * count[0] + z) * width, rows + first[0] + z, room.kernel, taps_z, width);
    }
    for (int64_t z = 0; z < count[0]; z++) {
        const float **rows = column(&room, room.stack + z * width, count[0] * width, size[1], taps_y);
        for (int64_t y = 0; y < count[1]; y++) {
            convolve_rows(room.result, rows + first[1] + y, room.kernel, taps_y, width);
            float *to = target + (z * count[1] + y) * width * stride;
            for (int64_t x = 0; x < width; x++) to[x * stride] += gain * room.result[x];
        }
    }
}

struct smooth_noise smooth_draw(const struct draw *draw) {
    const struct settings *s = draw->settings;
    struct random_stream stream = draw_stream(draw, RANDOM_VIEW_DEFORM);
    const float gain = random_uniform(&stream, 0, (float)s->views.deform_alpha);
    const float sigma = random_uniform(&stream, (float)s->views.deform_sigma_low, (float)s->views.deform_sigma_high);
    return (struct smooth_noise){gain, (double)sigma, draw_image(draw, RANDOM_VIEW_DEFORM, PLANE_SMOOTH)};
}

void deform_smooth(float *field, const struct draw *draw, void *scratch) {
    const struct smooth_noise noise = smooth_draw(draw);
    for (int a = 0; a < draw->work.ndim; a++) add_smooth_noise(field + a, draw->work.ndim, &noise, a, draw, &draw->crop, scratch);
}

/* ---- scaling and squaring: u = v / 2^n, then n times u(p) <- u(p) + u(p + u(p)); beyond an edge u is the edge's */

/* One axis of a clamped linear reading: the float offsets of the two pixels, and the weight of the second. */
struct between {
    int64_t first, second;
    float weight;
};

static inline struct between between(float place, int64_t size, int64_t stride) {
    float last = (float)(size - 1);
    place = place > 0 ? place : 0;
    place = place < last ? place : last;
    int64_t first = (int64_t)place, second = first + 1 < size ? first + 1 : first;
    return (struct between){first * stride, second * stride, place - (float)first};
}

static inline float lerp(float a, float b, float weight) { return a + weight * (b - a); }

static inline void sample_clamped(float *restrict out, const float *restrict u, const struct window *box, float z, float y, float x,
                                  int dims) {
    const struct between bx = between(x, box->size[2], dims), by = between(y, box->size[1], box->size[2] * dims),
                         bz = between(z, box->size[0], box->size[1] * box->size[2] * dims);
    const float *near = u + bz.first, *far = u + bz.second;
    for (int a = 0; a < dims; a++, near++, far++) {
        float top = lerp(near[by.first + bx.first], near[by.first + bx.second], bx.weight);
        float low = lerp(near[by.second + bx.first], near[by.second + bx.second], bx.weight);
        out[a] = lerp(top, low, by.weight);
        if (dims == 2) continue;
        top = lerp(far[by.first + bx.first], far[by.first + bx.second], bx.weight);
        low = lerp(far[by.second + bx.first], far[by.second + bx.second], bx.weight);
        out[a] = lerp(out[a], lerp(top, low, by.weight), bz.weight);
    }
}

static inline void square(float *restrict out, const float *restrict u, const struct window *box, int dims) {
    const float *here = u;
    for (int64_t z = 0; z < box->size[0]; z++)
        for (int64_t y = 0; y < box->size[1]; y++)
            for (int64_t x = 0; x < box->size[2]; x++, here += dims, out += dims) {
                sample_clamped(out, u, box, dims == 3 ? (float)z + here[0] : 0, (float)y + here[dims - 2],
                               (float)x + here[dims - 1], dims);
                for (int a = 0; a < dims; a++) out[a] += here[a];
            }
}

/* Copy a window of a grid's vectors; both dense. */
static void copy_window(float *to, const float *from, const int64_t grid[3], const struct window *window, int dims) {
    for (int64_t z = 0; z < window->size[0]; z++)
        for (int64_t y = 0; y < window->size[1]; y++, to += window->size[2] * dims)
            memcpy(to, from + (((window->first[0] + z) * grid[1] + window->first[1] + y) * grid[2] + window->first[2]) * dims,
                   (size_t)(window->size[2] * dims) * sizeof *to);
}

/* The part of the work grid that paths from the crop can reach: no path is longer than 2^n max |u| on an axis, and each
 * interpolation reads one pixel further. */
static void flow_box(struct window *box, const float *u, const struct draw *draw, int squarings) {
    int dims = draw->work.ndim;
    int64_t pixels = grid_pixels(&draw->work);
    *box = (struct window){.size = {1, 1, 1}};
    for (int a = 0; a < dims; a++) {
        float largest = 0;
        for (int64_t p = 0; p < pixels; p++) {
            float magnitude = fabsf(u[p * dims + a]);
            largest = magnitude > largest ? magnitude : largest;
        }
        int i = 3 - dims + a;
        double size = (double)draw->work.size[i];
        int64_t margin = (int64_t)fmin(ldexp((double)largest, squarings) + squarings + 2, size);
        int64_t low = draw->crop.first[i] - margin, high = draw->crop.first[i] + draw->crop.size[i] + margin;
        box->first[i] = low > 0 ? low : 0;
        box->size[i] = (high < draw->work.size[i] ? high : draw->work.size[i]) - box->first[i];
    }
}

struct smooth_noise velocity_draw(const struct draw *draw) {
    const struct settings *s = draw->settings;
    struct random_stream stream = draw_stream(draw, RANDOM_VIEW_DEFORM);
    stream.next = 1; /* the first block is smooth_draw()'s */
    const double gain = ldexp((double)random_uniform(&stream, 0, (float)s->views.diffeo_alpha), -(int)s->views.diffeo_squarings);
    return (struct smooth_noise){(float)gain, s->views.diffeo_sigma, draw_image(draw, RANDOM_VIEW_DEFORM, PLANE_VELOCITY)};
}

void deform_diffeomorphic(float *field, const struct draw *draw, void *scratch) {
    int dims = draw->work.ndim, squarings = (int)draw->settings->views.diffeo_squarings;
    size_t vectors = (size_t)grid_pixels(&draw->work) * (size_t)dims;
    float *velocity = scratch, *flow = velocity + vectors;
    const struct window whole = {.size = {draw->work.size[0], draw->work.size[1], draw->work.size[2]}};
    const struct smooth_noise noise = velocity_draw(draw);
    memset(velocity, 0, vectors * sizeof *velocity);
    for (int a = 0; a < dims; a++) add_smooth_noise(velocity + a, dims, &noise, a, draw, &whole, (char *)(flow + vectors));
    struct window box, crop = draw->crop;
    flow_box(&box, velocity, draw, squarings);
    copy_window(flow, velocity, draw->work.size, &box, dims);
    float *next = velocity;
    for (int i = 0; i < squarings; i++) {
        if (dims == 2) square(next, flow, &box, 2);
        else square(next, flow, &box, 3);
        float *squared = next;
        next = flow, flow = squared;
    }
    for (int i = 0; i < 3; i++) crop.first[i] -= box.first[i];
    copy_window(field, flow, box.size, &crop, dims);
}

size_t deform_bytes(const struct settings *settings, const struct grid *work, const struct grid *crop) {
    struct smoothing room;
    size_t smooth = settings->views.deform_alpha > 0 ? smoothing_layout(&room, NULL, work, crop->size) : 0;
    if (settings->views.diffeo_alpha <= 0) return smooth;
    size_t vectors = (size_t)grid_pixels(work) * (size_t)work->ndim * sizeof(float);
    size_t flow = 2 * vectors + smoothing_layout(&room, NULL, work, work->size);
    return flow > smooth ? flow : smooth;
}
