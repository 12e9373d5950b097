/* Opening cuDNN and NCCL (contract in library.h).  The emulated module has the doubles of tests/cudasim in their place. */
#include "library.h"

#ifndef CUDASIM
#include <dlfcn.h>
#endif

#ifdef CUDASIM
#define FUNCTION(name) functions->name = cudnn##name;
static cover_status fill_cudnn(struct cudnn_functions *functions) {
#include "cudnn_functions.def"
    return COVER_OK;
}
#undef FUNCTION
#define FUNCTION(name) functions->name = nccl##name;
static cover_status fill_nccl(struct nccl_functions *functions) {
#include "nccl_functions.def"
    return COVER_OK;
}
#undef FUNCTION
#else
/* A struct of functions is an array of pointers, in the order of the list. */
static cover_status fill(void **functions, const char *needs, const char *without, const char *file, const char *const *symbols,
                         int count) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return fail(COVER_ERROR_DEVICE,
                    "%s, which cannot be loaded: %s; install it, or name its folder in LD_LIBRARY_PATH; %s works "
                    "without it",
                    needs, dlerror(), without);
    for (int i = 0; i < count; i++) {
        functions[i] = dlsym(library, symbols[i]);
        if (!functions[i]) {
            dlclose(library);
            return fail(COVER_ERROR_DEVICE, "%s, but %s has no function %s; install a newer one; %s works without it", needs, file,
                        symbols[i], without);
        }
    }
    dlclose(library); /* it stays: RTLD_NODELETE */
    return COVER_OK;
}
#define FUNCTION(name) "cudnn" #name,
static const char *const cudnn_symbols[] = {
#include "cudnn_functions.def"
};
#undef FUNCTION
#define FUNCTION(name) "nccl" #name,
static const char *const nccl_symbols[] = {
#include "nccl_functions.def"
};
#undef FUNCTION
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
_Static_assert(sizeof(struct cudnn_functions) == COUNT(cudnn_symbols) * sizeof(void *), "a pointer a function");
_Static_assert(sizeof(struct nccl_functions) == COUNT(nccl_symbols) * sizeof(void *), "a pointer a function");

static cover_status fill_cudnn(struct cudnn_functions *functions) {
    return fill((void **)functions, "a GPU needs cuDNN 9", "the CPU", "libcudnn.so.9", cudnn_symbols, COUNT(cudnn_symbols));
}
static cover_status fill_nccl(struct nccl_functions *functions) {
    return fill((void **)functions, "several GPUs need NCCL 2", "one GPU", "libnccl.so.2", nccl_symbols, COUNT(nccl_symbols));
}
#endif

cover_status cudnn_library_open(struct cudnn_functions *functions) {
    TRY(fill_cudnn(functions));
    const size_t version = functions->GetVersion();
    if (version >= 90000 && version < 100000) return COVER_OK;
    return fail(COVER_ERROR_DEVICE, "cuDNN %zu.%zu is installed, but a GPU needs version 9; use device=cpu without it",
                version / 10000 ? version / 10000 : version / 1000, version / 10000 ? version / 100 % 100 : version / 100 % 10);
}

/* 2.14 brought communicators that do not block. */
cover_status nccl_library_open(struct nccl_functions *functions) {
    TRY(fill_nccl(functions));
    int version = 0;
    ncclResult_t result = functions->GetVersion(&version);
    if (result != ncclSuccess)
        return fail(COVER_ERROR_DEVICE, "NCCL does not tell its version: %s", functions->GetErrorString(result));
    if (version >= 21400 && version < 30000) return COVER_OK;
    return fail(COVER_ERROR_DEVICE, "NCCL %d.%d is installed, but several GPUs need 2.14 or newer; one GPU works without it",
                version / 10000, version / 100 % 100);
}
