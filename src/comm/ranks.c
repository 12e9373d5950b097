/* The communicator over a transport.  A thread of its own watches over the others: every rank sends rank 0 signs of life and has
 * rank 0's, so that a rank that was killed, stopped or cut off is noticed while all others compute, and everybody is told which
 * one it was.  A rank that is slow but alive is waited for.  Called by join.c. */
#include "transport.h"

#include "core/base/number.h"
#include "core/base/threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TURN_MS = 20 };
static const double FAREWELL_SECONDS = 1, VERDICT_SECONDS = 2;
static const char TOO_EARLY[] = "has left in the middle of the work";

struct peer {
    double heard;    /* when it last gave a sign of life */
    atomic_int left; /* said farewell, or is gone */
};

struct ranks {
    struct communicator communicator;
    cover_context *context;
    struct transport *transport;
    struct peer *peers;
    struct thread thread;
    atomic_int leaving, parted; /* parted: farewells have been exchanged */
    _Atomic double since;       /* when the exchange at work began, 0 = none is */
    pthread_mutex_t lock;       /* of the verdict */
    cover_status status;
    char text[1024];
};

/* ---- the verdict: the first reason wins, and goes to all */

static bool decide(struct ranks *ranks, const struct note *note) {
    bool known = note->status > COVER_OK && note->status <= COVER_ERROR_RANK;
    pthread_mutex_lock(&ranks->lock);
    bool first = !atomic_load(&ranks->communicator.failed);
    if (first) {
        ranks->status = known ? (cover_status)note->status : COVER_ERROR_RANK, ranks->communicator.lost = note->lost;
        snprintf(ranks->text, sizeof ranks->text, "%s", note->text);
        atomic_store(&ranks->communicator.failed, 1);
    }
    pthread_mutex_unlock(&ranks->lock);
    return first;
}

/* Notes go to rank 0, which passes them on. */
static void spread(struct ranks *ranks, const struct note *note) {
    struct transport *transport = ranks->transport;
    int first = transport->rank == 0, last = transport->rank == 0 ? transport->ranks : 1;
    for (int to = first; to < last; to++)
        if (!atomic_load(&ranks->peers[to].left)) transport->calls->tell(transport, to, note);
}

static void give_up(struct ranks *ranks, cover_status status, int lost, const char *text) {
    struct note note = {.kind = NOTE_ABORT, .status = (int32_t)status, .lost = lost};
    snprintf(note.text, sizeof note.text, "%s", text);
    if (decide(ranks, &note)) spread(ranks, &note);
}

static void lose(struct ranks *ranks, int rank, const char *how) {
    char text[512];
    atomic_store(&ranks->peers[rank].left, 1);
    if (atomic_load(&ranks->communicator.failed)) return;
    snprintf(text, sizeof text, "rank %d (%s) %s; the others have stopped", rank, ranks->transport->name(ranks->transport, rank),
             how);
    give_up(ranks, COVER_ERROR_RANK, rank, text);
}

/* ---- the watch */

static void hear(struct ranks *ranks, int from, struct note *note) {
    struct peer *peer = &ranks->peers[from];
    peer->heard = seconds_now();
    note->text[sizeof note->text - 1] = 0;
    switch (note->kind) {
    case NOTE_BYE:
        /* answered at once, so that whoever leaves need not wait, and leaves nothing unread */
        if (!atomic_exchange(&peer->left, 1)) ranks->transport->calls->tell(ranks->transport, from, note);
        break;
    case NOTE_ABORT:
        if (decide(ranks, note) && ranks->transport->rank == 0) spread(ranks, note);
        break;
    case NOTE_GONE:
        if (!atomic_load(&peer->left)) lose(ranks, from, "has ended unexpectedly");
        break;
    default:
        break;
    }
}

/* Who is silent for too long; and who has said farewell, while an exchange here waits and waits. */
static void check_silence(struct ranks *ranks, double now) {
    char how[64];
    for (int rank = 0; rank < ranks->transport->ranks; rank++) {
        if (rank == ranks->transport->rank || (rank != 0 && ranks->transport->rank != 0)) continue;
        bool left = atomic_load(&ranks->peers[rank].left);
        double since = left ? atomic_load(&ranks->since) : ranks->peers[rank].heard;
        if (!since || now - since <= ranks->communicator.deadline_seconds) continue;
        number_print(how, sizeof how, "has given no sign of life for %.3g seconds", ranks->communicator.deadline_seconds);
        lose(ranks, rank, left ? TOO_EARLY : how);
    }
}

static void hear_of_all(struct ranks *ranks, double now) {
    for (int rank = 0; rank < ranks->transport->ranks; rank++) ranks->peers[rank].heard = now;
}

static bool all_left(struct ranks *ranks) {
    int last = ranks->transport->rank == 0 ? ranks->transport->ranks : 1;
    for (int rank = 0; rank < last; rank++)
        if (rank != ranks->transport->rank && !atomic_load(&ranks->peers[rank].left)) return false;
    return true;
}

static void *watch(void *argument) {
    struct ranks *ranks = argument;
    const struct transport_calls *calls = ranks->transport->calls;
    const struct note beat = {.kind = NOTE_BEAT}, bye = {.kind = NOTE_BYE};
    double interval = fmin(ranks->communicator.deadline_seconds / 8, 5), next_beat = 0, last = seconds_now(), end = 0;
    hear_of_all(ranks, last);
    for (;;) {
        struct note note;
        int from;
        bool heard = calls->hear(ranks->transport, &from, &note, TURN_MS);
        double now = seconds_now();
        if (now - last > ranks->communicator.deadline_seconds / 2)
            hear_of_all(ranks, now); /* it is this process that was stopped */
        last = now;
        if (heard) hear(ranks, from, &note);
        if (atomic_load(&ranks->leaving) && !end) {
            spread(ranks, &bye);
            end = now + FAREWELL_SECONDS;
        }
        if (end && (all_left(ranks) || now > end || atomic_load(&ranks->communicator.failed))) break;
        if (now >= next_beat) {
            spread(ranks, &beat);
            next_beat = now + interval;
        }
        if (!heard && !end) check_silence(ranks, now);
    }
    atomic_store(&ranks->parted, all_left(ranks) && !atomic_load(&ranks->communicator.failed));
    return NULL;
}

/* ---- what core calls */

static struct ranks *ranks_of(struct communicator *communicator) { return (struct ranks *)communicator; }

static cover_status reason(struct communicator *communicator) {
    struct ranks *ranks = ranks_of(communicator);
    char text[sizeof ranks->text];
    pthread_mutex_lock(&ranks->lock);
    cover_status status = ranks->status;
    memcpy(text, ranks->text, sizeof text);
    pthread_mutex_unlock(&ranks->lock);
    return fail_text(status, text);
}

/* A connection broke: rank 0 knows who it was first, and says so soon. */
static cover_status wait_for_verdict(struct ranks *ranks, int gone) {
    const struct timespec nap = {.tv_nsec = 5000000};
    for (double end = seconds_now() + VERDICT_SECONDS; !atomic_load(&ranks->communicator.failed) && seconds_now() < end;)
        nanosleep(&nap, NULL);
    if (!atomic_load(&ranks->communicator.failed)) {
        char text[256];
        snprintf(text, sizeof text, "rank %d (%s) %s; the others have stopped", gone,
                 ranks->transport->name(ranks->transport, gone), TOO_EARLY);
        give_up(ranks, COVER_ERROR_RANK, gone, text);
    }
    return reason(&ranks->communicator);
}

static cover_status exchange(struct communicator *communicator, int to, const void *send, size_t send_bytes, int from,
                             void *receive, size_t receive_bytes) {
    struct ranks *ranks = ranks_of(communicator);
    int gone = NOBODY;
    if (atomic_load(&communicator->failed)) return reason(communicator);
    TRY(context_check_process(ranks->context));
    atomic_store(&ranks->since, seconds_now());
    cover_status status = ranks->transport->calls->exchange(ranks->transport, to, send, send_bytes, from, receive, receive_bytes,
                                                            &communicator->failed, &gone);
    atomic_store(&ranks->since, 0);
    if (status == COVER_OK) return COVER_OK;
    if (atomic_load(&communicator->failed)) return reason(communicator);
    if (gone != NOBODY) return wait_for_verdict(ranks, gone);
    char text[1024];
    snprintf(text, sizeof text, "rank %d: %s", communicator->rank, cover_error_text());
    give_up(ranks, COVER_ERROR_RANK, NOBODY, text);
    return reason(communicator);
}

static void abort_all(struct communicator *communicator, cover_status status, const char *text) {
    give_up(ranks_of(communicator), status, NOBODY, text);
}

static void destroy(struct communicator *communicator) {
    struct ranks *ranks = ranks_of(communicator);
    atomic_store(&ranks->leaving, 1);
    if (!in_another_process(ranks->context)) { /* else the connections are the parent's, and go with this process */
        thread_join(&ranks->thread);
        ranks->transport->calls->destroy(ranks->transport, atomic_load(&ranks->parted));
        pthread_mutex_destroy(&ranks->lock);
    }
    memory_free(ranks->context, ranks->peers);
    memory_free(ranks->context, communicator->chunk);
    memory_free(ranks->context, ranks);
}

cover_status ranks_create(struct communicator **made, struct transport *transport, double deadline_seconds) {
    cover_context *context = transport->context;
    struct ranks *ranks = memory_zero(context, sizeof *ranks);
    if (!ranks) {
        transport->calls->destroy(transport, false);
        return COVER_ERROR_MEMORY;
    }
    ranks->communicator = (struct communicator){.rank = transport->rank,
                                                .ranks = transport->ranks,
                                                .deadline_seconds = deadline_seconds,
                                                .lost = NOBODY,
                                                .exchange = exchange,
                                                .abort = abort_all,
                                                .reason = reason,
                                                .destroy = destroy};
    ranks->context = context, ranks->transport = transport;
    pthread_mutex_init(&ranks->lock, NULL);
    cover_status status = COVER_ERROR_MEMORY;
    ranks->peers = memory_zero(context, (size_t)transport->ranks * sizeof *ranks->peers);
    ranks->communicator.chunk = memory_alloc(context, COMMUNICATOR_CHUNK);
    if (!ranks->peers || !ranks->communicator.chunk) goto done;
    if (!thread_start(&ranks->thread, watch, ranks))
        GO(fail(COVER_ERROR_MEMORY, "the thread that watches over the other ranks could not be started"));
    status = COVER_OK;
    *made = &ranks->communicator;
done:
    if (status != COVER_OK) destroy(&ranks->communicator);
    return status;
}
