/* Convolutions of the CUDA module over the double of cuDNN: every form and choice against the formula, summed in double; plans
 * that are shared; engines that must not be taken; calls that fail in turn; capture into a graph. */
#include "device_array.h"

#include "cuda/conv.h"
#include "cuda/cudnn.h"

#include <math.h>
#include <stdio.h>

static cover_context *context;
static struct device device;

cover_status cuda_check(cuda_error error, const char *what) {
    if (error == cudaSuccess) return COVER_OK;
    return fail(COVER_ERROR_DEVICE, "%s: %s; %s", what, cudaGetErrorString((cudaError_t)error), cudasim_message());
}

static void setup(void) {
    cudasim_reset();
    cudasim_cudnn_refuse(0);
    cudasim_cudnn_fail(0, CUDNN_STATUS_SUCCESS);
    ck_assert_ok(cover_context_create(&context, NULL));
    device = (struct device){.context = context, .name = "a device", .memory_bytes = 1 << 30, .deterministic = true};
    if (!EMULATED) {
        struct cudaDeviceProp properties;
        ck_cuda(cudaGetDeviceProperties(&properties, 0));
        device.capability = 10 * properties.major + properties.minor, device.processors = properties.multiProcessorCount;
    }
    ck_assert_ok(cudnn_create(&device.cudnn, &device));
}
static void teardown(void) {
    cudnn_destroy(device.cudnn);
    cover_context_destroy(context);
    ck_assert_int_eq(cudasim_cudnn_alive(), 0);
}

/* ---- a convolution with all its operands, on the host and on the device */

enum { X, X2, WEIGHTS, BIAS, NORM, NORM2, DY, OPERANDS };
struct trial {
    struct cuda_conv_shape shape;
    int64_t count[OPERANDS];
    float *host[OPERANDS]; /* rounded to their element */
    struct device_array on[OPERANDS];
    bool normed[CUDA_CONV_SOURCES];
    float slope;
    double *x; /* both sources, normalised */
};

static int64_t pixels_of(const struct trial *t) { return grid_pixels(&t->shape.grid); }
static int64_t taps_of(const struct trial *t) { return t->shape.kernel == 1 ? 1 : t->shape.grid.ndim == 2 ? 9 : 27; }
static int64_t first_of(const struct trial *t) { return t->shape.c_in - t->shape.c_second; }

static void fill_operand(struct trial *t, int which, int64_t count, enum element element, struct random_stream *random,
                         float scale) {
    float *values = random_floats(random, count, scale);
    void *elements = as_elements(values, count, element);
    for (int64_t i = 0; i < count; i++) values[i] = element_at(elements, i, element);
    t->count[which] = count, t->host[which] = values;
    t->on[which] = device_array(elements, (size_t)count * element_bytes(element));
    free(elements);
}

static void join(struct trial *t) {
    const int64_t rows = t->shape.images * pixels_of(t), first = first_of(t), channels[] = {first, t->shape.c_second};
    t->x = malloc((size_t)(rows * t->shape.c_in) * sizeof *t->x);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < t->shape.c_in; c++) {
            const int source = c >= first;
            const int64_t own = source ? c - first : c, width = channels[source];
            const float *n = t->host[NORM + source] + row / pixels_of(t) * 2 * width;
            double x = (double)t->host[X + source][row * width + own];
            if (t->normed[source]) x = x * (double)n[own] + (double)n[width + own], x = x > 0 ? x : x * (double)t->slope;
            t->x[row * t->shape.c_in + c] = x;
        }
}

static struct trial trial(const struct cuda_conv_shape *shape, struct random_stream *random) {
    struct trial t = {.shape = *shape, .normed = {shape->normed, shape->normed && pick(random, 0, 1)}, .slope = 0.2f};
    const int64_t rows = shape->images * pixels_of(&t);
    fill_operand(&t, X, rows * first_of(&t), shape->x, random, 1);
    fill_operand(&t, X2, rows * shape->c_second, shape->x, random, 1);
    fill_operand(&t, WEIGHTS, shape->c_out * shape->c_in * taps_of(&t), ELEMENT_F32, random, 1);
    fill_operand(&t, BIAS, shape->c_out, ELEMENT_F32, random, 1);
    fill_operand(&t, NORM, shape->images * 2 * first_of(&t), ELEMENT_F32, random, 1);
    fill_operand(&t, NORM2, shape->images * 2 * shape->c_second, ELEMENT_F32, random, 1);
    fill_operand(&t, DY, rows * shape->c_out, shape->y, random, 1);
    join(&t);
    return t;
}
static void trial_free(struct trial *t) {
    for (int i = 0; i < OPERANDS; i++) device_release(&t->on[i]), free(t->host[i]);
    free(t->x);
}

/* ---- the formula: y(p, o) = bias(o) + sum over taps k and channels i of x(p + k, i) w(o, i, k) */

static int64_t neighbour(const struct trial *t, int64_t pixel, int64_t tap) {
    if (t->shape.kernel == 1) return pixel;
    const int64_t *size = t->shape.grid.size;
    const int64_t x = pixel % size[2] + tap % 3 - 1, y = pixel / size[2] % size[1] + tap / 3 % 3 - 1;
    const int64_t z = pixel / size[2] / size[1] + (t->shape.grid.ndim == 3 ? tap / 9 - 1 : 0);
    const bool inside = x >= 0 && x < size[2] && y >= 0 && y < size[1] && z >= 0 && z < size[0];
    return inside ? (z * size[1] + y) * size[2] + x : -1;
}
struct sums {
    double *y, *dx, *dw, *db;
};
static struct sums formula(const struct trial *t) {
    const struct cuda_conv_shape *s = &t->shape;
    const int64_t pixels = pixels_of(t), rows = s->images * pixels, taps = taps_of(t);
    struct sums sums = {calloc((size_t)(rows * s->c_out), 8), calloc((size_t)(rows * s->c_in), 8),
                        calloc((size_t)t->count[WEIGHTS], 8), calloc((size_t)s->c_out, 8)};
    for (int64_t row = 0; row < rows; row++)
        for (int64_t o = 0; o < s->c_out; o++) {
            const double dy = (double)t->host[DY][row * s->c_out + o];
            double *y = &sums.y[row * s->c_out + o];
            *y = s->bias ? (double)t->host[BIAS][o] : 0;
            sums.db[o] += dy;
            for (int64_t k = 0; k < taps; k++) {
                const int64_t at = neighbour(t, row % pixels, k), from = row - row % pixels + at;
                for (int64_t i = 0; i < s->c_in && at >= 0; i++) {
                    const int64_t w = (o * s->c_in + i) * taps + k;
                    *y += t->x[from * s->c_in + i] * (double)t->host[WEIGHTS][w];
                    sums.dx[from * s->c_in + i] += dy * (double)t->host[WEIGHTS][w];
                    sums.dw[w] += dy * t->x[from * s->c_in + i];
                }
            }
        }
    return sums;
}
static void sums_free(struct sums *sums) { free(sums->y), free(sums->dx), free(sums->dw), free(sums->db); }

/* `channels` of `all`, from `first` on, against what a device array holds. */
static void expect(const double *all, int64_t rows, int64_t width, int64_t first, int64_t channels,
                   const struct device_array *found, enum element element, bool half, const char *what) {
    float *part = malloc((size_t)(rows * channels) * sizeof *part + 1);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < channels; c++) part[row * channels + c] = (float)all[row * width + first + c];
    void *expected = as_elements(part, rows * channels, element), *data = fetched(found);
    const double exact = EMULATED ? 1e-5 : 1e-4; /* engines of cuDNN may be Winograd's */
    check_close(data, expected, rows * channels, element, half ? 0.02 : exact, what);
    free(part), free(expected), free(data);
}

/* ---- all passes */

struct results {
    struct device_array y, dx, dx2, dw, db, packed, workspace;
};
static struct results results(const struct trial *t, const struct cuda_conv *conv) {
    const struct cuda_conv_shape *s = &t->shape;
    const size_t rows = (size_t)(s->images * pixels_of(t));
    return (struct results){.y = device_array(NULL, rows * (size_t)s->c_out * element_bytes(s->y)),
                            .dx = device_array(NULL, rows * (size_t)first_of(t) * element_bytes(s->x)),
                            .dx2 = device_array(NULL, rows * (size_t)s->c_second * element_bytes(s->x)),
                            .dw = device_array(NULL, (size_t)t->count[WEIGHTS] * sizeof(float)),
                            .db = device_array(NULL, (size_t)s->c_out * sizeof(float)),
                            .packed = device_array(NULL, cuda_conv_packed_bytes(conv)),
                            .workspace = device_array(NULL, cuda_conv_workspace_bytes(conv))};
}
static void results_free(struct results *r) {
    device_release(&r->y), device_release(&r->dx), device_release(&r->dx2), device_release(&r->dw), device_release(&r->db);
    device_release(&r->packed), device_release(&r->workspace);
}

static cover_status run_passes(const struct trial *t, const struct cuda_conv *conv, struct results *r, cuda_stream stream) {
    const struct cuda_norm norms[] = {{on_device(&t->on[NORM]), t->slope}, {on_device(&t->on[NORM2]), t->slope}};
    const struct cuda_conv_source x[CUDA_CONV_SOURCES] = {{on_device(&t->on[X]), t->normed[0] ? &norms[0] : NULL},
                                                          {on_device(&t->on[X2]), t->normed[1] ? &norms[1] : NULL}};
    void *const dx[CUDA_CONV_SOURCES] = {on_device(&r->dx), t->shape.c_second ? on_device(&r->dx2) : NULL};
    TRY(cuda_conv_pack(conv, stream, on_device(&r->packed), on_device(&t->on[WEIGHTS])));
    TRY(cuda_conv_forward(conv, stream, on_device(&r->y), x, on_device(&r->packed), t->shape.bias ? on_device(&t->on[BIAS]) : NULL,
                          on_device(&r->workspace)));
    TRY(cuda_conv_grad_data(conv, stream, dx, on_device(&t->on[DY]), on_device(&r->packed), on_device(&r->workspace)));
    return cuda_conv_grad_weights(conv, stream, on_device(&r->dw), on_device(&r->db), x, on_device(&t->on[DY]),
                                  on_device(&r->workspace));
}

static void check_results(const struct trial *t, const struct results *r) {
    const struct cuda_conv_shape *s = &t->shape;
    const int64_t rows = s->images * pixels_of(t);
    const bool half = s->x == ELEMENT_BF16 || s->y == ELEMENT_BF16;
    struct sums sums = formula(t);
    expect(sums.y, rows, s->c_out, 0, s->c_out, &r->y, s->y, half, "y");
    expect(sums.dx, rows, s->c_in, 0, first_of(t), &r->dx, s->x, half, "dx");
    expect(sums.dx, rows, s->c_in, first_of(t), s->c_second, &r->dx2, s->x, half, "dx of the second source");
    expect(sums.dw, 1, t->count[WEIGHTS], 0, t->count[WEIGHTS], &r->dw, ELEMENT_F32, half, "dweights");
    expect(sums.db, 1, s->c_out, 0, s->c_out, &r->db, ELEMENT_F32, false, "dbias");
    sums_free(&sums);
    free(fetched(&r->packed)), free(fetched(&r->workspace)); /* their guards */
}

static void check_conv(const struct cuda_conv_shape *shape, struct random_stream *random) {
    struct trial t = trial(shape, random);
    struct cuda_conv *conv;
    ck_assert_ok(cuda_conv_create(&conv, &device, shape));
    struct results r = results(&t, conv);
    ck_assert_ok(run_passes(&t, conv, &r, NULL));
    check_results(&t, &r);
    results_free(&r);
    cuda_conv_destroy(conv);
    trial_free(&t);
}

/* ---- random shapes */

static struct cuda_conv_shape random_shape(struct random_stream *random) {
    static const enum element elements[][2] = {
        {ELEMENT_F32, ELEMENT_F32}, {ELEMENT_BF16, ELEMENT_BF16}, {ELEMENT_BF16, ELEMENT_F32}, {ELEMENT_F32, ELEMENT_BF16}};
    const int ndim = pick(random, 2, 3), most = ndim == 2 ? 9 : 5, pair = pick(random, 0, 3);
    struct cuda_conv_shape s = {
        .grid = {ndim, {ndim == 2 ? 1 : pick(random, 1, most), pick(random, 1, most), pick(random, 1, most)}},
        .images = pick(random, 1, 3),
        .c_out = pick(random, 1, 20),
        .kernel = pick(random, 0, 1) ? 3 : 1,
        .x = elements[pair][0],
        .y = elements[pair][1],
        .normed = pick(random, 0, 1),
        .bias = pick(random, 0, 1),
        .forward = true,
        .grad_data = true,
        .grad_weights = true};
    s.c_second = pick(random, 0, 1) ? pick(random, 1, 12) : 0;
    s.c_in = s.c_second + pick(random, 1, 12);
    if (pick(random, 0, 1)) /* whole vectors of channels */
        s.c_second = (s.c_second + 7) / 8 * 8, s.c_in = s.c_second + 8 * pick(random, 1, 2), s.c_out = 8 * pick(random, 1, 2);
    return s;
}

START_TEST(any_shape_in_any_form_is_the_formula) {
    static const unsigned refusals[] = {0,
                                        CUDASIM_CUDNN_FLOAT_GRADIENTS,
                                        CUDASIM_CUDNN_ODD_CHANNELS,
                                        CUDASIM_CUDNN_MIXED,
                                        CUDASIM_CUDNN_HALF,
                                        CUDASIM_CUDNN_BIAS,
                                        CUDASIM_CUDNN_BIAS | CUDASIM_CUDNN_ODD_CHANNELS};
    struct random_stream random = random_stream(7, RANDOM_TEST, 0, (uint32_t)_i);
    cudasim_cudnn_refuse(refusals[_i]);
    cudasim_seed((uint64_t)_i);
    for (int i = 0; i < 12; i++) {
        const struct cuda_conv_shape shape = random_shape(&random);
        check_conv(&shape, &random);
    }
}
END_TEST

/* ---- the choice */

static const struct cuda_conv_shape usual = {.grid = {2, {1, 6, 5}},
                                             .images = 2,
                                             .c_in = 16,
                                             .c_out = 8,
                                             .kernel = 3,
                                             .x = ELEMENT_BF16,
                                             .y = ELEMENT_BF16,
                                             .bias = true,
                                             .forward = true,
                                             .grad_data = true,
                                             .grad_weights = true};

static void expect_choice(const struct cuda_conv_shape *shape, unsigned refusals, const char *forward, const char *data,
                          const char *weights) {
    struct cuda_conv *conv;
    char text[512], wanted[512];
    cudnn_destroy(device.cudnn); /* and all plans */
    cudasim_cudnn_refuse(refusals);
    ck_assert_ok(cudnn_create(&device.cudnn, &device));
    ck_assert_ok(cuda_conv_create(&conv, &device, shape));
    cuda_conv_describe(conv, text, sizeof text);
    snprintf(wanted, sizeof wanted,
             "convolution 2D %d -> %d, kernel %d; forward: %s; gradient of the data: %s; gradient of the weights: %s",
             (int)shape->c_in, (int)shape->c_out, shape->kernel, forward, data, weights);
    ck_assert_str_eq(text, wanted);
    cuda_conv_destroy(conv);
}

START_TEST(the_first_form_that_has_an_engine_serves) {
#define HALF "engine 22, tensor cores, 0.0 MiB"
#define FLOAT "engine 28, 0.0 MiB"
    struct cuda_conv_shape odd = usual, mixed = usual, floats = usual;
    odd.c_out = 5;
    mixed.y = ELEMENT_F32, mixed.kernel = 1;
    floats.x = floats.y = ELEMENT_F32;
    expect_choice(&usual, 0, "as it is (" HALF ")", "as it is (" HALF ")", "as it is (" HALF ")");
    expect_choice(&usual, CUDASIM_CUDNN_FLOAT_GRADIENTS, "as it is (" HALF ")", "as it is (" HALF ")",
                  "as it is (" HALF ", written in bf16)");
    expect_choice(&usual, CUDASIM_CUDNN_BIAS, "as it is (" HALF ", bias added behind)", "as it is (" HALF ")",
                  "as it is (" HALF ")");
    expect_choice(&odd, CUDASIM_CUDNN_ODD_CHANNELS, "padded channels (" HALF ")", "padded channels (" HALF ")",
                  "padded channels (" HALF ")");
    expect_choice(&mixed, CUDASIM_CUDNN_MIXED, "float32 (" FLOAT ")", "as it is (" HALF ")",
                  "as it is (" HALF ", written in bf16)");
    expect_choice(&usual, CUDASIM_CUDNN_HALF, "float32 (" FLOAT ")", "float32 (" FLOAT ")", "float32 (" FLOAT ")");
    expect_choice(&mixed, 0, "as it is (" HALF ")", "as it is (" HALF ")", "as it is (" HALF ")");
    expect_choice(&floats, CUDASIM_CUDNN_HALF, "as it is (" FLOAT ")", "as it is (" FLOAT ")", "as it is (" FLOAT ")");
}
END_TEST

START_TEST(rounding_and_chance_are_taken_where_they_are_allowed_alone) {
    struct cuda_conv_shape floats = usual;
    floats.x = floats.y = ELEMENT_F32;
    device.deterministic = false;
#define CHANCE "as it is (engine 8, tensor cores, 0.0 MiB)"
    expect_choice(&usual, 0, CHANCE, CHANCE, CHANCE);
#define CHANCE_FLOAT "as it is (engine 20, 0.0 MiB)"
    expect_choice(&floats, 0, CHANCE_FLOAT, CHANCE_FLOAT, CHANCE_FLOAT);
    device.tf32 = true;
#define ROUNDED "as it is (engine 48, tensor cores, 0.0 MiB)"
    expect_choice(&floats, 0, ROUNDED, ROUNDED, ROUNDED);
    device.memory_bytes = 8 * 3999; /* engine 48 wants 4000 bytes */
    expect_choice(&floats, 0, CHANCE_FLOAT, CHANCE_FLOAT, CHANCE_FLOAT);
    device.deterministic = true, device.memory_bytes = 8; /* nothing but the fallback is left */
#define FALLBACK "as it is (engine 0, 0.0 MiB)"
    expect_choice(&floats, 0, FALLBACK, FALLBACK, FALLBACK);
}
END_TEST

/* The fallback has no workspace, so it does not split its sums: with 108 processors few weights are not left to it. */
START_TEST(a_gradient_of_few_weights_keeps_the_chip_busy) {
    struct cuda_conv_shape many = usual;
    many.c_in = 1024, many.c_out = 256;
    device.memory_bytes = 8, device.processors = 108;
    expect_choice(&usual, 0, FALLBACK, FALLBACK, "as it is (engine 0, 0.0 MiB, written in bf16)");
    expect_choice(&many, 0, FALLBACK, FALLBACK, FALLBACK);
}
END_TEST

START_TEST(no_engine_at_all_is_a_plain_error) {
    struct cuda_conv *conv = NULL;
    cudasim_cudnn_refuse(CUDASIM_CUDNN_ALL);
    ck_assert_int_eq(cuda_conv_create(&conv, &device, &usual), COVER_ERROR_UNSUPPORTED);
    ck_assert_ptr_null(conv);
    ck_assert_str_eq(cover_error_text(),
                     "cuDNN 9.19.0 has no engine on a device for a convolution's forward: 2D, 2 images of 1 x 6 x 5 "
                     "pixels, 16 -> 8 channels, kernel 3, bf16, deterministic; use another precision or use device=cpu");
}
END_TEST

START_TEST(convolutions_of_one_shape_share_their_plans) {
    struct cuda_conv *conv[3];
    struct cuda_conv_shape other = usual;
    other.images = 3;
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(cuda_conv_create(&conv[i], &device, &usual));
        ck_assert_int_eq(cudnn_plans(device.cudnn), 3);
    }
    ck_assert_ok(cuda_conv_create(&conv[2], &device, &other));
    ck_assert_int_eq(cudnn_plans(device.cudnn), 6);
    for (int i = 0; i < 3; i++) cuda_conv_destroy(conv[i]);
}
END_TEST

START_TEST(passes_that_nobody_wants_are_not_prepared) {
    struct cuda_conv *conv;
    struct cuda_conv_shape forward = usual;
    void *const dx[CUDA_CONV_SOURCES] = {NULL};
    forward.grad_data = forward.grad_weights = false;
    ck_assert_ok(cuda_conv_create(&conv, &device, &forward));
    ck_assert_int_eq(cudnn_plans(device.cudnn), 1);
    ck_assert_int_eq(cuda_conv_grad_data(conv, NULL, dx, NULL, NULL, NULL), COVER_ERROR_INTERNAL);
    cuda_conv_destroy(conv);
}
END_TEST

START_TEST(sizes_that_make_no_sense_are_refused) {
    struct cuda_conv *conv = NULL;
    const struct cuda_conv_shape good = usual;
    struct cuda_conv_shape bad[8];
    for (int i = 0; i < 8; i++) bad[i] = good;
    bad[0].images = 0, bad[1].c_in = 0, bad[2].c_out = -1, bad[3].kernel = 2, bad[4].grid.size[1] = 0, bad[5].c_second = 16;
    bad[6].grid.size[0] = 2 /* in 2D */, bad[7].c_in = (int64_t)1 << 40;
    for (int i = 0; i < 8; i++) ck_assert_int_eq(cuda_conv_create(&conv, &device, &bad[i]), COVER_ERROR_SHAPE);
    ck_assert_ptr_null(conv);
}
END_TEST

/* ---- faults */

START_TEST(memory_of_the_host_is_refused) {
    struct random_stream random = random_stream(1, RANDOM_TEST, 0, 1);
    struct cuda_conv_shape shape = usual;
    shape.bias = false;
    struct trial t = trial(&shape, &random);
    struct cuda_conv *conv;
    static _Alignas(16) bf16 y[2 * 6 * 5 * 8];
    ck_assert_ok(cuda_conv_create(&conv, &device, &shape));
    struct results r = results(&t, conv);
    const struct cuda_conv_source x[CUDA_CONV_SOURCES] = {{on_device(&t.on[X]), NULL}};
    ck_assert_int_eq(cuda_conv_forward(conv, NULL, y, x, on_device(&r.packed), NULL, on_device(&r.workspace)), COVER_ERROR_DEVICE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "y, 960 bytes, is not in device memory"));
    results_free(&r);
    cuda_conv_destroy(conv);
    trial_free(&t);
}
END_TEST

/* Every call of cuDNN fails in turn.  Memory is always an error; another fault may only mean another engine, with the same
 * results. */
START_TEST(every_call_of_cudnn_may_fail) {
    const cudnnStatus_t fault = _i ? CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED : CUDNN_STATUS_NOT_SUPPORTED;
    struct random_stream random = random_stream(2, RANDOM_TEST, 0, 1);
    struct trial t = trial(&usual, &random);
    cudnn_destroy(device.cudnn), device.cudnn = NULL;
    for (int call = 1;; call++) {
        struct cuda_conv *conv = NULL;
        struct results r = {0};
        cudasim_cudnn_fail(call, fault);
        cover_status status;
        GO(cudnn_create(&device.cudnn, &device));
        GO(cuda_conv_create(&conv, &device, &usual));
        r = results(&t, conv);
        GO(run_passes(&t, conv, &r, NULL));
        check_results(&t, &r);
    done:
        if (status != COVER_OK) ck_assert_int_eq(status, _i ? COVER_ERROR_MEMORY : COVER_ERROR_UNSUPPORTED);
        const bool reached = cudasim_cudnn_calls() >= call;
        if (_i) ck_assert(reached == (status != COVER_OK));
        ck_cuda(cudaDeviceSynchronize());
        results_free(&r);
        cuda_conv_destroy(conv);
        cudnn_destroy(device.cudnn), device.cudnn = NULL;
        ck_assert_int_eq(cudasim_cudnn_alive(), 0);
        if (!reached) break;
    }
    trial_free(&t);
}
END_TEST

/* And every call of the runtime: launches and what cuDNN puts into the stream. */
START_TEST(every_launch_may_fail) {
    struct random_stream random = random_stream(4, RANDOM_TEST, 0, 1);
    struct cuda_conv_shape shape = usual;
    struct cuda_conv *conv;
    cudasim_cudnn_refuse(CUDASIM_CUDNN_ODD_CHANNELS | CUDASIM_CUDNN_BIAS);
    shape.c_out = 5, shape.c_second = 3, shape.normed = true;
    struct trial t = trial(&shape, &random);
    ck_assert_ok(cuda_conv_create(&conv, &device, &shape));
    struct results r = results(&t, conv);
    cover_status status = COVER_ERROR_DEVICE;
    for (int call = 1; status != COVER_OK; call++) {
        cudasim_fail_at((uint64_t)call, cudaErrorLaunchOutOfResources);
        status = run_passes(&t, conv, &r, NULL);
        ck_assert(cudasim_calls() >= (uint64_t)call ? status == COVER_ERROR_DEVICE : status == COVER_OK);
        cudasim_fail_at(0, cudaSuccess);
    }
    check_results(&t, &r);
    results_free(&r);
    cuda_conv_destroy(conv);
    trial_free(&t);
}
END_TEST

/* ---- streams */

START_TEST(a_captured_convolution_can_be_played_again) {
    struct random_stream random = random_stream(3, RANDOM_TEST, 0, 1);
    struct trial t = trial(&usual, &random);
    struct cuda_conv *conv;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    ck_assert_ok(cuda_conv_create(&conv, &device, &usual));
    struct results r = results(&t, conv);
    ck_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ck_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    ck_assert_ok(run_passes(&t, conv, &r, stream));
    ck_cuda(cudaStreamEndCapture(stream, &graph));
    ck_cuda(cudaGraphInstantiate(&exec, graph, 0));
    for (int play = 0; play < 2; play++) {
        ck_cuda(cudaMemset(on_device(&r.y), 0xff, r.y.bytes));
        ck_cuda(cudaDeviceSynchronize());
        ck_cuda(cudaGraphLaunch(exec, stream));
        ck_cuda(cudaStreamSynchronize(stream));
        check_results(&t, &r);
    }
    ck_cuda(cudaGraphExecDestroy(exec));
    ck_cuda(cudaGraphDestroy(graph));
    ck_cuda(cudaStreamDestroy(stream));
    results_free(&r);
    cuda_conv_destroy(conv);
    trial_free(&t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda: convolutions");
    TCase *tcase = tcase_create("cuDNN");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, any_shape_in_any_form_is_the_formula, 0, 7);
    ADD_EMULATED(tcase, the_first_form_that_has_an_engine_serves);
    ADD_EMULATED(tcase, rounding_and_chance_are_taken_where_they_are_allowed_alone);
    ADD_EMULATED(tcase, a_gradient_of_few_weights_keeps_the_chip_busy);
    ADD_EMULATED(tcase, no_engine_at_all_is_a_plain_error);
    ADD(tcase, convolutions_of_one_shape_share_their_plans);
    ADD(tcase, passes_that_nobody_wants_are_not_prepared);
    ADD(tcase, sizes_that_make_no_sense_are_refused);
    ADD_EMULATED(tcase, memory_of_the_host_is_refused);
    ADD_EMULATED_LOOP(tcase, every_call_of_cudnn_may_fail, 0, 2);
    ADD_EMULATED(tcase, every_launch_may_fail);
    ADD(tcase, a_captured_convolution_can_be_played_again);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
