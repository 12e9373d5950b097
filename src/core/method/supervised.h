/* A downstream task as a graph over images of one size: the pretrained backbone and a new head (supplement, C.2.2).
 * Of a dense kind (task_kind.h) a 1x1 convolution on the full-size level; else the encoder alone, level 0, global average
 * pooling and a linear layer.  Called by the fine-tuning engine and by prediction. */
#ifndef COVER_TASK_H
#define COVER_TASK_H

#include "core/nn/backbone.h"
#include "task_kind.h"

enum { TASK_IMAGES, TASK_TARGET, TASK_WEIGHTS, TASK_INPUTS }; /* inputs, in this order; the last two with a loss alone */

/* The head's parameters: `head.weight` (classes, features, 1, 1[, 1]), `head.bias`; the backbone's have the authors' names.
 * With settings.standardise a fixed 1x1 convolution `standardise.*` lies before it: features of a pretrained network differ in little
 * (L_con likes them alike) around a large mean, and a head learns from them slowly.  Two linear maps are one: the head still is. */
#define TASK_HEAD "head"
#define TASK_STANDARDISE "standardise"

enum task_parts {
    TASK_LOSS = 1,     /* target (the kind's) and class weights (classes values of mean 1) come in, the loss goes out */
    TASK_GRADIENT = 2, /* and the gradient of what is trained */
    TASK_KEEP = 4,     /* keep the logits readable */
    TASK_FEATURES = 8  /* keep what goes into the head, before it is standardised, readable; nothing behind it is built */
};

struct task {
    struct graph graph;
    int logits;   /* result: images x grid (not dense: one pixel) x classes */
    int features; /* result: images x grid (not dense: one pixel) x features */
    int loss;     /* result: doubles an image, the kind's terms */
};

/* Build for `images` images of this grid; settings: network, task.
 * parameters: filled on the first use of a network, matched on later ones. */
cover_status task_build(struct task *task, cover_context *context, struct parameters *parameters, const struct task_kind *kind,
                        const struct settings *settings, const struct grid *grid, int images, unsigned parts);
void task_free(struct task *task);

/* The full parameter table of a task's network, of the kind that the settings choose. */
cover_status task_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings);
/* What the engine trains; its terms are the kind's, unweighted, of one image. */
cover_status task_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid);
/* Values of the target of one image. */
int64_t task_targets(const struct task_kind *kind, const struct task_settings *task, const struct grid *crop);

/* Does fine-tuning leave a parameter as it is (settings: trained, last_k)?  Modules are counted from the head: the head itself is
 * always trained, module 1 is the one before it (of the U-Net up4 or, when the kind is not dense, down4). */
bool task_frozen(const struct task_kind *kind, const struct backbone *backbone, const struct task_settings *task,
                 const char *parameter);

#endif
