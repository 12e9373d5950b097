/* The account of a context's memory: exact over threads, refusing what would pass the limit where it is asked to. */
#include "../../fixture.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

static cover_context *limited(uint64_t limit) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *own;
    options.threads = 1, options.memory_limit_bytes = limit;
    ck_assert_ok(cover_context_create(&own, &options));
    return own;
}

START_TEST(what_is_in_use_and_the_most_of_it_are_counted) {
    cover_context *own = limited(0);
    const uint64_t before = memory_now(own);
    void *a = memory_alloc(own, 1000), *b = memory_zero(own, 500), *c = memory_within(own, 0);
    ck_assert(((uintptr_t)a | (uintptr_t)b | (uintptr_t)c) % 64 == 0);
    ck_assert_uint_eq(memory_now(own) - before, 1500);
    memory_free(own, a);
    ck_assert_uint_eq(memory_now(own) - before, 500);
    memory_free(own, b), memory_free(own, c), memory_free(own, NULL);
    ck_assert_uint_eq(memory_now(own), before);
    ck_assert_uint_ge(memory_most(own), before + 1500);
    ck_assert_ok(memory_reserve(own, 7000));
    ck_assert_uint_eq(memory_now(own), before + 7000);
    memory_unreserve(own, 7000);
    ck_assert_ptr_null(memory_alloc(own, SIZE_MAX - 8)); /* what is refused is not counted */
    ck_assert_uint_eq(memory_now(own), before);
    cover_context_destroy(own);
}
END_TEST

START_TEST(what_would_pass_the_limit_is_refused_where_it_is_asked_to) {
    cover_context *own = limited(1 << 20);
    const uint64_t room = memory_left(own);
    void *most = memory_within(own, (size_t)room), *more;
    ck_assert_ptr_nonnull(most);
    ck_assert_uint_eq(memory_left(own), 0);
    ck_assert_ptr_null(memory_within(own, 1));
    ck_assert_str_eq(cover_error_text(),
                     "1 bytes more are needed, and 1 MiB are in use, but the memory limit is 1 MiB; raise option memory_limit");
    ck_assert_int_eq(memory_room(own, 1), COVER_ERROR_MEMORY);
    ck_assert_int_eq(memory_reserve(own, 1), COVER_ERROR_MEMORY);
    ck_assert_ptr_nonnull(more = memory_alloc(own, 100)); /* what a plan has counted already */
    ck_assert_ptr_null(memory_within(own, 0));
    memory_free(own, more);
    memory_free(own, most);
    ck_assert_ok(memory_room(own, room));
    cover_context_destroy(own);
}
END_TEST

enum { THREADS = 8, PIECES = 16, ROUNDS = 2000, LIMIT = 20000 }; /* less than the pieces of one thread */
static atomic_int refusals, passed;

static void *ask(void *data) {
    cover_context *own = data;
    void *pieces[PIECES] = {NULL};
    for (int round = 0; round < ROUNDS; round++) {
        const int at = round % PIECES;
        memory_free(own, pieces[at]);
        pieces[at] = memory_within(own, (size_t)(round * 37 % 3000 + 1));
        if (!pieces[at]) atomic_fetch_add(&refusals, 1);
        if (memory_now(own) > LIMIT) atomic_store(&passed, 1);
    }
    for (int i = 0; i < PIECES; i++) memory_free(own, pieces[i]);
    return NULL;
}

START_TEST(threads_together_never_pass_the_limit_and_lose_no_byte) {
    cover_context *own = limited(LIMIT);
    const uint64_t before = memory_now(own);
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) ck_assert_int_eq(pthread_create(&threads[t], NULL, ask, own), 0);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    ck_assert_uint_eq(memory_now(own), before);
    ck_assert_uint_le(memory_most(own), LIMIT);
    ck_assert_int_eq(atomic_load(&passed), 0);
    ck_assert_int_gt(atomic_load(&refusals), 0);
    cover_context_destroy(own);
}
END_TEST

START_TEST(sizes_are_said_in_words) {
    static const struct {
        uint64_t bytes;
        const char *words;
    } cases[] = {
        {0, "0 bytes"}, {1000, "1000 bytes"}, {1536, "1.5 KiB"}, {(uint64_t)300 << 20, "300 MiB"}, {(uint64_t)3 << 40, "3 TiB"}};
    char text[MEMORY_WORDS];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) ck_assert_str_eq(memory_words(text, cases[i].bytes), cases[i].words);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, what_is_in_use_and_the_most_of_it_are_counted);
    ADD(tcase, what_would_pass_the_limit_is_refused_where_it_is_asked_to);
    ADD(tcase, threads_together_never_pass_the_limit_and_lose_no_byte);
    ADD(tcase, sizes_are_said_in_words);
    return run_suite(suite);
}
