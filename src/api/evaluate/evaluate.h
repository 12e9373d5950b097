/* Inside of an evaluation: who is compared with whom (evaluate_cases.c), label maps (evaluate_maps.c, evaluate_result.c), class scores
 * (evaluate_scores.c), the result as JSON and CSV (evaluate_text.c); evaluate.c conducts, evaluate_agreement.c compares two.
 * docs/evaluation.md states the result.  Included by these. */
#ifndef COVER_EVALUATE_H
#define COVER_EVALUATE_H

#include "core/metrics/metrics.h"
#include "io/bytes/arena.h"
#include "io/bytes/csv.h"

#include <libcover/evaluate.h>

/* What came out, all of it in its arena. */
struct cover_evaluation {
    cover_context *context;
    struct arena arena;
    cover_evaluation_info info;
    cover_evaluation_class *classes; /* [info.classes] */
    cover_evaluation_case *cases;    /* [info.cases] */
};

struct evaluation { /* on its way */
    cover_context *context;
    cover_evaluate_options options; /* defaults filled in */
    const char *prediction, *truth; /* as given */
    struct arena *arena;            /* of the result: every name and path below */
    cover_evaluation *result;
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

/* ---- the two kinds; each fills the result */
cover_status evaluate_maps(struct evaluation *evaluation);
cover_status evaluate_scores(struct evaluation *evaluation);
/* Room in the result for so many classes and cases, all figures unknown. */
cover_status eval_result_room(struct evaluation *evaluation, int classes, int64_t cases);

/* ---- evaluate_result.c: the result from the cases of label maps, which it has */
cover_status eval_maps_summarise(struct evaluation *evaluation);

/* ---- evaluate_text.c: the result as CSV, a row a case */
void eval_csv(struct text *csv, const cover_evaluation *evaluation);

#endif
