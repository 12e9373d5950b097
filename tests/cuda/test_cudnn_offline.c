/* The real cuDNN, without a GPU: it plans for a device that is only described to it (9.8 and later).  Every convolution of the
 * networks must find engines on each target, so must the descriptors pass cuDNN's own checks.  Engines that are compiled at run
 * time need a driver and are missing here, so a GPU has more to choose from.  Exit 77 (skipped) where there is no such cuDNN. */
#include "../check_main.h"

#include "core/method/cover.h"
#include "cuda/conv.h"
#include "cuda/cudnn.h"
#include "cuda/library.h"

#include <dlfcn.h>
#include <libcover/config.h>
#include <stdio.h>
#include <string.h>

enum { SKIPPED = 77, DESCRIBES_DEVICES = 90800 };

static cover_context *context;
static void setup(void) { ck_assert_ok(cover_context_create(&context, NULL)); }
static void teardown(void) { cover_context_destroy(context); }

/* conv.c's neighbours; nothing runs here. */
cover_status cuda_check(cuda_error error, const char *what) {
    return error ? fail(COVER_ERROR_INTERNAL, "%s ran", what) : COVER_OK;
}
#define NEVER(name, ...)                                                                                                           \
    cuda_error name(__VA_ARGS__);                                                                                                  \
    cuda_error name(__VA_ARGS__) { return 1; }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
NEVER(cuda_join, cuda_stream a, void *b, enum element c, int64_t d, int64_t e, int64_t f, const void *g, enum element h,
      const struct cuda_norm *i, int j, int64_t k, int64_t l)
NEVER(cuda_split, cuda_stream a, void *b, enum element c, int64_t d, const void *e, enum element f, int64_t g, int64_t h, int64_t i)
NEVER(cuda_pack_weights, cuda_stream a, void *b, enum element c, int64_t d, int64_t e, const float *f, int64_t g, int64_t h, int i)
NEVER(cuda_unpack_weights, cuda_stream a, float *b, int64_t c, int64_t d, int e, const void *f, enum element g, int64_t h,
      int64_t i)
NEVER(cuda_add_bias, cuda_stream a, void *b, enum element c, const float *d, int64_t e, int64_t f)
NEVER(cuda_bias_grad, cuda_stream a, float *b, const void *c, enum element d, int64_t e, int64_t f, void *g)
size_t cuda_bias_grad_workspace(int64_t rows, int64_t channels) { return (size_t)(rows > channels); }
#pragma GCC diagnostic pop

/* ---- devices */

static const struct target {
    const char *name;
    int capability, processors, shared_bytes;
    uint64_t memory_bytes;
} targets[] = {{"A100", 80, 108, 166912, 80ull << 30},
               {"H100", 90, 132, 232448, 80ull << 30},
               {"B200", 100, 148, 232448, 180ull << 30},
               {"RTX 5090", 120, 170, 101376, 32ull << 30}};
enum { TARGETS = sizeof targets / sizeof *targets };

static void open_target(struct device *device, const struct target *target) {
    char json[1024];
    snprintf(json, sizeof json,
             "{\"maxGridSize\": [2147483647, 65535, 65535], \"maxBlockSize\": [1024, 1024, 64], \"regsPerBlock\": 65536, "
             "\"multiProcessorCount\": %d, \"warpSize\": 32, \"maxSharedMemoryPerBlock\": 49152, "
             "\"maxSharedMemoryPerBlockOptin\": %d, \"reservedSharedMemoryPerBlock\": 1024, \"maxRegistersPerSM\": 65536, "
             "\"maxCtasPerSM\": 32, \"maxThreadsPerBlock\": 1024, \"maxThreadsPerSM\": %d, \"pciDeviceId\": 0, \"isTccDriver\": 0, "
             "\"supportCoopLaunch\": 1, \"totalGlobalMem\": %llu, \"smClockRateKHz\": 1410000, \"memClockRateKHz\": 1215000, "
             "\"l2CacheSize\": 41943040, \"cudaDeviceId\": 0, \"deviceVer\": %d, \"driverVer\": 13000, \"deviceName\": \"%s\"}",
             target->processors, target->shared_bytes, target->capability == 120 ? 1536 : 2048,
             (unsigned long long)target->memory_bytes, 10 * target->capability, target->name);
    *device = (struct device){.context = context,
                              .capability = target->capability,
                              .processors = target->processors,
                              .memory_bytes = target->memory_bytes,
                              .deterministic = true};
    snprintf(device->name, sizeof device->name, "%s", target->name);
    ck_assert_ok(cudnn_create_offline(&device->cudnn, context, json, device));
}

/* ---- the convolutions of a network, with all their gradients */

static struct cuda_conv_shape shape_of(const struct graph *graph, const struct node *node, int samples) {
    const struct tensor *x = &graph->tensors[node->input[0]], *y = &graph->tensors[node->output[0]];
    const struct parameter *weights = &graph->parameters->rows[graph->tensors[node->input[1]].index];
    return (struct cuda_conv_shape){.grid = x->grid,
                                    .images = x->images * samples,
                                    .c_in = weights->shape[1],
                                    .c_out = weights->shape[0],
                                    .c_second = node->input[3] == ABSENT ? 0 : graph->tensors[node->input[3]].channels,
                                    .kernel = weights->shape[2] == 1 ? 1 : 3,
                                    .x = x->element,
                                    .y = y->element,
                                    .normed = true,
                                    .bias = node->input[2] != ABSENT,
                                    .forward = true,
                                    .grad_data = true,
                                    .grad_weights = true};
}

static void plan_network(struct device *device, const char *preset, const char *precision, int samples) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, preset));
    ck_assert_ok(cover_config_set(config, "precision", precision));
    const struct settings *settings = config_settings(config);
    const struct grid grid = settings_grid(&settings->views.crop, settings->network.dims);
    struct model model = {0};
    ck_assert_ok(pair_model(&model, context, settings, &grid));
    int convolutions = 0;
    for (int n = 0; n < model.graph.node_count; n++) {
        const struct node *node = &model.graph.nodes[n];
        if (node->op != OP_conv) continue;
        const struct cuda_conv_shape shape = shape_of(&model.graph, node, samples);
        struct cuda_conv *conv;
        char text[512];
        ck_assert_ok(cuda_conv_create(&conv, device, &shape));
        cuda_conv_describe(conv, text, sizeof text);
        if (getenv("COVER_SHOW_PLANS")) printf("%s %s %s: %s\n", device->name, preset, precision, text);
        if (shape.x == ELEMENT_BF16 && shape.y == ELEMENT_BF16)
            ck_assert_msg(!strstr(text, "float32"), "bfloat16 is multiplied as float32: %s", text);
        cuda_conv_destroy(conv);
        convolutions++;
    }
    ck_assert_int_gt(convolutions, 10);
    model_free(&model);
    cover_config_destroy(config);
}

START_TEST(each_convolution_of_the_networks_has_engines_on_each_target) {
    struct device device;
    open_target(&device, &targets[_i]);
    plan_network(&device, "paper-2d", "bf16", 12);
    plan_network(&device, "paper-2d", "fp32", 12);
    plan_network(&device, "paper-3d", "bf16", 2);
    plan_network(&device, "paper-3d", "fp32", 2);
    cudnn_destroy(device.cudnn);
}
END_TEST

/* Heads of tasks have a channel a class, images of inference any size and number. */
START_TEST(odd_channels_and_sizes_have_engines) {
    static const int64_t classes[] = {1, 2, 5, 14};
    struct device device;
    open_target(&device, &targets[_i]);
    for (int ndim = 2; ndim <= 3; ndim++)
        for (size_t i = 0; i < 4 * sizeof classes / sizeof *classes; i++) {
            const bool head = i % 2;
            const enum element x = i / 2 % 2 ? ELEMENT_BF16 : ELEMENT_F32;
            const struct cuda_conv_shape shape = {.grid = {ndim, {ndim == 2 ? 1 : 33, 129, 97}},
                                                  .images = 1,
                                                  .c_in = head ? 32 : classes[i / 4],
                                                  .c_out = head ? classes[i / 4] : 32,
                                                  .kernel = head ? 1 : 3,
                                                  .x = x,
                                                  .y = head ? ELEMENT_F32 : x,
                                                  .normed = true,
                                                  .bias = true,
                                                  .forward = true,
                                                  .grad_data = true,
                                                  .grad_weights = true};
            struct cuda_conv *conv;
            ck_assert_ok(cuda_conv_create(&conv, &device, &shape));
            cuda_conv_destroy(conv);
        }
    cudnn_destroy(device.cudnn);
}
END_TEST

START_TEST(a_plan_without_a_device_does_not_run) {
    struct device device;
    const struct cudnn_key key = {
        .pass = CUDNN_PASS_FORWARD, .grid = {2, {1, 64, 64}}, .images = 1, .c_in = 32, .c_out = 32, .kernel = 3};
    const struct cudnn_plan *plan;
    void *const data[CUDNN_OPERANDS] = {NULL};
    open_target(&device, &targets[0]);
    ck_assert_ok(cudnn_plan_find(&plan, device.cudnn, &key));
    ck_assert_ptr_nonnull(plan);
    ck_assert_int_eq(cudnn_plan_run(device.cudnn, plan, NULL, data, NULL), COVER_ERROR_UNSUPPORTED);
    cudnn_destroy(device.cudnn);
}
END_TEST

START_TEST(without_a_driver_a_handle_is_refused_with_a_reason) {
    struct device device = {.context = context, .memory_bytes = 1 << 30};
    struct cudnn *cudnn;
    const cover_status status = cudnn_create(&cudnn, &device);
    if (status == COVER_OK) {
        cudnn_destroy(cudnn); /* there is a GPU after all */
        return;
    }
    ck_assert_int_eq(status, COVER_ERROR_DEVICE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "cuDNN could not be started"));
}
END_TEST

START_TEST(a_library_that_is_missing_is_named) {
    struct nccl_functions functions;
    if (nccl_library_open(&functions) == COVER_OK) return; /* it is here */
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "several GPUs need NCCL 2"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "libnccl.so.2"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "one GPU works without it"));
}
END_TEST

/* LeakSanitizer asks: cuDNN does not give its cuBLAS back. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:cublasLtCreate"; }

/* Without a driver cuDNN opens and closes its compiler anew for each engine, 100 MiB each time: one that stays open saves a minute. */
static void keep_compiler_open(void) {
    if (!dlopen("libnvrtc.so.13", RTLD_LAZY)) dlopen("libnvrtc.so.12", RTLD_LAZY);
}

int main(void) {
    struct cudnn_functions functions;
    if (cudnn_library_open(&functions) != COVER_OK || functions.GetVersion() < DESCRIBES_DEVICES) {
        puts("skipped: no cuDNN that describes devices without one (9.8 or newer)");
        return SKIPPED;
    }
    keep_compiler_open();
    Suite *suite = suite_create("cuDNN without a device");
    TCase *tcase = tcase_create("plans");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_convolution_of_the_networks_has_engines_on_each_target, 0, TARGETS);
    tcase_add_loop_test(tcase, odd_channels_and_sizes_have_engines, 0, TARGETS);
    ADD(tcase, a_plan_without_a_device_does_not_run);
    ADD(tcase, a_library_that_is_missing_is_named);
    ADD(tcase, without_a_driver_a_handle_is_refused_with_a_reason);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
