/* The image side of SeVR: the resized image, normalised, and the two views read from it.  The resized image is held
 * within the box that the views read and with a frame of zeros, so that a tap outside the image needs no test.
 * Called by sevr.c. */
#include "sevr_parts.h"

#include <math.h>
#include <string.h>

/* ---- resizing: linear, half-pixel centres, a place between its two nearest pixels, at the edges the edge */

struct tap resize_tap(int64_t place, int64_t from, int64_t to) {
    double at = ((double)place + 0.5) * ((double)from / (double)to) - 0.5;
    if (at < 0) at = 0;
    int64_t first = (int64_t)at;
    if (first > from - 1) first = from - 1;
    return (struct tap){first, first + 1 < from ? first + 1 : first, (float)(at - (double)first)};
}

static inline float clip(float x, const struct intensity *n) {
    x = x > n->low ? x : n->low;
    return x < n->high ? x : n->high;
}

/* Blend two rows (2D) or four (3D) and normalise. */
static void blend_rows(float *out, const float *const rows[4], float weight_y, float weight_z, bool volume, int64_t count,
                       const struct intensity *intensity) {
    const struct intensity n = *intensity;
    for (int64_t x = 0; x < count; x++) {
        float a = clip(rows[0][x], &n), b = clip(rows[1][x], &n);
        a += weight_y * (b - a);
        if (volume) {
            float c = clip(rows[2][x], &n), d = clip(rows[3][x], &n);
            c += weight_y * (d - c);
            a += weight_z * (c - a);
        }
        out[x] = (a - n.offset) / n.divisor;
    }
}

size_t source_bytes(const struct grid *work, int channels) {
    size_t values = (size_t)channels;
    for (int a = 0; a < work->ndim; a++) values *= (size_t)grid_axis(work, a) + 3;
    return values * sizeof(float);
}

size_t resize_bytes(const struct grid *grid, const struct grid *work, int channels) {
    return (size_t)work->size[2] * sizeof(struct tap) + (size_t)grid->size[2] * (size_t)channels * sizeof(float);
}

void source_fill(struct resized *source, const float *image, const struct grid *grid, const struct intensity *intensity,
                 const struct draw *draw, void *scratch) {
    const struct window *box = &source->box;
    const int64_t *from = grid->size, *to = draw->work.size;
    int64_t channels = draw->channels, row_values = box->size[2] * channels;
    int64_t x0 = box->first[2] < 0 ? 0 : box->first[2], x1 = box->first[2] + box->size[2];
    if (x1 > to[2]) x1 = to[2];
    struct tap *taps = scratch;
    float *blended = (float *)(taps + to[2]);
    for (int64_t x = x0; x < x1; x++) taps[x] = resize_tap(x, from[2], to[2]);
    int64_t left = taps[x0].first, blend = (taps[x1 - 1].second + 1 - left) * channels; /* what a row is read from */

    for (int64_t z = box->first[0]; z < box->first[0] + box->size[0]; z++)
        for (int64_t y = box->first[1]; y < box->first[1] + box->size[1]; y++) {
            float *row = source->values + ((z - box->first[0]) * box->size[1] + y - box->first[1]) * row_values;
            memset(row, 0, (size_t)row_values * sizeof *row);
            if (z < 0 || z >= to[0] || y < 0 || y >= to[1]) continue;
            struct tap tz = resize_tap(z, from[0], to[0]), ty = resize_tap(y, from[1], to[1]);
            const float *rows[4];
            for (int i = 0; i < 4; i++)
                rows[i] = image +
                          (((i & 2 ? tz.second : tz.first) * from[1] + (i & 1 ? ty.second : ty.first)) * from[2] + left) * channels;
            row += (x0 - box->first[2]) * channels;
            bool same_width = from[2] == to[2];
            blend_rows(same_width ? row : blended, rows, ty.weight, tz.weight, grid->ndim == 3,
                       same_width ? (x1 - x0) * channels : blend, intensity);
            if (same_width) continue;
            for (int64_t x = x0; x < x1; x++)
                for (int64_t c = 0; c < channels; c++) {
                    float a = blended[(taps[x].first - left) * channels + c];
                    float b = blended[(taps[x].second - left) * channels + c];
                    *row++ = a + taps[x].weight * (b - a);
                }
        }
}

/* ---- views */

void source_crop(float *view, const struct resized *source, const struct draw *draw) {
    const struct window *box = &source->box, *crop = &draw->crop;
    int64_t row_values = crop->size[2] * draw->channels;
    for (int64_t z = crop->first[0]; z < crop->first[0] + crop->size[0]; z++)
        for (int64_t y = crop->first[1]; y < crop->first[1] + crop->size[1]; y++, view += row_values) {
            int64_t pixel =
                ((z - box->first[0]) * box->size[1] + y - box->first[1]) * box->size[2] + crop->first[2] - box->first[2];
            memcpy(view, source->values + pixel * draw->channels, (size_t)row_values * sizeof *view);
        }
}

/* Where one axis of the box is read: place = clamp((p + v) * scale + offset, 0, last); its fraction weighs the next. */
struct reading {
    float scale, offset, last;
};

static inline float place_of(float position, const struct reading *r) {
    float place = position * r->scale + r->offset;
    place = place > 0 ? place : 0;
    return place < r->last ? place : r->last;
}

static inline float lerp(float a, float b, float weight) { return a + weight * (b - a); }

static inline void warp_row2(float *view, const float *field, const float *values, const int64_t size[3], const struct reading r[3],
                             float y, float x, int64_t count, int64_t channels) {
    for (int64_t i = 0; i < count; i++) {
        float py = place_of(y + field[2 * i], &r[1]), px = place_of(x + (float)i + field[2 * i + 1], &r[2]);
        int64_t iy = (int64_t)py, ix = (int64_t)px;
        float wy = py - (float)iy, wx = px - (float)ix;
        const float *top = values + (iy * size[2] + ix) * channels, *low = top + size[2] * channels;
        for (int64_t c = 0; c < channels; c++)
            view[i * channels + c] = lerp(lerp(top[c], top[channels + c], wx), lerp(low[c], low[channels + c], wx), wy);
    }
}

static inline void warp_row3(float *view, const float *field, const float *values, const int64_t size[3], const struct reading r[3],
                             float z, float y, float x, int64_t count, int64_t channels) {
    const int64_t down = size[2] * channels, deep = size[1] * down;
    for (int64_t i = 0; i < count; i++) {
        float pz = place_of(z + field[3 * i], &r[0]), py = place_of(y + field[3 * i + 1], &r[1]),
              px = place_of(x + (float)i + field[3 * i + 2], &r[2]);
        int64_t iz = (int64_t)pz, iy = (int64_t)py, ix = (int64_t)px;
        float wz = pz - (float)iz, wy = py - (float)iy, wx = px - (float)ix;
        const float *at = values + iz * deep + iy * down + ix * channels;
        for (int64_t c = 0; c < channels; c++, at++) {
            const float *far = at + deep;
            float near_value = lerp(lerp(at[0], at[channels], wx), lerp(at[down], at[down + channels], wx), wy);
            float far_value = lerp(lerp(far[0], far[channels], wx), lerp(far[down], far[down + channels], wx), wy);
            view[i * channels + c] = lerp(near_value, far_value, wz);
        }
    }
}

/* b(p) = x(p + v(p)); `released`: position p is read at p S / (S - 1) - 1/2 of the whole image. */
void source_warp(float *view, const float *field, const struct resized *source, const struct draw *draw) {
    const struct window *box = &source->box, *crop = &draw->crop;
    bool released = draw->settings->objective.coordinates == COORDINATES_RELEASED;
    int dims = draw->work.ndim;
    struct reading reading[3];
    for (int i = 0; i < 3; i++) {
        float n = (float)draw->work.size[i];
        reading[i] = (struct reading){1, (float)-box->first[i], (float)(box->size[i] - 2)};
        if (released && n > 1) reading[i].scale = n / (n - 1), reading[i].offset -= 0.5f;
    }
    int64_t count = crop->size[2], channels = draw->channels;
    float x = (float)crop->first[2];
    for (int64_t z = 0; z < crop->size[0]; z++)
        for (int64_t y = 0; y < crop->size[1]; y++, view += count * channels, field += count * dims) {
            float pz = (float)(crop->first[0] + z), py = (float)(crop->first[1] + y);
            if (dims == 2 && channels == 1) warp_row2(view, field, source->values, box->size, reading, py, x, count, 1);
            else if (dims == 2) warp_row2(view, field, source->values, box->size, reading, py, x, count, channels);
            else if (channels == 1) warp_row3(view, field, source->values, box->size, reading, pz, py, x, count, 1);
            else warp_row3(view, field, source->values, box->size, reading, pz, py, x, count, channels);
        }
}
