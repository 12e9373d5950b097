/* Samples of views (view_maker.h): which image, its views, what becomes of them.  Called by the objectives' files. */
#include "view_maker.h"

#include "core/train/order.h"

struct view_thread {
    cover_context *context;
    struct viewer *viewer;
    void *scratch;
};

static void worker_destroy(void *worker) {
    struct view_thread *thread = worker;
    if (!thread) return;
    viewer_destroy(thread->viewer);
    memory_free(thread->context, thread->scratch);
    memory_free(thread->context, thread);
}

static cover_status worker_create(void **worker, const struct sample_maker *maker) {
    const struct view_maker *own = (const struct view_maker *)maker;
    const struct objective_run *run = own->run;
    struct view_thread *thread = memory_zero(run->context, sizeof *thread);
    if (!thread) return COVER_ERROR_MEMORY;
    cover_status status;
    thread->context = run->context;
    GO(viewer_create(&thread->viewer, run->context, run->settings, &own->recipe));
    GO(viewer_reserve(thread->viewer, &run->reader->largest));
    if (own->plan->scratch && !(thread->scratch = memory_alloc(run->context, own->plan->scratch(run->settings, &own->crop))))
        status = COVER_ERROR_MEMORY;
done:
    if (status == COVER_OK) *worker = thread;
    else worker_destroy(thread);
    return status;
}

/* ---- images */

static cover_status read_image(struct stored_image *image, float **pixels, const struct sample_reader *reader, int64_t index) {
    int integer_max;
    *image = (struct stored_image){.channels = reader->channels};
    TRY(reader->read(reader->user, index, pixels, &image->grid, &integer_max));
    image->pixels = *pixels, image->integer_max = (float)integer_max;
    return COVER_OK;
}
static cover_status fail_at(cover_status status, const struct sample_reader *reader, int64_t index) {
    return fail_in(status, "sample %lld (%s)", (long long)index, reader->name(reader->user, index));
}

/* Any other image of the dataset. */
static int64_t partner_of(int64_t index, int64_t count, const struct chance *chance) {
    struct random_stream stream = chance_stream(chance, RANDOM_PARTNER, 0);
    int64_t other = random_below(&stream, count - 1);
    return other < index ? other : other + 1;
}

static cover_status draw_partners(struct view_thread *thread, const struct view_work *work, const struct stored_image *image) {
    const struct view_maker *own = work->maker;
    const struct sample_reader *reader = own->run->reader;
    struct partner_views views = {work->views, work->views + own->values, work->views + 2 * own->values};
    struct stored_image partner;
    float *pixels;
    int64_t index = partner_of(work->image, reader->count, &work->chance);
    TRY(read_image(&partner, &pixels, reader, index));
    cover_status status = viewer_accepts(&own->recipe, own->run->settings, &partner.grid, partner.channels);
    if (status != COVER_OK) status = fail_at(status, reader, index);
    else status = viewer_partner(thread->viewer, &views, image, &partner, &work->chance);
    memory_free(own->run->context, pixels);
    return status;
}

/* Field and mask lie behind the views. */
static cover_status draw_views(struct view_thread *thread, const struct view_work *work, const struct stored_image *image,
                               struct sample *sample) {
    const struct view_maker *own = work->maker;
    const struct view_plan *plan = own->plan;
    if (own->recipe.place == VIEW_PARTNER) return draw_partners(thread, work, image);
    if (plan->middle || (own->recipe.place == VIEW_WINDOW && plan->views == 1))
        return viewer_window(thread->viewer, work->views, image, plan->middle ? NULL : &work->chance);
    struct view_pair pair = {.moving = work->views, .fixed = plan->views == 2 ? work->views + own->values : NULL};
    if (plan->field) {
        pair.field = work->views + 2 * own->values;
        pair.mask = pair.field + grid_pixels(&own->crop) * own->crop.ndim;
        sample->input[1] = pair.field, sample->input[2] = pair.mask;
    }
    return viewer_pair(thread->viewer, &pair, image, &work->chance);
}

static int64_t image_of(const struct view_maker *own, int64_t number) {
    const struct objective_run *run = own->run;
    int64_t count = run->reader->count;
    if (own->plan->pick) return own->plan->pick(run, number);
    if (own->plan->middle) return number % count;
    return order_sample((uint64_t)run->settings->common.seed, number / count, number % count, count);
}

static cover_status draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory, int64_t number) {
    const struct view_maker *own = (const struct view_maker *)maker;
    const struct objective_run *run = own->run;
    const int64_t batch = run->settings->common.batch, pixels = grid_pixels(&own->crop);
    struct view_thread *thread = worker;
    struct view_work work = {
        .maker = own,
        .views = memory,
        .extra = memory + own->plan->views * own->values + (own->plan->field ? pixels * (own->crop.ndim + 1) : 0),
        .scratch = thread->scratch,
        .chance = {(uint64_t)run->settings->common.seed, (uint32_t)(number / batch), (uint32_t)(number % batch)},
        .number = number,
        .image = image_of(own, number)};
    struct stored_image image;
    float *stored;
    *sample = (struct sample){.input = {memory}, .count = 1};
    TRY(read_image(&image, &stored, run->reader, work.image));
    cover_status status = draw_views(thread, &work, &image, sample);
    memory_free(run->context, stored);
    if (status != COVER_OK) return fail_at(status, run->reader, work.image);
    if (own->plan->make) own->plan->make(&work, sample);
    return COVER_OK;
}

/* ---- the maker */

cover_status view_accepts(const struct view_plan *plan, const struct settings *settings, const struct grid *grid, int channels) {
    struct view_recipe recipe;
    TRY(view_recipe_settle(&recipe, plan->recipe, settings));
    if (plan->middle) return sevr_accepts(settings, grid, channels);
    return viewer_accepts(&recipe, settings, grid, channels);
}

cover_status view_maker(struct view_maker *maker, const struct objective_run *run, const struct view_plan *plan) {
    const struct settings *s = run->settings;
    *maker = (struct view_maker){.maker = {.worker_create = worker_create, .worker_destroy = worker_destroy, .draw = draw},
                                 .run = run,
                                 .plan = plan,
                                 .crop = settings_grid(&s->views.crop, (int)s->network.dims)};
    TRY(view_recipe_settle(&maker->recipe, plan->recipe, s));
    if (plan->recipe->place == VIEW_PARTNER && run->reader->read && run->reader->count < 2)
        return fail(COVER_ERROR_ARGUMENT, "a sample takes two images, but there is 1; use a dataset of 2 at least");
    int64_t pixels = grid_pixels(&maker->crop), views, bytes;
    if (!multiply(pixels, s->network.channels, &maker->values) || !multiply(maker->values, plan->views, &views) ||
        !multiply(views, 64 * sizeof(float), &bytes)) /* so that all sums below fit */
        return fail(COVER_ERROR_SHAPE, "a sample's views are too large");
    int64_t more = plan->field ? pixels * (maker->crop.ndim + 1) : 0;
    if (plan->extra) more += plan->extra(s, &maker->crop);
    maker->maker.floats = views + more;
    return COVER_OK;
}

/* ---- what an answer that knows nothing would lose */

double squared_distance(const float *a, const float *b, int64_t count) {
    enum { LANES = 8 };
    double sums[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) sums[l] += ((double)a[i + l] - (double)b[i + l]) * ((double)a[i + l] - (double)b[i + l]);
    for (; i < count; i++) sums[0] += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    for (int l = 1; l < LANES; l++) sums[0] += sums[l];
    return sums[0];
}

double squared_distance_masked(const float *a, const float *b, const float *mask, int64_t pixels, int64_t channels) {
    double sum = 0;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = p * channels; c < (p + 1) * channels; c++) {
            double gap = mask[p] != 0 ? (double)a[c] - (double)b[c] : 0;
            sum += gap * gap;
        }
    return sum;
}
