/* Scenes: see scene.h. */
#include "scene.h"

#include "device.h"

#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 256, GUARD_BYTE = 0xa5, POISON = 0xff };

/* ---- drawing */

int64_t pick(struct scene *scene, int64_t low, int64_t high) {
    return low + (int64_t)(random_word(&scene->random) % (uint32_t)(high - low + 1));
}
bool toss(struct scene *scene) { return random_word(&scene->random) & 1; }

static int add_array(struct scene *scene, struct array array) {
    ck_assert_int_lt(scene->count, ARRAYS);
    scene->arrays[scene->count] = array;
    return scene->count++;
}
static size_t bytes_of(const struct array *array) { return (size_t)array->count * element_bytes(array->element); }
static void *room(size_t bytes) {
    void *data = calloc(1, bytes ? bytes : 1);
    ck_assert_ptr_nonnull(data);
    return data;
}

int absent(struct scene *scene) { return add_array(scene, (struct array){.name = NULL}); }

int given_bytes(struct scene *scene, const char *name, enum element element, int64_t count, const void *data) {
    struct array array = {.name = name, .element = element, .count = count};
    array.before = room(bytes_of(&array));
    memcpy(array.before, data, bytes_of(&array));
    return add_array(scene, array);
}

int given(struct scene *scene, const char *name, enum element element, int64_t count, float low, float high) {
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    struct array array = {.name = name, .element = element, .count = count};
    array.before = room(bytes_of(&array));
    const int64_t spoilt = scene->with_nan && count > 0 ? pick(scene, 0, count - 1) : -1;
    scene->with_nan = false;
    for (int64_t i = 0; i < count; i++) {
        const float value = i == spoilt ? odd[pick(scene, 0, 2)] : random_uniform(&scene->random, low, high);
        if (element == ELEMENT_BF16) ((bf16 *)array.before)[i] = bf16_from_float(value);
        else ((float *)array.before)[i] = value;
    }
    return add_array(scene, array);
}

int wanted(struct scene *scene, const char *name, enum element element, int64_t count, double tolerance) {
    struct array array = {.name = name, .element = element, .count = count, .tolerance = tolerance};
    array.expected = room(bytes_of(&array));
    return add_array(scene, array);
}

int workspace(struct scene *scene, size_t bytes) {
    return add_array(scene, (struct array){.name = "workspace", .element = ELEMENT_U8, .count = (int64_t)bytes, .workspace = true});
}

void *before(struct scene *scene, int array) { return scene->arrays[array].before; }
float *floats(struct scene *scene, int array) { return scene->arrays[array].before; }
void *expected(struct scene *scene, int array) {
    struct array *a = &scene->arrays[array];
    if (a->name && !a->expected) a->expected = room(bytes_of(a)), memcpy(a->expected, a->before, bytes_of(a));
    return a->expected;
}
void *at(struct scene *scene, int array) { return scene->arrays[array].name ? (char *)scene->arrays[array].block + GUARD : NULL; }
void *image_of(void *data, enum element element, int64_t each, int64_t image) {
    return data ? (char *)data + (size_t)(image * each) * element_bytes(element) : NULL;
}

/* ---- playing */

static char wrong[1024];

static bool cuda(int error, const char *what) {
    if (!error) return true;
    snprintf(wrong, sizeof wrong, "%s: %s: %s", what, cudaGetErrorString((enum cudaError)error), cudasim_message());
    return false;
}
#define CUDA(call) cuda((int)(call), #call)

static bool upload(struct array *array) {
    const size_t bytes = bytes_of(array);
    if (!array->block && !CUDA(cudaMalloc((void **)&array->block, bytes + 2 * GUARD))) return false;
    char *const data = (char *)array->block + GUARD;
    if (!CUDA(cudaMemset(array->block, GUARD_BYTE, bytes + 2 * GUARD)) || !CUDA(cudaMemset(data, POISON, bytes))) return false;
    return !array->before || CUDA(cudaMemcpy(data, array->before, bytes, cudaMemcpyHostToDevice));
}

static double number_at(const void *data, enum element element, int64_t i) {
    switch (element) {
    case ELEMENT_F32:
        return (double)((const float *)data)[i];
    case ELEMENT_BF16:
        return (double)bf16_to_float(((const bf16 *)data)[i]);
    case ELEMENT_F64:
        return ((const double *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

/* What is infinite may be NaN, and the other way round: sums in another order. */
static bool agrees(const struct array *array, const void *found) {
    double squares = 0;
    for (int64_t i = 0; i < array->count; i++) {
        const double e = number_at(array->expected, array->element, i);
        squares += isfinite(e) ? e * e : 0;
    }
    const double floor = array->tolerance * (1 + sqrt(squares / (double)(array->count ? array->count : 1)));
    for (int64_t i = 0; i < array->count; i++) {
        const double f = number_at(found, array->element, i), e = number_at(array->expected, array->element, i);
        const double unit = array->element == ELEMENT_BF16 ? fabs(e) / 128 : 0; /* the last place */
        if (f == e || (!isfinite(f) && !isfinite(e)) || fabs(f - e) <= floor + unit) continue;
        snprintf(wrong, sizeof wrong, "%s: number %lld of %lld is %.9g instead of %.9g", array->name, (long long)i,
                 (long long)array->count, f, e);
        return false;
    }
    return true;
}

/* What lies behind the call, in memory of the caller; NULL where bytes were written that should not have been. */
static unsigned char *fetch(const struct array *array) {
    const size_t bytes = bytes_of(array);
    unsigned char *all = room(bytes + 2 * GUARD), *data = room(bytes);
    if (!CUDA(cudaMemcpy(all, array->block, bytes + 2 * GUARD, cudaMemcpyDeviceToHost))) goto failed;
    for (size_t i = 0; i < GUARD; i++)
        if (all[i] != GUARD_BYTE || all[GUARD + bytes + i] != GUARD_BYTE) {
            snprintf(wrong, sizeof wrong, "%s: a byte %s it was written", array->name, all[i] != GUARD_BYTE ? "before" : "behind");
            goto failed;
        }
    memcpy(data, all + GUARD, bytes);
    free(all);
    return data;
failed:
    free(all), free(data);
    return NULL;
}

/* One call; bits: what came out of the call before this one, or NULL to be filled. */
static bool play_once(const struct operation *operation, struct scene *scene, uint64_t order, unsigned char *bits[ARRAYS]) {
    cudasim_seed(order);
    for (int i = 0; i < scene->count; i++)
        if (scene->arrays[i].name && !upload(&scene->arrays[i])) return false;
    if (!cuda(operation->launch(scene), "launch") || !CUDA(cudaDeviceSynchronize())) return false;
    for (int i = 0; i < scene->count; i++) {
        const struct array *array = &scene->arrays[i];
        if (!array->name) continue;
        unsigned char *found = fetch(array);
        if (!found) return false;
        bool good = true;
        if (array->workspace) free(found);
        else if (bits[i]) {
            good = !memcmp(found, bits[i], bytes_of(array));
            if (!good) snprintf(wrong, sizeof wrong, "%s: other bits with the threads in another order", array->name);
            free(found);
        } else {
            bits[i] = found;
            good = array->expected ? agrees(array, found) : !memcmp(found, array->before, bytes_of(array));
            if (!good && !array->expected) snprintf(wrong, sizeof wrong, "%s: was written, though it is an input", array->name);
        }
        if (!good) return false;
    }
    return true;
}

static void sizes_draw(struct scene *scene) {
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 21, 40}, channels[] = {1, 3, 8, 20, 64};
    scene->grid = (struct grid){.ndim = (int)pick(scene, 2, 3), .size = {1, 1, 1}};
    const bool volume = scene->grid.ndim == 3, one = pick(scene, 0, 9) == 0;
    for (int a = volume ? 0 : 1; a < 3; a++) scene->grid.size[a] = one ? 1 : sizes[pick(scene, 0, volume ? 6 : 11)];
    scene->channels = channels[pick(scene, 0, 4)], scene->images = (int)pick(scene, 1, 3);
    scene->pixels = grid_pixels(&scene->grid);
}

static char text[1536];

static void scene_draw(struct scene *scene, const struct operation *operation, uint64_t seed, enum element element, bool with_nan) {
    static const enum element elements[] = {ELEMENT_F32, ELEMENT_BF16};
    const struct kernels *tables[KERNEL_TABLES];
    *scene = (struct scene){
        .random = random_stream(seed, RANDOM_TEST, 0, 0), .element = elements[element == ELEMENT_BF16], .with_nan = with_nan};
    kernels_available(tables, 0, scene->element);
    scene->plain = tables[0];
    cudasim_reset();
    sizes_draw(scene);
    operation->draw(scene);
}

static void scene_free(struct scene *scene) {
    for (int i = 0; i < scene->count; i++) {
        cudaFree(scene->arrays[i].block);
        free(scene->arrays[i].before), free(scene->arrays[i].expected);
    }
}

static const char *scene_text(const struct scene *scene, const struct operation *operation, uint64_t seed) {
    snprintf(text, sizeof text, "%s of %s, seed %d: %d of %d x %d x %d, %d channels: %s", operation->kernel,
             scene->element == ELEMENT_BF16 ? "bfloat16" : "float32", (int)seed, scene->images, (int)scene->grid.size[0],
             (int)scene->grid.size[1], (int)scene->grid.size[2], (int)scene->channels, wrong);
    return text;
}

const char *scene_play(const struct operation *operation, uint64_t seed, enum element element, bool with_nan) {
    struct scene scene;
    unsigned char *bits[ARRAYS] = {NULL};
    scene_draw(&scene, operation, seed, element, with_nan);
    const bool good = play_once(operation, &scene, 0, bits) && play_once(operation, &scene, seed + 1, bits);
    for (int i = 0; i < scene.count; i++) free(bits[i]);
    scene_free(&scene);
    return good ? NULL : scene_text(&scene, operation, seed);
}

const char *scene_fail(const struct operation *operation, uint64_t seed, int *launches) {
    struct scene scene;
    bool good = true;
    scene_draw(&scene, operation, seed, ELEMENT_F32, false);
    for (int i = 0; good && i < scene.count; i++) good = !scene.arrays[i].name || upload(&scene.arrays[i]);
    cudasim_fail_at(0, cudaSuccess);
    good = good && cuda(operation->launch(&scene), "launch") && CUDA(cudaDeviceSynchronize());
    *launches = (int)cudasim_calls() - 1; /* but for the waiting */
    for (int k = 1; good && k <= *launches; k++) {
        cudasim_fail_at((uint64_t)k, cudaErrorLaunchOutOfResources);
        const int error = operation->launch(&scene);
        good = error == cudaErrorLaunchOutOfResources;
        if (!good) snprintf(wrong, sizeof wrong, "launch %d of %d failed, but the call returned %d", k, *launches, error);
        cudasim_fail_at(0, cudaSuccess);
        cudaGetLastError();
    }
    scene_free(&scene);
    return good ? NULL : scene_text(&scene, operation, seed);
}
