/* Labels under augmentation (augment_label.h).  A label is never resized: each position of the resized image is taken
 * back to the stored label, with the half-pixel centres that the image is resized with.  Called by augment.c. */
#include "augment_label.h"

#include <string.h>

/* ---- a foreground pixel: count the classes, choose one, walk to one of its pixels */

enum { ABREAST = 4 }; /* labels in a word; most words hold one class */

/* How often each value stands in the label; returns one more than the largest. */
static int count_values(int64_t *counts, const uint16_t *label, int64_t pixels) {
    int64_t i = 0, run = 0;
    uint64_t last = 0; /* the word of a run; labels begin with background more often than not */
    int largest = 0;
    for (; i + ABREAST <= pixels; i += ABREAST) {
        uint64_t word;
        memcpy(&word, label + i, sizeof word);
        if (word == last) {
            run += ABREAST;
            continue;
        }
        counts[last & 0xFFFF] += run, run = 0;
        uint16_t first = label[i];
        if (word == first * UINT64_C(0x0001000100010001)) last = word, run = ABREAST;
        else
            for (int k = 0; k < ABREAST; k++) counts[label[i + k]]++;
        for (int k = 0; k < ABREAST; k++) largest = label[i + k] > largest ? label[i + k] : largest;
    }
    counts[last & 0xFFFF] += run;
    for (; i < pixels; i++) {
        counts[label[i]]++;
        largest = label[i] > largest ? label[i] : largest;
    }
    return largest + 1;
}

bool label_foreground(int64_t pixel[3], const uint16_t *label, int ignore, const struct grid *grid, struct random_stream *stream,
                      int64_t *counts) {
    int values = count_values(counts, label, grid_pixels(grid)), present = 0, class = 0;
    if (ignore >= 0 && ignore < values) counts[ignore] = 0;
    for (int v = 1; v < values; v++) present += counts[v] > 0;
    if (present) {
        int64_t chosen = random_below(stream, present);
        while (counts[++class] == 0 || chosen-- > 0) {}
        int64_t most = INT64_C(1) << 32, at = -1; /* of more pixels than that, the first ones */
        int64_t left = random_below(stream, counts[class] < most ? counts[class] : most);
        while (label[++at] != class || left-- > 0) {}
        pixel[2] = at % grid->size[2], at /= grid->size[2];
        pixel[1] = at % grid->size[1], pixel[0] = at / grid->size[1];
    }
    memset(counts, 0, (size_t)values * sizeof *counts);
    return present > 0;
}

/* ---- reading */

/* A position p of the resized image lies in pixel floor((p + 1/2) scale) of the label's axis. */
struct axis {
    float scale, size;
};

/* Inside the axis?  Then *place is its pixel, else 0. */
static inline bool place_of(int64_t *place, float position, struct axis axis) {
    float at = (position + 0.5f) * axis.scale;
    bool inside = at >= 0 && at < axis.size;
    *place = inside ? (int64_t)at : 0;
    return inside;
}

static inline void read_row(float *out, const uint16_t *label, int ignore, const struct axis axis[3], const int64_t size[3],
                            const float *field, const float start[3], int64_t count, int dims) {
    for (int64_t x = 0; x < count; x++, field += dims) {
        int64_t iz = 0, iy, ix;
        bool inside = dims == 2 || place_of(&iz, start[0] + field[0], axis[0]);
        inside &= place_of(&iy, start[1] + field[dims - 2], axis[1]);
        inside &= place_of(&ix, start[2] + (float)x + field[dims - 1], axis[2]);
        int value = label[(iz * size[1] + iy) * size[2] + ix];
        out[x] = inside && value != ignore ? (float)value : -1;
    }
}

/* The same where the field is zero: a row of the crop comes from one row of the label, or from outside. */
static void read_row_still(float *out, const uint16_t *label, int ignore, const struct axis axis[3], const int64_t size[3],
                           const float start[3], int64_t count) {
    int64_t iz, iy, ix;
    const bool in_z = place_of(&iz, start[0], axis[0]), in_y = place_of(&iy, start[1], axis[1]), outside = !in_z || !in_y;
    label += (iz * size[1] + iy) * size[2];
    for (int64_t x = 0; x < count; x++) {
        bool inside = place_of(&ix, start[2] + (float)x, axis[2]) && !outside;
        out[x] = inside && label[ix] != ignore ? (float)label[ix] : -1;
    }
}

void label_read(float *out, const uint16_t *label, int ignore, const struct grid *grid, const float *field,
                const struct draw *draw) {
    const struct window *crop = &draw->crop;
    const int dims = grid->ndim;
    const int64_t count = crop->size[2];
    struct axis axis[3];
    for (int i = 0; i < 3; i++) axis[i] = (struct axis){(float)grid->size[i] / (float)draw->work.size[i], (float)grid->size[i]};
    for (int64_t z = 0; z < crop->size[0]; z++)
        for (int64_t y = 0; y < crop->size[1]; y++, out += count) {
            float start[3] = {(float)(crop->first[0] + z), (float)(crop->first[1] + y), (float)crop->first[2]};
            if (!field) {
                read_row_still(out, label, ignore, axis, grid->size, start, count);
                continue;
            }
            if (dims == 2) read_row(out, label, ignore, axis, grid->size, field, start, count, 2);
            else read_row(out, label, ignore, axis, grid->size, field, start, count, 3);
            field += count * dims;
        }
}
