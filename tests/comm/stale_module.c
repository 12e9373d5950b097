/* The door of an MPI module that was built with another mpi_module.h: test_faults.c opens it. */
#include "comm/mpi_module.h"

#include <string.h>

__attribute__((visibility("default"))) mpi_module_entry cover_mpi_module;
const struct mpi_module *cover_mpi_module(const char *interface) {
    static const struct mpi_module module;
    return strcmp(interface, "0.1.0-0123456789abcdef") == 0 ? &module : NULL;
}
