/* A ring of samples, filled in order by worker threads.  Called by the trainers. */
#include "prefetch.h"

#include "core/base/threads.h"
#include "ranks.h"

#include <stdio.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_TAKEN };
struct slot {
    enum slot_state state;
    int64_t number; /* since step 0, of this share alone */
    struct sample sample;
    struct sample_image image; /* of the sample, where views are drawn elsewhere */
    float *memory;
    cover_status status;
    char error[1024];
};

struct worker {
    struct prefetch *prefetch;
    struct thread thread;
    void *scratch;
};

struct prefetch {
    cover_context *context;
    const struct sample_maker *maker;
    struct share share;
    struct slot *slots;
    struct slot redraw;
    struct worker *workers; /* the last one is the caller's, for redraw */
    int slot_count, worker_count;
    int64_t next;  /* number that is drawn next */
    int64_t end;   /* step that is not drawn any more */
    int64_t step;  /* whose samples are being taken */
    int64_t ahead; /* of the step's samples, those taken in the step before: struct sample_source says how */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool images; /* samples are images, whose views a device draws */
    bool stop;
};

static cover_status slot_allocate(struct slot *slot, const struct prefetch *prefetch, int64_t floats) {
    slot->memory = memory_alloc(prefetch->context, (size_t)floats * sizeof *slot->memory);
    return slot->memory ? COVER_OK : COVER_ERROR_MEMORY;
}

static void fill(struct prefetch *prefetch, struct worker *worker, struct slot *slot) {
    const struct share *share = &prefetch->share;
    int64_t number = slot->number / share->count * share->batch + share->first + slot->number % share->count;
    if (prefetch->images) {
        slot->sample = (struct sample){.image = &slot->image};
        slot->status = prefetch->maker->read(prefetch->maker, &slot->image, slot->memory, number);
    } else slot->status = prefetch->maker->draw(prefetch->maker, worker->scratch, &slot->sample, slot->memory, number);
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
        struct slot *slot = prefetch->next / prefetch->share.count < prefetch->end ? slot_in(prefetch, SLOT_FREE, 0) : NULL;
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

cover_status prefetch_create(struct prefetch **made, const struct engine *engine, const struct sample_maker *maker,
                             int64_t first_step, int64_t end) {
    cover_context *context = engine->context;
    TRY(context_check_process(context));
    struct prefetch *prefetch = memory_zero(context, sizeof *prefetch);
    if (!prefetch) return COVER_ERROR_MEMORY;
    cover_status status = COVER_ERROR_MEMORY;
    int threads = 1 + (context->threads >= 8 ? context->threads / 8 : 0), slots = (int)engine->holds + 1 + threads;
    *prefetch = (struct prefetch){.context = context,
                                  .maker = maker,
                                  .share = engine->share,
                                  .images = maker->read && engine_draws(engine),
                                  .next = first_step * engine->share.count,
                                  .step = first_step,
                                  .end = end};
    pthread_mutex_init(&prefetch->lock, NULL);
    pthread_cond_init(&prefetch->changed, NULL);
    prefetch->slots = memory_zero(context, (size_t)slots * sizeof *prefetch->slots);
    prefetch->workers = memory_zero(context, (size_t)(threads + 1) * sizeof *prefetch->workers);
    if (!prefetch->slots || !prefetch->workers) goto done;
    for (; prefetch->slot_count < slots; prefetch->slot_count++)
        GO(slot_allocate(&prefetch->slots[prefetch->slot_count], prefetch, prefetch->images ? maker->image_floats : maker->floats));
    for (; prefetch->worker_count <= threads; prefetch->worker_count++) {
        struct worker *worker = &prefetch->workers[prefetch->worker_count];
        const bool own = prefetch->worker_count == threads; /* the caller's, which draws again */
        worker->prefetch = prefetch;
        if (own || !prefetch->images) GO(maker->worker_create(&worker->scratch, maker));
        if (own) continue;
        if (!thread_start(&worker->thread, work, worker))
            GO(fail(COVER_ERROR_MEMORY, "a thread that reads ahead could not be started"));
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
    const bool ours = !in_another_process(context);
    if (ours) {
        pthread_mutex_lock(&prefetch->lock);
        prefetch->stop = true;
        pthread_cond_broadcast(&prefetch->changed);
        pthread_mutex_unlock(&prefetch->lock);
    }
    for (int i = 0; i < prefetch->worker_count; i++) {
        thread_join(&prefetch->workers[i].thread);
        prefetch->maker->worker_destroy(prefetch->workers[i].scratch);
    }
    for (int i = 0; i < prefetch->slot_count; i++) memory_free(context, prefetch->slots[i].memory);
    memory_free(context, prefetch->redraw.memory);
    memory_free(context, prefetch->slots);
    memory_free(context, prefetch->workers);
    if (ours) {
        pthread_mutex_destroy(&prefetch->lock);
        pthread_cond_destroy(&prefetch->changed);
    }
    memory_free(context, prefetch);
}

static cover_status take(void *user, int64_t index, const struct sample **sample) {
    struct prefetch *prefetch = user;
    int64_t number = prefetch->step * prefetch->share.count + index;
    struct slot *slot;
    pthread_mutex_lock(&prefetch->lock);
    while (!(slot = slot_in(prefetch, SLOT_READY, number))) pthread_cond_wait(&prefetch->changed, &prefetch->lock);
    slot->state = SLOT_TAKEN;
    pthread_mutex_unlock(&prefetch->lock);
    *sample = &slot->sample;
    if (slot->status == COVER_OK) return COVER_OK;
    cover_status status = fail_text(slot->status, slot->error); /* while the slot is ours */
    pthread_mutex_lock(&prefetch->lock);
    slot->state = SLOT_FREE;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
    return status;
}

static void give_back(void *user, int64_t index, const struct sample *sample) {
    struct prefetch *prefetch = user;
    (void)index;
    pthread_mutex_lock(&prefetch->lock);
    for (int i = 0; i < prefetch->slot_count; i++)
        if (&prefetch->slots[i].sample == sample) prefetch->slots[i].state = SLOT_FREE;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
}

struct sample_source prefetch_source(struct prefetch *prefetch, int64_t step) {
    prefetch->step = step;
    return (struct sample_source){.take = take, .give_back = give_back, .user = prefetch};
}

cover_status prefetch_redraw(struct prefetch *prefetch, int64_t step, int64_t index, const struct sample **sample) {
    struct slot *slot = &prefetch->redraw;
    if (!slot->memory) TRY(slot_allocate(slot, prefetch, prefetch->maker->floats));
    *sample = &slot->sample;
    return prefetch->maker->draw(prefetch->maker, prefetch->workers[prefetch->worker_count - 1].scratch, &slot->sample,
                                 slot->memory, step * prefetch->share.batch + index);
}

/* ---- steps */

static void stop(struct prefetch **prefetch) {
    prefetch_destroy(*prefetch);
    *prefetch = NULL;
}

cover_status prefetch_step(struct prefetch **prefetch, struct engine *engine, int64_t step, double lr, struct step_sums *sums,
                           double *norm) {
    struct sample_source source = prefetch_source(*prefetch, step);
    source.ahead = &(*prefetch)->ahead, source.more = step + 1 < engine->settings.common.steps && step + 1 < (*prefetch)->end;
    cover_status status = engine_train(engine, &source, lr, sums, norm);
    if (status != COVER_OK) stop(prefetch);
    return status;
}

static cover_status diagnose(struct prefetch *prefetch, struct engine *engine, int64_t step, const char *what) {
    const struct share *share = &engine->share;
    for (int64_t index = share->first; index < share->first + share->count; index++) {
        const struct sample *sample;
        TRY(prefetch_redraw(prefetch, step, index, &sample));
        cover_status status = engine_diagnose(engine, sample);
        if (status == COVER_ERROR_NUMERIC)
            return fail_in(status, "step %lld, %s %lld", (long long)step + 1, what, (long long)index);
        TRY(status);
    }
    return COVER_OK;
}

cover_status prefetch_diagnose(struct prefetch **prefetch, struct engine *engine, int64_t step, const char *what) {
    cover_status status = collective_agree(engine->share.with, diagnose(*prefetch, engine, step, what));
    stop(prefetch);
    if (status != COVER_OK) return status;
    return fail(COVER_ERROR_NUMERIC, "step %lld: the sum of the %ss' gradients is not finite", (long long)step + 1, what);
}
