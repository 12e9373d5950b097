/* One call of a kernel as arrays with what lies in them before it and what plain C says must lie there behind it.  A row of
 * operations.c draws a scene and launches its kernel; test_kernels.c and test_faults.c play scenes, on the emulator or a device. */
#ifndef COVER_TEST_SCENE_H
#define COVER_TEST_SCENE_H

#include "../check_main.h"

#include "core/base/philox.h"
#include "cpu/kernels.h"
#include "cuda/kernels.h"

enum { ARRAYS = 20, ABSENT_ARRAY = -1 };

struct array {
    const char *name; /* NULL: absent, its pointer is NULL */
    enum element element;
    int64_t count;
    void *before;   /* NULL: bytes that mean nothing */
    void *expected; /* NULL: what lay there before; of a workspace anything */
    bool workspace;
    double tolerance; /* of the largest difference, by 1 + rms */
    void *block;      /* on the device, with guard bytes on both sides */
};
struct scene {
    struct random_stream random;
    enum element element; /* of feature maps */
    const struct kernels *plain;
    struct grid grid, to;
    int images;
    int64_t pixels, channels;
    bool with_nan; /* one number of the first array that was drawn is NaN or infinite */
    int count;
    struct array arrays[ARRAYS];
    /* what a row wants to know again when it launches */
    struct cuda_norm norm;
    struct cuda_norm_shape norm_shape;
    struct cuda_task_loss task;
    int64_t number[6];
    float scale;
};

struct operation {
    const char *kernel; /* the name in cuda/kernels.h, without cuda_ */
    void (*draw)(struct scene *scene);
    cuda_error (*launch)(struct scene *scene);
    bool float_only; /* knows no element */
};
extern const struct operation operations[];
extern const int operation_count;

/* ---- for rows: numbers, and arrays in the order in which launch() finds them with at() */
int64_t pick(struct scene *scene, int64_t low, int64_t high);
bool toss(struct scene *scene); /* one time in two */
/* Each returns the array's number.  The pointers within arrays of the scene stay where they are. */
int absent(struct scene *scene);
int given(struct scene *scene, const char *name, enum element element, int64_t count, float low, float high);
int given_bytes(struct scene *scene, const char *name, enum element element, int64_t count, const void *data);
int wanted(struct scene *scene, const char *name, enum element element, int64_t count, double tolerance);
int workspace(struct scene *scene, size_t bytes);
void *before(struct scene *scene, int array);   /* on the host */
void *expected(struct scene *scene, int array); /* on the host; makes an array that is given one that is written, in place */
void *at(struct scene *scene, int array);       /* on the device; NULL if absent */
float *floats(struct scene *scene, int array);  /* before() as floats */
/* Image i of an array of the scene's element with `each` numbers an image. */
void *image_of(void *data, enum element element, int64_t each, int64_t image);

/* ---- for tests */
/* Draws the scene and plays it twice, the threads in another order each time.  NULL, or what was wrong. */
const char *scene_play(const struct operation *operation, uint64_t seed, enum element element, bool with_nan);
/* Launches fail in turn: the call must return the error of each.  launches: how many there are. */
const char *scene_fail(const struct operation *operation, uint64_t seed, int *launches);

#endif
