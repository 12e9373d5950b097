/* Shares of a batch, and the sums over ranks. */
#include "ranks.h"

#include "stepper.h"

/* A power of two of ranks are the nodes of one level of the tree; other numbers get even shares. */
bool share_keeps_bits(int ranks) { return (ranks & (ranks - 1)) == 0; }

cover_status share_of(struct share *share, int rank, int ranks, int64_t batch) {
    int64_t from = 0, to = batch;
    if (ranks > batch)
        return fail(COVER_ERROR_ARGUMENT, "%d ranks cannot share a batch of %lld; use fewer ranks or a larger batch", ranks,
                    (long long)batch);
    if (share_keeps_bits(ranks))
        for (int half = ranks / 2; half; half /= 2) {
            int64_t middle = from + (to - from) / 2;
            if (rank & half) from = middle;
            else to = middle;
        }
    else from = batch * rank / ranks, to = batch * (rank + 1) / ranks;
    *share = (struct share){batch, from, to - from, NULL};
    return COVER_OK;
}

cover_status share_with(struct share *share, struct communicator *ranks, int64_t batch) {
    TRY(share_of(share, ranks ? ranks->rank : 0, ranks ? ranks->ranks : 1, batch));
    share->with = ranks;
    return COVER_OK;
}

static void add(const void *user, float *y, const float *a, const float *b, int64_t count) {
    const struct engine *engine = user;
    engine->executor->add(engine->program, y, a, b, count);
}

cover_status ranks_join(struct engine *engine, const struct share *share) {
    engine->share = *share;
    return share->with && engine->stepper->join ? engine->stepper->join(engine) : COVER_OK;
}

_Static_assert((int)COLLECTIVE_DOUBLES > (int)MODEL_TERMS, "terms and a count go round at once");

/* Terms that are known without a run, or those that are not, to values or back; how many there are.  The batch graph's are of the whole
 * batch already. */
static int terms_of(const struct engine *engine, bool known, double *terms, double *values, bool back) {
    int found = 0;
    for (int i = 0; i < engine->model.terms; i++) {
        if (engine->model.term[i].of_batch || (engine->model.term[i].result == ABSENT) != known) continue;
        if (back) terms[i] = values[found++];
        else values[found++] = terms[i];
    }
    return found;
}

static cover_status sum_results(const struct engine *engine, struct step_sums *sums) {
    double values[MODEL_TERMS];
    TRY(collective_sum_doubles(engine->share.with, values, terms_of(engine, false, sums->term, values, false)));
    terms_of(engine, false, sums->term, values, true);
    return COVER_OK;
}

cover_status ranks_sum_counts(struct engine *engine, cover_status own, struct step_sums *sums) {
    struct communicator *c = engine->share.with;
    TRY(collective_agree(c, own));
    double values[1 + MODEL_TERMS] = {(double)sums->count}; /* a count is exact: far below 2^53 */
    const int known = terms_of(engine, true, sums->term, values + 1, false);
    TRY(collective_sum_doubles(c, values, 1 + known));
    terms_of(engine, true, sums->term, values + 1, true);
    sums->count = (int64_t)values[0];
    return COVER_OK;
}

cover_status ranks_sum_terms(struct engine *engine, cover_status own, struct step_sums *sums) {
    struct communicator *c = engine->share.with;
    TRY(collective_agree(c, own));
    return sum_results(engine, sums);
}

cover_status ranks_sum(struct engine *engine, cover_status own, struct step_sums *sums) {
    TRY(ranks_sum_counts(engine, own, sums));
    TRY(sum_results(engine, sums));
    return collective_sum(engine->share.with, engine->gradient, engine->model.parameters.trained, add, engine);
}

/* Where the ranks' parts of a batch begin. */
struct blocks {
    const struct engine *engine;
    size_t part;
};
static size_t block_begin(const void *user, int rank) {
    const struct blocks *blocks = user;
    const int ranks = blocks->engine->share.with->ranks;
    struct share share = {.first = blocks->engine->share.batch};
    if (rank < ranks) (void)share_of(&share, rank, ranks, blocks->engine->share.batch); /* as each has joined with */
    return (size_t)share.first * blocks->part;
}
cover_status ranks_gather(const struct engine *engine, void *data, size_t part) {
    const struct blocks blocks = {engine, part};
    return engine->share.with ? collective_gather(engine->share.with, data, block_begin, &blocks) : COVER_OK;
}

cover_status ranks_alike(struct engine *engine, cover_status own) {
    struct communicator *c = engine->share.with;
    if (own != COVER_OK && c) c->abort(c, own, cover_error_text());
    return own;
}

cover_status ranks_share_state(struct engine *engine) {
    struct communicator *c = engine->share.with;
    if (!c) return COVER_OK;
    TRY(collective_agree(c, engine_fetch(engine)));
    const struct parameters *p = &engine->model.parameters;
    TRY(collective_broadcast(c, engine->weights, (size_t)p->floats * sizeof(float)));
    float *const moments[] = {engine->m, engine->v};
    for (int i = 0; i < 2; i++) TRY(collective_broadcast(c, moments[i], (size_t)p->trained * sizeof(float)));
    TRY(collective_broadcast(c, &engine->updates, sizeof engine->updates));
    return engine_weights_changed(engine);
}
