/* Dice from pixel counts (Dice 1945).  Called for each validated or evaluated image. */
#include "metrics.h"

#include <math.h>

enum { BLOCK = 4096 };

/* Labels from `first` on as uint16_t: where they lie, or widened into `block`. */
static const uint16_t *widened(uint16_t block[BLOCK], const struct labels *labels, int64_t first, int64_t count) {
    if (labels->wide) return (const uint16_t *)labels->data + first;
    const uint8_t *narrow = (const uint8_t *)labels->data + first;
    for (int64_t i = 0; i < count; i++) block[i] = narrow[i];
    return block;
}

int64_t overlap_add(struct overlap *overlap, int classes, struct labels prediction, struct labels truth, int64_t pixels) {
    uint16_t predicted_block[BLOCK], true_block[BLOCK];
    for (int64_t first = 0; first < pixels; first += BLOCK) {
        const int64_t count = pixels - first < BLOCK ? pixels - first : BLOCK;
        const uint16_t *predicted = widened(predicted_block, &prediction, first, count);
        const uint16_t *is = widened(true_block, &truth, first, count);
        for (int64_t i = 0; i < count; i++) {
            if (predicted[i] >= classes || is[i] >= classes) return first + i;
            overlap[predicted[i]].prediction++;
            overlap[is[i]].truth++;
            overlap[is[i]].intersection += predicted[i] == is[i];
        }
    }
    return -1;
}

double overlap_dice(const struct overlap *overlap) {
    const int64_t both = overlap->prediction + overlap->truth;
    return both > 0 ? 2.0 * (double)overlap->intersection / (double)both : NAN;
}

double overlap_mean_dice(const struct overlap *overlap, int classes) {
    double sum = 0;
    int known = 0;
    for (int c = 1; c < classes; c++) {
        const double dice = overlap_dice(&overlap[c]);
        if (isnan(dice)) continue;
        sum += dice, known++;
    }
    return known ? sum / known : NAN;
}

double mean_known(const double *values, int64_t count) {
    double sum = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        sum += values[i], known++;
    }
    return known ? sum / (double)known : NAN;
}
