/* What is done to cells of images, as ops of the CPU.  Rows of program.h's table. */
#include "cell_places.h"
#include "row_tile.h"

#include <string.h>

/* ---- cell_pool */

static cover_status run_cell_pool(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    struct norm_load norm;
    call->kernels->cell_pool(out(call, 0, image), in(call, 0, image), norm_of(call, 0, image, &norm), &x->grid, x->channels,
                             call->node->attributes.cells.cell, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_cell_pool_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    const struct kernels *kernels = call->program->kernels[dx->element == ELEMENT_BF16];
    kernels->cell_pool_grad(out(call, 0, image), in(call, 0, image), &dx->grid, dx->channels, call->node->attributes.cells.cell,
                            call->slab, call->slabs);
    return COVER_OK;
}

/* ---- match_cells: the most alike so far of each row, best first */

enum { MATCHES_MOST = 16 };
struct match_tile {
    float products[TILE_ROWS * TILE_KEYS], best[TILE_ROWS][MATCHES_MOST], index[TILE_ROWS][MATCHES_MOST];
    float inverse[]; /* of all keys */
};
static size_t match_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    return sizeof(struct match_tile) + sizeof(float) * (size_t)rows_of_tensor(&program->graph->tensors[node->input[1]]);
}
/* The first of equals stays in front. */
static void enter(float *best, float *index, int64_t count, float value, int64_t at) {
    int64_t place = count;
    while (place > 0 && value > best[place - 1]) place--;
    if (place == count) return;
    for (int64_t i = count - 1; i > place; i--) best[i] = best[i - 1], index[i] = index[i - 1];
    best[place] = value, index[place] = (float)at;
}
static cover_status run_match_cells(const struct call *call, int image) {
    const struct tensor *f = input(call, 0);
    const int64_t keys = rows_of_tensor(input(call, 1)), channels = f->channels, matches = call->node->attributes.cells.count;
    const float *f_at = in(call, 0, image), *g = in(call, 1, image);
    struct match_tile *tile = (struct match_tile *)call->scratch;
    float *indices = out(call, 0, image);
    call->kernels->row_inverses(tile->inverse, g, keys, channels);
    EACH_TILE(first, call, rows_of_tensor(f)) {
        const int64_t rows = rows_at_once(first, end_of_first);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t m = 0; m < matches; m++) tile->best[i][m] = -INFINITY, tile->index[i][m] = 0;
        EACH_KEYS(key, keys) {
            const int64_t count = keys_at_once(key, keys);
            call->kernels->row_products(tile->products, TILE_KEYS, f_at + first * channels, rows, g + key * channels, count,
                                        channels);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < count; j++)
                    enter(tile->best[i], tile->index[i], matches, tile->products[i * TILE_KEYS + j] * tile->inverse[key + j],
                          key + j);
        }
        for (int64_t i = 0; i < rows; i++)
            for (int64_t m = 0; m < matches; m++) indices[(first + i) * matches + m] = tile->index[i][m];
    }
    return COVER_OK;
}

/* ---- hit */

static size_t hit_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    return cell_places_bytes(&program->graph->tensors[node->input[1]].grid);
}
static cover_status run_hit(const struct call *call, int image) {
    const struct tensor *matches = input(call, 0), *field = input(call, 1);
    const struct cells_attributes *attributes = &call->node->attributes.cells;
    const int64_t cells = grid_pixels(&field->grid);
    const float *match = in(call, 0, image);
    struct cell_places *places = (struct cell_places *)call->scratch;
    double *to = out(call, 0, image), met = 0, hits = 0, partners = 0;
    find_places(places, in(call, 1, image), &field->grid, attributes->cell, attributes->threshold);
    for (int64_t i = 0; i < cells; i++) {
        int64_t near = 0;
        double own[3];
        lattice_place(own, &field->grid, attributes->cell, i);
        for (int64_t j = 0; j < cells; j++) near += cells_near(places, own, j);
        if (near == 0) continue;
        met++, partners += (double)near / (double)cells, hits += cells_near(places, own, (int64_t)match[i * matches->channels]);
    }
    to[0] = met > 0 ? hits / met : 0, to[1] = met > 0 ? partners / met : 0;
    return COVER_OK;
}

/* ---- set_positives: places behind the tile, then who is attended in both views */

struct positives_tile {
    float products[TILE_ROWS * TILE_KEYS], inverse[TILE_ROWS];
};
static size_t positives_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *f = &program->graph->tensors[node->input[0]];
    return sizeof(struct positives_tile) + cell_places_bytes(&f->grid) +
           (sizeof(float) + 2 * sizeof(double)) * (size_t)rows_of_tensor(f);
}
/* Mean squares of all rows, then 1 or 0; how many. */
static double find_attended(double *attended, const float *f, int64_t rows, int64_t channels, double threshold) {
    double length = 0, low = INFINITY, high = -INFINITY, count = 0;
    for (int64_t i = 0; i < rows; i++) {
        attended[i] = inner(f + i * channels, f + i * channels, channels) / (double)channels;
        length += attended[i] * attended[i];
        low = attended[i] < low ? attended[i] : low, high = attended[i] > high ? attended[i] : high;
    }
    length = sqrt(length) < 1e-12 ? 1e-12 : sqrt(length);
    for (int64_t i = 0; i < rows; i++) {
        attended[i] = (attended[i] - low) / length / ((high - low) / length + 1e-10) >= threshold;
        count += attended[i];
    }
    return count;
}
static cover_status run_set_positives(const struct call *call, int image) {
    const struct tensor *f_of = input(call, 0);
    const struct cells_attributes *how = &call->node->attributes.cells;
    const int64_t cells = rows_of_tensor(f_of), channels = f_of->channels;
    const float *f = in(call, 0, image), *g = in(call, 1, image);
    struct positives_tile *tile = (struct positives_tile *)call->scratch;
    struct cell_places *places = (struct cell_places *)(tile + 1);
    double *of_f = (double *)((char *)places + cell_places_bytes(&f_of->grid)), *of_g = of_f + cells, *shares = out(call, 1, image);
    float *inverse = (float *)(of_g + cells), *positives = out(call, 0, image);
    const double attended = find_attended(of_f, f, cells, channels, how->attention);
    const double attended_g = find_attended(of_g, g, cells, channels, how->attention);
    if (call->slab == 0) shares[0] = attended / (double)cells, shares[1] = attended_g / (double)cells;
    find_places(places, in(call, 2, image), &f_of->grid, how->cell, how->threshold);
    call->kernels->row_inverses(inverse, g, cells, channels);
    EACH_TILE(first, call, cells) {
        const int64_t rows = rows_at_once(first, end_of_first);
        call->kernels->row_inverses(tile->inverse, f + first * channels, rows, channels);
        EACH_KEYS(key, cells) {
            const int64_t count = keys_at_once(key, cells);
            call->kernels->row_products(tile->products, TILE_KEYS, f + first * channels, rows, g + key * channels, count, channels);
            for (int64_t i = 0; i < rows; i++) {
                double own[3];
                lattice_place(own, &f_of->grid, how->cell, first + i);
                for (int64_t j = 0; j < count; j++) {
                    const float cosine = tile->products[i * TILE_KEYS + j] * tile->inverse[i] * inverse[key + j];
                    const bool alike = of_f[first + i] > 0 && of_g[key + j] > 0 && cosine >= how->similarity;
                    positives[(first + i) * cells + key + j] = alike || cells_near(places, own, key + j);
                }
            }
        }
    }
    return COVER_OK;
}

/* ---- sample_points: the taps of a point, those outside weigh nothing */

struct tap {
    int64_t pixel; /* -1: outside */
    float weight;
};
static struct tap tap_of(const struct grid *grid, const float *point, int corner) {
    int64_t at[3] = {0};
    float weight = 1;
    for (int a = 0; a < grid->ndim; a++) {
        const int axis = 3 - grid->ndim + a, up = corner >> a & 1;
        const float low = floorf(point[a]), part = point[a] - low;
        if (!(low >= -1 && low < (float)grid->size[axis])) return (struct tap){-1, 0}; /* far away, or NaN */
        at[axis] = (int64_t)low + up, weight *= up ? part : 1 - part;
        if (at[axis] < 0 || at[axis] >= grid->size[axis]) return (struct tap){-1, 0};
    }
    return (struct tap){(at[0] * grid->size[1] + at[1]) * grid->size[2] + at[2], weight};
}
static float value_at(const void *x, enum element element, int64_t at, const struct norm_load *norm, int64_t channel) {
    const float value = element == ELEMENT_BF16 ? bf16_to_float(((const bf16 *)x)[at]) : ((const float *)x)[at];
    if (!norm) return value;
    const float u = fmaf(value, norm->scale[channel], norm->offset[channel]);
    return u > 0 ? u : norm->slope * u;
}
static cover_status run_sample_points(const struct call *call, int image) {
    const struct tensor *x = input(call, 0), *points = input(call, 1);
    const int64_t count = rows_of_tensor(points), channels = x->channels;
    const float *point = in(call, 1, image);
    float *y = out(call, 0, image);
    struct norm_load loaded;
    const struct norm_load *norm = norm_of(call, 0, image, &loaded);
    for (int64_t i = count * call->slab / call->slabs; i < count * (call->slab + 1) / call->slabs; i++)
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int corner = 0; corner < 1 << x->grid.ndim; corner++) {
                const struct tap tap = tap_of(&x->grid, point + i * x->grid.ndim, corner);
                if (tap.pixel < 0) continue;
                sum += (double)tap.weight * value_at(in(call, 0, image), x->element, tap.pixel * channels + c, norm, c);
            }
            y[i * channels + c] = (float)sum;
        }
    return COVER_OK;
}
/* The sum over all points of what flows into a pixel, rounded once: at its first tap, in the order of the points. */
static cover_status run_sample_points_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    const int64_t count = rows_of_tensor(input(call, 1)), channels = dx->channels, pixels = grid_pixels(&dx->grid);
    const int64_t begin = pixels * call->slab / call->slabs, end = pixels * (call->slab + 1) / call->slabs;
    const int ndim = dx->grid.ndim, corners = 1 << ndim;
    const float *dy = in(call, 0, image), *point = in(call, 1, image);
    const size_t bytes = element_bytes(dx->element);
    char *to = out(call, 0, image);
    memset(to + (size_t)(begin * channels) * bytes, 0, (size_t)((end - begin) * channels) * bytes);
    for (int64_t n = 0; n < count * corners; n++) {
        const struct tap tap = tap_of(&dx->grid, point + n / corners * ndim, (int)(n % corners));
        bool first = tap.pixel >= begin && tap.pixel < end;
        for (int64_t m = 0; first && m < n; m++)
            first = tap_of(&dx->grid, point + m / corners * ndim, (int)(m % corners)).pixel != tap.pixel;
        for (int64_t c = 0; first && c < channels; c++) {
            double sum = 0;
            for (int64_t m = n; m < count * corners; m++) {
                const struct tap other = tap_of(&dx->grid, point + m / corners * ndim, (int)(m % corners));
                if (other.pixel == tap.pixel) sum += (double)other.weight * dy[m / corners * channels + c];
            }
            const int64_t at = tap.pixel * channels + c;
            if (dx->element == ELEMENT_BF16) ((bf16 *)(void *)to)[at] = bf16_from_float((float)sum);
            else ((float *)(void *)to)[at] = (float)sum;
        }
    }
    return COVER_OK;
}

const struct op_cpu cpu_op_cell_pool = {.any_slabs = true, .run = run_cell_pool};
const struct op_cpu cpu_op_cell_pool_grad = {.any_slabs = true, .run = run_cell_pool_grad};
const struct op_cpu cpu_op_match_cells = {.any_slabs = true, .run = run_match_cells, .unit_bytes = match_unit};
const struct op_cpu cpu_op_hit = {.run = run_hit, .unit_bytes = hit_unit};
const struct op_cpu cpu_op_set_positives = {.any_slabs = true, .run = run_set_positives, .unit_bytes = positives_unit};
const struct op_cpu cpu_op_sample_points = {.any_slabs = true, .run = run_sample_points};
const struct op_cpu cpu_op_sample_points_grad = {.any_slabs = true, .run = run_sample_points_grad};
