/* Times every kernel of every form on shapes of the 2D and 3D networks: milliseconds of one thread's processor time
 * (best of a few; other programs disturb it less than the clock on the wall) and GB/s of the arrays that must be read and written once.  kernels [NAME...] runs those whose name holds a NAME. */
#include "cpu/kernels.h"
#include "cpu/features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUFFERS = 6 };

/* Sizes of a row of the table below, and memory for all: every buffer is as large as the largest array. */
struct job {
    struct grid grid, to;
    int64_t channels;
    int heads, radius;
    float *buffer[BUFFERS], *mask, *gamma, *beta, *statistics;
    uint8_t *index;
    void *workspace;
};

static int64_t elements(const struct job *job) { return grid_pixels(&job->grid) * job->channels; }
static struct norm_shape norm_shape(const struct job *job) {
    return (struct norm_shape){grid_pixels(&job->grid), job->channels, job->channels / 8, 0.2f, 1e-5f};
}
static struct mov_shape mov_shape(const struct job *job) {
    return (struct mov_shape){job->grid, job->channels, job->heads, job->radius};
}

/* ---- one call each; the result is the number of bytes that it must move.  Feature maps count by the table's element. */

enum { FLOAT = sizeof(float) };

static int64_t features(const struct kernels *k, int64_t count) { return count * (int64_t)element_bytes(k->element); }
static struct norm_load norm_load(const struct job *job) { return (struct norm_load){job->gamma, job->beta, 0.2f}; }

static int64_t run_norm_sums(const struct kernels *k, struct job *job) {
    const struct norm_shape s = norm_shape(job);
    k->norm_sums(job->workspace, job->buffer[0], job->beta, &s, 0, 1);
    return features(k, elements(job));
}
static int64_t run_norm_apply(const struct kernels *k, struct job *job) {
    const struct norm_load norm = norm_load(job);
    k->norm_apply(job->buffer[1], job->buffer[0], &norm, grid_pixels(&job->grid), job->channels, 0, 1);
    return features(k, 2 * elements(job));
}
static int64_t run_norm_grad_sums(const struct kernels *k, struct job *job) {
    const struct norm_load norm = norm_load(job);
    k->norm_grad_sums(job->workspace, job->buffer[2], job->buffer[0], &norm, grid_pixels(&job->grid), job->channels, 0, 1);
    return features(k, 2 * elements(job));
}
static int64_t run_norm_grad_apply(const struct kernels *k, struct job *job) {
    const struct norm_load norm = norm_load(job);
    k->norm_grad_apply(job->buffer[1], job->buffer[2], job->buffer[0], &norm, job->statistics, grid_pixels(&job->grid),
                       job->channels, 0, 1);
    return features(k, 3 * elements(job));
}
static int64_t pooled(const struct job *job) { return elements(job) / (1 << job->grid.ndim); }
static int64_t run_max_pool2(const struct kernels *k, struct job *job) {
    k->max_pool2(job->buffer[1], job->index, job->buffer[0], NULL, &job->grid, job->channels, 0, 1);
    return features(k, elements(job) + pooled(job)) + pooled(job);
}
static int64_t run_norm_max_pool2(const struct kernels *k, struct job *job) {
    const struct norm_load norm = norm_load(job);
    k->max_pool2(job->buffer[1], job->index, job->buffer[0], &norm, &job->grid, job->channels, 0, 1);
    return features(k, elements(job) + pooled(job)) + pooled(job);
}
static int64_t run_max_pool2_grad(const struct kernels *k, struct job *job) {
    k->max_pool2_grad(job->buffer[1], NULL, job->buffer[0], job->index, &job->grid, job->channels, 0, 1);
    return features(k, elements(job) + pooled(job)) + pooled(job);
}
static int64_t run_max_pool2_grad_plus(const struct kernels *k, struct job *job) {
    k->max_pool2_grad(job->buffer[1], job->buffer[1], job->buffer[0], job->index, &job->grid, job->channels, 0, 1);
    return features(k, 2 * elements(job) + pooled(job)) + pooled(job);
}
static int64_t run_upsample(const struct kernels *k, struct job *job) {
    k->upsample(job->buffer[2], job->buffer[1], NULL, &job->grid, job->channels, 0, 1);
    return features(k, elements(job) * (1 + (1 << job->grid.ndim)));
}
static int64_t run_norm_upsample(const struct kernels *k, struct job *job) {
    const struct norm_load norm = norm_load(job);
    k->upsample(job->buffer[2], job->buffer[1], &norm, &job->grid, job->channels, 0, 1);
    return features(k, elements(job) * (1 + (1 << job->grid.ndim)));
}
static int64_t run_upsample_grad(const struct kernels *k, struct job *job) {
    k->upsample_grad(job->buffer[1], job->buffer[2], &job->grid, job->channels, 0, 1);
    return features(k, elements(job) * (1 + (1 << job->grid.ndim)));
}
static int64_t run_resize_corners(const struct kernels *k, struct job *job) {
    k->resize_corners(job->buffer[1], job->buffer[0], &job->grid, &job->to, job->channels, 2, 0, 1);
    return FLOAT * (elements(job) + grid_pixels(&job->to) * job->channels);
}
static int64_t run_resize_corners_grad(const struct kernels *k, struct job *job) {
    k->resize_corners_grad(job->buffer[0], job->buffer[1], &job->grid, &job->to, job->channels, 2, 0, 1);
    return FLOAT * (elements(job) + grid_pixels(&job->to) * job->channels);
}
static int64_t run_warp(const struct kernels *k, struct job *job) {
    k->warp(job->buffer[1], job->buffer[0], job->buffer[5], &job->grid, job->channels, COORDINATES_EXACT, 0, 1);
    return features(k, 2 * elements(job)) + FLOAT * grid_pixels(&job->grid) * job->grid.ndim;
}
static int64_t run_warp_grad(const struct kernels *k, struct job *job) {
    k->warp_grad(job->buffer[1], job->buffer[2], job->buffer[3], job->buffer[0], job->buffer[5], &job->grid, job->channels,
                 COORDINATES_EXACT, 0, 1, job->buffer[4]);
    return features(k, 3 * elements(job)) + FLOAT * 2 * grid_pixels(&job->grid) * job->grid.ndim;
}
static int64_t run_mov(const struct kernels *k, struct job *job) {
    const struct mov_shape s = mov_shape(job);
    k->mov(job->buffer[2], job->buffer[0], job->buffer[1], &s, 0, 1, job->workspace);
    return FLOAT * (2 * elements(job) + grid_pixels(&job->grid) * job->grid.ndim);
}
static int64_t run_mov_grad(const struct kernels *k, struct job *job) {
    const struct mov_shape s = mov_shape(job);
    k->mov_grad(job->buffer[2], job->buffer[3], job->buffer[5], job->buffer[0], job->buffer[1], &s, 0, 1, job->workspace);
    return FLOAT * (4 * elements(job) + grid_pixels(&job->grid) * job->grid.ndim);
}
static int64_t run_vector_loss(const struct kernels *k, struct job *job) {
    k->vector_loss(job->buffer[0], job->buffer[1], job->mask, grid_pixels(&job->grid), job->grid.ndim, 0, 1);
    return FLOAT * ((2 * job->grid.ndim + 1) * grid_pixels(&job->grid));
}
static int64_t run_vector_loss_grad(const struct kernels *k, struct job *job) {
    k->vector_loss_grad(job->buffer[2], job->buffer[0], job->buffer[1], job->mask, grid_pixels(&job->grid), job->grid.ndim, 0, 1);
    return FLOAT * ((3 * job->grid.ndim + 1) * grid_pixels(&job->grid));
}
static int64_t run_cosine_sum(const struct kernels *k, struct job *job) {
    k->cosine_sum(job->buffer[0], job->buffer[1], job->mask, grid_pixels(&job->grid), job->channels, 0, 1);
    return features(k, 2 * elements(job));
}
static int64_t run_cosine_sum_grad(const struct kernels *k, struct job *job) {
    k->cosine_sum_grad(job->buffer[2], job->buffer[3], job->buffer[0], job->buffer[1], job->mask, grid_pixels(&job->grid),
                       job->channels, 1, 0, 1);
    return features(k, 4 * elements(job));
}
static struct softmax_loss softmax_loss(const struct job *job) {
    return (struct softmax_loss){grid_pixels(&job->grid), job->channels, 1, 1, 1};
}
static int64_t run_softmax_loss(const struct kernels *k, struct job *job) {
    const struct softmax_loss s = softmax_loss(job);
    double loss[2];
    k->softmax_loss(loss, job->workspace, job->buffer[0], job->mask, NULL, &s);
    return FLOAT * (elements(job) + s.pixels);
}
static int64_t run_softmax_loss_grad(const struct kernels *k, struct job *job) {
    const struct softmax_loss s = softmax_loss(job);
    k->softmax_loss_grad(job->buffer[2], job->buffer[0], job->mask, NULL, job->workspace, &s);
    return FLOAT * (2 * elements(job) + s.pixels);
}
static int64_t run_sigmoid_loss(const struct kernels *k, struct job *job) {
    k->sigmoid_loss(job->workspace, job->buffer[0], job->mask, NULL, grid_pixels(&job->grid), job->channels);
    return FLOAT * (2 * elements(job));
}
static int64_t run_sigmoid_loss_grad(const struct kernels *k, struct job *job) {
    k->sigmoid_loss_grad(job->buffer[2], job->buffer[0], job->mask, NULL, job->workspace, grid_pixels(&job->grid), job->channels);
    return FLOAT * (3 * elements(job));
}
static int64_t run_global_pool(const struct kernels *k, struct job *job) {
    k->global_pool(job->buffer[1], job->buffer[0], grid_pixels(&job->grid), job->channels);
    return features(k, elements(job));
}
static int64_t run_global_pool_grad(const struct kernels *k, struct job *job) {
    k->global_pool_grad(job->buffer[1], job->buffer[0], grid_pixels(&job->grid), job->channels);
    return features(k, elements(job));
}
static int64_t run_add(const struct kernels *k, struct job *job) {
    k->add(job->buffer[2], job->buffer[0], job->buffer[1], elements(job));
    return features(k, 3 * elements(job));
}
static int64_t run_square_sum(const struct kernels *k, struct job *job) {
    k->square_sum(job->buffer[0], elements(job));
    return FLOAT * elements(job);
}
static int64_t run_adam(const struct kernels *k, struct job *job) {
    const struct adam adam = {1e-4, 0.9, 0.999, 1e-8, 1e-4, 0.1, 0.001, 1};
    k->adam(job->buffer[0], job->buffer[4], job->mask, job->buffer[1], elements(job), &adam);
    return FLOAT * (7 * elements(job));
}

/* ---- the table */

#define FULL_2D                                                                                                                    \
    {                                                                                                                              \
        2, { 1, 384, 384 }                                                                                                         \
    }
#define HALF_2D                                                                                                                    \
    {                                                                                                                              \
        2, { 1, 192, 192 }                                                                                                         \
    }
#define FULL_3D                                                                                                                    \
    {                                                                                                                              \
        3, { 64, 64, 64 }                                                                                                          \
    }
#define HALF_3D                                                                                                                    \
    {                                                                                                                              \
        3, { 32, 32, 32 }                                                                                                          \
    }
#define ROW(kernel, ...)                                                                                                           \
    {                                                                                                                              \
#kernel, false, run_##kernel, { __VA_ARGS__ }                                                                              \
    }
#define FEATURES(kernel, ...)                                                                                                      \
    {                                                                                                                              \
#kernel, true, run_##kernel, { __VA_ARGS__ }                                                                               \
    } /* of both elements */

static const struct {
    const char *name;
    bool features;
    int64_t (*run)(const struct kernels *kernels, struct job *job);
    struct job job; /* sizes */
} rows[] = {
    FEATURES(norm_sums, .grid = FULL_2D, .channels = 32),
    FEATURES(norm_sums, .grid = FULL_2D, .channels = 8),
    FEATURES(norm_apply, .grid = FULL_2D, .channels = 32),
    FEATURES(norm_apply, .grid = HALF_2D, .channels = 64),
    FEATURES(norm_grad_sums, .grid = FULL_2D, .channels = 32),
    FEATURES(norm_grad_sums, .grid = HALF_2D, .channels = 64),
    FEATURES(norm_grad_sums, .grid = {2, {1, 48, 48}}, .channels = 256),
    FEATURES(norm_grad_apply, .grid = FULL_2D, .channels = 32),
    FEATURES(norm_grad_apply, .grid = HALF_2D, .channels = 64),
    FEATURES(max_pool2, .grid = FULL_2D, .channels = 32),
    FEATURES(max_pool2, .grid = HALF_2D, .channels = 64),
    FEATURES(max_pool2, .grid = FULL_3D, .channels = 32),
    FEATURES(norm_max_pool2, .grid = FULL_2D, .channels = 32),
    FEATURES(norm_max_pool2, .grid = HALF_2D, .channels = 64),
    FEATURES(max_pool2_grad, .grid = FULL_2D, .channels = 32),
    FEATURES(max_pool2_grad, .grid = FULL_3D, .channels = 32),
    FEATURES(max_pool2_grad_plus, .grid = FULL_2D, .channels = 32),
    FEATURES(max_pool2_grad_plus, .grid = HALF_2D, .channels = 64),
    FEATURES(upsample, .grid = HALF_2D, .channels = 64),
    FEATURES(upsample, .grid = HALF_3D, .channels = 64),
    FEATURES(norm_upsample, .grid = HALF_2D, .channels = 64),
    FEATURES(norm_upsample, .grid = HALF_3D, .channels = 64),
    FEATURES(upsample_grad, .grid = HALF_2D, .channels = 64),
    FEATURES(upsample_grad, .grid = HALF_3D, .channels = 64),
    ROW(resize_corners, .grid = HALF_2D, .to = FULL_2D, .channels = 2),
    ROW(resize_corners, .grid = HALF_3D, .to = FULL_3D, .channels = 3),
    ROW(resize_corners_grad, .grid = HALF_2D, .to = FULL_2D, .channels = 2),
    ROW(resize_corners_grad, .grid = HALF_3D, .to = FULL_3D, .channels = 3),
    FEATURES(warp, .grid = FULL_2D, .channels = 32),
    ROW(warp, .grid = FULL_2D, .channels = 2),
    FEATURES(warp, .grid = FULL_3D, .channels = 32),
    ROW(warp, .grid = FULL_3D, .channels = 3),
    FEATURES(warp_grad, .grid = FULL_2D, .channels = 32),
    ROW(warp_grad, .grid = FULL_2D, .channels = 2),
    FEATURES(warp_grad, .grid = FULL_3D, .channels = 32),
    ROW(warp_grad, .grid = FULL_3D, .channels = 3),
    ROW(mov, .grid = FULL_2D, .channels = 8, .heads = 1, .radius = 2),
    ROW(mov_grad, .grid = FULL_2D, .channels = 8, .heads = 1, .radius = 2),
    ROW(mov, .grid = {2, {1, 96, 96}}, .channels = 32, .heads = 4, .radius = 3),
    ROW(mov_grad, .grid = {2, {1, 96, 96}}, .channels = 32, .heads = 4, .radius = 3),
    ROW(mov, .grid = FULL_3D, .channels = 8, .heads = 1, .radius = 2),
    ROW(mov_grad, .grid = FULL_3D, .channels = 8, .heads = 1, .radius = 2),
    ROW(vector_loss, .grid = FULL_2D),
    ROW(vector_loss_grad, .grid = FULL_2D),
    FEATURES(cosine_sum, .grid = FULL_2D, .channels = 32),
    FEATURES(cosine_sum_grad, .grid = FULL_2D, .channels = 32),
    ROW(softmax_loss, .grid = FULL_2D, .channels = 2),
    ROW(softmax_loss_grad, .grid = FULL_2D, .channels = 2),
    ROW(softmax_loss, .grid = FULL_2D, .channels = 4),
    ROW(softmax_loss_grad, .grid = FULL_2D, .channels = 4),
    ROW(softmax_loss, .grid = FULL_2D, .channels = 7),
    ROW(softmax_loss_grad, .grid = FULL_2D, .channels = 7),
    ROW(softmax_loss, .grid = FULL_3D, .channels = 30),
    ROW(softmax_loss_grad, .grid = FULL_3D, .channels = 30),
    ROW(sigmoid_loss, .grid = FULL_2D, .channels = 4),
    ROW(sigmoid_loss_grad, .grid = FULL_2D, .channels = 4),
    FEATURES(global_pool, .grid = FULL_3D, .channels = 32),
    FEATURES(global_pool_grad, .grid = FULL_3D, .channels = 32),
    FEATURES(add, .grid = FULL_2D, .channels = 32),
    ROW(square_sum, .grid = FULL_2D, .channels = 32),
    ROW(adam, .grid = FULL_2D, .channels = 32),
};
enum { ROWS = sizeof rows / sizeof *rows };

static double processor_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static const int64_t largest = (int64_t)64 * 64 * 64 * 96;

static bool prepare(struct job *job) {
    for (int i = 0; i < BUFFERS; i++) {
        job->buffer[i] = aligned_alloc(64, (size_t)largest * sizeof(float));
        if (!job->buffer[i]) return false;
    }
    job->mask = aligned_alloc(64, (size_t)largest * sizeof(float));
    job->index = calloc(1, (size_t)largest);
    job->workspace = aligned_alloc(64, 64 << 20);
    job->gamma = calloc(4096, sizeof(float)), job->beta = calloc(4096, sizeof(float));
    job->statistics = calloc(3 * 4096, sizeof(float));
    if (!job->mask || !job->index || !job->workspace || !job->gamma || !job->beta || !job->statistics) return false;
    for (int64_t k = 0; k < largest; k++) job->mask[k] = 1, job->index[k] = (uint8_t)(k % 4);
    return true;
}

/* Every buffer as feature maps of that element. */
static void fill(struct job *job, enum element element) {
    for (int i = 0; i < BUFFERS; i++)
        for (int64_t k = 0; k < largest; k++) {
            const float value = (float)(k * 7919 % 2003) / 1000 - 1;
            if (element == ELEMENT_F32) job->buffer[i][k] = value;
            else ((bf16 *)(void *)job->buffer[i])[k] = bf16_from_float(value);
        }
}

static void release(struct job *job) {
    for (int i = 0; i < BUFFERS; i++) free(job->buffer[i]);
    free(job->mask), free(job->index), free(job->workspace), free(job->gamma), free(job->beta), free(job->statistics);
}

static bool wanted(const char *name, int count, char **names) {
    for (int i = 0; i < count; i++)
        if (strstr(name, names[i])) return true;
    return count == 0;
}

/* One line: a row of the table by every form of an element. */
static void time_row(int i, const struct job *memory, const struct kernels *const *tables, int count) {
    struct job job = rows[i].job;
    char size[32], detail[32] = "";
    memcpy(job.buffer, memory->buffer, sizeof job.buffer);
    job.mask = memory->mask, job.index = memory->index, job.workspace = memory->workspace;
    job.gamma = memory->gamma, job.beta = memory->beta, job.statistics = memory->statistics;
    snprintf(size, sizeof size, "%dx%dx%d", (int)job.grid.size[0], (int)job.grid.size[1], (int)job.grid.size[2]);
    if (job.heads) snprintf(detail, sizeof detail, "j%dr%d", job.heads, job.radius);
    printf("%-22s %-5s %-12s %4d %4s", rows[i].name, tables[0]->element == ELEMENT_BF16 ? "bf16" : "f32", size, (int)job.channels,
           detail);
    for (int t = 0; t < count; t++) {
        double best = 1e30, spent = 0;
        int64_t bytes = 0;
        for (int repeat = 0; repeat < 20 && (repeat < 2 || spent < 0.2) && (t > 0 || spent < 0.2); repeat++) {
            const double start = processor_seconds();
            bytes = rows[i].run(tables[t], &job);
            const double seconds = processor_seconds() - start;
            best = seconds < best ? seconds : best, spent += seconds;
        }
        printf("  %12.3f %6.1f", 1e3 * best, (double)bytes / best * 1e-9);
        fflush(stdout);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    static const enum element elements[] = {ELEMENT_F32, ELEMENT_BF16};
    struct job memory = {0};
    int status = EXIT_FAILURE;
    if (!prepare(&memory)) goto done;
    for (int e = 0; e < 2; e++) {
        const struct kernels *tables[KERNEL_TABLES];
        const int count = kernels_available(tables, cpu_features(), elements[e]);
        fill(&memory, elements[e]);
        printf("%-22s %-5s %-12s %4s %4s", "kernel", "", "size", "ch", "");
        for (int t = 0; t < count; t++) printf("  %9s ms   GB/s", tables[t]->isa);
        printf("\n");
        for (int i = 0; i < ROWS; i++)
            if ((rows[i].features || elements[e] == ELEMENT_F32) && wanted(rows[i].name, argc - 1, argv + 1))
                time_row(i, &memory, tables, count);
    }
    status = EXIT_SUCCESS;
done:
    release(&memory);
    return status;
}
