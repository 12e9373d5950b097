/* Which rank this process is, and joining the others.  A launcher says so by environment variables: COVER_RANK, COVER_RANKS,
 * COVER_ADDRESS and COVER_TOKEN for sockets, as --ranks sets them and any launcher may; those of mpirun and srun for MPI
 * (docs/cluster.md). */
#include "ranks.h"

#include <libcover/ranks.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct launcher {
    const char *rank, *ranks, *local, *transport; /* local: this rank among those of its machine */
} launchers[] = {
    {RANK_VARIABLE, RANKS_VARIABLE, "COVER_LOCAL_RANK", "socket"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "mpi"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "mpi"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "mpi"}, /* a job step's: a batch script itself has none */
};

static bool number_of(const char *variable, int *number) {
    const char *text = getenv(variable);
    char *end;
    if (!text || !*text) return false;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*end || errno || value < 0 || value > 1 << 20) return false;
    *number = (int)value;
    return true;
}

static const struct launcher *launched(int *rank, int *ranks) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (number_of(launchers[i].rank, rank) && number_of(launchers[i].ranks, ranks) && *ranks > 1) return &launchers[i];
    return NULL;
}

void ranks_leave(void) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) unsetenv(launchers[i].ranks);
}

int ranks_expected(void) {
    int rank = 0, ranks;
    return launched(&rank, &ranks) ? rank : 0;
}

bool ranks_starts(const struct session *session) {
    const struct value *wanted = &session->arguments.option[OPTION_RANKS];
    int rank, ranks;
    return session->verb->ranks && wanted->given && wanted->integer[0] > 1 && !launched(&rank, &ranks);
}

int ranks_threads(void) {
    cpu_set_t usable;
    int rank, ranks, local, part;
    if (!launched(&rank, &ranks) || sched_getaffinity(0, sizeof usable, &usable) != 0) return 0;
    if (number_of("SLURM_CPUS_PER_TASK", &part)) {
    } else if (number_of("OMPI_COMM_WORLD_LOCAL_SIZE", &local) && local > 0) part = (int)sysconf(_SC_NPROCESSORS_ONLN) / local;
    else return 0;
    int most = CPU_COUNT(&usable);
    return part < 1 ? 1 : part < most ? part : most;
}

const char *ranks_device(const struct session *session) {
    static char text[32];
    const char *device = session->arguments.option[OPTION_DEVICE].text;
    int rank, ranks, local;
    const struct launcher *launcher = launched(&rank, &ranks);
    if (ranks_starts(session)) return "cpu";
    if (!launcher || !device || strcmp(device, "cuda") != 0) return device;
    if (!number_of(launcher->local, &local)) local = rank;
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    int count = visible && *visible ? 1 : 0;
    for (; visible && *visible; visible++) count += *visible == ',';
    snprintf(text, sizeof text, "cuda:%d", count ? local % count : local);
    return text;
}

int ranks_begin(struct session *session) {
    const struct value *wanted = &session->arguments.option[OPTION_RANKS], *deadline = &session->arguments.option[OPTION_DEADLINE];
    cover_ranks_options options = COVER_RANKS_OPTIONS_INIT;
    const struct launcher *launcher = launched(&options.rank, &options.ranks);
    if (deadline->given && (deadline->count != 1 || !(deadline->number[0] > 0)))
        return usage_error(session->verb, "--deadline %s: give a number of seconds above 0", deadline->text);
    if (wanted->given && launcher && wanted->integer[0] != options.ranks)
        return usage_error(session->verb, "--ranks %s, but %s says %d; leave --ranks to the launcher", wanted->text,
                           launcher->ranks, options.ranks);
    if (!launcher) return ranks_starts(session) ? ranks_start(session, (int)wanted->integer[0]) : RANKS_GO_ON;
    options.transport = launcher->transport;
    options.address = getenv(ADDRESS_VARIABLE), options.token = getenv(TOKEN_VARIABLE);
    if (deadline->given) options.deadline_seconds = deadline->number[0];
    cover_status result = cover_context_join(session->context, &options);
    return result == COVER_OK ? RANKS_GO_ON : failed(session, result);
}
