/* The cases of core/graph/ops_regress.c's ops, rows of op_cases.c. */
#ifndef COVER_TEST_OP_CASES_REGRESS_H
#define COVER_TEST_OP_CASES_REGRESS_H

#include "op_cases.h"

#define CASE(name)                                                                                                                 \
    void build_##name(struct scene *scene);                                                                                        \
    void compute_##name(const struct scene *scene, double *const *values, double *y);
CASE(ncc_loss)
CASE(smooth_loss)
CASE(inside_mask)
CASE(affine_field)
CASE(cosine_mean_loss)
CASE(region_blocks)
CASE(local_nce)
#undef CASE

#endif
