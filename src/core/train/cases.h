/* The samples of fine-tuning: crops of labelled images drawn by views/augment.c, in the order of a permutation of the training
 * cases an epoch.  Called by the task's trainer through prefetch.h. */
#ifndef COVER_CASES_H
#define COVER_CASES_H

#include "core/method/reader.h"
#include "core/method/supervised.h"
#include "prefetch.h"

struct case_maker {
    struct sample_maker maker;
    cover_context *context;
    const struct task_kind *kind;
    const struct settings *settings;
    const struct sample_reader *reader;
    const int64_t *cases; /* the reader's samples that are trained on */
    int64_t count;
    const float *class_weights; /* settings->classes of them, mean 1 */
    struct grid crop;
};
/* Everything pointed to must live as long as the maker. */
cover_status case_maker(struct case_maker *maker, cover_context *context, const struct task_kind *kind,
                        const struct settings *settings, const struct sample_reader *reader, const int64_t *cases, int64_t count,
                        const float *class_weights);

/* Weights of the cross-entropy from how often each class comes in training, mean 1: ones, or 1 / frequency (class_weights=balanced).
 * Reads every label, unless the kind counts none.  COVER_ERROR_ARGUMENT names a class that no training case has. */
cover_status case_class_weights(float *weights, cover_context *context, const struct task_kind *kind,
                                const struct settings *settings, const struct sample_reader *reader, const int64_t *cases,
                                int64_t count, char *const *names);

#endif
