/* COVER as an objective: its row, and view pairs as samples.  Called by the trainer through objective.h, by bench and golden_check. */
#include "pairs.h"

#include "core/train/order.h"
#include "objective.h"

#include <string.h>

static cover_status pair_floats(int64_t *floats, const struct grid *grid, int channels) {
    int64_t bytes;
    if (!multiply(grid_pixels(grid), 2 * (int64_t)channels + grid->ndim + 1, floats) || !multiply(*floats, sizeof(float), &bytes))
        return fail(COVER_ERROR_SHAPE, "a pair of views is too large");
    return COVER_OK;
}

static void pair_place(struct view_pair *pair, float *memory, const struct grid *grid, int channels) {
    int64_t pixels = grid_pixels(grid);
    *pair = (struct view_pair){.moving = memory,
                               .fixed = memory + pixels * channels,
                               .field = memory + 2 * pixels * channels,
                               .mask = memory + pixels * (2 * channels + grid->ndim)};
}

cover_status pair_allocate(struct view_pair *pair, float **block, cover_context *context, const struct grid *grid, int channels) {
    int64_t floats;
    TRY(pair_floats(&floats, grid, channels));
    float *memory = memory_alloc(context, (size_t)floats * sizeof *memory);
    if (!memory) return COVER_ERROR_MEMORY;
    pair_place(pair, memory, grid, channels);
    *block = memory;
    return COVER_OK;
}

static cover_status worker_create(void **worker, const struct sample_maker *maker) {
    const struct pair_maker *pairs = (const struct pair_maker *)maker;
    struct sevr *sevr;
    TRY(sevr_create(&sevr, pairs->context, pairs->settings));
    cover_status status = sevr_reserve(sevr, &pairs->reader->largest);
    if (status == COVER_OK) *worker = sevr;
    else sevr_destroy(sevr);
    return status;
}
static void worker_destroy(void *worker) { sevr_destroy(worker); }

static cover_status draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory, int64_t number) {
    const struct pair_maker *pairs = (const struct pair_maker *)maker;
    const struct settings *s = pairs->settings;
    const struct sample_reader *reader = pairs->reader;
    int64_t index = order_sample((uint64_t)s->common.seed, number / reader->count, number % reader->count, reader->count);
    struct grid grid, crop = settings_grid(&s->views.crop, (int)s->network.dims);
    struct view_pair pair;
    float *pixels;
    int integer_max;
    TRY(reader->read(reader->user, index, &pixels, &grid, &integer_max));
    pair_place(&pair, memory, &crop, reader->channels);
    cover_status status = sevr_draw(worker, &pair, pixels, &grid, reader->channels, (float)integer_max, (uint64_t)s->common.seed,
                                    (uint32_t)(number / s->common.batch), (uint32_t)(number % s->common.batch));
    memory_free(pairs->context, pixels);
    if (status != COVER_OK) return fail_in(status, "sample %lld (%s)", (long long)index, reader->name(reader->user, index));
    *sample = pair_sample(&pair);
    return COVER_OK;
}

static cover_status read_image(const struct sample_maker *maker, struct sample_image *image, float *memory, int64_t number) {
    const struct pair_maker *pairs = (const struct pair_maker *)maker;
    const struct settings *s = pairs->settings;
    const struct sample_reader *reader = pairs->reader;
    int64_t index = order_sample((uint64_t)s->common.seed, number / reader->count, number % reader->count, reader->count);
    float *pixels;
    int integer_max;
    *image = (struct sample_image){.pixels = memory,
                                   .channels = reader->channels,
                                   .seed = (uint64_t)s->common.seed,
                                   .step = (uint32_t)(number / s->common.batch),
                                   .index = (uint32_t)(number % s->common.batch),
                                   .number = index};
    TRY(reader->read(reader->user, index, &pixels, &image->grid, &integer_max));
    image->integer_max = (float)integer_max;
    cover_status status = sevr_accepts(s, &image->grid, reader->channels);
    if (status == COVER_OK) memcpy(memory, pixels, (size_t)(grid_pixels(&image->grid) * reader->channels) * sizeof *memory);
    memory_free(pairs->context, pixels);
    if (status != COVER_OK) return fail_in(status, "sample %lld (%s)", (long long)index, reader->name(reader->user, index));
    return COVER_OK;
}

cover_status pair_maker(struct pair_maker *maker, cover_context *context, const struct settings *settings,
                        const struct sample_reader *reader) {
    struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    *maker = (struct pair_maker){
        .maker = {.worker_create = worker_create, .worker_destroy = worker_destroy, .draw = draw, .read = read_image},
        .context = context,
        .settings = settings,
        .reader = reader};
    if (!multiply(grid_pixels(&reader->largest), reader->channels, &maker->maker.image_floats))
        return fail(COVER_ERROR_SHAPE, "an image is too large");
    return pair_floats(&maker->maker.floats, &crop, reader->channels);
}

static cover_status make(struct sample_maker *maker, const struct objective_run *run) {
    return pair_maker((struct pair_maker *)maker, run->context, run->settings, run->reader);
}

static const struct objective_picture pictures[] = {
    {"moving", PAIR_IMAGES, 0}, {"fixed", PAIR_IMAGES, 1}, {"field", PAIR_TRUTH, 0}, {"mask", PAIR_MASK, 0}, {0},
};
static const struct figure_words figures[] = {
    {.name = "l_vec",
     .over = "l_zero",
     .unit = "pixels",
     .title = "vector loss",
     .note = "Sum of |truth \xe2\x88\x92 prediction| over the axes, a valid pixel, in pixels.",
     .naive = "answering \xe2\x80\x9cnothing moved\xe2\x80\x9d on the same views"},
    {.name = "l_con",
     .title = "consistency loss",
     .note = "1 \xe2\x88\x92 mean cosine of the two views' features at the same point."},
    {.name = "l_zero", .unit = "pixels", .title = "vector loss of the zero field"},
    {0},
};
static const struct objective_setting own_settings[] = {
    {.name = "heads"},   {.name = "head_dim"}, {.name = "radius"},   {.name = "coordinates"},
    {.name = "pyramid"}, {.name = "loss_vec"}, {.name = "loss_con"}, {0}};
const struct objective objective_cover = {
    .name = "cover",
    .title = "COVER",
    .text = "finds the displacement field between two views of an image from the features of its pixels",
    .use = "for segmentation and matching, in 2D and 3D: each pixel gets a feature of its own, at every level",
    .cost = "the measure of the others",
    .trained = "whole",
    .sample = "pair",
    .counts = "valid pixel in any pair",
    .setting = own_settings,
    .build = pair_model,
    .accepts = sevr_accepts,
    .maker_bytes = sizeof(struct pair_maker),
    .maker = make,
    .figure = figures,
    .picture = pictures,
    .pairs = true,
};
