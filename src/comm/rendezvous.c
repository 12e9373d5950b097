/* How ranks find each other by sockets.  All come to rank 0's address and say who they are; when all are there, rank 0 answers
 * each with the addresses of all, or with what is wrong, and every rank connects to those below it.
 *
 * Between machines nothing is encrypted, and whoever reaches
 * the port can disturb the run: for networks that are trusted. */
#include "meeting.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROTOCOL = 1 };
static const double HELLO_SECONDS = 3, MESH_SECONDS = 20; /* for what a peer that has come sends at once */
static const char MAGIC[MAGIC_BYTES] = "COVRANK";

struct answer {
    int32_t status;
    char text[1020];
};

/* Another user of this machine has no business here. */
static bool is_ours(int descriptor, int family) {
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (family != AF_UNIX) return true;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.uid == geteuid();
}

/* The next connection, NOBODY's as long as it has not said who it is. */
static cover_status accept_one(struct meeting *meeting, int *descriptor, double end, const char *what) {
    int family = meeting->home.any.sa_family;
    for (;;) {
        TRY(wait_for(meeting, meeting->listener, POLLIN, end, what));
        *descriptor = accept4(meeting->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (*descriptor < 0) continue;
        if (is_ours(*descriptor, family)) break;
        close(*descriptor);
    }
    socket_set_up(*descriptor, family);
    return COVER_OK;
}

/* ---- who comes */

static void introduce(struct hello *hello, const struct rendezvous *given) {
    *hello = (struct hello){.protocol = PROTOCOL, .rank = given->rank, .ranks = given->ranks, .pid = (int32_t)getpid()};
    memcpy(hello->magic, MAGIC, sizeof MAGIC);
    snprintf(hello->version, sizeof hello->version, "%s", cover_version());
    gethostname(hello->host, sizeof hello->host - 1);
}

static cover_status belongs(const struct meeting *meeting, const struct hello *hello) {
    const struct rendezvous *given = meeting->given;
    if (hello->protocol != PROTOCOL || strcmp(hello->version, cover_version()) != 0)
        return fail(COVER_ERROR_RANK, "rank %d on %s runs libcover %s, but rank 0 runs %s; install the same everywhere",
                    hello->rank, hello->host, hello->version, cover_version());
    if (hello->ranks != given->ranks)
        return fail(COVER_ERROR_RANK, "rank %d on %s was told of %d ranks, but rank 0 of %d; start all with the same number",
                    hello->rank, hello->host, hello->ranks, given->ranks);
    if (hello->rank < 1 || hello->rank >= given->ranks)
        return fail(COVER_ERROR_RANK, "a process on %s calls itself rank %d of %d", hello->host, hello->rank, given->ranks);
    if (meeting->hellos[hello->rank].pid)
        return fail(COVER_ERROR_RANK, "two processes call themselves rank %d: %d on %s and %d on %s", hello->rank,
                    meeting->hellos[hello->rank].pid, meeting->hellos[hello->rank].host, hello->pid, hello->host);
    return COVER_OK;
}

static cover_status all_came(const struct meeting *meeting) {
    char missing[128] = "";
    int count = 0;
    for (int rank = 1; rank < meeting->given->ranks; rank++) {
        size_t length = strlen(missing);
        if (meeting->hellos[rank].pid) continue;
        count++;
        if (length < sizeof missing - 16) snprintf(missing + length, sizeof missing - length, "%s%d", *missing ? ", " : "", rank);
    }
    if (!count) return COVER_OK;
    return fail(COVER_ERROR_RANK, "%d of %d ranks did not come within %.3g seconds: %s; look at their messages", count,
                meeting->given->ranks, meeting->given->join_seconds, missing);
}

/* Rank 0: take everybody's hello, then answer all.  One that does not belong here makes the answer an error, for all. */
static cover_status receive_all(struct meeting *meeting) {
    struct sockets *sockets = meeting->sockets;
    int ranks = meeting->given->ranks, came = 1, refused[SOCKET_RANKS], refused_count = 0;
    struct answer answer = {.status = COVER_OK};
    cover_status status = COVER_OK;
    while (came < ranks) {
        int descriptor;
        struct hello hello;
        cover_status comes = accept_one(meeting, &descriptor, meeting->end, "the other ranks");
        if (comes == COVER_ERROR_RANK) break; /* its time is over */
        GO(comes);
        if (move_all(meeting, descriptor, &hello, sizeof hello, false, seconds_now() + HELLO_SECONDS, "a hello") != COVER_OK ||
            memcmp(hello.magic, MAGIC, sizeof MAGIC) != 0) {
            close(descriptor); /* somebody else */
            continue;
        }
        hello.version[sizeof hello.version - 1] = hello.host[sizeof hello.host - 1] = 0;
        came++;
        if (belongs(meeting, &hello) == COVER_OK) {
            meeting->hellos[hello.rank] = hello;
            sockets->channels[hello.rank].descriptor = descriptor;
            continue;
        }
        if (!answer.status) snprintf(answer.text, sizeof answer.text, "%s", cover_error_text());
        answer.status = COVER_ERROR_RANK;
        refused[refused_count++] = descriptor;
        meeting->end = seconds_now() + HELLO_SECONDS; /* for the others to hear it */
    }
    if (!answer.status && (answer.status = all_came(meeting)) != COVER_OK)
        snprintf(answer.text, sizeof answer.text, "%s", cover_error_text());
    for (int i = 0; i < ranks + refused_count; i++) {
        int descriptor = i < ranks ? sockets->channels[i].descriptor : refused[i - ranks];
        if (descriptor < 0) continue;
        double end = seconds_now() + HELLO_SECONDS;
        cover_status sent = move_all(meeting, descriptor, &answer, sizeof answer, true, end, "a rank");
        if (sent == COVER_OK && !answer.status)
            move_all(meeting, descriptor, meeting->hellos, (size_t)ranks * sizeof *meeting->hellos, true, end, "a rank");
    }
    if (answer.status) status = fail((cover_status)answer.status, "%s", answer.text);
done:
    for (int i = 0; i < refused_count; i++) close(refused[i]);
    return status;
}

/* Another rank: come to rank 0, and hear who else is there. */
static cover_status come(struct meeting *meeting, struct hello *own) {
    struct channel *channel = &meeting->sockets->channels[0];
    const char *rank0 = "rank 0";
    struct answer answer;
    char suffix[32];
    TRY(endpoint_connect(meeting, &channel->descriptor, &meeting->home, meeting->end, rank0));
    if (meeting->home.any.sa_family == AF_UNIX) {
        snprintf(suffix, sizeof suffix, ".%d-%d", own->rank, (int)gettid()); /* a name of its own, whoever else calls itself so */
        TRY(endpoint_local(&own->endpoint, meeting->home.local.sun_path, suffix));
    } else { /* the address by which this machine reaches rank 0, any port */
        socklen_t bytes = sizeof own->endpoint.storage;
        if (getsockname(channel->descriptor, &own->endpoint.any, &bytes) != 0)
            return fail(COVER_ERROR_IO, "this machine's address: %s", strerror(errno));
        own->endpoint.bytes = bytes;
        own->endpoint.six_or_four.sin_port = 0; /* in the same place in an IPv6 address */
    }
    TRY(endpoint_listen(meeting, &own->endpoint));
    double end = meeting->end + HELLO_SECONDS;
    TRY(move_all(meeting, channel->descriptor, own, sizeof *own, true, end, rank0));
    TRY(move_all(meeting, channel->descriptor, &answer, sizeof answer, false, end, rank0));
    answer.text[sizeof answer.text - 1] = 0;
    if (answer.status) return fail(COVER_ERROR_RANK, "%s", answer.text);
    return move_all(meeting, channel->descriptor, meeting->hellos, (size_t)own->ranks * sizeof *meeting->hellos, false, end, rank0);
}

/* ---- the connections of the work: every rank connects to those below it */

static cover_status connect_below(struct meeting *meeting, double end) {
    struct hello own;
    introduce(&own, meeting->given);
    for (int rank = 0; rank < own.rank; rank++) {
        const struct hello *other = &meeting->hellos[rank];
        if (rank && other->endpoint.bytes > sizeof other->endpoint.storage)
            return fail(COVER_ERROR_RANK, "rank %d has sent no address", rank);
        char what[32];
        snprintf(what, sizeof what, "rank %d", rank);
        TRY(endpoint_connect(meeting, &meeting->sockets->data[rank], rank ? &other->endpoint : &meeting->home, end, what));
        TRY(move_all(meeting, meeting->sockets->data[rank], &own, sizeof own, true, end, what));
    }
    return COVER_OK;
}

static cover_status accept_above(struct meeting *meeting, double end) {
    const int rank = meeting->given->rank, ranks = meeting->given->ranks;
    for (int left = ranks - 1 - rank; left > 0;) {
        struct hello hello;
        int descriptor;
        TRY(accept_one(meeting, &descriptor, end, "the ranks above"));
        cover_status status = move_all(meeting, descriptor, &hello, sizeof hello, false, end, "a rank above");
        if (status != COVER_OK || memcmp(hello.magic, MAGIC, sizeof MAGIC) != 0 || hello.rank <= rank || hello.rank >= ranks ||
            meeting->sockets->data[hello.rank] >= 0) {
            close(descriptor);
            continue;
        }
        meeting->sockets->data[hello.rank] = descriptor;
        left--;
    }
    return COVER_OK;
}

static cover_status meet(struct meeting *meeting) {
    struct hello own;
    introduce(&own, meeting->given);
    TRY(endpoint_resolve(&meeting->home, meeting->given->address, own.rank == 0));
    if (own.rank == 0) {
        TRY(endpoint_listen(meeting, &meeting->home));
        meeting->hellos[0] = own;
        TRY(receive_all(meeting));
    } else TRY(come(meeting, &own));
    double end = seconds_now() + MESH_SECONDS;
    TRY(connect_below(meeting, end));
    TRY(accept_above(meeting, end));
    for (int rank = 0; rank < own.ranks; rank++) {
        const struct hello *hello = &meeting->hellos[rank];
        snprintf(meeting->sockets->names[rank], RANK_NAME, "process %d on %.60s", hello->pid, hello->host);
    }
    return COVER_OK;
}

cover_status sockets_meet(struct sockets *sockets, const struct rendezvous *given) {
    cover_context *context = sockets->transport.context;
    if (!given->address) return fail(COVER_ERROR_ARGUMENT, "cover_ranks_options: sockets need an address");
    struct meeting meeting = {.sockets = sockets, .given = given, .listener = -1, .end = seconds_now() + given->join_seconds};
    meeting.hellos = memory_zero(context, (size_t)given->ranks * sizeof *meeting.hellos);
    if (!meeting.hellos) return COVER_ERROR_MEMORY;
    cover_status status = meet(&meeting);
    if (meeting.listener >= 0) close(meeting.listener);
    if (*meeting.path) unlink(meeting.path);
    memory_free(context, meeting.hellos);
    return status;
}
