/* The door of libcover-cuda.so: one exported function, which gives the executor of this device to the library that opened it
 * (core/graph/module.h).  Errors go into that library's slot. */
#include "core/graph/module.h"
#include "program.h"

#include <string.h>

static const struct module_host *library; /* set once, before anything else is called */

char *error_slot(void) { return library->error_slot(); }

COVER_API const struct executor *cover_cuda_module(const struct module_host *host);
const struct executor *cover_cuda_module(const struct module_host *host) {
    if (host->api != MODULE_API || strcmp(host->version, COVER_VERSION) != 0) return NULL;
    library = host;
    return &executor_cuda;
}
