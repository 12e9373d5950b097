/* Training in lanes, on a device whose memory is the host's: each lane takes one sample at a time through the whole plan, gradients are
 * added in a binary tree over the sample's index (design: The life of a step).  Where samples meet in a batch graph they go through
 * twice: to their rows, and back from the rows' gradient.  Called by engine.c through stepper_lanes. */
#include "batch.h"
#include "ranks.h"
#include "stepper.h"

#include "core/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { UPDATE_BLOCK = 1 << 16 }; /* floats of one unit of norm and update: fixed, so sums do not depend on threads */

struct pending { /* the finished sum over samples lo..hi-1 that waits for its sibling */
    int64_t lo, hi;
    float *sum;
};

/* What a sample goes through now. */
enum leg {
    LEG_WHOLE, /* forward and backward: its loss is its own; its rows are kept where they meet for figures */
    LEG_ROWS,  /* forward; its rows are kept, and so is the sample */
    LEG_BACK,  /* forward again, unless its lane still has that, and backward from the rows' gradient */
    LEG_LOOK,  /* forward, for one of its results alone */
};

struct lane {
    struct run run;
    float *back[MODEL_LINKS]; /* of the sample in work, where a link brings a gradient back */
    struct team_barrier barrier;
    void *arena;
    int64_t index; /* of the sample in work, -1 = no more */
    const struct sample *sample;
};

struct step_state {
    struct engine *engine;
    int64_t batch;
    struct lane *lanes;
    double *term[MODEL_TERMS]; /* of each sample */
    int64_t *count;
    /* gradient buffers: a lane takes one before it takes a sample, so the earliest one in work always finishes */
    float **buffers;
    int buffer_count, free_count;
    float **free_buffers;
    struct pending *pending; /* each holds a buffer, so there are never more of them than buffers */
    int pending_count;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    const struct sample_source *source;
    int64_t next;
    /* samples that meet */
    struct batch_pass pass;
    enum leg leg;
    const struct sample **held; /* from leg to leg */
    int64_t through;            /* samples whose rows, or whose result, are there */
    bool resting;               /* a lane for each sample: it keeps the forward pass from leg to leg */
    int look;                   /* the result that is looked for */
    float *looked;              /* of each sample */
    cover_status status;
    char error[1024];
    /* norm and update */
    double *block_sums;
    struct adam update[1 + MODEL_RATES]; /* of the others, of each rate */
    int64_t block_count;
};

/* ---- making */

static int tree_depth(int64_t batch) {
    int depth = 0;
    while ((INT64_C(1) << depth) < batch) depth++;
    return depth;
}

/* Lanes keep a sample each; what is left over helps as teams. */
static int widest(const struct engine *engine) {
    int64_t most = engine->context->threads < engine->batch ? engine->context->threads : engine->batch;
    return engine->settings.common.lanes && engine->settings.common.lanes < most ? (int)engine->settings.common.lanes : (int)most;
}

static struct engine_bytes lanes_bytes(const struct engine *engine) {
    const struct parameters *parameters = &engine->model.parameters;
    uint64_t flat = (uint64_t)parameters->trained * sizeof(float);
    struct engine_bytes bytes = {
        .weights = (uint64_t)parameters->floats * sizeof(float),
        .gradients = flat * (uint64_t)(engine->lanes + tree_depth(engine->batch)),
        .optimiser = 2 * flat,
        .arena_per_lane = engine->executor->program_plan(engine->program)->arena_bytes,
        .packed = engine->executor->program_packed_bytes(engine->program),
        .samples = engine_sample_bytes(engine) * (uint64_t)(engine->holds + 2),
        .batch = batch_pass_bytes(&engine->state->pass, engine),
        .lanes = engine->lanes,
    };
    bytes.total = bytes.batch + bytes.weights + bytes.gradients + bytes.optimiser + bytes.packed + bytes.samples +
                  bytes.arena_per_lane * (uint64_t)engine->lanes;
    return bytes;
}

/* The widest choice of lanes that keeps to the memory limit.  A program serves every number of lanes that leaves the same team. */
static cover_status lanes_plan(struct engine *engine) {
    const uint64_t limit = engine->context->memory_limit_bytes;
    uint64_t total = 0;
    struct step_state *state = engine->state = memory_zero(engine->context, sizeof *state);
    if (!state) return COVER_ERROR_MEMORY;
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->freed, NULL);
    TRY(batch_pass_plan(&state->pass, engine));
    for (engine->lanes = widest(engine); engine->lanes > 0; engine->lanes--) {
        const int team = engine->context->threads / engine->lanes;
        engine->holds = model_comes_back(&engine->model) ? engine->batch : engine->lanes;
        if (!engine->program || team != engine->team) {
            engine->executor->program_destroy(engine->program);
            engine->program = NULL, engine->team = team;
            TRY(engine->executor->program_create(&engine->program, engine->context, &engine->model.graph, team));
        }
        total = lanes_bytes(engine).total;
        if (!limit || total <= limit) return COVER_OK;
    }
    char needed[MEMORY_WORDS], allowed[MEMORY_WORDS];
    return fail(COVER_ERROR_MEMORY,
                "the plan needs %s with one lane, the memory limit is %s; use a smaller crop or widths, or raise the limit",
                memory_words(needed, total), memory_words(allowed, limit));
}

struct flat_buffer {
    float *values;
    int64_t floats;
};
/* Of that many floats those in a block. */
static int64_t floats_in(int64_t floats, int64_t block) {
    const int64_t left = floats - block * UPDATE_BLOCK;
    return left < UPDATE_BLOCK ? left : UPDATE_BLOCK;
}
static void zero_block(void *data, int64_t block) {
    const struct flat_buffer *buffer = data;
    memset(buffer->values + block * UPDATE_BLOCK, 0, (size_t)floats_in(buffer->floats, block) * sizeof(float));
}
/* Zeros for parameters, first touched by the threads that will work on them, so that pages lie near them. */
static cover_status allocate_flat(float **made, const struct engine *engine, int64_t floats) {
    struct pool *pool;
    struct flat_buffer buffer = {.floats = floats};
    TRY(context_pool(engine->context, &pool));
    *made = buffer.values = memory_alloc(engine->context, (size_t)buffer.floats * sizeof(float));
    if (!buffer.values) return COVER_ERROR_MEMORY;
    pool_each(pool, (buffer.floats + UPDATE_BLOCK - 1) / UPDATE_BLOCK, zero_block, &buffer);
    return COVER_OK;
}

/* What samples that meet need beside it. */
static cover_status allocate_meeting(struct engine *engine) {
    struct step_state *state = engine->state;
    if (!state->pass.program) return COVER_OK;
    if (!model_comes_back(&engine->model)) return batch_pass_allocate(&state->pass, engine);
    state->resting = engine->lanes == engine->batch;
    state->held = memory_zero(engine->context, (size_t)engine->batch * sizeof *state->held);
    if (!state->held) return COVER_ERROR_MEMORY;
    for (int i = 0; i < engine->lanes; i++) TRY(engine_back_inputs(state->lanes[i].back, &state->lanes[i].run, engine));
    return batch_pass_allocate(&state->pass, engine);
}

static cover_status lanes_allocate(struct engine *engine) {
    cover_context *context = engine->context;
    struct step_state *state = engine->state;
    size_t rows = (size_t)engine->batch;
    state->engine = engine, state->batch = engine->batch;
    const struct parameters *parameters = &engine->model.parameters;
    int buffers = engine->lanes + tree_depth(engine->batch);
    state->block_count = (parameters->trained + UPDATE_BLOCK - 1) / UPDATE_BLOCK;
    state->lanes = memory_zero(context, (size_t)engine->lanes * sizeof *state->lanes);
    bool room = true;
    for (int i = 0; i < engine->model.terms; i++)
        room &= (state->term[i] = memory_zero(context, rows * sizeof *state->term[i])) != NULL;
    state->count = memory_zero(context, rows * sizeof *state->count);
    state->buffers = memory_zero(context, (size_t)buffers * sizeof *state->buffers);
    state->free_buffers = memory_zero(context, (size_t)buffers * sizeof *state->free_buffers);
    state->pending = memory_zero(context, (size_t)buffers * sizeof *state->pending);
    state->block_sums = memory_zero(context, (size_t)state->block_count * sizeof *state->block_sums);
    room &= state->lanes && state->count && state->buffers && state->free_buffers && state->pending && state->block_sums;
    if (!room) return COVER_ERROR_MEMORY;
    for (; state->buffer_count < buffers; state->buffer_count++) /* zero: parameters without gradient and padding stay so */
        TRY(allocate_flat(&state->buffers[state->buffer_count], engine, parameters->trained));
    for (int i = 0; i < engine->lanes; i++) TRY(engine->executor->arena_create(&state->lanes[i].arena, engine->program));
    TRY(allocate_flat(&engine->weights, engine, parameters->floats));
    TRY(allocate_flat(&engine->m, engine, parameters->trained));
    TRY(allocate_flat(&engine->v, engine, parameters->trained));
    return allocate_meeting(engine);
}

static void lanes_free(struct engine *engine) {
    struct step_state *state = engine->state;
    cover_context *context = engine->context;
    float *flat[] = {engine->weights, engine->m, engine->v};
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) memory_free(context, flat[i]);
    if (!state) return;
    for (int i = 0; state->lanes && i < engine->lanes; i++) {
        engine->executor->arena_destroy(engine->program, state->lanes[i].arena);
        for (int k = 0; k < MODEL_LINKS; k++) memory_free(context, state->lanes[i].back[k]);
    }
    batch_pass_free(&state->pass, engine);
    memory_free(context, state->held);
    for (int i = 0; i < state->buffer_count; i++) memory_free(context, state->buffers[i]);
    memory_free(context, state->lanes);
    for (int i = 0; i < MODEL_TERMS; i++) memory_free(context, state->term[i]);
    memory_free(context, state->count);
    memory_free(context, state->buffers);
    memory_free(context, state->free_buffers);
    memory_free(context, state->pending);
    memory_free(context, state->block_sums);
    pthread_mutex_destroy(&state->lock);
    pthread_cond_destroy(&state->freed);
    memory_free(context, state);
}

static cover_status lanes_weights_changed(struct engine *engine) {
    TRY(engine->executor->program_pack(engine->program, engine->weights));
    return batch_pass_weights(&engine->state->pass, engine);
}
static cover_status lanes_fetch(struct engine *engine) { /* weights and gradient are where they are read */
    (void)engine;
    return COVER_OK;
}

/* ---- the gradient tree: sum(lo, hi) splits at the midpoint */

static void parent_of(int64_t batch, int64_t lo, int64_t hi, int64_t *parent_lo, int64_t *parent_hi) {
    int64_t a = 0, b = batch;
    for (;;) {
        int64_t middle = a + (b - a) / 2;
        if ((lo == a && hi == middle) || (lo == middle && hi == b)) break;
        if (hi <= middle) b = middle;
        else a = middle;
    }
    *parent_lo = a, *parent_hi = b;
}

static float *take_pending(struct step_state *state, int64_t lo, int64_t hi) {
    for (int i = 0; i < state->pending_count; i++) {
        struct pending *entry = &state->pending[i];
        if (entry->lo != lo || entry->hi != hi) continue;
        float *sum = entry->sum;
        *entry = state->pending[--state->pending_count];
        return sum;
    }
    return NULL;
}

static void free_buffer(struct step_state *state, float *buffer) {
    state->free_buffers[state->free_count++] = buffer;
    pthread_cond_signal(&state->freed);
}

/* Whoever finishes a node's second child adds the two. */
static void deliver(struct step_state *state, int64_t index, float *sum) {
    struct engine *engine = state->engine;
    int64_t lo = index, hi = index + 1;
    pthread_mutex_lock(&state->lock);
    while (lo > 0 || hi < state->batch) {
        int64_t parent_lo, parent_hi;
        parent_of(state->batch, lo, hi, &parent_lo, &parent_hi);
        bool left = lo == parent_lo;
        float *other = take_pending(state, left ? hi : parent_lo, left ? parent_hi : lo);
        if (!other) {
            state->pending[state->pending_count++] = (struct pending){lo, hi, sum};
            pthread_mutex_unlock(&state->lock);
            return;
        }
        pthread_mutex_unlock(&state->lock);
        float *first = left ? sum : other, *second = left ? other : sum;
        engine->executor->add(engine->program, first, first, second, engine->model.parameters.trained);
        pthread_mutex_lock(&state->lock);
        free_buffer(state, second);
        sum = first, lo = parent_lo, hi = parent_hi;
    }
    engine->gradient = sum;
    pthread_mutex_unlock(&state->lock);
}

/* ---- lanes */

static void step_failed(struct step_state *state, cover_status status, const char *text) {
    pthread_mutex_lock(&state->lock);
    if (state->status == COVER_OK) {
        state->status = status;
        snprintf(state->error, sizeof state->error, "%s", text);
    }
    state->next = state->batch; /* nobody starts another */
    pthread_cond_broadcast(&state->freed);
    pthread_mutex_unlock(&state->lock);
}

static void step_through(struct step_state *state) {
    pthread_mutex_lock(&state->lock);
    state->through++;
    pthread_mutex_unlock(&state->lock);
}

/* A gradient buffer, where it goes backward, then the next sample; -1 when there is none. */
static int64_t next_sample(struct step_state *state, struct lane *lane) {
    const bool backward = state->leg == LEG_WHOLE || state->leg == LEG_BACK;
    int64_t index = -1;
    pthread_mutex_lock(&state->lock);
    while (state->next < state->batch && backward && state->free_count == 0) pthread_cond_wait(&state->freed, &state->lock);
    if (state->next < state->batch && !(state->resting && lane->index >= 0)) { /* resting: one, its own */
        if (backward) lane->run.gradient = state->free_buffers[--state->free_count];
        index = state->resting ? lane - state->lanes : state->next;
        state->next++;
    }
    pthread_mutex_unlock(&state->lock);
    return index;
}

static void start_sample(struct step_state *state, struct lane *lane) {
    lane->index = cancelled(state->engine->context) ? -1 : next_sample(state, lane);
    if (lane->index < 0) return;
    cover_status status = COVER_OK;
    if (state->leg == LEG_BACK) lane->sample = state->held[lane->index];
    else status = state->source->take(state->source->user, lane->index, &lane->sample);
    if (status != COVER_OK) {
        step_failed(state, status, cover_error_text());
        lane->index = -1;
        return;
    }
    engine_set_inputs(&lane->run, &state->engine->model, lane->sample);
    if (state->leg == LEG_BACK) batch_pass_give(&state->pass, state->engine, lane->back, lane->index);
    const int forward = state->engine->model.graph.forward_nodes;
    lane->run.begin = state->leg == LEG_BACK && state->resting ? forward : 0;
    lane->run.end = state->leg == LEG_ROWS || state->leg == LEG_LOOK ? forward : 0;
    lane->run.check = false;
    atomic_store(&lane->run.failed, 0);
    lane->run.status = COVER_OK;
}

static void finish_sample(struct step_state *state, struct lane *lane) {
    struct engine *engine = state->engine;
    const int64_t index = lane->index;
    const bool ran = lane->run.status == COVER_OK; /* else there are no results */
    if (state->leg == LEG_ROWS) {
        state->held[index] = lane->sample;
        if (!ran) return step_failed(state, lane->run.status, lane->run.error);
        batch_pass_take(&state->pass, engine, &lane->run, index);
        return step_through(state);
    }
    if (state->leg == LEG_LOOK) {
        state->source->give_back(state->source->user, index, lane->sample);
        if (!ran) return step_failed(state, lane->run.status, lane->run.error);
        const int64_t floats = tensor_elements(graph_tensor(&engine->model.graph, STORAGE_RESULT, state->look));
        memcpy(state->looked + index * floats, engine->executor->program_result(engine->program, &lane->run, state->look),
               (size_t)floats * sizeof *state->looked);
        return step_through(state);
    }
    for (int i = 0; ran && i < engine->model.terms; i++) {
        const struct loss_term *term = &engine->model.term[i];
        if (term->of_batch) continue;
        const double *values = term->result == ABSENT ? lane->sample->known
                                                      : engine->executor->program_result(engine->program, &lane->run, term->result);
        state->term[i][index] = values[term->place];
    }
    if (ran && state->pass.program && state->leg == LEG_WHOLE) batch_pass_take(&state->pass, engine, &lane->run, index);
    state->count[index] = lane->sample->count;
    if (state->held) state->held[index] = NULL;
    state->source->give_back(state->source->user, index, lane->sample);
    if (ran) deliver(state, index, lane->run.gradient);
    else step_failed(state, lane->run.status, lane->run.error);
}

static void lane_worker(void *data, int worker) {
    struct step_state *state = data;
    struct engine *engine = state->engine;
    int index = worker / engine->team, member = worker % engine->team;
    if (index >= engine->lanes) return;
    struct lane *lane = &state->lanes[index];
    for (;;) {
        if (member == 0) start_sample(state, lane);
        team_wait(&lane->barrier);
        if (lane->index < 0) return;
        engine->executor->program_run(engine->program, &lane->run, member);
        team_wait(&lane->barrier);
        if (member == 0) finish_sample(state, lane);
    }
}

double tree_sum(const double *values, int64_t lo, int64_t hi) {
    if (hi - lo == 1) return values[lo];
    int64_t middle = lo + (hi - lo) / 2;
    return tree_sum(values, lo, middle) + tree_sum(values, middle, hi);
}

static void prepare_lanes(struct engine *engine) {
    for (int i = 0; i < engine->lanes; i++) {
        struct lane *lane = &engine->state->lanes[i];
        lane->barrier.size = engine->team;
        lane->run.arena = lane->arena, lane->run.parameters = engine->weights;
        lane->run.only_convolutions = engine->only_convolutions;
        lane->run.team = engine->team, lane->run.barrier = &lane->barrier;
    }
}

static cover_status run_leg(struct step_state *state, enum leg leg) {
    struct pool *pool;
    TRY(context_pool(state->engine->context, &pool));
    state->leg = leg, state->next = 0;
    for (int i = 0; i < state->engine->lanes; i++) state->lanes[i].index = -1;
    pool_run(pool, lane_worker, state);
    return state->status == COVER_OK ? COVER_OK : fail_text(state->status, state->error);
}

/* Samples that a leg has left behind. */
static void let_go(struct step_state *state) {
    for (int64_t i = 0; state->held && i < state->batch; i++) {
        if (state->held[i]) state->source->give_back(state->source->user, i, state->held[i]);
        state->held[i] = NULL;
    }
}

/* The rows of all samples, and the graph in which they meet. */
static cover_status meet(struct step_state *state) {
    state->through = 0;
    cover_status status = run_leg(state, LEG_ROWS);
    if (status == COVER_OK && state->through < state->batch) status = fail(COVER_ERROR_CANCELLED, "the step was cancelled");
    TRY(collective_agree(state->engine->share.with, status));
    return batch_pass_run(&state->pass, state->engine);
}

/* Sums over this rank's samples, but the batch graph's part of the gradient. */
static cover_status lanes_sums(struct engine *engine, const struct sample_source *source, struct step_sums *sums) {
    struct step_state *state = engine->state;
    cover_status status = COVER_OK;
    prepare_lanes(engine);
    state->source = source, state->pending_count = 0, state->status = COVER_OK;
    state->free_count = state->buffer_count;
    memcpy(state->free_buffers, state->buffers, (size_t)state->buffer_count * sizeof *state->buffers);
    batch_pass_clear(&state->pass, engine);
    engine->gradient = NULL;
    const bool back = model_comes_back(&engine->model);
    if (back) GO(meet(state));
    status = run_leg(state, back ? LEG_BACK : LEG_WHOLE);
    if (status == COVER_OK && !engine->gradient) status = fail(COVER_ERROR_CANCELLED, "the step was cancelled");
    if (state->pass.program && !back) GO(collective_agree(engine->share.with, status));
    if (status != COVER_OK) goto done;
    if (state->pass.program && !back) GO(batch_pass_run(&state->pass, engine));
    *sums = (struct step_sums){0};
    for (int i = 0; i < engine->model.terms; i++) {
        const struct loss_term *term = &engine->model.term[i];
        sums->term[i] = term->of_batch ? batch_pass_term(&state->pass, engine, term) : tree_sum(state->term[i], 0, state->batch);
    }
    for (int64_t i = 0; i < state->batch; i++) sums->count += state->count[i];
done:
    let_go(state);
    return status;
}

static cover_status lanes_step(struct engine *engine, const struct sample_source *source, struct step_sums *sums) {
    TRY(lanes_sums(engine, source, sums));
    batch_pass_add(&engine->state->pass, engine);
    return COVER_OK;
}

/* ---- norm and update, over fixed blocks of the flat buffer */

static int64_t block_floats(const struct engine *engine, int64_t block) {
    return floats_in(engine->model.parameters.trained, block);
}

static void norm_worker(void *data, int64_t block) {
    struct step_state *state = data;
    struct engine *engine = state->engine;
    state->block_sums[block] =
        engine->executor->square_sum(engine->program, engine->gradient + block * UPDATE_BLOCK, block_floats(engine, block));
}

static double lanes_square_sum(struct engine *engine) {
    struct pool *pool;
    if (context_pool(engine->context, &pool) != COVER_OK) return NAN;
    pool_each(pool, engine->state->block_count, norm_worker, engine->state);
    double sum = 0;
    for (int64_t i = 0; i < engine->state->block_count; i++) sum += engine->state->block_sums[i];
    return sum;
}

/* Parameters that the graph leaves out (ablations) keep their values, as PyTorch's do without a gradient. */
enum { NO_RATE = -1 };
static void update_range(const struct engine *engine, int64_t from, int64_t to, int rate) {
    if (to > from && rate != NO_RATE)
        engine->executor->adam(engine->program, engine->weights + from, engine->m + from, engine->v + from, engine->gradient + from,
                               to - from, &engine->state->update[rate]);
}

/* Rows of one rate that touch are updated at once. */
static void update_worker(void *data, int64_t block) {
    struct step_state *state = data;
    struct engine *engine = state->engine;
    int64_t begin = block * UPDATE_BLOCK, end = begin + block_floats(engine, block), from = begin;
    int rate = NO_RATE;
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        int64_t row_end = i + 1 < engine->model.parameters.count ? row[1].offset : engine->model.parameters.floats;
        if (row_end <= begin || row->offset >= end) continue;
        const int own = engine->has_gradient[i] ? model_rate(&engine->model, i) : NO_RATE;
        if (own == rate) continue;
        const int64_t here = row->offset > begin ? row->offset : begin;
        update_range(engine, from, here, rate);
        from = here, rate = own;
    }
    update_range(engine, from, end, rate);
}

static cover_status lanes_update(struct engine *engine, const struct adam *adam) {
    struct pool *pool;
    TRY(context_pool(engine->context, &pool));
    const struct model *model = &engine->model;
    for (int i = 0; i <= model->rates; i++)
        engine->state->update[i] = i ? adam_rated(*adam, model->rate[i - 1].factor, model->rate[i - 1].beta1) : *adam;
    pool_each(pool, engine->state->block_count, update_worker, engine->state);
    return lanes_weights_changed(engine);
}

static cover_status lanes_train(struct engine *engine, const struct sample_source *source, double lr, struct step_sums *sums,
                                double *norm) {
    TRY(ranks_sum(engine, lanes_sums(engine, source, sums), sums));
    batch_pass_add(&engine->state->pass, engine);
    *norm = engine_gradient_norm(engine, sums->count);
    return step_counts(sums, *norm) ? ranks_alike(engine, engine_update(engine, sums->count, *norm, lr)) : COVER_OK;
}

struct following {
    struct engine *engine;
    struct follow range;
    float rate;
};
static void follow_block(void *data, int64_t block) {
    const struct following *following = data;
    const struct follow *range = &following->range;
    const int64_t begin = block * UPDATE_BLOCK, count = floats_in(range->count, block);
    float *held = following->engine->weights + range->to + begin;
    const float *that = following->engine->weights + range->from + begin;
    if (following->rate == 1) memcpy(held, that, (size_t)count * sizeof *held);
    else
        for (int64_t i = 0; i < count; i++) held[i] += following->rate * (that[i] - held[i]);
}
static cover_status lanes_follow(struct engine *engine, const struct follow *ranges, int count, float rate) {
    struct pool *pool;
    TRY(context_pool(engine->context, &pool));
    for (int i = 0; i < count; i++) {
        struct following following = {engine, ranges[i], rate};
        pool_each(pool, (ranges[i].count + UPDATE_BLOCK - 1) / UPDATE_BLOCK, follow_block, &following);
    }
    return lanes_weights_changed(engine);
}

static cover_status lanes_rows(struct engine *engine, int link, float *rows) {
    memcpy(rows, engine->state->pass.rows[link], tensor_bytes(link_input(&engine->model, &engine->model.link[link])));
    return COVER_OK;
}

static cover_status lanes_forward(struct engine *engine, const struct sample_source *source, int result, float *rows) {
    struct step_state *state = engine->state;
    prepare_lanes(engine);
    state->source = source, state->status = COVER_OK, state->through = 0;
    state->look = result, state->looked = rows;
    TRY(run_leg(state, LEG_LOOK));
    return state->through < state->batch ? fail(COVER_ERROR_CANCELLED, "a forward pass was cancelled") : COVER_OK;
}

static cover_status lanes_push(struct engine *engine, const struct push *push) {
    const struct batch_pass *pass = &engine->state->pass;
    const float *from =
        push->link == ABSENT ? engine->executor->program_result(pass->program, &pass->run, push->result) : pass->rows[push->link];
    for (int64_t row = 0; row < push->count; row++, from += push->width) {
        float *to = engine->weights + push->to + (push->place + row) % push->rows * push->width;
        const double length = fmax(sqrt(engine->executor->square_sum(engine->program, from, push->width)), 1e-12);
        for (int64_t i = 0; i < push->width; i++) to[i] = (float)(from[i] / length);
    }
    return COVER_OK;
}

static bool lanes_lend(struct engine *engine, struct program **program, struct run *run) {
    *program = engine->program;
    run->arena = engine->state->lanes[0].arena, run->gradient = engine->state->buffers[0];
    return true;
}

const struct stepper stepper_lanes = {
    .plan = lanes_plan,
    .bytes = lanes_bytes,
    .allocate = lanes_allocate,
    .free = lanes_free,
    .weights_changed = lanes_weights_changed,
    .fetch = lanes_fetch,
    .step = lanes_step,
    .square_sum = lanes_square_sum,
    .update = lanes_update,
    .train = lanes_train,
    .follow = lanes_follow,
    .rows = lanes_rows,
    .forward = lanes_forward,
    .push = lanes_push,
    .lend = lanes_lend,
};
