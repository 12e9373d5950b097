/* A module: a shared library beside this one that brings an executor, opened at run time when a context asks for its device.  It is built
 * with the library, from the same headers, and refused when they are not the same.  Called by devices.c. */
#ifndef COVER_MODULE_H
#define COVER_MODULE_H

#include "executor.h"

/* Raise with any change to what a module and the library share: executor.h, train/device.h, graph.h, plan.h, base.h. */
enum { MODULE_API = 1 };

struct module_host { /* what the library gives the module; lives as long as the process */
    int api;
    const char *version;
    char *(*error_slot)(void);
};

/* The one exported function of libcover-cuda.so.  NULL: made for another api or version. */
#define CUDA_MODULE_ENTRY "cover_cuda_module"
typedef const struct executor *module_entry(const struct module_host *host);

#endif
