/* Shares of a batch alone: every sample is one rank's, the shares are nodes of the gradient tree where they can be, and an engine that
 * shares with nobody is left as it is. */
#include "../../check_main.h"
#include "core/train/ranks.h"

#include <string.h>

START_TEST(every_sample_is_of_exactly_one_rank_and_shares_follow_each_other) {
    for (int ranks = 1; ranks <= 17; ranks++)
        for (int64_t batch = ranks; batch <= 70; batch++) {
            int64_t next = 0, least = batch, most = 0;
            for (int rank = 0; rank < ranks; rank++) {
                struct share share;
                ck_assert_ok(share_of(&share, rank, ranks, batch));
                ck_assert_int_eq(share.first, next);
                ck_assert_int_eq(share.batch, batch);
                ck_assert_int_gt(share.count, 0);
                ck_assert_ptr_null(share.with);
                next += share.count;
                if (share.count < least) least = share.count;
                if (share.count > most) most = share.count;
            }
            ck_assert_int_eq(next, batch);
            ck_assert_int_le(most - least, 1);
        }
}
END_TEST

/* The tree splits [lo, hi) at lo + (hi - lo) / 2. */
static bool is_node(int64_t lo, int64_t hi, const struct share *share) {
    if (lo == share->first && hi == share->first + share->count) return true;
    if (hi - lo < 2) return false;
    int64_t middle = lo + (hi - lo) / 2;
    return is_node(lo, middle, share) || is_node(middle, hi, share);
}

START_TEST(a_power_of_two_of_ranks_takes_nodes_of_the_tree) {
    for (int ranks = 1; ranks <= 33; ranks++)
        ck_assert(share_keeps_bits(ranks) == (ranks == 1 || ranks == 2 || ranks == 4 || ranks == 8 || ranks == 16 || ranks == 32));
    for (int ranks = 1; ranks <= 32; ranks *= 2)
        for (int64_t batch = ranks; batch <= 100; batch++)
            for (int rank = 0; rank < ranks; rank++) {
                struct share share;
                ck_assert_ok(share_of(&share, rank, ranks, batch));
                ck_assert(is_node(0, batch, &share));
            }
}
END_TEST

START_TEST(more_ranks_than_samples_are_refused_by_both_numbers) {
    struct share share;
    ck_assert_int_eq(share_of(&share, 0, 5, 4), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "5 ranks cannot share a batch of 4"));
}
END_TEST

START_TEST(an_engine_alone_keeps_its_sums_and_its_error) {
    float gradient[2] = {1, 2};
    struct engine engine = {.gradient = gradient};
    struct step_sums sums = {.term = {3}, .count = 4}, before = sums;
    ck_assert_ok(share_with(&engine.share, NULL, 6));
    ck_assert(engine.share.first == 0 && engine.share.count == 6 && engine.share.batch == 6 && !engine.share.with);
    ck_assert_ok(ranks_join(&engine, &engine.share));
    ck_assert_ok(ranks_sum(&engine, COVER_OK, &sums));
    ck_assert_mem_eq(&sums, &before, sizeof sums);
    ck_assert(gradient[0] == 1 && gradient[1] == 2);
    ck_assert_int_eq(ranks_sum(&engine, COVER_ERROR_IO, &sums), COVER_ERROR_IO);
    ck_assert_int_eq(ranks_alike(&engine, COVER_ERROR_NUMERIC), COVER_ERROR_NUMERIC);
    ck_assert_ok(ranks_share_state(&engine));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ranks");
    TCase *tcase = tcase_create("ranks");
    tcase_set_timeout(tcase, 60);
    ADD(tcase, every_sample_is_of_exactly_one_rank_and_shares_follow_each_other);
    ADD(tcase, a_power_of_two_of_ranks_takes_nodes_of_the_tree);
    ADD(tcase, more_ranks_than_samples_are_refused_by_both_numbers);
    ADD(tcase, an_engine_alone_keeps_its_sums_and_its_error);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
