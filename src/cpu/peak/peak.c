/* What this machine can do: multiply-adds, bfloat16 dot products and memory, on one thread and on all at once; the best of
 * short tries, so that what else runs here disturbs little.  Called through the executor's table by bench. */
#include "peak.h"

#include "core/base/threads.h"
#include "loops.h"

enum {
    TRIES = 12,
    ROUNDS = 250000,  /* of arithmetic: about half a millisecond */
    FLOATS = 1 << 24, /* of each of three arrays: together 192 MiB, more than caches hold */
    MEMORY_TRIES = 4
};

static const struct peak_loops *const forms[] = {
    &peak_loops_generic,
#ifdef __x86_64__
    &peak_loops_avx2,
    &peak_loops_avx512,
    &peak_loops_avx512_bf16,
#endif
};

struct tries {
    const struct peak_loops *loops;
    int threads; /* that take part */
    struct team_barrier barrier;
    struct moment {
        double start, end, best; /* of a try; work a second of the best */
    } * moment;                  /* a thread each */
    float *a, *b, *y;
    struct peak_rates best;
    atomic_int sink; /* what came out, so that no compiler leaves a loop out */
};

enum loop { MULTIPLY_ADD, DOT, TRIAD, READ };

static void run_loop(struct tries *tries, enum loop loop, int64_t first, int64_t count) {
    const struct peak_loops *loops = tries->loops;
    float result = 0;
    switch (loop) {
    case MULTIPLY_ADD:
        result = loops->multiply_add(ROUNDS);
        break;
    case DOT:
        result = loops->dot(ROUNDS);
        break;
    case TRIAD:
        loops->triad(tries->y + first, tries->a + first, tries->b + first, 0.5f, count);
        break;
    case READ:
        result = loops->read(tries->a + first, count);
        break;
    }
    atomic_fetch_add(&tries->sink, result > 0);
}

/* Work a second of all threads together, each try giving `work` a thread; worker 0's answer counts.  Memory is shared: there a
 * try lasts from the first start to the last end.  Arithmetic is not: there each thread's best try counts, so that a processor
 * that is busy elsewhere for a moment does not hide what the others do. */
static double best_rate(struct tries *tries, enum loop loop, double work, int worker) {
    const bool shared = loop == TRIAD || loop == READ;
    const int count = shared ? MEMORY_TRIES : TRIES;
    int64_t first = FLOATS / 64 * (int64_t)worker / tries->threads * 64,
            end = FLOATS / 64 * (int64_t)(worker + 1) / tries->threads * 64;
    double best = 0;
    tries->moment[worker].best = 0;
    for (int i = 0; i < count; i++) {
        if (tries->threads > 1) team_wait(&tries->barrier);
        struct moment *own = &tries->moment[worker];
        own->start = seconds_now();
        run_loop(tries, loop, first, end - first);
        own->end = seconds_now();
        if (own->end > own->start && work / (own->end - own->start) > own->best) own->best = work / (own->end - own->start);
        if (tries->threads > 1) team_wait(&tries->barrier);
        if (worker > 0) continue;
        struct moment all = tries->moment[0];
        for (int t = 1; t < tries->threads; t++) {
            if (tries->moment[t].start < all.start) all.start = tries->moment[t].start;
            if (tries->moment[t].end > all.end) all.end = tries->moment[t].end;
            all.best += tries->moment[t].best;
        }
        double rate = shared ? tries->threads * work / (all.end - all.start) : all.best;
        if (rate > best) best = rate;
    }
    return best;
}

static void worker_tries(void *data, int worker) {
    struct tries *tries = data;
    const struct peak_loops *loops = tries->loops;
    if (worker >= tries->threads) return;
    double rounds = ROUNDS, array = (double)FLOATS * sizeof(float) / tries->threads;
    struct peak_rates rates = {.f32 = best_rate(tries, MULTIPLY_ADD, rounds * loops->multiply_add_flops, worker)};
    if (loops->dot) rates.bf16 = best_rate(tries, DOT, rounds * loops->dot_flops, worker);
    double triad = best_rate(tries, TRIAD, 3 * array, worker), read = best_rate(tries, READ, array, worker);
    rates.bytes = triad > read ? triad : read;
    if (worker == 0) tries->best = rates;
}

/* The pages go to the threads that will use them. */
static void worker_fill(void *data, int worker) {
    struct tries *tries = data;
    int64_t first = FLOATS / 64 * (int64_t)worker / tries->threads * 64,
            end = FLOATS / 64 * (int64_t)(worker + 1) / tries->threads * 64;
    for (int64_t i = first; i < end; i++) tries->a[i] = tries->b[i] = tries->y[i] = 1;
}

cover_status cpu_peak(struct peak *peak, cover_context *context) {
    struct pool *pool;
    TRY(context_pool(context, &pool));
    struct tries tries = {.loops = forms[0], .threads = pool_threads(pool)};
    for (size_t i = 1; i < sizeof forms / sizeof *forms; i++)
        if ((context->cpu_features & forms[i]->needs) == forms[i]->needs) tries.loops = forms[i];
    tries.barrier.size = tries.threads;
    tries.moment = memory_alloc(context, (size_t)tries.threads * sizeof *tries.moment);
    float *memory = memory_alloc(context, 3 * (size_t)FLOATS * sizeof(float));
    cover_status status = tries.moment && memory ? COVER_OK : COVER_ERROR_MEMORY;
    if (status == COVER_OK) {
        tries.a = memory, tries.b = memory + FLOATS, tries.y = memory + 2 * FLOATS;
        pool_run(pool, worker_fill, &tries);
        pool_run(pool, worker_tries, &tries);
        peak->all = peak->one = tries.best;
        if (tries.threads > 1) {
            tries.threads = 1;
            pool_run(pool, worker_tries, &tries);
            peak->one = tries.best;
        }
    }
    memory_free(context, tries.moment);
    memory_free(context, memory);
    return status;
}
