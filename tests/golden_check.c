/* golden_check: holds this library against golden files (models and single operations) and prints one line a quantity:
 * name, largest error, bound, ok or FAIL.  Exit 1 when anything fails, 2 when it is called wrongly.
 *
 * A model file carries inputs, weights, gradients, ten optimiser steps and the settings of its network; an operation file
 * carries inputs, outputs and gradients of single ops.  Both are described in tests/golden/README.md. */
#include "golden.h"

#include <libcover/context.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int usage(void) {
    fprintf(stderr,
            "usage: golden_check [--device cpu|cuda|emulated] [--precision fp32|bf16] [--threads N] [--isa NAME] FILE...\n");
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

int main(int argc, char **argv) {
    char module[4096];
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    int first = 1;
    bool half = false;
    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2) {
        const char *name = argv[first], *value = argv[first + 1];
        if (strcmp(name, "--device") == 0 && strcmp(value, "emulated") == 0)
            options.device = "cuda", options.device_module = emulated_module(module, sizeof module);
        else if (strcmp(name, "--device") == 0) options.device = value;
        else if (strcmp(name, "--isa") == 0) options.isa = value;
        else if (strcmp(name, "--threads") == 0) options.threads = atoi(value);
        else if (strcmp(name, "--precision") == 0 && strcmp(value, "bf16") == 0) half = true;
        else if (strcmp(name, "--precision") != 0 || strcmp(value, "fp32") != 0) return usage();
    }
    if (first >= argc) return usage();
    cover_context *context;
    if (cover_context_create(&context, &options) != COVER_OK) {
        fprintf(stderr, "golden_check: %s\n", cover_error_text());
        return 2;
    }
    struct golden golden = {.context = context, .half = half};
    for (int i = first; i < argc; i++) golden_file(&golden, argv[i]);
    printf("%d quantities, %d failed\n", golden.quantities, golden.failed);
    cover_context_destroy(context);
    return golden.failed > 0 || golden.quantities == 0;
}
