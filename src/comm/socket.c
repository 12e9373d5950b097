/* The transport over sockets, Unix-domain on one machine, TCP between machines. */
#include "socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_MS = 50 }; /* how often a wait looks at *stop */

static struct sockets *sockets_of(struct transport *transport) { return (struct sockets *)transport; }

/* As much as goes at once: bytes, 0 when nothing does, -1 when the peer is gone. */
static ssize_t some(ssize_t moved, bool end_is_zero) {
    if (moved > 0) return moved;
    if (moved == 0) return end_is_zero ? -1 : 0;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static cover_status exchange(struct transport *transport, int to, const void *send_from, size_t send_bytes, int from,
                             void *receive_into, size_t receive_bytes, const atomic_int *stop, int *gone) {
    struct sockets *sockets = sockets_of(transport);
    struct pollfd wait[2] = {{.fd = to == NOBODY ? -1 : sockets->data[to], .events = POLLOUT},
                             {.fd = from == NOBODY ? -1 : sockets->data[from], .events = POLLIN}};
    const char *out = send_from;
    char *in = receive_into;
    if (to == NOBODY) send_bytes = 0;
    if (from == NOBODY) receive_bytes = 0;
    while (send_bytes || receive_bytes) {
        ssize_t sent = send_bytes ? some(send(wait[0].fd, out, send_bytes, MSG_NOSIGNAL | MSG_DONTWAIT), false) : 0;
        ssize_t got = receive_bytes ? some(recv(wait[1].fd, in, receive_bytes, MSG_DONTWAIT), true) : 0;
        if (sent < 0 || got < 0) {
            *gone = sent < 0 ? to : from;
            return fail(COVER_ERROR_RANK, "rank %d is gone", *gone);
        }
        if (sent) out += sent, send_bytes -= (size_t)sent; /* else there may be no place to step from */
        if (got) in += got, receive_bytes -= (size_t)got;
        if (sent || got) continue;
        if (atomic_load(stop)) return fail(COVER_ERROR_RANK, "the work was stopped");
        if (!send_bytes) wait[0].fd = -1;
        if (!receive_bytes) wait[1].fd = -1;
        poll(wait, 2, LOOK_MS);
    }
    return COVER_OK;
}

static void tell(struct transport *transport, int to, const struct note *note) {
    struct sockets *sockets = sockets_of(transport);
    struct channel *channel = &sockets->channels[to];
    pthread_mutex_lock(&sockets->tell_lock);
    if (channel->descriptor >= 0 && !channel->ended) {
        ssize_t sent = send(channel->descriptor, note, sizeof *note, MSG_NOSIGNAL | MSG_DONTWAIT);
        channel->ended = sent >= 0 && sent < (ssize_t)sizeof *note; /* half a note: the next would not be understood */
    }
    pthread_mutex_unlock(&sockets->tell_lock);
}

/* A whole note of this channel, or that it has ended. */
static bool read_note(struct channel *channel, struct note *note) {
    ssize_t got = some(
        recv(channel->descriptor, (char *)&channel->note + channel->arrived, sizeof channel->note - channel->arrived, MSG_DONTWAIT),
        true);
    if (got < 0) {
        close(channel->descriptor);
        channel->descriptor = -1;
        *note = (struct note){.kind = NOTE_GONE};
        return true;
    }
    channel->arrived += (size_t)got;
    if (channel->arrived < sizeof channel->note) return false;
    *note = channel->note;
    channel->arrived = 0;
    return note->kind >= NOTE_BEAT && note->kind <= NOTE_ABORT;
}

static bool hear(struct transport *transport, int *from, struct note *note, int milliseconds) {
    struct sockets *sockets = sockets_of(transport);
    struct pollfd wait[SOCKET_RANKS];
    int count = transport->rank == 0 ? transport->ranks : 1;
    for (int i = 0; i < count; i++) wait[i] = (struct pollfd){.fd = sockets->channels[i].descriptor, .events = POLLIN};
    if (poll(wait, (nfds_t)count, milliseconds) <= 0) return false;
    for (int i = 0; i < count; i++) {
        if (!wait[i].revents) continue;
        pthread_mutex_lock(&sockets->tell_lock); /* a channel that ends is closed */
        bool whole = read_note(&sockets->channels[i], note);
        pthread_mutex_unlock(&sockets->tell_lock);
        *from = i;
        if (whole) return true;
    }
    return false;
}

static void destroy(struct transport *transport, bool clean) {
    struct sockets *sockets = sockets_of(transport);
    (void)clean;
    for (int i = 0; sockets->data && sockets->channels && i < transport->ranks; i++) {
        if (sockets->data[i] >= 0) close(sockets->data[i]);
        if (sockets->channels[i].descriptor >= 0) close(sockets->channels[i].descriptor);
    }
    pthread_mutex_destroy(&sockets->tell_lock);
    memory_free(transport->context, sockets->data);
    memory_free(transport->context, sockets->channels);
    memory_free(transport->context, sockets->names);
    memory_free(transport->context, sockets);
}

static const char *name(const struct transport *transport, int rank) { return ((const struct sockets *)transport)->names[rank]; }

cover_status socket_transport(struct transport **made, cover_context *context, const struct rendezvous *rendezvous) {
    static const struct transport_calls calls = {"socket", exchange, tell, hear, destroy};
    int ranks = rendezvous->ranks;
    if (ranks > SOCKET_RANKS) return fail(COVER_ERROR_ARGUMENT, "%d ranks: sockets join at most %d; use mpi", ranks, SOCKET_RANKS);
    struct sockets *sockets = memory_zero(context, sizeof *sockets);
    if (!sockets) return COVER_ERROR_MEMORY;
    sockets->transport = (struct transport){&calls, context, rendezvous->rank, ranks, name};
    pthread_mutex_init(&sockets->tell_lock, NULL);
    sockets->data = memory_alloc(context, (size_t)ranks * sizeof *sockets->data);
    sockets->channels = memory_zero(context, (size_t)ranks * sizeof *sockets->channels);
    sockets->names = memory_zero(context, (size_t)ranks * sizeof *sockets->names);
    cover_status status = COVER_ERROR_MEMORY;
    if (!sockets->data || !sockets->channels || !sockets->names) goto done;
    for (int i = 0; i < ranks; i++) sockets->data[i] = sockets->channels[i].descriptor = -1;
    GO(sockets_meet(sockets, rendezvous));
    *made = &sockets->transport;
done:
    if (status != COVER_OK) destroy(&sockets->transport, false);
    return status;
}
