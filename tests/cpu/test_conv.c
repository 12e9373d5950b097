/* Convolutions: every form against plain C, plain C against finite differences and the reference's golden file, edges,
 * guard bytes, threads, failing allocations. */
#include "../check_main.h"
#include "core/base/philox.h"
#include "cpu/conv.h"
#include "cpu/features.h"
#include "io/weights/tensor_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#ifdef HAVE_ONEDNN
#include <omp.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static const char *const forms[] = {"thin_avx512_bf16",
                                    "thin_avx512",
                                    "thin_avx2",
                                    "thin_generic",
                                    "winograd_avx512_bf16",
                                    "winograd_avx512",
                                    "winograd_avx2",
                                    "winograd_generic",
                                    "onednn",
                                    "avx512",
                                    "avx2",
                                    "generic",
                                    "plain"};
enum { FORMS = sizeof forms / sizeof *forms, GUARD_BYTES = 256 };

static cover_context *context;
static void setup(void) { ck_assert_ok(cover_context_create(&context, NULL)); }
static void teardown(void) { cover_context_destroy(context); }

/* ---- memory between guard bytes; memory for a form (packed, scratch) is 64-byte aligned, arrays on purpose are not.
 * It starts as NaN, so that whatever is read before it is written, or never written, shows.  With AddressSanitizer a
 * guard may not even be read. */

struct array {
    float *data;
    size_t bytes;
    unsigned char *block;
};
static void guard_lock(const struct array *array, bool lock) {
#ifdef __SANITIZE_ADDRESS__
    const unsigned char *begin = (const unsigned char *)array->data;
    if (lock) __asan_poison_memory_region(begin + array->bytes, GUARD_BYTES);
    else __asan_unpoison_memory_region(begin + array->bytes, GUARD_BYTES);
    if (lock) __asan_poison_memory_region(begin - GUARD_BYTES, GUARD_BYTES);
    else __asan_unpoison_memory_region(begin - GUARD_BYTES, GUARD_BYTES);
#else
    (void)array, (void)lock;
#endif
}
static struct array array_bytes(size_t bytes, size_t misalign) {
    size_t block_bytes = bytes + misalign + 2 * GUARD_BYTES;
    struct array array = {.bytes = bytes, .block = aligned_alloc(64, (block_bytes + 63) / 64 * 64)};
    ck_assert_ptr_nonnull(array.block);
    array.data = (float *)(array.block + GUARD_BYTES + misalign);
    memset(array.block, 0xA5, block_bytes);
    memset(array.data, 0xFF, bytes);
    guard_lock(&array, true);
    return array;
}
static struct array array_floats(int64_t count) { return array_bytes((size_t)count * sizeof(float), sizeof(float)); }
/* (A ck_assert an element would write a message each.) */
static void array_check(const struct array *array, const char *what) {
    const unsigned char *begin = (const unsigned char *)array->data, *end = begin + array->bytes;
    guard_lock(array, false);
    for (const unsigned char *at = begin - GUARD_BYTES; at < begin; at++)
        if (*at != 0xA5) ck_abort_msg("%s: written %d bytes in front of an array", what, (int)(begin - at));
    for (const unsigned char *at = end; at < end + GUARD_BYTES; at++)
        if (*at != 0xA5) ck_abort_msg("%s: written %d bytes behind an array", what, (int)(at - end));
    guard_lock(array, true);
}
static void array_free(struct array *array) {
    guard_lock(array, false);
    free(array->block);
}

static void fill(struct array *array, struct random_stream *random) {
    for (size_t i = 0; i < array->bytes / sizeof(float); i++) array->data[i] = random_uniform(random, -1, 1);
}

/* ---- a scene: one shape with all its arrays */

struct scene {
    struct conv_shape shape;
    int64_t pixels, weights;
    struct array x, y, dx, dy, w, dw, b, db;
};

static struct scene scene_make(const struct conv_shape *shape, uint64_t seed) {
    int64_t pixels = grid_pixels(&shape->grid), taps = shape->kernel == 1 ? 1 : shape->grid.ndim == 2 ? 9 : 27;
    struct scene s = {.shape = *shape, .pixels = pixels, .weights = taps * shape->c_in * shape->c_out};
    s.x = array_floats(pixels * shape->c_in), s.dx = array_floats(pixels * shape->c_in);
    s.y = array_floats(pixels * shape->c_out), s.dy = array_floats(pixels * shape->c_out);
    s.w = array_floats(s.weights), s.dw = array_floats(s.weights);
    s.b = array_floats(shape->c_out), s.db = array_floats(shape->c_out);
    struct random_stream random = random_stream(seed, RANDOM_TEST, 0, 0);
    fill(&s.x, &random), fill(&s.dy, &random), fill(&s.w, &random), fill(&s.b, &random);
    return s;
}
static void scene_check(const struct scene *s, const char *what) {
    const struct array *all[] = {&s->x, &s->y, &s->dx, &s->dy, &s->w, &s->dw, &s->b, &s->db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) array_check(all[i], what);
}
static void scene_free(struct scene *s) {
    struct array *all[] = {&s->x, &s->y, &s->dx, &s->dy, &s->w, &s->dw, &s->b, &s->db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) array_free(all[i]);
}

/* Runs all that a convolution can do, checking the memory of packed weights and scratch as well. */
static void scene_run(struct scene *s, const struct conv *conv, bool accumulate, const char *what) {
    struct array packed = array_bytes(conv_packed_bytes(conv), 0), scratch = array_bytes(conv_scratch_bytes(conv), 0);
    const float *bias = s->shape.bias ? s->b.data : NULL;
    const struct conv_source x[CONV_SOURCES] = {{.data = s->x.data}};
    ck_assert_ok(conv_pack(conv, packed.data, s->w.data, scratch.data));
    for (int slab = 0; slab < conv_slabs(conv); slab++)
        ck_assert_ok(conv_forward(conv, slab, s->y.data, NULL, x, packed.data, bias, scratch.data));
    if (s->shape.gradient) {
        float *db = s->shape.bias ? s->db.data : NULL;
        for (int slab = 0; slab < conv_slabs(conv); slab++)
            ck_assert_ok(conv_grad_data(conv, slab, (void *const[]){s->dx.data, NULL}, s->dy.data, packed.data, scratch.data));
        ck_assert_ok(conv_grad_weights(conv, s->dw.data, db, x, s->dy.data, scratch.data, accumulate));
    }
    array_check(&packed, what), array_check(&scratch, what);
    array_free(&packed), array_free(&scratch);
}

/* max |a - b| / (1 + rms(b)) */
static double distance(const struct array *a, const struct array *b) {
    double worst = 0, square = 0;
    size_t count = b->bytes / sizeof(float);
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)a->data[i] - (double)b->data[i]);
        if (!(difference <= worst)) worst = difference; /* keeps a NaN */
        square += (double)b->data[i] * (double)b->data[i];
    }
    return worst / (1 + sqrt(square / (double)count));
}
static void assert_near(const struct array *a, const struct array *b, double bound, const char *what, const char *which) {
    double error = distance(a, b);
    ck_assert_msg(error <= bound, "%s: %s is off by %g", what, which, error);
}
static bool same_bits(const struct array *a, const struct array *b) { return memcmp(a->data, b->data, a->bytes) == 0; }

static void describe(char *text, size_t bytes, const struct conv_shape *s, const char *form) {
    snprintf(text, bytes, "%s %dD %dx%dx%d %d->%d kernel %d", form, s->grid.ndim, (int)s->grid.size[0], (int)s->grid.size[1],
             (int)s->grid.size[2], (int)s->c_in, (int)s->c_out, s->kernel);
}

/* NULL when the form is not available here, or leaves every pass of this shape to others. */
static struct conv *create_form(const struct conv_shape *shape, const char *form) {
    struct conv *conv = NULL;
    cover_status status = conv_create_form(&conv, context, shape, form);
    if (status == COVER_ERROR_UNSUPPORTED) return NULL;
    ck_assert_ok(status);
    for (int pass = 0; pass < CONV_PASSES; pass++)
        if (strcmp(conv_form(conv, (enum conv_pass)pass), form) == 0) return conv;
    conv_destroy(conv);
    return NULL;
}

static void compare_with_plain(const struct conv_shape *shape, uint64_t seed) {
    struct scene expected = scene_make(shape, seed);
    struct conv *plain = create_form(shape, "plain");
    scene_run(&expected, plain, false, "plain");
    conv_destroy(plain);
    for (int f = -1; f < FORMS - 1; f++) { /* -1: the list's own choice */
        char what[128];
        describe(what, sizeof what, shape, f < 0 ? "chosen" : forms[f]);
        struct conv *conv = NULL;
        if (f < 0) ck_assert_ok(conv_create(&conv, context, shape));
        else conv = create_form(shape, forms[f]);
        if (!conv) continue;
        struct scene scene = scene_make(shape, seed);
        scene_run(&scene, conv, false, what);
        scene_check(&scene, what);
        assert_near(&scene.y, &expected.y, 1e-5, what, "output");
        if (shape->gradient) assert_near(&scene.dx, &expected.dx, 1e-5, what, "data gradient");
        if (shape->gradient) assert_near(&scene.dw, &expected.dw, 1e-5, what, "weight gradient");
        if (shape->gradient && shape->bias) assert_near(&scene.db, &expected.db, 1e-5, what, "bias gradient");
        /* each gradient a second time, added; then it is twice the first */
        struct scene twice = scene_make(shape, seed);
        memcpy(twice.dw.data, scene.dw.data, scene.dw.bytes), memcpy(twice.db.data, scene.db.data, scene.db.bytes);
        scene_run(&twice, conv, true, what);
        scene_check(&twice, what);
        for (int64_t i = 0; i < scene.weights && shape->gradient; i++)
            if (twice.dw.data[i] != 2 * scene.dw.data[i]) ck_abort_msg("%s: gradient %d was not added", what, (int)i);
        for (int64_t i = 0; i < shape->c_out && shape->gradient && shape->bias; i++)
            if (twice.db.data[i] != 2 * scene.db.data[i]) ck_abort_msg("%s: bias gradient %d was not added", what, (int)i);
        scene_free(&twice);
        scene_free(&scene);
        conv_destroy(conv);
    }
    scene_free(&expected);
}

START_TEST(every_form_equals_plain_on_random_shapes) {
    static const int64_t ins[] = {1, 2, 3, 8, 17, 32, 33}, outs[] = {1, 2, 8, 24, 40, 16, 65};
    for (uint32_t trial = 0; trial < 48; trial++) {
        struct random_stream random = random_stream(7, RANDOM_TEST, trial, 1);
#define DRAW(n) ((int64_t)(random_word(&random) % (uint32_t)(n)))
        int ndim = 2 + (int)DRAW(2);
        struct conv_shape shape = {
            .grid = {ndim, {ndim == 3 ? 1 + DRAW(5) : 1, 1 + DRAW(ndim == 3 ? 7 : 13), 1 + DRAW(ndim == 3 ? 9 : 35)}},
            .c_in = ins[DRAW(7)],
            .c_out = outs[DRAW(7)],
            .kernel = DRAW(4) ? 3 : 1,
            .bias = DRAW(2),
            .gradient = DRAW(6) > 0};
        compare_with_plain(&shape, trial);
    }
}
END_TEST

START_TEST(every_form_equals_plain_on_axes_of_one_pixel) {
    for (int ndim = 2; ndim <= 3; ndim++)
        for (int axes = 0; axes < 8; axes++) {
            struct conv_shape shape = {.grid = {ndim, {axes & 1 && ndim == 3 ? 3 : 1, axes & 2 ? 5 : 1, axes & 4 ? 19 : 1}},
                                       .c_in = 9,
                                       .c_out = 35,
                                       .kernel = 3,
                                       .bias = true,
                                       .gradient = true};
            compare_with_plain(&shape, (uint64_t)axes);
            shape.kernel = 1;
            compare_with_plain(&shape, (uint64_t)axes);
        }
}
END_TEST

/* Many bands of pixels, several steps of input channels, several blocks and groups of output channels. */
START_TEST(every_form_equals_plain_where_work_is_cut_into_blocks) {
    static const struct conv_shape shapes[] = {
        {{2, {1, 70, 31}}, 3, 20, 3, true, true},   {{3, {9, 10, 23}}, 2, 33, 3, true, true},
        {{2, {1, 5, 7}}, 290, 70, 3, true, true},   {{3, {3, 3, 3}}, 100, 50, 3, true, true},
        {{2, {1, 6, 15}}, 130, 200, 1, true, true}, {{2, {1, 61, 33}}, 40, 8, 1, true, true},
        {{2, {1, 5, 260}}, 1, 32, 3, true, true},   {{3, {2, 3, 150}}, 2, 5, 3, true, true},
        {{2, {1, 3, 211}}, 4, 33, 3, true, true},   {{3, {2, 4, 131}}, 1, 24, 3, true, true},
        {{2, {1, 40, 33}}, 32, 1, 1, true, true},   {{2, {1, 40, 33}}, 16, 3, 1, true, true},
        {{2, {1, 67, 75}}, 17, 33, 3, true, true},  {{2, {1, 20, 406}}, 8, 17, 3, true, true},
        {{3, {11, 15, 34}}, 9, 20, 3, true, true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) compare_with_plain(&shapes[i], i);
}
END_TEST

/* Heads of tasks: few classes, seldom a multiple of a vector, from the pixels of an image or from one pooled pixel. */
START_TEST(every_form_equals_plain_on_heads) {
    static const int64_t ins[] = {8, 16, 33, 64, 512};
    for (int ndim = 2; ndim <= 3; ndim++)
        for (int64_t classes = 2; classes <= 30; classes += classes < 10 ? 1 : 4)
            for (int in = 0; in < 5; in++) {
                struct conv_shape shape = {{ndim, {1, 1, 1}}, ins[in], classes, 1, true, true};
                compare_with_plain(&shape, (uint64_t)classes);
                if (ins[in] > 64) continue;
                shape.grid = (struct grid){ndim, {ndim == 3 ? 2 : 1, 3, 19}};
                compare_with_plain(&shape, (uint64_t)classes);
            }
}
END_TEST

/* f(x, w, b) = <dy, y>; the gradients are its derivatives, and f is linear in each, so a wide step is exact. */
START_TEST(plain_gradients_equal_finite_differences) {
    for (int ndim = 2; ndim <= 3; ndim++)
        for (int kernel = 1; kernel <= 3; kernel += 2) {
            struct conv_shape shape = {{ndim, {ndim == 3 ? 3 : 1, 4, 5}}, 3, 2, kernel, true, true};
            struct scene s = scene_make(&shape, 3), moved = scene_make(&shape, 3);
            struct conv *conv = create_form(&shape, "plain");
            scene_run(&s, conv, false, "plain");
            const struct {
                struct array *value;
                const struct array *gradient;
            } pairs[] = {{&moved.x, &s.dx}, {&moved.w, &s.dw}, {&moved.b, &s.db}};
            for (int pair = 0; pair < 3; pair++)
                for (size_t i = 0; i < pairs[pair].value->bytes / sizeof(float); i++) {
                    double f[2];
                    float *at = &pairs[pair].value->data[i], before = *at;
                    for (int side = 0; side < 2; side++) {
                        *at = before + (side ? 0.5f : -0.5f);
                        scene_run(&moved, conv, false, "plain");
                        f[side] = 0;
                        for (int64_t o = 0; o < s.pixels * shape.c_out; o++)
                            f[side] += (double)s.dy.data[o] * (double)moved.y.data[o];
                    }
                    *at = before;
                    double difference = fabs(f[1] - f[0] - (double)pairs[pair].gradient->data[i]);
                    ck_assert_msg(difference < 1e-5, "argument %d, element %zu: off by %g", pair, i, difference);
                }
            conv_destroy(conv);
            scene_free(&s), scene_free(&moved);
        }
}
END_TEST

/* ---- the reference's operations: (N, C, *S) in the file, one image channels last here */

static void golden_read(struct tensor_file *file, const char *op, const char *part, struct array *to, int64_t image, int64_t images,
                        bool is_image) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", op, part);
    const struct tensor_entry *entry = tensor_file_find(file, name);
    ck_assert_msg(entry != NULL, "%s is missing", name);
    float *values;
    ck_assert_ok(tensor_load_f32(file, entry, &values));
    *to = array_floats(is_image ? entry->elements / images : entry->elements);
    if (is_image) {
        int64_t channels = entry->shape[1], pixels = entry->elements / images / channels;
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++) to->data[p * channels + c] = values[(image * channels + c) * pixels + p];
    } else {
        memcpy(to->data, values, to->bytes);
    }
    memory_free(context, values);
}

START_TEST(every_form_equals_the_reference) {
    static const char *const ops[] = {"conv3.2d", "conv1.2d", "conv3.3d", "conv1.3d"};
    struct tensor_file *file;
    ck_assert_ok(tensor_file_open(&file, context, GOLDEN_FOLDER "/ops.safetensors"));
    for (int o = 0; o < 4; o++)
        for (int f = 0; f < FORMS; f++) {
            char name[64];
            snprintf(name, sizeof name, "%s.in0", ops[o]);
            const struct tensor_entry *in = tensor_file_find(file, name);
            snprintf(name, sizeof name, "%s.in1", ops[o]);
            const struct tensor_entry *w = tensor_file_find(file, name);
            ck_assert(in && w);
            struct conv_shape shape = {.grid = {in->rank - 2, {1, 1, 1}},
                                       .c_in = w->shape[1],
                                       .c_out = w->shape[0],
                                       .kernel = (int)w->shape[2],
                                       .bias = true,
                                       .gradient = true};
            for (int a = 2; a < in->rank; a++) shape.grid.size[3 - in->rank + a] = in->shape[a];
            struct conv *conv = create_form(&shape, forms[f]);
            if (!conv) continue;
            struct scene s = scene_make(&shape, 0);
            struct array *inputs[] = {&s.w, &s.b}, want_y, want_dx, want_dw, want_db;
            array_free(inputs[0]), array_free(inputs[1]);
            golden_read(file, ops[o], "in1", &s.w, 0, 1, false), golden_read(file, ops[o], "in2", &s.b, 0, 1, false);
            golden_read(file, ops[o], "grad1", &want_dw, 0, 1, false);
            golden_read(file, ops[o], "grad2", &want_db, 0, 1, false);
            for (int64_t image = 0; image < in->shape[0]; image++) {
                array_free(&s.x), array_free(&s.dy);
                golden_read(file, ops[o], "in0", &s.x, image, in->shape[0], true);
                golden_read(file, ops[o], "gout", &s.dy, image, in->shape[0], true);
                golden_read(file, ops[o], "out", &want_y, image, in->shape[0], true);
                golden_read(file, ops[o], "grad0", &want_dx, image, in->shape[0], true);
                scene_run(&s, conv, image > 0, forms[f]);
                assert_near(&s.y, &want_y, 1e-5, ops[o], "output");
                assert_near(&s.dx, &want_dx, 1e-5, ops[o], "data gradient");
                array_free(&want_y), array_free(&want_dx);
            }
            assert_near(&s.dw, &want_dw, 1e-5, ops[o], "weight gradient");
            assert_near(&s.db, &want_db, 1e-5, ops[o], "bias gradient");
            array_free(&want_dw), array_free(&want_db);
            scene_free(&s);
            conv_destroy(conv);
        }
    tensor_file_close(file);
}
END_TEST

/* ---- slabs */

/* Same bits from our own forms; oneDNN may sum in another order. */
static void compare_slabs(struct conv_shape shape, uint64_t seed) {
    static const int counts[] = {2, 3, 5, 1000};
    for (int f = 0; f < FORMS; f++) {
        struct scene whole = scene_make(&shape, seed);
        shape.slabs = 1;
        struct conv *conv = create_form(&shape, forms[f]);
        if (conv) scene_run(&whole, conv, false, forms[f]);
        for (int i = 0; conv && i < 4; i++) {
            char what[160];
            describe(what, sizeof what - 32, &shape, forms[f]);
            snprintf(what + strlen(what), 32, " in %d slabs", shape.slabs = counts[i]);
            struct scene cut = scene_make(&shape, seed);
            struct conv *parts = create_form(&shape, forms[f]);
            int64_t rows = grid_axis(&shape.grid, 0);
            ck_assert_int_le(conv_slabs(parts), counts[i] < rows ? counts[i] : (int)rows);
            scene_run(&cut, parts, false, what);
            scene_check(&cut, what);
            const bool own = strcmp(forms[f], "onednn") != 0;
            ck_assert_msg(!own || (same_bits(&cut.y, &whole.y) && same_bits(&cut.dx, &whole.dx)), "%s differs", what);
            assert_near(&cut.y, &whole.y, 1e-5, what, "output");
            assert_near(&cut.dx, &whole.dx, 1e-5, what, "data gradient");
            conv_destroy(parts);
            scene_free(&cut);
        }
        conv_destroy(conv);
        scene_free(&whole);
    }
}

START_TEST(slabs_make_the_whole_image_in_every_form) {
    static const int64_t channels[] = {1, 3, 8, 16, 17, 32, 40};
    for (uint32_t trial = 0; trial < 24; trial++) {
        struct random_stream random = random_stream(9, RANDOM_TEST, trial, 1);
        int ndim = 2 + (int)DRAW(2);
        struct conv_shape shape = {
            .grid = {ndim, {ndim == 3 ? 1 + DRAW(9) : 1, 1 + DRAW(ndim == 3 ? 6 : 15), 1 + DRAW(ndim == 3 ? 9 : 30)}},
            .c_in = channels[DRAW(7)],
            .c_out = channels[DRAW(7)],
            .kernel = DRAW(3) ? 3 : 1,
            .bias = DRAW(2),
            .gradient = true};
        compare_slabs(shape, trial);
    }
}
END_TEST

START_TEST(large_images_are_cut_and_small_ones_are_not) {
    const struct conv_shape small = {{2, {1, 32, 32}}, 8, 8, 3, false, false},
                            large = {{2, {1, 384, 384}}, 32, 32, 3, false, false},
                            deep = {{2, {1, 24, 24}}, 512, 512, 3, false, false},
                            volume = {{3, {48, 64, 48}}, 32, 32, 3, false, false},
                            flat = {{3, {1, 384, 384}}, 32, 32, 3, false, false};
    ck_assert_int_eq(conv_good_slabs(&small), 1);
    ck_assert_int_eq(conv_good_slabs(&large), 8);
    ck_assert_int_eq(conv_good_slabs(&deep), 4);
    ck_assert_int_eq(conv_good_slabs(&volume), 8);
    ck_assert_int_eq(conv_good_slabs(&flat), 1);
    struct conv_shape training = deep;
    training.gradient = true;
    ck_assert_int_eq(conv_good_slabs(&training), 2);
}
END_TEST

/* ---- threads */

struct runner {
    const struct conv *conv;
    struct scene scene;
};
static void *run_several_times(void *data) {
    struct runner *runner = data;
    for (int i = 0; i < 5; i++) scene_run(&runner->scene, runner->conv, false, "thread");
    return NULL;
}

START_TEST(four_threads_at_once_give_the_bits_of_one) {
    struct conv_shape shape = {{2, {1, 37, 41}}, 17, 40, 3, true, true};
    for (int f = 0; f < FORMS - 1; f++) {
        struct conv *conv = create_form(&shape, forms[f]);
        if (!conv) continue;
        struct runner runners[5];
        pthread_t threads[4];
        for (int i = 0; i < 5; i++) runners[i] = (struct runner){conv, scene_make(&shape, 11)};
        run_several_times(&runners[4]);
        for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, run_several_times, &runners[i]), 0);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        const struct scene *one = &runners[4].scene;
        for (int i = 0; i < 4; i++) {
            const struct scene *s = &runners[i].scene;
            ck_assert_msg(same_bits(&s->y, &one->y) && same_bits(&s->dx, &one->dx) && same_bits(&s->dw, &one->dw) &&
                              same_bits(&s->db, &one->db),
                          "%s: thread %d differs", forms[f], i);
        }
        for (int i = 0; i < 5; i++) scene_free(&runners[i].scene);
        conv_destroy(conv);
    }
}
END_TEST

#ifdef HAVE_ONEDNN
START_TEST(openmp_settings_of_the_caller_neither_change_nor_matter) {
    struct conv_shape shape = {{2, {1, 64, 64}}, 32, 32, 3, true, true};
    int before = omp_get_max_threads();
    struct scene scenes[3];
    for (int threads = 1; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        struct conv *conv;
        ck_assert_ok(conv_create(&conv, context, &shape));
        scenes[threads - 1] = scene_make(&shape, 5);
        scene_run(&scenes[threads - 1], conv, false, "caller's threads");
        conv_destroy(conv);
        ck_assert_int_eq(omp_get_max_threads(), threads);
        ck_assert(same_bits(&scenes[threads - 1].y, &scenes[0].y) && same_bits(&scenes[threads - 1].dx, &scenes[0].dx));
    }
    omp_set_num_threads(before);
    for (int i = 0; i < 3; i++) scene_free(&scenes[i]);
}
END_TEST
#endif

/* ---- choice, errors, memory */

START_TEST(a_cap_on_instruction_sets_holds) {
    static const struct {
        const char *isa, *forbidden[8]; /* the last one is NULL */
    } caps[] = {{"plain", {"onednn", "avx512", "avx2", "winograd_avx512", "winograd_avx2", "thin_avx512", "thin_avx2"}},
                {"avx2", {"avx512", "winograd_avx512", "winograd_avx512_bf16", "thin_avx512", "thin_avx512_bf16"}},
                {"avx512", {"winograd_avx512_bf16", "thin_avx512_bf16"}}};
    struct conv_shape shape = {{2, {1, 16, 16}}, 32, 32, 3, true, true};
    for (int c = 0; c < 3; c++) {
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.isa = caps[c].isa;
        cover_context *capped;
        ck_assert_ok(cover_context_create(&capped, &options));
        for (int i = 0; caps[c].forbidden[i]; i++) {
            struct conv *conv;
            if (cpu_features() == 0 && i == 0) continue; /* a plain machine is not capped: oneDNN knows it as it is */
            ck_assert_int_eq(conv_create_form(&conv, capped, &shape, caps[c].forbidden[i]), COVER_ERROR_UNSUPPORTED);
        }
        struct conv *conv;
        ck_assert_ok(conv_create(&conv, capped, &shape));
        for (int pass = 0; pass < CONV_PASSES; pass++)
            for (int i = 0; caps[c].forbidden[i]; i++)
                ck_assert_str_ne(conv_form(conv, (enum conv_pass)pass), caps[c].forbidden[i]);
        conv_destroy(conv);
        cover_context_destroy(capped);
    }
}
END_TEST

START_TEST(shapes_that_cannot_be_are_refused) {
    static const struct conv_shape shapes[] = {
        {{2, {1, 4, 4}}, 1, 1, 2, false, false},
        {{2, {1, 0, 4}}, 1, 1, 3, false, false},
        {{2, {2, 4, 4}}, 1, 1, 3, false, false},
        {{4, {1, 4, 4}}, 1, 1, 3, false, false},
        {{2, {1, 4, -4}}, 1, 1, 3, false, false},
        {{2, {1, 4, 4}}, 0, 1, 3, false, false},
        {{2, {1, 4, 4}}, 1, -1, 3, false, false},
        {{3, {1 << 20, 1 << 20, 1 << 20}}, 1, 1, 3, false, false},
        {{3, {1 << 10, 1 << 10, 1 << 10}}, INT64_MAX / 2, 1, 3, false, false},
        {{2, {1, 4, 4}}, INT64_MAX / 2, INT64_MAX / 2, 3, false, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct conv *conv = NULL;
        ck_assert_int_eq(conv_create(&conv, context, &shapes[i]), COVER_ERROR_SHAPE);
        ck_assert_ptr_null(conv);
        ck_assert_str_ne(cover_error_text(), "");
    }
}
END_TEST

START_TEST(gradients_that_were_not_prepared_are_refused) {
    struct conv_shape shape = {{2, {1, 4, 4}}, 2, 2, 3, false, false};
    struct conv *conv;
    float buffer[64] = {0};
    ck_assert_ok(conv_create(&conv, context, &shape));
    ck_assert_str_eq(conv_form(conv, CONV_GRAD_DATA), "none");
    const struct conv_source x[CONV_SOURCES] = {{.data = buffer}};
    ck_assert_int_eq(conv_grad_data(conv, 0, (void *const[]){buffer, NULL}, buffer, buffer, buffer), COVER_ERROR_INTERNAL);
    ck_assert_int_eq(conv_grad_weights(conv, buffer, NULL, x, buffer, buffer, false), COVER_ERROR_INTERNAL);
    ck_assert_int_eq(conv_forward(conv, 0, buffer, NULL, x, buffer, buffer, buffer), COVER_ERROR_INTERNAL);
    conv_destroy(conv);
    conv_destroy(NULL);
    ck_assert_int_eq(conv_create_form(&conv, context, &shape, "abacus"), COVER_ERROR_UNSUPPORTED);
}
END_TEST

START_TEST(operations_are_counted) {
    struct conv_shape shape = {{3, {2, 3, 4}}, 5, 7, 3, false, false};
    struct conv *conv;
    ck_assert_ok(conv_create(&conv, context, &shape));
    ck_assert_double_eq(conv_flops(conv), 2.0 * 24 * 27 * 35);
    conv_destroy(conv);
}
END_TEST

struct budget {
    int calls, fail_at, alive;
};
static void *budget_allocate(void *user, size_t bytes, size_t alignment) {
    struct budget *budget = user;
    if (budget->calls++ == budget->fail_at) return NULL;
    void *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    budget->alive += memory != NULL;
    return memory;
}
static void budget_release(void *user, void *memory) {
    ((struct budget *)user)->alive--;
    free(memory);
}

START_TEST(a_refused_allocation_leaves_nothing_behind) {
    struct conv_shape shape = {{2, {1, 16, 16}}, 8, 16, 3, true, true};
    for (int f = 0; f <= FORMS; f++) {
        struct budget budget = {.fail_at = -1};
        cover_allocator allocator = {budget_allocate, budget_release, &budget};
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.allocator = &allocator;
        cover_context *tight;
        ck_assert_ok(cover_context_create(&tight, &options));
        int alive = budget.alive;
        cover_status status = COVER_ERROR_MEMORY;
        for (int fail_at = 0; status == COVER_ERROR_MEMORY; fail_at++) {
            ck_assert_int_lt(fail_at, 100);
            struct conv *conv = NULL;
            budget.calls = 0, budget.fail_at = fail_at;
            status = f < FORMS ? conv_create_form(&conv, tight, &shape, forms[f]) : conv_create(&conv, tight, &shape);
            if (status == COVER_OK) {
                ck_assert_int_gt(fail_at, 0);
                conv_destroy(conv);
            }
            ck_assert_int_eq(budget.alive, alive);
        }
        ck_assert(status == COVER_OK || status == COVER_ERROR_UNSUPPORTED);
        cover_context_destroy(tight);
        ck_assert_int_eq(budget.alive, 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("conv");
    TCase *tcase = tcase_create("conv");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 240);
    ADD(tcase, every_form_equals_plain_on_random_shapes);
    ADD(tcase, every_form_equals_plain_on_axes_of_one_pixel);
    ADD(tcase, every_form_equals_plain_where_work_is_cut_into_blocks);
    ADD(tcase, every_form_equals_plain_on_heads);
    ADD(tcase, plain_gradients_equal_finite_differences);
    ADD(tcase, every_form_equals_the_reference);
    ADD(tcase, slabs_make_the_whole_image_in_every_form);
    ADD(tcase, large_images_are_cut_and_small_ones_are_not);
    ADD(tcase, four_threads_at_once_give_the_bits_of_one);
#ifdef HAVE_ONEDNN
    ADD(tcase, openmp_settings_of_the_caller_neither_change_nor_matter);
#endif
    ADD(tcase, a_cap_on_instruction_sets_holds);
    ADD(tcase, shapes_that_cannot_be_are_refused);
    ADD(tcase, gradients_that_were_not_prepared_are_refused);
    ADD(tcase, operations_are_counted);
    ADD(tcase, a_refused_allocation_leaves_nothing_behind);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
