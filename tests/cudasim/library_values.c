/* The constants of one side's cudnn.h and nccl.h.  Compiled twice, with the emulator's headers and with the libraries' own, for
 * test_library_values.c to compare. */
#include <cudnn.h>
#include <nccl.h>

#include "library_values.h"

const struct library_value VALUES[] = {
#define VALUE(name) {#name, (long long)name},
#include "library_values.def"
#undef VALUE
    {"sizeof(ncclUniqueId)", (long long)sizeof(ncclUniqueId)},
    {NULL, 0},
};
