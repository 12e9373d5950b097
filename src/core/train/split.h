/* Which samples of a dataset train a downstream task and which validate it (supplement C.2.2: folds by patient, few shots).
 * The choice depends on the data and on the settings fold, folds, val, shots, fraction and split_seed; never on `seed`, so runs
 * of several seeds are comparable.  Called by the fine-tuning trainer. */
#ifndef COVER_SPLIT_H
#define COVER_SPLIT_H

#include "core/settings/settings.h"

#include <libcover/dataset.h>

struct split_input {
    int64_t samples;
    const uint8_t *split;           /* a cover_split each */
    const int64_t *patient;         /* of each sample, any numbers >= 0: samples of one number stay together; -1 = not known: a
                                       patient of its own; NULL = all of them */
    const int *class_index;         /* of each sample, where each is of one class; else NULL */
    int classes;                    /* with class_index */
    const char *const *class_names; /* for messages; NULL = numbers */
};

struct split {
    cover_context *context;
    int64_t *train, *val; /* rising indices of samples */
    int64_t train_count, val_count;
    bool own; /* validation is the data's own, else by fold or `val` */
};

/* The rules:
 *   - training samples are those packed as train; where there are none, those without a split.  Test samples are never used;
 *   - those packed as val validate; where there are none, patients are taken out of training: fold `fold` of `folds`, or so many
 *     that they have `val` samples at least;
 *   - patients stand in a random order by split_seed; folds and `val` deal each class out evenly (by a patient's first sample);
 *   - `shots` keeps the first samples in that order, of each class where a sample is of one; `fraction` a share of them.  Fewer shots
 *     are a part of more, and validation is the same for all.
 * COVER_ERROR_ARGUMENT: what cannot be had (shots, validation, a class without a training sample, a patient on both sides), and
 * the remedy. */
cover_status split_create(struct split *split, cover_context *context, const struct settings *settings,
                          const struct split_input *input);
void split_free(struct split *split);

#endif
