/* Collective operations.  `power` is the largest power of two among the ranks: those ranks work by halves and doublings with
 * partners at distance 1, 2, 4, ...; each rank beyond it hands its part to the one `power` below it first, and is given the
 * result last. */
#include "collective.h"

#include <stdio.h>
#include <string.h>

enum { SPLIT = 16, RANKS_LOG = 16 }; /* halves begin at multiples of so many values */

static int power_of(int ranks) {
    int power = 1;
    while (power * 2 <= ranks) power *= 2;
    return power;
}

static cover_status send_to(struct communicator *c, int to, const void *data, size_t bytes) {
    return c->exchange(c, to, data, bytes, NOBODY, NULL, 0);
}
static cover_status receive_from(struct communicator *c, int from, void *data, size_t bytes) {
    return c->exchange(c, NOBODY, NULL, 0, from, data, bytes);
}

/* ---- small values: every rank combines with its partner, so all have the whole after log2(ranks) messages */

typedef void combine_fn(void *mine, const void *theirs, int count);

static cover_status reduce_small(struct communicator *c, void *values, size_t bytes, int count, combine_fn *combine) {
    int power = power_of(c->ranks), beyond = c->rank + power;
    char theirs[COLLECTIVE_DOUBLES * sizeof(double)];
    if (c->rank >= power) {
        TRY(send_to(c, c->rank - power, values, bytes));
        return receive_from(c, c->rank - power, values, bytes);
    }
    if (beyond < c->ranks) {
        TRY(receive_from(c, beyond, theirs, bytes));
        combine(values, theirs, count);
    }
    for (int distance = 1; distance < power; distance *= 2) {
        int partner = c->rank ^ distance;
        TRY(c->exchange(c, partner, values, bytes, partner, theirs, bytes));
        combine(values, theirs, count);
    }
    return beyond < c->ranks ? send_to(c, beyond, values, bytes) : COVER_OK;
}

static void add_doubles(void *mine, const void *theirs, int count) {
    double *a = mine;
    const double *b = theirs;
    for (int i = 0; i < count; i++) a[i] += b[i];
}

cover_status collective_sum_doubles(struct communicator *c, double *values, int count) {
    return c ? reduce_small(c, values, (size_t)count * sizeof *values, count, add_doubles) : COVER_OK;
}

/* ---- broadcast: a binomial tree from any root */

static cover_status broadcast_from(struct communicator *c, int root, void *data, size_t bytes) {
    int place = (c->rank - root + c->ranks) % c->ranks, above = 1;
    while (above < c->ranks && !(place & above)) above *= 2; /* the bit that is cleared to find the sender */
    for (size_t at = 0; at < bytes; at += COMMUNICATOR_CHUNK) {
        size_t size = bytes - at < COMMUNICATOR_CHUNK ? bytes - at : COMMUNICATOR_CHUNK;
        char *part = (char *)data + at;
        if (place) TRY(receive_from(c, (place - above + root) % c->ranks, part, size));
        for (int distance = above / 2; distance; distance /= 2)
            if (place + distance < c->ranks) TRY(send_to(c, (place + distance + root) % c->ranks, part, size));
    }
    return COVER_OK;
}

cover_status collective_broadcast(struct communicator *c, void *data, size_t bytes) {
    return c ? broadcast_from(c, 0, data, bytes) : COVER_OK;
}

/* ---- gathering: parts go round a ring, each rank passes on what it got last */

cover_status collective_gather(struct communicator *c, void *data, collective_begin *begin, const void *user) {
    for (int step = 0; c && step < c->ranks - 1; step++) {
        const int sends = (c->rank - step + c->ranks) % c->ranks, takes = (sends + c->ranks - 1) % c->ranks;
        const size_t out = begin(user, sends + 1) - begin(user, sends), in = begin(user, takes + 1) - begin(user, takes);
        char *from = (char *)data + begin(user, sends), *to = (char *)data + begin(user, takes);
        for (size_t at = 0; at < out || at < in; at += COMMUNICATOR_CHUNK) {
            const size_t give = at < out ? out - at : 0, take = at < in ? in - at : 0;
            TRY(c->exchange(c, give ? (c->rank + 1) % c->ranks : NOBODY, from + (give ? at : 0),
                            give < COMMUNICATOR_CHUNK ? give : COMMUNICATOR_CHUNK,
                            take ? (c->rank + c->ranks - 1) % c->ranks : NOBODY, to + (take ? at : 0),
                            take < COMMUNICATOR_CHUNK ? take : COMMUNICATOR_CHUNK));
        }
    }
    return COVER_OK;
}

/* ---- agreement: the largest key wins, an error's above a cancellation's, a lower rank's above a higher one's */

static void larger(void *mine, const void *theirs, int count) {
    (void)count;
    if (*(const int64_t *)theirs > *(int64_t *)mine) *(int64_t *)mine = *(const int64_t *)theirs;
}

struct verdict {
    int32_t status;
    char text[1020];
};

cover_status collective_agree(struct communicator *c, cover_status own) {
    if (!c) return own;
    if (atomic_load(&c->failed)) return own != COVER_OK && own != COVER_ERROR_CANCELLED ? own : c->reason(c);
    const int64_t class = INT64_C(1) << 32;
    int64_t key = own == COVER_OK ? 0 : (own == COVER_ERROR_CANCELLED ? class : 2 * class) + (c->ranks - c->rank);
    struct verdict verdict = {.status = (int32_t)own};
    snprintf(verdict.text, sizeof verdict.text, "%s", own == COVER_OK ? "" : error_slot());
    TRY(reduce_small(c, &key, sizeof key, 1, larger));
    if (key == 0) return COVER_OK;
    int speaker = c->ranks - (int)(key % class);
    TRY(broadcast_from(c, speaker, &verdict, sizeof verdict));
    verdict.text[sizeof verdict.text - 1] = 0;
    if (speaker == c->rank) return own;
    bool known = verdict.status > COVER_OK && verdict.status <= COVER_ERROR_RANK;
    return fail_text(known ? (cover_status)verdict.status : COVER_ERROR_RANK, verdict.text);
}

/* ---- sums of long vectors: reduce by halves, then gather */

struct part { /* of a vector */
    int64_t from, to;
};

/* What both sides of an exchange send and receive, in chunks; what arrives is added to, or stored in, `mine`. */
static cover_status exchange_parts(struct communicator *c, int partner, float *values, struct part theirs, struct part mine,
                                   collective_add *add, const void *user) {
    const int64_t chunk = COMMUNICATOR_CHUNK / (int64_t)sizeof(float);
    int64_t out = theirs.to - theirs.from, in = mine.to - mine.from, most = out > in ? out : in;
    for (int64_t at = 0; at < most; at += chunk) {
        int64_t sends = out - at < chunk ? out - at : chunk, receives = in - at < chunk ? in - at : chunk;
        float *place = values + mine.from + at, *arrives = add ? c->chunk : place;
        if (sends < 0) sends = 0;
        if (receives < 0) receives = 0;
        TRY(c->exchange(c, sends ? partner : NOBODY, values + theirs.from + at, (size_t)sends * sizeof *values,
                        receives ? partner : NOBODY, arrives, (size_t)receives * sizeof *values));
        if (add && receives) add(user, place, place, arrives, receives);
    }
    return COVER_OK;
}

cover_status collective_sum(struct communicator *c, float *values, int64_t count, collective_add *add, const void *user) {
    if (!c) return COVER_OK;
    const struct part nothing = {0, 0}, all = {0, count};
    int power = power_of(c->ranks), beyond = c->rank + power, level = 0;
    struct part own = all, given[RANKS_LOG];
    if (c->rank >= power) {
        TRY(exchange_parts(c, c->rank - power, values, all, nothing, NULL, NULL));
        return exchange_parts(c, c->rank - power, values, nothing, all, NULL, NULL);
    }
    if (beyond < c->ranks) TRY(exchange_parts(c, beyond, values, nothing, all, add, user));
    for (int distance = 1; distance < power; distance *= 2, level++) {
        int64_t half = (own.to - own.from) / 2, middle = own.from + half - half % SPLIT;
        struct part low = {own.from, middle}, high = {middle, own.to};
        bool upper = c->rank & distance;
        own = upper ? high : low, given[level] = upper ? low : high;
        TRY(exchange_parts(c, c->rank ^ distance, values, given[level], own, add, user));
    }
    for (int distance = power / 2; distance; distance /= 2) {
        struct part *other = &given[--level];
        TRY(exchange_parts(c, c->rank ^ distance, values, own, *other, NULL, NULL));
        own = (struct part){own.from < other->from ? own.from : other->from, own.to > other->to ? own.to : other->to};
    }
    return beyond < c->ranks ? exchange_parts(c, beyond, values, all, nothing, NULL, NULL) : COVER_OK;
}

uint64_t collective_sum_bytes(int ranks, int64_t count) {
    uint64_t all = (uint64_t)count * sizeof(float), power = (uint64_t)power_of(ranks);
    return 2 * (all - all / power) + ((int)power < ranks ? all : 0);
}

/* ---- the same on every rank */

/* The first line of a that is not in the same place in b. */
static bool first_difference(const char *a, const char *b, char *mine, char *theirs, size_t bytes) {
    while (*a || *b) {
        size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        snprintf(mine, bytes, "%.*s", (int)n, a);
        snprintf(theirs, bytes, "%.*s", (int)m, b);
        if (n != m || memcmp(a, b, n) != 0) return true;
        a += n + (a[n] != 0), b += m + (b[m] != 0);
    }
    return false;
}

static cover_status compare(struct communicator *c, const char *what, const char *text, const char *first, const char *advice) {
    char mine[256], theirs[256];
    if (!first_difference(text, first, mine, theirs, sizeof mine)) return COVER_OK;
    const char *value = strchr(theirs, '=');
    return fail(COVER_ERROR_RANK, "rank %d has %s%s%s, but rank 0 has %s; %s", c->rank, what, *what ? " " : "", mine,
                value ? value + 1 : theirs, advice);
}

cover_status collective_broadcast_text(struct communicator *c, cover_context *context, const char *text, char **out) {
    enum { MOST = 1 << 20 };
    uint64_t bytes = strlen(text) + 1;
    TRY(collective_broadcast(c, &bytes, sizeof bytes));
    char *first = NULL;
    cover_status status = COVER_OK;
    if (bytes < 1 || bytes > MOST) status = fail(COVER_ERROR_RANK, "rank 0 sends %llu bytes of text", (unsigned long long)bytes);
    else if (!(first = memory_alloc(context, bytes))) status = COVER_ERROR_MEMORY;
    GO(collective_agree(c, status));
    if (c->rank == 0) memcpy(first, text, bytes);
    GO(collective_broadcast(c, first, bytes));
    first[bytes - 1] = 0;
    *out = first;
done:
    if (status != COVER_OK) memory_free(context, first);
    return status;
}

cover_status collective_same(struct communicator *c, cover_context *context, const char *what, const char *text,
                             const char *advice) {
    if (!c) return COVER_OK;
    char *first;
    TRY(collective_broadcast_text(c, context, text, &first));
    cover_status status = collective_agree(c, compare(c, what, text, first, advice));
    memory_free(context, first);
    return status;
}
