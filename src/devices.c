/* Which executor serves a context: the CPU's, which is built in, or a GPU's, whose module is opened here, by absolute path alone.
 * Called when a context is made. */
#include "devices.h"

#include "core/base/files.h"
#include "core/graph/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CUDA_MODULE_FILE "libcover-cuda.so"

/* "cuda" or "cuda:K" */
static cover_status cuda_ordinal(int *ordinal, const char *name) {
    char *end = "";
    long number = name[4] ? strtol(name + 5, &end, 10) : 0;
    if ((name[4] && (name[4] != ':' || name[5] < '0' || name[5] > '9')) || *end || number > 255)
        return fail(COVER_ERROR_ARGUMENT, "device is '%s'; use cpu, cuda, or cuda:K for GPU number K", name);
    *ordinal = (int)number;
    return COVER_OK;
}

bool device_module_found(char *path, size_t bytes) {
    return path_beside_library(path, bytes, CUDA_MODULE_FILE) == COVER_OK && access(path, R_OK) == 0;
}

static cover_status open_module(cover_context *context, const char *path) {
    module_entry *entry;
    if (path[0] != '/') return fail(COVER_ERROR_ARGUMENT, "device_module is '%s'; give an absolute path", path);
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return fail(COVER_ERROR_DEVICE, "the GPU module cannot be opened: %s; build it with nvcc (docs/cuda.md), or use device=cpu",
                    dlerror());
    void *symbol = dlsym(module, CUDA_MODULE_ENTRY);
    memcpy(&entry, &symbol, sizeof entry);
    const struct executor *executor = entry ? entry(CUDA_INTERFACE, error_slot) : NULL;
    if (!executor) {
        dlclose(module);
        return fail(COVER_ERROR_DEVICE, "%s was not made with this libcover (%s); build and install both together", path,
                    CUDA_INTERFACE);
    }
    context->module = module, context->executor = executor;
    return COVER_OK;
}

cover_status context_device_open(cover_context *context, const struct device_options *given) {
    const char *name = given->name ? given->name : "cpu";
    struct device_options options = *given;
    char path[4096];
    context->executor = &executor_cpu;
    if (strcmp(name, "cpu") == 0) return COVER_OK;
    if (strncmp(name, "cuda", 4) != 0)
        return fail(COVER_ERROR_ARGUMENT, "device is '%s'; use cpu, cuda, or cuda:K for GPU number K", name);
    TRY(cuda_ordinal(&options.ordinal, name));
    if (!options.module) {
        TRY(path_beside_library(path, sizeof path, CUDA_MODULE_FILE));
        options.module = path;
    }
    TRY(open_module(context, options.module));
    return context->executor->device_open(&context->device, context, &options);
}

void context_device_close(cover_context *context) {
    if (context->device) context->executor->device_close(context->device);
    if (context->module) dlclose(context->module);
    context->device = NULL, context->module = NULL;
}
