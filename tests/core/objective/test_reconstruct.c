/* Samples of the objectives that give an image back: what is seen, what counts, what the naive answer costs; and what is refused. */
#include "../views/sevr_fixture.h"

#include "core/objective/reconstruct.h"

enum { SIZE = 48 };

static cover_status read_image(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    (void)user;
    *grid = (struct grid){2, {1, SIZE, SIZE}}, *integer_max = 0;
    *pixels = memory_alloc(context, SIZE * SIZE * 2 * sizeof **pixels);
    const struct random_image random = {77, RANDOM_TEST, 0, (uint32_t)index, 0};
    random_image_uniform(*pixels, &random, 0, SIZE * SIZE * 2);
    return COVER_OK;
}
static const char *image_name(void *user, int64_t index) {
    (void)user, (void)index;
    return "image";
}
static const struct sample_reader reader = {
    .count = 4, .channels = 2, .largest = {2, {1, SIZE, SIZE}}, .read = read_image, .name = image_name};

struct made {
    struct objective_run run;
    const struct objective *objective;
    struct sample_maker *maker;
    void *worker;
    float *memory;
    struct sample sample;
};
/* Settings as objective_settle() leaves them. */
static struct made make_of(const char *const *changes) {
    struct made made = {0};
    use("paper-2d", changes);
    ck_assert_ok(objective_settle(config, 4));
    made.run = (struct objective_run){.context = context, .settings = config_settings(config), .reader = &reader};
    made.objective = objective_of(context, &made.run.settings->objective);
    made.maker = malloc(objective_maker_bytes(made.objective));
    return made;
}
static void make_begin(struct made *made) {
    ck_assert_ok(objective_maker(made->maker, made->objective, &made->run));
    ck_assert_ok(made->maker->worker_create(&made->worker, made->maker));
    made->memory = malloc((size_t)made->maker->floats * sizeof(float));
}
static void make_end(struct made *made) {
    made->maker->worker_destroy(made->worker);
    free(made->maker), free(made->memory);
}
#define MAKE(...) make_of((const char *const[]){"crop=32x32", "work=0x0", "channels=2", __VA_ARGS__, NULL})

START_TEST(dropped_pixels_are_the_mean_and_alone_count) {
    static const char *const masks[] = {"mask=region", "mask=blocks", "mask=centre"};
    struct made made = MAKE("objective=inpainting", masks[_i]);
    make_begin(&made);
    ck_assert(made.run.settings->objective.mask_share == 0.25);
    for (int64_t number = 0; number < 8; number++) {
        ck_assert_ok(made.maker->draw(made.maker, made.worker, &made.sample, made.memory, number));
        const float *const *input = made.sample.input;
        double zero = 0;
        int64_t count = 0, wrong = 0;
        const float mean = mean_value(input[RECONSTRUCT_TRUTH], 2048);
        for (int i = 0; i < 2048; i++) {
            const bool gone = input[RECONSTRUCT_DROPPED][i / 2] != 0;
            count += gone, wrong += input[RECONSTRUCT_SEEN][i] != (gone ? mean : input[RECONSTRUCT_TRUTH][i]);
            if (gone) zero += pow((double)mean - (double)input[RECONSTRUCT_TRUTH][i], 2);
        }
        ck_assert(wrong == 0 && count > 0 && count < 2048 && made.sample.count == count);
        if (_i == 0) ck_assert_int_eq(count, 512);
        ck_assert_double_eq_tol(made.sample.known[RECONSTRUCT_ZERO], zero, 1e-9);
    }
    make_end(&made);
}
END_TEST

/* A sample counts 1 then, and its weights sum to 1 over channels. */
START_TEST(with_an_adversary_dropped_pixels_are_weighed) {
    struct made made = MAKE("objective=inpainting", "adversarial=0.1");
    make_begin(&made);
    ck_assert_ok(made.maker->draw(made.maker, made.worker, &made.sample, made.memory, 0));
    const float *const *input = made.sample.input;
    double sum = 0;
    for (int i = 0; i < 1024; i++) {
        ck_assert((input[RECONSTRUCT_WEIGHTS][i] > 0) == (input[RECONSTRUCT_DROPPED][i] > 0));
        sum += 2 * (double)input[RECONSTRUCT_WEIGHTS][i];
    }
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    ck_assert(made.sample.count == 1 && *input[RECONSTRUCT_REAL] == 1 && *input[RECONSTRUCT_FAKE] == 0);
    make_end(&made);
}
END_TEST

START_TEST(every_value_counts_of_a_damaged_or_noisy_image) {
    static const char *const objectives[] = {"objective=genesis", "objective=denoising"};
    struct made made = MAKE(objectives[_i]);
    make_begin(&made);
    double before = -1;
    for (int64_t number = 0; number < 8; number++) {
        ck_assert_ok(made.maker->draw(made.maker, made.worker, &made.sample, made.memory, number));
        const float *const *input = made.sample.input;
        ck_assert_int_eq(made.sample.count, 2048);
        ck_assert_double_eq_tol(made.sample.known[RECONSTRUCT_ZERO],
                                squared_distance(input[RECONSTRUCT_SEEN], input[RECONSTRUCT_TRUTH], 2048), 1e-9);
        ck_assert(made.sample.known[RECONSTRUCT_ZERO] > 0.1 && made.sample.known[RECONSTRUCT_ZERO] != before);
        before = made.sample.known[RECONSTRUCT_ZERO];
    }
    make_end(&made);
}
END_TEST

/* The window is COVER's, or that window mirrored. */
START_TEST(the_truth_of_genesis_is_mirrored_with_what_is_seen) {
    struct made genesis = MAKE("objective=genesis"), plain = MAKE("objective=denoising");
    genesis.run.settings = plain.run.settings; /* of the last config; the seed and the crop are the same */
    make_begin(&genesis), make_begin(&plain);
    int mirrored = 0;
    for (int64_t number = 0; number < 40; number++) {
        ck_assert_ok(genesis.maker->draw(genesis.maker, genesis.worker, &genesis.sample, genesis.memory, number));
        ck_assert_ok(plain.maker->draw(plain.maker, plain.worker, &plain.sample, plain.memory, number));
        float window[2048];
        bool found = false;
        for (int way = 0; way < 4; way++) {
            memcpy(window, plain.sample.input[RECONSTRUCT_TRUTH], sizeof window);
            look_flip(window, &(struct grid){2, {1, 32, 32}}, 2, (const bool[]){false, way & 1, way & 2});
            const bool same = memcmp(window, genesis.sample.input[RECONSTRUCT_TRUTH], sizeof window) == 0;
            found |= same, mirrored += same && way > 0;
        }
        ck_assert(found);
    }
    ck_assert(mirrored > 5 && mirrored < 35);
    make_end(&genesis), make_end(&plain);
}
END_TEST

START_TEST(what_leaves_nothing_to_give_back_is_refused) {
    use("paper-2d", (const char *const[]){"objective=inpainting", "mask_share=1e-9", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "mask_share=1e-09", "set mask_share=0.25");
    use("paper-2d", (const char *const[]){"objective=inpainting", "mask_share=1", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "mask_share=1", "set mask_share=0.25");
    use("paper-2d", (const char *const[]){"objective=inpainting", "adversarial=0.1", "mask=blocks", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "mask=blocks", "set mask=region or centre");
    use("paper-2d", (const char *const[]){"objective=inpainting", "adversarial=0.1", "discriminator=12", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "12 is no multiple of 8");
    use("paper-2d",
        (const char *const[]){"objective=inpainting", "adversarial=0.1", "crop=64x16", "discriminator=8,8,8,8,8", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "5 stages halve a crop of 16 pixels", "use fewer");
    use("paper-2d", (const char *const[]){"objective=genesis", "normalise=none", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "normalise=none", "set normalise=range");
    use("paper-2d", (const char *const[]){"objective=genesis", "mask=centre", NULL});
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "mask=centre: objective genesis has no such setting");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reconstruct");
    TCase *tcase = tcase_create("samples");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, dropped_pixels_are_the_mean_and_alone_count, 0, 3);
    tcase_add_loop_test(tcase, every_value_counts_of_a_damaged_or_noisy_image, 0, 2);
    ADD(tcase, with_an_adversary_dropped_pixels_are_weighed);
    ADD(tcase, the_truth_of_genesis_is_mirrored_with_what_is_seen);
    ADD(tcase, what_leaves_nothing_to_give_back_is_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
