/* The context: device, threads, allocator, memory limit, log and cancellation (include/libcover/context.h). */
#include "core/base/communicator.h"
#include "core/base/threads.h"
#include "cpu/features.h"
#include "devices.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *default_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    void *memory = NULL;
    return posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}
static void default_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

/* The kernel refuses a set that is smaller than its own. */
static int usable_processors(void) {
    for (int room = CPU_SETSIZE; room <= 1 << 20; room *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)room);
        if (!set) break;
        const size_t bytes = CPU_ALLOC_SIZE((size_t)room);
        const bool known = sched_getaffinity(0, bytes, set) == 0;
        const int count = known ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (known) return count > 0 ? count : 1;
        if (errno != EINVAL) break;
    }
    return 1;
}

/* In a child of fork() the other ranks, the device and the threads are the parent's. */
static void end(cover_context *context) {
    if (context->communicator) context->communicator->destroy(context->communicator);
    pool_destroy(context->pool);
    if (!in_another_process(context)) context_device_close(context);
    memory_free(context, context->info);
    pthread_mutex_destroy(&context->callback_lock);
    pthread_mutex_destroy(&context->pool_lock);
    context->allocator.release(context->allocator.user, context);
}

cover_status cover_context_create(cover_context **out, const cover_context_options *given) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    if (!out) return fail(COVER_ERROR_ARGUMENT, "cover_context_create: the out-parameter is NULL");
    TRY(options_read(&options, sizeof options, given, "cover_context_options"));
    if (options.threads < 0 || options.threads > 4096)
        return fail(COVER_ERROR_ARGUMENT, "threads is %d; use 1..4096, or 0 for one a processor", options.threads);
    unsigned features;
    TRY(cpu_features_capped(&features, options.isa));
    cover_allocator allocator = {default_allocate, default_release, NULL};
    if (options.allocator) {
        if (!options.allocator->allocate || !options.allocator->release)
            return fail(COVER_ERROR_ARGUMENT, "cover_allocator: allocate and release must both be given");
        allocator = *options.allocator;
    }
    cover_context *context = allocator.allocate(allocator.user, sizeof *context, 64);
    if (!context) return fail(COVER_ERROR_MEMORY, "out of memory: the context's %zu bytes were refused", sizeof *context);
    memset(context, 0, sizeof *context);
    context->allocator = allocator;
    atomic_init(&context->holders, 1);
    context->end = end;
    context->process = getpid();
    context->log = options.log, context->log_user = options.log_user;
    context->threads = options.threads ? options.threads : usable_processors();
    context->memory_limit_bytes = options.memory_limit_bytes;
    context->cpu_features = features;
    cpu_features_name(features, context->cpu_features_text);
    pthread_mutex_init(&context->callback_lock, NULL);
    pthread_mutex_init(&context->pool_lock, NULL);
    const struct device_options device = {.name = options.device,
                                          .module = options.device_module,
                                          .deterministic = options.deterministic != 0,
                                          .tf32 = options.tf32 != 0};
    cover_status status = context_device_open(context, &device);
    if (status == COVER_OK) *out = context;
    else cover_context_destroy(context);
    return status;
}

void cover_context_destroy(cover_context *context) {
    if (context) context_let_go(context);
}

void cover_context_cancel(cover_context *context) {
    if (context) atomic_store(&context->cancel_requested, 1);
}
void cover_context_resume(cover_context *context) {
    if (context) atomic_store(&context->cancel_requested, 0);
}
int cover_context_threads(const cover_context *context) { return context ? context->threads : 0; }

void cover_text_release(cover_context *context, char *text) { memory_free(context, text); }
