/* Windows whose pixels change places, and windows that are painted over or kept (looks.h).  Called by looks_draw.c and looks_mask.c. */
#include "looks.h"

#include <string.h>

static int64_t row_place(const struct grid *grid, int64_t z, int64_t y) { return (z * grid->size[1] + y) * grid->size[2]; }

static inline void shuffle_rows(float *out, const float *image, const struct grid *grid, int64_t channels, const struct window *box,
                                const int32_t *order, const int32_t *place) {
    for (int64_t z = 0; z < box->size[0]; z++)
        for (int64_t y = 0; y < box->size[1]; y++, order += box->size[2]) {
            float *row = out + row_place(grid, z, y) * channels;
            for (int64_t x = 0; x < box->size[2]; x++)
                for (int64_t c = 0; c < channels; c++) row[x * channels + c] = image[place[order[x]] * channels + c];
        }
}

void look_shuffle(float *out, const float *image, const struct grid *grid, int channels, const struct window *box,
                  const int32_t *order, int32_t *room) {
    int64_t begin = row_place(grid, box->first[0], box->first[1]) + box->first[2];
    int32_t *place = room; /* pixels from the box's first one */
    for (int64_t z = 0; z < box->size[0]; z++)
        for (int64_t y = 0; y < box->size[1]; y++)
            for (int64_t x = 0; x < box->size[2]; x++) *place++ = (int32_t)(row_place(grid, z, y) + x);
    out += begin * channels, image += begin * channels;
    if (channels == 1) shuffle_rows(out, image, grid, 1, box, order, room);
    else shuffle_rows(out, image, grid, channels, box, order, room);
}

/* Numbers of a part of a row into the values of its pixels. */
static void paint_run(float *values, int64_t pixel, int64_t count, int channels, const struct numbers *noise, const uint8_t *mark) {
    enum { BLOCK = 1024 };
    float drawn[BLOCK];
    for (int64_t done = 0; done < count; done += BLOCK) {
        int64_t some = count - done < BLOCK ? count - done : BLOCK;
        const float *number = noise->given ? noise->given + pixel + done : drawn;
        if (!noise->given) random_image_uniform(drawn, &noise->drawn, pixel + done, some);
        for (int64_t x = 0; x < some; x++)
            if (!mark || !mark[done + x])
                for (int64_t c = 0; c < channels; c++) values[(pixel + done + x) * channels + c] = number[x];
    }
}

/* Which pixels of a row lie in a box. */
static void mark_row(uint8_t *mark, const struct grid *grid, const struct window *box, int boxes, int64_t z, int64_t y) {
    memset(mark, 0, (size_t)grid->size[2]);
    for (int i = 0; i < boxes; i++)
        if (z >= box[i].first[0] && z < box[i].first[0] + box[i].size[0] && y >= box[i].first[1] &&
            y < box[i].first[1] + box[i].size[1])
            memset(mark + box[i].first[2], 1, (size_t)box[i].size[2]);
}

void look_paint(float *values, const struct grid *grid, int channels, const struct window *box, int boxes,
                const struct numbers *noise, bool outside, uint8_t *mark) {
    if (outside)
        for (int64_t z = 0; z < grid->size[0]; z++)
            for (int64_t y = 0; y < grid->size[1]; y++) {
                mark_row(mark, grid, box, boxes, z, y);
                paint_run(values, row_place(grid, z, y), grid->size[2], channels, noise, mark);
            }
    else
        for (int i = 0; i < boxes; i++)
            for (int64_t z = box[i].first[0]; z < box[i].first[0] + box[i].size[0]; z++)
                for (int64_t y = box[i].first[1]; y < box[i].first[1] + box[i].size[1]; y++)
                    paint_run(values, row_place(grid, z, y) + box[i].first[2], box[i].size[2], channels, noise, NULL);
}

/* ---- boxes */

const struct box_rule genesis_inside = {.most = 5, .low = {1, 6}, .high = {1, 3}};
const struct box_rule genesis_outside = {.sure = 1, .most = 5, .low = {3, 7}, .high = {4, 7}, .rest = true};
const struct box_rule genesis_mask = {.sure = 1, .most = 5, .low = {1, 6}, .high = {1, 3}}; /* something must be dropped */
const struct box_rule gvsl_boxes_2d = {.most = 10, .low = {1, 20}, .high = {1, 10}, .less = 1};
const struct box_rule gvsl_boxes_3d = {.most = 30, .low = {1, 10}, .high = {1, 5}, .less = 1};

int boxes_draw(struct window box[BOXES], struct random_stream *stream, const struct grid *grid, const struct box_rule *rule) {
    enum { BORDER = 3 };
    int count = 0;
    for (; count < rule->most && (count < rule->sure || random_coin(stream, 0.95)); count++) {
        box[count] = (struct window){.size = {1, 1, 1}};
        for (int i = 3 - grid->ndim; i < 3; i++) {
            int64_t side = grid->size[i], low = side * rule->low[0] / rule->low[1],
                    high = side * rule->high[0] / rule->high[1] - rule->less;
            low = low < 1 ? 1 : low, high = high < low ? low : high;
            int64_t size = low + random_below(stream, high - low + 1);
            if (rule->rest) size = side - size;
            size = size < 1 ? 1 : size > side ? side : size;
            int64_t spare = side - size, border = spare < 2 * BORDER ? spare / 2 : BORDER;
            box[count].size[i] = size, box[count].first[i] = border + random_below(stream, spare - 2 * border + 1);
        }
    }
    return count;
}
