/* Linear interpolation of class scores and their maximum. */
#include "scores.h"

#include <string.h>

struct taps { /* along one axis: scores are read at `low` and `high` */
    int64_t low, high;
    float part; /* of high */
};

static struct taps taps_at(int64_t position, int64_t to, int64_t from) {
    double at = ((double)position + 0.5) * (double)from / (double)to - 0.5;
    double most = (double)(from - 1), clamped = at < 0 ? 0 : at > most ? most : at;
    int64_t low = (int64_t)clamped;
    return (struct taps){low, low + 1 < from ? low + 1 : low, (float)(clamped - (double)low)};
}

static uint16_t best_of(const float *corner[8], const float *weight, int corners, int classes) {
    int best = 0;
    float highest = 0;
    for (int k = 0; k < classes; k++) {
        float score = 0;
        for (int c = 0; c < corners; c++) score += weight[c] * corner[c][k];
        if (k == 0 || score > highest) best = k, highest = score;
    }
    return (uint16_t)best;
}

void scores_to_labels(uint16_t *labels, const struct grid *to, const float *scores, const struct grid *from, int classes) {
    const int64_t *size = from->size;
    bool same = grid_same(to, from);
    for (int64_t z = 0; z < to->size[0]; z++)
        for (int64_t y = 0; y < to->size[1]; y++)
            for (int64_t x = 0; x < to->size[2]; x++, labels++) {
                struct taps tap[3] = {taps_at(z, to->size[0], size[0]), taps_at(y, to->size[1], size[1]), taps_at(x, to->size[2], size[2])};
                const float *corner[8];
                float weight[8];
                int corners = 0;
                for (int c = 0; c < (same ? 1 : 8); c++) {
                    int64_t at[3];
                    float w = 1;
                    for (int a = 0; a < 3; a++) {
                        bool high = c >> a & 1;
                        at[a] = high ? tap[a].high : tap[a].low;
                        w *= same ? 1 : high ? tap[a].part : 1 - tap[a].part;
                    }
                    if (w == 0) continue;
                    weight[corners] = w;
                    corner[corners++] = scores + ((at[0] * size[1] + at[1]) * size[2] + at[2]) * classes;
                }
                *labels = best_of(corner, weight, corners, classes);
            }
}
