/* How long a context lives, and in which process: handles keep it, and a child of fork() has its memory alone.
 * Called by everything that makes handles, starts threads or destroys either. */
#include "base.h"

#include <unistd.h>

void *handle_make(cover_context *context, size_t bytes) {
    void *handle = memory_zero(context, bytes);
    if (handle) atomic_fetch_add(&context->holders, 1);
    return handle;
}

void handle_free(cover_context *context, void *handle) {
    memory_free(context, handle);
    context_let_go(context);
}

void context_let_go(cover_context *context) {
    if (atomic_fetch_sub(&context->holders, 1) == 1) context->end(context);
}

bool in_another_process(const cover_context *context) { return context->process != getpid(); }

cover_status context_check_process(const cover_context *context) {
    if (!in_another_process(context)) return COVER_OK;
    return fail(COVER_ERROR_UNSUPPORTED,
                "this context was made in process %ld, which has its threads; after fork(), create one in the child",
                (long)context->process);
}
