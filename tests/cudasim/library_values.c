/* The constants of one side's cuda_runtime_api.h, cudnn.h and nccl.h.  Compiled twice, with the emulator's headers and with the libraries' own, for
 * test_library_values.c to compare. */
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <nccl.h>

#include "library_values.h"

const struct library_value VALUES[] = {
#define VALUE(name) {#name, (long long)name},
#include "library_values.def"
#undef VALUE
    {"sizeof(ncclUniqueId)", (long long)sizeof(ncclUniqueId)},
    {"sizeof(float4)", (long long)sizeof(float4)},
    {"alignment of float2", (long long)_Alignof(float2)},
    {"alignment of float4", (long long)_Alignof(float4)},
    {"alignment of uint4", (long long)_Alignof(uint4)},
    {"alignment of double2", (long long)_Alignof(double2)},
    {"alignment of uchar4", (long long)_Alignof(uchar4)},
    {"alignment of ushort4", (long long)_Alignof(ushort4)},
    {NULL, 0},
};
