/* Training on a device that keeps the whole state and takes the whole local batch at once (device.h).  The host holds copies of
 * weights and moments, brought here when somebody asks.  Called by engine.c through stepper_resident. */
#include "ranks.h"
#include "stepper.h"

#include "core/base/memory.h"

#include "device.h"

#include <stdio.h>
#include <string.h>

struct step_state {
    struct training_state *training;
    double *term[MODEL_TERMS];   /* of each sample */
    double square_sum;           /* of the last step's gradient */
    int slot;                    /* that the next step runs from */
    bool images;                 /* samples come as images: what they count is known when their views are drawn */
    struct step_sums ahead_sums; /* of the samples that are there already */
    cover_status ahead_status;
    char ahead_error[1024];
    bool newer;      /* the device has trained since the host's copies were made */
    float *gradient; /* the host's copy, made when first asked for */
};

static const struct training *device_of(const struct engine *engine) { return engine->executor->training; }

static struct engine_bytes resident_bytes(const struct engine *engine) { return device_of(engine)->bytes(engine->state->training); }

static cover_status resident_plan(struct engine *engine) {
    struct step_state *state = engine->state = memory_zero(engine->context, sizeof *state);
    if (!state) return COVER_ERROR_MEMORY;
    engine->lanes = engine->team = 1, engine->holds = 1;
    TRY(device_of(engine)->create(&state->training, engine->context, &engine->model, &engine->settings, engine->batch));
    uint64_t total = resident_bytes(engine).total, limit = engine->context->memory_limit_bytes;
    if (!limit || total <= limit) return COVER_OK;
    char needed[MEMORY_WORDS], allowed[MEMORY_WORDS];
    return fail(COVER_ERROR_MEMORY,
                "the plan needs %s on the device, the memory limit is %s; use a smaller batch, crop or widths, or raise the limit",
                memory_words(needed, total), memory_words(allowed, limit));
}

static cover_status resident_allocate(struct engine *engine) {
    struct step_state *state = engine->state;
    const size_t trained = (size_t)engine->model.parameters.trained * sizeof(float);
    engine->weights = memory_zero(engine->context, (size_t)engine->model.parameters.floats * sizeof(float));
    engine->m = memory_zero(engine->context, trained), engine->v = memory_zero(engine->context, trained);
    if (!engine->weights || !engine->m || !engine->v) return COVER_ERROR_MEMORY;
    for (int i = 0; i < engine->model.terms; i++)
        if (!(state->term[i] = memory_zero(engine->context, (size_t)engine->batch * sizeof(double)))) return COVER_ERROR_MEMORY;
    return device_of(engine)->allocate(state->training);
}

static void resident_free(struct engine *engine) {
    struct step_state *state = engine->state;
    float *flat[] = {engine->weights, engine->m, engine->v};
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) memory_free(engine->context, flat[i]);
    if (!state) return;
    device_of(engine)->destroy(state->training);
    for (int i = 0; i < MODEL_TERMS; i++) memory_free(engine->context, state->term[i]);
    memory_free(engine->context, state->gradient);
    memory_free(engine->context, state);
}

static cover_status resident_join(struct engine *engine) {
    return device_of(engine)->join(engine->state->training, engine->share.with, engine->share.first);
}

static cover_status resident_weights_changed(struct engine *engine) {
    engine->state->newer = false;
    return device_of(engine)->write(engine->state->training, engine->weights, engine->m, engine->v);
}

static cover_status resident_fetch(struct engine *engine) {
    struct step_state *state = engine->state;
    if (!state->newer) return COVER_OK;
    if (!state->gradient) state->gradient = memory_alloc(engine->context, (size_t)engine->model.parameters.trained * sizeof(float));
    if (!state->gradient) return COVER_ERROR_MEMORY;
    TRY(device_of(engine)->read(state->training, engine->weights, engine->m, engine->v, state->gradient));
    engine->gradient = state->gradient, state->newer = false;
    return COVER_OK;
}

/* Terms that need no run. */
static void add_known(const struct engine *engine, struct step_sums *sums, const double known[SAMPLE_KNOWN]) {
    for (int i = 0; i < engine->model.terms; i++)
        if (engine->model.term[i].result == ABSENT) sums->term[i] += known[engine->model.term[i].place];
}

/* Samples [from, to) of the step in `slot`, as the source counts them from `base`, to the device. */
static cover_status give_samples(struct engine *engine, const struct sample_source *source, int slot, int64_t base, int64_t from,
                                 struct step_sums *sums) {
    for (int64_t i = from; i < engine->batch; i++) {
        const struct sample *sample;
        if (cancelled(engine->context)) return fail(COVER_ERROR_CANCELLED, "the step was cancelled");
        TRY(source->take(source->user, base + i, &sample));
        cover_status status = device_of(engine)->sample(engine->state->training, slot, i, sample);
        sums->count += sample->count;
        add_known(engine, sums, sample->known);
        engine->state->images = sample->image != NULL;
        source->give_back(source->user, base + i, sample);
        TRY(status);
        if (base) ++*source->ahead;
    }
    return COVER_OK;
}

/* What an earlier step has not taken ahead.  What the samples count is known before the step runs. */
static cover_status gather(struct engine *engine, const struct sample_source *source, struct step_sums *sums) {
    struct step_state *state = engine->state;
    const int64_t known = source->ahead ? *source->ahead : 0;
    if (known < 0) return fail(state->ahead_status, "%s", state->ahead_error);
    *sums = known > 0 ? state->ahead_sums : (struct step_sums){0};
    TRY(give_samples(engine, source, state->slot, 0, known, sums));
    if (!state->images) return COVER_OK;
    double of_views[SAMPLE_KNOWN] = {0};
    TRY(device_of(engine)->counts(state->training, state->slot, engine->batch, &sums->count, of_views));
    add_known(engine, sums, of_views);
    return COVER_OK;
}

/* While the device works: the samples of the next step.  An error waits until they are asked for. */
static void look_ahead(struct engine *engine, const struct sample_source *source) {
    struct step_state *state = engine->state;
    if (!source->ahead) return;
    *source->ahead = 0;
    if (!source->more) return;
    state->ahead_sums = (struct step_sums){0};
    state->ahead_status = give_samples(engine, source, state->slot, engine->batch, 0, &state->ahead_sums);
    if (state->ahead_status == COVER_OK || state->ahead_status == COVER_ERROR_CANCELLED)
        return; /* cancelled: the rest may still come */
    snprintf(state->ahead_error, sizeof state->ahead_error, "%s", cover_error_text());
    *source->ahead = -1;
}

static cover_status run(struct engine *engine, const struct sample_source *source, const struct adam *adam,
                        struct step_sums *sums) {
    struct step_state *state = engine->state;
    struct training_step step = {
        .adam = adam, .clip = engine->settings.common.clip, .only_convolutions = engine->only_convolutions};
    memcpy(step.term, state->term, sizeof step.term);
    TRY(device_of(engine)->start(state->training, state->slot, &step));
    state->slot = (state->slot + 1) % TRAINING_SLOTS;
    look_ahead(engine, source);
    TRY(device_of(engine)->finish(state->training, &step));
    state->square_sum = step.square_sum, state->newer = true;
    for (int i = 0; i < engine->model.terms; i++)
        if (engine->model.term[i].result != ABSENT)
            sums->term[i] = engine->model.term[i].of_batch ? state->term[i][0] : tree_sum(state->term[i], 0, engine->batch);
    return COVER_OK;
}

static cover_status resident_step(struct engine *engine, const struct sample_source *source, struct step_sums *sums) {
    TRY(ranks_sum_counts(engine, gather(engine, source, sums), sums));
    return ranks_sum_terms(engine, ranks_alike(engine, run(engine, source, NULL, sums)), sums);
}

static double resident_square_sum(struct engine *engine) { return engine->state->square_sum; }

static cover_status resident_update(struct engine *engine, const struct adam *adam) {
    engine->state->newer = true;
    return device_of(engine)->update(engine->state->training, adam);
}

static cover_status resident_train(struct engine *engine, const struct sample_source *source, double lr, struct step_sums *sums,
                                   double *norm) {
    TRY(ranks_sum_counts(engine, gather(engine, source, sums), sums));
    struct adam adam = engine_adam(engine, sums->count > 0 ? sums->count : 1, lr);
    TRY(ranks_sum_terms(engine, ranks_alike(engine, run(engine, source, sums->count > 0 ? &adam : NULL, sums)), sums));
    *norm = engine_gradient_norm(engine, sums->count);
    if (step_counts(sums, *norm)) engine->updates++;
    return COVER_OK;
}

static cover_status resident_follow(struct engine *engine, const struct follow *ranges, int count, float rate) {
    for (int i = 0; i < count; i++)
        TRY(device_of(engine)->follow(engine->state->training, ranges[i].to, ranges[i].from, ranges[i].count, rate));
    engine->state->newer = true;
    return COVER_OK;
}
static cover_status resident_rows(struct engine *engine, int link, float *rows) {
    return device_of(engine)->rows(engine->state->training, link, rows);
}

/* Between steps: nothing has been taken ahead. */
static cover_status resident_forward(struct engine *engine, const struct sample_source *source, int result, float *rows) {
    struct step_state *state = engine->state;
    struct step_sums unused = {0};
    TRY(give_samples(engine, source, state->slot, 0, 0, &unused));
    return device_of(engine)->forward(state->training, state->slot, result, rows);
}

static cover_status resident_push(struct engine *engine, const struct push *push) {
    engine->state->newer = true;
    return device_of(engine)->push(engine->state->training, push);
}

static bool resident_lend(struct engine *engine, struct program **program, struct run *run) {
    (void)engine, (void)program, (void)run;
    return false;
}

const struct stepper stepper_resident = {
    .plan = resident_plan,
    .bytes = resident_bytes,
    .allocate = resident_allocate,
    .free = resident_free,
    .join = resident_join,
    .weights_changed = resident_weights_changed,
    .fetch = resident_fetch,
    .step = resident_step,
    .square_sum = resident_square_sum,
    .update = resident_update,
    .train = resident_train,
    .follow = resident_follow,
    .rows = resident_rows,
    .forward = resident_forward,
    .push = resident_push,
    .lend = resident_lend,
};
