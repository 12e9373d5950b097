/* The door of a meeting: all who have connected are heard at once, each for a few seconds, and only so many; who proves that it belongs
 * is let in.  A stranger, silent or not, costs nobody else any time, and never ends the run.  Called by rendezvous.c. */
#include "core/base/shown.h"
#include "meeting.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VISITORS = 128, AT_ONCE = 32, MOST_WARNINGS = 8 };

struct visitor {
    int descriptor;
    double end; /* of the patience with it */
    bool challenged;
    size_t arrived; /* of the following */
    struct {
        struct hello hello;
        uint8_t proof[PROOF_BYTES];
    } said;
    struct challenge challenge;
};
struct door {
    int count, warnings;
    struct visitor visitor[VISITORS]; /* the oldest first */
    char refused[512];
};

cover_status door_open(struct meeting *meeting) {
    meeting->door = memory_zero(meeting->sockets->transport.context, sizeof *meeting->door);
    return meeting->door ? COVER_OK : COVER_ERROR_MEMORY;
}

void door_close(struct meeting *meeting) {
    for (int i = 0; meeting->door && i < meeting->door->count; i++) close(meeting->door->visitor[i].descriptor);
    memory_free(meeting->sockets->transport.context, meeting->door);
    meeting->door = NULL;
}

const char *door_refused(const struct meeting *meeting) { return meeting->door->refused; }

static void forget(struct door *door, int which) {
    door->count--;
    memmove(&door->visitor[which], &door->visitor[which + 1], (size_t)(door->count - which) * sizeof *door->visitor);
}

static void drop(struct door *door, int which) {
    close(door->visitor[which].descriptor);
    forget(door, which);
}

/* Room for one more: the oldest of the silent goes, or when all speak the oldest. */
static void drop_one(struct door *door) {
    int which = 0;
    while (which < door->count && door->visitor[which].arrived) which++;
    drop(door, which < door->count ? which : 0);
}

/* Says so on both sides; whoever cannot take the answer at once does without. */
static void refuse(struct meeting *meeting, struct visitor *visitor, const uint8_t secret[PROOF_BYTES], const char *text) {
    struct door *door = meeting->door;
    struct {
        struct answer answer;
        uint8_t proof[PROOF_BYTES];
    } sent = {.answer = {.status = COVER_ERROR_RANK}};
    uint8_t rest[512];
    snprintf(sent.answer.text, sizeof sent.answer.text, "%s", text);
    if (secret) proof_make(sent.proof, secret, WHO_ANSWERS, &sent.answer, sizeof sent.answer, NULL, 0);
    snprintf(door->refused, sizeof door->refused, "%s", text);
    if (door->warnings++ < MOST_WARNINGS)
        log_line(meeting->sockets->transport.context, COVER_LOG_WARNING, "%s; it was not let in", text);
    while (recv(visitor->descriptor, rest, sizeof rest, MSG_DONTWAIT) < 0 && errno == EINTR) {
    } /* unread bytes would undo the answer */
    while (send(visitor->descriptor, &sent, sizeof sent, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR) {}
}

static void refuse_protocol(struct meeting *meeting, struct visitor *visitor) {
    char name[160], text[512];
    struct card card = {0};
    memcpy(&card, &visitor->said, offsetof(struct card, endpoint));
    card.version[sizeof card.version - 1] = card.host[sizeof card.host - 1] = 0;
    card_name(&card, name, sizeof name);
    shown_print(text, sizeof text, "%s runs libcover %s, but rank %d runs %s; install the same everywhere", name, card.version,
                meeting->given->rank, cover_version());
    refuse(meeting, visitor, NULL, text);
}

static bool send_challenge(struct meeting *meeting, struct visitor *visitor) {
    struct challenge *challenge = &visitor->challenge;
    *challenge = (struct challenge){.protocol = PROTOCOL, .with_token = meeting->token.given};
    memcpy(challenge->magic, MAGIC, sizeof MAGIC);
    if (nonce_make(challenge->nonce) != COVER_OK) return false;
    visitor->challenged = true;
    ssize_t sent;
    do sent = send(visitor->descriptor, challenge, sizeof *challenge, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *challenge; /* into an empty buffer */
}

/* All was said: does it belong, and has it come for this? */
static bool is_guest(struct meeting *meeting, struct visitor *visitor, enum purpose purpose, struct guest *guest) {
    uint8_t proof[PROOF_BYTES];
    char name[160], text[512];
    const int rank = meeting->given->rank;
    *guest = (struct guest){.descriptor = visitor->descriptor, .hello = visitor->said.hello};
    secret_make(guest->secret, &meeting->token, &visitor->said.hello, &visitor->challenge);
    proof_make(proof, guest->secret, WHO_COMES, NULL, 0, NULL, 0);
    struct card *card = &guest->hello.card;
    card->version[sizeof card->version - 1] = card->host[sizeof card->host - 1] = 0;
    if (!hmac_equal(proof, visitor->said.proof) || guest->hello.with_token != (int32_t)meeting->token.given) {
        token_text(text, sizeof text, card, guest->hello.with_token, rank, meeting->token.given);
        refuse(meeting, visitor, guest->secret, text);
        return false;
    }
    if (guest->hello.purpose == (int32_t)purpose && guest->hello.to == rank) return true;
    card_name(card, name, sizeof name);
    shown_print(text, sizeof text, "%s came to rank %d when nobody was expected there; is it started twice?", name, rank);
    refuse(meeting, visitor, guest->secret, text);
    return false;
}

/* What has come of one visitor's words; with `guest` filled when it belongs. */
enum turn { WAITS, LEAVES, ENTERS };
static enum turn hear(struct meeting *meeting, struct visitor *visitor, enum purpose purpose, struct guest *guest) {
    for (;;) {
        size_t wanted = visitor->challenged ? sizeof visitor->said : sizeof visitor->said.hello;
        ssize_t got = recv(visitor->descriptor, (char *)&visitor->said + visitor->arrived, wanted - visitor->arrived, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return WAITS;
        if (got <= 0) return LEAVES;
        visitor->arrived += (size_t)got;
        const struct card *card = &visitor->said.hello.card;
        if (memcmp(card->magic, MAGIC, visitor->arrived < MAGIC_BYTES ? visitor->arrived : MAGIC_BYTES) != 0) return LEAVES;
        if (visitor->arrived >= offsetof(struct card, endpoint) && card->protocol != PROTOCOL) {
            refuse_protocol(meeting, visitor);
            return LEAVES;
        }
        if (visitor->arrived < wanted) continue;
        if (visitor->challenged) return is_guest(meeting, visitor, purpose, guest) ? ENTERS : LEAVES;
        if (!send_challenge(meeting, visitor)) return LEAVES;
    }
}

static cover_status let_in(struct meeting *meeting) {
    struct door *door = meeting->door;
    for (int i = 0; i < AT_ONCE; i++) {
        int descriptor = endpoint_accept(meeting);
        if (descriptor < 0 && (errno == EMFILE || errno == ENFILE)) {
            if (!door->count)
                return fail(COVER_ERROR_IO, "rank %d cannot take a connection: %s; raise the limit of open files",
                            meeting->given->rank, strerror(errno));
            drop_one(door);
        } else if (descriptor < 0) return COVER_OK;
        else {
            if (door->count == VISITORS) drop_one(door);
            door->visitor[door->count++] = (struct visitor){.descriptor = descriptor, .end = seconds_now() + HELLO_SECONDS};
        }
    }
    return COVER_OK;
}

cover_status door_next(struct meeting *meeting, enum purpose purpose, struct guest *guest, double end, const char *what) {
    struct door *door = meeting->door;
    for (;;) {
        struct pollfd wait[VISITORS + 1];
        const int count = door->count;
        for (int i = 0; i < count; i++) wait[i] = (struct pollfd){.fd = door->visitor[i].descriptor, .events = POLLIN};
        wait[count] = (struct pollfd){.fd = meeting->listener, .events = POLLIN};
        const int ready = poll(wait, (nfds_t)count + 1, LOOK_MS);
        if (cancelled(meeting->sockets->transport.context))
            return fail(COVER_ERROR_CANCELLED, "meeting the other ranks: cancelled");
        const double now = seconds_now();
        for (int i = count - 1; i >= 0; i--) { /* from the end: who leaves moves those behind */
            enum turn turn = ready > 0 && wait[i].revents ? hear(meeting, &door->visitor[i], purpose, guest) : WAITS;
            if (turn == ENTERS) {
                forget(door, i);
                return COVER_OK;
            }
            if (turn == LEAVES || now > door->visitor[i].end) drop(door, i);
        }
        if (ready > 0 && wait[count].revents) TRY(let_in(meeting));
        if (now > end) return fail(COVER_ERROR_RANK, "%s: no answer in time", what);
    }
}
