/* Reading ahead alone, with samples that are numbers: their order, errors in the middle, a share of each batch, and its end while
 * threads wait or are at work. */
#include "../../check_main.h"
#include "core/train/prefetch.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 6, LANES = 3 };

struct numbers { /* a maker: sample `number` is its number, twice */
    struct sample_maker maker;
    atomic_int drawn, workers;
    int64_t bad; /* that cannot be drawn; -1 = none */
    int slow_us; /* a draw takes so long */
};

static cover_status worker_create(void **worker, const struct sample_maker *maker) {
    atomic_fetch_add(&((struct numbers *)maker)->workers, 1);
    *worker = (void *)maker;
    return COVER_OK;
}
static void worker_destroy(void *worker) {
    if (worker) atomic_fetch_sub(&((struct numbers *)worker)->workers, 1);
}
static cover_status draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory, int64_t number) {
    struct numbers *numbers = worker;
    ck_assert_ptr_eq(&numbers->maker, maker);
    if (numbers->slow_us) usleep((useconds_t)(numbers->slow_us * (number % 2 ? 3 : 1))); /* neighbours overtake each other */
    atomic_fetch_add(&numbers->drawn, 1);
    if (number == numbers->bad) return fail(COVER_ERROR_IO, "number %lld is gone", (long long)number);
    memory[0] = memory[1] = (float)number;
    *sample = (struct sample){.input = {memory, memory + 1}, .count = 1};
    return COVER_OK;
}
static void make_numbers(struct numbers *numbers, int64_t bad, int slow_us) {
    *numbers =
        (struct numbers){.maker = {.floats = 2, .worker_create = worker_create, .worker_destroy = worker_destroy, .draw = draw},
                         .bad = bad,
                         .slow_us = slow_us};
}

static cover_context *context;
static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 32; /* five threads read ahead */
    ck_assert_ok(cover_context_create(&context, &options));
}
static void teardown(void) { cover_context_destroy(context); }

/* What prefetch reads of an engine. */
static struct engine lanes_alone(int64_t first, int64_t count) {
    return (struct engine){.context = context,
                           .executor = context->executor,
                           .holds = LANES,
                           .share = {.batch = BATCH, .first = first, .count = count}};
}

static void take_step(struct prefetch *prefetch, int64_t step, int64_t first, int64_t count) {
    struct sample_source source = prefetch_source(prefetch, step);
    const struct sample *held[LANES];
    for (int64_t i = 0; i < count; i++) { /* as many are held as there are lanes */
        if (i >= LANES) source.give_back(source.user, i - LANES, held[i % LANES]);
        ck_assert_ok(source.take(source.user, i, &held[i % LANES]));
        ck_assert_float_eq(held[i % LANES]->input[0][0], (float)(step * BATCH + first + i));
        ck_assert_ptr_eq(held[i % LANES]->input[1], held[i % LANES]->input[0] + 1);
    }
    for (int64_t i = count > LANES ? count - LANES : 0; i < count; i++) source.give_back(source.user, i, held[i % LANES]);
}

START_TEST(nothing_is_drawn_beyond_the_end_of_a_period) {
    struct numbers numbers;
    struct engine engine = lanes_alone(0, BATCH);
    struct prefetch *prefetch;
    make_numbers(&numbers, -1, 0);
    ck_assert_ok(prefetch_create(&prefetch, &engine, &numbers.maker, 3, 5));
    for (int64_t step = 3; step < 5; step++) take_step(prefetch, step, 0, BATCH);
    usleep(20000); /* there is room for more */
    ck_assert_int_eq(atomic_load(&numbers.drawn), 2 * BATCH);
    prefetch_destroy(prefetch);
}
END_TEST

START_TEST(samples_come_in_the_order_of_their_steps_however_long_each_takes) {
    struct numbers numbers;
    struct engine engine = lanes_alone(0, BATCH);
    struct prefetch *prefetch;
    make_numbers(&numbers, -1, 200);
    ck_assert_ok(prefetch_create(&prefetch, &engine, &numbers.maker, 7, INT64_MAX));
    for (int64_t step = 7; step < 27; step++) take_step(prefetch, step, 0, BATCH);
    prefetch_destroy(prefetch);
    ck_assert_int_eq(atomic_load(&numbers.workers), 0);
}
END_TEST

START_TEST(a_share_reads_its_own_block_of_each_batch) {
    struct numbers numbers;
    struct engine engine = lanes_alone(2, 3);
    struct prefetch *prefetch;
    const struct sample *again;
    make_numbers(&numbers, -1, 0);
    ck_assert_ok(prefetch_create(&prefetch, &engine, &numbers.maker, 0, INT64_MAX));
    for (int64_t step = 0; step < 5; step++) take_step(prefetch, step, 2, 3);
    ck_assert_ok(prefetch_redraw(prefetch, 1, 5, &again)); /* of the whole batch, also another's */
    ck_assert_float_eq(again->input[0][0], BATCH + 5);
    prefetch_destroy(prefetch);
}
END_TEST

START_TEST(a_sample_that_cannot_be_drawn_is_that_one_s_error_and_the_others_come) {
    struct numbers numbers;
    struct engine engine = lanes_alone(0, BATCH);
    struct prefetch *prefetch;
    const struct sample *sample;
    make_numbers(&numbers, BATCH + 2, 0);
    ck_assert_ok(prefetch_create(&prefetch, &engine, &numbers.maker, 0, INT64_MAX));
    take_step(prefetch, 0, 0, BATCH);
    struct sample_source source = prefetch_source(prefetch, 1);
    for (int64_t i = 0; i < BATCH; i++) {
        const cover_status status = source.take(source.user, i, &sample);
        ck_assert_int_eq(status, i == 2 ? COVER_ERROR_IO : COVER_OK);
        if (i == 2) ck_assert_ptr_nonnull(strstr(cover_error_text(), "number 8 is gone")); /* drawn by another thread */
        else source.give_back(source.user, i, sample);
    }
    take_step(prefetch, 2, 0, BATCH); /* the failed one holds no slot */
    prefetch_destroy(prefetch);
}
END_TEST

START_TEST(it_ends_while_its_threads_wait_for_room_or_draw) {
    for (int slow_us = 0; slow_us <= 20000; slow_us += 20000) {
        struct numbers numbers;
        struct engine engine = lanes_alone(0, BATCH);
        struct prefetch *prefetch;
        const struct sample *kept;
        make_numbers(&numbers, -1, slow_us);
        ck_assert_ok(prefetch_create(&prefetch, &engine, &numbers.maker, 0, INT64_MAX));
        struct sample_source source = prefetch_source(prefetch, 0);
        ck_assert_ok(source.take(source.user, 0, &kept)); /* never given back */
        const int slots = LANES + 1 + 5;
        for (int wait = 0; !slow_us && atomic_load(&numbers.drawn) < slots && wait < 5000; wait++) usleep(1000);
        if (!slow_us) usleep(2000); /* every slot is full, and nobody takes */
        if (!slow_us) ck_assert_int_eq(atomic_load(&numbers.drawn), slots);
        prefetch_destroy(prefetch);
        ck_assert_int_eq(atomic_load(&numbers.workers), 0);
    }
    prefetch_destroy(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("prefetch");
    TCase *tcase = tcase_create("prefetch");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, samples_come_in_the_order_of_their_steps_however_long_each_takes);
    ADD(tcase, a_share_reads_its_own_block_of_each_batch);
    ADD(tcase, a_sample_that_cannot_be_drawn_is_that_one_s_error_and_the_others_come);
    ADD(tcase, nothing_is_drawn_beyond_the_end_of_a_period);
    ADD(tcase, it_ends_while_its_threads_wait_for_room_or_draw);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
