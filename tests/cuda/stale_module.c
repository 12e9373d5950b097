/* The door of a CUDA module that was built with other headers, and nothing behind it: test_module.c opens it. */
#include "module_interfaces.h"
#undef CUDA_INTERFACE
#define CUDA_INTERFACE "0.1.0-0123456789abcdef"
#include "../../src/cuda/module.c"

const struct executor executor_cuda = {.name = "stale"};
