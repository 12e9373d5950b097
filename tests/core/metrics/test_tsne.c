/* t-SNE: its gradient against finite differences, the quadtree against all pairs, its end against scikit-learn 1.9. */
#include "../../check_main.h"
#include "core/base/philox.h"
#include "core/metrics/tsne.h"

#include <math.h>
#include <string.h>

enum { COUNT = 150, CHANNELS = 6, CLUSTERS = 3 };

static cover_context *context;
static float points[COUNT * CHANNELS];

/* Three clusters, six apart in one coordinate each, of width 1. */
static void setup(void) {
    struct random_stream random = random_stream(5, RANDOM_TEST, 0, 0);
    ck_assert_ok(cover_context_create(&context, NULL));
    for (int i = 0; i < COUNT; i++)
        for (int c = 0; c < CHANNELS; c++) {
            float pair[2];
            uint32_t a = random_word(&random), b = random_word(&random);
            normal2(a, b, pair);
            points[i * CHANNELS + c] = pair[0] + (i % CLUSTERS == c ? 6.0f : 0.0f);
        }
}
static void teardown(void) { cover_context_destroy(context); }

static void random_plane(double *y, int64_t count, double scale) {
    struct random_stream random = random_stream(6, RANDOM_TEST, 1, 0);
    for (int64_t i = 0; i < 2 * count; i++) y[i] = scale * (double)random_uniform(&random, -1, 1);
}

START_TEST(affinities_have_the_perplexity_asked_for_and_sum_to_one) {
    struct affinities affinities;
    ck_assert_ok(affinities_make(&affinities, context, points, COUNT, CHANNELS, 10, COUNT - 1));
    double sum = 0;
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t k = affinities.first[i]; k < affinities.first[i + 1]; k++) {
            int64_t j = affinities.neighbour[k], back = affinities.first[j];
            ck_assert(k == affinities.first[i] || affinities.neighbour[k - 1] < j);
            while (affinities.neighbour[back] != i) back++;
            ck_assert(fabs(affinities.p[back] - affinities.p[k]) < 1e-17);
            sum += affinities.p[k];
        }
    ck_assert(fabs(sum - 1) < 1e-12);
    affinities_free(&affinities, context);
}
END_TEST

START_TEST(the_exact_gradient_is_that_of_finite_differences) {
    struct affinities affinities;
    double y[2 * COUNT], gradient[2 * COUNT], unused[2 * COUNT], kl[2];
    random_plane(y, COUNT, 3);
    ck_assert_ok(affinities_make(&affinities, context, points, COUNT, CHANNELS, 10, 30));
    ck_assert_ok(tsne_gradient(&kl[0], gradient, context, &affinities, y, 0, 1));
    for (int i = 0; i < 2 * COUNT; i += 7) {
        const double step = 1e-5, at = y[i];
        y[i] = at + step;
        ck_assert_ok(tsne_gradient(&kl[0], unused, context, &affinities, y, 0, 1));
        y[i] = at - step;
        ck_assert_ok(tsne_gradient(&kl[1], unused, context, &affinities, y, 0, 1));
        y[i] = at;
        double difference = (kl[0] - kl[1]) / (2 * step);
        ck_assert_msg(fabs(difference - gradient[i]) < 1e-9 + 1e-6 * fabs(difference), "%d: %g, differences say %g", i, gradient[i],
                      difference);
    }
    affinities_free(&affinities, context);
}
END_TEST

START_TEST(the_tree_gives_the_sums_of_all_pairs) {
    enum { MANY = 700 };
    static double y[2 * MANY];
    const double thetas[] = {1e-9, 0.2, 0.5}, bounds[] = {1e-12, 5e-3, 3e-2};
    struct tree *tree;
    random_plane(y, MANY, 20);
    memcpy(y + 2, y, 2 * sizeof *y); /* points may fall together, or nearly */
    memcpy(y + 4, y, 2 * sizeof *y);
    y[6] = y[0] + 1e-14, y[7] = y[1];
    ck_assert_ok(tree_create(&tree, context, MANY));
    tree_build(tree, y);
    for (int t = 0; t < 3; t++) {
        double worst = 0, worst_sum = 0, longest = 0;
        for (int i = 0; i < MANY; i++) {
            double sum = -1, force[2] = {0}, tree_sum, tree_force[2];
            for (int j = 0; j < MANY; j++) {
                double dx = y[2 * i] - y[2 * j], dy = y[2 * i + 1] - y[2 * j + 1], q = 1 / (1 + dx * dx + dy * dy);
                sum += q, force[0] += q * q * dx, force[1] += q * q * dy;
            }
            tree_repel(tree, y + 2 * i, thetas[t], &tree_sum, tree_force);
            longest = fmax(longest, hypot(force[0], force[1]));
            worst = fmax(worst, hypot(tree_force[0] - force[0], tree_force[1] - force[1]));
            worst_sum = fmax(worst_sum, fabs(tree_sum / sum - 1));
        }
        ck_assert_msg(worst < bounds[t] * longest && worst_sum < bounds[t], "theta %g: force off by %g of %g, sum by %g", thetas[t],
                      worst, longest, worst_sum);
    }
    tree_destroy(tree, context);
}
END_TEST

/* Is the nearest other point of nearly every point one of its own cluster? */
static int strangers(const double *y) {
    int count = 0;
    for (int i = 0; i < COUNT; i++) {
        int nearest = -1;
        double least = INFINITY;
        for (int j = 0; j < COUNT; j++) {
            double away = hypot(y[2 * i] - y[2 * j], y[2 * i + 1] - y[2 * j + 1]);
            if (j != i && away < least) least = away, nearest = j;
        }
        count += nearest % CLUSTERS != i % CLUSTERS;
    }
    return count;
}

START_TEST(clusters_stay_apart_and_the_divergence_is_that_of_scikit_learn) {
    /* TSNE(perplexity=10, method=...).fit(points).kl_divergence_ */
    const struct { double theta, kl; } cases[] = {{0, 0.5197}, {0.5, 0.5343}};
    for (int i = 0; i < 2; i++) {
        double y[2 * COUNT], kl;
        struct tsne_options options = {.perplexity = 10, .theta = cases[i].theta, .iterations = 1000, .seed = 1};
        ck_assert_ok(tsne_run(y, &kl, context, points, COUNT, CHANNELS, &options));
        ck_assert_int_le(strangers(y), 3);
        ck_assert_msg(fabs(kl - cases[i].kl) < 0.05 * cases[i].kl, "theta %g: KL %g, scikit-learn has %g", cases[i].theta, kl,
                      cases[i].kl);
    }
}
END_TEST

START_TEST(the_plane_is_the_same_for_any_number_of_threads) {
    double y[3][2 * COUNT], kl[3];
    for (int i = 0; i < 3; i++) {
        cover_context_options with = COVER_CONTEXT_OPTIONS_INIT;
        cover_context *other;
        struct tsne_options options = {.perplexity = 8, .theta = 0.5, .iterations = 60, .seed = 1};
        with.threads = i + 1;
        ck_assert_ok(cover_context_create(&other, &with));
        ck_assert_ok(tsne_run(y[i], &kl[i], other, points, COUNT, CHANNELS, &options));
        cover_context_destroy(other);
        ck_assert(memcmp(y[0], y[i], sizeof y[0]) == 0 && kl[0] == kl[i]);
    }
}
END_TEST

START_TEST(equal_points_and_a_single_channel_are_taken) {
    float same[40] = {0}, line[40];
    double y[80], kl;
    struct tsne_options options = {.perplexity = 5, .iterations = 300};
    for (int i = 0; i < 40; i++) line[i] = (float)i;
    for (int i = 0; i < 4; i++) {
        options.theta = i % 2 ? 0.5 : 0;
        ck_assert_ok(tsne_run(y, &kl, context, i < 2 ? same : line, 40, 1, &options));
        for (int k = 0; k < 80; k++) ck_assert(isfinite(y[k]));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tsne");
    TCase *tcase = tcase_create("tsne");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, affinities_have_the_perplexity_asked_for_and_sum_to_one);
    ADD(tcase, the_exact_gradient_is_that_of_finite_differences);
    ADD(tcase, the_tree_gives_the_sums_of_all_pairs);
    ADD(tcase, clusters_stay_apart_and_the_divergence_is_that_of_scikit_learn);
    ADD(tcase, the_plane_is_the_same_for_any_number_of_threads);
    ADD(tcase, equal_points_and_a_single_channel_are_taken);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
