/* What the parts of a meeting by sockets share: its state, and what is said there.
 *
 * Who comes says a hello, gets a challenge, proves by both that it has the token (proof.h), and gets an answer that proves the same.
 * Then the connection belongs to the ranks; what goes over it is neither signed nor encrypted.
 * Called by rendezvous.c; address.c makes sockets, connects them and moves bytes, door.c lets in who belongs. */
#ifndef COVER_MEETING_H
#define COVER_MEETING_H

#include "proof.h"
#include "socket.h"

#include <netinet/in.h>
#include <sys/un.h>

enum { PROTOCOL = 2, MAGIC_BYTES = 8, LOOK_MS = 50 };
static const char MAGIC[MAGIC_BYTES] = "COVRANK";
static const double HELLO_SECONDS = 3; /* for what a peer that has come sends at once */

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in six_or_four;
        struct sockaddr_in6 six;
        struct sockaddr_storage storage;
    };
    uint32_t bytes, unused;
};

/* On the wire, and signed: without holes.  All up to `endpoint` is the same in every protocol. */
struct card {
    char magic[MAGIC_BYTES];
    int32_t protocol, rank, ranks, pid;
    char version[32], host[64];
    struct endpoint endpoint; /* where it takes connections */
};
enum purpose { TO_MEET = 1, TO_WORK };
struct hello {
    struct card card;
    int32_t purpose, to, with_token, unused; /* to: a rank */
    uint8_t nonce[NONCE_BYTES];
};
struct challenge {
    char magic[MAGIC_BYTES];
    int32_t protocol, with_token;
    uint8_t nonce[NONCE_BYTES];
};
struct answer { /* then, to TO_MEET and when all is well, the cards of all; then the proof of it all */
    int32_t status;
    char text[1020];
};
_Static_assert(sizeof(struct card) == 256 && sizeof(struct hello) == 304 && sizeof(struct challenge) == 48, "no holes");

/* Whoever has proven that it belongs. */
struct guest {
    int descriptor;
    struct hello hello;
    uint8_t secret[PROOF_BYTES]; /* of this connection */
};

struct door;
struct meeting {
    struct sockets *sockets;
    const struct rendezvous *given;
    struct token token;
    struct endpoint home; /* rank 0's */
    int listener;
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* of the listener's socket, "" = none */
    struct door *door;
    struct card *cards;   /* of each rank */
    struct guest *guests; /* rank 0: of each rank; their descriptors are the channels */
    double end;
};

/* Every wait ends with its time, or when the context is cancelled. */
cover_status wait_for(struct meeting *meeting, int descriptor, short events, double end, const char *what);
cover_status move_all(struct meeting *meeting, int descriptor, void *data, size_t bytes, bool out, double end, const char *what);

/* host:port, or the path of a socket with a suffix. */
cover_status endpoint_resolve(struct endpoint *endpoint, const char *address, bool listens);
cover_status endpoint_local(struct endpoint *endpoint, const char *path, const char *suffix);
/* Does nobody but this machine reach it? */
bool endpoint_is_inside(const struct endpoint *endpoint);
/* meeting->listener, at that address; a port that was 0 is filled in. */
cover_status endpoint_listen(struct meeting *meeting, struct endpoint *endpoint);
cover_status endpoint_connect(struct meeting *meeting, int *descriptor, const struct endpoint *endpoint, double end,
                              const char *what);
/* The next connection that waits, -1 with errno when there is none; another user's of this machine is -1 and EAGAIN. */
int endpoint_accept(const struct meeting *meeting);

/* The next one who comes for this purpose and proves that it belongs.  COVER_ERROR_RANK: nobody in time. */
cover_status door_open(struct meeting *meeting);
cover_status door_next(struct meeting *meeting, enum purpose purpose, struct guest *guest, double end, const char *what);
void door_close(struct meeting *meeting);
/* Why the last one who was no stranger by its words was not let in; "" = there was none. */
const char *door_refused(const struct meeting *meeting);

cover_status answer_send(struct meeting *meeting, int descriptor, const uint8_t secret[PROOF_BYTES], struct answer *answer,
                         size_t cards, double end);
/* Who is known by this card, for texts: "rank 1 (process 712 on node3)". */
void card_name(const struct card *card, char *text, size_t bytes);
/* Why two do not have the same token, and what to do. */
void token_text(char *text, size_t bytes, const struct card *comes, bool comes_with, int to, bool to_with);

#endif
