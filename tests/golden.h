/* Parts of golden_check: comparing and printing (golden.c), models (golden_model.c), objectives (golden_objective.c), operations
 * (golden_ops.c). */
#ifndef COVER_GOLDEN_H
#define COVER_GOLDEN_H

#include "core/graph/executor.h"
#include "io/weights/tensor_file.h"

#include <stdlib.h>

struct golden {
    cover_context *context;
    struct tensor_file *file;
    const char *path;
    bool half;    /* models run in bf16; single operations have no bounds there and stay as they are */
    double noise; /* weights are moved by up to this part of themselves, another way each draw but the first */
    int draw;
    int quantities, failed;
    char nearest[96]; /* the quantity with the largest part of its bound */
    double part;
};

void golden_file(struct golden *golden, const char *path);
void golden_model(struct golden *golden);
void golden_ops(struct golden *golden);
void golden_components(struct golden *golden);
void golden_dense(struct golden *golden);
bool golden_is_objective(const struct golden *golden); /* is the open file one of an objective that is known? */
void golden_objective(struct golden *golden);

/* A quantity that could not be computed at all: prints why. */
void golden_error(struct golden *golden, const char *name);
/* max |a - b| / (1e-6 + rms(b)) over a tensor, against its entry in the file; `a` in the file's order. */
void golden_tensor(struct golden *golden, const char *name, const float *values, double bound);
/* The same as |a - b| / |b| in L2. */
void golden_distance(struct golden *golden, const char *name, const float *values, double bound);
/* What a quantity lacks to one: 1 - the cosine of a and b. */
void golden_cosine(struct golden *golden, const char *name, double product, double square_a, double square_b, double bound);
/* |a - b| / |b| */
void golden_number(struct golden *golden, const char *name, double value, double expected, double bound);

/* An entry as channels last per image (a vector or number stays as it is), memory_free it; NULL prints why. */
float *golden_load(struct golden *golden, const char *name, struct tensor *shape);
/* Back from channels last into the file's order, in place. */
void golden_store(struct golden *golden, const struct tensor *shape, float *values);

#endif
