/* cuDNN and NCCL, opened at run time into tables of functions: the module loads without them, and says what is missing when they
 * are needed.  Types are those of the libraries' own headers.  Used by cudnn.c and by the collectives. */
#ifndef COVER_CUDA_LIBRARY_H
#define COVER_CUDA_LIBRARY_H

#include "core/base/base.h"

#include <cudnn.h>
#include <nccl.h>

#define FUNCTION(name) __typeof__(cudnn##name) *name;
struct cudnn_functions {
#include "cudnn_functions.def"
};
#undef FUNCTION
#define FUNCTION(name) __typeof__(nccl##name) *name;
struct nccl_functions {
#include "nccl_functions.def"
};
#undef FUNCTION

/* A library stays loaded until the process ends: both have threads and destructors of their own.  COVER_ERROR_DEVICE when it is
 * missing, lacks a function, or has another version than we were written for. */
cover_status cudnn_library_open(struct cudnn_functions *functions);
cover_status nccl_library_open(struct nccl_functions *functions);

#endif
