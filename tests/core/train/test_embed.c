/* A kept result of many samples: by hand, with the same bits over threads, lanes and ranks, and errors in the middle. */
#include "../../comm/together.h"
#include "embedding.h"

static cover_context *context_of(int threads) {
    cover_context *made;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&made, &options));
    return made;
}

static float rows[TOGETHER_MOST][EMBED_COUNT * EMBED_FLOATS];

START_TEST(what_is_kept_of_many_samples_is_what_the_net_gives_and_forgotten_moments_are_zero) {
    static const int ways[][2] = {{1, 0}, {2, 0}, {2, 1}, {7, 3}, {10, 0}};
    for (int i = 0; i < 5; i++) {
        cover_context *context = context_of(ways[i][0]);
        embed_trial(context, ways[i][1], NULL, rows[i]);
        ck_assert_mem_eq(rows[0], rows[i], sizeof rows[0]);
        cover_context_destroy(context);
    }
}
END_TEST

static void rank_work(cover_context *own, int rank, void *user) {
    (void)user;
    embed_trial(own, 0, own->communicator, rows[rank]);
}
START_TEST(ranks_share_the_work_and_all_have_all_of_it) {
    static float alone[EMBED_COUNT * EMBED_FLOATS];
    cover_context *context = context_of(1);
    embed_trial(context, 0, NULL, alone);
    for (int ranks = 2; ranks <= 4; ranks++) {
        run_together(&(struct together){.ranks = ranks, .work = rank_work});
        for (int r = 0; r < ranks; r++) {
            ck_assert_mem_eq(rows[0], rows[r], sizeof rows[0]);
            if (share_keeps_bits(ranks)) ck_assert_mem_eq(alone, rows[r], sizeof alone);
        }
    }
    cover_context_destroy(context);
}
END_TEST

static void failing_rank(cover_context *own, int rank, void *user) {
    const int64_t *bad = user;
    struct engine *engine = embed_engine(own, 0, own->communicator);
    struct embed_maker numbers = embed_numbers(*bad);
    ck_assert_fails(embed_samples(rows[rank], engine, &numbers.maker, EMBED_COUNT, 0), COVER_ERROR_IO, "is gone");
    numbers.bad = -1; /* and nobody is left behind */
    ck_assert_ok(embed_samples(rows[rank], engine, &numbers.maker, EMBED_COUNT, 0));
    embed_check(rows[rank], engine);
    engine_destroy(engine);
}
START_TEST(a_sample_that_cannot_be_drawn_ends_it_on_all_ranks) {
    for (int64_t bad = 0; bad < EMBED_COUNT; bad += 3)
        run_together(&(struct together){.ranks = 2, .work = failing_rank, .user = &bad});
}
END_TEST

START_TEST(a_cancelled_context_and_a_result_that_is_no_row_end_it) {
    cover_context *context = context_of(2);
    struct engine *engine = embed_engine(context, 0, NULL);
    struct embed_maker numbers = embed_numbers(-1);
    ck_assert_int_eq(engine_forward(engine, NULL, 1, rows[0]), COVER_ERROR_INTERNAL); /* the loss: doubles */
    cover_context_cancel(context);
    ck_assert_int_eq(embed_samples(rows[0], engine, &numbers.maker, EMBED_COUNT, 0), COVER_ERROR_CANCELLED);
    cover_context_resume(context);
    ck_assert_ok(embed_samples(rows[0], engine, &numbers.maker, EMBED_COUNT, 0));
    embed_check(rows[0], engine);
    engine_destroy(engine);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("embedding");
    TCase *tcase = tcase_create("embed");
    tcase_set_timeout(tcase, 60);
    ADD(tcase, what_is_kept_of_many_samples_is_what_the_net_gives_and_forgotten_moments_are_zero);
    ADD(tcase, ranks_share_the_work_and_all_have_all_of_it);
    ADD(tcase, a_sample_that_cannot_be_drawn_ends_it_on_all_ranks);
    ADD(tcase, a_cancelled_context_and_a_result_that_is_no_row_end_it);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
