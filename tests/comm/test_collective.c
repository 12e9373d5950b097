/* Collectives over sockets: sums have the bits of the tree, agreements and broadcasts reach everybody. */
#include "together.h"

#include <math.h>

/* What rank r has at place i: sums of such values depend on their order. */
static float value(int rank, int64_t i) {
    return (float)sin(1.0 + 13.7 * rank + 0.37 * (double)i) * (float)pow(10, (rank * 7 + i) % 5);
}

static float tree(int lo, int hi, int64_t i) {
    if (hi - lo == 1) return value(lo, i);
    int middle = lo + (hi - lo) / 2;
    return tree(lo, middle, i) + tree(middle, hi, i);
}

static void plain_add(const void *user, float *y, const float *a, const float *b, int64_t count) {
    (void)user;
    for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

struct sums {
    int ranks;
    int64_t count;
    float *values[TOGETHER_MOST];
};
static void sum_work(cover_context *context, int rank, void *user) {
    struct sums *sums = user;
    for (int64_t i = 0; i < sums->count; i++) sums->values[rank][i] = value(rank, i);
    ck_assert_ok(collective_sum(context->communicator, sums->values[rank], sums->count, plain_add, NULL));
}
static void check_sums(int ranks, int64_t count) {
    struct sums sums = {.ranks = ranks, .count = count};
    int64_t wrong = 0;
    for (int r = 0; r < ranks; r++) sums.values[r] = malloc((size_t)count * sizeof(float) + 1);
    run_together(&(struct together){.ranks = ranks, .work = sum_work, .user = &sums});
    for (int r = 0; r < ranks; r++) {
        if (r) ck_assert_mem_eq(sums.values[r], sums.values[0], (size_t)count * sizeof(float));
    }
    for (int64_t i = 0; i < count; i++) {
        float right = tree(0, ranks, i), bound = (ranks & (ranks - 1)) == 0 ? 0 : 0.05f;
        wrong += !(fabsf(sums.values[0][i] - right) <= bound);
    }
    ck_assert_int_eq(wrong, 0);
    for (int r = 0; r < ranks; r++) free(sums.values[r]);
}

START_TEST(sums_over_a_power_of_two_of_ranks_have_the_bits_of_the_tree) {
    static const int64_t counts[] = {1, 17, 1000, 100003};
    for (int ranks = 2; ranks <= 8; ranks *= 2) check_sums(ranks, counts[_i]);
}
END_TEST

struct parts {
    size_t begin[TOGETHER_MOST + 1];
    unsigned char *data[TOGETHER_MOST];
};
static size_t begin_of(const void *user, int rank) { return ((const struct parts *)user)->begin[rank]; }
static void gather_work(cover_context *context, int rank, void *user) {
    struct parts *parts = user;
    for (size_t i = parts->begin[rank]; i < parts->begin[rank + 1]; i++) parts->data[rank][i] = (unsigned char)(i * 31 + i / 251);
    ck_assert_ok(collective_gather(context->communicator, parts->data[rank], begin_of, parts));
}
START_TEST(parts_of_any_size_come_together_on_every_rank) {
    for (int ranks = 1; ranks <= 7; ranks++) {
        struct parts parts = {{0}, {0}};
        for (int r = 0; r < ranks; r++) /* none, one, less than a message, more than one */
            parts.begin[r + 1] = parts.begin[r] + (size_t[]){0, 1, 4097, COMMUNICATOR_CHUNK + 17}[(r + ranks) % 4];
        const size_t bytes = parts.begin[ranks];
        for (int r = 0; r < ranks; r++) parts.data[r] = calloc(1, bytes + 1);
        run_together(&(struct together){.ranks = ranks, .work = gather_work, .user = &parts});
        for (int r = 0; r < ranks; r++) {
            size_t wrong = 0;
            for (size_t i = 0; i < bytes; i++) wrong += parts.data[r][i] != (unsigned char)(i * 31 + i / 251);
            ck_assert_uint_eq(wrong, 0);
            free(parts.data[r]);
        }
    }
}
END_TEST

START_TEST(sums_over_any_other_number_are_the_same_on_every_rank) {
    check_sums(3, 1000);
    check_sums(5, 70001);
    check_sums(7, 3);
}
END_TEST

static void small_work(cover_context *context, int rank, void *user) {
    (void)user;
    struct communicator *c = context->communicator;
    double sums[3] = {rank, 1, 0.5 * rank};
    ck_assert_ok(collective_sum_doubles(c, sums, 3));
    ck_assert(sums[0] == c->ranks * (c->ranks - 1) / 2 && sums[1] == c->ranks && sums[2] == sums[0] / 2);
    size_t bytes = 3 * COMMUNICATOR_CHUNK + 5;
    char *own = malloc(bytes);
    memset(own, rank == 0 ? 'x' : '-', bytes);
    ck_assert_ok(collective_broadcast(c, own, bytes));
    size_t right = 0;
    for (size_t i = 0; i < bytes; i++) right += own[i] == 'x';
    ck_assert_uint_eq(right, bytes);
    free(own);
}
START_TEST(small_sums_and_broadcasts_reach_every_rank) {
    for (int ranks = 2; ranks <= 7; ranks += ranks < 3 ? 1 : 2)
        run_together(&(struct together){.ranks = ranks, .work = small_work});
}
END_TEST

static void agree_work(cover_context *context, int rank, void *user) {
    (void)user;
    struct communicator *c = context->communicator;
    ck_assert_ok(collective_agree(c, COVER_OK));
    cover_status own = rank == 2 ? fail(COVER_ERROR_CANCELLED, "rank 2 stops") : COVER_OK;
    ck_assert_int_eq(collective_agree(c, own), COVER_ERROR_CANCELLED);
    ck_assert_str_eq(cover_error_text(), "rank 2 stops");
    own = COVER_OK;
    if (rank == 0) own = fail(COVER_ERROR_CANCELLED, "stop");
    if (rank > 2) own = fail(COVER_ERROR_IO, "rank %d's disk", rank);
    ck_assert_int_eq(cover_context_agree(context, own), COVER_ERROR_IO);
    ck_assert_str_eq(cover_error_text(), "rank 3's disk");
    ck_assert_ok(cover_context_agree(context, COVER_OK));
}
START_TEST(one_rank_s_error_is_every_rank_s_with_its_text) { run_together(&(struct together){.ranks = 5, .work = agree_work}); }
END_TEST

static void same_work(cover_context *context, int rank, void *user) {
    (void)user;
    struct communicator *c = context->communicator;
    ck_assert_ok(collective_same(c, context, "", "a=1\nb=2\n", "look"));
    char text[32];
    snprintf(text, sizeof text, "a=1\nb=%d\nc=3\n", rank == 1 ? 7 : 2);
    ck_assert_int_eq(collective_same(c, context, "", text, "start anew"), COVER_ERROR_RANK);
    ck_assert_str_eq(cover_error_text(), "rank 1 has b=7, but rank 0 has 2; start anew");
}
START_TEST(what_differs_is_named_with_both_values_on_every_rank) {
    run_together(&(struct together){.ranks = 3, .work = same_work});
}
END_TEST

START_TEST(ranks_meet_over_tcp_too) {
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", 20000 + (int)(getpid() % 20000));
    run_together(&(struct together){.ranks = 4, .address = address, .work = agree_work});
}
END_TEST

START_TEST(the_bytes_of_a_sum_are_those_of_halving_and_gathering) {
    ck_assert_uint_eq(collective_sum_bytes(1, 100), 0);
    ck_assert_uint_eq(collective_sum_bytes(2, 100), 400);
    ck_assert_uint_eq(collective_sum_bytes(4, 100), 600);
    ck_assert_uint_eq(collective_sum_bytes(3, 100), 800);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("collective");
    TCase *tcase = tcase_create("collective");
    ADD(tcase, parts_of_any_size_come_together_on_every_rank);
    tcase_add_loop_test(tcase, sums_over_a_power_of_two_of_ranks_have_the_bits_of_the_tree, 0, 4);
    ADD(tcase, sums_over_any_other_number_are_the_same_on_every_rank);
    ADD(tcase, small_sums_and_broadcasts_reach_every_rank);
    ADD(tcase, one_rank_s_error_is_every_rank_s_with_its_text);
    ADD(tcase, what_differs_is_named_with_both_values_on_every_rank);
    ADD(tcase, ranks_meet_over_tcp_too);
    ADD(tcase, the_bytes_of_a_sum_are_those_of_halving_and_gathering);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
