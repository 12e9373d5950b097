/* A ring of view pairs, filled in order by worker threads.  Called by the trainer. */
#include "prefetch.h"

#include "order.h"

#include <stdio.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_TAKEN };
struct slot {
    enum slot_state state;
    int64_t number; /* of the pair since step 0 */
    struct view_pair pair;
    float *block;
    cover_status status;
    char error[1024];
};

struct worker {
    struct prefetch *prefetch;
    pthread_t thread;
    struct sevr *sevr;
    bool started;
};

struct prefetch {
    cover_context *context;
    struct settings settings;
    struct sample_reader reader;
    struct slot *slots;
    struct slot redraw;
    struct worker *workers; /* the last one is the caller's, for redraw */
    int slot_count, worker_count;
    int64_t next; /* number that is drawn next */
    int64_t step; /* whose pairs are being taken */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
};

cover_status pair_allocate(struct view_pair *pair, float **block, cover_context *context, const struct grid *grid,
                           int channels) {
    int64_t pixels = grid_pixels(grid), floats, bytes;
    if (!multiply(pixels, 2 * (int64_t)channels + grid->ndim + 1, &floats) || !multiply(floats, sizeof(float), &bytes))
        return fail(COVER_ERROR_SHAPE, "a pair of views is too large");
    float *memory = memory_alloc(context, (size_t)bytes);
    if (!memory) return COVER_ERROR_MEMORY;
    *pair = (struct view_pair){.moving = memory,
                               .fixed = memory + pixels * channels,
                               .field = memory + 2 * pixels * channels,
                               .mask = memory + pixels * (2 * channels + grid->ndim)};
    *block = memory;
    return COVER_OK;
}

static cover_status draw(struct prefetch *prefetch, struct sevr *sevr, struct view_pair *pair, int64_t number) {
    const struct settings *s = &prefetch->settings;
    int64_t count = prefetch->reader.count, index = order_sample((uint64_t)s->seed, number / count, number % count, count);
    float *pixels;
    struct grid grid;
    int integer_max;
    TRY(prefetch->reader.read(prefetch->reader.user, index, &pixels, &grid, &integer_max));
    cover_status status = sevr_draw(sevr, pair, pixels, &grid, prefetch->reader.channels, (float)integer_max,
                                    (uint64_t)s->seed, (uint32_t)(number / s->batch), (uint32_t)(number % s->batch));
    memory_free(prefetch->context, pixels);
    if (status != COVER_OK) fail_in(status, "sample %lld (%s)", (long long)index, prefetch->reader.name(prefetch->reader.user, index));
    return status;
}

static void fill(struct prefetch *prefetch, struct worker *worker, struct slot *slot) {
    slot->status = draw(prefetch, worker->sevr, &slot->pair, slot->number);
    if (slot->status != COVER_OK) snprintf(slot->error, sizeof slot->error, "%s", cover_error_text());
}

static struct slot *slot_in(struct prefetch *prefetch, enum slot_state state, int64_t number) {
    for (int i = 0; i < prefetch->slot_count; i++) {
        struct slot *slot = &prefetch->slots[i];
        if (slot->state == state && (state == SLOT_FREE || slot->number == number)) return slot;
    }
    return NULL;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct prefetch *prefetch = worker->prefetch;
    pthread_mutex_lock(&prefetch->lock);
    while (!prefetch->stop) {
        struct slot *slot = slot_in(prefetch, SLOT_FREE, 0);
        if (!slot) {
            pthread_cond_wait(&prefetch->changed, &prefetch->lock);
            continue;
        }
        slot->state = SLOT_FILLING, slot->number = prefetch->next++;
        pthread_mutex_unlock(&prefetch->lock);
        fill(prefetch, worker, slot);
        pthread_mutex_lock(&prefetch->lock);
        slot->state = SLOT_READY;
        pthread_cond_broadcast(&prefetch->changed);
    }
    pthread_mutex_unlock(&prefetch->lock);
    return NULL;
}

cover_status prefetch_create(struct prefetch **made, cover_context *context, const struct settings *settings,
                             const struct sample_reader *reader, int lanes, int64_t first_step) {
    struct prefetch *prefetch = memory_zero(context, sizeof *prefetch);
    if (!prefetch) return COVER_ERROR_MEMORY;
    cover_status status = COVER_ERROR_MEMORY;
    struct grid grid = settings_grid(&settings->crop, (int)settings->dims);
    int threads = 1 + (context->threads >= 8 ? context->threads / 8 : 0);
    *prefetch = (struct prefetch){.context = context, .settings = *settings, .reader = *reader,
                                  .next = first_step * settings->batch, .step = first_step};
    pthread_mutex_init(&prefetch->lock, NULL);
    pthread_cond_init(&prefetch->changed, NULL);
    prefetch->slots = memory_zero(context, (size_t)(lanes + 1 + threads) * sizeof *prefetch->slots);
    prefetch->workers = memory_zero(context, (size_t)(threads + 1) * sizeof *prefetch->workers);
    if (!prefetch->slots || !prefetch->workers) goto done;
    for (; prefetch->slot_count < lanes + 1 + threads; prefetch->slot_count++) {
        struct slot *slot = &prefetch->slots[prefetch->slot_count];
        GO(pair_allocate(&slot->pair, &slot->block, context, &grid, reader->channels));
    }
    for (; prefetch->worker_count <= threads; prefetch->worker_count++) {
        struct worker *worker = &prefetch->workers[prefetch->worker_count];
        worker->prefetch = prefetch;
        GO(sevr_create(&worker->sevr, context, settings));
        GO(sevr_reserve(worker->sevr, &reader->largest));
        if (prefetch->worker_count == threads) continue; /* the caller's own */
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            GO(fail(COVER_ERROR_MEMORY, "a thread that reads ahead could not be started"));
        worker->started = true;
    }
    status = COVER_OK;
    *made = prefetch;
done:
    if (status != COVER_OK) {
        prefetch->worker_count = prefetch->workers ? threads + 1 : 0;
        prefetch_destroy(prefetch);
    }
    return status;
}

void prefetch_destroy(struct prefetch *prefetch) {
    if (!prefetch) return;
    cover_context *context = prefetch->context;
    pthread_mutex_lock(&prefetch->lock);
    prefetch->stop = true;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
    for (int i = 0; i < prefetch->worker_count; i++) {
        if (prefetch->workers[i].started) pthread_join(prefetch->workers[i].thread, NULL);
        sevr_destroy(prefetch->workers[i].sevr);
    }
    for (int i = 0; i < prefetch->slot_count; i++) memory_free(context, prefetch->slots[i].block);
    memory_free(context, prefetch->redraw.block);
    memory_free(context, prefetch->slots);
    memory_free(context, prefetch->workers);
    pthread_mutex_destroy(&prefetch->lock);
    pthread_cond_destroy(&prefetch->changed);
    memory_free(context, prefetch);
}

static cover_status take(void *user, int64_t pair, const struct view_pair **views) {
    struct prefetch *prefetch = user;
    int64_t number = prefetch->step * prefetch->settings.batch + pair;
    struct slot *slot;
    pthread_mutex_lock(&prefetch->lock);
    while (!(slot = slot_in(prefetch, SLOT_READY, number))) pthread_cond_wait(&prefetch->changed, &prefetch->lock);
    slot->state = SLOT_TAKEN;
    pthread_mutex_unlock(&prefetch->lock);
    *views = &slot->pair;
    if (slot->status == COVER_OK) return COVER_OK;
    pthread_mutex_lock(&prefetch->lock);
    slot->state = SLOT_FREE;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
    return fail(slot->status, "%s", slot->error);
}

static void give_back(void *user, int64_t pair, const struct view_pair *views) {
    struct prefetch *prefetch = user;
    (void)pair;
    pthread_mutex_lock(&prefetch->lock);
    for (int i = 0; i < prefetch->slot_count; i++)
        if (&prefetch->slots[i].pair == views) prefetch->slots[i].state = SLOT_FREE;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
}

struct pair_source prefetch_source(struct prefetch *prefetch, int64_t step) {
    prefetch->step = step;
    return (struct pair_source){take, give_back, prefetch};
}

cover_status prefetch_redraw(struct prefetch *prefetch, int64_t step, int64_t pair, const struct view_pair **views) {
    struct slot *slot = &prefetch->redraw;
    struct grid grid = settings_grid(&prefetch->settings.crop, (int)prefetch->settings.dims);
    if (!slot->block) TRY(pair_allocate(&slot->pair, &slot->block, prefetch->context, &grid, prefetch->reader.channels));
    *views = &slot->pair;
    return draw(prefetch, prefetch->workers[prefetch->worker_count - 1].sevr, &slot->pair,
                step * prefetch->settings.batch + pair);
}
