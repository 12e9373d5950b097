/* Threads that libcover owns.  A pool runs jobs on `threads` workers; a team is a group of workers that takes one lane
 * through its plan together.  The caller's own threads only wait, so their OpenMP settings stay as they are. */
#ifndef COVER_THREADS_H
#define COVER_THREADS_H

#include "base.h"

/* One thread.  It takes no signal of the host but those that its own faults raise; joining it in a child of fork(), which has not
 * got it, does nothing.  Starts from zeros. */
struct thread {
    pthread_t thread;
    pid_t process; /* 0 = not started */
};
bool thread_start(struct thread *thread, void *(*run)(void *argument), void *argument);
void thread_join(struct thread *thread);

struct pool;

cover_status pool_create(struct pool **pool, cover_context *context, int threads);
void pool_destroy(struct pool *pool); /* takes NULL */
int pool_threads(const struct pool *pool);

/* Run job(data, worker) once on each worker 0..threads-1 and wait for all.  Must not be called from a worker. */
void pool_run(struct pool *pool, void (*job)(void *data, int worker), void *data);
/* Run job(data, i) for i in 0..count-1, spread over the workers in no fixed order, and wait. */
void pool_each(struct pool *pool, int64_t count, void (*job)(void *data, int64_t index), void *data);

/* Barrier of a team: spins shortly, then sleeps. */
struct team_barrier {
    atomic_int arrived, phase;
    int size;
};
void team_wait(struct team_barrier *barrier);

#endif
