/* The public half of ranks: a context joins others by one of the transports (include/libcover/ranks.h). */
#include "transport.h"

#include "core/base/collective.h"

#include <libcover/ranks.h>

#include <stdio.h>
#include <string.h>

enum { MOST_RANKS = 4096 };
static const double DEFAULT_SECONDS = 120;

static const struct {
    const char *name;
    cover_status (*meet)(struct transport **transport, cover_context *context, const struct rendezvous *rendezvous);
} transports[] = {{"socket", socket_transport}, {"mpi", mpi_transport}};
enum { TRANSPORTS = sizeof transports / sizeof *transports };

static cover_status check_options(cover_ranks_options *options, bool mpi) {
    bool unknown = mpi && options->rank == 0 && options->ranks == 0;
    if (!unknown && (options->ranks < 1 || options->ranks > MOST_RANKS))
        return fail(COVER_ERROR_ARGUMENT, "ranks is %d; use 1..%d", options->ranks, MOST_RANKS);
    if (!unknown && (options->rank < 0 || options->rank >= options->ranks))
        return fail(COVER_ERROR_ARGUMENT, "rank is %d; with %d ranks use 0..%d", options->rank, options->ranks, options->ranks - 1);
    if (!(options->deadline_seconds >= 0) || !(options->join_seconds >= 0))
        return fail(COVER_ERROR_ARGUMENT, "deadline_seconds and join_seconds are 0 or more");
    if (options->deadline_seconds == 0) options->deadline_seconds = DEFAULT_SECONDS;
    if (options->join_seconds == 0) options->join_seconds = DEFAULT_SECONDS;
    return COVER_OK;
}

/* Sums that other kernels have made differ in their last bits, and so would the ranks' weights. */
static cover_status same_machine(cover_context *context) {
    char text[128];
    snprintf(text, sizeof text, "instruction sets=%s\n", context->cpu_features_text);
    return collective_same(context->communicator, context, "", text,
                           "give all ranks the lower one of the two (option isa), so that they compute the same bits");
}

cover_status cover_context_join(cover_context *context, const cover_ranks_options *given) {
    cover_ranks_options options = COVER_RANKS_OPTIONS_INIT;
    if (!context) return fail(COVER_ERROR_ARGUMENT, "cover_context_join: the context is NULL");
    if (context->communicator) return fail(COVER_ERROR_ARGUMENT, "cover_context_join: the context has joined before");
    TRY(options_read(&options, sizeof options, given, "cover_ranks_options"));
    const char *name = options.transport ? options.transport : transports[0].name;
    int which = 0;
    while (which < TRANSPORTS && strcmp(name, transports[which].name) != 0) which++;
    if (which == TRANSPORTS) return fail(COVER_ERROR_ARGUMENT, "transport '%s' is not known; use socket or mpi", name);
    TRY(check_options(&options, transports[which].meet == mpi_transport));
    if (options.ranks == 1) return COVER_OK;
    const struct rendezvous rendezvous = {.rank = options.rank,
                                          .ranks = options.ranks,
                                          .address = options.address,
                                          .token = options.token,
                                          .module = options.module,
                                          .join_seconds = options.join_seconds};
    struct transport *transport;
    struct communicator *communicator;
    TRY(transports[which].meet(&transport, context, &rendezvous));
    TRY(ranks_create(&communicator, transport, options.deadline_seconds));
    context->communicator = communicator;
    cover_status status = same_machine(context);
    if (status == COVER_OK) return COVER_OK;
    communicator->destroy(communicator);
    context->communicator = NULL;
    return status;
}

int cover_context_rank(const cover_context *context) { return context && context->communicator ? context->communicator->rank : 0; }
int cover_context_ranks(const cover_context *context) {
    return context && context->communicator ? context->communicator->ranks : 1;
}

cover_status cover_context_agree(cover_context *context, cover_status own) {
    if (!context) return fail(COVER_ERROR_ARGUMENT, "cover_context_agree: the context is NULL");
    if ((int)own < 0 || (int)own >= cover_status_count())
        return fail(COVER_ERROR_ARGUMENT, "cover_context_agree: %d is no status of libcover %s", (int)own, cover_version());
    return collective_agree(context->communicator, own);
}

cover_status cover_context_share_config(cover_context *context, cover_config *config) {
    if (!context || !config) return fail(COVER_ERROR_ARGUMENT, "cover_context_share_config: an argument is NULL");
    struct communicator *ranks = context->communicator;
    if (!ranks) return COVER_OK;
    const char *json = cover_config_json(config);
    TRY(collective_agree(ranks, json ? COVER_OK : COVER_ERROR_MEMORY));
    char *first;
    TRY(collective_broadcast_text(ranks, context, json, &first));
    cover_status status = cover_config_read_json(config, first);
    memory_free(context, first);
    return collective_agree(ranks, status);
}

int cover_context_speaks(const cover_context *context) {
    const struct communicator *communicator = context ? context->communicator : NULL;
    return !communicator || communicator->rank == (atomic_load(&communicator->failed) && communicator->lost == 0);
}
