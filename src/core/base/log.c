/* What running work asks of its context: may it say something, should it stop, what is the time.  Called by everything. */
#include "communicator.h"
#include "number.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A lost rank stops work as a request does; who joins with the others at its end hears why. */
bool cancelled(const cover_context *context) {
    const struct communicator *communicator = context->communicator;
    return atomic_load(&context->cancel_requested) != 0 || (communicator && atomic_load(&communicator->failed) != 0);
}

struct callback_turn callback_enter(cover_context *context) {
    const int self = (int)gettid();
    if (in_another_process(context))
        return (struct callback_turn){.nested = true}; /* the lock may be held by a thread of the parent */
    if (atomic_load(&context->callback_owner) == self) return (struct callback_turn){.nested = true};
    pthread_mutex_lock(&context->callback_lock);
    atomic_store(&context->callback_owner, self);
    return (struct callback_turn){.nested = false};
}

void callback_leave(cover_context *context, struct callback_turn turn) {
    if (turn.nested) return;
    atomic_store(&context->callback_owner, 0);
    pthread_mutex_unlock(&context->callback_lock);
}

void log_line(cover_context *context, cover_log_level level, const char *format, ...) {
    if (!context->log) return;
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(line, sizeof line, format, arguments);
    va_end(arguments);
    shown_whole(line);
    const struct callback_turn turn = callback_enter(context);
    if (!context->logging) {
        context->logging = true;
        context->log(context->log_user, level, line);
        context->logging = false;
    }
    callback_leave(context, turn);
}

cover_status progress_call(cover_context *context, cover_progress_fn *progress, void *user, int64_t done, int64_t total,
                           const char *what) {
    int stop = 0;
    if (progress) {
        const struct callback_turn turn = callback_enter(context);
        stop = progress(user, done, total, what);
        callback_leave(context, turn);
    }
    if (stop || cancelled(context)) return fail(COVER_ERROR_CANCELLED, "%s: cancelled", what);
    return COVER_OK;
}

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
