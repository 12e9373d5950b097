/* One run of a program from the caller's thread.  Called by session.c. */
#include "executor.h"

struct once {
    const struct executor *executor;
    const struct program *program;
    struct run *run;
};

static void once_worker(void *data, int worker) {
    struct once *once = data;
    if (worker < once->run->team) once->executor->program_run(once->program, once->run, worker);
}

cover_status run_once(cover_context *context, const struct executor *executor, const struct program *program, struct run *run,
                      int team) {
    struct pool *pool;
    TRY(context_pool(context, &pool));
    struct team_barrier barrier = {.size = team < pool_threads(pool) ? team : pool_threads(pool)};
    struct once once = {executor, program, run};
    run->team = barrier.size, run->barrier = &barrier, run->status = COVER_OK;
    atomic_store(&run->failed, 0);
    for (int i = 0; i < 2; i++) atomic_store(&run->taken[i], 0);
    pool_run(pool, once_worker, &once);
    return run->status == COVER_OK ? COVER_OK : fail_text(run->status, run->error);
}
