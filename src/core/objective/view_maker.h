/* Makers of samples for objectives that look at views (views/viewer.h): one window, one or two views of an image, two images under one
 * map; and what an objective makes of them.  Called by the objectives' files. */
#ifndef COVER_VIEW_MAKER_H
#define COVER_VIEW_MAKER_H

#include "core/views/viewer.h"
#include "objective.h"

struct view_maker;

/* A sample that is being made, its views drawn. */
struct view_work {
    const struct view_maker *maker;
    float *views;  /* one behind the other */
    float *extra;  /* floats behind them, and behind field and mask */
    void *scratch; /* of this thread */
    struct chance chance;
    int64_t number; /* of the sample since step 0 */
    int64_t image;  /* its image in the dataset */
};

/* What an objective's samples are: input 0 has the views (two: moving, then fixed; partners: clean, damaged, partner), inputs 1 and 2
 * field and mask where they are wanted.  A sample counts 1. */
struct view_plan {
    const struct view_recipe *recipe;
    int views; /* of a sample: 1 or 2, 3 of partners */
    bool field;
    bool middle; /* without chance: sample i is the middle of image i */
    /* The rest may be NULL: floats of a sample and bytes of a thread beyond that; what is made of the views, which may set inputs, count
     * and known terms anew; which image a sample takes, instead of a permutation an epoch. */
    int64_t (*extra)(const struct settings *settings, const struct grid *crop);
    size_t (*scratch)(const struct settings *settings, const struct grid *crop);
    void (*make)(const struct view_work *work, struct sample *sample);
    int64_t (*pick)(const struct objective_run *run, int64_t number);
};
struct view_maker {
    struct sample_maker maker;
    const struct objective_run *run;
    const struct view_plan *plan;
    struct view_recipe recipe; /* the plan's as settings change it */
    struct grid crop;
    int64_t values; /* of a view: pixels x channels */
};
/* run and plan must live as long as the maker. */
cover_status view_maker(struct view_maker *maker, const struct objective_run *run, const struct view_plan *plan);
cover_status view_accepts(const struct view_plan *plan, const struct settings *settings, const struct grid *grid, int channels);

/* Sum of (a - b)^2 over values, and over those whose pixel has mask 1 (channels values a pixel). */
double squared_distance(const float *a, const float *b, int64_t count);
double squared_distance_masked(const float *a, const float *b, const float *mask, int64_t pixels, int64_t channels);

#endif
