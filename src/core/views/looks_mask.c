/* Which pixels in-painting drops (looks.h): smooth regions, boxes, the middle.  Called by the makers of views. */
#include "looks.h"

#include <string.h>

/* ---- regions */

enum { LATTICE = 16, DIGITS = 11 }; /* pixels a point; bits of a value that are sorted by at once */

struct grid look_lattice(const struct grid *grid) {
    struct grid lattice = {grid->ndim, {1, 1, 1}};
    for (int i = 3 - grid->ndim; i < 3; i++) {
        int64_t points = (grid->size[i] + LATTICE - 1) / LATTICE;
        lattice.size[i] = points < 2 ? 2 : points; /* with a single one all would be equal */
    }
    return lattice;
}

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The rank-th smallest (from 0) of values that are not negative, whose order is that of their bits: digit by digit from the top.
 * *before: how many are smaller. */
static uint32_t select_bits(const float *values, int64_t count, int64_t rank, int64_t *before) {
    static const int shifts[] = {32 - DIGITS, 32 - 2 * DIGITS, 0};
    uint32_t chosen = 0;
    *before = 0;
    for (int round = 0; round < 3; round++) {
        int shift = shifts[round], above = round ? shifts[round - 1] : 32;
        int64_t counts[1 << DIGITS] = {0};
        for (int64_t i = 0; i < count; i++) {
            uint32_t bits = bits_of(values[i]);
            if (round == 0 || bits >> above == chosen) counts[(bits >> shift) & ((1u << (above - shift)) - 1)]++;
        }
        uint32_t digit = 0;
        while (*before + counts[digit] <= rank) *before += counts[digit++];
        chosen = chosen << (above - shift) | digit;
    }
    return chosen;
}

/* In place: ones where a value is among the k smallest, else zeros. */
static void mark_smallest(float *values, int64_t count, int64_t k) {
    int64_t before, equals;
    uint32_t last = k > 0 ? select_bits(values, count, k - 1, &before) : 0;
    equals = k > 0 ? k - before : 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = bits_of(values[i]);
        bool dropped = bits < last && k > 0;
        if (bits == last && equals > 0) dropped = true, equals--;
        values[i] = dropped;
    }
}

void look_region_mask(float *mask, const struct grid *grid, const float *lattice, const struct grid *lattice_grid, double share,
                      void *scratch) {
    const struct look_box all = {.window = {.size = {lattice_grid->size[0], lattice_grid->size[1], lattice_grid->size[2]}}};
    look_resized_crop(mask, grid, &all, lattice, lattice_grid, 1, scratch);
    int64_t pixels = grid_pixels(grid);
    mark_smallest(mask, pixels, (int64_t)(share * (double)pixels + 0.5));
}

static void region(float *mask, const struct grid *grid, double share, const struct chance *chance, void *scratch) {
    const struct grid lattice = look_lattice(grid);
    const struct random_image noise = chance_image(chance, RANDOM_LOOK_MASK, 1);
    float *points = scratch;
    random_image_uniform(points, &noise, 0, grid_pixels(&lattice));
    look_region_mask(mask, grid, points, &lattice, share,
                     (char *)scratch + line_up((size_t)grid_pixels(&lattice) * sizeof *points));
}

/* ---- boxes */

static void mark_box(float *mask, const struct grid *grid, const struct window *box) {
    for (int64_t z = box->first[0]; z < box->first[0] + box->size[0]; z++)
        for (int64_t y = box->first[1]; y < box->first[1] + box->size[1]; y++) {
            float *row = mask + (z * grid->size[1] + y) * grid->size[2] + box->first[2];
            for (int64_t x = 0; x < box->size[2]; x++) row[x] = 1;
        }
}

static void blocks(float *mask, const struct grid *grid, double share, const struct chance *chance, void *scratch) {
    (void)share, (void)scratch;
    struct window box[BOXES];
    struct random_stream stream = chance_stream(chance, RANDOM_LOOK_MASK, 0);
    int count = boxes_draw(box, &stream, grid, &genesis_mask);
    memset(mask, 0, (size_t)grid_pixels(grid) * sizeof *mask);
    for (int i = 0; i < count; i++) mark_box(mask, grid, &box[i]);
}

static void centre(float *mask, const struct grid *grid, double share, const struct chance *chance, void *scratch) {
    (void)share, (void)chance, (void)scratch;
    struct window box = {.size = {1, 1, 1}};
    for (int i = 3 - grid->ndim; i < 3; i++)
        box.size[i] = (grid->size[i] + 1) / 2, box.first[i] = (grid->size[i] - box.size[i]) / 2;
    memset(mask, 0, (size_t)grid_pixels(grid) * sizeof *mask);
    mark_box(mask, grid, &box);
}

/* ---- one mask */

size_t look_mask_bytes(const struct grid *grid) {
    const struct grid lattice = look_lattice(grid);
    return line_up((size_t)grid_pixels(&lattice) * sizeof(float)) + look_resized_crop_bytes(grid, &lattice, 1);
}

int64_t look_mask_draw(float *mask, const struct grid *grid, enum look_mask kind, double share, const struct chance *chance,
                       void *scratch) {
    static void (*const kinds[])(float *mask, const struct grid *grid, double share, const struct chance *chance, void *scratch) = {
        [LOOK_MASK_REGION] = region, [LOOK_MASK_BLOCKS] = blocks, [LOOK_MASK_CENTRE] = centre};
    kinds[kind](mask, grid, share, chance, scratch);
    int64_t dropped = 0, pixels = grid_pixels(grid);
    for (int64_t i = 0; i < pixels; i++) dropped += mask[i] != 0;
    return dropped;
}

void look_fill(float *out, const float *image, const float *mask, const struct grid *grid, int channels, float fill) {
    int64_t pixels = grid_pixels(grid);
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++) out[i * channels + c] = mask[i] != 0 ? fill : image[i * channels + c];
}
