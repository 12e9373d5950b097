/* The emulator's cuda_runtime_api.h: all of the runtime stands in cuda_runtime.h. */
#include "cuda_runtime.h"
