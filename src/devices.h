/* The device of a context: the CPU, or a GPU, whose module is opened when somebody asks for it.  Called by context.c and info.c. */
#ifndef COVER_DEVICES_H
#define COVER_DEVICES_H

#include "core/graph/executor.h"

/* Fill context->executor, device and module of a new context, or fail and leave them alone. */
cover_status context_device_open(cover_context *context, const struct device_options *options);
void context_device_close(cover_context *context);
/* Is the GPU's module installed beside this library?  It is not opened. */
bool device_module_found(char *path, size_t bytes);

#endif
