#include "transport.h"
cover_status mpi_transport(struct transport **transport, cover_context *context, const struct rendezvous *rendezvous) {
    (void)transport, (void)context, (void)rendezvous;
    return fail(COVER_ERROR_UNSUPPORTED, "no MPI");
}
