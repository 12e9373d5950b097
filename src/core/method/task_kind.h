/* A kind of task: what is learnt from a labelled image, a row of core/settings/task_kinds.def.  Called by supervised.c, by
 * train/cases.c and by prediction; filled by task_seg.c and task_cls.c. */
#ifndef COVER_TASK_KIND_H
#define COVER_TASK_KIND_H

#include "core/graph/model.h"
#include "core/settings/settings.h"
#include "reader.h"

/* One labelled image on its way to a sample. */
struct augment;
struct task_case {
    cover_context *context;
    const struct settings *settings;
    const struct sample_reader *reader;
    int64_t index;           /* of the reader's */
    struct augment *augment; /* scratch of the caller's; NULL when only labels are read */
    int64_t number;          /* of the sample in the run */
};

/* What scores() of a kind computes. */
enum score_form {
    SCORES_OTHER,
    SCORES_SOFTMAX, /* of exclusive classes */
    SCORES_SIGMOID  /* of each class */
};

struct task_kind {
    const char *name, *noun; /* "seg", "segmentation" */
    bool dense;              /* a result a pixel, of the whole network; else one an image, of its encoder, pooled */
    int fewest[2];           /* classes: with one label a place, with several (multilabel); 0 = not so */
    int terms;               /* of the loss */
    const char *term[MODEL_TERMS];
    double (*weight)(const struct task_settings *task, int term); /* of a term in the loss; NULL = 1 each */

    /* Values of one place of the target: a pixel of it, or the image (dense). */
    int64_t (*targets)(const struct task_settings *task);
    /* The loss of logits (classes a place) as a node whose gradient is the loss's: a double a term, an image a row.
     * weights: of the classes, mean 1. */
    int (*loss)(struct graph *graph, int logits, int target, int weights, const struct task_settings *task);
    /* Logits of one place become what is shown to people, in place. */
    void (*scores)(float *logits, int classes, const struct task_settings *task);
    /* Which form that is, for other programs (ONNX); NULL = one of its own. */
    enum score_form (*form)(const struct task_settings *task);

    /* The image as the network sees it and what it is to say of it: views.crop pixels, channels last, and the target's. */
    cover_status (*draw)(float *image, float *target, const struct task_case *one);
    /* Add how often a case has each class; NULL = nothing is counted, all classes weigh the same. */
    cover_status (*count)(double *found, const struct task_case *one);
};

#define TASK_KIND(name) extern const struct task_kind task_kind_##name;
#include "core/settings/task_kinds.def"
#undef TASK_KIND

/* The one that the settings choose: the table's, or a row added to the context (base/added.h).  Never NULL. */
const struct task_kind *task_kind_of(const cover_context *context, const struct task_settings *task);

/* ---- for rows */

/* Read and draw the image of a case.  label: of the image's pixels, drawn into target alike; NULL = target is not touched. */
cover_status task_case_draw(float *image, float *target, const struct task_case *one, const uint16_t *label);
/* Exclusive classes: their probabilities. */
void softmax_scores(float *logits, int classes, const struct task_settings *task);

#endif
