/* golden_check: holds this library against golden files (models and single operations) and prints one line a quantity:
 * name, largest error, bound, ok or FAIL.  Exit 1 when anything fails, 2 when it is called wrongly.
 *
 * A model file carries inputs, weights, gradients, ten optimiser steps and the settings of its network; an operation file
 * carries inputs, outputs and gradients of single ops.  Both are described in tests/golden/README.md.
 *
 * --noise R judges a model file instead: it runs as it is, then with each weight moved by up to R of itself, in a few draws.  Where some
 * of them fail it lies on a kink (a sign, a cell of a warp, the slope of an activation at 0), where rounding alone decides; such a file
 * cannot tell right from wrong. */
#include "golden.h"

#include <libcover/context.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int usage(void) {
    fprintf(stderr, "usage: golden_check [--device cpu|cuda|emulated] [--precision fp32|bf16] [--threads N] [--isa NAME] [--noise "
                    "R] FILE...\n");
    return 2;
}

/* The CUDA module's emulated build, in this program's own build folder. */
static const char *emulated_module(char *path, size_t bytes) {
    ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
    path[length > 0 ? length : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash) snprintf(slash, bytes - (size_t)(slash - path), "/tests/cudasim/libcover-cuda-emulated.so");
    return path;
}

/* Draw 0 is the file as it is.  Draws that disagree are of a kink; where all fail alike the library is wrong. */
static void judge(struct golden *golden, const char *path) {
    enum { DRAWS = 5 };
    int failed[DRAWS], draws = 0;
    for (golden->draw = 0; golden->draw < DRAWS; golden->draw++) {
        const int before = golden->failed;
        golden_file(golden, path);
        failed[golden->draw] = golden->failed - before, draws += golden->failed > before;
    }
    printf("%s: %s; failed of each draw:", path,
           draws == 0       ? "off the kinks"
           : draws == DRAWS ? "wrong, moved or not"
                            : "on a kink");
    for (int i = 0; i < DRAWS; i++) printf(" %d", failed[i]);
    printf("\n");
}

int main(int argc, char **argv) {
    char module[4096];
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    int first = 1;
    bool half = false;
    double noise = 0;
    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2) {
        const char *name = argv[first], *value = argv[first + 1];
        if (strcmp(name, "--device") == 0 && strcmp(value, "emulated") == 0)
            options.device = "cuda", options.device_module = emulated_module(module, sizeof module);
        else if (strcmp(name, "--device") == 0) options.device = value;
        else if (strcmp(name, "--isa") == 0) options.isa = value;
        else if (strcmp(name, "--threads") == 0) options.threads = atoi(value);
        else if (strcmp(name, "--noise") == 0) noise = atof(value);
        else if (strcmp(name, "--precision") == 0 && strcmp(value, "bf16") == 0) half = true;
        else if (strcmp(name, "--precision") != 0 || strcmp(value, "fp32") != 0) return usage();
    }
    if (first >= argc) return usage();
    cover_context *context;
    if (cover_context_create(&context, &options) != COVER_OK) {
        fprintf(stderr, "golden_check: %s\n", cover_error_text());
        return 2;
    }
    struct golden golden = {.context = context, .half = half, .noise = noise};
    for (int i = first; i < argc; i++) {
        if (noise > 0) judge(&golden, argv[i]);
        else golden_file(&golden, argv[i]);
    }
    printf("%d quantities, %d failed; nearest to its bound: %s, at %.2g of it\n", golden.quantities, golden.failed, golden.nearest,
           golden.part);
    cover_context_destroy(context);
    return golden.failed > 0 || golden.quantities == 0;
}
