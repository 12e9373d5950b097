/* Linear resizing with half-pixel centres, and concatenation: upsample_concat_plain in plain/resize.c, vectors along the
 * channels.  Rows (of all planes that take part) are blended first, then columns; taps that an edge clamps away are
 * left out, their weight moved to the tap that stays. */
#include "vec.h"

enum { ROWS_MAX = 16 };

/* The rows of an image that take part in one output row, and their weights. */
struct blend {
    int count;
    const float *row[ROWS_MAX];
    float weight[ROWS_MAX];
};

/* The pixels of one axis that take part in one output. */
struct taps {
    int count;
    int64_t at[4];
    float weight[4];
};

/* Pixel i of the upsampled axis reads these of n pixels. */
static struct taps up_taps(int64_t i, int64_t n) {
    const int64_t near = i / 2, far = i % 2 ? near + 1 : near - 1;
    if (far < 0 || far >= n) return (struct taps){1, {near}, {1}};
    return (struct taps){2, {near, far}, {0.75f, 0.25f}};
}

/* Pixel j of n gets gradient from these of the upsampled axis. */
static struct taps down_taps(int64_t j, int64_t n) {
    struct taps taps = {0};
    for (int64_t i = 2 * j - 1; i <= 2 * j + 2; i++) {
        if (i < 0 || i >= 2 * n) continue;
        const bool edge = i == 0 || i == 2 * n - 1, near = i / 2 == j;
        taps.at[taps.count] = i;
        taps.weight[taps.count++] = edge ? 1 : near ? 0.75f : 0.25f;
    }
    return taps;
}

static struct taps same_plane(int64_t i) { return (struct taps){1, {i}, {1}}; }

/* All pairs of planes and lines; `from` has `height` rows a plane of `stride` floats. */
static struct blend blend_of(const struct taps *planes, const struct taps *lines, const float *from, int64_t height,
                             int64_t stride) {
    struct blend blend = {0};
    for (int z = 0; z < planes->count; z++)
        for (int h = 0; h < lines->count; h++) {
            blend.row[blend.count] = from + (planes->at[z] * height + lines->at[h]) * stride;
            blend.weight[blend.count++] = planes->weight[z] * lines->weight[h];
        }
    return blend;
}

/* LANES channels of column `at`, in elements of a row, blended over `count` rows. */
INLINE vf column(const struct blend *blend, int count, int64_t at, int64_t left) {
    vf sum = v_all(blend->weight[0]) * v_load_first(blend->row[0] + at, left);
    UNROLL for (int r = 1; r < count; r++)
        sum = v_fma(v_all(blend->weight[r]), v_load_first(blend->row[r] + at, left), sum);
    return sum;
}

/* The deep part of one output row: the first and last columns are clamped, the others come in pairs that share two
 * columns of the deep image. */
INLINE void up_row(float *y, const struct blend *blend, int count, int64_t width, int64_t deep_channels,
                   int64_t channels) {
    const vf near = v_all(0.75f), far = v_all(0.25f);
    for (int64_t c = 0; c < deep_channels; c += LANES) {
        v_store_first(y + c, column(blend, count, c, deep_channels - c), deep_channels - c);
        v_store_first(y + (2 * width - 1) * channels + c,
                      column(blend, count, (width - 1) * deep_channels + c, deep_channels - c), deep_channels - c);
    }
    for (int64_t j = 0; j + 1 < width; j++) {
        float *out = y + (2 * j + 1) * channels;
        for (int64_t c = 0; c < deep_channels; c += LANES) {
            const int64_t left = deep_channels - c;
            const vf low = column(blend, count, j * deep_channels + c, left);
            const vf high = column(blend, count, (j + 1) * deep_channels + c, left);
            v_store_first(out + c, v_fma(near, low, far * high), left);
            v_store_first(out + channels + c, v_fma(near, high, far * low), left);
        }
    }
}

/* Copy `count` floats from each pixel of a row to the same pixel of another. */
static void copy_row(float *to, int64_t to_stride, const float *from, int64_t from_stride, int64_t width,
                     int64_t count) {
    for (int64_t w = 0; w < width; w++, to += to_stride, from += from_stride)
        for (int64_t c = 0; c < count; c += LANES) v_store_first(to + c, v_load_first(from + c, count - c), count - c);
}

void FORM(upsample_concat)(float *y, const float *skip, const float *deep, const struct grid *grid,
                           int64_t skip_channels, int64_t deep_channels, int slab, int slabs) {
    const int64_t height = 2 * grid->size[1], width = 2 * grid->size[2], channels = skip_channels + deep_channels;
    const int64_t planes = grid->ndim == 3 ? 2 * grid->size[0] : 1;
    int64_t begin, end;
    slab_share(planes * height, slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        float *out = y + row * width * channels;
        copy_row(out, channels, skip + row * width * skip_channels, skip_channels, width, skip_channels);
        const struct taps z = grid->ndim == 3 ? up_taps(row / height, grid->size[0]) : same_plane(0);
        const struct taps h = up_taps(row % height, grid->size[1]);
        const struct blend blend = blend_of(&z, &h, deep, grid->size[1], grid->size[2] * deep_channels);
        out += skip_channels;
        if (blend.count == 1) up_row(out, &blend, 1, grid->size[2], deep_channels, channels);
        else if (blend.count == 2) up_row(out, &blend, 2, grid->size[2], deep_channels, channels);
        else up_row(out, &blend, 4, grid->size[2], deep_channels, channels);
    }
}

/* LANES channels of one pixel of ddeep: columns, then rows. */
INLINE vf down_pixel(const struct blend *blend, int rows, const struct taps *columns, int count, int64_t channels,
                     int64_t c, int64_t left) {
    vf sum = v_zero();
    for (int r = 0; r < rows; r++) {
        vf line = v_zero();
        UNROLL for (int t = 0; t < count; t++) {
            const float *from = blend->row[r] + columns->at[t] * channels + c;
            line = v_fma(v_all(columns->weight[t]), v_load_first(from, left), line);
        }
        sum = v_fma(v_all(blend->weight[r]), line, sum);
    }
    return sum;
}

/* Ask for pixels ahead of column j in the rows of dy that the row of ddeep before did not read: the last two of each
 * plane.  They are many and far apart, more than the processor follows by itself. */
INLINE void prefetch_ahead(const struct blend *blend, int lines, int64_t j, int64_t width, int64_t channels) {
    const int64_t ahead = 2 * j + 12;
    if (ahead + 2 > 2 * width) return;
    for (int r = 0; r < blend->count; r++)
        for (int64_t i = 0; r % lines >= lines - 2 && i < 2 * channels; i += 64 / (int64_t)sizeof(float))
            _mm_prefetch((const char *)(blend->row[r] + ahead * channels + i), _MM_HINT_T0);
}

/* One row of ddeep; all but the first and last pixel get gradient from four columns. */
static void down_row(float *ddeep, const struct blend *blend, int lines, int64_t width, int64_t deep_channels,
                     int64_t channels) {
    for (int64_t j = 0; j < width; j++, ddeep += deep_channels) {
        const struct taps columns = down_taps(j, width);
        prefetch_ahead(blend, lines, j, width, channels);
        for (int64_t c = 0; c < deep_channels; c += LANES) {
            const int64_t left = deep_channels - c;
            vf sum;
            if (columns.count == 4 && blend->count == 4) sum = down_pixel(blend, 4, &columns, 4, channels, c, left);
            else if (columns.count == 4) sum = down_pixel(blend, blend->count, &columns, 4, channels, c, left);
            else sum = down_pixel(blend, blend->count, &columns, columns.count, channels, c, left);
            v_store_first(ddeep + c, sum, left);
        }
    }
}

void FORM(upsample_concat_grad)(float *dskip, float *ddeep, const float *dy, const struct grid *grid,
                                int64_t skip_channels, int64_t deep_channels, int slab, int slabs) {
    const int64_t height = 2 * grid->size[1], width = 2 * grid->size[2], channels = skip_channels + deep_channels;
    const int planes = grid->ndim == 3 ? 2 : 1;
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const int64_t plane = row / grid->size[1], line = row % grid->size[1];
        const struct taps z = grid->ndim == 3 ? down_taps(plane, grid->size[0]) : same_plane(0);
        const struct taps h = down_taps(line, grid->size[1]);
        const struct blend blend = blend_of(&z, &h, dy + skip_channels, height, width * channels);
        down_row(ddeep + row * grid->size[2] * deep_channels, &blend, h.count, grid->size[2], deep_channels, channels);
        for (int i = 0; i < planes; i++) { /* the two rows of each plane that lie above this one */
            const int64_t above = ((planes * plane + i) * height + 2 * line) * width;
            copy_row(dskip + above * skip_channels, skip_channels, dy + above * channels, channels, 2 * width,
                     skip_channels);
        }
    }
}
