/* A module: a shared library beside this one that brings an executor, opened at run time when a context asks for its device.  It is built
 * with the library, from the same headers, and refused when they are not the same.  Called by devices.c and cuda/module.c. */
#ifndef COVER_MODULE_H
#define COVER_MODULE_H

#include "executor.h"
#include "module_interfaces.h" /* CUDA_INTERFACE: the version and a hash of all headers that the module includes (scripts/interfaces.py) */

/* The one exported function of libcover-cuda.so; errors of the executor go into the slot.  NULL: made with other headers. */
#define CUDA_MODULE_ENTRY "cover_cuda_module"
typedef char *module_error_slot(void);
typedef const struct executor *module_entry(const char *interface, module_error_slot *slot);

#endif
