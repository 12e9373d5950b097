/* How ranks find each other by sockets.  All come to rank 0's address and say who they are; when all are there, rank 0 answers
 * each with the addresses of all, or with what is wrong, and every rank connects to those below it.  Whoever comes proves that it
 * has the run's token, and so does whoever answers (proof.h).
 *
 * Between machines nothing is encrypted: for networks that are trusted.  Called by socket.c. */
#include "core/base/shown.h"
#include "meeting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const double MESH_SECONDS = 20;

/* ---- what is said */

static void introduce(struct hello *hello, const struct meeting *meeting, enum purpose purpose) {
    const struct rendezvous *given = meeting->given;
    struct card *card = &hello->card;
    *hello = (struct hello){.purpose = purpose, .with_token = meeting->token.given};
    card->protocol = PROTOCOL, card->rank = given->rank, card->ranks = given->ranks, card->pid = (int32_t)getpid();
    memcpy(card->magic, MAGIC, sizeof MAGIC);
    snprintf(card->version, sizeof card->version, "%s", cover_version());
    gethostname(card->host, sizeof card->host - 1);
}

void card_name(const struct card *card, char *text, size_t bytes) {
    shown_print(text, bytes, "rank %d (process %d on %s)", (int)card->rank, (int)card->pid, card->host);
}

void token_text(char *text, size_t bytes, const struct card *comes, bool comes_with, int to, bool to_with) {
    static const char *const differs[2][2] = {
        {"cannot prove that it belongs to the run of rank %d", "has no token, but rank %d has one"},
        {"has a token, but rank %d has none", "has another token than rank %d"}};
    char name[160], how[96];
    card_name(comes, name, sizeof name);
    shown_print(how, sizeof how, differs[comes_with][to_with], to);
    shown_print(text, bytes,
                "%s %s; give all ranks the same token (cover_ranks_options.token; the command takes it from COVER_TOKEN)", name,
                how);
}

cover_status answer_send(struct meeting *meeting, int descriptor, const uint8_t secret[PROOF_BYTES], struct answer *answer,
                         size_t cards, double end) {
    uint8_t proof[PROOF_BYTES];
    const size_t bytes = cards * sizeof *meeting->cards;
    proof_make(proof, secret, WHO_ANSWERS, answer, sizeof *answer, meeting->cards, bytes);
    TRY(move_all(meeting, descriptor, answer, sizeof *answer, true, end, "a rank"));
    TRY(move_all(meeting, descriptor, meeting->cards, bytes, true, end, "a rank"));
    return move_all(meeting, descriptor, proof, sizeof proof, true, end, "a rank");
}

/* Connect and say hello.  Whoever is sent away before it could prove anything, because many came at once, comes again. */
static cover_status listen_for_others(struct meeting *meeting, int descriptor, struct card *own);
static cover_status greet(struct meeting *meeting, int *descriptor, const struct endpoint *endpoint, struct hello *hello,
                          struct challenge *challenge, double end, const char *what) {
    const struct timespec nap = {.tv_nsec = 20000000};
    const double last = hello->purpose == TO_MEET ? meeting->end : end; /* to come; an answer may take a little longer */
    for (;;) {
        TRY(endpoint_connect(meeting, descriptor, endpoint, last, what));
        if (meeting->listener < 0) TRY(listen_for_others(meeting, *descriptor, &hello->card));
        TRY(nonce_make(hello->nonce));
        cover_status status = move_all(meeting, *descriptor, hello, sizeof *hello, true, end, what);
        if (status == COVER_OK) status = move_all(meeting, *descriptor, challenge, sizeof *challenge, false, end, what);
        if (status != COVER_ERROR_RANK || seconds_now() > last) return status;
        close(*descriptor);
        *descriptor = -1;
        nanosleep(&nap, NULL);
    }
}

/* The whole of what one who comes says and hears; with cards: of all ranks, by the answer. */
static cover_status enter(struct meeting *meeting, int *descriptor, const struct endpoint *endpoint, struct hello *hello,
                          size_t cards, double end, const char *what) {
    struct challenge challenge;
    struct answer answer;
    uint8_t secret[PROOF_BYTES], proof[PROOF_BYTES], expected[PROOF_BYTES];
    char text[512];
    TRY(greet(meeting, descriptor, endpoint, hello, &challenge, end, what));
    if (memcmp(challenge.magic, MAGIC, sizeof MAGIC) != 0 || challenge.protocol != PROTOCOL)
        return fail(COVER_ERROR_RANK,
                    "%s does not speak as libcover %s does; install the same everywhere, and see who listens there", what,
                    cover_version());
    secret_make(secret, &meeting->token, hello, &challenge);
    proof_make(proof, secret, WHO_COMES, NULL, 0, NULL, 0);
    TRY(move_all(meeting, *descriptor, proof, sizeof proof, true, end, what));
    TRY(move_all(meeting, *descriptor, &answer, sizeof answer, false, end, what));
    const size_t bytes = answer.status ? 0 : cards * sizeof *meeting->cards;
    TRY(move_all(meeting, *descriptor, meeting->cards, bytes, false, end, what));
    TRY(move_all(meeting, *descriptor, proof, sizeof proof, false, end, what));
    proof_make(expected, secret, WHO_ANSWERS, &answer, sizeof answer, meeting->cards, bytes);
    if (!hmac_equal(proof, expected)) {
        token_text(text, sizeof text, &hello->card, meeting->token.given, hello->to, challenge.with_token);
        return fail(COVER_ERROR_RANK, "%s", text);
    }
    answer.text[sizeof answer.text - 1] = 0;
    return answer.status ? fail(COVER_ERROR_RANK, "%s", answer.text) : COVER_OK;
}

/* ---- who comes to rank 0 */

static cover_status belongs(const struct meeting *meeting, const struct card *card) {
    const struct rendezvous *given = meeting->given;
    if (strcmp(card->version, cover_version()) != 0)
        return fail(COVER_ERROR_RANK, "rank %d on %s runs libcover %s, but rank 0 runs %s; install the same everywhere", card->rank,
                    card->host, card->version, cover_version());
    if (card->ranks != given->ranks)
        return fail(COVER_ERROR_RANK, "rank %d on %s was told of %d ranks, but rank 0 of %d; start all with the same number",
                    card->rank, card->host, card->ranks, given->ranks);
    if (card->rank < 1 || card->rank >= given->ranks)
        return fail(COVER_ERROR_RANK, "a process on %s calls itself rank %d of %d", card->host, card->rank, given->ranks);
    const struct card *other = &meeting->cards[card->rank];
    if (other->pid)
        return fail(COVER_ERROR_RANK, "two processes call themselves rank %d: %d on %s and %d on %s", card->rank, other->pid,
                    other->host, card->pid, card->host);
    return COVER_OK;
}

static cover_status all_came(const struct meeting *meeting) {
    char missing[128] = "";
    int count = 0;
    for (int rank = 1; rank < meeting->given->ranks; rank++) {
        size_t length = strlen(missing);
        if (meeting->cards[rank].pid) continue;
        count++;
        if (length < sizeof missing - 16) snprintf(missing + length, sizeof missing - length, "%s%d", *missing ? ", " : "", rank);
    }
    if (!count) return COVER_OK;
    const char *refused = door_refused(meeting);
    return fail(COVER_ERROR_RANK, "%d of %d ranks did not come within %.3g seconds: %s; look at their messages%s%s", count,
                meeting->given->ranks, meeting->given->join_seconds, missing, *refused ? ".  Not let in: " : "", refused);
}

/* Rank 0: take everybody's hello, then answer all.  One that has the token and does not fit makes the answer an error, for all. */
static cover_status receive_all(struct meeting *meeting) {
    struct channel *channels = meeting->sockets->channels;
    int ranks = meeting->given->ranks, came = 1, refused_count = 0;
    struct guest refused[4]; /* more than that tell nothing new */
    struct answer answer = {.status = COVER_OK};
    cover_status status = COVER_OK;
    while (came < ranks) {
        struct guest guest;
        cover_status comes = door_next(meeting, TO_MEET, &guest, meeting->end, "the other ranks");
        if (comes == COVER_ERROR_RANK) break; /* its time is over */
        GO(comes);
        came++;
        const struct card *card = &guest.hello.card;
        if (belongs(meeting, card) == COVER_OK) {
            meeting->cards[card->rank] = *card;
            meeting->guests[card->rank] = guest;
            channels[card->rank].descriptor = guest.descriptor;
            continue;
        }
        if (!answer.status) snprintf(answer.text, sizeof answer.text, "%s", cover_error_text());
        answer.status = COVER_ERROR_RANK;
        refused[refused_count++] = guest;
        meeting->end = seconds_now() + HELLO_SECONDS; /* for the others to hear it */
        if (refused_count == sizeof refused / sizeof *refused) break;
    }
    if (!answer.status && (answer.status = all_came(meeting)) != COVER_OK)
        snprintf(answer.text, sizeof answer.text, "%s", cover_error_text());
    for (int i = 1; i < ranks; i++)
        if (channels[i].descriptor >= 0)
            answer_send(meeting, channels[i].descriptor, meeting->guests[i].secret, &answer, answer.status ? 0 : (size_t)ranks,
                        seconds_now() + HELLO_SECONDS);
    for (int i = 0; i < refused_count; i++)
        answer_send(meeting, refused[i].descriptor, refused[i].secret, &answer, 0, seconds_now() + HELLO_SECONDS);
    if (answer.status) status = fail((cover_status)answer.status, "%s", answer.text);
done:
    for (int i = 0; i < refused_count; i++) close(refused[i].descriptor);
    return status;
}

/* Another rank's own address: beside rank 0's, or the one by which this machine reaches rank 0, any port. */
static cover_status listen_for_others(struct meeting *meeting, int descriptor, struct card *own) {
    char suffix[32];
    if (meeting->home.any.sa_family == AF_UNIX) {
        snprintf(suffix, sizeof suffix, ".%d-%d", own->rank, (int)gettid()); /* a name of its own, whoever else calls itself so */
        TRY(endpoint_local(&own->endpoint, meeting->home.local.sun_path, suffix));
    } else {
        socklen_t bytes = sizeof own->endpoint.storage;
        if (getsockname(descriptor, &own->endpoint.any, &bytes) != 0)
            return fail(COVER_ERROR_IO, "this machine's address: %s", strerror(errno));
        own->endpoint.bytes = bytes;
        own->endpoint.six_or_four.sin_port = 0; /* in the same place in an IPv6 address */
    }
    return endpoint_listen(meeting, &own->endpoint);
}

/* ---- the connections of the work: every rank connects to those below it */

static cover_status connect_below(struct meeting *meeting, double end) {
    struct hello own;
    introduce(&own, meeting, TO_WORK);
    for (int rank = 0; rank < own.card.rank; rank++) {
        const struct card *other = &meeting->cards[rank];
        if (rank && other->endpoint.bytes > sizeof other->endpoint.storage)
            return fail(COVER_ERROR_RANK, "rank %d has sent no address", rank);
        char what[32];
        snprintf(what, sizeof what, "rank %d", rank);
        own.to = rank;
        TRY(enter(meeting, &meeting->sockets->data[rank], rank ? &other->endpoint : &meeting->home, &own, 0, end, what));
    }
    return COVER_OK;
}

static cover_status accept_above(struct meeting *meeting, double end) {
    const int rank = meeting->given->rank, ranks = meeting->given->ranks;
    for (int left = ranks - 1 - rank; left > 0;) {
        struct guest guest;
        TRY(door_next(meeting, TO_WORK, &guest, end, "the ranks above"));
        const int who = guest.hello.card.rank;
        struct answer answer = {.status = COVER_OK};
        if (who <= rank || who >= ranks || meeting->sockets->data[who] >= 0 ||
            answer_send(meeting, guest.descriptor, guest.secret, &answer, 0, seconds_now() + HELLO_SECONDS) != COVER_OK) {
            close(guest.descriptor);
            continue;
        }
        meeting->sockets->data[who] = guest.descriptor;
        left--;
    }
    return COVER_OK;
}

static cover_status meet(struct meeting *meeting) {
    struct hello own;
    const struct rendezvous *given = meeting->given;
    introduce(&own, meeting, TO_MEET);
    TRY(endpoint_resolve(&meeting->home, given->address, given->rank == 0));
    if (given->rank == 0) {
        if (!meeting->token.given && !endpoint_is_inside(&meeting->home))
            log_line(meeting->sockets->transport.context, COVER_LOG_WARNING,
                     "the ranks meet at %s without a token: whoever reaches that port can take part in the run; give all ranks one "
                     "(cover_ranks_options.token; the command takes it from COVER_TOKEN)",
                     given->address);
        TRY(endpoint_listen(meeting, &meeting->home));
        meeting->cards[0] = own.card;
        TRY(receive_all(meeting));
    } else
        TRY(enter(meeting, &meeting->sockets->channels[0].descriptor, &meeting->home, &own, (size_t)given->ranks,
                  meeting->end + HELLO_SECONDS, "rank 0"));
    double end = seconds_now() + MESH_SECONDS;
    TRY(connect_below(meeting, end));
    TRY(accept_above(meeting, end));
    for (int rank = 0; rank < given->ranks; rank++) {
        const struct card *card = &meeting->cards[rank];
        snprintf(meeting->sockets->names[rank], RANK_NAME, "process %d on %.60s", card->pid, card->host);
    }
    return COVER_OK;
}

cover_status sockets_meet(struct sockets *sockets, const struct rendezvous *given) {
    cover_context *context = sockets->transport.context;
    if (!given->address) return fail(COVER_ERROR_ARGUMENT, "cover_ranks_options: sockets need an address");
    struct meeting meeting = {.sockets = sockets, .given = given, .listener = -1, .end = seconds_now() + given->join_seconds};
    cover_status status = COVER_ERROR_MEMORY;
    GO(token_read(&meeting.token, given->token));
    GO(door_open(&meeting));
    meeting.cards = memory_zero(context, (size_t)given->ranks * sizeof *meeting.cards);
    meeting.guests = memory_zero(context, (size_t)given->ranks * sizeof *meeting.guests);
    status = meeting.cards && meeting.guests ? meet(&meeting) : COVER_ERROR_MEMORY;
done:
    if (meeting.listener >= 0) close(meeting.listener);
    if (*meeting.path) unlink(meeting.path);
    door_close(&meeting);
    if (meeting.guests) explicit_bzero(meeting.guests, (size_t)given->ranks * sizeof *meeting.guests);
    explicit_bzero(&meeting.token, sizeof meeting.token);
    memory_free(context, meeting.guests);
    memory_free(context, meeting.cards);
    return status;
}
