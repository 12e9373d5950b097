/* Graph, program, arena, run, result: the way that every pass outside training takes. */
#include "session.h"

#include "core/base/memory.h"

static cover_status check_memory(const struct session *session) {
    uint64_t bytes = session->context->executor->program_plan(session->program)->arena_bytes;
    uint64_t limit = session->context->memory_limit_bytes;
    char need[MEMORY_WORDS], most[MEMORY_WORDS];
    if (limit == 0 || bytes <= limit) return COVER_OK;
    return fail(COVER_ERROR_MEMORY, "this size needs %s, the memory limit is %s", memory_words(need, bytes),
                memory_words(most, limit));
}

cover_status session_open(struct session *session, cover_context *context, const struct graph *graph, const float *weights,
                          int team) {
    cover_status status;
    *session = (struct session){.context = context, .graph = graph, .team = team};
    GO(graph_finish(graph));
    GO(context->executor->program_create(&session->program, context, graph, team));
    GO(check_memory(session));
    status = session_weights(session, weights);
done:
    if (status != COVER_OK) session_close(session);
    return status;
}

void session_close(struct session *session) {
    if (session->program) session->context->executor->program_destroy(session->program);
    *session = (struct session){0};
}

cover_status session_weights(struct session *session, const float *weights) {
    return session->context->executor->program_pack(session->program, weights);
}

cover_status session_begin(const struct session *session, struct run *run) {
    return session->context->executor->arena_create(&run->arena, session->program);
}

cover_status session_run(const struct session *session, struct run *run) {
    return run_once(session->context, session->context->executor, session->program, run, session->team);
}

struct timed {
    const struct session *session;
    struct run *run;
    double *node_seconds;
};

static void timed_worker(void *data, int worker) {
    const struct timed *timed = data;
    if (worker == 0) timed->session->context->executor->program_time(timed->session->program, timed->run, timed->node_seconds);
}

cover_status session_time(const struct session *session, struct run *run, double *node_seconds) {
    struct timed timed = {session, run, node_seconds};
    struct pool *pool;
    TRY(context_pool(session->context, &pool));
    run->team = 1;
    pool_run(pool, timed_worker, &timed);
    return run->status == COVER_OK ? COVER_OK : fail_text(run->status, run->error);
}

const void *session_result(const struct session *session, const struct run *run, int result) {
    return session->context->executor->program_result(session->program, run, result);
}

void session_end(const struct session *session, struct run *run) {
    if (session->program) session->context->executor->arena_destroy(session->program, run->arena);
    run->arena = NULL;
}
