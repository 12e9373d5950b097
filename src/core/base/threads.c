/* The pool of threads that a context owns, and a team's barrier.  Called by the executor, the trainer and pack. */
#include "threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

bool thread_start(struct thread *thread, void *(*run)(void *argument), void *argument) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread begins with the mask of who starts it */
    const bool started = pthread_create(&thread->thread, NULL, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    thread->process = started ? getpid() : 0;
    return started;
}

void thread_join(struct thread *thread) {
    if (thread->process && thread->process == getpid()) pthread_join(thread->thread, NULL);
    thread->process = 0;
}

struct worker {
    struct pool *pool;
    struct thread thread;
    int index;
};

struct pool {
    cover_context *context;
    int threads;
    struct worker *workers;
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    pthread_mutex_t run_lock; /* one job at a time */
    void (*job)(void *data, int worker);
    void *data;
    uint64_t generation;
    int running;
    bool stop;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stop && pool->generation == seen) pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->stop) break;
        seen = pool->generation;
        pthread_mutex_unlock(&pool->lock);
        pool->job(pool->data, worker->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->running == 0) pthread_cond_signal(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

cover_status pool_create(struct pool **out, cover_context *context, int threads) {
    struct pool *pool = memory_zero(context, sizeof *pool);
    if (!pool) return COVER_ERROR_MEMORY;
    pool->context = context;
    pool->workers = memory_zero(context, (size_t)threads * sizeof *pool->workers);
    if (!pool->workers) {
        memory_free(context, pool);
        return COVER_ERROR_MEMORY;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->run_lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (; pool->threads < threads; pool->threads++) {
        struct worker *worker = &pool->workers[pool->threads];
        *worker = (struct worker){.pool = pool, .index = pool->threads};
        if (!thread_start(&worker->thread, work, worker)) {
            pool_destroy(pool);
            return fail(COVER_ERROR_MEMORY, "thread %d of %d could not be started; ask for fewer threads", worker->index + 1,
                        threads);
        }
    }
    *out = pool;
    return COVER_OK;
}

void pool_destroy(struct pool *pool) {
    if (!pool) return;
    if (!in_another_process(pool->context)) { /* where nobody holds the locks or waits */
        pthread_mutex_lock(&pool->lock);
        pool->stop = true;
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->threads; i++) thread_join(&pool->workers[i].thread);
        pthread_mutex_destroy(&pool->lock);
        pthread_mutex_destroy(&pool->run_lock);
        pthread_cond_destroy(&pool->work);
        pthread_cond_destroy(&pool->finished);
    }
    memory_free(pool->context, pool->workers);
    memory_free(pool->context, pool);
}

int pool_threads(const struct pool *pool) { return pool->threads; }

void pool_run(struct pool *pool, void (*job)(void *data, int worker), void *data) {
    pthread_mutex_lock(&pool->run_lock);
    pthread_mutex_lock(&pool->lock);
    pool->job = job, pool->data = data, pool->running = pool->threads;
    pool->generation++;
    pthread_cond_broadcast(&pool->work);
    while (pool->running > 0) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->run_lock);
}

struct each {
    void (*job)(void *data, int64_t index);
    void *data;
    int64_t count;
    atomic_llong next;
};

static void each_worker(void *data, int worker) {
    (void)worker;
    struct each *each = data;
    for (int64_t i; (i = atomic_fetch_add(&each->next, 1)) < each->count;) each->job(each->data, i);
}

void pool_each(struct pool *pool, int64_t count, void (*job)(void *data, int64_t index), void *data) {
    struct each each = {.job = job, .data = data, .count = count};
    pool_run(pool, each_worker, &each);
}

static void futex(atomic_int *word, int operation, int value) {
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* Says to the processor that this thread waits. */
static inline void relax(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

void team_wait(struct team_barrier *barrier) {
    if (barrier->size < 2) return;
    int phase = atomic_load(&barrier->phase);
    if (atomic_fetch_add(&barrier->arrived, 1) == barrier->size - 1) {
        atomic_store(&barrier->arrived, 0);
        atomic_fetch_add(&barrier->phase, 1);
        futex(&barrier->phase, FUTEX_WAKE, INT_MAX);
        return;
    }
    for (int spins = 0; spins < 2000; spins++) {
        if (atomic_load(&barrier->phase) != phase) return;
        relax();
    }
    while (atomic_load(&barrier->phase) == phase) futex(&barrier->phase, FUTEX_WAIT, phase);
}

cover_status context_pool(cover_context *context, struct pool **pool) {
    cover_status status = COVER_OK;
    TRY(context_check_process(context));
    pthread_mutex_lock(&context->pool_lock);
    if (!context->pool) status = pool_create(&context->pool, context, context->threads);
    *pool = context->pool;
    pthread_mutex_unlock(&context->pool_lock);
    return status;
}
