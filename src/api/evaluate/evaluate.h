/* Inside of cover_evaluate(): who is compared with whom (evaluate_cases.c), label maps (evaluate_maps.c,
 * evaluate_result.c), class scores (evaluate_scores.c), two evaluations (evaluate_agreement.c); evaluate.c conducts.
 * docs/evaluation.md states the result. */
#ifndef COVER_EVALUATE_H
#define COVER_EVALUATE_H

#include "core/metrics/metrics.h"
#include "io/bytes/arena.h"
#include "io/bytes/csv.h"

#include <libcover/evaluate.h>

struct evaluation {
    cover_context *context;
    cover_evaluate_options options; /* defaults filled in */
    const char *prediction, *truth; /* as given */
    struct arena arena;             /* every name and path below */
    struct text json, csv;          /* the result, and the per-case rows when they are wanted */
};

/* ---- evaluate_cases.c */

struct eval_case {
    const char *name;               /* the file's name below its folder, without extension */
    const char *prediction, *truth; /* paths */
};
struct eval_cases {
    struct eval_case *each; /* in the order of their names */
    int64_t count;
};
/* Two files, or two folders matched by name.  Lists that differ are an error that names the first missing cases. */
cover_status eval_cases_find(struct eval_cases *cases, struct evaluation *evaluation);

/* Classes of label maps: value_of[i] is the label of class i, class 0 the background. */
struct eval_classes {
    const char **name;
    int *value;
    int count;          /* 0 = no list was found: the values that occur are the classes */
    int ignored;        /* pixels whose true label this is do not count (nnU-Net's "ignore"); 0 = no such label */
    const char *source; /* of the list, for messages */
};
/* From the options, or from the dataset.json that belongs to the labels or the predictions. */
cover_status eval_classes_find(struct eval_classes *classes, struct evaluation *evaluation);

/* All images below a folder, sorted; paths and names are in the arena. */
cover_status eval_files(struct eval_cases *files, struct evaluation *evaluation, const char *folder);

/* ---- the two kinds */
cover_status evaluate_maps(struct evaluation *evaluation);
cover_status evaluate_scores(struct evaluation *evaluation);

/* ---- evaluate_result.c */

struct eval_judged { /* of one case of label maps */
    double mean_dice, mean_hd95;
    double *dice, *hd95; /* [classes], 0 is not used */
};
cover_status eval_maps_write(struct evaluation *evaluation, const struct eval_cases *cases, const struct eval_classes *classes,
                             const struct eval_judged *judged, bool spacing_known);

/* ---- evaluate.c: pieces of the result */
void eval_number(struct text *text, double value);                      /* null when it is not finite */
void eval_cell(struct text *text, double value);                        /* of a CSV: empty when it is not finite */
void eval_interval(struct text *text, const struct interval *interval); /* [low, high] */

#endif
