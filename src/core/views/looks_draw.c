/* The damage that Models Genesis, GVSL and GEMINI repair (looks.h): what is drawn of it, and its steps in their order.
 * Called by the makers of views. */
#include "looks.h"

#include <math.h>
#include <string.h>

enum { PLANE_DECISIONS, PLANE_WINDOWS, PLANE_ORDERS, PLANE_NOISE }; /* of RANDOM_LOOK_DAMAGE */

static void draw_curve(struct bezier *bezier, struct random_stream *stream) {
    for (int a = 0; a < 2; a++) bezier->p[a] = uniform01(random_word(stream)), bezier->q[a] = uniform01(random_word(stream));
}

/* Sides of the windows, and as many of them as cover a pixel `times` on average. */
static void draw_windows(struct damage *damage, const struct grid *grid, int parts, double times) {
    double mean = 1;
    for (int i = 0; i < 3; i++) {
        damage->side[i] = i < 3 - grid->ndim || grid->size[i] < parts ? 1 : grid->size[i] / parts;
        mean *= damage->alike ? (double)damage->side[i] : ((double)damage->side[i] + 1) / 2;
    }
    damage->windows = (int64_t)floor(times * (double)grid_pixels(grid) / mean + 0.5);
}

void genesis_draw(struct damage *damage, const struct grid *grid, const struct chance *chance) {
    struct random_stream stream = chance_stream(chance, RANDOM_LOOK_DAMAGE, PLANE_DECISIONS);
    *damage = (struct damage){.grid = *grid, .chance = *chance};
    for (int times = 0; times < 3 && random_coin(&stream, 0.4); times++) {
        bool *axis = &damage->flip[3 - grid->ndim + random_below(&stream, grid->ndim)];
        *axis = !*axis;
    }
    if (random_coin(&stream, 0.5)) draw_windows(damage, grid, 10, 1.87);
    damage->curved = random_coin(&stream, 0.9);
    draw_curve(&damage->bezier, &stream);
    damage->bezier.falling = random_coin(&stream, 0.5);
    if (!random_coin(&stream, 0.9)) return;
    damage->outside = !random_coin(&stream, 0.2);
    damage->boxes = boxes_draw(damage->box, &stream, grid, damage->outside ? &genesis_outside : &genesis_inside);
}

void gvsl_damage_draw(struct damage *damage, const struct grid *grid, const struct chance *chance) {
    const bool volume = grid->ndim == 3;
    struct random_stream stream = chance_stream(chance, RANDOM_LOOK_DAMAGE, PLANE_DECISIONS);
    *damage = (struct damage){.grid = *grid, .chance = *chance, .alike = true};
    if (random_coin(&stream, 0.8)) draw_windows(damage, grid, volume ? 20 : 30, volume ? 0.6 : 1.1);
    damage->curved = random_coin(&stream, 0.9);
    draw_curve(&damage->bezier, &stream);
    damage->boxes = boxes_draw(damage->box, &stream, grid, volume ? &gvsl_boxes_3d : &gvsl_boxes_2d);
}

/* ---- shuffling */

static int64_t window_pixels(const struct grid *grid) { /* at most */
    int64_t pixels = 1;
    for (int i = 3 - grid->ndim; i < 3; i++) pixels *= grid->size[i] / 10 + 1;
    return pixels;
}

struct shuffle_room {
    int32_t *order, *place;
    float *number;
};
static struct shuffle_room shuffle_room(const struct grid *grid, void *scratch) {
    int64_t pixels = window_pixels(grid);
    struct shuffle_room room = {.order = scratch};
    room.place = room.order + pixels, room.number = (float *)(room.place + pixels);
    return room;
}

/* Fisher and Yates; *drawn counts the numbers that were used before. */
static void draw_order(struct shuffle_room *room, int64_t count, const struct random_image *numbers, int64_t *drawn) {
    random_image_uniform(room->number, numbers, *drawn, count);
    *drawn += count;
    for (int64_t i = 0; i < count; i++) room->order[i] = (int32_t)i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t other = (int64_t)(room->number[i] * (float)(i + 1));
        int32_t kept = room->order[i];
        other = other < i ? other : i; /* 24 bits round up, now and then */
        room->order[i] = room->order[other], room->order[other] = kept;
    }
}

static void shuffle(float *out, const float *image, const struct grid *grid, int channels, const struct damage *damage,
                    void *scratch) {
    struct random_stream stream = chance_stream(&damage->chance, RANDOM_LOOK_DAMAGE, PLANE_WINDOWS);
    const struct random_image numbers = chance_image(&damage->chance, RANDOM_LOOK_DAMAGE, PLANE_ORDERS);
    struct shuffle_room room = shuffle_room(&damage->grid, scratch);
    int64_t drawn = 0;
    for (int64_t w = 0; w < damage->windows; w++) {
        struct window box = {.size = {1, 1, 1}};
        for (int i = 3 - grid->ndim; i < 3; i++) {
            box.size[i] = damage->alike ? damage->side[i] : 1 + random_below(&stream, damage->side[i]);
            box.first[i] = damage->first[i] + random_below(&stream, damage->grid.size[i] - box.size[i] + 1);
        }
        if (!damage->alike || w == 0) draw_order(&room, box.size[0] * box.size[1] * box.size[2], &numbers, &drawn);
        look_shuffle(out, image, grid, channels, &box, room.order, room.place);
    }
}

/* ---- all of it */

size_t damage_bytes(const struct grid *grid) {
    size_t orders = (size_t)window_pixels(grid) * (2 * sizeof(int32_t) + sizeof(float)), table = sizeof(struct bezier_table),
           mark = (size_t)grid->size[2];
    size_t most = orders > table ? orders : table;
    return most > mark ? most : mark; /* one step at a time */
}

void damage_apply(float *out, const float *image, const struct grid *grid, int channels, const struct damage *damage,
                  void *scratch) {
    const int64_t count = grid_pixels(grid) * channels;
    memcpy(out, image, (size_t)count * sizeof *out);
    shuffle(out, image, grid, channels, damage, scratch);
    if (damage->curved) look_bezier(out, count, &damage->bezier, scratch);
    const struct numbers noise = {.drawn = chance_image(&damage->chance, RANDOM_LOOK_DAMAGE, PLANE_NOISE)};
    struct window box[BOXES];
    for (int b = 0; b < damage->boxes; b++) {
        box[b] = damage->box[b];
        for (int i = 0; i < 3; i++) box[b].first[i] += damage->first[i];
    }
    if (damage->boxes) look_paint(out, grid, channels, box, damage->boxes, &noise, damage->outside, scratch);
}
