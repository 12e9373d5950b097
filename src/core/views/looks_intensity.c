/* Changes of intensities, a value at a time (looks.h).  Called by the makers of views. */
#include "looks.h"

static inline float clamp(float x) {
    x = x > 0 ? x : 0;
    return x < 1 ? x : 1;
}

void look_brightness(float *values, int64_t count, float factor) {
    for (int64_t i = 0; i < count; i++) values[i] = clamp(values[i] * factor);
}

void look_contrast(float *values, int64_t count, float factor) {
    const float mean = mean_value(values, count);
    for (int64_t i = 0; i < count; i++) values[i] = clamp((values[i] - mean) * factor + mean);
}

void look_offset(float *values, int64_t count, float offset, float gain, float top) {
    const float mean = mean_value(values, count) + offset;
    for (int64_t i = 0; i < count; i++) {
        float x = (values[i] + offset - mean) * gain + mean;
        x = x > 0 ? x : 0;
        values[i] = x < top ? x : top;
    }
}

void look_solarise(float *values, int64_t count, float threshold) {
    for (int64_t i = 0; i < count; i++) values[i] = values[i] < threshold ? values[i] : 1 - values[i];
}

/* ---- corruption */

static void add_noise(float *out, const float *image, int64_t count, float sigma, const float *normal) {
    for (int64_t i = 0; i < count; i++) out[i] = image[i] + sigma * normal[i];
}
static void drop(float *out, const float *image, int64_t count, float share, const float *uniform) {
    for (int64_t i = 0; i < count; i++) out[i] = uniform[i] < share ? 0 : image[i];
}
static void salt_and_pepper(float *out, const float *image, int64_t count, float share, const float *uniform) {
    const float low = share / 2, high = 1 - share / 2;
    for (int64_t i = 0; i < count; i++) {
        float x = uniform[i] >= high ? 1 : image[i];
        out[i] = uniform[i] < low ? 0 : x;
    }
}

void look_corrupt(float *out, const float *image, int64_t count, enum corruption kind, float amount,
                  const struct numbers *numbers) {
    static const struct {
        void (*draw)(float *values, const struct random_image *image, int64_t first, int64_t count);
        void (*change)(float *out, const float *image, int64_t count, float amount, const float *numbers);
    } kinds[] = {
        [CORRUPT_GAUSSIAN] = {random_image_normal, add_noise},
        [CORRUPT_MASKING] = {random_image_uniform, drop},
        [CORRUPT_SALT_AND_PEPPER] = {random_image_uniform, salt_and_pepper},
    };
    enum { BLOCK = 1024 };
    float drawn[BLOCK];
    for (int64_t done = 0; done < count; done += BLOCK) {
        int64_t some = count - done < BLOCK ? count - done : BLOCK;
        if (!numbers->given) kinds[kind].draw(drawn, &numbers->drawn, done, some);
        kinds[kind].change(out + done, image + done, some, amount, numbers->given ? numbers->given + done : drawn);
    }
}

/* ---- the curve: both its coordinates rise with its parameter, so that y at x = v is found between two points of it */

static double cubic(double s, double a, double b) { return 3 * (1 - s) * (1 - s) * s * a + 3 * (1 - s) * s * s * b + s * s * s; }

static void draw_table(struct bezier_table *table, const struct bezier *bezier) {
    for (int i = 0; i <= BEZIER_PIECES; i++) {
        double s = (double)i / BEZIER_PIECES;
        table->from[i] = (float)cubic(s, (double)bezier->p[0], (double)bezier->q[0]);
        table->value[i] = (float)cubic(bezier->falling ? 1 - s : s, (double)bezier->p[1], (double)bezier->q[1]);
    }
    for (int i = 0; i < BEZIER_PIECES; i++) {
        float length = table->from[i + 1] - table->from[i];
        table->slope[i] = length > 0 ? (table->value[i + 1] - table->value[i]) / length : 0;
    }
    int piece = 0; /* the last one that begins at or before the bin */
    for (int bin = 0; bin < BEZIER_BINS + 2; bin++) {
        while (piece < BEZIER_PIECES - 1 && table->from[piece + 1] <= (float)bin / BEZIER_BINS) piece++;
        table->piece[bin] = (uint16_t)piece;
    }
}

void look_bezier(float *values, int64_t count, const struct bezier *bezier, struct bezier_table *table) {
    draw_table(table, bezier);
    for (int64_t i = 0; i < count; i++) {
        float v = clamp(values[i]);
        int bin = (int)(v * BEZIER_BINS), low = table->piece[bin], high = table->piece[bin + 1];
        while (low < high) {
            int middle = (low + high + 1) / 2;
            if (table->from[middle] <= v) low = middle;
            else high = middle - 1;
        }
        values[i] = table->value[low] + (v - table->from[low]) * table->slope[low];
    }
}
