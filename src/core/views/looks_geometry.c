/* Boxes, mirrors and quarter turns (looks.h).  Called by the makers of views, and look_flip() by augment.c. */
#include "looks.h"

#include <math.h>
#include <stdlib.h>

struct random_stream chance_stream(const struct chance *chance, enum random_use use, uint32_t plane) {
    struct random_stream stream = random_stream(chance->seed, use, chance->step, chance->sample);
    stream.use |= plane << 8; /* as random_image_uniform() has it, so that they must not draw of one plane both */
    return stream;
}
struct random_image chance_image(const struct chance *chance, enum random_use use, uint32_t plane) {
    return (struct random_image){chance->seed, use, plane, chance->step, chance->sample};
}

/* ---- the box */

static double uniform(struct random_stream *stream, double low, double high) {
    return low + (high - low) * (double)uniform01(random_word(stream));
}

void look_box_draw(struct look_box *box, struct random_stream *stream, const struct grid *grid, double share_low,
                   enum look_flips flips) {
    const double wide = log(4.0 / 3.0);
    double share = uniform(stream, share_low, 1), stretch[3] = {0}; /* logarithms; their sum is 0 */
    if (grid->ndim == 2) {
        stretch[2] = uniform(stream, -wide, wide) / 2;
        stretch[1] = -stretch[2];
    } else {
        double mean = 0;
        for (int i = 0; i < 3; i++) stretch[i] = uniform(stream, -wide, wide) / 2, mean += stretch[i] / 3;
        for (int i = 0; i < 3; i++) stretch[i] -= mean;
    }
    *box = (struct look_box){.window = {.size = {1, 1, 1}}};
    for (int i = 3 - grid->ndim; i < 3; i++) {
        double side = (double)grid->size[i] * pow(share, 1.0 / grid->ndim) * exp(stretch[i]);
        int64_t size = (int64_t)floor(side + 0.5);
        box->window.size[i] = size < 1 ? 1 : size > grid->size[i] ? grid->size[i] : size;
        box->window.first[i] = random_below(stream, grid->size[i] - box->window.size[i] + 1);
    }
    for (int i = grid->ndim == 2 ? 2 : 0; i < 3; i++) box->flip[i] = random_coin(stream, 0.5) && flips == LOOK_FLIP_OWN;
}

/* out = rows blended along the axes before the last: 2D of two, 3D of four. */
static void blend(float *out, const float *const rows[4], float weight_y, float weight_z, bool volume, int64_t count) {
    for (int64_t x = 0; x < count; x++) {
        float a = rows[0][x] + weight_y * (rows[1][x] - rows[0][x]);
        if (volume) {
            float b = rows[2][x] + weight_y * (rows[3][x] - rows[2][x]);
            a += weight_z * (b - a);
        }
        out[x] = a;
    }
}

static inline void stretch(float *out, const float *row, const struct tap *taps, int64_t count, int64_t channels) {
    for (int64_t x = 0; x < count; x++)
        for (int64_t c = 0; c < channels; c++) {
            float a = row[taps[x].first * channels + c], b = row[taps[x].second * channels + c];
            out[x * channels + c] = a + taps[x].weight * (b - a);
        }
}

size_t look_resized_crop_bytes(const struct grid *crop, const struct grid *largest, int channels) {
    return (size_t)crop->size[2] * sizeof(struct tap) + (size_t)largest->size[2] * (size_t)channels * sizeof(float);
}

static struct tap box_tap(int64_t place, int axis, const struct look_box *box, const struct grid *crop) {
    int64_t count = crop->size[axis];
    return resize_tap(box->flip[axis] ? count - 1 - place : place, box->window.size[axis], count);
}

void look_resized_crop(float *out, const struct grid *crop, const struct look_box *box, const float *image, const struct grid *grid,
                       int channels, void *scratch) {
    const int64_t *first = box->window.first, count = crop->size[2], width = box->window.size[2];
    struct tap *taps = scratch;
    float *blended = (float *)(taps + count);
    for (int64_t x = 0; x < count; x++) taps[x] = box_tap(x, 2, box, crop);
    bool as_wide = width == count && !box->flip[2];
    for (int64_t z = 0; z < crop->size[0]; z++)
        for (int64_t y = 0; y < crop->size[1]; y++, out += count * channels) {
            struct tap tz = box_tap(z, 0, box, crop), ty = box_tap(y, 1, box, crop);
            const float *rows[4];
            for (int i = 0; i < 4; i++) {
                int64_t from_z = first[0] + (i & 2 ? tz.second : tz.first), from_y = first[1] + (i & 1 ? ty.second : ty.first);
                rows[i] = image + ((from_z * grid->size[1] + from_y) * grid->size[2] + first[2]) * channels;
            }
            blend(as_wide ? out : blended, rows, ty.weight, tz.weight, crop->ndim == 3, width * channels);
            if (as_wide) continue;
            if (channels == 1) stretch(out, blended, taps, count, 1);
            else stretch(out, blended, taps, count, channels);
        }
}

/* ---- mirrors, in place */

/* `lines` blocks of `count` rows of `width` values each. */
static void mirror(float *values, int64_t lines, int64_t count, int64_t width) {
    for (int64_t line = 0; line < lines; line++, values += count * width)
        for (int64_t i = 0, j = count - 1; i < j; i++, j--)
            for (int64_t k = 0; k < width; k++) {
                float kept = values[i * width + k];
                values[i * width + k] = values[j * width + k], values[j * width + k] = kept;
            }
}

void look_flip(float *values, const struct grid *grid, int channels, const bool axes[3]) {
    for (int i = 0; i < 3; i++) {
        if (!axes[i]) continue;
        int64_t lines = 1, width = channels;
        for (int k = 0; k < i; k++) lines *= grid->size[k];
        for (int k = i + 1; k < 3; k++) width *= grid->size[k];
        mirror(values, lines, grid->size[i], width);
    }
}

/* ---- quarter turns */

/* Turn the steps through the image (in values, for a step along each axis of the result) and where it begins, in the plane from axis a
 * towards axis b. */
static void turn_steps(int64_t step[3], int64_t *begin, const struct grid *grid, int a, int b, int turns) {
    for (; turns > 0; turns--) {
        int64_t along = step[a];
        *begin += step[b] * (grid->size[b] - 1); /* result (i, j) is read at (j, n - 1 - i) */
        step[a] = -step[b], step[b] = along;
    }
}

/* Columns of the image become rows of the result here and there, so it goes by tiles. */
static void copy_turned(float *out, const float *image, const struct grid *grid, int channels, const int64_t step[3]) {
    enum { TILE = 16 };
    int inner = labs(step[0]) < labs(step[1]) ? 0 : 1, outer = 1 - inner; /* the axis with the smaller step close to the last one */
    const int64_t *n = grid->size, to[3] = {n[1] * n[2] * channels, n[2] * channels, channels};
    for (int64_t o = 0; o < n[outer]; o++)
        for (int64_t i0 = 0; i0 < n[inner]; i0 += TILE)
            for (int64_t x0 = 0; x0 < n[2]; x0 += TILE)
                for (int64_t i = i0; i < i0 + TILE && i < n[inner]; i++) {
                    int64_t x1 = x0 + TILE < n[2] ? x0 + TILE : n[2];
                    const float *from = image + o * step[outer] + i * step[inner];
                    float *line = out + o * to[outer] + i * to[inner];
                    for (int64_t x = x0; x < x1; x++)
                        for (int64_t c = 0; c < channels; c++) line[x * channels + c] = from[x * step[2] + c];
                }
}

void look_turn(float *out, const float *image, const struct grid *grid, int channels, int pose) {
    static const int planes[3][2] = {{0, 1}, {2, 1}, {2, 0}};
    int64_t step[3] = {grid->size[1] * grid->size[2] * channels, grid->size[2] * channels, channels}, begin = 0;
    if (grid->ndim == 2) turn_steps(step, &begin, grid, 1, 2, pose);
    else if (pose) turn_steps(step, &begin, grid, planes[(pose - 1) / 3][0], planes[(pose - 1) / 3][1], (pose - 1) % 3 + 1);
    copy_turned(out, image + begin, grid, channels, step);
}

void look_poses_draw(int *pose, int count, const struct chance *chance, int dims) {
    int all = dims == 2 ? POSES_2D : POSES_3D, left[POSES_3D];
    struct random_stream stream = chance_stream(chance, RANDOM_LOOK_POSE, 0);
    for (int i = 0; i < all; i++) left[i] = i;
    for (int i = 0; i < count && i < all; i++) {
        int at = count < all ? i + (int)random_below(&stream, all - i) : i;
        pose[i] = left[at], left[at] = left[i];
    }
}
