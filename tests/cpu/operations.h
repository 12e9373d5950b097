/* The kernels of src/cpu/kernels.def as operations with inputs, outputs and gradients, so that one checker compares all
 * forms, slabs, guard bytes, finite differences and golden files.  Used by the test_kernels_*.c beside it. */
#ifndef COVER_TEST_OPERATIONS_H
#define COVER_TEST_OPERATIONS_H

#include "core/base/philox.h"
#include "cpu/kernels.h"

enum { INPUTS = 4, ARRAYS = 24 };

/* An array between guard bytes, on purpose aligned to four bytes and no more. */
struct array {
    float *data;
    int64_t count;
    unsigned char *block;
    bool feature; /* has been a feature map: one of bfloat16, if the table's element is that */
};

/* One call of an operation: sizes and the arrays that go in and come out. */
struct scene {
    struct random_stream random;
    struct grid grid, to;
    int64_t channels, groups;
    int heads, radius, slabs;
    enum coordinates coordinates;
    float slope, scale;
    bool with_bias, with_norm, with_plus;
    struct array in[INPUTS], grad[INPUTS]; /* grad[i] is empty where no gradient flows */
    struct array out, out_grad;
    struct array more[4]; /* whatever else comes out: indices, statistics, moments, sums */
    struct array workspace;
};

struct operation {
    const char *name;
    size_t kernels[4]; /* offsets within struct kernels of the table's rows that it runs */
    void (*draw)(struct scene *scene);
    void (*forward)(const struct kernels *kernels, struct scene *scene);
    void (*backward)(const struct kernels *kernels, struct scene *scene); /* NULL: no gradient */
    double tolerance;                                                     /* between forms: largest difference by 1 + rms */
    float step;                                                           /* of finite differences */
    bool kinked;                                                          /* a slope that jumps may be met */
};
extern const struct operation operations[];
extern const int count_operations;
const struct operation *operation_named(const char *name);

/* Sizes drawn from the seed (`small` for finite differences: nothing takes part that no gradient tells of), inputs filled, outputs full of NaN. */
void scene_draw(struct scene *scene, const struct operation *operation, uint64_t seed, bool small);
/* Inputs rounded to bfloat16, so that tables of both elements read the same. */
void scene_round(struct scene *scene);
/* Arrays for sizes that are already set: golden files and special cases fill the inputs themselves. */
struct array array_make(int64_t floats);
struct array workspace_make(size_t bytes); /* aligned to 64 */
void array_free(struct array *array);
void scene_free(struct scene *scene);
/* Every guard byte as it was, and every element written. */
void scene_check_guards(const struct scene *scene, const char *what);
/* The arrays that come out, gradients too; returns how many. */
int scene_results(const struct scene *scene, const struct array *results[ARRAYS]);

/* Mean and rstd by norm_sums(), in three blocks. */
void kernel_statistics(const struct kernels *kernels, float *mean, float *rstd, const void *x, const float *bias,
                       const struct norm_shape *s);

/* Feature maps for one call, of the table's element: floats are lent as they are, bfloat16 as a copy between guard bytes, on
 * purpose aligned to two bytes and no more.  One array lent twice is one copy; an empty one is NULL.  features_return()
 * checks the guards and copies back. */
struct features {
    enum element element;
    int count;
    struct array *array[8];
    unsigned char *block[8];
};
void *feature(struct features *features, struct array *array);
void features_return(struct features *features);

/* max |a - b| / (floor + rms(b)); infinite when one is NaN and the other is not. */
double distance(const float *a, const float *b, int64_t count, double floor);

#endif
