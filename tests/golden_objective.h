/* Golden files of objectives at work.  Included by golden_objective.c and by the files of objectives whose steps are not like others'. */
#ifndef COVER_GOLDEN_OBJECTIVE_H
#define COVER_GOLDEN_OBJECTIVE_H

#include "core/objective/objective.h"
#include "golden.h"

enum { SETTINGS = 20, INPUTS = 8, VIEWS = 4, SAMPLES = 32, COLUMNS = 16, STEPS_MAX = 16 };

struct checked;

/* What a file's metadata and entries are to an objective. */
struct meaning {
    const char *file;      /* the file's "objective" */
    const char *objective; /* ours */
    struct {
        const char *metadata, *setting;
    } setting[SETTINGS];
    const char *fixed[2];             /* a setting and its value, or NULL */
    const char *input[INPUTS][VIEWS]; /* inputs of the sample graph, an entry an image of it */

    /* What the entries do not say, of a sample whose inputs are there; NULL = it counts 1. */
    void (*sample)(struct sample *sample, const struct grid *grid, int64_t channels);
    cover_status (*inputs)(struct checked *checked); /* after that, of all samples; NULL = inputs are as they are */
    /* A dataset of samples, of which each step takes a batch: before a step, which ones, and what else comes before it. */
    cover_status (*before)(struct checked *checked, int step);
};

struct checked { /* one file at work */
    struct golden *golden;
    const struct meaning *meaning;
    const struct objective *objective;
    cover_config *config;
    struct engine *engine;
    struct sample_reader reader; /* of no images, but as many */
    struct objective_run run;
    struct tensor shape[INPUTS];
    float *input[INPUTS]; /* of all samples */
    struct sample sample[SAMPLES];
    int samples, batch;
    int taken[SAMPLES];   /* of each place of the batch, the sample */
    float label[SAMPLES]; /* DeepCluster: of each sample, and the order of a period */
    int32_t order[SAMPLES];
};

/* golden_deepcluster.c */
cover_status deepcluster_before(struct checked *checked, int step);

#endif
