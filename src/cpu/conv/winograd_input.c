/* Winograd's tiles of the features, V = B^T d B, for a pass that convolves (winograd_pass.h); called by winograd.c.  In a
 * form for each element and for what V is made of, with and without a normalisation. */
#include "winograd_pass.h"

struct v_place { /* of the first tile's channels */
    char *v;
    float *mean;
    int64_t row, frequency, mean_row; /* bytes, bytes, floats */
};

INLINE void store_floats(void *to, int64_t tile, const vec v[FREQUENCIES]) {
    const struct v_place *place = to;
    char *at = place->v + tile * place->row;
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++, at += 4 * place->frequency)
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) *(vec *)(at + c * place->frequency) = v[4 * r + c];
}

#if defined(__AVX512BF16__)
INLINE void store_pairs(void *to, int64_t tile, const vec v[FREQUENCIES]) {
    const struct v_place *place = to;
    char *at = place->v + tile * place->row;
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++, at += 2 * place->frequency)
#pragma GCC unroll 2
        for (int c = 0; c < 4; c += 2)
            *(vec *)(at + c / 2 * place->frequency) = (vec)_mm512_cvtne2ps_pbh((__m512)v[4 * r + c + 1], (__m512)v[4 * r + c]);
}
INLINE void store_pairs_and_mean(void *to, int64_t tile, const vec v[FREQUENCIES]) {
    const struct v_place *place = to;
    store_pairs(to, tile, v);
    *(vec *)(place->mean + tile * place->mean_row) = v[MEAN_FREQUENCY];
}
#endif

typedef void input_fn(struct v_place place, const struct tile_source *source, int64_t first, int64_t count, int64_t channel,
                      int64_t left);
#define DEFINE(name, element, normed, store)                                                                                       \
    static void name(struct v_place place, const struct tile_source *source, int64_t first, int64_t count, int64_t channel,        \
                     int64_t left) {                                                                                               \
        transform_tiles(source, first, count, channel, left, element, normed, store, &place);                                      \
    }
DEFINE(floats, ELEMENT_F32, false, store_floats)
DEFINE(floats_normed, ELEMENT_F32, true, store_floats)
#if defined(__AVX512BF16__)
DEFINE(halves, ELEMENT_BF16, false, store_pairs)
DEFINE(halves_normed, ELEMENT_BF16, true, store_pairs)
DEFINE(halves_mean, ELEMENT_BF16, false, store_pairs_and_mean)
DEFINE(halves_mean_normed, ELEMENT_BF16, true, store_pairs_and_mean)
#else
DEFINE(halves, ELEMENT_BF16, false, store_floats)
DEFINE(halves_normed, ELEMENT_BF16, true, store_floats)
#define halves_mean halves
#define halves_mean_normed halves_normed
#endif

/* [what][normed] */
static input_fn *const inputs[3][2] = {{floats, floats_normed}, {halves, halves_normed}, {halves_mean, halves_mean_normed}};

void winograd_input(const struct winograd_plan *plan, float *scratch, const struct conv_source source[CONV_SOURCES], int64_t z,
                    int64_t first, int64_t count) {
    const int what = plan->from == ELEMENT_F32 ? 0 : plan->in_floats == NO_FREQUENCY ? 1 : 2;
    const int64_t slot = z % plan->slots, height = plan->size[1], width = plan->size[2];
    for (int64_t done = 0; done < count;) {
        const int64_t row = (first + done) / plan->row_tiles, begin = (first + done) % plan->row_tiles;
        const int64_t tiles = smaller(plan->row_tiles - begin, count - done);
        /* a tensor's last vector may write beyond its channels, into those of the next one or into the end of V's row */
        for (int64_t s = 0, at = 0; s < CONV_SOURCES; at += plan->in_part[s++]) {
            const int64_t channels = plan->in_part[s];
            const void *plane = element_at(source[s].data, plan->from, z * height * width * channels);
            const struct tile_source tile_source = tile_source_of(plane, plan->from, source[s].norm, row, height, width, channels);
            struct v_place place = {.row = plan->v_row * 4, .frequency = plan->v_frequency * 4, .mean_row = plan->v_mean_row};
            float *v = scratch + slot * plan->v_slot + done * plan->v_row + plan->in_place[s];
            float *mean = scratch + plan->v_mean + slot * plan->v_mean_slot + done * plan->v_mean_row;
            for (int64_t c = 0; c < channels; c += LANES) {
                place.v = (char *)(v + c), place.mean = mean + at + c;
                inputs[what][source[s].norm != NULL](place, &tile_source, begin, tiles, c, channels - c);
            }
        }
        done += tiles;
    }
}

static void fetch(const char *at, const char *end) {
    enum { LINE = 64 };
    for (; at < end; at += LINE) __builtin_prefetch(at, 0, 2);
}

/* (Memory ahead of what is needed does no harm; of a plane's rows the first two were read for the tiles above.) */
void winograd_fetch(const struct winograd_plan *plan, const struct conv_source source[CONV_SOURCES], int64_t z, int64_t first,
                    int64_t count, int64_t part, int64_t parts) {
    const int64_t height = plan->size[1], width = plan->size[2];
    const int64_t begin = first + count * part / parts, end = first + count * (part + 1) / parts;
    const int64_t row = begin / plan->row_tiles, column = 2 * (begin % plan->row_tiles), columns = 2 * (end - begin);
    for (int s = 0; s < CONV_SOURCES; s++)
        for (int r = plan->taps == 1 ? 2 : 0; r < 4; r++) {
            const int64_t y = 2 * row - 1 + r, pixel = (z * height + y) * width + column;
            if (plan->in_part[s] == 0 || y < 0 || y >= height) continue;
            const char *at = element_at(source[s].data, plan->from, pixel * plan->in_part[s]);
            fetch(at, element_at(at, plan->from, columns * plan->in_part[s]));
        }
}
