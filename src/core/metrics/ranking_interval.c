/* What is known about a macro AUC: a percentile bootstrap over the cases.  The cases are sorted once a class; a
 * resample then only changes how often each one counts.  Called by evaluation. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>

struct place {
    float score;
    bool positive;
    int64_t index; /* of the case */
};

static int descending(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Pairs in order, ties counting half, over all pairs; NaN when the draw has no pair. */
static double weighted_auc(const struct place *sorted, int64_t count, const uint32_t *drawn) {
    double above = 0, won = 0, negatives = 0; /* above: positives with a higher score */
    for (int64_t first = 0, end; first < count; first = end) {
        double with = 0, without = 0;
        for (end = first; end < count && sorted[end].score == sorted[first].score; end++)
            *(sorted[end].positive ? &with : &without) += drawn[sorted[end].index];
        won += without * (above + 0.5 * with);
        above += with, negatives += without;
    }
    return above > 0 && negatives > 0 ? won / (above * negatives) : NAN;
}

cover_status ranking_auc_interval(struct interval *interval, cover_context *context, const struct scored_cases *cases,
                                  int resamples, double confidence, uint64_t seed) {
    const int64_t count = cases->count, classes = cases->classes;
    struct place *sorted = memory_alloc(context, (size_t)(count * classes) * sizeof *sorted);
    double *figures = memory_alloc(context, (size_t)(resamples > classes ? resamples : classes) * sizeof *figures);
    uint32_t *drawn = memory_alloc(context, (size_t)count * sizeof *drawn);
    struct interval found = {.count = count};
    int64_t kept = 0;
    cover_status status;
    GO(sorted && figures && drawn ? COVER_OK : COVER_ERROR_MEMORY);
    GO(ranking_auc_all(figures, &found.mean, context, cases));
    for (int64_t c = 0; c < classes; c++) {
        for (int64_t i = 0; i < count; i++) {
            const bool positive = cases->truth ? cases->truth[i] == c : cases->label[i * classes + c] != 0;
            sorted[c * count + i] = (struct place){cases->score[i * classes + c], positive, i};
        }
        qsort(sorted + c * count, (size_t)count, sizeof *sorted, descending);
    }
    for (int i = 0; i < resamples; i++) {
        double sum = 0;
        bootstrap_draw(drawn, count, seed, (uint32_t)i);
        for (int64_t c = 0; c < classes; c++) sum += weighted_auc(sorted + c * count, count, drawn);
        if (isfinite(sum)) figures[kept++] = sum / (double)classes;
    }
    bootstrap_bounds(&found, figures, kept, confidence);
    *interval = found;
done:
    memory_free(context, sorted);
    memory_free(context, figures);
    memory_free(context, drawn);
    return status;
}
