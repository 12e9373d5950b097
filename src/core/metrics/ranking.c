/* AUC, ROC curve, confusion table of class scores (Mann and Whitney 1947; Fawcett 2006).  Called by validation of
 * classification and by evaluation. */
#include "metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct scored {
    float score;
    bool positive;
};

static int descending(const void *a, const void *b) {
    const float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

static bool is_positive(const struct scored_cases *cases, int64_t i, int class_index) {
    return cases->truth ? cases->truth[i] == class_index : cases->label[i * cases->classes + class_index] != 0;
}

/* " of class 'lung'", for messages. */
static const char *of_class(char text[128], const struct scored_cases *cases, int class_index) {
    if (cases->names) snprintf(text, 128, "class '%.100s'", cases->names[class_index]);
    else snprintf(text, 128, "class %d", class_index);
    return text;
}

/* Cases from the highest score down, and how many are positive. */
static cover_status sort_scores(struct scored **out, int64_t *positives, cover_context *context, const struct scored_cases *cases,
                                int class_index) {
    const int64_t count = cases->count;
    char name[128];
    *positives = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isnan(cases->score[i * cases->classes + class_index]))
            return fail(COVER_ERROR_NUMERIC, "case %lld: its score of %s is NaN; look at what made the scores", (long long)i + 1,
                        of_class(name, cases, class_index));
        *positives += is_positive(cases, i, class_index);
    }
    if (*positives == 0 || *positives == count)
        return fail(COVER_ERROR_ARGUMENT,
                    "AUC of %s: %s of the %lld cases %s it, but cases with and without it are needed; add some that %s",
                    of_class(name, cases, class_index), *positives ? "all" : "none", (long long)count, *positives ? "have" : "has",
                    *positives ? "have another" : "have it");
    struct scored *sorted = memory_alloc(context, (size_t)count * sizeof *sorted);
    if (!sorted) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        sorted[i] = (struct scored){cases->score[i * cases->classes + class_index], is_positive(cases, i, class_index)};
    qsort(sorted, (size_t)count, sizeof *sorted, descending);
    *out = sorted;
    return COVER_OK;
}

/* The first case behind those that tie with `first`. */
static int64_t end_of_ties(const struct scored *sorted, int64_t first, int64_t count) {
    int64_t end = first + 1;
    while (end < count && sorted[end].score == sorted[first].score) end++;
    return end;
}

cover_status ranking_auc(double *auc, cover_context *context, const struct scored_cases *cases, int class_index) {
    struct scored *sorted;
    const int64_t count = cases->count;
    int64_t positives;
    TRY(sort_scores(&sorted, &positives, context, cases, class_index));
    double rank_sum = 0; /* of the positives, the highest score having rank 1; ties share their mean rank */
    for (int64_t first = 0, end; first < count; first = end) {
        int64_t tied = 0;
        end = end_of_ties(sorted, first, count);
        for (int64_t i = first; i < end; i++) tied += sorted[i].positive;
        rank_sum += (double)tied * 0.5 * (double)(first + 1 + end);
    }
    memory_free(context, sorted);
    const double with = (double)positives, without = (double)(count - positives);
    *auc = 1 - (rank_sum - with * (with + 1) / 2) / (with * without);
    return COVER_OK;
}

cover_status ranking_auc_all(double *auc, double *mean, cover_context *context, const struct scored_cases *cases) {
    double sum = 0;
    for (int c = 0; c < cases->classes; c++) {
        TRY(ranking_auc(&auc[c], context, cases, c));
        sum += auc[c];
    }
    *mean = sum / cases->classes;
    return COVER_OK;
}

cover_status ranking_roc(struct roc_point *point, int64_t *points, cover_context *context, const struct scored_cases *cases,
                         int class_index) {
    struct scored *sorted;
    const int64_t count = cases->count;
    int64_t positives, hits = 0, made = 0;
    TRY(sort_scores(&sorted, &positives, context, cases, class_index));
    point[made++] = (struct roc_point){0, 0, INFINITY};
    for (int64_t first = 0, end; first < count; first = end) {
        end = end_of_ties(sorted, first, count);
        for (int64_t i = first; i < end; i++) hits += sorted[i].positive;
        point[made++] = (struct roc_point){.false_positives = (double)(end - hits) / (double)(count - positives),
                                           .true_positives = (double)hits / (double)positives,
                                           .threshold = sorted[first].score};
    }
    memory_free(context, sorted);
    *points = made;
    return COVER_OK;
}

int ranking_best(const float *score, int classes) {
    int best = 0;
    for (int c = 0; c < classes; c++) {
        if (isnan(score[c])) return -1;
        if (score[c] > score[best]) best = c;
    }
    return best;
}

cover_status ranking_confusion(int64_t *table, double *accuracy, const struct scored_cases *cases) {
    const int64_t classes = cases->classes;
    int64_t right = 0;
    for (int64_t i = 0; i < cases->count; i++)
        if (ranking_best(&cases->score[i * classes], cases->classes) < 0)
            return fail(COVER_ERROR_NUMERIC, "case %lld: a score is NaN; look at what made the scores", (long long)i + 1);
    for (int64_t i = 0; table && i < classes * classes; i++) table[i] = 0;
    for (int64_t i = 0; i < cases->count; i++) {
        const float *score = &cases->score[i * classes];
        const int best = ranking_best(score, cases->classes);
        if (cases->truth) {
            if (table) table[cases->truth[i] * classes + best]++;
            right += cases->truth[i] == best;
        } else
            for (int64_t c = 0; c < classes; c++) right += (score[c] >= 0.5f) == (cases->label[i * classes + c] != 0);
    }
    const double asked = (double)cases->count * (cases->truth ? 1 : (double)classes);
    *accuracy = asked > 0 ? (double)right / asked : NAN;
    return COVER_OK;
}
