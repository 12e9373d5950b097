/* The places of regions and of their negatives (regions.h). */
#include "regions.h"

#include <string.h>

static const uint8_t regions_2d[REGIONS_2D][2] = {{0, 0}, {0, 2}, {0, 4}, {2, 0}, {2, 2}, {2, 4}, {4, 0},
                                                  {4, 2}, {4, 4}, {1, 1}, {1, 3}, {3, 1}, {3, 3}};
// clang-format off
static const uint8_t negatives_2d[REGIONS_2D][REGION_NEGATIVES][2] = {
    {{0, 2}, {1, 1}, {1, 2}, {2, 0}, {2, 1}}, {{0, 0}, {0, 4}, {1, 1}, {1, 3}, {2, 2}}, {{0, 2}, {1, 2}, {1, 3}, {2, 3}, {2, 4}},
    {{0, 0}, {1, 1}, {2, 2}, {4, 0}, {3, 1}}, {{1, 1}, {1, 3}, {3, 1}, {3, 3}, {2, 0}}, {{0, 4}, {2, 2}, {4, 4}, {1, 3}, {3, 3}},
    {{2, 0}, {2, 1}, {4, 2}, {3, 1}, {3, 2}}, {{2, 2}, {4, 0}, {4, 4}, {3, 1}, {3, 3}}, {{2, 3}, {2, 4}, {4, 2}, {3, 3}, {3, 2}},
    {{0, 0}, {0, 2}, {2, 0}, {2, 2}, {1, 3}}, {{0, 2}, {0, 4}, {1, 1}, {2, 2}, {2, 4}}, {{2, 0}, {2, 2}, {4, 0}, {4, 2}, {3, 3}},
    {{2, 2}, {2, 4}, {4, 2}, {4, 4}, {3, 1}}};
// clang-format on

static void places_2d(struct regions *regions) {
    for (int r = 0; r < REGIONS_2D; r++) {
        memcpy(regions->place[r] + 1, regions_2d[r], 2);
        for (int k = 0; k < REGION_NEGATIVES; k++)
            memcpy(regions->place[REGIONS_2D + REGION_NEGATIVES * r + k] + 1, negatives_2d[r][k], 2);
    }
}

static int distance(const uint8_t *a, const uint8_t *b) {
    int square = 0;
    for (int i = 0; i < 3; i++) square += (a[i] - b[i]) * (a[i] - b[i]);
    return square;
}
/* The five nearest of all regions but r, of equals the first. */
static void nearest(struct regions *regions, int r) {
    bool taken[REGIONS_3D] = {[0] = false};
    taken[r] = true;
    for (int k = 0; k < REGION_NEGATIVES; k++) {
        int best = -1;
        for (int i = 0; i < REGIONS_3D; i++)
            if (!taken[i] &&
                (best < 0 || distance(regions->place[i], regions->place[r]) < distance(regions->place[best], regions->place[r])))
                best = i;
        taken[best] = true;
        memcpy(regions->place[REGIONS_3D + REGION_NEGATIVES * r + k], regions->place[best], 3);
    }
}
static void places_3d(struct regions *regions) {
    int count = 0;
    for (int first = 0; first < 2; first++)
        for (int z = first; z <= 4; z += 2)
            for (int y = first; y <= 4; y += 2)
                for (int x = first; x <= 4; x += 2) {
                    uint8_t *const place = regions->place[count++];
                    place[0] = (uint8_t)z, place[1] = (uint8_t)y, place[2] = (uint8_t)x;
                }
    for (int r = 0; r < REGIONS_3D; r++) nearest(regions, r);
}

void regions_of(struct regions *regions, int ndim) {
    memset(regions, 0, sizeof *regions);
    regions->count = ndim == 2 ? REGIONS_2D : REGIONS_3D;
    if (ndim == 2) places_2d(regions);
    else places_3d(regions);
}
