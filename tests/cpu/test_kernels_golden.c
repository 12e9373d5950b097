/* Every form against the reference's single operations in tests/golden/ops.safetensors (see README.md there): largest
 * error by rms at most 2e-5.  The file's tensors are (batch, channels, *size); kernels take one image, channels last. */
#include "../check_main.h"
#include "cpu/features.h"
#include "operations.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double bound = 2e-5;

static struct {
    unsigned char *bytes;
    const float *values;
    json_t *header;
} file;
static const struct kernels *tables[KERNEL_TABLES];
static int count_tables;

static void setup(void) {
    unsigned features;
    ck_assert_ok(cpu_features_capped(&features, NULL));
    count_tables = kernels_available(tables, features, ELEMENT_F32);

    FILE *stream = fopen(GOLDEN_FILE, "rb");
    ck_assert_msg(stream != NULL, "%s is missing", GOLDEN_FILE);
    fseek(stream, 0, SEEK_END);
    const long size = ftell(stream);
    rewind(stream);
    file.bytes = malloc((size_t)size);
    ck_assert_int_eq(fread(file.bytes, 1, (size_t)size, stream), size);
    fclose(stream);
    uint64_t length;
    memcpy(&length, file.bytes, sizeof length);
    file.header = json_loadb((char *)file.bytes + sizeof length, length, 0, NULL);
    ck_assert_ptr_nonnull(file.header);
    file.values = (const float *)(file.bytes + sizeof length + length);
}

static void teardown(void) {
    json_decref(file.header);
    free(file.bytes);
}

/* A tensor of the file: (batch, channels, *size), or one axis for parameters and sums. */
struct golden {
    const float *values;
    int rank;
    int64_t shape[5], count;
};

static bool find(struct golden *golden, const char *operation, const char *part) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", operation, part);
    const json_t *entry = json_object_get(file.header, name);
    if (!entry) return false;
    const json_t *shape = json_object_get(entry, "shape");
    const json_int_t offset = json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 0));
    *golden = (struct golden){.values = file.values + offset / 4, .rank = (int)json_array_size(shape), .count = 1};
    for (int a = 0; a < golden->rank; a++) {
        golden->shape[a] = json_integer_value(json_array_get(shape, (size_t)a));
        golden->count *= golden->shape[a];
    }
    return true;
}

static double attribute(const char *operation, const char *name) {
    const char *text = json_string_value(json_object_get(json_object_get(file.header, "__metadata__"), operation));
    json_t *attributes = json_loads(text, 0, NULL);
    const double value = json_number_value(json_object_get(attributes, name));
    json_decref(attributes);
    return value;
}

static struct grid grid_of(const struct golden *golden) {
    struct grid grid = {golden->rank - 2, {1, 1, 1}};
    for (int a = 0; a < grid.ndim; a++) grid.size[3 - grid.ndim + a] = golden->shape[2 + a];
    return grid;
}

/* One image of a tensor, channels last; parameters as they are. */
static struct array image(const struct golden *golden, int64_t number) {
    if (golden->rank < 3) {
        struct array array = array_make(golden->count);
        memcpy(array.data, golden->values, (size_t)golden->count * sizeof(float));
        return array;
    }
    const int64_t channels = golden->shape[1], pixels = golden->count / golden->shape[0] / channels;
    struct array array = array_make(channels * pixels);
    for (int64_t i = 0; i < array.count; i++)
        array.data[i] = golden->values[number * array.count + i % channels * pixels + i / channels];
    return array;
}

static struct array image_named(const char *operation, const char *part, int64_t number) {
    struct golden golden;
    return find(&golden, operation, part) ? image(&golden, number) : (struct array){0};
}

static void compare(const char *isa, const char *operation, const char *part, const float *found, const float *expected,
                    int64_t count) {
    const double error = distance(found, expected, count, 1e-6);
    ck_assert_msg(error <= bound, "%s %s, form %s: %g, bound %g", operation, part, isa, error, bound);
}

/* ---- what the operations of operations.c need beside their inputs */

static void norm_more(struct scene *scene) {
    scene->more[0] = array_make(scene->groups), scene->more[1] = array_make(scene->groups);
}

static void pool_more(struct scene *scene) { scene->more[0] = array_make(scene->out.count); }

static void mov_more(struct scene *scene) {
    const struct mov_shape shape = {scene->grid, scene->channels, scene->heads, scene->radius};
    scene->workspace = workspace_make(mov_workspace(&shape, true));
}

static const struct {
    const char *name, *operation;
    void (*more)(struct scene *scene);
} rows[] = {
    {"group_norm.2d", "norm_act", norm_more},
    {"group_norm.3d", "norm_act", norm_more},
    {"norm_act.2d", "norm_act", norm_more},
    {"norm_act.3d", "norm_act", norm_more},
    {"max_pool2.2d", "max_pool2", pool_more},
    {"max_pool2.3d", "max_pool2", pool_more},
    {"upsample_half_pixel.2d", "upsample", NULL},
    {"upsample_half_pixel.3d", "upsample", NULL},
    {"upsample_corners.2d", "resize_corners", NULL},
    {"upsample_corners.3d", "resize_corners", NULL},
    {"warp_exact.2d", "warp", NULL},
    {"warp_exact.3d", "warp", NULL},
    {"warp_released.2d", "warp", NULL},
    {"warp_released.3d", "warp", NULL},
    {"mov_r1_j1.2d", "mov", mov_more},
    {"mov_r2_j4.2d", "mov", mov_more},
    {"mov_r3_j2.2d", "mov", mov_more},
    {"mov_r1_j1.3d", "mov", mov_more},
    {"mov_r2_j4.3d", "mov", mov_more},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void check_row(const struct kernels *kernels, const char *name, const struct operation *operation,
                      void (*more)(struct scene *scene)) {
    struct golden first, out, parameter;
    ck_assert(find(&first, name, "in0") && find(&out, name, "out"));
    const double slope = attribute(name, "slope");
    struct array summed[INPUTS] = {0}; /* gradients of parameters add up over the batch */
    for (int64_t number = 0; number < first.shape[0]; number++) {
        struct scene scene = {.grid = grid_of(&first),
                              .to = grid_of(&out),
                              .channels = first.shape[1],
                              .slabs = 2,
                              .slope = slope > 0 ? (float)slope : 1,
                              .scale = 1,
                              .groups = (int64_t)attribute(name, "groups"),
                              .heads = (int)attribute(name, "heads"),
                              .radius = (int)attribute(name, "radius"),
                              .coordinates = strstr(name, "released") ? COORDINATES_RELEASED : COORDINATES_EXACT};
        struct array expected[INPUTS] = {0};
        for (int i = 0; i < INPUTS; i++) {
            char part[16];
            snprintf(part, sizeof part, "in%d", i);
            scene.in[i] = image_named(name, part, number);
            snprintf(part, sizeof part, "grad%d", i);
            expected[i] = image_named(name, part, number);
            if (scene.in[i].block) scene.grad[i] = array_make(scene.in[i].count);
        }
        struct array expected_out = image(&out, number);
        scene.out = array_make(expected_out.count), scene.out_grad = image_named(name, "gout", number);
        if (more) more(&scene);
        operation->forward(kernels, &scene);
        operation->backward(kernels, &scene);
        scene_check_guards(&scene, name);
        compare(kernels->isa, name, "out", scene.out.data, expected_out.data, expected_out.count);
        const int shift = scene.channels == 0; /* upsample_more moved the input */
        for (int i = 0; i + shift < INPUTS; i++) {
            const struct array *found = &scene.grad[i + shift];
            char part[16];
            snprintf(part, sizeof part, "grad%d", i);
            if (!expected[i].block) continue;
            ck_assert(find(&parameter, name, part));
            if (parameter.rank > 1) compare(kernels->isa, name, part, found->data, expected[i].data, found->count);
            else {
                if (number == 0) summed[i] = image(&parameter, 0), memset(summed[i].data, 0, (size_t)found->count * 4);
                for (int64_t k = 0; k < found->count; k++) summed[i].data[k] += found->data[k];
                if (number + 1 == first.shape[0]) compare(kernels->isa, name, part, summed[i].data, expected[i].data, found->count);
            }
            array_free(&expected[i]);
        }
        array_free(&expected_out);
        scene_free(&scene);
    }
    for (int i = 0; i < INPUTS; i++) array_free(&summed[i]);
}

START_TEST(forms_agree_with_the_reference) {
    for (int t = 0; t < count_tables; t++) check_row(tables[t], rows[_i].name, operation_named(rows[_i].operation), rows[_i].more);
}
END_TEST

/* A leaky ReLU is a normalisation with mean 0, rstd 1, gamma 1 and beta 0. */
START_TEST(leaky_relu_agrees_with_the_reference) {
    const char *name = _i ? "leaky_relu.3d" : "leaky_relu.2d";
    struct golden first;
    ck_assert(find(&first, name, "in0"));
    const float zero[3] = {0}, one[3] = {1, 1, 1};
    const struct norm_load norm = {one, zero, (float)attribute(name, "slope")};
    for (int t = 0; t < count_tables; t++)
        for (int number = 0; number < 2; number++) {
            struct array x = image(&first, number), y = array_make(x.count), expected = image_named(name, "out", number);
            tables[t]->norm_apply(y.data, x.data, &norm, first.count / 6, 3, 0, 1);
            compare(tables[t]->isa, name, "out", y.data, expected.data, x.count);
            array_free(&x), array_free(&y), array_free(&expected);
        }
}
END_TEST

/* The losses are sums over the whole batch, divided by its valid pixels. */
static void check_loss(const struct kernels *kernels, const char *name, bool cosine) {
    struct golden first, golden_mask, out, grad[2], out_grad;
    ck_assert(find(&first, name, "in0") && find(&golden_mask, name, "mask") && find(&out, name, "out"));
    ck_assert(find(&grad[0], name, "grad0") && find(&out_grad, name, "gout"));
    double valid = 0, sum = 0;
    for (int64_t i = 0; i < golden_mask.count; i++) valid += golden_mask.values[i];
    const int64_t channels = first.shape[1], pixels = first.count / first.shape[0] / channels;
    for (int64_t number = 0; number < first.shape[0]; number++) {
        struct array a = image(&first, number), b = image_named(name, cosine ? "in1" : "truth", number);
        struct array mask = image(&golden_mask, number), da = array_make(a.count), db = array_make(a.count);
        if (cosine) {
            sum += kernels->cosine_sum(a.data, b.data, mask.data, pixels, channels, 0, 1);
            kernels->cosine_sum_grad(da.data, db.data, a.data, b.data, mask.data, pixels, channels, 1, 0, 1);
        } else {
            sum += kernels->vector_loss(a.data, b.data, mask.data, pixels, (int)channels, 0, 1);
            kernels->vector_loss_grad(da.data, a.data, b.data, mask.data, pixels, (int)channels, 0, 1);
        }
        for (int i = 0; i < 1 + cosine; i++) {
            struct array expected = image_named(name, i ? "grad1" : "grad0", number), *found = i ? &db : &da;
            for (int64_t k = 0; k < found->count; k++) found->data[k] *= (float)(out_grad.values[0] / valid);
            compare(kernels->isa, name, i ? "grad1" : "grad0", found->data, expected.data, expected.count);
            array_free(&expected);
        }
        array_free(&a), array_free(&b), array_free(&mask), array_free(&da), array_free(&db);
    }
    const float loss = (float)(cosine ? 1 - sum / valid : sum / valid);
    compare(kernels->isa, name, "out", &loss, out.values, 1);
}

START_TEST(losses_agree_with_the_reference) {
    static const char *const names[] = {"vector_loss.2d", "vector_loss.3d", "consistency_loss.2d", "consistency_loss.3d"};
    for (int t = 0; t < count_tables; t++) check_loss(tables[t], names[_i], _i >= 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels against the reference");
    TCase *tcase = tcase_create("golden");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, forms_agree_with_the_reference, 0, ROWS);
    tcase_add_loop_test(tcase, leaky_relu_agrees_with_the_reference, 0, 2);
    tcase_add_loop_test(tcase, losses_agree_with_the_reference, 0, 4);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
