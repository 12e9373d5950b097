/* The door of libcover-cuda.so: one exported function, which gives the executor of this device to the library that opened it
 * (core/graph/module.h).  Errors go into that library's slot. */
#include "core/graph/module.h"
#include "program.h"

#include <string.h>

static module_error_slot *library_slot; /* set once, before anything else is called */

char *error_slot(void) { return library_slot(); }

COVER_API module_entry cover_cuda_module;
const struct executor *cover_cuda_module(const char *interface, module_error_slot *slot) {
    if (strcmp(interface, CUDA_INTERFACE) != 0) return NULL;
    library_slot = slot;
    return &executor_cuda;
}
